#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Every command of `cmek` that reads or changes the store, and what programs do to keys by PKCS #11, on each engine: the same words and exit codes
as on SQLite. A command that is not walked fails the test. TAP."""

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from store_dynamodb import KEYS, MINISTACK, MiniStack  # noqa: E402
from store_etcd import CMEK, MODULE, Etcd, Tally, template  # noqa: E402

# What no store has a part in, or a test of its own (store_levels.py, store_copy.py).
ELSEWHERE = {"completion", "store upgrade", "store downgrade", "store copy", "store create", "store check", "policy", "inspect"}
CKA_CMEK_ZONE = 0x80434D05
SECRET = "card 4111"

# Words, or ("fails", words); "@x" is the file x of the folder, "py:x" a step of Program.
WALK = [
    "project create demo", ("fails", "project create demo"), "key create --project demo local:one --label root",
    "key create --project demo local:two --label second", ("fails", "key add --project demo local:one"),
    "cluster create --project demo main --key root --region local", ("fails", "cluster create --project demo main --key root --region local"),
    "cluster create --project demo empty --key second --region local", "cluster list --project demo", "cluster show --project demo main",
    "database create --project demo main/a", "database create --project demo main/b --rotate-days 90", "database create --project demo main/loose",
    "database create --project demo --no-embed main/kept", "database create --project demo --both root,second main/two",
    ("fails", "database create --project demo main/a"), "py:keys", "encrypt --project demo --database main/a @plain @a.cmek",
    "encrypt --project demo --database main/kept @plain @kept.cmek", "encrypt --project demo --database main/two @plain @two.cmek",
    "database rotate --project demo main/a", "database rotate --project demo --all", "encrypt --project demo --database main/a @plain @a2.cmek",
    "decrypt @a.cmek -", "decrypt @a2.cmek -", "decrypt @kept.cmek -", "decrypt @two.cmek -", "rewrap @a.cmek", "scan @a.cmek", "py:wrap", "py:data",
    "database rewrap --project demo --token-keys main/a", "py:data", "database set --project demo main/a --raw-version 3 --min-version 2",
    "database set --project demo main/a --rotate-days 30", "database set --project demo main/a --trusted yes", "decrypt @a.cmek -", "database retire --project demo main/a --version 1",
    "database unretire --project demo main/a --version 1", "database retire --project demo main/a --version 1", "database show --project demo main/a",
    ("fails", "key remove --project demo root"), "database rewrap --project demo --key second main/a",
    "database rewrap --project demo --key second --all", "database rewrap --project demo --key second --all --prove",
    "database set-keys --project demo main/b --any root,second", "database set-keys --project demo main/b --any second", "decrypt @a2.cmek -",
    "key disable --project demo second", ("fails", "decrypt @a2.cmek -"), "key enable --project demo second", "key show --project demo second",
    "database delete --project demo main/b --dry-run", "database delete --project demo main/b", "database list --project demo --deleted",
    "database undelete --project demo main/b --label main/back", "database delete --project demo main/kept", ("fails", "decrypt @kept.cmek -"),
    "database undelete --project demo main/kept", "decrypt @kept.cmek -", "py:rename", "py:exchange", "cluster delete --project demo empty",
    "cluster undelete --project demo empty", "cluster delete --project demo empty", "backup --project demo @all.backup", "backup verify @all.backup",
    "database delete --project demo main/kept", "database erase --project demo main/kept --yes-erase main/kept", ("fails", "decrypt @kept.cmek -"),
    ("fails", "database undelete --project demo main/kept"), "restore --dry-run @all.backup", "restore --revive main/kept @all.backup",
    "decrypt @kept.cmek -", "restore --as copy @all.backup", "py:data", "database list --project copy", "key list --project demo",
    "migrate --project demo --database main/a @tree", "export @tree", "tree", "key create --project demo local:third --label third",
    "key remove --project demo third", "key list --project demo", "key restore --project demo third",
    "doctor --all", "store show", "database show --project demo main/a", "py:replace", "project list", "project show demo", "project restore demo",
    "project list", "maintain --dry-run", "maintain --now",
]


class Program:
    """What programs do by PKCS #11: `every_store.py py:STEP FOLDER`, in a process of its own."""

    def __init__(self, folder):
        import PyKCS11
        from PyKCS11 import LowLevel as low
        self.folder, self.pk, self.low = folder, PyKCS11, low
        self.library = PyKCS11.PyKCS11Lib()
        self.library.load(MODULE)
        self.slot = self.library.getSlotList(tokenPresent=True)[0]
        self.session = self.library.openSession(self.slot, low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)

    def find(self, label):
        return self.session.findObjects([(self.low.CKA_CLASS, self.low.CKO_SECRET_KEY), (self.low.CKA_LABEL, label)])

    def keys(self):
        """Keys that the store keeps, generated and copied and destroyed; a zone by a template."""
        low, token = self.low, (self.low.CKA_TOKEN, True)
        zone = self.session.getAttributeValue(self.find("main/a")[0], [CKA_CMEK_ZONE])[0]
        for label in ("stored", "gone"):
            self.session.generateKey(template(token, (low.CKA_LABEL, label), (low.CKA_VALUE_LEN, 32), (low.CKA_EXTRACTABLE, True),
                                              (CKA_CMEK_ZONE, zone)))
        self.session.destroyObject(self.find("gone")[0])
        for kind, label, more in ((low.CKO_DATA, "password", [(low.CKA_APPLICATION, "lab")]),
                                  (low.CKO_CERTIFICATE, "certificate", [(low.CKA_CERTIFICATE_TYPE, low.CKC_X_509), (low.CKA_SUBJECT, b"lab")])):
            self.session.createObject([(low.CKA_CLASS, kind), token, (low.CKA_LABEL, label), (low.CKA_VALUE, SECRET.encode()),
                                       (CKA_CMEK_ZONE, zone), *more])
        self.session.generateKey(template(token, (low.CKA_LABEL, "main/program"), (low.CKA_VALUE_LEN, 32)))
        print(len(self.find("stored")), len(self.find("gone")), len(self.find("main/program")))

    def wrap(self):
        """A stored key leaves its zone wrapped, and comes back as a further one."""
        low = self.low
        by = self.pk.Mechanism(0x80434D02, b"")
        blob = self.session.wrapKey(self.find("main/a")[0], self.find("stored")[0], by)
        self.session.unwrapKey(self.find("main/a")[0], blob, template((low.CKA_TOKEN, True), (low.CKA_LABEL, "back")), by)
        print(len(self.find("back")))

    def data(self):
        """What each project's databases keep of data is read, and gets a new value in the first."""
        low = self.low
        for slot in self.library.getSlotList(tokenPresent=True):
            session = self.library.openSession(slot, low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)
            for kind in (low.CKO_DATA, low.CKO_CERTIFICATE):
                for found in session.findObjects([(low.CKA_CLASS, kind)]):
                    label, value = session.getAttributeValue(found, [low.CKA_LABEL, low.CKA_VALUE])
                    print(self.library.getTokenInfo(slot).label.strip(), label, bytes(value).decode())
        data = self.session.findObjects([(low.CKA_CLASS, low.CKO_DATA)])[0]
        value = bytes(self.session.getAttributeValue(data, [low.CKA_VALUE])[0])
        self.session.setAttributeValue(data, [(low.CKA_VALUE, value + b"!" * 2000)])
        self.session.setAttributeValue(data, [(low.CKA_VALUE, value + b"!")])

    def rename(self):
        for label, to in (("main/loose", "main/renamed"), ("stored", "kept for later")):
            self.session.setAttributeValue(self.find(label)[0], [(self.low.CKA_LABEL, to)])
        print(len(self.find("main/renamed")), len(self.find("kept for later")), len(self.find("main/loose")))

    def exchange(self):
        """A zone's records leave it; here, where it lives, they are refused."""
        by = self.pk.Mechanism(0x80434D01, None)
        records = self.session.wrapKey(self.find("second")[0], self.find("main/a")[0], by)
        try:
            self.session.unwrapKey(self.find("second")[0], records, template((self.low.CKA_TOKEN, True), (self.low.CKA_LABEL, "main/again")), by)
            print("taken twice")
        except self.pk.PyKCS11Error as error:
            print(error)

    def replace(self):
        self.session.closeSession()
        self.library.getTokenInfo(self.slot)
        self.library.initToken(self.slot, "", "demo".ljust(32))
        print(self.library.getTokenInfo(self.slot).label)


def run_one(words, folder, conf):
    environment = dict(os.environ, CMEK_PKCS11_CONF=conf, CMEK_PKCS11_MODULE=MODULE)
    if words.startswith("py:"):
        line = [sys.executable, os.path.abspath(__file__), words, folder]
    else:
        line = [CMEK] + [os.path.join(folder, word[1:]) if word.startswith("@") else word for word in words.split()]
    return subprocess.run(line, env=environment, capture_output=True, text=True)


def plain(text, folder):
    """What differs from run to run has one word; what each engine says of itself in its own words is left out."""
    lines = [line for line in text.splitlines()
             if not re.match(r"store( |:)|engine |configuration:|  \[|KMS|keys:|cryptography|setting:|cmek: (all that is gone|its file|warning: \[log\])", line)
             and "was not rewritten" not in line and "scrubbed" not in line]
    text = "\n".join(lines).replace(folder, "FOLDER")
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "KEY", text)
    text = re.sub(r"\d{4}-\d\d-\d\d(T[0-9:.]+Z)?", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{16,32}\b|\b\d{15,19}\b", "ID", text)
    text = re.sub(r"is needed by zone '[^']*'", "is needed by a zone", text)  # by whichever is met first
    return "\n".join(sorted(re.sub(r"[ │├└─]+", " ", line).strip() for line in text.splitlines()))


def log_of(folder):
    path = os.path.join(folder, "log")
    return open(path).read() if os.path.exists(path) else ""


def walk(conf, folder):
    """For each command: the words, the exit code, what it printed."""
    os.makedirs(os.path.join(folder, "tree"))
    for name in ("plain", "tree/one", "tree/two"):
        with open(os.path.join(folder, name), "w") as file:
            file.write(SECRET)
    said = []
    for step in WALK:
        words, fails = (step[1], True) if isinstance(step, tuple) else (step, False)
        done = run_one(words, folder, conf)
        if (done.returncode != 0) != fails:
            raise AssertionError(f"{words}: exit code {done.returncode}\n{done.stdout}{done.stderr}{log_of(folder)}")
        said.append(f"$ {words}\n{done.returncode}\n{plain(done.stdout + done.stderr, folder)}\n")
    return said


def configure(folder, *store):
    conf = os.path.join(folder, "cmek.conf")
    with open(conf, "w") as file:
        file.write("\n".join(["[store]", *store, "[local]", f"path = {folder}/local.keys", "[log]", f"to = {folder}/log", ""]))
    return conf


def commands_are_walked(check):
    listed = subprocess.run([CMEK, "--help"], capture_output=True, text=True).stdout.split("Commands:\n")[1].split("\n\n")[0]
    known = {line[2:21].strip() for line in listed.splitlines()}
    walked = [step[1] if isinstance(step, tuple) else step for step in WALK]
    missing = {name for name in known - ELSEWHERE if not any((words + " ").startswith(name + " ") for words in walked)}
    check(len(known) > 40 and not missing, "every command that the store has a part in is walked", missing)


def engine(check, name, expected, lines):
    with tempfile.TemporaryDirectory(prefix=f"cmek-{name}-") as folder:
        said = walk(configure(folder, *[line.replace("FOLDER", folder) for line in lines]), folder)
        differences = [] if expected is None else list(difflib.unified_diff("".join(expected).splitlines(), "".join(said).splitlines(), "sqlite", name,
                                                                            lineterm=""))
        check(not differences, f"{name}: {len(WALK)} steps of the life of keys" + ("" if expected is None else ", as with SQLite"),
              "\n".join(differences[:60]))
        return said


def in_dynamodb(check, folder, expected):
    if not os.path.isdir(MINISTACK):
        check.count += 1
        print(f"ok {check.count} - dynamodb # SKIP MiniStack is not installed (build/ministack, by tools/deps.sh)")
        return
    os.environ.update(KEYS, AWS_CONFIG_FILE=os.path.join(folder, "none"), AWS_SHARED_CREDENTIALS_FILE=os.path.join(folder, "none"))
    server = MiniStack(folder)
    try:
        server.start()
        store = ["backend = dynamodb", "table = fleet", "region = eu-central-1", f"endpoint = http://127.0.0.1:{server.port}"]
        made = run_one("store create", folder, configure(folder, *store))
        check(made.returncode == 0, "a table is made", made.stderr)
        engine(check, "dynamodb", expected, store)
    finally:
        server.stop()


def main():
    if sys.argv[1:2] and sys.argv[1].startswith("py:"):
        getattr(Program(sys.argv[2]), sys.argv[1][3:])()
        return 0
    check = Tally()
    with tempfile.TemporaryDirectory(prefix="cmek-every-store-") as folder:
        etcd = Etcd(folder)
        try:
            commands_are_walked(check)
            expected = engine(check, "sqlite", None, ["path = FOLDER/store.db"])
            if shutil.which("etcd") is None:
                check.count += 1
                print(f"ok {check.count} - etcd # SKIP etcd is not installed (etcd-server)")
            else:
                etcd.start()
                engine(check, "etcd", expected, ["backend = etcd", f"endpoint = {etcd.url}"])
            in_dynamodb(check, folder, expected)
        except Exception:
            check(False, "the test runs to its end", traceback.format_exc())
        finally:
            etcd.stop()
    print(f"1..{check.count}")
    return check.failed > 0


if __name__ == "__main__":
    sys.exit(main())
