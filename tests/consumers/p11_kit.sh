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

consumer "p11-kit" p11-kit "loads and lists"
make_zone() { pkcs11-tool --module "$module" --token-label lab --keygen --key-type AES:32 --sensitive --usage-decrypt --usage-wrap --label "$1" --id "$2"; }
ok "a zone is there" make_zone default/default 0a01
ok "and another" make_zone default/other 0a02
ok "list-modules names the module by our file" with p11-kit list-modules
ok "and its file" says "$module"
ok "and its token" says "token: lab"

if [[ $(p11-kit --help 2>&1) == *list-objects* ]]; then
    ok "list-tokens finds the token" with p11-kit list-tokens pkcs11:
    ok "by its label" says lab
    ok "list-objects lists the zone" with p11-kit list-objects pkcs11:token=lab
    ok "by its label" says default/other
    ok "list-mechanisms lists AES-GCM" with p11-kit list-mechanisms pkcs11:token=lab
    ok "by its name or number, as the release has it" grep -qE 'CKM_AES_GCM|aes-gcm|0x1087' "$work/.last"
else
    skip "p11-kit lists the token's objects" "this p11-kit has no list-objects; 0.25 has"
fi

# By pkcs11-tool on MODULE: a key is wrapped by one zone, unwrapped, and refused by the other.
iv=000102030405060708090a0b0c0d0e0f
login=()
hierarchy() { # HOW ID MODULE WRAPPER...
    local how=$1 id=$2 tool=(pkcs11-tool --module "$3" --token-label lab --iv "$iv" "${login[@]}") wrap
    shift 3
    wrap=("$@" "${tool[@]}" --mechanism "$mechanism")
    ok "a data key is made $how" "$@" "${tool[@]}" --keygen --key-type AES:32 --label "key-$id" --id "0b$id" --extractable --sensitive
    ok "it encrypts $how" "$@" "${tool[@]}" --encrypt --mechanism AES-CBC-PAD --id "0b$id" -i "$work/text" -o "$work/enc"
    ok "it is wrapped $how" "${wrap[@]}" --wrap --id 0a01 --application-id "0b$id" -o "$work/wrapped"
    ok "it is unwrapped $how" "${wrap[@]}" --unwrap --id 0a01 -i "$work/wrapped" --key-type AES: --application-id "0c$id" --sensitive
    ok "what is unwrapped decrypts $how" "$@" "${tool[@]}" --decrypt --mechanism AES-CBC-PAD --id "0c$id" -i "$work/enc" -o "$work/dec"
    ok "to the same text" cmp "$work/text" "$work/dec"
    refused "the other zone does not wrap it $how" "${wrap[@]}" --wrap --id 0a02 --application-id "0b$id" -o "$work/other"
}
listed() { "${@:2}" pkcs11-tool --module "$1" --token-label lab --list-objects --type secrkey "${login[@]}"; } # MODULE WRAPPER...
zones() { has_line default/other listed "$@"; }
no_zones() { listed "$@" >"$work/listed" && ! grep -F default/other "$work/listed"; }
by_login_and_pin() { # HOW ID MODULE WRAPPER...: in a store of its own
    local how=$1 id=$2 before=$home
    shift 2
    new_project lab
    make_zone default/default 0a01 >"$work/.output" 2>&1
    make_zone default/other 0a02 >"$work/.output" 2>&1
    want_login
    login=()
    ok "without a login, where one is wanted, no zone is seen $how" no_zones "$@"
    login=(--login --pin 0000)
    hierarchy "$how by any PIN" "1$id" "$@"
    give_pins lab
    login=()
    ok "without the project's PIN no zone is seen $how" no_zones "$@"
    login=(--login --pin 00000000)
    refused "nor by a wrong one $how" listed "$@"
    login=(--login --pin "$user_pin")
    hierarchy "$how by the project's PIN" "2$id" "$@"
    login=()
    home=$before
    export CMEK_PKCS11_CONF=$home/cmek.conf
}
echo 'what the file says' >"$work/text"
if [ -e "$proxy" ]; then
    consumer "p11-kit's proxy, under pkcs11-tool" p11-kit "whole hierarchy"
    ok "its proxy shows the zone to any program" with pkcs11-tool --module "$proxy" --token-label lab --list-objects
    ok "by its label" says default/other
    mechanism=AES-KEY-WRAP hierarchy "through the proxy" 01 "$proxy" with
    mechanism=AES-KEY-WRAP by_login_and_pin "through the proxy" 3 "$proxy" with
else
    consumer "p11-kit's proxy" - "not here"
    skip "its proxy shows the zone to any program" "p11-kit-proxy.so is not here"
fi

listens() { # SOCKET: 10000 is __SO_ACCEPTCON
    awk -v path="$1" '$4 == "00010000" && $8 == path { found = 1 } END { exit !found }' /proc/net/unix
}
served() { # COMMAND...: with a server that it reaches by p11-kit-client.so
    # Each server has a socket of its own: one that ends removes its socket's name, later than `kill` returns. Its words come before it
    # listens.
    local started status=0 socket
    socket=$(mktemp -u "$work/socket.XXXXXX")
    started=$(p11-kit server --name "$socket" --provider "$module" pkcs11:token=lab) || return 1
    eval "$started"
    until listens "$socket"; do kill -0 "$P11_KIT_SERVER_PID" && sleep 0.05 || return 1; done
    "$@" || status=$?
    kill "$P11_KIT_SERVER_PID"
    return $status
}

if [ ! -e "$client" ]; then
    consumer "p11-kit's server and client" - "not here"
    skip "its server shows the zone through a socket" "p11-kit-client.so is not here"
elif [[ $(p11-kit --help 2>&1) == *list-objects* ]]; then
    consumer "p11-kit's server and client, under pkcs11-tool" p11-kit "whole hierarchy"
    ok "its server shows the zone through a socket" served pkcs11-tool --module "$client" --list-objects --type secrkey
    ok "by its label" says default/other
    mechanism=AES-CBC-PAD hierarchy "through a socket" 02 "$client" served
    mechanism=AES-CBC-PAD by_login_and_pin "through a socket" 4 "$client" served
else
    consumer "p11-kit's server and client, under pkcs11-tool" p11-kit "loads and lists"
    ok "its server shows the zone through a socket" served pkcs11-tool --module "$client" --list-objects --type secrkey
    ok "by its label" says default/other
    give_pins lab
    login=(--login --pin "$user_pin")
    ok "so by the project's PIN" served zones "$client"
    login=(--login --pin 00000000)
    refused "but not by a wrong one" served listed "$client"
    skip "a data key is wrapped through a socket" "this p11-kit passes no wrapping mechanism; 0.25 passes AES-CBC-PAD and AES-GCM"
fi
finish
