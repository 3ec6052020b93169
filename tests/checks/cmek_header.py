#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Our numbers never change: each of include/cmek.h is the one that tests/checks/cmek_numbers.txt has for it, and none is gone. A new
number goes into both; two names of a kind may not share one. TAP.

    cmek_header.py SOURCE_ROOT COMPILER...
    cmek_header.py SOURCE_ROOT --print COMPILER...     the list, of the header as it is
"""

import pathlib
import re
import subprocess
import sys

# Names of one kind begin with one of these; the rest are numbers on their own.
KINDS = ("CKM_", "CKO_", "CKA_", "CMEK_STATE_", "CMEK_ERROR_", "CMEK_EXIT_", "CMEK_VERDICT_")


def preprocess(compiler, root, text, *options):
    return subprocess.run([*compiler, f"-I{root}", "-E", *options, "-x", "c", "-"], input=text, capture_output=True, text=True,
                          check=True, cwd=root).stdout


def numbers(compiler, root):
    """Name → number, of each macro of the header that is one."""
    include = '#include "include/cmek.h"\n'
    names = re.findall(r"^#define (CK[MOA]_CMEK\w*|CMEK_\w+) \(?[\w(]", preprocess(compiler, root, include, "-dM"), re.M)
    asked = preprocess(compiler, root, include + "".join(f"@@{index} {name}\n" for index, name in enumerate(names)), "-P")
    found = {}
    for index, value in re.findall(r"^@@(\d+) (.+)$", asked, re.M):
        terms = re.findall(r"\w+", value)
        found[names[int(index)]] = sum(int(term.rstrip("UL"), 0) for term in terms)
    return found


def main():
    root, words = pathlib.Path(sys.argv[1]), sys.argv[2:]
    printing = words[0] == "--print"
    found = numbers(words[1:] if printing else words, root)
    if printing:
        for name, number in sorted(found.items(), key=lambda item: ([item[0].startswith(kind) for kind in KINDS][::-1], item[1])):
            print(name, f"{number:#x}" if number >= 1 << 31 else number)
        return 0
    known = {name: int(number, 0) for name, number in
             (line.split() for line in (root / "tests/checks/cmek_numbers.txt").read_text().splitlines() if not line.startswith("#"))}
    wrong = [f"{name}: {found.get(name, 'gone')}, was {number}" for name, number in known.items() if found.get(name) != number]
    fresh = [name for name in found if name not in known]
    twice = [f"{one} and {other}" for kind in KINDS for one in found for other in found
             if one < other and one.startswith(kind) and other.startswith(kind) and found[one] == found[other]]
    results = (("each number of cmek.h is what it was", wrong), ("each stands in the list", fresh), ("no two of a kind are the same", twice))
    print(f"1..{len(results)}")
    for number, (title, faults) in enumerate(results, 1):
        print("".join(f"# {fault}\n" for fault in faults) + f"{'not ok' if faults else 'ok'} {number} - {title}")
    return int(any(faults for _, faults in results))


sys.exit(main())
