# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The table of stock programs that tools/check.py prints. A suite says what it tries by a line of its own:

    # consumer: NAME | VERSION | TIER

The tests that follow, up to the next such line, are that program's steps. A tier is believed only if the steps that make
it are among those that passed; else it counts as a failure.
"""
import re

WHOLE, AES, LISTS, ABSENT = "whole hierarchy", "AES only", "loads and lists", "not here"
CONSUMER = re.compile(r"# consumer: (.+?) \| (.+?) \| (.+)$")
RESULT = re.compile(r"(not )?ok\b *\d* *(?:- )?(.*)")
SKIP = re.compile(r"(.*?)(?:^|\s)# *SKIP\b *(.*)", re.IGNORECASE)

# What a tier promises: a name, and what its sentence says.
STEPS = {
    WHOLE: (("wrap", r"\bwrap"), ("unwrap", r"unwrap"), ("encrypt data", r"encrypt|\bread\b|\bseal"),
            ("refuse another database's key", r"the other (zone|database)|another (zone|database)")),
    AES: (("encrypt data", r"encrypt|\bseal"), ("decrypt it", r"decrypt|\bopen")),
    LISTS: (("do anything", r"."),),
    ABSENT: (),
}


def sections(text):
    """The consumers that a suite's output names: rows of name, version, tier, passed, failed, skips, lacks."""
    rows, sentences = [], []
    for line in text.splitlines():
        head, result = CONSUMER.match(line), RESULT.match(line)
        if head:
            rows.append({"name": head[1], "version": head[2], "tier": head[3], "passed": 0, "failed": 0, "skips": []})
            sentences.append([])
        elif result and rows:
            count(rows[-1], sentences[-1], result)
    for row, passed in zip(rows, sentences):
        steps = STEPS.get(row["tier"], (("be a tier", r"$^"),))
        row["lacks"] = [name for name, words in steps if not any(re.search(words, sentence) for sentence in passed)]
    return rows


def count(row, passed, result):
    skip = SKIP.match(result[2])
    if skip:
        row["skips"].append(f"{skip[1]} ({skip[2]})")
    elif result[1]:
        row["failed"] += 1
    else:
        row["passed"] += 1
        passed.append(result[2])


def untrue(rows):
    """What rows claim and do not do, as failures. A row whose steps failed is told by these."""
    return [f"{row['name']} is said to be of tier '{row['tier']}', but no step shows that it can {', '.join(row['lacks'])}"
            for row in rows if row["lacks"] and not row["failed"]]


def verdict(row):
    return f"FAILED, not {row['tier']}" if row["failed"] or row["lacks"] else row["tier"]


def table(rows):
    """Lines to print: a row for each program, why steps were left out, and how many are of each tier."""
    rows = sorted(rows, key=lambda row: (list(STEPS).index(row["tier"]) if row["tier"] in STEPS else len(STEPS), row["name"].lower()))
    shown = [("consumer", "version", "tier", "steps", "skipped")] + [
        (row["name"], row["version"], verdict(row), str(row["passed"]), str(len(row["skips"]))) for row in rows]
    widths = [max(len(line[column]) for line in shown) for column in range(5)]
    yield from ("  ".join(field.ljust(width) for field, width in zip(line, widths)).rstrip() for line in shown)
    for row in rows:
        yield from (f"  left out of {row['name']} {row['version']}: {reason}" for reason in row["skips"])
    tiers = [verdict(row) for row in rows]
    yield "Consumers: " + ", ".join(f"{tiers.count(tier)} {tier}" for tier in STEPS) + f", {sum(tier not in STEPS for tier in tiers)} failed"
