# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The whole hierarchy from Python by PyKCS11, as an application would do it: a project, a root key and a cluster, zones,
DEKs wrapped by them, data encrypted by the DEKs, and what must not work. Prints TAP."""
import importlib.metadata
import subprocess
import sys
import traceback

import PyKCS11
from PyKCS11 import LowLevel as low

CKM_AES_KEY_WRAP_KWP = 0x210B
CKM_CMEK_DEK_WRAP = 0x80434D02
CKO_CMEK_CLUSTER = 0x80434D01
CKA_CMEK_KMS_KEY, CKA_CMEK_REGION, CKA_CMEK_ZONE, CKA_CMEK_ROOT_KEY = 0x80434D01, 0x80434D03, 0x80434D05, 0x80434D09
CKA_CMEK_CREATE = 0x80434D11
CKR_KEY_NOT_WRAPPABLE = 0x69
WRAPS = {
    "AES-KEY-WRAP": (PyKCS11.CKM_AES_KEY_WRAP, None),
    "AES-KEY-WRAP-KWP": (CKM_AES_KEY_WRAP_KWP, None),
    "CMEK-DEK-WRAP": (CKM_CMEK_DEK_WRAP, b"files/1"),
}


class Tap:
    count = failed = 0

    def test(self, sentence, check):
        self.count += 1
        try:
            check()
            print(f"ok {self.count} - {sentence}", flush=True)
        except Exception:  # whatever it is, it is counted
            self.failed += 1
            print(f"not ok {self.count} - {sentence}")
            print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="", flush=True)


def refused(check, code=None):
    try:
        check()
    except PyKCS11.PyKCS11Error as error:
        assert code is None or error.value == code, error
        return
    raise AssertionError("this was not refused")


class Token:
    """One session on the project's token."""

    def __init__(self, module):
        self.library = PyKCS11.PyKCS11Lib()
        self.library.load(module)
        self.session = self.library.openSession(self.project("lab"), low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)

    def project(self, label):
        """The slot of the project, which is made if it is new."""
        for slot in self.library.getSlotList(tokenPresent=True):
            if self.library.getTokenInfo(slot).label.strip() == label:
                return slot
        free = [slot for slot in self.library.getSlotList(tokenPresent=True)
                if not self.library.getTokenInfo(slot).flags & low.CKF_TOKEN_INITIALIZED]
        self.library.initToken(free[0], "", label.ljust(32))
        return free[0]

    def make_root_key(self, name):
        return self.session.createObject(self.template((low.CKA_TOKEN, True), (CKA_CMEK_KMS_KEY, name.encode()), (CKA_CMEK_CREATE, b"\x01")))

    def make_cluster(self, label, root_key):
        arn = bytes(self.session.getAttributeValue(root_key, [CKA_CMEK_ROOT_KEY])[0])
        return self.session.createObject([
            (low.CKA_CLASS, CKO_CMEK_CLUSTER), (low.CKA_TOKEN, True), (low.CKA_LABEL, label),
            (CKA_CMEK_REGION, b"local"), (CKA_CMEK_ROOT_KEY, arn)])

    @staticmethod
    def template(*more):
        return [(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES), *more]

    def make_zone(self, label):
        return self.session.generateKey(self.template(
            (low.CKA_TOKEN, True), (low.CKA_LABEL, label), (low.CKA_VALUE_LEN, 32)))

    def make_dek(self):
        return self.session.generateKey(self.template(
            (low.CKA_TOKEN, False), (low.CKA_EXTRACTABLE, True), (low.CKA_VALUE_LEN, 32)))

    def find(self, label):
        return self.session.findObjects([(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_LABEL, label)])

    def wrap(self, how, zone, dek):
        return bytes(self.session.wrapKey(zone, dek, PyKCS11.Mechanism(*how)))

    def unwrap(self, how, zone, blob):
        return self.session.unwrapKey(zone, blob, self.template((low.CKA_TOKEN, False)), PyKCS11.Mechanism(*how))

    def encrypt(self, key, text):
        return bytes(self.session.encrypt(key, text, PyKCS11.AES_GCM_Mechanism(bytes(12), b"aad", 128)))

    def decrypt(self, key, data):
        return bytes(self.session.decrypt(key, data, PyKCS11.AES_GCM_Mechanism(bytes(12), b"aad", 128)))


def run_tests(tap, token):
    root_key = token.make_root_key("local:python")
    tap.test("a root key that is there already is refused", lambda: refused(lambda: token.make_root_key("local:python")))
    tap.test("a cluster is made", lambda: token.make_cluster("default", root_key))
    one, two = token.make_zone("default/one"), token.make_zone("default/two")

    def zone_ids_differ():
        ids = [bytes(token.session.getAttributeValue(zone, [CKA_CMEK_ZONE])[0]) for zone in (one, two)]
        assert len(ids[0]) == 8 and ids[0] != ids[1], ids

    tap.test("two zones have ids of their own", zone_ids_differ)
    for name, how in WRAPS.items():
        check_wrap(tap, token, name, how, one, two)
    check_purposes(tap, token, one)
    check_data(tap, token, one)


def check_wrap(tap, token, name, how, one, two):
    dek = token.make_dek()
    data, blob = token.encrypt(dek, b"what the file says"), token.wrap(how, one, dek)

    def is_read():
        assert token.decrypt(token.unwrap(how, one, blob), data) == b"what the file says"

    def in_another_process():
        answer = subprocess.run([sys.executable, __file__, sys.argv[1], name, blob.hex(), data.hex()], check=True,
                                stdout=subprocess.PIPE)
        assert answer.stdout == b"what the file says", answer.stdout

    tap.test(f"a file is read by the DEK that {name} unwraps", is_read)
    tap.test(f"another process reads it by {name}", in_another_process)
    tap.test(f"the other zone does not unwrap the DEK by {name}", lambda: refused(lambda: token.unwrap(how, two, blob)))
    tap.test(f"the other zone does not wrap it by {name}",
             lambda: refused(lambda: token.wrap(how, two, dek), CKR_KEY_NOT_WRAPPABLE))
    tap.test(f"a file of which a bit is flipped is not read, after {name}",
             lambda: refused(lambda: token.decrypt(dek, data[:-1] + bytes([data[-1] ^ 1]))))


def check_data(tap, token, zone):
    """A configuration that the zone keeps: found by what says what it is, and read by whoever the KMS lets."""
    text = b"host = db1\npassword = correct horse\n" * 1500
    zone_id = bytes(token.session.getAttributeValue(zone, [CKA_CMEK_ZONE])[0])
    token.session.createObject([(low.CKA_CLASS, low.CKO_DATA), (low.CKA_TOKEN, True), (low.CKA_LABEL, "conf"), (low.CKA_APPLICATION, "app"),
                                (low.CKA_VALUE, text), (CKA_CMEK_ZONE, zone_id)])

    def find(*more):
        return token.session.findObjects([(low.CKA_CLASS, low.CKO_DATA), *more])

    def is_read(wanted):
        found = find((low.CKA_APPLICATION, "app"))
        assert bytes(token.session.getAttributeValue(found[0], [low.CKA_VALUE])[0]) == wanted

    def is_replaced():
        token.session.setAttributeValue(find((low.CKA_LABEL, "conf"))[0], [(low.CKA_VALUE, b"host = db2")])
        is_read(b"host = db2")

    def is_destroyed():
        token.session.destroyObject(find((low.CKA_LABEL, "conf"))[0])
        assert find() == []

    tap.test("data that a zone keeps is found by its application, and read", lambda: is_read(text))
    tap.test("it gets another value", is_replaced)
    tap.test("it is destroyed", is_destroyed)


def check_purposes(tap, token, zone):
    """What a zone wraps, it does not decrypt: its uses have keys of their own."""
    blob = token.wrap(WRAPS["AES-KEY-WRAP"], zone, token.make_dek())
    for name, mechanism in (("ECB", PyKCS11.Mechanism(low.CKM_AES_ECB, None)),
                            ("CBC-PAD", PyKCS11.Mechanism(low.CKM_AES_CBC_PAD, bytes(16))),
                            ("KEY-WRAP", PyKCS11.Mechanism(low.CKM_AES_KEY_WRAP, None))):
        def gives_no_key(mechanism=mechanism):
            try:
                opened = bytes(token.session.decrypt(zone, blob[:32], mechanism))
            except PyKCS11.PyKCS11Error:
                return
            again = token.session.createObject(token.template((low.CKA_VALUE, opened[:32].ljust(32, b"\0"))))
            unwrapped = token.unwrap(WRAPS["AES-KEY-WRAP"], zone, blob)
            assert token.encrypt(again, b"same?") != token.encrypt(unwrapped, b"same?")
        tap.test(f"a wrapped DEK is not opened by C_Decrypt under its zone by {name}", gives_no_key)


def read_again(token, name, blob, data):
    zone = token.find("default/one")[0]
    sys.stdout.buffer.write(token.decrypt(token.unwrap(WRAPS[name], zone, bytes.fromhex(blob)), bytes.fromhex(data)))


def main():
    token = Token(sys.argv[1])
    if len(sys.argv) > 2:
        read_again(token, *sys.argv[2:])
        return 0
    print(f"# consumer: PyKCS11 | {importlib.metadata.version('PyKCS11')} | whole hierarchy", flush=True)
    tap = Tap()
    try:
        run_tests(tap, token)
    finally:
        print(f"1..{tap.count}", flush=True)
    return 1 if tap.failed else 0


if __name__ == "__main__":
    sys.exit(main())
