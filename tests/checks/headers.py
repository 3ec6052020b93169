#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A header speaks for the sources of its own room: headers.py [TREE]. A function that other sources may call is declared in a header
of the room that defines it, and a source that has a header of its own includes it first, which proves that it stands alone.
Includes have one order: a source's own header, ours, the system's. TAP."""

import pathlib
import re
import sys

HOUSES = ("base", "crypto", "net", "aws", "kms", "zones", "objects", "mechanisms", "session", "pkcs11", "envelope", "library", "cli")
# The header that is installed speaks for the library's sources.
PUBLIC = {pathlib.Path("include/cmek/cmek.h"): pathlib.Path("library")}
# What is declared elsewhere: the standard's functions in include/, the interface of the tool's linker.
STANDARD = re.compile(r"C_[A-Z]\w+|main")


def bare(text):
    """Without comments, texts and preprocessor lines; lines stay."""
    text = re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', lambda found: "\n" * found[0].count("\n"), text, flags=re.S)
    return re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", text, flags=re.M)


def functions(text, ends_with):
    """Names at the outer level of what is declared (";") or defined ("{"), but for what is static."""
    text = bare(text)
    for found in re.finditer(r"^(?!static\b|typedef\b|return\b)[A-Za-z_][\w \t*]*?[ \t*](\w+)\(", text, re.M):
        depth, at = 1, found.end()
        while at < len(text) and depth:
            depth += {"(": 1, ")": -1}.get(text[at], 0)
            at += 1
        rest = re.match(r"\s*(?:__attribute__\s*\(\(.*?\)\)\s*)*([;{])", text[at:], re.S)
        if rest and rest[1] == ends_with and "(" not in found[0][:-1]:
            yield found[1]


def disorder(path, text):
    """The includes that stand behind one of a later kind, or in the wrong block. Includes in conditions count like others."""
    kinds, before, line_before = {'own': 0, '"': 1, "<": 2}, 0, 0
    for number, line in enumerate(text.splitlines(), 1):
        found = re.match(r'[ \t]*#[ \t]*include[ \t]+(["<])([^">]+)', line)
        if not found:
            continue
        kind = kinds["own" if found[2] == str(path.with_suffix(".h")) else found[1]]
        if kind < before or (kind > before and line_before == number - 1):
            yield f"{path}:{number}: {line.strip()}"
        before, line_before = kind, number


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
    read = {path.relative_to(root): path.read_text() for house in HOUSES for path in sorted((root / house).rglob("*.[ch]"))}
    declared = {}
    read |= {path: (root / path).read_text() for path in PUBLIC if (root / path).is_file()}
    for path, text in read.items():
        if path.suffix == ".h":
            for name in functions(text, ";"):
                declared.setdefault(name, []).append(path)
    elsewhere, nowhere, twice, late = [], [], [], []
    mixed = [fault for house in (*HOUSES, "tests", "bench", "include") for path in sorted((root / house).rglob("*.[ch]"))
             for fault in disorder(path.relative_to(root), path.read_text())]
    twice += [f"{name}: {', '.join(map(str, paths))}" for name, paths in declared.items() if len(set(paths)) > 1]
    for path, text in read.items():
        if path.suffix != ".c":
            continue
        for name in functions(text, "{"):
            headers = declared.get(name, [])
            if not headers and not STANDARD.fullmatch(name):
                nowhere.append(f"{path}: {name}()")
            elif headers and not any(PUBLIC.get(header, header.parent) == path.parent for header in headers):
                elsewhere.append(f"{path}: {name}() is declared in {headers[0]}")
        first = re.search(r'^[ \t]*#[ \t]*include[ \t]+["<]([^">]+)', text, re.M)
        if path.with_suffix(".h") in read and first[1] != str(path.with_suffix(".h")):
            late.append(f"{path}: its own header is not its first include")
    results = (("a function is declared in the room that defines it", elsewhere),
               ("each function that is not static is declared in a header", nowhere),
               ("each is declared once", twice),
               ("each source includes its own header first", late),
               ("includes stand in one order: its own header, ours, the system's", mixed),
               ("functions are found", [] if len(declared) > 300 else [f"{len(declared)}"]))
    print(f"1..{len(results)}")
    for number, (title, faults) in enumerate(results, 1):
        print("".join(f"# {fault}\n" for fault in faults) + f"{'not ok' if faults else 'ok'} {number} - {title}")
    return int(any(faults for _, faults in results))


sys.exit(main())
