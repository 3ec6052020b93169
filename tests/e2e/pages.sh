#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What the pages tell people to type is typed: the lines below each heading as they stand, in a fresh home, after the scene that the
# heading speaks of. Names that stand for the reader's own (P, C/D, FILE) are put in. A heading with lines to type that is neither here
# nor run elsewhere fails. That the rest of a page names nothing that is not there: tests/checks/pages.py.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
PATH=$build:$PATH
export M=$module
: >"$work/run"
: >"$work/count"

page_text() { python3 "$root/tests/page_text.py" "$root/$1" "${@:2}"; }

fresh() { # a home, and a folder to type in
    new_home
    # What was typed before lies in another folder, with its own store.
    here=$(mktemp -d "$work/here.XXXXXXXX")
    cd "$here" || exit
    echo "card 4111-0000" >FILE
    mkdir DIR
    cp FILE DIR/one
    cp FILE DIR/two
}

hierarchy() { # PROJECT CLUSTER DATABASE...: the project's root key is named root
    local project=$1 cluster=$2 name
    cmek project create "$project" && cmek key create --project "$project" "local:$project-root" --label root &&
        cmek cluster create --project "$project" "$cluster" --key root --region local || return
    for name in "${@:3}"; do cmek database create --project "$project" "$cluster/$name" || return; done
}

more_keys() { # PROJECT LABEL...: further root keys of the embedded KMS
    local label
    for label in "${@:2}"; do cmek key create --project "$1" "local:$1-$label" --label "$label" || return; done
}

typed() { # PAGE HEADING SED...: its lines, after what is put in
    local page=$1 heading=$2 edits=() edit
    for edit in "${@:3}"; do edits+=(-e "$edit"); done
    page_text "$page" "$heading" | sed "${edits[@]}" -e 's/ && /\n/g' >"$work/lines" # the shell's -e sees no failure before &&
    [ -s "$work/lines" ] && timeout 300 bash -eux -o pipefail "$work/lines"
}

scene() { # PAGE HEADING SETUP SED...
    local page=$1 heading=$2 setup=$3
    echo "$page: $heading" >>"$work/run"
    page_text "$page" | grep -F " $heading" | head -n 1 | cut -d ' ' -f 1 >>"$work/count"
    fresh
    ok "$page, $heading: the scene" "$setup" || return
    ok "$page, $heading: what is to be typed" typed "$page" "$heading" "${@:4}"
}

elsewhere() { # PAGE HEADING REASON: who runs these lines, or why nobody can
    echo "$1: $2" >>"$work/run"
    local count
    count=$(page_text "$1" | grep -F " $2" | head -n 1 | cut -d ' ' -f 1)
    echo "# $1, $2: $3 ($count)"
}

nothing() { :; }

# --- README and others that stand by themselves

elsewhere README.md "cmek-pkcs11" "tests/e2e/demo.sh"
elsewhere README.md "First steps" "tests/e2e/first_steps.sh"
elsewhere README.md "From other programs" "tests/e2e/first_steps.sh"
elsewhere CONTRIBUTING.md "Run the tests" "they run this"
elsewhere docs/release.md "For packagers" "tests/sweeps/archive.sh"
elsewhere docs/release.md "For programs that use the module" "tests/e2e/install.sh"
elsewhere docs/fips.md "What it needs" "tools/trixie.sh, which has the provider"
elsewhere docs/store-dynamodb.md "Setting it up" "for the AWS CLI; what it makes is what tests/e2e/store_dynamodb.py has made"
all_elsewhere() { # PAGE REASON
    local heading
    page_text "$1" | cut -d ' ' -f 2- >"$work/headings"
    while read -r heading; do elsewhere "$1" "$heading" "$2"; done <"$work/headings"
}
all_elsewhere docs/library.md "tests/bindings/page.sh"
all_elsewhere docs/consumers.md "tests/consumers/page.sh"

# --- docs/lifecycle.md, on the embedded KMS

sealed() { # PROJECT DATABASE FILE...: into FILE.cmek, or in place of those of DIR
    cmek encrypt --project "$1" --database "$2" FILE FILE.new && mv FILE.new FILE && cmek migrate --project "$1" --database "$2" --in-place DIR
}
compromised() {
    hierarchy P C D NEW E && more_keys P OLD FIRST && cmek project create elsewhere && cmek key create --project elsewhere local:KEY &&
        cmek database rewrap --project P --key OLD --all && cmek database rewrap --project P --key OLD --all --prove && sealed P C/D
}
scene docs/lifecycle.md "A root key is compromised" compromised '/^cmek policy/d' 's|\bKEY\b|local:KEY|' 's|C/D .*|C/D|'
ok "of which nothing stands on the old key, and the file opens" sh -c 'cmek key show --project P OLD --json >shown && grep -q "\"databases\": \[\]" shown && cmek decrypt FILE out && grep -q 4111 out'

by_mistake() { hierarchy P C D && sealed P C/D; }
scene docs/lifecycle.md "A key was disabled or deleted by mistake" by_mistake

lost() {
    hierarchy P C D && sealed P C/D && cmek backup --project P P.backup && rm "$home/store.db" "$home/store.db.lock"
}
scene docs/lifecycle.md "The store is lost, or damaged" lost '/RESCUE/d'
not_in_the_copy() { hierarchy P C D && sealed P C/D && rm "$home/store.db" "$home/store.db.lock"; }
scene docs/lifecycle.md "The store is lost, or damaged" not_in_the_copy '/P.backup/d; /^cmek doctor/d' 's|\bKEY\b|local:P-root|'

scene docs/lifecycle.md "A host is lost" by_mistake

leaving() { hierarchy P C D && cmek migrate --project P --database C/D --remove DIR && mv FILE plain && cmek encrypt --project P --database C/D --name OBJECT plain FILE; }
scene docs/lifecycle.md "You are leaving us" leaving "s|^rescue.py|rm OUT; python3 $root/tools/rescue.py --local-keys \$(dirname \$CMEK_PKCS11_CONF)/local.keys|"

payments() { hierarchy payments prod orders; }
scene docs/lifecycle.md "Rotation" payments
scene docs/lifecycle.md "On a schedule" payments
three_versions() { payments && cmek database rotate --project payments prod/orders && cmek database rotate --project payments prod/orders; }
scene docs/lifecycle.md "The raw version" three_versions
fence() { three_versions && cmek database set --project payments --raw-version 3 prod/orders; }
scene docs/lifecycle.md "The fence" fence
scene docs/lifecycle.md "Token keys" three_versions
another() { hierarchy P C D && cmek project create elsewhere && cmek key create --project elsewhere local:new; }
scene docs/lifecycle.md "Another root key" another 's|alias/new|local:new|'
two() { hierarchy P C D && more_keys P break-glass; }
scene docs/lifecycle.md "Two root keys" two
owners() { cmek project create P && more_keys P ours theirs third && cmek cluster create --project P C --key ours --region local && cmek database create --project P C/E; }
scene docs/lifecycle.md "Two owners" owners '2,3s|C/D|C/E|'
trees() { by_mistake && cmek database rotate --project P --all && mkdir data && cp DIR/* data; }
scene docs/lifecycle.md "Files" trees 's|/data|data|g'
plain() { hierarchy P C D && mkdir data && cp DIR/* data; }
scene docs/lifecycle.md "Migration" plain 's|/data|data|g'

# --- Others

with_backups() { payments && cmek encrypt --project payments --database prod/orders FILE FILE.new && mv FILE.new FILE; }
scene docs/backup.md "Backup and restore" with_backups
a_copy() { with_backups && cmek backup --project payments payments.backup; }
scene docs/backup.md "Under another name" a_copy

scene docs/erasure.md "Why it is decided when the database is made" payments
tenant() { payments && cmek database create --project payments --no-embed prod/tenant-7; }
erased() { tenant && cd "$home" && page_sql docs/erasure.md >erase.sql; }
page_sql() { sed -n '/^```sql/,/^```/p' "$root/$1" | grep -v '^```'; }
scene docs/erasure.md "Erasing it" erased
copied() { tenant && cmek encrypt --project payments --database prod/tenant-7 FILE FILE.new && mv FILE.new FILE && cp "$home/store.db" copy.db; }
scene docs/erasure.md "When the store is lost" copied "s|^tools/rescue.py|python3 $root/tools/rescue.py --local-keys \$(dirname \$CMEK_PKCS11_CONF)/local.keys|"

message() { payments && echo row >insert.bin; }
scene docs/messages.md "By hand" message 's|message insert.bin|message again.bin|'
ok "and the message is what it was" cmp insert.bin again.bin

demo() { hierarchy demo prod orders && echo x >db.conf; }
if command -v pkcs11-tool >/dev/null; then
    scene docs/objects.md "Where a token key goes" demo
    scene docs/objects.md "Data and certificates" demo
else
    skip "docs/objects.md: the lines for pkcs11-tool" "pkcs11-tool is not here"
    elsewhere docs/objects.md "Where a token key goes" "not without pkcs11-tool"
    elsewhere docs/objects.md "Data and certificates" "not without pkcs11-tool"
fi
scene docs/objects.md "Which key to use" demo

pins() { echo 9876543210 >so.pin && echo 12345678 >user.pin && cmek project create elsewhere && cmek key create --project elsewhere local:KEY; }
scene docs/pin.md "With a PIN" pins 's|arn:aws:kms:\.\.\.|local:KEY|' 's|^CMEK_PIN=\.\.\.|CMEK_PIN=12345678|' 's|--login|--login --pin 12345678|'

moving() { payments && printf '[store]\npath = %s/new.db\n[local]\npath = %s/local.keys\n' "$home" "$home" >new.conf; }
scene docs/store.md "Moving to another store" moving
which_databases() { has_line '^prod/orders\|1$' sqlite3 "$home/new.db" "$(page_sql docs/store.md | sed "s|= 'arn.*'|LIKE 'arn:%'|")"; }
if command -v sqlite3 >/dev/null; then ok "docs/store.md: the question in SQL" which_databases; else skip "docs/store.md: the question in SQL" "sqlite3 is not here"; fi

magic() { payments && cmek encrypt --project payments --database prod/orders FILE orders.db.cmek; }
if command -v file >/dev/null; then
    scene docs/format.md "Formats, version 1" magic "s|/usr/share/cmek-pkcs11/cmek.magic|$root/conf/cmek.magic|" "s|~/.magic|$work/magic|"
    ok "and it is told" says "cmek encrypted file"
else
    skip "docs/format.md: file(1)" "file is not here"
    elsewhere docs/format.md "Formats, version 1" "not without file"
fi

# --- Blocks of configuration, as the module reads them; and the program of docs/format-local-kms.md

takes() { # PAGE: each of its blocks for cmek.conf, by a module that starts with it and asks nobody yet
    python3 - "$root/$1" "$module" "$root/tests" <<'PY'
import ctypes, pathlib, sys
sys.path.insert(0, sys.argv[3])
from page_text import Page
page = Page(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1]).parent)
blocks = [text for language, _, text, _ in page.blocks if language == "ini" and text.startswith(("[store]", "[kms]", "[aws]"))]
module = ctypes.CDLL(sys.argv[2])
for text in blocks:
    pathlib.Path("block.conf").write_text(text + "\n")
    class Start(ctypes.Structure):
        _fields_ = [("calls", ctypes.c_void_p * 4), ("flags", ctypes.c_ulong), ("reserved", ctypes.c_char_p)]
    start = Start(flags=2, reserved=f"config={pathlib.Path('block.conf').resolve()}".encode())
    assert module.C_Initialize(ctypes.byref(start)) == 0, text
    assert module.C_Finalize(None) == 0
assert blocks
print(f"{len(blocks)} blocks")
PY
}
for page in docs/store.md docs/store-etcd.md docs/store-dynamodb.md docs/aws.md; do ok "$page: its configuration is taken" takes "$page"; done

opens_a_blob() { # what the embedded KMS has encrypted, without a line of ours
    hierarchy demo prod orders && python3 - "$root/docs/format-local-kms.md" "$home" <<'PY'
import pathlib, re, sqlite3, sys
page, home = pathlib.Path(sys.argv[1]).read_text(), sys.argv[2]
exec(re.search(r"```python\n(.*?)```", page, re.S)[1])
row = sqlite3.connect(f"{home}/store.db").execute("SELECT w.blob, v.zone, v.version, v.project, v.cluster FROM wraps w JOIN ezk_versions v USING (zone, version)").fetchone()
context = {"cmek:purpose": "ezk", "cmek:zone": str(row[1]), "cmek:version": str(row[2]), "cmek:project": row[3], "cmek:cluster": row[4],
           "cmek:max-lease": "86400", "cmek:max-stale": "86400"}
assert len(decrypt(f"{home}/local.keys", row[0], context)) == 32
PY
}
fresh
ok "docs/format-local-kms.md: its program opens what the embedded KMS has encrypted" opens_a_blob

# --- With AWS, simulated

profile() {
    printf '[profile dev]\nregion = us-west-2\naws_access_key_id = %s\naws_secret_access_key = %s\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY" >config
    cmek project create demo
}
if [ -z "$(python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import moto_server; print(moto_server.missing_modules() or "")' "$root/tests/e2e")" ]; then
    ok "a simulated KMS" start_moto --region us-west-2 --keys 2 || finish
    as_dev="s|AWS_PROFILE=dev|env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY AWS_CONFIG_FILE=config AWS_PROFILE=dev|"
    scene docs/aws.md "Set-ups" profile '/^aws /d' "s|alias/dev-root|$CMEK_TEST_KMS_ALIAS|" "$as_dev"
    policies() { cmek project create P && cmek key add --project P "$CMEK_TEST_KMS_KEY" --label root && cmek cluster create --project P C --key root --region us-west-2 && cmek database create --project P C/D; }
    fresh
    ok "docs/lifecycle.md, A root key is compromised: its policy, in AWS" policies
    ok "is printed" typed docs/lifecycle.md "A root key is compromised" '/^cmek policy/!d'
    stop_moto
else
    skip "docs/aws.md: what is to be typed" "moto is not here"
    elsewhere docs/aws.md "Set-ups" "not without moto"
fi

# --- With etcd

rights() {
    local port peer
    read -r port peer < <(python3 -c 'import socket
probes = [socket.socket() for _ in range(2)]
for probe in probes: probe.bind(("127.0.0.1", 0))
print(*(probe.getsockname()[1] for probe in probes))')
    etcd --data-dir etcd --listen-client-urls "http://127.0.0.1:$port" --advertise-client-urls "http://127.0.0.1:$port" \
        --listen-peer-urls "http://127.0.0.1:$peer" --unsafe-no-fsync --logger zap --log-level error 2>etcd.log &
    etcd_pid=$!
    trap 'kill "$etcd_pid" 2>/dev/null; clean_up' EXIT
    export ETCDCTL_API=3 ETCDCTL_ENDPOINTS=http://127.0.0.1:$port
    # It asks for passwords at a terminal.
    printf '#!/bin/sh\ncase "$1 $2" in "user add") echo secret | %s "$@" --interactive=false; exit;; esac\nexec %s "$@"\n' \
        "$(command -v etcdctl)" "$(command -v etcdctl)" >etcdctl && chmod +x etcdctl
    local tries=0
    until command etcdctl endpoint health >/dev/null 2>&1; do tries=$((tries + 1)); [ $tries -lt 300 ] || return; sleep 0.1; done
}
if command -v etcd >/dev/null && command -v etcdctl >/dev/null; then
    scene docs/store-etcd.md "Rights" rights '1i PATH=$PWD:$PATH'
    echo secret >password
    printf '[store]\nbackend = etcd\nendpoint = %s\nuser = cmek\npassword_file = %s/password\n[local]\npath = %s/local.keys\n' \
        "$ETCDCTL_ENDPOINTS" "$here" "$home" >"$home/cmek.conf"
    ok "and that user's host makes a store there" payments
    already() { export ETCDCTL_USER=root:secret; }
    scene docs/store-etcd.md "Backups, and erasing" already
    kill "$etcd_pid"
    wait "$etcd_pid" 2>/dev/null
else
    skip "docs/store-etcd.md: what is to be typed" "etcd is not here"
    elsewhere docs/store-etcd.md "Rights" "not without etcd"
    elsewhere docs/store-etcd.md "Backups, and erasing" "not without etcd"
fi

# --- All of them

each_heading() {
    local page heading
    for page in README.md CONTRIBUTING.md SECURITY.md docs/*.md examples/queue/README.md; do
        page_text "$page" | cut -d ' ' -f 2- | while read -r heading; do echo "$page: $heading"; done
    done | sort >"$work/all"
    sort -u "$work/run" | comm -3 "$work/all" - >"$work/differ" && [ -s "$work/all" ] && silent cat "$work/differ"
}
cd "$root" || exit
ok "each heading with lines to type has a scene, or is run elsewhere" each_heading
echo "# $(awk '{ sum += $1 } END { print sum }' "$work/count") lines of cmek typed here"
finish
