# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""moto's S3 with one object: s3_object.py FILE prints an address that is signed for whoever reads it, and serves until its standard
input ends."""

import os
import sys

os.environ.update(AWS_ACCESS_KEY_ID="x", AWS_SECRET_ACCESS_KEY="x", AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true")
import boto3  # noqa: E402
from moto.server import ThreadedMotoServer  # noqa: E402

server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
s3 = boto3.client("s3", endpoint_url=f"http://{host}:{port}")
s3.create_bucket(Bucket="data")
s3.upload_file(sys.argv[1], "data", "object.cmek")
print(s3.generate_presigned_url("get_object", Params={"Bucket": "data", "Key": "object.cmek"}), flush=True)
sys.stdin.read()
server.stop()
