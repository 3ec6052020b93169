#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Each mechanism of the table (mechanisms/mechanism.c) has published vectors, which a test brings through its C_* functions: as the table
"Vectors" of docs/mechanisms.md says, file by file, or that table says why there are none. TAP."""

import fnmatch
import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parents[2]


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def mechanisms():
    """The names in the module's table."""
    text = read("mechanisms/mechanism.c")
    table = text[text.index("static const struct mechanism mechanisms[]"):]
    table = table[:table.index("\n};")]
    names = set(re.findall(r"\{ (CKM_\w+),", table))
    for name in re.findall(r"\bHMACS\((\w+),", table):
        names |= {f"CKM_{name}_HMAC", f"CKM_{name}_HMAC_GENERAL", f"CKM_{name}_KEY_GEN"}
    return names | {f"CKM_SP800_108_{name}_KDF" for name in re.findall(r"\bKDF_ROWS\((\w+),", table)}


def rows():
    """The table of the page: (files, patterns of names)."""
    section = read("docs/mechanisms.md").split("\n## Vectors\n")[1].split("\n## ")[0]
    for line in re.findall(r"^\| (?!---|vectors )(.+) \|$", section, re.M):
        cells = [cell.strip() for cell in line.split(" | ")]
        yield re.findall(r"`([\w.]+)`", cells[0]), re.findall(r"CKM_[\w*]+", cells[2])


def tested():
    """(file of vectors, mechanism): named by one source of the vectors' program."""
    for source in sorted((ROOT / "tests/module").glob("vectors_*.c")):
        text = source.read_text(encoding="utf-8")
        for file in re.findall(r'from_file\(state, "([\w.]+)"', text):
            for name in re.findall(r"\bCKM_\w+", text) + ["CKM_AES_" + mode.upper() for mode in re.findall(r"\bmechanism_(\w+)\(", text)]:
                yield file, name


class Tap:
    def __init__(self):
        self.count = 0

    def __call__(self, faults, sentence):
        self.count += 1
        for fault in faults:
            print(f"# {fault}")
        print(f"{'not ok' if faults else 'ok'} {self.count} - {sentence}")


def main():
    ok, table, known, used = Tap(), list(rows()), mechanisms(), set(tested())
    named = {pattern: fnmatch.filter(known, pattern) for _, patterns in table for pattern in patterns}
    ok([] if len(known) > 60 else [f"{len(known)} were found"], "the mechanisms are found")
    ok([f"mechanisms/mechanism.c: {name}" for name in sorted(known - {name for names in named.values() for name in names})], "each mechanism is in the table of vectors")
    ok([f"docs/mechanisms.md: {pattern}" for pattern, names in named.items() if not names], "which names no others")
    ok([f"docs/mechanisms.md: {file} of {pattern}" for files, patterns in table for pattern in patterns for file in files
        if not any((file, name) in used for name in named[pattern])], "and whose files a test brings to what they are of")
    ok(sorted(f"tests/vectors/{path.name}" for path in (ROOT / "tests/vectors").glob("*.txt") if not any(path.name in files for files, _ in table)),
       "each file of vectors is in it")
    print(f"1..{ok.count}")


if __name__ == "__main__":
    main()
