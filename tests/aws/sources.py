#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Each source of credentials against an emulation of its endpoint, each with its failures; who was let in is read from the server's log.
With CMEK_TEST_JUDGE=boto3 only the good cases are gone through, and boto3 has to find the same identity in the same environment. TAP."""

import datetime
import hashlib
import json
import os
import subprocess
import time

from driver import DENIED, NO_CREDENTIALS, OK, REFUSED, UNAVAILABLE, WRONG, Home, Probe, Tap, ask_once, watched
from fake_kms import FakeAws

tap = Tap()
ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/"
JUDGE = "import boto3; print(boto3.client('sts').get_caller_identity()['Arn'])"


JUDGED = os.environ.get("CMEK_TEST_JUDGE") == "boto3"


def judged(home):
    """Who boto3 is in this environment."""
    run = subprocess.run(["python3", "-c", JUDGE], env=home.environment, capture_output=True, text=True, timeout=60, check=False)
    return run.stdout.strip() or run.stderr.strip().splitlines()[-1]


def without_session(arn):
    """Session names differ by program: the role is what counts."""
    return "/".join(arn.split("/")[:2])


def identity_of(text):
    lines = [line for line in text.splitlines() if line.startswith("identity: ")]
    return lines[0].split()[1] if lines else ""


class Scene:
    """A fake AWS with a key, and what happens on it."""

    def __init__(self, fake, key):
        self.fake, self.key = fake, key

    def home(self, **environment):
        return Home(self.fake, **environment)

    def gives(self, title, home, caller, origin, judge=True):
        """The KMS is asked by `caller`; whoami says so too, and from where."""
        self.fake.reset()
        with Probe(home.environment) as probe:
            answer, who = probe.ask("describe", self.key), probe.ask("whoami")
        entries = [entry for entry in self.fake.requests() if entry["op"] == "DescribeKey"]
        callers = {entry.get("caller") for entry in entries}
        good = answer["status"] == OK and {without_session(c or "") for c in callers} == {caller}
        good = good and without_session(identity_of(who["value"])) == caller and origin in who["value"]
        # What the audit log says: whose key signed, and the ARN wherever STS gave one.
        last = entries[-1] if entries else {}
        role = last.get("caller") if "role arn:" in answer["credentials"] else ""
        good = good and (answer["access_key"], answer["identity"]) == (last.get("access_key"), role) and origin in answer["credentials"]
        tap.ok(good, title, f"{answer}\n{who}\n{callers}\n{probe.log}")
        if judge and JUDGED:
            found = judged(home)
            tap.ok(without_session(found) == caller, f"{title}: boto3 agrees", found)

    def fails(self, title, home, status, word):
        if JUDGED:
            return
        self.fake.reset()
        answer, log = ask_once(home.environment, "describe", self.key)
        asked = [entry for entry in self.fake.requests() if entry["op"] == "DescribeKey"]
        tap.ok(answer["status"] == status and word in answer["message"] and not asked, title, f"{answer}\n{log}")


def keys_of(user):
    return f"aws_access_key_id = {user.access_key}\naws_secret_access_key = {user.secret}\n"


def static_keys(scene):
    user = scene.fake.user
    with scene.home(AWS_ACCESS_KEY_ID=user.access_key, AWS_SECRET_ACCESS_KEY=user.secret) as home:
        scene.gives("environment", home, user.arn, "environment")
        scene.fails("environment: AWS_PROFILE names none", home.set(AWS_PROFILE="gone"), NO_CREDENTIALS, "'gone'")
        if JUDGED:
            tap.ok("The config profile (gone) could not be found" in judged(home), "environment: boto3 does not either, then", judged(home))
        home.set(AWS_PROFILE=None)
        scene.fails("environment: half of a pair", home.set(AWS_SECRET_ACCESS_KEY=None), NO_CREDENTIALS, "AWS_SECRET_ACCESS_KEY")
    with scene.home(AWS_PROFILE="work") as home:
        home.write("credentials", f"[work]\n{keys_of(user)}")
        scene.gives("credentials file", home, user.arn, "profile work: static keys")
        config = home.read("credentials").replace(" = ", " : ").replace("[work]", "[colons]")
        home.write("credentials", home.read("credentials") + config).set(AWS_PROFILE="colons")
        scene.gives("credentials file, key : value", home, user.arn, "profile colons: static keys")
        scene.fails("a profile that is not there", home.set(AWS_PROFILE="gone"), NO_CREDENTIALS, "'gone'")
    with scene.home() as home:
        scene.fails("nothing at all", home, NO_CREDENTIALS, "no AWS credentials")


def spaces(scene):
    """Blanks, tabs and line breaks where people leave them."""
    user, odd = scene.fake.user, "holds characters that do not belong there: a blank or a line break"
    for end in ("\n", "\r\n", " "):
        with scene.home(AWS_ACCESS_KEY_ID=user.access_key, AWS_SECRET_ACCESS_KEY=user.secret + end) as home:
            scene.fails(f"environment: {end!r} behind the secret", home, NO_CREDENTIALS, f"secret access key from environment {odd}")
            home.set(AWS_ACCESS_KEY_ID=user.access_key + end, AWS_SECRET_ACCESS_KEY=user.secret)
            scene.fails(f"environment: {end!r} behind the key id", home, NO_CREDENTIALS, f"access key id from environment {odd}")
            home.set(AWS_ACCESS_KEY_ID=user.access_key, AWS_SESSION_TOKEN="token" + end)
            scene.fails(f"environment: {end!r} behind the session token", home, NO_CREDENTIALS, f"session token from environment {odd}")
    with scene.home(AWS_PROFILE="work") as home:
        for header in ("[profile\twork]", "[profile   work]", "[profile \t\"work\" \t]"):
            home.write("config", f"{header}\n{keys_of(user)}")
            scene.gives(f"config file: {header!r}", home, user.arn, "profile work: static keys")
        home.write("config", "").write("credentials", "[work]\n" + keys_of(user).replace("\n", " \t\r\n"))
        scene.gives("credentials file: blanks and carriage returns behind the values", home, user.arn, "profile work: static keys")


def sts_recovers(scene):
    """What of STS's refusals of a token passes: it is asked again, with the file as it is then."""
    fake, op = scene.fake, "AssumeRoleWithWebIdentity"
    caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/pod"
    with scene.home(AWS_ROLE_ARN=f"{ROLE}pod") as home:
        home.write("token", "jwt-before\n").set(AWS_WEB_IDENTITY_TOKEN_FILE=home.path("token"))
        for refusal in ("InvalidIdentityToken", "IDPCommunicationError"):
            fake.reset()
            fake.faults.order(op=op, count=2, type=refusal, message="it passes")
            with Probe(home.environment) as probe:
                answer = probe.ask("describe", scene.key)
            callers = {without_session(entry.get("caller") or "") for entry in fake.requests() if entry["op"] == "DescribeKey"}
            tap.ok(answer["status"] == OK and callers == {caller} and fake.calls()[op] == 3, f"web identity: {refusal} passes",
                   f"{answer} {fake.calls()}\n{probe.log}")
        fake.reset()
        fake.faults.order(op=op, type="InvalidIdentityToken", delay_ms=1500)
        with Probe(home.environment) as probe:
            probe.send("describe", scene.key)
            while op not in fake.calls():
                time.sleep(0.01)
            home.write("token", "jwt-after\n")
            answer = probe.receive()
        tokens = [entry["token"] for entry in fake.requests() if entry["op"] == op]
        tap.ok(answer["status"] == OK and tokens == ["jwt-before", "jwt-after"], "web identity: a file replaced meanwhile is read anew",
               f"{answer} {tokens}\n{probe.log}")


def roles(scene):
    fake, user = scene.fake, scene.fake.user
    config = (f"[profile work]\nrole_arn = {ROLE}top\nsource_profile = middle\nexternal_id = from-us\n"
              f"[profile middle]\nrole_arn = {ROLE}middle\nsource_profile = base\n")
    fake.identities.roles[f"{ROLE}top"] = {"external_id": "from-us"}
    with scene.home(AWS_PROFILE="work") as home:
        home.write("config", config).write("credentials", f"[base]\n{keys_of(user)}")
        scene.gives("role, of a role, of static keys", home, f"arn:aws:sts::{ACCOUNT}:assumed-role/top", "by profile middle: role")
        callers = [entry["caller"] for entry in fake.requests() if entry["op"] == "AssumeRole"][:2]
        tap.ok(callers[0] == user.arn and "/middle/" in callers[1], "each role is taken by the one before it", callers)
        home.write("config", config.replace("from-us", "from-them"))
        scene.fails("a role without its external id: STS's no is a no", home, DENIED, "STS AssumeRole of " + ROLE + "top")
        home.write("config", config.replace("source_profile = base", "source_profile = work"))
        scene.fails("roles in a circle", home, NO_CREDENTIALS, "circle")
        home.write("config", config).write("credentials", f"[base]\n{keys_of(user)[:-2]}\n")
        scene.fails("a source with a wrong secret", home, REFUSED, "STS AssumeRole")
        home.set(AWS_ENDPOINT_URL_STS="http://127.0.0.1:9", AWS_ENDPOINT_URL=fake.url)
        scene.fails("STS can't be reached: an outage", home, UNAVAILABLE, "STS AssumeRole")
    with scene.home(AWS_PROFILE="work", AWS_ACCESS_KEY_ID=user.access_key, AWS_SECRET_ACCESS_KEY=user.secret) as home:
        home.write("config", f"[profile work]\nrole_arn = {ROLE}env\ncredential_source = Environment\n")
        # The environment's keys win over AWS_PROFILE; a profile of the configuration wins over them.
        scene.gives("environment before AWS_PROFILE", home, user.arn, "environment")
        home.set(PROBE_PROFILE="work")
        scene.gives("a configured profile with credential_source = Environment", home, f"arn:aws:sts::{ACCOUNT}:assumed-role/env",
                    "by environment", judge=False)


def web_identity(scene):
    with scene.home(AWS_ROLE_ARN=f"{ROLE}pod", AWS_ROLE_SESSION_NAME="my-pod") as home:
        home.write("token", "jwt-1").set(AWS_WEB_IDENTITY_TOKEN_FILE=home.path("token"))
        scene.gives("web identity (EKS IRSA)", home, f"arn:aws:sts::{ACCOUNT}:assumed-role/pod", "by web identity")
        sessions = {entry["session"] for entry in scene.fake.requests() if entry["op"] == "AssumeRoleWithWebIdentity"}
        tap.ok(sessions == {"my-pod"}, "web identity: the session's name", sessions)
        home.write("token", "expired")
        scene.fails("web identity: a token that STS does not take", home, REFUSED, "OpenIDConnect")
        os.remove(home.path("token"))
        scene.fails("web identity: no token", home, NO_CREDENTIALS, "can't be read")
    with scene.home(AWS_PROFILE="pod") as home:
        home.write("token", "jwt-2")
        home.write("config", f"[profile pod]\nrole_arn = {ROLE}p\nweb_identity_token_file = {home.path('token')}\n")
        scene.gives("web identity in a profile", home, f"arn:aws:sts::{ACCOUNT}:assumed-role/p", "profile pod: role")
        scene.fake.identities.roles[f"{ROLE}p"] = {"refuse": True}
        scene.fails("web identity: the role may not be taken", home, DENIED, "AssumeRoleWithWebIdentity")


def process(scene):
    user = scene.fake.identities.user("process")
    with scene.home(AWS_PROFILE="work") as home:
        def program(text):
            home.write("tool", text)
            home.write("config", f"[profile work]\ncredential_process = sh \"{home.path('tool')}\"\n")

        good = json.dumps({"Version": 1, "AccessKeyId": user.access_key, "SecretAccessKey": user.secret})
        program(f"echo '{good}'\n")
        scene.gives("credential_process", home, user.arn, "credential_process sh")
        program("echo very-secret; exit 1\n")
        scene.fails("credential_process: an exit code", home, NO_CREDENTIALS, "code 1")
        program("exec sleep 100\n")
        scene.fails("credential_process: it hangs", home.set(PROBE_CALL_MS=500), NO_CREDENTIALS, "call_timeout_ms")
        program("exec head -c 9000 /dev/zero\n")
        scene.fails("credential_process: too much", home.set(PROBE_CALL_MS=15000), NO_CREDENTIALS, "8 KiB")
        program(f"echo '{good.replace('1', '2', 1)}'\n")
        scene.fails("credential_process: another version", home, NO_CREDENTIALS, "Version")
        program("cat <<'E'\n" + json.dumps({**json.loads(good), "Expiration": "tomorrow"}) + "\nE\n")
        scene.fails("credential_process: an unreadable end", home, NO_CREDENTIALS, "credentials whose expiration is no time as in")
        program("cat <<'E'\n" + json.dumps({**json.loads(good), "SecretAccessKey": user.secret + "\n"}) + "\nE\n")
        scene.fails("credential_process: a line break behind the secret", home, NO_CREDENTIALS, "secret access key from")


def containers(scene):
    identities = scene.fake.identities
    caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/task-role"
    with scene.home(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{scene.fake.url}/container") as home:
        scene.gives("container (ECS)", home, caller, "container")
        identities.container_token = "pod-identity-1"
        home.write("token", "pod-identity-1").set(AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE=home.path("token"),
                                                  AWS_CONTAINER_AUTHORIZATION_TOKEN="old")
        scene.gives("container with a token's file (EKS Pod Identity)", home, caller, "container")
        home.write("token", "pod-identity-1\n")
        scene.gives("container: a line break behind the token in its file", home, caller, "container", judge=False)
        home.write("token", "wrong")
        scene.fails("container: a token it does not take", home, NO_CREDENTIALS, "bad token")
        scene.fake.faults.clear()
        home.set(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://169.254.170.99/x")
        scene.fails("container: an address that may not be trusted", home, WRONG, "http is only for")
        home.set(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:9/x")
        scene.fails("container: nobody there", home, UNAVAILABLE, "container")
        identities.container_token = None
        odd_answers(scene, home.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{scene.fake.url}/container"), "container")


def odd_answers(scene, home, who):
    """What a source's answer has and should not."""
    identities = scene.fake.identities
    for member, value, word in (("Expiration", "tomorrow", "credentials whose expiration is no time as in"),
                                ("SecretAccessKey", "it-ends-here\n", "secret access key from"),
                                ("Token", "a token ", "session token from")):
        identities.changes = {member: value}
        scene.fails(f"{who}: {member} is {value!r}", home, NO_CREDENTIALS, word)
    identities.changes = {}


def instances(scene):
    identities = scene.fake.identities
    caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/instance-role"
    with scene.home(AWS_EC2_METADATA_SERVICE_ENDPOINT=scene.fake.url, AWS_EC2_METADATA_DISABLED=None) as home:
        scene.gives("EC2 metadata", home, caller, "EC2 metadata, role instance-role")
        home.set(AWS_REGION=None, AWS_DEFAULT_REGION=None)
        answer, log = ask_once(home.environment, "describe", scene.key.split("/")[-1])
        tap.ok(answer["status"] == OK, "EC2 metadata: the region of a key named without one", f"{answer}\n{log}")
        home.set(AWS_REGION="us-west-2")
        identities.imds_role = ""
        scene.fails("EC2 metadata: no role", home, NO_CREDENTIALS, "EC2's metadata service")
        identities.imds_role, identities.imds_v1 = "instance-role", True
        scene.fails("EC2 metadata: version 1 alone is not used", home, NO_CREDENTIALS, "IMDSv2")
        identities.imds_v1, identities.imds_off = False, True
        scene.fails("EC2 metadata: switched off there", home, NO_CREDENTIALS, "switched off")
        identities.imds_off = False
        odd_answers(scene, home, "EC2 metadata")
        identities.imds_off, identities.imds_seconds = False, -60
        scene.fake.reset()
        with Probe(home.environment) as probe:
            answers = [probe.ask("describe", scene.key)["status"] for _ in range(3)]
        calls = scene.fake.calls()
        tap.ok(answers == [REFUSED] * 3 and calls["DescribeKey"] <= 6,
               "EC2 metadata: expired ones are used, and the KMS says what it thinks", f"{answers} {calls}\n{probe.log}")
        identities.imds_seconds = 3600
        home.set(AWS_EC2_METADATA_DISABLED="true")
        scene.fails("EC2 metadata: switched off here", home, NO_CREDENTIALS, "no AWS credentials")
    with scene.home(AWS_EC2_METADATA_SERVICE_ENDPOINT=scene.fake.url, AWS_EC2_METADATA_DISABLED=None, AWS_PROFILE="work") as home:
        home.write("config", f"[profile work]\nrole_arn = {ROLE}top\nexternal_id = from-us\ncredential_source = Ec2InstanceMetadata\n")
        scene.gives("a role by EC2 metadata", home, f"arn:aws:sts::{ACCOUNT}:assumed-role/top", "by EC2 metadata")


def stamp(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def sso(scene):
    identities = scene.fake.identities
    cache = f"sso/cache/{hashlib.sha1(b'corp').hexdigest()}.json"
    caller = f"arn:aws:sts::{ACCOUNT}:assumed-role/Reader"

    def sign_in(seconds, registration=86400):
        identities.sso_token, identities.refresh_token = "sso-token-1", "refresh-token-1"
        home.write(cache, json.dumps({
            "startUrl": "https://corp.example/start", "region": "us-west-2", "accessToken": "sso-token-1", "expiresAt": stamp(seconds),
            "clientId": "client", "clientSecret": identities.client_secret, "registrationExpiresAt": stamp(registration),
            "refreshToken": "refresh-token-1"}))

    with scene.home(AWS_PROFILE="work") as home:
        home.write("config", "[profile work]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Reader\n"
                   "[sso-session corp]\nsso_region = us-west-2\nsso_start_url = https://corp.example/start\n")
        scene.fails("SSO: nobody has signed in", home, REFUSED, "aws sso login --sso-session corp")
        sign_in(3600)
        scene.gives("SSO", home, caller, "SSO role Reader")
        sign_in(-60)
        scene.gives("SSO: a token that has run out is refreshed", home, caller, "SSO role Reader", judge=False)
        kept = json.loads(home.read(cache))
        mode = os.stat(home.path(cache)).st_mode & 0o777
        tap.ok(kept["accessToken"] == identities.sso_token and kept["refreshToken"] == identities.refresh_token and mode == 0o600
               and stamp(28000) < kept["expiresAt"] < stamp(29000), "SSO: and kept for others", f"{kept} {mode:o}")
        if JUDGED:
            tap.ok(without_session(judged(home)) == caller, "SSO: boto3 uses what was kept")
        sign_in(-60)
        identities.refresh_token = "another"
        scene.fails("SSO: a refresh that is refused", home, REFUSED, "aws sso login")
        sign_in(-60, registration=-1)
        scene.fails("SSO: a registration that has run out", home, REFUSED, "aws sso login")
        sign_in(3600)
        identities.sso_token = "another"
        scene.fails("SSO: a token that the portal does not take", home, REFUSED, "aws sso login")
        sign_in(3600)
        identities.sso_forbidden = True
        scene.fails("SSO: a role that one may not have: a no", home, DENIED, "No access")
        identities.sso_forbidden = False


def refreshes(scene):
    """A role whose sessions are short, under threads; and one whose session AWS ends before its time."""
    fake, user = scene.fake, scene.fake.user
    with scene.home(AWS_PROFILE="work") as home:
        home.write("config", f"[profile work]\nrole_arn = {ROLE}short\nsource_profile = base\n")
        home.write("credentials", f"[base]\n{keys_of(user)}")
        fake.identities.roles[f"{ROLE}short"] = {"seconds": 4}
        fake.reset()
        with Probe(home.environment) as probe:
            storms = []
            for _ in range(4):
                storms.append(probe.ask("threads", "8", "20", "describe", scene.key))
                time.sleep(1.2)
        calls = fake.calls()
        tap.ok(all(storm["statuses"] == {OK: 160} for storm in storms), "8 threads outlive their sessions", f"{storms}\n{probe.log[-2000:]}")
        tap.ok(calls["DescribeKey"] >= 640 and 2 <= calls["AssumeRole"] <= 20, "and STS is asked by one of them at a time", calls)
        fake.identities.roles[f"{ROLE}short"] = {}
        fake.reset()
        with Probe(home.environment) as probe:
            first = probe.ask("describe", scene.key)["status"]
            for credential in fake.identities.by_access_key.values():
                if credential.access_key.startswith("ASIA"):
                    credential.expires = 1
            storm = probe.ask("threads", "8", "20", "describe", scene.key)
        calls = fake.calls()
        tap.ok(first == OK and storm["statuses"] == {OK: 160}, "sessions that AWS has ended are replaced", storm)
        tap.ok(calls["AssumeRole"] == 2, "by one forced refresh for all threads", calls)


def main():
    with FakeAws() as fake:
        watched.append(fake)
        scene = Scene(fake, fake.keys.create("us-west-2").arn)
        for part in (static_keys, spaces, roles, web_identity, process, containers, instances, sso) + (() if JUDGED else (sts_recovers, refreshes)):
            part(scene)
    tap.finish()


main()
