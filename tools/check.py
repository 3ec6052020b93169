#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Runs the tests and counts every single one: check.py check | check-all | newer | units FOLDER | sum FILE...

Each suite reports by TAP: cmocka programs (by tests/cmocka_tap.py) and scripts alike. The last line printed is
'N passed, N failed, N skipped'; the exit code is 0 only if nothing failed and something passed. A suite that dies,
hangs or runs fewer tests than it announced has failed, whatever it printed. How to write a suite: CONTRIBUTING.md.
"""
import concurrent.futures
import glob
import json
import os
import queue
import re
import select
import shutil
import signal
import subprocess
import sys
import time

import consumers

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(ROOT, "build")
CI = os.environ.get("CI") == "true"                # nobody's compiler but ours: its warnings are errors at once
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "LSAN_OPTIONS": "print_suppressions=0",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
    "CMEK_FUZZ_ROUNDS": "5000",                    # of 20,000 without a sanitizer
}
UNITS = ["--suite", "unit", "--suite", "module"]
LANES = (os.cpu_count() or 1) + 1                  # some of them wait, for a clock, a lock or a server
AT_ONCE = ["--num-processes", str(LANES)]
# Those that take longest begin first, so that none is left to run alone.
LONG = ("demo.sh", "return_values.py", "pin.sh", "changed_hands.sh", "attacks.py", "multi_region.py", "memory_shortage.sh",
        "deb.sh", "archive.sh", "memory_shortage_tool.sh", "store_dynamodb.py", "memory_shortage_calls.sh", "kill_each_write.sh")
RESULT = re.compile(r"(not )?ok\b *(\d*) *(?:- )?(.*)")
DIRECTIVE = re.compile(r"(.*?)(?:^|\s)# *SKIP\b *(.*)", re.IGNORECASE)
PLAN = re.compile(r"1\.\.(\d+)(?: *# *SKIP *(.*))?$", re.IGNORECASE)


class Suite:
    """The count of one row of the table."""

    def __init__(self, name):
        self.name, self.passed, self.failures, self.skips, self.seconds, self.cpu = name, 0, [], [], 0.0, None
        self.consumers = []                        # rows of tools/consumers.py

    def add(self, other):
        self.passed += other.passed
        self.failures += [f"{other.name}: {text}" for text in other.failures]
        self.skips += [f"{other.name}: {text}" for text in other.skips]

    def read_tap(self, text, status):
        """Counts the tests of one program's output; `status` is 0 or says how it ended."""
        planned, plans, reason, details = 0, 0, "", None
        for line in text.splitlines():
            plan, result = PLAN.match(line), RESULT.match(line)
            if plan:
                planned, plans = planned + int(plan[1]), plans + 1
                if plan[2]:
                    self.skips.append(plan[2])
            elif result:
                details = self.read_result(result, reason)
                reason = ""
            elif line.startswith("# reason:"):     # cmocka's skip() has no place for it
                reason = line[len("# reason:"):].strip()
            elif line.startswith("#") and details is not None:
                details.append(line[1:].strip())
        counted = self.passed + len(self.failures) + len(self.skips)
        self.failures = [text if isinstance(text, str) else " | ".join(text[:6]) for text in self.failures]
        if counted < planned:
            self.failures.append(f"only {counted} of {planned} tests ran")
        if counted and not plans:
            self.failures.append("it ended before it said how many tests there are")
        if status and not self.failures:
            self.failures.append(f"ended with {status}")
        self.consumers = consumers.sections(text)
        self.failures += consumers.untrue(self.consumers)
        if not status and counted == 0 and not self.failures:
            self.passed = 1                        # a program without TAP is one test
        return self

    def read_result(self, result, reason):
        skip = DIRECTIVE.match(result[3])
        if skip:                                   # cmocka 1.1.5 writes "not ok 2 # SKIP name"
            name, why = (skip[1], skip[2]) if skip[1] else (skip[2], reason)
            self.skips.append(f"{name} ({why or 'no reason given'})")
            return None
        if result[1]:
            self.failures.append([result[3]])
            return self.failures[-1]
        self.passed += 1
        return None


def say(text):
    print(text, flush=True)


def environment(**more):
    """What every suite may rely on; see tests/lib.sh."""
    env = dict(os.environ, CMEK_ROOT=ROOT, CMEK_BUILD=BUILD, CMOCKA_MESSAGE_OUTPUT="TAP", LC_ALL="C.UTF-8")
    env["PATH"] = os.path.join(BUILD, "venv", "bin") + os.pathsep + env["PATH"]
    env["NODE_PATH"] = os.path.join(BUILD, "node", "node_modules")
    env.update(more)
    return env


def run(command, seconds, env=None):
    """Output, how it ended (0, or words), and the processor's seconds. The whole process group is ended at the time limit, which
    counts for whoever has the output open, too."""
    end, output = time.monotonic() + seconds, bytearray()
    child = subprocess.Popen(command, cwd=ROOT, env=env or environment(), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    with child.stdout, os.fdopen(os.pidfd_open(child.pid)) as ended:
        waited = [child.stdout, ended]
        while waited and (ready := select.select(waited, [], [], max(0, end - time.monotonic()))[0]):
            piece = os.read(child.stdout.fileno(), 1 << 16) if child.stdout in ready else b""
            output += piece
            waited = [one for one in waited if one not in ready or (one is child.stdout and piece)]
        if waited:
            os.killpg(child.pid, signal.SIGKILL)
        _, code, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(code)
        status = f"a time-out after {seconds} s" if waited else child.returncode and f"status {child.returncode}"
        return output.decode(errors="replace"), status, used.ru_utime + used.ru_stime


def build(folder, options=(), env=None, row=None, target=""):
    """True if it built, all or a target; a failure becomes a row. With `row`, success is counted too."""
    start, suite = time.time(), Suite(row or f"build of {folder}")
    output, status, suite.cpu = run(["tools/build.sh", folder, *options], 1200, (env or environment()) | {"CMEK_TARGET": target})
    if status:
        say(output)
        suite.failures.append(f"{folder}: {status}")
    suite.passed = 0 if status else 1
    suite.seconds = time.time() - start
    return ([suite] if status or row else []), not status


def meson_test(folder, arguments, prefix="", one_row=None, env=None, seconds=2400):
    """A row for each meson test, or a single one named `one_row` for them all."""
    for old in glob.glob(os.path.join(ROOT, folder, "meson-logs", "testlog*.json")):
        os.remove(old)
    start = time.time()
    if "--timeout-multiplier" not in arguments:    # a time limit is for what hangs, not for a slow machine
        arguments = [*arguments, "--timeout-multiplier", "5"]
    output, status, cpu = run(["meson", "test", "-C", folder, "--no-rebuild", *arguments], seconds,
                         environment(CMEK_BUILD=os.path.join(ROOT, folder), **(env or {})))
    suites = []
    for log in glob.glob(os.path.join(ROOT, folder, "meson-logs", "testlog*.json")):
        with open(log, encoding="utf-8") as lines:
            suites += [read_meson(json.loads(line), prefix) for line in lines]
    if status and not any(suite.failures for suite in suites):
        suites.append(Suite(f"meson test of {folder}"))
        suites[-1].failures.append(f"{status}: {output[-500:]}")
    if not suites:
        suites.append(Suite(one_row or f"meson test of {folder}"))
        suites[-1].failures.append(f"no test is of {' '.join(arguments)}")
    if one_row is None:
        return suites
    total = Suite(one_row)
    for suite in suites:
        total.add(suite)
    total.seconds, total.cpu = time.time() - start, cpu
    return [total]


def read_meson(test, prefix):
    suite = Suite(prefix + test["name"].split(":")[-1])
    bad = test["result"] in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT")
    suite.read_tap(test.get("stdout") or "", f"{test['result']} {test.get('returncode', '')}" if bad else 0)
    if suite.failures:
        say(f"--- {suite.name}:\n{(test.get('stdout') or '')[-4000:]}{(test.get('stderr') or '')[-4000:]}---")
    suite.seconds = test.get("duration", 0.0)
    return suite


def run_script(command, seconds, more=None, how=""):
    start = time.time()
    output, status, cpu = run(command, seconds, environment(**(more or {})))
    suite = Suite(os.path.relpath(command[0], os.path.join(ROOT, "tests")) + how).read_tap(output, status)
    if suite.failures:
        say(f"--- {suite.name}:\n{output[-8000:]}---")
    suite.seconds, suite.cpu = time.time() - start, cpu
    return suite


def scripts(*patterns, seconds=900, but=()):
    """Each executable file is a suite. Some run at once: they share nothing, and each is one process, which waits, most of the time."""
    paths = sorted((path for pattern in patterns for path in glob.glob(os.path.join(ROOT, "tests", pattern))
                    if os.path.isfile(path) and os.access(path, os.X_OK) and os.path.basename(path) not in but),
                   key=lambda path: (os.path.basename(path) not in LONG, path))
    with concurrent.futures.ThreadPoolExecutor(LANES) as lanes:
        yield from lanes.map(lambda path: run_script([path], seconds), paths)


def together(*lines):
    """The rows of several lines of work that go on at once, as they come: one waits while another computes."""
    rows = queue.Queue()

    def walk(line):
        try:
            for row in line:
                rows.put(row)
        finally:
            rows.put(None)

    with concurrent.futures.ThreadPoolExecutor(len(lines)) as lanes:
        walks = [lanes.submit(walk, line) for line in lines]
        for _ in lines:
            yield from iter(rows.get, None)
        for done in walks:
            done.result()                          # what broke one of them breaks the run


def quick(*flags, **more):
    """The options and the environment of a build that is there for what it finds: debug information for lines alone, and the quicker linker."""
    linker = {"CC_LD": "gold"} if shutil.which("ld.gold") else {}
    return [f"-Dc_args={' '.join(['-g1', *flags])}"], environment(**linker, **more)


def sanitized(folder, sanitizers, title, wrapper=None, arguments=UNITS, row=None, target=""):
    """With `row`, the build is one of gcc without a warning, and counted as that; else of a target alone, if there is one."""
    options, env = quick(**{"CC": "gcc"} if row else {})
    rows, built = build(folder, [f"-Db_sanitize={sanitizers}", "-Db_lundef=false", "-Doptimization=1", *options,
                                 *(["-Dwerror=true"] if row else [])], env, row, "" if row else target)
    yield from rows
    if built:
        yield from meson_test(folder, [*arguments, *AT_ONCE, *(["--wrapper", wrapper] if wrapper else [])],
                              one_row=title, env=SANITIZER_ENV)


def slow():
    yield from meson_test("build", ["--suite", "slow", "--timeout-multiplier", "10"], prefix="slow/")


def reached():
    options, env = quick()
    rows, built = build("build-coverage", ["-Db_coverage=true", "-Doptimization=0", *options], env)
    yield from rows
    if built:
        yield run_script([os.path.join(ROOT, "tests", "checks", "reach.py"), "build-coverage"], 1800)


def with_sanitizers():
    yield from sanitized("build-asan", "address,undefined", "units with address and undefined sanitizers",
                         arguments=[*UNITS, "--no-suite", "hours"])


def ordinary_build():
    return build("build", ["-Dwerror=true"], row="gcc without warnings") if CI else build("build")


def check():
    rows, built = ordinary_build()
    yield from rows
    if not built:
        return
    yield from meson_test("build", ["--no-suite", "slow", *AT_ONCE])
    yield from together(with_sanitizers(), scripts("e2e/*", "consumers/*"))


def check_all():
    with concurrent.futures.ThreadPoolExecutor(1) as meanwhile:
        meanwhile.submit(run, ["tools/fresh.sh", "base", "bookworm"], 1200)  # for sweeps/deb.sh, which says if it can't be
        debian = meanwhile.submit(run, ["tools/trixie.sh", "make"], 1200)
        yield from check_all_here(lambda: check_in_debian(*debian.result()[:2]))


def by_clang():
    """Each test under valgrind or without it, and a few both ways, as tests/meson.build says. Valgrind 3.19 can't read what clang writes by DWARF 5."""
    options, env = quick("-gdwarf-4", CC="clang")
    rows, built = build("build-clang", ["-Dwerror=true", "-Doptimization=1", *options], env, "clang without warnings")
    yield from rows
    if not built:
        return
    yield from meson_test("build-clang", ["--suite", "no-valgrind", "--suite", "without-too", "--no-suite", "hours", *AT_ONCE],
                          one_row="units built by clang, without valgrind")
    valgrind = ("valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --suppressions="
                + os.path.join(ROOT, "tests", "valgrind.supp"))
    yield from meson_test("build-clang", [*UNITS, "--no-suite", "no-valgrind", *AT_ONCE, "--timeout-multiplier", "20"],
                          one_row="units built by clang, under valgrind", env={"CMEK_TEST_UNDER": valgrind, "CMEK_FUZZ_ROUNDS": "500"})


def check_all_here(beside):
    """With what goes on beside the sweeps."""
    rows, built = ordinary_build()
    yield from rows
    yield from by_clang()
    # One build says both: of gcc without a warning, and with the thread sanitizer, for the tests that start threads.
    # Without -R, gcc 12's runtime refuses the address layout of newer kernels.
    yield from sanitized("build-gcc-tsan", "thread", "threads with thread sanitizer", f"setarch {os.uname().machine} -R",
                         ["--suite", "threads"], row=None if CI else "gcc without warnings", target="threaded_tests")
    yield from sanitized("build-asan", "address,undefined", "faults and hours with address and undefined sanitizers",
                         arguments=["--suite", "aws", "--suite", "hours"])
    if built:
        yield from together(slow(), reached(), scripts("sweeps/*", seconds=3600), scripts("consumers/compiled/*", "bindings/*"), beside())
    else:
        yield from beside()


def check_in_debian(made, status):
    """The `newer` below, run in the Debian 13 of tools/trixie.sh."""
    result, suite = os.path.join(BUILD, "trixie", "build", "newer.json"), Suite("Debian 13")
    if status:
        lines = made.strip().splitlines() or [status]
        (suite.skips if status == "status 77" else suite.failures).append("; ".join(lines[-5:]))
        yield suite
        return
    if os.path.exists(result):
        os.remove(result)
    output, status, _ = run(["tools/trixie.sh", "run", "python3", "tools/check.py", "newer"], 1800)
    rows = read_rows(result)
    if status:
        say(f"--- Debian 13:\n{output}---")
    for row in rows:
        row.name = f"Debian 13: {row.name}"
        for consumer in row.consumers:
            consumer["version"] += ", Debian 13"
        yield row
    if status and not any(row.failures for row in rows):
        suite.failures.append(status)
        yield suite


def newer():
    """Our sources with the libraries of a newer distribution, and under its programs; pkcs11js is left to `check`."""
    options, env = quick()                         # optimized as ever: bench/run.py measures what is built here
    rows, built = build("build", options, env, row="build")
    yield from rows
    if built:
        yield from meson_test("build", [*UNITS, "--suite", "built", "--suite", "aws", *AT_ONCE],
                              one_row="units")
        yield from scripts("consumers/*", "consumers/compiled/java.sh", "bindings/java.sh", "bindings/python.sh", "e2e/demo.sh", but=("node.sh",))
        yield from with_fips()


FIPS_HOST = """openssl_conf = init
.include {module}
[init]
providers = providers
alg_section = algorithms
[providers]
fips = fips_sect
base = base
[base]
activate = 1
[algorithms]
default_properties = fips=yes
"""


def with_fips():
    """Once more with OpenSSL's FIPS provider alone: units in a host whose OpenSSL is set so, the rest by fips = true."""
    module, host = "/etc/ssl/fipsmodule.cnf", os.path.join(BUILD, "fips-host.cnf")
    if not glob.glob("/usr/lib/*/ossl-modules/fips.so") or not os.path.exists(module):
        suite = Suite("FIPS")
        suite.skips.append(f"there is no fips.so of OpenSSL here, or no {module}")
        yield suite
        return
    with open(host, "w", encoding="utf-8") as file:
        file.write(FIPS_HOST.format(module=module))
    fips = {"CMEK_TEST_FIPS": "1"}
    with concurrent.futures.ThreadPoolExecutor(1) as meanwhile:
        demo = meanwhile.submit(run_script, [os.path.join(ROOT, "tests", "e2e", "demo.sh")], 600, fips, " with FIPS")
        yield from meson_test("build", ["--suite", "unit", "--no-suite", "hours", *AT_ONCE], one_row="units with FIPS", env=fips | {"OPENSSL_CONF": host})
        yield from meson_test("build", ["--suite", "module", *AT_ONCE], one_row="module tests with FIPS", env=fips)
        yield demo.result()


def report(rows):
    """The table; the reasons; the last line. Returns the exit code."""
    width = max([len(row["name"]) for row in rows] + [10])
    say(f"\n{'suite':<{width}}  passed  failed  skipped   seconds   of a processor")
    for row in rows:
        counts = f"{row['passed']:>6}  {len(row['failures']):>6}  {len(row['skips']):>7}  {row['seconds']:>8.1f}"
        counts += f"{row['cpu']:>17.1f}" if row.get("cpu") is not None else ""
        say(f"{row['name']:<{width}}  {counts}")
    for title, key in (("Skipped", "skips"), ("Failed", "failures")):
        if any(row[key] for row in rows):
            say(f"\n{title}:")
        for row in rows:
            for text in row[key]:
                say(f"  {row['name']}: {text}")
    tried = [consumer for row in rows for consumer in row.get("consumers", [])]
    if tried:
        say("\n" + "\n".join(consumers.table(tried)))
    passed, failed, skipped = (sum(row["passed"] for row in rows), sum(len(row["failures"]) for row in rows),
                               sum(len(row["skips"]) for row in rows))
    say(f"\n{passed} passed, {failed} failed, {skipped} skipped")
    return 0 if passed and not failed else 1


def run_all(name, suites):
    result = os.path.join(BUILD, f"{name}.json")
    if os.path.exists(result):
        os.remove(result)
    rows, start = [], time.time()
    for suite in suites:
        rows.append(vars(suite))
        say(f"[{time.time() - start:5.0f} s] {suite.name}: {suite.passed} ok"
            + (f", {len(suite.skips)} left out" if suite.skips else "")
            + (f", {len(suite.failures)} NOT OK" if suite.failures else ""))
    with open(result, "w", encoding="utf-8") as file:
        json.dump(rows, file)
    return report(rows)


def read_rows(path):
    """The suites of an earlier run; that it can't be read is a failure like any other."""
    suites = []
    try:
        with open(path, encoding="utf-8") as file:
            for row in json.load(file):
                suites.append(Suite(row["name"]))
                vars(suites[-1]).update(row)
    except (OSError, ValueError) as error:
        suites.append(Suite(path))
        suites[-1].failures.append(str(error))
    return suites


def main():
    what = sys.argv[1] if len(sys.argv) > 1 else ""
    if what == "check":
        return run_all("check", check())
    if what == "check-all":
        return run_all("check-all", check_all())
    if what == "newer":
        return run_all("newer", newer())
    if what == "units":                            # of a build for another machine, run by $CMEK_TEST_UNDER
        return report([vars(suite) for suite in meson_test(
            sys.argv[2], ["--suite", "unit", "--no-suite", "hours", *AT_ONCE, "--timeout-multiplier", "30"], one_row="units", seconds=7200)])
    if what == "sum":
        return report([vars(suite) for path in sys.argv[2:] for suite in read_rows(path)])
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
