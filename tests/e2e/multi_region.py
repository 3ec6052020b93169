#!/usr/bin/env python3
"""Multi-Region keys: one root key under an ARN per region. A zone opens through a replica's region, when that is configured or when the
replica is what a project has; the count of root keys sees one key."""

import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from fake_kms import FakeAws  # noqa: E402

BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
HOME, ABROAD, NOWHERE = "us-west-2", "eu-west-1", "ap-northeast-1"
count = 0


def ok(condition, name, detail=""):
    global count
    count += 1
    print(f"{'ok' if condition else 'not ok'} {count} - {name}")
    for line in "" if condition else str(detail).splitlines():
        print(f"# {line}")


class Place:
    """A store and configuration; calling it runs cmek."""

    def __init__(self, fake, folder, order=""):
        os.makedirs(folder, exist_ok=True)
        self.folder, self.fake = folder, fake
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")}, **fake.environment(HOME),
            "CMEK_PKCS11_MODULE": os.path.join(BUILD, "cmek-pkcs11.so"),
            "CMEK_PKCS11_CONF": os.path.join(folder, "cmek.conf"), "HOME": folder,
        }
        self.order(order)

    def order(self, order):
        with open(os.path.join(self.folder, "cmek.conf"), "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {self.folder}/store.db\n[aws]\nmulti_region_order = {order}\nmax_attempts = 1\n")

    def __call__(self, *words):
        done = subprocess.run([os.path.join(BUILD, "cmek"), *words], env=self.environment, capture_output=True, text=True,
                              timeout=60, check=False)
        self.said, self.code = done.stdout + done.stderr, done.returncode
        return self.code == 0

    def opens(self, envelope):
        self.fake.reset_log()
        result = os.path.join(self.folder, "opened")
        if not self("decrypt", envelope, result):
            return False
        with open(result, encoding="utf-8") as file:
            return file.read() == "plain"

    def asked(self):
        return [entry.get("region") for entry in self.fake.requests() if entry["op"] == "Decrypt"]


class Fake(FakeAws):
    def reset_log(self):
        with self.lock:
            self.entries.clear()


with Fake() as aws, tempfile.TemporaryDirectory() as top:
    primary = aws.keys.create(HOME, multi_region=True)
    replica = aws.keys.replicate(primary, ABROAD)
    place = Place(aws, os.path.join(top, "home"))
    plain, sealed = os.path.join(top, "plain"), os.path.join(top, "sealed")
    with open(plain, "w", encoding="utf-8") as text:
        text.write("plain")
    for words in (
        ("project", "create", "p"), ("key", "add", "--project", "p", primary.arn, "--label", "root"),
        ("cluster", "create", "--project", "p", "c", "--key", "root", "--region", HOME),
        ("database", "create", "--project", "p", "c/d"),
        ("encrypt", "--project", "p", "--database", "c/d", plain, sealed),
    ):
        ok(place(*words), " ".join(words[:2]), place.said)

    ok(not place("key", "add", "--project", "p", replica.arn) and place.code == 4, "the replica is the same key: refused", place.said)
    ok(place("cluster", "create", "--project", "p", "abroad", "--key", "root", "--region", ABROAD),
       "a cluster may be in a region where the key has a replica", place.said)
    ok(not place("cluster", "create", "--project", "p", "x", "--key", "root", "--region", NOWHERE) and place.code == 4,
       "and not in one where it has none", place.said)

    ok(place.opens(sealed) and place.asked() == [HOME], "without an order the key's own region is asked", place.asked())
    place.order(ABROAD)
    ok(place.opens(sealed) and place.asked() == [ABROAD], "with an order the replica's is", (place.asked(), place.said))
    place.order(f"{NOWHERE} {ABROAD}")
    ok(place.opens(sealed) and place.asked() == [NOWHERE, ABROAD], "a region without a replica is passed over", (place.asked(), place.said))
    place.order(f"{NOWHERE}")
    ok(place.opens(sealed) and place.asked() == [NOWHERE, HOME], "and the key's own comes last", (place.asked(), place.said))

    place.order(f"{HOME} {ABROAD}")
    aws.faults.order(op="Decrypt", status=500)
    ok(place.opens(sealed) and place.asked() == [HOME, ABROAD], "a region that fails is followed by the next", (place.asked(), place.said))
    primary.state = "Disabled"
    ok(not place.opens(sealed) and place.asked() == [HOME] and place.code == 5, "a no is a no: no other region is asked",
       (place.asked(), place.said))
    primary.state = "Enabled"
    place.order("")
    aws.faults.order(op="Decrypt", status=500)
    ok(not place.opens(sealed) and place.code == 6, "without an order a failing region is an outage", place.said)

    # Another host, in the other region, that has registered the replica and has no store of ours.
    rescue = Place(aws, os.path.join(top, "rescue"))
    ok(rescue("project", "create", "r") and rescue("key", "add", "--project", "r", replica.arn), "a fresh project has the replica", rescue.said)
    ok(rescue.opens(sealed) and rescue.asked() == [ABROAD], "an envelope's record opens by the replica, in its region",
       (rescue.asked(), rescue.said))
    stranger = Place(aws, os.path.join(top, "stranger"))
    other = aws.keys.create(ABROAD, multi_region=True)
    stranger("project", "create", "s")
    ok(stranger("key", "add", "--project", "s", other.arn) and not stranger.opens(sealed) and stranger.code == 3,
       "another multi-Region key is not trusted for it", stranger.said)
print(f"1..{count}")
