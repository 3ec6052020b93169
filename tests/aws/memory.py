#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Where a plaintext lies in the memory of who asked for it: in what the module hands on, which is somebody's to wipe, and no more in what libcurl
and OpenSSL received it in, which they keep as long as the connection and longer. TAP."""

import base64
import tempfile

from certificates import Authority
from driver import OK, Home, Probe, Tap, encode, watched
from fake_kms import FakeAws

SECRET = b"what is wiped when it was used.."
SHOWN = base64.b64encode(SECRET)[:40]
REGION_MAX = 1 << 28  # what a sanitizer keeps beside the memory is larger, and nothing's own

tap = Tap()


def places(pid, needle):
    """Where it is in what the process may write, each with some bytes before it."""
    found = []
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in maps:
            begin, end = (int(number, 16) for number in line.split()[0].split("-"))
            if line.split()[1][:2] != "rw" or end - begin > REGION_MAX:
                continue
            memory.seek(begin)
            data = memory.read(end - begin) or b""
            at = data.find(needle)
            while at >= 0:
                found.append(data[max(at - 24, 0):at + 8])
                at = data.find(needle, at + 1)
    return found


def check(title, fake, home):
    watched.append(fake)
    key = fake.keys.create("us-west-2")
    with Probe(home.environment) as probe:
        answer = probe.ask("decrypt", key.arn, encode(fake.keys.encrypt(key, SECRET, {})))
        everywhere = places(probe.process.pid, SHOWN)
    tap.ok(answer["bytes"] == SECRET and any(b'"value":"' in place for place in everywhere), f"{title}: what the probe prints is found in its memory",
           f"{answer} {everywhere}")
    received = [place for place in everywhere if b'"Plaintext"' in place]
    tap.ok(answer["status"] == OK and not received, f"{title}: what was received is not there any more", received)


def main():
    try:
        with open("/proc/self/mem", "rb"):
            pass
    except OSError as error:
        tap.skip("what was received is not there any more", f"the kernel does not show memory: {error}")
        tap.finish()
    with tempfile.TemporaryDirectory() as folder:
        authority = Authority(folder, "ca")
        with FakeAws() as fake, Home(fake, **fake.environment()) as home:
            check("http", fake, home)
        with FakeAws(*authority.certify("server")) as fake, Home(fake, **fake.environment()) as home:
            check("TLS", fake, home.set(AWS_CA_BUNDLE=authority.path))
    tap.finish()


main()
