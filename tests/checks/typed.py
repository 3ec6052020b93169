#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Every command of cmek with each of its options, every letter of an option, and every setting is typed by a script of tests/: as a
person would, not through a function of the sources. What there is to type stands in the manual's synopsis, which arguments.sh holds
to the table of commands, and in the table of settings. TAP.

    typed.py [ROOT]"""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
ROOT = ROOT.parents[2] if ROOT.is_file() else ROOT
FOLDERS = ("tests/e2e", "tests/sweeps", "tests/consumers")


# --- What there is to type


def commands():
    """"database create" → the names of its options."""
    manual = (ROOT / "man/cmek.1").read_text()
    synopsis = manual[manual.index(".Sh SYNOPSIS"):manual.index(".Sh DESCRIPTION")]
    found = {}
    for entry in synopsis.split("\n.Nm\n")[1:]:
        words = re.search(r"^\.Cm (.*)", entry, re.M)[1]
        found[words] = set(re.findall(r"Fl -([a-z-]+)", entry))
    return found


def common_options():
    manual = (ROOT / "man/cmek.1").read_text()
    part = manual[manual.index(".Ss Options everywhere"):manual.index(".Sh ENVIRONMENT")]
    return set(re.findall(r"^\.It Fl -([a-z-]+)", part, re.M))


def letters():
    """"recursive" → "r"; of a row of options in cli/."""
    rows = (row for path in sorted((ROOT / "cli").glob("*.c")) for row in path.read_text().splitlines())
    return dict(match.groups() for row in rows if (match := re.search(r'\{ "([a-z-]+)", .*, \'(.)\' \}', row)))


def settings():
    return re.findall(r'^\t\{ "([a-z]+)",\s+"([a-z_]+)",', (ROOT / "pkcs11/config.c").read_text(), re.M)


# --- What is typed


def scripts():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".sh", ".py", ".js") and path.is_file():
                yield path.read_text()


def lines_of(text):
    """As words: without comments, and with what a line goes on with. What a test is called and what it looks for is not typed."""
    text = re.sub(r"^\s*#.*", "", text, flags=re.M).replace("\\\n", " ")
    text = re.sub(r'\b(ok|refused|skip) +(?:"[^"\n]*"|\'[^\'\n]*\')', r"\1", text)
    text = re.sub(r'\bsays +"[^"\n]*"', "", text)
    depth, line = 0, ""
    for row in text.splitlines():
        line += " " + row
        depth = max(0, depth + len(re.findall(r"[\[(]", row)) - len(re.findall(r"[\])]", row)))
        if depth == 0 or len(line) > 2000:
            yield re.sub(r"[\"'`,()\[\]{}*;$]", " ", line).split()
            depth, line = 0, ""


def options_in(words, known):
    """The options among words, by their letters too: up to the next command."""
    found = set()
    for word in words:
        if word.startswith("--"):
            found.add(word[2:].split("=")[0])
        elif re.fullmatch(r"-[a-z0-9]+", word):
            found.update(name for name, letter in known.items() if letter in word[1:])
            found.update(f"-{letter}" for letter in word[1:])
    return found


def typed(wanted, known):
    """Command → the options it was typed with; a command of two words stands before the noun alone."""
    found = {}
    order = sorted(wanted, key=lambda command: -len(command.split()))
    for text in scripts():
        for words in lines_of(text):
            at = 0
            while at < len(words):
                command = next((c for c in order if words[at:at + len(c.split())] == c.split()), None)
                at += 1 if command is None else len(command.split())
                if command is not None:
                    found.setdefault(command, set()).update(options_in(words[at:at + 60], known))
    return found


def is_set(section, key, text, alone):
    """Behind its section or, one that only this section has, where a text begins."""
    begins = rf"(?:[\"']|\\n){key} = "
    return re.search(rf"\[{section}\](?:(?!\n *\[[a-z]+\]).){{0,400}}?(?:\b|\\n){key} *=", text, re.S) or alone and re.search(begins, text)


def main():
    wanted, known = commands(), letters()
    found = typed(wanted, known)
    everywhere = set().union(*found.values())
    text = "\n".join(scripts())
    keys = [key for _, key in settings()]
    manual, table = "man/cmek.1", "pkcs11/config.c"
    results = (
        ("every command is typed", manual, sorted(set(wanted) - set(found)), len(wanted) > 30),
        ("every option of each", manual, [f"cmek {command} --{option}" for command in sorted(wanted)
                                          for option in sorted(wanted[command] - found.get(command, set()))], True),
        ("every option that all have", manual, [f"--{name}" for name in sorted(common_options() - everywhere)], len(common_options()) > 5),
        ("every letter", "cli/", [f"-{letter}" for letter in sorted(known.values()) if f"-{letter}" not in everywhere], len(known) > 3),
        ("every setting", table, [f"[{section}] {key}" for section, key in settings()
                                  if not is_set(section, key, text, keys.count(key) == 1)], len(keys) > 30),
    )
    for number, (title, source, missing, enough) in enumerate(results, 1):
        for what in missing:
            print(f"# {source} has {what}, which no script of {', '.join(FOLDERS)} types")
        print(f"{'ok' if enough and not missing else 'not ok'} {number} - {title}")
    print(f"1..{len(results)}")
    return any(missing or not enough for _, _, missing, enough in results)


sys.exit(main())
