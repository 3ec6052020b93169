#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Licence and copyright at the head of each source: spdx.py [--fix].

Names each source that lacks a line of the two, and ends with 1 if there is one; --fix writes them, after a "#!" line.
A source is what has one of the endings below, or is a script by its first line. A file that carries a notice of
somebody else keeps it: a line of each kind is asked for, whoever it names.
"""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
LINES = {
    "SPDX-FileCopyrightText": "2026 The cmek-pkcs11 authors",
    "SPDX-License-Identifier": "Apache-2.0",       # LICENSE has its text
}
STYLES = {                                         # ending -> before and after a line
    (".c", ".h"): ("/* ", " */"),
    (".js",): ("// ", ""),
    (".py", ".sh", "meson.build", "meson_options.txt", "Makefile"): ("# ", ""),
}
HEAD = 12                                          # lines in which they must stand


def files():
    """What git knows or would add; where there is no work tree, all but build folders."""
    if os.path.exists(os.path.join(ROOT, ".git")):
        listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-coz", "--exclude-standard"], capture_output=True, text=True,
                                check=True).stdout.split("\0")
        yield from (path for path in sorted(set(listed)) if path and os.path.isfile(os.path.join(ROOT, path)))
        return
    for folder, folders, names in os.walk(ROOT):
        folders[:] = sorted(name for name in folders if name not in (".cache", "__pycache__") and not (
            folder == ROOT and name.startswith("build")) and not os.path.exists(os.path.join(folder, name, "meson-private")))
        yield from (os.path.relpath(os.path.join(folder, name), ROOT) for name in sorted(names))


def style(path, text):
    """How a line of comment is written there; None: it is no source."""
    for endings, marks in STYLES.items():
        if os.path.basename(path).endswith(endings):
            return marks
    return ("# ", "") if text.startswith("#!") else None


def with_lines(text, marks, missing):
    first, rest = text.split("\n", 1) if text.startswith("#!") else ("", text)
    added = "".join(f"{marks[0]}{tag}: {LINES[tag]}{marks[1]}\n" for tag in missing)
    apart = "\n" if rest.startswith("#") else ""   # or it would read on as one text
    return (f"{first}\n" if first else "") + added + apart + rest


def main():
    fix, bad = "--fix" in sys.argv[1:], 0
    for path in files():
        with open(os.path.join(ROOT, path), encoding="utf-8", errors="surrogateescape", newline="") as file:
            text = file.read()
        marks = style(path, text)
        head = text.split("\n", HEAD)[:HEAD]
        missing = [tag for tag in LINES if not any(f"{tag}: " in line for line in head)]
        if marks is None or not missing:
            continue
        if fix:
            with open(os.path.join(ROOT, path), "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
                file.write(with_lines(text, marks, missing))
            continue
        print(f"{path} lacks {' and '.join(missing)}")
        bad += 1
    if bad:
        print("'tools/spdx.py --fix' writes them")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
