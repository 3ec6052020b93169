#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Makes an envelope's slot 0 an older one: its record has its only wrap twice, so it opens as before and is not the one of the store.
older_envelope.py FILE [SEQUENCE]; with a sequence of 18446744073709551615 no slot can follow."""

import struct
import sys
import zlib

IMMUTABLE = 128
path, sequence = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
with open(path, "r+b") as file:
    (slot_len,) = struct.unpack(">I", file.read(IMMUTABLE)[12:16])
    slot = file.read(slot_len)
    wrapped_len, record_len = struct.unpack(">HH", slot[8:12])
    wrapped, record = slot[12:12 + wrapped_len], slot[12 + wrapped_len:12 + wrapped_len + record_len]
    (limits_len,) = struct.unpack(">H", record[96:98])
    wraps = record[99 + limits_len:]
    assert record[98 + limits_len] == 1, "it has two wraps already"
    record = record[:98 + limits_len] + b"\2" + 2 * wraps
    record = record[:6] + struct.pack(">H", len(record)) + record[8:]
    slot = (struct.pack(">QHH", sequence, wrapped_len, len(record)) + wrapped + record).ljust(slot_len - 4, b"\0")
    file.seek(IMMUTABLE)
    file.write(slot + struct.pack(">I", zlib.crc32(b"\0" + slot)))
