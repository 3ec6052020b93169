#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What libcmek costs: run.py [ROUNDS]. A message of 1 KiB sealed and opened from C, Go, Python and Java, beside libcrypto's
AES-256-GCM of the same bytes; and, where they are installed, AWS's Encryption SDK (local keyring) and Tink. A file of 1 GiB beside the
tool. A process for each; what can't be had is left out and said. Needs the build folder (make) and what `make deps` brings."""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
BENCH = os.path.join(BUILD, "bench", "library", "bench_library")
ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 100
SLICE, SIZE = 200, 1024
GOALS = {"C": 2, "Go": 3, "Python": 10, "Java": 5}  # microseconds over libcrypto


def median(work):
    times = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        for _ in range(SLICE):
            work()
        times.append((time.perf_counter() - begin) * 1e6 / SLICE)
    return sorted(times)[ROUNDS // 2]


def in_python():
    sys.path.insert(0, os.path.join(ROOT, "bindings", "python", "src"))
    import cmek
    with cmek.open() as client:
        zone, plain = client.zone("prod/bench"), bytes(SIZE)
        sealed = zone.seal(plain)
        return {"seal": median(lambda: zone.seal(plain)), "unseal": median(lambda: client.unseal(sealed))}


def in_c():
    return output([BENCH, str(ROUNDS)])


def output(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def in_go(work):
    program = os.path.join(work, "go-bench")
    flags = dict(os.environ, CGO_CFLAGS=f"-O2 -I{ROOT}/include", CGO_LDFLAGS=f"-L{BUILD}", GOFLAGS="-mod=readonly", GOPROXY="off",
                 PKG_CONFIG_PATH=os.path.join(BUILD, "meson-uninstalled"))
    subprocess.run(["go", "build", "-o", program, "."], cwd=os.path.join(ROOT, "bench", "library", "go"), env=flags, check=True)
    return output([program, str(ROUNDS)])


def java_home():
    for home in sorted(glob.glob("/usr/lib/jvm/*")):
        if os.path.islink(home) or not os.path.exists(home + "/bin/javac"):
            continue
        said = subprocess.run([home + "/bin/javac", "-version"], capture_output=True, text=True)
        if int((said.stdout + said.stderr).split()[1].split(".")[0]) >= 22:
            return home
    raise RuntimeError("there is no JDK 22 or later")


def in_java(work):
    home, classes = java_home(), os.path.join(work, "classes")
    sources = glob.glob(os.path.join(ROOT, "bindings/java/src/main/java/cmek/*.java")) + [os.path.join(ROOT, "bench/library/Bench.java")]
    subprocess.run([home + "/bin/javac", "--release", "22", "-nowarn", "-d", classes, *sources], check=True)
    return output([home + "/bin/java", "--enable-native-access=ALL-UNNAMED", "-cp", classes, "Bench", str(ROUNDS)])


def by_tink():
    import tink
    from tink import aead
    aead.register()
    primitive = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)
    plain = bytes(SIZE)
    sealed = primitive.encrypt(plain, b"")
    return {"seal": median(lambda: primitive.encrypt(plain, b"")), "unseal": median(lambda: primitive.decrypt(sealed, b""))}


def by_encryption_sdk():
    """With a local AES keyring in place of a KMS call for each message."""
    import aws_encryption_sdk
    from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
    from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
    from aws_cryptographic_material_providers.mpl.models import AesWrappingAlg, CreateRawAesKeyringInput
    client = aws_encryption_sdk.EncryptionSDKClient()
    keyring = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig()).create_raw_aes_keyring(input=CreateRawAesKeyringInput(
        key_namespace="bench", key_name="bench", wrapping_key=bytes(32), wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16))
    plain = bytes(SIZE)
    sealed, _ = client.encrypt(source=plain, keyring=keyring)
    return {"seal": median(lambda: client.encrypt(source=plain, keyring=keyring)),
            "unseal": median(lambda: client.decrypt(source=sealed, keyring=keyring))}


def file_beside_the_tool(work):
    """Seconds for 1 GiB, the tool and the library by turns, a process each: the ratio of medians."""
    size = min(1 << 30, shutil.disk_usage(work).free // 4)
    plain, sealed = os.path.join(work, "plain"), os.path.join(work, "sealed")
    with open(plain, "wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
    programs = {"tool": [os.path.join(BUILD, "cmek"), "encrypt", "--quiet", "--force", "--project", "bench", "--database", "prod/bench"],
                "library": [BENCH, "--file"]}
    times = {name: [] for name in programs}
    for _ in range(3):
        for name, words in programs.items():
            begin = time.perf_counter()
            subprocess.run([*words, plain, sealed], check=True)
            times[name].append(time.perf_counter() - begin)
    tool, library = (sorted(times[name])[1] for name in ("tool", "library"))
    print(f"{size >> 20} MiB sealed into a file: tool {tool:.2f} s, library {library:.2f} s, {tool / library:.2f} of the tool's speed (goal 0.95)")


def make_home(work):
    conf = os.path.join(work, "cmek.conf")
    with open(conf, "w", encoding="utf-8") as file:
        file.write(f"[store]\npath = {work}/store.db\n[local]\npath = {work}/local.keys\n")
    os.environ.update(CMEK_PKCS11_CONF=conf, CMEK_PKCS11_MODULE=os.path.join(BUILD, "cmek-pkcs11.so"),
                      CMEK_LIBRARY=os.path.join(BUILD, "libcmek.so.0"), LD_LIBRARY_PATH=BUILD)
    for words in (["project", "create", "bench"], ["key", "create", "--project", "bench", "local:bench", "--label", "root"],
                  ["cluster", "create", "--project", "bench", "prod", "--key", "root", "--region", "local"],
                  ["database", "create", "--project", "bench", "prod/bench"]):
        subprocess.run([os.path.join(BUILD, "cmek"), *words], check=True, capture_output=True)


def main():
    with tempfile.TemporaryDirectory() as work:
        make_home(work)
        c = in_c()
        print(f"A message of {SIZE} bytes; libcrypto's AES-256-GCM of as many: {c['evp']:.2f} us")
        print(f"{'':<24}{'seal':>9}{'unseal':>9}{'over':>9}   goal")
        for name, measure in (("C", lambda: c), ("Go", lambda: in_go(work)), ("Python", in_python), ("Java", lambda: in_java(work)),
                              ("Tink, Python", by_tink), ("Encryption SDK, Python", by_encryption_sdk)):
            try:
                found = measure()
            except (ImportError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
                print(f"{name:<24}left out: {error}")
                continue
            over = max(found["seal"], found["unseal"]) - c["evp"]
            goal = GOALS.get(name)
            verdict = "" if goal is None else f"{goal} us, {'met' if over <= goal else 'not met'}"
            print(f"{name:<24}{found['seal']:>9.2f}{found['unseal']:>9.2f}{over:>9.2f}   {verdict}")
        file_beside_the_tool(work)


if __name__ == "__main__":
    main()
