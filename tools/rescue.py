#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Opens an envelope with KMS rights alone: no store, no module, no line of the C code.

    rescue.py [--local-keys FILE] [--region R] [--root-key ARN …] [--store FILE] [--name OBJECT | --any-name] IN OUT
    rescue.py --inspect IN

It is written from docs/format.md (sections are named below) and docs/format-local-kms.md, and is both the proof of those
pages and the way out for whoever has the data and the right to kms:Decrypt on the root key. Root keys in AWS are asked by
boto3 (its usual credentials), keys of the embedded KMS are read from their file. Exit code 0: OUT is whole and verified.
"""
import argparse, base64, contextlib, hashlib, hmac, itertools, json, os, pathlib, sqlite3, struct, sys, tempfile, uuid, zlib
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

IMMUTABLE, TAG = 128, 16


class Refused(Exception):
    """The envelope does not open; the text says why."""


def expect(condition, why):
    if not condition:
        raise Refused(why)


# --- Section 2: key derivation ---------------------------------------------------------------------
def kdf(key, label, context):
    return hmac.digest(key, b"\0\0\0\x01" + label + b"\0" + context + b"\0\0\x01\0", "sha256")


def expand(key, info):
    return hmac.digest(key, info + b"\x01", "sha256")  # HKDF-Expand to 32 bytes


# --- The embedded KMS (docs/format-local-kms.md), and AWS ------------------------------------------
def sized(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack(">H", len(data)) + data


def take(data, at):
    end = at + 2 + struct.unpack_from(">H", data, at)[0]
    expect(end <= len(data), "EZK record: cut off")
    return data[at + 2 : end], end


def local_decrypt(_, blob, context, key_file):
    expect(len(blob) >= 70 and blob[:5] == b"CLKB\x01", "not a ciphertext of the embedded KMS")
    key_id, version = str(uuid.UUID(bytes=blob[5:21])), int.from_bytes(blob[21:25], "big")
    keys = {key["id"]: key for key in json.loads(pathlib.Path(key_file).read_text("utf-8"))["keys"]}
    expect(key_id in keys, f"{key_file} has no key {key_id}")
    key = keys[key_id]
    expect(key["state"] == "Enabled", f"key {key['name']} of {key_file} is {key['state']}")
    secrets = {material["version"]: material["secret"] for material in key["materials"]}
    expect(version in secrets, f"key {key['name']} has no material {version}")
    message_key = kdf(base64.b64decode(secrets[version]), b"cmek:local:blob", blob[25:41])
    pairs = sorted(context.items(), key=lambda pair: pair[0].encode())
    aad = blob[:53] + struct.pack(">H", len(pairs)) + b"".join(sized(n) + sized(v) for n, v in pairs)
    return AESGCM(message_key).decrypt(blob[41:53], blob[53:], aad)


def aws_decrypt(arn, blob, context, region):
    import boto3  # only whoever needs AWS needs boto3
    kms = boto3.client("kms", region_name=region or arn.split(":")[3])
    return kms.decrypt(KeyId=arn, CiphertextBlob=blob, EncryptionContext=context)["Plaintext"]


# --- Section 3: EZK record -------------------------------------------------------------------------
class Record:
    def __init__(self, data):
        expect(len(data) >= 99 and data[:5] == b"CEZK\x01", "not an EZK record of format 1")
        fields = struct.unpack_from(">BH16s16sQIQ", data, 5)
        self.policy, length, self.project, self.cluster, self.zone, self.version, self.created = fields
        limits, at = take(data, 96)
        values, tags, item = {}, [], 0
        while item < len(limits):
            tags.append(limits[item])
            values[tags[-1]], item = take(limits, item + 1)
        expect(item == len(limits) <= 1024 and tags == sorted(set(tags)), "EZK record: malformed limits")
        expect(set(tags) <= {1, 2, 3, 4, 5, 6}, "EZK record: a limit that this tool does not know; use a later one")
        expect(len(values.get(4, "")) == len(values.get(5, "")) == 4 and not values.get(6), "EZK record: no greatest lease")
        self.kept = 6 in values  # for its store alone
        self.max_lease, self.max_stale = (str(int.from_bytes(values[tag], "big")) for tag in (4, 5))
        self.covered, self.mac = data[:5] + data[8:64] + data[96:at], data[64:96]
        expect(at < len(data), "EZK record: cut off")
        expect(self.policy <= 1, "EZK record: a policy this tool does not know")
        self.wraps, count, at = [], data[at], at + 1
        for _ in range(count):
            share, at = (data[at], at + 1) if self.policy and at < len(data) else (0, at)
            arn, at = take(data, at)
            blob, at = take(data, at)
            self.wraps.append((share, arn.decode(), blob))
        expect(length == len(data) == at and 1 <= len(self.wraps) <= 8, "EZK record: lengths disagree")
        expect({share for share, _, _ in self.wraps} == ({1, 2} if self.policy else {0}), "EZK record: not the shares of its policy")

    def context(self, share):
        ids = {"cmek:project": self.project.hex(), "cmek:cluster": self.cluster.hex(), "cmek:zone": str(self.zone)}
        bounds = {"cmek:max-lease": self.max_lease, "cmek:max-stale": self.max_stale}
        return {"cmek:purpose": "ezk", **ids, "cmek:version": str(self.version), **bounds, **({"cmek:share": f"{share}/2"} if share else {})}

    def derive(self, ezk, label):
        return kdf(ezk, label, struct.pack(">QI", self.zone, self.version))

    def open(self, arguments):
        """The EZK by the first wrap whose root key says yes, or of two shares (3.2), and only if the record's MAC is right."""
        opened, reasons = {0: [], 1: [], 2: []}, []
        for share, arn, blob in self.wraps:
            try:
                expect(arguments.root_key is None or arn in arguments.root_key, "not the key of --root-key")
                decrypt, where = (local_decrypt, arguments.local_keys) if arn.startswith("arn:local:") else (aws_decrypt, arguments.region)
                opened[share].append((arn.split("/")[-1], decrypt(arn, blob, self.context(share), where)))
            except Exception as error:  # whatever boto3 or the key file say is the reason to report
                reasons.append(f"{arn}: {error or type(error).__name__}")
            if opened[0]:
                break
        pairs = [pair for pair in itertools.product(opened[1], opened[2]) if pair[0][0] != pair[1][0]]  # of two owners
        keys = [ezk for _, ezk in opened[0]] + [bytes(a ^ b for a, b in zip(one, two)) for (_, one), (_, two) in pairs]
        expect(keys, "no root key, or not both, opens the EZK: " + "; ".join(reasons))
        right = [ezk for ezk in keys if len(ezk) == 32 and hmac.compare_digest(hmac.digest(self.derive(ezk, b"cmek/1/record"), self.covered, "sha256"), self.mac)]
        expect(right, "EZK record: its MAC is wrong")
        return right[0]


def stored_record(envelope, version, store):
    """Section 3, out of the rows of a store, whatever state the zone is in there."""
    expect(store, f"no EZK record is embedded: give the store of project {envelope.project} (--store), or a copy of it")
    rows, key = sqlite3.connect(f"{pathlib.Path(store).absolute().as_uri()}?mode=ro", uri=True).execute, (envelope.zone, version)
    found = rows("SELECT zone, record_zone, project, cluster, created_ms, greatest_usages, mac, limits, all_wraps FROM ezk_versions "
                 "WHERE iif(record_zone, record_zone, zone) = ? AND version = ? ORDER BY record_zone", key).fetchone()  # its own, or imported
    expect(found, f"{store} lacks the key of zone {key[0]}, version {version}: if it was erased, the envelope opens no more")
    zone, record_zone, project, cluster, created, usages, mac, limits, policy = found
    wraps = rows("SELECT share, arn, blob FROM wraps WHERE zone = ? AND record_zone = ? AND version = ? AND state != 'replaced' "
                 "ORDER BY position", (zone, record_zone, version)).fetchall()
    data = bytes.fromhex(project + cluster) + struct.pack(">QIQI", *key, created, usages) + mac + sized(limits)
    data += bytes([len(wraps)]) + b"".join(bytes([share] if policy else []) + sized(arn) + sized(blob) for share, arn, blob in wraps)
    return b"CEZK\x01" + struct.pack(">BH", policy, 8 + len(data)) + data


# --- Section 4: wrapped DEK ------------------------------------------------------------------------
def unwrap_dek(wrapped, record, ezk, aad):
    zone, version = struct.unpack_from(">QI", wrapped, 8)
    expect(wrapped[:8] == b"CDEK\x01\0\0\0", "not a wrapped DEK of format 1")
    expect((zone, version) == (record.zone, record.version), "wrapped DEK and EZK record name different keys")
    key = kdf(record.derive(ezk, b"cmek/1/dek-wrap"), b"cmek/1/dek", wrapped[20:36])
    return AESGCM(key).decrypt(wrapped[36:48], wrapped[48:], wrapped[:48] + aad)


# --- Section 5: envelope ---------------------------------------------------------------------------
class Envelope:
    def __init__(self, file, start=None):
        self.file, self.immutable = file, file.read(IMMUTABLE) if start is None else start
        expect(self.immutable[:4] == b"CMEK", "not an envelope" if self.immutable else "empty: not an envelope")
        expect(len(self.immutable) == IMMUTABLE, "cut short in the header")
        fields = struct.unpack_from(">BBBBIIQ", self.immutable, 4)
        form, kind, self.chunk_bits, self.flags, length, self.slot_length, self.zone = fields
        expect(form == 1 and kind == 1, f"format {form}, kind {kind}: not known to this tool")
        expect(12 <= self.chunk_bits <= 24 and self.flags <= 3, "header: impossible values")
        self.kept, self.allowed, self.project = bool(self.flags & 2), {bool(self.flags & 2)}, self.immutable[120:].hex()
        expect(length == IMMUTABLE + 2 * self.slot_length, "header: lengths disagree")
        expect(self.slot_length in range(128, 16385, 64), "header: impossible slot length")
        expect(0 < self.zone < 1 << 63 and self.kept == bool(int(self.project, 16)), "header: impossible values")
        self.salt, self.binding, self.commitment = (self.immutable[at : at + 32] for at in (24, 56, 88))
        self.bound, self.commit, self.payload = self.immutable, b"cmek/1/commit" + self.salt, b"cmek/1/payload" + self.salt
        slots = filter(None, map(self.read_slot, (0, 1)))
        self.slots = sorted(slots, key=lambda slot: slot[0], reverse=True)
        expect(self.slots, "header: neither slot is intact")

    def read_slot(self, number):
        """(sequence, wrapped DEK, EZK record), or None: not valid."""
        slot = self.file.read(self.slot_length)
        expect(len(slot) == self.slot_length, "cut short in the header")
        sequence, dek_length, record_length = struct.unpack_from(">QHH", slot)
        end = 12 + dek_length + record_length
        whole = zlib.crc32(bytes([number]) + slot[:-4]) == int.from_bytes(slot[-4:], "big")
        valid = whole and sequence and dek_length == 96 and end <= len(slot) - 4 and not any(slot[end:-4])
        return (sequence, slot[12 : 12 + dek_length], slot[12 + dek_length : end]) if valid else None

    def check_name(self, name):
        expect(self.flags & 1 or name is None, "bound to no name, and one was given")
        if self.flags & 1:
            expect(name is not None, "bound to a name: give --name, or --any-name if you accept whatever name it had")
            binding = hashlib.sha256(b"cmek/1/name" + self.salt + os.fsencode(name)).digest()
            expect(hmac.compare_digest(binding, self.binding), "bound to another name")

    def unlock(self, arguments):  # the payload key
        reasons = []
        for _, wrapped, record in self.slots:
            try:
                expect(bool(record) != self.kept, "the EZK record was taken out or put in")
                record = Record(record or stored_record(self, struct.unpack_from(">I", wrapped, 16)[0], arguments.store))
                expect(record.zone == self.zone, "the EZK record is another zone's")
                expect(record.kept in self.allowed, "the EZK record may be in envelopes or not, and this one says otherwise")
                dek = unwrap_dek(wrapped, record, record.open(arguments), self.bound)
                commitment = expand(dek, self.commit)[: len(self.commitment)]
                expect(hmac.compare_digest(commitment, self.commitment), "the key commitment is wrong")
                return expand(dek, self.payload)
            except (Refused, InvalidTag, struct.error, ValueError, sqlite3.Error) as error:
                reasons.append(str(error) or "the wrapped DEK does not open")
        raise Refused("; ".join(reasons))

    def chunks(self, key):
        aead, size, index = AESGCM(key), (1 << self.chunk_bits) + TAG, 0
        current = self.file.read(size)
        while True:
            following = self.file.read(size)
            nonce = bytes(7) + struct.pack(">IB", index, not following)
            try:
                plain = aead.decrypt(nonce, current, self.immutable)
            except (InvalidTag, ValueError):
                raise Refused(f"chunk {index}: changed, out of place or cut off") from None
            expect(plain or index == 0, f"chunk {index}: empty")
            yield plain
            if not following:
                return
            current, index = following, index + 1


class Message(Envelope):  # section 5.5
    def __init__(self, file, start):
        data = start + file.read()
        expect(len(data) >= 136, "cut short in the header")
        zero, self.flags, self.zone, _, self.commitment = struct.unpack_from(">BBQI8s", data, 6)
        size, at = int.from_bytes(data[108:112], "big"), 120
        expect(not zero and not self.flags & ~5 and 0 < self.zone < 1 << 63 and not data[112] >> 7, "header: impossible values")
        record, at = take(data, at) if self.flags & 4 else (b"", at)
        expect(len(data) == at + size + TAG and bool(record) == bool(self.flags & 4), "cut short, or something follows it")
        self.header, self.sealed, self.name, self.project = data[:at], data[at:], b"", "where it was sealed"
        self.kept, self.allowed = not record, {False, not record}
        self.slots = [(1, b"CDEK\1\0\0\0" + data[8:20] + data[28:104], record)]
        self.bound, self.commit, self.payload = b"cmek/1/message" + self.commitment, b"cmek/1/dek-id", b"cmek/1/message" + data[104:108]

    def check_name(self, name):
        expect(bool(self.flags & 1) == (name is not None), "bound to further data, or not: give --name, or leave it out")
        self.name = os.fsencode(name or "")

    def chunks(self, key):
        yield AESGCM(key).decrypt(bytes(11) + b"\1", self.sealed, self.header + self.name)


# --- The program -----------------------------------------------------------------------------------
def inspect(envelope):
    for sequence, wrapped, data in envelope.slots:
        version, root_keys = struct.unpack_from(">I", wrapped, 16)[0], [arn for _, arn, _ in Record(data).wraps] if data else []
        print(json.dumps({"zone": str(envelope.zone), "version": version, "sequence": sequence,
                          "name_bound": bool(envelope.flags & 1), "root_keys": root_keys,
                          "embed": not envelope.kept, "project": envelope.project * envelope.kept}))


def write_whole(path, parts):
    """OUT appears only when everything has been verified. A link stays one, and a file its owner's."""
    if path == "-":
        sys.stdout.buffer.writelines(parts)
        return sys.stdout.buffer.flush()
    path = os.path.realpath(path)
    handle, temporary = tempfile.mkstemp(dir=os.path.dirname(path) or ".", prefix=".rescue-")
    try:
        with os.fdopen(handle, "wb") as file:
            with contextlib.suppress(FileNotFoundError, PermissionError):
                was = os.stat(path)
                os.fchown(file.fileno(), was.st_uid, was.st_gid)
            file.writelines(parts)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--local-keys", metavar="FILE", default="/var/lib/cmek-pkcs11/local.keys")
    parser.add_argument("--region", help="ask this region, not the one of the root key's ARN")
    parser.add_argument("--root-key", metavar="ARN", action="append", help="trust no other root key than this; twice where two are needed")
    parser.add_argument("--store", metavar="FILE", help="the store, for envelopes whose zone keeps its record there")
    parser.add_argument("--name", metavar="OBJECT", help="the object's name the envelope is bound to")
    parser.add_argument("--any-name", action="store_true", help="open it whatever name it is bound to")
    parser.add_argument("--inspect", action="store_true", help="print what the envelope says of itself; needs no key")
    parser.add_argument("input", metavar="IN")
    parser.add_argument("output", metavar="OUT", nargs="?")
    arguments = parser.parse_args()
    arguments.inspect or arguments.output or parser.error("OUT is missing")
    try:
        with sys.stdin.buffer if arguments.input == "-" else open(arguments.input, "rb") as file:
            start = file.read(IMMUTABLE)
            envelope = (Message if start[:6] == b"CMEK\1\2" else Envelope)(file, start)
            if arguments.inspect:
                return inspect(envelope)
            if not arguments.any_name:
                envelope.check_name(arguments.name)
            write_whole(arguments.output, envelope.chunks(envelope.unlock(arguments)))
    except (Refused, InvalidTag, OSError, struct.error) as error:
        sys.exit(f"rescue: {arguments.input}: {str(error) or 'changed, or bound to other data than --name'}")


if __name__ == "__main__":
    main()
