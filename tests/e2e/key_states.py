#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The states of root keys, each by its exact word, wherever they are shown: cmek tree, key show and doctor, in words and in JSON, and the
attributes on the root-key object; over HTTP, on the fake KMS. What doctor exits with."""

import datetime
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from fake_kms import FakeAws  # noqa: E402
from load_place import Tally  # noqa: E402

BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
EVER = 1000
ok = Tally()

# KeyState; the word; CMEK_STATE_…; is there a date; doctor's exit code.
STATES = [
    ("Enabled", "active", 1, False, 0),
    ("Updating", "active", 1, False, 0),
    ("Disabled", "disabled", 2, False, 5),
    ("PendingDeletion", "pending deletion", 5, True, 5),
    ("PendingReplicaDeletion", "pending deletion", 5, False, 5),
    ("PendingImport", "pending import", 6, False, 5),
    ("Unavailable", "unavailable", 7, False, 5),
    ("Creating", "not usable", 8, False, 5),
]
# What comes between us and an enabled key; the word; CMEK_STATE_…; doctor's exit code.
FAULTS = [
    ("a failure of the KMS", {"status": 500, "type": "KMSInternalException"}, "not reachable", 4, 6),
    ("throttling", {"status": 400, "type": "ThrottlingException"}, "not reachable", 4, 6),
    ("a connection that breaks", {"reset": "before"}, "not reachable", 4, 6),
    ("an unknown token", {"type": "UnrecognizedClientException"}, "credentials refused", 12, 6),
]


class Someone:
    """A user who runs programs, with an identity and a configuration."""

    def __init__(self, fake, home, user):
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")}, **fake.environment(),
            "AWS_ACCESS_KEY_ID": user.access_key, "AWS_SECRET_ACCESS_KEY": user.secret,
            "CMEK_PKCS11_MODULE": os.path.join(BUILD, "cmek-pkcs11.so"), "CMEK_PKCS11_CONF": os.path.join(home, "cmek.conf"), "HOME": home,
        }

    def run(self, *words):
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        self.out, self.code, self.said = done.stdout, done.returncode, done.stdout + done.stderr
        return self.code == 0

    def cmek(self, *words):
        return self.run(os.path.join(BUILD, "cmek"), *words)

    def json(self, *words):
        self.cmek(*words, "--json")
        return json.loads(self.out)


def utc(seconds):
    moment = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}Z"


def check_everywhere(who, key, name, word, number, date, code):
    until = f" until {date}" if date else ""
    ok(who.cmek("tree") and f"└── root key root  ({word}{until}, aws, {key.arn})\n" in who.out, f"{name}: the tree says {word}{until and ', and until when'}",
       who.said)
    shown = who.json("tree")[0]["root_keys"][0]
    ok((shown["state"], shown.get("deletion_date")) == (word, date), "and in JSON", shown)
    ok(who.cmek("key", "show", "--project", "p", "root") and [word] == [line.split(None, 1)[1] for line in who.out.splitlines()
       if line.startswith("state ")], "key show says it", who.said)
    shown = who.json("key", "show", "--project", "p", "root")
    ok((shown["state"], shown.get("deletion_date"), "reason" in shown) == (word, date, word != "active"),
       "and in JSON, with a reason if it is not active", shown)
    line = f"root key root ({key.arn}, us-west-2): " + ("ok, active\n" if word == "active" else f"FAILED: {word}{until}: ")
    who.cmek("doctor")
    ok(who.code == code and line in who.out, f"doctor says it, and exits {code}", f"{who.code}\n{who.said}")
    report = who.json("doctor")
    row = [row for row in report["rows"] if row["what"] == "root key"][0]
    ok((who.code, report["exit_code"], report["ok"], row["status"]) == (code, code, code == 0, "failed" if code else "ok") and row["which"] == "root"
       and row["details"] == f"{key.arn}, us-west-2" and row["why"].startswith(f"{word}{until}: " if code else "ok, active"), "in JSON too, as fields", report)
    who.run(os.path.join(BUILD, "tests", "module", "key_state"), "p", "root")
    ok(who.out == f"0 {number} {number} {date or '-'}\n", f"the root key's attributes say {number}", who.said)




def check_states(fake, owner, stranger, key):
    for state, word, number, dated, code in STATES:
        key.state = state
        check_everywhere(owner, key, state, word, number, utc(key.deletion_date) if dated else None, code)
        # By the text of the refusal alone.
        ok(owner.cmek("database", "create", "--project", "p", f"c/{state}") if code == 0 else not owner.cmek(
            "database", "create", "--project", "p", "c/none") and owner.code == code, f"{state}: making a database exits {code}", owner.said)
        ok(stranger.json("tree")[0]["root_keys"][0]["state"] == word, f"{state}: whoever may not describe the key sees {word} too", stranger.said)
    key.state = "PendingDeletion"
    fake.faults.order(op="Decrypt", type="DisabledException", message=f"{key.arn} is disabled.")
    ok(owner.json("tree")[0]["root_keys"][0]["state"] == "pending deletion", "DescribeKey is more exact than a DisabledException", owner.said)
    key.state = "Enabled"


def check_denied(fake, home, key):
    nobody = Someone(fake, home, fake.identities.user("nobody", []))
    check_everywhere(nobody, key, "no right at all", "access denied", 9, None, 5)
    ok("not authorized" in nobody.json("key", "show", "--project", "p", "root")["reason"], "and the reason is the KMS's", nobody.said)
    sees = {"Statement": [{"Effect": "Allow", "Action": "kms:DescribeKey", "Resource": key.arn}]}
    looker = Someone(fake, home, fake.identities.user("looker", [sees]))
    check_everywhere(looker, key, "a right to look alone", "access denied", 9, None, 5)


def check_not_heard(fake, owner, key):
    for name, fault, word, number, code in FAULTS:
        fake.faults.order(count=EVER, **fault)
        check_everywhere(owner, key, name, word, number, None, code)
        fake.faults.clear()
    secret = owner.environment.pop("AWS_SECRET_ACCESS_KEY")
    access = owner.environment.pop("AWS_ACCESS_KEY_ID")
    check_everywhere(owner, key, "no credentials", "no credentials", 11, None, 6)
    owner.environment.update(AWS_ACCESS_KEY_ID=access, AWS_SECRET_ACCESS_KEY=secret)


def check_gone(fake, owner, key):
    held = fake.keys.keys.pop((key.region, key.id))
    check_everywhere(owner, key, "a key that is not there", "not found", 10, None, 5)
    fake.keys.keys[key.region, key.id] = held


def check_calls(fake, owner):
    """What tree costs, and that it can cost nothing."""
    fake.reset()
    ok(owner.cmek("tree") and fake.calls() == {"Decrypt": 1}, "tree asks once for an active key", fake.calls())
    fake.reset()
    ok(owner.cmek("tree", "--offline") and "root key root  (not asked, aws, " in owner.out and not fake.calls(), "tree --offline asks no KMS",
       f"{owner.said}{fake.calls()}")
    ok(owner.json("tree", "--offline")[0]["root_keys"][0]["state"] == "not asked", "and says so in JSON", owner.said)
    ok(owner.cmek("key", "list", "--project", "p") and not fake.calls(), "nor does key list", fake.calls())
    ok(not owner.cmek("tree", "--offline", "--states") and owner.code == 2, "tree can't do both", owner.said)


def check_deadline(fake, owner, extra):
    """A KMS that says nothing: one is asked, and the rest of the keys there are known to be out of reach by that."""
    for number in range(extra):
        owner.cmek("key", "add", "--project", "p", fake.keys.create("us-west-2").arn, "--label", f"extra{number}")
    fake.reset()
    fake.faults.order(op="Decrypt", count=EVER, delay_ms=6000)
    states = [key["state"] for key in owner.json("tree")[0]["root_keys"]]
    ok(states == ["not reachable"] * (extra + 1) and fake.calls().get("Decrypt", 0) <= 3, "in a silence the tree asks once for all, with its retries",
       f"{states} {fake.calls()}")
    states = [key["state"] for key in owner.json("tree", "--states")[0]["root_keys"]]
    ok(states.count("not reachable") == extra + 1, "with --states it asks for all", states)
    fake.faults.clear()


def check_both(fake, owner, home):
    """A no and an outage: the no is what waiting does not cure."""
    key = fake.keys.create("us-west-2")
    for words in (("project", "create", "both"), ("key", "add", "--project", "both", key.arn), ("key", "create", "--project", "both", "local:here")):
        ok(owner.cmek(*words), " ".join(words[:2]), owner.said)
    ok(owner.cmek("doctor", "--project", "both"), "doctor is content", owner.said)
    os.rename(os.path.join(home, "local.keys"), os.path.join(home, "aside"))
    os.mkdir(os.path.join(home, "local.keys"))
    owner.cmek("doctor", "--project", "both")
    ok(owner.code == 6, "with a KMS out of reach doctor exits 6", f"{owner.code}\n{owner.said}")
    key.state = "Disabled"
    owner.cmek("doctor", "--project", "both")
    ok(owner.code == 5, "with a key disabled besides it exits 5", f"{owner.code}\n{owner.said}")
    owner.cmek("doctor")
    ok(owner.code == 5, "also over all projects", f"{owner.code}\n{owner.said}")


def main():
    with FakeAws() as fake, tempfile.TemporaryDirectory() as home:
        with open(os.path.join(home, "cmek.conf"), "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {home}/store.db\n[local]\npath = {home}/local.keys\n[aws]\nmax_attempts = 1\ncall_timeout_ms = 4000\n")
        owner, key = Someone(fake, home, fake.user), fake.keys.create("us-west-2")
        for words in (
            ("project", "create", "p"), ("key", "add", "--project", "p", key.arn, "--label", "root"),
            ("cluster", "create", "--project", "p", "c", "--key", "root", "--region", "us-west-2"), ("database", "create", "--project", "p", "c/a"),
        ):
            ok(owner.cmek(*words), " ".join(words[:2]), owner.said)
        may_decrypt = {"Statement": [{"Effect": "Allow", "Action": "kms:Decrypt", "Resource": key.arn}]}
        stranger = Someone(fake, home, fake.identities.user("stranger", [may_decrypt]))
        check_states(fake, owner, stranger, key)
        check_denied(fake, home, key)
        check_not_heard(fake, owner, key)
        check_gone(fake, owner, key)
        check_calls(fake, owner)
        check_both(fake, owner, home)
        check_deadline(fake, owner, 4)
    print(f"1..{ok.count}")


main()
