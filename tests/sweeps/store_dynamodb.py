#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A store in DynamoDB, as MiniStack plays it on loopback, where it takes minutes: a large store of which a process reads but a part; a restore in
parts that is killed at each of its transactions; `cmek store copy` into it and out of it, killed before or after a transaction, or with the answer lost;
racing writers and what each engine promises, with each tenth answer lost: 25 ($CMEK_DYNAMODB_WRITERS), since MiniStack does one request at a time,
and 200 on the table that the unit tests play. TAP."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import store_copy  # noqa: E402
from store_dynamodb import MiniStack, Way, configure, databases, killed_at, main  # noqa: E402
from store_etcd import BUILD, DATA, Application, cmek, log_of  # noqa: E402

MANY = 40  # databases: more than one transaction takes
INDEX_MAX = 100


class Place(store_copy.Place):
    """A table of its own."""

    def __init__(self, folder, name, way, table):
        super().__init__(folder, name, ["backend = dynamodb", f"table = {table}", "region = eu-central-1", f"endpoint = {way.url}"])
        cmek(self.conf, "store", "create")


class Gate:
    """What store_copy.py asks of a gate, by the way: at a transaction."""

    def __init__(self, way):
        self.way = way

    def arm(self, at, how):
        killed = how.startswith("killed")
        self.way.set(count=0, victim=0, kill_at=at if killed else 0, before=how == "killed before", lose_at=0 if killed else at)

    @property
    def count(self):
        return self.way.numbers["count"].value

    @property
    def program(self):
        return None

    @program.setter
    def program(self, program):
        self.way.set(victim=program.pid if program else 0)


def make_many(folder, conf):
    for words in (["project", "create", "demo"], ["key", "create", "--project", "demo", "local:root"],
                  ["cluster", "create", "--project", "demo", "main", "--key", "root", "--region", "local"]):
        cmek(conf, *words)
    os.environ["CMEK_PKCS11_CONF"] = conf
    app = Application()
    made = sum(app.makes(f"main/many-{i}") for i in range(MANY))
    with open(os.path.join(folder, "plain"), "wb") as file:
        file.write(DATA)
    return app, made


def large_store(check, way, folder, app):
    """Of one with more rows than index_max a process reads few items, and a database by its key."""
    for i in range(INDEX_MAX - MANY):
        app.makes(f"main/more-{i}")
    part = configure(folder, "part", way, "fleet", f"index_max = {INDEX_MAX}")
    plain, sealed = os.path.join(folder, "plain"), os.path.join(folder, "sealed")
    done = cmek(part, "encrypt", "--project", "demo", "--database", "main/many-7", plain, sealed)
    check(done.returncode == 0, "a process that knows but a part of a large store encrypts by a database's name", done.stderr)
    way.set(requests=0)
    done = cmek(part, "decrypt", sealed, "-")
    few = way.numbers["requests"].value
    check(done.stdout.encode() == DATA and few <= 12, f"and opens a file: it starts and finds the database by {few} requests", done.stderr)
    check(app.makes("main/just-made"), "a database is made by another process")
    done = cmek(part, "encrypt", "--project", "demo", "--database", "main/just-made", plain, sealed + "2")
    check(done.returncode == 0, "and found at once", done.stderr)
    done = cmek(part, "encrypt", "--project", "demo", "--database", "main/nowhere", plain, sealed + "3")
    check(done.returncode != 0 and "main/nowhere" in done.stderr, "one that is nowhere is told so", done.stderr)
    way.set(requests=0)
    listed = sorted(databases(part, "demo"))
    last = way.numbers["requests"].value
    check(listed == sorted(databases(os.environ["CMEK_PKCS11_CONF"], "demo")), "a list has all databases", len(listed))
    way.set(requests=0, cut_at=last)
    done = cmek(part, "database", "list", "--project", "demo")
    way.set(cut_at=0)
    check(done.returncode != 0 and not done.stdout and "dynamodb:fleet" in done.stderr + log_of(folder, "part"),
          "one that is cut off at its last request prints nothing, and says why", done.stdout + done.stderr)


def killed_restores(check, way, folder, conf):
    """Of more than one transaction takes: each way it is killed, all of it is there or nothing."""
    saved = os.path.join(folder, "demo.backup")
    done = cmek(conf, "backup", "--project", "demo", saved)
    check(done.returncode == 0, "a project of many databases is backed up", done.stderr)
    wanted, seen, number = sorted(databases(conf, "demo")), set(), 0
    while True:
        number += 1
        here = configure(folder, f"r{number}", way, f"restored-{number}")
        cmek(here, "store", "create")
        killed = killed_at(way, here, number, number % 2 == 0, "restore", saved)
        found = databases(here, "demo")
        seen.add("none" if not found else "all" if sorted(found) == wanted else "some")
        if not killed:
            break
        again = cmek(here, "restore", saved)
        if again.returncode or sorted(databases(here, "demo")) != wanted:
            check(False, f"killed at transaction {number}, it is restored by the next", again.stderr)
    check(seen == {"none", "all"} and number > 4, f"a restore that is killed at one of {number - 1} transactions is done whole or not at all", seen)


def cut_off(check, way, folder, into):
    """At every second transaction, by one way after the other; each time from the beginning."""
    gate, at = Gate(way), 1
    while True:
        here = os.path.join(folder, f"copy-{int(into)}-{at}")
        os.mkdir(here)
        for name in ("local.keys", "main-db1", "main-kept"):
            shutil.copy(os.path.join(folder, name), here)
        shutil.copy(os.path.join(folder, "first.db"), os.path.join(here, "a.db"))
        file, fleet = store_copy.sqlite_place(here, "a"), Place(here, "b", way, os.path.basename(here))
        expected, source, target = file.names(), file, fleet
        if not into:
            done = cmek(file.conf, "store", "copy", "--to", fleet.conf)
            if done.returncode != 0:
                raise AssertionError(done.stderr)
            source, target = fleet, store_copy.sqlite_place(here, "d")
        how = store_copy.WAYS[at // 2 % len(store_copy.WAYS)]
        if not store_copy.one_step(here, gate, how, at, source, target, expected):
            break
        if not store_copy.opens(target, here):
            raise AssertionError(f"{how} at transaction {at}: files do not open")
        at += 2
    check(at > 2, f"cut off at transactions of a copy {'into' if into else 'out of'} DynamoDB, it lives once and arrives whole", at)


def copies(check, way, folder):
    first = store_copy.sqlite_place(folder, "first")
    store_copy.fill(check, folder, first)
    check(store_copy.opens(first, folder), "files open from the store in a file")
    for into in (True, False):
        cut_off(check, way, folder, into)


def race(check, where, writers, **more):
    done = subprocess.run([os.path.join(BUILD, "tests", "test_zones_store_dynamodb_dynamodb")], capture_output=True, text=True,
                          env=dict(os.environ, CMEK_DYNAMODB_WRITERS=writers, **more))
    check(done.returncode == 0 and f"{writers} of {writers} writes" in done.stdout + done.stderr,
          f"{writers} of {writers} racing writers {where}, and what each engine promises, with each tenth answer lost", done.stdout + done.stderr)
    for line in (done.stdout + done.stderr).splitlines():
        if "writes," in line:
            print(line)


def run(check, folder):
    server = MiniStack(folder)
    way = Way(server.port)
    try:
        server.start()
        a = configure(folder, "a", way, "fleet")
        cmek(a, "store", "create")
        app, made = make_many(folder, a)
        check(made == MANY, f"{MANY} databases are made", made)
        killed_restores(check, way, folder, a)
        large_store(check, way, folder, app)
        copied = os.path.join(folder, "copied")
        os.mkdir(copied)
        copies(check, way, copied)
        way.set(count=0, lose_each=10)
        race(check, "on MiniStack", os.environ.get("CMEK_DYNAMODB_WRITERS", "25"), CMEK_DYNAMODB_ENDPOINT=way.url)
        race(check, "on a table of our own", "200")
    finally:
        way.stop()
        server.stop()


if __name__ == "__main__":
    sys.exit(main(run))
