#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The AWS protocol end to end, over HTTP to a simulated KMS that checks signatures: the same hierarchy, again after each
# restart of the process; how often the KMS is asked; the rules that only cloud keys have; rescue by boto3.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
driver=$build/tests/module/envelope_driver

exits() { # CODE COMMAND...: and one line on standard error
    local code=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" || status=$?
    cat "$work/out" "$work/err"
    [ $status -eq "$code" ] || { echo "exit code $status, not $code"; return 1; }
    [ $status -eq 0 ] || { [ "$(wc -l <"$work/err")" -eq 1 ] && grep -q '^cmek: ' "$work/err"; }
}

reports() { # CODE: by doctor, whose verdict is the last line
    local code=$1 status=0
    shift
    "$@" >"$work/out" 2>"$work/err" || status=$?
    cat "$work/out" "$work/err"
    [ $status -eq "$code" ] && [ ! -s "$work/err" ] && has_line '^verdict: ' tail -n 1 "$work/out"
}

why=$(python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import moto_server; print(moto_server.missing_modules() or "")' \
    "$root/tests/e2e")
if [ -n "$why" ]; then
    skip "the hierarchy over the AWS protocol" "$why"
    finish
fi
new_home
ok "a simulated KMS with two keys in two regions" start_moto --region us-west-2 --region eu-central-1 --keys 2
read -r west west_two east _ <<<"$CMEK_TEST_KMS_KEYS"
ask() { python3 -c 'import sys, urllib.request as r; print(r.urlopen(r.Request(sys.argv[1], data=b"" if sys.argv[2:] else None)).read().decode())' "$@"; }
calls() { ask "$AWS_ENDPOINT_URL/_calls"; }
reset() { ask "$AWS_ENDPOINT_URL/_reset" now >/dev/null; }
calls_are() { # EXPRESSION over `it`
    calls >"$work/calls"
    cat "$work/calls"
    python3 -c 'import json, sys; it = json.load(open(sys.argv[1])); sys.exit(not eval(sys.argv[2]))' "$work/calls" "$1"
}

# The hierarchy
ok "a project" "$cmek" project create demo
ok "its root key, by alias" "$cmek" key add --project demo "$CMEK_TEST_KMS_ALIAS" --json
ok "is known by its ARN" says "$west"
ok "its label is the alias" says '"label": "root"'
ok "a cluster in its region" "$cmek" cluster create --project demo prod --key root --region us-west-2
ok "of its provider" says aws
for name in one two three; do ok "a database" "$cmek" database create --project demo prod/$name; done
echo "what the file says" >"$work/plain"
ok "a file is encrypted" "$cmek" encrypt --project demo --database prod/one --name a/b "$work/plain" "$work/sealed"
ok "another process reads it" "$cmek" decrypt --name a/b "$work/sealed" "$work/again"
ok "as it was" cmp "$work/plain" "$work/again"
ok "its header is not over 4 KiB" test "$("$cmek" inspect "$work/sealed" --json | sed -n 's/.*"header_bytes": \([0-9]*\).*/\1/p')" -le 4096
contexts_name() { ask "$AWS_ENDPOINT_URL/_requests" | python3 -c '
import json, sys
calls = [c for c in json.load(sys.stdin) if c["operation"] in ("Encrypt", "Decrypt")]
assert calls and all(c["status"] == 200 for c in calls)
assert {c["context"]["cmek:purpose"] for c in calls} <= {"ezk", "canary"}
assert {tuple(sorted(c["context"])) for c in calls if c["context"]["cmek:purpose"] == "ezk"} == {
    ("cmek:cluster", "cmek:max-lease", "cmek:max-stale", "cmek:project", "cmek:purpose", "cmek:version", "cmek:zone")}'; }
ok "each EZK was encrypted for its purpose, project, cluster, zone, version and greatest lease" contexts_name

# How often the KMS is asked
seal() { mkdir "$work/$1" && "$driver" seal demo "prod/$1" "$work/$1" 100; }
for name in one two three; do ok "a hundred files of a zone" seal $name; done
reset
ok "a process reads three hundred files of three zones" "$driver" open demo "$work/one" "$work/two" "$work/three"
ok "all of them" says "300 envelopes"
ok "and asks the KMS three times" calls_are 'it == {"Decrypt": 3}'
reset
ok "listing the projects" "$cmek" project list
ok "and the keys" "$cmek" tree --offline
ok "and looking at attributes" "$cmek" database list --project demo
ok "asks no KMS" calls_are 'it == {}'

# The rules that only cloud keys have
ok "the key again, by its ARN" exits 4 "$cmek" key add --project demo "$west" --label again
ok "says what it is registered as" says root
ok "by its id" exits 4 "$cmek" key add --project demo "$CMEK_TEST_KMS_KEY_ID" --label again
ok "by its alias" exits 4 "$cmek" key add --project demo "$CMEK_TEST_KMS_ALIAS" --label again
ok "by its alias' ARN" exits 4 "$cmek" key add --project demo "$CMEK_TEST_KMS_ALIAS_ARN" --label again
ok "a key that is not there" exits 5 "$cmek" key add --project demo alias/nobody
ok "is named" says alias/nobody
ok "another key of the region" "$cmek" key add --project demo "$west_two" --label two
ok "a key of another region" "$cmek" key add --project demo "$east" --label east
ok "a cluster elsewhere than its key" exits 4 "$cmek" cluster create --project demo wrong --key root --region eu-central-1
ok "is refused by both regions" says us-west-2
ok "a cluster of another provider than its key's" exits 4 "$cmek" cluster create --project demo wrong --key root --region us-west-2 --provider local
ok "is refused by both providers" says aws
ok "the right region is accepted" "$cmek" cluster create --project demo berlin --key east --region eu-central-1
ok "a database there" "$cmek" database create --project demo berlin/one
ok "is asked for there" "$cmek" encrypt --project demo --database berlin/one "$work/plain" "$work/berlin"
ok "a cloud key is not disabled here" exits 4 "$cmek" key disable --project demo root
ok "but there" says "aws kms disable-key"

# doctor
ok "doctor finds everything in order" "$cmek" doctor
ok "and names the keys" says "$west"

# Credentials and the way to the KMS
without() { env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY HOME="$work" "$@"; }
ok "without credentials" exits 6 without "$cmek" decrypt --name a/b "$work/sealed" "$work/new"
ok "it says so" says credentials
ok "and so does doctor" reports 6 without "$cmek" doctor
ok "with a secret that is wrong" exits 6 env AWS_SECRET_ACCESS_KEY=wrong "$cmek" decrypt --name a/b "$work/sealed" "$work/new"
nobody=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
ok "where nobody answers" exits 6 env AWS_ENDPOINT_URL="http://127.0.0.1:$nobody" "$cmek" decrypt --name a/b "$work/sealed" "$work/new"
ok "it names the address" says "127.0.0.1:$nobody"
ok "none of these has written anything" test ! -e "$work/new"

# The store is lost
ok "rescue.py reads it by boto3" python3 "$root/tools/rescue.py" --name a/b "$work/sealed" "$work/rescued"
ok "as it was" cmp "$work/plain" "$work/rescued"
rm -f "$home"/store.db*
ok "the store is gone; a fresh project" "$cmek" project create fresh
ok "with the root key, by its id" "$cmek" key add --project fresh "$CMEK_TEST_KMS_KEY_ID"
rm "$work/again"
ok "reads it" "$cmek" decrypt --name a/b "$work/sealed" "$work/again"
ok "as it was" cmp "$work/plain" "$work/again"
reset
ok "and all the others" "$driver" open fresh "$work/one" "$work/two" "$work/three"
ok "with a question a zone" calls_are 'it == {"Decrypt": 3}'
ok "but not what is another root key's" exits 3 "$cmek" decrypt "$work/berlin" "$work/new"
ok "which it names" says "$east"
finish
