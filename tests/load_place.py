# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A project under load, for scripts that watch the fake KMS meanwhile: zones under one root key, and tests/module/load.c to use them."""

import os
import subprocess
import threading

from fake_kms import FakeAws

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))


class Tally:
    """TAP, from several threads."""

    def __init__(self):
        self.lock, self.count = threading.Lock(), 0

    def __call__(self, condition, name, detail=""):
        with self.lock:
            self.count += 1
            print(f"{'ok' if condition else 'not ok'} {self.count} - {name}", flush=True)
            for line in "" if condition else str(detail).splitlines():
                print(f"# {line}", flush=True)


class Use:
    def __init__(self, line):
        began, ended, rv, reason = line.split()
        self.began, self.ended, self.good, self.reason, self.rv = float(began), float(ended), rv == "0", int(reason), hex(int(rv))


class Place:
    """A KMS of its own, and a project with zones z0, z1, … under one root key."""

    def __init__(self, folder, zones, made_with=""):
        """`made_with`: settings of [zones]."""
        self.fake, self.folder, self.zones, self.made_with = FakeAws().__enter__(), folder, zones, made_with
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")}, **self.fake.environment(),
            "CMEK_PKCS11_MODULE": os.path.join(BUILD, "cmek-pkcs11.so"),
            "CMEK_PKCS11_CONF": os.path.join(folder, "cmek.conf"), "HOME": folder,
        }
        self.configure("")
        self.key = self.fake.keys.create("us-west-2")
        self.run(os.path.join(BUILD, "cmek"), "project", "create", "p")
        self.run(os.path.join(BUILD, "cmek"), "key", "add", "--project", "p", self.key.arn)
        self.load("make")

    def configure(self, kms, attempts=1, aws="", deny=1):
        with open(os.path.join(self.folder, "cmek.conf"), "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {self.folder}/store.db\n[aws]\nmax_attempts = {attempts}\n{aws}[zones]\n{self.made_with}[log]\nlevel = off\n[kms]\ndeny_seconds = {deny}\n{kms}")

    def run(self, *words):
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=120, check=True).stdout

    def command(self, what, *numbers):
        return [os.path.join(BUILD, "tests", "module", "load"), what, "p", str(self.zones), *map(str, numbers)]

    def load(self, what, *numbers):
        """The uses, in the order in which they began."""
        return self.finish(self.start(what, *numbers))

    def start(self, what, *numbers, environment=None):
        return subprocess.Popen(self.command(what, *numbers), env={**self.environment, **(environment or {})}, stdout=subprocess.PIPE, text=True)

    @staticmethod
    def finish(child):
        out, _ = child.communicate(timeout=120)
        assert child.returncode == 0, child.returncode
        return sorted((Use(line) for line in out.splitlines()), key=lambda use: use.began)

    def forget(self):
        with self.fake.lock:
            self.fake.entries.clear()

    def asked(self, purpose):
        return [entry for entry in self.fake.requests()
                if entry["op"] == "Decrypt" and entry.get("context", {}).get("cmek:purpose") == purpose]


