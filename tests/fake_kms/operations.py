# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""KMS operations by name: each takes (keys, region, request) and gives the answer. `authorize(action, key, context)` raises what the
caller's policies do not allow; it is asked after the key is found and before its state, as the real service does."""

import base64
import os
import time
import uuid

from .keys import ALIAS, Material, Refusal


def blob_of(request, name):
    try:
        return base64.b64decode(request[name], validate=True)
    except (KeyError, ValueError):
        raise Refusal("SerializationException", f"{name} is missing or no base64") from None


def text(data):
    return base64.b64encode(data).decode()


def check_length(name, value, low, high):
    if len(value) < low:
        bound = f"Member must have length greater than or equal to {low}"
    elif len(value) > high:
        bound = f"Member must have length less than or equal to {high}"
    else:
        return
    raise Refusal("ValidationException", f"1 validation error detected: Value at '{name}' failed to satisfy constraint: {bound}")


def dry_run(request):
    if request.get("DryRun"):
        raise Refusal("DryRunOperationException", "The request would have succeeded, but the DryRun option is set.")


class Operations:
    def __init__(self, keys, region, authorize):
        self.keys, self.region, self.authorize = keys, region, authorize

    def _key(self, request, action, context=None, name="KeyId"):
        key = self.keys.find(self.region, request.get(name, ""))
        self.authorize(f"kms:{action}", key, context or {})
        return key

    # --- Cryptographic operations ---

    def Encrypt(self, request):
        plaintext, context = blob_of(request, "Plaintext"), request.get("EncryptionContext", {})
        check_length("plaintext", plaintext, 1, 4096)
        key = self._key(request, "Encrypt", context)
        key.check_usable("Encrypt")
        dry_run(request)
        return {
            "CiphertextBlob": text(self.keys.encrypt(key, plaintext, context)),
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "KeyId": key.arn,
        }

    def _open(self, request, blob_name, context, key_name, action):
        blob = blob_of(request, blob_name)
        check_length(blob_name[0].lower() + blob_name[1:], blob, 1, 6144)
        named = self.keys.find(self.region, request[key_name]) if key_name in request else None
        key, material, unseal = self.keys.decrypt(self.region, blob, context)
        self.authorize(action, named or key, context)
        if named is not None and named is not key:
            raise Refusal(
                "IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation."
            )
        key.check_usable(action.removeprefix("kms:"))
        return key, material, unseal()

    def Decrypt(self, request):
        context = request.get("EncryptionContext", {})
        key, material, plaintext = self._open(request, "CiphertextBlob", context, "KeyId", "kms:Decrypt")
        dry_run(request)
        return {
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "KeyId": key.arn,
            "KeyMaterialId": material.id,
            "Plaintext": text(plaintext),
        }

    def ReEncrypt(self, request):
        source = request.get("SourceEncryptionContext", {})
        target = request.get("DestinationEncryptionContext", {})
        key, _, plaintext = self._open(request, "CiphertextBlob", source, "SourceKeyId", "kms:ReEncryptFrom")
        new_key = self._key(request, "ReEncryptTo", target, "DestinationKeyId")
        new_key.check_usable("ReEncrypt")
        return {
            "CiphertextBlob": text(self.keys.encrypt(new_key, plaintext, target)),
            "DestinationEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "KeyId": new_key.arn,
            "SourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "SourceKeyId": key.arn,
        }

    def GenerateDataKey(self, request):
        answer, plaintext = self._data_key(request, "GenerateDataKey")
        return answer | {"Plaintext": text(plaintext)}

    def GenerateDataKeyWithoutPlaintext(self, request):
        return self._data_key(request, "GenerateDataKeyWithoutPlaintext")[0]

    def _data_key(self, request, action):
        context = request.get("EncryptionContext", {})
        size = {"AES_256": 32, "AES_128": 16}.get(request.get("KeySpec"), request.get("NumberOfBytes"))
        if size is None:
            raise Refusal("ValidationException", "Please specify either number of bytes or key spec.")
        key = self._key(request, action, context)
        key.check_usable(action)
        dry_run(request)
        plaintext = os.urandom(size)
        return {
            "CiphertextBlob": text(self.keys.encrypt(key, plaintext, context)),
            "KeyId": key.arn,
            "KeyMaterialId": key.materials[-1].id,
        }, plaintext

    # --- Keys ---

    def CreateKey(self, request):
        self.authorize("kms:CreateKey", None, {})
        usage = request.get("KeyUsage", "ENCRYPT_DECRYPT")
        key = self.keys.create(self.region, usage=usage, multi_region=request.get("MultiRegion", False))
        return {"KeyMetadata": key.metadata()}

    def DescribeKey(self, request):
        return {"KeyMetadata": self._key(request, "DescribeKey").metadata()}

    def GetKeyLastUsage(self, request):
        if request.get("KeyId", "").startswith("alias/") or ":alias/" in request.get("KeyId", ""):
            raise Refusal("InvalidArnException", f"Invalid keyId '{request['KeyId']}'")
        key = self._key(request, "GetKeyLastUsage")
        answer = {"KeyCreationDate": key.created, "KeyId": key.id, "TrackingStartDate": key.created}
        if key.last_usage:
            operation, at = key.last_usage
            answer["KeyLastUsage"] = {"Operation": operation, "Timestamp": at, "CloudTrailEventId": str(uuid.uuid4()),
                                      "KmsRequestId": str(uuid.uuid4())}
        return answer

    def ReplicateKey(self, request):
        key = self._key(request, "ReplicateKey")
        if not key.multi_region or key.replica_of:
            raise Refusal("UnsupportedOperationException", f"{key.arn} is not a multi-region primary key.")
        return {"ReplicaKeyMetadata": self.keys.replicate(key, request["ReplicaRegion"]).metadata()}

    def RotateKeyOnDemand(self, request):
        key = self._key(request, "RotateKeyOnDemand")
        if key.usage != "ENCRYPT_DECRYPT":
            raise Refusal("UnsupportedOperationException")
        key.check_usable("RotateKeyOnDemand")
        key.materials.append(Material())
        return {"KeyId": key.arn}

    def _set_state(self, request, action, state):
        key = self._key(request, action)
        key.state = state
        return key

    def EnableKey(self, request):
        self._set_state(request, "EnableKey", "Enabled")
        return {}

    def DisableKey(self, request):
        self._set_state(request, "DisableKey", "Disabled")
        return {}

    def ScheduleKeyDeletion(self, request):
        days = request.get("PendingWindowInDays", 30)
        key = self._set_state(request, "ScheduleKeyDeletion", "PendingDeletion")
        key.deletion_date = time.time() + days * 86400
        return {"KeyId": key.arn, "DeletionDate": key.deletion_date, "KeyState": key.state, "PendingWindowInDays": days}

    def CancelKeyDeletion(self, request):
        return {"KeyId": self._set_state(request, "CancelKeyDeletion", "Disabled").arn}

    def CreateAlias(self, request):
        name = request["AliasName"]
        if not name.startswith("alias/"):
            raise Refusal(
                "ValidationException",
                'Alias must start with the prefix "alias/". Please see '
                "https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
            )
        if not ALIAS.match(name):
            raise Refusal("InvalidAliasNameException")
        self.keys.aliases[self.region, name] = self._key(request, "CreateAlias", name="TargetKeyId")
        return {}

    UpdateAlias = CreateAlias

    def _page(self, items, request, name):
        start, limit = int(request.get("Marker") or 0), request.get("Limit", 50)
        answer = {name: items[start:start + limit], "Truncated": start + limit < len(items)}
        return answer | ({"NextMarker": str(start + limit)} if answer["Truncated"] else {})

    def ListKeys(self, request):
        self.authorize("kms:ListKeys", None, {})
        mine = [{"KeyArn": key.arn, "KeyId": key.id} for key in self.keys.keys.values() if key.region == self.region]
        return self._page(mine, request, "Keys")

    def ListAliases(self, request):
        self.authorize("kms:ListAliases", None, {})
        mine = [
            {"AliasName": name, "AliasArn": key.arn.split("key/")[0] + name, "TargetKeyId": key.id}
            for (region, name), key in self.keys.aliases.items()
            if region == self.region
        ]
        return self._page(mine, request, "Aliases")
