#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Options and settings that no other script types, each as a person would type it (tests/checks/typed.py says which are left).
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
PATH=$build:$PATH
cd "$work" || exit 1

holds() { # EXPRESSION over it, COMMAND...
    "${@:2}" | python3 -c "import json, sys; it = json.load(sys.stdin); sys.exit(not ($1))"
}
prints() { # WORDS COMMAND...
    local words=$1
    shift
    "$@" >out 2>&1 || { cat out; return 1; }
    grep -qF -- "$words" out || { cat out; return 1; }
}

fails() { # CODE WORDS COMMAND...: with this exit code, and these words
    local code=$1 words=$2 status=0
    shift 2
    "$@" >out 2>&1 || status=$?
    [ $status -eq "$code" ] && grep -qF -- "$words" out || { cat out; echo "exit code $status"; return 1; }
}

new_project demo
{
    cmek key create --project demo local:second --label second && cmek key create --project demo local:spare --label spare &&
        cmek cluster create main --key root --region local && cmek cluster create other --key root --region local &&
        cmek database create main/orders && cmek database create main/users
} >out || exit 1

# --- Root keys

ok "key show --offline asks nobody" holds '"state" not in it and it["label"] == "root"' cmek key show --offline --json root
ok "key remove --dry-run says what it would do" prints "would be taken away" cmek key remove --dry-run spare
ok "and does not" holds 'len(it) == 3' cmek key list --json
ok "a key is removed" cmek key remove spare
ok "key list --deleted shows it" prints spare cmek key list --deleted
id=$(cmek key list --deleted --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["id"])')
refused "key restore --id takes no other" cmek key restore --id 0000 spare
ok "key restore --id --label brings it back under another name" cmek key restore --id "$id" --label third spare
ok "which it has" holds '"third" in [key["label"] for key in it]' cmek key list --json
ok "doctor --kms tries one that is not registered" fails 5 "key (local:unknown): FAILED: " cmek doctor --kms local:unknown

# --- Clusters

ok "cluster delete --dry-run says what it would do" prints "would be taken away" cmek cluster delete --dry-run other
ok "and does not" holds 'len(it) == 2' cmek cluster list --json
ok "a cluster is deleted" cmek cluster delete other
ok "cluster list --deleted shows it" prints other cmek cluster list --deleted
id=$(cmek cluster list --deleted --json | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["id"])')
ok "cluster undelete --id --label brings it back under another name" cmek cluster undelete --id "$id" --label another other
ok "which it has" holds '"another" in [cluster["cluster"] for cluster in it]' cmek cluster list --json

# --- Databases

ok "database rotate --dry-run says what it would do" prints "would be rotated" cmek database rotate --dry-run main/orders
ok "and does not" holds 'it["version"] == 1' cmek database show main/orders --json
ok "--older-than leaves the young" prints "no database to rotate" cmek database rotate --all --older-than 1
ok "unless that is 0 days" cmek database rotate --all --older-than 0
ok "as is seen" holds '{d["version"] for d in it} == {2}' cmek database list --json
before=$(cmek database show main/orders --json)
ok "database rewrap --dry-run says what it would do" prints "2 databases to rewrap" cmek database rewrap --key second --all --dry-run
ok "and does not" test "$(cmek database show main/orders --json)" = "$before"
ok "database rewrap --rate goes slowly" cmek database rewrap --key second --all --rate 100
refused "and does it" test "$(cmek database show main/orders --json)" = "$before"
refused "and no faster than there are numbers for" cmek database rewrap --key second --all --rate many
ok "database retire --dry-run says what it would do" prints "would not open any more" cmek database retire --version 1 --dry-run main/users
ok "and does not" holds '{v["state"] for v in it["versions"]} == {"active"}' cmek database show main/users --json
cmek database set --min-version 2 --raw-version 2 main/users >out || exit 1
ok "a version is retired" cmek database retire --version 1 main/users
ok "database erase --version takes it alone" cmek database erase --version 1 --yes-erase main/users main/users
ok "and leaves the other" holds 'it["version"] == 2' cmek database show main/users --json
ok "database set --force fences all the same" cmek database set --min-version 2 --raw-version 2 --force main/orders
ok "as is seen" holds 'it["min_version"] == 2' cmek database show main/orders --json
ok "and takes it back" cmek database set --min-version 1 main/orders
cmek database create main/gone >out && cmek database delete main/gone >out && cmek database create main/gone >out && cmek database delete main/gone >out || exit 1
mapfile -t ids < <(cmek database list --deleted --json | python3 -c 'import json, sys; [print(d["id"]) for d in json.load(sys.stdin)]')
ok "two of a name await deletion" test ${#ids[@]} -eq 2
mapfile -t zones < <(cmek database list --deleted --json | python3 -c 'import json, sys; [print(d["zone"]) for d in json.load(sys.stdin)]')
refused "so that undelete needs to know which" cmek database undelete main/gone
ok "database undelete --id brings that one back" cmek database undelete --id "${zones[0]}" main/gone
ok "which is here" holds "it['zone'] == '${zones[0]}'" cmek database show main/gone --json
ok "database erase --id takes the other" cmek database erase --id "${zones[1]}" --yes-erase main/gone main/gone
ok "and leaves the first" holds "it['zone'] == '${zones[0]}'" cmek database show main/gone --json

# --- Files

mkdir plain && for name in a b c; do echo "$name" >"plain/$name"; done
printf 'plain/a\nplain/b\n' >names
ok "encrypt --files-from reads names, --quiet says nothing" test -z "$(cmek encrypt --database main/orders --files-from names -o sealed --quiet)"
ok "of each" test -s sealed/a.cmek -a -s sealed/b.cmek -a ! -e sealed/c.cmek
printf 'plain/c\0' >names
ok "encrypt --null takes names that end in NUL" cmek encrypt --database main/orders --null --files-from names --output sealed
from_standard_input() { printf 'sealed/a.cmek\0sealed/b.cmek\0' | cmek decrypt -0 -o back; }
ok "decrypt -0 reads them from standard input" from_standard_input
ok "as they were" diff plain/a back/a
printf 'sealed/c.cmek\n' >names
ok "decrypt --files-from --jobs reads names, two at once" cmek decrypt --files-from names --jobs 2 -o back
ok "as they were" diff -r plain back
with_null() { printf 'sealed/a.cmek\0' | cmek decrypt --null --files-from - -o again; }
ok "decrypt --null --files-from - too" with_null
mkdir named && cp sealed/a.cmek named/a.secret
ok "decrypt --suffix knows envelopes by another end" cmek decrypt --suffix .secret named/a.secret
ok "and takes it off" diff plain/a named/a
cp -r plain tree
ok "migrate --dry-run lists what it would do" prints tree/a cmek migrate --database main/orders --dry-run tree
ok "and does not" diff -r plain tree
ok "scan --plain lists what is not encrypted" prints tree/b cmek scan --plain tree
cmek migrate --database main/orders --remove tree >out || exit 1
ok "export --dry-run lists what it would do" prints tree/a.cmek cmek export --dry-run tree
ok "and does not" test ! -e tree/a -a -e tree/a.cmek
ok "rewrap --output writes elsewhere" cmek rewrap --to main/gone --project demo --output moved.cmek sealed/a.cmek
ok "for the other database" holds "it['zone'] == '${zones[0]}'" cmek inspect moved.cmek --json

# --- The store

ok "store downgrade --dry-run of the lowest level says that there is none below" prints "is at level 1, the lowest" cmek store downgrade --dry-run
ok "store copy --from FILE copies another configuration's store" cmek store copy --from "$CMEK_PKCS11_CONF" --to "sqlite:$work/copied.db" --dry-run
ok "and left this one as it was" cmek project list
ok "store copy --undo has nothing to take back, and says so" prints "none.db has begun" cmek store copy --to "sqlite:$work/none.db" --undo
ok "policy --max-stale is about a cloud" fails 3 "no root key whose KMS has policies" cmek policy --role reader --max-stale 60

# --- What all commands take

ok "--help tells of a command" prints "usage: cmek encrypt" cmek encrypt --help
ok "--version is the release" test "$(cmek --version)" = "cmek $(sed -nE "s/^ *version: '(.*)',/\1/p" "$root/meson.build")"
echo 12345678 >so
ok "--so-pin-file gives a new project its security officer's PIN" cmek project create --so-pin-file so guarded
refused "a wrong one makes no root key" sh -c 'echo 87654321 >wrong; cmek key create --project guarded --so-pin-file wrong local:guarded'
ok "the right one does" cmek key create --project guarded --so-pin-file so local:guarded

# --- Settings

configure() { # LINES: beside the store that is here
    printf '[store]\npath = %s/store.db\n[local]\npath = %s/local.keys\n%b' "$home" "$home" "$1" >"$home/set.conf"
    export CMEK_PKCS11_CONF=$home/set.conf
}
configure "[cli]\nproject = demo\ndatabase = main/orders\n"
echo x >one
ok "[cli] project and database are what a command lacks" holds 'it["database"] == "main/orders" and it["project"] == "demo"' cmek encrypt --json one
configure "[zones]\nmax_lease_seconds = 600\nmax_stale_seconds = 60\nrotate_days = 90\n"
ok "[zones] bounds and rotate_days are those of a new database" cmek database create --project demo main/bounded
ok "for good" holds '(it["max_lease"], it["max_stale"], it["rotate_days"]) == (600, 60, 90)' cmek database show --project demo main/bounded --json
configure "[kms]\nzone_lease_seconds = 5\nmax_stale_seconds = 0\nlease_seconds = 60\n"
ok "[kms] leases are taken" cmek decrypt --force one.cmek two
configure "[kms]\nlease_seconds = 60\nzone_lease_seconds = soon\n"
refused "one that is no number is refused" cmek project list
ok "by its line" says "zone_lease_seconds"
new_home
printf '[kms]\ndefault_root_key = local:%s\n[zones]\ndefault = prod/all\n' first >>"$CMEK_PKCS11_CONF"
ok "[kms] default_root_key is taken" cmek project create fresh
cmek key create --project fresh local:first >out && cmek cluster create --project fresh prod --key first --region local >out || exit 1
by_default() { # a data key on the token, which names no database
    python3 - "$module" <<'PYTHON'
import sys
import PyKCS11
library = PyKCS11.PyKCS11Lib()
library.load(sys.argv[1])
slot = library.getSlotList(tokenPresent=True)[0]
session = library.openSession(slot, PyKCS11.CKF_SERIAL_SESSION | PyKCS11.CKF_RW_SESSION)
session.generateKey([(PyKCS11.CKA_CLASS, PyKCS11.CKO_SECRET_KEY), (PyKCS11.CKA_TOKEN, True), (PyKCS11.CKA_VALUE_LEN, 32),
                     (PyKCS11.CKA_LABEL, "mine"), (PyKCS11.CKA_EXTRACTABLE, True), (PyKCS11.CKA_SENSITIVE, True)],
                    mecha=PyKCS11.MechanismAESGENERATEKEY)
PYTHON
}
if python3 -c 'import PyKCS11' 2>/dev/null; then
    refused "[zones] default that is not there takes no keys" by_default
    for name in other all; do cmek database create --project fresh prod/$name >out || exit 1; done
    ok "[zones] default is where its keys go" by_default
    ok "and not elsewhere" holds '{d["database"]: d["rewrapped"] + d["there"] for d in it} == {"prod/all": 1, "prod/other": 0}' \
        cmek database rewrap --project fresh --token-keys --all --json
else
    skip "[zones] default is where its keys go" "PyKCS11 is not here; 'make deps' puts it into build/venv"
fi
printf '[store]\nbackend = etcd\nendpoint = http://127.0.0.1:1\nprefix = /none/\nlook_every = 5\nindex_max = 100\n' >"$home/etcd.conf"
refused "[store] look_every and index_max are taken, and nobody answers" env CMEK_PKCS11_CONF="$home/etcd.conf" cmek project list
ok "as is said" says 127.0.0.1:1
finish
