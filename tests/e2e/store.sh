#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The store as the tool's user meets it: two at once, read-only, damaged, of a later release, tampered with. What is
# damaged is named and left as it is.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

exits() { # CODE COMMAND...: and one line on standard error
    local code=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" || status=$?
    cat "$work/out" "$work/err"
    [ $status -eq "$code" ] || { echo "exit code $status, not $code"; return 1; }
    [ $status -eq 0 ] || { [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q '^cmek: ' "$work/err"; }
}
reports() { # CODE: by doctor, whose verdict is the last line
    local code=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" || status=$?
    cat "$work/out" "$work/err"
    [ $status -eq "$code" ] && [ ! -s "$work/err" ] && has_line '^verdict: ' tail -n 1 "$work/out"
}

new_project demo
ok "a cluster" "$cmek" cluster create --project demo prod --key root --region us-west-2
ok "a database" "$cmek" database create --project demo prod/orders
ok "another" "$cmek" database create --project demo prod/invoices
echo "what the file says" >"$work/plain"
encrypt() { "$cmek" encrypt --project demo --database prod/orders "$work/plain" "$1"; }
ok "a file" encrypt "$work/sealed"

# Two at once
make_databases() { # PREFIX
    local i
    for i in $(seq 15); do "$cmek" database create --project demo "prod/$1-$i" || return 1; done >/dev/null
}
two_at_once() {
    make_databases a & local one=$!
    make_databases b || return 1
    wait $one
}
ok "two processes make databases at once" two_at_once
count_is() { "$cmek" database list --project demo --json | python3 -c "import json, sys
it = json.load(sys.stdin)
sys.exit(not (len(it) == $1 == len({d['zone'] for d in it}) == len({d['database'] for d in it})))"; }
ok "all of them are there, each with a zone of its own" count_is 32
same_one() { "$cmek" database create --project demo prod/same; }
same_at_once() {
    local status_one=0 status_two=0
    same_one >/dev/null 2>&1 & local one=$!
    same_one >/dev/null 2>&1 || status_two=$?
    wait $one || status_one=$?
    [ $((status_one + status_two)) -eq 4 ]
}
ok "of two that make the same one, one is refused" same_at_once
ok "and there is one" count_is 33
projects_at_once() {
    local name pids=() pid
    for name in one two three four five six; do
        "$cmek" project create $name >/dev/null & pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || return 1; done
}
ok "six projects at once" projects_at_once
ok "have a slot each" test "$("$cmek" project list --json | grep '"slot"' | sort -u | wc -l)" -eq 7

# Read-only
cp -r "$home" "$work/shut"
sed -i "s|$home|$work/shut|" "$work/shut/cmek.conf"
shut_conf=$work/shut/cmek.conf
if [ "$(id -u)" -eq 0 ]; then
    as_reader=(setpriv --reuid 65534 --regid 65534 --clear-groups)
    chmod -R a+rX "$work/shut" "$work/sealed" "$work/plain"
    chmod 600 "$work/shut/local.keys" # which the module insists on
    chown 65534 "$work/shut/local.keys"
    chmod a+x "$work"
else
    as_reader=()
    chmod -R a-w "$work/shut"
fi
read_only() { CMEK_PKCS11_CONF=$shut_conf "${as_reader[@]}" "$@"; }
readable() { read_only test -x "$cmek" -a -r "$module"; }
if readable; then
    ok "a read-only store is read" exits 0 read_only "$cmek" database list --project demo
    reads() { read_only "$cmek" decrypt "$work/sealed" - | cmp - "$work/plain"; }
    ok "and files are opened by it" reads
    ok "but nothing is made in it" exits 6 read_only "$cmek" database create --project demo prod/third
    ok "which says that it can't be written" says "$work/shut/store.db"
    ok "nor a project" exits 6 read_only "$cmek" project create third
    ok "nor a root key" exits 6 read_only "$cmek" key create --project demo local:test-root-2
else
    skip "a read-only store is read, and not written" "the build is not readable by another user"
fi

# Damaged
damage() { # NAME: a copy of the store to damage, in a home of its own
    mkdir "$work/$1"
    cp "$home/store.db" "$home/local.keys" "$work/$1/"
    sed "s|$home|$work/$1|" "$home/cmek.conf" >"$work/$1/cmek.conf"
    export CMEK_PKCS11_CONF=$work/$1/cmek.conf
    store=$work/$1/store.db
}
sum() { sha256sum <"$store"; }
refused_unchanged() { # CODE TEXT: everything fails so, and the file stays as it is
    local before
    before=$(sum)
    exits "$1" "$cmek" database list --project demo && grep -qF "$2" "$work/err" &&
        exits "$1" "$cmek" project create other && exits "$1" "$cmek" decrypt "$work/sealed" "$work/new" &&
        exits "$1" "$cmek" tree && reports "$1" "$cmek" doctor && grep -qF "$store" "$work/out" &&
        [ "$(sum)" = "$before" ] && [ ! -e "$work/new" ]
}
damage text
echo "this is no database, whatever its name says; it is longer than the header of one, though" >"$store"
ok "a file that is no store" refused_unchanged 7 "$store"
damage zeros
dd if=/dev/zero of="$store" bs=1 count=100 conv=notrunc 2>/dev/null
ok "a store without its beginning" refused_unchanged 7 "$store"
damage torn
size=$(stat -c %s "$store")
dd if=/dev/urandom of="$store" bs=1 seek=4096 count=$((size - 4096)) conv=notrunc 2>/dev/null
ok "a store with its pages overwritten" refused_unchanged 7 "$store"
damage half
truncate -s $((size / 2 / 4096 * 4096)) "$store"
ok "half a store" refused_unchanged 7 "$store"
damage newer
python3 - "$store" <<'PYTHON'
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
store.execute(f"PRAGMA user_version = {store.execute('PRAGMA user_version').fetchone()[0] + 1}")
store.commit()
PYTHON
ok "a store of a later release" refused_unchanged 7 "$store"
ok "says so" says "later release"
damage foreign
rm "$store"
python3 -c 'import sqlite3, sys; s = sqlite3.connect(sys.argv[1]); s.execute("CREATE TABLE mine (a)"); s.commit()' "$store"
ok "another program's database" refused_unchanged 7 "$store"
damage keys
echo "no keys" >"$work/keys/local.keys"
before=$(sha256sum <"$work/keys/local.keys")
refused "a damaged file of local keys" "$cmek" decrypt "$work/sealed" "$work/new"
ok "is named" says "$work/keys/local.keys"
refused "and nothing is added to it" "$cmek" key create --project demo local:new
ok "so that it stays as it is" test "$before" = "$(sha256sum <"$work/keys/local.keys")"
for kind in mkfifo mkdir; do
    rm -rf "$work/keys/local.keys"
    $kind -m 600 "$work/keys/local.keys"
    ok "what $kind makes is no file of local keys" exits 6 timeout 20 "$cmek" decrypt "$work/sealed" "$work/new"
    ok "and nobody waits for it" says "$work/keys/local.keys is not a file; set path in [local]"
done
unavailable() { printf '[store]\npath = /proc/nowhere/store.db\n' >"$work/none.conf" && CMEK_PKCS11_CONF=$work/none.conf "$@"; }
ok "a store that can't be made" exits 6 unavailable "$cmek" project create demo
ok "is named, with what to look at" says "/proc/nowhere/store.db: making its folder: No such file or directory; look at the path"

# Tampered with: one zone's record in the place of another's
tampered() { # SQL, in which :a is zone prod/orders and :b prod/invoices
    python3 - "$store" "$1" <<'PYTHON'
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
zones = dict(store.execute("SELECT label, zone FROM zones"))
a, b = (next(z for label, z in zones.items() if label.endswith(name)) for name in ("orders", "invoices"))
for statement in sys.argv[2].split(";"):
    store.execute(statement, {"a": a, "b": b})
    assert store.total_changes
store.commit()
PYTHON
}
damage blob
ok "the blob of another zone" tampered 'UPDATE wraps SET blob = (SELECT blob FROM wraps WHERE zone = :b) WHERE zone = :a'
ok "is refused by the KMS" exits 7 "$cmek" decrypt "$work/sealed" "$work/new"
ok "which doctor tells" reports 7 "$cmek" doctor --project demo
damage record
ok "the whole record of another zone" tampered 'DELETE FROM ezk_versions WHERE zone = :a;
    INSERT INTO ezk_versions SELECT :a, record_zone, version, state, delete_after_ms, created_ms, greatest_usages, limits, randomblob(16), mac, all_wraps, project, cluster
        FROM ezk_versions WHERE zone = :b;
    DELETE FROM wraps WHERE zone = :a;
    INSERT INTO wraps SELECT :a, record_zone, version, position, state, arn, blob, share FROM wraps WHERE zone = :b'
ok "is refused too" exits 7 "$cmek" decrypt "$work/sealed" "$work/new"
damage moment
ok "another time of its making" tampered 'UPDATE ezk_versions SET created_ms = created_ms + 1 WHERE zone = :a'
ok "does not fit its MAC" exits 7 "$cmek" decrypt "$work/sealed" "$work/new"
damage usages
ok "more usages than it was made with" tampered 'UPDATE ezk_versions SET greatest_usages = 127 WHERE zone = :a'
ok "do not fit it either" exits 7 "$cmek" decrypt "$work/sealed" "$work/new"
damage limits
ok "a limit that it was not made with" tampered "UPDATE ezk_versions SET limits = x'030000' WHERE zone = :a"
ok "is no part of what the MAC covers" exits 7 "$cmek" decrypt "$work/sealed" "$work/new"
ok "none of these has opened anything" test ! -e "$work/new"
finish
