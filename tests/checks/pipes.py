#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Shell scripts have no pipe that passes, or fails, for the wrong reason: pipes.py [TREE]. tests/lib.sh has what to write in their place.
checks_judged.py plants each. TAP."""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
ROOT = ROOT if len(sys.argv) > 1 else ROOT.parents[2]
PIPE = r"(?:[^;&|\n{}]|>&|&>)*\|(?!\|)"

# what is wrong, how it looks once quoted text is gone
RULES = (
    ("no ! stands before a pipe: it would pass when the first command fails (lacks, silent)", re.compile(rf"(?:^|[;&|({{]|\b(?:if|while|until|then|else|do))[ \t]*![ \t]{PIPE}", re.M)),
    ("no pipe ends in grep -q, which ends before what it reads is written (has_line)", re.compile(r"\|[ \t]*grep[ \t]+(?:-\S+[ \t]+)*-[a-zA-Z]*q")),
    ("no two outputs are compared that may both be empty, or fail (agree)", re.compile(r"\b(?:diff|cmp)\b[^;&|\n]*<\([^\n]*<\(")),
    ("no loop reads what may fail (a file that was written before it)", re.compile(r"\bdone[ \t]*<[ \t]*<\(")),
)


def code(text, end=""):
    """The text without comments and quoted words, as long and with the same lines; of what a shell is to run, and of $(…), the words stay."""
    kept, at = [], 0
    while at < len(text):
        rest = text[at:]
        if end and rest.startswith(end):
            break
        if rest[0] == "\\":
            kept.append(" \v" if rest[1:2] == "\n" else "  ")  # \v: a line, but none of the shell's
            at += 2
        elif rest[0] == "#" and (at == 0 or text[at - 1] in " \t\n;("):
            at += len(re.match(r"[^\n]*", rest).group())
        elif rest[0] in "'\"":
            close = re.compile(r"'[^']*'" if rest[0] == "'" else r'"(?:\\.|\$\((?:[^()]|\([^()]*\))*\)|[^"\\])*"', re.S).match(rest)
            word = close.group() if close else rest[0]
            at += len(word)
            kept.append(quoted(word, re.search(r"\b(?:ba)?sh -\w*c $", "".join(kept)[-12:])))
        else:
            here = re.match(r"<<-?'?(\w+)'?[^\n]*\n(?s:.*?)\n\1\n", rest)
            word = "\n" * here.group().count("\n") if here and not rest.startswith("<<<") else rest[0]
            at += len(here.group()) if here and not rest.startswith("<<<") else 1
            kept.append(word)
    return "".join(kept)


def quoted(word, runs):
    if runs:
        return " ;" + code(word[1:-1]) + ";"
    inside = re.findall(r"\$\((?:[^()]|\([^()]*\))*\)", word) if word[0] == '"' else []
    return "Q" + "".join("$(" + code(part[2:-1]) + ")" for part in inside) + "\n" * (word.count("\n") - sum(part.count("\n") for part in inside))


def line_of(text, hit):
    return len(re.findall("[\n\v]", text[: hit.end()])) + 1


def scripts():
    for file in sorted(ROOT.glob("*/**/*.sh")):
        if file.relative_to(ROOT).parts[0] in ("tests", "tools", "bench", "examples", "bindings", "packaging"):
            yield file


def main():
    texts = {file: code(file.read_text()) for file in scripts()}
    failed = False
    rules = (("there are scripts to look at", None), *RULES)
    for number, (title, pattern) in enumerate(rules, 1):
        found = [] if pattern else [] if len(texts) > 1 else ["there are none"]
        for file, text in texts.items() if pattern else ():
            found += [f"{file.relative_to(ROOT)}:{line_of(text, hit)}" for hit in pattern.finditer(text)]
        for line in found:
            print(f"# {line}")
        print(f"{'not ' if found else ''}ok {number} - {title}")
        failed = failed or bool(found)
    print(f"1..{len(rules)}")
    return failed


sys.exit(main())
