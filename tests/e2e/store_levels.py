#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The store's levels: two builds side by side, one of them a release to come (tests/module/cmek-next.so, which knows two made-up levels). What the
older understands is not refused, what it may not write is refused with the reason, what carries its record opens at every level, and the way
back is there until a feature is used. TAP. The long walk is tests/sweeps/store_levels_long.py."""

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import p11  # noqa: E402
from levels_walk import CMEK, MODULE, NEXT, ROOT, Place, Process, Walk  # noqa: E402
from load_place import Tally  # noqa: E402

ok = Tally()
NOT_FOUND, REFUSED, DAMAGED, UNAVAILABLE = 3, 4, 7, 6


def told(done):
    return done.stdout + done.stderr


def is_short(done):
    """At most two lines of a terminal, but for the store's path."""
    return len(done.stderr) - len(" ") < 160 + 120 and done.stderr.count("\n") == 1


def seal(place, database):
    plain, sealed = os.path.join(place.folder, "plain"), os.path.join(place.folder, database.replace("/", "-"))
    with open(plain, "w", encoding="utf-8") as file:
        file.write("what the file says")
    place.cmek("encrypt", "--project", "p", "--database", database, plain, sealed)
    return sealed


def opens(place, sealed):
    return place.cmek("decrypt", sealed, "-", check=False)


def check_no_store(folder):
    place = Place(folder)
    for verb in "show", "upgrade", "downgrade":
        done = place.cmek("store", verb, check=False)
        ok(done.returncode == NOT_FOUND and "there is no store yet" in done.stderr and "'cmek project create NAME' makes" in done.stderr
           and is_short(done) and not os.path.exists(place.store), f"'cmek store {verb}' without a store says so, and what makes it", told(done))


def check_newest(place):
    facts = json.loads(place.cmek("store", "show", "--json").stdout)
    lines = [line.split(None, 1) for line in place.cmek("store", "show").stdout.splitlines()]
    ok({word for word, _ in lines} == set(facts) - {"exists", "levels", "rights_on"}, "'cmek store show' has the same words in text and JSON", lines)
    ok(all(str(facts[word]) == value for word, value in lines if not isinstance(facts[word], bool)), "and says the same", lines)
    done = place.cmek("store", "upgrade")
    ok("is at level 1, the newest" in done.stdout, "this release's store is at the newest level", told(done))
    done = json.loads(place.cmek("store", "upgrade", "--json").stdout)
    ok(not done["changed"] and done["from"] == done["to"] == 1, "as JSON too", done)
    done = place.cmek("store", "downgrade")
    ok("is at level 1, the lowest" in done.stdout, "and there is no way down", told(done))
    done = place.cmek("store", "upgrade", "--to", "2", check=False)
    ok(done.returncode == 2, "an unknown level is refused", told(done))


def check_writers_level(place, sealed):
    def revision():
        return place.sql("SELECT revision, schema, min_reader, min_writer FROM store")[0]
    before = revision()
    done = place.cmek("store", "upgrade", "--to", "2", "--dry-run", module=NEXT)
    ok(all(word in done.stdout for word in ("notes on databases", "read by releases that know level 1: cmek-pkcs11 0.1.0",
                                            "changed by releases that know level 2: cmek-pkcs11 0.2.0", "nothing was changed")),
       "a later release says what it would switch on, and who is stopped by that", told(done))
    ok(revision() == before, "and changes nothing")
    done = json.loads(place.cmek("store", "upgrade", "--to", "2", "--json", module=NEXT).stdout)
    ok(done["changed"] and (done["from"], done["to"], done["min_reader"], done["min_writer"]) == (1, 2, 1, 2), "then it does so", done)
    ok(revision() == (before[0] + 1, 2, 1, 2), "in one transaction", revision())
    done = place.cmek("database", "list", "--project", "p")
    ok("c/one" in done.stdout, "the older one goes on reading", told(done))
    done = opens(place, sealed)
    ok(done.stdout == "what the file says", "and opening files", told(done))
    done = place.cmek("database", "create", "--project", "p", "c/new", check=False)
    ok(done.returncode == REFUSED and all(word in done.stderr for word in (place.store, "changing it takes level 2", "knows level 1", "install cmek-pkcs11 0.2.0")),
       "it refuses to write, and says which store, which levels and what to do", told(done))
    ok(is_short(done), "in two lines", done.stderr)
    done = place.cmek("store", "upgrade", check=False)
    ok(done.returncode == REFUSED and "do it with cmek-pkcs11 0.2.0" in done.stderr, "an upgrade is for the later release to make", told(done))
    done = place.cmek("store", "downgrade", check=False)
    ok(done.returncode == REFUSED, "and so is the way back", told(done))
    facts = json.loads(place.cmek("store", "show", "--json").stdout)
    ok((facts["level"], facts["min_reader"], facts["min_writer"], facts["understands"], facts["reads"], facts["writes"]) == (2, 1, 2, 1, True, False),
       "'cmek store show' tells both numbers", facts)
    done = place.cmek("doctor", check=False)
    ok(done.returncode == 0 and "level 2, readers need 1, writers 2; this release knows level 1" in done.stdout, "so does doctor", told(done))
    ok("rows, readable, not to be changed by this release" in done.stdout and "writable" not in done.stdout, "which does not call it writable", told(done))
    done = place.cmek("database", "create", "--project", "p", "c/later", module=NEXT, check=False)
    ok(done.returncode == 0, "the later release writes", told(done))


def check_readers_level(place, sealed, deleted, kept):
    running = Process("running", MODULE, 1, place)
    ok(running.do("wrap_open", "c/one")["rv"] == running.do("hold", "c/one")["rv"] == running.do("use_held", "c/one")["rv"] == 0,
       "a process of the older release is at work")
    place.cmek("store", "upgrade", module=NEXT)
    said = running.do("labels")
    got = set(said.get("got", ()))
    ok("root" in got and got <= {"", "p", "root"}, "at a level that it can't read it has projects and root keys alone", said)
    said = running.do("wrap_open", "c/one")
    ok((said["rv"], said["reason"]) == (0x30, 204), "the rest is refused, and not said to be absent", said)
    said = running.do("use_held", "c/one")
    ok((said["rv"], said["reason"]) == (0x30, 204), "also by a handle that was open", said)
    log_before = open(place.log, encoding="utf-8").read()
    for _ in range(20):
        running.do("labels")
    ok(open(place.log, encoding="utf-8").read() == log_before and log_before.count("reading it takes level 3") >= 1, "the log says so once",
       open(place.log, encoding="utf-8").read()[len(log_before):])
    done = opens(place, sealed)
    ok(done.stdout == "what the file says", "a file that carries its record opens", told(done))
    done = opens(place, kept)
    ok(done.returncode == DAMAGED and "reading it takes level 3" in done.stderr and "install cmek-pkcs11 0.3.0" in done.stderr,
       "one whose key is in the store alone is refused, and its key not said to be lost", told(done))
    done = opens(place, deleted)
    ok(done.returncode != 0 and "awaits deletion" in done.stderr, "but not one whose database was deleted here", told(done))
    done = place.cmek("project", "list")
    ok("p" in done.stdout, "projects are listed", told(done))
    done = place.cmek("database", "list", "--project", "p", check=False)
    ok(done.returncode == DAMAGED and "reading it takes level 3" in done.stderr and "install cmek-pkcs11 0.3.0" in done.stderr and is_short(done),
       "a list of databases is not said to be empty", told(done))
    done = place.cmek("project", "create", "q", check=False)
    ok(done.returncode in (REFUSED, DAMAGED) and place.store in done.stderr, "nothing is made", told(done))
    done = place.cmek("doctor", check=False)
    ok(done.returncode == DAMAGED and "level 3, readers need 3, writers 3; this release knows level 1" in done.stdout, "doctor calls that a fault", told(done))
    facts = json.loads(place.cmek("store", "show", "--json").stdout)
    ok((facts["level"], facts["min_reader"], facts["reads"]) == (3, 3, False), "'cmek store show' works", facts)
    place.sql("INSERT INTO frozen VALUES (1)")
    done = place.cmek("store", "downgrade", module=NEXT, check=False)
    ok(done.returncode == REFUSED and "in use" in done.stderr, "there is no way back while the feature is used", told(done))
    place.sql("DELETE FROM frozen")
    for level in 2, 1:
        done = json.loads(place.cmek("store", "downgrade", "--json", module=NEXT).stdout)
        ok(done["changed"] and done["to"] == level, f"else there is one, to level {level}", done)
    said = running.do("wrap_open", "c/one")
    ok(said["rv"] == 0, "the process that ran all the while works as before", said)
    ok(running.do("make_zone", "c/again")["rv"] == 0, "and writes")
    ok(running.close() == 0, "it ends well")


def check_unreadable(place):
    """What holds at every level is not there: nothing of the store, but the module starts."""
    shutil.copy(place.store, place.store + ".kept")
    place.sql("PRAGMA user_version = 9")
    place.sql("ALTER TABLE projects RENAME TO p9")
    os.environ.update(place.environment)
    module = p11.Module(MODULE)
    ok(module.raw("Initialize", None) == 0, "the module starts on a store of which it can read nothing")
    ok(module.raw("Finalize", None) == 0, "and ends")
    done = place.cmek("project", "list", check=False)
    ok(done.returncode == DAMAGED and "reading it takes level 9" in done.stderr and "a later release" in done.stderr, "it says what it needs", told(done))
    os.replace(place.store + ".kept", place.store)


def check_audit(place):
    with open(f"{place.folder}/audit", encoding="utf-8") as file:
        lines = [line for line in map(json.loads, file) if line["event"] == "store"]
    ok([(line["action"], line["name"], line["outcome"]) for line in lines] == [
        ("upgraded", "level 1 to 2", "ok"), ("upgraded", "level 2 to 3", "ok"), ("downgraded", "level 3 to 2", "ok"), ("downgraded", "level 2 to 1", "ok"),
    ], "each way up and down is a line of the audit log", lines)


def check_killed(place):
    """However an upgrade ends, the store is at one level or the other."""
    environment = {**os.environ, **place.environment, "CMEK_PKCS11_MODULE": NEXT}
    chance, levels, whole = random.Random(7), {}, True
    began = time.monotonic()
    place.cmek("store", "upgrade", module=NEXT)
    span = time.monotonic() - began
    for _ in range(2):
        place.cmek("store", "downgrade", module=NEXT)
    for _ in range(20):
        child = subprocess.Popen([CMEK, "store", "upgrade"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(span * (0.3 + 1.2 * chance.random()))
        child.send_signal(signal.SIGKILL)
        child.wait()
        facts = json.loads(place.cmek("store", "show", "--json", module=NEXT).stdout)
        state = facts["level"], facts["min_reader"], facts["min_writer"]
        tables = {name for (name,) in place.sql("SELECT name FROM sqlite_master WHERE name IN ('notes', 'frozen')")}
        whole &= (state, tables) in (((1, 1, 1), set()), ((3, 3, 3), {"notes", "frozen"}))
        levels[facts["level"]] = levels.get(facts["level"], 0) + 1
        for _ in range(facts["level"] - 1):
            place.cmek("store", "downgrade", module=NEXT)
    ok(whole, f"of 20 upgrades that were killed each was whole or none: {levels}", state)


def check_together(place):
    """Two at once: one does it, the other hears that it was done."""
    environment = {**os.environ, **place.environment, "CMEK_PKCS11_MODULE": NEXT}
    children = [subprocess.Popen([CMEK, "store", "upgrade", "--json"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
                for _ in range(4)]
    said = [child.communicate(timeout=60)[0] for child in children]
    changed = [json.loads(one)["changed"] for one in said if one]
    ok(changed.count(True) == 1, "of four upgrades at once, one is made", said)
    for _ in range(2):
        place.cmek("store", "downgrade", module=NEXT)


def check_read_only(place):
    user = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"] if os.geteuid() == 0 else []
    os.chmod(place.folder, 0o555)
    os.chmod(place.store, 0o444)
    if subprocess.run([*user, "test", "-r", NEXT, "-a", "-x", CMEK], check=False).returncode != 0:
        ok(True, "a read-only store is not upgraded # SKIP the build is not readable by another user")
        return
    done = subprocess.run([*user, CMEK, "store", "upgrade"], env={**os.environ, **place.environment, "CMEK_PKCS11_MODULE": NEXT},
                          capture_output=True, text=True, timeout=60, check=False)
    os.chmod(place.folder, 0o700)
    os.chmod(place.store, 0o600)
    ok(done.returncode == UNAVAILABLE and place.store in done.stderr, "a read-only store is not upgraded", told(done))


def check_golden(folder, name):
    """What the first release of a level wrote is read, opened and written by every later one."""
    golden, place = os.path.join(ROOT, "tests", "golden", name), Place(folder)
    with gzip.open(f"{golden}/store.db.gz") as file, open(place.store, "wb") as out:
        out.write(file.read())
    shutil.copy(f"{golden}/local.keys", f"{folder}/local.keys")
    os.chmod(f"{folder}/local.keys", 0o600)
    os.chmod(place.store, 0o600)
    done = place.cmek("tree", check=False)
    ok(done.returncode == 0 and all(word in done.stdout for word in ("golden", "prod", "one", "two")), f"{name}: its tree is read", told(done))
    done = place.cmek("decrypt", f"{golden}/one.cmek", "-", check=False)
    ok(done.stdout == "what the file says\n", f"{name}: an envelope opens", told(done))
    done = place.cmek("decrypt", f"{golden}/deleted.cmek", "-", check=False)
    ok("awaits deletion" in done.stderr, f"{name}: a deleted database is known", told(done))
    with open(f"{golden}/key.json", encoding="utf-8") as file:
        kept = json.load(file)
    script = ("import sys; sys.path.insert(0, sys.argv[1]); import p11; m = p11.Module().start('golden');"
              "print(m.decrypt(p11.gcm(), m.find(TOKEN=True, LABEL='kept'), bytes.fromhex(sys.argv[2])).decode())")
    got = subprocess.run([sys.executable, "-c", script, os.path.join(ROOT, "tests"), kept["by_kept"]], env={**os.environ, **place.environment},
                         capture_output=True, text=True, timeout=60)
    ok(got.stdout.strip() == kept["text"], f"{name}: a token key opens what it encrypted", got.stderr)
    done = place.cmek("database", "create", "--project", "golden", "prod/new", check=False)
    ok(done.returncode == 0, f"{name}: it is written", told(done))


def check_walk(place):
    processes = [Process("this", MODULE, 1, place), Process("next", NEXT, 3, place)]
    walk = Walk(place, processes, seed=1)
    wrong = walk.walk(600)
    ok(not wrong, f"{walk.steps} steps of two builds, at {len({level for _, _, level in walk.counts})} levels, are as the level says", "\n".join(wrong))
    ok([process.close() for process in processes] == [0, 0], "both end well")


def main():
    for name in sorted(os.listdir(os.path.join(ROOT, "tests", "golden"))):
        if name.startswith("store-"):
            with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
                check_golden(folder, name)
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        check_no_store(folder)
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        place = Place(folder)
        place.begin()
        for database in "c/one", "c/deleted":
            place.cmek("database", "create", "--project", "p", database)
        place.cmek("database", "create", "--project", "p", "--no-embed", "c/kept")
        sealed, deleted, kept = (seal(place, database) for database in ("c/one", "c/deleted", "c/kept"))
        helper = Process("helper", MODULE, 1, place)
        helper.do("remove", "c/deleted")
        helper.close()
        check_newest(place)
        check_writers_level(place, sealed)
        check_readers_level(place, sealed, deleted, kept)
        check_audit(place)
        check_unreadable(place)
        check_read_only(place)
        check_together(place)
        check_killed(place)
    with tempfile.TemporaryDirectory(prefix="cmek-test-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        place = Place(folder)
        place.begin()
        check_walk(place)
    print(f"1..{ok.count}")


main()
