#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# A Python program that does the whole hierarchy by PyKCS11: hierarchy.py prints the TAP.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if ! python3 -c 'import PyKCS11' 2>/dev/null; then
    skip "a Python program does the whole hierarchy" "PyKCS11 is not in build/venv; 'make deps' puts it there"
    finish
fi
new_home
printf '[slots]\nfree = true\n' >>"$home/cmek.conf"
python3 "$(dirname "$0")/hierarchy.py" "$module"
