#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A million data keys of a zone, unwrapped in one process: none costs more than 768 bytes of its memory, all told, each
is found by its label, and when they are gone the process is as before. CMEK_TEST_KEYS: another number. TAP."""
import os
import subprocess
import sys
import tempfile

ROOT = os.environ.get("CMEK_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CMEK_BUILD") or os.path.join(ROOT, "build")
sys.path[:0] = [os.path.join(ROOT, "tests")]
import p11  # noqa: E402
from load_place import Tally  # noqa: E402

COUNT, MOST = int(os.environ.get("CMEK_TEST_KEYS", "1000000")), 768


def resident():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def begin(folder):
    configuration = os.path.join(folder, "cmek.conf")
    with open(configuration, "w", encoding="utf-8") as file:
        file.write(f"[store]\npath = {folder}/store.db\n[local]\npath = {folder}/local.keys\n")
    os.environ.update(CMEK_PKCS11_CONF=configuration, CMEK_PKCS11_MODULE=os.path.join(BUILD, "cmek-pkcs11.so"))
    for words in ("project create lab", "key create --project lab local:root --label root",
                  "cluster create --project lab c --key root --region local", "database create --project lab c/d"):
        subprocess.run([os.path.join(BUILD, "cmek"), *words.split()], check=True, stdout=subprocess.DEVNULL)
    return p11.Module().start("lab")


def is_gone(module, label):
    try:
        module.find(LABEL=label)
    except AssertionError:
        return True
    return False


def main():
    tally = Tally()
    with tempfile.TemporaryDirectory() as folder:
        module = begin(folder)
        zone, by = module.find(TOKEN=True, LABEL="c/d"), p11.mechanism("AES_KEY_WRAP")
        wrapped = module.wrap(by, zone, module.generate(EXTRACTABLE=True))
        for number in range(1000):
            module.unwrap(by, zone, wrapped, LABEL=f"first {number}")
        before = resident()
        for number in range(COUNT):
            last = module.unwrap(by, zone, wrapped)
        each = (resident() - before) / COUNT
        tally(each <= MOST, f"each of {COUNT} keys takes {each:.0f} bytes, at most {MOST}")
        tally(len(module.encrypt(p11.gcm(), last)) == 32, "the last of them encrypts")
        for number in (0, 500, 999):
            tally(module.find(LABEL=f"first {number}").value > 0, f"a key is found by its label among them: {number}")
        module.call("CloseSession", module.session)
        module.session = module.open(module.slot, p11.RW_SESSION)
        tally(is_gone(module, "first 0"), "when their session is closed, none is left")
        for number in range(COUNT):
            last = module.unwrap(by, zone, wrapped)
        each = (resident() - before) / COUNT
        tally(each <= MOST, f"and as many more take their place, {each:.0f} bytes each")
    print(f"1..{tally.count}")


if __name__ == "__main__":
    main()
