#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Node programs that do the whole hierarchy, by pkcs11js and by graphene-pk11: they print the TAP.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if ! node -e 'require("pkcs11js")' 2>/dev/null; then
    consumer "Node pkcs11js" - "not here"
    skip "a node program does the whole hierarchy" "pkcs11js is not in build/node; 'make deps' puts it there"
    finish
fi
new_home
printf '[slots]\nfree = true\n' >>"$home/cmek.conf"
tap_program node "$root/tests/consumers/hierarchy.js" "$module"
if node -e 'require("graphene-pk11")' 2>/dev/null; then
    new_hierarchy
    tap_program node "$root/tests/consumers/graphene.js" "$module"
    by_login "not ok 1 - the zones are found" node "$root/tests/consumers/graphene.js" "$module"
    by_pin "not ok 1 - the zones are found" CKR_PIN_INCORRECT node "$root/tests/consumers/graphene.js" "$module"
else
    consumer "Node graphene-pk11" - "not here"
    skip "a node program does the whole hierarchy by graphene-pk11" "it is not in build/node; 'make deps' puts it there"
fi
finish
