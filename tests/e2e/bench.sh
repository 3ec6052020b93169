#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# `make bench` gives its table: one round of it here, in which every row has a time of ours. Nothing is said of how long.
[ -n "${TMPDIR:-}" ] || [ ! -w /dev/shm ] || export TMPDIR=/dev/shm # SoftHSM2 syncs each of a thousand objects
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if [ ! -x "$build/bench/bench" ]; then
    skip "each work is measured" "the bench is not built"
    finish
fi
ok "each work is measured on our module" "$build/bench/bench" 1
cp "$work/.last" "$work/table"
ours() { awk -F'|' 'NF > 3 && $4 ~ /^ [0-9.]+ µs/' "$work/table"; }
ok "AES-256-GCM of four sizes, wrap, unwrap, find" test "$(grep -cE '^\| (AES-256-GCM, |wrap |unwrap |find )' "$work/table")" -eq 10
ok "with a time of ours each" test "$(ours | wc -l)" -eq 10
ok "beside libcrypto and the other modules, in one process" grep -qE '^\|  \| libcrypto \| cmek-pkcs11' "$work/table"

# Cut short, as by Ctrl-C or meson's time limit.
mkdir "$work/tmp"
TMPDIR=$work/tmp "$build/bench/bench" 501 >"$work/.last" 2>&1 &
for _ in $(seq 200); do
    [ -z "$(ls "$work/tmp")" ] || break
    sleep 0.1
done
ok "it works in a folder of its own" test -n "$(ls "$work/tmp")"
kill -TERM $!
wait $!
ok "which is gone when it is cut short" test -z "$(ls "$work/tmp")"
finish
