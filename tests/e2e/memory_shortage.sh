#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Memory is short: an allocation fails, or it and all after it. Every 31st is tried here, more of them by
# tests/sweeps/memory_shortage_*.sh, which set $SHORTAGE_STEP and say which part; with 1, each is tried, both ways. What
# must hold stands in tests/module/shortage.c; the tool has to keep it too.
[ -n "${TMPDIR:-}" ] || [ ! -w /dev/shm ] || export TMPDIR=/dev/shm # thousands of stores are made and read
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
step=${SHORTAGE_STEP:-97}
part=${1:-all} # start, calls, tool, cloud
shortage=$build/tests/module/shortage
allocator=$build/tests/module/libshortage_allocator.so

export SHORTAGE_START=$work/start # the state that every round begins with
new_project demo
printf '[log]\nto = %s/log\n' "$home" >>"$CMEK_PKCS11_CONF"
cd "$home" || exit 1
ok "there is a zone, a key, and what they encrypted" "$shortage" prepare
cp -r "$home" "$SHORTAGE_START"

ok "the scenes are listed" has_line . "$shortage" list
"$shortage" list >"$work/scenes"
while read -r scene sentence; do
    case $part/$scene in
    all/* | start/initialize) ;;
    calls/initialize | start/* | tool/* | cloud/*) continue ;;
    esac
    stride=$step
    case $scene in # much like others that are tried closely
    unwrap-kept | root-key | rename | destroy) [ "$step" -eq 1 ] || stride=$((step * 4)) ;;
    esac
    ok "$sentence" "$shortage" "$scene" "$stride" </dev/null
done <"$work/scenes"

# --- The tool, from when its module has started

damage='amage|orrupt|JSON|backup|estore|alformed|not what|missing|another key|does not open|answer is invalid|not an envelope'
is_said_rightly() { # STATUS: of a command that failed
    [ "$1" -lt 125 ] && [ "$1" -ne 7 ] && [ "$1" -ne 2 ] || { echo "status $1"; return 1; }
    [ -s said ] || { echo "it says nothing"; return 1; }
    sed '/OpenSSL/d' said >"$work/calm" && ! grep -E "$damage" "$work/calm"
}
is_encrypted() { "$cmek" decrypt new again && cmp again plain && rm again; }
is_decrypted() { cmp new plain; }
none_left() { [ ! -e new ] && ! compgen -G '.cmek-*'; }
judge() { # STATUS CHECK COMMAND...: of the command, which failed or did not
    local check=$2
    if [ "$1" -ne 0 ]; then
        is_said_rightly "$1" && none_left && "${@:3}" || return 1
    fi
    $check && rm new && none_left
}
begin() { :; }
sweep() { # CHECK COMMAND...; `begin` before each
    local check=$1 at on=- status
    shift
    for ((at = 1; ; )); do
        begin
        [ -n "$on" ] && on= || on=- # one allocation fails; all from there on do
        status=0
        rm -f "$work/told"
        SHORTAGE_AT=$at$on SHORTAGE_TOLD=$work/told LD_PRELOAD=$allocator "$@" >said 2>&1 </dev/null || status=$?
        if ! judge $status "$check" "$@" >"$work/judged" 2>&1; then
            echo "allocation $at$on (status $status):"
            cat said "$work/judged"
            return 1
        fi
        [ -e "$work/told" ] || break
        [ "$step" -eq 1 ] && [ -z "$on" ] || ((at += step))
    done
    echo "less than $at allocations"
    [ "$at" -gt 100 ]
}

if [ "$part" = all ] || [ "$part" = tool ]; then
    rm -f ./*
    cp "$SHORTAGE_START"/* .
    head -c 3000 /dev/urandom >plain
    ok "there is an encrypted file" "$cmek" encrypt --project demo --database default/z0 plain sealed
    ok "cmek encrypt" sweep is_encrypted "$cmek" encrypt --project demo --database default/z0 plain new
    ok "cmek decrypt" sweep is_decrypted "$cmek" decrypt sealed new
    ok "there is a message" "$cmek" encrypt --project demo --database default/z0 --message plain message
    # Much of it is as with files.
    all=$step
    [ "$step" -eq 1 ] || step=$((step * 2))
    ok "cmek encrypt --message" sweep is_encrypted "$cmek" encrypt --project demo --database default/z0 --message plain new
    ok "cmek decrypt, of a message" sweep is_decrypted "$cmek" decrypt message new
    # The life of keys, from one state: what failed can be given again, what it left is whole, and all opens.
    [ "$step" -eq 1 ] || step=$((all * 40))
    mkdir tree && cp plain tree/one && cp plain tree/two
    ok "there is a second root key" "$cmek" key create --project demo local:second --label second
    ok "and a backup" "$cmek" backup --project demo kept
    cp -r . "$work/life"
    begin() { rm -rf ./* && cp -r "$work/life"/. .; }
    is_open() { "$cmek" decrypt --force sealed again && cmp again plain && rm again && "$cmek" doctor && : >new; }
    is_gone() { "$cmek" database undelete --project demo default/z0 && is_open; }
    is_verified() { "$cmek" backup verify new; }
    is_migrated() { "$cmek" decrypt tree/one again && cmp again plain && "$cmek" export --in-place tree && cmp tree/two plain && is_open; }
    is_exported() { cmp tree/one plain && cmp tree/two plain && is_open; }
    ok "cmek database rotate" sweep is_open "$cmek" database rotate --project demo default/z0
    ok "cmek database rewrap" sweep is_open "$cmek" database rewrap --project demo --key second --all
    ok "cmek backup" sweep is_verified "$cmek" backup --project demo new
    ok "cmek database delete" sweep is_gone "$cmek" database delete --project demo default/z0
    ok "cmek migrate" sweep is_migrated "$cmek" migrate --project demo --database default/z0 --in-place tree
    begin() { rm -rf ./* && cp -r "$work/life"/. . && rm store.db; }
    ok "cmek restore" sweep is_open "$cmek" restore kept
    begin() { :; }
    step=$all
fi

# --- A root key in a cloud: curl and what it answers

if [ "$part" = all ] || [ "$part" = cloud ]; then
    ok "a simulated KMS" start_moto --region us-west-2 --keys 1 || finish
    read -r key _ <<<"$CMEK_TEST_KMS_KEYS"
    new_home
    ok "a project" "$cmek" project create demo
    ok "a root key" "$cmek" key add --project demo "$key" --label root
    printf '[log]\nto = %s/log\n' "$home" >>"$CMEK_PKCS11_CONF"
    cd "$home" || exit 1
    ok "there is a zone in the cloud's name, and a key" "$shortage" prepare
    rm -rf "$SHORTAGE_START"
    cp -r "$home" "$SHORTAGE_START"
    while read -r scene sentence; do
        case $scene in
        wrap | unwrap | encrypt-root | decrypt-root) ok "$sentence, in a cloud" "$shortage" "$scene" "$step" </dev/null ;;
        esac
    done <"$work/scenes"
fi
finish
