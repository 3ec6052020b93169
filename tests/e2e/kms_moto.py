#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Our AWS client against moto over HTTP, with moto's signature check on. TAP."""

import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("CMEK_BUILD", os.path.join(HERE, "..", "..", "build"))
CONTRACT = os.path.join(BUILD, "tests", "test_kms_contract")
TITLES = [
    "every case of the contract holds with a user's static keys",
    "the calls of one process share kept-alive connections",
    "every case of the contract holds with a role's session token",
    "every case of the contract holds with a profile of the shared files",
    "a wrong secret key is refused by the signature check and told as such",
    "no region is configured: the ARN of the key says where to go",
    "every case of the contract holds over TLS with a CA bundle of one's own",
    "the calls of one process share TLS connections",
    "a server whose certificate nobody vouches for is not trusted",
]

sys.path.insert(0, HERE)
import moto_server  # noqa: E402


class Tap:
    def __init__(self):
        self.count, self.failed = 0, 0

    def check(self, good, details=""):
        title = TITLES[self.count]
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {title}")
        if not good:
            for line in details.splitlines()[-40:]:
                print(f"# {line}")


def contract(environment):
    """Runs the contract test; answers (it passed all on both providers, what it printed)."""
    run = subprocess.run([CONTRACT], env=environment | {"CMOCKA_MESSAGE_OUTPUT": "TAP"},
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
                         check=False)
    asked_aws = sum(line.startswith("ok") and " - aws: " in line
                    for line in run.stdout.splitlines())
    return run.returncode == 0 and asked_aws > 10 and "SKIP" not in run.stdout, run.stdout


def role_session(moto):
    """Temporary credentials of a role that may use the KMS."""
    import json
    iam = moto.client("iam")
    allow = {"Version": "2012-10-17",
             "Statement": [{"Effect": "Allow", "Action": "kms:*", "Resource": "*"}]}
    trust = {"Version": "2012-10-17",
             "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                            "Principal": {"AWS": f"arn:aws:iam::{moto_server.ACCOUNT}:user/cmek"}}]}
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(trust))["Role"]
    iam.put_role_policy(RoleName="reader", PolicyName="kms", PolicyDocument=json.dumps(allow))
    return moto.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="test")["Credentials"]


def static_keys(tap, moto):
    moto.reset_calls()
    tap.check(*contract(moto.full_environment()))
    calls, connections = sum(moto.calls().values()), moto.connections
    tap.check(calls > 20 and connections <= 3, f"{calls} calls over {connections} connections")


def session_token(tap, moto):
    session = role_session(moto)
    tap.check(*contract(moto.full_environment() | {
        "AWS_ACCESS_KEY_ID": session["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": session["SecretAccessKey"],
        "AWS_SESSION_TOKEN": session["SessionToken"]}))


def profile(tap, moto, folder):
    path = os.path.join(folder, "credentials")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"[work]\naws_access_key_id = {moto.access_key}\n"
                   f"aws_secret_access_key = {moto.secret_key}\n")
    environment = moto.full_environment() | {
        "AWS_SHARED_CREDENTIALS_FILE": path, "AWS_PROFILE": "work"}
    del environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]
    tap.check(*contract(environment))


def answers(status, output):
    """Whether a case got that status in place of KMS_OK; cmocka prints its number, which is its place in the enum."""
    with open(os.path.join(HERE, "..", "..", "net", "statuses.h"), encoding="utf-8") as file:
        names = ["KMS_OK", *("KMS_" + name for name in re.findall(r"^\tROW\((\w+)", file.read(), re.MULTILINE))]
    return f"{names.index(status):#x} != 0\n" in output


def wrong_secret(tap, moto):
    environment = moto.full_environment() | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    passed, output = contract(environment)
    tap.check(not passed and answers("KMS_CREDENTIALS_REFUSED", output), output)


def no_region(tap, moto):
    environment = moto.full_environment()
    del environment["AWS_REGION"]
    passed, output = contract(environment | {"CMEK_TEST_KMS_ALIAS": "", "CMEK_TEST_KMS_KEY_ID": ""})
    tap.check(passed, output)


def over_tls(tap):
    with moto_server.Moto(keys_per_region=2, tls=True) as moto:
        tap.check(*contract(moto.full_environment()))
        calls, connections = sum(moto.calls().values()), moto.connections
        tap.check(calls > 20 and connections <= 3, f"{calls} calls over {connections} connections")
        moto.reset_calls()
        environment = moto.full_environment()
        del environment["AWS_CA_BUNDLE"]
        passed, output = contract(environment)
        tap.check(not passed and answers("KMS_UNAVAILABLE", output) and not moto.calls(), output)


def main():
    import tempfile
    print(f"1..{len(TITLES)}")
    why = moto_server.missing_modules()
    if why is not None:
        for number, title in enumerate(TITLES, 1):
            print(f"ok {number} - {title} # SKIP moto is missing: {why}")
        return 0
    tap = Tap()
    with moto_server.Moto(keys_per_region=2) as moto, tempfile.TemporaryDirectory() as folder:
        static_keys(tap, moto)
        session_token(tap, moto)
        profile(tap, moto, folder)
        wrong_secret(tap, moto)
        no_region(tap, moto)
    over_tls(tap)
    return tap.failed > 0


if __name__ == "__main__":
    sys.exit(main())
