#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# OpenSSL on the module by way of pkcs11-provider, configured by conf/openssl.cnf: it looks, encrypts, ends, and does not
# hang where OpenSSL prefers the token for all it does, also when the module itself speaks TLS to its KMS.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
provider=$(openssl version -m | cut -d'"' -f2)/pkcs11.so
if [ ! -e "$provider" ]; then
    consumer "OpenSSL by pkcs11-provider" - "not here"
    skip "OpenSSL works with the module" "pkcs11-provider is not here"
    finish
fi
new_project lab
has_keys() { [[ $(openssl enc -help 2>&1) == *skeymgmt* && $(openssl version) == *'OpenSSL 3.'[5-9]* ]]; } # that stay in a token
consumer "OpenSSL by pkcs11-provider" pkcs11-provider "$(has_keys && echo "AES only" || echo "loads and lists")"
ok "a zone is there" pkcs11-tool --module "$module" --token-label lab --keygen --key-type AES:32 --label prod --id 0a01

key=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
iv=0f0e0d0c0b0a09080706050403020100
echo 'what the file says' >"$work/text"

soon() { timeout 60 "$@"; }
plain_env() { env OPENSSL_CONF=/dev/null "$@"; } # OpenSSL without the provider
plain() { plain_env openssl "$@"; }
token() { PKCS11_PROVIDER_DEBUG=file:$work/calls,level:2 soon openssl "$@"; }
on_the_token() { grep -qF "$1" "$work/calls" && rm "$work/calls"; } # whether the provider called this

# conf/openssl.cnf with the module's path; with "prefer" the token is preferred for everything, with "block" but for the file's list, with "no-deinit" the
# provider does not end the module when the process ends.
use() { # [prefer|block|no-deinit...]
    local edit=("-e s|^\(pkcs11-module-path\) = .*|\1 = $module|" "-e s|^#\(pkcs11-module-token-pin\)|\1|")
    [[ " $* " != *" prefer "* ]] || edit+=("-e s/^#alg_section/alg_section/")
    [[ " $* " != *" block "* ]] || edit+=("-e s/^#\(pkcs11-module-block-operations\)/\1/")
    [[ " $* " != *" no-deinit "* ]] || edit+=("-e /^pkcs11-module-path/a pkcs11-module-quirks = no-deinit")
    sed "${edit[@]}" "$root/conf/openssl.cnf" >"$work/openssl.cnf"
    export OPENSSL_CONF=$work/openssl.cnf
}

looks() { # HOW
    ok "the provider is there, $1" token list -providers
    ok "by its name" says "PKCS#11 Provider"
    ok "it looks through the token and ends well, $1" token storeutl -noout -text pkcs11:token=lab
    ok "and through all of them" token storeutl -noout -text pkcs11:
    ok "a digest is right, $1" test "$(token dgst -sha256 -r "$work/text" | cut -c1-64)" = "$(sha256sum <"$work/text" | cut -c1-64)"
    ok "random bytes are there" token rand -hex 32
    ok "cmek works all the same, $1" soon "$cmek" tree --project lab
    ok "also where it makes something" soon "$cmek" project create "made ${1:0:24}"
    ok "and pkcs11-tool" soon pkcs11-tool --module "$module" --token-label lab --list-objects
}
use
looks "from conf/openssl.cnf"
use no-deinit
looks "without deinit"
use prefer
looks "when it is preferred"
use prefer no-deinit
looks "when it is preferred, without deinit"

ok "a certificate for servers is there" plain req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
    -addext 'subjectAltName = DNS:localhost, IP:127.0.0.1' -keyout "$work/tls.key" -out "$work/tls.crt" -config /etc/ssl/openssl.cnf
# The provider makes keys by value only on a token that says a login is needed (its slot of choice).
printf '[slots]\nlogin_required = true\n' >>"$home/cmek.conf"
raw_key=(-skeymgmt AES -skeyopt "hexraw-bytes:$key" -propquery provider=pkcs11)
made_key=(-skeymgmt AES -propquery provider=pkcs11 -skeyopt pkcs11_ephemeral:1)

encrypts() { # HOW
    local mode
    for mode in cbc ctr; do
        ok "AES-$mode of a key given by value, $1" token enc -e -aes-256-$mode -iv $iv "${raw_key[@]}" -in "$work/text" -out "$work/enc"
        ok "is done by the token" on_the_token C_EncryptInit
        ok "OpenSSL itself decrypts it" plain enc -d -aes-256-$mode -iv $iv -K $key -in "$work/enc" -out "$work/dec"
        ok "to the same text" cmp "$work/text" "$work/dec"
        ok "so does the token" token enc -d -aes-256-$mode -iv $iv "${raw_key[@]}" -in "$work/enc" -out "$work/dec"
        ok "to the same text" cmp "$work/text" "$work/dec"
    done
    ok "it makes a key in the session" token skeyutl -genkey -cipher aes256 "${made_key[@]}" \
        -skeyopt 'pkcs11_uri:pkcs11:token=lab;id=%55;object=made'
    ok "on the token" on_the_token C_GenerateKey
}
# A handshake of TLS 1.3, and what the line block-operations of conf/openssl.cnf gives back where the token is preferred.
handshake() {
    local port='' tries=0 status=0 server
    rm -f "$work/server" # the one before names its port there
    OPENSSL_CONF=/dev/null openssl s_server -www -accept 127.0.0.1:0 -cert "$work/tls.crt" -key "$work/tls.key" >"$work/server" 2>&1 &
    server=$!
    until port=$(sed -n 's/^ACCEPT .*:\([0-9]*\)$/\1/p' "$work/server") && [ -n "$port" ]; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || break
        sleep 0.1
    done
    soon openssl s_client -tls1_3 -verify_return_error -CAfile "$work/tls.crt" -connect "127.0.0.1:$port" </dev/null || status=$?
    kill "$server"
    wait "$server" 2>/dev/null
    return $status
}
lives_with_it() { # where the token is preferred
    ok "a program makes an RSA key" soon openssl genrsa -out "$work/rsa" 2048
    ok "and one of EC" soon openssl ecparam -name P-256 -genkey -noout
    ok "an HMAC is right" test "$(soon openssl mac -digest SHA256 -macopt key:abc -in "$work/text" HMAC)" = \
        "$(plain mac -digest SHA256 -macopt key:abc -in "$work/text" HMAC)"
    ok "TLS 1.3 shakes hands" handshake
}
if has_keys; then
    use
    tap_program python3 "$root/tests/consumers/openssl_gcm.py"
    encrypts "from conf/openssl.cnf"
    use no-deinit
    encrypts "without deinit"
    use prefer
    encrypts "when the token is preferred"
    ok "a program that knows of no token has its AES done by it" token enc -e -aes-256-cbc -iv $iv -K $key -in "$work/text" -out "$work/enc"
    ok "in truth" on_the_token C_EncryptInit
    ok "OpenSSL itself decrypts that" plain enc -d -aes-256-cbc -iv $iv -K $key -in "$work/enc" -out "$work/dec"
    ok "to the same text" cmp "$work/text" "$work/dec"
    use prefer block
    encrypts "when the token is preferred but for the list of conf/openssl.cnf"
    lives_with_it
else
    skip "AES through the provider" "$(plain version | cut -d' ' -f1-2) has no keys that stay in a token; 3.5 has"
fi

# A zone can't be loaded by a URI, so a login shows in the token's flags alone: a right PIN takes back what was counted.
looks_by() { token storeutl -noout -text "pkcs11:token=lab?pin-value=$1"; }
flags() { plain_env pkcs11-tool --module "$module" --token-label lab --list-token-slots; }
has_counted() { has_line "user PIN count low" flags; }
has_not_counted() { lacks "user PIN count low" flags; }
use
sed -i '/^pkcs11-module-token-pin/d' "$OPENSSL_CONF"
ok "where a login is wanted, any PIN of a URI will do" looks_by 0000
ok "and is no wrong one" has_not_counted
OPENSSL_CONF=/dev/null give_pins lab
looks_by 00000000 >"$work/.output" 2>&1
ok "where the project has a PIN, a wrong one of a URI is counted" has_counted
ok "the right one is taken from it" looks_by "$user_pin"
ok "and logs in" has_not_counted

# A KMS over TLS, in a process whose OpenSSL prefers the token: what curl does must not come back into the module.
whole_hierarchy() { # python runs $1 before it loads the module
    local inner conf=$OPENSSL_CONF
    new_home
    printf '[aws]\nca_bundle = %s\n' "$work/tls.crt" >>"$home/cmek.conf"
    # shellcheck disable=SC2016 # the inner shell expands
    inner='"$1" project create lab && "$1" key add --project lab "$CMEK_TEST_KMS_KEY" && shift && exec "$@"'
    # The simulated KMS is an OpenSSL program of its own: without the provider.
    PYTHONPATH=$root/tests plain_env python3 -m fake_kms --tls "$work/tls.crt" "$work/tls.key" -- \
        env OPENSSL_CONF="$conf" PKCS11_PROVIDER_DEBUG="file:$work/calls,level:2" sh -c "$inner" sh "$cmek" timeout 120 \
        python3 -c "$1; import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')" \
        "$root/tests/consumers/hierarchy.py" "$module"
}
if python3 -c 'import PyKCS11' 2>/dev/null; then
    for how in "" no-deinit; do
        use prefer $how
        ok "the whole hierarchy over TLS, OpenSSL starting in the middle${how:+, $how}" whole_hierarchy pass
        ok "with the provider in the process" on_the_token C_GetInfo
        ok "the same, OpenSSL being there first" whole_hierarchy 'import ssl; ssl.create_default_context()'
        ok "with the provider in the process" on_the_token C_GetInfo
    done
else
    skip "the whole hierarchy over TLS where the token is preferred" "PyKCS11 is not here"
fi
finish
