#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Every fault × every operation of the KMS, and × a file's decryption by the tool: the right answer or the right error, between the
deadline and a few seconds more where something hangs, no hang, no leak (run it under sanitizers), no wrong plaintext, and nothing left on a connection for the next call. Prints the
table. TAP."""

import base64
import concurrent.futures
import contextlib
import functools
import os
import queue
import shutil
import subprocess
import tempfile
import time

import rude
from certificates import self_signed
from driver import (BAD, CIPHERTEXT, DENIED, DISABLED, HANG_MS, INVALID, KEY_AWAY, NOT_FOUND, OK, QUICK, REFUSED, SANITIZED, STALL, THROTTLED,
                    UNAVAILABLE, Home, Limits, Probe, Tap, clean_environment, encode, watched)
from fake_kms import FakeAws

BUILD = os.environ.get("CMEK_BUILD", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build"))
SLOW_DNS, LIFETIME = (os.path.join(BUILD, f"tests/aws/{name}.so") for name in ("slow_dns", "lifetime"))
ONE_LOST = Limits(least=2980, most=15000, attempt=3000)  # the first attempt is given up, the second gets its answer
# Five attempts fit; the sixth is cut short, or not begun since the pause before it would be too long.
TRIES = Limits(least=1450, most=5000, attempt=300, call=2000, attempts=30)
EVER, LANES = 99, 3
HTML = {"body": "<html>It works!</html>", "content_type": "text/html"}
STATE = "the key's state does not allow it"
TEXT = b"what nobody may see"

# Fault; the order; what comes of it, by operation where they differ; the time limits. "31 bytes": the KMS said so, and a root key may
# well have encrypted 31 bytes; that a zone's key has 32 is for zones/ to insist on, as the last column shows.
FAULTS = [
    ("none", {}, OK, QUICK),
    ("answers after 100 ms", {"delay_ms": 100}, OK, QUICK),
    ("no answer to one attempt", {"delay_ms": HANG_MS}, OK, ONE_LOST),
    ("no answer, ever", {"delay_ms": HANG_MS, "count": EVER}, UNAVAILABLE, STALL),
    ("no answer to any of many attempts", {"delay_ms": HANG_MS, "count": EVER}, UNAVAILABLE, TRIES),
    ("throttled once", {"type": "ThrottlingException", "message": "Rate exceeded"}, OK, QUICK),
    ("throttled, with a hint when to come again", {"type": "ThrottlingException", "retry_after_ms": 30}, OK, QUICK),
    ("throttled, ever", {"type": "ThrottlingException", "count": EVER}, THROTTLED, QUICK),
    ("500 once", {"status": 500}, OK, QUICK),
    ("503 twice", {"status": 503, "count": 2}, OK, QUICK),
    ("500, ever", {"status": 500, "count": EVER}, UNAVAILABLE, QUICK),
    ("KMSInternalException once", {"type": "KMSInternalException", "status": 500}, OK, QUICK),
    ("DependencyTimeoutException once", {"type": "DependencyTimeoutException", "status": 503}, OK, QUICK),
    ("KeyUnavailableException, ever", {"type": "KeyUnavailableException", "status": 500, "count": EVER}, KEY_AWAY, QUICK),
    ("reset before the request is read, once", {"reset": "before"}, OK, QUICK),
    ("reset before the request is read, ever", {"reset": "before", "count": EVER}, UNAVAILABLE, QUICK),
    ("reset after the work is done, once", {"reset": "after"}, OK, QUICK),
    ("reset after the work is done, ever", {"reset": "after", "count": EVER}, UNAVAILABLE, QUICK),
    ("body cut at 0 bytes, once", {"cut": 0}, OK, QUICK),
    ("body cut at 40 bytes, once", {"cut": 40}, OK, QUICK),
    ("body cut at 40 bytes, ever", {"cut": 40, "count": EVER}, UNAVAILABLE, QUICK),
    ("body of unsaid length ends at 40 bytes, once", {"unframed": 40}, OK, QUICK),
    ("body of unsaid length ends at 40 bytes, ever", {"unframed": 40, "count": EVER}, BAD, QUICK),
    ("body byte by byte, an hour long", {"slow": 500, "count": EVER}, UNAVAILABLE, STALL),
    ("right answer called text/html", {"content_type": "text/html"}, OK, QUICK),
    ("HTML, 200, once", HTML, OK, QUICK),
    ("HTML, 200, ever", {**HTML, "count": EVER}, BAD, QUICK),
    ("HTML, 403", {**HTML, "status": 403}, BAD, QUICK),
    ("HTML, 502, once", {**HTML, "status": 502}, OK, QUICK),
    ("nothing, 200, ever", {"body": "", "count": EVER}, BAD, QUICK),
    ("a list, 200", {"body": "[]"}, BAD, QUICK),
    ("an answer without its members", {"body": "{}"}, BAD, QUICK),
    ("100 kB, 200", {"body": "{" + " " * 100000 + "}"}, BAD, QUICK),
    ("another key's answer", {"other_key": True}, BAD, QUICK),
    ("a plaintext of 31 bytes", {"plaintext_len": 31}, {"decrypt": "31 bytes", "generate": BAD, "": OK}, QUICK),
    ("a plaintext of no bytes", {"plaintext_len": 0}, {"decrypt": BAD, "generate": BAD, "": OK}, QUICK),
    ("a plaintext of 5,000 bytes", {"plaintext_len": 5000}, {"decrypt": BAD, "generate": BAD, "": OK}, QUICK),
    ("the server's clock is 10 minutes ahead", {"skew_s": 600}, OK, QUICK),
    ("the server's clock is 10 minutes behind", {"skew_s": -600}, OK, QUICK),
    ("the session has expired, once (static keys)", {"type": "ExpiredTokenException"}, REFUSED, QUICK),
    ("AccessDeniedException", {"type": "AccessDeniedException"}, DENIED, QUICK),
    ("DisabledException", {"type": "DisabledException"}, DISABLED, QUICK),
    ("KMSInvalidStateException", {"type": "KMSInvalidStateException"}, STATE, QUICK),
    ("NotFoundException", {"type": "NotFoundException"}, NOT_FOUND, QUICK),
    ("InvalidCiphertextException", {"type": "InvalidCiphertextException"}, CIPHERTEXT, QUICK),
    ("an error nobody knows", {"type": "BrandNewException"}, INVALID, QUICK),
]

# What is no KMS at all; (fault, manners, scheme, what comes of it, time limits).
PLACES = [
    ("nobody listens", None, "http", UNAVAILABLE, QUICK),
    ("a server that says nothing", rude.silent, "http", UNAVAILABLE, STALL),
    ("a server that hangs up", rude.closes, "http", UNAVAILABLE, QUICK),
    ("garbage instead of HTTP", rude.garbage, "http", UNAVAILABLE, QUICK),
    ("a head without end", rude.endless_head, "http", BAD, QUICK),
    ("a head line by line", rude.slow_head, "http", UNAVAILABLE, STALL),
    ("100 Continue, ever", rude.never_ready, "http", UNAVAILABLE, STALL),
    ("a body without end", rude.endless_body, "http", BAD, QUICK),
    ("100 GB promised, nothing sent", rude.promises, "http", UNAVAILABLE, STALL),
    ("broken chunks", rude.bad_chunks, "http", UNAVAILABLE, QUICK),
    ("a redirect to elsewhere", rude.redirects, "http", BAD, QUICK),
    ("TLS: a handshake without answer", rude.silent, "https", UNAVAILABLE, STALL),
    ("TLS: no TLS", rude.garbage, "https", UNAVAILABLE, QUICK),
    ("TLS: hangs up", rude.closes, "https", UNAVAILABLE, QUICK),
]

OPERATIONS = ["describe", "encrypt", "decrypt", "generate", "reencrypt"]
COLUMNS = [*OPERATIONS, "cmek decrypt"]
SHORT = {OK: "right", THROTTLED: "throttled", UNAVAILABLE: "outage", KEY_AWAY: "key away", BAD: "bad answer", DENIED: "denied", DISABLED: "disabled", STATE: "state",
         NOT_FOUND: "not found", REFUSED: "refused", CIPHERTEXT: "ciphertext", INVALID: "invalid", "31 bytes": "31 bytes"}
# Exit codes of cmek: 0 done, 5 the KMS said no, 6 out of reach; others are failures of another kind.
NO, OUTAGE = {DENIED, DISABLED, STATE, NOT_FOUND}, {THROTTLED, UNAVAILABLE, KEY_AWAY, REFUSED}


def wanted(expected, op):
    return expected.get(op, expected.get("")) if isinstance(expected, dict) else expected


class Operation:
    """One column: an operation on a fake AWS of its own."""

    def __init__(self, op):
        self.op, self.fake = op, FakeAws().__enter__()
        watched.append(self.fake)
        self.key, self.other = (self.fake.keys.create("us-west-2") for _ in range(2))
        self.blob = encode(self.fake.keys.encrypt(self.key, TEXT, {}))
        self.home = Home(self.fake, **self.fake.environment())

    def words(self):
        return {"describe": ["describe", self.key.arn], "encrypt": ["encrypt", self.key.arn, "hidden"],
                "decrypt": ["decrypt", self.key.arn, self.blob], "generate": ["generate", self.key.arn],
                "reencrypt": ["reencrypt", self.key.arn, self.blob, self.other.arn]}[self.op]

    def opened(self, blob):
        data = base64.b64decode(blob) if isinstance(blob, str) else blob
        key, _, unseal = self.fake.keys.decrypt("us-west-2", data, {})
        return key, unseal()

    def judge(self, answer):
        """What came, in words: the status; or of a success whether it is right."""
        if answer["status"] != OK:
            return answer["status"] if not answer["value"] else "a failure with a value"
        if self.op == "describe":
            return OK if answer["value"] == f"{self.key.arn} Enabled" else "WRONG"
        if self.op == "decrypt":
            length = len(answer["bytes"])
            return OK if answer["bytes"] == TEXT else f"{length} bytes" if answer["bytes"] == b"\x55" * length else "WRONG"
        if self.op == "generate":
            plaintext, blob = answer["value"].split()
            return OK if self.opened(blob)[1] == base64.b64decode(plaintext) else "WRONG"
        good = (self.other, TEXT) if self.op == "reencrypt" else (self.key, b"hidden")
        return OK if self.opened(answer["bytes"]) == good else "WRONG"

    def run(self, order, expected, limits, environment=None, recovers=True):
        """(what the table says, None or what is wrong)"""
        self.fake.reset()
        if order:
            self.fake.faults.order(**order)
        home = {name: str(value) for name, value in (self.home.environment | limits.environment | (environment or {})).items()}
        with Probe(home) as probe:
            answer = probe.ask(*self.words())
            self.fake.faults.clear()
            after = self.judge(probe.ask(*self.words())) if recovers else OK
        found, problems = self.judge(answer), []
        if found != wanted(expected, self.op):
            problems.append(f"{found}, not {wanted(expected, self.op)}: {answer}")
        if limits.problem(answer["ms"], answer["late"]):
            problems.append(limits.problem(answer["ms"], answer["late"]))
        if after != OK:
            problems.append(f"and the next call: {after}")
        if probe.code != 0:
            problems.append(f"ended with {probe.code}:\n{probe.log}")
        return SHORT.get(found, found), "\n".join(problems)

    def close(self):
        self.fake.__exit__()
        self.home.__exit__()


class Tool:
    """The last column: cmek opens a file, which takes the zone's Decrypt."""

    op = "cmek decrypt"

    def __init__(self):
        self.fake, self.folder = FakeAws().__enter__(), tempfile.mkdtemp(prefix="cmek-test-")
        self.key = self.fake.keys.create("us-west-2")
        self.environment = clean_environment() | self.fake.environment() | {
            "HOME": self.folder, "CMEK_PKCS11_CONF": self.path("cmek.conf"), "CMEK_PKCS11_MODULE": os.path.join(BUILD, "cmek-pkcs11.so"),
            "AWS_EC2_METADATA_DISABLED": "true"}
        self.configure(QUICK)
        self.in_file, self.envelope, self.out_file = self.path("in"), self.path("in.cmek"), self.path("out")
        with open(self.in_file, "wb") as file:
            file.write(TEXT * 100)
        for words in (["project", "create", "p"], ["key", "add", "--project", "p", self.key.arn, "--label", "root"],
                      ["cluster", "create", "--project", "p", "c", "--key", "root", "--region", "us-west-2"],
                      ["database", "create", "--project", "p", "c/d"],
                      ["encrypt", "--project", "p", "--database", "c/d", self.in_file, self.envelope]):
            done = self.cmek(*words)
            if done.returncode != 0:
                raise RuntimeError(f"cmek {words}: {done.stderr}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def configure(self, limits):
        with open(self.path("cmek.conf"), "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {self.path('store.db')}\n[aws]\n")
            for name, value in limits.configuration.items():
                file.write(f"{name} = {value}\n")

    def cmek(self, *words, environment=None):
        return subprocess.run([os.path.join(BUILD, "cmek"), *words], env=self.environment | (environment or {}), capture_output=True,
                              text=True, timeout=120, check=False)

    def run(self, order, expected, limits, environment=None, recovers=True):
        self.fake.reset()
        if order:
            self.fake.faults.order(**order)
        self.configure(limits)
        done, ms, late = self.timed(environment or {}, "decrypt", self.envelope, self.out_file)
        found, problem = self.judge(done, wanted(expected, "decrypt"))
        return found, "\n".join(text for text in (problem, limits.problem(ms, late)) if text)

    def timed(self, environment, *words):
        """(what cmek did, its milliseconds, those that the machine kept it waiting): by its own measure, from its beginning to its end."""
        if SANITIZED:  # a sanitizer's run-time and a preloaded library do not go together
            begin = time.monotonic()
            done = self.cmek(*words, environment=environment)
            return done, 1000 * (time.monotonic() - begin), 0
        preloaded = " ".join(filter(None, (environment.get("LD_PRELOAD"), LIFETIME)))
        done = self.cmek(*words, environment=environment | {"LD_PRELOAD": preloaded, "CMEK_TEST_LIFETIME": self.path("lifetime")})
        with open(self.path("lifetime"), encoding="utf-8") as file:
            ms, late = map(int, file.read().split())
        os.unlink(self.path("lifetime"))
        return done, ms, late

    def judge(self, done, expected):
        code = done.returncode
        right = 0 if expected == OK else 5 if expected in NO else 6 if expected in OUTAGE else None
        problem = ""
        if code == 0:
            with open(self.out_file, "rb") as file:
                problem = "" if file.read() == TEXT * 100 else "WRONG plaintext"
            os.unlink(self.out_file)
        elif os.path.exists(self.out_file):
            problem = "a failure that left a file"
        if code >= 100 or code < 0 or (right is not None and code != right) or (right is None and code == 0):
            problem += f" exit code {code}, for {expected}: {done.stderr}"
        return "right" if code == 0 else f"exit {code}", problem

    def close(self):
        self.fake.__exit__()
        shutil.rmtree(self.folder)


class Lane:
    """A set of all columns; rows go through several lanes at once, since most of their time is waiting."""

    def __init__(self):
        self.columns = [Operation(op) for op in OPERATIONS] + [Tool()]
        self.pool = concurrent.futures.ThreadPoolExecutor(len(COLUMNS))

    def run(self, row):
        """The cells, each (words, problem)."""
        with row.scene() as environment:
            return list(self.pool.map(
                lambda column: column.run(dict(row.order), row.expected, row.limits, environment, environment is None), self.columns))

    def close(self):
        for column in self.columns:
            column.close()


class Row:
    """A fault: an order to the fake, or a scene, which is where the endpoint is something else (its variables, for a while)."""

    def __init__(self, title, order, expected, limits, scene=contextlib.nullcontext):
        self.title, self.order, self.expected, self.limits, self.scene = title, order, expected, limits, scene
        self.cells = []

    def report(self, tap):
        problems = [f"{op}: {problem}" for op, (_, problem) in zip(COLUMNS, self.cells) if problem]
        tap.ok(not problems, self.title, "\n".join(problems))


def show(rows):
    lines = [["fault", *COLUMNS], *([row.title] + [words for words, _ in row.cells] for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    print("#")
    for number, line in enumerate(lines):
        print("# " + "  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
        if number == 0:
            print("# " + "  ".join("-" * width for width in widths))
    print("#", flush=True)


@contextlib.contextmanager
def place(manners, scheme="http"):
    """The KMS's address is a rude server's."""
    if manners is None:
        yield {"AWS_ENDPOINT_URL_KMS": "http://127.0.0.1:9"}
        return
    with rude.Rude(manners, scheme) as server:
        yield {"AWS_ENDPOINT_URL_KMS": server.url}


@contextlib.contextmanager
def proxy(manners):
    with rude.Rude(manners) as server:
        yield {"AWS_ENDPOINT_URL_KMS": "https://kms.example", "HTTPS_PROXY": server.url}


@contextlib.contextmanager
def stranger(certificate, key):
    """A KMS that nobody vouches for; it must be told nothing."""
    with FakeAws(certificate, key) as fake:
        yield {"AWS_ENDPOINT_URL_KMS": fake.url}
        if fake.requests():
            raise RuntimeError(f"a stranger was told: {fake.requests()}")


def all_rows(tap, folder):
    rows = [Row(*fault) for fault in FAULTS]
    rows += [Row(title, {}, expected, limits, functools.partial(place, manners, scheme))
             for title, manners, scheme, expected, limits in PLACES]
    rows += [Row("a proxy that says nothing", {}, UNAVAILABLE, STALL, functools.partial(proxy, rude.silent)),
             Row("a proxy that hangs up", {}, UNAVAILABLE, QUICK, functools.partial(proxy, rude.closes)),
             Row("TLS: a certificate nobody vouches for", {}, UNAVAILABLE, QUICK, functools.partial(stranger, *self_signed(folder)))]
    title = "a name server that says nothing"
    if SANITIZED:
        tap.skip(title, "a sanitizer's run-time and a preloaded library do not go together")
    else:
        slow = {"AWS_ENDPOINT_URL_KMS": "https://kms.example", "LD_PRELOAD": SLOW_DNS}
        rows.append(Row(title, {}, UNAVAILABLE, STALL, functools.partial(contextlib.nullcontext, slow)))
    return rows


def main():
    tap = Tap()
    lanes = [Lane() for _ in range(LANES)]
    free = queue.Queue()
    for lane in lanes:
        free.put(lane)

    def go(row):
        lane = free.get()
        try:
            row.cells = lane.run(row)
        finally:
            free.put(lane)

    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        rows = all_rows(tap, folder)
        list(pool.map(go, sorted(rows, key=lambda row: -row.limits.least)))
    for row in rows:
        row.report(tap)
    show(rows)
    for lane in lanes:
        lane.close()
    tap.finish()


main()
