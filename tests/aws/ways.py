#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Every fault on the way to credentials: each endpoint that gives them × each fault. A call either works or fails as it should, within its
deadline; an outage is never a no, nor the other way round, and nobody else's identity steps in. Prints the table. TAP."""

import concurrent.futures
import datetime
import hashlib
import json

from driver import DENIED, HANG_MS, NO_CREDENTIALS, OK, QUICK, REFUSED, STALL, THROTTLED, UNAVAILABLE, Home, Probe, Tap, watched
from fake_kms import FakeAws

ROLE = "arn:aws:iam::111122223333:role/way"
EVER = 99
HTML = {"body": "<html>It works!</html>", "content_type": "text/html"}

# What becomes of it where: outages, refusals and nonsense have other names at places that are not AWS's services.
OUT = {"IMDS": NO_CREDENTIALS, "": UNAVAILABLE}
FAULTS = [
    ("none", {}, OK, QUICK),
    ("no answer, ever", {"delay_ms": HANG_MS, "count": EVER}, OUT, STALL),
    ("500 once", {"status": 500}, OK, QUICK),
    ("500, ever", {"status": 500, "count": EVER}, OUT, QUICK),
    ("429 once", {"status": 429, "type": "TooManyRequestsException"}, OK, QUICK),
    ("throttled, ever", {"status": 429, "type": "TooManyRequestsException", "count": EVER}, {"IMDS": NO_CREDENTIALS, "": THROTTLED}, QUICK),
    ("reset before, once", {"reset": "before"}, OK, QUICK),
    ("reset before, ever", {"reset": "before", "count": EVER}, OUT, QUICK),
    ("reset after, once", {"reset": "after"}, {"CreateToken": "lost", "": OK}, QUICK),
    ("body cut at 3 bytes, once", {"cut": 3}, {"CreateToken": "lost", "": OK}, QUICK),
    ("body cut at 3 bytes, ever", {"cut": 3, "count": EVER}, OUT | {"CreateToken": "lost"}, QUICK),
    ("body byte by byte", {"slow": 500, "count": EVER}, OUT, STALL),
    ("HTML, 200", {**HTML, "count": EVER}, NO_CREDENTIALS, QUICK),
    ("HTML, 403", {**HTML, "status": 403, "count": EVER}, NO_CREDENTIALS, QUICK),
    ("nothing, 200", {"body": "", "count": EVER}, NO_CREDENTIALS, QUICK),
    ("AccessDenied", {"type": "AccessDenied", "status": 403, "count": EVER},
     {"AssumeRole": DENIED, "AssumeRoleWithWebIdentity": DENIED, "": NO_CREDENTIALS}, QUICK),
]


def stamp(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def assume_role(fake, home):
    home.write("credentials", f"[base]\naws_access_key_id = {fake.user.access_key}\naws_secret_access_key = {fake.user.secret}\n")
    home.write("config", f"[profile work]\nrole_arn = {ROLE}\nsource_profile = base\n").set(AWS_PROFILE="work")


def web_identity(fake, home):
    home.write("token", "jwt-1").set(AWS_ROLE_ARN=ROLE, AWS_WEB_IDENTITY_TOKEN_FILE=home.path("token"))


def container(fake, home):
    home.set(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{fake.url}/container")


def instance(fake, home):
    home.set(AWS_EC2_METADATA_SERVICE_ENDPOINT=fake.url, AWS_EC2_METADATA_DISABLED=None, AWS_METADATA_SERVICE_NUM_ATTEMPTS=3)


def sign_in(fake, home, seconds):
    identities = fake.identities
    identities.sso_token, identities.refresh_token = "sso-token", "refresh-token"
    home.set(AWS_PROFILE="work")
    home.write("config", "[profile work]\nsso_session = corp\nsso_account_id = 111122223333\nsso_role_name = Reader\n"
               "[sso-session corp]\nsso_region = us-west-2\nsso_start_url = https://corp.example/start\n")
    home.write(f"sso/cache/{hashlib.sha1(b'corp').hexdigest()}.json", json.dumps({
        "accessToken": "sso-token", "expiresAt": stamp(seconds), "clientId": "client", "clientSecret": identities.client_secret,
        "registrationExpiresAt": stamp(86400), "refreshToken": "refresh-token"}))


WAYS = {
    "AssumeRole": assume_role,
    "AssumeRoleWithWebIdentity": web_identity,
    "Container": container,
    "IMDS": instance,
    "SSO": lambda fake, home: sign_in(fake, home, 3600),
    "CreateToken": lambda fake, home: sign_in(fake, home, -60),
}
SHORT = {OK: "works", UNAVAILABLE: "outage", THROTTLED: "throttled", DENIED: "denied", REFUSED: "refused", NO_CREDENTIALS: "none"}


class Way:
    """One column: an endpoint of a fake AWS of its own."""

    def __init__(self, op):
        self.op, self.fake = op, FakeAws().__enter__()
        watched.append(self.fake)
        self.key = self.fake.keys.create("us-west-2").arn

    def run(self, order, expected, limits):
        expected = expected.get(self.op, expected.get("")) if isinstance(expected, dict) else expected
        if expected == "lost":  # the refresh token was used up, and the new one did not come: somebody has to sign in
            expected = REFUSED
        self.fake.reset()
        if order:
            self.fake.faults.order(op=self.op, **order)
        with Home(self.fake, **limits.environment) as home:
            WAYS[self.op](self.fake, home)
            with Probe(home.environment) as probe:
                answer = probe.ask("describe", self.key)
                self.fake.faults.clear()
                WAYS[self.op](self.fake, home)
                after = probe.ask("describe", self.key)
        found, problems = answer["status"], []
        if found != expected:
            problems.append(f"{found}, not {expected}: {answer}")
        if found != OK and self.fake.calls().get("DescribeKey", 0) > 1:
            problems.append("the KMS was asked by somebody")
        if limits.problem(answer["ms"], answer["late"]):
            problems.append(limits.problem(answer["ms"], answer["late"]))
        if after["status"] != OK:
            problems.append(f"and the next call: {after}")
        if probe.code != 0:
            problems.append(f"ended with {probe.code}:\n{probe.log}")
        return SHORT.get(found, found), "\n".join(problems)


def show(rows):
    rows = [["fault", *WAYS], *rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print("#")
    for row in rows:
        print("# " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print("#", flush=True)


def main():
    tap, ways, rows = Tap(), [Way(op) for op in WAYS], []
    with concurrent.futures.ThreadPoolExecutor(len(ways)) as pool:
        for title, order, expected, limits in FAULTS:
            cells = list(pool.map(lambda way: way.run(dict(order), expected, limits), ways))
            rows.append([title] + [words for words, _ in cells])
            problems = [f"{way.op}: {problem}" for way, (_, problem) in zip(ways, cells) if problem]
            tap.ok(not problems, title, "\n".join(problems))
    show(rows)
    for way in ways:
        way.fake.__exit__()
    tap.finish()


main()
