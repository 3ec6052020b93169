#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Trees of files, over HTTP against the fake KMS: how often the KMS is asked, what an interruption leaves, two commands at once, and files
that go along with their database's key. TAP."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import BUILD, ROOT, Place, Tally  # noqa: E402

CMEK = os.path.join(BUILD, "cmek")
FILES = 60
ok = Tally()


class Tree(Place):
    def __init__(self, folder):
        super().__init__(folder, 1)
        self.tree = os.path.join(folder, "tree")
        self.cmek("cluster", "create", "--project", "p", "prod", "--key", self.key.arn.split("/")[-1], "--region", "us-west-2")
        self.cmek("database", "create", "--project", "p", "prod/one")
        self.cmek("database", "create", "--project", "p", "prod/two")
        self.sums = {}

    def cmek(self, *words, code=0, data=None):
        done = subprocess.run([CMEK, *words], env=self.environment, capture_output=True, text=True, input=data, timeout=300, check=False)
        assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
        return done.stdout

    def plant(self, size=1000):
        for number in range(FILES):
            folder = os.path.join(self.tree, f"{number % 7}", "sub")
            os.makedirs(folder, exist_ok=True)
            name = os.path.join(folder, f"file {number}")
            with open(name, "wb") as file:
                file.write(os.urandom(size))
            self.sums[name] = self.sum(name)

    @staticmethod
    def sum(name):
        with open(name, "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def names(self):
        return sorted(os.path.join(folder, name) for folder, _, names in os.walk(self.tree) for name in names)

    def asks(self, *words, **more):
        """The KMS's calls for one command, as (operation, purpose)."""
        self.forget()
        self.out = self.cmek(*words, **more)
        return [(entry["op"], entry.get("context", {}).get("cmek:purpose")) for entry in self.fake.requests()]

    def rescued(self, name):
        out = os.path.join(self.folder, "out")
        subprocess.run([CMEK, "decrypt", "--force", name, out], env=self.environment, capture_output=True, timeout=120, check=True)
        return self.sum(out) == self.sums[name.removesuffix(".cmek")]


def check_calls(place):
    place.plant()
    to_one = ("--project", "p", "--database", "prod/one")
    calls = place.asks("migrate", *to_one, "--remove", "--json", place.tree)
    ok(json.loads(place.out)["encrypted"] == FILES, f"{FILES} files are migrated", place.out)
    ok([call for call in calls if call[1] == "ezk"] == [("Decrypt", "ezk")], "by one call to the KMS for the database's key", calls)
    ok(all(name.endswith(".cmek") for name in place.names()) and len(place.names()) == FILES, "the envelopes are there, and nothing else", place.names())
    ok(all(map(place.rescued, place.names()[:3])), "and open")
    ok(place.asks("scan", place.tree) == [], "a scan asks no KMS")
    ok(place.asks("rewrap", "--recursive", place.tree) == [], "nor does a rewrap of what is up to date")
    ok(f"{FILES} up to date" in place.out, "and says so", place.out)


def check_another_root_key(place):
    key = place.fake.keys.create("us-west-2")
    place.cmek("key", "add", "--project", "p", "--label", "second", key.arn)
    place.cmek("database", "rewrap", "--project", "p", "--key", "second", "prod/")
    place.cmek("database", "rewrap", "--project", "p", "--key", "second", "--prove", "prod/")
    row = [row for row in json.loads(place.cmek("scan", "--json", place.tree))["databases"] if row["database"] == "prod/one"][0]
    ok(row["old_root_key"] == FILES, "when the database has another root key, a scan counts the files that name the one before", row)
    listed = place.cmek("scan", "--null", "--old-root-key", place.tree)
    ok(listed.count("\0") == FILES, "and lists them", listed)
    place.forget()
    out = place.cmek("rewrap", "-", data=listed)
    calls = [entry["op"] for entry in place.fake.requests() if entry.get("context", {}).get("cmek:purpose") == "ezk"]
    ok(f"{FILES} rewrapped" in out, "they are rewrapped from that list", out)
    ok(calls == ["Decrypt"], "by one call to the KMS", calls)
    row = json.loads(place.cmek("scan", "--json", place.tree))["databases"][0]
    ok(row["old_root_key"] == 0 and row["old_slots"] == FILES, "and name the new root key, with the older wrap in the other slot", row)
    place.cmek("rewrap", "--recursive", "--wipe-old", place.tree)
    row = json.loads(place.cmek("scan", "--json", place.tree))["databases"][0]
    ok(row["old_slots"] == 0, "until that is wiped", row)
    inspected = [json.loads(line) for name in place.names()[:5] for line in subprocess.run(
        [os.path.join(ROOT, "tools", "rescue.py"), "--inspect", name], capture_output=True, text=True, check=True).stdout.splitlines()]
    ok(len(inspected) == 10 and all(slot["root_keys"] == [key.arn] for slot in inspected), "as rescue.py sees it, too", inspected)
    ok(all(map(place.rescued, place.names()[:3])), "they open")


def check_rotated(place):
    place.cmek("database", "rotate", "--project", "p", "prod/one")
    row = json.loads(place.cmek("scan", "--json", place.tree))["databases"][0]
    ok((row["version"], row["is"], row["files"]) == (1, "older", FILES), "when the database's key was rotated, a scan says how many files are older", row)
    place.forget()
    out = place.cmek("rewrap", "-", data=place.cmek("scan", "--null", "--older-than-primary", place.tree))
    calls = [entry["op"] for entry in place.fake.requests() if entry.get("context", {}).get("cmek:purpose") == "ezk"]
    ok(f"{FILES} rewrapped" in out, "they are rewrapped", out)
    ok(sorted(calls) == ["Decrypt", "Decrypt"], "by one call to the KMS for each version", calls)
    row = json.loads(place.cmek("scan", "--json", place.tree))["databases"][0]
    ok((row["version"], row["is"], row["files"]) == (2, "primary", FILES), "and are at the newest", row)
    ok(all(map(place.rescued, place.names()[:3])), "and open")
    place.cmek("rewrap", "--recursive", "--wipe-old", place.tree)


def check_two_at_once(place):
    for name in place.names():
        subprocess.run([os.path.join(ROOT, "tests", "older_envelope.py"), name, "100"], check=True)
    children = [subprocess.Popen([CMEK, "rewrap", "--recursive", "--json", place.tree], env=place.environment, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    done = [json.loads(child.communicate(timeout=300)[0]) for child in children]
    ok(sum(one["rewrapped"] for one in done) == FILES and not any(one["failed"] for one in done), "two rewraps at once share the files", [one["rewrapped"] for one in done])
    ok(all(map(place.rescued, place.names()[::20])), "and each opens")


def reads(child, path):
    """Whether the process has the file open."""
    folder = f"/proc/{child.pid}/fd"
    try:
        return any(os.readlink(os.path.join(folder, name)) == path for name in os.listdir(folder))
    except OSError:                                 # it has just closed one, or ended
        return False


def check_interrupted(place):
    place.cmek("export", "--remove", place.tree)
    ok({name: place.sum(name) for name in place.names()} == place.sums, "an export brings all back as it was")
    with open(os.path.join(place.tree, "large"), "wb") as file:
        file.truncate(300 << 20)
    # What runs the tests in the background has SIGINT ignored, which the tool would keep to.
    child = subprocess.Popen([CMEK, "migrate", "--project", "p", "--database", "prod/two", "--in-place", place.tree], env=place.environment,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
    while child.poll() is None and not reads(child, os.path.join(place.tree, "large")):
        time.sleep(0.001)
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=300)
    ok(child.returncode == 1 and "interrupted; run the command again to go on" in said, "an interrupted migration says so", said)
    ok(not any(os.path.basename(name).startswith(".cmek-") for name in place.names()), "leaves nothing half done", place.names())
    os.truncate(os.path.join(place.tree, "large"), 1000)
    out = json.loads(place.cmek("migrate", "--project", "p", "--database", "prod/two", "--in-place", "--json", place.tree))
    ok(out["encrypted"] + out["encrypted_already"] == FILES + 1 and out["failed"] == 0, "and goes on", out)
    place.cmek("export", "--in-place", place.tree)
    os.unlink(os.path.join(place.tree, "large"))
    ok({name: place.sum(name) for name in place.names()} == place.sums, "so that in the end all is there")


with tempfile.TemporaryDirectory(prefix="cmek-test-") as work:
    here = Tree(work)
    for check in (check_calls, check_another_root_key, check_rotated, check_two_at_once, check_interrupted):
        check(here)
print(f"1..{ok.count}")
