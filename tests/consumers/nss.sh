#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# NSS takes the newest interface, seals by messages and wraps data keys: nss.py prints the TAP. Its tools look and make keys.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_hierarchy
if python3 -c 'import ctypes; ctypes.CDLL("libnss3.so")' 2>/dev/null; then
    tap_program python3 "$root/tests/consumers/nss.py" "$module"
    by_login "none is there" python3 "$root/tests/consumers/nss.py" "$module"
    by_pin "none is there" "error -8177" python3 "$root/tests/consumers/nss.py" "$module" # SEC_ERROR_BAD_PASSWORD
    new_hierarchy
else
    consumer "NSS" - "not here"
    skip "NSS loads the module" "libnss3 is not here"
fi

if ! command -v modutil >/dev/null; then
    consumer "NSS's modutil and symkeyutil" - "not here"
    skip "modutil adds the module" "libnss3-tools is not here"
    finish
fi
consumer "NSS's modutil and symkeyutil" libnss3-tools "loads and lists"
mkdir "$work/db"
ok "a database of NSS is made" modutil -force -dbdir "sql:$work/db" -create
ok "modutil adds the module" modutil -force -dbdir "sql:$work/db" -add cmek -libfile "$module"
ok "it lists the module" modutil -dbdir "sql:$work/db" -list
ok "with its token" says "token: acme"
ok "symkeyutil lists the token's keys" symkeyutil -L -d "sql:$work/db" -h acme
ok "with the zones" says prod/orders
ok "certutil looks through the token" certutil -L -d "sql:$work/db" -h acme

echo 00000000 >"$work/wrong"
echo 12345678 >"$work/pin"
sees_keys() { symkeyutil -L -d "sql:$work/db" -h acme "$@" </dev/null; }
sees_no_keys() { ! sees_keys "$@"; } # its exit code is 255
in_either_mode() { # HOW
    ok "symkeyutil lists the token's keys $1" sees_keys -f "$work/pin"
    ok "with the zones" says prod/orders
    ok "and nothing without it, $1" sees_no_keys
    ok "as it says" says "password entered is incorrect"
}
want_login
in_either_mode "by any PIN"
give_pins acme
in_either_mode "by the project's PIN"
ok "and nothing by a wrong one" sees_no_keys -f "$work/wrong"
ok "which is said" says "Incorrect password/PIN entered"
ok "modutil removes the module" modutil -force -dbdir "sql:$work/db" -delete cmek
finish
