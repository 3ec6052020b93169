#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Commands that change files of the user's are killed in each write of theirs, half of it being written: each file opens, to what it
# was; run again, they go on, and nothing is left over.
[ -n "${TMPDIR:-}" ] || [ ! -w /dev/shm ] || export TMPDIR=/dev/shm # each write is synced
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
killer=$build/tests/module/libkill_at.so
new_project demo
cd "$home" || exit 1
"$cmek" cluster create --project demo prod --key root --region r >/dev/null
"$cmek" database create --project demo prod/orders >/dev/null
"$cmek" database create --project demo prod/bills >/dev/null
seq 5000 >plain
"$cmek" encrypt --project demo --database prod/orders plain sealed
cp sealed old && python3 "$root/tests/older_envelope.py" old
cp sealed full && python3 "$root/tests/older_envelope.py" full 18446744073709551615

rescued() { python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" "$1" "$work/rescued" && cmp plain "$work/rescued"; }
opens() { "$cmek" decrypt --force "$1" back && cmp plain back && rescued "$1"; }
no_leftover() { silent find . -name '.cmek-*'; }

sweep() { # BEGIN AFTER AGAIN COMMAND...: AFTER holds after each kill, AGAIN once the command was run again
    local before=$1 check=$2 again=$3 at status
    shift 3
    for ((at = 1; at < 500; at++)); do
        $before || return 1
        status=0
        KILL_AT=$at LD_PRELOAD=$killer "$@" >"$work/said" 2>&1 || status=$?
        $check >"$work/checked" 2>&1 || { echo "after a kill in write $at (status $status):"; cat "$work/said" "$work/checked"; return 1; }
        [ $status -eq 137 ] || [ $status -eq 0 ] || { echo "write $at: status $status"; cat "$work/said"; return 1; }
        { "$@" && $again; } >"$work/checked" 2>&1 || { echo "run again after a kill in write $at:"; cat "$work/checked"; return 1; }
        [ $status -ne 0 ] || break
    done
    echo "killed at $((at - 1)) places"
    [ "$at" -gt 2 ]
}

old() { cp old file; }
full() { cp full file; }
fresh() { cp sealed file; }
file_opens() { opens file; }
is_done() { opens file && no_leftover && has_line '"old_root_key": 0' "$cmek" scan --json file; }
is_wiped() { is_done && has_line '"old_slots": 0' "$cmek" scan --json file; }
is_bills() { is_done && "$cmek" decrypt --force --database prod/bills file back; }

# A tree that is migrated and exported: each file's data is there, in clear or as an envelope that opens, at any time.
tree() { # [AS IT IS MADE]
    rm -rf tree && mkdir -p tree/sub && cp plain tree/one && cp plain tree/sub/two && touch -d 2020-01-01 tree/one
    [ $# -eq 0 ] || "$cmek" migrate --project demo --database prod/orders "$@" tree >/dev/null
}
tree_beside() { tree --remove; }
tree_in_place() { tree --in-place; }
is_plain() { cmp plain "$1"; }
is_sealed() { "$cmek" decrypt --force "$1" back && cmp plain back; }
all_there() {
    for file in one sub/two; do
        is_plain "tree/$file" || is_sealed "tree/$file" || is_sealed "tree/$file.cmek" || { echo "$file is lost"; return 1; }
    done
}
only() { (cd tree && find . -type f -printf '%P\n' | sort) | diff <(printf '%s\n' "$@") -; }
aged() { [ "$(stat -c %Y "$1")" = "$(date -d 2020-01-01 +%s)" ]; }
sealed_beside() { only one.cmek sub/two.cmek && rescued tree/one.cmek && is_sealed tree/sub/two.cmek && aged tree/one.cmek; }
sealed_in_place() { only one sub/two && rescued tree/one && is_sealed tree/sub/two && aged tree/one; }
plain_again() { only one sub/two && is_plain tree/one && is_plain tree/sub/two && aged tree/one; }

ok "a rewrap" sweep old file_opens is_done "$cmek" rewrap file
ok "a rewrap that wipes the older wrap" sweep old file_opens is_wiped "$cmek" rewrap --wipe-old file
ok "a file that is written anew, since its header has no room" sweep full file_opens is_done "$cmek" rewrap --rewrite file
ok "a file that goes to another database" sweep fresh file_opens is_bills "$cmek" rewrap --project demo --to prod/bills file
ok "a tree that is migrated, and its plain files removed" sweep tree all_there sealed_beside \
    "$cmek" migrate --project demo --database prod/orders --remove tree
ok "a tree that is migrated in place" sweep tree all_there sealed_in_place \
    "$cmek" migrate --project demo --database prod/orders --in-place tree
ok "a tree that is exported, and its envelopes removed" sweep tree_beside all_there plain_again "$cmek" export --remove tree
ok "a tree that is exported in place" sweep tree_in_place all_there plain_again "$cmek" export --in-place tree

is_version() { has_line "\"version\": $1" "$cmek" inspect --json file; }
cp sealed file
ok "the database's key is rotated" "$cmek" database rotate --project demo prod/orders
ok "a file from before opens" file_opens
ok "by its older version" is_version 1
ok "it is rewrapped" "$cmek" rewrap file
ok "to the new one" is_version 2
ok "and opens" file_opens
ok "the older wrap is wiped" "$cmek" rewrap --wipe-old file
ok "and it opens" is_wiped
ok "a rewrap after a rotation, once more" sweep fresh file_opens is_wiped "$cmek" rewrap --wipe-old file
finish
