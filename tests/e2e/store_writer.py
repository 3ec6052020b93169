#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Somebody who may write the store, and has neither the KMS nor the module's calls, changes the row of a token key column by column: the key is refused,
in a process that has used it before and in a fresh one; names may be changed, and a whole row of before comes back. TAP."""

import os
import sqlite3
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import BUILD, Tally  # noqa: E402

OK, DEVICE_ERROR, NOT_PERMITTED, MECHANISM_INVALID = 0, 0x30, 0x68, 0x70
SENSITIVE, ACTION_PROHIBITED, UNEXTRACTABLE = 0x11, 0x1B, 0x6A
RECORD_CORRUPT = 311  # CMEK_ERROR_…
# What a key with every limit may be used for, and what it answers else.
USES = {"encrypt": OK, "wrap": OK, "decrypt": NOT_PERMITTED, "derive": MECHANISM_INVALID, "encrypt-by-another": MECHANISM_INVALID,
        "read": SENSITIVE, "be-wrapped": UNEXTRACTABLE, "copy": ACTION_PROHIBITED}
MESSAGE = "the stored key 'kept' of project 'p' does not match its attributes: the store was changed by other hands; restore it from a backup"
# docs/format.md, 4.1
FLAGS = ["token", "private", "modifiable", "copyable", "destroyable", "sensitive", "always sensitive", "extractable", "never extractable",
         "local", "trusted", "wrap with trusted"]
LISTS = ["start date", "end date", "allowed mechanisms", "wrap template", "unwrap template", "name of a root key"]
ok = Tally()


class Place:
    def __init__(self, folder):
        self.folder, self.store, self.log = folder, f"{folder}/store.db", f"{folder}/log"
        self.environment = {**os.environ, "CMEK_PKCS11_MODULE": os.path.join(BUILD, "cmek-pkcs11.so"), "CMEK_PKCS11_CONF": f"{folder}/cmek.conf"}
        with open(f"{folder}/cmek.conf", "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {self.store}\n[local]\npath = {folder}/local.keys\n[log]\nto = {self.log}\nlevel = error\n")
        for project in "pq":
            self.run("cmek", "project", "create", project)
            self.run("cmek", "key", "create" if project == "p" else "add", "--project", project, "local:root")
            self.run("tests/module/load", "make", project, "2")

    def run(self, program, *words):
        subprocess.run([os.path.join(BUILD, program), *words], env=self.environment, capture_output=True, timeout=120, check=True)

    def row(self, label="kept"):
        with sqlite3.connect(self.store) as store:
            store.row_factory = sqlite3.Row
            return dict(store.execute("SELECT * FROM token_keys WHERE label = ?", (label,)).fetchone())

    def write(self, row, **changes):
        """The row, with changes, as news: with a revision that running processes have not seen."""
        new = {**row, **changes}
        with sqlite3.connect(self.store) as store:
            store.execute("UPDATE store SET revision = revision + 1")
            (new["revision"],) = store.execute("SELECT revision FROM store").fetchone()
            columns = ", ".join(f"{name} = ?" for name in new)
            done = store.execute(f"UPDATE token_keys SET {columns} WHERE label IN (?, ?)", (*new.values(), row["label"], new["label"]))
            assert done.rowcount == 1, done.rowcount

    def one(self, query, *values):
        with sqlite3.connect(self.store) as store:
            return store.execute(query, values).fetchone()[0]


class Application:
    """tests/module/key_uses.c"""

    def __init__(self, place, project="p"):
        self.child = subprocess.Popen([os.path.join(BUILD, "tests", "module", "key_uses"), project], env=place.environment,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.turn = 0

    def call(self, *words):
        self.child.stdin.write(" ".join(words) + "\n")
        self.child.stdin.flush()
        said = {}
        while (line := self.child.stdout.readline()).strip():
            name, rv, reason = line.split()
            said[name] = int(rv), int(reason)
        assert line, "the application has ended"
        return said

    def look(self):
        """A process that changes something sees at once what others have changed; a label needs no key."""
        self.turn += 1
        said = self.call("label", f"other-{self.turn - 1}", f"other-{self.turn}")
        assert said["label"] == (OK, 0), said

    def close(self):
        self.child.stdin.close()
        return self.child.wait(timeout=60)


def in_a_fresh_process(place, project="p"):
    application = Application(place, project)
    said = application.call("use", "kept")
    assert application.close() == 0
    return said


def is_as_before(said):
    return {use: rv for use, (rv, _) in said.items()} == USES


def is_refused(said):
    return all(rv != OK for rv, _ in said.values())


def is_told(said):
    return (DEVICE_ERROR, RECORD_CORRUPT) in said.values()


def parts_of(extra):
    flags, generated_by = struct.unpack_from(">IQ", extra, 1)
    lists, at = [], 13
    while at < len(extra):
        (length,) = struct.unpack_from(">H", extra, at)
        lists.append(extra[at + 2 : at + 2 + length])
        at += 2 + length
    assert len(lists) == len(LISTS)
    return flags, generated_by, lists


def join(flags, generated_by, lists):
    return struct.pack(">BIQ", 1, flags, generated_by) + b"".join(struct.pack(">H", len(one)) + one for one in lists)


def widenings(place, row):
    """(what is changed, the columns that say so)"""
    flags, generated_by, lists = parts_of(row["extra"])
    other = place.row("other-0")
    readable = flags & ~(1 << 5 | 1 << 6 | 1 << 8) | 1 << 7
    yield "usages: all", {"usages": 127}
    yield "usages: none", {"usages": 0}
    for bit, name in enumerate(FLAGS):
        yield f"extra: {name}, the other way", {"extra": join(flags ^ 1 << bit, generated_by, lists)}
    yield "extra: readable", {"extra": join(readable, generated_by, lists)}
    yield "extra: nothing forbidden", {"extra": join(readable & ~(1 << 11) | 1 << 3 | 1 << 10, generated_by, [b""] * len(LISTS)), "usages": 127}
    for number, name in enumerate(LISTS):
        yield f"extra: {name}", {"extra": join(flags, generated_by, [*lists[:number], b"" if lists[number] else b"x", *lists[number + 1 :]])}
    yield "extra: allowed mechanisms, one more", {"extra": join(flags, generated_by, [*lists[:2], lists[2] + struct.pack(">Q", 0x1082), *lists[3:]])}
    yield "extra: how it was made", {"extra": join(flags, 0x1080, lists)}
    yield "extra: empty", {"extra": b""}
    yield "extra: longer", {"extra": row["extra"] + b"\0"}
    yield "key_type", {"key_type": 0x10}
    yield "value_len: shorter", {"value_len": 16}
    yield "value_len: far longer", {"value_len": 2**32 - 1}
    yield "zone: another", {"zone": place.one("SELECT zone FROM zones WHERE label = 'z1'")}
    yield "zone: one that is not there", {"zone": 12345}
    yield "wrapped: another key's", {"wrapped": other["wrapped"]}
    yield "wrapped: as a DEK", {"wrapped": b"CDEK" + row["wrapped"][4:]}
    yield "wrapped: cut", {"wrapped": row["wrapped"][:-1]}
    yield "wrapped: empty", {"wrapped": b""}
    yield "project: another", {"project": place.one("SELECT uid FROM projects WHERE label = 'q'")}


def check_columns(place, running, row):
    for name, columns in widenings(place, row):
        place.write(row, **columns)
        running.look()
        said = running.call("use", "kept"), in_a_fresh_process(place)
        ok(all(map(is_refused, said)), f"{name}: every use is refused, where the key was open and elsewhere", said)
        # A row that says less than is asked for is refused for that.
        if columns.keys() <= {"extra", "zone", "wrapped"} or columns.get("usages") == 127:
            ok(all(map(is_told, said)), f"{name}: for what it is", said)
        if name == "extra: nothing forbidden":
            whys = {why for one in said for why in one.values()}
            ok(whys == {(DEVICE_ERROR, RECORD_CORRUPT)}, f"{name}: each use for that alone", said)
        narrowed = running.call("narrow", "kept")["narrow"]
        ok(narrowed[0] != OK, f"{name}: nor is it made good by a change", narrowed)
    said = in_a_fresh_process(place, "q")
    ok(is_refused(said) and is_told(said), "project: another: it does not work there either", said)
    place.write(row, uid="0" * 32)
    said = in_a_fresh_process(place)
    ok(is_refused(said) and is_told(said), "uid: every use is refused", said)
    place.write({**row, "uid": "0" * 32}, uid=row["uid"])


def check_names(place, running, row):
    for columns in {"id": b"new"}, {"created_ms": 1}, {"delete_after_ms": 1}:
        place.write(row, **columns)
        running.look()
        said = running.call("use", "kept"), in_a_fresh_process(place)
        ok(all(map(is_as_before, said)), f"{', '.join(columns)}: the key is used as before", said)
    place.write(row, label="mine")
    running.look()
    ok(is_as_before(running.call("use", "mine")), "label: the key is used under its new name: redirecting is what a writer can do")
    place.write({**row, "label": "mine"}, label="kept")


def check_rollback(place, running, row):
    running.look()
    said = running.call("narrow", "kept")
    ok(said["narrow"] == (OK, 0), "its owner narrows it", said)
    said = running.call("use", "kept"), in_a_fresh_process(place)
    ok(all(one["encrypt"][0] == NOT_PERMITTED and one["wrap"][0] == OK for one in said), "the narrowed key works within its limits", said)
    narrowed = place.row()
    ok(narrowed["wrapped"] != row["wrapped"], "it was wrapped anew")
    place.write(narrowed, usages=row["usages"])
    running.look()
    said = running.call("use", "kept"), in_a_fresh_process(place)
    ok(all(map(is_refused, said)), "giving it the usages of before is refused", said)
    place.write(narrowed, wrapped=row["wrapped"])
    running.look()
    said = running.call("use", "kept"), in_a_fresh_process(place)
    ok(all(map(is_refused, said)), "and so is the wrapped form of before", said)
    place.write(row)
    running.look()
    said = running.call("use", "kept"), in_a_fresh_process(place)
    ok(all(map(is_as_before, said)), "the whole row of before is as good as a backup (docs/store.md)", said)


def main():
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        place = Place(folder)
        running = Application(place)
        for label in "kept", "other-0":
            assert running.call("make", label)["make"] == (OK, 0)
        row = place.row()
        said = running.call("use", "kept"), in_a_fresh_process(place)
        ok(all(map(is_as_before, said)), "a key with every limit works within them", said)
        check_columns(place, running, row)
        with open(place.log, encoding="utf-8") as log:
            ok(MESSAGE in log.read(), "the log says what happened, to which key, and what to do")
        place.write(row)
        running.look()
        check_names(place, running, row)
        place.write(row)
        check_rollback(place, running, row)
        ok(running.close() == 0, "the application ends well")
    print(f"1..{ok.count}")


main()
