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
ok "each work is measured on our module" "$build/bench/bench" 1 "$work/bench.json"
cp "$work/.last" "$work/table"
ours() { awk -F'|' 'NF > 3 && $4 ~ /^ [0-9.]+ µs/' "$work/table"; }
ok "AES-256-GCM of four sizes, wrap, unwrap, a small file, generate, session, random, find" test "$(grep -cE '^\| (AES-256-GCM, |wrap |unwrap |file of |generate |open |random, |find )' "$work/table")" -eq 15
ok "with a time of ours each" test "$(ours | wc -l)" -eq 15
ok "beside libcrypto and the other modules, in one process" grep -qE '^\|  \| libcrypto \| cmek-pkcs11' "$work/table"
told() { python3 -c 'import json, sys; it = json.load(open(sys.argv[1])); ours = [p["name"] for p in it["peers"]].index("cmek-pkcs11"); sys.exit(not all(row["ns"][ours] > 0 for row in it["rows"]) or len(it["rows"]) != 15)' "$work/bench.json"; }
ok "the same as JSON" told

# All of it at once, as `make bench` has it, but little and without Debian 13.
all=$work/all
mkdir "$all"
ok "all of it is measured, also two threads, stores and files" env TMPDIR="$work" python3 "$root/bench/run.py" --quick --here --out "$all"
rows() { grep -cE '^\| .* \| (≥|≤) [0-9.,]+ \| ' "$all/benchmarks.md"; }
ok "a line for each goal" test "$(rows)" -eq "$(PYTHONPATH=$root/bench python3 -c 'import goals; print(len(goals.GOALS))')"
figures() { # each but those of the larger stores, and of age where that is not here
    local missing=3
    command -v age >/dev/null || missing=5
    [ "$(grep -E '^\| .* \| (≥|≤) ' "$all/benchmarks.md" | grep -cE '\| – \|')" -eq $missing ]
}
ok "with a figure each" figures
ok "it is drawn" cp "$all"/benchmarks-*.svg "$work/bench.svg"
ok "as XML with a line for each work" python3 -c 'import sys, xml.etree.ElementTree as tree; text = "".join(tree.parse(sys.argv[1]).getroot().itertext()); sys.exit(text.count("AES-256-GCM") < 4 or "find by label" not in text)' "$work/bench.svg"

judged() {
    PYTHONPATH=$root/bench python3 - <<'END'
import goals, run

peers = [{"name": name, "version": "OpenSSL 3.0.19", "missing": ""} for name in ("libcrypto", "cmek-pkcs11", "NSS softokn", "SoftHSM2")]
def judge(speed, openssl, first):
    works = [{"work": work, "speed": [1, speed, None, None], "times": [1, 1, 2, None]} for work in
             (*(goals.GCM.format(size) for size in ("64 B", "1 KiB", "16 KiB", "1 MiB")), goals.WRAP, goals.UNWRAP, goals.FILE, goals.GENERATE,
              goals.SESSION, goals.RANDOM, goals.FIND)]
    threads = [{"work": row["work"], "ns": [1, 1, 2, None], "more": [2, 2, 1, None]} for row in works]
    one = goals.Run({"peers": peers, "rows": works}, threads, [{"zones": 3000, "first_find_ms": first, "make_ms": 1}], None)
    one.openssl = openssl
    return {(title, unit): met for title, unit, _, _, met in goals.judged(one)}

gcm, store = ("AES-256-GCM, 64 B", "of libcrypto"), ("store of 3,000 zones: start to first find", "ms")
assert judge(0.86, "3.0.19", 1)[gcm] is True
assert judge(0.84, "3.0.19", 1)[gcm] is False
assert judge(0.84, "3.5.1", 1)[gcm] is True        # another goal with another OpenSSL
assert judge(1, "3.0.19", 1)[store] is True and judge(1, "3.0.19", 1e6)[store] is False
assert judge(1, "3.0.19", 1)[("unwrap a key, destroy it", "× NSS softokn")] is False        # 2 times, and 3 are wanted
assert judge(1, "3.0.19", 1)[("unwrap a key, destroy it, two threads", "× one")] is True
assert judge(1, "3.0.19", 1)[("store of 10,000 zones: start to first find", "ms")] is None
assert list(judge(1, "3.0.19", 1).values())[-1] is None
END
}
ok "a goal is met, not met or not measured" judged
in_page() {
    cp "$root/docs/benchmarks.md" "$work/page.md" && PYTHONPATH=$root/bench python3 -c 'import sys, run; run.write_page(sys.argv[1], ["new"]); run.write_page(sys.argv[1], ["newer"])' "$work/page.md" &&
        [ "$(sed -n '/^<!-- bench: what/,/^<!-- bench: to/p' "$work/page.md" | grep -vc '^$')" -eq 3 ] && grep -qx newer "$work/page.md" && grep -q '^What it says' "$work/page.md"
}
ok "the page keeps what is not between its two marks" in_page

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
