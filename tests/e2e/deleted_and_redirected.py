#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What one process does to the store, and what becomes of what another has open: databases that are deleted, projects that are
archived, tombstones; labels that change places under [zones] pin, and clusters and zones that are led to another root key under
[kms] allowed_root_keys. A service keeps everything open meanwhile; whoever changes the store is another process, or SQLite."""

import os
import shutil
import sqlite3
import struct
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
MODULE = os.path.join(BUILD, "cmek-pkcs11.so")
CMEK = os.path.join(BUILD, "cmek")
CKM_CMEK_KMS, CKM_CMEK_DEK_WRAP = 0x80434D01, 0x80434D02
CKA_CMEK_KMS_KEY, CKA_CMEK_ZONE, CKA_CMEK_STATE = 0x80434D01, 0x80434D05, 0x80434D08
ACTIVE, AWAITS_DELETION = struct.pack("@L", 1), struct.pack("@L", 3)
PENDING, DELETED, OTHER_PIN, ROOT_KEY_REFUSED = 308, 316, 318, 319
REFUSED = 4  # exit code
ok = Tally()


class Home:
    """A store with projects p and q under one root key, databases c/one and c/two in p."""

    def __init__(self, folder):
        self.folder, self.store = folder, os.path.join(folder, "store.db")
        self.environment = {**os.environ, "CMEK_PKCS11_MODULE": MODULE, "CMEK_PKCS11_CONF": os.path.join(folder, "cmek.conf"), "HOME": folder}
        self.configure("")
        os.environ["CMEK_PKCS11_CONF"] = self.environment["CMEK_PKCS11_CONF"]
        for words in ("project create p", "key create --project p local:root", "cluster create --project p c --key root --region local",
                      "database create --project p c/one", "database create --project p c/two", "project create q",
                      "key add --project q local:root"):
            assert self.cmek(*words.split()), self.said
        with open(os.path.join(folder, "plain"), "w", encoding="utf-8") as file:
            file.write("what the file says")
        assert self.cmek("encrypt", "--project", "p", "--database", "c/one", self.path("plain"), self.path("one.cmek")), self.said

    def path(self, name):
        return os.path.join(self.folder, name)

    def configure(self, more):
        with open(os.path.join(self.folder, "cmek.conf"), "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {self.store}\n[local]\npath = {self.folder}/local.keys\n[log]\nlevel = off\n[slots]\nfree = true\n{more}")

    def run(self, *words):
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=120, check=False)
        self.code, self.said = done.returncode, done.stdout + done.stderr
        return self.code == 0

    def cmek(self, *words):
        return self.run(CMEK, *words)

    def decrypts(self, project=None):
        where = () if project is None else ("--project", project)
        return self.cmek("decrypt", "--force", *where, self.path("one.cmek"), self.path("again"))

    def other(self, *words):
        """Another process does something to the store."""
        assert self.run(sys.executable, os.path.abspath(__file__), *words), self.said

    def write(self, *statements):
        """A store writer does: the rows are newer ones."""
        store = sqlite3.connect(self.store, isolation_level=None)
        store.execute("BEGIN IMMEDIATE")
        store.execute("UPDATE store SET revision = revision + 1")
        for statement in statements:
            store.execute(statement.replace("NOW", "(SELECT revision FROM store)"))
        store.execute("COMMIT")
        store.close()

    def ask(self, sql):
        store = sqlite3.connect(self.store)
        (answer,) = store.execute(sql).fetchone()
        store.close()
        return answer


def template(*more):
    return [(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES), *more]


class Service:
    """A process that has opened all there is, by every way; this one."""

    def __init__(self, project="p"):
        self.library = PyKCS11.PyKCS11Lib()
        self.library.load(MODULE)
        slot = self.slot_of(project)
        self.session = self.library.openSession(slot, low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)

    def stop(self):
        self.library.unload()

    def slot_of(self, project):
        return next(slot for slot in self.library.getSlotList(tokenPresent=True)
                    if self.library.getTokenInfo(slot).flags & low.CKF_TOKEN_INITIALIZED
                    and self.library.getTokenInfo(slot).label.strip().strip("\0") == project)

    def find(self, *rows):
        return self.session.findObjects([(low.CKA_CLASS, low.CKO_SECRET_KEY), *rows])

    def labelled(self, label):
        return self.find((low.CKA_LABEL, label))[0]

    def id_of(self, zone):
        return bytes(self.session.getAttributeValue(zone, [CKA_CMEK_ZONE])[0])

    def reason(self):
        info = self.session.getSessionInfo()
        return info.ulDeviceError

    def dek(self):
        return self.session.generateKey(template((low.CKA_TOKEN, False), (low.CKA_EXTRACTABLE, True), (low.CKA_VALUE_LEN, 32)))

    def encrypt(self, key):
        return bytes(self.session.encrypt(key, bytes(16), PyKCS11.Mechanism(low.CKM_AES_ECB, None)))

    def wrap(self, zone, key):
        return bytes(self.session.wrapKey(zone, key, PyKCS11.Mechanism(CKM_CMEK_DEK_WRAP, None)))

    def unwrap(self, zone, blob):
        return self.session.unwrapKey(zone, blob, template((low.CKA_TOKEN, False)), PyKCS11.Mechanism(CKM_CMEK_DEK_WRAP, None))

    def open_record(self, records, token=False):
        root = self.find((CKA_CMEK_KMS_KEY, b"local:root"))[0]
        label = [(low.CKA_LABEL, "back")] if token else []
        return self.session.unwrapKey(root, records, template((low.CKA_TOKEN, token), *label), PyKCS11.Mechanism(CKM_CMEK_KMS, None))

    def make_token_key(self):
        return self.session.generateKey(template((low.CKA_TOKEN, True), (CKA_CMEK_ZONE, self.zone_id), (low.CKA_EXTRACTABLE, True),
                                                 (low.CKA_VALUE_LEN, 32)))

    def open_all(self, label):
        self.zone = self.labelled(label)
        self.zone_id = self.id_of(self.zone)
        root = self.find((CKA_CMEK_KMS_KEY, b"local:root"))[0]
        self.records = bytes(self.session.wrapKey(root, self.zone, PyKCS11.Mechanism(CKM_CMEK_KMS, None)))
        self.by_record = self.open_record(self.records)
        self.wrapped_dek = self.dek()
        self.blob = self.wrap(self.zone, self.wrapped_dek)
        self.unwrapped = self.unwrap(self.zone, self.blob)
        self.of_record = self.unwrap(self.by_record, self.blob)
        self.token_key, self.unused = self.make_token_key(), self.make_token_key()
        self.encrypt(self.token_key)

    # What needs the token's objects, and what only what this session has open.
    TOKEN_WAYS = {
        "the database's key wraps a new DEK": lambda s: s.wrap(s.zone, s.dek()),
        "it unwraps": lambda s: s.unwrap(s.zone, s.blob),
        "a token key that was used encrypts": lambda s: s.encrypt(s.token_key),
        "a token key that was not used encrypts": lambda s: s.encrypt(s.unused),
        "a token key is made": lambda s: s.make_token_key(),
        "its record is opened": lambda s: s.open_record(s.records),
    }
    SESSION_WAYS = {
        "what was opened by its record wraps a new DEK": lambda s: s.wrap(s.by_record, s.dek()),
        "that unwraps": lambda s: s.unwrap(s.by_record, s.blob),
        "a DEK that was wrapped encrypts": lambda s: s.encrypt(s.wrapped_dek),
        "a DEK that was unwrapped encrypts": lambda s: s.encrypt(s.unwrapped),
        "a DEK that was unwrapped by the record encrypts": lambda s: s.encrypt(s.of_record),
        "it is wrapped again": lambda s: s.wrap(s.by_record, s.of_record),
    }
    ALL_WAYS = {**TOKEN_WAYS, **SESSION_WAYS}
    BY_ZONE, BY_RECORD = (next(iter(ways.values())) for ways in (TOKEN_WAYS, SESSION_WAYS))

    def refusal(self, way):
        """The reason, 0: it went."""
        try:
            way(self)
        except PyKCS11.PyKCS11Error as error:
            return self.reason() or f"without a reason: {error}"
        return 0

    def check(self, ways, reason, when):
        for name, way in ways.items():
            said = self.refusal(way)
            ok(said == reason, f"{when}: {name}{', which is refused' if reason else ''}", said)

    def notices(self, way, reason):
        """Another process's change comes with a look, of which there is one a second."""
        for _ in range(100):
            if self.refusal(way) == reason:
                return True
            time.sleep(0.1)
        return False


# --- Deleted

def check_decrypt(home, code, words, when):
    for project in (None, "p", "q"):
        went = home.decrypts(project)
        where = f"cmek decrypt{'' if project is None else ' --project ' + project}"
        ok(went == (code == 0) and home.code == code and all(word in home.said for word in words),
           f"{when}: {where} {'opens its files' if code == 0 else 'refuses its files and says why'}", home.said)
    if code != 0:
        home.cmek("decrypt", "--force", "--database", "c/one", home.path("one.cmek"), home.path("again"))
        ok(home.code == code and words[0] in home.said, f"{when}: and so with --database", home.said)
        ok(not os.path.exists(home.path("again")), f"{when}: and writes nothing")
    elif os.path.exists(home.path("again")):
        os.remove(home.path("again"))


def check_deleted(home):
    service = Service()
    service.open_all("c/one")
    service.check(Service.ALL_WAYS, 0, "at first")
    check_decrypt(home, 0, (), "at first")
    zone = str(int.from_bytes(service.zone_id, "big"))

    home.other("delete", "c/one")
    ok(service.notices(Service.BY_RECORD, PENDING), "another process deletes the database")
    service.check(Service.ALL_WAYS, PENDING, "deleted")
    ok(service.refusal(lambda s: s.open_record(s.records, token=True)) == PENDING, "deleted: its record set does not bring it back", service.reason())
    check_decrypt(home, REFUSED, (f"database 'c/one' (zone {zone}) of project 'p' awaits deletion", "CKA_CMEK_STATE"), "deleted")

    home.other("restore", "c/one")
    ok(service.notices(Service.BY_RECORD, 0), "another process restores it")
    service.check(Service.ALL_WAYS, 0, "restored")
    check_decrypt(home, 0, (), "restored")
    return service


def check_archived(home, service):
    home.other("archive", "p")
    ok(service.notices(Service.BY_RECORD, PENDING), "another process puts a new project in its slot")
    service.check(Service.SESSION_WAYS, PENDING, "archived")
    home.decrypts("q")
    ok(home.code == REFUSED and "of project 'p'" in home.said and "archived" in home.said and "cmek project restore" in home.said,
       "archived: cmek decrypt by another project's root key refuses its files and says why", home.said)
    ok(home.cmek("project", "restore", "new"), "the project is restored", home.said)
    ok(service.notices(Service.BY_RECORD, 0), "and heard of")
    service.check(Service.SESSION_WAYS, 0, "its project restored")
    check_decrypt(home, 0, (), "its project restored")


def check_tombstone(home, service):
    zone = str(int.from_bytes(service.zone_id, "big"))
    uid, project = (home.ask(f"SELECT {column} FROM zones WHERE zone = {zone}") for column in ("uid", "project"))
    home.write(f"DELETE FROM token_keys WHERE zone = {zone}", f"DELETE FROM wraps WHERE zone = {zone}", f"DELETE FROM ezk_versions WHERE zone = {zone}",
               f"DELETE FROM zones WHERE zone = {zone}",
               f"INSERT INTO tombstones (uid, kind, revision, number, removed_ms, project) VALUES ('{uid}', 'zone', NOW, {zone}, 0, '{project}')")
    ok(service.notices(Service.BY_RECORD, DELETED), "its row is removed for good")
    service.check(Service.SESSION_WAYS, DELETED, "removed for good")
    home.decrypts("q")
    ok(home.code == REFUSED and f"zone {zone} was deleted for good" in home.said, "removed for good: cmek decrypt refuses its files and says why", home.said)
    service.stop()
    late = Service("q")
    late.records = service.records
    ok(late.refusal(lambda s: s.open_record(s.records)) == DELETED, "a process that starts later refuses its record", late.reason())
    ok(late.refusal(lambda s: s.open_record(s.records, token=True)) == DELETED, "and does not take it into its project", late.reason())
    late.stop()


def check_elsewhere(home, folder):
    """Without that store an envelope opens as before."""
    there = Home(folder)
    os.remove(there.store)
    shutil.copy(home.path("local.keys"), there.path("local.keys"))
    shutil.copy(home.path("one.cmek"), there.path("one.cmek"))
    arn = home.ask("SELECT arn FROM root_keys LIMIT 1")
    ok(there.cmek("project", "create", "far") and there.cmek("key", "add", "--project", "far", arn) and there.decrypts("far"),
       "where another store is, the file opens by KMS and record alone", there.said)


# --- Redirected

def check_pin(home):
    one, two = (home.ask(f"SELECT zone FROM zones WHERE label = 'c/{name}'") for name in ("one", "two"))
    home.configure(f"[zones]\npin = p:c/one = {one},\n  c/three = {one}\n")

    def set_labels(of_one, of_two):
        home.write(f"UPDATE zones SET label = 'x' WHERE zone = {one}", f"UPDATE zones SET label = '{of_two}', revision = NOW WHERE zone = {two}",
                   f"UPDATE zones SET label = '{of_one}', revision = NOW WHERE zone = {one}")

    service = Service()
    service.open_all("c/two")
    service.check(Service.ALL_WAYS, 0, "with a pin")
    first = service.labelled("c/one")
    set_labels("c/two", "c/one")
    ok(service.notices(Service.BY_RECORD, OTHER_PIN), "two labels change places under a running service")
    service.check(Service.ALL_WAYS, OTHER_PIN, "under a name that is pinned to another")
    ok(service.id_of(service.labelled("c/one")) == service.zone_id and service.refusal(lambda s: s.wrap(s.labelled("c/one"), s.dek())) == OTHER_PIN,
       "what is found by that name is not used", service.reason())
    ok(service.refusal(lambda s: s.wrap(first, s.dek())) == 0, "the other, under a name that nobody pinned, is")
    home.cmek("encrypt", "--project", "p", "--database", "c/one", home.path("plain"), home.path("new"))
    ok(home.code == REFUSED and f"database 'c/one' (zone {two}) of project 'p'" in home.said and f"to zone {one}" in home.said
       and "cmek.conf line 10" in home.said and not os.path.exists(home.path("new")), "cmek encrypt refuses it, and says which, and where the pin is", home.said)
    home.cmek("doctor", "--project", "p")
    ok(home.code == REFUSED and f"pin c/one (zone {one}): FAILED: the name is that of zone {two}" in home.said and "zone c/one " in home.said
       and f"[zones] pin = p:c/one = {one}," in home.said, "doctor shows pin and violation", home.said)
    set_labels("c/one", "c/two")
    ok(service.notices(Service.BY_RECORD, 0), "the labels change back")
    service.check(Service.ALL_WAYS, 0, "under its own name")
    home.cmek("database", "create", "--project", "p", "c/three")
    ok(home.code == REFUSED and f"the name 'c/three' in project 'p' is pinned to zone {one}" in home.said and "cmek.conf line 10" in home.said,
       "no database is made under a name that is pinned to another", home.said)
    service.stop()


def check_root_keys(home):
    assert home.cmek("key", "create", "--project", "p", "local:evil"), home.said
    good, evil = (home.ask(f"SELECT arn FROM root_keys WHERE label = '{label}' LIMIT 1") for label in ("root", "evil"))
    uid = {label: home.ask(f"SELECT r.uid FROM root_keys r JOIN projects p ON r.project = p.uid WHERE r.label = '{label}' AND p.label = 'p'")
           for label in ("root", "evil")}
    zone = home.ask("SELECT zone FROM zones WHERE label = 'c/two'")
    home.configure(f"[kms]\nallowed_root_keys = {good}\n")

    def make_zone(service):
        return service.session.generateKey(template((low.CKA_TOKEN, True), (low.CKA_LABEL, "c/new"), (low.CKA_EXTRACTABLE, False),
                                                    (low.CKA_VALUE_LEN, 32)))

    def lead_cluster(to):
        home.write(f"UPDATE clusters SET root_key = '{uid[to]}', revision = NOW WHERE label = 'c'")

    def lead_zone(arn):
        home.write(f"UPDATE wraps SET arn = '{arn}' WHERE zone = {zone}", f"UPDATE zones SET revision = NOW WHERE zone = {zone}")

    service = Service()
    service.open_all("c/two")
    lead_cluster("evil")
    ok(service.notices(make_zone, ROOT_KEY_REFUSED), "a cluster is led to another root key: no new database gets that")
    home.cmek("database", "create", "--project", "p", "c/new")
    ok(home.code == REFUSED and f"root key {evil} " in home.said and "is not among [kms] allowed_root_keys" in home.said and "cmek.conf line 10" in home.said,
       "cmek says which key, and which setting", home.said)
    service.check(Service.ALL_WAYS, 0, "what has its own root key goes on")
    lead_cluster("root")
    ok(service.notices(make_zone, 0), "led back: a database is made")

    lead_zone(evil)
    ok(service.notices(Service.BY_ZONE, ROOT_KEY_REFUSED), "a database is led to another root key under a running service")
    home.cmek("encrypt", "--project", "p", "--database", "c/two", home.path("plain"), home.path("new"))
    ok(home.code == REFUSED and f"its root key {evil} is not among" in home.said, "cmek says so", home.said)
    lead_zone(good)
    ok(service.notices(Service.BY_ZONE, 0), "led back: it works")
    service.check(Service.ALL_WAYS, 0, "led back")
    service.stop()

    home.cmek("doctor", "--project", "p")
    ok(home.code == REFUSED and f"root key evil ({evil}, local): FAILED: not allowed: " in home.said and f"[kms] allowed_root_keys = {good}" in home.said,
       "doctor shows setting and violation", home.said)
    home.cmek("key", "add", "--project", "q", "local:evil")
    ok(home.code == REFUSED and "is not among [kms] allowed_root_keys" in home.said, "a key that is not allowed is not added", home.said)


def check_settings(home):
    for more, words in (("[kms]\nallowed_root_keys = alias/root\n", "line 10: [kms] allowed_root_keys"), ("[zones]\npin = c/one\n", "line 10: [zones] pin")):
        home.configure(more)
        home.cmek("project", "list")
        ok(home.code != 0 and "cmek.conf" in home.said and words in home.said, f"a mistake is named with file and line: {more.split()[1]}", home.said)


# --- The other process

def do(what, name):
    service = Service()
    if what == "delete":
        service.session.destroyObject(service.labelled(name))
    elif what == "restore":
        (zone,) = service.find((low.CKA_LABEL, name), (CKA_CMEK_STATE, AWAITS_DELETION))
        service.session.setAttributeValue(zone, [(CKA_CMEK_STATE, ACTIVE)])
    else:
        service.session.closeSession()
        service.library.initToken(service.slot_of(name), "", "new".ljust(32))
    service.stop()


def main():
    if len(sys.argv) > 1:
        do(*sys.argv[1:])
        return
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as elsewhere, tempfile.TemporaryDirectory() as third:
        home = Home(folder)
        service = check_deleted(home)
        check_archived(home, service)
        check_tombstone(home, service)
        check_elsewhere(home, elsewhere)
        home = Home(third)
        check_pin(home)
        check_root_keys(home)
        check_settings(home)
    print(f"1..{ok.count}")


if __name__ == "__main__":
    main()
