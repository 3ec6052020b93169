#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# Messages by the tool: cmek encrypt --message, decrypt and inspect, with and without the store, and one that another program wrote.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_project demo
ok "a cluster" "$cmek" cluster create --project demo prod --key root --region us-west-2
ok "a database" "$cmek" database create --project demo prod/orders
ok "another" "$cmek" database create --project demo prod/invoices
ok "one that keeps its key" "$cmek" database create --project demo --no-embed prod/kept
encrypt() { "$cmek" encrypt --project demo --database prod/orders --message "$@"; }
sandbox=$work/messages
mkdir "$sandbox"
cd "$sandbox" || exit 1

exits() { # CODE COMMAND...
    local code=$1 status=0
    shift
    "$@" || status=$?
    [ $status -eq "$code" ] || { echo "exit code $status, not $code"; return 1; }
}
round_trip() { # SIZE
    head -c "$1" /dev/urandom >plain && encrypt --force plain sealed && "$cmek" decrypt --force sealed again && cmp plain again
}
has_bytes_more() { [ "$(stat -c %s sealed)" -eq $(($(stat -c %s plain) + 8 + 128)) ]; }
inspected() { "$cmek" inspect --json "$1" | python3 -c "import json, sys; sys.exit(str(json.load(sys.stdin)['$2']) != '$3')"; }

for size in 0 1 65536 1000000; do
    ok "a message of $size bytes comes back" round_trip $size
    ok "it has 128 bytes more than that and its collection" has_bytes_more
done
head -c 67108865 /dev/zero >large
ok "one of more than 64 MiB is refused" exits 4 encrypt large none
ok "in words" says "a message has at most 64 MiB; encrypt it without --message"
rm large

echo "insert 4711" >plain
ok "with a collection and a name" encrypt --collection 449302 --name orders/3 plain named
ok "which inspect shows" inspected named collection 449302
ok "it opens with that name" exits 0 "$cmek" decrypt --name orders/3 named -
ok "it shows nothing but what was sealed" says "insert 4711"
ok "without its name it does not" exits 4 "$cmek" decrypt named -
ok "nor with another" exits 7 "$cmek" decrypt --name orders/4 named -
ok "in words" says "changed, or bound to another name than given: look at the name"
ok "of another database it is not" exits 4 "$cmek" decrypt --database prod/invoices --name orders/3 named -
ok "a collection is a number" exits 2 encrypt --collection blue plain none
ok "and of messages" exits 2 "$cmek" encrypt --project demo --database prod/orders --collection 1 plain none
ok "a database that keeps its key puts it into no message" exits 4 "$cmek" encrypt --project demo --database prod/kept --message --embed plain none
ok "in words" says "leave out --embed"
ok "but seals them" "$cmek" encrypt --project demo --database prod/kept --message plain kept
ok "and opens them" "$cmek" decrypt kept -
ok "with the record in it" encrypt --embed plain embedded
ok "rescue.py opens it" python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" embedded -
ok "it says the same" says "insert 4711"
ok "the one without it, by its store" python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" --store "$home/store.db" --name orders/3 named -
ok "it says the same" says "insert 4711"
refused "but with no other name" python3 "$root/tools/rescue.py" --local-keys "$home/local.keys" --store "$home/store.db" --name orders/4 named -
ok "another program writes one by docs/format.md" env CMEK_ROOT="$root" python3 "$root/tests/e2e/message_writer.py" "$home/local.keys" embedded "delete 4711" foreign
ok "which opens" "$cmek" decrypt foreign -
ok "and says what was written" says "delete 4711"
ok "of data key and number that it has" inspected foreign number 7
head -c 130 embedded >cut.cmek
ok "a message that was cut short is damaged" exits 7 "$cmek" decrypt cut.cmek -
ok "in words" says "message: cut short"

keys=$home/local.keys
new_home
cp "$keys" "$home/local.keys"
ok "where no project is, its store is asked for" exits 3 "$cmek" decrypt kept -
ok "in words" says "use the store where its database lives"
ok "elsewhere, with the root key alone" "$cmek" project create fresh
ok "which is added" "$cmek" key add --project fresh local:test-root
ok "the one with the record opens" "$cmek" decrypt embedded -
ok "it says the same" says "insert 4711"
ok "the one without does not" exits 3 "$cmek" decrypt --name orders/3 named -
ok "in words" says "use the store where its database lives"
finish
