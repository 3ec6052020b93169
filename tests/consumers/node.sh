#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# A node program that does the whole hierarchy by pkcs11js: hierarchy.js prints the TAP.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if ! node -e 'require("pkcs11js")' 2>/dev/null; then
    skip "a node program does the whole hierarchy" "pkcs11js is not in build/node; 'make deps' puts it there"
    finish
fi
new_home
printf '[slots]\nfree = true\n' >>"$home/cmek.conf"
node "$(dirname "$0")/hierarchy.js" "$module"
