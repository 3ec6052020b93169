#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What libcmek costs: run.py [ROUNDS]. A message of 1 KiB sealed and opened from C, Go, Python and Java, beside libcrypto's
AES-256-GCM of the same bytes, and beside what others use: AWS's Encryption SDK (with a local keyring, so that no KMS call is measured)
and Tink, which `tools/deps.sh bench` puts into build/peers. 1 GiB as a file beside the tool and age; 64 MiB of it by the two. A process
for each; what can't be had is left out and said. Needs the build folder (make)."""

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
ROUNDS = int(sys.argv[1]) if sys.argv[1:] and sys.argv[1].isdigit() else 100
SLICE, SIZE, PEER_STREAM, TRIES = 200, 1024, 64 << 20, 5
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
    return output([sys.executable, os.path.abspath(__file__), "--python", str(ROUNDS)])


def here():
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
    if not os.path.exists(program):
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
    if not os.path.exists(classes):
        subprocess.run([home + "/bin/javac", "--release", "22", "-nowarn", "-d", classes, *sources], check=True)
    return output([home + "/bin/java", "--enable-native-access=ALL-UNNAMED", "-cp", classes, "Bench", str(ROUNDS)])


# --- Others, each in a process of build/peers: run.py --peer NAME ROUNDS PLAIN SEALED


def seconds_of(work, sealed):
    """Until the disk has it, as the tool does."""
    begin = time.perf_counter()
    with open(sealed, "wb") as out:
        work(out)
        out.flush()
        os.fsync(out.fileno())
    return time.perf_counter() - begin


def by_tink(source, sealed):
    import tink
    from tink import aead, streaming_aead
    aead.register()
    streaming_aead.register()
    primitive = tink.new_keyset_handle(aead.aead_key_templates.AES256_GCM).primitive(aead.Aead)
    streams = tink.new_keyset_handle(streaming_aead.streaming_aead_key_templates.AES256_GCM_HKDF_1MB).primitive(streaming_aead.StreamingAead)
    plain = bytes(SIZE)
    message = primitive.encrypt(plain, b"")

    def stream(out):
        closed_by_it = os.fdopen(os.dup(out.fileno()), "wb")
        with open(source, "rb") as file, streams.new_encrypting_stream(closed_by_it, b"") as into:
            shutil.copyfileobj(file, into, 1 << 20)

    return {"seal": median(lambda: primitive.encrypt(plain, b"")), "unseal": median(lambda: primitive.decrypt(message, b"")),
            "stream": seconds_of(stream, sealed)}


def by_encryption_sdk(source, sealed):
    """With a local AES keyring in place of a KMS call for each message."""
    import aws_encryption_sdk
    from aws_cryptographic_material_providers.mpl import AwsCryptographicMaterialProviders
    from aws_cryptographic_material_providers.mpl.config import MaterialProvidersConfig
    from aws_cryptographic_material_providers.mpl.models import AesWrappingAlg, CreateRawAesKeyringInput
    client = aws_encryption_sdk.EncryptionSDKClient()
    keyring = AwsCryptographicMaterialProviders(config=MaterialProvidersConfig()).create_raw_aes_keyring(input=CreateRawAesKeyringInput(
        key_namespace="bench", key_name="bench", wrapping_key=bytes(32), wrapping_alg=AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16))
    plain = bytes(SIZE)
    message, _ = client.encrypt(source=plain, keyring=keyring)

    def stream(out):
        with open(source, "rb") as file, client.stream(mode="e", source=file, keyring=keyring, frame_length=65536) as parts:
            shutil.copyfileobj(parts, out, 1 << 20)

    return {"seal": median(lambda: client.encrypt(source=plain, keyring=keyring)),
            "unseal": median(lambda: client.decrypt(source=message, keyring=keyring)), "stream": seconds_of(stream, sealed)}


PEERS = {"Tink, Python": by_tink, "Encryption SDK, Python": by_encryption_sdk}


def of_peer(name, work):
    """In slices of a hundredth of ours: some take milliseconds for a message."""
    interpreter = os.path.join(ROOT, "build", "peers", "bin", "python")
    if not os.path.exists(interpreter):
        raise RuntimeError("build/peers is not here; tools/deps.sh bench brings it")
    plain, sealed = os.path.join(work, "plain.64"), os.path.join(work, "sealed.64")
    if not os.path.exists(plain):
        with open(plain, "wb") as file:
            for _ in range(PEER_STREAM >> 20):
                file.write(os.urandom(1 << 20))
    return output([interpreter, os.path.abspath(__file__), "--peer", name, str(max(ROUNDS // 10, 3)), plain, sealed])


# --- Large files


def large_files(work):
    """Seconds for 1 GiB, the tool, the library and age by turns, a process each: medians."""
    size = min(1 << 30, shutil.disk_usage(work).free // 5)
    plain, sealed = os.path.join(work, "plain"), os.path.join(work, "sealed")
    with open(plain, "wb") as file:
        for _ in range(size >> 20):
            file.write(os.urandom(1 << 20))
    ways = {"tool": [os.path.join(BUILD, "cmek"), "encrypt", "--quiet", "--force", "--project", "bench", "--database", "prod/bench", plain, sealed],
            "library": [BENCH, "--file", plain, sealed]}
    if shutil.which("age-keygen"):
        made = subprocess.run(["age-keygen"], capture_output=True, text=True, check=True)
        key = (made.stdout + made.stderr).split("public key: ")[1].split()[0]
        ways["age"] = ["sh", "-c", f"age -r {key} -o {sealed}.age {plain} && sync {sealed}.age"]
    times = {name: [] for name in ways}
    for _ in range(3):
        for name, words in ways.items():
            begin = time.perf_counter()
            subprocess.run(words, check=True)
            times[name].append(time.perf_counter() - begin)
    seconds = {name: sorted(list_of)[1] for name, list_of in times.items()}
    print(f"{size >> 20} MiB sealed into a file: " + ", ".join(f"{name} {it:.2f} s" for name, it in seconds.items()) +
          f"; the library has {seconds['tool'] / seconds['library']:.2f} of the tool's speed (goal 0.95)")
    if "age" not in ways:
        print("age                     left out: it is not here")


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


def over_evp(found):
    return max(found["seal"], found["unseal"]) - found["evp"]


def tried(measure, tries):
    """The middle one: a machine whose speed changes from one second to the next is asked several times, and by libcrypto each time."""
    every = [found if "evp" in (found := measure()) else found | {"evp": in_c()["evp"]} for _ in range(tries)]
    return sorted(every, key=over_evp)[tries // 2]


def rows(work):
    yield "C", in_c
    yield "Go", lambda: in_go(work)
    yield "Python", in_python
    yield "Java", lambda: in_java(work)
    for name in PEERS:
        yield name, lambda name=name: of_peer(name, work)


def main():
    with tempfile.TemporaryDirectory() as work:
        make_home(work)
        streams = []
        print(f"A message of {SIZE} bytes, and libcrypto's AES-256-GCM of as many (EVP) at that moment; the median of {TRIES} processes each")
        print(f"{'':<24}{'seal':>9}{'unseal':>9}{'EVP':>9}{'over':>9}   goal")
        for name, measure in rows(work):
            try:
                found = tried(measure, TRIES if name in GOALS else 1)
            except (ImportError, OSError, RuntimeError, subprocess.CalledProcessError) as error:
                print(f"{name:<24}left out: {error}")
                continue
            over = over_evp(found)
            goal = GOALS.get(name)
            verdict = "" if goal is None else f"{goal} us, {'met' if over <= goal else 'not met'}"
            print(f"{name:<24}{found['seal']:>9.2f}{found['unseal']:>9.2f}{found['evp']:>9.2f}{over:>9.2f}   {verdict}")
            if "stream" in found:
                streams.append(f"{PEER_STREAM >> 20} MiB sealed as a stream: {name} {found['stream']:.2f} s")
        print("\n".join(streams))
        large_files(work)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--python"]:
        ROUNDS = int(sys.argv[2])
        print(json.dumps(here()))
    elif sys.argv[1:2] == ["--peer"]:
        ROUNDS, SLICE = int(sys.argv[3]), 10
        print(json.dumps(PEERS[sys.argv[2]](sys.argv[4], sys.argv[5])))
    else:
        main()
