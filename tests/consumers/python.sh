#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Python programs that do the whole hierarchy, by PyKCS11 and by python-pkcs11: they print the TAP.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if python3 -c 'import PyKCS11' 2>/dev/null; then
    new_home
    printf '[slots]\nfree = true\n' >>"$home/cmek.conf"
    tap_program python3 "$root/tests/consumers/hierarchy.py" "$module"
else
    consumer "PyKCS11" - "not here"
    skip "a Python program does the whole hierarchy" "PyKCS11 is not in build/venv; 'make deps' puts it there"
fi
if python3 -c 'import pkcs11.mechanisms' 2>/dev/null; then
    new_hierarchy
    tap_program python3 "$root/tests/consumers/python_pkcs11.py" "$module"
    by_login NoSuchKey python3 "$root/tests/consumers/python_pkcs11.py" "$module"
    by_pin NoSuchKey PinIncorrect python3 "$root/tests/consumers/python_pkcs11.py" "$module"
else
    consumer "python-pkcs11" - "not here"
    skip "a Python program does the whole hierarchy by python-pkcs11" "it is not here; 'make deps' puts it into build/venv"
fi
finish
