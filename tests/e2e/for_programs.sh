#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# What a program reads of cmek: errors as JSON once --json is given, truth and numbers as such, and lists that are empty; and
# what a terminal of ASCII shows.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_home
cd "$work" || exit 1

# The last command's answer: an expression over `it`, its standard output as JSON, `errors`, the lines of its standard error as
# JSON, and `code`.
holds() {
    python3 - "$1" <<'PYTHON' || { cat "$work/out" "$work/err"; return 1; }
import json, sys
out = open("out").read()
it = json.loads(out) if out else None
errors = [json.loads(line) for line in open("err")]
sys.exit(not eval(f"({sys.argv[1]})", {"it": it, "errors": errors, "code": int(open("code").read())}))
PYTHON
}
ends() { # CODE COMMAND...
    local code=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
    cat "$work/out" "$work/err"
    echo $status >"$work/code"
    [ $status -eq "$code" ]
}
# CODE STATUS WORDS...: one object, with all members, and what it says in words is what it says without --json
one_object() {
    local code=$1 status=$2
    shift 2
    ends "$code" "$cmek" "$@" --json || return 1
    holds "len(errors) == 1 and it is None and (errors[0]['status'], errors[0]['exit_code']) == ('$status', code) and
        set(errors[0]) == {'message', 'which', 'what', 'to_do', 'status', 'exit_code'} and errors[0]['what'] and
        '; '.join([': '.join([errors[0]['which']] * bool(errors[0]['which']) + [errors[0]['what']])] +
            [errors[0]['to_do']] * bool(errors[0]['to_do'])) == errors[0]['message']" || return 1
    "$cmek" "$@" >/dev/null 2>words </dev/null
    python3 -c 'import json; print("cmek: " + json.load(open("err"))["message"])' | diff words -
}

# --- Errors

ok "an unknown command is an object" one_object 2 usage frobnicate
ok "an option before the command" ends 2 "$cmek" --json database list
ok "is told where it belongs" holds 'errors[0]["to_do"] == "options come after the command: cmek COMMAND --json"'
ok "an unknown verb too" one_object 2 usage database frobnicate
ok "with what to do" holds 'errors[0]["to_do"] == "see cmek database --help"'
ok "an unknown option" one_object 2 usage key list --frobnicate
ok "with the usage" holds 'errors[0]["to_do"].startswith("usage: cmek key list")'
ok "an option without its value" one_object 2 usage cluster create --region= main
ok "a missing option" one_object 2 usage cluster create
ok "no store" one_object 3 "not found" key list
ok "--json that is the name of a file is none" ends 1 sh -c "'$cmek' inspect -- --json || exit 1"
ok "and gets words" grep -q '^cmek: --json: ' err
"$cmek" project create demo >/dev/null || exit 1
ok "a project that is not there" one_object 3 "not found" cluster list --project none
ok "a name that is taken" one_object 4 refused project create demo
"$cmek" key create --project demo local:root >/dev/null && "$cmek" cluster create --project demo main --key root --region local >/dev/null &&
    "$cmek" database create --project demo main/orders >/dev/null || exit 1
echo plain >file
ok "what a module says" one_object 4 refused database create main/orders
ok "about which" holds 'errors[0]["which"].startswith("creating database main/orders")'
ok "a file that is none" one_object 3 "not found" inspect 'no;ne: x'
ok "is named whole, whatever is in its name" holds 'errors[0]["which"] == "no;ne: x"'
ok "a file that is no envelope" one_object 7 damaged decrypt file out.file
"$cmek" encrypt file >/dev/null || exit 1
ok "one that would be replaced" one_object 4 refused encrypt file
ok "with what to do about it" holds 'errors[0]["which"] == "file.cmek" and "--force" in errors[0]["to_do"]'
"$cmek" key disable root >/dev/null || exit 1
ok "a KMS that says no" one_object 5 denied decrypt file.cmek back
ok "a rotation of all that fails" ends 5 "$cmek" database rotate --all --json
ok "has its failure in the row" holds '[(row["database"], [(f["exit_code"], f["status"], bool(f["what"])) for f in row["failures"]]) for row in it] == [
    ("main/orders", [(5, "denied", True)])]'
"$cmek" key enable root >/dev/null || exit 1
ok "a warning is an object that fails nothing" ends 0 "$cmek" encrypt file.cmek twice.cmek --json
ok "namely" holds 'len(errors) == 1 and errors[0]["status"] == "warning" and errors[0]["exit_code"] == 0'

# --- Many files

mkdir many && echo a >many/a && cp file.cmek many/b.cmek && echo broken >many/c.cmek
ok "of many files" ends 7 "$cmek" decrypt --json -o opened many/b.cmek many/c.cmek
ok "one that fails is a row" holds 'it["failed"] == 1 and [row for row in it["files"] if row["result"] == "failed"] == [
    {**errors[0], "file": "many/c.cmek", "result": "failed"}] and errors[0]["which"] == "many/c.cmek" and errors[0]["status"] == "damaged"'
ok "beside those that do not" holds '[(row["file"], row["output"]) for row in it["files"] if row["result"] == "decrypted"] == [("many/b.cmek", "opened/b")]'
ok "one that is not there" ends 3 "$cmek" decrypt --json -o opened2 many/b.cmek many/none.cmek
ok "too" holds '[row["file"] for row in it["files"] if row["result"] == "failed"] == ["many/none.cmek"] and len(errors) == 1'
ok "a file that is not there, of a scan" ends 3 "$cmek" scan --json many/none
ok "is an object" holds 'len(errors) == 1 and errors[0]["which"] == "many/none" and it["failed"] == 1'
ok "and a row" holds 'it["files"] == [{**errors[0], "file": "many/none", "result": "failed"}]'
ok "what is broken, of a scan" ends 0 "$cmek" scan --json many
ok "is counted, and no row" holds 'it["failed"] == 0 and it["files"] == [] and it["not_encrypted"] == 2'
printf 'CMEK\001' >many/cut.cmek
ok "what is cut off, of a scan" ends 7 "$cmek" scan --json many
ok "is a row with its exit code" holds '[(row["file"], row["exit_code"], row["status"]) for row in it["files"]] == [("many/cut.cmek", 7, "damaged")]'
rm many/cut.cmek
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then without=(setpriv --reuid=65534 --regid=65534 --clear-groups --); else without=(env --); fi
mkdir closed && echo x >closed/x && chmod 0 closed
cp -r "$home" shared && chmod -R a+rwX shared && chmod a+rx .
sed "s|$home|$work/shared|" "$home/cmek.conf" >shared/cmek.conf
for command in scan "rewrap --recursive" "migrate --database main/orders --project demo" export; do
    # shellcheck disable=SC2086 # words
    ok "a folder that can't be read, of ${command%% *}" ends 1 "${without[@]}" env CMEK_PKCS11_CONF="$work/shared/cmek.conf" "$cmek" $command --json closed
    ok "is a row that says which and why" holds '[(row["file"], row["which"], row["exit_code"], row["result"], bool(row["what"])) for row in it["files"]] == [
        ("closed", "closed", 1, "failed", True)] and it["failed"] == 1'
done
chmod 755 closed
ok "a folder that was not asked for, of rewrap" ends 1 "$cmek" rewrap --json many
ok "is a row" holds '[row["file"] for row in it["files"]] == ["many"] and it["files"][0]["to_do"] == "name files, or add --recursive"'

# --- Truth and numbers

ok "what is so or not is a boolean" ends 0 "$cmek" database show --json main/orders
ok "of a database" holds 'it["embed"] is True and it["version"] == 1 and it["max_lease"] > 0'
ok "of a file" ends 0 "$cmek" inspect --json file.cmek
ok "namely" holds 'it["embed"] is True and it["name_bound"] is False and it["header_bytes"] > 0'
ok "of the tree" ends 0 "$cmek" tree --json
ok "namely" holds 'it[0]["root_keys"][0]["clusters"][0]["databases"][0]["embed"] is True'
no_yes_or_no() { # of any command that shows something
    local words
    for words in 'project list' 'project show demo' 'key list' 'key show root' 'cluster list' 'cluster show main' 'database list' \
        'database show main/orders' 'tree --usage' 'inspect file.cmek' 'scan file.cmek' 'store show' 'doctor' 'maintain --dry-run'; do
        # shellcheck disable=SC2086 # words
        "$cmek" $words --json >out || return 1
        if grep -E ': "(yes|no|true|false|[0-9]{1,9})"' out; then
            echo "of: cmek $words"
            return 1
        fi
    done
}
ok "nowhere is it a text, nor a number" no_yes_or_no

# --- Databases that do not get to another root key

"$cmek" key create local:second --label second >/dev/null && "$cmek" database create main/bills >/dev/null && "$cmek" key disable root >/dev/null || exit 1
same_rows() { # each row is what standard error says, and of which database
    holds 'errors == [{name: row[name] for name in errors[0]} for row in it["failures"]] and all(
        row["which"] == "rewrapping database " + row["database"] + " in project demo" and row["error"] == "; ".join([row["what"]] + [row["to_do"]] * bool(row["to_do"]))
        for row in it["failures"])'
}
ok "databases that can't be taken to another root key" ends 5 "$cmek" database rewrap --key second --json main/
ok "have a row each" holds '(it["rewrapped"], it["there"], it["failed"], it["dry_run"]) == (0, 0, 2, False) and sorted(
    (row["database"], row["exit_code"], row["status"]) for row in it["failures"]) == [("main/bills", 5, "denied"), ("main/orders", 5, "denied")]'
ok "that says why" same_rows
ok "one that can't" ends 5 "$cmek" database rewrap --key second --json main/orders
ok "too" same_rows
"$cmek" key enable root >/dev/null && "$cmek" database rewrap --key second main/bills >/dev/null && "$cmek" key disable root >/dev/null || exit 1
ok "where one is there already" ends 5 "$cmek" database rewrap --key second --json main/
ok "only the other is a row" holds '(it["there"], it["failed"]) == (1, 1) and [row["database"] for row in it["failures"]] == ["main/orders"]'
"$cmek" key enable root >/dev/null || exit 1
ok "when all are there" ends 0 "$cmek" database rewrap --key second --json main/
ok "there is none" holds '(it["rewrapped"], it["there"], it["failed"], it["failures"]) == (1, 1, 0, []) and not errors'

# --- Lists without rows

empty() { # SENTENCE WORDS...
    ends 0 "$cmek" "${@:2}" && grep -qxF -- "$1" "$work/out" && ends 0 "$cmek" "${@:2}" --json && holds 'it == [] and not errors'
}
new_home
ok "no project" empty "no project yet; make one: cmek project create NAME" project list
"$cmek" project create demo >/dev/null || exit 1
ok "no root key" empty "no root key in project demo yet; make one: cmek key add KEY --project demo" key list
ok "no cluster" empty "no cluster in project demo yet; make one: cmek cluster create NAME --key L --region R --project demo" cluster list
ok "no database" empty "no database in project demo yet; make one: cmek database create CLUSTER/DB --project demo" database list --project demo
ok "nothing deleted" empty "no database of project demo awaits deletion" database list --deleted
ok "nothing to maintain" empty "nothing awaits deletion" maintain
ok "nothing to rotate" empty "no database to rotate in project demo" database rotate --all

# --- ASCII

new_hierarchy
in_ascii() { # VARIABLES... -- WORDS...
    local variables=()
    while [ "$1" != -- ]; do variables+=("$1") && shift; done
    shift
    env -u LC_ALL -u LC_CTYPE -u LANG "${variables[@]}" "$cmek" "$@" >out 2>err
    ! LC_ALL=C grep -n '[^ -~]' out err
}
every_command_in_ascii() {
    local command
    in_ascii LC_ALL=C -- help || return 1
    "$cmek" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\( [a-z-][a-z-]*\)\{0,1\}\)  .*/\1/p' >commands && [ -s commands ] || return 1
    while read -r command; do
        # shellcheck disable=SC2086 # words
        in_ascii LC_ALL=C -- help $command || return 1
    done <commands
}
ok "the tree is ASCII under LC_ALL=C" in_ascii LC_ALL=C -- tree
ok "with the lines of ASCII" grep -q '^|-- \|^`-- root key root' out
ok "and within" grep -q '^        |-- database prod/' out
ok "under POSIX" in_ascii LANG=en_US.UTF-8 LC_ALL=POSIX -- tree --usage
ok "where no locale is set" in_ascii -- tree
ok "help is, of every command" every_command_in_ascii
ok "and of a noun" in_ascii LC_ALL=C -- database --help
ok "and errors" in_ascii LC_ALL=C -- encrypt --database a/b
fine() { has_line '^        ├── database prod/' "$@" tree; }
ok "UTF-8 gets fine lines" fine env LC_ALL=C.UTF-8 "$cmek"
ok "by whatever name" fine env -u LC_ALL LC_CTYPE='' LANG=de_DE.utf8 "$cmek"

straight() { # the second column of the options begins at one place
    "$cmek" help restore | sed -n '/^Options:/,$p' | sed 1d | awk '{ match($0, /[^ ] +[a-z"]/); if (length($0) > 27 && substr($0, 27, 2) !~ /^ [^ ]/) { print; bad = 1 } } END { exit bad }'
}
ok "help's columns stand below each other" straight
finish
