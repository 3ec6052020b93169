#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A wrapped EZK, as the store and every envelope carry it, given to C_Decrypt on the root key, over HTTP against the fake KMS: the KMS refuses,
for the module asks with the purpose of data. TAP."""

import json
import os
import sys
import tempfile

import PyKCS11
from PyKCS11 import LowLevel as low

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import Place, Tally  # noqa: E402

CKM_CMEK_KMS = 0x80434D01
CKA_CMEK_PROVIDER, CKA_CMEK_ENCRYPTED_KEY = 0x80434D02, 0x80434D0A
CKR_ENCRYPTED_DATA_INVALID = 0x40


def refusal_of(session, key, data):
    try:
        return f"opened: {bytes(session.decrypt(key, data, PyKCS11.Mechanism(CKM_CMEK_KMS, None))).hex()}"
    except PyKCS11.PyKCS11Error as error:
        return error.value


def consumer():
    """In a process of its own: PyKCS11 keeps Python's lock, and the fake KMS would wait for it."""
    library = PyKCS11.PyKCS11Lib()
    library.load(os.environ["CMEK_PKCS11_MODULE"])
    session = library.openSession(library.getSlotList(tokenPresent=True)[0], low.CKF_SERIAL_SESSION)
    root_key = session.findObjects([(low.CKA_CLASS, low.CKO_SECRET_KEY), (CKA_CMEK_PROVIDER, b"aws")])[0]
    zone = session.findObjects([(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_LABEL, "z0")])[0]
    blob = bytes(session.getAttributeValue(zone, [CKA_CMEK_ENCRYPTED_KEY])[0])
    kms = PyKCS11.Mechanism(CKM_CMEK_KMS, None)
    own = bytes(session.decrypt(root_key, session.encrypt(root_key, b"data", kms), kms))
    print(json.dumps({"own": own.decode(), "wrapped": refusal_of(session, root_key, blob)}))


def main():
    ok = Tally()
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        place = Place(folder, 1)
        place.forget()
        said = json.loads(place.run(sys.executable, __file__, "consumer"))
        ok(said["own"] == "data", "the root key decrypts what it encrypted", said)
        ok(said["wrapped"] == CKR_ENCRYPTED_DATA_INVALID, "it does not decrypt a wrapped EZK", said)
        asked = [(entry["op"], entry.get("context"), entry["outcome"]) for entry in place.fake.requests()]
        data = {"cmek:purpose": "data"}
        ok(asked == [("Encrypt", data, "ok"), ("Decrypt", data, "ok"), ("Decrypt", data, "InvalidCiphertextException")],
           "it was asked each time with the purpose of data", asked)
        place.fake.__exit__(None, None, None)
    print(f"1..{ok.count}")


consumer() if len(sys.argv) > 1 else main()
