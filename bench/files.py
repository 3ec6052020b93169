#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Speed of cmek encrypt and decrypt, on a disk: files.py [--size MIB] [--files N] [--rounds N] [--folder FOLDER] [FILE.json]

A large file (4 GiB, or less where the disk lacks room), beside dd, age and openssl enc, which take turns; each time runs until the disk has
the output (age and openssl don't see to that, so sync does). The bound is the slower of two: of the disk, as dd copies the same file, by way of the cache or
past it, whichever is faster; and of libcrypto, as `openssl speed` has AES-256-GCM of 64 KiB on one core, times the cores. Then many small files in one call, beside a loop
in the shell with a call for each. $CMEK_BUILD is the build folder."""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("CMEK_BUILD") or os.path.join(ROOT, "build"))
CMEK = os.path.join(BUILD, "cmek")
MIB, GIB, SMALL, LOOP = 1 << 20, 1 << 30, 16384, 200
CORES = len(os.sched_getaffinity(0))


class Place:
    """A project on the embedded KMS, in a folder of its own on the disk."""

    def __init__(self, folder, database="prod/one"):
        self.folder = folder
        conf = self.path("cmek.conf")
        with open(conf, "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {folder}/store.db\n[local]\npath = {folder}/local.keys\n")
        self.environment = {**os.environ, "LC_ALL": "C.UTF-8", "CMEK_PKCS11_CONF": conf, "CMEK_PKCS11_MODULE": os.path.join(BUILD, "cmek-pkcs11.so"),
                            "CMEK": CMEK, "TO": f"--project p --database {database}"}
        for words in ("project create p", "key create --project p local:root", "cluster create --project p prod --key root --region here",
                      f"database create --project p {database}"):
            self.run(f"$CMEK {words}")

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, line):
        """In the shell; its seconds."""
        began = time.monotonic()
        done = subprocess.run(["sh", "-ec", line], cwd=self.folder, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                              text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{line}: {done.stderr[-400:]}")
        return time.monotonic() - began

    def remove(self, *names):
        for name in names:
            path = self.path(name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)
        os.sync()


def fill(path, size):
    """Bytes that no disk can leave out."""
    block = os.urandom(16 * MIB)
    with open(path, "wb") as file:
        for at in range(0, size, len(block)):
            file.write(at.to_bytes(8, "big") + block[8:min(len(block), size - at)])
        file.flush()
        os.fsync(file.fileno())


def libcrypto_speed():
    """Bytes a second, of one core."""
    done = subprocess.run(["openssl", "speed", "-mr", "-seconds", "2", "-bytes", "65536", "-evp", "aes-256-gcm"], capture_output=True, text=True, check=True)
    line = next(line for line in done.stdout.splitlines() if line.startswith("+F:"))
    return float(line.split(":")[-1])


# name, the command, what it writes
LARGE = (
    ("copy", "dd if=plain of=copy bs=1M conv=fsync", "copy"),
    ("copy_direct", "dd if=plain of=copy bs=16M oflag=direct conv=fsync", "copy"),
    ("encrypt", "$CMEK encrypt -q $TO plain sealed", "sealed"),
    ("age_encrypt", "age -r $AGE -o aged plain && sync aged", "aged"),
    ("openssl_encrypt", "openssl enc -aes-256-ctr -K $KEY -iv $IV -in plain -out enced && sync enced", "enced"),
)
BACK = (("decrypt", "$CMEK decrypt -q sealed again", "again"),)
READS = {"decrypt": "sealed", "age_decrypt": "aged"}
AGE_BACK = (("age_decrypt", "age -d -i age.key -o again aged && sync again", "again"),)


def has(program):
    return shutil.which(program) is not None


def make_keys(place):
    place.environment.update(KEY="00" * 32, IV="00" * 16)
    if has("age-keygen"):
        place.run("age-keygen -o age.key")
        place.environment["AGE"] = subprocess.run(["age-keygen", "-y", place.path("age.key")], capture_output=True, text=True, check=True).stdout.strip()


def take_turns(place, commands, times):
    """Removes what each writes, so that two copies and no more are on the disk. What is to be read is in memory, if that has room."""
    for name, line, out in commands:
        if name.startswith("age") and not has("age"):
            continue
        place.remove(out)
        place.run(f"cat {READS.get(name, 'plain')} >/dev/null")
        times.setdefault(name, []).append(place.run(line))
        if name not in ("encrypt", "age_encrypt"):
            place.remove(out)


def measure_large(place, size, rounds):
    times, libcrypto = {}, []
    fill(place.path("plain"), size)
    make_keys(place)
    for at in range(rounds):
        libcrypto.append(libcrypto_speed())
        take_turns(place, [row for row in LARGE if row[0] != "age_encrypt"], times)
        take_turns(place, BACK, times)
        if at == 0:
            place.run("$CMEK decrypt -q sealed - | cmp - plain")
        place.remove("sealed")
        take_turns(place, [row for row in LARGE if row[0] == "age_encrypt"] + list(AGE_BACK), times)
        place.remove("aged")
    place.remove("plain")
    return {name: statistics.median(values) for name, values in times.items()}, statistics.median(libcrypto)


def judge_large(size, times, libcrypto):
    bound = max(min(times["copy"], times["copy_direct"]), size / libcrypto / CORES)
    found = {"size": size, "seconds": times, "libcrypto": libcrypto, "bound_seconds": bound,
             "encrypt_of_bound": bound / times["encrypt"], "decrypt_of_bound": bound / times["decrypt"]}
    for name in ("encrypt", "decrypt"):
        if f"age_{name}" in times:
            found[f"{name}_times_age"] = times[f"age_{name}"] / times[name]
    return found


def measure_many(place, count, loop):
    """Seconds for a file: of all in one call, and by a loop, of which a part runs before and a part after it."""
    os.mkdir(place.path("many"))
    for number in range(count):
        with open(place.path(f"many/{number}"), "wb") as file:
            file.write(os.urandom(SMALL))
    os.sync()
    found = {"files": count}
    for name, command, source, end in (("encrypt", "encrypt -q $TO", "many", ".cmek"), ("decrypt", "decrypt -q", "sealed", "")):
        out, names = ("sealed", "loop") if name == "encrypt" else ("opened", "loop")
        seconds = []
        for part in (0, 1, 2):
            if part == 1:
                seconds.append(place.run(f"$CMEK {command} -r -o {out} {source}") / count)
                continue
            place.run(f"mkdir -p {names}")
            words = " ".join(os.path.join(source, name) for name in sorted(os.listdir(place.path(source)))[:loop])
            seconds.append(place.run(f"for f in {words}; do $CMEK {command} $f {names}/${{f##*/}}{end}; done") / loop)
            place.remove(names)
        found[f"{name}_ms"], found[f"{name}_loop_ms"] = seconds[1] * 1e3, (seconds[0] + seconds[2]) / 2 * 1e3
        found[f"many_{name}_times_loop"] = found[f"{name}_loop_ms"] / found[f"{name}_ms"]
    return found


def room(folder, size):
    """So much of it that two copies and half a one more fit."""
    left = shutil.disk_usage(folder).free
    return max(16 * MIB, min(size, int(left / 2.5) // MIB * MIB))


def table(found):
    seconds, gib = found["seconds"], found["size"] / GIB
    rows = [("dd, to the disk", *2 * [min(seconds["copy"], seconds["copy_direct"])]),
            (f"libcrypto's AES-256-GCM, {CORES} cores", *2 * [found["size"] / found["libcrypto"] / CORES]),
            ("cmek", seconds["encrypt"], seconds["decrypt"]), ("age", seconds.get("age_encrypt"), seconds.get("age_decrypt")),
            ("openssl enc -aes-256-ctr, which authenticates nothing", seconds["openssl_encrypt"], None)]
    lines = [f"|  | encrypt {gib:.4g} GiB | decrypt it |", "| :- | -: | -: |"]
    lines += [f"| {name} | " + " | ".join("–" if value is None else f"{gib / value:.2f} GiB/s" for value in values) + " |" for name, *values in rows]
    lines += ["", f"|  | encrypt {found['files']:,} files of 16 KiB | decrypt them |", "| :- | -: | -: |"]
    for name, key in (("cmek, one call", "{}_ms"), ("a loop in the shell, a call for each", "{}_loop_ms")):
        lines.append(f"| {name} | {found[key.format('encrypt')]:.2f} ms a file | {found[key.format('decrypt')]:.2f} ms a file |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=4096, help="of the large file, in MiB")
    parser.add_argument("--files", type=int, default=10000)
    parser.add_argument("--loop", type=int, default=LOOP, help="files of the loop, before and after")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", default=BUILD, help="on the disk that is measured")
    parser.add_argument("json", nargs="?")
    given = parser.parse_args()
    size = room(given.folder, given.size * MIB)
    with tempfile.TemporaryDirectory(prefix="cmek-bench-", dir=given.folder) as folder:
        place = Place(folder)
        found = judge_large(size, *measure_large(place, size, given.rounds))
        found.update(measure_many(place, given.files, min(given.loop, given.files)))
    print("\n".join(table(found)))
    if given.json:
        with open(given.json, "w", encoding="utf-8") as file:
            json.dump(found, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
