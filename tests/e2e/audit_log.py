#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The audit log from end to end: the module and the tool over HTTP against the fake KMS. Each line is what docs/audit.md says; each request
that the KMS answered has one line with its id, and the other way round; refusals, leases, many processes, rotation, a log that can't be written, no
secret. TAP."""

import base64
import collections
import contextlib
import datetime
import hashlib
import json
import os
import pwd
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from load_place import BUILD, ROOT, Place, Tally  # noqa: E402

CMEK = os.path.join(BUILD, "cmek")
DATA = b"card 4111-1111-1111-1111"
HOSTILE = 'c/a"},\n{"event":"forged\\", \x1b[2J\u0085\u2028 Düsseldorf'
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
SECONDS = 60  # for what comes by itself after a few, on a busy machine
ZONES = 3


# --- The documentation, and what it says of a line

def table(title):
    """The rows of the table below a heading of docs/audit.md."""
    with open(os.path.join(ROOT, "docs", "audit.md"), encoding="utf-8") as file:
        part = file.read().split(f"## {title}\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("|")]
    return rows[2:]


FIELDS = {row[0].strip("`"): (row[1], row[2] == "all") for row in table("Fields")}
ACTIONS = {row[0].strip("`"): set(re.findall(r"`([^`]+)`", row[1])) for row in table("Events")}
FORMS = {
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "function": r"C_[A-Z][A-Za-z]+", "project_id": r"[0-9a-f]{32}", "zone": r"[1-9]\d*",
    "purpose": r"ezk|data|canary|import|backup", "module": r"\d+\.\d+\.\d+", "access_key_id": r"A[A-Z0-9]+",
}
NEEDED = {
    "kms": {"root_key", "duration_us"}, "outage": {"root_key", "failed", "refused", "duration_us"}, "lease": {"project_id", "zone", "version"}, "zone": {"project", "project_id"},
    **dict.fromkeys(("project", "root_key", "cluster", "archive"), {"project", "project_id", "name"}),
    "key": {"project", "project_id", "zone", "version"}, "store": {"name"},
}


def faults_of(line):
    """What is wrong with it; nothing, if it is as documented."""
    wrong = [f"{name} is not documented" for name in line if name not in FIELDS]
    wrong += [f"{name} is missing" for name, (_, always) in FIELDS.items() if always and name not in line]
    wrong += [f"{name} is missing" for name in NEEDED.get(line.get("event"), ()) if name not in line]
    for name, value in line.items():
        kind = {"text": str, "number": int}[FIELDS.get(name, ("text",))[0]]
        if type(value) is not kind or (kind is str and not value) or (kind is int and value < 0):
            wrong.append(f"{name} is no {kind}: {value!r}")
        elif name in FORMS and not re.fullmatch(FORMS[name], value):
            wrong.append(f"{name} has another form: {value!r}")
    if list(line) != [name for name in FIELDS if name in line]:
        wrong.append("another order")
    if line.get("action") not in ACTIONS.get(line.get("event"), ()):
        wrong.append(f"{line.get('event')} {line.get('action')} is not documented")
    return [f"{text}: {line}" for text in wrong]


# --- A place with an audit log

class Audited(Place):
    """A Place whose processes write one; `seen` has every line that was taken."""

    def __init__(self, folder, zones):
        self.path, self.log, self.store = (os.path.join(folder, name) for name in ("audit.jsonl", "log", "store.db"))
        self.audit, self.seen, self.torn = self.path, [], []
        super().__init__(folder, zones)
        self.set_credentials()

    def configure(self, kms, attempts=1, audit=""):
        with open(os.path.join(self.folder, "cmek.conf"), "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {self.store}\n[local]\npath = {self.folder}/local.keys\n[aws]\nmax_attempts = {attempts}\n"
                       f"[log]\nto = {self.log}\naudit = {self.audit}\n{audit}[kms]\ndeny_seconds = 1\n{kms}")

    def set_credentials(self):
        """Those with a session token, so that there is one that could get into a log."""
        credential = self.fake.identities.issue("test")
        self.environment |= {"AWS_ACCESS_KEY_ID": credential.access_key, "AWS_SECRET_ACCESS_KEY": credential.secret,
                             "AWS_SESSION_TOKEN": credential.token}

    def cmek(self, *words, **how):
        done = subprocess.run([CMEK, *words], env=self.environment, capture_output=True, timeout=120, check=False, **how)
        self.said = (done.stdout + done.stderr).decode(errors="replace")
        return done.returncode

    def consumer(self, what):
        """This very program as one that uses the module."""
        return json.loads(self.run(sys.executable, __file__, what))

    def take(self, path=None):
        """The lines written since the last time; the file goes away, as at a rotation."""
        path = path or self.path
        if not os.path.exists(path):
            return []
        with open(path, "rb") as file:
            raw = file.read()
        os.unlink(path)
        *whole, rest = raw.split(b"\n")
        if rest or not raw.isascii():
            self.torn.append(raw[-200:])
        lines = [line for line in map(self.read, whole) if line]
        self.seen += lines
        return lines

    def read(self, line):
        """None: it is no line, which is noted."""
        try:
            return json.loads(line)
        except ValueError:
            self.torn.append(line)
            return None

    def peek(self):
        """The lines so far, while others write more."""
        if not os.path.exists(self.path):
            return []
        with open(self.path, "rb") as file:
            return [json.loads(line) for line in file.read().decode().split("\n")[:-1]]

    def answered(self):
        return [entry for entry in self.fake.requests() if not entry["outcome"].startswith("reset")]

    def log_text(self):
        """What the log has got since the last time."""
        if not os.path.exists(self.log):
            return ""
        with open(self.log, encoding="utf-8") as file:
            text = file.read()
        os.unlink(self.log)
        return text


def some(lines, event, action=None, **fields):
    return [line for line in lines if line["event"] == event and action in (None, line["action"])
            and all(line.get(name) == value for name, value in fields.items())]


def check_joined(ok, place, lines, what):
    """Request by request, the KMS's log and ours."""
    ours, theirs = ({} for _ in range(2))
    calls = [line for line in some(lines, "kms") if "request_id" in line]
    for line in calls:
        ours[line["request_id"]] = line
    for entry in place.answered():
        theirs[entry["request_id"]] = entry
    ok(len(calls) == len(ours) == len(theirs) > 0 and ours.keys() == theirs.keys(), f"{what}: each of {len(theirs)} requests has one line with its id, and no line is of another",
       f"{len(calls)} lines, {len(ours)} ids, {len(theirs)} requests; {sorted(ours.keys() ^ theirs.keys())}")
    wrong = []
    for number in ours.keys() & theirs.keys():
        line, entry, context = ours[number], theirs[number], theirs[number].get("context") or {}
        for name, value in (("action", entry["op"]), ("root_key", entry["key"]), ("purpose", context.get("cmek:purpose")),
                            ("zone", context.get("cmek:zone"))):
            if line.get(name) != value:
                wrong.append(f"{name}: {line} {entry}")
        if (line["outcome"] == "ok") != (entry["outcome"] == "ok"):
            wrong.append(f"outcome: {line} {entry}")
        if "cmek:project" in context and line.get("project_id") != context["cmek:project"]:
            wrong.append(f"project: {line} {entry}")
        if "cmek:version" in context and line.get("version") != int(context["cmek:version"]):
            wrong.append(f"version: {line} {entry}")
        for name, value in (("access_key_id", entry.get("access_key")), ("credentials", "environment"), ("identity", None)):
            if line.get(name) != value and (name != "access_key_id" or "access_key" in entry):
                wrong.append(f"{name}: {line} {entry}")
        agent = f"cmek-pkcs11/{line['module']}" + (f" lease/{line['lease']}" if "lease" in line else "")
        if entry.get("agent", agent) != agent or ("lease" in line) == (context.get("cmek:purpose") in ("data", "import", "backup")):
            wrong.append(f"user agent: {line} {entry}")
        if abs(datetime.datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp() - entry["time"]) > 30:
            wrong.append(f"time: {line} {entry}")
    ok(not wrong, f"{what}: operation, key, purpose, project, zone, version, outcome, time, access key and lease are those that the KMS saw", "\n".join(wrong[:5]))


def check_project(ok, place, lines, what):
    ok(lines and all((line.get("project"), line.get("project_id")) == ("p", place.project_id) for line in lines),
       f"{what}: each line names the project, by label and id", [line for line in lines if line.get("project") != "p"][:3])


# --- The tool

def check_tool(ok, place):
    lines = place.take()
    place.project_id = some(lines, "project", "created")[0]["project_id"]
    ok([line["action"] for line in some(lines, "kms")][:3] == ["DescribeKey", "Encrypt", "Decrypt"], "a root key is described and tried")
    ok({line["name"] for line in some(lines, "zone", "created")} == {f"z{i}" for i in range(ZONES)}, "each zone that was made has a line")
    check_project(ok, place, lines, "setting up")
    check_joined(ok, place, lines, "setting up")
    place.forget()

    plain, sealed, opened = (os.path.join(place.folder, name) for name in ("plain", "sealed", "opened"))
    with open(plain, "wb") as file:
        file.write(DATA)
    codes = [place.cmek(*words) for words in (
        ("cluster", "create", "--project", "p", "c", "--key", place.key.arn.split("/")[-1], "--region", "us-west-2"),
        ("database", "create", "--project", "p", "c/orders"), ("encrypt", "--project", "p", "--database", "c/orders", plain, sealed),
        ("decrypt", sealed, opened))]
    ok(codes == [0] * 4, "a cluster, a database, a file there and back", (codes, place.said))
    lines = place.take()
    ok({line["program"] for line in lines} == {"cmek"}, "the program is named", {line["program"] for line in lines})
    zone = some(lines, "zone", "created", name="c/orders")[0]["zone"]
    opening = some(lines, "kms", "Decrypt", purpose="ezk", zone=zone, version=1, name="c/orders", outcome="ok")
    ok({line["function"] for line in opening} >= {"C_UnwrapKey"}, "a zone that is opened is named with id, version and C_ function", opening)
    check_project(ok, place, lines, "the tool")
    check_joined(ok, place, lines, "the tool")


def check_elsewhere(ok, place):
    """Another host knows the KMS alone: what is known of the project there is what the envelope says."""
    store, place.store = place.store, os.path.join(place.folder, "elsewhere.db")
    place.configure("")
    done = [place.cmek("project", "create", "other"), place.cmek("key", "add", "--project", "other", place.key.arn)]
    place.take()
    place.forget()
    done.append(place.cmek("decrypt", os.path.join(place.folder, "sealed"), os.path.join(place.folder, "abroad")))
    lines = place.take()
    ok(done == [0, 0, 0] and some(lines, "kms", "Decrypt", project_id=place.project_id, purpose="ezk"),
       "a host without the project names it by its id", (place.said, lines))
    ok(not [line for line in some(lines, "kms") if "project" in line], "and by no label", lines)
    check_joined(ok, place, lines, "elsewhere")
    place.store = store
    place.configure("")


# --- A program of one's own

def consumer(what):
    import PyKCS11
    from PyKCS11 import LowLevel as low

    vendor = 0x80434D00
    provider, zone_id, state, arn = vendor + 2, vendor + 5, vendor + 8, vendor + 9
    active, pending = ((number).to_bytes(8, sys.byteorder) for number in (1, 3))
    library = PyKCS11.PyKCS11Lib()
    library.load(os.environ["CMEK_PKCS11_MODULE"])
    slots = {library.getTokenInfo(slot).label.strip("\0 "): slot for slot in library.getSlotList(tokenPresent=True)}
    session = library.openSession(slots["p"], low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)

    def find(*template):
        return session.findObjects(list(template))[0]

    def make(*more):
        return session.generateKey([(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES), (low.CKA_TOKEN, True),
                                    (low.CKA_VALUE_LEN, 32), *more], PyKCS11.Mechanism(low.CKM_AES_KEY_GEN, None))

    def data():
        root_key, kms = find((provider, b"aws")), PyKCS11.Mechanism(vendor + 1, None)
        return bytes(session.decrypt(root_key, session.encrypt(root_key, DATA, kms), kms)) == DATA

    def there_and_back(thing, label):
        session.setAttributeValue(thing, [(low.CKA_LABEL, label)])
        for there in (pending, active):
            session.setAttributeValue(thing, [(state, there)])

    def life():
        """What has a line and nothing else here does."""
        there_and_back(make((low.CKA_LABEL, "short")), "shorter")
        cluster = session.createObject([(low.CKA_CLASS, vendor + 1), (low.CKA_TOKEN, True), (low.CKA_LABEL, "idle"),
                                        (arn, bytes(session.getAttributeValue(find((provider, b"local")), [arn])[0]))])
        there_and_back(cluster, "idler")
        session.setAttributeValue(cluster, [(state, pending)])
        there_and_back(find((provider, b"local")), "embedded")
        zone = find((low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_LABEL, "z0"))
        key = make((low.CKA_LABEL, "dek"), (zone_id, bytes(session.getAttributeValue(zone, [zone_id])[0])), (low.CKA_EXTRACTABLE, True))
        session.setAttributeValue(key, [(low.CKA_LABEL, "renamed")])
        session.destroyObject(key)
        return True

    def token_key():
        nonlocal session
        session.closeSession()
        session = library.openSession(slots["end"], low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)
        zone = find((low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_LABEL, "x/d"))
        make((low.CKA_LABEL, "dek"), (zone_id, bytes(session.getAttributeValue(zone, [zone_id])[0])), (low.CKA_EXTRACTABLE, True))
        return True

    def archive(old="old", new="new"):
        session.closeSession()
        library.initToken(slots[old], "", new.ljust(32))
        return True

    def aside():
        return archive("end", "after the end")

    print(json.dumps({"data": data, "life": life, "archive": archive, "token_key": token_key, "aside": aside}[what]()))


# --- Who

def check_who(ok, place):
    """The host, the user, and the identity by which this process asks, whatever its source."""
    fake, sealed = place.fake, os.path.join(place.folder, "sealed")
    static = fake.user
    start_url, fake.identities.sso_token = "https://corp.example/start", "sso-token-1"
    os.makedirs(os.path.join(place.folder, ".aws", "sso", "cache"), exist_ok=True)
    with open(os.path.join(place.folder, ".aws", "config"), "w", encoding="utf-8") as file:
        file.write(f"[profile base]\naws_access_key_id = {static.access_key}\naws_secret_access_key = {static.secret}\n"
                   "[profile app]\nrole_arn = arn:aws:iam::111122223333:role/app\nsource_profile = base\nrole_session_name = s-7\n"
                   f"[profile sso]\nsso_start_url = {start_url}\nsso_region = us-west-2\nsso_account_id = 111122223333\nsso_role_name = auditor\n")
    with open(os.path.join(place.folder, ".aws", "sso", "cache", hashlib.sha1(start_url.encode()).hexdigest() + ".json"), "w", encoding="utf-8") as file:
        json.dump({"startUrl": start_url, "region": "us-west-2", "accessToken": fake.identities.sso_token, "expiresAt": "2099-01-01T00:00:00Z"}, file)
    own = place.environment
    for profile, credentials, identity in (
            ("base", "profile base: static keys", None),
            ("app", "profile app: role arn:aws:iam::111122223333:role/app by profile base: static keys", "arn:aws:sts::111122223333:assumed-role/app/s-7"),
            ("sso", "profile sso: SSO role auditor of account 111122223333", None)):
        place.environment = {name: value for name, value in own.items() if name not in KEYS} | {"AWS_PROFILE": profile}
        place.forget()
        code = place.cmek("decrypt", sealed, os.path.join(place.folder, f"by-{profile}"))
        lines, asked = place.take(), place.answered()
        ok(code == 0 and lines and {(line.get("identity"), line["access_key_id"], line["credentials"]) for line in lines}
           == {(identity, entry["access_key"], credentials) for entry in asked if entry["op"] == "Decrypt"},
           f"profile {profile}: the identity is that which signed", (place.said, lines, asked))
    place.environment = own
    place.key.state = "Disabled"
    place.cmek("decrypt", sealed, os.path.join(place.folder, "never"))
    place.key.state = "Enabled"
    refused = some(place.take(), "lease", "refused")
    ok(refused and refused[0].get("access_key_id") == own["AWS_ACCESS_KEY_ID"], "a lease that is refused names the caller", refused)

    user = {"uid": os.getuid(), "user": pwd.getpwuid(os.getuid()).pw_name, "host": socket.gethostname()}
    ok(all({name: line.get(name) for name in user} == user and "euid" not in line for line in place.seen), "host and user are this machine's and ours", place.seen[:2])
    place.cmek("database", "create", "--project", "p", "--max-lease", "77", "c/short")
    lines = place.take()
    ok({line["lease"] for line in lines if line.get("name") == "c/short"} == {77}, "the lease is the record's greatest where that is less", lines)
    ok({line["lease"] for line in some(place.seen, "kms", "DescribeKey")} == {300}, "else the configured one")


def check_local_who(ok, place):
    calls = [line for line in place.seen if line["event"] == "kms" and line["root_key"].startswith(("local:", "arn:local:"))]
    ok(calls and {line.get("identity") for line in calls} == {f"{place.folder}/local.keys"} and not any("access_key_id" in line for line in calls),
       "the embedded KMS is its file", calls[:3])


def check_data(ok, place):
    place.forget()
    ok(place.consumer("data"), "a program lets the root key encrypt and decrypt")
    lines = place.take()
    ok([(line["action"], line["function"], line["purpose"]) for line in lines] == [("Encrypt", "C_Encrypt", "data"), ("Decrypt", "C_Decrypt", "data")],
       "which are two lines, of these C_ functions and this purpose", lines)
    check_project(ok, place, lines, "data")
    check_joined(ok, place, lines, "data")


def check_rewrap(place):
    """Databases go to another root key."""
    rewrap = ("database", "rewrap", "--project", "p", "--key", "other", "l/")
    return [place.cmek(*words) for words in (
        ("key", "create", "--project", "p", "local:one"), ("key", "create", "--project", "p", "local:other"),
        ("cluster", "create", "--project", "p", "l", "--key", "one", "--region", "local"), ("database", "create", "--project", "p", "l/one"),
        ("database", "create", "--project", "p", "l/two"), rewrap, (*rewrap, "--prove"),
        ("database", "set-keys", "--project", "p", "--any", "other,one", "l/one"),
        ("database", "set-keys", "--project", "p", "--any", "one,other", "l/one"))]


def check_restore(place):
    """The store is lost, and a backup brings it back."""
    store, backup = os.path.join(place.folder, "store.db"), os.path.join(place.folder, "p.backup")
    done = [place.cmek("backup", "--project", "p", backup)]
    os.rename(store, store + ".kept")
    done.append(place.cmek("restore", backup))
    os.rename(store + ".kept", store)
    return done


def life_to_the_end(place):
    """Windows that end at once; and a clock that was wrong."""
    def end(*words):
        return place.cmek(*words, "--project", "end", "x/d" if words[0] == "database" else "x" if words[0] == "cluster" else "local")
    done = [place.cmek("project", "create", "end"), place.cmek("key", "create", "--project", "end", "local:end", "--label", "local"),
            place.cmek("cluster", "create", "--project", "end", "x", "--key", "local", "--region", "r"),
            place.cmek("database", "create", "--project", "end", "x/d"), not place.consumer("token_key"),
            end("database", "rotate"), place.cmek("database", "rewrap", "--project", "end", "--token-keys", "x/d")]
    place.configure("deletion_window_days = 0\n")
    done += [end("database", "delete"), place.cmek("maintain"), end("cluster", "delete"), end("key", "remove"),
             place.cmek("maintain", "--now")]
    with contextlib.closing(sqlite3.connect(place.store)) as store, store:
        store.execute("UPDATE store SET revision = revision + 1")
        store.execute("UPDATE projects SET announced_ms = announced_ms * 2, revision = (SELECT revision FROM store) WHERE announced_ms > 0")
    done += [place.cmek("maintain"), place.cmek("key", "show", "--project", "p", place.key.id), not place.consumer("aside"), place.cmek("maintain", "--now")]
    return done


def check_life(ok, place):
    """Every kind of line that the table of events has."""
    place.configure("ezk_source = kms\n")
    done = [place.cmek("key", "create", "--project", "p", "local:here", "--label", "local"), place.cmek("key", "disable", "--project", "p", "local"),
            place.cmek("key", "enable", "--project", "p", "local"), place.consumer("life"),
            *check_rewrap(place), *check_restore(place),
            place.cmek("project", "create", "old"), place.consumer("archive"), place.cmek("project", "restore", "new")]
    done += life_to_the_end(place)
    place.configure("")
    done += [place.cmek("database", *words, "--project", "p", "c/turned") for words in (
        ("create",), ("rotate",), ("set", "--raw-version", "2", "--min-version", "2"),
        ("retire", "--version", "1"), ("unretire", "--version", "1"), ("set", "--min-version", "1"), ("set", "--min-version", "2"),
        ("retire", "--version", "1"), ("erase", "--version", "1", "--yes-erase", "c/turned"))]
    # A release to come, which has another level to bring the store to.
    ours, place.environment["CMEK_PKCS11_MODULE"] = place.environment["CMEK_PKCS11_MODULE"], os.path.join(BUILD, "tests", "module", "cmek-next.so")
    done += [place.cmek("store", "upgrade", "--to", "2"), place.cmek("store", "downgrade")]
    place.environment["CMEK_PKCS11_MODULE"] = ours
    ok(done == [0, 0, 0, True, *[0] * 9, 0, 0, 0, True, 0] + [0] * 27, "a life with all that can happen", (done, place.said))
    place.take()


def check_events(ok, place):
    had = {event: {line["action"] for line in some(place.seen, event)} for event in ACTIONS}
    missing = {event: sorted(actions - had[event]) for event, actions in ACTIONS.items() if actions - had[event]}
    # A root key is removed so only when a 21st comes; what the KMS re-encrypted opens. Of the token keys here, none is left to come back.
    # A project moves to a second store: tests/sweeps/store_copy.py. None here has PINs: tests/unit/objects/token_pin.c.
    ok(missing == {"project": ["PIN counted anew", "PIN refused", "PIN set", "move taken back", "moved"], "root_key": ["removed"], "zone": ["rewrap undone"], "key": ["restored"]},
       "each event and action that is documented occurs, but what takes a month or a KMS that is wrong", missing)


# --- What is refused

def check_refused(ok, place):
    def refused(label, code, outcome, *more):
        place.forget()
        got = place.cmek("database", "create", "--project", "p", label)
        lines = place.take()
        line = (some(lines, "zone", "creation refused") or [{}])[0]
        ok(got == code and line.get("outcome") == outcome and line.get("name") == label and line.get("function") == "C_GenerateKey"
           and not some(lines, "zone", "created"), f"a database that is refused has a line: {outcome}", (got, place.said, lines))
        check_project(ok, place, lines, outcome)
        ok(all(line.get("zone") == call["zone"] for call in some(lines, "kms", purpose="ezk")), "with the zone id of the call that failed", lines)

    refused("c/orders", 4, "exists already")
    place.key.state = "Disabled"
    refused("c/off", 5, "the key is disabled")
    place.key.state = "Enabled"
    place.fake.faults.order(op="Encrypt", type="AccessDeniedException", message="User: x is not authorized")
    refused("c/off", 5, "access denied")
    place.fake.faults.order(op="Encrypt", count=100, reset="before")
    refused("c/off", 6, "the KMS is out of reach")
    place.fake.faults.clear()
    store = sqlite3.connect(place.store, isolation_level=None)
    store.execute("BEGIN IMMEDIATE")
    refused("c/off", 6, "the store is out of reach")
    store.execute("ROLLBACK")
    store.close()
    place.forget()
    ok(place.cmek("database", "create", "--project", "p", "c/off") == 0, "and is made when nothing stands against it", place.said)
    ok(len(some(place.take(), "zone", "created", name="c/off")) == 1, "which has its line")


def check_retried(ok, place):
    """A call that was tried again is one line; the KMS saw each request."""
    place.configure("", attempts=3)
    place.forget()
    place.fake.faults.order(op="Decrypt", type="ThrottlingException", count=1)
    ok(place.cmek("decrypt", os.path.join(place.folder, "sealed"), os.path.join(place.folder, "again")) == 0, "a throttled call is tried again", place.said)
    calls, asked = some(place.take(), "kms", "Decrypt", outcome="ok"), place.answered()
    ok(len(calls) == len(asked) - 1 and calls[0]["request_id"] == asked[1]["request_id"], "which is one line, with the id of the last request", (calls, asked))
    place.configure("")


# --- Names that would break a line

def check_names(ok, place):
    done = place.cmek("database", "create", "--project", "p", HOSTILE)
    lines = place.take()
    ok(done == 4 and len(some(lines, "zone", "creation refused", name=HOSTILE)) == 1, "a label with quotes, line ends and control characters is read as it is", lines)
    program = b'/a "b\n\x1b\\\xff'
    done = subprocess.run([program, "database", "create", "--project", "p", "c/orders"], executable=CMEK, env=place.environment, capture_output=True,
                          timeout=120, check=False)
    lines = place.take()
    ok(done.returncode == 4 and lines and {line["program"] for line in lines} == {'a "b\n\x1b\\\ufffd'}, "and so is a program's name, even one that is no text",
       (done, lines))
    done = subprocess.run([CMEK.encode(), b"database", "create", "--project", b"p", b'c/\xff"\n'], env=place.environment, capture_output=True, timeout=120, check=False)
    lines = place.take()
    ok(done.returncode not in (0, -11, -6) and all(line["name"] == 'c/\ufffd"\n' for line in some(lines, "zone", "creation refused")), "and a label that is no text",
       (done, lines))


# --- Leases

def wait_for(place, done):
    """The lines, once they are as wanted; what there is, if that takes too long."""
    end = time.monotonic() + SECONDS
    while not done(place.peek()) and time.monotonic() < end:
        time.sleep(0.2)
    return place.peek()


def end(child):
    """Not in the middle of a write: first all its threads are stopped."""
    child.send_signal(signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    child.kill()
    child.communicate()


def of_each_zone(lines, action, **fields):
    found = collections.Counter(line["name"] for line in some(lines, "lease", action, **fields))
    return found == {f"z{i}": 1 for i in range(ZONES)}


def check_leases(ok, place):
    place.configure("lease_seconds = 2\n")
    place.forget()
    child = place.start("run", 8, 1000 * 3600)
    wait_for(place, lambda lines: len({line.get("zone") for line in some(lines, "kms", purpose="ezk")}) == ZONES)
    ok(not some(wait_for(place, lambda lines: len(some(lines, "kms", purpose="canary")) >= 2), "lease"), "while zones are used and renewed, no lease has a line")
    place.key.state = "Disabled"
    lines = wait_for(place, lambda lines: len(some(lines, "lease", "ended")) >= ZONES)
    ok(of_each_zone(lines, "ended", outcome="the key is disabled", root_key=place.key.arn), "a disabled key: each zone's lease ends in the log, once", some(lines, "lease"))
    denials = len(some(lines, "kms", outcome="the key is disabled"))
    lines = wait_for(place, lambda lines: len(some(lines, "kms", outcome="the key is disabled")) >= denials + 3)
    ok(len(some(lines, "lease")) == ZONES, "and no more, however often it is refused", some(lines, "lease"))
    place.key.state = "Enabled"
    lines = wait_for(place, lambda lines: len(some(lines, "lease", "recovered")) >= ZONES)
    ok(of_each_zone(lines, "recovered", outcome="ok"), "enabled again: each recovers in the log, once", some(lines, "lease"))
    place.fake.faults.order(op="*", count=1000000, reset="before")
    out = {"outcome": "the KMS is out of reach"}
    lines = wait_for(place, lambda lines: len(some(lines, "lease", "ended", **out)) >= ZONES)
    ok(of_each_zone(lines, "ended", **out), "an outage: each lease ends in the log when it has run out", some(lines, "lease"))
    place.fake.faults.clear()
    lines = wait_for(place, lambda lines: len(some(lines, "lease", "recovered")) >= 2 * ZONES)
    ok(len(some(lines, "lease", "recovered")) == 2 * ZONES, "and recovers when it is over", some(lines, "lease"))
    end(child)
    place.configure("")
    lines = place.take()
    ok(len(some(lines, "lease")) == 4 * ZONES and not some(lines, "lease", "refused"), "that is all that there is of leases", some(lines, "lease"))
    check_project(ok, place, lines, "leases")


def check_cold(ok, place):
    place.key.state = "Disabled"
    uses = place.load("run", 4, 0)
    place.key.state = "Enabled"
    lines = place.take()
    ok(uses and not any(use.good for use in uses) and of_each_zone(lines, "refused", outcome="the key is disabled") and len(some(lines, "lease")) == ZONES,
       "a process that never had a lease is refused, once for each zone", lines)


# --- Many processes, and rotation

def rotate(place, number):
    """As logrotate does it with "create": by the old name's end, a new file is there with the mode and owner of the old one."""
    if not os.path.exists(place.path):
        return
    os.rename(place.path, f"{place.path}.{number}")
    os.close(os.open(place.path, os.O_CREAT | os.O_WRONLY, 0o600))


def check_many(ok, place, processes=8):
    place.configure("lease_seconds = 0\n")  # each operation asks
    place.forget()
    children = [place.start("run", 4, 4000) for _ in range(processes)]
    rotations = 0
    while any(child.poll() is None for child in children):
        time.sleep(0.3)
        rotations += 1
        rotate(place, rotations)
    uses = [use for child in children for use in place.finish(child)]
    place.configure("")
    files = [place.take(f"{place.path}.{number}") for number in range(1, rotations + 1)] + [place.take()]
    lines = [line for part in files for line in part]
    ok(len(uses) > 100 and all(use.good for use in uses), f"{processes} processes with 4 threads each: {len(uses)} uses", [use.reason for use in uses if not use.good][:5])
    ok({line["pid"] for line in lines} == {child.pid for child in children}, "the lines are theirs")
    ok(sum(map(bool, files)) > 3, f"they went into {sum(map(bool, files))} files, moved away while they were written", [len(part) for part in files])
    check_joined(ok, place, lines, "many processes and rotations")
    check_project(ok, place, lines, "many processes and rotations")


def check_copytruncate(ok, place):
    """What a process writes after the cut begins at the file's begin, also if that process wrote before it."""
    place.configure("lease_seconds = 0\n")
    child = place.start("run", 2, 1000 * 3600)
    wait_for(place, lambda lines: len(lines) > 20)
    os.truncate(place.path, 0)
    lines = wait_for(place, lambda lines: len(lines) > 20)
    end(child)
    place.configure("")
    with open(place.path, "rb") as file:
        raw = file.read()
    ok(len(lines) > 20 and raw.startswith(b'{"time":') and b"\0" not in raw, "after copytruncate lines go on at the file's begin", raw[:200])
    place.take()


# --- A log that can't be written

def check_unwritable(ok, place):
    closed = os.path.join(place.folder, "closed.jsonl")
    with open(closed, "w", encoding="utf-8"):
        pass
    os.chmod(closed, 0o400)
    # Root may write everywhere, unless it gives that up.
    without = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"] if os.geteuid() == 0 else []
    for path, reason, prefix in (
            (os.path.join(place.folder, "missing", "audit.jsonl"), "Its folder does not exist", []), ("/dev/full", "No space left on device", []),
            (closed, "Permission denied", without)):
        place.audit = path
        place.configure("")
        place.log_text()
        done = subprocess.run([*prefix, CMEK, "decrypt", os.path.join(place.folder, "sealed"), os.path.join(place.folder, "open" + reason.replace(" ", ""))],
                              env=place.environment, capture_output=True, text=True, timeout=120, check=False)
        said = place.log_text()
        ok(done.returncode == 0, f"{reason}: the operation goes on", done.stderr)
        ok(f"warning: the audit log {path} can't be written: {reason}; a line is lost: kms Decrypt, ok" in said, "and the log says which line was lost and why", said)
    ok(os.path.getsize(closed) == 0 and not os.path.exists(os.path.join(place.folder, "missing")), "nothing was forced open or made")
    for path in ("/dev/full", closed):
        place.audit = path
        place.configure("", audit="audit_required = true\n")
        done = subprocess.run([*without, CMEK, "decrypt", os.path.join(place.folder, "sealed"), os.path.join(place.folder, "never")],
                              env=place.environment, capture_output=True, text=True, timeout=120, check=False)
        said = place.log_text()
        ok(done.returncode == 6 and said.count(f"the audit log {path} can't be written: ") == 1, f"{path}, where the log is required: work stops, and the log says it once", said)
    place.key.state = "Disabled"
    place.configure("")
    done = place.cmek("decrypt", os.path.join(place.folder, "sealed"), os.path.join(place.folder, "never"))
    place.key.state = "Enabled"
    ok(done == 5 and "disabled" in place.said and "audit log" not in place.said, "the reason that a user is given stays the KMS's", place.said)
    place.audit = place.path
    place.configure("")
    place.log_text()


# --- Everything

def check_lines(ok, place):
    wrong = [text for line in place.seen for text in faults_of(line)]
    ok(not wrong, f"{len(place.seen)} lines are as documented", "\n".join(wrong[:5]))
    ok(not place.torn, "none is torn or mixed with another", place.torn[:3])
    # Of who runs as somebody else: tests/unit/zones/kms/audit_who.c; with FIPS: tests/unit/zones/kms/audit.c.
    unused = set(FIELDS) - {name for line in place.seen for name in line} - {"euid", "euser", "cryptography"}
    ok(FIELDS and not unused, "each field that is documented occurs", unused)


def check_quiet(ok, place):
    """All that was written, against all that is secret."""
    secrets = {text for text in place.fake.secrets() if len(text) >= 8} | {place.environment["AWS_SESSION_TOKEN"]}
    for text in place.fake.plaintexts:
        raw = base64.b64decode(text)
        secrets |= {raw.hex(), raw.decode("latin-1")} if len(raw) >= 8 else set()
    secrets = {text for text in secrets if text != "cmek:canary"} | {DATA.decode(), DATA.hex()}
    written = "\n".join(str(value) for line in place.seen for value in line.values()).lower()
    found = [text for text in secrets if text.lower() in written]
    ok(len(secrets) > 20 and not found, f"none of {len(secrets)} secrets is in a line", found)


def main():
    ok = Tally()
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        place = Audited(folder, ZONES)
        check_tool(ok, place)
        check_elsewhere(ok, place)
        check_who(ok, place)
        check_data(ok, place)
        check_refused(ok, place)
        check_retried(ok, place)
        check_names(ok, place)
        check_leases(ok, place)
        check_cold(ok, place)
        check_many(ok, place)
        check_copytruncate(ok, place)
        check_unwritable(ok, place)
        check_life(ok, place)
        check_local_who(ok, place)
        check_lines(ok, place)
        check_events(ok, place)
        check_quiet(ok, place)
        place.fake.__exit__(None, None, None)
    print(f"1..{ok.count}")


consumer(sys.argv[1]) if len(sys.argv) > 1 else main()
