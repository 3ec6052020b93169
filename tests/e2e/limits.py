#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What a zone was made for, against somebody who can write the store and somebody who has its records and no store: a zone that does not encrypt,
has two mechanisms, and unwraps sensitive keys alone. In a process that is running when a row changes, and in one that starts afterwards. TAP."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

import PyKCS11
from PyKCS11 import LowLevel as low

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from load_place import Tally  # noqa: E402

BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
CKM_CMEK_KMS, CKM_CMEK_DEK_WRAP = 0x80434D01, 0x80434D02
CKA_CMEK_PROVIDER = 0x80434D02
KEY = [(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES)]
EVERYTHING = [(usage, low.CK_TRUE) for usage in (low.CKA_ENCRYPT, low.CKA_DECRYPT, low.CKA_WRAP, low.CKA_UNWRAP)]
OPEN = KEY + [(low.CKA_TOKEN, low.CK_FALSE), (low.CKA_SENSITIVE, low.CK_FALSE), (low.CKA_EXTRACTABLE, low.CK_TRUE)]
VISIT = KEY + EVERYTHING + [(low.CKA_TOKEN, low.CK_FALSE), (low.CKA_EXTRACTABLE, low.CK_FALSE)]
ok = Tally()


# --- In a process of its own ---------------------------------------------------------------------------------


class Consumer:
    """Answers each line of standard input by a line of JSON."""

    def __init__(self):
        library = PyKCS11.PyKCS11Lib()
        library.load(os.environ["CMEK_PKCS11_MODULE"])
        self.session = library.openSession(library.getSlotList(tokenPresent=True)[0], low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)
        self.folder = os.environ["CMEK_TEST_FOLDER"]

    def path(self, name):
        return os.path.join(self.folder, name)

    def saved(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def save(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(bytes(data))

    def zone(self, label="limited"):
        return self.session.findObjects([(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_LABEL, label)])[0]

    def root_key(self):
        return self.session.findObjects([(low.CKA_CLASS, low.CKO_SECRET_KEY), (CKA_CMEK_PROVIDER, b"local")])[0]

    def make(self):
        mechanisms = b"".join(number.to_bytes(8, sys.byteorder) for number in (low.CKM_AES_GCM, CKM_CMEK_DEK_WRAP))
        stays = [(low.CKA_TOKEN, low.CK_TRUE), (low.CKA_EXTRACTABLE, low.CK_FALSE), (low.CKA_VALUE_LEN, 32)]
        self.session.generateKey(KEY + stays + [(low.CKA_LABEL, "free")], PyKCS11.Mechanism(low.CKM_AES_KEY_GEN, None))
        zone = self.session.generateKey(KEY + EVERYTHING[1:] + stays + [
            (low.CKA_LABEL, "limited"),
            (low.CKA_ALLOWED_MECHANISMS, mechanisms),
            (low.CKA_UNWRAP_TEMPLATE, [(low.CKA_SENSITIVE, low.CK_TRUE), (low.CKA_EXTRACTABLE, low.CK_FALSE)])],
            PyKCS11.Mechanism(low.CKM_AES_KEY_GEN, None))
        key = self.session.generateKey(OPEN + [(low.CKA_VALUE_LEN, 32)], PyKCS11.Mechanism(low.CKM_AES_KEY_GEN, None))
        self.save("dek", self.session.wrapKey(zone, key, PyKCS11.Mechanism(CKM_CMEK_DEK_WRAP, None)))
        self.save("records", self.session.wrapKey(self.root_key(), zone, PyKCS11.Mechanism(CKM_CMEK_KMS, None)))

    def bring(self, token):
        template = VISIT if not token else KEY + EVERYTHING + [
            (low.CKA_TOKEN, low.CK_TRUE), (low.CKA_EXTRACTABLE, low.CK_FALSE), (low.CKA_LABEL, "limited")]
        return self.session.unwrapKey(self.root_key(), self.saved("records"), template, PyKCS11.Mechanism(CKM_CMEK_KMS, None))

    def unwrap(self, zone, template):
        return self.session.unwrapKey(zone, self.saved("dek"), template, PyKCS11.Mechanism(CKM_CMEK_DEK_WRAP, None))

    def attempts(self, zone):
        """What must not work, and (last) what must."""
        gcm = PyKCS11.AES_GCM_Mechanism(b"twelve bytes", b"", 128)
        cbc = PyKCS11.Mechanism(low.CKM_AES_CBC, b"sixteen bytes iv")
        tries = {
            "encrypt": lambda: self.session.encrypt(zone, b"text", gcm),
            "another mechanism": lambda: self.session.decrypt(zone, bytes(16), cbc),
            "a key that can be read": lambda: self.session.getAttributeValue(self.unwrap(zone, OPEN), [low.CKA_VALUE]),
            "CKA_ENCRYPT": lambda: self.session.getAttributeValue(zone, [low.CKA_ENCRYPT])[0] or self.refuse(),
            "widening": lambda: self.session.setAttributeValue(zone, [(low.CKA_ENCRYPT, low.CK_TRUE)]),
            "use": lambda: self.unwrap(zone, KEY + [(low.CKA_TOKEN, low.CK_FALSE)]),
        }
        return {name: self.outcome(one) for name, one in tries.items()}

    @staticmethod
    def refuse():
        raise PyKCS11.PyKCS11Error(0)

    @staticmethod
    def outcome(one):
        try:
            one()
            return "done"
        except PyKCS11.PyKCS11Error as error:
            return str(error)

    def answer(self, word):
        if word == "make":
            return self.make()
        if word == "bring to the token":
            return self.bring(True) and None
        found = {}
        for name, get in (("on the token", self.zone), ("in a session", lambda: self.bring(False))):
            if word not in ("both", name):
                continue
            try:
                found[name] = self.attempts(get())
            except (PyKCS11.PyKCS11Error, IndexError) as error:
                found[name] = {"all": str(error)}
        return found


def consumer():
    process = Consumer()
    for line in sys.stdin:
        print(json.dumps(process.answer(line.strip())), flush=True)


# --- The attack ----------------------------------------------------------------------------------------------


class Process:
    def __init__(self, environment):
        self.child = subprocess.Popen([sys.executable, __file__, "consumer"], env=environment, text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def __call__(self, word):
        self.child.stdin.write(word + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        self.child.stdin.close()
        self.child.wait()


class Home:
    def __init__(self, folder, name):
        self.path = os.path.join(folder, name)
        os.mkdir(self.path, 0o700)
        self.conf = os.path.join(self.path, "cmek.conf")
        self.keys = os.path.join(folder, "local.keys")
        with open(self.conf, "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {self.path}/store.db\n[local]\npath = {self.keys}\n[log]\nlevel = off\n")
        self.environment = {**os.environ, "CMEK_PKCS11_MODULE": os.path.join(BUILD, "cmek-pkcs11.so"), "CMEK_PKCS11_CONF": self.conf,
                            "CMEK_TEST_FOLDER": folder}
        self.revision = 0
        self.cmek("project", "create", "p")
        self.cmek("key", "add" if os.path.exists(self.keys) else "create", "--project", "p", "local:root")

    def cmek(self, *words):
        return subprocess.run([os.path.join(BUILD, "cmek"), *words], env=self.environment, check=True, capture_output=True)

    def process(self):
        return Process(self.environment)

    def store(self):
        return sqlite3.connect(os.path.join(self.path, "store.db"))

    def change(self, *statements, later=100):
        """With a new revision, so that running processes take it for a change of the zone; or an older one, as if from a backup."""
        self.revision += later
        with self.store() as store:
            store.execute("UPDATE store SET revision = ?", [self.revision])
            for statement in statements:
                assert store.execute(statement).rowcount > 0, statement
            store.execute("UPDATE zones SET revision = (SELECT revision FROM store)")
        store.close()
        time.sleep(1.1)  # a process looks into the store once a second


# Limits of leases, which every record has behind all others.
A_DAY, A_WEEK = "x'0400040001518005000400015180'", "x'04000400093a8005000400093a80'"
# What changes; and whether the zone does what it was made for all the same.
CHANGES = [
    ("its usages", ["UPDATE zones SET usages = 127"], True),
    ("its further attributes", ["UPDATE zones SET extra = (SELECT extra FROM zones WHERE label = 'free')"], True),
    ("no further attributes", ["UPDATE zones SET extra = x''"], True),
    ("usages and attributes", ["UPDATE zones SET usages = 127, extra = x'', imported = 0"], True),
    ("the record's usages", ["UPDATE zones SET usages = 127", "UPDATE ezk_versions SET greatest_usages = 127"], False),
    ("the record's limits", ["UPDATE zones SET extra = x''", f"UPDATE ezk_versions SET limits = {A_DAY}"], False),
    ("all of it", ["UPDATE zones SET usages = 127, extra = x''", f"UPDATE ezk_versions SET greatest_usages = 127, limits = {A_DAY}"], False),
    ("all limits, those of leases too,", ["UPDATE zones SET extra = x''", "UPDATE ezk_versions SET limits = x''"], False),
    ("its greatest lease", [f"UPDATE ezk_versions SET limits = CAST(substr(limits, 1, length(limits) - 14) || {A_WEEK} AS BLOB)"], False),
    ("a limit of a later release", ["UPDATE ezk_versions SET limits = x'c80000'"], False),
]


# No use of the key: what is shown of a record that nobody has opened is what the store says, and what is written is a row.
NO_USE = ("CKA_ENCRYPT", "widening")


def got_through(found, verified):
    """Names of attempts that worked; and whether the right use does."""
    through = [name for name, outcome in found.items() if outcome == "done" and name != "use" and (verified or name not in NO_USE)]
    return through, found.get("use") == "done"


def check(found, name, usable):
    through, used = got_through(found, usable is not False)
    ok(not through, f"{name}: nothing gets through", found)
    if usable is not None:
        ok(used == usable, f"{name}: it {'does' if usable else 'does not do'} what it was made for", found)


def attack_store(home):
    with home.process() as running:
        check(running("on the token")["on the token"], "as it was made, on the token", True)
        check(running("in a session")["in a session"], "as it was made, in a session", True)
        kept = os.path.join(home.path, "kept.db")
        for name, statements, usable in CHANGES:
            shutil.copy(os.path.join(home.path, "store.db"), kept)
            home.change(*statements)
            for who, found in (("running", running("both")), ("fresh", fresh(home))):
                check(found["on the token"], f"{name} changed, {who} process, on the token", usable)
                check(found["in a session"], f"{name} changed, {who} process, in a session", None)
            shutil.copy(kept, os.path.join(home.path, "store.db"))
            home.change("UPDATE zones SET created_ms = created_ms")
        check(running("both")["on the token"], "after it was put back, running process", True)
        # Its live EZK stays at the newer state, and under a lease: what was decided by a row is held against what was verified.
        home.change(*dict((name, statements) for name, statements, _ in CHANGES)["all of it"], later=-50)
        check(running("on the token")["on the token"], "all of it changed in an older store, running process", False)


def fresh(home):
    with home.process() as process:
        return process("both")


def without_store(folder):
    home = Home(folder, "elsewhere")
    with home.process() as process:
        check(process("in a session")["in a session"], "without its store, in a session", True)
        process("bring to the token")
        check(process("on the token")["on the token"], "brought back to another store", True)
        home.change("UPDATE zones SET usages = 127, extra = x''")
        check(process("on the token")["on the token"], "and its row changed there", True)
    check(fresh(home)["on the token"], "which a fresh process reads", True)


def rescued(home, folder):
    """An envelope carries the record with its limits; the tool of last resort opens it."""
    plain, sealed, back = (os.path.join(folder, name) for name in ("plain", "sealed", "back"))
    with open(plain, "wb") as file:
        file.write(b"text\n" * 1000)
    home.cmek("encrypt", "--project", "p", "--database", "limited", plain, sealed)
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "rescue.py"), "--local-keys", home.keys, sealed, back],
                          capture_output=True, text=True, check=False)
    ok(done.returncode == 0, "rescue.py opens an envelope whose record has limits", done.stderr)
    with open(plain, "rb") as one, open(back, "rb") as two:
        ok(one.read() == two.read(), "and gives what was sealed")


def main():
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        home = Home(folder, "home")
        with home.process() as maker:
            maker("make")
        rescued(home, folder)
        without_store(folder)
        attack_store(home)
    print(f"1..{ok.count}")


consumer() if len(sys.argv) > 1 else main()
