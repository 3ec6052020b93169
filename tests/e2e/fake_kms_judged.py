#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The fake KMS, judged: botocore must be able to use it, and it must refuse what the real service refuses (types and texts as LocalStack
recorded them of the real service). Where moto differs is listed in tests/fake_kms/README.md."""

import os
import sys
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
count = 0


def ok(condition, name, detail=""):
    global count
    count += 1
    print(f"{'ok' if condition else 'not ok'} {count} - {name}")
    if not condition:
        print(f"# {detail}")


try:
    import boto3
    import botocore.config
    import botocore.exceptions
except ImportError as error:
    print(f"1..0 # SKIP {error}")
    sys.exit(0)

from fake_kms import FakeAws  # noqa: E402


def client(fake, service="kms", region="us-west-2", user=None, **options):
    user = user or fake.user
    config = botocore.config.Config(retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=5)
    return boto3.client(service, region_name=region, endpoint_url=fake.url, aws_access_key_id=user.access_key,
                        aws_secret_access_key=user.secret, config=config, **options)


def refused(call, **arguments):
    try:
        call(**arguments)
        return None, ""
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]


def data_operations(fake, kms, arn):
    context = {"a": "1", "b": "2"}
    sealed = kms.encrypt(KeyId=arn, Plaintext=b"x" * 32, EncryptionContext=context)
    blob = sealed["CiphertextBlob"]
    ok(sealed["KeyId"] == arn, "encrypt answers the key's ARN")
    opened = kms.decrypt(KeyId=arn, CiphertextBlob=blob, EncryptionContext=dict(reversed(context.items())))
    ok(opened["Plaintext"] == b"x" * 32, "decrypt gives it back, the context's order aside")
    ok(refused(kms.decrypt, KeyId=arn, CiphertextBlob=blob) == ("InvalidCiphertextException", ""), "no context is refused")
    ok(refused(kms.decrypt, KeyId=arn, CiphertextBlob=blob, EncryptionContext={"a": "12", "b": ""})[0]
       == "InvalidCiphertextException", "pairs are not simply joined")
    ok(refused(kms.decrypt, KeyId=arn, CiphertextBlob=b"garbage")[0] == "InvalidCiphertextException", "garbage is refused")
    spoilt = blob[:-1] + bytes([blob[-1] ^ 1])
    ok(refused(kms.decrypt, KeyId=arn, CiphertextBlob=spoilt, EncryptionContext=context)[0]
       == "InvalidCiphertextException", "a flipped bit is refused")
    other = kms.create_key()["KeyMetadata"]["Arn"]
    ok(refused(kms.decrypt, KeyId=other, CiphertextBlob=blob, EncryptionContext=context)
       == ("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation."),
       "another key is the incorrect key")
    moved = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=context, SourceKeyId=arn, DestinationKeyId=other,
                           DestinationEncryptionContext={"c": "3"})
    ok(kms.decrypt(KeyId=other, CiphertextBlob=moved["CiphertextBlob"], EncryptionContext={"c": "3"})["Plaintext"]
       == b"x" * 32, "re-encrypted under another key and context")
    data_key = kms.generate_data_key(KeyId=arn, KeySpec="AES_256")
    ok(kms.decrypt(CiphertextBlob=data_key["CiphertextBlob"])["Plaintext"] == data_key["Plaintext"], "data keys decrypt")
    ok(refused(kms.encrypt, KeyId=arn, Plaintext=b"x" * 4097)[1].endswith("length less than or equal to 4096"), "4097 bytes are too many")
    ok(refused(kms.encrypt, KeyId=arn, Plaintext=b"x", DryRun=True)[0] == "DryRunOperationException", "a dry run says so")
    kms.rotate_key_on_demand(KeyId=arn)
    ok(kms.decrypt(KeyId=arn, CiphertextBlob=blob, EncryptionContext=context)["Plaintext"] == b"x" * 32,
       "rotated material still opens old blobs")


def states(kms):
    arn = kms.create_key()["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=arn, Plaintext=b"x")["CiphertextBlob"]
    kms.disable_key(KeyId=arn)
    ok(refused(kms.decrypt, KeyId=arn, CiphertextBlob=blob) == ("DisabledException", f"{arn} is disabled."), "disabled")
    ok(kms.describe_key(KeyId=arn)["KeyMetadata"]["KeyState"] == "Disabled", "DescribeKey works on a disabled key")
    kms.enable_key(KeyId=arn)
    ok(kms.decrypt(KeyId=arn, CiphertextBlob=blob)["Plaintext"] == b"x", "enabled again")
    kms.schedule_key_deletion(KeyId=arn, PendingWindowInDays=7)
    ok(refused(kms.encrypt, KeyId=arn, Plaintext=b"x") == ("KMSInvalidStateException", f"{arn} is pending deletion."), "pending deletion")
    mac = kms.create_key(KeyUsage="GENERATE_VERIFY_MAC", KeySpec="HMAC_256")["KeyMetadata"]["Arn"]
    ok(refused(kms.encrypt, KeyId=mac, Plaintext=b"x")
       == ("InvalidKeyUsageException", f"{mac} key usage is GENERATE_VERIFY_MAC which is not valid for Encrypt."), "wrong usage")


def names(fake, kms, arn):
    fake.change_key("alias", arn=arn, name="alias/judged")
    for name in (arn, arn.split("/")[1], "alias/judged", arn.split("key/")[0] + "alias/judged"):
        ok(kms.describe_key(KeyId=name)["KeyMetadata"]["Arn"] == arn, f"found as {name.split(':')[-1]}")
    ok(refused(kms.describe_key, KeyId="fake-key-id") == ("NotFoundException", "Invalid keyId 'fake-key-id'"), "no key id")
    ok(refused(kms.describe_key, KeyId=arn.replace("us-west-2", "eu-west-1")) == ("NotFoundException", "Invalid arn eu-west-1"), "another region's ARN")
    missing = arn[:-1] + ("0" if arn[-1] != "0" else "1")
    ok(refused(kms.describe_key, KeyId=missing) == ("NotFoundException", f"Key '{missing}' does not exist"), "a key that is not there")
    pages = kms.get_paginator("list_keys").paginate(PaginationConfig={"PageSize": 1})
    ok(arn in [key["KeyArn"] for page in pages for key in page["Keys"]], "keys are listed in pages of one")


def multi_region(fake, kms):
    primary = kms.create_key(MultiRegion=True)["KeyMetadata"]["Arn"]
    blob = kms.encrypt(KeyId=primary, Plaintext=b"x", EncryptionContext={"a": "b"})["CiphertextBlob"]
    kms.replicate_key(KeyId=primary, ReplicaRegion="eu-west-1")
    abroad = client(fake, region="eu-west-1")
    replica = primary.replace("us-west-2", "eu-west-1")
    ok(abroad.decrypt(KeyId=replica, CiphertextBlob=blob, EncryptionContext={"a": "b"})["Plaintext"] == b"x", "a replica opens it")
    ok(refused(abroad.replicate_key, KeyId=replica, ReplicaRegion="us-east-1")[0] == "UnsupportedOperationException", "a replica is no primary")


def rights(fake, kms, arn):
    only_a = {"Statement": [{"Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": arn,
                             "Condition": {"StringEquals": {"kms:EncryptionContext:zone": "a"}}}]}
    reader = client(fake, user=fake.identities.user("reader", [only_a]))
    blob = {zone: kms.encrypt(KeyId=arn, Plaintext=b"x", EncryptionContext={"zone": zone})["CiphertextBlob"] for zone in "ab"}
    ok(reader.decrypt(KeyId=arn, CiphertextBlob=blob["a"], EncryptionContext={"zone": "a"})["Plaintext"] == b"x", "zone a is allowed")
    code, message = refused(reader.decrypt, KeyId=arn, CiphertextBlob=blob["b"], EncryptionContext={"zone": "b"})
    ok(code == "AccessDeniedException" and "kms:Decrypt" in message, "zone b is denied", message)
    ok(refused(reader.decrypt, KeyId=arn, CiphertextBlob=blob["b"], EncryptionContext={"zone": "a"})[0]
       == "InvalidCiphertextException", "another zone's context does not open it")


def signatures(fake, kms, arn):
    class Stranger:
        access_key, secret = "AKIASTRANGER", "x"

    class Forger:
        access_key, secret = fake.user.access_key, "wrong"

    ok(refused(client(fake, user=Stranger).describe_key, KeyId=arn)[0] == "UnrecognizedClientException", "an unknown access key")
    ok(refused(client(fake, user=Forger).describe_key, KeyId=arn)[0] == "InvalidSignatureException", "a wrong secret")
    fake.faults.order(skew_s=600)
    code, message = refused(kms.describe_key, KeyId=arn)
    ok(code == "InvalidSignatureException" and "Signature expired" in message, "a request of ten minutes ago", message)
    fake.faults.clear()
    request = urllib.request.Request(fake.url, b"{}", {"X-Amz-Target": "TrentService.ListKeys"})
    try:
        urllib.request.urlopen(request)
        ok(False, "unsigned")
    except urllib.error.HTTPError as error:
        ok(b"MissingAuthenticationToken" in error.read(), "unsigned")


def faults(fake, kms, arn):
    fake.faults.order(op="DescribeKey", type="ThrottlingException", message="Rate exceeded")
    ok(refused(kms.describe_key, KeyId=arn) == ("ThrottlingException", "Rate exceeded"), "throttled once")
    ok(kms.describe_key(KeyId=arn)["KeyMetadata"]["Arn"] == arn, "and not again")
    fake.faults.order(op="DescribeKey", reset="before")
    try:
        kms.describe_key(KeyId=arn)
        ok(False, "a reset is an error")
    except (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError):
        ok(True, "a reset is an error")


def identities(fake):
    sts = client(fake, "sts")
    ok(sts.get_caller_identity()["Arn"].endswith("user/AKIATEST"), "STS knows the caller")
    role = "arn:aws:iam::111122223333:role/judge"
    fake.identities.roles[role] = {"external_id": "external"}
    ok(refused(sts.assume_role, RoleArn=role, RoleSessionName="judge")[0] == "AccessDenied", "a role without its external id")
    got = sts.assume_role(RoleArn=role, RoleSessionName="judge", ExternalId="external")["Credentials"]

    class Assumed:
        access_key, secret = got["AccessKeyId"], got["SecretAccessKey"]

    again = client(fake, "sts", user=Assumed, aws_session_token=got["SessionToken"])
    ok(again.get_caller_identity()["Arn"] == "arn:aws:sts::111122223333:assumed-role/judge/judge", "an assumed role's credentials work")


with FakeAws() as fake_aws:
    service = client(fake_aws)
    key_arn = service.create_key()["KeyMetadata"]["Arn"]
    data_operations(fake_aws, service, key_arn)
    states(service)
    names(fake_aws, service, key_arn)
    multi_region(fake_aws, service)
    rights(fake_aws, service, key_arn)
    signatures(fake_aws, service, key_arn)
    faults(fake_aws, service, key_arn)
    identities(fake_aws)
    ok(any(entry["context"] == {"a": "b"} for entry in fake_aws.requests() if "context" in entry),
       "the log has the encryption contexts")
print(f"1..{count}")
