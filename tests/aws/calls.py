#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""How often the KMS is asked by each command: what docs/aws.md says ("What it costs") is what the fake KMS counts. TAP."""

import os
import re
import subprocess

from driver import HERE, Home, Tap
from fake_kms import FakeAws

BUILD = os.environ.get("CMEK_BUILD", os.path.join(HERE, "../../build"))
ROW = re.compile(r"\| `cmek ([a-z -]+)` \| ([A-Za-z0-9, ]+) \|$")


def documented():
    """{command: {operation: calls}}"""
    with open(os.path.join(HERE, "../../docs/aws.md"), encoding="utf-8") as file:
        rows = [ROW.match(line.rstrip("\n")) for line in file]
    return {row[1]: {} if row[2] == "none" else {part.split()[0]: int(part.split()[1]) for part in row[2].split(", ")} for row in rows if row}


def commands(home, key):
    return [
        ("project create", ["p"]),
        ("key add", ["--project", "p", key, "--label", "root"]),
        ("cluster create", ["--project", "p", "c", "--key", "root", "--region", "us-west-2"]),
        ("database create", ["--project", "p", "c/d"]),
        ("encrypt", ["--project", "p", "--database", "c/d", home.path("in"), home.path("out")]),
        ("decrypt", [home.path("out"), home.path("again")]),
        ("tree", []),
        ("tree --offline", []),
        ("key show", ["--project", "p", "root"]),
        ("key list", ["--project", "p"]),
    ]


def main():
    tap, expected = Tap(), documented()
    with FakeAws() as fake, Home(fake, **fake.environment()) as home:
        home.write("in", "x").write("cmek.conf", f"[store]\npath = {home.path('store.db')}\n")
        home.set(CMEK_PKCS11_CONF=home.path("cmek.conf"), CMEK_PKCS11_MODULE=os.path.join(BUILD, "cmek-pkcs11.so"))
        rows = commands(home, fake.keys.create("us-west-2").arn)
        tap.ok(set(expected) == {name for name, _ in rows}, "every command of the table is tried", expected)
        for name, words in rows:
            fake.reset()
            done = subprocess.run([os.path.join(BUILD, "cmek"), *name.split(), *words], env=home.environment, capture_output=True, text=True,
                                  timeout=60, check=False)
            tap.ok(done.returncode == 0 and fake.calls() == expected.get(name), f"cmek {name}", f"{fake.calls()}, {expected.get(name)}\n{done.stderr}")
    tap.finish()


main()
