#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# A tenant is erased: what a database made with --no-embed has encrypted opens only with the store that has its key. When
# the key's rows are gone from the store, nothing opens it, although the root key lives: not the tool, not a process that
# runs, not the module with whatever records there are, not rescue.py. With a copy of the store, all of them do.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
rescue=$root/tools/rescue.py
json() { "$cmek" "${@:2}" --json | python3 -c "import json, sys; it = json.load(sys.stdin); sys.exit(not ($1))"; }
status_is() { local code=$1 status=0; shift; "$@" || status=$?; [ $status -eq "$code" ]; }
by_rescue() { python3 "$rescue" --local-keys "$home/local.keys" "$@"; }

new_project demo
cd "$work" || exit 1
store=$home/store.db
ok "a cluster" "$cmek" cluster create --project demo main --key root --region here
ok "a database whose key stays in the store" "$cmek" database create --project demo --no-embed main/tenant
ok "and the message says to back it up" says "back up the store now"
ok "and one whose files carry it" "$cmek" database create --project demo main/other
refused "of which nothing is said" says "back up"
echo "what the file says" >text
for name in tenant other; do
    ok "a file of $name" "$cmek" encrypt --project demo --database "main/$name" text "$name.sealed"
done
ok "opens" "$cmek" decrypt tenant.sealed new
ok "as it was" cmp text new

# What is said of it
zone=$("$cmek" database show --project demo main/tenant --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["zone"])')
serial=$("$cmek" project show demo --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["serial"])')
ok "the database says so" json 'it["embed"] is False' database show --project demo main/tenant
ok "and the other that it does" json 'it["embed"] is True' database show --project demo main/other
ok "the tree shows it" "$cmek" tree --offline
ok "beside the database" says "database main/tenant  (zone $zone, key version 1, embed: no)"
ok "the tree in JSON" json 'sorted((d["label"], d["embed"]) for k in it[0]["root_keys"] for c in k["clusters"]
    for d in c["databases"]) == [("main/other", True), ("main/tenant", False)]' tree --offline
ok "the file is inspected" "$cmek" inspect tenant.sealed
ok "it has no record" says "none: opens only with its store, and never once its key is in no copy of that"
ok "and names the project" json "(it['embed'], it['project_serial'], it['zone'], it['version'], it.get('root_key')) == (False, '$serial', '$zone', 1, None)" inspect tenant.sealed
ok "the other's has one" json "it['embed'] is True and it['record'] == 'embedded' and 'project_serial' not in it" inspect other.sealed
ok "rescue.py says so too" by_rescue --inspect tenant.sealed
ok "and of which project" says "\"embed\": false, \"project\": \"$serial\""

# With KMS rights alone
refused "rescue.py does not open it without the store" by_rescue tenant.sealed new.rescued
ok "and says what it needs" says "no EZK record is embedded: give the store of project $serial (--store)"
ok "with it, it does" by_rescue --store "$store" tenant.sealed new.rescued
ok "as it was" cmp text new.rescued
rm new.rescued
ok "the other file needs none" by_rescue other.sealed new.rescued
rm new.rescued
fresh_store() { # a project elsewhere, with the same root key
    printf '[store]\npath = %s/fresh.db\n[local]\npath = %s/local.keys\n' "$home" "$home" >"$home/fresh.conf"
    CMEK_PKCS11_CONF=$home/fresh.conf "$cmek" project create fresh &&
        CMEK_PKCS11_CONF=$home/fresh.conf "$cmek" key add --project fresh local:test-root
}
elsewhere() { CMEK_PKCS11_CONF=$home/fresh.conf "$cmek" "$@"; }
ok "another store, with the root key" fresh_store
ok "opens the other's" elsewhere decrypt other.sealed new --force
ok "and not the tenant's" status_is 3 elsewhere decrypt tenant.sealed never
ok "but says where its key is" says "its key (zone $zone, key version 1) is only in the store of the project with serial $serial, which is not here; use that store, or a backup of it"

empty() { printf '[store]\npath = %s/empty/store.db\n' "$home" >"$home/empty.conf" && CMEK_PKCS11_CONF=$home/empty.conf "$cmek" "$@"; }
ok "an empty store does not open it" status_is 3 empty decrypt tenant.sealed never
ok "and says the same" says "its key (zone $zone, key version 1) is only in the store of the project with serial $serial, which is not here"
refused "nor that a new project would help" says "make one"
ok "also to whoever names one" status_is 3 empty decrypt --project demo tenant.sealed never
ok "says the same" says "is only in the store of the project with serial $serial, which is not here"
ok "while a wrong name beside the right store" status_is 3 "$cmek" decrypt --project damo tenant.sealed never
ok "is just that" says "no project damo"
ok "for the other's file, a project would" status_is 3 empty decrypt other.sealed never
ok "and is advised" says "there is no project here; make one"
ok "nothing was written" test ! -e never

# Erased, while a process holds the key by a lease
python3 - >driver.out 2>driver.err 8>&- <<'PYTHON' &
import os, sys, time, PyKCS11
from PyKCS11 import LowLevel as low
library = PyKCS11.PyKCS11Lib()
library.load(os.environ["CMEK_PKCS11_MODULE"])
session = library.openSession(library.getSlotList(tokenPresent=True)[0], low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)
zone = session.findObjects([(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_LABEL, "main/tenant")])[0]
dek = session.generateKey([(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES), (low.CKA_VALUE_LEN, 32),
                           (low.CKA_EXTRACTABLE, low.CK_TRUE)], PyKCS11.Mechanism(low.CKM_AES_KEY_GEN, None))
by = PyKCS11.Mechanism(0x80434D02, None)  # CKM_CMEK_DEK_WRAP
session.wrapKey(zone, dek, by)
session.encrypt(dek, bytes(16), PyKCS11.Mechanism(low.CKM_AES_ECB, None))
kept = session.generateKey([(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES), (low.CKA_VALUE_LEN, 32),
                            (low.CKA_TOKEN, low.CK_TRUE), (low.CKA_EXTRACTABLE, low.CK_TRUE), (0x80434D05, bytes(session.getAttributeValue(zone, [0x80434D05])[0]))], PyKCS11.Mechanism(low.CKM_AES_KEY_GEN, None))
print("ready", flush=True)
deadline = time.monotonic() + 20
def ended(use):
    while time.monotonic() < deadline:
        try:
            use()
        except PyKCS11.PyKCS11Error as error:
            return str(error)
        time.sleep(0.05)
print("zone", ended(lambda: session.wrapKey(zone, dek, by)), flush=True)
print("key", ended(lambda: session.encrypt(dek, bytes(16), PyKCS11.Mechanism(low.CKM_AES_ECB, None))), flush=True)
PYTHON
driver=$!
wait_for() { local tries=0; until grep -q "$1" driver.out; do tries=$((tries + 1)); [ $tries -lt 300 ] || return 1; sleep 0.05; done; }
ok "a process uses the key" wait_for ready
sql() { python3 -c 'import sqlite3, sys; print(*sqlite3.connect(sys.argv[1]).executescript("PRAGMA secure_delete = OFF").execute(sys.argv[2]).fetchone() or ())' "$store" "$1"; }
ok "of its record, a change has left bytes in the file" sql "CREATE TABLE left_over AS SELECT blob FROM wraps"
ok "which no row has" sql "DROP TABLE left_over"
cp "$store" "$home/backup.db"
revision=$(sql "SELECT revision FROM store")
refusals() { wait "$driver" && [[ "$(cut -d' ' -f1,2 <driver.out | tr '\n' ' ')" = "ready zone CKR_"*" key CKR_KEY_FUNCTION_NOT_PERMITTED " ]]; }
page() { awk -v block="\`\`\`$1" '$0 == "```" { inside = 0 } inside { print } $0 == block { inside = 1 }' "$root/docs/erasure.md"; }
by_hand() { # the page's SQL by the page's command, in the folder of the store
    local command
    # SQLite may be built to erase by itself; the recipe must not need that.
    command=$(page sh | grep '^flock' | sed "s/ -bail / -bail -cmd 'PRAGMA secure_delete = OFF' /") && cp "$work/erase.sql" "$home" && (cd "$home" && bash -c "$command")
}
unchanged() { cmp "$store" "$home/backup.db"; }
erase() { "$cmek" database erase --project demo "$@"; }
ok "erasing is not for a database that was not deleted first" status_is 4 erase --yes-erase main/tenant main/tenant
ok "and says so" says "database main/tenant of project demo does not await deletion: delete it first, since that can be undone"
ok "the store is as it was" unchanged
ok "the drill says what would go" "$cmek" database delete --project demo --dry-run main/tenant
ok "with the token key" says "; wraps 1 token keys"
ok "and changes nothing" unchanged
ok "the database is deleted" "$cmek" database delete --project demo main/tenant
cp "$store" "$home/deleted.db"
ok "another name does not erase it" status_is 2 erase --yes-erase main/other main/tenant
ok "and says so" says "nothing was erased"
ok "its rows are gone from the store" erase --yes-erase main/tenant main/tenant
ok "as the command says" says "erased: the key of database main/tenant (zone $zone) in project demo"
ok "with what is left to do by hand" says "copies of the store: backups, snapshots, replicas and old hosts"
revision=$((revision + 1))
ok "with tombstones of one new revision" sql "SELECT group_concat(kind || number, ' '), min(revision) = $revision + 1 AND
    max(revision) = $revision + 1 AND (SELECT revision FROM store) = $revision + 1, min(removed_ms) > 1e12 AND typeof(max(removed_ms)) = 'integer'
    FROM (SELECT * FROM tombstones ORDER BY kind)"
ok "as the module leaves them" says "token key0 zone$zone 1 1"
ok "the store is whole" sql "SELECT CASE (SELECT integrity_check FROM pragma_integrity_check) WHEN 'ok' THEN 'whole' END ||
    (SELECT count(*) FROM pragma_foreign_key_check) || (SELECT count(*) FROM wraps) || (SELECT count(*) FROM ezk_versions)"
ok "with the other's key" says "whole011"
ok "and doctor finds nothing" "$cmek" doctor --project demo
ok "the process's handles end, though the lease would last" refusals
ok "and it is said why" grep -qE "zone $zone was deleted for good|\(zone $zone\) of project 'demo' awaits deletion" driver.err
trace() { # FILE: whether any byte string of the record is in it
    python3 - "$home/backup.db" "$zone" "$1" <<'PYTHON'
import sqlite3, sys
store, zone = sqlite3.connect(sys.argv[1]), int(sys.argv[2])
rows = [*store.execute("SELECT mac, fingerprint FROM ezk_versions WHERE zone = ?", (zone,)), *store.execute("SELECT substr(blob, 42) FROM wraps WHERE zone = ?", (zone,)),
        *store.execute("SELECT substr(wrapped, 21) FROM token_keys WHERE zone = ?", (zone,))]
with open(sys.argv[3], "rb") as file:
    data = file.read()
sys.exit(not any(part[at:at + 16] in data for row in rows for part in row for at in range(len(part) - 15)))
PYTHON
}
ok "the copy has the record" trace "$home/backup.db"
refused "the store has not a byte of it" trace "$store"
refused "nor had the file ever" trace tenant.sealed
opens_not() {
    ok "the root key is alive, by which the other's file opens" "$cmek" decrypt other.sealed new --force
    ok "$1: the tool does not open the tenant's" status_is 3 "$cmek" decrypt tenant.sealed never
    ok "and says what there is to do" says "tenant.sealed: its key (zone $zone, key version 1) is only in the store of project demo, and is not there; restore the store from a backup: if it was erased, the file opens no more"
    refused "nor does another store" elsewhere decrypt tenant.sealed never
    refused "nor rescue.py, with the store" by_rescue --store "$store" tenant.sealed never
    ok "which says why" says "lacks the key of zone $zone, version 1: if it was erased, the envelope opens no more"
    ok "nothing was written" test ! -e never
}
opens_not erased
# Removed only from zones: the key is still there
cp "$store" "$home/erased.db"
cp "$home/backup.db" "$store"
python3 - "$store" "$zone" <<'PYTHON'
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
with store:
    store.execute("DELETE FROM token_keys")
    store.execute("DELETE FROM zones WHERE zone = ?", (int(sys.argv[2]),))
PYTHON
ok "of a database that was removed only from zones" by_rescue --store "$store" tenant.sealed left
ok "rescue.py finds the key" cmp text left
"$cmek" doctor --project demo >"$work/doctor.out" 2>&1
ok "and doctor tells of it" grep -q "keys of 1 databases that are not in zones are left" "$work/doctor.out"
page "sql leftovers" >"$work/erase.sql"
ok "the page's recipe for that ends it" by_hand
ok "so that rescue.py" status_is 1 by_rescue --store "$store" tenant.sealed never
ok "finds no key" says "lacks the key of zone $zone, version 1"
refused "nor is a byte of it left" trace "$store"
ok "and doctor is content" "$cmek" doctor --project demo
refused "with nothing to tell" says "not in zones"
cp "$home/erased.db" "$store"
# Rows that just went, with no tombstone.
python3 - "$store" "$zone" <<'PYTHON'
import sqlite3, sys
store = sqlite3.connect(sys.argv[1])
with store:
    store.execute("DELETE FROM tombstones WHERE number = ?", (int(sys.argv[2]),))
    store.execute("UPDATE store SET revision = revision + 1")
PYTHON
opens_not "without a tombstone"

# The record itself, taken out of a copy: where it must not be, the module takes it from nobody
python3 - "$root" "$home/backup.db" "$zone" tenant.sealed other.sealed <<'PYTHON'
import struct, sys, types, zlib
sys.path.insert(0, sys.argv[1] + "/tools")
import rescue
record = rescue.stored_record(types.SimpleNamespace(zone=int(sys.argv[3]), project="?"), 1, sys.argv[2])
bare = record[:96] + struct.pack(">H", struct.unpack_from(">H", record, 96)[0] - 3) + record[98:112] + record[115:]
bare = bare[:6] + struct.pack(">H", len(bare)) + bare[8:]
def forged(name, changed, flag):
    with open(sys.argv[4], "rb") as file:
        data = bytearray(file.read())
    size = struct.unpack_from(">I", data, 12)[0]
    slot = bytes(data[128:138]) + struct.pack(">H", len(changed)) + bytes(data[140:236]) + changed
    grown = (len(slot) + 4 + 63) // 64 * 64 if len(slot) + 4 > size else size
    slot = slot.ljust(grown - 4, b"\0")
    payload = data[128 + 2 * size:]
    data[7] = flag
    if not flag & 2:
        data[120:128] = bytes(8)
    data[8:16] = struct.pack(">II", 128 + 2 * grown, grown)
    with open(name, "wb") as file:
        file.write(bytes(data[:128]) + slot + zlib.crc32(b"\0" + slot).to_bytes(4, "big") + bytes(grown) + payload)
forged("with_record.sealed", record, 2)
forged("as_embedding.sealed", record, 0)
forged("bare_record.sealed", bare, 0)
forged("bare_flagged.sealed", bare, 2)
for name, data in ("record", record), ("bare", bare):
    with open(name, "wb") as file:
        file.write(data)
PYTHON
for name in with_record as_embedding bare_record bare_flagged; do
    ok "an envelope into which the record was put does not open ($name)" status_is 7 "$cmek" decrypt $name.sealed never
    refused "nor by rescue.py" by_rescue --store "$home/backup.db" $name.sealed never
done
offered() { # FILE TOKEN: how C_UnwrapKey takes it
    python3 - "$1" "$2" <<'PYTHON'
import os, sys, PyKCS11
from PyKCS11 import LowLevel as low
library = PyKCS11.PyKCS11Lib()
library.load(os.environ["CMEK_PKCS11_MODULE"])
session = library.openSession(library.getSlotList(tokenPresent=True)[0], low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)
root = session.findObjects([(low.CKA_CLASS, low.CKO_SECRET_KEY), (0x80434D02, b"local")])[0]
with open(sys.argv[1], "rb") as file:
    record = file.read()
try:
    session.unwrapKey(root, record, [(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES), (low.CKA_EXTRACTABLE, low.CK_FALSE),
                                     (low.CKA_TOKEN, sys.argv[2] == "token"), (low.CKA_LABEL, "back")], PyKCS11.Mechanism(0x80434D01, None))
except PyKCS11.PyKCS11Error as error:
    print(error)
    sys.exit(3)
PYTHON
}
export CMEK_PKCS11_CONF=$home/fresh.conf
for place in session token; do
    ok "the module takes the record from nobody, for a $place" status_is 3 offered record $place
    ok "as it is for its store alone" says "is for its store alone"
    ok "nor without the limit that says so" status_is 3 offered bare $place
    ok "as it is not what was written" says "is not this key; the record was changed"
done
export CMEK_PKCS11_CONF=$home/cmek.conf

# The store is back
cp "$home/backup.db" "$store"
ok "with the copy of the store it opens" "$cmek" decrypt tenant.sealed back
ok "as it was" cmp text back
ok "and by rescue.py" by_rescue --store "$store" tenant.sealed back.rescued
ok "as it was" cmp text back.rescued

# Whoever can write the store switches nothing
switch() { # SQL over the limits
    python3 - "$store" "$zone" "$1" <<'PYTHON'
import sqlite3, sys
store, zone = sqlite3.connect(sys.argv[1]), int(sys.argv[2])
with store:
    store.execute(f"UPDATE ezk_versions SET limits = {sys.argv[3]} WHERE zone = ?", (zone,))
    store.execute("UPDATE store SET revision = revision + 1")
    store.execute("UPDATE zones SET revision = (SELECT revision FROM store) WHERE zone = ?", (zone,))
PYTHON
}
ok "the limit is taken out of the store" switch "CAST(substr(limits, 1, length(limits) - 3) AS BLOB)"
ok "then the database is called one that embeds" json 'it["embed"] is True' database show --project demo main/tenant
ok "but nothing is encrypted for it" status_is 7 "$cmek" encrypt --project demo --database main/tenant text never
ok "nor decrypted" status_is 7 "$cmek" decrypt tenant.sealed never
ok "and nothing was written" test ! -e never
ok "put back" switch "CAST(limits || X'060000' AS BLOB)"
ok "it opens" "$cmek" decrypt --force tenant.sealed back

# Deleted by the rules: refused at once, restored by them
printf '[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n[zones]\nembed_ezk = false\n' "$home" "$home" >"$home/cmek.conf"
ok "what the configuration says holds for new databases" "$cmek" database create --project demo main/third
ok "without an option" json 'it["embed"] is False' database show --project demo main/third
ok "and not for those that are there" json 'it["embed"] is True' database show --project demo main/other
finish
