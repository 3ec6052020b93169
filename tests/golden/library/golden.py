# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Golden files by the Python package; golden.c has the lines."""

import sys

import cmek


def seal(client, way, name, source, target):
    zone = client.zone("prod/one")
    if way == "file":
        zone.seal_file(source, target, name=name, replace=True)
        return
    with open(source, "rb") as file, open(target, "wb") as out:
        if way != "stream":
            out.write(zone.seal(file.read(), name=name, embed=way == "embedded"))
            return
        with zone.writer(out, name=name) as writer:
            while data := file.read(40001):
                writer.write(data)


def unseal(client, way, name, source, target):
    if way == "file":
        client.unseal_file(source, target, name=name, replace=True)
        return
    with open(source, "rb") as file, open(target, "wb") as out:
        out.write(client.reader(file, name=name).read() if way == "stream" else client.unseal(file.read(), name=name))


with cmek.open() as here:
    for line in sys.stdin:
        words = line.rstrip("\n").split("|")
        try:
            (seal if sys.argv[1] == "seal" else unseal)(here, words[0], words[1] or None, words[2], words[3])
        except (cmek.Error, OSError) as error:
            sys.exit(f"{words[2]}: {error}")
