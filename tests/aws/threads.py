#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""CKF_LIBRARY_CANT_CREATE_OS_THREADS: no thread is started on the way to AWS, not by libcurl's resolver either, and all works as without. A
preloaded library (no_threads.c) makes libcurl's threads fail, counts them, and finds the names. TAP."""

import os
import subprocess
import tempfile

import tunnel
from certificates import Authority
from driver import OK, SANITIZED, UNAVAILABLE, Home, Probe, Tap, watched
from fake_kms import FakeAws

BUILD = os.environ.get("CMEK_BUILD", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build"))
PRELOAD = os.path.join(BUILD, "tests/aws/no_threads.so")
ROLE = "arn:aws:iam::111122223333:role/still"

tap = Tap()


class Scene:
    """A KMS with TLS at kms.example."""

    def __init__(self, folder):
        self.log, self.authority = os.path.join(folder, "log"), Authority(folder, "ca")
        self.fake = FakeAws(*self.authority.certify("server", "IP:127.0.0.1,DNS:kms.example,DNS:proxy.example")).__enter__()
        watched.append(self.fake)
        self.key = self.fake.keys.create("us-west-2").arn
        self.endpoint = f"https://kms.example:{self.fake.server.server_port}"

    def home(self, **environment):
        return Home(None, **self.fake.environment()).set(
            AWS_ENDPOINT_URL=self.endpoint, AWS_CA_BUNDLE=self.authority.path, LD_PRELOAD=PRELOAD, CMEK_TEST_NO_THREADS_LOG=self.log,
            PROBE_CALL_MS=20000, PROBE_ATTEMPT_MS=20000).set(**environment)

    def noted(self):
        """(names that were looked up, threads that libcurl wanted) since the last time."""
        lines = []
        if os.path.exists(self.log):
            with open(self.log, encoding="utf-8") as file:
                lines = file.read().split("\n")
            os.unlink(self.log)
        return [line[5:] for line in lines if line.startswith("name ")], sum(line.startswith("thread ") for line in lines)

    def ask(self, home, times=1):
        self.fake.reset()
        self.noted()
        with home, Probe(home.environment) as probe:
            answers = [probe.ask("describe", self.key) for _ in range(times)]
        return (answers[-1], *self.noted(), probe.log)


def ways(scene):
    answer, names, threads, log = scene.ask(scene.home())
    tap.ok(threads > 0 and answer["status"] == UNAVAILABLE, "as ever, libcurl wants a thread for a name, and can't do without",
           f"{answer} {names} {threads}\n{log}")
    answer, names, threads, log = scene.ask(scene.home(PROBE_NO_THREADS=1), times=5)
    tap.ok(answer["status"] == OK and names == ["kms.example"] and threads == 0, "without threads: one look-up for a connection and its calls",
           f"{answer} {names} {threads}\n{log}")
    home = scene.home(PROBE_NO_THREADS=1, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, AWS_ROLE_ARN=ROLE)
    home.write("token", "jwt-1").set(AWS_WEB_IDENTITY_TOKEN_FILE=home.path("token"),
                                     AWS_ENDPOINT_URL_STS=scene.endpoint.replace("kms.", "proxy."))
    answer, names, threads, log = scene.ask(home)
    tap.ok(answer["status"] == OK and names == ["proxy.example", "kms.example"] and threads == 0, "STS and the KMS each by its name",
           f"{answer} {names} {threads}\n{log}")
    answer, names, threads, log = scene.ask(scene.home(PROBE_NO_THREADS=1, AWS_ENDPOINT_URL="https://kms.invalid", PROBE_ATTEMPTS=2))
    tap.ok(answer["status"] == UNAVAILABLE and "Could not resolve host: kms.invalid" in answer["message"] and names == ["kms.invalid"] * 2
           and threads == 0, "a name that is not found is an outage, which is tried again", f"{answer} {names} {threads}\n{log}")


def proxies(scene):
    port, pair = scene.fake.server.server_port, scene.authority.certify("proxy", "DNS:proxy.example")
    with tunnel.Tunnel(port) as proxy:
        name = proxy.url.replace("127.0.0.1", "proxy.example")
        answer, names, threads, log = scene.ask(scene.home(PROBE_NO_THREADS=1, HTTPS_PROXY=name), times=3)
        tap.ok(answer["status"] == OK and names == ["proxy.example"] and threads == 0 and proxy.targets == [f"kms.example:{port}"],
               "by a proxy: its name alone is looked up", f"{answer} {names} {threads} {proxy.heads}\n{log}")
        answer, names, threads, log = scene.ask(scene.home(PROBE_NO_THREADS=1, HTTPS_PROXY=proxy.url))
        tap.ok(answer["status"] == OK and names == [] and threads == 0, "by a proxy's address: none", f"{answer} {names} {threads}\n{log}")
        answer, names, threads, log = scene.ask(scene.home(PROBE_NO_THREADS=1, HTTPS_PROXY=name, NO_PROXY=".example"))
        tap.ok(answer["status"] == OK and names == ["kms.example"] and threads == 0 and len(proxy.targets) == 2,
               "NO_PROXY: the KMS's own name", f"{answer} {names} {threads} {proxy.heads}\n{log}")
    with tunnel.Tunnel(port, pair=pair) as proxy:
        secure = f"https://proxy.example:{proxy.address.split(':')[-1]}"
        answer, names, threads, log = scene.ask(scene.home(
            PROBE_NO_THREADS=1, HTTPS_PROXY=secure, SSL_CERT_FILE=scene.authority.path))
        tap.ok(names[:1] == ["proxy.example"] and threads == 0, "so it is by a proxy that is spoken to by TLS",
               f"{answer} {names} {threads}\n{log}")


def module(scene):
    """From C_Initialize on."""
    home = scene.home(CMEK_PKCS11_MODULE=os.path.join(BUILD, "cmek-pkcs11.so"))
    home.write("cmek.conf", f"[store]\npath = {home.path('store.db')}\n").set(CMEK_PKCS11_CONF=home.path("cmek.conf"))

    def run(name, *words, **environment):
        scene.noted()
        done = subprocess.run([os.path.join(BUILD, name), *words], env=home.environment | environment, capture_output=True, text=True,
                              timeout=120, check=False)
        return (done.stdout + done.stderr, *scene.noted())

    # The tool does not say that it can't have threads, so it must have them, and asks by an address.
    by_address = {"AWS_ENDPOINT_URL": f"https://127.0.0.1:{scene.fake.server.server_port}", "LD_PRELOAD": ""}
    with home:
        said = run("cmek", "project", "create", "p", **by_address)[0]
        said += run("cmek", "key", "add", "--project", "p", scene.key, "--label", "root", **by_address)[0]
        words = ("tests/module/key_state", "p", "root")
        told, names, threads = run(*words)
        tap.ok(threads > 0 and told.startswith("0 4 4 -\n"), "the module as ever: libcurl wants a thread", f"{said}{told} {names} {threads}")
        told, names, threads = run(*words, CMEK_TEST_NO_THREADS="1")
        tap.ok(threads == 0 and names == ["kms.example"] and told == "0 1 1 -\n",
               "CKF_LIBRARY_CANT_CREATE_OS_THREADS: the module works without one", f"{said}{told} {names} {threads}")


def main():
    if SANITIZED:
        print("1..0 # SKIP a sanitizer's run-time and a preloaded library do not go together")
        return
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(folder)
        for part in (ways, proxies, module):
            part(scene)
        scene.fake.__exit__()
    tap.finish()


main()
