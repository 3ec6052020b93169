#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# OpenSSH loads the module, finds no key of a kind that it could use, and says so; it neither hangs nor crashes.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if ! command -v ssh-keygen >/dev/null; then
    consumer "OpenSSH" - "not here"
    skip "ssh-keygen loads the module" "OpenSSH is not here"
    finish
fi
new_hierarchy
consumer "OpenSSH" openssh-client "loads and lists"
soon() { timeout 60 "$@" </dev/null; }
loads() { # as PKCS11 providers are looked for; there is no RSA or EC key, which is its error 255 or 1
    local status=0
    SSH_ASKPASS=/bin/false SSH_ASKPASS_REQUIRE=never soon "$@" || status=$?
    [ $status -eq 1 ] || [ $status -eq 255 ]
}
ok "ssh-keygen -D loads the module and ends well" loads ssh-keygen -D "$module"
ok "it says that there is no public key" says "cannot read public key from pkcs11"
ok "with a login asked for as well" loads ssh-keygen -D "$module" -e
# ssh offers the token's keys to a server; here there is none to speak to, so it ends after loading.
ok "ssh -I ends well without a server" loads ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=5 -I "$module" -p 1 nobody@127.0.0.1 true
ok "the token is as it was" pkcs11-tool --module "$module" --token-label acme --list-objects
ok "with its zones" says prod/orders
finish
