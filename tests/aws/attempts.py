#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""How often a request is made that keeps failing: by whose word, and which words are refused. The fake KMS counts. TAP."""

from driver import OK, UNAVAILABLE, WRONG, Home, Probe, Tap
from fake_kms import FakeAws

# (the configuration's, the environment's, the profile's lines, requests or None: refused)
ROWS = [
    (None, {}, "", 3),
    (None, {"AWS_MAX_ATTEMPTS": 5}, "", 5),
    (None, {}, "max_attempts = 4", 4),
    (None, {"AWS_MAX_ATTEMPTS": 2}, "max_attempts = 4", 2),
    (1, {"AWS_MAX_ATTEMPTS": 5}, "max_attempts = 4", 1),
    (None, {"AWS_MAX_ATTEMPTS": 1, "AWS_RETRY_MODE": "standard"}, "", 1),
    (None, {"AWS_RETRY_MODE": "adaptive"}, "", 3),
    (None, {}, "retry_mode = legacy", 3),
    (None, {"AWS_MAX_ATTEMPTS": ""}, "", 3),
    (None, {"AWS_MAX_ATTEMPTS": 0}, "", None),
    (None, {"AWS_MAX_ATTEMPTS": "many"}, "", None),
    (None, {"AWS_MAX_ATTEMPTS": -1}, "", None),
    (None, {"AWS_MAX_ATTEMPTS": "99999999999999999999"}, "", None),
    (None, {}, "max_attempts = 3x", None),
    (None, {"AWS_RETRY_MODE": "eager"}, "", None),
    (None, {}, "retry_mode = none", None),
]


def check(tap, fake, key, row):
    attempts, environment, lines, expected = row
    with Home(fake, **fake.environment(), **environment) as home:
        home.write("config", f"[default]\n{lines}\n").set(PROBE_ATTEMPTS=attempts, PROBE_CALL_MS=60000)
        fake.reset()
        fake.faults.order(op="Encrypt", status=500, count=99)
        with Probe(home.environment) as probe:
            answer = probe.ask("encrypt", key, "text")
            log = probe.log if probe.end() == 0 else ""
        calls = fake.calls().get("Encrypt", 0)
    if expected is None:
        word = next(iter(environment), lines.split()[0] if lines else "")
        good = answer["status"] == WRONG and calls == 0 and word in answer["message"]
    else:
        good = answer["status"] == UNAVAILABLE and calls == expected
    tap.ok(good, f"{attempts or '-'}, {environment}, '{lines}': {'refused' if expected is None else expected}", f"{answer} {calls}\n{log}")


def main():
    tap = Tap()
    with FakeAws() as fake:
        key = fake.keys.create("us-west-2").arn
        for row in ROWS:
            check(tap, fake, key, row)
        with Home(fake, **fake.environment(), AWS_MAX_ATTEMPTS=5) as home:
            fake.reset()
            fake.faults.order(op="Encrypt", status=500, count=4)
            with Probe(home.environment) as probe:
                tap.ok(probe.ask("encrypt", key, "text")["status"] == OK, "the fifth attempt gets its answer")
    tap.finish()


main()
