#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Go programs on the module: miekg/pkcs11, what is built on it, and crypto11. The programs print the TAP.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../../lib.sh"
here=$root/tests/consumers/compiled
export GOFLAGS=-mod=readonly GOTOOLCHAIN=local

run() { # FOLDER SENTENCE NONE WRONG: builds and runs it; its tests are counted here
    if ! (cd "$here/$1" && go build -o "$work/$1" .) >"$work/go.out" 2>&1; then
        if grep -qE 'requires go >=|note: module requires Go|invalid go version' "$work/go.out"; then
            consumer "Go $1" - "not here"
            skip "$2" "$1 needs a newer Go than $(go version | cut -d' ' -f3)"
        else
            tap_fail "$2" "$work/go.out"
        fi
        return
    fi
    new_hierarchy
    pkcs11-tool --module "$module" --token-label acme --keygen --key-type AES:32 --label dek1 --id 0b01 --extractable --sensitive >"$work/.output" 2>&1
    tap_program "$work/$1" "$module"
    by_login "$3" "$work/$1" "$module"
    by_pin "$3" "$4" "$work/$1" "$module"
}

if ! command -v go >/dev/null; then
    consumer "Go miekg/pkcs11" - "not here"
    skip "a Go program does the whole hierarchy" "go is not here; 'make deps' installs it"
    finish
fi
run miekg "a Go program does the whole hierarchy" "0 keys have the label prod/orders" CKR_PIN_INCORRECT
run crypto11 "a Go program encrypts by crypto11" "key with id= and label=70726f642f62616f was not found" CKR_PIN_INCORRECT
finish
