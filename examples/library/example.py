#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What a Python program does with the package cmek, a function for each way (docs/library.md); example.c has the words.
The exit status is 1 where the library says no."""

import shutil
import sys
import urllib.request

import cmek


def message(client, zone, text):
    sealed = zone.seal(text.encode(), name="orders/1")
    print(client.unseal(sealed, name="orders/1").decode())


def file(client, zone, source, target):
    zone.seal_file(source, target, replace=True)


def stream(client, zone):
    with zone.writer(sys.stdout.buffer) as writer:
        shutil.copyfileobj(sys.stdin.buffer, writer)


def range(client, zone, source, offset):  # noqa: A001
    with client.open(source) as plain:
        plain.seek(int(offset))
        sys.stdout.buffer.write(plain.read(100))


def object(client, zone, url, offset):  # noqa: A001
    def pread(length, start):
        asked = urllib.request.Request(url, headers={"Range": f"bytes={start}-{start + length - 1}"})
        return urllib.request.urlopen(asked).read()

    first = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
    size = int(urllib.request.urlopen(first).headers["Content-Range"].rpartition("/")[2])
    sys.stdout.buffer.write(client.range(pread, size).pread(100, int(offset)))


def lines(client, zone):
    for line in sys.stdin:
        try:
            print("sealed", len(zone.seal(line.encode())), flush=True)
        except cmek.Error as error:
            print("try again" if error.may_pass else "stop", f"{type(error).__name__}: {error} [{error.request_id}]", flush=True)


def open(client, zone, source, target):  # noqa: A001
    client.unseal_file(source, target, replace=True)


WAYS = {way.__name__: way for way in (message, file, stream, range, object, lines, open)}

if __name__ == "__main__":
    try:
        with cmek.open() as here:
            WAYS[sys.argv[1]](here, here.zone(sys.argv[2]), *sys.argv[3:])
    except (cmek.Error, OSError) as fault:
        sys.exit(str(fault))
