#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Operations under way when something happens to the KMS, over HTTP against the fake one: begun under a good lease, they end at their next call
if the root key is disabled; they go on through an outage up to max_stale_seconds; and past the end of a lease that the KMS renews. TAP."""

import os
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import BUILD, Place, Tally  # noqa: E402

# docs/errors.md, "What a program gets"
CKR_OK, CKR_FUNCTION_FAILED, CKR_DEVICE_ERROR, CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_OPERATION_NOT_INITIALIZED = 0, 0x06, 0x30, 0x68, 0x91
NONE, DISABLED, UNAVAILABLE = 0, 102, 111
BLOCK = "00" * 16
TICK = 0.05  # the module's clock goes in steps of some milliseconds
# How an operation goes on: a further part, its end after a part, or all at once after C_*Init.
CALLS = ("part", "last", "once")
KINDS = [(call, direction, key) for call in CALLS for direction in ("encrypt", "decrypt") for key in ("zone", "dek")]
ok = Tally()


class Application:
    """tests/module/operations.c, with an operation of each kind, in a session of its own."""

    def __init__(self, place):
        self.child = subprocess.Popen([os.path.join(BUILD, "tests", "module", "operations"), "p"], env=place.environment,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, verb, session, direction, rest):
        self.child.stdin.write(f"{verb} {session} {direction} {rest}\n")
        self.child.stdin.flush()
        rv, reason, out = self.child.stdout.readline().split()
        return int(rv), int(reason), out

    def begin(self, session, kind):
        call, direction, key = kind
        answers = [self.call("begin", session, direction, key)[0]]
        if call == "last":
            answers.append(self.call("part", session, direction, BLOCK)[0])
        return set(answers)

    def begin_all(self):
        """Sessions by kind; nothing may fail."""
        sessions = {kind: number for number, kind in enumerate(KINDS, 1)}
        said = set().union(*(self.begin(session, kind) for kind, session in sessions.items()))
        ok(said == {CKR_OK}, f"{len(sessions)} operations begin", said)
        return sessions

    def go_on(self, session, kind):
        call, direction, _ = kind
        return self.call(call, session, direction, "-" if call == "last" else BLOCK)

    def close(self):
        self.child.stdin.close()
        return self.child.wait(timeout=60)


def check_all(application, sessions, expected, name):
    said = {kind: application.go_on(session, kind)[:2] for kind, session in sessions.items()}
    ok(set(said.values()) == {expected}, name, {kind: answer for kind, answer in said.items() if answer != expected})


def check_ended(application, sessions):
    said = {kind: application.go_on(session, kind)[0] for kind, session in sessions.items()}
    ok(set(said.values()) == {CKR_OPERATION_NOT_INITIALIZED}, "and is over then", said)


def check_no(place, lease=3):
    """Nobody has heard the no before these operations do."""
    place.configure(f"lease_seconds = {lease}\n")
    application = Application(place)
    sessions = application.begin_all()
    place.key.state = "Disabled"
    time.sleep(lease + TICK)
    check_all(application, sessions, (CKR_FUNCTION_FAILED, DISABLED), "the root key is disabled: at the lease's end each fails at its next call")
    check_ended(application, sessions)
    place.key.state = "Enabled"
    time.sleep(1 + TICK)
    check_all(application, application.begin_all(), (CKR_OK, NONE), "and works again when it is begun anew, after the key is enabled")
    ok(application.close() == 0, "the application ends well")


def check_no_elsewhere(place, lease=8):
    """Some other operation has heard it: those under way fail at once, long before the end of their lease."""
    place.configure(f"lease_seconds = {lease}\n", deny=60)
    application = Application(place)
    sessions = application.begin_all()
    began = time.time()
    place.key.state = "Disabled"
    heard = CKR_OK
    while heard == CKR_OK and time.time() < began + lease + 1:
        time.sleep(0.02)
        heard, reason, _ = application.call("begin", 60, "encrypt", "dek")
        application.call("once", 60, "encrypt", BLOCK)
    ok((heard, reason) == (CKR_KEY_FUNCTION_NOT_PERMITTED, DISABLED), "a new operation is refused, as the lease is renewed", (heard, reason))
    place.forget()
    check_all(application, sessions, (CKR_FUNCTION_FAILED, DISABLED), "and each under way fails at its next call")
    ok(not place.fake.calls(), "without asking once more", place.fake.calls())
    check_ended(application, sessions)
    ok(application.close() == 0, "the application ends well")


def check_outage(place, lease=2, stale=8):
    place.configure(f"lease_seconds = {lease}\nmax_stale_seconds = {stale}\n")
    application = Application(place)
    going, waiting = application.begin_all(), {}
    parts = {kind: session for kind, session in going.items() if kind[0] == "part"}
    midway = {kind: session for kind, session in going.items() if kind[0] != "part"}
    for number, kind in enumerate(midway, len(KINDS) + 1):
        waiting[kind] = number
        application.begin(number, kind)
    place.fake.faults.order(op="*", count=100000, reset="before")
    last_yes = max(entry["time"] for entry in place.fake.requests() if entry["op"] == "Decrypt" and entry["outcome"] == "ok")
    uses = []
    while time.time() < last_yes + stale + 1:
        if midway and time.time() > last_yes + lease + 1:
            check_all(application, midway, (CKR_OK, NONE), "cut off from the KMS, operations end well after the lease's end")
            midway = {}
        for kind, session in parts.items():
            began = time.time()
            uses.append((kind, began, time.time(), *application.go_on(session, kind)[:2]))
        time.sleep(0.1)
    hard_end = last_yes + stale
    early = [use for use in uses if use[2] < hard_end - 1 and use[3] != CKR_OK]
    ok(not early and any(use[1] > last_yes + lease for use in uses), "and parts go on until max_stale_seconds", early[:5])
    late = [use for use in uses if use[1] > hard_end + TICK and use[3] == CKR_OK]
    ok(not late, "and no longer", late[:5])
    for kind in parts:
        said = [use[3:] for use in uses if use[0] == kind and use[3] != CKR_OK]
        ok(said and said[0] == (CKR_DEVICE_ERROR, UNAVAILABLE) and {answer[0] for answer in said[1:]} <= {CKR_OPERATION_NOT_INITIALIZED},
           f"then it says that the KMS is out of reach, and is over: {kind}", said[:3])
    check_all(application, waiting, (CKR_DEVICE_ERROR, UNAVAILABLE), "so does each that had rested")
    check_ended(application, waiting)
    place.fake.faults.clear()
    ok(application.close() == 0, "the application ends well")


def check_renewed(place, lease=2, seconds=7):
    """Each part of a long operation finds the lease of its moment; what comes out is what comes out at once."""
    place.configure(f"lease_seconds = {lease}\n")
    application = Application(place)
    place.forget()
    sessions = application.begin_all()
    pieces, parts, end = {kind: "" for kind in KINDS if kind[0] == "part"}, 0, time.time() + seconds
    rested = {kind: session for kind, session in sessions.items() if kind[0] != "part"}
    failed = []
    while time.time() < end:
        for kind in pieces:
            rv, reason, out = application.go_on(sessions[kind], kind)
            pieces[kind] += out
            failed += [(kind, rv, reason)] if rv != CKR_OK else []
        parts += 1
        time.sleep(0.05)
    ok(not failed and parts > lease, f"while leases of {lease} s end and the KMS answers, {parts} parts of {seconds} s go on", failed[:5])
    ok(len(place.asked("canary")) >= seconds / lease / 2, "as the leases are renewed by their use", len(place.asked("canary")))
    check_all(application, rested, (CKR_OK, NONE), "so does each that had rested")
    for kind, text in pieces.items():
        _, direction, key = kind
        application.call("last", sessions[kind], direction, "-")
        application.call("begin", 60, direction, key)
        # The first blocks tell whether the chain was kept up; the driver takes no more at once.
        some = min(parts, 64)
        _, _, whole = application.call("once", 60, direction, BLOCK * some)
        ok(text[:32 * some] == whole, f"and the parts are those of the whole: {direction} with the {key}", (text[:64], whole[:64]))
    ok(application.close() == 0, "the application ends well")


def part(check):
    try:
        with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
            check(Place(folder, 1))
    except Exception as error:  # a thread's end is not seen otherwise
        ok(False, check.__name__, repr(error))


threads = [threading.Thread(target=part, args=(check,)) for check in (check_no, check_no_elsewhere, check_outage, check_renewed)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"1..{ok.count}")
