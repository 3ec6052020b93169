# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A PKCS #11 caller of a hundred lines, for tests that need what the packaged wrappers do not pass on: any attribute, any
mechanism parameter with a handle in it, and the bare return value."""

import copy
import ctypes
import os
import struct

CK_ULONG, CK_POINTER = ctypes.c_ulong, ctypes.c_void_p
FUNCTIONS = {  # their places in CK_FUNCTION_LIST (PKCS #11 2.40)
    "Initialize": 0, "Finalize": 1, "GetSlotList": 4, "GetTokenInfo": 6, "OpenSession": 12, "CloseSession": 13, "CloseAllSessions": 14,
    "GetSessionInfo": 15, "CreateObject": 20, "CopyObject": 21, "DestroyObject": 22, "GetAttributeValue": 24, "SetAttributeValue": 25,
    "FindObjectsInit": 26, "FindObjects": 27, "FindObjectsFinal": 28, "EncryptInit": 29, "Encrypt": 30, "EncryptUpdate": 31,
    "DecryptInit": 33, "Decrypt": 34, "DecryptUpdate": 35, "DigestInit": 37, "Digest": 38, "DigestKey": 40, "DigestFinal": 41, "GenerateKey": 58,
    "WrapKey": 60, "UnwrapKey": 61, "DeriveKey": 62,
}
CKA = {
    "CLASS": 0x0, "TOKEN": 0x1, "PRIVATE": 0x2, "LABEL": 0x3, "UNIQUE_ID": 0x4, "VALUE": 0x11, "TRUSTED": 0x86, "KEY_TYPE": 0x100,
    "ID": 0x102, "SENSITIVE": 0x103, "ENCRYPT": 0x104, "DECRYPT": 0x105, "WRAP": 0x106, "UNWRAP": 0x107, "DERIVE": 0x10C,
    "VALUE_LEN": 0x161, "EXTRACTABLE": 0x162, "NEVER_EXTRACTABLE": 0x164, "WRAP_WITH_TRUSTED": 0x210, "UNWRAP_TEMPLATE": 0x40000212,
    "ALLOWED_MECHANISMS": 0x40000600, "KMS_KEY": 0x80434D01, "PROVIDER": 0x80434D02, "ZONE": 0x80434D05, "STATE": 0x80434D08,
    "ENCRYPTED_KEY": 0x80434D0A, "VERSION": 0x80434D06, "RAW_VERSION": 0x80434D07, "MIN_VERSION": 0x80434D0B, "WRAP_VERSION": 0x80434D25, "EMBED_EZK": 0x80434D14,
}
CKM = {
    "AES_KEY_GEN": 0x1080, "AES_ECB": 0x1081, "AES_CBC": 0x1082, "AES_CBC_PAD": 0x1085, "AES_CTR": 0x1086, "AES_GCM": 0x1087,
    "AES_KEY_WRAP": 0x2109, "AES_KEY_WRAP_PAD": 0x210A, "AES_KEY_WRAP_KWP": 0x210B, "SHA256": 0x250, "HKDF_DERIVE": 0x402A,
    "GENERIC_SECRET_KEY_GEN": 0x350, "KMS": 0x80434D01, "DEK_WRAP": 0x80434D02, "CHUNK": 0x80434D03,
}
CKO_SECRET_KEY, CKK_GENERIC, CKK_AES, RW_SESSION, RO_SESSION = 4, 0x10, 0x1F, 6, 4


class Refused(Exception):
    def __init__(self, function, rv):
        super().__init__(f"C_{function}: 0x{rv:X}")
        self.rv = rv


class Attribute(ctypes.Structure):
    _fields_ = [("type", CK_ULONG), ("value", CK_POINTER), ("len", CK_ULONG)]


class Mechanism(ctypes.Structure):
    _fields_ = [("type", CK_ULONG), ("parameter", CK_POINTER), ("len", CK_ULONG)]


class Gcm(ctypes.Structure):
    _fields_ = [("iv", ctypes.c_char_p), ("iv_len", CK_ULONG), ("iv_bits", CK_ULONG), ("aad", ctypes.c_char_p), ("aad_len", CK_ULONG),
                ("tag_bits", CK_ULONG)]


class Chunk(ctypes.Structure):
    _fields_ = [("index", CK_ULONG), ("last", ctypes.c_ubyte), ("aad", ctypes.c_char_p), ("aad_len", CK_ULONG)]


class Hkdf(ctypes.Structure):
    _fields_ = [("extract", ctypes.c_ubyte), ("expand", ctypes.c_ubyte), ("prf", CK_ULONG), ("salt_type", CK_ULONG), ("salt", ctypes.c_char_p),
                ("salt_len", CK_ULONG), ("salt_key", CK_ULONG), ("info", ctypes.c_char_p), ("info_len", CK_ULONG)]


def template(rows):
    """(array, count); rows: name → bool, int, bytes, text, a list of mechanism names, or a dict (a template within)."""
    array = (Attribute * max(len(rows), 1))()
    array.kept = []
    for row, (name, value) in zip(array, rows.items()):
        if isinstance(value, dict):
            inner, count = template(value)
            array.kept.append(inner)
            row.value, row.len = ctypes.cast(inner, CK_POINTER), count * ctypes.sizeof(Attribute)
        else:
            if isinstance(value, bool):
                value = bytes([value])
            elif isinstance(value, int):
                value = struct.pack("@L", value)
            elif isinstance(value, list):
                value = struct.pack(f"@{len(value)}L", *(CKM[one] for one in value))
            elif isinstance(value, str):
                value = value.encode()
            buffer = ctypes.create_string_buffer(value, len(value))
            array.kept.append(buffer)
            row.value, row.len = ctypes.cast(buffer, CK_POINTER), len(value)
        row.type = CKA[name]
    return array, len(rows)


def mechanism(name, parameter=None):
    """`parameter`: bytes, a structure, or None."""
    chosen = Mechanism(CKM[name], None, 0)
    if isinstance(parameter, bytes):
        parameter = ctypes.create_string_buffer(parameter, len(parameter))
    if parameter is not None:
        chosen.kept = parameter
        chosen.parameter, chosen.len = ctypes.cast(ctypes.pointer(parameter), CK_POINTER), ctypes.sizeof(parameter)
    return chosen


def gcm(iv=bytes(12), aad=b"", tag_bits=128):
    return mechanism("AES_GCM", Gcm(iv, len(iv), 8 * len(iv), aad, len(aad), tag_bits))


class Module:
    """The loaded module, and one session on the token of a project."""

    def __init__(self, path=None):
        self.library = ctypes.CDLL(path or os.environ["CMEK_PKCS11_MODULE"])
        pointer = ctypes.POINTER(CK_POINTER)()
        assert self.library.C_GetFunctionList(ctypes.byref(pointer)) == 0
        # CK_FUNCTION_LIST: a version, padded to a pointer, then the functions.
        self.pointers, self.session, self.project = pointer, 0, None

    def raw(self, name, *arguments):
        return ctypes.CFUNCTYPE(CK_ULONG)(self.pointers[1 + FUNCTIONS[name]])(*arguments)

    def call(self, name, *arguments):
        rv = self.raw(name, *arguments)
        if rv != 0:
            raise Refused(name, rv)

    def start(self, project, flags=RW_SESSION):
        self.call("Initialize", None)
        self.project = project
        slots, count = (CK_ULONG * 64)(), CK_ULONG(64)
        self.call("GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
        for slot in slots[: count.value]:
            info = ctypes.create_string_buffer(512)
            self.call("GetTokenInfo", CK_ULONG(slot), info)
            if info.raw[:32].rstrip() == project.encode():
                self.session = self.open(slot, flags)
                return self
        raise AssertionError(f"no project {project}")

    def open(self, slot, flags):
        session = CK_ULONG()
        self.call("OpenSession", CK_ULONG(slot), CK_ULONG(flags), None, None, ctypes.byref(session))
        self.slot = slot
        return session

    def beside(self):
        """A further session of this process, for another thread."""
        other = copy.copy(self)
        other.session = self.open(self.slot, RW_SESSION)
        return other

    def restart(self):
        """As another process would find things."""
        self.raw("Finalize", None)
        return self.start(self.project)

    def make(self, name, *arguments):
        handle = CK_ULONG()
        self.call(name, self.session, *arguments, ctypes.byref(handle))
        return handle

    def create(self, **rows):
        return self.make("CreateObject", *self.rows({"CLASS": CKO_SECRET_KEY, "KEY_TYPE": CKK_AES, **rows}))

    def generate(self, **rows):
        return self.make("GenerateKey", ctypes.byref(mechanism("AES_KEY_GEN")), *self.rows({"VALUE_LEN": 32, **rows}))

    @staticmethod
    def rows(rows):
        array, count = template(rows)
        return array, CK_ULONG(count)

    def copy(self, key, **rows):
        return self.make("CopyObject", key, *self.rows(rows))

    def derive(self, by, key, **rows):
        return self.make("DeriveKey", ctypes.byref(by), key, *self.rows({"CLASS": CKO_SECRET_KEY, "KEY_TYPE": CKK_AES, "VALUE_LEN": 32, **rows}))

    def unwrap(self, by, key, wrapped, **rows):
        return self.make("UnwrapKey", ctypes.byref(by), key, wrapped, CK_ULONG(len(wrapped)),
                         *self.rows({"CLASS": CKO_SECRET_KEY, "KEY_TYPE": CKK_AES, **rows}))

    def output(self, name, *arguments, room=1 << 16):
        out, length = ctypes.create_string_buffer(room), CK_ULONG(room)
        self.call(name, self.session, *arguments, out, ctypes.byref(length))
        return out.raw[: length.value]

    def wrap(self, by, key, target):
        return self.output("WrapKey", ctypes.byref(by), key, target)

    def encrypt(self, by, key, data=b"0123456789abcdef"):
        self.call("EncryptInit", self.session, ctypes.byref(by), key)
        return self.output("Encrypt", data, CK_ULONG(len(data)))

    def decrypt(self, by, key, data):
        self.call("DecryptInit", self.session, ctypes.byref(by), key)
        return self.output("Decrypt", data, CK_ULONG(len(data)))

    def get(self, key, name):
        buffer = ctypes.create_string_buffer(1 << 16)
        row = Attribute(CKA[name], ctypes.cast(buffer, CK_POINTER), len(buffer))
        self.call("GetAttributeValue", self.session, key, ctypes.byref(row), CK_ULONG(1))
        return buffer.raw[: row.len]

    def set(self, key, **rows):
        self.call("SetAttributeValue", self.session, key, *self.rows(rows))

    def destroy(self, key):
        self.call("DestroyObject", self.session, key)

    def find(self, **rows):
        self.call("FindObjectsInit", self.session, *self.rows(rows))
        found, count = CK_ULONG(), CK_ULONG()
        self.raw("FindObjects", self.session, ctypes.byref(found), CK_ULONG(1), ctypes.byref(count))
        self.raw("FindObjectsFinal", self.session)
        assert count.value == 1, f"nothing is {rows}"
        return found
