#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A fleet in small: fleet.py [PROCESSES] [SECONDS]. So many processes with one store in a real etcd on this machine, each of which encrypts and opens
keys all the time; what they ask of etcd is counted at a gate before it: at their start, in steady state, while etcd is away, and after it is back.
Prints the counts, and what they come to for 2,000 hosts of 10 processes each (docs/store-etcd.md, "Cost")."""

import collections
import multiprocessing
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "e2e")]
from store_etcd import CMEK, MODULE, Etcd  # noqa: E402

FLEET = 2000 * 10


class Gate:
    """Before etcd: counts requests by the second, as those that reach it."""

    def __init__(self, etcd):
        self.target = int(etcd.url.rsplit(":", 1)[1])
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.lock, self.times, self.refused, self.away, self.ends = threading.Lock(), [], [], False, []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            client, _ = self.listener.accept()
            if self.away:
                with self.lock:
                    self.refused.append(time.monotonic())
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            with self.lock:
                self.ends += [client, server]
            threading.Thread(target=self.carry, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self.carry, args=(server, client, False), daemon=True).start()

    def carry(self, one, other, counts):
        try:
            while data := one.recv(1 << 16):
                if counts and b"POST /" in data:
                    with self.lock:
                        self.times += [time.monotonic()] * data.count(b"POST /")
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def set_away(self, away):
        self.away = away
        with self.lock:
            ends, self.ends = self.ends, []
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def count(self, begin, end):
        with self.lock:
            return [sum(begin <= moment < end for moment in moments) for moments in (self.times, self.refused)]

    def busiest(self, begin, end):
        """The most in a second."""
        with self.lock:
            seconds = collections.Counter(int(moment - begin) for moment in self.times if begin <= moment < end)
        return max(seconds.values(), default=0)


def work(conf, started, stop, failed):
    os.environ.update(CMEK_PKCS11_CONF=conf, CMEK_PKCS11_MODULE=MODULE)
    import p11
    module = p11.Module()
    while True:
        try:
            module.start("demo")
            break
        except p11.Refused:  # etcd has too much to do
            module.raw("Finalize", None)
    rows, count = p11.template({"LABEL": "main/orders", "CLASS": p11.CKO_SECRET_KEY})
    module.call("FindObjectsInit", module.session, rows, p11.CK_ULONG(count))
    found, number = (p11.CK_ULONG * 1)(), p11.CK_ULONG()
    module.call("FindObjects", module.session, found, p11.CK_ULONG(1), p11.ctypes.byref(number))
    module.call("FindObjectsFinal", module.session)
    zone = p11.CK_ULONG(found[0])
    key = module.generate(TOKEN=False, EXTRACTABLE=True)
    blob = module.wrap(p11.mechanism("DEK_WRAP"), zone, key)
    with started.get_lock():
        started.value += 1
    while not stop.is_set():
        try:
            module.call("DestroyObject", module.session, module.unwrap(p11.mechanism("DEK_WRAP"), zone, blob, TOKEN=False))
        except p11.Refused:
            with failed.get_lock():
                failed.value += 1
        time.sleep(0.2)


def configure(folder, url):
    conf = os.path.join(folder, "cmek.conf")
    look = os.environ.get("FLEET_LOOK")
    with open(conf, "w") as file:
        file.write(f"[store]\nbackend = etcd\nendpoint = {url}\n" + (f"look_every = {look}\n" if look else "") +
                   f"[local]\npath = {folder}/local.keys\n[log]\nto = {folder}/log\n[kms]\nlease_seconds = 3600\n")
    return conf


def begin(conf):
    for words in (["project", "create", "demo"], ["key", "create", "--project", "demo", "local:root"],
                  ["cluster", "create", "--project", "demo", "main", "--key", "root", "--region", "local"],
                  ["database", "create", "--project", "demo", "main/orders"]):
        subprocess.run([CMEK, *words], env=dict(os.environ, CMEK_PKCS11_CONF=conf, CMEK_PKCS11_MODULE=MODULE), check=True, capture_output=True)


def phase(gate, name, seconds, processes):
    begun = time.monotonic()
    time.sleep(seconds)
    told(gate, name, begun, time.monotonic(), processes)


def told(gate, name, begun, ended, processes):
    asked, refused = gate.count(begun, ended)
    each = asked / processes
    print(f"{name:28} {ended - begun:5.0f} s {asked:6} requests, {each:6.2f} a process, at most {gate.busiest(begun, ended):4} in a second"
          + (f"; {refused} refused" if refused else ""), flush=True)
    return each


def run(folder, processes, seconds):
    etcd = Etcd(folder)
    started, failed, stop = multiprocessing.Value("i", 0), multiprocessing.Value("i", 0), multiprocessing.Event()
    try:
        etcd.start()
        gate = Gate(etcd)
        conf = configure(folder, gate.url)
        begin(conf)
        begun = time.monotonic()
        workers = [multiprocessing.Process(target=work, args=(conf, started, stop, failed), daemon=True) for _ in range(processes)]
        for worker in workers:
            worker.start()
        while started.value < processes:
            time.sleep(0.05)
        told(gate, "start, all at once", begun, time.monotonic(), processes)
        phase(gate, "steady", seconds, processes)
        begun = time.monotonic()
        time.sleep(seconds)
        each = told(gate, "steady, once more", begun, time.monotonic(), processes)
        gate.set_away(True)
        phase(gate, "etcd is away", seconds, processes)
        gate.set_away(False)
        phase(gate, "it is back", seconds, processes)
        print(f"operations that failed meanwhile: {failed.value}, of {processes} processes that have their leases")
        print(f"for {FLEET} processes: {each * FLEET / seconds:.0f} requests a second")
        stop.set()
        for worker in workers:
            worker.join()
    finally:
        etcd.stop()


def main():
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    seconds = int(sys.argv[2]) if len(sys.argv) > 2 else 60
    with tempfile.TemporaryDirectory(prefix="cmek-fleet-") as folder:
        run(folder, processes, seconds)


if __name__ == "__main__":
    main()
