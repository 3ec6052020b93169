#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Leases from end to end: the module over HTTP against the fake KMS, by an application with threads. How often the KMS is asked; how far a
disabled key reaches, and when; work that goes on after it is enabled, and through an outage. The parts take their time side by side."""

import collections
import os
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import Place, Tally  # noqa: E402

DISABLED, UNAVAILABLE = 102, 111  # CMEK_ERROR_KMS_…
TICK = 0.05  # the module's clock goes in steps of some milliseconds
ok = Tally()


def gaps(entries):
    """Between the calls for one thing, oldest first."""
    moments = [entry["time"] for entry in entries]
    return [later - earlier for earlier, later in zip(moments, moments[1:])]


def by_zone(entries):
    found = collections.defaultdict(list)
    for entry in entries:
        found[entry["context"]["cmek:zone"]].append(entry)
    return found


def check_calls(place, renew, lease, until):
    """Once for each zone, then once a lease for whatever is asked: as many as leases went by, each of which is renewed between 75 and 95 % of
    it; and no two close together, as they would be where threads ask side by side."""
    asked = [entry for entry in place.fake.requests() if entry["time"] < until]
    zones = by_zone([entry for entry in asked if entry["context"]["cmek:purpose"] == "ezk"])
    canaries = [entry for entry in asked if entry["context"]["cmek:purpose"] == "canary"]
    ok({entry["op"] for entry in asked} == {"Decrypt"} and {entry["outcome"] for entry in asked} == {"ok"}, f"renew = {renew}: nothing else is asked",
       place.fake.calls())
    cold = [entry for entries in zones.values() for entry in entries if entry["time"] < entries[0]["time"] + lease / 2]
    ok(len(cold) == len(zones) == place.zones, f"64 threads use {place.zones} cold zones, which costs exactly as many calls", (len(cold), len(zones)))
    renewed = [canaries] if renew == "root-key" else list(zones.values())
    if renew == "root-key":
        ok(all(len(entries) == 1 for entries in zones.values()), "and each zone is asked once, for good",
           {zone: len(entries) for zone, entries in zones.items() if len(entries) != 1})
    else:
        ok(not canaries, "and no canary is asked", len(canaries))
    leases, more = (until - asked[0]["time"]) / lease, 1 if renew == "zone" else 0
    counts = [len(entries) - more for entries in renewed]
    ok(min(counts) >= int(leases) - 1 and max(counts) <= leases / 0.75, f"in {leases:.1f} leases each is renewed {min(counts)} to {max(counts)} times", counts)
    near = [gap for entries in renewed for gap in gaps(entries) if gap < lease / 2]
    ok(not near, "once a lease", near[:5])


WEEK = 604800


def check_cut_to_records(place, renew, lease=6):
    """A week is configured, and the zones' records allow less: all is as where that is configured, down to one canary a lease."""
    check_whole(place, renew, lease, configured=WEEK)


def wait_until_it_works(place):
    """Until its first call of the KMS, and a while more."""
    while not place.fake.requests():
        time.sleep(TICK)
    time.sleep(2)


def check_whole(place, renew, lease=6, leases=3, configured=None):
    """From cold zones to a key that is disabled, and back."""
    place.configure(f"lease_seconds = {configured or lease}\nrenew = {renew}\n")
    place.forget()
    child = place.start("run", 64, int((leases + 2) * lease * 1000), 100)
    while not place.fake.requests():
        time.sleep(TICK)
    time.sleep(leases * lease)
    place.key.state = "Disabled"
    disabled = time.time()
    time.sleep(lease + 1)
    place.key.state = "Enabled"
    enabled = time.time()
    uses = place.finish(child)
    check_calls(place, renew, lease, disabled)
    before = [use for use in uses if use.ended < disabled]
    ok(len(before) > 64 * place.zones and all(use.good for use in before), f"{len(before)} uses succeed", [use.reason for use in before if not use.good][:5])
    late = [use.began - disabled for use in uses if use.good and disabled + lease + TICK < use.began < enabled]
    ok(not late, "no use succeeds later than the lease's end after the key was disabled", late[:5])
    refused = [use for use in uses if not use.good]
    ok(refused and {use.reason for use in refused} == {DISABLED}, "the refusals say that it is disabled", {(use.reason, use.rv) for use in refused})
    heard = min((use.ended for use in refused), default=0)
    after_no = [use.began - heard for use in uses if use.good and heard < use.began < enabled]
    ok(not after_no, "and none succeeds once a no was heard", after_no[:5])
    back = [use for use in uses if use.began > enabled + 1 + TICK]
    ok(back and any(use.good for use in back), "enabled again, work goes on without a restart", len(back))
    first = min((use.began for use in back if use.good), default=0)
    ok(all(use.good for use in back if use.began > first + 1 + TICK), "with every handle", sum(not use.good for use in back))


def check_outage_cut_to_records(place):
    check_outage(place, configured=WEEK)


def check_outage(place, lease=2, stale=7, configured=None):
    place.configure(f"lease_seconds = {lease}\nmax_stale_seconds = {configured or stale}\n")
    place.forget()
    # In a silence it is a while until one asks again: after nine seconds, eight at most.
    child = place.start("run", 8, 24000)
    wait_until_it_works(place)
    place.fake.faults.order(op="*", count=100000, reset="before")
    cut = time.time()
    time.sleep(stale + 2)
    restored = time.time()
    place.fake.faults.clear()
    uses = place.finish(child)
    last_yes = max(entry["time"] for entry in place.fake.requests() if entry["op"] == "Decrypt" and entry["outcome"] == "ok" and entry["time"] < restored)
    meanwhile = [use for use in uses if cut < use.began and use.ended < restored]
    # The last yes was asked for a little before the server noted it.
    hard_end = last_yes + stale
    ok(all(use.good for use in meanwhile if use.ended < hard_end - 0.5), "cut off from the KMS, work goes on until max_stale_seconds",
       [(use.began - cut, use.reason) for use in meanwhile if not use.good][:5])
    late = [use.began - hard_end for use in meanwhile if use.good and use.began > hard_end + TICK]
    ok(not late, "and no longer", late[:5])
    ok({use.reason for use in meanwhile if not use.good} == {UNAVAILABLE}, "then it says that the KMS is out of reach",
       {(use.reason, use.rv) for use in meanwhile if not use.good})
    ok(any(use.good for use in uses if use.began > restored), "and goes on when that is back")


def check_without_coasting(place, lease=3):
    place.configure(f"lease_seconds = {lease}\n")
    place.forget()
    child = place.start("run", 8, 9000)
    wait_until_it_works(place)
    place.fake.faults.order(op="*", count=100000, status=500, type="KMSInternalException")
    cut = time.time()
    uses = place.finish(child)
    place.fake.faults.clear()
    ok(any(use.good for use in uses if cut + 0.1 < use.began), "without it an outage is borne by what is left of the lease")
    late = [use.began - cut for use in uses if use.good and use.began > cut + lease + TICK]
    ok(not late, "and no longer", late[:5])


def check_silence(place, lease=10, stale=60, call=5):
    """A network that swallows everything: the asking thread waits out the call; the others must not."""
    place.configure(f"lease_seconds = {lease}\nmax_stale_seconds = {stale}\n")
    place.forget()
    child = place.start("run", 4, 26000)
    wait_until_it_works(place)
    place.fake.faults.order(op="*", count=100000, delay_ms=100000)
    cut = time.time()
    uses = place.finish(child)
    ok(uses and all(use.good for use in uses), "in a silence all uses succeed", [use.reason for use in uses if not use.good][:5])
    waited = [use for use in uses if use.ended - use.began > call / 2]
    ok(waited, "though some had to wait for the answer that did not come", len(waited))
    # Not what was waited for beyond the end of the run, when nobody begins anything.
    last = max(use.began for use in uses)
    moments = sorted(use.ended for use in uses if cut < use.ended < last)
    gaps = [later - earlier for earlier, later in zip(moments, moments[1:])]
    ok(max(gaps, default=call) < call / 2, "and at no time did all of them", max(gaps, default=None))


def part(check, zones, *more, made_with=""):
    try:
        with tempfile.TemporaryDirectory() as folder:
            check(Place(folder, zones, made_with), *more)
    except Exception as error:  # a thread's end is not seen otherwise
        ok(False, f"{check.__name__} {more}", repr(error))


PARTS = [(check_whole, 100, "root-key"), (check_whole, 100, "zone"), (check_outage, 10), (check_silence, 4), (check_without_coasting, 10)]
BOUNDED = [((check_cut_to_records, 20, "root-key"), "max_lease_seconds = 6\n"), ((check_cut_to_records, 20, "zone"), "max_lease_seconds = 6\n"),
           ((check_outage_cut_to_records, 10), "max_stale_seconds = 7\n")]
threads = [threading.Thread(target=part, args=arguments) for arguments in PARTS]
threads += [threading.Thread(target=part, args=arguments, kwargs={"made_with": bound}) for arguments, bound in BOUNDED]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"1..{ok.count}")
