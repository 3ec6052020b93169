#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Two hosts with one store, on etcd: what one makes the other has at once, a rotation too; while etcd is away, work goes on with what is known and
nothing is made; when it is back, all is as before. TAP."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

import PyKCS11
from PyKCS11 import LowLevel as low

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
MODULE, CMEK = os.path.join(BUILD, "cmek-pkcs11.so"), os.path.join(BUILD, "cmek")
CKM_CMEK_DEK_WRAP = 0x80434D02
DATA = b"what the file says"


class Tally:
    count = failed = 0

    def __call__(self, condition, name, detail=""):
        self.count += 1
        self.failed += not condition
        print(f"{'ok' if condition else 'not ok'} {self.count} - {name}", flush=True)
        for line in "" if condition else str(detail).splitlines():
            print(f"# {line}", flush=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Etcd:
    def __init__(self, folder, options=(), scheme="http"):
        self.folder, self.options = folder, options
        self.url, self.peer = f"{scheme}://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}"
        self.process = None

    def start(self):
        with open(os.path.join(self.folder, "etcd.log"), "ab") as log:
            self.process = subprocess.Popen(
                ["etcd", "--data-dir", os.path.join(self.folder, "data"), "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
                 "--listen-peer-urls", self.peer, "--unsafe-no-fsync", *self.options], stdout=log, stderr=log)
        port = int(self.url.rsplit(":", 1)[1])
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError("etcd does not listen")

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None


def template(*more):
    return [(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES), *more]


class Application:
    """A program that runs on, on one host."""

    def __init__(self):
        self.library = PyKCS11.PyKCS11Lib()
        self.library.load(MODULE)
        self.session = self.library.openSession(self.library.getSlotList(tokenPresent=True)[0], low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)
        self.dek = self.session.generateKey(template((low.CKA_TOKEN, False), (low.CKA_EXTRACTABLE, True), (low.CKA_VALUE_LEN, 32)))

    def find(self, label):
        found = self.session.findObjects([(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_LABEL, label)])
        return found[0] if found else None

    def encrypt(self, key):
        return bytes(self.session.encrypt(key, DATA, PyKCS11.AES_GCM_Mechanism(bytes(12), b"", 128)))

    def wrap(self, label):
        """A key of its own under a database, and what it encrypts: two lines of hexadecimal digits."""
        blob = bytes(self.session.wrapKey(self.find(label), self.dek, PyKCS11.Mechanism(CKM_CMEK_DEK_WRAP, b"x")))
        return blob, self.encrypt(self.dek)

    def opens(self, label, wrapped):
        blob, encrypted = wrapped
        key = self.session.unwrapKey(self.find(label), blob, template((low.CKA_TOKEN, False)), PyKCS11.Mechanism(CKM_CMEK_DEK_WRAP, b"x"))
        return self.encrypt(key) == encrypted

    def makes(self, label):
        try:
            self.session.generateKey(template((low.CKA_TOKEN, True), (low.CKA_LABEL, label), (low.CKA_VALUE_LEN, 32)))
        except PyKCS11.PyKCS11Error:
            return False
        return True


def configure(folder, name, etcd, *more):
    path = os.path.join(folder, name + ".conf")
    with open(path, "w") as file:
        file.write("\n".join(["[store]", "backend = etcd", f"endpoint = {etcd.url}", "prefix = /fleet", *more, ""]) +
                   f"[local]\npath = {folder}/local.keys\n[log]\nto = {folder}/{name}.log\n")
    return path


def cmek(conf, *words):
    return subprocess.run([CMEK, *words], env=dict(os.environ, CMEK_PKCS11_CONF=conf), capture_output=True, text=True)


def wrap_elsewhere(conf, label):
    """By a process of the other host."""
    done = subprocess.run([sys.executable, os.path.abspath(__file__), "wrap", label], env=dict(os.environ, CMEK_PKCS11_CONF=conf),
                          capture_output=True, text=True, check=True)
    return [bytes.fromhex(line) for line in done.stdout.split()]


def log_of(folder, name):
    try:
        with open(os.path.join(folder, name + ".log")) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def share(check, folder, a, b):
    for words in (["project", "create", "demo"], ["key", "create", "--project", "demo", "local:root"],
                  ["cluster", "create", "--project", "demo", "main", "--key", "root", "--region", "local"],
                  ["database", "create", "--project", "demo", "main/orders"]):
        done = cmek(a, *words)
        check(done.returncode == 0, f"one host: cmek {' '.join(words[:2])}", done.stderr)
    os.environ["CMEK_PKCS11_CONF"] = b
    app = Application()
    check(app.find("main/orders") is not None, "the other has the database")
    plain, sealed = os.path.join(folder, "plain"), os.path.join(folder, "sealed")
    with open(plain, "wb") as file:
        file.write(DATA)
    done = cmek(a, "database", "create", "--project", "demo", "main/new")
    check(done.returncode == 0, "a further database is made", done.stderr)
    check(app.opens("main/new", wrap_elsewhere(a, "main/new")), "a program that runs on opens what it protects at once, by a look-up")
    cmek(a, "encrypt", "--project", "demo", "--database", "main/new", plain, sealed)
    done = cmek(b, "decrypt", sealed, "-")
    check(done.stdout.encode() == DATA, "and so does cmek on the other host", done.stderr)
    return app


def rotate(check, app, a):
    old = app.wrap("main/orders")
    done = cmek(a, "database", "rotate", "--project", "demo", "main/orders")
    check(done.returncode == 0, "one host rotates a database", done.stderr)
    check(app.opens("main/orders", wrap_elsewhere(a, "main/orders")), "the other follows to the new version when it meets it")
    check(app.opens("main/orders", old), "and still opens the old one")


def go_away(check, app, etcd, folder, a):
    kept = app.wrap("main/orders")
    etcd.stop()
    check(app.opens("main/orders", kept), "etcd is away: what is known still opens")
    check(app.wrap("main/orders")[0] != kept[0], "and protects new keys")
    check(not app.makes("main/late"), "a database is not made")
    check("store http://127.0.0.1" in log_of(folder, "b"), "the log names the store", log_of(folder, "b"))
    done = cmek(a, "encrypt", "--project", "demo", "--database", "main/orders", os.path.join(folder, "plain"), os.path.join(folder, "late"))
    check(done.returncode != 0 and not os.path.exists(os.path.join(folder, "late")), "a program that starts meanwhile encrypts nothing",
          done.stdout)
    check("store http://127.0.0.1" in done.stderr + log_of(folder, "a"), "and says why", done.stderr + log_of(folder, "a"))
    etcd.start()
    made = False
    for _ in range(30):
        made = made or app.makes("main/back")
        if made:
            break
        time.sleep(1)
    check(made, "etcd is back: a database is made", log_of(folder, "b"))
    check("it is back" in log_of(folder, "b"), "the log says that it is back", log_of(folder, "b"))
    check(app.opens("main/orders", kept), "what was open is as before")
    check("main/back" in cmek(a, "database", "list", "--project", "demo").stdout, "the other host has it")


def tell(check, a):
    done = cmek(a, "doctor")
    check("(etcd)" in done.stdout and "writable" in done.stdout, "cmek doctor says where the store is", done.stdout + done.stderr)
    done = cmek(a, "store", "show")
    check(done.returncode == 0 and "/fleet" in done.stdout, "cmek store show too", done.stdout + done.stderr)
    with open(a) as file:
        text = file.read()
    with open(a, "w") as file:
        file.write(text.replace("http://127.0.0.1", "http://store.example"))
    done = cmek(a, "project", "list")
    check("line 3: [store] endpoint" in done.stderr and "use https" in done.stderr, "http to another machine is refused, with the line", done.stderr)


def certify(folder):
    """A CA, and by it a server and a client: NAME.pem and NAME.key."""
    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl("req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=ca of a test")
    for name in ("server", "client"):
        with open(os.path.join(folder, "names"), "w") as file:
            file.write("subjectAltName = IP:127.0.0.1\n")
        openssl("req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names",
                "-out", f"{name}.pem")


def by_certificate(check, folder):
    certify(folder)
    at = {name: os.path.join(folder, name) for name in ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")}
    etcd = Etcd(folder, ["--cert-file", at["server.pem"], "--key-file", at["server.key"], "--client-cert-auth", "--trusted-ca-file", at["ca.pem"]],
                "https")
    trusts = f"ca_bundle = {at['ca.pem']}"
    shows = [f"client_certificate = {at['client.pem']}", f"client_key = {at['client.key']}"]
    try:
        etcd.start()
        done = cmek(configure(folder, "c", etcd, trusts, *shows), "project", "create", "demo")
        check(done.returncode == 0, "by https, with a certificate of its own, a host has the store", done.stderr)
        done = cmek(configure(folder, "d", etcd, trusts), "project", "list")
        check(done.returncode != 0, "without one it has not", done.stdout)
        done = cmek(configure(folder, "e", etcd, *shows), "project", "list")
        check(done.returncode != 0 and "ca_bundle" in done.stderr, "nor does it trust a server that nobody vouches for", done.stderr)
        done = cmek(configure(folder, "f", etcd, trusts, shows[0], f"client_key = {at['server.key']}"), "project", "list")
        check(done.returncode != 0 and "client_key" in done.stderr, "a key that is another certificate's is told", done.stderr)
    finally:
        etcd.stop()


def run(check, folder):
    etcd = Etcd(folder)
    try:
        etcd.start()
        a, b = (configure(folder, name, etcd) for name in "ab")
        app = share(check, folder, a, b)
        rotate(check, app, a)
        go_away(check, app, etcd, folder, a)
        tell(check, a)
    finally:
        etcd.stop()


def main():
    if sys.argv[1:2] == ["wrap"]:
        print("\n".join(part.hex() for part in Application().wrap(sys.argv[2])))
        return 0
    if shutil.which("etcd") is None:
        print("ok 1 - two hosts with one store on etcd # SKIP etcd is not installed (etcd-server)\n1..1")
        return 0
    check = Tally()
    with tempfile.TemporaryDirectory(prefix="cmek-etcd-") as folder:
        try:
            run(check, folder)
            tls = os.path.join(folder, "tls")
            os.mkdir(tls)
            by_certificate(check, tls)
        except Exception:
            check(False, "the test runs to its end", traceback.format_exc())
    print(f"1..{check.count}")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
