#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Hosts with one store in DynamoDB, as MiniStack plays it on loopback: its table is made; what one host makes the other has at once, a rotation
too; a process that is killed at any request of a write leaves it done or not done; a network that is cut ends nothing that is known. What takes longer
is in tests/sweeps/store_dynamodb.py. TAP."""

import http.client
import http.server
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from store_etcd import CMEK, DATA, ROOT, Application, Tally, cmek, free_port, log_of, rotate, share

MINISTACK = os.path.join(ROOT, "build", "ministack")
KEYS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}


class MiniStack:
    """On 127.0.0.1 alone."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port()
        self.process = None

    def start(self):
        with open(os.path.join(self.folder, "ministack.log"), "ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ministack"], stdout=log, stderr=log, cwd=self.folder,
                env=dict(os.environ, PYTHONPATH=MINISTACK, BIND_HOST="127.0.0.1", GATEWAY_PORT=str(self.port), SERVICES="dynamodb,sts",
                         IOT_MTLS_ENABLED="0", SFTP_ENABLED="0", LOG_LEVEL="WARNING", TMPDIR=self.folder))
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                self.warm_up()
                return
            except OSError:
                time.sleep(0.1)
        raise TimeoutError("MiniStack does not listen")

    def warm_up(self):
        """It loads DynamoDB with the first request, which takes a while."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request("POST", "/", "{}", {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"})
        connection.getresponse().read()
        connection.close()

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()


class Way:
    """A way to it, in a process of its own (a call of the module keeps Python's lock): counts requests and transactions, loses answers, kills
    whoever asks, is cut, from a request on too, and mended."""

    NUMBERS = ("cut", "cut_at", "requests", "count", "lose_each", "lose_at", "kill_at", "before", "victim")

    def __init__(self, port):
        self.numbers = {name: multiprocessing.Value("q", 0) for name in self.NUMBERS}
        server = Server(("127.0.0.1", 0), Handler)
        server.port, server.numbers = port, self.numbers
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        self.process = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
        self.process.start()
        server.socket.close()

    def set(self, **numbers):
        for name, number in numbers.items():
            self.numbers[name].value = number

    def stop(self):
        self.process.kill()
        self.process.join()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request, client_address):
        pass

    def is_set(self, name):
        return self.numbers[name].value

    def next_number(self, name):
        with self.numbers[name].get_lock():
            self.numbers[name].value += 1
            return self.numbers[name].value

    def loses(self, number):
        return number == self.is_set("lose_at") or (self.is_set("lose_each") and number % self.is_set("lose_each") == 0)

    def kill(self):
        """Its process id may not be known yet."""
        for _ in range(100):
            if self.is_set("victim"):
                break
            time.sleep(0.05)
        os.kill(self.is_set("victim"), signal.SIGKILL)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        way, body = self.server, self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = way.next_number("requests")
        number = way.next_number("count") if self.headers.get("X-Amz-Target", "").endswith(".TransactWriteItems") else 0
        dies = number > 0 and number == way.is_set("kill_at")
        self.close_connection = True
        if way.is_set("cut") or 0 < way.is_set("cut_at") <= request:
            return
        if dies and way.is_set("before"):
            way.kill()
            return
        onward = http.client.HTTPConnection("127.0.0.1", way.port, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "content-length")}
        onward.request("POST", "/", body, headers)
        answer = onward.getresponse()
        content = answer.read()
        onward.close()
        if dies:
            way.kill()
            return
        if number > 0 and way.loses(number):
            return
        self.close_connection = False
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.end_headers()
        self.wfile.write(content)


def configure(folder, name, way, table, *more):
    path = os.path.join(folder, name + ".conf")
    with open(path, "w") as file:
        file.write(f"[store]\nbackend = dynamodb\ntable = {table}\nregion = eu-central-1\nendpoint = {way.url}\n"
                   + "".join(line + "\n" for line in more) +
                   f"[local]\npath = {folder}/local.keys\n[log]\nto = {folder}/{name}.log\n")
    return path


def make(check, a):
    done = cmek(a, "store", "check")
    check(done.returncode != 0 and "cmek store create" in done.stderr, "without a table, cmek store check says what to do", done.stderr)
    done = cmek(a, "project", "create", "demo")
    check(done.returncode != 0 and "cmek store create" in done.stderr, "and so does the first project", done.stderr)
    done = cmek(a, "store", "create")
    check(done.returncode == 0 and "made table fleet" in done.stdout and "point-in-time recovery on" in done.stdout,
          "cmek store create makes it, and says what it did", done.stdout + done.stderr)
    done = cmek(a, "store", "create")
    check(done.returncode == 0 and "there already" in done.stdout, "a second time it leaves it as it is", done.stdout + done.stderr)
    done = cmek(a, "store", "check")
    check(done.returncode == 0 and "billed on demand, deletion protection on" in done.stdout and "recovery: on" in done.stdout,
          "cmek store check describes it", done.stdout + done.stderr)
    check("not made yet" in done.stdout and " ms" in done.stdout, "also while it is empty", done.stdout)


def go_away(check, app, way, folder, a):
    kept = app.wrap("main/orders")
    way.set(cut=1)
    check(app.opens("main/orders", kept), "the network is cut: what is known still opens")
    check(app.wrap("main/orders")[0] != kept[0], "and protects new keys")
    check(not app.makes("main/late"), "a database is not made")
    check("store dynamodb:fleet" in log_of(folder, "b"), "the log names the store", log_of(folder, "b"))
    done = cmek(a, "encrypt", "--project", "demo", "--database", "main/orders", os.path.join(folder, "plain"), os.path.join(folder, "late"))
    check(done.returncode != 0 and not os.path.exists(os.path.join(folder, "late")), "a program that starts meanwhile encrypts nothing",
          done.stdout)
    way.set(cut=0)
    check(app.makes("main/back"), "the network is back: a database is made", log_of(folder, "b"))
    check("it is back" in log_of(folder, "b"), "the log says so", log_of(folder, "b"))
    check(app.opens("main/orders", kept), "what was open is as before")
    check("main/back" in cmek(a, "database", "list", "--project", "demo").stdout, "the other host has it")


def tell(check, a):
    done = cmek(a, "doctor")
    check("dynamodb:fleet (dynamodb)" in done.stdout and "writable" in done.stdout, "cmek doctor says where the store is", done.stdout + done.stderr)
    done = cmek(a, "store", "show")
    check(done.returncode == 0 and "dynamodb:fleet" in done.stdout, "cmek store show too", done.stdout + done.stderr)
    done = cmek(a, "policy", "--project", "demo", "--role", "admin", "--store")
    check("dynamodb:PutItem" in done.stdout and "eu-central-1:*:table/fleet" in done.stdout and '"p/' in done.stdout,
          "cmek policy prints the rights in the table", done.stdout + done.stderr)
    done = cmek(a, "store", "check", "--json")
    check(done.returncode == 0 and '"ok": true' in done.stdout, "and cmek store check, as JSON", done.stdout + done.stderr)


def killed_at(way, conf, number, before, *words):
    """Runs a command that is killed at its n-th transaction; false: it came to its end."""
    way.set(count=0, kill_at=number, before=before, victim=0)
    process = subprocess.Popen([CMEK, *words], env=dict(os.environ, CMEK_PKCS11_CONF=conf), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    way.set(victim=process.pid)
    process.wait()
    way.set(kill_at=0)
    return process.returncode == -signal.SIGKILL


def databases(conf, project):
    done = cmek(conf, "database", "list", "--project", project)
    return None if done.returncode else [line.split()[0] for line in done.stdout.splitlines() if "main/" in line]


def killed_writes(check, way, a):
    for before in (True, False):
        number, at = 1, "before" if before else "after"
        while killed_at(way, a, number, before, "database", "create", "--project", "demo", f"main/killed-{at}-{number}"):
            there = f"main/killed-{at}-{number}" in databases(a, "demo")
            check(there == (not before), f"killed {at} transaction {number}, which is all of it: it is {'not ' if before else ''}done", there)
            number += 1
        check(number > 1, f"and comes to its end when it is not killed {at} one", number)


def run(check, folder):
    server = MiniStack(folder)
    way = Way(server.port)
    try:
        server.start()
        a, b = (configure(folder, name, way, "fleet") for name in "ab")
        make(check, a)
        app = share(check, folder, a, b)
        rotate(check, app, a)
        go_away(check, app, way, folder, a)
        tell(check, a)
        killed_writes(check, way, a)
    finally:
        way.stop()
        server.stop()


def main(run_all=run):
    if not os.path.isdir(MINISTACK):
        print("ok 1 - a store in DynamoDB # SKIP MiniStack is not installed (build/ministack, by tools/deps.sh)\n1..1")
        return 0
    os.environ.update(KEYS)
    check = Tally()
    with tempfile.TemporaryDirectory(prefix="cmek-dynamodb-") as folder:
        os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.path.join(folder, "none")
        try:
            run_all(check, folder)
        except Exception:
            check(False, "the test runs to its end", traceback.format_exc())
    print(f"1..{check.count}")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
