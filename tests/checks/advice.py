#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Whatever a message tells people to type is a command: each 'cmek NOUN VERB' in a string of the sources is compared with the
tables of commands in cli/, with their options. The pages are read by pages.py."""
import glob
import os
import pathlib
import re
import sys

import tree_words

ROOT = os.environ.get("CMEK_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOURCES = ("aws", "base", "cli", "conf", "crypto", "envelope", "kms", "library", "mechanisms", "net", "objects", "pkcs11", "session", "zones")
STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
JOINED = re.compile(r'"\s*(?:PRI\w+\s*)?"')             # one text in several literals
SAID = re.compile(r"(?:'|`|\b(?:see|with|by|use|run|try) )cmek ((?:-{0,2}[a-z][a-z-]*)(?: -{0,2}[A-Za-z][\w./-]*)*)")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def fault(words, known):
    """What is wrong with the words after `cmek`, or None."""
    words = [word.rstrip(".") for word in words]
    if words[0].startswith(("-", "…")) or len(words) == 1 and words[0] in {command[0] for command in known if command}:
        return None
    name, taken = tree_words.command_of(words, known)
    return tree_words.fault_in_options(name, words[taken:], known) if taken else name


def said():
    """(file, the words after cmek)"""
    for room in SOURCES:
        for path in sorted(glob.glob(os.path.join(ROOT, room, "**", "*.[ch]"), recursive=True)):
            text = "\n".join(STRING.findall(JOINED.sub("", read(path))))
            for words in SAID.findall(text):
                yield os.path.relpath(path, ROOT), words.split()


def main():
    known, found, faults = tree_words.commands(pathlib.Path(ROOT)), 0, []
    for path, words in said():
        found += 1
        wrong = fault(words, known)
        if wrong:
            faults.append(f"{path}: {wrong}: cmek {' '.join(words)}")
    judged = [(["database", "restore"], True), (["database", "undelete", "--label", "x"], False), (["databse"], True),
              (["tree", "--nothing"], True), (["tree", "--json"], False), (["help", "tree"], False)]
    blind = [words for words, bad in judged if bool(fault(words, known)) != bad and words[0] != "help"]
    print("1..3")
    print(f"{'ok' if len(known) > 30 and found > 50 else 'not ok'} 1 - {found} pieces of advice, {len(known) - 1} commands")
    print(f"{'not ok' if blind else 'ok'} 2 - planted faults are found, and what is right is not" + "".join(f"\n# {words}" for words in blind))
    print(f"{'not ok' if faults else 'ok'} 3 - what messages tell people to type exists" + "".join(f"\n# {line}" for line in faults))
    return 1 if faults or blind else 0


if __name__ == "__main__":
    sys.exit(main())
