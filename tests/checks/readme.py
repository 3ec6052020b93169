#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""README.md's table of stock programs is what the suites of tests/consumers claim (tools/consumers.py judges whether that is true): each
program that a suite names is in it, and no other, at a tier that its suite has. TAP.

    readme.py [ROOT]"""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
ROOT = ROOT.parents[2] if ROOT.is_file() else ROOT
TIERS = ("whole hierarchy", "AES only", "loads and lists")


def claims():
    """Program → the tiers that its suite has; what comes behind a comma says by what it is driven."""
    found = {}
    for path in sorted((ROOT / "tests/consumers").rglob("*")):
        if not path.is_file() or path.suffix == ".pyc":
            continue
        text = path.read_text(errors="replace")
        tiers = {tier for tier in TIERS if tier in text}
        for name in re.findall(r'^ *consumer "([^"$]+)"|# consumer: ([^|%{]+?) \|', text, re.M):
            found.setdefault("".join(name).split(",")[0], set()).update(tiers)
    return found


def table():
    text = (ROOT / "README.md").read_text()
    return [(name.strip(), tier) for tier, names in re.findall(rf"^\| ({'|'.join(TIERS)}) \|[^|]*\| (.*) \|$", text, re.M) for name in names.split(", ")]


def main():
    claimed, shown = claims(), table()
    names = [name for name, _ in shown]
    results = (
        ("each program that a suite names is in the table", sorted(name for name in claimed if name not in names and claimed[name])),
        ("once", sorted({name for name in names if names.count(name) > 1})),
        ("no other is", sorted(name for name in names if name not in claimed)),
        ("at a tier that its suite has", sorted(f"{name}: {tier}" for name, tier in shown if tier not in claimed.get(name, {tier}))),
    )
    for number, (title, faults) in enumerate(results, 1):
        for fault in faults:
            print(f"# README.md: {fault}")
        print(f"{'not ok' if faults or not shown else 'ok'} {number} - {title}")
    print(f"1..{len(results)}")
    return any(faults for _, faults in results) or not shown


sys.exit(main())
