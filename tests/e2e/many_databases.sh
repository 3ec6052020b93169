#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Databases that are made many at once: all of them, or none.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

new_project demo
ok "a cluster" "$cmek" cluster create --project demo prod --key root --region us-west-2
exits() { # CODE COMMAND...
    local code=0
    "${@:2}" || code=$?
    [ "$code" -eq "$1" ] || { echo "exit code $code, and not $1"; return 1; }
}
count() { "$cmek" database list --project demo --json | grep -c '"database"'; }
are() { [ "$(count)" -eq "$1" ]; }
revisions() { sqlite3 "$home/store.db" 'SELECT count(DISTINCT revision) FROM zones'; }

ok "two names" "$cmek" database create --project demo prod/one prod/two
ok "both are there" are 2
ok "by one transaction" sh -c "[ $(revisions) -eq 1 ]"
seq -f 'prod/t-%g' 100 >"$work/list"
ok "a hundred, of a list" "$cmek" database create --project demo --from-file "$work/list"
ok "all are there" are 102
ok "by one transaction more" sh -c "[ $(revisions) -eq 2 ]"
from_input() { printf 'prod/a\r\n\nprod/b' | "$cmek" database create --project demo --from-file -; }
ok "of standard input, where blank lines are none" from_input
ok "those two" are 104
json() { "$cmek" database create --project demo --json prod/j1 prod/j2 | python3 -c 'import json, sys
rows = json.load(sys.stdin)
assert [row["database"] for row in rows] == ["prod/j1", "prod/j2"] and all(row["zone"] for row in rows)'; }
ok "JSON is a list of them, in their order" json
opens() { "$cmek" decrypt "$work/out" - | cmp "$work/in"; }
seals() { echo text >"$work/in" && "$cmek" encrypt --force --project demo --database prod/t-77 "$work/in" "$work/out" && opens; }
ok "one of them encrypts" seals

taken() { exits 4 "$cmek" database create --project demo prod/new prod/one prod/two 2>"$work/said" && grep -q "2 of the 3 names are taken in this project: 'prod/one', 'prod/two'" "$work/said"; }
ok "names that are taken are named" taken
twice() { exits 4 "$cmek" database create --project demo prod/new prod/x prod/new 2>"$work/said" && grep -q "'prod/new' is there twice" "$work/said"; }
ok "a name that comes twice is named" twice
refused "one that is none" "$cmek" database create --project demo prod/new plain
refused "a cluster that is not there" "$cmek" database create --project demo prod/new elsewhere/new
refused "no name at all" "$cmek" database create --project demo
refused "an empty list" "$cmek" database create --project demo --from-file /dev/null
refused "a list that is not there" "$cmek" database create --project demo --from-file "$work/nowhere"
seq -f 'prod/u-%g' 1001 >"$work/list"
ok "more than a thousand are told so" exits 2 "$cmek" database create --project demo --from-file "$work/list"
ok "the key is disabled" "$cmek" key disable --project demo root
ok "so that none is made" exits 5 "$cmek" database create --project demo prod/new prod/new-2
ok "nothing of all these was made" are 106
# With more rows than a process keeps, each knows but a part of the file.
ok "the key is enabled" "$cmek" key enable --project demo root
sed -i 's|^\[store\]|[store]\nindex_max = 100|' "$home/cmek.conf"
grep -q '^index_max' "$home/cmek.conf" || printf '[store]\nindex_max = 100\n' >>"$home/cmek.conf"
ok "what was encrypted opens" opens
ok "and more is encrypted" seals
ok "a list has them all" are 106
tree() { "$cmek" tree --project demo >"$work/tree" && [ "$(grep -c "database prod/t-[0-9]" "$work/tree")" -eq 100 ]; }
ok "and a tree" tree
rotates() { "$cmek" database rotate --project demo prod/t-77 && has_line '^version +2$' "$cmek" database show --project demo prod/t-77 && opens && seals; }
ok "one of them is rotated" rotates
ok "a name that is taken is" taken
deletes() { "$cmek" database delete --project demo prod/t-77 && ! "$cmek" decrypt "$work/out" - && "$cmek" database undelete --project demo prod/t-77 && opens; }
ok "what is deleted opens nothing, until it is brought back" deletes
gone() { # by hand, without a tombstone
    sqlite3 "$home/store.db" "PRAGMA foreign_keys = ON; DELETE FROM zones WHERE label = 'prod/t-50'" && ! "$cmek" database show --project demo prod/t-50 && are 105
}
ok "a row that went by hand is not there" gone
ok "three more" "$cmek" database create --project demo prod/m1 prod/m2 prod/m3
ok "are found" are 108
ok "the doctor is content" "$cmek" doctor
finish
