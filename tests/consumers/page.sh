#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# docs/consumers.md: its shell blocks are run as they stand, each in a folder of its own; other blocks stand in files of the tests.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
page=$root/docs/consumers.md
mkdir "$work/blocks"
tap_program python3 "$root/tests/consumers/page_blocks.py" "$page" "$work/blocks"

M=$module
CLIENT=$(find /usr/lib /usr/lib64 -name p11-kit-client.so 2>/dev/null | head -n 1)
export M CLIENT
PATH=$build:$PATH
new_home
# Keys by value need a token that asks for a login.
sed '$a [slots]\nlogin_required = true' "$home/cmek.conf" >"$home/login.conf"

# shellcheck disable=SC2317 # called by the conditions of blocks
has_provider() { [ -e "$(openssl version -m | cut -d'"' -f2)/pkcs11.so" ] && [[ $(openssl version) == *'OpenSSL 3.'[5-9]* ]]; }
# shellcheck disable=SC2317
has_engine() { OPENSSL_CONF=/dev/null openssl engine pkcs11 >/dev/null 2>&1; }

run_block() { # FILE
    cd "$work" && rm -rf here && mkdir here && cd here || return
    echo 'what the file says' >in
    sed "s|^\(pkcs11-module-path\) = .*|\1 = $module|; s|^#\(pkcs11-module-token-pin\)|\1|" "$root/conf/openssl.cnf" >openssl.cnf
    if grep -q OPENSSL_CONF= "$1"; then export CMEK_PKCS11_CONF=$home/login.conf; else export CMEK_PKCS11_CONF=$home/cmek.conf; fi
    timeout 120 bash -eux "$1" || return
    [ ! -e out ] || cmp in out
}
for block in "$work"/blocks/*.sh; do
    title=$(cat "${block%.sh}.title")
    condition=$(cat "${block%.sh}.if")
    reason=${condition##*:: }
    condition=${condition%:: *}
    if [ -n "$condition" ] && ! eval "$condition" >/dev/null 2>&1; then
        skip "$title is run" "$reason"
    else
        ok "$title is run, and what it decrypts is what it encrypted" run_block "$block"
    fi
done
cd "$root" || exit
finish
