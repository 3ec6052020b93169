#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# python-pkcs11, which knows none of our classes and attributes: python_pkcs11.py prints the TAP.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if ! python3 -c 'from pkcs11 import Attribute' 2>/dev/null; then
    skip "python-pkcs11 does the whole hierarchy" "python-pkcs11 is not in build/venv; 'make deps' puts it there"
    finish
fi
new_home
{
    "$cmek" project create lab
    "$cmek" key create --project lab local:root --label root
    "$cmek" cluster create --project lab prod --key root --region us-west-2
    "$cmek" database create --project lab prod/orders
    "$cmek" database create --project lab prod/users
    "$cmek" database create --project lab --usage encrypt,wrap prod/seal
} >"$work/made" 2>&1 || { sed 's/^/# /' "$work/made"; exit 1; }
python3 "$(dirname "$0")/python_pkcs11_seal.py" "$module"
