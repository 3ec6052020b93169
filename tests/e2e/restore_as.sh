#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# A backup comes back under another name, beside the original and in another store: what the old databases encrypted
# opens in the new project, nothing new goes under their keys, and the original stays as it is.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
status_is() { local code=$1 status=0; shift; "$@" || status=$?; [ $status -eq "$code" ]; }
json() { "${@:2}" | python3 -c "import json, sys; it = json.load(sys.stdin); sys.exit(not ($1))"; }
by_rescue() { python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" --store "$home/store.db" "$@"; }
lose() { rm -f "$home"/store.db*; }
opens() { # PROJECT NAME...: the sealed files open there, as they were
    local name project=$1
    shift
    for name in "$@"; do "$cmek" decrypt --project "$project" --force "$name.sealed" "$name.new" && cmp text "$name.new" || return 1; done
}
shared() { # the versions of the old databases are in the store twice, as one value each, and each new database has its own
    python3 - "$home/store.db" <<'P'
import sqlite3, sys
rows = sqlite3.connect(sys.argv[1]).execute
own = rows("SELECT count(*) FROM ezk_versions v JOIN zones z ON z.zone = v.zone WHERE record_zone = 0").fetchone()[0]
imported = rows("SELECT count(*) FROM ezk_versions WHERE record_zone != 0").fetchone()[0]
shared = rows("SELECT count(*) FROM ezk_versions i JOIN ezk_versions o ON o.fingerprint = i.fingerprint AND o.record_zone = 0 "
              "AND o.zone = i.record_zone AND o.version = i.version WHERE i.record_zone != 0").fetchone()[0]
sys.exit(not (imported == shared == 3 and own == 6))
P
}
token_key() { # PROJECT [VALUE]: the stored key's value, or one that is made
    python3 - "$root/tests" "$@" <<'P'
import sys
sys.path.insert(0, sys.argv[1])
import p11
module = p11.Module().start(sys.argv[2])
if len(sys.argv) > 3:
    zone = module.find(LABEL="main/orders", TOKEN=True)
    module.create(TOKEN=True, SENSITIVE=False, EXTRACTABLE=True, VALUE=sys.argv[3].encode(), ZONE=module.get(zone, "ZONE"), LABEL="kept")
else:
    key = module.find(LABEL="kept")
    print(module.get(key, "VALUE").decode(), int.from_bytes(module.get(key, "WRAP_VERSION"), sys.byteorder))
P
}

new_project demo
printf '[log]\naudit = %s/audit.jsonl\n' "$home" >>"$CMEK_PKCS11_CONF"
cd "$work" || exit 1
echo "what the file says" >text
ok "a cluster" "$cmek" cluster create --project demo main --key root --region here
ok "a database" "$cmek" database create --project demo main/orders
ok "one whose key stays in the store" "$cmek" database create --project demo --no-embed main/tenant
ok "a stored key" token_key demo 0123456789abcdef
for name in orders tenant; do
    ok "a file of $name" "$cmek" encrypt --project demo --database "main/$name" text "$name.sealed"
done
ok "a message without its record" "$cmek" encrypt --project demo --database main/orders --message text message.sealed
ok "a new version" "$cmek" database rotate --project demo main/orders
ok "a file of that" "$cmek" encrypt --project demo --database main/orders text newer.sealed
ok "one that is deleted" "$cmek" database create --project demo main/gone
ok "has a file" "$cmek" encrypt --project demo --database main/gone text gone.sealed
ok "a backup" "$cmek" backup --project demo all.backup
ok "it goes after the backup" "$cmek" database delete --project demo main/gone

# Beside the original
ok "it is tried" "$cmek" restore --dry-run --as copy all.backup
ok "which makes nothing" status_is 3 "$cmek" project show copy
ok "a name that is taken is refused" status_is 4 "$cmek" restore --as demo all.backup
ok "and told" says "there is a project of the new name here; give another name"
ok "a backup comes back under another name" "$cmek" restore --as copy all.backup
ok "which it says" says "as             copy"
ok "what was deleted here stays away" says "left out: database 'main/gone': it was deleted here"
ok "the new project has the others" json 'sorted(it["database"] for it in it) == ["main/orders", "main/tenant"]' "$cmek" database list --project copy --json
ids() { "$cmek" database list --json --project "$1" | python3 -c 'import json, sys; print(*sorted(d["zone"] for d in json.load(sys.stdin)), sep="\n")'; }
have_other_ids() { ids demo >demo.ids && ids copy >copy.ids && test -s demo.ids -a -s copy.ids && test -z "$(sort demo.ids copy.ids | uniq --repeated)"; }
ok "under other ids" have_other_ids
ok "their versions are imported" json '[(v["version"], v["imported_from"] is not None) for v in it["versions"]] == [(1, False), (1, True), (2, True)]' \
    "$cmek" database show --project copy --json main/orders
ok "each as it is in the original" shared
ok "the original has its own, twice rotated, and nothing else" json 'len(it["versions"]) == 2' "$cmek" database show --project demo --json main/orders
ok "the originals open" opens demo orders tenant newer message
ok "and open by the new project" opens copy orders tenant newer message
ok "as of its database" "$cmek" decrypt --project copy --database main/tenant --force tenant.sealed again
ok "wrapped by the new key" test "$(token_key copy)" = "0123456789abcdef 1"
ok "what is new goes under the new key" "$cmek" encrypt --project copy --database main/tenant text fresh.sealed
ok "and opens" opens copy fresh
ok "not in the original" status_is 3 "$cmek" decrypt --project demo --force fresh.sealed never
ok "rescue.py opens it" by_rescue fresh.sealed fresh.rescued
ok "as it was" cmp text fresh.rescued
ok "doctor is content" "$cmek" doctor
ok "a new version of the new key" "$cmek" database rotate --project copy main/orders
ok "the old files still open by it" opens copy orders newer message
ok "it is audited" sh -c "grep -q '\"event\":\"project\",\"action\":\"restored\",.*\"copy\"' '$home/audit.jsonl'"

# What was deleted opens by no import
ok "the original is deleted" "$cmek" database delete --project demo main/tenant
refused "then its file does not open by the import either" "$cmek" decrypt --project copy --force tenant.sealed never
ok "which says why" says "awaits deletion"
ok "what is the new database's own opens" opens copy fresh
ok "the original comes back" "$cmek" database undelete --project demo main/tenant
ok "and so does its import" opens copy tenant

# In another store
lose
ok "under another name in another store" "$cmek" restore --as other --json all.backup
ok "there nothing was deleted" says '"left out": 0'
ok "and there is no original" status_is 3 "$cmek" project show demo
ok "the files open" opens other orders tenant newer message gone
ok "rescue.py opens one that needs the store" by_rescue tenant.sealed tenant.rescued
ok "as it was" cmp text tenant.rescued
ok "the stored key as well" test "$(token_key other)" = "0123456789abcdef 1"
ok "files come over" "$cmek" rewrap --project other --to main/tenant tenant.sealed orders.sealed
ok "and open" opens other tenant orders
ok "with the new key alone" json '[(it["project"], it["database"], it["files"]) for it in it["databases"]] == [("other", "main/tenant", 2)]' "$cmek" scan --json tenant.sealed orders.sealed
refused "a file of the old one is not rewrapped" "$cmek" rewrap newer.sealed
ok "but for another" says "cmek rewrap --to"
ok "the original comes too, beside it" "$cmek" restore all.backup
ok "both open" opens demo newer gone
ok "by their own" opens other newer gone
ok "one more of the same name is refused" status_is 4 "$cmek" restore --as other all.backup

# A copy is backed up and copied as others are
ok "the copy is backed up" "$cmek" backup --project other other.backup
lose
ok "and comes back" "$cmek" restore other.backup
ok "with what it had imported" opens other newer gone tenant
ok "and under a third name" "$cmek" restore --as third other.backup
ok "where all of it opens" opens third newer gone tenant orders message
ok "the stored key too" test "$(token_key third)" = "0123456789abcdef 1"

# Not without an end
too_large() { { printf 'CBAK\001\000\000\000'; head -c 300000000 /dev/zero; } | (ulimit -v 1200000; "$cmek" restore -); }
ok "what is larger than a backup is read no further" status_is 7 too_large
ok "and told" says "has more than 256 MiB, which is the most that one has"
endless() { (ulimit -v 400000; "$cmek" restore --dry-run - </dev/zero); }
ok "nor is what begins as none" status_is 7 endless

# With another root key; and where the root key says no
lose
ok "another root key" "$cmek" project create temporary
ok "of the embedded KMS" "$cmek" key create --project temporary local:second
ok "takes the place of the old one" "$cmek" restore --as mapped --map root=local:second all.backup
ok "which the new project has alone" json 'len(it) == 1' "$cmek" key list --project mapped --json
ok "by which it opens" opens mapped newer gone message
ok "the old root key" "$cmek" restore all.backup
ok "is disabled" "$cmek" key disable --project demo root
ok "and then nothing is copied" status_is 5 "$cmek" restore --as late all.backup
ok "nor made" status_is 3 "$cmek" project show late
finish
