#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A database of two owners on the fake KMS: what each is asked for, in what words; what a reader needs of both; either's no; and a share that is
moved by somebody who may decrypt nothing."""

import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from fake_kms import FakeAws  # noqa: E402
from load_place import Tally  # noqa: E402

BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
DENIED = 5
ok = Tally()


class Someone:
    """Who has an access key, and the store."""

    def __init__(self, fake, home, user):
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **fake.environment(), "AWS_ACCESS_KEY_ID": user.access_key, "AWS_SECRET_ACCESS_KEY": user.secret,
            "CMEK_PKCS11_MODULE": os.path.join(BUILD, "cmek-pkcs11.so"), "CMEK_PKCS11_CONF": os.path.join(home, "cmek.conf"), "HOME": home,
        }

    def __call__(self, *words):
        done = subprocess.run([os.path.join(BUILD, "cmek"), *words], env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        self.said, self.code = done.stdout + done.stderr, done.returncode
        return self.code == 0


class Place:
    def __init__(self, fake, home):
        self.fake, self.home, self.sealed = fake, home, os.path.join(home, "sealed.cmek")
        self.keys = {label: fake.keys.create("us-west-2") for label in ("ours", "theirs", "next")}
        self.owner = Someone(fake, home, fake.user)
        with open(os.path.join(home, "cmek.conf"), "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {home}/store.db\n")
        with open(os.path.join(home, "plain"), "w", encoding="utf-8") as file:
            file.write("of two owners")

    def make(self):
        added = [("key", "add", "--project", "p", key.arn, "--label", label) for label, key in self.keys.items()]
        for words in (("project", "create", "p"), *added,
                      ("cluster", "create", "--project", "p", "c", "--key", "ours", "--region", "us-west-2"),
                      ("database", "create", "--project", "p", "--both", "ours,theirs", "c/both"),
                      ("encrypt", "--project", "p", "--database", "c/both", os.path.join(self.home, "plain"), self.sealed)):
            ok(self.owner(*words), " ".join(words[:2]), self.owner.said)

    def opens(self, who):
        return who("decrypt", "--force", self.sealed, os.path.join(self.home, "result"))

    def role(self, name):
        """A new identity with what cmek policy prints for it."""
        self.owner("policy", "--project", "p", "--role", name, "c/both")
        self.policy = json.loads(self.owner.said)["identity_policy"]
        return Someone(self.fake, self.home, self.fake.identities.user(name + str(len(self.fake.identities.by_access_key)), [self.policy]))


def check_words(place):
    place.fake.reset()
    ok(place.opens(place.owner), "it opens", place.owner.said)
    asked = [entry for entry in place.fake.requests() if entry["context"].get("cmek:purpose") == "ezk"]
    ok([(entry["op"], entry["context"].get("cmek:share")) for entry in asked] == [("Decrypt", "1/2"), ("Decrypt", "2/2")],
       "each owner is asked for a share, and told which", asked)


def check_noes(place):
    for label in ("ours", "theirs"):
        for state in ("Disabled", "PendingDeletion"):
            place.keys[label].state = state
            ok(not place.opens(place.owner) and place.owner.code == DENIED, f"{state} of {label} is a no", place.owner.said)
            place.keys[label].state = "Enabled"
    ok(place.opens(place.owner), "with both enabled it opens", place.owner.said)


def check_rights(place):
    reader = place.role("reader")
    ok(all(place.keys[label].arn.split("/")[-1] in json.dumps(place.policy) for label in ("ours", "theirs")), "a reader's policy names both keys", place.policy)
    ok(place.opens(reader), "and is enough", reader.said)
    only = json.loads(json.dumps(place.policy).replace(place.keys["theirs"].arn.split("/")[-1], "00000000-0000-4000-8000-000000000000"))
    half = Someone(place.fake, place.home, place.fake.identities.user("half", [only]))
    ok(not place.opens(half) and half.code == DENIED, "whoever may use the one alone opens nothing", half.said)


def check_move(place):
    rewrapper = place.role("rewrapper")
    place.fake.reset()
    ok(rewrapper("database", "set-keys", "--project", "p", "--both", "ours,next", "c/both"), "a rewrapper moves one share", rewrapper.said)
    calls = place.fake.calls()
    ok(calls.get("ReEncrypt") == 1 and not calls.get("Encrypt"), "by one call, and sees nothing", calls)
    place.keys["theirs"].state = "Disabled"
    sealed = place.owner("encrypt", "--force", "--project", "p", "--database", "c/both", os.path.join(place.home, "plain"), place.sealed)
    ok(sealed and place.opens(place.owner), "what was moved opens without the key before", place.owner.said)
    place.keys["next"].state = "Disabled"
    ok(not place.opens(place.owner) and place.owner.code == DENIED, "and by the new one's yes alone", place.owner.said)


def main():
    with FakeAws() as fake, tempfile.TemporaryDirectory() as home:
        place = Place(fake, home)
        place.make()
        check_words(place)
        check_noes(place)
        check_rights(place)
        check_move(place)
    print(f"1..{ok.count}")


main()
