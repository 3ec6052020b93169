#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The examples of docs/library.md in each language: what one seals every other opens, the tool and rescue.py too; a range of an object
# in S3, as moto plays it; a rotation and a disabled key on the way.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/bindings/languages.sh
. "$root/tests/bindings/languages.sh"
here=$root/examples/library
ok "libcmek is installed" install_libcmek || finish
programs "$here" example libcurl

ok "each way takes ten lines at most" python3 "$root/tests/bindings/count_lines.py" "$here"

new_project acme
{
    "$cmek" cluster create --project acme prod --key root --region local &&
        "$cmek" database create --project acme --max-lease 0 prod/orders
} >"$work/.output" 2>&1 || tap_fail "a database is there" "$work/.output"
cd "$work" || exit 1
head -c 300000 /dev/urandom >plain
head -c 200100 plain | tail -c 100 >wanted

by() { local language=$1; shift; "$work/$language" "$@"; }
prints() { [ "$(by "$1" message prod/orders "a row")" = "a row" ]; }
streams() { by "$1" stream prod/orders <plain >"$1.cmek"; }
opens() { rm -f again && by "$1" open prod/orders "$2" again && cmp plain again; }
ranges() { by "$1" range prod/orders "$2" 200000 | cmp - wanted; }
objects() { by "$1" object prod/orders "$address" 200000 | cmp - wanted; }
for language in "${languages[@]}"; do
    ok "$language seals and opens a message" prints "$language"
    ok "$language seals a file" by "$language" file prod/orders plain "$language.cmek"
    ok "and a stream" streams "$language"
done
"$cmek" encrypt --project acme --database prod/orders plain tool.cmek
for language in "${languages[@]}"; do
    for other in "${languages[@]}" tool; do
        ok "$language opens what $other sealed" opens "$language" "$other.cmek"
        ok "and a range of it" ranges "$language" "$other.cmek"
    done
    decrypted() { rm -f again && "$cmek" decrypt "$language.cmek" again && cmp plain again; }
    rescued() { rm -f again && python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" "$language.cmek" again && cmp plain again; }
    ok "the tool opens what $language sealed" decrypted
    ok "and so does rescue.py, without the module" rescued
done

# --- S3

if python3 -c 'import boto3, moto.server' 2>/dev/null; then
    mkfifo s3.in
    exec 9<>s3.in
    python3 "$root/tests/bindings/s3_object.py" c.cmek <s3.in >s3.out 2>s3.err 9>&- &
    s3=$!
    for _ in $(seq 600); do
        [ -s s3.out ] || ! kill -0 $s3 2>/dev/null || { sleep 0.1; continue; }
        break
    done
    address=$(cat s3.out)
    for language in "${languages[@]}"; do
        ok "$language reads a range of an object in S3" objects "$language"
    done
    exec 9>&-
    kill $s3 2>/dev/null
    wait $s3 2>/dev/null
else
    skip "a range of an object in S3 is read" "moto or boto3 is not here; 'make deps' puts them into build/venv"
fi

# --- A rotation, and a key that is disabled and enabled

lives() { # LANGUAGE: one process, lines one after the other, and what the tool does between them
    rm -f in out
    mkfifo in
    by "$1" lines prod/orders <in >out 2>&1 &
    local pid=$!
    exec 7>in
    line() { # NUMBER WANTED
        echo row >&7
        for _ in $(seq 300); do
            [ "$(wc -l <out)" -ge "$1" ] && break
            sleep 0.1
        done
        has_line "^$2" sed -n "$1p" out >/dev/null || { cat out; return 1; }
    }
    sealed_again() { # a no is remembered for a moment
        local number
        for number in $(seq 4 40); do
            line "$number" sealed >said && return 0
            sleep 0.3
        done
        cat said
        return 1
    }
    line 1 sealed && "$cmek" database rotate --project acme prod/orders && line 2 sealed &&
        "$cmek" key disable --project acme root && line 3 'try again' && "$cmek" key enable --project acme root && sealed_again
    local status=$?
    exec 7>&-
    wait $pid
    return $status
}
for language in "${languages[@]}"; do
    ok "a process in $language lives through a rotation and a disabled key" lives "$language"
done

# --- What to quote to AWS

mkfifo kms.in
exec 6<>kms.in
PYTHONPATH=$root/tests python3 -m fake_kms <kms.in >kms.out 2>kms.err 6>&- &
kms=$!
for _ in $(seq 600); do
    grep -q CMEK_TEST_FAKE= kms.out || ! kill -0 $kms 2>/dev/null || { sleep 0.1; continue; }
    break
done
while IFS= read -r line; do export "${line?}"; done <kms.out
fake() { # PATH [JSON]: the fake KMS's control
    python3 -c 'import sys, urllib.request
print(urllib.request.urlopen(sys.argv[1], *(word.encode() for word in sys.argv[2:])).read().decode())' "$CMEK_TEST_FAKE$1" "${@:2}"
}
quotes() { # LANGUAGE PATTERN: the id in brackets is one that the KMS gave, with it the line fits, and the database is named once
    local id
    echo row | by "$1" lines prod/orders >told
    cat told
    id=$(sed -n 's/.*\[\(.*\)\]$/\1/p' told)
    [ "$(grep -o prod/orders told | wc -l)" -eq 1 ] && [ -n "$id" ] && has_line "$id" fake /_requests && grep -q "${2//ID/$id}" told
}
new_home
{
    "$cmek" project create lab && "$cmek" key add --project lab "$CMEK_TEST_KMS_KEY" --label root &&
        "$cmek" cluster create --project lab prod --key root --region us-west-2 && "$cmek" database create --project lab prod/orders
} >"$work/.output" 2>&1 || tap_fail "a database under a key of AWS's KMS, simulated, is there" "$work/.output"
for language in "${languages[@]}"; do
    ok "in $language nothing is to be quoted" has_line '^sealed' sh -c "echo row | '$work/$language' lines prod/orders"
done
ok "the key is disabled" fake /_key '{"do": "state", "arn": "'"$CMEK_TEST_KMS_KEY"'", "state": "Disabled"}'
for language in "${languages[@]}"; do
    ok "$language is told of the request that was refused" quotes "$language" "disabled.*(request ID).*\[ID\]"
done
by_older() { # a module that says no number
    echo row | CMEK_PKCS11_MODULE=$build/tests/module/older.so CMEK_TEST_MINOR=2 by c lines prod/orders >told
    cat told
    grep -q 'disabled.*(request .*\[\]$' told
}
ok "of an older module, C is told the same without" by_older
ok "it is enabled" fake /_key '{"do": "state", "arn": "'"$CMEK_TEST_KMS_KEY"'", "state": "Enabled"}'
ok "and the KMS throttles" fake /_fault '{"op": "*", "count": 1000, "status": 400, "type": "ThrottlingException"}'
for language in "${languages[@]}"; do
    ok "$language is told of a request that was throttled, whose text has no number" quotes "$language" "try again.*\[ID\]"
done
exec 6>&-
wait $kms
finish
