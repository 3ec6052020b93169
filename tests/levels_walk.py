# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Two builds side by side on one store: a random walk of both with an oracle. Each build runs in a process of its own that stays, so a step costs
no start (tests/e2e/store_levels.py, tests/sweeps/store_levels_long.py)."""

import ctypes
import json
import multiprocessing
import os
import random
import sqlite3
import subprocess

import p11

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
MODULE, NEXT, CMEK = (os.path.join(BUILD, name) for name in ("cmek-pkcs11.so", "tests/module/cmek-next.so", "cmek"))
PROTECTED, DEVICE_ERROR = 0xE2, 0x30
READER, WRITER = 204, 207  # CMEK_ERROR_STORE_NEWER, …_WRITER
CKO_DIAGNOSTIC, CKO_CLUSTER = 0x80434D02, 0x80434D01
p11.CKA.update({"STORE": 0x80434D15, "STORE_LEVEL": 0x80434D16, "CMEK_VERSION": 0x80434D06, "CLUSTER": 0x80434D04, "MESSAGE": 0x80434D0D,
                "ROOT_KEY": 0x80434D09, "REGION": 0x80434D03})
READS_LEVELS = {1: {1, 2, 3}, 2: {1, 2, 3}, 3: {3}}  # level of the store → newest levels of the releases that read it
WRITES_LEVELS = {1: {1, 2, 3}, 2: {2, 3}, 3: {3}}


class Program:
    """What one process of a build can do; each method is a step, and answers what it saw or {"rv", "reason"}."""

    def __init__(self, module, project):
        self.module, self.handles = p11.Module(module), {}
        self.module.start(project)

    def reason(self):
        info = (p11.CK_ULONG * 4)()
        self.module.raw("GetSessionInfo", self.module.session, info)
        return info[3]

    def do(self, name, *arguments):
        try:
            self.module.raw("GetSlotList", ctypes.c_ubyte(1), None, ctypes.byref(p11.CK_ULONG()))  # which looks into the store now
            return {"rv": 0, "got": getattr(self, name)(*arguments)}
        except p11.Refused as refused:
            return {"rv": refused.rv, "reason": self.reason()}
        except AssertionError as error:
            return {"rv": -1, "reason": str(error)}

    def zone(self, label):
        return self.module.find(TOKEN=True, LABEL=label, CLASS=p11.CKO_SECRET_KEY)

    def root(self):
        return self.module.find(TOKEN=True, LABEL="root", CLASS=p11.CKO_SECRET_KEY)

    def diagnostic(self):
        return self.module.find(CLASS=CKO_DIAGNOSTIC)

    # Reading
    def labels(self):
        handles, count, found = (p11.CK_ULONG * 512)(), p11.CK_ULONG(), []
        self.module.call("FindObjectsInit", self.module.session, *self.module.rows({"TOKEN": True}))
        self.module.raw("FindObjects", self.module.session, handles, p11.CK_ULONG(512), ctypes.byref(count))
        self.module.raw("FindObjectsFinal", self.module.session)
        for handle in handles[: count.value]:
            found.append(self.module.get(p11.CK_ULONG(handle), "LABEL").decode())
        return sorted(found)

    def wrap_open(self, label):
        """A DEK goes out and in under the zone."""
        zone, by = self.zone(label), p11.mechanism("DEK_WRAP")
        dek = self.module.generate(TOKEN=False, EXTRACTABLE=True, ENCRYPT=True, ZONE=self.module.get(zone, "ZONE"))
        return self.module.wrap(by, zone, dek).hex()

    def open_wrapped(self, label, wrapped):
        key = self.module.unwrap(p11.mechanism("DEK_WRAP"), self.zone(label), bytes.fromhex(wrapped), TOKEN=False, DECRYPT=True)
        self.module.destroy(key)

    def open_by_record(self, record, wrapped):
        """As a reader of an envelope does where no zone is known: the record, then what it wrapped."""
        zone = self.module.unwrap(p11.mechanism("KMS"), self.root(), bytes.fromhex(record), TOKEN=False, UNWRAP=True, WRAP=True)
        try:
            self.module.destroy(self.module.unwrap(p11.mechanism("DEK_WRAP"), zone, bytes.fromhex(wrapped), TOKEN=False, DECRYPT=True))
        finally:
            self.module.destroy(zone)

    def hold(self, label):
        self.handles[label] = self.zone(label), self.module.generate(TOKEN=False, EXTRACTABLE=True, ZONE=self.module.get(self.zone(label), "ZONE"))

    def use_held(self, label):
        return self.module.wrap(p11.mechanism("DEK_WRAP"), *self.handles[label]).hex()

    def record(self, label):
        return self.module.get(self.zone(label), "ENCRYPTED_KEY").hex()

    def encrypt_by(self, label):
        return self.module.encrypt(p11.gcm(), self.module.find(TOKEN=True, LABEL=label)).hex()

    # Writing
    def make_zone(self, label):
        self.module.generate(TOKEN=True, LABEL=label, WRAP=True, UNWRAP=True, EXTRACTABLE=False)

    def make_key(self, label, zone):
        self.module.generate(TOKEN=True, LABEL=label, ENCRYPT=True, DECRYPT=True, EXTRACTABLE=True,
                             ZONE=self.module.get(self.zone(zone), "ZONE"))

    def rename(self, label, new):
        self.module.set(self.module.find(TOKEN=True, LABEL=label), LABEL=new)

    def remove(self, label):
        self.module.destroy(self.module.find(TOKEN=True, LABEL=label))

    def level(self):
        return list(ctypes.cast(self.module.get(self.diagnostic(), "STORE_LEVEL"), ctypes.POINTER(p11.CK_ULONG))[:2])

    def bring(self, start, end):
        self.module.set(self.diagnostic(), STORE_LEVEL=bytes((p11.CK_ULONG * 2)(start, end)))


def serve(pipe, module, project, environment):
    os.environ.update(environment)
    try:
        program = Program(module, project)
        pipe.send("ready")
        for words in iter(pipe.recv, None):
            pipe.send(program.do(*words))
    except EOFError:
        pass
    os._exit(0)


class Process:
    def __init__(self, name, module, newest, place):
        self.name, self.newest = name, newest
        self.pipe, theirs = multiprocessing.Pipe()
        self.process = multiprocessing.get_context("fork").Process(target=serve, args=(theirs, module, "p", place.environment), daemon=True)
        self.process.start()
        theirs.close()
        assert self.pipe.recv() == "ready"

    def do(self, *words):
        self.pipe.send(words)
        return self.pipe.recv()

    def close(self):
        self.pipe.send(None)
        self.process.join(20)
        return self.process.exitcode


class Place:
    def __init__(self, folder):
        self.folder, self.store = folder, os.path.join(folder, "store.db")
        self.log = os.path.join(folder, "log")
        self.environment = {"CMEK_PKCS11_CONF": os.path.join(folder, "cmek.conf"), "CMEK_PKCS11_MODULE": MODULE}
        with open(self.environment["CMEK_PKCS11_CONF"], "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {self.store}\n[local]\npath = {folder}/local.keys\n[log]\nto = {self.log}\naudit = {folder}/audit\n")

    def cmek(self, *words, module=MODULE, check=True):
        environment = {**os.environ, **self.environment, "CMEK_PKCS11_MODULE": module}
        return subprocess.run([CMEK, *words], env=environment, capture_output=True, text=True, timeout=60, check=check)

    def begin(self):
        self.cmek("project", "create", "p")
        self.cmek("key", "create", "--project", "p", "local:root", "--label", "root")
        self.cmek("cluster", "create", "--project", "p", "c", "--key", "root", "--region", "x")

    def sql(self, *statement):
        with sqlite3.connect(self.store, timeout=20) as store:
            return store.execute(*statement).fetchall()


class Walk:
    """`processes` on one place. What each step must answer is known from the level alone; what the store must hold, from what was answered."""

    def __init__(self, place, processes, seed, levels=3):
        self.place, self.processes, self.random, self.levels = place, processes, random.Random(seed), levels
        self.level, self.zones, self.keys, self.turn, self.steps, self.counts = 1, {}, {}, 0, 0, {}
        self.wrong, self.trail = [], []
        self.dirty = set()  # processes that may not have heard of the last change

    def say(self, process, words, said):
        self.wrong.append(f"step {self.steps}, level {self.level}, {process.name} {words}: {said}; before: {self.trail[-5:]}")

    def reads(self, process):
        return process.newest in READS_LEVELS[self.level]

    def writes(self, process):
        return process.newest in WRITES_LEVELS[self.level]

    def step(self):
        self.steps += 1
        process = self.random.choice(self.processes)
        name = self.random.choice(("read",) * 8 + ("record",) * 3 + ("make_zone", "make_key", "make_key", "rename", "rename", "remove", "level") + ("bring",))
        self.counts[name, process.name, self.level] = self.counts.get((name, process.name, self.level), 0) + 1
        getattr(self, f"try_{name}")(process)

    def run(self, process, *words):
        said = process.do(*words)
        self.trail.append((process.name, words[0], said["rv"]))
        return said

    def expect_write(self, process, *words):
        """True: it was done."""
        said = self.run(process, *words)
        if self.writes(process):
            if said["rv"] != 0:
                self.say(process, words, said)
            return said["rv"] == 0
        reasons = {WRITER} if self.reads(process) else {WRITER, READER}
        if said["rv"] not in (PROTECTED, DEVICE_ERROR) or said["reason"] not in reasons:
            self.say(process, words, said)
        return False

    def expect_read(self, process, *words):
        said = self.run(process, *words)
        if self.reads(process) and said["rv"] != 0:
            self.say(process, words, said)
        if not self.reads(process) and (said["rv"], said.get("reason")) != (DEVICE_ERROR, READER):
            self.say(process, words, said)
        return said.get("got") if said["rv"] == 0 else None

    def name_of(self, kind):
        self.turn += 1
        return f"c/z{self.turn}" if kind == "zone" else f"k{self.turn}"

    def pick(self, of):
        return self.random.choice(sorted(of)) if of else None

    def try_read(self, process):
        zone, key = self.pick(self.zones), self.pick(self.keys)
        if zone and self.random.random() < 0.5:
            wrapped = self.expect_read(process, "wrap_open", zone)
            if wrapped is not None:
                self.zones[zone]["wrapped"] = wrapped
            if self.zones[zone]["wrapped"]:
                self.expect_read(process, "open_wrapped", zone, self.zones[zone]["wrapped"])
        elif key:
            self.expect_read(process, "encrypt_by", key)

    def try_record(self, process):
        """What carries its record opens in every release at every level."""
        zone = self.pick(self.zones)
        if zone and self.zones[zone]["wrapped"]:
            words = "open_by_record", self.zones[zone]["record"], self.zones[zone]["wrapped"]
            said = self.run(process, *words)
            if said["rv"] != 0:
                self.say(process, words[:1], said)

    def try_make_zone(self, process):
        label = self.name_of("zone")
        if len(self.zones) < 25 and self.expect_write(process, "make_zone", label):
            self.zones[label] = {"record": self.run(process, "record", label)["got"], "wrapped": self.run(process, "wrap_open", label)["got"]}

    def try_make_key(self, process):
        zone, label = self.pick(self.zones), self.name_of("key")
        if zone and len(self.keys) < 40 and self.reads(process) and self.expect_write(process, "make_key", label, zone):
            self.keys[label] = zone

    def try_rename(self, process):
        of = self.random.choice((self.zones, self.keys))
        label, new = self.pick(of), self.name_of("zone" if of is self.zones else "key")
        if label and self.reads(process) and self.expect_write(process, "rename", label, new):
            of[new] = of.pop(label)
            self.keys.update({key: new for key, zone in self.keys.items() if zone == label})

    def try_remove(self, process):
        label = self.pick(self.keys)
        if label and self.reads(process) and self.expect_write(process, "remove", label):
            del self.keys[label]

    def try_level(self, process):
        said = self.run(process, "level")
        if said != {"rv": 0, "got": [self.level, process.newest]}:
            self.say(process, "level", said)

    def try_bring(self, process):
        target = self.random.randint(1, self.levels)
        said = self.run(process, "bring", self.level, target)
        if self.writes(process) and target <= process.newest:
            if said["rv"] != 0:
                self.say(process, ("bring", target), said)
            else:
                self.level = target
        elif said["rv"] == 0:
            self.say(process, ("bring", target), said)

    def check(self):
        """Nothing is lost: the store has what was answered, and whoever reads sees it."""
        root = {"root"}  # a search that names no class finds no cluster
        for process in self.processes:
            if not self.reads(process):
                continue
            self.run(process, "level")
            got = self.run(process, "labels").get("got")
            if got is None or not set(got) >= set(self.zones) | set(self.keys) | root or set(got) - set(self.zones) - set(self.keys) - root - {"p", "", "c"}:
                self.say(process, "labels", {"got": got, "lost": (set(self.zones) | set(self.keys) | root) - set(got or ())})
        rows = {label for table in ("zones", "token_keys") for (label,) in self.place.sql(f"SELECT label FROM {table}")}
        if rows != set(self.zones) | set(self.keys):
            self.wrong.append(f"step {self.steps}: rows {rows ^ (set(self.zones) | set(self.keys))}")

    def walk(self, steps, seconds=None, clock=None):
        began = clock() if clock else 0
        while self.steps < steps and not self.wrong:
            self.step()
            if self.steps % 250 == 0:
                self.check()
            if clock and clock() - began > seconds:
                break
        self.check()
        return self.wrong
