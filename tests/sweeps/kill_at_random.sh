#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Several processes make databases at once, and each is killed at a moment of chance, again and again: nothing is half
# made, nobody's work is lost, nobody waits for the dead.
[ -n "${TMPDIR:-}" ] || [ ! -w /dev/shm ] || export TMPDIR=/dev/shm # hundreds of stores are made and killed
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
rounds=${ROUNDS:-40}
RANDOM=${SEED:-4711}

new_project demo
ok "a cluster" "$cmek" cluster create --project demo prod --key root --region us-west-2

make_some() { # PREFIX: names those that were made
    local i
    for ((i = 0; i < 40; i++)); do
        "$cmek" database create --project demo "prod/$1-$i" >/dev/null 2>>"$work/errors" || return 1
        echo "prod/$1-$i" >>"$work/made.$1"
    done
}
one_round() { # NUMBER
    local pids=() writer pid
    for writer in a b c; do
        setsid bash -c "$(declare -f make_some); cmek='$cmek' work='$work'; make_some $1-$writer" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do
        sleep "0.$(printf %03d $((RANDOM % 150)))"
        kill -KILL -- "-$pid" 2>/dev/null
    done
    wait
}
all_made_are_there() {
    local name
    "$cmek" database list --project demo >"$work/list" || return 1
    for name in $(cat "$work"/made.* 2>/dev/null); do
        grep -q "^$name " "$work/list" || { echo "$name is lost"; return 1; }
    done
    wc -l <"$work/list"
}
check_all() {
    local i
    for ((i = 0; i < rounds; i++)); do
        one_round $i
        all_made_are_there || return 1
        timeout 20 "$cmek" database create --project demo "prod/after-$i" >/dev/null || return 1
    done
}
ok "$rounds rounds of three that are killed" check_all
ok "and in the end doctor is content" "$cmek" doctor
each_works() {
    local name
    echo text >"$work/text"
    for name in $(awk 'NR > 1 {print $1}' "$work/list"); do
        "$cmek" encrypt --project demo --database "$name" "$work/text" - | "$cmek" decrypt - - | cmp - "$work/text" ||
            { echo "$name"; return 1; }
    done
}
ok "each database works" each_works
finish
