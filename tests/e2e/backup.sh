#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# A project is backed up, its store is lost, and a restore brings everything back: files, files of a database that keeps
# its key in the store alone, token keys. What was deleted stays so unless it is named; what does not fit is told, and
# then nothing is written.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
status_is() { local code=$1 status=0; shift; "$@" || status=$?; [ $status -eq "$code" ]; }
json() { "${@:2}" | python3 -c "import json, sys; it = json.load(sys.stdin); sys.exit(not ($1))"; }
by_rescue() { python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" --store "$home/store.db" "$@"; }
lose() { rm -f "$home"/store.db*; }
opens() { # NAME...: the sealed files open, as they were
    local name
    for name in "$@"; do "$cmek" decrypt --force "$name.sealed" "$name.new" && cmp text "$name.new" || return 1; done
}
audited() { # WHAT HOW-OFTEN
    [ "$(grep -c "\"action\":\"$1\"" "$home/audit.jsonl")" -eq "$2" ]
}

new_project demo
printf '[log]\naudit = %s/audit.jsonl\n' "$home" >>"$CMEK_PKCS11_CONF"
cd "$work" || exit 1
echo "what the file says" >text
ok "a cluster" "$cmek" cluster create --project demo main --key root --region here
ok "a database" "$cmek" database create --project demo main/orders
ok "one whose key stays in the store" "$cmek" database create --project demo --no-embed main/tenant
for name in orders tenant; do
    ok "a file of $name" "$cmek" encrypt --project demo --database "main/$name" text "$name.sealed"
done

# Backing up
ok "a backup" "$cmek" backup --project demo all.backup
ok "says that it has the key of the one" says "database main/tenant keeps its key out of its files, and this backup has it"
ok "and is for its owner alone" test "$(stat -c %a all.backup)" = 600
ok "it is audited" audited "backed up" 1
ok "it is not written over" status_is 4 "$cmek" backup --project demo all.backup
ok "but with --force" "$cmek" backup --project demo --force all.backup
ok "it goes to standard output" sh -c "'$cmek' backup --project demo - >piped.backup"
ok "without the report" status_is 2 "$cmek" backup --project demo --json -
ok "it is verified" "$cmek" backup verify all.backup
ok "by the KMS" says "verified       by the KMS"
ok "the other as well" sh -c "'$cmek' backup verify - <piped.backup"
ok "and without it" "$cmek" backup verify --offline all.backup
ok "by its structure alone" says "structure only"
ok "in JSON" json 'it["verified"] and it["whole"] and len(it["databases"]) == 2 and it["root_keys"][0]["opens"]' "$cmek" backup verify --json all.backup
ok "without the one database" "$cmek" backup --project demo --embedding-only some.backup
refused "of which nothing is said then" says "main/tenant"
ok "one database alone" json 'len(it["databases"]) == 1 and not it["whole"]' "$cmek" backup --project demo --database main/orders one.backup --json
ok "no key of which is in the clear" sh -c "test -s all.backup && ! grep -q 'what the file says' all.backup"

# What is no backup, or not whole
head -c 500 all.backup >cut.backup
{ head -c 700 all.backup; printf '\377'; tail -c +702 all.backup; } >changed.backup
ok "a cut one is refused" status_is 7 "$cmek" backup verify --offline cut.backup
ok "in words" says "this is no backup of a project, or one that is damaged or cut off; use another copy of it"
ok "a changed one too" status_is 7 "$cmek" backup verify changed.backup
ok "also for restoring" status_is 7 "$cmek" restore changed.backup
ok "and a file that is none" status_is 7 "$cmek" restore text
ok "one that is not there" status_is 3 "$cmek" restore none.backup

# The store is lost
lose
ok "without the store the one file opens no more" status_is 3 "$cmek" decrypt tenant.sealed never
ok "a backup is verified without a store" "$cmek" backup verify all.backup
ok "a restore is tried" "$cmek" restore --dry-run all.backup
ok "and makes no store" test ! -e "$home/store.db"
ok "it is restored" "$cmek" restore all.backup
ok "it is audited" sh -c "grep -q '\"event\":\"zone\",\"action\":\"restored\"' '$home/audit.jsonl'"
ok "everything opens" opens orders tenant
ok "and rescue.py opens the files" by_rescue tenant.sealed tenant.rescued
ok "as they were" cmp text tenant.rescued
ok "doctor is content" "$cmek" doctor
ok "new files go into it" "$cmek" encrypt --project demo --database main/tenant text more.sealed
ok "a second restore changes nothing" json 'not it["written"] and it["counts"]["here"] == len(it["entries"])' "$cmek" restore --json all.backup
ok "under another root key" "$cmek" key create --project demo local:second --label second
lose
ok "it is restored under that" "$cmek" restore --map root=local:second all.backup
ok "which is the only one" json 'len(it) == 1' "$cmek" key list --project demo --json
ok "and opens" opens orders tenant
ok "the old one is not needed for what needs the store" "$cmek" database show --project demo main/tenant
lose
ok "one database alone comes back alone" "$cmek" restore one.backup
ok "and opens" opens orders
ok "the other does not" status_is 3 "$cmek" decrypt tenant.sealed never
ok "until it comes too" "$cmek" restore all.backup
ok "then it opens" opens orders tenant

# What does not fit
lose
ok "a project of the same name" "$cmek" project create demo
ok "is in the way" status_is 4 "$cmek" restore all.backup
ok "and told" says "project 'demo': another project has its name here; restore into another store"
ok "nothing was written" json 'it == []' "$cmek" database list --project demo --json
lose
printf '[kms]\nallowed_root_keys = 111122223333\n' >>"$CMEK_PKCS11_CONF"
ok "a root key that is not allowed" status_is 4 "$cmek" restore all.backup
finish
