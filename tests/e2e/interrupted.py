#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Threads that wait for the KMS, over HTTP against the fake one, while something happens to them: they are cancelled, signals come, the module
is ended. Nobody else may wait for ever. TAP."""

import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import BUILD, Place, Tally  # noqa: E402

CKR_OK, CKR_DEVICE_ERROR, CKR_CRYPTOKI_NOT_INITIALIZED, CKR_SESSION_HANDLE_INVALID = 0, 0x30, 0x190, 0xB3
THREADS, CALL_SECONDS = 8, 4
ok = Tally()


class Application:
    """tests/module/interrupted.c: what answered, with its CKR_… and the seconds it took."""

    def __init__(self, place, mode):
        self.place = place
        place.forget()
        self.child = subprocess.Popen([os.path.join(BUILD, "tests", "module", "interrupted"), mode, "p"], env=place.environment,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def go_on(self):
        self.child.stdin.write("\n")
        self.child.stdin.flush()

    def read_until(self, word):
        lines = []
        for line in self.child.stdout:
            if line.strip() == word:
                break
            lines.append(line)
        return lines

    def wait_until_asked(self):
        self.read_until("asking")
        end = time.time() + 60
        while "Decrypt" not in self.place.fake.calls() and time.time() < end:
            time.sleep(0.01)
        self.go_on()

    def answers(self, lines=()):
        out, _ = self.child.communicate(timeout=300)
        return [(what, int(rv), float(seconds)) for what, rv, seconds in (line.split() for line in [*lines, *out.splitlines()] if "hangs" not in line)]


def of(answers, what):
    return [rv for name, rv, _ in answers if name == what]


def check_cancelled(place):
    place.fake.faults.order(op="Decrypt", count=1, delay_ms=2000)
    application = Application(place, "cancel")
    application.wait_until_asked()
    answers = application.answers()
    ok(of(answers, "other") == [CKR_OK] * (THREADS - 2), "a thread that asks the KMS is cancelled, and the others get their answer", answers)
    ok(len(place.asked("ezk")) == 1, "the very one that it had asked for", len(place.asked("ezk")))
    ok(of(answers, "asks-cancelled") == of(answers, "waits-cancelled") == [CKR_OK],
       "it ends when its call is over, and so does one that waited", answers)
    ok(of(answers, "finalize") == [CKR_OK], "the module ends well", answers)


def check_signals(place):
    place.fake.faults.order(op="Decrypt", count=1, status=400, type="ThrottlingException", message="Rate exceeded", delay_ms=1000)
    place.fake.faults.order(op="Decrypt", count=1, delay_ms=2000)
    application = Application(place, "signal")
    application.wait_until_asked()
    answers = application.answers()
    handled = sum(of(answers, "handled"))
    ok(handled > 100, f"{handled} signals come to threads that wait, for a throttled answer, between two attempts and for the next", answers)
    ok(of(answers, "other") == [CKR_OK] * THREADS, "and all get their answer", answers)
    ok(len(place.asked("ezk")) == 2, "to two requests", len(place.asked("ezk")))
    ok(of(answers, "finalize") == [CKR_OK], "the module ends well", answers)


def check_finalized(place):
    place.fake.faults.order(op="*", count=100000, delay_ms=1000000)
    application = Application(place, "finalize")
    application.wait_until_asked()
    before = application.read_until("ended")
    place.fake.faults.clear()
    application.go_on()
    answers = application.answers(before)
    ok(of(answers, "child") == [CKR_OK] and of(answers, "child-again") == [CKR_OK],
       "while calls wait for a silent KMS, a fork's child has no module to end, and may start its own", answers)
    slow = max((seconds for what, _, seconds in answers if what.startswith("child")), default=0)
    ok(slow < CALL_SECONDS, "without waiting for them", slow)
    ok(sorted(of(answers, "finalize")[:2]) == [CKR_OK, CKR_CRYPTOKI_NOT_INITIALIZED], "of two threads one ends the module", answers)
    # A thread that had just begun asks once more, before it learns that there is no module any more.
    slow = max((seconds for what, _, seconds in answers if what == "finalize"), default=1000)
    ok(slow < 2 * CALL_SECONDS + 10, f"when the calls have run out of time: after {slow:.1f} s, with a call_timeout_ms of {CALL_SECONDS} s", answers)
    ok(len(of(answers, "other")) == THREADS and set(of(answers, "other")) <= {CKR_CRYPTOKI_NOT_INITIALIZED, CKR_SESSION_HANDLE_INVALID},
       "all threads hear that it has ended", answers)
    ok(of(answers, "again") == [CKR_OK], "it starts again, and works", answers)


for check, attempts in ((check_cancelled, 1), (check_signals, 3), (check_finalized, 1)):
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as work:
        here = Place(work, 1)
        here.configure("", attempts, f"call_timeout_ms = {CALL_SECONDS * 1000}\n" if check is check_finalized else "")
        check(here)
print(f"1..{ok.count}")
