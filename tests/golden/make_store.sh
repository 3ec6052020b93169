#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Makes the golden store of a level: make_store.sh LEVEL, once, when that level is first released. Every later release reads it and
# goes on writing it; tests/e2e/store_levels.py sees to it. (Level 1 is made anew as long as docs/format.md calls version 1 not yet
# frozen, whenever the tables change.)
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$root/tests/golden/store-$1
export CMEK_PKCS11_MODULE=$root/build/cmek-pkcs11.so
cmek=$root/build/cmek
mkdir -p "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n' "$work" "$work" >"$work/cmek.conf"
export CMEK_PKCS11_CONF=$work/cmek.conf
"$cmek" project create golden
"$cmek" key create --project golden local:golden --label root
"$cmek" cluster create --project golden prod --key root --region nowhere
"$cmek" database create --project golden prod/one
"$cmek" database create --project golden --max-lease 60 --max-stale 0 prod/two
"$cmek" database create --project golden prod/deleted
"$cmek" key create --project golden local:golden-second --label second
"$cmek" database create --project golden --both root,second prod/both
echo "what the file says" >"$work/plain"
"$cmek" encrypt --project golden --database prod/one "$work/plain" "$folder/one.cmek"
"$cmek" encrypt --project golden --database prod/deleted "$work/plain" "$folder/deleted.cmek"
"$cmek" encrypt --project golden --database prod/both "$work/plain" "$folder/both.cmek"
# A token key with what it encrypted, and a database that awaits deletion.
python3 - "$root/tests" "$folder/key.json" <<'PYTHON'
import json, sys
sys.path.insert(0, sys.argv[1])
import p11
module = p11.Module().start("golden")
zone = module.find(TOKEN=True, LABEL="prod/one")
key = module.generate(TOKEN=True, LABEL="kept", ENCRYPT=True, DECRYPT=True, EXTRACTABLE=True, ZONE=module.get(zone, "ZONE"))
with open(sys.argv[2], "w", encoding="utf-8") as file:
    json.dump({"text": "0123456789abcdef", "by_kept": module.encrypt(p11.gcm(), key).hex()}, file)
gone = module.generate(TOKEN=True, LABEL="gone", ENCRYPT=True, EXTRACTABLE=True, ZONE=module.get(zone, "ZONE"))
module.destroy(gone)  # a tombstone
module.destroy(module.find(TOKEN=True, LABEL="prod/deleted"))
PYTHON
gzip -9n <"$work/store.db" >"$folder/store.db.gz"
cp "$work/local.keys" "$folder/local.keys"
chmod 644 "$folder"/*
