# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: TAP, the probe (probe.c) as an object, and homes with AWS's shared files."""

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, ".."))
PROBE = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "../../build/tests/aws/kms_probe")
HANG_S = 60
with open(PROBE, "rb") as file:  # some releases of meson set a sanitizer's options for every test
    program = file.read()
SANITIZED = b"__asan_init" in program or b"__tsan_init" in program
SPARE = ("AWS_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT", "CURL_CA", "CMEK_", "PROBE_")

# The words of kms_status_text().
OK, DENIED, DISABLED, NOT_FOUND = "success", "access denied", "the key is disabled", "no such key"
THROTTLED, UNAVAILABLE, BAD = "throttled", "the KMS is out of reach", "the KMS's answer is invalid"
KEY_AWAY = "the key is out of reach"
NO_CREDENTIALS, REFUSED, WRONG = "no credentials", "credentials refused", "wrong configuration"
CIPHERTEXT, INVALID = "ciphertext or encryption context wrong", "invalid request"


class Limits:
    """The time limits of a call, and between which times it has to end, in milliseconds. What the machine kept the calling process waiting
    does not count, as the process itself measures it (heartbeat.h). A sanitizer's slowness has no bound: there only the least counts."""

    def __init__(self, least, most, connect=20000, attempt=20000, call=60000, attempts=3):
        self.least, self.most = least, most
        self.configuration = {"connect_timeout_ms": connect, "attempt_timeout_ms": attempt, "call_timeout_ms": call, "max_attempts": attempts}
        self.environment = {"PROBE_CONNECT_MS": connect, "PROBE_ATTEMPT_MS": attempt, "PROBE_CALL_MS": call, "PROBE_ATTEMPTS": attempts}

    def problem(self, ms, late):
        """Text; empty: it ended in time."""
        if self.least <= ms and (SANITIZED or ms - late <= self.most):
            return ""
        return f"ended after {ms} ms, {late} of them the machine's; it has to be between {self.least} and {self.most}"


# What hangs does so for a minute or more, and an attempt may take 20 s: so a call that ends by QUICK ran into none of its limits, one that ends
# by STALL into that of the call and no other. What comes on top is time for an error on its way out. (libcurl rounds down, so 20 ms less.)
HANG_MS = 60000
QUICK = Limits(least=0, most=15000)
STALL = Limits(least=1980, most=5000, call=2000)


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def ok(self, good, title, details=""):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {title}", flush=True)
        if not good:
            for line in str(details).splitlines()[-30:]:
                print(f"# {line}")
        return good

    def skip(self, title, why):
        self.count += 1
        print(f"ok {self.count} - {title} # SKIP {why}")

    def finish(self):
        print(f"1..{self.count}")
        sys.exit(self.failed > 0)


def clean_environment():
    """Ours without all that would lead the probe elsewhere."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(SPARE)}


class Home:
    """A HOME with files in ~/.aws; and the environment that goes with it."""

    def __init__(self, fake=None, **environment):
        self.folder = tempfile.TemporaryDirectory(prefix="cmek-test-")
        self.environment = clean_environment() | {"HOME": self.folder.name, "AWS_EC2_METADATA_DISABLED": "true"}
        if fake:
            self.environment |= {"AWS_ENDPOINT_URL": fake.url, "AWS_REGION": "us-west-2", "AWS_DEFAULT_REGION": "us-west-2"}
        self.set(**environment)

    def set(self, **environment):
        for name, value in environment.items():
            self.environment.pop(name, None)
            if value is not None:
                self.environment[name] = str(value)
        return self

    def path(self, name):
        return os.path.join(self.folder.name, ".aws", name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)
        return self

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.folder.cleanup()


watched = []  # FakeAws objects whose secrets no log may show


def shown(log):
    """Secrets that stand in a log: as they are, or plaintexts in base64, hexadecimal or raw."""
    found = []
    for secret in {secret for fake in watched for secret in fake.secrets()}:
        forms = {secret}
        try:
            raw = base64.b64decode(secret, validate=True)
            forms |= {raw.hex(), raw.decode("latin-1")} if len(raw) >= 8 else set()
        except ValueError:
            pass
        found += [form for form in forms if form in log]
    return found


class Probe:
    """The running probe. Answers are dictionaries; the log, all that can be logged, is there when it has ended. It is searched for secrets."""

    def __init__(self, environment):
        self.log_file = tempfile.TemporaryFile()
        self.process = subprocess.Popen([PROBE], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log_file, text=True)
        self.ended, self.log, self.code = False, "", None

    def ask(self, *words):
        self.send(*words)
        return self.receive()

    def send(self, *words):
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()

    def receive(self):
        guard = threading.Timer(HANG_S, self.process.kill)  # one that hangs is a failure, not a wait
        guard.start()
        line = self.process.stdout.readline()
        guard.cancel()
        if not line:
            self.end()
            raise RuntimeError(f"the probe has ended with {self.code}:\n{self.log}")
        answer = json.loads(line)
        answer["bytes"] = None
        if answer.get("status") == OK and " " not in answer["value"] and "\n" not in answer["value"]:
            answer["bytes"] = base64.b64decode(answer["value"])
        return answer

    def end(self):
        if not self.ended:
            self.ended = True
            self.process.stdin.close()
            self.code = self.process.wait(timeout=60)
            self.process.stdout.close()
            self.log_file.seek(0)
            self.log = self.log_file.read().decode("latin-1")
            self.log_file.close()
            if shown(self.log):
                raise RuntimeError(f"secrets in the log: {shown(self.log)}\n{self.log}")
        return self.code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def ask_once(environment, *words):
    """(answer, log) of a probe for one question."""
    with Probe(environment) as probe:
        answer = probe.ask(*words)
    if probe.code != 0:
        raise RuntimeError(f"the probe has ended with {probe.code}:\n{probe.log}")
    return answer, probe.log


def encode(data):
    return base64.b64encode(data).decode()
