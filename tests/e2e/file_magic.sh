#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What file(1) says of everything we write, by conf/cmek.magic; the files are made here.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if ! command -v file >/dev/null; then
    skip "file(1) knows what cmek writes" "file is not here"
    finish
fi
new_project acme
"$cmek" cluster create --project acme prod --key root --region local >/dev/null
"$cmek" database create --project acme prod/orders >"$work/database"
"$cmek" database create --project acme --no-embed prod/kept >/dev/null
zone=$(sed -n 's/^zone  *//p' "$work/database")
cd "$home" || exit 1
echo "card 4111-0000" >plain
magic=$root/conf/cmek.magic
told() { # FILE TEXT
    local said
    said=$(file --brief --magic-file "$magic" "$1")
    [[ $said == "$2"* ]] || { echo "$1: $said"; return 1; }
}
refuses_nothing() { local out; out=$(file --magic-file "$magic" --checking-printout 2>&1) && ! grep -i warning <<<"$(grep -v 'using regular magic file' <<<"$out")"; }
ok "it finds no fault with the file" refuses_nothing

"$cmek" encrypt --database prod/orders plain -o file.cmek >/dev/null
ok "an encrypted file, and its zone" told file.cmek "cmek encrypted file, zone $zone, chunks of 2^16 bytes"
"$cmek" encrypt --database prod/orders --name there plain -o named.cmek >/dev/null
ok "one that is bound to a name" told named.cmek "cmek encrypted file, zone $zone, chunks of 2^16 bytes, bound to a name"
"$cmek" encrypt --database prod/kept plain -o kept.cmek >/dev/null
kept() { has_line 'its key is kept in the store' file --brief --magic-file "$magic" kept.cmek; }
ok "one whose key is in the store alone" kept
"$cmek" encrypt --database prod/orders --message --collection 7 --embed plain message.cmek >/dev/null
ok "a message: its version, collection and size" told message.cmek "cmek encrypted message, zone $zone version 1, collection 7, 15 bytes, with its key's record"
printf 'CMEK\002' >later
ok "what a later release wrote" told later "cmek envelope of a later release, format 2"
made=$(date +%Y)
"$cmek" backup --project acme all.backup >backup.out
ok "a backup: its project" told all.backup "cmek backup of project $(sed -n 's/^project_id  *//p' backup.out), made "
ok "and its date" has_line "($made|$((made + 1)))\$" file --brief --magic-file "$magic" all.backup
ok "a store" told store.db "cmek store (SQLite 3), for readers of level 1"
sqlite3 other.db 'create table t (a)' 2>/dev/null || python3 -c 'import sqlite3; sqlite3.connect("other.db").execute("create table t (a)")'
is_no_cmek() { # FILE: file(1) says something of it, and that is something else
    file --brief --magic-file "$magic" "$1" >brief && test -s brief && ! grep cmek brief
}
ok "not another program's SQLite" is_no_cmek other.db
ok "nor plain text" is_no_cmek plain

# The keys in them, as the store and the formats have them.
cut_out() { dd if="$1" bs=1 skip="$2" status=none; }
cut_out file.cmek 140 >wrapped
ok "a wrapped data key" told wrapped "cmek wrapped data key, zone $zone version 1"
cut_out file.cmek 236 >record
ok "the record of a database's key" told record "cmek record of a database's key, zone $zone version 1"
{ printf 'CEZS\001\000\000\001' && cat record; } >records
ok "several of them" told records "cmek records of a database's key, 1 versions"
cut_out file.cmek "$(grep -abo CLKB file.cmek | head -n 1 | cut -d: -f1)" >blob
ok "what the embedded KMS encrypted" told blob "cmek ciphertext of the embedded KMS"

# Beside what the system knows, as the file's first lines say.
mkdir here && cp "$magic" here/.magic
both() { HOME=$home/here file --brief file.cmek plain | tr '\n' '|'; }
ok "beside the system's own" has_line '^cmek encrypted file.*\|ASCII text\|$' both
finish
