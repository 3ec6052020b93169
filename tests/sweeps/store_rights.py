#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What `cmek policy --store` prints is carried out, on files and in etcd: whoever has a role can do in the store what it is for, and no more. And
`cmek doctor` says how the store is asked, and when its clock is off. TAP."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from store_etcd import CMEK, MODULE, Etcd, Tally  # noqa: E402

ROLES = [("reader", [], False), ("writer", [], True), ("writer", ["main/a"], False), ("rewrapper", [], True), ("admin", ["main/a"], True)]


def configure(folder, name, *store):
    conf = os.path.join(folder, name + ".conf")
    with open(conf, "w") as file:
        file.write("\n".join(["[store]", *store, "[local]", f"path = {folder}/local.keys", "[log]", "to = stderr", ""]))
    os.chmod(conf, 0o644)
    return conf


def cmek(conf, *words, as_user=None):
    line = [CMEK, *words]
    if as_user is not None:
        line = ["setpriv", f"--reuid={as_user}", f"--regid={as_user}", "--clear-groups", *line]
    return subprocess.run(line, env=dict(os.environ, CMEK_PKCS11_CONF=conf, CMEK_PKCS11_MODULE=MODULE), capture_output=True, text=True)


def begin(conf):
    for words in (["project", "create", "demo"], ["key", "create", "--project", "demo", "local:root"],
                  ["cluster", "create", "--project", "demo", "main", "--key", "root", "--region", "local"],
                  ["database", "create", "--project", "demo", "main/a"]):
        done = cmek(conf, *words)
        if done.returncode != 0:
            raise AssertionError(done.stderr)


def commands_for(check, conf, role, database, user, writes):
    done = cmek(conf, "policy", "--project", "demo", "--role", role, "--store", "--principal", user, *database)
    policy = json.loads(done.stdout or "{}").get("store_policy", {})
    check(policy.get("access") == ("write" if writes else "read"), f"a {role} of {database or 'the project'} gets the right to {policy.get('access')}",
          done.stdout + done.stderr)
    return policy["commands"]


def has_rights(check, conf, name, role, database, writes, as_user=None):
    seen = cmek(conf, "database", "list", "--project", "demo", as_user=as_user)
    made = cmek(conf, "cluster", "create", "--project", "demo", name, "--key", "root", "--region", "local", as_user=as_user)
    check("main/a" in seen.stdout, f"with it a {role} of {database or 'the project'} reads", seen.stdout + seen.stderr)
    check((made.returncode == 0) == writes, "and changes the store" if writes else "and changes nothing", made.stdout + made.stderr)


def skip(check, name, why):
    check.count += 1
    print(f"ok {check.count} - {name} # SKIP {why}")


def on_files(check, folder):
    if os.geteuid() != 0 or shutil.which("setfacl") is None:
        return skip(check, "rights on files", "it takes root and setfacl (acl)")
    os.chmod(folder, 0o755)
    os.mkdir(os.path.join(folder, "store"), 0o700)
    conf = configure(folder, "file", f"path = {folder}/store/store.db")
    begin(conf)
    os.chmod(os.path.join(folder, "local.keys"), 0o644)
    for number, (role, database, writes) in enumerate(ROLES):
        user = 20000 + number
        done = cmek(conf, "project", "list", as_user=user)
        if number == 0:
            check("demo" not in done.stdout, "a user without rights sees nothing", done.stdout + done.stderr)
        for command in commands_for(check, conf, role, database, str(user), writes):
            made = subprocess.run(command, shell=True, capture_output=True, text=True)
            if made.returncode != 0 and "not supported" in made.stderr:
                return skip(check, "the commands are carried out", "the file system has no ACLs")
            if made.returncode != 0:
                raise AssertionError(command + made.stderr)
        has_rights(check, conf, f"by-{number}", role, database, writes, user)
    return None


def etcdctl(etcd, command):
    done = subprocess.run(command, shell=True, capture_output=True, text=True,
                          env=dict(os.environ, ETCDCTL_API="3", ETCDCTL_ENDPOINTS=etcd.url, ETCDCTL_USER="root:secret" if etcd.asks else ""))
    if done.returncode != 0 and "already exists" not in done.stderr:
        raise AssertionError(command + done.stderr)


def in_etcd(check, folder):
    if shutil.which("etcd") is None or shutil.which("etcdctl") is None:
        return skip(check, "rights in etcd", "etcd or etcdctl is not installed (etcd-server, etcd-client)")
    etcd = Etcd(folder)
    etcd.asks = False
    try:
        etcd.start()
        store = ["backend = etcd", f"endpoint = {etcd.url}", "prefix = /fleet"]
        conf = configure(folder, "etcd", *store)
        begin(conf)
        clocks(check, folder, etcd, conf)
        plans = [(role, database, writes, f"user{number}", commands_for(check, conf, role, database, f"user{number}", writes))
                 for number, (role, database, writes) in enumerate(ROLES)]
        for command in ["etcdctl user add root:secret", "etcdctl role add root", "etcdctl user grant-role root root",
                        *[f"etcdctl user add {user}:secret" for *_, user, _ in plans]]:
            etcdctl(etcd, command)
        etcdctl(etcd, "etcdctl auth enable")
        etcd.asks = True
        password = os.path.join(folder, "password")
        with open(password, "w") as file:
            file.write("secret\n")
        for role, database, writes, user, commands in plans:
            for command in commands:
                etcdctl(etcd, command)
            mine = configure(folder, user, *store, f"user = {user}", f"password_file = {password}")
            has_rights(check, mine, f"by-{user}", role, database, writes)
    finally:
        etcd.stop()
    return None


def clocks(check, folder, etcd, conf):
    """By a server before etcd, whose answers say another time."""
    done = cmek(conf, "doctor")
    check("a look at it takes" in done.stdout and "its clock and this host's agree" in done.stdout, "doctor says how long a look takes, and that the clocks agree",
          done.stdout + done.stderr)

    class Late(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            with urllib.request.urlopen(urllib.request.Request(etcd.url + self.path, body, {"Content-Type": "application/json"})) as answer:
                text = answer.read()
            self.send_response_only(200)
            self.send_header("Date", "Mon, 02 Nov 2026 08:00:00 GMT")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    late = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Late)
    threading.Thread(target=late.serve_forever, daemon=True).start()
    done = cmek(configure(folder, "late", "backend = etcd", f"endpoint = http://127.0.0.1:{late.server_address[1]}", "prefix = /fleet"), "doctor")
    check(("seconds behind this host's" in done.stdout or "seconds ahead of this host's" in done.stdout) and done.returncode == 0,
          "and that they don't, which is no fault", done.stdout + done.stderr)
    late.shutdown()


def main():
    check = Tally()
    with tempfile.TemporaryDirectory(prefix="cmek-rights-") as folder:
        try:
            on_files(check, folder)
            os.mkdir(os.path.join(folder, "etcd"))
            in_etcd(check, os.path.join(folder, "etcd"))
        except Exception:
            check(False, "the test runs to its end", traceback.format_exc())
    print(f"1..{check.count}")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
