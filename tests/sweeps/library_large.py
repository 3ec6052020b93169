#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""libcmek with much: 100 bytes out of an object of 1 GiB, of which the header and two chunks are read; a million messages
($CMEK_LIBRARY_MESSAGES) in eight threads, which leave no memory and no file behind. By the Python package. TAP."""

import os
import subprocess
import sys
import tempfile
import threading

ROOT = os.environ.get("CMEK_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CMEK_BUILD") or os.path.join(ROOT, "build")
CHUNK, SIZE = 65536, 1 << 30
MESSAGES, THREADS = int(os.environ.get("CMEK_LIBRARY_MESSAGES", "1000000")), 8
count = failed = 0


def check(good, sentence, why=""):
    global count, failed
    count += 1
    failed += not good
    print(f"{'ok' if good else 'not ok'} {count} - {sentence}", flush=True)
    if not good:
        print(f"# {why}")


def make_home(work):
    conf = os.path.join(work, "cmek.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(f"[store]\npath = {work}/store.db\n[local]\npath = {work}/local.keys\n")
    os.environ.update(CMEK_PKCS11_CONF=conf, CMEK_PKCS11_MODULE=os.path.join(BUILD, "cmek-pkcs11.so"),
                      CMEK_LIBRARY=os.path.join(BUILD, "libcmek.so.0"))
    for words in (["project", "create", "p"], ["key", "create", "--project", "p", "local:root", "--label", "root"],
                  ["cluster", "create", "--project", "p", "c", "--key", "root", "--region", "local"], ["database", "create", "--project", "p", "c/d"]):
        subprocess.run([os.path.join(BUILD, "cmek"), *words], check=True, capture_output=True)


def large_object(client, zone, work):
    plain, sealed = os.path.join(work, "plain"), os.path.join(work, "sealed")
    marks = {0: b"first", SIZE // 2 - 50: bytes(range(100)), SIZE - 5: b"last."}
    with open(plain, "wb") as file:
        file.truncate(SIZE)
        for at, data in marks.items():
            file.seek(at)
            file.write(data)
    zone.seal_file(plain, sealed)
    os.unlink(plain)
    reads = []
    with open(sealed, "rb") as file:
        def pread(length, offset):
            reads.append(length)
            return os.pread(file.fileno(), length, offset)

        size = os.fstat(file.fileno()).st_size
        with client.range(pread, size, trust_size=True) as part:
            check(part.pread(100, SIZE // 2 - 50) == bytes(range(100)), "100 bytes out of the middle of 1 GiB, over the end of a chunk, are right")
        check(sum(reads) <= 2 * (CHUNK + 16) + 8192, "the header and two chunks were read for them", reads)
        reads.clear()
        with client.range(pread, size) as part:
            check(part.pread(5, SIZE - 5) == b"last." and part.pread(9, SIZE) == b"", "so are the last ones")
        check(sum(reads) <= 2 * (CHUNK + 16) + 8192, "after a look at the last chunk, which shows that the object is whole", reads)
    os.unlink(sealed)


def kept():
    """Kilobytes of memory, open files."""
    with open("/proc/self/status", encoding="ascii") as file:
        status = dict(line.split(":", 1) for line in file)
    return int(status["VmRSS"].split()[0]), len(os.listdir("/proc/self/fd"))


def many_messages(client, zone):
    wrong = []

    def work(number, messages):
        for i in range(messages):
            data = b"%d/%d" % (number, i)
            if client.unseal(zone.seal(data, name="n"), name="n") != data:
                wrong.append(data)

    def run(messages):
        together = [threading.Thread(target=work, args=(number, messages // THREADS)) for number in range(THREADS)]
        for thread in together:
            thread.start()
        for thread in together:
            thread.join()
        return kept()

    before, after = run(MESSAGES // 10), run(MESSAGES)
    check(not wrong, f"{MESSAGES * 11 // 10} messages of {THREADS} threads come back", wrong[:3])
    check(after[0] - before[0] < 4096 and after[1] == before[1], "and a million of them leave no memory and no file behind", (before, after))


def main():
    with tempfile.TemporaryDirectory() as work:
        make_home(work)
        sys.path.insert(0, os.path.join(ROOT, "bindings", "python", "src"))
        sys.dont_write_bytecode = True
        import cmek
        with cmek.open() as client:
            zone = client.zone("c/d")
            large_object(client, zone, work)
            many_messages(client, zone)
    print(f"1..{count}")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
