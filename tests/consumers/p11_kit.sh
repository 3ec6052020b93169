#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# p11-kit: our module file, its proxy, its server and client.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_project lab

with() { "$root/tools/with-p11-kit.sh" "$module" "$@"; }
proxy=$(pkg-config --variable=proxy_module p11-kit-1 2>/dev/null)
[ -e "$proxy" ] || proxy=$(find /usr/lib /usr/lib64 -name p11-kit-proxy.so 2>/dev/null | head -n 1)
client=$(find /usr/lib /usr/lib64 -name p11-kit-client.so 2>/dev/null | head -n 1)

ok "a zone is there" pkcs11-tool --module "$module" --token-label lab --keygen --key-type AES:32 --label prod --id 0a01
ok "list-modules names the module by our file" with p11-kit list-modules
ok "and its file" says "$module"
ok "and its token" says "token: lab"

if p11-kit --help 2>&1 | grep -q list-objects; then
    ok "list-tokens finds the token" with p11-kit list-tokens pkcs11:
    ok "by its label" says lab
    ok "list-objects lists the zone" with p11-kit list-objects pkcs11:token=lab
    ok "by its label" says prod
    ok "list-mechanisms lists AES-GCM" with p11-kit list-mechanisms pkcs11:token=lab
    ok "by its name or number, as the release has it" grep -qE 'CKM_AES_GCM|aes-gcm|0x1087' "$work/.last"
else
    skip "p11-kit lists the token's objects" "this p11-kit has no list-objects; 0.25 has"
fi

if [ -e "$proxy" ]; then
    ok "its proxy shows the zone to any program" with pkcs11-tool --module "$proxy" --token-label lab --list-objects
    ok "by its label" says prod
else
    skip "its proxy shows the zone to any program" "p11-kit-proxy.so is not here"
fi

through_server() {
    local started status=0
    started=$(p11-kit server --name "$work/socket" --provider "$module" pkcs11:token=lab) || return 1
    eval "$started"
    pkcs11-tool --module "$client" --list-objects --type secrkey || status=$?
    kill "$P11_KIT_SERVER_PID"
    return $status
}

if [ -e "$client" ]; then
    ok "its server shows the zone through a socket" through_server
    ok "by its label" says prod
else
    skip "its server shows the zone through a socket" "p11-kit-client.so is not here"
fi
finish
