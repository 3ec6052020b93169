# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Writes a message by docs/format.md, 5.5, without our code: message_writer.py LOCAL_KEYS EMBEDDED TEXT OUT. Of EMBEDDED, a message
with a record, it takes that record alone, and opens the zone's key by it (tools/rescue.py). The new message has no record."""
import os
import struct
import sys
import types
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

sys.path.insert(0, os.path.join(os.environ["CMEK_ROOT"], "tools"))
import rescue

local_keys, embedded, text, out = sys.argv[1:]
with open(embedded, "rb") as file:
    message = rescue.Message(file, file.read(128))
record = rescue.Record(message.slots[0][2])
ezk = record.open(types.SimpleNamespace(root_key=None, local_keys=local_keys, region=None))

dek, names = os.urandom(32), struct.pack(">QI", record.zone, record.version)
dek_id = rescue.expand(dek, b"cmek/1/dek-id")[:8]
head, random = b"CDEK\1\0\0\0" + names, os.urandom(28)
wrapping = rescue.kdf(record.derive(ezk, b"cmek/1/dek-wrap"), b"cmek/1/dek", random[:16])
wrapped = AESGCM(wrapping).encrypt(random[16:], dek, head + random + b"cmek/1/message" + dek_id)
number, payload = 7, text.encode()
header = b"CMEK\1\2\0\0" + names + dek_id + random + wrapped + struct.pack(">IIQ", number, len(payload), 5)
key = rescue.expand(dek, b"cmek/1/message" + struct.pack(">I", number))
with open(out, "wb") as file:
    file.write(header + AESGCM(key).encrypt(bytes(11) + b"\1", payload, header))
