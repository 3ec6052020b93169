#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""200 processes through an outage of the KMS and back: how many requests come meanwhile, altogether and in the worst second, and when each process
works again. Measured, and printed; what is judged does not depend on how fast the machine is: that tries are spread and that all work again within
15 s is judged on a clock of their own by tests/unit/kms/silence.c and tests/unit/zones/domain/outage.c. Each has credentials of its own, by which its calls are known."""

import collections
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import Place, Tally  # noqa: E402

PROCESSES, LEASE, BEFORE, OUTAGE, AFTER = 200, 10, 15, 30, 30
# Tries of a process: after 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 28.5 s, each up to a quarter earlier.
TRIES_MAX = 9
ok = Tally()


def start_all(place):
    children = []
    for number in range(PROCESSES):
        user = place.fake.identities.user(f"process-{number}")
        children.append(place.start("run", 1, (BEFORE + OUTAGE + AFTER) * 1000, 200,
                                    environment={"AWS_ACCESS_KEY_ID": user.access_key, "AWS_SECRET_ACCESS_KEY": user.secret}))
    return children


def finish_all(children):
    found = []
    for child in children:
        try:
            found.append(Place.finish(child))
        except (AssertionError, subprocess.TimeoutExpired) as error:
            ok(False, "each process ends well", error)
    return found


def main():
    with tempfile.TemporaryDirectory() as folder:
        place = Place(folder, 1)
        place.configure(f"lease_seconds = {LEASE}\n")
        place.forget()
        children = start_all(place)
        time.sleep(BEFORE)
        place.fake.faults.order(op="*", count=1000000, status=500, type="KMSInternalException")
        cut = time.time()
        time.sleep(OUTAGE)
        place.fake.faults.clear()
        restored = time.time()
        processes = finish_all(children)
        asked = [entry for entry in place.fake.requests() if cut < entry["time"] < restored]
        callers = collections.Counter(entry.get("caller") for entry in asked)
        seconds = collections.Counter(int(entry["time"] - cut) for entry in asked)
        late = max(count for second, count in seconds.items() if second >= OUTAGE / 2)
        refused = [use for uses in processes for use in uses if not use.good]
        print(f"# {PROCESSES} processes, {OUTAGE} s without the KMS: {len(asked)} requests for {len(refused)} refused calls; {len(asked) / OUTAGE:.1f} a second, "
              f"{max(seconds.values())} in the fullest, {late} in the fullest of its second half; {max(callers.values())} at most of a process")
        ok(len(refused) > PROCESSES, "all of them are refused", len(refused))
        ok(max(callers.values()) <= TRIES_MAX, f"no process asks more than {TRIES_MAX} times", callers.most_common(5))
        back = [min((use.began for use in uses if use.good and use.began > restored), default=None) for uses in processes]
        ok(len(back) == PROCESSES and None not in back, "each works again without a restart", back.count(None))
        delays = sorted(moment - restored for moment in back if moment)
        print(f"# they work again {delays[0]:.1f} to {delays[-1]:.1f} s after it is back, half of them after {delays[len(delays) // 2]:.1f} s")
        place.fake.__exit__(None, None, None)
    print(f"1..{ok.count}")


main()
