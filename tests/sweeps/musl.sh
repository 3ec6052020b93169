#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Every source of module, tool and examples compiles against another C library, musl, without a warning. Only that: the libraries here are glibc's,
# of which the headers alone are used, so nothing is linked and nothing runs.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
for program in musl-gcc meson ninja pkg-config; do
    command -v $program >/dev/null && continue
    skip "the sources compile with musl" "$program is not here"
    finish
done

# The libraries' headers, without the C library's beside which they lie.
headers=$work/headers
mkdir "$headers"
multiarch=$(gcc -print-multiarch)
for name in openssl curl jansson.h jansson_config.h sqlite3.h hiredis; do
    for place in /usr/include "/usr/include/$multiarch"; do
        [ ! -e "$place/$name" ] || cp --recursive --dereference "$place/$name" "$headers/"
    done
done
# And what pkg-config says of them, but for where headers lie.
mkdir "$work/pkgconfig"
for name in libcrypto libssl libcurl jansson sqlite3 hiredis; do
    file=$(pkg-config --variable=pcfiledir $name)/$name.pc
    [ ! -e "$file" ] || sed '/^Cflags/d; /^Requires/d' "$file" >"$work/pkgconfig/$name.pc"
done
export PKG_CONFIG_LIBDIR=$work/pkgconfig

ok "it is musl's headers that are found" sh -c 'printf "#include <features.h>\n#ifdef __GLIBC__\n#error glibc\n#endif\n" |
    musl-gcc -idirafter "$1" -fsyntax-only -xc -' sh "$headers"
# Meson asks musl what it lacks. Without the tests, as a packager may build it.
ok "the build is set up for musl" env CC=musl-gcc meson setup "$work/musl" "$root" --wrap-mode=nodownload -Dtests=disabled -Dwerror=true \
    -Doptimization=1 "-Dc_args=-idirafter $headers" || finish
mapfile -t objects < <(ninja -C "$work/musl" -t targets all | sed -n 's/^\([^ ]*\.o\): c_COMPILER$/\1/p')
mapfile -t sources < <(cd "$root" && find base crypto net aws kms zones objects mechanisms session pkcs11 envelope cli -name '*.c')
ok "it has all sources" test "${#objects[@]}" -ge "${#sources[@]}"
compile() { nice ninja -C "$work/musl" --quiet -k 0 "${objects[@]}"; }
ok "they compile with musl, without a warning" compile
finish
