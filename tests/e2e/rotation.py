#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Databases are rotated while processes and threads wrap and unwrap by them: nobody fails, everybody follows without a restart, what one
process has wrapped opens in each other at once, and all of it opens in the end. Several who rotate at a time make each version once. TAP.

    rotation.py
    rotation.py work FOLDER NUMBER    one of the processes (ours)
"""

import glob
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
import p11  # noqa: E402

BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
PROCESSES, THREADS, ROTATIONS, PAUSE = 3, 2, 12, 0.25
count = 0


def ok(condition, name, detail=""):
    global count
    count += 1
    print(f"{'ok' if condition else 'not ok'} {count} - {name}")
    for line in "" if condition else str(detail).splitlines():
        print(f"# {line}")


def cmek(*words):
    return subprocess.run([os.path.join(BUILD, "cmek"), *words], capture_output=True, text=True, timeout=120, check=False)


def version_of(wrapped):
    """docs/format.md, 4."""
    return int.from_bytes(wrapped[16:20], "big")


def find_zone(module):
    rows, length = module.rows({"LABEL": "c/db", "TOKEN": True})
    module.call("FindObjectsInit", module.session, rows, length)
    handle, found = p11.CK_ULONG(), p11.CK_ULONG()
    module.call("FindObjects", module.session, p11.ctypes.byref(handle), p11.CK_ULONG(1), p11.ctypes.byref(found))
    module.call("FindObjectsFinal", module.session)
    assert found.value == 1
    return handle


# --- One process: each thread wraps keys of its own, and unwraps what any other has wrapped last


def last_line(path):
    with open(path, encoding="ascii") as file:
        lines = file.read().split("\n")[:-1]
    return bytes.fromhex(lines[-1]) if lines else None


def work_on(module, zone, folder, name, failures):
    by, chance = p11.mechanism("DEK_WRAP"), random.Random(name)
    with open(os.path.join(folder, name + ".wrapped"), "a", encoding="ascii") as file:
        while not os.path.exists(os.path.join(folder, "stop")):
            try:
                key = module.generate(EXTRACTABLE=True)
                file.write(module.wrap(by, zone, key).hex() + "\n")
                file.flush()
                module.call("DestroyObject", module.session, key)
                other = last_line(chance.choice(glob.glob(os.path.join(folder, "*.wrapped"))))
                if other is not None:
                    module.call("DestroyObject", module.session, module.unwrap(by, zone, other))
            except p11.Refused as refused:
                failures.append(f"{name}: {refused}")


def work(folder, number):
    module, failures = p11.Module().start("p"), []
    zone = find_zone(module)
    threads = [threading.Thread(target=work_on, args=(module.beside(), zone, folder, f"{number}-{thread}", failures)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print("\n".join(failures))
    return bool(failures)


# --- The test


def everything(folder):
    """What is behind the last end of a line is still being written."""
    for path in glob.glob(os.path.join(folder, "*.wrapped")):
        with open(path, encoding="ascii") as file:
            yield path, [bytes.fromhex(line) for line in file.read().split("\n")[:-1]]


def open_all(folder):
    module = p11.Module().start("p")
    zone, by, opened = find_zone(module), p11.mechanism("DEK_WRAP"), 0
    for _, wrapped in everything(folder):
        for one in wrapped[:: max(1, len(wrapped) // 500)]:
            module.call("DestroyObject", module.session, module.unwrap(by, zone, one))
            opened += 1
    module.raw("Finalize", None)
    return opened


def under_load(folder):
    environment = {**os.environ}
    workers = [subprocess.Popen([sys.executable, os.path.abspath(__file__), "work", folder, str(number)], env=environment,
                                stdout=subprocess.PIPE, text=True) for number in range(PROCESSES)]
    while len([1 for _, wrapped in everything(folder) if wrapped]) < PROCESSES * THREADS:
        time.sleep(0.05)
    for _ in range(ROTATIONS):
        done = cmek("database", "rotate", "--project", "p", "c/db")
        if done.returncode != 0:
            break
        time.sleep(PAUSE)
    ok(done.returncode == 0, f"a database is rotated {ROTATIONS} times under load", done.stderr)
    time.sleep(2)
    with open(os.path.join(folder, "stop"), "w", encoding="ascii"):
        pass
    said = [worker.communicate(timeout=60)[0].strip() for worker in workers]
    ok(all(worker.returncode == 0 for worker in workers), f"and none of {PROCESSES} processes with {THREADS} threads each had a failure", "\n".join(said))


def check_what_was_wrapped(folder):
    versions = {path: [version_of(one) for one in wrapped] for path, wrapped in everything(folder)}
    total = sum(map(len, versions.values()))
    ok(all(found == sorted(found) for found in versions.values()), "no thread goes back to an older version", versions.keys())
    ok(all(found[-1] == ROTATIONS + 1 for found in versions.values()), "each has followed to the last, without a restart",
       {path: found[-1] for path, found in versions.items()})
    met = set().union(*map(set, versions.values()))
    print(f"# {total} keys were wrapped, by {len(met)} versions")
    ok(open_all(folder) > 0, "all of it opens in another process")


def at_once():
    """Each of several asks for the next version of what it sees."""
    before = int(re.search(r"^version +(\d+)", cmek("database", "show", "--project", "p", "c/db").stdout, re.M).group(1))
    commands = [subprocess.Popen([os.path.join(BUILD, "cmek"), "database", "rotate", "--project", "p", "c/db"], stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, text=True) for _ in range(6)]
    said = ["".join(command.communicate(timeout=60)) for command in commands]
    after = int(re.search(r"^version +(\d+)", cmek("database", "show", "--project", "p", "c/db").stdout, re.M).group(1))
    rotated = sum("outcome        rotated\n" in text for text in said)
    ok(all(command.returncode == 0 for command in commands), "six commands rotate at once, and none fails", "\n".join(said))
    ok(after == before + rotated and rotated >= 1, "each version was made by one of them", f"{before} {after} {rotated}")


def fenced():
    """A fence is refused while a stored key needs what lies below it, unless it is forced; and is taken back."""
    module = p11.Module().start("p")
    zone = find_zone(module)
    version = int.from_bytes(module.get(zone, "VERSION"), sys.byteorder)
    module.create(TOKEN=True, SENSITIVE=True, EXTRACTABLE=False, VALUE=bytes(range(32)), ZONE=module.get(zone, "ZONE"), ENCRYPT=True, DECRYPT=True,
                  LABEL="old-one")
    module.raw("Finalize", None)
    ok(cmek("database", "rotate", "--project", "p", "c/db").returncode == 0, "a database with a stored key is rotated")
    fence = ("database", "set", "--project", "p", "--raw-version", str(version + 1), "--min-version", str(version + 1), "c/db")
    done = cmek(*fence)
    ok(done.returncode == 4 and "older versions of database c/db are needed by stored keys (1: 'old-one')" in done.stderr, "a fence above its version is refused", done.stderr)
    done = cmek(*fence, "--force")
    ok(done.returncode == 0 and "'old-one'" in done.stderr, "and is warned of, if it is forced", done.stderr)
    done = cmek("database", "set", "--project", "p", "--min-version", "1", "c/db")
    ok(done.returncode == 0 and not done.stderr, "and taken back", done.stderr)
    return fence, version


def token_keys(fence, version):
    """Stored keys are wrapped anew by the newest version while another process uses them, and then need no older one."""
    module = p11.Module().start("p")
    key = module.find(LABEL="old-one")
    sealed = module.encrypt(p11.gcm(), key, b"by the stored key")
    rewrap = ("database", "rewrap", "--project", "p", "--token-keys")
    done = cmek(*rewrap, "--dry-run", "c/db")
    ok(done.returncode == 0 and re.search(r"^to_rewrap +1$", done.stdout, re.M), "how many stored keys would be wrapped anew", done.stdout + done.stderr)
    ok(int.from_bytes(module.get(key, "WRAP_VERSION"), sys.byteorder) == version, "which changes nothing")
    done = cmek(*rewrap, "c/")
    ok(done.returncode == 0 and "old-one" not in done.stderr, "stored keys are wrapped anew", done.stdout + done.stderr)
    done = cmek(*rewrap, "--all", "--json")
    said = json.loads(done.stdout)
    ok(done.returncode == 0 and [(it["rewrapped"], it["there"], it["failed"]) for it in said] == [(0, 1, 0)], "once more does nothing", done.stdout)
    done = cmek(*fence)
    ok(done.returncode == 0 and not done.stderr, "now the fence is not held up", done.stderr)
    ok(cmek("database", "retire", "--project", "p", "--version", str(version), "c/db").returncode == 0, "nor is the old version kept for it")
    time.sleep(1.5)
    ok(module.decrypt(p11.gcm(), key, sealed) == b"by the stored key", "the process goes on using it")
    module.raw("Finalize", None)
    ok(cmek("database", "unretire", "--project", "p", "--version", str(version), "c/db").returncode == 0, "the old version is brought back")
    ok(cmek("database", "set", "--project", "p", "--min-version", "1", "c/db").returncode == 0, "and the fence lowered")


def older_copy(folder):
    """A copy of the store from before a rotation comes back: what was written since opens by the record it carries."""
    store, copy, plain, sealed = (os.path.join(folder, name) for name in ("store.db", "older.db", "plain", "sealed.cmek"))
    with open(plain, "wb") as file:
        file.write(b"written after the rotation")
    shutil.copyfile(store, copy)
    done = [cmek("database", "rotate", "--project", "p", "c/db"), cmek("encrypt", "--project", "p", "--database", "c/db", plain, sealed)]
    os.replace(copy, store)
    done.append(cmek("decrypt", sealed, plain + ".back"))
    ok(all(command.returncode == 0 for command in done), "a file of a version that an older copy of the store lacks opens", [command.stderr for command in done])
    with open(plain, "rb") as before, open(plain + ".back", "rb") as after:
        ok(before.read() == after.read(), "to what was written")


def ahead(folder):
    """A version says that it was made in ten years: whoever is shown the database is told, until it is rotated."""
    with sqlite3.connect(os.path.join(folder, "store.db")) as store:
        store.execute("UPDATE ezk_versions SET created_ms = ?", (int(time.time() + 10 * 365 * 86400) * 1000,))
    store.close()
    done = cmek("database", "show", "--project", "p", "c/db")
    ok(done.returncode == 0 and "'cmek database rotate'" in done.stderr, "a version that is to come is told where it is shown", done.stderr)
    ok(cmek("database", "rotate", "--project", "p", "c/db").returncode == 0, "rotated by hand")
    done = cmek("database", "show", "--project", "p", "c/db")
    ok(done.returncode == 0 and not done.stderr, "it is as the others", done.stderr)


def main():
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        with open(os.path.join(folder, "cmek.conf"), "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {folder}/store.db\n")
        os.environ.update(CMEK_PKCS11_CONF=os.path.join(folder, "cmek.conf"), CMEK_PKCS11_MODULE=os.path.join(BUILD, "cmek-pkcs11.so"))
        for words in (("project", "create", "p"), ("key", "create", "--project", "p", "local:root"),
                      ("cluster", "create", "--project", "p", "c", "--key", "root", "--region", "r"), ("database", "create", "--project", "p", "c/db")):
            done = cmek(*words)
            ok(done.returncode == 0, " ".join(words[:2]), done.stderr)
        under_load(folder)
        check_what_was_wrapped(folder)
        at_once()
        token_keys(*fenced())
        older_copy(folder)
        done = cmek("doctor")
        ok(done.returncode == 0, "doctor is content", done.stdout)
        ahead(folder)
    print(f"1..{count}")
    return 0


sys.exit(work(sys.argv[2], sys.argv[3]) if sys.argv[1:2] == ["work"] else main())
