#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""encrypt and decrypt of many files as a person types them: how often the KMS is asked, names of any bytes, the line on a terminal, and what
an interruption leaves. TAP."""

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import BUILD, Place, Tally  # noqa: E402

CMEK = os.path.join(BUILD, "cmek")
FILES = 200
ok = Tally()
HERE = ("--project", "p", "--database", "prod/one")


class Shell(Place):
    """Runs what is typed, in a folder of its own."""

    def __init__(self, folder):
        super().__init__(folder, 1)
        self.environment["PATH"] = BUILD + ":" + self.environment["PATH"]
        self.at = os.path.join(folder, "at")
        os.mkdir(self.at)
        self.type(f"cmek cluster create --project p prod --key {self.key.arn.split('/')[-1]} --region us-west-2; cmek database create --project p prod/one")

    def type(self, line):
        done = subprocess.run(["bash", "-c", line], env=self.environment, cwd=self.at, capture_output=True, timeout=300, check=False)
        self.out, self.said = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        return done.returncode

    def asks(self, line):
        """The KMS's calls for the database's key."""
        self.forget()
        self.code = self.type(line)
        return [entry["op"] for entry in self.fake.requests() if entry.get("context", {}).get("cmek:purpose") == "ezk"]

    def on_terminal(self, line):
        """What a terminal is sent."""
        main, end = pty.openpty()
        child = subprocess.Popen(["bash", "-c", line], env=self.environment, cwd=self.at, stdin=subprocess.DEVNULL, stdout=end, stderr=end)
        os.close(end)
        seen = b""
        while True:
            try:
                seen += (more := os.read(main, 65536))
            except OSError:  # the other end is closed
                break
            if not more:
                break
        os.close(main)
        return child.wait(), seen.decode()

    def tree(self, folder):
        root = os.fsencode(os.path.join(self.at, folder))
        found = {}
        for above, _, names in os.walk(root):
            for name in names:
                path = os.path.join(above, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as file:
                        found[os.path.relpath(path, root)] = file.read()
        return found


def plant(shell):
    for number in range(FILES):
        folder = os.path.join(shell.at, "data", f"{number % 7}", "sub")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, f"file {number}"), "wb") as file:
            file.write(os.urandom(number * 17))


def check_calls(shell):
    plant(shell)
    line = "cmek encrypt " + " ".join(HERE)
    calls = shell.asks(f"{line} -r -o sealed data")
    ok(calls == ["Decrypt"] and shell.out == f"{FILES} encrypted\n", f"{FILES} files are encrypted by one call to the KMS for the database's key",
       (calls, shell.out, shell.said))
    calls = shell.asks("cmek decrypt -r -o opened sealed")
    ok(calls == ["Decrypt"] and shell.tree("opened") == shell.tree("data"), "and decrypted by one", (calls, shell.said))
    calls = shell.asks(f"cd data && find . -type f -print0 | {line} -0 -o ../listed -j 4")
    ok(calls == ["Decrypt"] and len(shell.tree("listed")) == FILES, "also those of a list that find makes", (calls, shell.said))


def check_names(shell):
    odd = [b"new\nline", b"\xff\xfe not UTF-8", b"-r", b"--force", b" ", b"a.cmek", b".hidden", b"*", b"tab\t"]
    os.mkdir(os.path.join(shell.at, "odd"))
    for name in odd:
        with open(os.path.join(os.fsencode(shell.at), b"odd", name), "wb") as file:
            file.write(name)
    os.mkfifo(os.path.join(shell.at, "odd", "fifo"))
    os.symlink("/etc/passwd", os.path.join(shell.at, "odd", "link"))
    code = shell.type(f"cmek encrypt {' '.join(HERE)} -r -o odd-sealed odd && cmek decrypt -r -o odd-opened odd-sealed")
    ok(code == 0 and shell.tree("odd-opened") == shell.tree("odd"), "names of any bytes come back", (shell.said, shell.tree("odd-opened").keys()))
    ok("9 encrypted; left alone: 2 links and special files" in shell.out, "links and special files are counted", shell.out)
    code = shell.type(f"cd odd && cmek encrypt {' '.join(HERE)} --suffix .s -- -r --force && cmek encrypt {' '.join(HERE)} -- -r -r.t && ls")
    ok(code == 0 and {"-r.s", "--force.s", "-r.t"} <= set(shell.out.split()), "a name may begin with a dash, after --", (shell.out, shell.said))
    code = shell.type(f"cmek encrypt {' '.join(HERE)} -o json-out --json odd/*line odd/*UTF-8 | python3 -m json.tool")
    ok(code == 0, "and be told as JSON", shell.said)


def check_terminal(shell):
    with open(os.path.join(shell.at, "large"), "wb") as file:
        for _ in range(64):
            file.write(os.urandom(4 << 20))
    line = f"cmek encrypt {' '.join(HERE)} -o big --force large data/*/sub/*"
    code, seen = shell.on_terminal(line)
    ok(code == 0 and re.search(rf"\d+ of {FILES + 1} files, [\d.]+ of [\d.]+ MiB, [\d.]+ MiB/s, \d+:\d\d left", seen),
       "a terminal is told how many of how many, how fast and how long", repr(seen[-2000:]))
    ok(max(map(len, re.split(r"[\r\n]", seen))) < 90 and seen.endswith(f"\033[K{FILES + 1} encrypted\r\n"), "in one line, which goes away for the summary", repr(seen[-300:]))
    code, seen = shell.on_terminal(line + " --quiet")
    ok(code == 0 and seen == "", "but not with --quiet", repr(seen[-300:]))
    code = shell.type(line)
    ok(code == 0 and shell.said == "" and shell.out == f"{FILES + 1} encrypted\n", "nor where there is no terminal", shell.said)


def check_interrupted(shell):
    first, slow = os.path.join(shell.at, "first"), os.path.join(shell.at, "slow")
    with open(first, "wb") as file:
        file.write(b"1")
    with open(slow, "wb") as file:
        file.truncate(8 << 30)  # seconds, if it were not interrupted
    words = ["encrypt", *HERE, "-o", "cut", "-j", "1", "first", "slow"]
    child = subprocess.Popen([CMEK, *words], env=shell.environment, cwd=shell.at, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
    end = time.time() + 30
    while time.time() < end and not os.path.exists(os.path.join(shell.at, "cut", "first.cmek")):
        time.sleep(0.005)
    child.send_signal(signal.SIGTERM)
    out, said = child.communicate(timeout=60)
    left = os.listdir(os.path.join(shell.at, "cut"))
    ok(child.returncode == 1 and left == ["first.cmek"], "what is interrupted leaves nothing, and what was written stays", (child.returncode, said, left))
    ok("interrupted; what was written stays; a second run refuses that and does the rest, with --force all again" in said, "it is told how to go on", said)
    ok(out == "1 encrypted\n" and "slow: " not in said, "the file under way has not failed", (out, said))
    os.truncate(slow, 1000)
    line = "cmek " + " ".join(words)
    code = shell.type(line)
    ok(code == 4 and shell.out == "1 encrypted, 1 failed\n" and "first.cmek: is there already" in shell.said, "a second run does as it was told", (code, shell.out, shell.said))
    code = shell.type(line + " --force")
    ok(code == 0 and shell.out == "2 encrypted\n", "with --force too", (code, shell.out, shell.said))


def check_denied(shell):
    shell.key.state = "Disabled"
    code = shell.type(f"cmek encrypt {' '.join(HERE)} -o denied -j 1 data/0/sub/*")
    ok(code == 5 and shell.said.count("\n") == 2 and os.listdir(os.path.join(shell.at, "denied")) == [], "a KMS that says no to the one key ends it", (code, shell.said))
    shell.key.state = "Enabled"


def check_records(shell):
    """Where the database is not: by the records that the files carry."""
    elsewhere = os.path.join(shell.at, "elsewhere.conf")
    with open(shell.environment["CMEK_PKCS11_CONF"], encoding="ascii") as here, open(elsewhere, "w", encoding="ascii") as conf:
        conf.write(re.sub(r"(?m)^path = .*store\.db$", f"path = {shell.at}/elsewhere.db", here.read()))
    there = f"CMEK_PKCS11_CONF={elsewhere} cmek"
    code = shell.type(f"{there} project create q; {there} key add --project q {shell.key.arn}")
    ok(code == 0, "another store has the root key, and no database", shell.said)
    shell.fake.faults.order(op="Decrypt", count=100, delay_ms=300)  # so that all threads ask before there is an answer
    calls = shell.asks(f"{there} decrypt -r -j 4 -o by-record sealed")
    shell.fake.faults.clear()
    ok(calls == ["Decrypt"] and shell.tree("by-record") == shell.tree("data"), "four threads open its files by one call", (calls, shell.code, shell.said))


def check_alone_or_among_many(shell):
    """A file that does not open is told of in the same words."""
    shell.type("cmek project create other; cmek key create --project other local:other; cmek database create --project p --no-embed prod/kept;"
               "cmek encrypt --project p --database prod/kept 'data/0/sub/file 0' kept.cmek; mkdir -p files; mv kept.cmek files/;"
               "cp \"$(find sealed -name '*.cmek' | head -1)\" files/plain.cmek; printf broken >files/broken.cmek")
    empty = os.path.join(shell.at, "empty.conf")
    with open(shell.environment["CMEK_PKCS11_CONF"], encoding="ascii") as here, open(empty, "w", encoding="ascii") as conf:
        conf.write(re.sub(r"(?m)^path = .*store\.db$", f"path = {shell.at}/empty.db", here.read()))
    shell.type(f"CMEK_PKCS11_CONF={empty} cmek project create lonely")
    for title, options, variables in (
            ("of another project", "--project other", ""), ("of another database", "--database prod/none", ""),
            ("of a database elsewhere", "--database prod/one --project other", ""), ("where no project has its key", "", f"CMEK_PKCS11_CONF={empty} ")):
        for name in ("kept", "plain", "broken"):
            alone = shell.type(f"rm -f out1; {variables}cmek decrypt {options} files/{name}.cmek out1"), shell.said
            many = shell.type(f"rm -rf out2; {variables}cmek decrypt {options} -o out2/ files/{name}.cmek"), shell.said
            ok(alone == many and alone[0] != 0, f"{title}: {name}.cmek is refused alone as among many", (alone, many))


with tempfile.TemporaryDirectory(prefix="cmek-test-") as work:
    place = Shell(work)
    for check in (check_calls, check_records, check_alone_or_among_many, check_names, check_terminal, check_interrupted, check_denied):
        check(place)
print(f"1..{ok.count}")
