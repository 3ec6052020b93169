#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# kill -9 in the middle of each write of each command that writes, one after the other: after it the old state is there
# or the new one, doctor is content, and the command can be given again.
[ -n "${TMPDIR:-}" ] || [ ! -w /dev/shm ] || export TMPDIR=/dev/shm # hundreds of stores are made and killed
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
killer=$build/tests/module/libkill_at.so

start=$work/start # the state that every round begins with
new_project demo
ok "a cluster" "$cmek" cluster create --project demo prod --key root --region us-west-2
ok "a database" "$cmek" database create --project demo prod/orders
head -c 200000 /dev/urandom >"$work/plain"
ok "a file" "$cmek" encrypt --project demo --database prod/orders "$work/plain" "$work/sealed"
mv "$home" "$start"

begin() { # a copy of it, and of the files, in $home
    rm -rf "$home"
    cp -r "$start" "$home"
    mkdir "$home/files"
    cp "$work/plain" "$work/sealed" "$home/files/"
    cd "$home/files" || exit 1
}
begin_empty() {
    begin
    rm "$home"/store.db* "$home"/local.keys*
}
begin_disabled() { begin && "$cmek" key disable --project demo root >/dev/null; }
begin_archived() { # another project has taken the slot, as a test tool does it
    begin && pkcs11-tool --module "$module" --init-token --token-label demo --label after --so-pin "" >/dev/null 2>&1 &&
        "$cmek" project show after >/dev/null && ! "$cmek" project show demo >/dev/null 2>&1
}
none_left() { # NAME...: only these are among the files
    find . -mindepth 1 -printf '%P\n' | sort | diff <(printf '%s\n' plain sealed "$@" | sort -u) -
}
works() { "$cmek" decrypt sealed again && cmp plain again && rm again; }
healthy() { "$cmek" doctor >/dev/null || [ $? -eq 3 ]; } # 3: a project is not set up yet

made() { # PROJECT KEY: one that was made in the KMS and not registered is taken up
    "$cmek" key add --project "$1" "local:$2" >/dev/null || "$cmek" key create --project "$1" "local:$2" >/dev/null
}

# What must hold after a kill, for each command: $1 is empty the first time, "done" when the command was not interrupted.
after_project() {
    healthy && works || return 1
    "$cmek" project show new >/dev/null 2>&1 || "$cmek" project create new >/dev/null
}
after_key() {
    healthy && works || return 1
    "$cmek" key show --project demo second >/dev/null 2>&1 || made demo second || return 1
    "$cmek" cluster create --project demo c --key second --region r >/dev/null && "$cmek" database create --project demo c/d >/dev/null
}
after_cluster() {
    healthy && works || return 1
    "$cmek" cluster show --project demo test >/dev/null 2>&1 || "$cmek" cluster create --project demo test --key root --region r >/dev/null || return 1
    "$cmek" database create --project demo test/d >/dev/null
}
after_database() {
    healthy && works || return 1
    "$cmek" database show --project demo prod/new >/dev/null 2>&1 || "$cmek" database create --project demo prod/new >/dev/null || return 1
    "$cmek" encrypt --project demo --database prod/new plain new && "$cmek" decrypt new again && cmp plain again
}
after_databases() { # all of them, or none; and then they are made
    healthy && works || return 1
    case $("$cmek" database list --project demo | grep -c 'prod/many-') in
        3) ;;
        0) "$cmek" database create --project demo prod/many-1 prod/many-2 prod/many-3 >/dev/null || return 1 ;;
        *) echo "some of them are there, and some are not"; return 1 ;;
    esac
    "$cmek" encrypt --project demo --database prod/many-3 plain new && "$cmek" decrypt new again && cmp plain again
}
after_rotate() { # to the old version or the new, and what either wrote opens
    healthy && works || return 1
    "$cmek" encrypt --project demo --database prod/orders plain new && "$cmek" decrypt new again && cmp plain again && rm again || return 1
    "$cmek" database rotate --project demo prod/orders >/dev/null && works && "$cmek" decrypt new again && cmp plain again
}
begin_rotated() { begin && "$cmek" database rotate --project demo prod/orders >/dev/null; }
after_fence() { # taken back, all is as before
    healthy && "$cmek" database set --project demo --min-version 1 --raw-version 1 prod/orders >/dev/null && works
}
after_switch() { # on or off, and on again
    "$cmek" key enable --project demo root >/dev/null && healthy && works
}
after_restore() { # the archive is there whole, or the project is
    "$cmek" project show demo >/dev/null 2>&1 || "$cmek" project restore after >/dev/null || return 1
    "$cmek" project show after >/dev/null && works
}
after_encrypt() {
    if [ -e new ]; then none_left new && "$cmek" decrypt new again && cmp plain again; else none_left; fi
}
begin_replaced() { begin && echo old >there; }
after_replace() { # the old contents or the new ones, and at most the new ones under another name
    local left
    left=$(find . -name '.cmek-*')
    [ -z "$left" ] || { [ "$(wc -l <<<"$left")" -eq 1 ] && "$cmek" decrypt "$left" again && cmp plain again && rm "$left" again; } || return 1
    none_left there && { [ "$(cat there)" = old ] || { "$cmek" decrypt there again && cmp again plain; }; } 2>/dev/null
}
after_decrypt() {
    if [ -e new ]; then none_left new && cmp plain new; else none_left; fi
}
after_first() {
    "$cmek" project show first >/dev/null 2>&1 || "$cmek" project create first >/dev/null || return 1
    "$cmek" key create --project first local:one >/dev/null && healthy
}
after_first_key() {
    { "$cmek" key show --project first one >/dev/null 2>&1 || made first one; } && healthy
}

prepare_moves() { # a root key to go to; and the same when they have gone. One database: a second has the same writes once more
    begin && "$cmek" key create --project demo local:second >/dev/null && cp -r "$home" "$work/second" && "$cmek" database rewrap --project demo --key second prod/ >/dev/null && cp -r "$home" "$work/moved"
}
begin_second() { rm -rf "$home" && cp -r "$work/second" "$home" && cd "$home/files" || return; }
begin_moved() { rm -rf "$home" && cp -r "$work/moved" "$home" && cd "$home/files" || return; }
after_rewrap() { # the same command goes on (with the rest of several: e2e/rewrap_stopped.py); then nothing needs the old root key
    works && "$cmek" database rewrap --project demo --key second prod/ >/dev/null &&
        "$cmek" database rewrap --project demo --key second --prove prod/ >/dev/null && "$cmek" key disable --project demo root >/dev/null &&
        [ "$("$cmek" doctor | grep -c '^zone .*: ok$')" -eq 1 ]
}
after_backup() { # the file is there whole, or not at all
    if [ -e new ]; then none_left new && "$cmek" backup verify new; else none_left; fi
}
begin_lost() { begin && "$cmek" backup --project demo backup >/dev/null && rm "$home"/store.db*; }
after_restored() { # all of the project is there, or nothing of it; then it comes once more
    { [ ! -s "$home/store.db" ] || healthy || ! "$cmek" project show demo >/dev/null 2>&1; } &&
        "$cmek" restore backup >/dev/null && healthy && works
}
begin_older() { # the store is one of before the last database
    begin && "$cmek" database create --project demo prod/late >/dev/null && "$cmek" backup --project demo backup >/dev/null &&
        rm "$home"/store.db* && cp "$start"/store.db "$home"
}
after_older() {
    healthy && works && "$cmek" restore backup >/dev/null && "$cmek" database show --project demo prod/late >/dev/null && healthy
}
prepare_kept() { # a token key under a version that is not the newest any more, and a backup
    begin && pkcs11_key prod/orders && "$cmek" database rotate --project demo prod/orders >/dev/null &&
        "$cmek" backup --project demo backup >/dev/null && cp -r "$home" "$work/kept"
}
begin_kept() { rm -rf "$home" && cp -r "$work/kept" "$home" && cd "$home/files" || return 1; }
after_kept() { # under the one version or the other, and then under the newest
    healthy && works && "$cmek" database rewrap --project demo --token-keys prod/orders >/dev/null &&
        "$cmek" database set --project demo --raw-version 2 --min-version 2 prod/orders >/dev/null && healthy
}
after_copy() { # the copy is there whole, or not at all; the original stays
    healthy && works || return 1
    "$cmek" project show copy >/dev/null 2>&1 || "$cmek" restore --as copy backup >/dev/null || return 1
    "$cmek" decrypt --project copy sealed again && cmp plain again && rm again &&
        "$cmek" encrypt --project copy --database prod/orders plain new && "$cmek" decrypt new again && cmp plain again &&
        [ "$(rows)" = "2 2 5 5" ] && healthy
}
prepare_due() { # a database that is due, with a token key; what it encrypted is beside it
    begin && printf '[kms]\ndeletion_window_days = 0\n' >>"$home/cmek.conf" && "$cmek" database create --project demo --no-embed prod/due >/dev/null &&
        "$cmek" encrypt --project demo --database prod/due plain due >/dev/null && pkcs11_key prod/due && "$cmek" database delete --project demo prod/due >/dev/null &&
        cp -r "$home" "$work/due"
}
begin_due() { rm -rf "$home" && cp -r "$work/due" "$home" && cd "$home/files" || return 1; }
pkcs11_key() { # a token key in a database
    python3 - "$root/tests" "$1" <<'PYTHON'
import sys
sys.path.insert(0, sys.argv[1])
import p11
module = p11.Module().start("demo")
module.generate(TOKEN=True, LABEL="kept", ENCRYPT=True, EXTRACTABLE=True, ZONE=module.get(module.find(TOKEN=True, LABEL=sys.argv[2]), "ZONE"))
PYTHON
}
rows() {
    sqlite3 -separator ' ' "$home/store.db" 'SELECT (SELECT count(*) FROM zones), (SELECT count(*) FROM token_keys),
        (SELECT count(*) FROM ezk_versions), (SELECT count(*) FROM wraps)'
}
after_end() { # all of it is there, or nothing; and the work can be taken up
    healthy && works && ! "$cmek" decrypt due again 2>/dev/null || return 1
    case $(rows) in "2 1 2 2" | "1 0 1 1") ;; *) echo "rows: $(rows)"; return 1 ;; esac
    "$cmek" maintain --now >/dev/null && [ "$(rows)" = "1 0 1 1" ] && healthy && works
}
after_deletion() { # it can be brought back, or it was never gone
    "$cmek" database undelete --project demo prod/orders >/dev/null 2>&1 || "$cmek" database show --project demo prod/orders >/dev/null || return 1
    healthy && works
}

sweep() { # BEGIN AFTER COMMAND...; with $STRIDE, only at every so many places
    local before=$1 check=$2 stride=${STRIDE:-1} at status
    shift 2
    for ((at = 1; at < 2000; at += stride)); do
        $before || return 1
        status=0
        KILL_AT=$at LD_PRELOAD=$killer "$@" >"$work/said" 2>&1 || status=$?
        $check >"$work/checked" 2>&1 ||
            { echo "after a kill in write $at (status $status):"; cat "$work/said" "$work/checked"; return 1; }
        [ $status -ne 0 ] || break
        [ $status -eq 137 ] || { echo "write $at: status $status"; cat "$work/said"; return 1; }
    done
    echo "killed at $(((at - 1) / stride)) places"
    [ "$at" -gt 3 ]
}
with_project() { begin_empty && "$cmek" project create first >/dev/null; }

ok "the very first project" sweep begin_empty after_first "$cmek" project create first
ok "the very first root key" sweep with_project after_first_key "$cmek" key create --project first local:one
ok "a project" sweep begin after_project "$cmek" project create new
ok "a root key" sweep begin after_key "$cmek" key create --project demo local:second
ok "a cluster" sweep begin after_cluster "$cmek" cluster create --project demo test --key root --region r
ok "a database" sweep begin after_database "$cmek" database create --project demo prod/new
ok "three databases at once" sweep begin after_databases "$cmek" database create --project demo prod/many-1 prod/many-2 prod/many-3
ok "a database that is rotated" sweep begin after_rotate "$cmek" database rotate --project demo prod/orders
ok "a database whose old version is fenced off" sweep begin_rotated after_fence "$cmek" database set --project demo --raw-version 2 --min-version 2 prod/orders
ok "a root key that is disabled" sweep begin after_switch "$cmek" key disable --project demo root
ok "a root key that is enabled" sweep begin_disabled after_switch "$cmek" key enable --project demo root
ok "what goes to another root key" prepare_moves
ok "a cluster that goes to another root key" sweep begin_second after_rewrap "$cmek" database rewrap --project demo --key second prod/
ok "and is opened there for the first time" sweep begin_moved after_rewrap "$cmek" doctor
if command -v pkcs11-tool >/dev/null; then
    ok "a project that is restored" sweep begin_archived after_restore "$cmek" project restore after
else
    skip "a project that is restored" "pkcs11-tool, which takes its slot first, is not here"
fi
ok "a database that is deleted" sweep begin after_deletion "$cmek" database delete --project demo prod/orders
ok "a database that is due" prepare_due
ok "a database that is erased" sweep begin_due after_end "$cmek" database erase --project demo --yes-erase prod/due prod/due
# It writes what the erasure wrote, where each place has been tried.
STRIDE=5 ok "what is due and goes for good" sweep begin_due after_end "$cmek" maintain --now
ok "a file that is encrypted" sweep begin after_encrypt "$cmek" encrypt --project demo --database prod/orders plain new
ok "a file that is encrypted over another" sweep begin_replaced after_replace "$cmek" encrypt --force --project demo --database prod/orders plain -o there
ok "a file that is decrypted" sweep begin after_decrypt "$cmek" decrypt sealed new
ok "a backup" sweep begin after_backup "$cmek" backup --project demo new
ok "a restore into no store" sweep begin_lost after_restored "$cmek" restore backup
ok "a restore into an older store" sweep begin_older after_older "$cmek" restore backup
ok "a stored key under an old version" prepare_kept
ok "a stored key that is wrapped anew" sweep begin_kept after_kept "$cmek" database rewrap --project demo --token-keys prod/orders
ok "a restore under another name" sweep begin_kept after_copy "$cmek" restore --as copy backup
finish
