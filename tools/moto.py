#!/usr/bin/env python3
"""A simulated AWS (moto) for the demo and the tests; runs in build/venv.

    moto.py start FOLDER      starts it on a free port of loopback, with its signature check on, and prints lines for
                              the shell to eval: moto_pid, and the environment that points the AWS SDKs and us there
    moto.py key [ALIAS]       makes a KMS key (with alias/ALIAS) in that environment and prints its ARN

The caller ends it by its pid. Its keys live in its memory only.
"""
import json
import os
import re
import subprocess
import sys
import time

import boto3

# Calls that need no signature, since the first user has to come from somewhere: those that make_user makes.
FREE_CALLS = 3
REGION = "us-west-2"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def start(folder):
    log = os.path.join(folder, "moto.log")
    server = os.path.join(os.path.dirname(sys.executable), "moto_server")
    env = dict(os.environ, INITIAL_NO_AUTH_ACTION_COUNT=str(FREE_CALLS), PYTHONUNBUFFERED="1")
    with open(log, "wb") as output:
        child = subprocess.Popen([server, "-H", "127.0.0.1", "-p", "0"], env=env, stdin=subprocess.DEVNULL,
                                 stdout=output, stderr=output)
    url = wait_for_address(child, log)
    access_key, secret = make_user(url)
    print(f"moto_pid={child.pid}")
    for name, value in {
            "AWS_ACCESS_KEY_ID": access_key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": "",
            "AWS_REGION": REGION, "AWS_DEFAULT_REGION": REGION, "AWS_ENDPOINT_URL_KMS": url,
            "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true"}.items():
        print(f"export {name}='{value}'")


def wait_for_address(child, log):
    for _ in range(600):
        with open(log, encoding="utf-8", errors="replace") as text:
            found = re.search(r"Running on (http://127\.0\.0\.1:\d+)", text.read())
        if found:
            return found[1]
        if child.poll() is not None:
            break
        time.sleep(0.1)
    child.kill()
    sys.exit(f"moto_server did not start; see {log}")


def make_user(url):
    """The one user of that world, who may do everything; from then on every request must be signed by it."""
    iam = boto3.client("iam", endpoint_url=url, region_name=REGION, aws_access_key_id="none",
                       aws_secret_access_key="none")
    iam.create_user(UserName="tester")
    iam.put_user_policy(UserName="tester", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    key = iam.create_access_key(UserName="tester")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


def make_key(alias):
    kms = boto3.client("kms")
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    if alias:
        kms.create_alias(AliasName=f"alias/{alias}", TargetKeyId=arn)
    print(arn)


if __name__ == "__main__":
    if len(sys.argv) == 3 and sys.argv[1] == "start":
        start(sys.argv[2])
    elif len(sys.argv) in (2, 3) and sys.argv[1] == "key":
        make_key(sys.argv[2] if len(sys.argv) == 3 else None)
    else:
        sys.exit(__doc__)
