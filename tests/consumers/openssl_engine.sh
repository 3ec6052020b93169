#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# OpenSSL's engine of libp11 loads the module and takes random bytes from it. It knows no AES.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
engine=$(find /usr/lib /usr/lib64 -path '*engines-3/pkcs11.so' 2>/dev/null | head -n 1)
if [ ! -e "$engine" ]; then
    consumer "OpenSSL by libp11's engine" - "not here"
    skip "OpenSSL loads the module by libp11's engine" "libengine-pkcs11-openssl is not here, nor in Debian 13's OpenSSL 3.5"
    finish
fi
new_hierarchy
consumer "OpenSSL by libp11's engine" libengine-pkcs11-openssl "loads and lists"
export PKCS11_MODULE_PATH=$module
soon() { OPENSSL_CONF=/dev/null timeout 60 "$@" </dev/null; }
ok "the engine is available with the module" soon openssl engine pkcs11 -t
ok "and says so" says "[ available ]"
ok "it gives random bytes" soon openssl rand -engine pkcs11 -hex 32
ok "a digest goes by it" soon openssl dgst -engine pkcs11 -sha256 "$root/README.md"
refused "it finds no private key, as there is none" soon openssl pkey -engine pkcs11 -inform engine -in 'pkcs11:token=acme;object=prod%2Forders;type=private' -noout

by_pin_value() { soon openssl pkey -engine pkcs11 -inform engine -in "pkcs11:token=acme;object=prod%2Forders;type=private?pin-value=$1" -noout; }
want_login
refused "nor by any PIN, where one is wanted" by_pin_value 0000
ok "by which it got in" says "object not found"
give_pins acme
refused "nor by the project's PIN" by_pin_value "$user_pin"
ok "by which it got in" says "object not found"
refused "nor by a wrong PIN" by_pin_value 00000000
ok "which is said" says "PIN incorrect"
finish
