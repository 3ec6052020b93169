# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A database's key by PyKCS11, with the PIN of CMEK_TEST_PIN if there is one: it is found, wraps a data key, and unwraps it. Prints TAP."""
import os
import sys

import PyKCS11
from PyKCS11 import LowLevel as low

TEXT, IV = b"what the file says", bytes(16)
WRAP, SEAL = PyKCS11.Mechanism(low.CKM_AES_KEY_WRAP, None), PyKCS11.Mechanism(low.CKM_AES_CBC_PAD, IV)
KEY = [(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES), (low.CKA_TOKEN, False)]


def main(module, pin):
    library = PyKCS11.PyKCS11Lib()
    library.load(module)
    slots = {library.getTokenInfo(slot).label.strip(): slot for slot in library.getSlotList(tokenPresent=True)}
    session = library.openSession(slots["acme"], low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)
    if pin is not None:
        session.login(pin)
    found = session.findObjects([(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_LABEL, "prod/orders")])
    print(f"{'ok' if len(found) == 1 else 'not ok'} 1 - PyKCS11 finds a database's key: {len(found)}", flush=True)
    if len(found) != 1:
        return 1
    key = session.generateKey([*KEY, (low.CKA_EXTRACTABLE, True), (low.CKA_VALUE_LEN, 32)])
    again = session.unwrapKey(found[0], bytes(session.wrapKey(found[0], key, WRAP)), KEY, WRAP)
    good = bytes(session.decrypt(again, bytes(session.encrypt(key, TEXT, SEAL)), SEAL)) == TEXT
    print(f"{'ok' if good else 'not ok'} 2 - by which a data key is wrapped and unwrapped\n1..2")
    return not good


sys.exit(main(sys.argv[1], os.environ.get("CMEK_TEST_PIN")))
