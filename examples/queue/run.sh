#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# A producer and a consumer over a Redis stream: run.sh [COUNT]. It starts a broker, a store and the two programs, all its own; in
# the middle of the stream the database's key is rotated, then the root key is disabled until both wait, and enabled again. It ends with
# the proof that no message was lost, repeated or moved, and takes everything away. README.md tells it in words.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
build=${CMEK_BUILD:-$root/build}
count=${1:-2000}
export CMEK_PKCS11_MODULE=$build/cmek-pkcs11.so LC_ALL=C.UTF-8
cmek=$build/cmek
work=$(mktemp -d "${TMPDIR:-/tmp}/cmek-queue.XXXXXXXX")
socket=$work/redis.sock
redis='' producer='' consumer=''

take_away() {
    local pid
    for pid in $producer $consumer $redis; do
        kill "$pid" 2>/dev/null || true
        kill -CONT "$pid" 2>/dev/null || true
    done
    wait
    rm -rf "$work"
}
trap take_away EXIT
trap 'exit 143' TERM INT

for needed in "$build/examples/queue/queue_producer" "$(command -v redis-server || echo redis-server)"; do
    [ -x "$needed" ] || { echo "queue: $needed is missing: install redis-server and libhiredis-dev, and build again" >&2; exit 77; }
done

until_true() { # SENTENCE COMMAND...: half a minute at most
    local i sentence=$1
    shift
    for i in $(seq 300); do
        ! "$@" || return 0
        sleep 0.1
    done
    echo "queue: $sentence: not within half a minute ($i looks)" >&2
    tail -n 5 "$work"/*.log >&2
    return 1
}

length() { redis-cli -s "$socket" XLEN orders; }
applied() { if [ -e "$work/applied" ]; then wc -l <"$work/applied"; else echo 0; fi; }
has_sent() { [ "$(length)" -ge "$1" ]; }
has_applied() { [ "$(applied)" -ge "$1" ]; }
waits() { grep -q 'waiting' "$work/$1.log"; }
start_consumer() {
    "$build/examples/queue/queue_consumer" "$socket" orders demo prod/orders "$count" "$work/applied" >>"$work/consumer.log" 2>&1 &
    consumer=$!
}

# The broker. It listens at a file alone, and keeps nothing.
redis-server --port 0 --unixsocket "$socket" --dir "$work" --save '' --appendonly no >"$work/redis.log" 2>&1 &
redis=$!
until_true "the broker answers" redis-cli -s "$socket" PING >/dev/null 2>&1

# A database whose key is asked about each second.
printf '[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n[kms]\ndeny_seconds = 1\n' "$work" "$work" >"$work/cmek.conf"
export CMEK_PKCS11_CONF=$work/cmek.conf
"$cmek" project create demo >"$work/cmek.log"
"$cmek" key create --project demo local:root --label root >>"$work/cmek.log"
"$cmek" cluster create --project demo prod --key root --region nowhere >>"$work/cmek.log"
"$cmek" database create --project demo --max-lease 1 --max-stale 0 prod/orders >>"$work/cmek.log"

"$build/examples/queue/queue_producer" "$socket" orders demo prod/orders "$count" 2 >"$work/producer.log" 2>&1 &
producer=$!
start_consumer
until_true "messages flow" has_applied $((count / 8))
redis-cli -s "$socket" --raw XREVRANGE orders + - COUNT 1 | sed -n '/^message$/,$p' | tail -n +2 | head -c -1 >"$work/message"
echo "queue: $(applied) messages are applied; what the broker has of the last one, by cmek inspect:"
"$cmek" inspect "$work/message" | sed -e "s|$work/||" -e 's/^/    /'

if "$cmek" database rotate --help >/dev/null 2>&1; then
    "$cmek" database rotate --project demo prod/orders >>"$work/cmek.log"
    echo "queue: the database's key was rotated at message $(length)"
fi

# The consumer dies in the middle of the stream, and another takes its place.
{ kill -KILL "$consumer" && wait "$consumer"; } 2>/dev/null || true
start_consumer
until_true "messages flow after a rotation, to another consumer" has_applied $((count / 2))

# With a backlog, so that the consumer has something to open; it comes to it when its lease, too, has ended.
kill -STOP "$consumer"
before=$(length)
until_true "a backlog grows" has_sent $((before + 50))
"$cmek" key disable --project demo root >>"$work/cmek.log"
until_true "the producer waits while the root key is disabled" waits producer
sleep 1
kill -CONT "$consumer"
until_true "the consumer waits while the root key is disabled" waits consumer
echo "queue: the root key is disabled; both wait, at message $(length)"
"$cmek" key enable --project demo root >>"$work/cmek.log"

wait "$producer"
producer=
wait "$consumer"
consumer=
grep -h '^producer: .*are in\|^consumer: .*are applied' "$work/producer.log" "$work/consumer.log" | sed 's/^/queue: /'

expected() {
    local i word
    for ((i = 0; i < count; i++)); do
        word=insert
        [ $((i % 5)) -ne 4 ] || word=delete
        echo "$i $word row $((i % 100))"
    done
}
expected | cmp - "$work/applied"
echo "queue: all $count messages were applied, each once, in order"
redis-cli -s "$socket" --raw XRANGE orders - + >"$work/stream"
! grep -qaE '(insert|delete) row' "$work/stream" || { echo "queue: the broker has plaintext" >&2; exit 1; }
echo "queue: the broker has seen none of them"
