#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Large files, which several threads work on (--jobs): the same bytes as by one, whatever the size; what is changed, cut off, swapped or added
is refused; memory, a full disk, an interruption. And what the disk is asked for many small ones. TAP."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import BUILD, ROOT, Tally  # noqa: E402

CMEK = os.path.join(BUILD, "cmek")
CHUNK, SEALED, PART = 65536, 65536 + 16, 64 * 65536  # a thread takes a part
JOBS = (1, 2, 3, 4)
DAMAGED = 7
ok = Tally()


class Here:
    """A project on the embedded KMS, and a folder of files."""

    def __init__(self, folder):
        self.at = os.path.join(folder, "at")
        os.mkdir(self.at)
        conf = os.path.join(folder, "cmek.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {folder}/store.db\n[local]\npath = {folder}/local.keys\n")
        self.keys = os.path.join(folder, "local.keys")
        self.environment = {**os.environ, "CMEK_PKCS11_CONF": conf, "CMEK_PKCS11_MODULE": os.path.join(BUILD, "cmek-pkcs11.so")}
        for words in (("project", "create", "p"), ("key", "create", "--project", "p", "local:root"),
                      ("cluster", "create", "--project", "p", "prod", "--key", "root", "--region", "here"),
                      ("database", "create", "--project", "p", "prod/one")):
            self.cmek(*words)

    def path(self, name):
        return os.path.join(self.at, name)

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)

    def read(self, name):
        with open(self.path(name), "rb") as file:
            return file.read()

    def run(self, *words, **more):
        return subprocess.run([CMEK, *words], env=self.environment, cwd=self.at, capture_output=True, timeout=300, check=False, **more)

    def cmek(self, *words, code=0, **more):
        done = self.run(*words, **more)
        assert done.returncode == code, (words, done.returncode, done.stderr.decode())
        return done.stdout

    def encrypt(self, jobs, *words, **more):
        return self.cmek("encrypt", "--force", "--project", "p", "--database", "prod/one", "--jobs", str(jobs), *words, **more)

    def decrypt(self, jobs, *words, **more):
        return self.cmek("decrypt", "--force", "--jobs", str(jobs), *words, **more)

    def opens(self, jobs, data):
        """Whether the envelope `sealed` does, to these bytes."""
        self.decrypt(jobs, "sealed", "again")
        return self.read("again") == data

    def rescued(self):
        subprocess.run([sys.executable, os.path.join(ROOT, "tools", "rescue.py"), "--local-keys", self.keys, self.path("sealed"),
                        self.path("rescued")], capture_output=True, timeout=300, check=True)
        return self.read("rescued")


def check_sizes(here):
    source = os.urandom(4 * PART)
    sizes = sorted({0, 1} | {around + off for around in (CHUNK, PART, PART + CHUNK, 2 * PART) for off in (-1, 0, 1)})
    for size in sizes:
        data = source[:size]
        here.write("plain", data)
        well = []
        for jobs in JOBS:
            here.encrypt(jobs, "plain", "sealed")
            header = os.path.getsize(here.path("sealed")) - size - 16 * max(1, -(-size // CHUNK))
            well.append(header > 0 and header % 64 == 0 and all(here.opens(other, data) for other in (1, jobs % 4 + 1)))
        ok(all(well), f"{size} bytes come back, sealed and opened by 1 to 4 threads", well)
        ok(here.rescued() == data, "and by tools/rescue.py")
    here.write("plain", source)
    here.encrypt(3, "-", "sealed", input=source)
    ok(here.opens(3, source), "what was sealed from a pipe opens by three threads")
    here.encrypt(3, "plain", "sealed")
    ok(here.cmek("decrypt", "-", "-", input=here.read("sealed")) == source, "what three have sealed opens through a pipe")
    ok(here.decrypt(3, "sealed", "-") == source, "and by three, into a pipe")


def attacks(sealed, header):
    """What was done to an envelope of 131 chunks, the last of 100 bytes, so of three parts; and how many chunks are as they were before that."""
    chunk = [sealed[header + i * SEALED:header + (i + 1) * SEALED] for i in range(131)]
    whole = sealed[:header]
    yield "one bit of chunk 70 changed", whole + b"".join(chunk[:70]) + bytes([chunk[70][0] ^ 1]) + chunk[70][1:] + b"".join(chunk[71:]), 70
    yield "one bit of the first chunk's tag changed", whole + chunk[0][:-1] + bytes([chunk[0][-1] ^ 1]) + b"".join(chunk[1:]), 0
    yield "two chunks swapped", whole + b"".join(chunk[:63] + [chunk[64], chunk[63]] + chunk[65:]), 63
    yield "two parts swapped", whole + b"".join(chunk[64:128] + chunk[:64] + chunk[128:]), 0
    yield "a chunk left out", whole + b"".join(chunk[:90] + chunk[91:]), 90
    yield "a part left out", whole + b"".join(chunk[:64] + chunk[128:]), 64
    yield "a chunk repeated", whole + b"".join(chunk[:64] + chunk[63:]), 64
    yield "the last chunk cut off", whole + b"".join(chunk[:130]), 129
    yield "all but two parts cut off", whole + b"".join(chunk[:128]), 127
    yield "cut within a chunk", whole + b"".join(chunk[:80]) + chunk[80][:1000], 80
    yield "cut by a byte", sealed[:-1], 130
    yield "the payload cut off", whole, 0
    yield "a byte added", sealed + b"x", 130
    yield "the last chunk added once more", sealed + chunk[130], 130
    yield "an empty chunk added", sealed + bytes(16), 130


def check_refused(here):
    data = os.urandom(130 * CHUNK + 100)
    here.write("plain", data)
    here.encrypt(2, "plain", "sealed")
    sealed = here.read("sealed")
    header = len(sealed) - len(data) - 131 * 16
    for what, envelope, good in attacks(sealed, header):
        here.write("bad", envelope)
        before = set(os.listdir(here.at))
        said = []
        for jobs in JOBS:
            here.cmek("decrypt", "--jobs", str(jobs), "bad", "new", code=DAMAGED)
            done = here.run("decrypt", "--jobs", str(jobs), "bad", "-")
            said.append(done.stderr)
            beginning = len(done.stdout) == good * CHUNK and data.startswith(done.stdout)
            if done.returncode != DAMAGED or not beginning or set(os.listdir(here.at)) != before:
                said.append((jobs, done.returncode, len(done.stdout), os.listdir(here.at)))
        ok(len(set(said)) == 1, f"{what}: refused by 1 to 4 threads in the same words, nothing written but chunks that were verified before it", said)


def check_ends(here):
    here.write("plain", os.urandom(160 * CHUNK))
    here.encrypt(2, "plain", "sealed")
    before = set(os.listdir(here.at))

    def narrow():
        resource.setrlimit(resource.RLIMIT_FSIZE, (100 * CHUNK, 100 * CHUNK))

    for jobs in JOBS:
        for words in (("encrypt", "--project", "p", "--database", "prod/one"), ("decrypt",)):
            done = here.run(*words, "--jobs", str(jobs), "sealed" if words[0] == "decrypt" else "plain", "new", preexec_fn=narrow)
            ok(done.returncode == 1 and b"new" in done.stderr and set(os.listdir(here.at)) == before,
               f"{words[0]} by {jobs}: an output that can't be written to its end is told, and nothing of it is left", done)


def mounted(here):
    script = (f"mount -t tmpfs -o size=5m tmpfs {here.path('small')} && cd {here.at} && for jobs in 1 2 3 4; do "
              f"'{CMEK}' decrypt --jobs $jobs sealed small/new && exit 1; [ $? -eq 1 ] || exit 2; ls -A small; done")
    os.mkdir(here.path("small"))
    done = subprocess.run(["unshare", "--mount", "--map-root-user", "sh", "-c", script], env=here.environment, capture_output=True, text=True,
                          timeout=300, check=False)
    os.rmdir(here.path("small"))
    return done


def check_full_disk(here):
    name = "on a full disk too, by 1 to 4 threads"
    if subprocess.run(["unshare", "--mount", "--map-root-user", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, check=False).returncode != 0:
        ok(True, f"{name} # SKIP nothing can be mounted here")
        return
    done = mounted(here)
    ok(done.returncode == 0 and done.stdout == "" and done.stderr.count("No space left") == 4, name, done)


def grown(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith("wchar")).split()[1])


def heeds_signals():
    """Whoever starts us in the background may ignore SIGINT, which is handed on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def check_interrupted(here):
    os.truncate(here.path("plain"), 3 << 30)  # holes, so that it costs nothing
    before = set(os.listdir(here.at))
    for number in (signal.SIGINT, signal.SIGTERM):
        child = subprocess.Popen([CMEK, "encrypt", "--project", "p", "--database", "prod/one", "--jobs", "4", "plain", "new"], env=here.environment,
                                 cwd=here.at, stderr=subprocess.DEVNULL, preexec_fn=heeds_signals)
        while child.poll() is None and grown(child.pid) < 20 << 20:
            time.sleep(0.001)
        child.send_signal(number)
        ok(child.wait(60) == -number and set(os.listdir(here.at)) == before, f"{number.name} in the middle ends it, and nothing is left",
           (child.returncode, os.listdir(here.at)))


def names_below(folder):
    return sorted(name for _, _, names in os.walk(folder) for name in names)


def check_interrupted_among_many(here):
    os.mkdir(here.path("tree"))
    os.rename(here.path("plain"), here.path("tree/large"))
    for number in range(3):
        here.write(f"tree/small{number}", b"x")
    child = subprocess.Popen([CMEK, "encrypt", "--project", "p", "--database", "prod/one", "--jobs", "4", "-r", "-o", "out", "tree"],
                             env=here.environment, cwd=here.at, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                             preexec_fn=heeds_signals)
    while child.poll() is None and (grown(child.pid) < 20 << 20 or len(names_below(here.path("out"))) < 3):
        time.sleep(0.001)
    child.send_signal(signal.SIGINT)
    out, said = child.communicate(timeout=60)
    left = names_below(here.path("out"))
    ok(child.returncode == 1 and "interrupted" in said and "large" not in said and "failed" not in out,
       "SIGINT while a large file among many is under way counts it as not begun", (child.returncode, out, said))
    ok(left == [f"small{number}.cmek" for number in range(3)], "and leaves those that were done, and nothing else", left)


def peak(here, *words):
    """The most memory that a command has had, in KiB."""
    child = subprocess.Popen([CMEK, *words], env=here.environment, cwd=here.at)
    _, status, usage = os.wait4(child.pid, 0)
    assert status == 0, words
    return usage.ru_maxrss


def check_memory(here):
    with open(here.path("big"), "wb") as file:
        file.truncate(160 << 20)
    to_one = ("encrypt", "--force", "--project", "p", "--database", "prod/one", "--jobs", "4")
    here.write("little", b"x")
    least = peak(here, *to_one, "little", "sealed")
    most = max(peak(here, *to_one, "big", "sealed"), peak(here, "decrypt", "--force", "--jobs", "4", "sealed", "again"))
    ok(most < least + (40 << 10), "four threads on 160 MiB need less than 40 MiB more than one byte does", (least, most))
    here.cmek("encrypt", "--project", "p", "--database", "prod/one", "--jobs", "3", "--suffix", ".cmek", "big", "little")
    here.cmek("decrypt", "--force", "--jobs", "3", "big.cmek", "again")
    ok(os.path.getsize(here.path("again")) == 160 << 20 and not any(here.read("again")), "a large file among many comes back")


def synced(log):
    """The paths that fsync was called for."""
    with open(log, encoding="utf-8") as file:
        return [line.split("<", 1)[1].split(">", 1)[0] for line in file if "fsync(" in line and "<" in line]


def check_synced(here):
    name, log = "each of 60 files is synced, and their two folders", here.path("log")
    for number in range(60):
        folder = here.path(f"many/{number % 2}")
        os.makedirs(folder, exist_ok=True)
        here.write(f"many/{number % 2}/{number}", b"x")
    trace = ["strace", "-f", "-y", "-e", "trace=fsync,syncfs,fdatasync", "-o", log]
    if shutil.which("strace") is None or subprocess.run([*trace, "true"], capture_output=True, check=False).returncode != 0:
        ok(True, f"{name} # SKIP strace can't be used here")
        return
    done = subprocess.run([*trace, CMEK, "encrypt", "--project", "p", "--database", "prod/one", "--jobs", "1", "-r", "-o", "outputs", "many"],
                          env=here.environment, cwd=here.at, capture_output=True, timeout=300, check=True)
    paths = synced(log)
    folders = [path for path in paths if os.path.isdir(path)]
    ok(len(paths) - len(folders) == 60 and sorted(folders) == [here.path(f"outputs/{name}") for name in "01"], name, (paths, done))


with tempfile.TemporaryDirectory(prefix="cmek-test-") as work:
    place = Here(work)
    check_sizes(place)
    check_refused(place)
    check_ends(place)
    check_full_disk(place)
    check_interrupted(place)
    check_interrupted_among_many(place)
    check_memory(place)
    check_synced(place)
print(f"1..{ok.count}")
