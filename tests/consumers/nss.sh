#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# NSS takes the newest interface and seals by messages: nss.py prints the TAP.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if ! python3 -c 'import ctypes; ctypes.CDLL("libnss3.so")' 2>/dev/null; then
    skip "NSS loads the module" "libnss3 is not here"
    finish
fi
new_project lab
python3 "$(dirname "$0")/nss.py" "$module"
