#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# crypto/origin.c lists every libcrypto function that the module uses, and none that it does not.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

library=$(ldd "$module" 2>/dev/null | awk '$1 ~ /^libcrypto\./ { print $3 }')

listed() { sed -nE 's/^\tORIGIN\((\w+)\),$/\1/p' "$root/crypto/origin.c" | sort -u; }

used() {
    nm -D --undefined-only "$module" | awk '{ sub("@.*", "", $2); print $2 }' | sort -u >"$work/undefined" &&
        nm -D --defined-only "$library" | awk '{ sub("@.*", "", $3); print $3 }' | sort -u >"$work/defined" &&
        comm -12 "$work/undefined" "$work/defined"
}

lists_agree() { agree listed used; }

if [ -f "$library" ]; then
    ok "crypto/origin.c lists the libcrypto functions that the module uses" lists_agree
else
    skip "crypto/origin.c lists the libcrypto functions that the module uses" "no libcrypto among what $module needs"
fi
finish
