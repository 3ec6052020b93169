#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Two hosts with one store in etcd: demo_fleet.py [local|moto], by `make demo STORE=etcd [KMS=moto]`.

Each "host" is a home with a configuration of its own, and has its own way to etcd and the KMS, which can be cut. One makes a database, the other
opens its files; a rotation is followed; cut off from both, a host works to its lease's end. It works in a temporary folder, says in a sentence what
each step does, stops at the first surprise, and takes everything away again."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "e2e")]
LEASE = 6  # seconds

os.environ.update(CMEK_PKCS11_MODULE=os.path.join(BUILD, "cmek-pkcs11.so"), LC_ALL="C.UTF-8", AWS_EC2_METADATA_DISABLED="true")


# --- A program on a host, which runs on

def serve():
    """Reads lines "wrap DB" and "open DB BLOB", "make DB"; answers each by one line."""
    import p11
    module = p11.Module().start("demo")

    def find(label):
        rows, count = p11.template({"LABEL": label, "CLASS": p11.CKO_SECRET_KEY})
        module.call("FindObjectsInit", module.session, rows, p11.CK_ULONG(count))
        found, number = (p11.CK_ULONG * 1)(), p11.CK_ULONG()
        module.call("FindObjects", module.session, found, p11.CK_ULONG(1), p11.ctypes.byref(number))
        module.call("FindObjectsFinal", module.session)
        if number.value == 0:
            raise LookupError("it is not found")
        return p11.CK_ULONG(found[0])

    def wrap(label):
        key = module.generate(TOKEN=False, EXTRACTABLE=True)
        return module.wrap(p11.mechanism("DEK_WRAP"), find(label), key).hex()

    def opened(label, blob):
        module.unwrap(p11.mechanism("DEK_WRAP"), find(label), bytes.fromhex(blob), TOKEN=False)
        return "opened"

    def made(label):
        module.generate(TOKEN=True, LABEL=label)
        return "made"

    steps = {"wrap": wrap, "open": opened, "make": made}
    for line in sys.stdin:
        words = line.split()
        try:
            print("ok", steps[words[0]](*words[1:]), flush=True)
        except (p11.Refused, LookupError) as error:
            print("no", error, flush=True)


class Service:
    def __init__(self, host):
        self.process = subprocess.Popen([sys.executable, os.path.abspath(__file__), "serve"], env=host.environment, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        """(True, answer) or (False, reason)."""
        self.process.stdin.write(" ".join(words) + "\n")
        self.process.stdin.flush()
        verdict, answer = self.process.stdout.readline().rstrip("\n").split(" ", 1)
        return verdict == "ok", answer

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


# --- What the hosts share, and their ways to it

class Way:
    """From a host to a server; it can be cut, and mended."""

    def __init__(self, port):
        self.target, self.cut, self.open = port, False, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            client, _ = self.listener.accept()
            if self.cut:
                client.close()
                continue
            server = socket.create_connection(("127.0.0.1", self.target))
            self.open += [client, server]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self.carry, args=(one, other), daemon=True).start()

    @staticmethod
    def carry(one, other):
        try:
            while data := one.recv(65536):
                other.sendall(data)
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def set_cut(self, cut):
        self.cut = cut
        for end in self.open if cut else []:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start_etcd(folder):
    port, peer = free_port(), free_port()
    url, peer_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer}"
    with open(os.path.join(folder, "etcd.log"), "wb") as log:
        process = subprocess.Popen(["etcd", "--data-dir", os.path.join(folder, "etcd"), "--listen-client-urls", url, "--advertise-client-urls", url,
                                    "--listen-peer-urls", peer_url], stdout=log, stderr=log)
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return process, port
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("etcd does not listen")


class Host:
    def __init__(self, demo, name):
        self.name, self.demo, self.home = name, demo, os.path.join(demo.folder, name)
        os.mkdir(self.home)
        self.ways = [Way(demo.etcd_port)]
        self.environment = dict(demo.environment, CMEK_PKCS11_CONF=os.path.join(self.home, "cmek.conf"))
        lines = ["[store]", "backend = etcd", f"endpoint = http://127.0.0.1:{self.ways[0].port}", "[log]", f"to = {self.home}/log", "[kms]",
                 f"lease_seconds = {LEASE}", "deny_seconds = 1"]
        if demo.kms_port:
            self.ways.append(Way(demo.kms_port))
            self.environment["AWS_ENDPOINT_URL_KMS"] = f"http://127.0.0.1:{self.ways[1].port}"
        else:  # the embedded KMS is a file, which lies on host A; host B reaches it by a link
            os.mkdir(os.path.join(self.home, "kms"))
            self.keys = os.path.join(self.home, "kms", "local.keys")
            lines += ["[local]", f"path = {self.keys}"]
        with open(self.environment["CMEK_PKCS11_CONF"], "w") as file:
            file.write("\n".join(lines) + "\n")

    def set_link(self, there):
        if there:
            os.symlink(self.demo.a.keys, self.keys)
        else:
            os.unlink(self.keys)

    def set_cut(self, cut):
        for way in self.ways:
            way.set_cut(cut)
        if not self.demo.kms_port:
            self.set_link(not cut)

    def run(self, *words):
        return subprocess.run([os.path.join(BUILD, "cmek"), *words], env=self.environment, capture_output=True, text=True, check=False)


class Demo:
    def __init__(self, folder, moto):
        self.folder, self.steps, self.began = folder, 0, time.monotonic()
        self.etcd, self.etcd_port = start_etcd(folder)
        self.environment, self.kms_port, self.root_key, self.region = dict(os.environ), None, "local:company-root", "local"
        if moto:
            self.environment, self.kms_port = moto.full_environment(), moto.proxy.server_address[1]
            self.root_key, self.region = moto.keys[0]["arn"], moto.keys[0]["region"]
        self.a, self.b = Host(self, "host-a"), Host(self, "host-b")

    def step(self, sentence):
        self.steps += 1
        print(f"\n{self.steps}. {sentence}", flush=True)

    def plain(self, text):
        return text.replace(self.folder + "/", "")

    def show(self, host, *words, fails=False):
        done = host.run(*words)
        print(f"   {host.name} $ cmek {self.plain(' '.join(words))}")
        for line in self.plain(done.stdout + done.stderr).splitlines():
            print(f"     {line}")
        surprise((done.returncode != 0) == fails, "this was not refused" if fails else "this failed")
        return done

    def tell(self, sentence):
        print(f"   {sentence}", flush=True)


def surprise(good, what):
    if not good:
        raise SystemExit(f"The demo stopped: {what}.")


def begin(demo):
    a, b = demo.a, demo.b
    demo.step("One store in etcd, two hosts. Host A makes a project, its root key and a database.")
    demo.show(a, "project", "create", "demo")
    demo.show(a, "key", "add" if demo.kms_port else "create", "--project", "demo", demo.root_key, "--label", "root")
    demo.show(a, "cluster", "create", "--project", "demo", "prod", "--key", "root", "--region", demo.region)
    demo.show(a, "database", "create", "--project", "demo", "prod/orders")

    if not demo.kms_port:
        b.set_link(True)
    demo.step("Host B has nothing but its configuration. It sees the same hierarchy, and opens a file that A wrote.")
    demo.show(b, "tree", "--offline")
    plain, sealed = os.path.join(demo.folder, "plain"), os.path.join(demo.folder, "sealed")
    with open(plain, "w") as file:
        file.write("order 4711, card 4111-0000-00004711\n")
    demo.show(a, "encrypt", "--project", "demo", "--database", "prod/orders", plain, sealed)
    surprise("4711" in demo.show(b, "decrypt", sealed, "-").stdout, "host B does not open the file")


def wrap_anew(demo, label):
    """By a program that starts now, on host A."""
    other = Service(demo.a)
    good, blob = other.ask("wrap", label)
    other.stop()
    surprise(good, f"host A does not protect anything by {label}: {blob}")
    return blob


def follow(demo, service):
    demo.step("A program that runs on, on host B: it meets a database that A has just made, and opens what that protects at once.")
    demo.show(demo.a, "database", "create", "--project", "demo", "prod/invoices")
    surprise(service.ask("open", "prod/invoices", wrap_anew(demo, "prod/invoices"))[0], "host B does not open what the new database protects")
    demo.tell("It looked the database up by its key, and did not wait for its next look into the store.")

    demo.step("Host A rotates the database's key; the program on B follows when it meets the new version, and still opens the old one.")
    before = wrap_anew(demo, "prod/orders")
    demo.show(demo.a, "database", "rotate", "--project", "demo", "prod/orders")
    after = wrap_anew(demo, "prod/orders")
    surprise(before[16:40] != after[16:40], "host A goes on with the old version")
    surprise(service.ask("open", "prod/orders", before)[0] and service.ask("open", "prod/orders", after)[0], "host B does not follow")
    demo.tell("Both keys opened: one by version 1, one by version 2.")
    return after


def cut_off(demo, service, blob):
    demo.step(f"Host B is cut off from etcd and from the KMS. Its program works on, up to its lease's end ({LEASE} s).")
    surprise(service.ask("open", "prod/orders", blob)[0], "host B does not work before it is cut off")
    demo.b.set_cut(True)
    began = time.monotonic()
    surprise(service.ask("open", "prod/orders", blob)[0], "host B stopped at once")
    demo.tell("Cut off, it still opens what is protected by a key that it has.")
    good, reason = service.ask("make", "prod/late")
    surprise(not good, "a database was made without a store")
    demo.tell(f"A new database is refused ({reason}); the log says why:")
    for line in demo.plain(open(os.path.join(demo.b.home, "log")).read()).splitlines()[-1:]:
        print(f"     {line}")
    while service.ask("open", "prod/orders", blob)[0]:
        surprise(time.monotonic() - began < 60 * LEASE, "the lease does not end")
        time.sleep(0.2)
    demo.tell(f"Its lease has ended: nothing opens any more, {time.monotonic() - began:.0f} s after the cut.")
    demo.show(demo.a, "decrypt", os.path.join(demo.folder, "sealed"), "-")
    demo.tell("Host A is not concerned.")

    demo.step("The way is mended. The program on B works again, without a restart.")
    demo.b.set_cut(False)
    began = time.monotonic()
    while not service.ask("open", "prod/orders", blob)[0]:
        surprise(time.monotonic() - began < 120, "host B does not recover")
        time.sleep(0.2)
    demo.tell("It opens again what it opened before.")


def run(folder, moto):
    demo = Demo(folder, moto)
    service = None
    try:
        begin(demo)
        service = Service(demo.b)
        cut_off(demo, service, follow(demo, service))
        demo.step("What each host says of the store.")
        demo.show(demo.b, "store", "show")
    finally:
        if service is not None:
            service.stop()
        demo.etcd.kill()
        demo.etcd.wait()
    print(f"\nDone: {demo.steps} steps in {time.monotonic() - demo.began:.0f} s. Everything was in {folder}, which is gone now.")


def main():
    kms = sys.argv[1] if len(sys.argv) > 1 else "local"
    if kms == "serve":
        return serve()
    if kms not in ("local", "moto"):
        raise SystemExit("usage: demo_fleet.py [local|moto]")
    if shutil.which("etcd") is None:
        raise SystemExit("This needs etcd: apt-get install etcd-server")
    with tempfile.TemporaryDirectory(prefix="cmek-demo-") as folder:
        if kms == "local":
            return run(folder, None)
        from moto_server import Moto
        with Moto() as moto:
            return run(folder, moto)


if __name__ == "__main__":
    main()
