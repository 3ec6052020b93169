#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""A module with OpenSSL and libcurl hidden in it (-Dhidden_openssl=true), in a process that exports functions of another OpenSSL to everybody: Python
with Apache Arrow, by python-pkcs11, with a KMS over TLS. TAP."""

import glob
import os
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests", "aws")]
from certificates import Authority  # noqa: E402
from fake_kms import FakeAws  # noqa: E402
from load_place import Tally  # noqa: E402

ORDINARY = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
HIDDEN = os.path.join(ROOT, "build-hidden")
PRELOADS = {"glibc's malloc": "", "jemalloc": "".join(glob.glob("/usr/lib/*/libjemalloc.so.2")[:1])}

# What Milvus does by linking: another copy's functions are everybody's. Then the hierarchy, in the process and in a fork's child.
PROGRAM = """
import ctypes, glob, os, sys
import pyarrow.parquet
for library in glob.glob(os.path.dirname(pyarrow.__file__) + "/libparquet.so.*"):
    assert hasattr(ctypes.CDLL(library, mode=ctypes.RTLD_GLOBAL), "EVP_EncryptUpdate")
import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism

def use(library, wrapped=None):
    with library.get_token(token_label="p").open(rw=True) as session:
        zone = session.get_key(label="default/d")
        if wrapped is None:
            made = session.generate_key(KeyType.AES, 256, template={Attribute.EXTRACTABLE: True})
            wrapped = zone.wrap_key(made, mechanism=Mechanism.AES_KEY_WRAP)
        key = zone.unwrap_key(pkcs11.ObjectClass.SECRET_KEY, KeyType.AES, wrapped, mechanism=Mechanism.AES_KEY_WRAP)
        iv = session.generate_random(128)
        assert key.decrypt(key.encrypt(b"data" * 9, mechanism_param=iv), mechanism_param=iv) == b"data" * 9
        return wrapped

# Anonymous memory that is not dumped and stays at fork: (all, locked).
def kept():
    sums, size = [0, 0], 0
    for line in open("/proc/self/smaps"):
        words = line.split()
        if words[0] == "Size:":
            size = int(words[1])
        elif words[0] == "VmFlags:" and "dd" in words and "wf" not in words and "ac" in words:
            sums[0] += size
            sums[1] += size if "lo" in words else 0
    return sums

before = kept()
library = pkcs11.lib(sys.argv[1])
wrapped = use(library)
after = kept()
assert after[0] - before[0] > 256 and after[1] - before[1] > 16, (before, after)
child = os.fork()
if child == 0:
    try:
        assert ctypes.CDLL(sys.argv[1]).C_Initialize(None) == 0
        use(library, wrapped)
        os._exit(0)
    except BaseException as error:
        print("child:", repr(error), file=sys.stderr, flush=True)
        os._exit(1)
assert os.waitpid(child, 0)[1] == 0, "the child failed"
use(library, wrapped)
import pyarrow as pa
pyarrow.parquet.write_table(pa.table({"a": [1, 2]}), os.devnull)
library.finalize()
print("whole")
"""


def needs(module):
    return subprocess.run(["ldd", module], capture_output=True, text=True, check=True).stdout


def exported(module):
    lines = subprocess.run(["nm", "-D", "--defined-only", module], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[-1] for line in lines if " A " not in line}


def run(module, environment, preload=""):
    more = {"LD_PRELOAD": preload} if preload else {}
    return subprocess.run([sys.executable, "-c", PROGRAM, module], env=environment | more, capture_output=True, text=True, timeout=120, check=False)


def main():
    ok, built = Tally(), subprocess.run([os.path.join(ROOT, "tools", "build.sh"), HIDDEN, "-Dtests=disabled", "-Dhidden_openssl=true"],
                                        capture_output=True, text=True, check=False)
    ok(built.returncode == 0, "it builds from the distribution's static libraries", built.stdout + built.stderr)
    if built.returncode != 0:
        print("1..1")
        return
    hidden, ordinary = (os.path.join(folder, "cmek-pkcs11.so") for folder in (HIDDEN, ORDINARY))
    names = ("libcrypto", "libssl", "libcurl")
    ok(all(name in needs(ordinary) and name not in needs(hidden) for name in names), "it needs no libcrypto, libssl or libcurl, not even by others", needs(hidden))
    ok(exported(hidden) == exported(ordinary), "it exports what the ordinary one exports", exported(hidden) ^ exported(ordinary))
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        authority = Authority(folder, "ca")
        with FakeAws(*authority.certify("server")) as fake:
            configuration = os.path.join(folder, "cmek.conf")
            with open(configuration, "w", encoding="utf-8") as file:
                file.write(f"[store]\npath = {folder}/store.db\n")
            environment = {**{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "LD_"))}, **fake.environment(),
                           "AWS_CA_BUNDLE": authority.path, "CMEK_PKCS11_MODULE": hidden, "CMEK_PKCS11_CONF": configuration, "HOME": folder}
            key = fake.keys.create("us-west-2")
            for words in (("project", "create", "p"), ("key", "add", "--project", "p", key.arn), ("database", "create", "--project", "p", "default/d")):
                made = subprocess.run([os.path.join(HIDDEN, "cmek"), *words], env=environment, capture_output=True, text=True, check=False)
                ok(made.returncode == 0, f"cmek {' '.join(words[:2])} works with it, over TLS", made.stderr)
            refused = run(ordinary, environment)
            ok(refused.returncode != 0 and "-Dhidden_openssl=true" in refused.stderr, "the ordinary module refuses such a process and names the option",
               refused.stdout + refused.stderr)
            for name, preload in PRELOADS.items():
                title = f"beside Arrow and its OpenSSL, with {name}: the hierarchy, a fork's child, its memory, a clean end"
                if name == "jemalloc" and not preload:
                    ok(True, f"{title} # SKIP libjemalloc2 is not here; 'make deps' installs it")
                    continue
                done, asked = run(hidden, environment, preload), fake.calls().get("Decrypt", 0)
                ok(done.returncode == 0 and done.stdout == "whole\n" and asked >= 2, title, f"{done.returncode} {asked}\n{done.stdout}{done.stderr}")
    print(f"1..{ok.count}")


main()
