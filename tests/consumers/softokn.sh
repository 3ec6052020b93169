#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What the module computes is what NSS's softokn computes: softokn.py prints the TAP. (No consumer, so no row of their table.)
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_hierarchy
if python3 -c 'import ctypes; ctypes.CDLL("libsoftokn3.so")' 2>/dev/null; then
    tap_program python3 "$root/tests/consumers/softokn.py" "$module" acme
else
    skip "what the module computes is what softokn computes" "libsoftokn3.so (Debian: libnss3) is not here"
fi
finish
