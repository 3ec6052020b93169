#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""How the suites are run: what tests/cmocka_tap.py makes of cmocka's output, that no test depends on what was installed when the build was
configured, and that tools/check.py sees each script. TAP."""

import glob
import importlib.util
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
TOOLS = ("python3", "cc", "gcc", "clang", "ccache")

# title, what a program writes, how it ends, what is made of it, the exit code; lines are separated by "|"
CASES = (
    ("results stay as they are", "1..2|ok 1 - a|not ok 2 - b|# x.c:1: error|# not ok - tests", "exit 1",
     "ok 1 - a|not ok 2 - b|# x.c:1: error|# not ok - tests|1..2", 1),
    ("a skip of cmocka 1.1.5 is no failure, and has its reason", "1..2|# reason: no root|not ok 1 # SKIP a|ok 2 - b", "exit 0",
     "ok 1 - a # SKIP no root|ok 2 - b|1..2", 0),
    ("nor is one of cmocka 1.1.7", "1..2|# reason: no root|ok 1 # SKIP a|ok 2 - b", "exit 0",
     "ok 1 - a # SKIP no root|ok 2 - b|1..2", 0),
    ("a reason is for one skip alone", "1..2|# reason: no root|not ok 1 # SKIP a|not ok 2 # SKIP b", "exit 0",
     "ok 1 - a # SKIP no root|ok 2 - b # SKIP no reason given|1..2", 0),
    ("groups count through, under one plan", "1..1|ok 1 - a|1..2|ok 1 - b|ok 2 - c", "exit 0",
     "ok 1 - a|ok 2 - b|ok 3 - c|1..3", 0),
    ("what a test prints is a comment", "1..1|hello|ok 1 - a", "exit 0", "# hello|ok 1 - a|1..1", 0),
    ("a program that is left out stays so", "1..0 # SKIP SoftHSM2 is not installed", "exit 0", "1..0 # SKIP SoftHSM2 is not installed", 0),
    ("tests that were announced and did not run are a failure", "1..2|ok 1 - a", "exit 0", "ok 1 - a|1..2", 1),
    ("so is a program that says nothing", "# x", "exit 0", "# x|1..1", 1),
    ("and one that crashes", "1..2|ok 1 - a", "kill -SEGV $$", "ok 1 - a|1..2|# ended by SIGSEGV", 139),
)


# title, what a suite writes, the tier that the table shows, how many failures it adds
TIERS = (
    ("a consumer that wraps, unwraps, encrypts and is refused by the other zone does the whole hierarchy",
     "# consumer: x | 1 | whole hierarchy|ok 1 - it wraps|ok 2 - it unwraps|ok 3 - it encrypts|ok 4 - the other zone refuses", "whole hierarchy", 0),
    ("one that skips a step of its tier does not",
     "# consumer: x | 1 | whole hierarchy|ok 1 - it wraps|ok 2 - it unwraps # SKIP no|ok 3 - it encrypts|ok 4 - the other zone refuses",
     "FAILED, not whole hierarchy", 1),
    ("nor does one of which a step failed", "# consumer: x | 1 | loads and lists|ok 1 - it loads|not ok 2 - it lists", "FAILED, not loads and lists", 0),
    ("steps of the next are not those of the one before",
     "# consumer: x | 1 | AES only|# consumer: y | 1 | AES only|ok 1 - it encrypts|ok 2 - it decrypts", "FAILED, not AES only", 1),
    ("a tier that nobody knows is a failure", "# consumer: x | 1 | best of all|ok 1 - it encrypts", "FAILED, not best of all", 1),
    ("one that is not here claims nothing", "# consumer: x | - | not here|ok 1 - it loads # SKIP it is not installed", "not here", 0),
)


def load_check():
    sys.path.insert(0, os.path.join(ROOT, "tools"))
    spec = importlib.util.spec_from_file_location("check", os.path.join(ROOT, "tools", "check.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(text, end, under=""):
    """What cmocka_tap.py makes of a program that writes this and ends so."""
    words = " ".join(f"'{line}'" for line in text.split("|"))
    done = subprocess.run([os.path.join(ROOT, "tests", "cmocka_tap.py"), "sh", "-c", f"printf '%s\\n' {words}; {end}"],
                          env=os.environ | {"CMEK_TEST_UNDER": under}, capture_output=True, text=True, check=False)
    return "|".join(done.stdout.splitlines()), done.returncode


def count(check, text, status):
    suite = check.Suite("").read_tap(text.replace("|", "\n"), status and f"status {status}")
    return suite.passed, len(suite.failures), suite.skips


def strangers():
    """Files outside the sources and the build that a test was given when the build was configured: (test, word)."""
    with open(os.path.join(BUILD, "meson-info", "intro-tests.json"), encoding="utf-8") as file:
        for test in json.load(file):
            for word in test["cmd"] + list(test["env"].values()):
                path = word.removeprefix("-I")
                if path.startswith("/") and not path.startswith((ROOT + "/", BUILD + "/")) and path not in (ROOT, BUILD) \
                        and not os.path.basename(path).startswith(TOOLS):
                    yield test["name"], word


def unseen():
    """Scripts that tools/check.py passes over, since they can't be executed."""
    for folder in ("e2e", "consumers", "consumers/compiled", "bindings", "sweeps"):
        for name in sorted(os.listdir(os.path.join(ROOT, "tests", folder))):
            path = os.path.join(ROOT, "tests", folder, name)
            if not os.path.isfile(path) or os.access(path, os.X_OK):
                continue
            with open(path, "rb") as file:
                if file.read(2) == b"#!":
                    yield f"tests/{folder}/{name}"


def strange_threads():
    """Tests in C that start threads, and that the thread sanitizer would not see."""
    with open(os.path.join(BUILD, "meson-info", "intro-tests.json"), encoding="utf-8") as file:
        suites = {test["name"]: [suite.rpartition(":")[2] for suite in test["suite"]] for test in json.load(file)}
    for folder, named in (("unit", lambda path: path.replace("/", "_")), ("module", os.path.basename)):
        base = os.path.join(ROOT, "tests", folder)
        for path in sorted(glob.glob("**/*.c", root_dir=base, recursive=True)):
            with open(os.path.join(base, path), encoding="utf-8") as file:
                starts = "pthread_create(" in file.read()
            if starts and "threads" not in suites.get(named(path.removesuffix(".c")), ["threads"]):
                yield f"tests/{folder}/{path}"


def unbuilt_threads():
    """Programs of suite threads that the thread sanitizer's build does not make (threaded_programs)."""
    with open(os.path.join(ROOT, "tests", "module", "meson.build"), encoding="utf-8") as file:
        text = file.read()
    made = re.findall(r"\w+", "".join(re.findall(r"threaded_programs \+= \[(.*?)\]", text, re.DOTALL)))
    for program in re.findall(r"args: (\w+), suite: \[[^\]]*'threads'", text):
        if program not in made:
            yield program


def main():
    check, results = load_check(), []
    for title, text, end, expected, status in CASES:
        answer = run(text, end)
        results.append((title, answer == (expected, status), f"{answer}"))
    same = [title for title, text, end, expected, status in CASES if "nothing" not in title and
            count(check, text, status) != count(check, expected, status)]
    results.append(("tools/check.py counts the same in both", not same, f"{same}"))
    for title, text, tier, untrue in TIERS:
        rows = check.consumers.sections(text.replace("|#", "\n#").replace("|ok", "\nok").replace("|not ok", "\nnot ok"))
        shown = next(iter(check.consumers.table(rows[:1]))), check.consumers.verdict(rows[0]), len(check.consumers.untrue(rows))
        results.append((title, shown[1:] == (tier, untrue), f"{shown}"))
    answer = run("1..1|ok 1 - a", "exit 0", "env VARIABLE=1")
    results.append(("a command may stand before the program", answer == ("ok 1 - a|1..1", 0), f"{answer}"))
    found = list(strangers())
    results.append(("no test is told at configuration what is installed: it looks when it runs", not found, f"{found}"))
    found = list(unseen())
    results.append(("each script in e2e, consumers, consumers/compiled, bindings and sweeps can be executed, so that it is run", not found, f"{found}"))
    found = list(strange_threads())
    results.append(("each test that starts threads is of suite threads, for the thread sanitizer", not found, f"{found}"))
    found = list(unbuilt_threads())
    results.append(("each program of suite threads is built for the thread sanitizer", not found, f"{found}"))
    for number, (title, good, details) in enumerate(results, 1):
        print(f"{'ok' if good else 'not ok'} {number} - {title}" + ("" if good else f"\n# {details}"))
    print(f"1..{len(results)}")
    return 0 if all(good for _, good, _ in results) else 1


if __name__ == "__main__":
    sys.exit(main())
