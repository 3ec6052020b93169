#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# A database of two owners on the embedded KMS: it opens by both root keys and ends by either's no, from its creation
# over rotation, moves of a share, backup and restore, to files that open by themselves and by rescue.py.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
status_is() { local code=$1 status=0; shift; "$@" || status=$?; [ $status -eq "$code" ]; }
json() { "${@:2}" | python3 -c "import json, sys; it = json.load(sys.stdin); sys.exit(not ($1))"; }
by_rescue() { python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" --store "$home/store.db" "$@"; }
opens() { "$cmek" decrypt --force "$1" "$1.new" && cmp text "$1.new"; }
rescued() { by_rescue "$1" "$1.rescued" && cmp text "$1.rescued"; }
shows() { "$cmek" database show --project demo "$1"; }
changed() { # SQL
    python3 -c 'import sqlite3, sys; store = sqlite3.connect(sys.argv[1]); store.executescript(sys.argv[2]); store.commit()' "$home/store.db" "$1"
}

new_project demo
cd "$work" || exit 1
echo "what the file says" >text
for key in theirs third; do
    ok "a root key, $key" "$cmek" key create --project demo "local:$key" --label "$key"
done
ok "a cluster" "$cmek" cluster create --project demo main --key root --region here

# Made
refused "one key is no two owners" "$cmek" database create --project demo --both root,root main/escrow
ok "and that is said" says "are one key"
refused "nor are three" "$cmek" database create --project demo --both root,theirs,third main/escrow
refused "nor one that is not there" "$cmek" database create --project demo --both root,nobody main/escrow
ok "a database of two owners" "$cmek" database create --project demo --both root,theirs main/escrow
ok "says so" says "both of arn:local:kms:local::key/"
ok "show as well" shows main/escrow
ok "with its versions" says "both of arn:local"
ok "the list as well" "$cmek" database list --project demo
ok "by name" says "both of"
ok "the tree as well" "$cmek" tree --project demo
ok "for the database" says "both of arn:local"
ok "in JSON" json '"both of" in it["root_keys"] and it["versions"][0]["both"]' "$cmek" database show --project demo main/escrow --json
ok "each key says what stands on it" "$cmek" key show --project demo theirs
ok "and that it is one of two" says "encrypted by both"
refused "so it can't go" "$cmek" key remove --project demo theirs

# Used
ok "a file" "$cmek" encrypt --project demo --database main/escrow text escrow.sealed
ok "opens" opens escrow.sealed
ok "and tells whom it needs" "$cmek" inspect escrow.sealed
ok "both" says "both of arn:local"
ok "it opens by rescue.py" rescued escrow.sealed
for key in root theirs; do
    ok "$key is disabled" "$cmek" key disable --project demo "$key"
    refused "a no of $key closes it" "$cmek" decrypt --force escrow.sealed out
    refused "and seals nothing" "$cmek" encrypt --project demo --database main/escrow text none.sealed
    refused "nor does rescue.py open it" by_rescue escrow.sealed out
    ok "$key is enabled" "$cmek" key enable --project demo "$key"
    ok "it opens again" opens escrow.sealed
done
arn_of() { python3 -c 'import json, sys
print(*["arn:local:kms:local::key/" + key["id"] for key in json.load(open(sys.argv[1]))["keys"] if key["name"] == sys.argv[2]])' "$home/local.keys" "$1"; }
ok "whoever trusts both keys opens it" by_rescue --root-key "$(arn_of theirs)" --root-key "$(arn_of test-root)" escrow.sealed out
refused "whoever trusts one does not" by_rescue --root-key "$(arn_of theirs)" escrow.sealed out

# In another project
ok "a project that has one of the keys" "$cmek" project create elsewhere
ok "that one" "$cmek" key add --project elsewhere local:theirs
cp "$home/store.db" store.kept
changed "DELETE FROM wraps; DELETE FROM ezk_versions; DELETE FROM zones"
refused "opens no file of both" "$cmek" decrypt --force --project elsewhere escrow.sealed out
ok "and says why" says "needs the root keys of two owners"
ok "with the other" "$cmek" key add --project elsewhere local:test-root
ok "it does" "$cmek" decrypt --force --project elsewhere escrow.sealed out
cp store.kept "$home/store.db"

# Rotated
ok "a rotation" "$cmek" database rotate --project demo main/escrow
ok "keeps both owners" json 'all(version["both"] for version in it["versions"]) and len(it["versions"]) == 2' "$cmek" database show --project demo main/escrow --json
ok "a file of the new version" "$cmek" encrypt --project demo --database main/escrow text second.sealed
for name in escrow second; do ok "$name opens" opens $name.sealed; done
ok "and by rescue.py" rescued second.sealed

# Shares move
ok "a share goes to another key" "$cmek" database set-keys --project demo --both root,third main/escrow
ok "and that is said" says "both_of"
ok "the files open" opens escrow.sealed
ok "theirs is not needed any more" "$cmek" key disable --project demo theirs
ok "by new files" "$cmek" encrypt --project demo --database main/escrow text third.sealed
ok "which open" opens third.sealed
ok "also by rescue.py" rescued third.sealed
ok "third is disabled" "$cmek" key disable --project demo third
refused "now it decides" "$cmek" decrypt --force third.sealed out
ok "third is enabled" "$cmek" key enable --project demo third
ok "theirs too" "$cmek" key enable --project demo theirs
ok "database rewrap replaces the first" "$cmek" database rewrap --project demo --key theirs main/escrow
ok "and leaves the other" json 'it["root_keys"].startswith("both of")' "$cmek" database show --project demo main/escrow --json
ok "all opens" opens third.sealed
ok "what is there is proven" "$cmek" database rewrap --project demo --key theirs --prove main/escrow
ok "and made anew" "$cmek" database rewrap --project demo --key theirs --again main/escrow
ok "and opens" opens third.sealed
refused "the first does not go to the key of the second" "$cmek" database set-keys --project demo --both third,third main/escrow

# One owner and two
ok "a database of one" "$cmek" database create --project demo main/plain
ok "with a file" "$cmek" encrypt --project demo --database main/plain text plain.sealed
ok "gets a second" "$cmek" database set-keys --project demo --both root,third main/plain
ok "new files need both" "$cmek" encrypt --project demo --database main/plain text both.sealed
ok "and say so" json '"both of" in it["root_key"]' "$cmek" inspect both.sealed --json
ok "old ones carry what they did" "$cmek" scan --project demo --old-root-key plain.sealed
ok "which is found" says plain.sealed
ok "until they are rewrapped" "$cmek" rewrap --project demo --wipe-old plain.sealed
ok "so that they need both" json '"both of" in it["root_key"]' "$cmek" inspect plain.sealed --json
ok "third is disabled" "$cmek" key disable --project demo third
refused "nothing opens" "$cmek" decrypt --force plain.sealed out
refused "nor does the database go back to one" "$cmek" database set-keys --project demo --any root main/plain
ok "third is enabled" "$cmek" key enable --project demo third
ok "by both it goes back" "$cmek" database set-keys --project demo --any root main/plain
ok "third is disabled" "$cmek" key disable --project demo third
ok "and new files open by one" "$cmek" encrypt --project demo --database main/plain text one.sealed
ok "alone" opens one.sealed
ok "third is enabled" "$cmek" key enable --project demo third

# A store that somebody has changed
cp "$home/store.db" store.kept
for change in \
    "UPDATE ezk_versions SET all_wraps = 0" \
    "UPDATE ezk_versions SET all_wraps = 0; UPDATE wraps SET share = 0" \
    "UPDATE wraps SET share = 3 - share WHERE share > 0" \
    "UPDATE wraps SET share = 1 WHERE share = 2" \
    "DELETE FROM wraps WHERE share = 2" \
    "UPDATE wraps SET arn = (SELECT arn FROM wraps WHERE share = 1 LIMIT 1) WHERE share = 2"; do
    changed "$change"
    refused "it opens no file: $change" "$cmek" decrypt --force third.sealed out
    cp store.kept "$home/store.db"
done
ok "as it was, it does" opens third.sealed

# Backup and restore
ok "a backup" "$cmek" backup --project demo all.backup
rm -f "$home"/store.db*
ok "comes back" "$cmek" restore all.backup
ok "with both owners" json '"both of" in it["root_keys"]' "$cmek" database show --project demo main/escrow --json
ok "and opens" opens third.sealed
ok "a fourth key" "$cmek" key create --project demo local:fourth --label fourth
rm -f "$home"/store.db*
refused "both can't be mapped to one" "$cmek" restore all.backup --map theirs=local:fourth,third=local:fourth
ok "and that is said" says "map them to two keys"
ok "one of them can" "$cmek" restore all.backup --map theirs=local:fourth
ok "third is disabled" "$cmek" key disable --project demo third
refused "the other owner still decides" "$cmek" encrypt --project demo --database main/escrow text out.sealed
ok "and is enabled" "$cmek" key enable --project demo third
ok "the mapped one opens" "$cmek" encrypt --project demo --database main/escrow text fourth.sealed
ok "what it sealed" opens fourth.sealed
ok "and what was sealed before" opens third.sealed

finish
