# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What a text may name, read from the tables of the sources: commands, settings, variables, names of PKCS #11 and of cmek.h, statuses.
For the checks that hold messages (advice.py) and pages (pages.py) against them."""
import re


class Command:
    """A row of a table of commands in cli/: option → whether it has a value; the least and the greatest number of operands (None: no greatest)."""

    def __init__(self, positional, options):
        words = positional.split()
        self.options = options
        self.least = sum(1 for word in words if "[" not in word)
        self.most = None if "..." in positional else len(words)


def rows_of(body, macros):
    """Rows of options in a list of cli/: name → (has a value, letter)."""
    found = {name: (value != "NULL", letter) for name, value, letter in
             re.findall(r'\{ "([a-z-]+)", (NULL|"[^"]*"),(?:[^{}]*?\'(.)\')?', body)}
    for macro, rows in macros.items():
        found |= rows if re.search(rf"\b{macro}\b", body) else {}
    return found


def commands(root):
    """{(noun, verb or None): Command}; None: the options of every command"""
    text = "\n".join(path.read_text(encoding="utf-8") for path in sorted((root / "cli").glob("*.[ch]")))
    macros = {}
    for name, body in re.findall(r"^#define (\w+)(?:\(\w+\))? ((?:[^\n]*\\\n)*[^\n]*)", text, re.M):
        macros[name] = rows_of(body, {})
    lists = {name: rows_of(body, macros) for name, body in re.findall(r"struct option_row (\w+)\[\] = \{(.*?)\};", text, re.DOTALL)}
    known = {None: lists["common_options"]}
    tables = re.findall(r"static const struct command \w*rows\[\] = \{(.*?)\n\};", text, re.DOTALL)
    for row in (row for table in tables for row in re.split(r"\n\t\{ ", table)[1:]):
        noun, verb, positional = re.match(r'"([a-z]+)", (?:"([a-z-]+)"|NULL), "([^"]*)"', row).groups()
        options = re.search(r"\t  (\w+), \w+ \},?\s*(?:\n|$)", row)
        known[noun, verb] = Command(positional, lists.get(options[1], {}) if options else {})
    return known


def letters(known):
    """Letter → the option that it stands for."""
    rows = [command.options for key, command in known.items() if key] + [known[None]]
    return {letter: name for options in rows for name, (_, letter) in options.items() if letter}


def fault_in_options(name, words, known):
    """What is wrong with the options among words of the command; None: nothing."""
    options, short = known[name].options | known[None], letters(known)
    for word in words:
        if word.startswith("--") and word[2:].split("=")[0] not in options:
            return f"has no {word.split('=')[0]}"
        if re.fullmatch(r"-[a-zA-Z0-9]+", word) and any(short.get(letter) not in options for letter in word[1:]):
            return f"has no {word}"
    return None


def command_of(words, known):
    """(the command that words after `cmek` begin with, how many of them name it), or what is wrong."""
    noun, verb = words[0], words[1] if len(words) > 1 else None
    if (noun, verb) in known:
        return (noun, verb), 2
    if (noun, None) in known:
        return (noun, None), 1
    nouns = {command[0] for command in known if command}
    return (f"cmek {noun} has no {verb}" if verb else None) if noun in nouns else f"there is no command {noun}", 0


def fault_in_line(words, known):
    """What is wrong with a whole line, the words after `cmek`; None: it would be taken."""
    if words[:1] == ["help"] or not words or words[0].startswith("-"):
        return None
    name, taken = command_of(words, known)
    if not taken:
        return name or f"cmek {words[0]} is not a whole command"
    wrong = fault_in_options(name, words[taken:], known)
    if wrong:
        return f"cmek {' '.join(words[:taken])} {wrong}"
    options, short, operands, left = known[name].options | known[None], letters(known), 0, iter(words[taken:])
    for word in left:
        option = word[2:] if word.startswith("--") else short.get(word[-1:]) if re.fullmatch(r"-\w+", word) else None
        if option is None:
            operands += 1
        elif "=" not in option and options[option][0] and next(left, None) is None:
            return f"cmek {' '.join(words[:taken])}: {word} has no value"
    if operands < known[name].least or known[name].most is not None and operands > known[name].most:
        return f"cmek {' '.join(words[:taken])} takes another number of operands than {operands}"
    return None


def settings(root):
    """(section, key) → (form, choices): the rows of pkcs11/config.c, and of the providers."""
    own = re.findall(r'^\t\{ "([a-z]+)",\s+"([a-z_]+)",\s+(\w+),([^\n]*)', (root / "pkcs11/config.c").read_text(encoding="utf-8"), re.M)
    found = {(section, key): (form, (re.findall(r'"([^"]*)"', rest) or [""])[0].split()) for section, key, form, rest in own}
    for path in sorted(root.glob("kms/*/provider.c")):
        rows = re.findall(r'^\t\{ ?"([a-z_]+)",\s+KMS_SETTING_(\w+),', path.read_text(encoding="utf-8"), re.M)
        found |= {(path.parent.name, key): (form, []) for key, form in rows}
    return found


def pkcs11_names(root):
    """Names of functions, numbers and types that the headers have."""
    text = "".join(path.read_text(encoding="utf-8") for path in sorted((root / "include").rglob("*.h")))
    return set(re.findall(r"\b(?:CK[A-Z]*|C|CMEK|CRYPTOKI)_\w+", text)) | {"KMS_" + name for name in statuses(root)}


def statuses(root):
    text = (root / "net/statuses.h").read_text(encoding="utf-8")
    return set(re.findall(r"\bROW\((\w+),", text)) | {"OK", "NO_MEMORY"}


def variables(root):
    """Environment variables that the sources read, or whose names tests and tools know."""
    found = set()
    for folder in ("aws", "base", "cli", "kms", "net", "pkcs11", "tests", "tools", "Makefile"):
        top = root / folder
        for path in [top] if top.is_file() else sorted(top.rglob("*")):
            if path.is_file() and path.suffix in (".c", ".h", ".py", ".sh", ""):
                text = path.read_text(encoding="utf-8", errors="replace")
                found |= set(re.findall(r'"([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)"' if path.suffix in (".c", ".h") else r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b", text))
    return found
