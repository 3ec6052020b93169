#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Every rule of the system as the tool's user meets it: refused, by an exit code, in one line that names what it was
# about and what to do.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

exits() { # CODE COMMAND...: and exactly one line on standard error, nothing on standard output
    local code=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" || status=$?
    cat "$work/out" "$work/err"
    [ $status -eq "$code" ] || { echo "exit code $status, not $code"; return 1; }
    [ ! -s "$work/out" ] && [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q '^cmek: ' "$work/err"
}

new_project demo
create() { "$cmek" cluster create --project demo "$@"; }
ok "a cluster" create prod --key root --region us-west-2
ok "its database" "$cmek" database create --project demo prod/orders
ok "another" "$cmek" database create --project demo prod/invoices
arn=$("$cmek" key show --project demo root --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["arn"])')

# Names
ok "a project twice" exits 4 "$cmek" project create demo
ok "names it" says "project demo exists already"
for odd in 'a ' ' a' $'a\n' $'a\tb' $'\e[2Ja' $'a\u0085' $'a\u00a0' $'a\u200b' $'a\u202eb'; do
    shown=$(printf %q "$odd")
    ok "no project is called $shown" exits 2 "$cmek" project create "$odd"
    ok "and no root key" exits 4 "$cmek" key add --project demo local:odd --label "$odd"
    ok "and no cluster" exits 4 create "$odd" --key root --region us-west-2
    ok "and no database" exits 4 "$cmek" database create --project demo "prod/$odd"
    ok "for a reason that is said" says "the name of a database"
done
ok "an unknown project" exits 3 "$cmek" key list --project nobody
ok "is named, with the command that makes it" says "no project nobody; see cmek project list, or make it: cmek project create nobody"
ok "an unknown root key" exits 3 create second --key nobody --region us-west-2
ok "is named with its project, and where to look" says "project demo has no root key nobody; see cmek tree --project demo"
ok "an unknown cluster" exits 3 "$cmek" cluster show --project demo nobody
ok "is named" says "no cluster nobody"
ok "a database of an unknown cluster" exits 3 "$cmek" database create --project demo nobody/orders
ok "names the cluster" says nobody
ok "an unknown database" exits 3 "$cmek" encrypt --project demo --database prod/nobody /dev/null "$work/new"
ok "is named" says "no database prod/nobody"
ok "nothing is written" test ! -e "$work/new"
ok "a cluster twice" exits 4 create prod --key root --region us-west-2
ok "names it" says prod
ok "a database twice" exits 4 "$cmek" database create --project demo prod/orders
ok "names it" says prod/orders

# Root keys
ok "a root key twice, by its name" exits 4 "$cmek" key add --project demo local:test-root
ok "says what it is registered as" says root
ok "a root key twice, by its ARN" exits 4 "$cmek" key add --project demo "$arn" --label other
ok "says so too" says root
ok "a root key twice, by its id" exits 4 "$cmek" key add --project demo "local:${arn##*/}" --label other
ok "says so too" says root
before=$(sha256sum <"$home/local.keys")
ok "a label twice" exits 4 "$cmek" key create --project demo local:another --label root
ok "names it, and what to do" says "the project has a root key 'root' already; choose another label"
long=$(printf 'l%.0s' $(seq 256))
ok "a label that is too long" exits 4 "$cmek" key create --project demo local:another --label "$long"
ok "is told what may be" says "CKA_LABEL must be UTF-8 without a NUL of at most 255 bytes"
ok "and so is one that is not UTF-8" exits 4 "$cmek" key create --project demo local:another --label $'\xff'
ok "in the same words" says "CKA_LABEL must be UTF-8 without a NUL of at most 255 bytes"
ok "a cluster's too" exits 4 create "$long" --key root --region us-west-2
ok "in the same words" says "CKA_LABEL must be UTF-8"
ok "and a database's" exits 4 "$cmek" database create --project demo "prod/$long"
ok "in the same words" says "CKA_LABEL must be UTF-8"
ok "and makes no key in the embedded KMS" test "$before" = "$(sha256sum <"$home/local.keys")"
ok "the key it is about is not registered" exits 3 "$cmek" key show --project demo another
ok "an invalid name" exits 4 "$cmek" key add --project demo 'local:a b'
ok "a typing error makes no key" exits 5 "$cmek" key add --project demo local:tset-root
ok "but is told, with the names that are near" says "$home/local.keys; name local:test-root, or make it: cmek key create"
ok "and does not say the name again and again" test "$(grep -o local:tset-root "$work/.last" | wc -l)" = 2
ok "there is none" exits 5 "$cmek" key add --project demo local:tset-root
ok "a key that is there is not made again" exits 4 "$cmek" key create --project demo local:test-root --label other
ok "it is said how to use it" says "the embedded KMS has a key local:test-root already; add that (cmek key add)"
ok "keys of a cloud are not made here" exits 4 "$cmek" key create --project demo alias/root
ok "it is said where" says "can be made here; make alias/root in its KMS, and add it (cmek key add)"
ok "an id of the embedded KMS that is not there" exits 5 "$cmek" key add --project demo \
    local:00000000-0000-4000-8000-000000000000
add_many() { local i; for i in $(seq "$1" "$2"); do "$cmek" key create --project demo "local:key-$i" >/dev/null || return 1; done; }
ok "a project holds twenty root keys" add_many 2 20
ok "the twenty-first" exits 4 "$cmek" key create --project demo local:key-21
ok "is refused by the number, with what can be done" says "a project has at most 20 root keys, those that await removal among them: remove one"
ok "and is not there" exits 3 "$cmek" key show --project demo key-21
ok "another project may have the same key" "$cmek" project create other
ok "as its own root key" "$cmek" key add --project other local:test-root --label shared

# Clusters. A local key fits any region, so region and provider of cloud keys are refused in aws.sh.
ok "another provider than the root key's" exits 4 create second --key root --region us-west-2 --provider aws
ok "says whose it should be" says local
ok "an unknown provider" exits 4 create second --key root --region us-west-2 --provider azure
ok "the cluster is not there" exits 3 "$cmek" cluster show --project demo second

# Envelopes
echo "what the file says" >"$work/plain"
encrypt() { "$cmek" encrypt --project demo --database prod/orders "$@"; }
ok "a file" encrypt "$work/plain" "$work/free"
ok "a file that is bound to a name" encrypt --name a/b "$work/plain" "$work/bound"
decrypt() { "$cmek" decrypt --force "$@" "$work/new"; }
ok "of another database" exits 4 decrypt --database prod/invoices "$work/free"
ok "says of which" says "prod/orders of project demo, not prod/invoices"
ok "of a database that is not there" exits 4 decrypt --database prod/nobody "$work/free"
ok "under another name" exits 4 decrypt --name a/c "$work/bound"
ok "says that it may have been moved" says "bound to another object's name; was the object moved or swapped?"
ok "without its name" exits 4 decrypt "$work/bound"
ok "says which option is missing" says "give its name with --name"
ok "with a name though it has none" exits 4 decrypt --name a/b "$work/free"
ok "says to leave it out" says "leave out --name"
ok "in a project that is not there" exits 3 decrypt --project nobody "$work/free"
ok "none of these has written anything" test ! -e "$work/new"
ok "under its name it opens" "$cmek" decrypt --database prod/orders --name a/b "$work/bound" "$work/new"
ok "as it was" cmp "$work/plain" "$work/new"
rm "$work/new"

# Other projects
ok "a third project, without the root key" "$cmek" project create third
ok "does not open it" exits 3 decrypt --project third "$work/free"
ok "and says whose it is" says "it belongs to database prod/orders of project demo, and project third can't open it; leave out --project"
ok "nor with --database" exits 3 decrypt --project third --database prod/orders "$work/free"
ok "which says the same" says "it belongs to database prod/orders of project demo"
ok "a project with the same root key opens it by the record that travels with it" \
    "$cmek" decrypt --project other "$work/free" "$work/new"
ok "as it was" cmp "$work/plain" "$work/new"
rm "$work/new"
in_new_home() { (new_home && exits "$@"); }
in_new_project() { (new_home && "$cmek" project create far >"$work/out" && exits "$@"); }
ok "in a project of another machine, too" in_new_project 3 decrypt "$work/free"
ok "it says which root key is missing" says "$arn; if you trust that key: cmek key add --project P KEY"
ok "with --database it can't be shown there whose it is" in_new_project 3 decrypt --database prod/orders "$work/free"
ok "and the remedy is named" says "leave out --database"
ok "on another machine" in_new_home 3 decrypt "$work/free"
ok "it says that there is no project" says "no project here; make one: cmek project create NAME, then cmek key add"

# A root key that the KMS refuses
ok "a root key is disabled" "$cmek" key disable --project demo root
ok "the tree shows it" "$cmek" tree --project demo
ok "in words" says "(disabled, local, "
ok "its state shows it" "$cmek" key show --project demo root
ok "in words" says disabled
ok "nothing opens any more" exits 5 decrypt "$work/free"
ok "and it says which key, and what to do" says "is disabled. [DisabledException]; enable the key: cmek key enable"
ok "no output was left" test ! -e "$work/new"
ok "nothing is encrypted" exits 5 encrypt "$work/plain" "$work/new"
ok "no database is made" exits 5 "$cmek" database create --project demo prod/third
ok "and none is left half made" exits 3 "$cmek" database show --project demo prod/third
finds() { "$cmek" doctor --project demo >"$work/.found" 2>&1; [ $? -eq "$1" ] && grep -qE "$2" "$work/.found" || { cat "$work/.found"; return 1; }; }
ok "doctor finds it, and what to do" finds 5 "^root key root .*: FAILED: disabled: .*cmek key enable"
ok "enabled again" "$cmek" key enable --project demo root
ok "it opens" decrypt "$work/free"
ok "as it was" cmp "$work/plain" "$work/new"
ok "doctor is content" "$cmek" doctor --project demo

# The file of the embedded KMS is lost
mv "$home/local.keys" "$home/away"
ok "without its root keys' file nothing opens: it is out of reach" exits 6 decrypt "$work/free"
ok "and it names the file, and what to do" says "is missing: $home/local.keys; restore it from a backup, or copy it from the host that made the key"
ok "a key of the same name is not made anew" exits 6 "$cmek" key create --project other local:test-root --label again
ok "for the same reason" says "$home/local.keys; restore it from a backup"
ok "nor any other" exits 6 "$cmek" key create --project other local:fresh
ok "no file was made" test ! -e "$home/local.keys"
mv "$home/away" "$home/local.keys"
ok "when the file is back, it opens" decrypt "$work/free"
ok "as it was" cmp "$work/plain" "$work/new"

# What whoever can write the store made of a label, steers nobody
new_project odd
ok "a label may say anything that can be seen" "$cmek" key create --project odd local:odd --label $'x: FAILED: y'
odd_label="x: FAILED: y"$'\nroot key z: ok\e[31m\xc2\x9b\u202e'
rewrite_label() {
    python3 -c 'import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute("UPDATE root_keys SET label = ? WHERE label LIKE ?", (sys.argv[2], "x: %")); db.commit()' "$home/store.db" "$odd_label"
}
ok "and in the store it may say the rest" rewrite_label
doctor_is_not_steered() {
    "$cmek" doctor >"$work/report" && ! grep -q '^root key z' "$work/report" && ! grep -q $'\e\|\xc2\x9b\|\u202e' "$work/report"
}
ok "and neither makes a fault of what is well, nor a line of its own" doctor_is_not_steered
list_is_not_steered() { "$cmek" key list --project odd >"$work/list" && ! grep -q $'\e\|\xc2\x9b\|\u202e' "$work/list"; }
ok "nor does it steer a terminal from a list" list_is_not_steered

finish
