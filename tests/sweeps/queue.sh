#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# examples/queue over a real broker: a rotated key, a consumer that dies and a root key that is disabled in the middle of the stream, and
# each message is applied once, in order.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
sentence="a queue survives a rotation, a crash and a no of the KMS"
if ! command -v redis-server >/dev/null || [ ! -x "$build/examples/queue/queue_producer" ]; then
    skip "$sentence" "redis-server or libhiredis-dev is not here"
    finish
fi
ok "$sentence" env CMEK_BUILD="$build" "$root/examples/queue/run.sh" 3000
ok "no message was lost, repeated or moved" says "all 3000 messages were applied, each once, in order"
ok "both waited for the KMS" says "the root key is disabled; both wait"
ok "the broker has no plaintext" says "the broker has seen none of them"
finish
