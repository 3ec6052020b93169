#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# OpenStack Barbican's plugin p11_crypto on the module: master_keys.py prints the TAP.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
python=$root/build/barbican/bin/python
if ! "$python" -c 'import barbican' 2>/dev/null; then
    consumer "OpenStack Barbican's p11_crypto" - "not here"
    skip "Barbican keeps its keys in the token" "barbican is not in build/barbican; 'make deps' puts it there"
    finish
fi
new_hierarchy
program=("$python" "$root/tests/consumers/compiled/master_keys.py" "$module" "$work")
tap_program "${program[@]}"
new_hierarchy
want_login
CMEK_TEST_PIN=4321 tap_program "${program[@]}"
new_hierarchy
give_pins acme
CMEK_TEST_PIN=$user_pin tap_program "${program[@]}"
refused "with a wrong PIN it gets nowhere" env CMEK_TEST_PIN=00000000 "${program[@]}"
ok "and says why" says CKR_PIN_INCORRECT
finish
