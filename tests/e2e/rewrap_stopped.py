#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""`cmek database rewrap` is stopped by Ctrl-C, and slowed down by a KMS that asks for fewer requests: no database is half moved, the same
command goes on with the rest, and no version is re-encrypted twice. TAP."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import BUILD, Place, Tally  # noqa: E402

ZONES, PATIENCE = 6, 120
THROTTLED = {"type": "ThrottlingException", "message": "Rate exceeded"}
ok = Tally()


class Moving(Place):
    """A Place whose databases may go to a second root key."""

    def __init__(self, folder):
        super().__init__(folder, ZONES)
        self.second = self.fake.keys.create("us-west-2")
        self.run(os.path.join(BUILD, "cmek"), "key", "add", "--project", "p", self.second.arn, "--label", "second")
        self.forget()

    def begin(self, *options):
        words = [os.path.join(BUILD, "cmek"), "database", "rewrap", "--json", "--project", "p", "--key", "second", "--all", *options]
        return subprocess.Popen(words, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def end(self, child):
        """(exit code, what it reports, what it says)"""
        out, said = child.communicate(timeout=PATIENCE)
        return child.returncode, json.loads(out), said

    def calls(self):
        return [entry for entry in self.fake.requests() if entry["op"] == "ReEncrypt"]

    def await_calls(self, count):
        until = time.time() + PATIENCE
        while len(self.calls()) < count and time.time() < until:
            time.sleep(0.02)
        return len(self.calls())

    def doctor(self):
        return subprocess.run([os.path.join(BUILD, "cmek"), "doctor"], env=self.environment, capture_output=True, text=True, timeout=PATIENCE,
                              check=False)


def goes_on(place, name, moved):
    """What is left goes, by one call each; then all of it opens."""
    before = len(place.calls())
    code, report, said = place.end(place.begin())
    ok((code, report["there"], report["rewrapped"]) == (0, moved, ZONES - moved), f"{name}: the same command goes on with the rest", f"{report}\n{said}")
    ok(len(place.calls()) - before == ZONES - moved, f"{name}: and asks for nothing that has moved", len(place.calls()) - before)
    code, report, said = place.end(place.begin("--prove"))
    ok((code, report["unproven"]) == (0, 0), f"{name}: each is proven", f"{report}\n{said}")
    done = place.doctor()
    ok(done.returncode == 0, f"{name}: and in the end doctor is content", done.stdout + done.stderr)


def stopped_between(place):
    name = "stopped between two"
    child = place.begin("--rate", "2")
    place.await_calls(2)
    child.send_signal(signal.SIGINT)
    code, report, said = place.end(child)
    ok(code == 1 and "the same command goes on with the rest" in said, f"{name}: it says so", f"{code}\n{said}")
    ok(2 <= report["rewrapped"] < ZONES and report["failed"] == 0, f"{name}: what was under way has moved, and no other", f"{report}")
    goes_on(place, name, report["rewrapped"])


def throttled(place):
    name = "asked for fewer requests"
    place.fake.faults.order(op="ReEncrypt", count=2, **THROTTLED)
    code, report, said = place.end(place.begin())
    ok((code, report["rewrapped"], report["failed"]) == (0, ZONES, 0), f"{name}: it waits, and all of them move", f"{report}\n{said}")
    ok(len(place.calls()) == ZONES + 2, f"{name}: by one more call for each no", len(place.calls()))
    place.forget()
    goes_on(place, name, ZONES)


def stopped_in_a_pause(place):
    name = "stopped while it waits"
    place.fake.faults.order(op="ReEncrypt", count=1000000, **THROTTLED)
    child = place.begin()
    place.await_calls(2)
    child.send_signal(signal.SIGINT)
    code, report, said = place.end(child)
    ok(code != 0 and (report["rewrapped"], report["failed"]) == (0, 1), f"{name}: the one under way is told, and no other is begun",
       f"{code} {report}\n{said}")
    ok("the same command goes on with the rest" in said, f"{name}: it says so", said)
    place.fake.faults.clear()
    goes_on(place, name, 0)


def main():
    for part in stopped_between, throttled, stopped_in_a_pause:
        with tempfile.TemporaryDirectory() as folder:
            place = Moving(folder)
            part(place)
            place.fake.__exit__(None, None, None)
    print(f"1..{ok.count}")


if __name__ == "__main__":
    main()
