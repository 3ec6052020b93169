# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The module beside NSS's softokn, which shares no line with it: the same call on both, thousands of times, with lengths at and beyond
the edges. What both take has the same result; what one refuses and the other takes is a row of DIFFERENCES. TAP."""

import ctypes
import fnmatch
import os
import random
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import p11  # noqa: E402

SEED, ROUNDS = int(os.environ.get("CMEK_TEST_SEED", "1")), 400
MECHANISM_INVALID, CKA_SIGN, CKA_VERIFY = 0x70, 0x108, 0x10A
p11.FUNCTIONS.update({"GetMechanismInfo": 8, "SignInit": 42, "Sign": 43, "VerifyInit": 48, "Verify": 49})
p11.CKA.update({"SIGN": CKA_SIGN, "VERIFY": CKA_VERIFY})
DIGESTS = {"SHA_1": (0x220, 20), "SHA224": (0x255, 28), "SHA256": (0x250, 32), "SHA384": (0x260, 48), "SHA512": (0x270, 64),
           "SHA3_224": (0x2B5, 28), "SHA3_256": (0x2B0, 32), "SHA3_384": (0x2C0, 48), "SHA3_512": (0x2D0, 64)}
for name, (number, _) in DIGESTS.items():
    p11.CKM.update({name: number, name + "_HMAC": number + 1, name + "_HMAC_GENERAL": number + 2})
p11.CKM.update({"AES_CCM": 0x1088, "AES_CMAC": 0x108A, "AES_CMAC_GENERAL": 0x108B, "AES_GMAC": 0x108E, "AES_ECB_ENCRYPT_DATA": 0x1104, "AES_CBC_ENCRYPT_DATA": 0x1105})

# What one side alone takes: which mechanisms, doing what, what is so of the input, who takes it, and why. Others are faults.
OURS, THEIRS = "ours", "theirs"
DIFFERENCES = (
    ("SHA*_HMAC", "verify", lambda facts: facts.get("wrong", 0) != 0, THEIRS, "softokn looks at no MAC's length"),
    ("*_GENERAL", "sign", lambda facts: True, OURS, "softokn 3.87 takes no length for these"),
    ("AES_*_ENCRYPT_DATA", "derive", lambda facts: facts["text"] > 256, OURS, "softokn derives from 256 bytes at most"),
    ("AES_CMAC", "verify", lambda facts: True, OURS, "softokn 3.87 makes these and verifies none"),
)


class Ccm(ctypes.Structure):
    _fields_ = [("data_len", ctypes.c_ulong), ("nonce", ctypes.c_char_p), ("nonce_len", ctypes.c_ulong), ("aad", ctypes.c_char_p),
                ("aad_len", ctypes.c_ulong), ("mac_len", ctypes.c_ulong)]


class Softokn(p11.Module):
    """NSS's module without a database: its first slot has session objects alone."""

    def __init__(self):
        super().__init__("libsoftokn3.so")
        self.text = ctypes.create_string_buffer(b"configdir='' flags=readOnly,noCertDB,noModDB,forceOpen,optimizeSpace")
        arguments = (ctypes.c_void_p * 7)(0, 0, 0, 0, 2, ctypes.addressof(self.text), 0)
        self.call("Initialize", arguments)
        slots, count = (ctypes.c_ulong * 8)(), ctypes.c_ulong(8)
        self.call("GetSlotList", ctypes.c_ubyte(1), slots, ctypes.byref(count))
        self.session = self.open(slots[0], p11.RW_SESSION)


def offers(side, name):
    return side.raw("GetMechanismInfo", ctypes.c_ulong(side.slot), ctypes.c_ulong(p11.CKM[name]), ctypes.create_string_buffer(64)) == 0


def tried(call, *arguments):
    """What came out, or what was answered."""
    try:
        return call(*arguments), 0
    except p11.Refused as refused:
        return None, refused.rv


def secret(side, kind, value, **rows):
    return side.create(KEY_TYPE=kind, VALUE=value, TOKEN=False, SENSITIVE=False, EXTRACTABLE=True, **rows)


def digest(side, by, data):
    side.call("DigestInit", side.session, ctypes.byref(by))
    return side.output("Digest", data, ctypes.c_ulong(len(data)))


def sign(side, by, key, data):
    side.call("SignInit", side.session, ctypes.byref(by), key)
    return side.output("Sign", data, ctypes.c_ulong(len(data)))


def verify(side, by, key, data, mac):
    side.call("VerifyInit", side.session, ctypes.byref(by), key)
    side.call("Verify", side.session, data, ctypes.c_ulong(len(data)), mac, ctypes.c_ulong(len(mac)))
    return b""


class Judge:
    """Holds the two answers against each other."""

    def __init__(self, ours, theirs):
        self.ours, self.theirs, self.count, self.failed, self.seen = ours, theirs, 0, 0, set()
        self.faults, self.tries, self.both = [], 0, 0

    def same(self, about, does, facts, call):
        """`call` gets a side. Whether both took it."""
        (mine, my_rv), (other, other_rv) = tried(call, self.ours), tried(call, self.theirs)
        self.tries += 1
        if my_rv == 0 and other_rv == 0:
            self.both += 1
            if mine != other:
                self.faults.append(f"{about} {does} {facts}: {mine!r} and {other!r}")
            return True
        if my_rv != 0 and other_rv != 0:
            return False
        who = OURS if my_rv == 0 else THEIRS
        rows = [row for row in DIFFERENCES if fnmatch.fnmatchcase(about, row[0]) and row[1:4:2] == (does, who) and row[2](facts)]
        self.seen.update(rows)
        if not rows:
            self.faults.append(f"{about} {does} {facts}: only {who} took it (0x{my_rv:x}, 0x{other_rv:x})")
        return False

    def end(self, sentence):
        self.count += 1
        good = not self.faults and self.both > 0
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {sentence}: {self.tries} calls, of which both took {self.both}")
        for fault in self.faults[:10]:
            print(f"# seed {SEED}: {fault}")
        self.faults, self.tries, self.both = [], 0, 0

    def skip(self, sentence):
        self.count += 1
        print(f"ok {self.count} - {sentence} # SKIP softokn does not offer it")


def some(chance, length):
    return chance.randbytes(length)


def aead(judge, chance, name, parameter, draw):
    """Encrypted and decrypted by both; what was changed opens nowhere."""
    for _ in range(ROUNDS):
        facts = draw(chance)
        value, text = some(chance, facts["key"]), some(chance, facts["text"])
        nonce, aad = some(chance, facts["iv"]), some(chance, facts["aad"])
        keys = {side: secret(side, p11.CKK_AES, value, ENCRYPT=True, DECRYPT=True) for side in (judge.ours, judge.theirs)}
        by = parameter(facts, nonce, aad)
        if judge.same(name, "encrypt", facts, lambda side: side.encrypt(by, keys[side], text)):
            sealed = judge.ours.encrypt(by, keys[judge.ours], text)
            judge.same(name, "decrypt", facts, lambda side: side.decrypt(by, keys[side], sealed))
            at = chance.randrange(len(sealed))
            changed = sealed[:at] + bytes([sealed[at] ^ 1 << chance.randrange(8)]) + sealed[at + 1:]
            for side in (judge.ours, judge.theirs):
                if tried(side.decrypt, by, keys[side], changed)[1] == 0:
                    judge.faults.append(f"{name} {facts}: what was changed was opened")
        for side, key in keys.items():
            side.call("DestroyObject", side.session, key)


def draw_gcm(chance):
    return {"key": chance.choice((16, 24, 32)), "iv": chance.choice((1, 7, 8, 11, 12, 12, 12, 13, 15, 16, 17, 31, 32, 60, 64, 127, 128)),
            "aad": chance.choice((0, 1, 15, 16, 17, 40)), "text": chance.choice((0, 1, 15, 16, 17, 31, 32, 33, 255, 1000)),
            "tag": chance.choice((32, 64, 96, 104, 112, 120, 128, 128, 128, 0, 8, 40, 129, 136))}


def draw_ccm(chance):
    return {"key": chance.choice((16, 24, 32)), "iv": chance.choice((6, 7, 8, 10, 11, 12, 13, 14)), "aad": chance.choice((0, 1, 13, 14, 15, 16, 40)),
            "text": chance.choice((0, 1, 15, 16, 17, 32, 255, 1000)), "said": chance.choice((0, 0, 0, 0, 1)),
            "tag": chance.choice((4, 6, 8, 10, 12, 14, 16, 16, 0, 2, 3, 5, 15, 17, 18))}


def ccm(facts, nonce, aad):
    return p11.mechanism("AES_CCM", Ccm(facts["text"] + facts["said"], nonce, len(nonce), aad, len(aad), facts["tag"]))


def blocks(data):
    """SP 800-38C pads with zeros; none of nothing."""
    return [data[at:at + 16].ljust(16, b"\0") for at in range(0, len(data), 16)]


def xor(one, other):
    return bytes(a ^ b for a, b in zip(one, other))


def ccm_by_hand(aes, facts, nonce, aad, text):
    """SP 800-38C, 6.1 and appendix A, over `aes`, which encrypts whole blocks."""
    q = 15 - len(nonce)
    first = bytes([64 * bool(aad) + 8 * ((facts["tag"] - 2) // 2) + q - 1]) + nonce + len(text).to_bytes(q, "big")
    mac = bytes(16)
    for block in [first] + blocks(len(aad).to_bytes(2, "big") + aad if aad else b"") + blocks(text):
        mac = aes(xor(mac, block))
    count = range((len(text) + 15) // 16 + 1)
    stream = aes(b"".join(bytes([q - 1]) + nonce + number.to_bytes(q, "big") for number in count))
    return xor(text, stream[16:]) + xor(mac, stream)[:facts["tag"]]


def ccm_is_valid(facts):
    return 7 <= facts["iv"] <= 13 and facts["tag"] in range(4, 17, 2) and facts["said"] == 0


def ccms(judge, chance):
    """Where softokn has no CCM of its own, its AES makes one."""
    ecb = p11.mechanism("AES_ECB")
    for _ in range(ROUNDS):
        facts = draw_ccm(chance)
        value, text, nonce, aad = (some(chance, facts[one]) for one in ("key", "text", "iv", "aad"))
        keys = {side: secret(side, p11.CKK_AES, value, ENCRYPT=True, DECRYPT=True) for side in (judge.ours, judge.theirs)}

        def sealed(side):
            if side is judge.ours:
                return side.encrypt(ccm(facts, nonce, aad), keys[side], text)
            if not ccm_is_valid(facts):
                raise p11.Refused("Encrypt", 0x71)
            return ccm_by_hand(lambda data: side.encrypt(ecb, keys[side], data), facts, nonce, aad, text)

        def opened(side):
            return side.decrypt(ccm(facts, nonce, aad), keys[side], sealed(judge.theirs)) if side is judge.ours else text
        if judge.same("AES_CCM", "encrypt", facts, sealed):
            judge.same("AES_CCM", "decrypt", facts, opened)
        for side, key in keys.items():
            side.call("DestroyObject", side.session, key)


def gmacs(judge, chance):
    """GMAC is GCM of associated data alone."""
    for _ in range(ROUNDS // 4):
        facts = draw_gcm(chance)
        value, nonce, data = (some(chance, facts[one]) for one in ("key", "iv", "text"))
        keys = {side: secret(side, p11.CKK_AES, value, ENCRYPT=True, SIGN=True, VERIFY=True) for side in (judge.ours, judge.theirs)}

        def made(side):
            if side is judge.theirs:
                return side.encrypt(p11.gcm(nonce, data, facts["tag"]), keys[side], b"")
            return sign(side, p11.mechanism("AES_GMAC", p11.Gcm(nonce, len(nonce), 0, b"", 0, facts["tag"])), keys[side], data)
        judge.same("AES_GMAC", "sign", facts, made)
        for side, key in keys.items():
            side.call("DestroyObject", side.session, key)


class StringData(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("len", ctypes.c_ulong)]


class CbcData(ctypes.Structure):
    _fields_ = [("iv", ctypes.c_char * 16), ("data", ctypes.c_char_p), ("len", ctypes.c_ulong)]


def encrypted_data(judge, chance, name):
    for _ in range(ROUNDS // 4):
        facts = {"key": chance.choice((16, 24, 32)), "text": chance.choice((15, 16, 17, 32, 48, 512)), "len": chance.choice((1, 8, 16, 17, 32))}
        value, data, iv = some(chance, facts["key"]), some(chance, facts["text"]), some(chance, 16)
        by = p11.mechanism(name, StringData(data, len(data)) if name == "AES_ECB_ENCRYPT_DATA" else CbcData(iv, data, len(data)))

        def derived(side):
            base = secret(side, p11.CKK_AES, value, DERIVE=True)
            key = side.derive(by, base, KEY_TYPE=p11.CKK_GENERIC, VALUE_LEN=facts["len"], TOKEN=False, SENSITIVE=False, EXTRACTABLE=True)
            return side.get(key, "VALUE")
        judge.same(name, "derive", facts, derived)


def macs(judge, chance, name, kind, lengths, full):
    for general in (False, True):
        which = name + ("_GENERAL" if general else "")
        for _ in range(ROUNDS // 8):
            facts = {"key": chance.choice(lengths), "text": chance.choice((0, 1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 500)),
                     "mac": chance.randrange(full + 2) if general else full}
            value, text = some(chance, facts["key"]), some(chance, facts["text"])
            by = p11.mechanism(which, struct.pack("@L", facts["mac"]) if general else None)
            keys = {side: secret(side, kind, value, SIGN=True, VERIFY=True) for side in (judge.ours, judge.theirs)}
            if judge.same(which, "sign", facts, lambda side: sign(side, by, keys[side], text)):
                mac = sign(judge.ours, by, keys[judge.ours], text)
                judge.same(which, "verify", facts, lambda side: verify(side, by, keys[side], text, mac))
                for wrong in (mac[:-1], mac + b"\0", bytes([mac[0] ^ 1]) + mac[1:]):
                    judge.same(which, "verify", facts | {"wrong": len(wrong) - len(mac)}, lambda side: verify(side, by, keys[side], text, wrong))
            for side, key in keys.items():
                side.call("DestroyObject", side.session, key)


def hkdfs(judge, chance):
    for _ in range(ROUNDS):
        name = chance.choice([one for one in DIGESTS if one != "SHA_1"][:4] + ["SHA_1"])
        number, size = DIGESTS[name]
        extract, expand = chance.choice(((1, 1), (1, 0), (0, 1)))
        facts = {"prf": name, "extract": extract, "expand": expand, "base": chance.choice((1, 16, 32, size, 64, 200)),
                 "salt": chance.choice((0, 1, 32, 200)), "info": chance.choice((0, 1, 32, 200)),
                 "len": chance.choice((1, 16, 32, size, size + 1, 255, 512)) if expand else size}
        value, salt, info = (some(chance, facts[one]) for one in ("base", "salt", "info"))
        by = p11.mechanism("HKDF_DERIVE", p11.Hkdf(extract, expand, number, 2 if facts["salt"] else 1, salt, len(salt), 0, info, len(info)))

        def derived(side):
            base = secret(side, p11.CKK_GENERIC, value, DERIVE=True)
            key = side.derive(by, base, KEY_TYPE=p11.CKK_GENERIC, VALUE_LEN=facts["len"], TOKEN=False, SENSITIVE=False, EXTRACTABLE=True)
            return side.get(key, "VALUE")
        judge.same("HKDF_DERIVE", "derive", facts, derived)


def main():
    judge, chance = Judge(p11.Module(sys.argv[1]).start(sys.argv[2]), Softokn()), random.Random(SEED)
    for name in DIGESTS:
        if not offers(judge.theirs, name):
            judge.skip(f"{name} digests alike")
            continue
        for _ in range(ROUNDS // 8):
            data = some(chance, chance.choice((0, 1, 55, 56, 63, 64, 65, 71, 72, 103, 104, 111, 112, 128, 135, 136, 143, 144, 1000)))
            judge.same(name, "digest", {"text": len(data)}, lambda side: digest(side, p11.mechanism(name), data))
        judge.end(f"{name} digests alike")
    aead(judge, chance, "AES_GCM", lambda facts, iv, aad: p11.gcm(iv, aad, facts["tag"]), draw_gcm)
    judge.end("AES-GCM encrypts and decrypts alike")
    ccms(judge, chance)
    judge.end("AES-CCM is what SP 800-38C makes of softokn's AES")
    gmacs(judge, chance)
    judge.end("AES-GMAC is softokn's GCM of associated data alone")
    for name, (_, size) in DIGESTS.items():
        if not offers(judge.theirs, name + "_HMAC"):
            judge.skip(f"HMAC by {name} signs and verifies alike")
            continue
        macs(judge, chance, name + "_HMAC", p11.CKK_GENERIC, (1, 16, 20, 32, 63, 64, 65, 128, 129, 200, 512), size)
        judge.end(f"HMAC by {name} signs and verifies alike")
    macs(judge, chance, "AES_CMAC", p11.CKK_AES, (16, 24, 32), 16)
    judge.end("AES-CMAC signs and verifies alike")
    hkdfs(judge, chance)
    judge.end("HKDF derives alike")
    for name in ("AES_ECB_ENCRYPT_DATA", "AES_CBC_ENCRYPT_DATA"):
        encrypted_data(judge, chance, name)
        judge.end(f"CKM_{name} derives alike")
    for about, does, _, who, why in DIFFERENCES:
        print(f"# {about}, {does}: only {who}: {why}")
    print(f"1..{judge.count}")
    return judge.failed != 0


if __name__ == "__main__":
    sys.exit(main())
