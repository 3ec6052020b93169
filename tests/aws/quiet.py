#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""No secret in any log at any level: the tool and the module go through a life of theirs on the fake AWS, good days and bad, with all that
can be logged; then log, audit log, standard output and error are searched for secret keys, session tokens, sign-in tokens and for every
plaintext that the KMS saw, in base64, hexadecimal and raw. (The other tests of this folder search the probe's log in the same way.) TAP."""

import datetime
import hashlib
import json
import os
import subprocess

from driver import Home, Tap, shown, watched
from fake_kms import FakeAws

BUILD = os.environ.get("CMEK_BUILD", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build"))
ROLE = "arn:aws:iam::111122223333:role/quiet"
CARD = b"card 4111-1111-1111-1111"
FAULTS = [
    {"type": "AccessDeniedException", "message": "User: x is not authorized"}, {"type": "DisabledException"},
    {"type": "ThrottlingException"}, {"type": "ExpiredTokenException"}, {"type": "UnrecognizedClientException"}, {"status": 500},
    {"reset": "before"}, {"reset": "after"}, {"cut": 60}, {"unframed": 60}, {"unframed": 120}, {"body": "<html>"}, {"other_key": True},
    {"plaintext_len": 31}, {"content_type": "text/html"},
]


class Life:
    def __init__(self, fake, home):
        self.fake, self.home, self.key = fake, home, fake.keys.create("us-west-2")
        self.text, self.last, self.runs = "", "", 0
        home.write("cmek.conf", f"[store]\npath = {home.path('store.db')}\n[log]\nlevel = debug\nto = {home.path('log')}\n"
                   f"audit = {home.path('audit')}\n[kms]\ndeny_seconds = 1\n[aws]\nconnect_timeout_ms = 2000\ncall_timeout_ms = 20000\n")
        with open(home.path("in"), "wb") as file:
            file.write(CARD)
        home.set(CMEK_PKCS11_CONF=home.path("cmek.conf"), CMEK_PKCS11_MODULE=os.path.join(BUILD, "cmek-pkcs11.so"))

    def cmek(self, *words):
        done = subprocess.run([os.path.join(BUILD, "cmek"), *words], env=self.home.environment, capture_output=True, timeout=120, check=False)
        self.last = (done.stdout + done.stderr).decode("latin-1")
        self.text += self.last
        self.runs += 1
        return done.returncode

    def begin(self):
        return [self.cmek(*words) for words in (
            ("project", "create", "p"), ("key", "add", "--project", "p", self.key.arn, "--label", "root"),
            ("cluster", "create", "--project", "p", "c", "--key", "root", "--region", "us-west-2"),
            ("database", "create", "--project", "p", "c/d"),
            ("encrypt", "--project", "p", "--database", "c/d", self.home.path("in"), self.home.path("sealed")))]

    def day(self):
        """Codes of what should work on a good one."""
        codes = [self.cmek(*words) for words in (
            ("decrypt", self.home.path("sealed"), self.home.path("out")), ("encrypt", "--project", "p", "--database", "c/d",
                                                                           self.home.path("in"), self.home.path("again")),
            ("key", "show", "--project", "p", "root"), ("tree",), ("inspect", self.home.path("sealed")), ("doctor", "--project", "p"))]
        for name in ("out", "again"):
            if os.path.exists(self.home.path(name)):
                os.unlink(self.home.path(name))
        return codes

    def everything(self):
        text = self.text
        for name in ("log", "audit"):
            if os.path.exists(self.home.path(name)):
                with open(self.home.path(name), "rb") as file:
                    text += file.read().decode("latin-1")
        return text


def identities(fake, home):
    """Each as (name, how to become it)."""
    def static():
        home.set(AWS_ACCESS_KEY_ID=fake.user.access_key, AWS_SECRET_ACCESS_KEY=fake.user.secret, AWS_PROFILE=None)

    def role():
        home.set(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None, AWS_PROFILE="work")
        home.write("credentials", f"[base]\naws_access_key_id = {fake.user.access_key}\naws_secret_access_key = {fake.user.secret}\n")
        home.write("config", f"[profile work]\nrole_arn = {ROLE}\nsource_profile = base\n")

    def process():
        said = json.dumps({"Version": 1, "AccessKeyId": fake.user.access_key, "SecretAccessKey": fake.user.secret})
        home.write("tool", f"echo '{said}'\n").write("config", f"[profile work]\ncredential_process = sh {home.path('tool')}\n")

    def sso():
        now = datetime.datetime.now(datetime.timezone.utc)
        fake.identities.sso_token, fake.identities.refresh_token = "sso-token-quiet", "refresh-token-quiet"
        home.write("config", "[profile work]\nsso_session = q\nsso_account_id = 111122223333\nsso_role_name = r\n"
                   "[sso-session q]\nsso_region = us-west-2\nsso_start_url = https://q.example\n")
        home.write(f"sso/cache/{hashlib.sha1(b'q').hexdigest()}.json", json.dumps({
            "accessToken": "sso-token-quiet", "expiresAt": (now + datetime.timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "clientId": "client", "clientSecret": fake.identities.client_secret, "refreshToken": "refresh-token-quiet",
            "registrationExpiresAt": (now + datetime.timedelta(days=5)).strftime("%Y-%m-%dT%H:%M:%SZ")}))

    def web():
        home.set(AWS_PROFILE=None, AWS_ROLE_ARN=ROLE, AWS_WEB_IDENTITY_TOKEN_FILE=home.path("jwt")).write("config", "").write("jwt", "jwt-quiet")

    def container():
        fake.identities.container_token = "container-token-quiet"
        home.set(AWS_ROLE_ARN=None, AWS_WEB_IDENTITY_TOKEN_FILE=None, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{fake.url}/container",
                 AWS_CONTAINER_AUTHORIZATION_TOKEN="container-token-quiet")

    def instance():
        home.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=None, AWS_CONTAINER_AUTHORIZATION_TOKEN=None, AWS_EC2_METADATA_DISABLED=None,
                 AWS_EC2_METADATA_SERVICE_ENDPOINT=fake.url)

    return [("static keys", static), ("a role", role), ("a process", process), ("SSO", sso), ("web identity", web), ("a container", container),
            ("an instance", instance)]


def main():
    tap = Tap()
    with FakeAws() as fake, Home(fake) as home:
        watched.append(fake)
        life, people = Life(fake, home), identities(fake, home)
        people[0][1]()
        life.cmek("project", "create", "empty")
        code = life.cmek("doctor", "--project", "empty")
        tap.ok(code == 3 and "identity: arn:aws:" in life.last, "doctor says who we are before there is a root key", life.last)
        home.set(AWS_ACCESS_KEY_ID=None)
        code = life.cmek("doctor", "--project", "empty")
        tap.ok(code == 3 and "KMS: not set up: no credentials" in life.last, "or that nobody is anybody yet", life.last)
        people[0][1]()
        codes = life.begin()
        tap.ok(codes == [0] * len(codes), "a life begins", f"{codes}\n{life.text}")
        for name, become in people:
            become()
            codes = life.day()
            told = "identity: arn:aws:" in life.last and "credentials: " in life.last
            tap.ok(codes == [0] * len(codes) and told, f"a good day with {name}; doctor says who that is", f"{codes}\n{life.text[-3000:]}")
        before = life.runs
        for fault in FAULTS:
            for op in ("Decrypt", "DescribeKey") if "type" in fault else ("Decrypt",):
                fake.faults.clear()
                fake.faults.order(op=op, count=3, **fault)
                life.day()
        for op in ("IMDS", "GetCallerIdentity"):
            fake.faults.clear()
            fake.faults.order(op=op, count=9, status=500)
            life.day()
        fake.faults.clear()
        people[1][1]()
        home.set(AWS_SECRET_ACCESS_KEY=None)
        for fault in FAULTS[:5]:
            fake.faults.order(op="AssumeRole", count=3, **fault)
            life.day()
        tap.ok(life.runs - before > 60, f"{life.runs - before} runs on bad days")
        text = life.everything()
        tap.ok(len(text) > 20000 and "info" in text, f"{len(text)} characters were said", text[:500])
        tap.ok(len(fake.secrets()) > 50, f"{len(fake.secrets())} secrets were about", fake.secrets())
        tap.ok(len(shown(text + next(iter(fake.secrets())))) == 1, "one that is said would be found")
        tap.ok(not shown(text), "none of them was said", shown(text))
        tap.ok(CARD.decode() not in text, "nor was what a file held")
    tap.finish()


main()
