# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The hierarchy from Python by python-pkcs11, and how a forked child goes on. Prints TAP."""
import importlib.metadata
import os
import sys
import traceback

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass

TEXT = b"what the file says"
WRAPS = {"AES-KEY-WRAP": Mechanism.AES_KEY_WRAP, "AES-KEY-WRAP-PAD": Mechanism.AES_KEY_WRAP_PAD}
PIN = os.environ.get("CMEK_TEST_PIN")  # where the token wants a login
count = failed = 0


def test(sentence, check):
    global count, failed
    count += 1
    try:
        check()
        print(f"ok {count} - {sentence}", flush=True)
    except Exception:  # whatever it is, it is counted
        failed += 1
        print(f"not ok {count} - {sentence}")
        print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="", flush=True)


def refused(check, *errors):
    try:
        check()
    except errors or pkcs11.PKCS11Error:
        return
    raise AssertionError("this was not refused")


def same(one, other):
    assert one == other, "the texts differ"


def find(s, label):
    return s.get_key(object_class=ObjectClass.SECRET_KEY, label=label)


def new_key(s):
    dek = s.generate_key(KeyType.AES, 256, store=False, template={Attribute.EXTRACTABLE: True})
    return dek


def seal(dek, data, aad=b"files/1"):
    iv = bytes(12)
    return dek.encrypt(data, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce=iv, aad=aad))


def unseal(dek, data, aad=b"files/1"):
    return dek.decrypt(data, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce=bytes(12), aad=aad))


def wraps(s, name, how):
    ezk, users = find(s, "prod/orders"), find(s, "prod/users")
    dek = new_key(s)
    data, w = seal(dek, TEXT), ezk.wrap_key(dek, mechanism=how)

    def unwrap(zone):
        return zone.unwrap_key(ObjectClass.SECRET_KEY, KeyType.AES, w, mechanism=how)

    test(f"a data key encrypts and is wrapped by {name}", lambda: same(len(data), len(TEXT) + 16))
    test(f"it is unwrapped by {name} and decrypts", lambda: same(unseal(unwrap(ezk), data), TEXT))
    test(f"with its length, after {name}", lambda: same(unwrap(ezk).key_length, 256))
    test(f"not with other associated data, after {name}", lambda: refused(lambda: unseal(unwrap(ezk), data, b"files/2"), pkcs11.EncryptedDataInvalid))
    test(f"the other zone does not unwrap it by {name}", lambda: refused(lambda: unwrap(users), pkcs11.WrappedKeyInvalid))
    test(f"the other zone does not wrap it by {name}", lambda: refused(lambda: users.wrap_key(dek, mechanism=how), pkcs11.KeyNotWrappable))


def streams(s):
    dek, iv, parts = new_key(s), bytes(16), [TEXT] * 1000
    sealed = b"".join(dek.encrypt(parts, mechanism_param=iv, buffer_size=8192))
    same(b"".join(dek.decrypt([sealed], mechanism_param=iv, buffer_size=8192)), TEXT * 1000)


def child(path):
    """What a forked child does to go on: it loads the library anew."""
    pkcs11.unload(path)
    lib = pkcs11.lib(path)
    with lib.get_token(token_label="acme").open(rw=True, user_pin=PIN) as s:
        dek = new_key(s)
        same(unseal(dek, seal(dek, TEXT)), TEXT)


def in_child(check):
    pid = os.fork()
    if pid == 0:
        try:
            check()
            os._exit(0)
        except BaseException:  # to the parent, as an exit code
            traceback.print_exc()
        os._exit(1)
    same(os.waitpid(pid, 0)[1], 0)


def main(path):
    if PIN is None:
        print(f"# consumer: python-pkcs11 | {importlib.metadata.version('python-pkcs11')} | whole hierarchy")
    lib = pkcs11.lib(path)
    with lib.get_token(token_label="acme").open(rw=True, user_pin=PIN) as s:
        test("the zones are found by their labels", lambda: [find(s, "prod/orders"), find(s, "prod/users")])
        for name, how in WRAPS.items():
            wraps(s, name, how)
        test("AES-CBC encrypts and decrypts a stream", lambda: streams(s))
        test("all objects are listed without a filter", lambda: same({"prod/orders", "prod/users"} <= {o.label for o in s.get_objects()}, True))
        test("a forked child works after unload and lib", lambda: in_child(lambda: child(path)))
        test("the parent works on", lambda: find(s, "prod/orders"))


if __name__ == "__main__":
    main(sys.argv[1])
    print(f"1..{count}")
    sys.exit(failed > 0)
