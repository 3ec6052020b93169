#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What the pages tell people to type is there: each `cmek …` of docs/, with its options. TAP."""
import glob
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CMEK = os.path.join(os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build")), "cmek")
# In running text a line may end within a command.
SPAN = re.compile(r"`(cmek [^`]*)`")
LINE = re.compile(r"^(?: {4,}|\t)(?:\S+=\S+ )?(cmek .*)$|^(cmek .*)$", re.MULTILINE)
PIPED = re.compile(r"\| *(cmek .*)$", re.MULTILINE)


def helped(words):
    done = subprocess.run([CMEK, *words, "--help"], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 and done.stdout.startswith("usage: cmek ") else None


def usages():
    """Words of a command -> its help."""
    listed = subprocess.run([CMEK, "--help"], capture_output=True, text=True, check=True).stdout
    found = {}
    for line in listed[listed.index("Commands:"):].splitlines()[1:]:
        words = line[2:21].split()
        if not line.startswith("  ") or not words:
            break
        found[tuple(words)] = helped(words)
    return found


def commands(text):
    blocks = "\n".join(re.findall(r"^```.*?\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    spans = [" ".join(span.split()) for span in SPAN.findall(text)]
    lines = [a or b for part in (blocks, text) for a, b in LINE.findall(part)]
    return {command.split("#")[0].split(";")[0].split("|")[0].strip() for command in spans + lines + PIPED.findall(text)}


def wrong_in(command, known):
    """What is wrong with it; None: nothing, or it is no more than a mention."""
    words = command.split()[1:]
    if not words or words[0].startswith("-") or words[0] in ("help", "…", "..."):
        return None
    usage = known.get(tuple(words[:2])) or known.get(tuple(words[:1]))
    if usage is None:
        nouns = {noun for noun, *_ in known}
        return None if words[0] in nouns and len(words) == 1 else "no such command"
    letters = re.findall(r"\(-(\w)\)$", usage, re.MULTILINE)
    for word in words:
        name = word.strip("[]…,.").split("=")[0]
        if name.startswith("--") and name not in ("--json", "--help") and not re.search(rf"{name}\b", usage.splitlines()[0]):
            return f"no option {name}"
        if re.fullmatch(r"-\w", name) and name[1:] not in letters:
            return f"no option {name}"
    return None


def main():
    known, failed = usages(), 0
    pages = sorted(glob.glob(os.path.join(ROOT, "docs", "*.md")) + glob.glob(os.path.join(ROOT, "*.md")))
    pages = [page for page in pages if not page.endswith("CHANGELOG.md")]
    print(f"1..{len(pages)}")
    for number, page in enumerate(pages, 1):
        with open(page, encoding="utf-8") as file:
            found = commands(file.read())
        wrong = [f"{command}: {what}" for command in sorted(found) if (what := wrong_in(command, known))]
        failed += bool(wrong)
        print(f"{'not ok' if wrong else 'ok'} {number} - {os.path.basename(page)}: its {len(found)} commands are there")
        for line in wrong:
            print(f"# {line}")
    sys.exit(failed > 0)


main()
