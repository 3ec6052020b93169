# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""NSS by its C functions: it loads the module, takes the interface it gets, seals and opens by messages, whose IVs are NSS's or
the module's, and wraps data keys by the zones. TAP."""

import ctypes
import os
import sys

CKM_AES_KEY_GEN, CKM_AES_CBC_PAD, CKM_AES_GCM, CKM_AES_KEY_WRAP = 0x1080, 0x1085, 0x1087, 0x2109
CKA_ENCRYPT, CKA_DECRYPT, CKA_NSS_MESSAGE = 0x104, 0x105, 0x82000000
CKF_ENCRYPT_AND_DECRYPT = 0x300
SESSION_AND_PUBLIC = 0x2 | 0x10
SESSION_AND_EXTRACTABLE = 0x2 | 0x100
NO_GENERATE, GENERATE, COUNTER, RANDOM, COUNTER_XOR = range(5)
PIN = os.environ.get("CMEK_TEST_PIN")  # where the token wants a login
TEXT, AAD = b"what NSS has to say", b"and to whom"

util = ctypes.CDLL("libnssutil3.so", ctypes.RTLD_GLOBAL)
util.PORT_Strdup_Util.restype = ctypes.c_void_p
nss = ctypes.CDLL("libnss3.so")
for name in ("SECMOD_LoadUserModule", "PK11_TokenKeyGenWithFlags", "PK11_CreateContextBySymKey", "PK11_ListFixedKeysInSlot",
             "PK11_UnwrapSymKey"):
    getattr(nss, name).restype = ctypes.c_void_p
nss.PK11_GetTokenName.restype = nss.NSS_GetVersion.restype = ctypes.c_char_p
count = failed = 0


class Module(ctypes.Structure):
    _fields_ = [("arena", ctypes.c_void_p), ("internal", ctypes.c_int), ("loaded", ctypes.c_int), ("is_fips", ctypes.c_int),
                ("path", ctypes.c_char_p), ("name", ctypes.c_char_p), ("library", ctypes.c_void_p),
                ("functions", ctypes.POINTER(ctypes.c_ubyte * 2)), ("lock", ctypes.c_void_p), ("references", ctypes.c_int),
                ("slots", ctypes.POINTER(ctypes.c_void_p)), ("slot_count", ctypes.c_int)]


class Item(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int), ("data", ctypes.c_void_p), ("len", ctypes.c_uint)]


def ok(good, sentence, detail=""):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {sentence}")
    if not good:
        print(f"# {detail}")
    return good


def new_key(slot, attributes=SESSION_AND_PUBLIC):
    return ctypes.c_void_p(nss.PK11_TokenKeyGenWithFlags(slot, ctypes.c_ulong(CKM_AES_KEY_GEN), None, 32, None,
                                                         ctypes.c_ulong(CKF_ENCRYPT_AND_DECRYPT), ctypes.c_ulong(attributes), None))


def context(key, use):
    return ctypes.c_void_p(nss.PK11_CreateContextBySymKey(ctypes.c_ulong(CKM_AES_GCM), ctypes.c_ulong(CKA_NSS_MESSAGE | use), key,
                                                          ctypes.byref(Item())))


def run(by, generator, iv, text, tag):
    """The IV and the tag are buffers, in which NSS writes. None: refused."""
    out, length = ctypes.create_string_buffer(len(text) + 16), ctypes.c_int()
    status = nss.PK11_AEADOp(by, ctypes.c_ulong(generator), 0, iv, 12, AAD, len(AAD), out, ctypes.byref(length), len(out), tag, 16, text, len(text))
    return out.raw[:length.value] if status == 0 else None


def sealed_and_opened(key, generators, given=b"twelve bytes"):
    """The IVs by which it went well."""
    to_seal, to_open, ivs = context(key, CKA_ENCRYPT), context(key, CKA_DECRYPT), []
    for generator in generators:
        iv, tag = ctypes.create_string_buffer(given, 12), ctypes.create_string_buffer(16)
        sealed = run(to_seal, generator, iv, TEXT, tag)
        if sealed is None or run(to_open, NO_GENERATE, iv, sealed, tag) != TEXT:
            continue
        ivs.append(iv.raw)
        tag[0] = bytes([tag.raw[0] ^ 1])
        if run(to_open, NO_GENERATE, iv, sealed, tag) is not None:
            return []
    nss.PK11_DestroyContext(to_seal, 1)
    nss.PK11_DestroyContext(to_open, 1)
    return ivs


def item(data):
    return Item(0, ctypes.cast(data, ctypes.c_void_p), len(data))


def zone(slot, label):
    return ctypes.c_void_p(nss.PK11_ListFixedKeysInSlot(slot, label, None))


def wrapped(by, key):
    """None: refused."""
    blob = item(ctypes.create_string_buffer(64))
    status = nss.PK11_WrapSymKey(ctypes.c_ulong(CKM_AES_KEY_WRAP), None, by, key, ctypes.byref(blob))
    return ctypes.string_at(blob.data, blob.len) if status == 0 else None


def unwrapped(by, blob):
    blob = item(ctypes.create_string_buffer(blob, len(blob)))
    return ctypes.c_void_p(nss.PK11_UnwrapSymKey(by, ctypes.c_ulong(CKM_AES_KEY_WRAP), None, ctypes.byref(blob), ctypes.c_ulong(CKM_AES_CBC_PAD),
                                                 ctypes.c_ulong(CKA_DECRYPT), 32))


def by_cbc(function, key, data):
    iv, out, length = item(ctypes.create_string_buffer(16)), ctypes.create_string_buffer(len(data) + 32), ctypes.c_uint()
    status = function(key, ctypes.c_ulong(CKM_AES_CBC_PAD), ctypes.byref(iv), out, ctypes.byref(length), len(out), data, len(data))
    return out.raw[:length.value] if status == 0 else None


def wraps(slot):
    orders, users = zone(slot, b"prod/orders"), zone(slot, b"prod/users")
    if not ok(orders and users, "the zones are found by their labels", "none is there"):
        return
    key = new_key(slot, SESSION_AND_EXTRACTABLE)
    sealed, blob = by_cbc(nss.PK11_Encrypt, key, TEXT), wrapped(orders, key)
    ok(sealed, "a data key encrypts")
    if not ok(blob and len(blob) == 40, "it is wrapped by AES-KEY-WRAP", blob):
        return
    again = unwrapped(orders, blob)
    ok(again and by_cbc(nss.PK11_Decrypt, again, sealed) == TEXT, "it is unwrapped, and decrypts")
    ok(not unwrapped(users, blob), "the other zone does not unwrap it")
    ok(wrapped(users, key) is None, "the other zone does not wrap it")


@ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)
def password(_slot, again, _arg):
    """NSS frees it; asked again, since it was wrong, there is none."""
    return None if again else util.PORT_Strdup_Util(PIN.encode())


def logs_in(slot):
    nss.PK11_SetPasswordFunc(password)
    return ok(nss.PK11_Authenticate(slot, 1, None) == 0, "it logs in", f"error {util.PORT_GetError_Util()}")


def main(path):
    if PIN is None:
        print(f"# consumer: NSS | {nss.NSS_GetVersion().decode()} | whole hierarchy", flush=True)
    nss.NSS_NoDB_Init(None)
    at = nss.SECMOD_LoadUserModule(f'library="{path}" name="cmek"'.encode(), None, 0)
    module = Module.from_address(at)
    if not ok(module.loaded == 1, "NSS loads the module"):
        return
    version = tuple(module.functions.contents)
    ok(version == (3, 2), "and takes its newest interface", version)
    slots = [ctypes.c_void_p(module.slots[i]) for i in range(module.slot_count)]
    names = [nss.PK11_GetTokenName(slot) for slot in slots]
    if not ok(b"acme" in names, "it finds the token", names):
        return
    slot = slots[names.index(b"acme")]
    if PIN is not None and not logs_in(slot):
        return
    ivs = sealed_and_opened(new_key(slot), [NO_GENERATE])
    ok(ivs == [b"twelve bytes"], "it seals and opens messages by IVs of its own", ivs)
    ivs = sealed_and_opened(new_key(slot), [GENERATE, RANDOM] * 20)
    ok(len(set(ivs)) == 40, "by random IVs of the module", ivs)
    ivs = sealed_and_opened(new_key(slot), [COUNTER] * 3)
    ok([iv[11] for iv in ivs] == [0, 1, 2], "by a counter of the module", ivs)
    ivs = sealed_and_opened(new_key(slot), [COUNTER_XOR] * 3)
    ok([iv[11] ^ ord("s") for iv in ivs] == [0, 1, 2], "and by a counter that is XORed, as TLS 1.3 has it", ivs)
    wraps(slot)


if __name__ == "__main__":
    main(sys.argv[1])
    print(f"1..{count}")
    sys.exit(failed > 0)
