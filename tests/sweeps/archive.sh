#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# A release's archive, as a packager has it: `make dist` makes it, and somebody else than root builds, tests and installs
# what it unpacks to, without git, network and configuration; then once more where there is no cmocka.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

for program in git meson ninja python3; do
    command -v $program >/dev/null && continue
    skip "a release's archive is made" "$program is not here"
    finish
done
cd "$root" || exit 1
tree=$work/tree
commit_all "$tree" || exit 1

dist=$work/dist
mkdir "$dist" "$work/again"
ok "make dist makes the archive" "$tree/tools/dist.sh" "$dist"
archive=$(cd "$dist" && echo *.tar.gz)
name=${archive%.tar.gz}
version=$(sed -nE "s/^ *version: '([^']+)',$/\1/p" meson.build)
ok "it is named after the version" test "$archive" = "cmek-pkcs11-$version.tar.gz"
again() { (umask 077 && TZ=Asia/Tokyo "$tree/tools/dist.sh" "$work/again") && cmp "$dist/$archive" "$work/again/$archive"; }
ok "another time, umask and time zone give the same bytes" again
sum_fits() { cd "$dist" && sha256sum --check --strict "$archive.sha256"; }
ok "its SHA-256 is beside it" sum_fits
ok "nothing else is" test "$(find "$dist" -mindepth 1 | wc -l)" -eq 2
echo >>"$tree/README.md"
refused "a work tree with changes gives none" "$tree/tools/dist.sh" "$dist"
ok "and is told so" says "README.md"

# Somebody else, where root can be that, with no network but the loopback.
chmod a+x "$work"
packaging=$work/packaging
mkdir -p "$packaging/home" "$packaging/tmp"
tar --extract --gzip --file "$dist/$archive" --no-same-owner --directory "$packaging"
as=()
if [ "$(id -u)" -eq 0 ]; then
    chown -R 65534:65534 "$packaging"
    as=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    # shellcheck disable=SC2016 # the inner shell expands
    ! unshare --net true 2>/dev/null || as=(unshare --net sh -c 'python3 - && exec "$@"' sh "${as[@]}")
fi
# Only a new network's loopback is not up; where this can't be read or done, it is left.
loopback='
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    flags = struct.unpack("16xh", fcntl.ioctl(any_socket, 0x8913, struct.pack("16sh14x", b"lo", 0))[:18])[0]
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))
'
packager() {
    (cd "$packaging/$name" && "${as[@]}" env -i HOME="$packaging/home" TMPDIR="$packaging/tmp" LC_ALL=C.UTF-8 \
        PATH=/usr/lib/ccache:/usr/local/bin:/usr/bin:/bin "$@" <<<"$loopback")
}
sets_up() { # FOLDER TESTS [VARIABLE [OPTION...]]
    packager env ${3:+"$3"} meson setup "$1" "-Dtests=$2" "${@:4}" --prefix=/usr --wrap-mode=nodownload
}

# Of each test that failed: what it says of that itself, which meson's list of all of them would hide.
failed='
import json, sys
for test in map(json.loads, open(sys.argv[1], encoding="utf-8")):
    if test["result"] not in ("OK", "SKIP", "EXPECTEDFAIL"):
        said = (test.get("stdout", "") + test.get("stderr", "")).splitlines()
        own = [line for line in said if not line.startswith("ok ")] or said
        print(test["name"], test["result"], test.get("returncode"), *own[-12:], sep="\n    ")
'
tests_pass() {
    packager meson test -C build --no-rebuild --suite unit --suite module --suite built --no-suite hours --timeout-multiplier 5 "$@" && return
    python3 -c "$failed" "$packaging/$name/build/meson-logs/testlog.json"
    return 1
}
left_out() { grep -ohE '# SKIP [^"\\]*' "$packaging/$name/build/meson-logs/testlog.json" >"$work/skips"; [ $? -le 1 ] && sort "$work/skips" | uniq -c; }
none_without_reason() { left_out >"$work/left" && ! grep -E 'SKIP *$|no reason given' "$work/left"; }

ok "there is no git in it" test ! -e "$packaging/$name/.git"
# Quickly built: how the compiler is called for a package, tests/sweeps/deb.sh has.
ok "meson sets it up" sets_up build enabled "" -Doptimization=1 -Dc_args=-g1
ok "it is built" packager ninja -C build --quiet
ok "its tests pass" tests_pass --num-processes "$(($(nproc) + 1))"
ok "those that are left out say why" none_without_reason
left_out | sed 's/^/# left out: /'
ok "it is installed" packager meson install -C build --no-rebuild --quiet --destdir "$packaging/place"
for file in bin/cmek share/man/man1/cmek.1 include/cmek-pkcs11/cmek.h include/cmek-pkcs11/pkcs11.h; do
    ok "$file is there" test -s "$packaging/place/usr/$file"
done

# The same without cmocka: each file of pkg-config but that one.
mkdir "$packaging/pc"
for folder in $(pkg-config --variable pc_path pkg-config | tr : ' '); do
    for file in "$folder"/*.pc; do [ ! -e "$file" ] || [[ $file == */cmocka.pc ]] || ln -sf "$file" "$packaging/pc/"; done
done
hidden=PKG_CONFIG_LIBDIR=$packaging/pc
refused "without cmocka tests can't be had" sets_up none enabled "$hidden"
# Unoptimized, which is quicker.
ok "-Dtests=disabled does without" sets_up bare disabled "$hidden" -Doptimization=0
ok "and builds" packager ninja -C bare --quiet
ok "with no word of cmocka" test "$(grep -c cmocka "$packaging/$name/bare/build.ninja")" -eq 0
ok "the tool works" packager bare/cmek --version
ok "and is of this version" says "$version"
loads='import ctypes, sys
functions = ctypes.c_void_p()
sys.exit(ctypes.CDLL(sys.argv[1]).C_GetFunctionList(ctypes.byref(functions)) or not functions)'
ok "the module loads and gives its functions" packager python3 -c "$loads" "$packaging/$name/bare/cmek-pkcs11.so"
finish
