#!/usr/bin/env python3
"""200 processes start at once, each with one zone, while the KMS throttles: how many calls that costs, and how far apart they renew
afterwards. Measured, and printed."""

import os
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import Place, Tally  # noqa: E402

PROCESSES, LEASE, SECONDS, THROTTLED = 200, 30, 70, 150
ok = Tally()


def times(entries):
    return sorted(entry["time"] for entry in entries if entry["outcome"] == "ok")


def spread(moments):
    """How far apart the middle 90 % are."""
    return moments[len(moments) * 95 // 100 - 1] - moments[len(moments) * 5 // 100]


with tempfile.TemporaryDirectory() as folder:
    place = Place(folder, 1)
    place.configure(f"lease_seconds = {LEASE}\n", attempts=6)
    place.forget()
    place.fake.faults.order(op="Decrypt", count=THROTTLED, status=400, type="ThrottlingException", message="Rate exceeded")
    children = [place.start("run", 1, SECONDS * 1000, 200) for _ in range(PROCESSES)]
    good = bad = 0
    for child in children:
        try:
            uses = Place.finish(child)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            ok(False, "each process ends well", error)
            continue
        good, bad = good + sum(use.good for use in uses), bad + sum(not use.good for use in uses)
    ok(good > PROCESSES and bad == 0, f"{PROCESSES} processes that start together work, though {THROTTLED} answers are 'Throttling'", (good, bad))
    zones, canaries = times(place.asked("ezk")), times(place.asked("canary"))
    ok(len(zones) == PROCESSES, "one call for each zone and process", len(zones))
    first, second = canaries[:PROCESSES], canaries[PROCESSES:2 * PROCESSES]
    ok(len(canaries) >= 2 * PROCESSES * 0.95, "then one canary a lease and process", len(canaries))
    ok(spread(first) > LEASE / 10, "which come apart", spread(first))
    print(f"# zones: {len(zones)} calls within {zones[-1] - zones[0]:.1f} s")
    for name, moments in (("first", first), ("second", second)):
        print(f"# {name} canaries: {len(moments)} calls, 90 % of them within {spread(moments):.1f} s, "
              f"{statistics.mean(moments) - zones[0]:.1f} s after the start")
print(f"1..{ok.count}")
