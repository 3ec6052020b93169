#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0

# The tool's whole story on the embedded KMS, as README tells it; then what each command shows, for people and programs.
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
new_home

json() { # PYTHON-EXPRESSION over `it`, of the last command's output
    python3 -c 'import json, sys; it = json.load(open(sys.argv[1])); sys.exit(not eval(f"({sys.argv[2]})"))' "$work/.last" "$1" ||
        { echo "not so: $1"; cat "$work/.last"; return 1; }
}

ok "an empty store has no projects" "$cmek" project list
ok "and says so in JSON" "$cmek" project list --json
ok "as an empty list" json 'it == []'
refused "doctor finds the module in order and no project" "$cmek" doctor
ok "and says how to make one" says "cmek project create NAME"

ok "a project" "$cmek" project create demo
ok "its root key" "$cmek" key create --project demo local:my-root --label root
ok "a cluster" "$cmek" cluster create --project demo prod --key root --region us-west-2
ok "a database" "$cmek" database create --project demo prod/orders
ok "another" "$cmek" database create --project demo prod/invoices
echo "card 4111-0000" >"$work/orders.db"
ok "a file is encrypted" "$cmek" encrypt --project demo --database prod/orders "$work/orders.db" "$work/orders.cmek"
ok "without a word" test ! -s "$work/.last"
refused "nothing of it can be read" grep -a 4111 "$work/orders.cmek"
ok "it is decrypted" "$cmek" decrypt "$work/orders.cmek" "$work/orders.again"
ok "it is the same" cmp "$work/orders.db" "$work/orders.again"

zone=$("$cmek" database show --project demo prod/orders --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["zone"])')
ok "with --json the output says what was done" "$cmek" encrypt --json --project demo --database prod/orders "$work/orders.db" "$work/told.cmek"
ok "in one object" json "it == {'file': '$work/told.cmek', 'project': 'demo', 'database': 'prod/orders', 'zone': '$zone', 'plain_bytes': 15}"
ok "of decrypting too" "$cmek" decrypt --json "$work/told.cmek" "$work/told"
ok "with the same" json "it == {'file': '$work/told', 'project': 'demo', 'database': 'prod/orders', 'zone': '$zone', 'plain_bytes': 15}"
ok "and the file is there" cmp "$work/orders.db" "$work/told"
for command in "encrypt --project demo --database prod/orders" decrypt; do
    # shellcheck disable=SC2086 # a verb and its options
    refused "${command%% *} does not mix it with data on standard output" "$cmek" $command --json "$work/told.cmek" -
    ok "and says what to do" says "--json and the data can't both go to standard output; name a file"
done

ok "projects are listed" "$cmek" project list --json
ok "with slot" json '[p["project"] for p in it] == ["demo"] and isinstance(it[0]["slot"], int)'
ok "a project is shown" "$cmek" project show demo --json
ok "with what it holds" json '(it["root_keys"], it["clusters"], it["databases"]) == (1, 1, 2)'
ok "root keys are listed" "$cmek" key list --project demo --json
ok "with provider and ARN" json 'it[0]["label"] == "root" and it[0]["provider"] == "local" and
    it[0]["arn"].startswith("arn:local:kms:")'
ok "a root key is shown" "$cmek" key show --project demo root --json
ok "and tried" json 'it["label"] == "root" and it["state"] == "active"'
ok "clusters are listed" "$cmek" cluster list --project demo --json
ok "with region and root key" json 'it[0]["cluster"] == "prod" and it[0]["region"] == "us-west-2" and
    it[0]["provider"] == "local" and it[0]["root_key"].startswith("arn:local:")'
ok "a cluster is shown" "$cmek" cluster show --project demo prod
ok "by its name" says prod
ok "databases are listed" "$cmek" database list --project demo --json
ok "with zone ids as text" json 'sorted(d["database"] for d in it) == ["prod/invoices", "prod/orders"] and
    all(d["zone"].isdigit() and 0 < int(d["zone"]) < 2**63 and d["version"] == 1 for d in it)'
ok "a database is shown" "$cmek" database show --project demo prod/orders --json
ok "the same" json 'it["database"] == "prod/orders" and it["state"] == "active"'
ok "an envelope is inspected" "$cmek" inspect "$work/orders.cmek" --json
ok "its zone is the database's" json "it['zone'] == '$zone' and it['version'] == 1 and it['plain_bytes'] == 15 and
    it['name_bound'] is False and it['record'] == 'embedded' and it['root_key'].startswith('arn:local:')"
ok "for people too" "$cmek" inspect "$work/orders.cmek"
ok "in a line each" says "zone           $zone"
inspect_without_module() { CMEK_PKCS11_MODULE=/nonexistent CMEK_PKCS11_CONF=/nonexistent "$cmek" inspect "$1"; }
ok "without a module, a store or a key" inspect_without_module "$work/orders.cmek"
inspect_stdin() { "$cmek" inspect - --json <"$1"; }
ok "from standard input" inspect_stdin "$work/orders.cmek"
ok "the tree is drawn" "$cmek" tree
ok "project first" says "project demo"
ok "then the root key with its state" says "└── root key root  (active, local, arn:local:kms:"
ok "then the cluster" says "    └── cluster prod  (local, us-west-2)"
ok "then the databases" says "        ├── database prod/"
ok "the tree in JSON" "$cmek" tree --project demo --json
ok "is nested" json "[(k['label'], k['provider'], k['state'], [(c['label'], c['region'],
    sorted((d['label'], d['zone'] == '$zone', d['version']) for d in c['databases'])) for c in k['clusters']])
    for k in it[0]['root_keys']] ==
    [('root', 'local', 'active', [('prod', 'us-west-2', [('prod/invoices', False, 1), ('prod/orders', True, 1)])])]"
ok "the tree without asking the KMS" "$cmek" tree --offline
ok "says so" says "└── root key root  (not asked, local, arn:local:kms:"
ok "also in JSON" "$cmek" tree --offline --json
ok "as a field" json "it[0]['root_keys'][0]['state'] == 'not asked'"
ok "the tree that asks for all" "$cmek" tree --states --json
ok "has the state there" json "it[0]['root_keys'][0]['state'] == 'active'"

ok "doctor finds everything in order" "$cmek" doctor
ok "the configuration" says "configuration: $CMEK_PKCS11_CONF"
calm() { [ "$(grep -c '^KMS: aws' "$work/.last")" -eq 1 ] && grep -q "^KMS: aws is not set up, and nothing here needs it: no AWS region" "$work/.last" && ! grep -q wrong "$work/.last"; }
ok "the store" says "store.db"
ok "the root key" says "root"
ok "the database" says "prod/orders"
ok "a KMS that nobody uses, in one calm line" calm
ok "doctor in JSON" "$cmek" doctor --json
ok "says so by rows" json 'it["ok"] is True and {row["status"] for row in it["rows"]} == {"ok"} and "demo" in [row["project"] for row in it["rows"]]'

# What is left to its default.
ok "a key is labelled by its name" "$cmek" key create --project demo local:second --json
ok "namely" json 'it["label"] == "second"'
ok "the provider can be said" "$cmek" cluster create --project demo test --key second --region eu-central-1 --provider local
ok "names may be any UTF-8" "$cmek" project create 'mañana 🔑'
ok "and are found again" "$cmek" project show 'mañana 🔑' --json
ok "as they are" json 'it["project"] == "mañana 🔑"'

# What the documents tell people to type, typed.
examples() { # FILE FROM TO: the lines between, with what is folded, as they stand
    sed -n "/$2/,/$3/p" "$root/$1" | sed '/^```/d; /^\.Ed/d' | sed "s|build/cmek-pkcs11|$build/cmek-pkcs11|"
}
typed() { # FILE FROM TO
    rm -rf "$work/typed" && mkdir "$work/typed" && { [ "$1" = README.md ] || echo "card 4111-0000" >"$work/typed/orders.db"; }
    examples "$@" >"$work/typed/lines" && [ "$(wc -l <"$work/typed/lines")" -ge 2 ] &&
        (cd "$work/typed" && PATH=$build:$PATH bash -eu lines)
}
new_home
ok "README's first steps" typed README.md '^cmek project create' '^```'
ok "end in the same file" test "$(cat "$work/typed/orders.db")" = "card 4111-0000"
ok "which is encrypted beside it" "$cmek" inspect "$work/typed/orders.db.cmek"
ok "and bring a folder back" cmp "$work/typed/data/orders.db" "$work/typed/back/orders.db"
typed_again() { (cd "$work/typed" && PATH=$build:$PATH bash -eu <(grep '^cmek decrypt --force' lines)); }
ok "decrypting may be typed twice" typed_again
if command -v pkcs11-tool >/dev/null; then
    ok "README's lines for other programs" typed README.md '^pkcs11-tool --module' '^```'
    ok "make the zone that they name" "$cmek" database show --project demo default/default
else
    skip "README's lines for other programs" "pkcs11-tool is not here"
fi
new_home
ok "the manual's first example" typed man/cmek.1 '^cmek project create' '^\.Ed'
ok "encrypts its file" "$cmek" inspect "$work/typed/orders.db.cmek"
new_home
help_steps() { # they stand for people in cmek --help, with a remark in brackets
    rm -rf "$work/typed" && mkdir "$work/typed" && "$cmek" --help | sed -n 's/^  \(cmek [pkcde].*\)/\1/p' | sed '/^cmek encrypt/q; s/ *(.*//' >"$work/typed/lines" &&
        [ "$(wc -l <"$work/typed/lines")" -eq 5 ] && (cd "$work/typed" && echo x >FILE && PATH=$build:$PATH bash -eu lines)
}
ok "the first steps of cmek --help" help_steps
ok "encrypt their file" "$cmek" inspect "$work/typed/FILE.cmek"

ok "the tool finds the module beside itself" env -u CMEK_PKCS11_MODULE "$cmek" project list

letters() { # in a project of its own
    "$cmek" project create letters && "$cmek" key create --project letters local:letters --label r &&
        "$cmek" cluster create --project letters prod --key r --region us-west-2 && "$cmek" database create --project letters prod/Größe &&
        "$cmek" database create --project letters prod/long-name
}
ok "names may have letters beyond ASCII" letters
ok "and stand in a list" "$cmek" database list --project letters
ok "whose columns are straight, in characters" python3 -c 'import sys
lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
at = lines[0].index("zone ")
sys.exit(len(lines) != 3 or not all(line[at - 1] == " " and line[at].isdigit() for line in lines[1:]))' "$work/.last"

finish
