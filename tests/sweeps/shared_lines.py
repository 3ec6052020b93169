#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Two threads with sessions of their own write no memory that the other touches, but for what WORKS names.

A line of the cache that one core writes and another touches goes back and forth between them at each work: that is how
a second thread makes the first one slower. bench/turns writes each instruction down that two threads do by turns; objdump
says which memory that loads or stores. So the answer depends neither on the number of cores nor on their load, and OpenSSL
and the C library are looked at, too. `shared_lines.py WORK …` says who touches what, function by function.
"""
import bisect
import collections
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

ROOT = os.environ.get("CMEK_ROOT") or os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CMEK_BUILD") or os.path.join(ROOT, "build")
TURNS = os.path.join(BUILD, "bench", "turns")
COUNT, LINE, LEAST = 1, 64, 100                    # works in a turn; bytes; instructions of a turn
MODULE = "cmek-pkcs11.so"
# Which of the module's functions may store to what both threads touch. Both use one zone (zones/ezk/lanes.h).
WORKS = {
    "AES-256-GCM, 64 B": set(),
    "AES-256-GCM, 1 KiB": set(),
    "random, 32 B": set(),
    "generate a key, destroy it": set(),
    "open a session, close it": set(),
    "wrap a 32-byte key (AES_KEY_WRAP)": set(),
    "unwrap it into a key, destroy it": set(),
}
REGISTERS = "r8 r9 r10 r11 r12 r13 r14 r15 rdi rsi rbp rbx rdx rax rcx rsp rip".split()
STEP = struct.Struct(f"<{len(REGISTERS)}Q")
RIP = REGISTERS.index("rip")

# --- What an instruction touches, by objdump's word

OPERAND = re.compile(r"(%[a-z]s:)?(-?0x[0-9a-f]+|-?\d+)?\((%\w+)?(?:,(%\w+)(?:,(\d))?)?\)")
LOADS_ALONE = re.compile(r"cmp[bwlq]?$|test|bt[wlq]?$|v?u?comis|vptest|push|call|jmp|v?pcmp|mul|div|idiv|v?prefetch")
TOUCHES_NONE = re.compile(r"lea|nop|prefetch")
STORES_ALONE = re.compile(r"v?mov|set|stos|pop|v?pextr|v?extract|stmxcsr|fst|fnst")
WIDTHS = {"x": 16, "y": 32, "z": 64}


def width_of(name, operands):
    for register in re.findall(r"%([xyz])mm", operands):
        return WIDTHS[register]
    return 1 if name.startswith(("movzb", "movsb", "set")) or name.endswith("b") else 8


def decoded(text):
    """(displacement, base, index, scale, width, loads, stores) of an instruction's accesses; of the stack there are none: that
    is a thread's own, and so is what lies by %fs."""
    name, _, operands = re.sub(r"^(lock|rep[nz]*|bnd|notrack|data16|cs) ", "", text).partition(" ")
    name, operands = name.strip(), re.sub(r"\{[^}]*\}|[#<].*", "", operands).strip()
    if TOUCHES_NONE.match(name):
        return []
    if name in ("stos", "movs") or re.match(r"(stos|movs)[bwlq]$", name) and "(%" in operands and "mm" not in operands:
        to = [(0, "rdi", None, 1, 8, False, True)]
        return to + ([(0, "rsi", None, 1, 8, True, False)] if name.startswith("movs") else [])
    found = OPERAND.search(operands)
    if not found or found[1] == "%fs:":
        return []
    last = operands.endswith(found[0])
    stores = last and not LOADS_ALONE.match(name) or name.startswith(("xchg", "xadd"))
    loads = not (last and STORES_ALONE.match(name))
    base, index = (register[1:] if register else None for register in (found[3], found[4]))
    return [(int(found[2] or "0", 0), base, index, int(found[5] or 1), width_of(name, operands), loads, stores)]


class Files:
    """The files that lie in a process's memory: their instructions, and the names of their functions and variables."""

    def __init__(self, maps):
        self.ranges, self.symbols, base = [], {}, {}
        for row in maps:
            if found := re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ ([0-9a-f]+) \S+ \S+\s*(.*)", row):
                start, path = int(found[1], 16), found[4]
                base.setdefault(path, start - int(found[3], 16))
                self.ranges.append((start, int(found[2], 16), path, base[path]))
        self.ranges.sort()
        self.starts = [row[0] for row in self.ranges]

    def place(self, address):
        """(path, base): NULL where no file lies."""
        at = bisect.bisect_right(self.starts, address) - 1
        if at < 0 or address >= self.ranges[at][1]:
            return "", 0
        return self.ranges[at][2:]

    def code_of(self, name, addresses):
        """Those of the addresses that lie in a function of the file: not on the way to another file (_init, in the end)."""
        return {at for at in addresses if os.path.basename(self.place(at)[0]) == name and self.name(at) != "_init"}

    def name(self, address):
        path, base = self.place(address)
        if not path.startswith("/"):
            return path or "memory"
        if path not in self.symbols:
            rows = []
            for flags in (["-n"], ["-nD"]):
                done = subprocess.run(["nm", *flags, path], capture_output=True, text=True, check=False)
                rows += [(int(row[0], 16), row[2]) for row in map(str.split, done.stdout.splitlines()) if len(row) == 3]
            self.symbols[path] = sorted(rows)
        rows = self.symbols[path]
        at = bisect.bisect_right(rows, (address - base, "\x7f")) - 1
        return re.split("[@.]", rows[at][1])[0] if at >= 0 else os.path.basename(path)

    def instructions(self, addresses):
        """{address: (what it touches, the next address)}"""
        found, wanted = {}, collections.defaultdict(set)
        for address in addresses:
            path, base = self.place(address)
            wanted[path, base].add(address - base)
        for (path, base), here in wanted.items():
            if not path.startswith("/"):
                continue
            done = subprocess.run(["objdump", "-d", "--no-show-raw-insn", "-w", path], capture_output=True, text=True, check=True)
            last = None
            for at, text in re.findall(r"^ +([0-9a-f]+):\t(.+)", done.stdout, re.MULTILINE):
                if last in here:
                    found[last + base] = said, int(at, 16) + base
                last, said = int(at, 16), text
        return {at: (decoded(text), after) for at, (text, after) in found.items()}


# --- What two threads touch

class Touches:
    """Which instructions loaded and stored a line."""

    def __init__(self):
        self.loads, self.stores = set(), set()


def read_turns(path):
    """(thread, its steps), one after the other."""
    with open(path, "rb") as file:
        while head := file.read(16):
            thread, count = struct.unpack("<2Q", head)
            yield thread, file.read(count * STEP.size)


def lines_of(steps, instructions, module):
    """What is touched, by which instruction of the module: what a library does for it is its own doing."""
    lines, ours = collections.defaultdict(Touches), 0
    for registers in STEP.iter_unpack(steps):
        if registers[RIP] in module:
            ours = registers[RIP]
        what, after = instructions.get(registers[RIP], ((), 0))
        for displacement, base, index, scale, width, loads, stores in what:
            if base == "rsp":
                continue
            at = displacement
            if base:
                at += after if base == "rip" else registers[REGISTERS.index(base)]
            if index:
                at += registers[REGISTERS.index(index)] * scale
            at &= (1 << 64) - 1
            if at < 4096:  # a vector of which nothing is taken
                continue
            for line in range(at // LINE, (at + width - 1) // LINE + 1):
                if loads:
                    lines[line].loads.add(ours)
                if stores:
                    lines[line].stores.add(ours)
    return lines


def shared(pairs):
    """{line: (of one thread, of the other)} that one stores to and the other touches, in most of the turns."""
    often, who = collections.Counter(), collections.defaultdict(lambda: (Touches(), Touches()))
    for pair in pairs:
        for line in pair[0].keys() & pair[1].keys():
            if not pair[0][line].stores and not pair[1][line].stores:
                continue
            often[line] += 1
            for mine, of in zip(who[line], pair):
                mine.loads.update(of[line].loads)
                mine.stores.update(of[line].stores)
    return {line: who[line] for line, times in often.items() if times > len(pairs) / 2}


def run_turns(work):
    """The pairs of turns, as {line: Touches} of either thread, and the files with the names."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as folder:
        done = subprocess.run([TURNS, folder, work, str(COUNT)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr[-800:])
        files = Files(done.stdout.splitlines())
        path = os.path.join(folder, "steps")
        addresses = {registers[RIP] for _, steps in read_turns(path) for registers in STEP.iter_unpack(steps)}
        instructions = files.instructions(addresses)
        turns, module = [[], []], files.code_of(MODULE, addresses)
        for thread, steps in read_turns(path):
            if len(steps) < LEAST * STEP.size:
                raise RuntimeError(f"{work}: a turn of {len(steps) // STEP.size} instructions")
            turns[thread].append(lines_of(steps, instructions, module))
    return list(zip(*turns)), files


def look(work):
    """[(line, what lies there, the functions that store to it, those that load it)]"""
    pairs, files = run_turns(work)
    rows = []
    for line, threads in sorted(shared(pairs).items()):
        names = [sorted({files.name(at) for touches in threads for at in getattr(touches, kind)}) for kind in ("stores", "loads")]
        rows.append((line * LINE, files.name(line * LINE), *names))
    return rows


def describe(row):
    line, what, stores, loads = row
    return f"{line:#x}, {what}: stored by {', '.join(stores)}; loaded by {', '.join(loads) or 'nobody'}"


def check():
    why = ("it is for x86-64" if os.uname().machine != "x86_64" else
           "turns is not built" if not os.access(TURNS, os.X_OK) else
           "objdump is not here" if not shutil.which("objdump") else "")
    if why:
        print(f"1..0 # SKIP {why}")
        return 0
    print(f"1..{len(WORKS)}")
    failed = 0
    for index, (work, allowed) in enumerate(WORKS.items(), 1):
        rows = [row for row in look(work) if not allowed >= set(row[2])]
        failed += bool(rows)
        print(f"{'not ok' if rows else 'ok'} {index} - {work}: two threads share only what they may", flush=True)
        for row in rows:
            print(f"# {describe(row)}")
    return 1 if failed else 0


def main():
    for work in sys.argv[1:]:
        print(f"{work}:", *map(describe, look(work)), sep="\n  ")
    return 0 if sys.argv[1:] else check()


if __name__ == "__main__":
    sys.exit(main())
