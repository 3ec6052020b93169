#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""How much of each source the tests in C reach: reach.py BUILD, a build with -Db_coverage=true.

Runs the suites `unit` and `module` there, without hours and rounds that reach the same lines again, and prints TAP, a
line for each source of the module and the tool. A source whose lines they do not reach to LEAST percent has no test
worth the name. What programs and scripts reach besides (tests/e2e, tests/consumers) is not counted.
"""
import collections
import concurrent.futures
import glob
import json
import os
import pathlib
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDERS = ("base", "crypto", "net", "aws", "kms", "zones", "objects", "mechanisms", "session", "pkcs11", "envelope", "library", "cli")
LEAST, FILES_AT_ONCE = 70, 50
# Reached otherwise, and how: percent that is enough here, and why.
OTHERWISE = {
    "crypto/providers.c": (15, "its FIPS half runs in a child of test_crypto_crypto that ends by _exit, which counts nothing"),
    "cli/main.c": (0, "the program's standard streams: tests/e2e/arguments.sh and files.sh"),
    "cli/policy.c": (15, "needs a root key of AWS: tests/e2e/policy.py"),
    "cli/policy_aws.c": (0, "the same"),
    "cli/pin.c": (25, "prompts and variables: tests/consumers/pin.sh"),
    "cli/stream.c": (60, "terminals, pipes and special files: tests/e2e/files.sh, files_at_once.py"),
    "pkcs11/unsupported.c": (55, "each is called by tests/consumers/return_values.py"),
    "session/find.c": (60, "a search in a store of which a part is known: tests/unit/zones/domain/large.c has its lower half"),
    "cli/policy_store.c": (50, "needs etcd, or a table: tests/sweeps/store_rights.py, tests/e2e/store_dynamodb.py"),
}


def sources():
    return sorted(path for folder in FOLDERS for path in glob.glob(f"{folder}/**/*.c", root_dir=ROOT, recursive=True))


def run_tests(build):
    subprocess.run(["ninja", "-C", build, "-t", "cleandead"], capture_output=True, check=True)
    for old in pathlib.Path(build).rglob("*.gcda"):
        old.unlink()
    return subprocess.run(["meson", "test", "-C", build, "--no-rebuild", "--suite", "unit", "--suite", "module",
                           "--no-suite", "hours", "--num-processes", str((os.cpu_count() or 1) + 1), "--timeout-multiplier", "10"],
                          cwd=ROOT, env=dict(os.environ, CMEK_FUZZ_ROUNDS="500"), capture_output=True, text=True, check=False)


def objects(build):
    for data in pathlib.Path(build).rglob("*.gcno"):   # a source of another folder gives a name that begins with dots
        if not data.with_suffix(".o").exists():
            continue                               # of a program that is no more
        if "tests" in data.relative_to(build).parts and not data.name.startswith(".."):
            continue                               # a test itself
        yield data


def gcov(build, some):
    answer = subprocess.run(["gcov", "--json-format", "--stdout", *some], cwd=build, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in answer.stdout.splitlines()]


def counts(build):
    """source -> line -> how often it ran, over all programs that hold it."""
    lines = collections.defaultdict(collections.Counter)
    every = list(objects(build))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as lanes:
        documents = lanes.map(lambda at: gcov(build, every[at:at + FILES_AT_ONCE]), range(0, len(every), FILES_AT_ONCE))
        for document in (document for some in documents for document in some):
            for file in document["files"]:
                path = os.path.join(document["current_working_directory"], file["file"])
                for line in file["lines"]:
                    lines[os.path.relpath(path, ROOT)][line["line_number"]] += line["count"]
    return lines


def judge(number, source, lines, built):
    least, why = OTHERWISE.get(source, (LEAST, ""))
    if not lines:
        print(f"{'ok' if built else 'not ok'} {number} - {source}: " + ("tables, without a line to run" if built else "no program counts it"))
        return built
    percent = 100 * sum(1 for count in lines.values() if count) // len(lines)
    good = percent >= least
    print(f"{'ok' if good else 'not ok'} {number} - {source}: {percent} % of {len(lines)} lines" + (f" ({why})" if why else ""))
    if not good:
        print(f"# at least {least} % should be; not reached: " + " ".join(str(n) for n, count in sorted(lines.items()) if not count))
    return good


def main():
    build = os.path.abspath(sys.argv[1])
    ran = run_tests(build)
    lines, listed = counts(build), sources()
    print(f"1..{len(listed) + 1}")
    print(f"{'not ok' if ran.returncode else 'ok'} 1 - the tests that count pass")
    if ran.returncode:
        print("# " + ran.stdout[-3000:].replace("\n", "\n# "))
    built = {data.name.lstrip("._") for data in objects(build)}
    good = [judge(number, source, lines[source], source.replace("/", "_") + ".gcno" in built) for number, source in enumerate(listed, 2)]
    return 0 if all(good) and not ran.returncode else 1


if __name__ == "__main__":
    sys.exit(main())
