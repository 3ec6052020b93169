#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Runs a cmocka program and makes of its output a TAP that others than tools/check.py read: cmocka_tap.py PROGRAM [ARGUMENT...]

cmocka 1.1.5 writes a skipped test as "not ok N # SKIP name", which to TAP's readers is a failure; the reason, which our tests print before,
it has no place for; each group of tests has a plan and numbers of its own; and what a test prints stands between. Here one plan is at the
end, numbers go through, a skip is "ok N - name # SKIP reason", and anything else is a comment. The exit code is the program's, or 1 if tests
that were announced did not run. $CMEK_TEST_UNDER is a command before the program, such as valgrind: before this one, it would see Python.
"""

import os
import re
import shlex
import signal
import subprocess
import sys

RESULT = re.compile(r"(not ok|ok) \d+ (?:- (?!# SKIP)(.*)|(?:- )?# SKIP ?(.*))")
PLAN = re.compile(r"1\.\.(\d+)(.*)")
REASON = "# reason:"
JUDGED = "judged:"                                 # ended early, having seen what it had to see (judged_fips.c)


class Reader:
    def __init__(self):
        self.announced, self.count, self.left_out, self.reason = 0, 0, False, ""

    def read(self, line):
        """A line of cmocka's in, one of TAP out; None: nothing yet."""
        plan, result = PLAN.fullmatch(line), RESULT.fullmatch(line)
        if plan and plan[2]:
            self.left_out = True                   # 1..0 # SKIP reason
            return line
        if plan:
            self.announced += int(plan[1])
            return None
        if result:
            return self.read_result(result)
        if line.startswith(REASON):
            self.reason = line[len(REASON):].strip()
            return None
        return line if line.startswith("#") or not line else f"# {line}"

    def read_result(self, result):
        self.count += 1
        reason, self.reason = self.reason, ""
        if result[3] is not None and reason.startswith(JUDGED):
            return f"ok {self.count} - {result[3]}: {reason[len(JUDGED):].strip()}"
        if result[3] is not None:
            return f"ok {self.count} - {result[3]} # SKIP {reason or 'no reason given'}"
        return f"{result[1]} {self.count} - {result[2]}"


def main():
    command = shlex.split(os.environ.get("CMEK_TEST_UNDER", "")) + sys.argv[1:]
    reader = Reader()
    with subprocess.Popen(command, env=os.environ | {"CMOCKA_MESSAGE_OUTPUT": "TAP"}, stdout=subprocess.PIPE) as program:
        for line in program.stdout:
            text = reader.read(line.decode(errors="replace").rstrip("\r\n"))
            if text is not None:
                print(text, flush=True)
    if not reader.left_out:
        print(f"1..{max(reader.announced, 1)}")
    if program.returncode < 0:
        print(f"# ended by {signal.Signals(-program.returncode).name}")
        return 128 - program.returncode
    missing = not reader.left_out and reader.count < max(reader.announced, 1)
    return program.returncode or int(missing)


if __name__ == "__main__":
    sys.exit(main())
