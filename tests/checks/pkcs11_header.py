#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Compares include/pkcs11.h with another PKCS #11 header: every constant, the size of every
structure and the place of every member that both have.

    pkcs11_header.py SOURCE_ROOT HEADER PACKAGE COMPILER...

HEADER is what the other side includes, "p11-kit/pkcs11.h" for one; pkg-config knows PACKAGE's
include folders, where it is installed. Answers in TAP; skipped if that header can't be included
at all.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

# p11-kit numbers these five on its own; "PKCS #11 Specification" 2.40 to 3.2, appendix "Manifest
# constants", has 0x1B5 to 0x1B9.
P11_KIT_MISTAKES = {
    "CKR_EXCEEDED_MAX_ITERATIONS",
    "CKR_FIPS_SELF_TEST_FAILED",
    "CKR_LIBRARY_LOAD_FAILED",
    "CKR_PIN_TOO_WEAK",
    "CKR_PUBLIC_KEY_INVALID",
}
ENOUGH = 600  # facts that any header in use since 2015 must have in common with ours


def constants(root):
    text = (root / "include/pkcs11_constants.h").read_text()
    return re.findall(r"^#define (CK\w+)\t", text, re.M)


def members(root):
    """Yields (structure, member or None for its size)."""
    for name in ("pkcs11.h", "pkcs11_params.h"):
        text = re.sub(r"/\*.*?\*/", "", (root / "include" / name).read_text(), flags=re.S)
        for struct, body in re.findall(r"typedef struct (\w+) \{(.*?)\n\}", text, re.S):
            yield struct, None
            for member in re.findall(r"(\w+)(?:\[\d+\])?;", body):
                yield struct, member
    text = (root / "include/pkcs11_functions.h").read_text()
    functions = []
    for generation in ("", "_3_0", "_3_2"):
        body = text.split(f"#define CK_FUNCTIONS{generation or '_2_40'}(F)")[1].split("#define")[0]
        functions += re.findall(r"F\((C_\w+)\)", body)
        yield f"CK_FUNCTION_LIST{generation}", None
        for function in functions:
            yield f"CK_FUNCTION_LIST{generation}", function


def facts(root):
    """Name of each fact and the C expression for it."""
    for name in constants(root):
        yield name, f"(unsigned long)({name})"
    for struct, member in members(root):
        if member is None:
            yield f"sizeof {struct}", f"sizeof({struct})"
        else:
            yield f"{struct}.{member}", f"__builtin_offsetof({struct}, {member})"


def ask(compiler, header, questions, folder):
    """Compiles and runs a program that prints all answers; what the header lacks is left out."""
    unlimited = ["-ferror-limit=0"] if b"clang" in subprocess.run(
        compiler + ["--version"], capture_output=True, check=True).stdout else []
    source, program = folder / "ask.c", folder / "ask"
    for _ in range(8):
        lines = ["#include <stdio.h>", f'#include "{header}"', "int main(void) {"]
        first = len(lines) + 1
        lines += [f'printf("%lx\\t{name}\\n", {expression});' for name, expression in questions]
        source.write_text("\n".join(lines + ["return 0; }", ""]))
        result = subprocess.run(compiler + unlimited + ["-w", "-o", str(program), str(source)],
                                capture_output=True, text=True, check=False)
        if result.returncode == 0:
            output = subprocess.run([program], capture_output=True, text=True, check=True).stdout
            return {name: int(value, 16) for value, name in
                    (line.split("\t") for line in output.splitlines())}
        bad = {int(n) for n in re.findall(r"ask\.c:(\d+):\d+: (?:fatal )?error", result.stderr)}
        if not bad or min(bad) < first:
            return {}
        questions = [q for n, q in enumerate(questions, first) if n not in bad]
    return {}


def include_folders(package):
    """As the compiler takes them; none if the package (or pkg-config) is not here."""
    try:
        answer = subprocess.run(["pkg-config", "--cflags-only-I", package], capture_output=True, text=True, check=False)
    except OSError:
        return []
    return answer.stdout.split() if answer.returncode == 0 else []


def main():
    root, header, package, compiler = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4:]
    questions = list(facts(root))
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        ours = ask(compiler + [f"-I{root}"], "include/pkcs11.h", questions, folder)
        theirs = ask(compiler + include_folders(package), header, questions, folder)
    print("1..1")
    if not theirs:
        print(f"ok 1 - pkcs11.h # SKIP {header} is not installed (Debian: libp11-kit-dev)")
        return
    wrong = [name for name in theirs if ours.get(name) != theirs[name] and
             not ("p11-kit" in header and name in P11_KIT_MISTAKES)]
    for name in wrong:
        print(f"# {name}: ours {ours.get(name, 0):#x}, {header} {theirs[name]:#x}")
    good = len(ours) == len(questions) and len(theirs) >= ENOUGH and not wrong
    print("ok" if good else "not ok", "1 - pkcs11.h agrees with", header,
          f"({len(theirs)} of {len(ours)} facts are in both)")


main()
