#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The whole hierarchy on real files, and the life of its keys: demo.sh [local|moto]. It works in a temporary folder with its own store and
# configuration, says in a sentence what each step does, stops at the first surprise, and takes everything away again.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
kms=${1:-local}
case $kms in
local) ;;
moto) # again, as the child of a simulated AWS KMS whose address and key are in the environment
    [ -n "${CMEK_TEST_KMS_KEY:-}" ] ||
        exec "$root/build/venv/bin/python" "$root/tests/e2e/moto_server.py" --keys 2 -- "$0" moto
    ;;
*) echo "usage: demo.sh [local|moto]" >&2 && exit 2 ;;
esac

export CMEK_BUILD=${CMEK_BUILD:-$root/build}
build=$CMEK_BUILD
PATH=$build:$PATH
export CMEK_PKCS11_MODULE=$build/cmek-pkcs11.so
export LC_ALL=C.UTF-8
# On a machine with several Pythons: the one that has rescue.py's packages.
python=$root/build/venv/bin/python
[ "$kms" = moto ] || python=$(command -v /usr/bin/python3 || command -v python3)

work=$(mktemp -d "${TMPDIR:-/tmp}/cmek-demo.XXXXXXXX")
SECONDS=0
steps=0
finished=
trap at_exit EXIT

at_exit() {
    chmod -R u+rwX "$work"
    rm -rf "$work"
    [ -n "$finished" ] || echo "The demo stopped in step $steps: this should not have happened." >&2
}

step() {
    steps=$((steps + 1))
    printf '\n%s. %s\n' "$steps" "$1"
}

show() { # a command as a person would type it, then what it prints
    local words=${*//"$work"\//}
    printf '   $ %s\n' "${words//"$root"\//}"
    "$@" 2>&1 | indent
}

indent() { sed -e "s|$work/||g" -e "s|$root/||g" -e 's/^/     /'; }

# pkcs11-tool tries to read each key's value; that this is refused needs no line each.
show_tool() {
    printf '   $ pkcs11-tool … %s\n' "${*//"$work"\//}"
    pkcs11-tool --module "$CMEK_PKCS11_MODULE" --token-label demo "$@" 2>&1 |
        sed -e '/C_GetAttributeValue(VALUE) failed: rv = CKR_ATTRIBUTE_SENSITIVE/,/^$/d' | indent
}

show_refused() { # the same for one that has to fail
    local status=0
    printf '   $ %s\n' "${*//"$work"\//}"
    "$@" >"$work/refusal" 2>&1 || status=$?
    indent <"$work/refusal"
    [ $status -ne 0 ] || { echo "   This was not refused." >&2; return 1; }
    echo "     (exit code $status)"
}

configure() { # FOLDER: a store and a configuration of its own; the embedded KMS stays where it is
    mkdir -p "$1"
    printf '[store]\npath = %s/store.db\n\n[local]\npath = %s/local.keys\n' "$1" "$work/kms" >"$1/cmek.conf"
    [ -z "${CMEK_TEST_FIPS:-}" ] || printf '\n[crypto]\nfips = true\n' >>"$1/cmek.conf"
    export CMEK_PKCS11_CONF=$1/cmek.conf
}

each_file() { (cd "$work/plain" && find . -type f | sort | sed 's|^\./||'); }

in_all_files() { # COMMAND...: once for each file, its name as the last argument
    local name
    each_file >"$work/names"
    while read -r name; do "$@" "$name"; done <"$work/names"
}

make_database() {
    sqlite3 "$work/plain/orders.db" <<'SQL'
PRAGMA journal_mode = off;
CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT, card TEXT, amount REAL);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400000)
INSERT INTO orders
SELECT i, printf('customer-%06d', i % 5000), printf('4111-0000-%08d', i), (i * 37 % 100000) / 100.0 FROM n;
CREATE INDEX by_customer ON orders (customer);
SQL
}

make_files() {
    local i
    mkdir -p "$work/plain/binlog" "$work/plain/notes"
    make_database >/dev/null
    for i in 1 2 3 4; do head -c 67108864 /dev/urandom >"$work/plain/binlog/insert-$i.bin"; done
    for i in $(seq 50); do
        sqlite3 "$work/plain/orders.db" "SELECT * FROM orders WHERE id % 8000 = $i" >"$work/plain/notes/$i.txt"
    done
    : >"$work/plain/empty"
}

encrypt_one() {
    mkdir -p "$(dirname "$work/encrypted/$1")"
    cmek encrypt --project demo --database prod/orders --name "$1" "$work/plain/$1" "$work/encrypted/$1"
}

decrypt_one() { # FOLDER NAME
    mkdir -p "$(dirname "$work/$1/$2")"
    cmek decrypt --database prod/orders --name "$2" "$work/encrypted/$2" "$work/$1/$2"
}

zone_two_opens() { # NAME
    ! cmek decrypt --database prod/invoices --name "$1" "$work/encrypted/$1" "$work/wrong" 2>>"$work/refusals" ||
        { echo "   $1 opened in the wrong zone." >&2; return 1; }
    [ ! -e "$work/wrong" ]
}

sums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum); }

same_as_plain() {
    sums "$work/plain" >"$work/sums"
    [ -s "$work/sums" ]
    sums "$1" | diff "$work/sums" -
    echo "   All $(each_file | wc -l) files are the same, by SHA-256."
}

has_plain_words() { grep -rlaE 'customer-00|4111-0000' "$1" | wc -l; }

rescue() { # IN OUT NAME, without our code and without the store
    if [ "$kms" = local ]; then
        show "$python" "$root/tools/rescue.py" --local-keys "$work/kms/local.keys" --name "$3" "$1" "$2"
    else
        show "$python" "$root/tools/rescue.py" --name "$3" "$1" "$2"
    fi
}

if [ "$kms" = local ]; then
    key=local:company-root second=local:next-root add=create region=us-west-2 where='the embedded one, made now'
else
    read -r key second <<<"$CMEK_TEST_KMS_KEYS"
    add=add region=$AWS_REGION where='a simulated AWS KMS, over HTTP'
    export AWS_DEFAULT_REGION=$region
fi

mkdir -p "$work/plain" "$work/encrypted" "$work/opened" "$work/kms"
configure "$work/home"

step "A project, which programs see as a PKCS #11 token."
show cmek project create demo

step "Its root key in the KMS ($where), which it never leaves."
show cmek key "$add" --project demo "$key" --label root

step "A cluster with two databases. Each is an encryption zone with a key of its own (EZK)."
show cmek cluster create --project demo prod --key root --region "$region" --provider "${kms/moto/aws}"
show cmek database create --project demo prod/orders
show cmek database create --project demo prod/invoices
show cmek tree --project demo

step "Files as they are in real life: a SQLite database, large binary files, many small ones."
make_files
show du -sh "$work/plain"
show sqlite3 "$work/plain/orders.db" 'SELECT * FROM orders WHERE id = 4711'

step "All of them are encrypted into zone prod/orders, each by a key of its own (DEK)."
in_all_files encrypt_one
echo "   $(each_file | wc -l) files done, $SECONDS s since the start."

step "What lies on the disk now: no customer and no card number, but who may open it."
show ls -l "$work/encrypted"
show cmek inspect "$work/encrypted/orders.db"
echo "   Files in which grep finds a customer or a card number: $(has_plain_words "$work/plain") of the plain ones," \
    "$(has_plain_words "$work/encrypted") of the encrypted ones."
[ "$(has_plain_words "$work/encrypted")" -eq 0 ]

step "They are decrypted again and compared."
in_all_files decrypt_one opened
same_as_plain "$work/opened"
show sqlite3 "$work/opened/orders.db" 'PRAGMA integrity_check'

step "The key of the other zone, prod/invoices, opens none of them."
show_refused cmek decrypt --database prod/invoices --name orders.db "$work/encrypted/orders.db" "$work/wrong"
in_all_files zone_two_opens
echo "   The same for all $(each_file | wc -l) files; no output file was left behind."

step "A file that is given another name than it was encrypted for does not open either."
show_refused cmek decrypt --name notes/1.txt "$work/encrypted/notes/2.txt" "$work/wrong"

step "The store is lost. A fresh project that has the root key opens a file: it carries its encrypted EZK."
mv "$work/home" "$work/lost"
configure "$work/fresh"
show cmek project create recovered
show cmek key add --project recovered "$key" --label root
show cmek decrypt --name orders.db "$work/encrypted/orders.db" "$work/recovered.db"
cmp "$work/plain/orders.db" "$work/recovered.db"
echo "   It is the same file."

step "So does a Python program that shares no code with us, with the right to use the KMS key alone."
rescue "$work/encrypted/notes/1.txt" "$work/rescued.txt" notes/1.txt
cmp "$work/plain/notes/1.txt" "$work/rescued.txt"
echo "   It is the same file."
mv "$work/lost" "$work/home"
export CMEK_PKCS11_CONF=$work/home/cmek.conf

step "The customer disables the root key: nothing can be read any more."
if [ "$kms" = local ]; then
    show cmek key disable --project demo root
    show_refused cmek decrypt --name empty "$work/encrypted/empty" "$work/wrong"
    [ ! -e "$work/wrong" ]

    step "The customer enables it again, and reading works."
    show cmek key enable --project demo root
    show cmek decrypt --name notes/7.txt "$work/encrypted/notes/7.txt" "$work/again.txt"
    cmp "$work/plain/notes/7.txt" "$work/again.txt"
    echo "   It is the same file."
else
    echo "   Left out here: the simulated KMS goes on decrypting by a disabled key, so it would show nothing."
    echo "   'make demo' shows it on the embedded KMS."
fi

step "Stock programs see the same keys: OpenSC's pkcs11-tool (--module $CMEK_PKCS11_MODULE --token-label demo)."
show_tool --list-objects --type secrkey

step "And p11-kit."
p11_kit=("$root/tools/with-p11-kit.sh" "$CMEK_PKCS11_MODULE" p11-kit)
"${p11_kit[@]}" list-modules | sed -n '/^ *\(module: \)*cmek-pkcs11/,/^ *serial/p' | sed 's/^/     /'
if [[ $(p11-kit --help 2>&1) == *list-objects* ]]; then
    show "${p11_kit[@]}" list-objects 'pkcs11:token=demo'
else
    echo "   (This release of p11-kit has no command that lists objects; 0.25 has.)"
fi

step "With pkcs11-tool alone: a zone, a key that leaves it only wrapped; the key is wrapped by the zone and unwrapped."
show_tool --keygen --key-type AES:32 --label default/default --id 0a01 --usage-decrypt --usage-wrap
show_tool --keygen --key-type AES:32 --label report-key --id 0b01 --sensitive --extractable
show_tool --wrap --mechanism AES-KEY-WRAP --id 0a01 --application-id 0b01 --output-file "$work/wrapped"
show_tool --unwrap --mechanism AES-KEY-WRAP --id 0a01 --input-file "$work/wrapped" --key-type AES: \
    --application-id 0b02 --application-label report-key-again --sensitive --extractable
show cmek tree --project demo

step "The database's key gets a new version, in use: what is written from now on has it, what was written opens by the old one."
show cmek database rotate --project demo prod/orders
show cmek encrypt --project demo --database prod/orders --name later "$work/plain/notes/11.txt" "$work/encrypted/later"
show cmek decrypt --name notes/8.txt "$work/encrypted/notes/8.txt" "$work/older.txt"
cmp "$work/plain/notes/8.txt" "$work/older.txt"
show cmek scan "$work/encrypted"

step "Another root key: all databases go to it, in use; no file is touched."
show cmek key "$add" --project demo "$second" --label second
show cmek database rewrap --project demo --key second --all
show cmek database rewrap --project demo --key second --all --prove
show cmek tree --project demo
show cmek decrypt --name notes/9.txt "$work/encrypted/notes/9.txt" "$work/moved.txt"
cmp "$work/plain/notes/9.txt" "$work/moved.txt"
echo "   It is the same file."

step "Files follow: their headers name the new root key alone; no payload is read or written."
show cmek scan "$work/encrypted"
show cmek rewrap -r --wipe-old "$work/encrypted"
show cmek scan "$work/encrypted"

step "A backup: all keys of the project, encrypted as they are. It is verified by the KMS, without the store."
show cmek database create --project demo --no-embed prod/kept
show cmek encrypt --project demo --database prod/kept "$work/plain/notes/3.txt" "$work/kept.cmek"
show cmek backup --project demo "$work/demo.backup"
show cmek backup verify "$work/demo.backup"

step "The store is lost for good, and with it what opens a file that carries no key. The backup brings it back."
rm -r "${work:?}/home"
configure "$work/home"
show_refused cmek decrypt "$work/kept.cmek" "$work/wrong"
show cmek restore "$work/demo.backup"
show cmek decrypt "$work/kept.cmek" "$work/kept.txt"
cmp "$work/plain/notes/3.txt" "$work/kept.txt"
show cmek tree --project demo
echo "   It is the same file, in the same hierarchy."

step "A tree of files that were there before encryption was: it is migrated in its place, each file read back before the plain one goes."
cp -r "$root/docs" "$work/tree"
show cmek migrate --project demo --database prod/invoices --in-place "$work/tree"
readable() { grep -rlw encrypted "$1" | wc -l; }
echo "   Files in which grep finds the word 'encrypted': $(readable "$root/docs") before, $(readable "$work/tree") now."
[ "$(readable "$work/tree")" -eq 0 ]

step "And back: whoever leaves us takes all files along, as they were."
show cmek export --in-place "$work/tree"
diff -r "$root/docs" "$work/tree"
echo "   All $(find "$work/tree" -type f | wc -l) files are the same."

step "Messages for a queue: a producer and a consumer over a real broker, while keys are rotated and revoked."
if [ -x "$build/examples/queue/queue_producer" ] && command -v redis-server >/dev/null; then
    show "$root/examples/queue/run.sh"
else
    echo "   Left out here: it needs redis-server and libhiredis-dev, and then a new build (examples/queue/README.md)."
fi

finished=yes
printf '\nDone: %s steps in %s s. Everything was in %s, which is gone now.\n' "$steps" "$SECONDS" "$work"
