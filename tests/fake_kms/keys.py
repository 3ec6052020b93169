# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The keys: states, materials, aliases, regions, and ciphertexts that are bound to key, material and encryption context. Error types and
texts are those that the real KMS was recorded to give (LocalStack's snapshot tests, Apache-2.0)."""

import hashlib
import hmac
import json
import os
import re
import struct
import time
import uuid

from .policy import of_account

ACCOUNT = "111122223333"
ALIAS = re.compile(r"alias/[a-zA-Z0-9:/_-]{1,250}$")
KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$|mrk-[0-9a-f]{32}$")


class Refusal(Exception):
    """An error of the service: type, message, and what fault injection may add."""

    def __init__(self, error_type, message="", status=400):
        super().__init__(f"{error_type}: {message}")
        self.error_type, self.message, self.status = error_type, message, status


class Material:
    """Key material; its copies in related multi-Region keys are this very object."""

    def __init__(self):
        self.id = os.urandom(32).hex()
        self.secret = os.urandom(32)

    def _stream(self, nonce, length):
        blocks = (hmac.digest(self.secret, b"stream" + nonce + struct.pack(">I", i), "sha512") for i in range(length // 64 + 1))
        return b"".join(blocks)[:length]

    def seal(self, plaintext, bound):
        nonce = os.urandom(16)
        body = bytes(a ^ b for a, b in zip(plaintext, self._stream(nonce, len(plaintext))))
        return nonce + hmac.digest(self.secret, b"tag" + nonce + bound + body, "sha256") + body

    def open(self, sealed, bound):
        nonce, tag, body = sealed[:16], sealed[16:48], sealed[48:]
        if not hmac.compare_digest(tag, hmac.digest(self.secret, b"tag" + nonce + bound + body, "sha256")):
            raise Refusal("InvalidCiphertextException")
        return bytes(a ^ b for a, b in zip(body, self._stream(nonce, len(body))))


class Key:
    def __init__(self, region, usage="ENCRYPT_DECRYPT", multi_region=False, materials=None, key_id=None):
        self.region, self.usage, self.multi_region = region, usage, multi_region
        self.id = key_id or ("mrk-" + uuid.uuid4().hex if multi_region else str(uuid.uuid4()))
        self.materials = materials if materials is not None else [Material()]
        self.last_usage = None  # what GetKeyLastUsage tells: operation and time
        self.state, self.created, self.replica_of, self.replicas = "Enabled", time.time(), None, []
        self.policy = of_account(ACCOUNT)  # of this key alone; related ones have their own
        self.deletion_date = self.created + 30 * 86400 + 0.5  # told while it is pending deletion

    @property
    def arn(self):
        return f"arn:aws:kms:{self.region}:{ACCOUNT}:key/{self.id}"

    def place(self):
        return {"Arn": self.arn, "Region": self.region}

    def metadata(self):
        result = {
            "AWSAccountId": ACCOUNT,
            "Arn": self.arn,
            "CreationDate": self.created,
            "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT" if self.usage == "ENCRYPT_DECRYPT" else "HMAC_256",
            "Description": "",
            "Enabled": self.state == "Enabled",
            "KeyId": self.id,
            "KeyManager": "CUSTOMER",
            "KeySpec": "SYMMETRIC_DEFAULT" if self.usage == "ENCRYPT_DECRYPT" else "HMAC_256",
            "KeyState": self.state,
            "KeyUsage": self.usage,
            "MultiRegion": self.multi_region,
            "Origin": "AWS_KMS",
        }
        if self.state == "PendingDeletion":
            result["DeletionDate"] = self.deletion_date
        if self.usage == "ENCRYPT_DECRYPT":
            result |= {"EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"], "CurrentKeyMaterialId": self.materials[-1].id}
        else:
            result["MacAlgorithms"] = ["HMAC_SHA_256"]
        if self.multi_region:
            primary = self.replica_of or self
            result["MultiRegionConfiguration"] = {
                "MultiRegionKeyType": "REPLICA" if self.replica_of else "PRIMARY", "PrimaryKey": primary.place(),
                "ReplicaKeys": [replica.place() for replica in primary.replicas]}
        return result

    def check_usable(self, operation):
        if self.usage != "ENCRYPT_DECRYPT":
            raise Refusal("InvalidKeyUsageException", f"{self.arn} key usage is {self.usage} which is not valid for {operation}.")
        if self.state == "Disabled":
            raise Refusal("DisabledException", f"{self.arn} is disabled.")
        if self.state == "PendingDeletion":
            raise Refusal("KMSInvalidStateException", f"{self.arn} is pending deletion.")
        if self.state == "PendingImport":
            raise Refusal("KMSInvalidStateException", f"{self.arn} is pending import.")
        if self.state == "PendingReplicaDeletion":
            raise Refusal("KMSInvalidStateException", f"{self.arn} is pending replica deletion.")
        if self.state not in ("Enabled", "Updating"):
            raise Refusal("KMSInvalidStateException", f"{self.arn} is {self.state.lower()}.")
        if operation in ("Encrypt", "Decrypt", "GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "ReEncrypt", "ReEncryptFrom"):
            self.last_usage = operation.removesuffix("From"), time.time()


def bound_context(context):
    return json.dumps(context, sort_keys=True).encode()


class Keys:
    """All keys of all regions of one account."""

    def __init__(self):
        self.keys, self.aliases = {}, {}  # (region, id) → Key; (region, "alias/…") → Key

    def create(self, region, **options):
        key = Key(region, **options)
        self.keys[region, key.id] = key
        return key

    def replicate(self, key, region):
        replica = self.create(region, multi_region=True, materials=key.materials, key_id=key.id)
        replica.replica_of = key
        key.replicas.append(replica)
        return replica

    def find(self, region, name):
        """By key id, key ARN, alias or alias ARN, as the region's endpoint resolves it."""
        if name.startswith("arn:"):
            parts = name.split(":", 5)
            if len(parts) != 6 or parts[2] != "kms":
                raise Refusal("InvalidArnException", f"Invalid arn {name}")
            if parts[3] != region:
                raise Refusal("NotFoundException", f"Invalid arn {parts[3]}")
            name, what = parts[5].removeprefix("key/"), name
        else:
            what = f"arn:aws:kms:{region}:{ACCOUNT}:{'' if name.startswith('alias/') else 'key/'}{name}"
        if name.startswith("alias/"):
            if (region, name) not in self.aliases:
                raise Refusal("NotFoundException", f"Alias {what} is not found.")
            return self.aliases[region, name]
        if not KEY_ID.match(name):
            raise Refusal("NotFoundException", f"Invalid keyId '{name}'")
        if (region, name) not in self.keys:
            raise Refusal("NotFoundException", f"Key '{what}' does not exist")
        return self.keys[region, name]

    def encrypt(self, key, plaintext, context):
        material = key.materials[-1]
        head = b"FKMS" + hashlib.sha256(key.id.encode()).digest()[:16] + bytes.fromhex(material.id)
        # The real service's blobs are 152 bytes longer than their plaintext; ours vary, so that nobody counts on it.
        padding = os.urandom(52 + os.urandom(1)[0] % 8)
        return head + bytes([len(padding)]) + padding + material.seal(plaintext, head + bound_context(context))

    def decrypt(self, region, blob, context):
        """(key, material, a function that opens it): state and rights are checked in between. The key is the region's own."""
        head = blob[:52]
        if len(blob) < 101 or head[:4] != b"FKMS":
            raise Refusal("InvalidCiphertextException")
        for key in self.keys.values():
            if key.region == region and hashlib.sha256(key.id.encode()).digest()[:16] == head[4:20]:
                for material in key.materials:
                    if bytes.fromhex(material.id) == head[20:52]:
                        sealed = blob[53 + blob[52]:]
                        return key, material, lambda: material.open(sealed, head + bound_context(context))
        raise Refusal("InvalidCiphertextException")
