#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Multi-Region keys: one root key under an ARN per region. A zone opens through a replica's region, when that is configured or when the
replica is what a project has; the count of root keys sees one key. Then regions in trouble: who is asked, for how long, and what is said."""

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from fake_kms import FakeAws  # noqa: E402
from load_place import Tally, Use  # noqa: E402

BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
HOME, ABROAD, NOWHERE = "us-west-2", "eu-west-1", "ap-northeast-1"
EVER = 1000000
CALL_S = 4  # call_timeout_ms of the places in trouble
SLACK_S = 5  # for a busy machine; a call that had CALL_S in each of three regions would take longer
OUT_S = 30  # how long a region that did not answer is asked last
ok = Tally()


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

    def order(self, order, more=""):
        with open(os.path.join(self.folder, "cmek.conf"), "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {self.folder}/store.db\n[log]\nto = {self.folder}/log\naudit = {self.folder}/audit\n{more}[aws]\nmulti_region_order = {order}\nmax_attempts = 1\n"
                       f"call_timeout_ms = {CALL_S * 1000}\nattempt_timeout_ms = {CALL_S * 2000}\n")

    def __call__(self, *words):
        done = subprocess.run([os.path.join(BUILD, "cmek"), *words], env=self.environment, capture_output=True, text=True,
                              timeout=60, check=False)
        self.said, self.code = done.stdout + done.stderr, done.returncode
        return self.code == 0

    def opens(self, envelope):
        self.fake.reset_log()
        result = os.path.join(self.folder, "opened")
        if not self("decrypt", "--force", envelope, result):
            return False
        with open(result, encoding="utf-8") as file:
            return file.read() == "plain"

    def asked(self, op="Decrypt"):
        return [entry["region"] for entry in self.fake.requests() if entry["op"] == op]

    def lines(self, word):
        return [line for line in self.said.splitlines() if word in line]

    def logged(self, word=""):
        try:
            with open(os.path.join(self.folder, "log"), encoding="utf-8") as file:
                return [line for line in file.read().splitlines() if word in line]
        except FileNotFoundError:
            return []

    def forget_log(self):
        open(os.path.join(self.folder, "log"), "w", encoding="utf-8").close()

    def audited(self, event):
        """The lines of the audit log since the last time."""
        path = os.path.join(self.folder, "audit")
        with open(path, encoding="utf-8") as file:
            lines = [json.loads(line) for line in file]
        open(path, "w", encoding="utf-8").close()
        return [line for line in lines if line["event"] == event]

    def works(self, envelope):
        """Whether the file opens in time, with nothing said but which region is lost."""
        self.forget_log()
        began = time.monotonic()
        opened = self.opens(envelope)
        self.took = time.monotonic() - began
        return opened and self.took < CALL_S + SLACK_S and len(self.logged()) == len(self.logged("does not answer")) == 1


class Fake(FakeAws):
    def reset_log(self):
        with self.lock:
            self.entries.clear()


def check_well(aws, top):
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


class Trouble:
    """A KMS of its own whose keys have replicas, and a place with a database c/d and a file that was encrypted in it."""

    def __init__(self, folder):
        self.aws = Fake().__enter__()
        self.key = self.aws.keys.create(HOME, multi_region=True)
        self.replica = self.aws.keys.replicate(self.key, ABROAD)
        self.place = Place(self.aws, folder)
        self.plain, self.sealed = os.path.join(folder, "plain"), os.path.join(folder, "sealed")
        with open(self.plain, "w", encoding="utf-8") as file:
            file.write("plain")
        for words in (
            ("project", "create", "p"), ("key", "add", "--project", "p", self.key.arn, "--label", "root"),
            ("cluster", "create", "--project", "p", "c", "--key", "root", "--region", HOME), ("database", "create", "--project", "p", "c/d"),
            ("encrypt", "--project", "p", "--database", "c/d", self.plain, self.sealed),
        ):
            assert self.place(*words), self.place.said
        self.place.order(f"{HOME} {ABROAD}")

    def down(self, *regions, **fault):
        """These regions fail in this way from now on, and no other does."""
        self.aws.reset()
        for region in regions:
            self.aws.faults.order(count=EVER, region=region, **fault)


FAULTS = [
    ("swallows all packets", {"delay_ms": 600000}),
    ("hangs up on all connections", {"reset": "before"}),
    ("has an error of its own", {"status": 500}),
    ("throttles", {"type": "ThrottlingException", "message": "Rate exceeded"}),
]


def check_own_region(folder):
    """Each way in which the own region may fail, and each thing that the key is asked for."""
    here = Trouble(folder)
    place, number = here.place, 0
    for name, fault in FAULTS:
        here.down(HOME, **fault)
        ok(place.works(here.sealed) and place.asked() == [HOME, ABROAD], f"the own region {name}: a file opens by the replica",
           (place.asked(), place.took, place.said, place.logged()))
        calls = place.audited("kms")[-2:]
        ok([(call["root_key"], call["outcome"] == "ok", call["purpose"]) for call in calls] == [(here.key.arn, False, "ezk"), (here.replica.arn, True, "ezk")],
           "the audit log has a line for each region, with the ARN there", calls)
        for source, op in (("local", "Encrypt"), ("kms", "GenerateDataKey")):
            number += 1
            place.order(f"{HOME} {ABROAD}", f"[kms]\nezk_source = {source}\n")
            here.aws.reset_log()
            ok(place("database", "create", "--project", "p", f"c/n{number}") and place.asked(op) == [HOME, ABROAD],
               f"and a database is made there ({op})", (place.asked(op), place.said))
        place.order(f"{HOME} {ABROAD}")
    envelope = os.path.join(folder, "n")
    for i in range(1, number + 1):
        here.down(HOME, reset="before")
        made = place("encrypt", "--project", "p", "--database", f"c/n{i}", here.plain, envelope)
        here.down(ABROAD, reset="before")
        ok(made and place.opens(envelope) and place.asked() == [HOME], f"what was made there opens in the own region: c/n{i}", place.said)
        os.unlink(envelope)
    here.down()
    place("key", "list", "--project", "p", "--json")
    ok(here.key.arn in place.said and here.replica.arn not in place.said, "the project has one key, by its own name", place.said)
    here.down(HOME, reset="before")
    other = here.aws.keys.create(HOME, multi_region=True)
    here.aws.keys.replicate(other, ABROAD)
    ok(not place("key", "add", "--project", "p", other.arn) and place.code == 6 and set(place.asked("DescribeKey")) == {HOME},
       "a key that its own region can't show is not added", (place.code, place.said))
    here.down()
    other.state = "Disabled"
    place.order(f"{ABROAD} {HOME}")
    here.aws.reset_log()
    ok(not place("key", "add", "--project", "p", other.arn) and place.code == 5 and ABROAD not in place.asked("Encrypt"),
       "nor one that is disabled there, though its replica is not", (place.code, place.asked("Encrypt"), place.said))


def check_both(folder):
    here = Trouble(folder)
    place = here.place
    place.order(f"{HOME} {ABROAD} {NOWHERE}")
    here.aws.keys.replicate(here.key, NOWHERE)
    for name, fault in FAULTS:
        here.down(HOME, ABROAD, NOWHERE, **fault)
        place.forget_log()
        began = time.monotonic()
        opened = place.opens(here.sealed)
        took = time.monotonic() - began
        ok(not opened and place.code == 6 and sorted(place.asked()) == sorted([HOME, ABROAD, NOWHERE]),
           f"each region {name}: an outage", (place.code, place.asked(), place.said))
        ok(took < CALL_S + SLACK_S, f"heard of within one call_timeout_ms: {took:.1f} s")
        ok(len(place.logged(": error: ")) == 1, "and told as one error", place.logged())
    here.down()
    environment = place.environment
    place.environment = environment | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    place.forget_log()
    ok(not place.opens(here.sealed) and place.code == 6 and len(place.logged(": error: ")) == 1, "and so is a refused connection",
       (place.said, place.logged()))
    place.environment = {name: value for name, value in environment.items() if "ACCESS_KEY" not in name} | {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": here.aws.url + "/container"}
    here.aws.faults.order(op="Container", count=EVER, delay_ms=600000)
    began = time.monotonic()
    opened = place.opens(here.sealed)
    took = time.monotonic() - began
    ok(not opened and place.code == 6 and took < CALL_S + SLACK_S and not place.asked(),
       f"credentials that do not come count into the same time: {took:.1f} s", (place.code, place.said))


def check_noes(folder):
    here = Trouble(folder)
    place = here.place
    for state in ("Disabled", "PendingDeletion"):
        here.down()
        here.key.state = state
        ok(not place.opens(here.sealed) and place.code == 5 and place.asked() == [HOME],
           f"own key {state}, replica enabled: a no", (place.code, place.asked(), place.said))
        here.key.state, here.replica.state = "Enabled", state
        here.down(HOME, reset="before")
        ok(not place.opens(here.sealed) and place.code == 5 and place.asked() == [HOME, ABROAD],
           f"own region out, replica {state}: a no", (place.code, place.asked(), place.said))
        here.down()
        ok(place.opens(here.sealed) and place.asked() == [HOME], "own region back: what the replica says does not matter",
           (place.asked(), place.said))
        here.replica.state = "Enabled"


def check_doctor(folder):
    here = Trouble(folder)
    place = here.place
    place.order(f"{HOME} {ABROAD} {NOWHERE}")
    here.down()
    place.audited("kms")
    ok(place("doctor"), "doctor finds all regions in order", place.said)
    asked = place.audited("kms")
    ok(len({line["root_key"] for line in asked}) == 3 and {line.get("project") for line in asked} == {"p"}, "its calls name the project, in each region", asked)
    ok(place.lines(f"root key root ({here.replica.arn}, by multi_region_order): ok"), "and shows the replica's", place.said)
    ok(place.lines("by multi_region_order): none there, the region is passed over"), "and that one has none", place.said)
    ok(place.lines("): ok, by us-west-2"), "and which region opened the zone", place.said)
    here.down(HOME, reset="before")
    ok(not place("doctor") and place.code == 6 and place.lines(f"root key root ({here.key.arn}, us-west-2): FAILED: not reachable")
       and place.lines(f"({here.replica.arn}, by multi_region_order): ok") and place.lines("): ok, by eu-west-1"),
       "with the own region out, doctor says that, and that the replica opened the zone", (place.code, place.said))
    here.down()
    here.replica.state = "Disabled"
    ok(not place("doctor") and place.lines(f"({here.replica.arn}, by multi_region_order): FAILED: disabled; set this right, or take the region out"),
       "a disabled replica is found before it is needed", place.said)


def check_count(folder):
    here = Trouble(folder)
    place = here.place
    for _ in range(19):
        assert place("key", "add", "--project", "p", here.aws.keys.create(HOME).arn), place.said
    ok(not place("key", "add", "--project", "p", here.replica.arn) and place.code == 4 and "already" in place.said,
       "among 20 keys a replica is one of them", place.said)
    ok(not place("key", "add", "--project", "p", here.aws.keys.create(HOME).arn) and place.code == 4 and "at most 20" in place.said,
       "and another is the 21st", place.said)
    place("key", "list", "--project", "p", "--json")
    ok(len(json.loads(place.said)) == 20, "the list has 20", place.said)


def application(place):
    """A program that uses the zone that it has just made (tests/module/load.c)."""
    program = os.path.join(BUILD, "tests", "module", "load")
    subprocess.run([program, "make", "p", "1"], env=place.environment, check=True, timeout=60)
    return program


def check_one_process(folder):
    """A program that lives through an outage of the own region, and past the time for which that is remembered."""
    here = Trouble(folder)
    place = here.place
    place.order(f"{HOME} {ABROAD}", "[kms]\nlease_seconds = 0\n")
    program = application(place)
    seconds = OUT_S + 12
    here.down(HOME, delay_ms=600000)
    place.forget_log()
    began = time.time()
    with subprocess.Popen([program, "run", "p", "1", "2", str(seconds * 1000), "200"], env=place.environment, stdout=subprocess.PIPE,
                          text=True) as child:
        time.sleep(CALL_S + SLACK_S)
        here.aws.faults.clear()
        restored = time.time()
        uses = [Use(line) for line in child.communicate(timeout=120)[0].splitlines()]
    requests = [entry for entry in here.aws.requests() if entry["op"] == "Decrypt"]
    ok(len(uses) > 20 and all(use.good for use in uses), f"{len(uses)} uses while the own region swallows packets and after",
       [(use.began - began, use.reason) for use in uses if not use.good][:5])
    slow = max(use.ended - use.began for use in uses)
    ok(slow < 2 * (CALL_S + SLACK_S), f"the slowest of them took {slow:.1f} s")
    lost = [entry for entry in requests if entry["region"] == HOME and entry["time"] < restored]
    # Two threads began at once; nobody else waits for the silent region.
    ok(1 <= len(lost) <= 2, "the silent region is asked once by each thread that did not know", len(lost))
    pause = [entry for entry in requests if entry["region"] == HOME and restored < entry["time"] < lost[-1]["time"] + OUT_S - 1]
    ok(not pause, "then left alone for a while", len(pause))
    back = [entry for entry in requests if entry["region"] == HOME and entry["time"] > restored]
    ok(back and back[0]["outcome"] == "ok", "and then looked at again", len(back))
    late = [entry for entry in requests if back and entry["region"] == ABROAD and entry["time"] > back[0]["time"] + SLACK_S]
    ok(len(back) > 5 and not late, "from when on it is asked as before", (len(back), len(late)))
    lines = place.logged()
    ok(len(lines) == 2 and "us-west-2 does not answer" in lines[0] and "us-west-2 answers again" in lines[1],
       "the log has a line for each change", "\n".join(lines))


def check_leases(folder, lease=2):
    """A program whose leases a replica renews, until that one is disabled."""
    here = Trouble(folder)
    place = here.place
    place.order(f"{HOME} {ABROAD}", f"[kms]\nlease_seconds = {lease}\ndeny_seconds = 1\n")
    program = application(place)
    place.audited("lease")
    with subprocess.Popen([program, "run", "p", "1", "4", "20000", "100"], env=place.environment, stdout=subprocess.PIPE, text=True) as child:
        time.sleep(2)
        here.down(HOME, reset="before")
        cut = time.time()
        time.sleep(4 * lease)
        quiet, renewed = place.audited("lease"), [entry["context"]["cmek:purpose"] for entry in here.aws.requests() if entry["region"] == ABROAD]
        here.replica.state = "Disabled"
        disabled = time.time()
        time.sleep(lease + 2)
        here.replica.state = "Enabled"
        enabled = time.time()
        uses = [Use(line) for line in child.communicate(timeout=120)[0].splitlines()]
    before = [use for use in uses if use.ended < disabled]
    ok(before[-1].began > cut + lease and all(use.good for use in before), "a program goes on by leases that a replica renews",
       [(use.began - cut, use.reason) for use in before if not use.good][:5])
    ok(set(renewed) == {"canary"} and len(renewed) >= 2 and not quiet, "by its canaries, and no lease has ended in the audit log", (renewed, quiet))
    late = [use.began - disabled for use in uses if use.good and disabled + lease + 0.05 < use.began < enabled]
    ok(not late, "a replica that is disabled is noticed within the lease, like any key", late[:5])
    ok(any(use.good for use in uses if use.began > enabled), "and enabled again, the program goes on")
    told = [(line["action"], line["outcome"], line["root_key"]) for line in place.audited("lease")]
    ok(told == [("ended", "the key is disabled", here.key.arn), ("recovered", "ok", here.key.arn)],
       "the audit log says so, of the root key by its own ARN", told)


def check_switched_off(folder):
    """A program whose key is disabled in its own region, which is then cut off: the replica, which is enabled, changes nothing."""
    here = Trouble(folder)
    place = here.place
    place.order(f"{HOME} {ABROAD}", "[kms]\nlease_seconds = 1\ndeny_seconds = 1\n")
    program = application(place)
    with subprocess.Popen([program, "run", "p", "1", "2", "14000", "100"], env=place.environment, stdout=subprocess.PIPE, text=True) as child:
        time.sleep(2)
        here.key.state = "Disabled"
        time.sleep(4)
        here.down(HOME, reset="before")
        cut = time.time()
        time.sleep(4)
        here.key.state = "Enabled"
        still, abroad = len(place.asked()), place.asked().count(ABROAD)
        here.down()
        restored = time.time()
        uses = [Use(line) for line in child.communicate(timeout=120)[0].splitlines()]
    ok(any(use.good for use in uses if use.ended < cut), "a program works")
    meanwhile = [use for use in uses if cut < use.began and use.ended < restored]
    ok(len(meanwhile) > 5 and not any(use.good for use in meanwhile), "disabled at home and then cut off from there, it works no more",
       [use.began - cut for use in meanwhile if use.good][:5])
    ok(still > 0 and abroad == 0, "its own region is asked, and no replica", (still, abroad))
    ok(any(use.good for use in uses if use.began > restored), "enabled and in reach again, it goes on")


with Fake() as fake, tempfile.TemporaryDirectory() as home:
    check_well(fake, home)
PARTS = (check_one_process, check_switched_off, check_leases, check_own_region, check_both, check_noes, check_doctor, check_count)
with tempfile.TemporaryDirectory() as home, concurrent.futures.ThreadPoolExecutor(len(PARTS)) as pool:
    for part in [pool.submit(part, os.path.join(home, part.__name__)) for part in PARTS]:
        part.result()
print(f"1..{ok.count}")
