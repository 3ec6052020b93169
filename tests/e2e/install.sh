#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What `make install` lays down, and that it works from there: the tool finds the module where it was installed, the
# file for p11-kit names it.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if ! command -v meson >/dev/null; then
    skip "the build is installed" "meson is not here"
    finish
fi
new_home
place=$work/place
ok "the build is installed" meson install -C "$build" --no-rebuild --quiet --destdir "$place"
tool=$(find "$place" -type f -path '*/bin/cmek')
prefix=${tool%/bin/cmek}
prefix=${prefix#"$place"}
installed=$(find "$place" -type f -name cmek-pkcs11.so)
is_there() { [ -s "$place$prefix/$1" ] || { find "$place" -type f; return 1; }; }
for file in bin/cmek include/cmek-pkcs11/cmek.h share/man/man1/cmek.1 share/cmek-pkcs11/cmek.conf share/cmek-pkcs11/openssl.cnf \
    share/cmek-pkcs11/iam-policy.json share/cmek-pkcs11/rescue.py share/doc/cmek-pkcs11/LICENSE \
    share/doc/cmek-pkcs11/SECURITY.md share/doc/cmek-pkcs11/docs/leases.md share/doc/cmek-pkcs11/docs/erasure.md; do
    ok "$file is there" is_there $file
done
for file in "$installed" "$tool"; do
    ok "anybody may run $(basename "$file"), and nobody but its owner change it" test "$(stat -c %a "$file")" = 755
done
described=$(find "$place" -type f -name cmek-pkcs11.module)
ok "the file for p11-kit names the module where it is" grep -qx "module: ${installed#"$place"}" "$described"
ok "and is readable for all" test "$(stat -c %a "$described")" = 644

# As if it were the system's: the prefix is laid over the system's, for one command.
# shellcheck disable=SC2016 # the inner shell expands
over='mount --bind "$0" "$1" && shift && exec "$@"'
in_place() { env -u CMEK_PKCS11_MODULE unshare --mount sh -c "$over" "$place$prefix" "$prefix" "$@"; }
if [ -d "$prefix" ] && in_place true 2>/dev/null; then
    # Not beside the tool, so that it has to look where it was installed.
    ok "the tool finds the module where it was installed" in_place "$prefix/bin/cmek" project create demo
    ok "and works" in_place "$prefix/bin/cmek" project show demo
else
    skip "the tool finds the module where it was installed" "laying one folder over another needs root's rights"
fi
finish
