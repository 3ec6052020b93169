#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""An attacker's program: each attempt tries to get at what the rules keep from whoever makes it, and is counted; none may get through.
Who attacks: a caller who may use two zones, a caller who can write the store's file, the child of a fork, and whoever has a core dump.
Beside each kind of attempt the honest way is walked, so that an attempt that fails for a silly reason is noticed. TAP."""

import contextlib
import ctypes
import fcntl
import itertools
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import types

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "..", "tools")]
import rescue  # noqa: E402
from load_place import BUILD, Tally  # noqa: E402
from p11 import CKM, RO_SESSION, Chunk, Hkdf, Module, Refused, gcm, mechanism  # noqa: E402

ok = Tally()
CMEK = os.path.join(BUILD, "cmek")
SECRET = b"never extractable, and 32 bytes."
ALL = dict.fromkeys(("ENCRYPT", "DECRYPT", "WRAP", "UNWRAP"), True)
CLEAR = {"SENSITIVE": False, "EXTRACTABLE": True}
WRAPS = {
    "CMEK-DEK-WRAP": lambda: mechanism("DEK_WRAP"),
    "AES-KEY-WRAP": lambda: mechanism("AES_KEY_WRAP"),
    "AES-KEY-WRAP-PAD": lambda: mechanism("AES_KEY_WRAP_PAD"),
    "AES-KEY-WRAP-KWP": lambda: mechanism("AES_KEY_WRAP_KWP"),
    "AES-CBC-PAD": lambda: mechanism("AES_CBC_PAD", bytes(16)),
    "AES-GCM": gcm,
}
CIPHERS = {"AES-ECB": lambda: mechanism("AES_ECB"), "AES-CBC": lambda: mechanism("AES_CBC", bytes(16)), "AES-GCM": gcm,
           "AES-CBC-PAD": lambda: mechanism("AES_CBC_PAD", bytes(16))}
attempts = got_through = 0


def attempt(what, action):
    """`action` answers what it got at, or nothing; Refused is the expected end."""
    global attempts, got_through
    attempts += 1
    try:
        loot = action()
    except Refused:
        loot = None
    if loot:
        got_through += 1
        print(f"# got through: {what}: {loot if isinstance(loot, str) else 'it works'}", flush=True)
    return not loot


def none_of(sentence, tries):
    """One line of TAP for a kind of attack: (what, action), each counted."""
    held = [attempt(f"{sentence}: {what}", action) for what, action in tries]
    ok(all(held) and held, f"{sentence} ({len(held)} attempts)")


def works(sentence, action):
    try:
        ok(action() is not False, f"honest: {sentence}")
    except Refused as error:
        ok(False, f"honest: {sentence}", error)


class Lab:
    """A project with the zones one, two, all (every usage) and limited (its keys stay sensitive), on the embedded KMS."""

    def __init__(self, folder):
        self.folder, self.store = folder, os.path.join(folder, "store.db")
        os.environ.update(CMEK_PKCS11_MODULE=os.path.join(BUILD, "cmek-pkcs11.so"), CMEK_PKCS11_CONF=os.path.join(folder, "cmek.conf"), HOME=folder)
        self.configure()
        self.run("project", "create", "p")
        self.run("key", "create", "--project", "p", "local:root", "--label", "root")
        self.run("key", "create", "--project", "p", "local:other", "--label", "other")
        self.run("cluster", "create", "--project", "p", "default", "--key", "root", "--region", "local")
        for name in ("one", "two"):
            self.run("database", "create", "--project", "p", f"default/{name}")
        self.module = Module().start("p")
        self.module.generate(TOKEN=True, LABEL="default/all", SENSITIVE=True, EXTRACTABLE=False, **ALL)
        self.module.generate(TOKEN=True, LABEL="default/limited", SENSITIVE=True, EXTRACTABLE=False, UNWRAP=True, WRAP=True,
                             ALLOWED_MECHANISMS=["DEK_WRAP"], UNWRAP_TEMPLATE={"SENSITIVE": True, "EXTRACTABLE": False})
        self.module.create(TOKEN=True, LABEL="vault", VALUE=SECRET, SENSITIVE=True, EXTRACTABLE=False, ENCRYPT=True, DECRYPT=True,
                           WRAP=False, UNWRAP=False, DERIVE=False, ZONE=self.zone_id("all"))

    def configure(self, more=""):
        with open(os.path.join(self.folder, "cmek.conf"), "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {self.store}\n[local]\npath = {self.folder}/local.keys\n[log]\nlevel = off\n"
                       f"[kms]\ndeny_seconds = 0\nlease_seconds = 2\n{more}")

    def run(self, *words):
        done = subprocess.run([CMEK, *words], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return done.stdout

    def zone(self, name):
        return self.module.find(LABEL=f"default/{name}")

    def zone_id(self, name):
        return self.module.get(self.zone(name), "ZONE")

    def root(self, name="root"):
        return self.module.find(LABEL=name)

    def records(self, name):
        return self.module.wrap(mechanism("KMS"), self.root(), self.zone(name))

    def dek(self, name, **rows):
        """A session key that belongs to a zone, and its wrapped form."""
        key = self.module.generate(TOKEN=False, **{**ALL, "DERIVE": True, **CLEAR, **rows})
        return key, self.module.wrap(mechanism("DEK_WRAP"), self.zone(name), key)

    @contextlib.contextmanager
    def changed(self, *statements):
        """The store as its writer leaves it, with every row that changed newer than any; put back afterwards."""
        with open(self.store + ".lock", "rb+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with open(self.store, "rb") as file:
                before = file.read()
            database = sqlite3.connect(self.store)
            touched = sum(database.execute(statement).rowcount for statement in statements)
            database.execute("UPDATE store SET revision = revision + 1")
            for table in ("zones", "token_keys", "clusters"):
                database.execute(f"UPDATE {table} SET revision = (SELECT revision FROM store)")
            database.commit()
            database.close()
        assert touched > 0, statements
        try:
            yield
        finally:
            with open(self.store + ".lock", "rb+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                with open(self.store, "wb") as file:
                    file.write(before)
            self.module.restart()

    def columns(self, table):
        database = sqlite3.connect(self.store)
        with contextlib.closing(database):
            return {row[1] for row in database.execute(f"PRAGMA table_info({table})")}


# --- A caller who may use two zones


def stored_keys(lab):
    m = lab.module
    vault, zone = m.find(LABEL="vault"), lab.zone("all")
    uid = m.get(vault, "UNIQUE_ID")
    try:
        blob = m.get(vault, "ENCRYPTED_KEY")
    except Refused:
        blob = b""
    database = sqlite3.connect(lab.store)
    with contextlib.closing(database):
        blob = blob or database.execute("SELECT wrapped FROM token_keys WHERE label = 'vault'").fetchone()[0]
    aads = {"no AAD": b"", "its id": uid, "its id in bytes": bytes.fromhex(uid.decode()) if re.fullmatch(rb"[0-9a-f]{32}", uid) else uid}

    def value_of(key):
        return m.get(key, "VALUE") == SECRET

    def unwrap(by, data):
        return lambda: value_of(m.unwrap(by, zone, data, **CLEAR))

    named = b"CDEK" + blob[4:]
    works("the stored key is used", lambda: m.encrypt(gcm(), vault))
    none_of("a stored key is not unwrapped as if it were a DEK",
            [(f"{name}, {aad}, {kind}", unwrap(by() if name != "CMEK-DEK-WRAP" else mechanism("DEK_WRAP", text or None), data))
             for name, by in WRAPS.items() for aad, text in aads.items() for kind, data in (("as it is", blob), ("called a DEK", named))])
    none_of("a stored key is not decrypted under its zone",
            [(name, lambda by=by: SECRET in m.decrypt(by(), zone, blob[48:])) for name, by in CIPHERS.items()])
    none_of("a sensitive key is not read",
            [("CKA_VALUE", lambda: value_of(vault)),
             ("a copy that is not sensitive", lambda: value_of(m.copy(vault, TOKEN=False, **CLEAR))),
             ("taking CKA_SENSITIVE back", lambda: m.set(vault, SENSITIVE=False) or True),
             ("giving CKA_EXTRACTABLE", lambda: m.set(vault, EXTRACTABLE=True) or True),
             ("a digest of it", lambda: m.call("DigestInit", m.session, ctypes.byref(mechanism("SHA256"))) or m.call("DigestKey", m.session, vault) or True),
             ("HKDF from it", lambda: m.derive(hkdf(b""), vault, TOKEN=False, **CLEAR) and True)]
            + [(f"wrapped by a known key, {name}", lambda by=by: bool(m.wrap(by(), m.create(TOKEN=False, VALUE=bytes(32), **ALL), vault)))
               for name, by in WRAPS.items()]
            + [(f"wrapped by a zone, {name}", lambda by=by: bool(m.wrap(by(), zone, vault))) for name, by in WRAPS.items()])


def hkdf(salt, salt_key=None):
    return mechanism("HKDF_DERIVE", Hkdf(1, 1, CKM["SHA256"], 2 if salt_key is None else 4, salt, len(salt), 0 if salt_key is None else salt_key.value,
                                         b"info", 4))


def session_zones(lab):
    m = lab.module

    def open_records(name, **rows):
        return m.unwrap(mechanism("KMS"), lab.root(), lab.records(name), TOKEN=False, **rows)

    _, wrapped = lab.dek("one")
    works("records open what is of their zone", lambda: m.unwrap(mechanism("DEK_WRAP"), open_records("one", **ALL), wrapped))
    none_of("a zone without CKA_ENCRYPT does not encrypt through its records",
            [(name, lambda by=by: bool(m.encrypt(by(), open_records("one", **ALL)))) for name, by in CIPHERS.items()])
    none_of("a zone without CKA_DECRYPT does not decrypt through its records",
            [(name, lambda by=by: m.decrypt(by(), open_records("one", **ALL), bytes(32)) is not None)
             for name, by in CIPHERS.items() if name in ("AES-ECB", "AES-CBC")])
    key = m.generate(TOKEN=False, **ALL)
    limited = m.wrap(mechanism("DEK_WRAP"), lab.zone("limited"), key)
    none_of("the unwrap template holds through a zone's records",
            [(str(rows), lambda rows=rows: bool(m.get(m.unwrap(mechanism("DEK_WRAP"), open_records("limited", **ALL, **more), limited, **rows), "VALUE")))
             for rows in ({"SENSITIVE": False}, {"EXTRACTABLE": True, "SENSITIVE": False})
             for more in ({}, {"UNWRAP_TEMPLATE": {"SENSITIVE": False}})])
    none_of("the allowed mechanisms hold through a zone's records",
            [(f"{name}, {more}", lambda by=by, more=more: bool(m.wrap(by(), open_records("limited", **ALL, **more), m.generate(TOKEN=False, **CLEAR))))
             for name, by in WRAPS.items() if name != "CMEK-DEK-WRAP"
             for more in ({}, {"ALLOWED_MECHANISMS": ["AES_KEY_WRAP", "AES_KEY_WRAP_PAD", "AES_KEY_WRAP_KWP", "AES_CBC_PAD", "AES_GCM"]})])
    none_of("a blob is not unwrapped as a shorter key, which is soon guessed",
            [(f"{name}, {length}", lambda by=by, length=length: bool(m.unwrap(by(), lab.zone("all"), m.wrap(by(), lab.zone("all"), key_of(lab)),
                                                                              TOKEN=False, VALUE_LEN=length, KEY_TYPE=0x10)))
             for name, by in WRAPS.items() for length in (1, 16)])
    none_of("a zone that was narrowed is not wide through its records", narrowed(lab, open_records))
    none_of("the root key makes no EZK of a known value",
            [(purpose, lambda purpose=purpose: bool(m.encrypt(mechanism("KMS", b'{"cmek:purpose":"%s"}' % purpose.encode()), lab.root(), bytes(32))))
             for purpose in ("ezk", "import", "canary")])
    none_of("the root key opens no EZK in the clear",
            [("the wrapped EZK", lambda: bool(m.decrypt(mechanism("KMS"), lab.root(), rescue_record(lab, "one").wraps[0][1]))),
             ("with the purpose named", lambda: bool(m.decrypt(mechanism("KMS", b'{"cmek:purpose":"ezk"}'), lab.root(),
                                                               rescue_record(lab, "one").wraps[0][1])))])


def key_of(lab):
    return lab.module.generate(TOKEN=False, **ALL, **CLEAR)


def narrowed(lab, open_records):
    """Opened before it was narrowed, and anew; afterwards the zone is as it was."""
    m = lab.module
    before = open_records("all", **ALL)
    m.set(lab.zone("all"), ENCRYPT=False)
    yield "opened before", lambda: bool(m.encrypt(gcm(), before))
    yield "widened in the session", lambda: m.set(before, ENCRYPT=True) or True
    yield "opened anew", lambda: bool(m.encrypt(gcm(), open_records("all", **ALL)))
    yield "widened anew", lambda: m.set(open_records("all", **ALL), ENCRYPT=True) or True
    m.set(lab.zone("all"), ENCRYPT=True)


def rescue_record(lab, name):
    return rescue.Record(lab.records(name)[8:])


def crossing(lab):
    """A DEK of zone one is to be wrapped, used or kept under zone two."""
    m, two = lab.module, lab.zone("two")

    def out_by(by, key):
        return bool(m.wrap(by, two, key))

    def ways(how, make):
        return [(f"{how}, {name}", lambda by=by: out_by(by(), make())) for name, by in WRAPS.items()]

    works("a DEK without a zone goes to zone two", lambda: m.wrap(mechanism("DEK_WRAP"), two, m.generate(TOKEN=False, **ALL)))
    none_of("a DEK of one zone does not go to another",
            itertools.chain(
                ways("generated", lambda: lab.dek("one")[0]),
                ways("unwrapped", lambda: m.unwrap(mechanism("DEK_WRAP"), lab.zone("one"), lab.dek("one")[1], **CLEAR)),
                ways("copied", lambda: m.copy(lab.dek("one")[0], TOKEN=False)),
                ways("copied before", copied_before(lab)),
                ways("derived", lambda: m.derive(hkdf(b""), lab.dek("one")[0], TOKEN=False, **CLEAR)),
                ways("a copy that names the other zone", lambda: m.copy(lab.dek("one")[0], TOKEN=False, ZONE=lab.zone_id("two"))),
                ways("unwrapped by a DEK of the zone", lambda: unwrapped_by_dek(lab)),
                ways("wrapped before its wrapping key got its zone", lambda: wrapped_before(lab)),
                ways("unwrapped by a key that got its zone later", lambda: unwrapped_later(lab)),
                ways("derived with a salt of the zone", lambda: salted(lab)),
                ways("of another zone, by its records", lambda: of_records(lab))))
    none_of("a DEK of one zone is not kept in another",
            [("a token copy", lambda: bool(m.copy(lab.dek("one")[0], TOKEN=True, LABEL="stolen", ZONE=lab.zone_id("two")))),
             ("by its label", lambda: m.get(m.copy(lab.dek("one")[0], TOKEN=True, LABEL="default/two/stolen"), "ZONE") == lab.zone_id("two")),
             ("unwrapped into it", lambda: bool(m.unwrap(mechanism("DEK_WRAP"), lab.zone("one"), lab.dek("one")[1], TOKEN=True, ZONE=lab.zone_id("two")))),
             ("unwrapped, naming it", lambda: bool(m.unwrap(mechanism("DEK_WRAP"), lab.zone("one"), lab.dek("one")[1], ZONE=lab.zone_id("two")))),
             ("derived, naming it", lambda: bool(m.derive(hkdf(b""), lab.dek("one")[0], TOKEN=False, ZONE=lab.zone_id("two")))),
             ("made for one, wrapped by the other", lambda: bool(m.wrap(mechanism("DEK_WRAP"), lab.zone("one"), m.generate(
                 TOKEN=False, **CLEAR, ZONE=lab.zone_id("two"))))),
             ("set afterwards", lambda: m.set(lab.dek("one")[0], ZONE=lab.zone_id("two")) or True),
             ("what it was copied from, by the other", lambda: copied_to(lab, TOKEN=False, ZONE=lab.zone_id("one"))),
             ("what its token copy came from, by the other", lambda: copied_to(lab, TOKEN=True, LABEL="copied", ZONE=lab.zone_id("one"))),
             ("what its copy in the default zone came from, by the other", lambda: copied_to(lab, TOKEN=True, LABEL="copied too")),
             ("an unknown zone is named", lambda: bool(m.create(TOKEN=False, VALUE=bytes(32), ZONE=bytes(7) + b"\1"))),
             ("an unknown zone is named in a copy", lambda: bool(m.copy(m.generate(TOKEN=False), TOKEN=False, ZONE=bytes(7) + b"\1")))])
    none_of("a blob of one zone does not open under another",
            [(name, lambda by=by: opens_elsewhere(lab, by)) for name, by in WRAPS.items()])
    none_of("a DEK of one zone does not wrap one of another",
            [(name, lambda by=by: bool(m.wrap(by(), lab.dek("one")[0], lab.dek("two")[0]))) for name, by in WRAPS.items() if name != "CMEK-DEK-WRAP"])


def copied_to(lab, **rows):
    key = lab.module.generate(TOKEN=False, **ALL, **CLEAR)
    lab.module.copy(key, **rows)
    return bool(lab.module.wrap(mechanism("DEK_WRAP"), lab.zone("two"), key))


def copied_before(lab):
    def make():
        key = lab.module.generate(TOKEN=False, **ALL, **CLEAR)
        copy = lab.module.copy(key, TOKEN=False)
        lab.module.wrap(mechanism("DEK_WRAP"), lab.zone("one"), key)
        return copy
    return make


def unwrapped_by_dek(lab):
    m = lab.module
    by = lab.dek("one")[0]
    blob = m.wrap(mechanism("AES_KEY_WRAP"), by, m.generate(TOKEN=False, **CLEAR))
    return m.unwrap(mechanism("AES_KEY_WRAP"), by, blob, TOKEN=False, **CLEAR)


def wrapped_before(lab):
    """B, after A wrapped it and then went to zone one."""
    m = lab.module
    a, b = (m.generate(TOKEN=False, **ALL, **CLEAR) for _ in "ab")
    m.wrap(mechanism("AES_KEY_WRAP"), a, b)
    m.wrap(mechanism("DEK_WRAP"), lab.zone("one"), a)
    return b


def unwrapped_later(lab):
    m = lab.module
    a = m.generate(TOKEN=False, **ALL, **CLEAR)
    blob = m.wrap(mechanism("AES_KEY_WRAP"), a, m.generate(TOKEN=False, **CLEAR))
    b = m.unwrap(mechanism("AES_KEY_WRAP"), a, blob, TOKEN=False, **CLEAR)
    m.wrap(mechanism("DEK_WRAP"), lab.zone("one"), a)
    return b


def salted(lab):
    m = lab.module
    return m.derive(hkdf(b"", lab.dek("one")[0]), m.generate(TOKEN=False, DERIVE=True, **CLEAR), TOKEN=False, **CLEAR)


def of_records(lab):
    m = lab.module
    zone = m.unwrap(mechanism("KMS"), lab.root(), lab.records("one"), TOKEN=False, **ALL)
    return m.unwrap(mechanism("DEK_WRAP"), zone, lab.dek("one")[1], TOKEN=False, **CLEAR)


def opens_elsewhere(lab, by):
    m = lab.module
    key = m.generate(TOKEN=False, **ALL, **CLEAR)
    value = m.get(key, "VALUE")
    blob = m.wrap(by(), lab.zone("one"), key)
    return m.get(m.unwrap(by(), lab.zone("two"), blob, TOKEN=False, **CLEAR), "VALUE") == value


def together(*actions):
    """Each in a thread of its own, at once; what they answer, or None where they were refused."""
    start, answers = threading.Barrier(len(actions)), [None] * len(actions)

    def run(at):
        start.wait()
        with contextlib.suppress(Refused):
            answers[at] = actions[at]()

    threads = [threading.Thread(target=run, args=(at,)) for at in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def racing(lab):
    """Threads, each in a session of its own, that bring one key to two zones at once."""
    m = lab.module
    here, there, looks = (m.beside() for _ in range(3))
    one, two = lab.zone("one"), lab.zone("two")
    m.create(TOKEN=True, LABEL="makes the default zone", VALUE=bytes(32))
    default, default_id = lab.zone("default"), lab.zone_id("default")

    def out(session, zone, key):
        return lambda: bool(session.wrap(mechanism("DEK_WRAP"), zone, key))

    def new():
        return m.generate(TOKEN=False, **ALL, **CLEAR)

    def both_zones():
        key = new()
        return all(together(out(here, one, key), out(there, two, key)))

    def of_one_family():
        a, b = new(), new()
        return all(together(out(here, one, a), out(there, two, b), lambda: bool(m.wrap(mechanism("AES_KEY_WRAP"), a, b))))

    def while_it_is_stored(label):
        key = new()

        def find():
            until = time.monotonic() + 0.05
            while time.monotonic() < until:
                with contextlib.suppress(AssertionError):
                    return bool(looks.wrap(mechanism("DEK_WRAP"), default, looks.find(LABEL=label)))
            return False

        def later():
            time.sleep(random.random() * 0.02)
            return out(there, two, key)()

        def store():
            return here.get(here.copy(key, TOKEN=True, LABEL=label), "ZONE") == default_id

        stored, found, wrapped = together(store, find, later)
        return (stored or found) and wrapped

    none_of("a key does not get to two zones by racing threads",
            [("wrapped by both", lambda: any(both_zones() for _ in range(200))),
             ("its family wrapped by both", lambda: any(of_one_family() for _ in range(200))),
             ("while it is stored in the default zone", lambda: any(while_it_is_stored(f"raced {i}") for i in range(150)))])


def limits_of_keys(lab):
    m = lab.module

    def plain(**rows):
        return m.generate(TOKEN=False, **{**ALL, **CLEAR, **rows})

    none_of("what limits a key is not evaded",
            [("an empty list of allowed mechanisms", lambda: bool(m.encrypt(gcm(), plain(ALLOWED_MECHANISMS=[])))),
             ("a salt without CKA_DERIVE", lambda: bool(m.derive(hkdf(b"", plain(DERIVE=False)), plain(DERIVE=True), TOKEN=False))),
             ("a salt to which HKDF is not allowed",
              lambda: bool(m.derive(hkdf(b"", plain(DERIVE=True, ALLOWED_MECHANISMS=["AES_GCM"])), plain(DERIVE=True), TOKEN=False))),
             ("a copy without its list", lambda: bool(m.encrypt(mechanism("AES_ECB"), m.copy(plain(ALLOWED_MECHANISMS=["AES_GCM"]), TOKEN=False)))),
             ("an EZK copied", lambda: bool(m.copy(lab.zone("all"), TOKEN=False))),
             ("an EZK derived from", lambda: bool(m.derive(hkdf(b""), lab.zone("all"), TOKEN=False))),
             ("an EZK wrapped by itself", lambda: bool(m.wrap(mechanism("AES_KEY_WRAP"), lab.zone("all"), lab.zone("all")))),
             ("an EZK wrapped by a known key", lambda: bool(m.wrap(mechanism("AES_KEY_WRAP"), plain(), lab.zone("all")))),
             ("an EZK's value", lambda: bool(m.get(lab.zone("all"), "VALUE")))]
            + [(f"a tag of {bits} bits around a key", lambda bits=bits: bool(m.wrap(gcm(tag_bits=bits), lab.zone("all"), plain())))
               for bits in (0, 8, 32, 64, 88)])


def deleted(lab):
    """Zone two is deleted by another process; everything of it that is open here is tried, and everything that can be opened."""
    m = lab.module
    key, wrapped = lab.dek("two")
    records = lab.records("two")
    by_records = m.unwrap(mechanism("KMS"), lab.root(), records, TOKEN=False, **ALL)
    derived = m.derive(hkdf(b""), key, TOKEN=False, **ALL)
    m.create(TOKEN=True, LABEL="default/two/kept", VALUE=bytes(32), ENCRYPT=True, ZONE=lab.zone_id("two"))
    kept, zone = m.find(LABEL="default/two/kept"), lab.zone("two")
    plain, sealed = os.path.join(lab.folder, "plain"), os.path.join(lab.folder, "two.cmek")
    with open(plain, "wb") as file:
        file.write(b"data")
    lab.run("encrypt", "--project", "p", "--database", "default/two", plain, sealed)
    works("a DEK of the zone that is to go", lambda: m.encrypt(gcm(), key))
    destroy(lab, "default/two")
    time.sleep(1.3)

    def cli(*words):
        return lambda: subprocess.run([CMEK, *words], capture_output=True, timeout=60, check=False).returncode == 0

    opened = [
        ("the DEK that is open", lambda: bool(m.encrypt(gcm(), key))),
        ("a key derived from it", lambda: bool(m.encrypt(gcm(), derived))),
        ("its value", lambda: bool(m.get(key, "VALUE"))),
        ("the zone's handle wraps", lambda: bool(m.wrap(mechanism("DEK_WRAP"), zone, m.generate(TOKEN=False)))),
        ("the zone's handle unwraps", lambda: bool(m.unwrap(mechanism("DEK_WRAP"), zone, wrapped))),
        ("its records, open, wrap", lambda: bool(m.wrap(mechanism("DEK_WRAP"), by_records, m.generate(TOKEN=False)))),
        ("its records, open, unwrap", lambda: bool(m.unwrap(mechanism("DEK_WRAP"), by_records, wrapped))),
        ("its token key", lambda: bool(m.encrypt(gcm(), kept))),
    ]
    anew = [
        ("its records into a session", lambda: bool(m.unwrap(mechanism("KMS"), lab.root(), records, TOKEN=False, **ALL))),
        ("its records onto the token", lambda: bool(m.unwrap(mechanism("KMS"), lab.root(), records, TOKEN=True, LABEL="default/again", **ALL))),
        ("its records, by another project's root key", lambda: elsewhere(lab, records)),
        ("cmek decrypt", cli("decrypt", sealed, os.path.join(lab.folder, "out1"))),
        ("cmek decrypt in another project", cli("decrypt", "--project", "q", sealed, os.path.join(lab.folder, "out2"))),
        ("cmek encrypt", cli("encrypt", "--project", "p", "--database", "default/two", plain, os.path.join(lab.folder, "out3"))),
    ]
    none_of("what is open of a deleted zone is closed", opened)
    none_of("a deleted zone does not open anew", anew)
    m.restart()
    none_of("a deleted zone does not open in a new process", anew)


def elsewhere(lab, records):
    """The same root key in a second project of the store."""
    if "q" not in lab.run("project", "list"):
        lab.run("project", "create", "q")
        lab.run("key", "add", "--project", "q", "local:root", "--label", "root")
    child = subprocess.run([sys.executable, __file__, "records", "q", records.hex()], capture_output=True, text=True, timeout=60, check=False)
    assert child.returncode == 0, child.stderr
    return child.stdout.strip() == "opened"


def try_records(project, records):
    m = Module().start(project)
    try:
        m.unwrap(mechanism("KMS"), m.find(LABEL="root"), bytes.fromhex(records), TOKEN=False, **ALL)
        print("opened")
    except Refused as error:
        print(error)


def destroy(lab, label):
    child = subprocess.run([sys.executable, __file__, "destroy", label], capture_output=True, text=True, timeout=60, check=False)
    assert child.returncode == 0, child.stderr


def destroy_here(label):
    m = Module().start("p")
    m.destroy(m.find(LABEL=label))


def chunk(index, last=0):
    return mechanism("CHUNK", Chunk(index, last, b"", 0))


def sealed_twice(lab):
    """Chunk 1 after chunk 1, on the same value by other ways than deriving it twice."""
    m = lab.module
    rows = {"TOKEN": False, "SENSITIVE": True, "EXTRACTABLE": False, "ENCRYPT": True, "DECRYPT": True}

    def sealing(before=None, by=lambda key: key, **more):
        key = m.derive(hkdf(b"salt"), m.generate(TOKEN=False, DERIVE=True), **{**rows, **more})
        if before is not None:
            m.encrypt(chunk(before), key)
        return bool(m.encrypt(chunk(1), by(key)))

    def abandoned():
        key = m.derive(hkdf(b"salt"), m.generate(TOKEN=False, DERIVE=True), **rows)
        m.call("EncryptInit", m.session, ctypes.byref(chunk(1)), key)
        m.call("EncryptInit", m.session, None, key)
        return bool(m.encrypt(chunk(1), key))

    def changed(key):
        m.set(key, LABEL="changed")
        return key

    works("chunks are sealed in order", lambda: sealing(0))
    works("by a key that may do nothing else", lambda: sealing(0, ALLOWED_MECHANISMS=["CHUNK"]))
    none_of("no chunk is sealed twice",
            [("again", lambda: sealing(1)), ("an earlier one", lambda: sealing(2)), ("after it was abandoned", abandoned),
             ("by a copy", lambda: sealing(0, lambda key: m.copy(key, TOKEN=False))), ("after a change", lambda: sealing(0, changed)),
             ("by a key that leaves", lambda: sealing(EXTRACTABLE=True)), ("by a key of the token", lambda: sealing(TOKEN=True, LABEL="default/one/chunks"))])


def erased(lab):
    """The record of a database that keeps it is not had; and when its rows have gone, without a trace, a process that had it has not."""
    m, every = lab.module, {"KMS": lambda: mechanism("KMS"), **WRAPS}
    m.generate(TOKEN=True, LABEL="default/kept", EMBED_EZK=False, SENSITIVE=True, EXTRACTABLE=False, **ALL)
    zone, number = lab.zone("kept"), int.from_bytes(lab.zone_id("kept"), "big")
    key, wrapped = lab.dek("kept")
    none_of("a record that is for its store alone is not given out",
            [("as an attribute", lambda: bool(m.get(zone, "ENCRYPTED_KEY"))), ("after a switch", lambda: m.set(zone, EMBED_EZK=True) or True),
             ("by a copy", lambda: bool(m.copy(zone, TOKEN=False, EMBED_EZK=True)))]
            + [(f"wrapped by {whose}, {name}", lambda by=by, target=target: bool(m.wrap(by(), target, zone)))
               for name, by in every.items() for whose, target in (("its root key", lab.root()), ("another", lab.root("other")),
                                                                   ("a zone", lab.zone("all")), ("itself", zone), ("a key", key))])
    works("it opens", lambda: m.unwrap(mechanism("DEK_WRAP"), zone, wrapped, TOKEN=False))
    database = sqlite3.connect(lab.store)
    with contextlib.closing(database), database:
        database.execute("PRAGMA foreign_keys = ON")
        database.execute("DELETE FROM zones WHERE zone = ?", (number,))
    time.sleep(1.1)
    none_of("a process that runs does not keep what was erased",
            [("unwrapping", lambda: bool(m.unwrap(mechanism("DEK_WRAP"), zone, wrapped, TOKEN=False))),
             ("wrapping", lambda: bool(m.wrap(mechanism("DEK_WRAP"), zone, key_of(lab)))), ("its key", lambda: bool(m.encrypt(gcm(), key))),
             ("writing it back", lambda: m.set(zone, LABEL="default/back") or True)])


# --- A caller who can write the store's file


def store_writer(lab):
    m = lab.module
    m.generate(TOKEN=True, LABEL="default/free", SENSITIVE=True, EXTRACTABLE=False, **ALL)
    m.create(TOKEN=True, LABEL="open", VALUE=bytes(range(32)), **CLEAR, **ALL, DERIVE=True, ZONE=lab.zone_id("all"))
    key = m.generate(TOKEN=False, **ALL)
    limited = m.wrap(mechanism("DEK_WRAP"), lab.zone("limited"), key)
    zones = {
        "encrypts": lambda: bool(m.encrypt(gcm(), lab.zone("one"))),
        "encrypts, and its mechanisms did not allow it": lambda: bool(m.encrypt(gcm(), lab.zone("limited"))),
        "wraps otherwise": lambda: bool(m.wrap(mechanism("AES_KEY_WRAP"), lab.zone("limited"), m.generate(TOKEN=False, **CLEAR))),
        "gives keys in the clear": lambda: bool(m.get(m.unwrap(mechanism("DEK_WRAP"), lab.zone("limited"), limited, **CLEAR), "VALUE")),
    }
    names = "label IN ('default/one', 'default/limited')"
    this, other = f"zone IN (SELECT zone FROM zones WHERE {names})", "zone = (SELECT zone FROM zones WHERE label = 'default/free')"
    rows = {
        "its usages": [f"UPDATE zones SET usages = 127 WHERE {names}"],
        "its further attributes": [f"UPDATE zones SET extra = (SELECT extra FROM zones WHERE label = 'default/free') WHERE {names}"],
        "its greatest usages": [f"UPDATE ezk_versions SET greatest_usages = 127 WHERE {this}"],
        "its limits": [f"UPDATE ezk_versions SET limits = x'' WHERE {this}"],
        "its limits, by another's": [f"UPDATE ezk_versions SET limits = (SELECT limits FROM ezk_versions WHERE {other}) WHERE {this}"],
    }
    rows["all of these"] = list(itertools.chain(*list(rows.values())[:4]))
    works("the zone wraps and unwraps", lambda: m.unwrap(mechanism("DEK_WRAP"), lab.zone("limited"), limited))
    none_of("a zone is not widened in the store", rewritten(lab, rows, zones))
    keys = {
        "is read": lambda: m.get(m.find(LABEL="vault"), "VALUE") == SECRET,
        "is copied to be read": lambda: m.get(m.copy(m.find(LABEL="vault"), TOKEN=False, **CLEAR), "VALUE") == SECRET,
        "is wrapped by a known key": lambda: bool(m.wrap(mechanism("AES_KEY_WRAP"), m.create(TOKEN=False, VALUE=bytes(32), **ALL), m.find(LABEL="vault"))),
        "is wrapped by its zone": lambda: bool(m.wrap(mechanism("AES_KEY_WRAP"), lab.zone("all"), m.find(LABEL="vault"))),
        "is derived from": lambda: bool(m.derive(hkdf(b""), m.find(LABEL="vault"), TOKEN=False, **CLEAR)),
        "wraps": lambda: bool(m.wrap(mechanism("AES_KEY_WRAP"), m.find(LABEL="vault"), m.generate(TOKEN=False, **CLEAR))),
    }
    from_open = "(SELECT {0} FROM token_keys WHERE label = 'open')"
    columns = {column: [f"UPDATE token_keys SET {column} = {from_open.format(column)} WHERE label = 'vault'"]
               for column in ("usages", "extra", "id") if column in lab.columns("token_keys")}
    columns["usages and the rest"] = columns["usages"] + columns["extra"]
    columns["its type"] = ["UPDATE token_keys SET key_type = 16, usages = 127 WHERE label = 'vault'"]
    columns["its length"] = ["UPDATE token_keys SET value_len = 16 WHERE label = 'vault'"] + columns["usages and the rest"]
    columns["its zone"] = [f"UPDATE token_keys SET {other} WHERE label = 'vault'"] + columns["usages and the rest"]
    columns["its row, with another's id"] = columns["usages and the rest"] + [
        "UPDATE token_keys SET uid = 'f' || substr(uid, 2) WHERE label = 'vault'"]
    columns["its value under another's row"] = [
        "UPDATE token_keys SET wrapped = (SELECT wrapped FROM token_keys WHERE label = 'vault'), label = 'swapped' WHERE label = 'open'",
        "UPDATE token_keys SET label = 'vault2' WHERE label = 'vault'", "UPDATE token_keys SET label = 'vault' WHERE label = 'swapped'"]
    works("the stored key is used", lambda: m.encrypt(gcm(), m.find(LABEL="vault")))
    none_of("a stored key is not widened in the store", rewritten(lab, columns, keys))


def rewritten(lab, rows, uses):
    """Each use after each change, in the process that has the old rows in use, and in a new one."""
    for (what, statements), (use, action) in itertools.product(rows.items(), uses.items()):
        yield f"{what}, in a new process, {use}", lambda s=statements, a=action: changed_anew(lab, s, a)
    for what, statements in rows.items():
        yield f"{what}, in a running process", lambda s=statements: changed_below(lab, s, uses)


def changed_anew(lab, statements, action):
    with lab.changed(*statements):
        lab.module.restart()
        return action()


def changed_below(lab, statements, uses):
    """The key's value and the zone's lease are there when the row changes."""
    m = lab.module
    m.encrypt(gcm(), m.find(LABEL="vault"))
    m.wrap(mechanism("DEK_WRAP"), lab.zone("limited"), m.generate(TOKEN=False))
    with lab.changed(*statements):
        time.sleep(1.2)
        loot = []
        for use, action in uses.items():
            with contextlib.suppress(Refused):
                if action():
                    loot.append(use)
        return ", ".join(loot)


def redirection(lab):
    m = lab.module
    swap = ["UPDATE zones SET label = 'x' WHERE label = 'default/one'", "UPDATE zones SET label = 'default/one' WHERE label = 'default/all'",
            "UPDATE zones SET label = 'default/all' WHERE label = 'x'"]
    move = ["UPDATE clusters SET root_key = (SELECT uid FROM root_keys WHERE label = 'other') WHERE label = 'default'"]
    twice = written_twice(lab)
    padded = passing_for(lab)
    one, every = (int.from_bytes(lab.zone_id(name), "big") for name in ("one", "all"))
    arn = m.get(lab.root(), "KMS_KEY") and lab.run("key", "list", "--project", "p")
    arn = next(line for line in arn.splitlines() if "root" in line.split()[0]).split()[-1]
    lab.configure(f"allowed_root_keys = {arn}\n[zones]\npin = default/one={one}, p:default/all={every}\n")
    m.restart()

    def use():
        return bool(m.wrap(mechanism("DEK_WRAP"), lab.zone("one"), m.generate(TOKEN=False)))

    def use_all():
        return bool(m.wrap(mechanism("DEK_WRAP"), lab.zone("all"), m.generate(TOKEN=False)))

    works("a pinned zone is used", use)
    works("and one that is pinned in its project alone", use_all)
    none_of("a redirection in the store is bounded by the settings for it",
            [("a pinned name, in a new process", lambda: changed_anew(lab, swap, use)),
             ("a pinned name, in a running process", lambda: changed_running(lab, swap, use)),
             ("a zone that is there twice, in a new process", lambda: changed_anew(lab, twice, use)),
             ("a zone that is there twice, in a running process", lambda: changed_running(lab, twice, use)),
             ("another project whose token has the same name", lambda: changed_anew(lab, padded, use_all)),
             ("a new database under another root key", lambda: changed_anew(lab, move, lambda: bool(
                 m.generate(TOKEN=True, LABEL="default/new", SENSITIVE=True, EXTRACTABLE=False, WRAP=True, UNWRAP=True))))])
    lab.configure()
    m.restart()


def written_twice(lab):
    """The zone "all" once more, in a row of its own that is read first, under the name of "one"."""
    columns = sorted(lab.columns("zones"))
    other = {"label": "'default/one'", "uid": "'0123456789abcdef0123456789abcdef'"}
    return ["UPDATE zones SET label = 'default/gone' WHERE label = 'default/one'",
            "CREATE TABLE twice AS SELECT * FROM zones WHERE 0",
            f"INSERT INTO twice ({','.join(columns)}) SELECT {','.join(other.get(name, name) for name in columns)} FROM zones "
            "WHERE label = 'default/all' AND project = (SELECT uid FROM projects WHERE label = 'p')",
            "INSERT INTO twice SELECT * FROM zones", "DROP TABLE zones", "ALTER TABLE twice RENAME TO zones"]


def passing_for(lab):
    """A project with a database of the same name, whose token has the same name, for that is padded with blanks."""
    lab.run("project", "create", "r")
    lab.run("key", "add", "--project", "r", "local:root", "--label", "root")
    lab.run("cluster", "create", "--project", "r", "default", "--key", "root", "--region", "local")
    lab.run("database", "create", "--project", "r", "default/all")
    return ["UPDATE projects SET label = 'p ' WHERE label = 'r'", "UPDATE projects SET label = 'gone' WHERE label = 'p'"]


def changed_running(lab, statements, use):
    use()
    with lab.changed(*statements):
        time.sleep(1.2)
        return use()


# --- A fork's child, and whoever has a core dump


def victim():
    """A program that is told, line by line, what to do with a wrapped key that it never sees in the clear."""
    m = Module().start("p", RO_SESSION)
    key = None
    for line in sys.stdin:
        word, *rest = line.split()
        if word == "unwrap":
            key = m.unwrap(mechanism("DEK_WRAP"), m.find(LABEL="default/one"), bytes.fromhex(rest[0]), TOKEN=False, SENSITIVE=True, EXTRACTABLE=False, **ALL)
        elif word == "use":
            m.encrypt(gcm(), key)
        elif word == "look":
            m.raw("GetSessionInfo", m.session, ctypes.create_string_buffer(64))
        elif word == "destroy":
            m.destroy(key)
        elif word == "fork":
            child = os.fork()
            if child == 0:
                tries = [m.raw("EncryptInit", m.session, ctypes.byref(gcm()), key),
                         m.raw("GetAttributeValue", m.session, key, None, CK_NONE),
                         m.raw("FindObjectsInit", m.session, None, CK_NONE)]
                print("forked", os.getpid(), sum(rv == 0 for rv in tries), flush=True)
                time.sleep(600)
            continue
        elif word == "finalize":
            m.raw("Finalize", None)
        print("done", flush=True)


CK_NONE = ctypes.c_ulong(0)


class Victim:
    def __enter__(self):
        self.child = subprocess.Popen([sys.executable, __file__, "victim"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()

    def tell(self, *words):
        self.child.stdin.write(" ".join(words) + "\n")
        self.child.stdin.flush()
        return self.child.stdout.readline().split()


def memory(pid, dumped_only):
    """The writable mappings of a process; `dumped_only`: those that a core dump has (no MADV_DONTDUMP)."""
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        parts = re.split(r"^(?=[0-9a-f]+-[0-9a-f]+ )", file.read(), flags=re.M)[1:]
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for part in parts:
            begin, end, access = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", part).groups()
            flags = re.search(r"^VmFlags:(.*)", part, re.M)
            if "w" not in access or (dumped_only and flags and "dd" in flags[1].split()):
                continue
            with contextlib.suppress(OSError, OverflowError):
                mem.seek(int(begin, 16))
                yield mem.read(int(end, 16) - int(begin, 16))


def has(pid, needles, dumped_only=False):
    """Half of a key is enough."""
    halves = [half for needle in needles for half in (needle[:16], needle[16:32])]
    return any(half in piece for piece in memory(pid, dumped_only) for half in halves)


def dumps(lab):
    m = lab.module
    key = m.generate(TOKEN=False, **ALL, **CLEAR)
    value, wrapped = m.get(key, "VALUE"), m.wrap(mechanism("DEK_WRAP"), lab.zone("one"), key)
    record = rescue_record(lab, "one")
    ezk = record.open(types.SimpleNamespace(root_key=None, local_keys=os.path.join(lab.folder, "local.keys"), region=None))
    ezks = [ezk] + [record.derive(ezk, label) for label in (b"cmek/1/dek-wrap", b"cmek/1/record", b"cmek/1/data", b"cmek/1/memory")]
    with Victim() as victim_process:
        pid, tell = victim_process.child.pid, victim_process.tell
        tell("unwrap", wrapped.hex())
        ok(has(pid, [value]), "honest: a key that is unwrapped is in memory, where this test looks")
        none_of("a core dump has no key that no cipher holds",
                [("the DEK", lambda: has(pid, [value], True)), ("the EZK and what is derived from it", lambda: has(pid, ezks, True))])
        child = tell("fork")
        child_pid = int(child[1])
        none_of("the child of a fork has nothing of its parent's",
                [("calls by the parent's handles", lambda: int(child[2]) > 0), ("the DEK", lambda: has(child_pid, [value])),
                 ("the EZK", lambda: has(child_pid, ezks))])
        os.kill(child_pid, 9)
        tell("use")
        tell("destroy")
        none_of("a destroyed key is in memory no more", [("the DEK, and its key schedule", lambda: has(pid, [value]))])
        tell("unwrap", wrapped.hex())
        tell("use")
        time.sleep(2.3)
        tell("look")
        none_of("after its lease a zone's keys are in memory no more",
                [("the DEK, and its key schedule", lambda: has(pid, [value])), ("the EZK", lambda: has(pid, ezks))])
        tell("use")
        tell("finalize")
        none_of("after C_Finalize no key is in memory", [("the DEK", lambda: has(pid, [value])), ("the EZK", lambda: has(pid, ezks))])


def main():
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        lab = Lab(folder)
        for attack in (stored_keys, session_zones, crossing, racing, limits_of_keys, sealed_twice, erased, dumps, store_writer, redirection, deleted):
            attack(lab)
        lab.module.raw("Finalize", None)
    print(f"# {attempts} attempts, {got_through} got through")
    ok(attempts > 200 and got_through == 0, f"none of {attempts} attempts got through", f"{got_through} did")
    print(f"1..{ok.count}")
    return got_through > 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["victim"]:
        victim()
    elif sys.argv[1:2] == ["records"]:
        try_records(*sys.argv[2:])
    elif sys.argv[1:2] == ["destroy"]:
        destroy_here(*sys.argv[2:])
    else:
        sys.exit(main())
