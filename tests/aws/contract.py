#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The contract of all providers (tests/unit/kms/contract.c) on our fake of AWS KMS; and on the real one where CMEK_TEST_REAL_KMS_KEY names
a symmetric key of yours by its ARN (two, with a space between, for the cases that need two), with the credentials of the environment: some
sixty calls, no key is made or changed. Where the two differ is listed, case by case. TAP."""

import os
import re
import subprocess
import sys

from driver import Tap, clean_environment
from fake_kms import FakeAws

PROGRAM = sys.argv[2]
LINE = re.compile(r"(not ok|ok) \d+ - (# SKIP )?aws: (\w+)|not ok \d+ # SKIP aws: (\w+)")


def run(environment):
    """{case: "ok", "not ok" or "left out"} and the output."""
    done = subprocess.run([PROGRAM], env=environment | {"CMOCKA_MESSAGE_OUTPUT": "TAP"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=110, check=False)
    cases = {}
    for line in done.stdout.splitlines():
        found = LINE.match(line)
        if found:
            cases[found[3] or found[4]] = "left out" if "SKIP" in line else found[1]
    return cases, done.stdout


def on_the_fake(tap):
    with FakeAws() as fake:
        keys = [fake.keys.create("us-west-2") for _ in range(2)]
        fake.keys.aliases["us-west-2", "alias/contract"] = keys[0]
        cases, output = run(clean_environment() | fake.environment() | {
            "CMEK_TEST_KMS": "fake", "CMEK_TEST_KMS_ENDPOINT": fake.url, "CMEK_TEST_KMS_KEYS": " ".join(key.arn for key in keys),
            "CMEK_TEST_KMS_KEY_ID": keys[0].id, "CMEK_TEST_KMS_ALIAS": "alias/contract",
            "CMEK_TEST_KMS_ALIAS_ARN": keys[0].arn.split("key/")[0] + "alias/contract"})
        calls, connections = len(fake.requests()), fake.connections
    tap.ok(len(cases) > 10 and set(cases.values()) == {"ok"}, f"all {len(cases)} cases hold on the fake", output)
    tap.ok(calls > 40 and connections <= 4, "over few connections that are kept", f"{calls} calls over {connections} connections")
    return cases


def on_the_real_one(tap, fake_cases):
    title = "all cases hold on the real KMS"
    keys = os.environ.get("CMEK_TEST_REAL_KMS_KEY")
    if not keys:
        tap.skip(title, "CMEK_TEST_REAL_KMS_KEY names no key")
        return
    cases, output = run(os.environ | {"CMEK_TEST_KMS": "real", "CMEK_TEST_KMS_KEYS": keys, "CMEK_TEST_KMS_KEY_ID": keys.split("/")[1].split()[0]})
    differences = {case: (fake_cases[case], cases.get(case, "did not run")) for case in fake_cases if cases.get(case) != fake_cases[case]}
    for case, (fake, real) in differences.items():
        print(f"# differs: {case}: {fake} on the fake, {real} on the real KMS")
    print(f"# {len(differences)} differences between the fake and the real KMS")
    tap.ok("not ok" not in cases.values() and len(cases) == len(fake_cases), title, output)


def main():
    tap = Tap()
    on_the_real_one(tap, on_the_fake(tap))
    tap.finish()


main()
