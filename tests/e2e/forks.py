#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Forks with connections open and requests in flight: tests/module/fork_storm.c over HTTP against the fake KMS. 10,000 requests and more in the
parent and its children, and no answer is another's. TAP."""

import os
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import BUILD, Place, Tally  # noqa: E402

CHILDREN, THREADS, ROUNDS = 24, 8, 25


def main():
    ok = Tally()
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        place = Place(folder, 1)
        # A connection takes as long as the machine lets it: none is given up early, since none is tried twice.
        place.configure("", aws="connect_timeout_ms = 30000\nattempt_timeout_ms = 60000\ncall_timeout_ms = 60000\n")
        place.forget()
        command = [os.path.join(BUILD, "tests", "module", "fork_storm"), "p", *map(str, (CHILDREN, THREADS, ROUNDS))]
        requests, crossed, failed, bad = map(int, place.run(*command).split())
        print(f"# {requests} requests of {CHILDREN + 1} processes with {THREADS} threads each")
        ok(requests >= 10000, "10,000 requests in a parent that forks and in its children", requests)
        ok(crossed == 0, "no answer is another's", crossed)
        ok(failed == 0, "none fails", failed)
        ok(bad == 0, "every child ends well", bad)
        calls = place.fake.calls()
        ok(calls == {"Encrypt": requests // 2, "Decrypt": requests // 2}, "the KMS has been asked just as often", calls)
        place.fake.__exit__(None, None, None)
    print(f"1..{ok.count}")


main()
