#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Makes tests/vectors/format.inc and messages.inc: vectors of docs/format.md, sections 2 to 4 and 5.5, from an implementation of
that page which shares nothing with the C code. `--check` compares the files with what would be made, and prints TAP."""

import hashlib
import hmac
import struct
import sys
from pathlib import Path

FILE = Path(__file__).with_name("format.inc")
MESSAGES = Path(__file__).with_name("messages.inc")
HEAD = "/* Made by tests/vectors/make_format_vectors.py from docs/format.md; don't edit. All bytes in hex. */\n"
PURPOSES = ["data", "mac", "record", "dek-wrap", "token-key", "token-data", "wrap-kw", "wrap-kwp", "wrap-cbc-pad", "wrap-gcm", "wrap-ccm",
            "fingerprint"]
ZONES = [(1, 1), (0x0123456789ABCDEF, 7), (2**63 - 1, 2**32 - 1)]


def filler(name, length):
    """Bytes without a pattern, the same in every run."""
    return hashlib.shake_256(name.encode()).digest(length)


def kdf(key, label, context):
    return hmac.new(key, struct.pack(">I", 1) + label + b"\0" + context + struct.pack(">I", 256), "sha256").digest()


def derived(ezk, purpose, zone, version):
    return kdf(ezk, b"cmek/1/" + purpose.encode(), struct.pack(">QI", zone, version))


def sized(data):
    return struct.pack(">H", len(data)) + data


def limits_of(items, max_lease, max_stale, kept=False):
    items = [*items, (4, struct.pack(">I", max_lease)), (5, struct.pack(">I", max_stale)), *([(6, b"")] if kept else [])]
    return b"".join(bytes([tag]) + sized(value) for tag, value in items)


def record(ezk, project, cluster, zone, version, created, usages, wraps, limits):
    bound = project + cluster + struct.pack(">QIQI", zone, version, created, usages)
    mac = hmac.new(derived(ezk, "record", zone, version), b"CEZK\x01" + bound + sized(limits), "sha256").digest()
    tail = sized(limits) + bytes([len(wraps)]) + b"".join(sized(arn.encode()) + sized(blob) for arn, blob in wraps)
    length = 8 + len(bound) + len(mac) + len(tail)
    return b"CEZK\x01\x00" + struct.pack(">H", length) + bound + mac + tail


def record_set(records):
    return b"CEZS\x01\x00" + struct.pack(">H", len(records)) + b"".join(records)


def wrapped_dek(ezk, zone, version, salt, nonce, aad, dek):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    header = b"CDEK\x01\0\0\0" + struct.pack(">QI", zone, version) + salt + nonce
    key = kdf(derived(ezk, "dek-wrap", zone, version), b"cmek/1/dek", salt)
    return header + AESGCM(key).encrypt(nonce, dek, header + aad)


def stored(form, ezk, zone, version, salt, nonce, limits, value):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    magic, purpose, label = {"key": (b"CTKN", "token-key", b"cmek/1/token-value"), "data": (b"CTDA", "token-data", b"cmek/1/token-data-value")}[form]
    header = magic + b"\x01\0\0\0" + struct.pack(">QI", zone, version) + salt + nonce
    key = kdf(derived(ezk, purpose, zone, version), label, salt)
    return header + AESGCM(key).encrypt(nonce, value, header + limits)


def expand(key, info):
    return hmac.new(key, info + b"\1", "sha256").digest()


def message(ezk, zone, version, dek, salt, nonce, number, collection, bound_to, embedded, payload):
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    dek_id = expand(dek, b"cmek/1/dek-id")[:8]
    wrapped = wrapped_dek(ezk, zone, version, salt, nonce, b"cmek/1/message" + dek_id, dek)
    header = b"CMEK\1\2\0" + bytes([bool(bound_to) | bool(embedded) << 2]) + struct.pack(">QI", zone, version) + dek_id
    header += wrapped[20:] + struct.pack(">IIQ", number, len(payload), collection) + (sized(embedded) if embedded else b"")
    key = expand(dek, b"cmek/1/message" + struct.pack(">I", number))
    return header + AESGCM(key).encrypt(bytes(11) + b"\1", payload, header + bound_to)


def row(macro, *values):
    def text(value):
        if isinstance(value, bytes):
            return f'"{value.hex()}"'
        if isinstance(value, int):
            return f"UINT64_C({value})"
        return value

    return f"{macro}({', '.join(text(value) for value in values)})\n"


def keys():
    for zone, version in ZONES:
        ezk = filler(f"ezk {zone}", 32)
        for purpose in PURPOSES:
            name = "EZK_" + purpose.upper().replace("-", "_")
            yield row("VECTOR_KEY", name, ezk, zone, version, derived(ezk, purpose, zone, version))


def records():
    for zone, version in ZONES:
        ezk, project, cluster = filler(f"ezk {zone}", 32), filler("project", 16), filler("cluster", 16)
        arn = "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
        wraps = [(arn, filler("blob", 184)), ("arn:local:kms:local::key/µ", b"\0")][: 1 + version % 2]
        items = [(1, struct.pack(">QQ", 0x1085, 0xC345434B)), (2, filler("unwrap", 40)), (3, b"")][: version % 4]
        limits = limits_of(items, version, version // 2, kept=zone == 2**63 - 1)
        made = record(ezk, project, cluster, zone, version, 1764000000000 + version, 0x33, wraps, limits)
        fingerprint = derived(ezk, "fingerprint", 0, 0)[:16]
        yield row("VECTOR_RECORD", ezk, zone, version, fingerprint, made)
    versions = [record(filler("ezk", 32), project, cluster, 5, v, v, 0x7F, [(arn, bytes([v]))], limits_of([], 86400, 0)) for v in (1, 2, 9)]
    yield row("VECTOR_SET", 5, len(versions), record_set(versions))


def deks():
    sizes = [(32, 0), (32, 128), (1, 16), (16, 465), (512, 2000)]
    for number, (dek_len, aad_len) in enumerate(sizes):
        zone, version = ZONES[number % len(ZONES)]
        ezk, dek, aad = filler(f"ezk {zone}", 32), filler(f"dek {number}", dek_len), filler(f"aad {number}", aad_len)
        blob = wrapped_dek(ezk, zone, version, filler(f"salt {number}", 16), filler(f"nonce {number}", 12), aad, dek)
        yield row("VECTOR_DEK", ezk, zone, version, aad, dek, blob)


def token_keys():
    for number, (form, value_len, attributes_len) in enumerate([("key", 32, 32), ("key", 1, 0), ("key", 512, 2000), ("data", 513, 90)]):
        zone, version = ZONES[number % len(ZONES)]
        ezk, value, attributes = filler(f"ezk {zone}", 32), filler(f"value {number}", value_len), filler(f"attributes {number}", attributes_len)
        uid, project, key_type, usages = filler(f"uid {number}", 16), filler("project", 16), 0x1F - number, 0x7F >> number
        limits = uid + project + struct.pack(">IIII", key_type, value_len, usages, attributes_len) + attributes
        blob = stored(form, ezk, zone, version, filler(f"key salt {number}", 16), filler(f"key nonce {number}", 12), limits, value)
        yield row("VECTOR_TOKEN_KEY", ezk, zone, version, uid, project, key_type, usages, attributes, value, blob)


def messages():
    cases = [(0, 0, b"", False, 1000), (1, 7, b"", False, 0), (2**32 - 1, 2**63 - 1, b"orders/3", False, 1500), (77, 0, b"", True, 16),
             (0x01020304, 449302, b"x" * 300, True, 33)]
    for at, (number, collection, bound_to, embed, length) in enumerate(cases):
        zone, version = ZONES[at % len(ZONES)]
        ezk, dek, payload = filler(f"ezk {zone}", 32), filler(f"message dek {at}", 32), filler(f"payload {at}", length)
        embedded = b""
        if embed:
            wraps = [("arn:local:kms:local::key/1", filler("blob", 184))]
            embedded = record(ezk, filler("project", 16), filler("cluster", 16), zone, version, 1, 0x33, wraps, limits_of([], 86400, 0))
        made = message(ezk, zone, version, dek, filler(f"salt {at}", 16), filler(f"nonce {at}", 12), number, collection, bound_to,
                       embedded, payload)
        digest = hashlib.sha256(payload).digest()
        yield row("VECTOR_MESSAGE", ezk, zone, version, dek, number, collection, bound_to, embedded, length, digest, made)


def everything():
    return HEAD + "".join([*keys(), *records(), *deks(), *token_keys()])


def main():
    if sys.argv[1:] == ["--check"]:
        print("1..1")
        try:
            import cryptography  # noqa: F401
        except ImportError:
            print("ok 1 - format vectors are what the page says # SKIP python3-cryptography is not here")
            return
        good = FILE.read_text() == everything() and MESSAGES.read_text() == HEAD + "".join(messages())
        print("ok" if good else "not ok", "1 - format vectors are what the page says")
        sys.exit(not good)
    FILE.write_text(everything())
    MESSAGES.write_text(HEAD + "".join(messages()))


main()
