#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The hot paths have no more instructions than bench/instructions.txt allows, and 5 %.

Callgrind counts what bench/hot does in hot_run, a work done 100 times, in several slices, of which the median counts:
what happens once in a second, as a look at the store, falls into one of them. Messages are counted with libcmek, by
bench/library/bench_library. Instructions don't depend on the machine's speed or load. The processor's features are those that valgrind has
everywhere, so that libraries choose the same code. A work that became quicker by more than 5 % is a failure too: its
line wants the new number, or the bound means nothing. `--write` makes the file anew; `--shares` says how many of them are
ours, OpenSSL's and the C library's.
"""
import collections
import glob
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = os.environ.get("CMEK_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "bench"))
import files  # noqa: E402  # pylint: disable=wrong-import-position

BUILD = os.environ.get("CMEK_BUILD") or os.path.join(ROOT, "build")
HOT, BOUNDS = os.path.join(BUILD, "bench", "hot"), os.path.join(ROOT, "bench", "instructions.txt")
LIBRARY = os.path.join(BUILD, "bench", "library", "bench_library")
MESSAGES = {"libcmek: seal a message of 1 KiB": "seal", "libcmek: open it": "unseal"}
TIMES, SLACK = 100, 0.05
HEAD = """# Instructions of one work on x86-64: Debian 12, gcc -O2, its OpenSSL. Made by tests/sweeps/instructions.py --write, which a
# change that means to cost or save does; the libraries' own share is in them.
"""
SAME_CODE = dict(GLIBC_TUNABLES="glibc.cpu.hwcaps=-AVX2,-AVX,-AVX512F,-ERMS,-FSRM",
                 OPENSSL_ia32cap="~0x1000000000000000:0", LC_ALL="C.UTF-8")


def program(work, folder):
    """What does it, and in which environment."""
    if work not in MESSAGES:
        return [HOT, folder, work, str(TIMES)], os.environ
    place = files.Place(folder, "prod/bench")
    return [LIBRARY, "--count", MESSAGES[work], str(TIMES)], place.environment


def slices_of(work):
    """What callgrind wrote of each slice that counted something."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        out = os.path.join(folder, "counted")
        does, environment = program(work, folder)
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--toggle-collect=hot_run", "--dump-after=hot_run", *does]
        done = subprocess.run(command, env={**environment, **SAME_CODE}, capture_output=True, text=True, check=False)
        texts = []
        for path in glob.glob(out + ".*"):
            with open(path, encoding="utf-8", errors="replace") as file:
                texts.append(file.read())
    slices = [text for text in texts if total_of(text)]
    if done.returncode or not slices:
        raise RuntimeError(done.stderr[-800:])
    return sorted(slices, key=total_of)


def total_of(text):
    return sum(int(total) for total in re.findall(r"^totals: (\d+)", text, re.MULTILINE))


def instructions(work):
    return statistics.median(map(total_of, slices_of(work))) / TIMES


# --- Whose they are

OWNERS = {"ours": r"cmek-pkcs11\.so|libcmek\.so", "OpenSSL's": r"libcrypto\.so", "the C library's": r"libc\.so|ld-linux"}


def shares(text):
    """{owner: instructions of a work}; callgrind's format: costs stand below the object (ob=) and function that they are of, and the
    line after a calls= has what was called."""
    names, costs, owner, called = {}, collections.Counter(), "", False
    for line in text.splitlines():
        if found := re.match(r"ob=\((\d+)\)(?: (.*))?$", line):
            names.setdefault(found[1], found[2] or "")
            owner = next((name for name, pattern in OWNERS.items() if re.search(pattern, names[found[1]])), "")
        elif found := re.match(r"cob=\((\d+)\) (.*)$", line):
            names.setdefault(found[1], found[2])
        elif line.startswith("calls="):
            called = True
        elif found := re.match(r"[+*-]?\d* ?(\d+)$", line):
            costs[owner] += 0 if called else int(found[1])
            called = False
    return {name: costs[name] / TIMES for name in OWNERS}


def print_shares():
    print("| Instructions of | all | " + " | ".join(OWNERS) + " |\n| :- | -: |" + " -: |" * len(OWNERS))
    for _, work in bounds():
        slices = slices_of(work)
        text = slices[len(slices) // 2]
        row = shares(text)
        print(f"| {work} | {total_of(text) / TIMES:,.0f} | " + " | ".join(f"{row[name]:,.0f}" for name in OWNERS) + " |", flush=True)
    return 0


def bounds():
    with open(BOUNDS, encoding="utf-8") as file:
        lines = [line.rstrip("\n").split("  ", 1) for line in file if not line.startswith("#")]
    return [(int(number), work.strip()) for number, work in lines]


def write():
    rows = [(round(instructions(work)), work) for _, work in bounds()]
    with open(BOUNDS, "w", encoding="utf-8") as file:
        file.write(HEAD + "".join(f"{number}  {work}\n" for number, work in rows))
    return 0


def check():
    why = ("valgrind is not here" if not shutil.which("valgrind") else
           "hot is not built" if not os.access(HOT, os.X_OK) else
           "the bounds are for x86-64" if os.uname().machine != "x86_64" else "")
    if why:
        print(f"1..0 # SKIP {why}")
        return 0
    rows, failed = bounds(), 0
    print(f"1..{len(rows)}")
    for index, (bound, work) in enumerate(rows, 1):
        counted = instructions(work)
        well = abs(counted - bound) <= SLACK * bound
        failed += not well
        print(f"{'ok' if well else 'not ok'} {index} - {work}: {counted:.0f} instructions, {bound} are allowed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit({"--write": write, "--shares": print_shares}.get(" ".join(sys.argv[1:]), check)())
