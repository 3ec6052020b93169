# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""python3 -m fake_kms [--region R] [--tls CERT KEY] [-- COMMAND [ARG…]]: with a command, runs it with the environment set, CMEK_TEST_KMS_KEY
being a new key's ARN; without, prints NAME=value lines and serves until standard input ends."""

import argparse
import os
import subprocess
import sys

from .server import FakeAws


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--region", default="us-west-2")
    parser.add_argument("--tls", nargs=2, metavar=("CERT", "KEY"), default=(None, None))
    parser.add_argument("command", nargs="*")
    arguments = parser.parse_args()
    with FakeAws(*arguments.tls) as fake:
        key = fake.keys.create(arguments.region)
        fake.keys.aliases[arguments.region, "alias/test"] = key
        environment = fake.environment(arguments.region) | {"CMEK_TEST_KMS_KEY": key.arn, "CMEK_TEST_FAKE": fake.url}
        if arguments.command:
            sys.exit(subprocess.run(arguments.command, env=os.environ | environment, check=False).returncode)
        for name, value in environment.items():
            print(f"{name}={value}", flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
