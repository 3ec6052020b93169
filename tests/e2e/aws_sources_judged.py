#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""boto3 in the environments of tests/aws/sources.py: it has to find the identities that the module finds. TAP."""

import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("CMEK_BUILD", os.path.join(HERE, "..", "..", "build"))


def main():
    try:
        import boto3  # noqa: F401
    except ImportError as error:
        print(f"1..0 # SKIP {error}")
        return 0
    command = [sys.executable, os.path.join(HERE, "..", "aws", "sources.py"), os.path.join(BUILD, "tests", "aws", "kms_probe")]
    return subprocess.run(command, env=os.environ | {"CMEK_TEST_JUDGE": "boto3"}, check=False).returncode


sys.exit(main())
