#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""An outage of the KMS under load, from end to end: the module over HTTP against the fake KMS, by an application with eight threads. How many
requests and log lines it costs, what its calls answer, and that work goes on afterwards. Measured, and printed. TAP."""

import collections
import json
import os
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import Place, Tally  # noqa: E402

UNAVAILABLE, THROTTLED = 111, 112  # CMEK_ERROR_KMS_…
THREADS, ZONES, LEASE, BEFORE, OUTAGE, AFTER = 8, 5, 3, 2, 8, 11
# Tries after 0, 0.5, 1.5, 3.5 and 7.5 s, up to a quarter earlier; and what was under way when it began.
REQUESTS_MAX = 10 + THREADS
ok = Tally()


class Logged(Place):
    """A Place with both logs in files."""

    def configure(self, kms, attempts=1, aws="", deny=1):
        super().configure(kms, attempts, aws, deny)
        self.log, self.audit = os.path.join(self.folder, "log"), os.path.join(self.folder, "audit.jsonl")
        path = os.path.join(self.folder, "cmek.conf")
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text.replace("level = off\n", f"level = warning\nto = {self.log}\naudit = {self.audit}\n"))

    @staticmethod
    def lines(path):
        if not os.path.exists(path):
            return []
        with open(path, encoding="utf-8") as file:
            return file.read().splitlines()


def check(name, reason, at_start, **fault):
    with tempfile.TemporaryDirectory() as folder:
        place = Logged(folder, ZONES)
        place.configure(f"lease_seconds = {LEASE}\n")
        for path in (place.log, place.audit):
            if os.path.exists(path):
                os.unlink(path)
        place.forget()
        if at_start:
            place.fake.faults.order(op="*", count=1000000, **fault)
        child = place.start("run", THREADS, (BEFORE + OUTAGE + AFTER) * 1000)
        time.sleep(BEFORE)
        place.fake.faults.order(op="*", count=1000000, **fault)
        cut = time.time() - (BEFORE if at_start else 0)
        time.sleep(OUTAGE)
        log, audit = place.lines(place.log), [json.loads(line) for line in place.lines(place.audit)]
        asked = [entry for entry in place.fake.requests() if entry["time"] > cut]
        place.fake.faults.clear()
        restored = time.time()
        uses = place.finish(child)
        seconds = restored - cut
        refused = [use for use in uses if not use.good]
        meanwhile = [use for use in refused if use.ended < restored]
        print(f"# {name}: {len(asked) / seconds:.2f} requests a second for {len(meanwhile) / seconds:.0f} refused calls a second by {THREADS} threads; "
              f"{len(log)} log lines, {len(audit)} audit lines in {seconds:.0f} s\n", end="")
        ok(len(meanwhile) > 100, f"{name}: calls are refused", len(meanwhile))
        ok(len(asked) <= REQUESTS_MAX, f"{name}: whatever many calls, the KMS is asked a few times", [round(entry["time"] - cut, 2) for entry in asked])
        ok({use.reason for use in refused} == {reason}, f"{name}: each call says why", collections.Counter(use.reason for use in refused))
        ok(len(log) == 1, f"{name}: the log has one line", "\n".join(log[:5]))
        failed = [line for line in audit if line["event"] == "kms" and line["outcome"] != "ok"]
        ended = [line for line in audit if line["event"] == "lease"]
        ok(len(failed) == 1 and len(ended) <= ZONES, f"{name}: the audit log has one line, and one for each zone that was lost", (len(failed), len(ended)))
        log, audit = place.lines(place.log), [json.loads(line) for line in place.lines(place.audit)]
        over = [line for line in audit if line["event"] == "outage"]
        ok(len(over) == 1 and over[0]["refused"] > 0 and over[0]["failed"] > 0, f"{name}: its end is one line, with a count", over)
        ok(len(log) == 2 and "answers again" in log[1], f"{name}: in the log too", "\n".join(log[:5]))
        last = {use.good for use in uses[-THREADS:]}
        back = [use.began for use in uses if use.good and use.began > restored]
        ok(last == {True}, f"{name}: afterwards work goes on", last)
        print(f"# {name}: the first call succeeds {min(back, default=0) - restored:.1f} s after the KMS is back\n", end="")
        place.fake.__exit__(None, None, None)


def part(*arguments, **fault):
    try:
        check(*arguments, **fault)
    except Exception as error:  # a thread's end is not seen otherwise
        ok(False, f"{arguments[0]}: it ends", repr(error))


CASES = [(("connections that break", UNAVAILABLE, False), {"reset": "before"}),
         (("HTTP 500", UNAVAILABLE, False), {"status": 500, "type": "KMSInternalException"}),
         (("throttling", THROTTLED, False), {"status": 400, "type": "ThrottlingException"}),
         (("a start in an outage", UNAVAILABLE, True), {"reset": "before"})]
threads = [threading.Thread(target=part, args=arguments, kwargs=fault) for arguments, fault in CASES]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"1..{ok.count}")
