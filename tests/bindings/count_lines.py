# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The functions of the examples that take more than ten lines: count_lines.py FOLDER. In Python, Go, Java and C, but for main."""

import ast
import pathlib
import re
import sys

MOST = 10
# A function that begins at the left edge (in Java: a method), its braces each on a line that begins as it does.
BEGINS = {".c": (re.compile(r"static \w.*[ *](\w+)\(.*\)$"), "{", "}"), ".go": (re.compile(r"func (?:\(.*?\) )?(\w+).*\{$"), None, "}"),
          ".java": (re.compile(r"    (?:static|private|public) .*?(\w+)\(.*\{$"), None, "    }")}


def bodies(path):
    """The name and number of lines of each function."""
    text = path.read_text()
    if path.suffix == ".py":
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef):
                lines = text.splitlines()[node.body[0].lineno - 1:node.end_lineno]
                yield node.name, sum(1 for line in lines if line.strip())
        return
    begins, opening, closing = BEGINS[path.suffix]
    name, count = None, 0
    for line in text.splitlines():
        if name is None:
            found = begins.match(line)
            name, count = (found[1] if found else None), 0
        elif line == closing:
            yield name, count
            name = None
        elif line.strip() and line != opening:
            count += 1


def main():
    found, long = 0, []
    for path in sorted(pathlib.Path(sys.argv[1]).rglob("*")):
        if path.suffix == ".py" or path.suffix in BEGINS:
            for name, count in bodies(path):
                found += 1
                if count > MOST and name != "main":
                    long.append(f"{path.name}: {name} has {count} lines")
    print("\n".join(long))
    return bool(long) or found < 20


if __name__ == "__main__":
    sys.exit(main())
