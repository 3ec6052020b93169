#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""200 processes start at once, each with one zone, while the KMS throttles: how many calls that costs, and how far apart they renew
afterwards. Measured, and printed.

Each process has credentials of its own, by which its calls are known. What is judged is how long after its last yes each asks again: without
chance that would be the same time for all, and processes that began together would go on together."""

import collections
import os
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import Place, Tally  # noqa: E402

PROCESSES, LEASE, SECONDS, THROTTLED = 200, 30, 64, 150  # two canaries each: a third would come after 67 seconds
# A lease is renewed by chance between 75 and 95 % of it. In the fullest sixth of that time come some 20 to 25 % of 200 calls; if all waited for
# the same time, nearly all of them.
WINDOW = 0.2 * LEASE
ok = Tally()


def throng(moments, width):
    """The greatest share of them that lies within so many seconds."""
    moments, most, first = sorted(moments), 0, 0
    for last, moment in enumerate(moments):
        while moment - moments[first] > width:
            first += 1
        most = max(most, last - first + 1)
    return most / len(moments)


def spread(moments):
    """How far apart the middle 90 % are."""
    moments = sorted(moments)
    return moments[len(moments) * 95 // 100 - 1] - moments[len(moments) * 5 // 100]


def run(place):
    """Answers good and bad uses."""
    children = []
    for number in range(PROCESSES):
        user = place.fake.identities.user(f"process-{number}")
        children.append(place.start("run", 1, SECONDS * 1000, 200, environment={"AWS_ACCESS_KEY_ID": user.access_key, "AWS_SECRET_ACCESS_KEY": user.secret}))
    good = bad = 0
    for child in children:
        try:
            uses = Place.finish(child)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            ok(False, "each process ends well", error)
            continue
        good, bad = good + sum(use.good for use in uses), bad + sum(not use.good for use in uses)
    return good, bad


def yeses(place):
    """When each process heard one: for its zone, then from canaries."""
    found = collections.defaultdict(list)
    for entry in place.asked("ezk") + place.asked("canary"):
        if entry["outcome"] == "ok":
            found[entry["caller"]].append(entry["time"])
    return [sorted(moments) for moments in found.values()]


def judge(name, moments, waits):
    share = throng(waits, WINDOW / 6)
    print(f"# {name} canaries: {len(waits)} calls, 90 % of them within {spread(moments):.1f} s; at most {throng(moments, 1):.0%} of them in one second")
    print(f"# {'':{len(name)}} they come {min(waits):.1f} to {max(waits):.1f} s after the last yes, on average {statistics.mean(waits):.1f} s; at most "
          f"{share:.0%} within {WINDOW / 6:.1f} s of each other")
    ok(share < 0.3, f"the {name} come by chance: no second of that time has 30 % of them", share)
    ok(spread(waits) > WINDOW / 2, "and use the time there is for that", spread(waits))


def main():
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder, 1)
        place.configure(f"lease_seconds = {LEASE}\n", attempts=6, aws="attempt_timeout_ms = 60000\ncall_timeout_ms = 120000\n")
        place.forget()
        place.fake.faults.order(op="Decrypt", count=THROTTLED, status=400, type="ThrottlingException", message="Rate exceeded")
        good, bad = run(place)
        ok(good > PROCESSES and bad == 0, f"{PROCESSES} processes that start together work, though {THROTTLED} answers are 'Throttling'", (good, bad))
        ok(len([entry for entry in place.asked("ezk") if entry["outcome"] == "ok"]) == PROCESSES, "one call for each zone and process",
           len(place.asked("ezk")))
        found = yeses(place)
        ok(len(found) == PROCESSES and max(map(len, found)) == 3 and sum(map(len, found)) > 2.9 * PROCESSES, "then one canary a lease and process",
           collections.Counter(len(moments) for moments in found))
        zones = [moments[0] for moments in found]
        print(f"# zones: {len(zones)} calls within {max(zones) - min(zones):.1f} s, {throng(zones, 1):.0%} of them in one second; so it would go on without chance")
        for number, name in ((1, "first"), (2, "second")):
            pairs = [(moments[number], moments[number] - moments[number - 1]) for moments in found if len(moments) > number]
            judge(name, *zip(*pairs))
        place.fake.__exit__(None, None, None)
    print(f"1..{ok.count}")


main()
