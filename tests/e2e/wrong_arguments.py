#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Each command of the table with every kind of wrong line: an option mistyped, without its value, with one too many, twice, or missing; an
argument missing, empty, or too many; a number that is none. Each is one line that names what is wrong, exit code 2, nothing on standard
output; under --json the same as one object. What there is comes from `cmek --help`. No command gets as far as the module. TAP."""

import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from load_place import Tally  # noqa: E402

BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
NUMBERS = {"N", "SECONDS", "DAYS", "LEVEL"}
# Of arguments and of options, by the names that the usage gives them: something of the right form.
FORMS = {"N": "1", "SECONDS": "1", "DAYS": "1", "LEVEL": "1", "KEY": "local:k", "local:NAME": "local:k", "CLUSTER/DB": "c/d", "C/D": "c/d",
         "yes|no": "yes", "LIST": "wrap", "ROLE": "reader", "SHELL": "bash"}
ok = Tally()


def cmek(*words):
    return subprocess.run([os.path.join(BUILD, "cmek"), *words], env=ENVIRONMENT, capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=60, check=False)


class Command:
    def __init__(self, words):
        self.words = words.split()
        text = cmek(*self.words, "--help").stdout
        usage = text.splitlines()[0].removeprefix(f"usage: cmek {words}")
        self.help = text
        self.required = {name: value for name, value in re.findall(r"(?<!\[)--([a-z-]+) ([^\s\]]+)", re.sub(r"\[[^\]]*\]", "", usage))}
        self.values = {name: value for name, value in re.findall(r"--([a-z-]+) ([^\s\]]+)", usage)}
        self.flags = set(re.findall(r"\[(?:-\w, )?--([a-z-]+)\]", usage))
        rest = re.sub(r"\[[^\]]*-[^\]]*\]", "", usage)
        rest = re.sub(r"--[a-z-]+ \S+", "", rest)
        self.arguments = rest.split()

    def form(self, name):
        return FORMS.get(name, "x")

    def needed(self, but=None):
        return [word for name, value in self.required.items() if name != but for word in (f"--{name}", self.form(value))]

    def given(self):
        return [self.form(name.strip("[].")) for name in self.arguments]


def commands():
    """As `cmek --help` lists them."""
    part = cmek("--help").stdout.split("\nCommands:\n")[1].split("\n\n")[0]
    return [re.match(r"  ([a-z]+( [a-z-]+)?)  ", line + "  ")[1] for line in part.splitlines()]


def fault(words, said, command=1):
    """What is wrong with how a wrong line is refused, of a command of so many words; None."""
    done, as_json = cmek(*words), cmek(*words[:command], "--json", *words[command:])
    lines = done.stderr.splitlines()
    if (done.returncode, done.stdout, len(lines)) != (2, "", 1):
        return f"cmek {words}: exit code {done.returncode}: {done.stdout}{done.stderr}"
    if not lines[0].startswith("cmek: ") or not all(word in lines[0] for word in said):
        return f"cmek {words}: lacks {said}: {lines[0]}"
    try:
        objects = [json.loads(line) for line in as_json.stderr.splitlines()]
    except ValueError:
        return f"cmek {words} --json: {as_json.stderr}"
    if as_json.returncode != 2 or as_json.stdout or len(objects) != 1 or (objects[0]["status"], objects[0]["exit_code"]) != ("usage", 2):
        return f"cmek {words} --json: exit code {as_json.returncode}: {as_json.stdout}{as_json.stderr}"
    return None if objects[0]["message"] == lines[0].removeprefix("cmek: ") else f"cmek {words}: {lines[0]} is not {objects[0]['message']}"


def mistyped(name):
    return name[:1] + name[2:] if len(name) > 4 else None


def wrong_lines(command):
    """(words, what the line must say)"""
    words, given, needed = command.words, command.given(), command.needed()
    for name in sorted(command.flags | set(command.values)):
        if mistyped(name):
            yield [*words, f"--{mistyped(name)}"], [f"--{mistyped(name)}", f"did you mean --{name}?"]
    for name, value in command.values.items():
        yield [*words, *given, f"--{name}"], [f"--{name} needs a value: --{name} {value}"]
        yield [*words, *given, f"--{name}", "--help"], [f"--{name}", "--help is an option"]
        yield [*words, *given, f"--{name}="], [f"--{name}", "nothing is given"]
        yield [*words, *given, f"--{name}=1", f"--{name}=2"], [f"given twice: --{name}"]
        if value in NUMBERS:
            yield [*words, *command.needed(but=name), f"--{name}", "soon", *given], [f"--{name}", "soon"]
    for name in sorted(command.flags):
        yield [*words, *given, f"--{name}=1"], [f"--{name} takes no value"]
        yield [*words, *given, f"--{name}", f"--{name}"], [f"given twice: --{name}"]
    for name in command.required:
        yield [*words, *command.needed(but=name), *given], [f"missing --{name}", "usage: cmek " + " ".join(words)]
    for at, name in enumerate(command.arguments):
        if not name.startswith("["):
            yield [*words, *needed, *given[:at]], [f"missing {name}", "usage: cmek " + " ".join(words)]
        yield [*words, *needed, *given[:at], ""], ["is empty"]
    if not any("..." in name for name in command.arguments):
        yield [*words, *needed, *given, "toomuch"], ["toomuch", "usage: cmek " + " ".join(words)]
    yield [*words, "--frobnicate"], ["--frobnicate", "usage: cmek " + " ".join(words)]
    yield [*words, "-Q"], ["-Q", "usage: cmek " + " ".join(words)]


def check(words):
    command = Command(words)
    lines = list(wrong_lines(command))
    faults = [said for line in lines for said in [fault(*line, len(command.words))] if said]
    ok(not faults, f"cmek {words}: each of {len(lines)} wrong lines is told, with exit code 2", "\n".join(faults))
    return len(lines)


with tempfile.TemporaryDirectory() as folder:
    ENVIRONMENT = {**os.environ, "CMEK_PKCS11_MODULE": os.path.join(folder, "there-is-none.so"), "CMEK_PROJECT": "p", "CMEK_DATABASE": "c/d",
                   "CMEK_PKCS11_CONF": os.path.join(folder, "none.conf")}
    names = commands()
    total = sum(check(name) for name in names)
    ok(len(names) > 40 and total > 400, "there are many commands, and many ways to mistype them", f"{len(names)} commands, {total} lines")
    for wrong, right in (("databse list", "database"), ("database lsit", "database list"), ("encrpyt x", "encrypt"), ("stroe check", "store")):
        said = fault(wrong.split(), [f"did you mean cmek {right}?"], 2)
        ok(said is None, f"cmek {wrong}: the command that was meant is named", said)
print(f"1..{ok.count}")
