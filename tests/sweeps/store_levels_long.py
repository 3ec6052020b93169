#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Thousands of mixed steps on one store by this build, a release to come, and the last release (or, before there is one, the commit before), which
is built from the history. Where there is no history, as in a release archive, that one is skipped. TAP."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from levels_walk import BUILD, MODULE, NEXT, ROOT, Place, Process, Walk  # noqa: E402
from load_place import Tally  # noqa: E402

GOLDEN = "tests/golden/store-1/store.db.gz"
STEPS, SECONDS_MAX = 3000, 600  # that many on any machine; the time is for one that hangs
ok = Tally()


def git(*words, text=True):
    done = subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=text, check=False)
    return done.stdout if done.returncode == 0 else None


def older_revision():
    """(revision, None) or (None, why there is none)."""
    top = git("rev-parse", "--show-toplevel")
    if top is None or os.path.realpath(top.strip()) != os.path.realpath(ROOT):
        return None, "there is no history here"
    before = "HEAD" if git("status", "--porcelain", "--untracked-files=no") else "HEAD~1"
    if git("rev-parse", "--verify", "--quiet", before) is None:
        return None, "there is no commit before this one"
    tag = git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", before)
    revision = git("rev-parse", tag.strip() if tag else before).strip()
    with open(os.path.join(ROOT, GOLDEN), "rb") as file:
        if git("show", f"{revision}:{GOLDEN}", text=False) != file.read():
            return None, f"level 1 was not yet what it is in {tag.strip() if tag else before}"
    return revision, None


def build(revision):
    """The module of that revision; kept beside this build, one at a time."""
    folder = os.path.join(BUILD, "older", revision)
    module = os.path.join(folder, "build", "cmek-pkcs11.so")
    if not os.path.exists(module):
        shutil.rmtree(os.path.join(BUILD, "older"), ignore_errors=True)
        os.makedirs(folder)
        archive = git("archive", revision, text=False)
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        for words in ["meson", "setup", "--buildtype=debug", "build"], ["ninja", "-C", "build", "--quiet", "cmek-pkcs11.so"]:
            subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=900)
    return module


def newest_of(process):
    said = process.do("level")
    return said["got"][1] if said["rv"] == 0 else 0


def walk(place, processes, seed, name):
    it = Walk(place, processes, seed, levels=3)
    wrong = it.walk(STEPS, SECONDS_MAX, time.monotonic)
    above = sum(count for (_, _, level), count in it.counts.items() if level > 1)
    ok(not wrong, f"{name}: {it.steps} steps, {above} of them above level 1: nothing refused that a build understands, nothing lost", "\n".join(wrong))
    ok(wrong or it.steps == STEPS, f"{name}: all of them were made", it.steps)


def main():
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    revision, why = older_revision()
    with tempfile.TemporaryDirectory(prefix="cmek-test-", dir=memory) as folder:
        place = Place(folder)
        place.begin()
        processes = [Process("this", MODULE, 1, place), Process("this too", MODULE, 1, place), Process("next", NEXT, 3, place)]
        walk(place, processes, 2, "this build and the next")
        ok([process.close() for process in processes] == [0, 0, 0], "they end well")
    if revision is None:
        ok(True, f"the build before, this build and the next # SKIP {why}")
        ok(True, f"the build before ends well # SKIP {why}")
    else:
        module = build(revision)
        with tempfile.TemporaryDirectory(prefix="cmek-test-", dir=memory) as folder:
            place = Place(folder)
            place.begin()
            processes = [Process("before", module, 1, place), Process("this", MODULE, 1, place), Process("next", NEXT, 3, place)]
            processes[0].newest = newest_of(processes[0])
            walk(place, processes, 3, f"{revision[:12]}, this build and the next")
            ok([process.close() for process in processes] == [0, 0, 0], "they end well")
            facts = json.loads(place.cmek("store", "show", "--json", module=NEXT).stdout)
            ok(facts["level"] in (1, 2, 3), "the store is whole", facts)
    print(f"1..{ok.count}")


main()
