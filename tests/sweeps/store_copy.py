#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""`cmek store copy` between a SQLite store and etcd, both ways: at each request that it sends, the tool is killed, before or after etcd has heard it,
or loses the answer. A project can be changed in one store at most at any time; what was cut off goes on or is taken back; afterwards all is there.
tools/rescue.py reads what was brought back from etcd. TAP."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from store_etcd import CMEK, ROOT, Etcd, Tally  # noqa: E402

ZONES = [f"main/db{i}" for i in range(8)]
WAYS = ["killed before", "killed after", "cut"]
SECRET = "card 4111"


class Gate:
    """Stands before etcd. At the request of number `at` it kills the program that asks, before or after etcd has heard it, or keeps the answer."""

    def __init__(self, etcd):
        self.etcd = int(etcd.url.rsplit(":", 1)[1])
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock, self.at, self.way, self.count, self.program = threading.Lock(), 0, "", 0, None
        threading.Thread(target=self.listen, daemon=True).start()

    def arm(self, at, way):
        self.at, self.way, self.count, self.program = at, way, 0, None

    def listen(self):
        while True:
            threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    @staticmethod
    def message(stream):
        """A request or an answer with Content-Length; b"" at the end."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            if not line:
                return b""
            head += line
        length = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if length:
            return head + stream.read(int(length[0].split(b":")[1]))
        body = b""
        while b"transfer-encoding: chunked" in head.lower():
            size = stream.readline()
            body += size + stream.read(int(size, 16) + 2)
            if int(size, 16) == 0:
                break
        return head + body

    def kill(self):
        while self.program is None:
            pass
        self.program.send_signal(signal.SIGKILL)

    def serve(self, client):
        with client, socket.create_connection(("127.0.0.1", self.etcd)) as etcd, client.makefile("rb") as asked, etcd.makefile("rb") as answered:
            try:
                while request := self.message(asked):
                    with self.lock:
                        self.count += 1
                        due = self.count == self.at
                    if due and self.way == "killed before":
                        return self.kill()
                    etcd.sendall(request)
                    answer = self.message(answered)
                    if due and self.way == "killed after":
                        return self.kill()
                    if due and self.way == "cut":
                        return None
                    client.sendall(answer)
            except OSError:
                pass
        return None


def environment(conf):
    return dict(os.environ, CMEK_PKCS11_CONF=conf, CMEK_PKCS11_MODULE=os.path.join(os.path.dirname(CMEK), "cmek-pkcs11.so"))


def cmek(conf, *words):
    return subprocess.run([CMEK, *words], env=environment(conf), capture_output=True, text=True)


class Place:
    """A store: its configuration, by its own way or through the gate."""

    def __init__(self, folder, name, lines):
        self.conf = os.path.join(folder, f"{name}.conf")
        with open(self.conf, "w") as file:
            file.write("\n".join(["[store]", *lines, "[local]", f"path = {folder}/local.keys", "[log]", f"to = {folder}/{name}.log", ""]))

    def takes_changes(self, label):
        done = cmek(self.conf, "database", "create", "--project", "demo", label)
        return done.returncode == 0

    def names(self):
        found = []
        for more in ([], ["--deleted"]):
            done = cmek(self.conf, "database", "list", "--project", "demo", "--json", *more)
            found += [(row["database"], row["zone"], row["state"]) for row in json.loads(done.stdout or "[]")]
        return sorted(found)


def sqlite_place(folder, name):
    return Place(folder, name, [f"path = {folder}/{name}.db"])


def etcd_place(folder, name, url, prefix):
    return Place(folder, name, ["backend = etcd", f"endpoint = {url}", f"prefix = {prefix}"])


def copy(gate, source, target, *more):
    """Through the gate, which may end it."""
    program = subprocess.Popen([CMEK, "store", "copy", "--to", target.conf, *more], env=environment(source.conf), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    gate.program = program
    out, err = program.communicate()
    return program.returncode, out + err


def fill(check, folder, place):
    for words in (["project", "create", "demo"], ["key", "create", "--project", "demo", "local:root"],
                  ["cluster", "create", "--project", "demo", "main", "--key", "root", "--region", "local"],
                  *[["database", "create", "--project", "demo", label] for label in ZONES],
                  ["database", "create", "--project", "demo", "--no-embed", "main/kept"],
                  ["database", "rotate", "--project", "demo", ZONES[1]], ["database", "delete", "--project", "demo", ZONES[2]],
                  ["database", "delete", "--project", "demo", ZONES[3]],
                  ["database", "erase", "--project", "demo", ZONES[3], "--yes-erase", ZONES[3]]):
        done = cmek(place.conf, *words)
        if done.returncode != 0:
            check(False, f"cmek {' '.join(words[:2])}", done.stderr)
    with open(os.path.join(folder, "plain"), "w") as file:
        file.write(SECRET)
    for label in (ZONES[1], "main/kept"):
        cmek(place.conf, "encrypt", "--project", "demo", "--database", label, os.path.join(folder, "plain"),
             os.path.join(folder, label.replace("/", "-")))


def opens(place, folder):
    return all(cmek(place.conf, "decrypt", os.path.join(folder, name), "-").stdout == SECRET for name in ("main-db1", "main-kept"))


def one_step(folder, gate, way, at, source, target, expected):
    """False: the copy came to its end before that request. Raises what is wrong."""
    gate.arm(at, way)
    code, said = copy(gate, source, target)
    reached = gate.count >= at
    gate.arm(0, "")
    gate.program = None
    if code == 0 and way != "cut" and reached:
        raise AssertionError(f"{way} at request {at}: it was not killed\n{said}")
    if code == 0 and not reached:
        return False
    if code != 0:
        changed = [place.takes_changes("main/late") for place in (source, target)]
        if all(changed):
            raise AssertionError(f"{way} at request {at}: it lives in both stores")
        if changed[0]:
            cmek(source.conf, "database", "delete", "--project", "demo", "main/late")
            cmek(source.conf, "database", "erase", "--project", "demo", "main/late", "--yes-erase", "main/late")
        if changed[1]:
            cmek(target.conf, "database", "delete", "--project", "demo", "main/late")
            cmek(target.conf, "database", "erase", "--project", "demo", "main/late", "--yes-erase", "main/late")
        if at % 3 == 0:  # taken back, if it has not arrived, and begun once more
            copy(gate, source, target, "--undo")
        code, said = copy(gate, source, target)
    if code != 0 or target.names() != expected:
        raise AssertionError(f"{way} at request {at}: {said}\n{target.names()}\n{expected}")
    return True


def cut_off(check, folder, gate, into_etcd):
    """At each request in turn, until there are no more, by one way after the other; each time from the beginning."""
    at = 1
    while True:
        way = WAYS[at % len(WAYS)]
        here = os.path.join(folder, f"copy-{int(into_etcd)}-{at}")
        os.mkdir(here)
        for name in ("local.keys", "main-db1", "main-kept"):
            shutil.copy(os.path.join(folder, name), here)
        shutil.copy(os.path.join(folder, "first.db"), os.path.join(here, "a.db"))
        file, fleet = sqlite_place(here, "a"), etcd_place(here, "b", gate.url, f"/{os.path.basename(here)}")
        expected = file.names()
        source, target = file, fleet
        if not into_etcd:
            direct = etcd_place(here, "c", gate.url, f"/{os.path.basename(here)}")
            done = cmek(file.conf, "store", "copy", "--to", direct.conf)
            if done.returncode != 0:
                raise AssertionError(done.stderr)
            source, target = fleet, sqlite_place(here, "d")
        if not one_step(here, gate, way, at, source, target, expected):
            break
        if not opens(target, here):
            raise AssertionError(f"{way} at request {at}: files do not open")
        shutil.rmtree(here)
        at += 1
    check(at > 5, f"cut off at each request of a copy {'into' if into_etcd else 'out of'} etcd, it lives once and arrives whole", at)
    print(f"# {at - 1} requests")


def rescued(check, folder, gate):
    """What has no record in its file opens with the rows that came out of etcd, and rescue.py alone."""
    fleet = etcd_place(folder, "fleet", gate.url, "/rescue")
    done = cmek(sqlite_place(folder, "first").conf, "store", "copy", "--to", fleet.conf)
    check(done.returncode == 0, "a store goes into etcd", done.stderr)
    back = os.path.join(folder, "rescue.db")
    done = cmek(fleet.conf, "store", "copy", "--to", f"sqlite:{back}")
    check(done.returncode == 0, "and out of it, into a file", done.stderr)
    out = os.path.join(folder, "rescued")
    done = subprocess.run([sys.executable, os.path.join(ROOT, "tools", "rescue.py"), "--local-keys", os.path.join(folder, "local.keys"), "--store", back,
                           os.path.join(folder, "main-kept"), out], capture_output=True, text=True)
    text = open(out).read() if os.path.exists(out) else ""
    check(text == SECRET, "tools/rescue.py opens with it what no file's record opens", done.stdout + done.stderr)
    check(sqlite3.connect(back).execute("SELECT count(*) FROM tombstones").fetchone()[0] == 1, "what is gone for good stays gone")


def run(check, folder):
    etcd = Etcd(folder)
    try:
        etcd.start()
        gate = Gate(etcd)
        first = sqlite_place(folder, "first")
        fill(check, folder, first)
        check(opens(first, folder), "files open from the store in a file")
        for into_etcd in (True, False):
            cut_off(check, folder, gate, into_etcd)
        rescued(check, folder, gate)
    finally:
        etcd.stop()


def main():
    if shutil.which("etcd") is None:
        print("ok 1 - a store is copied into etcd and back # SKIP etcd is not installed (etcd-server)\n1..1")
        return 0
    check = Tally()
    with tempfile.TemporaryDirectory(prefix="cmek-copy-") as folder:
        try:
            run(check, folder)
        except Exception:
            check(False, "the test runs to its end", traceback.format_exc())
    print(f"1..{check.count}")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
