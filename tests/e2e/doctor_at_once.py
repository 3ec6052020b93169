#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""cmek doctor asks about many root keys at once, and about no more than eight: counted at the fake KMS, which lets none of the first eight go
before all are there. The rows are those of a doctor that asks one after the other, as a program has it by CMEK_Doctor. TAP."""

import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from fake_kms import FakeAws  # noqa: E402
from load_place import Tally  # noqa: E402

BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
KEYS, AT_ONCE, SAMPLE, ZONES = 12, 8, 3, 5
ok = Tally()


class Someone:
    def __init__(self, fake, home):
        self.environment = {**{name: value for name, value in os.environ.items() if not name.startswith("AWS_")}, **fake.environment(),
                            "CMEK_PKCS11_MODULE": os.path.join(BUILD, "cmek-pkcs11.so"),
                            "CMEK_PKCS11_CONF": os.path.join(home, "cmek.conf"), "HOME": home}

    def cmek(self, *words):
        done = subprocess.run([os.path.join(BUILD, "cmek"), *words], env=self.environment, capture_output=True, text=True, timeout=300, check=False)
        self.out, self.code, self.said = done.stdout, done.returncode, done.stdout + done.stderr
        return self.code == 0

    def report(self, *words):
        self.cmek("doctor", "--json", *words)
        return json.loads(self.out)


def make(fake, who):
    """Root keys, a cluster on each, databases in it."""
    keys = [fake.keys.create("us-west-2") for _ in range(KEYS)]
    good = who.cmek("project", "create", "p")
    for number, key in enumerate(keys):
        good = good and who.cmek("key", "add", "--project", "p", key.arn, "--label", f"k{number:02}")
        good = good and who.cmek("cluster", "create", "--project", "p", f"c{number:02}", "--key", f"k{number:02}", "--region", "us-west-2")
    for number in range(ZONES):
        good = good and who.cmek("database", "create", "--project", "p", f"c00/{number}") and who.cmek(
            "database", "create", "--project", "p", f"c01/{number}")
    ok(good, f"{KEYS} root keys are there, with databases below two", who.said)
    return keys


def without_request(text):
    return re.sub(r" \(request [0-9a-f-]+\)", "", text)


def named(report, what):
    return [row["which"] for row in report["rows"] if row["what"] == what]


def check_at_once(fake, who):
    fake.reset()
    fake.most_at_once = 0
    fake.faults.order(op="Decrypt", count=1000, gather=AT_ONCE)
    report = who.report()
    ok(report["ok"] and who.code == 0, "all works", report)
    ok(fake.most_at_once == AT_ONCE, f"{AT_ONCE} root keys are asked about at once, and never more", fake.most_at_once)
    ok(named(report, "root key") == [f"k{number:02}" for number in range(KEYS)], "their rows are in the order of the store", named(report, "root key"))
    ok(named(report, "zone") == [f"c{cluster:02}/{number}" for number in range(SAMPLE) for cluster in range(2)], "and those of zones, some below each",
       named(report, "zone"))
    asked = [entry for entry in fake.requests() if entry["op"] == "Decrypt" and entry.get("context", {}).get("cmek:purpose") == "ezk"]
    ok(len(asked) == 2 * SAMPLE, "a number of calls that is bounded: no zone beside these is opened", len(asked))
    return report


def check_faults(fake, who, keys):
    keys[1].state = "Disabled"
    report = who.report()
    rows = [row for row in report["rows"] if row["status"] == "failed"]
    ok(who.code == 5 and [(row["what"], row["which"]) for row in rows] == [("root key", "k01")], "the fault of a root key is told once", rows)
    ok(report["rows"][0] == rows[0], "and first", report["rows"][0])
    notes = [row["why"] for row in report["rows"] if row["what"] == "zones" and row["status"] == "note"]
    ok(notes == [f"{ZONES} can't be opened for that"], "what is below it is one row", notes)
    first, later = without_request(who.out), [without_request(json.dumps(who.report(), indent=2) + "\n") for _ in range(3)]
    ok(later == [first] * 3, "and each report is the same", first + later[-1])
    keys[1].state = "Enabled"


def check_older(fake, who):
    """By a module that can't be asked in parts."""
    new, module = who.report(), who.environment["CMEK_PKCS11_MODULE"]
    who.environment |= {"CMEK_PKCS11_MODULE": os.path.join(BUILD, "tests", "module", "older.so"), "CMEK_TEST_MINOR": "1"}
    fake.most_at_once = 0
    ok(who.report() == new, "an older module's doctor tells the same", who.out)
    ok(fake.most_at_once == 1, "one after the other", fake.most_at_once)
    who.environment["CMEK_TEST_MINOR"] = "0"
    ok(not who.cmek("doctor") and "older than this program" in who.said, "one that has none is told of", who.said)
    who.environment["CMEK_PKCS11_MODULE"] = module


def check_audit(home):
    with open(os.path.join(home, "audit"), encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    said = {line.get("function") for line in lines if line["event"] == "kms" and line.get("purpose") == "ezk"}
    ok("CMEK_Doctor" in said and said <= {"CMEK_Doctor", "C_GenerateKey"}, "the audit log names the function that asked, on each thread", said)


with FakeAws() as the_fake, tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, "cmek.conf"), "w", encoding="utf-8") as config:
        config.write(f"[store]\npath = {folder}/store.db\n[log]\naudit = {folder}/audit\n")
    someone = Someone(the_fake, folder)
    roots = make(the_fake, someone)
    check_at_once(the_fake, someone)
    check_faults(the_fake, someone, roots)
    check_older(the_fake, someone)
    check_audit(folder)
print(f"1..{ok.count}")
