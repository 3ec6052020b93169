#!/usr/bin/env bash
# `make bench` gives its table: one round of it here, in which every row has a time of ours. Nothing is said of how long.
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
finish
