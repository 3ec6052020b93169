#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What programs were linked with stays: libcmek's functions and types beside those of tests/golden/abi, as libabigail sees them. A
# release makes them anew (abi.sh --write), and a change of what was there is another soname.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
golden=$root/tests/golden/abi/libcmek.so.0.abi
seen() { # LIBRARY OUT: what its header shows, without paths
    abidw --no-corpus-path --no-comp-dir-path --no-show-locs --drop-private-types --headers-dir "$root/include/cmek" --out-file "$2" "$1"
}
same() { abidiff --no-added-syms --headers-dir2 "$root/include/cmek" "$golden" "$1"; }

if ! command -v abidw >/dev/null; then
    skip "libcmek's functions are those of before" "abidw is not here; 'make deps' installs abigail-tools"
    finish
fi
if [ "${1:-}" = --write ]; then
    seen "$build/libcmek.so.0" "$golden" || exit 1
    exit 0
fi
ok "libcmek's functions and types are those of before" same "$build/libcmek.so.0"

# That it would be seen.
changed() { # SED: a library whose header and sources are so
    rm -rf "$work/tree"
    mkdir -p "$work/tree/include/cmek"
    sed "$1" "$root/include/cmek/cmek.h" >"$work/tree/include/cmek/cmek.h"
    {
        echo '#include <cmek/cmek.h>'
        cc -E -P -I"$work/tree/include" "$work/tree/include/cmek/cmek.h" | python3 -c '
import re, sys
for declared in re.findall(r"[^;{}]*\bcmek_\w+\([^;{}]*\)(?=;)", sys.stdin.read()):
    if "typedef" not in declared:
        print(declared, "{ __builtin_trap(); }")'
    } >"$work/tree/stub.c"
    cc -g -shared -fPIC -I"$work/tree/include" -o "$work/tree/libcmek.so.0" -Wl,-soname,libcmek.so.0 "$work/tree/stub.c"
}
differs() { ! abidiff --no-added-syms --headers-dir1 "$root/include/cmek" --headers-dir2 "$work/tree/include/cmek" "$work/same/libcmek.so.0" "$work/tree/libcmek.so.0"; }
ok "a library of the header alone can be made" changed ''
mkdir "$work/same"
cp "$work/tree/libcmek.so.0" "$work/same"
ok "another type of a parameter" changed 's/bool replace/int replace/'
ok "would be seen" differs
ok "a field in the middle of what callers fill" changed 's/^\tbool embed;/\tuint64_t other;\n\tbool embed;/'
ok "would be, too" differs
ok "and a function that is gone" changed '/^const char \*cmek_version/d'
ok "likewise" differs
finish
