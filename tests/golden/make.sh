#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Makes the golden files of a release: make.sh VERSION, once, when it is released. They open for ever; tests/e2e/golden.sh
# sees to it. A set is made with the tool of its time and is never made again
# (v1 is, as long as docs/format.md calls it not yet frozen).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
folder=$root/tests/golden/v$1
export CMEK_PKCS11_MODULE=$root/build/cmek-pkcs11.so
cmek=$root/build/cmek
mkdir "$folder"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
printf '[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n' "$work" "$work" >"$work/cmek.conf"
export CMEK_PKCS11_CONF=$work/cmek.conf

"$cmek" project create golden
"$cmek" key create --project golden local:golden --label root
"$cmek" cluster create --project golden prod --key root --region nowhere
"$cmek" database create --project golden prod/one
"$cmek" database create --project golden prod/two
"$cmek" database create --project golden --no-embed prod/kept
"$cmek" key create --project golden local:golden-second --label second
"$cmek" database create --project golden --both root,second prod/both
# With limits in its record, which only a program can ask for.
PATH=$root/build/venv/bin:$PATH python3 - <<'PYTHON'
import os, PyKCS11
from PyKCS11 import LowLevel as low
library = PyKCS11.PyKCS11Lib()
library.load(os.environ["CMEK_PKCS11_MODULE"])
session = library.openSession(library.getSlotList(tokenPresent=True)[0], low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)
session.generateKey([
    (low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES), (low.CKA_VALUE_LEN, 32), (low.CKA_TOKEN, low.CK_TRUE),
    (low.CKA_EXTRACTABLE, low.CK_FALSE), (low.CKA_WRAP, low.CK_TRUE), (low.CKA_UNWRAP, low.CK_TRUE), (low.CKA_LABEL, "prod/limited"),
    (low.CKA_ALLOWED_MECHANISMS, 0x80434D02.to_bytes(8, "little")),  # CKM_CMEK_DEK_WRAP
    (low.CKA_UNWRAP_TEMPLATE, [(low.CKA_SENSITIVE, low.CK_TRUE)]), (low.CKA_WRAP_TEMPLATE, [(low.CKA_VALUE_LEN, 32)]),
], PyKCS11.Mechanism(low.CKM_AES_KEY_GEN, None))
PYTHON

# name | zone | bound to | bytes | options
while IFS='|' read -r file database name bytes options; do
    # Text that anybody can make again; nothing depends on it, since the sums tell what is in the files.
    seq 100000 | head -c "$bytes" >"$work/plain" || true
    # shellcheck disable=SC2086 # words
    "$cmek" encrypt --project golden --database "$database" ${name:+--name "$name"} $options "$work/plain" "$folder/$file"
    printf '%s|%s|%s\n' "$(sha256sum <"$work/plain" | cut -d' ' -f1)" "$file" "$name" >>"$folder/sums"
done <<'LIST'
empty.cmek|prod/one||0
one.cmek|prod/one||1
small.cmek|prod/two||1000
limited.cmek|prod/limited||1000
chunk.cmek|prod/one||65536
chunks.cmek|prod/two||140000
named.cmek|prod/one|binlog/2024/01/insert-1.bin|500
utf8.cmek|prod/two|ordner/größe ✓|500
kept.cmek|prod/kept||1000
both.cmek|prod/both||1000
kept_named.cmek|prod/kept|tenant/7.bin|500
kept_message.cmek|prod/one||100|--message --collection 449302
message.cmek|prod/two|orders/3|500|--message --embed
LIST
cp "$work/local.keys" "$folder/local.keys"
# What prod/kept has encrypted, and a message without a record, open with this alone.
cp "$work/store.db" "$folder/store.db"
chmod 644 "$folder"/*
