#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Files that several users have to do with: what root does to a service's store leaves it the service's; what is replaced keeps
# whose it is and who may read it; locks shut nobody out who may use what they guard; a kill -9 leaves no copies behind.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
if [ "$(id -u)" -ne 0 ]; then
    skip "files stay whose they are" "it takes root to be two users"
    finish
fi
killer=$build/tests/module/libkill_at.so
service=3000 group=3001
as() { setpriv --reuid "$1" --regid "$2" --clear-groups "${@:3}"; }
as_service() { as $service $group "$@"; }
as_nobody() { as 65534 65534 "$@"; }
chmod a+x "$work"
if ! as_service test -x "$cmek" -a -r "$module"; then
    skip "files stay whose they are" "the build is not readable by another user"
    finish
fi

exits() { # CODE COMMAND...
    local code=$1 status=0
    shift
    "$@" || status=$?
    [ $status -eq "$code" ] || { echo "exit code $status, not $code"; return 1; }
}
service_home() { # a folder of the service's, with nothing in it
    new_home
    chown $service:$group "$home" && chmod 755 "$home"
    data=$home/data
    mkdir "$data" && chown $service:$group "$data"
    printf '[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n' "$data" "$data" >"$home/cmek.conf"
}
all_its() { # everything in the folder is the service's, and nobody else's to read
    [ -z "$(find "$data" ! \( -user $service -group $group \) -print -o -perm /077 -type f -print)" ] || { ls -la "$data"; return 1; }
}
are_there() { local name; for name; do [ -e "$data/$name" ] || { echo "no $name"; return 1; }; done; }

# --- What is there already
service_home
begin() {
    as_service "$cmek" project create demo && as_service "$cmek" key create --project demo local:root --label root &&
        as_service "$cmek" cluster create --project demo prod --key root --region us-west-2 &&
        as_service "$cmek" database create --project demo prod/orders
}
ok "a service makes a project" begin
echo "what the file says" >"$home/plain"
seals() { as_service "$cmek" encrypt --project demo --database prod/orders "$home/plain" - >"$home/sealed"; }
opens() { as_service "$cmek" decrypt "$home/sealed" - | cmp - "$home/plain"; }
works() { seals && opens && as_service "$cmek" database create --project demo "prod/$RANDOM$RANDOM" && all_its; }
ok "and uses it" works
for command in "project list" "key create --project demo local:second" "key disable --project demo second" "key enable --project demo second" \
    "database create --project demo prod/of-root" "doctor"; do
    # shellcheck disable=SC2086 # words
    ok "root's '$command' works" "$cmek" $command
    ok "and leaves the service its files" works
done
no_locks() { rm -f "$data"/*.lock && "$cmek" project list && "$cmek" key disable --project demo second && are_there store.db.lock local.keys.lock; }
ok "locks that root's commands make" no_locks
ok "are the service's" works
cut_off() { # in the middle of root's transaction: its journal is for the service to roll back
    local at
    for ((at = 1; at < 60; at++)); do
        KILL_AT=$at LD_PRELOAD=$killer "$cmek" database create --project demo "prod/cut-$at" >/dev/null 2>&1
        works >/dev/null || { echo "after a kill in write $at"; ls -la "$data"; return 1; }
    done
}
ok "wherever root is killed while it writes, the service goes on" cut_off
writable_by_others() { # a folder that the service shares with others is no matter, as long as root's own things are not in it
    chmod 1777 "$data" && "$cmek" key enable --project demo second && works && chmod 700 "$data"
}
ok "also where others may write" writable_by_others

# --- What root makes first
service_home
printf '[log]\nto = %s/log\nlevel = info\naudit = %s/audit.jsonl\n' "$data" "$data" >>"$home/cmek.conf"
ok "root lists the projects of a store that is not there yet" "$cmek" project list
ok "makes the first project" "$cmek" project create demo
ok "its first key" "$cmek" key create --project demo local:root --label root
ok "and a cluster with a database" sh -c "'$cmek' cluster create --project demo prod --key root --region us-west-2 && '$cmek' database create --project demo prod/orders"
ok "store, keys, locks and logs are there" are_there store.db store.db.lock local.keys local.keys.lock log audit.jsonl
echo "what the file says" >"$home/plain"
ok "and are the folder's owner's" works
deeper() { # with folders that root makes on the way
    sed -i "s|$data/|$data/deep/er/|" "$home/cmek.conf" && "$cmek" project create demo && begin_rest && works
}
begin_rest() {
    as_service "$cmek" key create --project demo local:root --label root && as_service "$cmek" cluster create --project demo prod --key root --region us-west-2 &&
        as_service "$cmek" database create --project demo prod/orders
}
ok "so are the folders that root makes in it" deeper

# --- Locks
service_home
ok "another project of the service" begin
echo "what the file says" >"$home/plain"
ok "in use" works
shut() { chown root:root "$data/store.db.lock" && chmod 600 "$data/store.db.lock"; }
ok "a lock that somebody has made root's" shut
ok "keeps the service from reading" exits 6 as_service "$cmek" project list
ok "and the message says so, and what to do" says "its lock $data/store.db.lock can't be taken: Permission denied; give it the owner, group and mode of $data/store.db"
ok "and from writing" exits 6 as_service "$cmek" database create --project demo prod/new
for kind in mkdir "mkfifo -m 600" "ln -s /dev/null"; do
    rm -rf "$data/store.db.lock" "$data/local.keys.lock"
    $kind "$data/store.db.lock"
    $kind "$data/local.keys.lock"
    ok "what '$kind' makes is no lock of a store" exits 6 as_service timeout 20 "$cmek" project list
    ok "and it is said" says "its lock $data/store.db.lock is not a file; remove it"
    rm -rf "$data/store.db.lock"
    refused "nor of root keys" as_service timeout 20 "$cmek" key disable --project demo root
    ok "and it is said too" says "its lock $data/local.keys.lock is not a file; remove it"
done
rm -rf "$data/local.keys.lock"
ok "without them all is well" works
ok "also where keys are changed" as_service "$cmek" key enable --project demo root
held() { # COMMAND...: while another process holds the lock of the root keys
    exec 9<>"$data/local.keys.lock" && flock 9 || return 1
    local status=0
    as_service timeout 60 "$cmek" "$@" 9>&- || status=$?
    exec 9>&-
    return $status
}
refused "a lock of root keys that is held is not waited for for ever" held key disable --project demo root
ok "and it is said which one" says "another process has held $data/local.keys.lock for 10 seconds; look which one ('fuser -v' on that file)"
ok "keys are used meanwhile" held decrypt "$home/sealed" "$home/again"

no_flock() { as_service env NO_FLOCK=1 LD_PRELOAD="$killer" "$cmek" "$@"; }
without_locks() { no_flock key disable --project demo root && no_flock key enable --project demo root && no_flock database create --project demo prod/unlocked && works; }
ok "a file system that can't lock needs no locks" without_locks

shared() {
    chmod 2770 "$data" && chmod 660 "$data/store.db" "$data/store.db.lock" && as 4000 $group "$cmek" project create of-another &&
        rm "$data/store.db.lock" && as 4000 $group "$cmek" project create once-more && as_service "$cmek" project create its-own &&
        as 4000 $group "$cmek" project show its-own && chmod 700 "$data" && chmod 600 "$data/store.db" && rm "$data/store.db.lock"
}
ok "users of one group share a store, whoever makes its lock" shared

# --- A link
moved() { mkdir "$data/disk" && chown $service:$group "$data/disk" && mv "$data/local.keys" "$data/store.db" "$data/disk/" &&
    ln -s disk/local.keys "$data/local.keys" && ln -s disk/store.db "$data/store.db" && chown -h $service:$group "$data/local.keys" "$data/store.db"; }
ok "store and keys lie behind links" moved
ok "root adds a key" "$cmek" key create --project demo local:third
ok "the links stay" test -L "$data/local.keys" -a -L "$data/store.db"
ok "and what they lead to is the service's" works
ok "a disk that is not there" mv "$data/disk" "$data/aside"
ok "is no empty store" exits 6 as_service "$cmek" project list
ok "but a link to nothing" says "it is a link, and what it leads to is not there"
refused "and nothing is made there" as_service "$cmek" project create new
ok "nor is the link replaced" test -L "$data/store.db"
ok "when it is back" mv "$data/aside" "$data/disk"
ok "all is well" works

# --- kill -9
service_home
ok "one more project" begin
echo "what the file says" >"$home/plain"
key_names() { find "$data" -name '.cmek-*'; }
killed_key() { # at each place, as root; the next who writes takes over what was left
    local at status
    for ((at = 1; at < 200; at++)); do
        status=0
        KILL_AT=$at LD_PRELOAD=$killer "$cmek" key disable --project demo root >/dev/null 2>&1 || status=$?
        [ "$(key_names | wc -l)" -le 1 ] || { key_names; return 1; }
        as_service "$cmek" key enable --project demo root >/dev/null || { echo "after a kill in write $at"; ls -la "$data"; return 1; }
        [ -z "$(key_names)" ] || [ ! -s "$(key_names)" ] || { echo "write $at left:"; ls -la "$data"; return 1; }
        [ $status -ne 0 ] || break
    done
    echo "killed at $((at - 1)) places"
    [ "$at" -gt 3 ] && "$cmek" key disable --project demo root >/dev/null && "$cmek" key enable --project demo root >/dev/null && [ -z "$(key_names)" ]
}
ok "no copy of root keys outlives the next change, wherever root is killed" killed_key
ok "and the service goes on" works
cd "$home" && mkdir files && cd files || exit 1
nameless_or_not() { # NO_TMPFILE or nothing: a file is replaced
    local at status
    for ((at = 1; at < 200; at++)); do
        status=0
        env KILL_AT=$at LD_PRELOAD="$killer" "$@" "$cmek" decrypt --force "$home/sealed" out >/dev/null 2>&1 || status=$?
        [ "$(find . -name '.cmek-*' | wc -l)" -le 1 ] || { ls -la; return 1; }
        "$cmek" decrypt --force "$home/sealed" out && cmp out "$home/plain" && [ "$(ls -A)" = out ] || { echo "after a kill in write $at"; ls -la; return 1; }
        [ $status -ne 0 ] || break
    done
    [ "$at" -gt 3 ]
}
echo old >out
ok "nor does a copy of a file that is decrypted over" nameless_or_not
ok "nor where no file is without a name" nameless_or_not NO_TMPFILE=1
cd "$work" || exit 1

# --- Outputs
mkdir "$work/shared" && chmod 777 "$work/shared" && cd "$work/shared" || exit 1
cp "$home/sealed" "$home/plain" .
chmod 644 sealed plain
sees() { stat -c '%u:%g %a' "$1"; }
replaced() { # OWNER:GROUP MODE EXPECTED USER...
    rm -f out && echo old >out && chown "$1" out && chmod "$2" out && "${@:4}" decrypt --force sealed out && cmp out plain || return 1
    [ "$(sees out)" = "$3" ] || { sees out; return 1; }
}
nobody_decrypts() { as_nobody env CMEK_PKCS11_CONF="$work/nobody.conf" "$cmek" "$@"; }
cp "$home/cmek.conf" "$work/nobody.conf"
mkdir "$work/nobody" && cp "$data/local.keys" "$data/store.db" "$work/nobody/" && chown -R 65534:65534 "$work/nobody"
sed -i "s|$data|$work/nobody|" "$work/nobody.conf"
ok "root leaves a file whose it was" replaced 3000:3001 640 "3000:3001 640" "$cmek"
ok "with all its permissions" replaced 3000:3001 604 "3000:3001 604" "$cmek"
ok "a file that another user replaces is that user's, and a group that can't be kept keeps no rights" replaced 0:3001 660 "65534:65534 600" nobody_decrypts
ok "but those of all others" replaced 0:3001 664 "65534:65534 644" nobody_decrypts
ok "unless it had fewer" replaced 0:3001 606 "65534:65534 600" nobody_decrypts
ok "one's own group is kept" replaced 0:65534 640 "65534:65534 640" nobody_decrypts
like() { rm -f new && chown "$1" sealed && chmod "$2" sealed && "$cmek" decrypt sealed new && [ "$(sees new)" = "$3" ] || { sees new; return 1; }; }
ok "nobody can read a new file who could not read the one it comes from" like 0:3001 640 "0:0 600"
ok "as it was for all, so it is" like 0:3001 644 "0:0 644"
mkdir "$work/everybodys" && chmod 1777 "$work/everybodys"
lies_in_wait() { # KIND, by which nobody waits in a folder like /tmp; what root says to it
    local out=$work/everybodys/out pipe=$work/everybodys/out listener
    rm -f "$out" "$out.kept"
    case $1 in
    pipe) as_nobody mkfifo -m 666 "$out" ;;
    file) as_nobody sh -c "umask 0; : >'$out'" ;;
    link) pipe=$out.pipe && as_nobody sh -c "mkfifo -m 666 '$pipe'; ln -s '$pipe' '$out'" ;;
    esac
    as_nobody timeout 60 cat "$out" >"$out.kept" &
    listener=$!
    exits 4 timeout 30 "$cmek" decrypt --force sealed "$out" || return 1
    timeout 30 sh -c ": >>'$pipe'" # whoever waits for a pipe's writer has had one, and ends
    wait $listener
    [ ! -s "$out.kept" ]
}
for kind in pipe file link; do
    ok "root does not write into a $kind that another user has put into a folder like /tmp" lies_in_wait $kind
    ok "and says why" says "$work/everybodys/out: is another user's, in a folder where everybody may put files"
done
ok "what is root's own there is replaced" sh -c "rm -f '$work/everybodys/out' && : >'$work/everybodys/out' && '$cmek' decrypt --force sealed '$work/everybodys/out'"
has_attributes() { python3 -c 'import os, sys; os.setxattr(sys.argv[1], "user.origin", b"here")' "$1"; }
rm -f out
echo old >out
if has_attributes out 2>/dev/null; then
    ok "a file with attributes" "$cmek" decrypt --force sealed out
    ok "keeps them" python3 -c 'import os; assert os.getxattr("out", "user.origin") == b"here"'
else
    skip "attributes stay" "there are none on this file system"
fi
finish
