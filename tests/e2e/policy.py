#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""cmek policy, evaluated: the fake KMS enforces what the command prints, for the identity and for the key. Whoever has the rights of zone A and a
copy of the whole store opens nothing of zone B; each role can do what it is for, and not the rest, and sees the states of its root keys."""

import json
import os
import subprocess
import sys
import tempfile

import boto3
import botocore.exceptions

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
sys.path.insert(0, os.path.join(ROOT, "tests"))
from fake_kms import FakeAws, policy as evaluator  # noqa: E402

BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
count = 0


def ok(condition, name, detail=""):
    global count
    count += 1
    print(f"{'ok' if condition else 'not ok'} {count} - {name}")
    for line in "" if condition else str(detail).splitlines():
        print(f"# {line}")


class Someone:
    """A person with an access key, and a copy of the store."""

    def __init__(self, fake, home, user):
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            **fake.environment(), "AWS_ACCESS_KEY_ID": user.access_key, "AWS_SECRET_ACCESS_KEY": user.secret,
            "CMEK_PKCS11_MODULE": os.path.join(BUILD, "cmek-pkcs11.so"), "CMEK_PKCS11_CONF": os.path.join(home, "cmek.conf"),
            "HOME": home,
        }

    def __call__(self, *words):
        done = subprocess.run([os.path.join(BUILD, "cmek"), *words], env=self.environment, capture_output=True,
                              text=True, timeout=60, check=False)
        self.said = done.stdout + done.stderr
        self.code = done.returncode
        return self.code == 0


def set_up(fake, home):
    with open(os.path.join(home, "cmek.conf"), "w", encoding="utf-8") as file:
        file.write(f"[store]\npath = {home}/store.db\n")
    arn = fake.keys.create("us-west-2").arn
    owner = Someone(fake, home, fake.user)
    for words in (
        ("project", "create", "p"),
        ("key", "add", "--project", "p", arn, "--label", "root"),
        ("cluster", "create", "--project", "p", "c", "--key", "root", "--region", "us-west-2"),
        ("database", "create", "--project", "p", "c/a"),
        ("database", "create", "--project", "p", "c/b"),
    ):
        ok(owner(*words), " ".join(words[:2]), owner.said)
    for zone in "ab":
        plain = os.path.join(home, zone)
        with open(plain, "w", encoding="utf-8") as file:
            file.write(f"of zone {zone}")
        ok(owner("encrypt", "--project", "p", "--database", f"c/{zone}", plain, plain + ".cmek"), f"encrypt into {zone}", owner.said)
    return owner, arn


def with_role(fake, home, owner, role, *database):
    ok(owner("policy", "--project", "p", "--role", role, *database), f"the policy of a {role} of {database or 'the project'}", owner.said)
    policy = json.loads(owner.said)
    user = fake.identities.user(role + str(len(fake.identities.by_access_key)), [policy["identity_policy"]])
    return Someone(fake, home, user), policy


def opens(who, home, zone):
    result = os.path.join(home, "result")
    done = who("decrypt", os.path.join(home, zone + ".cmek"), result)
    if done:
        with open(result, encoding="utf-8") as file:
            done = file.read() == f"of zone {zone}"
        os.unlink(result)
    return done


def state_of(who):
    """The state of root key `root`, as the tree and key show have it."""
    who("tree", "--project", "p", "--json")
    drawn = [key["state"] for project in json.loads(who.said) for key in project["root_keys"] if key["label"] == "root"]
    who("key", "show", "--project", "p", "root", "--json")
    return drawn[0] if drawn == [json.loads(who.said)["state"]] else drawn


def check_states(fake, home, owner, arn):
    """Whoever can open a zone with a root key does not see "access denied", whatever else the role lacks."""
    roles = [("reader",), ("reader", "c/a"), ("writer",), ("writer", "c/a"), ("admin",)]
    for role, *database in roles:
        who, _ = with_role(fake, home, owner, role, *database)
        fake.reset()
        ok(state_of(who) == "active", f"a {role} of {database or 'the project'} sees that the root key is active", who.said)
        # Beside the state, `key show` asks when the key was used last: an admin's right.
        last = [entry["outcome"] for entry in fake.requests() if entry["op"] == "GetKeyLastUsage"]
        ok(last == ["ok" if role == "admin" else "AccessDeniedException"], "and when it was used last, if that is an admin's", (last, who.said))
        ok(("not told: " in who.said) == (role != "admin"), "or that this is not told", who.said)
        refused = [entry for entry in fake.requests() if entry["outcome"] != "ok" and entry["op"] != "GetKeyLastUsage"]
        ok(not refused and fake.calls() == {"Decrypt": 2, "GetKeyLastUsage": 1}, "by one call each, none of them refused", fake.requests())
        fake.key_of(arn).state = "PendingDeletion"
        ok(state_of(who) == "pending deletion", "and that it is pending deletion", who.said)
        ok(not [entry for entry in fake.requests() if entry["outcome"] == "AccessDeniedException" and entry["op"] != "GetKeyLastUsage"], "nothing of which is refused either", fake.requests())
        fake.key_of(arn).state = "Enabled"
    rewrapper, _ = with_role(fake, home, owner, "rewrapper")
    ok(state_of(rewrapper) == "access denied", "a rewrapper, who opens nothing, is told so", rewrapper.said)
    # Written by hand: zone a alone, neither the canary nor DescribeKey.
    _, policy = with_role(fake, home, owner, "reader", "c/a")
    narrow = {"Statement": [part for part in policy["identity_policy"]["Statement"] if part["Sid"] == "OpenZone"]}
    who = Someone(fake, home, fake.identities.user("narrow", [narrow]))
    ok(opens(who, home, "a") and state_of(who) == "active", "whoever may only open zone a sees an active root key", who.said)
    _, policy = with_role(fake, home, owner, "reader", "c/b")
    narrow = {"Statement": [part for part in policy["identity_policy"]["Statement"] if part["Sid"] == "OpenZone"]}
    who = Someone(fake, home, fake.identities.user("narrower", [narrow]))
    ok(opens(who, home, "b") and state_of(who) == "active", "and so does whoever may only open zone b", who.said)


def check_zone_reader(fake, home, owner):
    reader, policy = with_role(fake, home, owner, "reader", "c/a")
    ok(opens(reader, home, "a"), "a reader of zone a opens zone a", reader.said)
    ok(not opens(reader, home, "b") and reader.code == 5, "and not zone b: the KMS says no", reader.said)
    ok("AccessDenied" in reader.said or "not authorized" in reader.said, "and the message is the KMS's", reader.said)
    ok(not reader("database", "create", "--project", "p", "c/x"), "and makes no database", reader.said)
    calls = [entry for entry in fake.requests() if entry["outcome"] == "AccessDeniedException"]
    ok(bool(calls), "the refusals stand in the KMS's log")
    principals = {statement["Principal"]["AWS"] for statement in policy["key_policy"]["Statement"]}
    ok(principals == {"arn:aws:iam::ACCOUNT:role/ROLE"}, "the key policy has a placeholder where no principal was given", principals)


def check_key_policy(fake, home, owner, arn):
    """The other half, in the key's own policy: whoever it names needs nothing from IAM, and gets no more than the role."""
    key, role = fake.key_of(arn), "arn:aws:iam::111122223333:role/pod"
    fake.identities.roles[role] = {"policies": []}
    session = fake.identities.issue("test", role)
    guest = Someone(fake, home, session)
    guest.environment["AWS_SESSION_TOKEN"] = session.token
    ok(not opens(guest, home, "a") and guest.code == 5, "a role without any policy opens nothing", guest.said)
    ok(owner("policy", "--project", "p", "--role", "reader", "--principal", role, "c/a"), "the policy of a key for that role", owner.said)
    before, statements = key.policy, json.loads(owner.said)["key_policy"]["Statement"]
    key.policy = {"Statement": before["Statement"] + statements}
    ok(opens(guest, home, "a"), "named in the key's policy, it opens zone a", guest.said)
    ok(not opens(guest, home, "b") and guest.code == 5, "and not zone b, though it has the whole store", guest.said)
    ok(not guest("database", "create", "--project", "p", "c/x") and guest.code == 5, "and makes no database", guest.said)
    ok(owner("policy", "--project", "p", "--role", "reader", "c/a"), "the same for an example role", owner.said)
    key.policy = {"Statement": before["Statement"] + json.loads(owner.said)["key_policy"]["Statement"]}
    ok(not opens(guest, home, "a") and guest.code == 5, "which is not that role", guest.said)
    key.policy = {"Statement": statements}
    ok(opens(guest, home, "a") and not opens(owner, home, "a") and owner.code == 5, "where the key's policy leaves nothing to IAM, it alone counts", owner.said)
    key.policy = before


def check_stolen_records(fake, home, owner):
    """The store is a file that the thief may change: zone b's record under zone a's id is no way in either."""
    import sqlite3

    thief, _ = with_role(fake, home, owner, "reader", "c/a")
    stolen = os.path.join(home, "stolen")
    os.mkdir(stolen)
    with sqlite3.connect(os.path.join(home, "store.db")) as source, sqlite3.connect(os.path.join(stolen, "store.db")) as copy:
        source.backup(copy)
    with open(os.path.join(stolen, "cmek.conf"), "w", encoding="utf-8") as file:
        file.write(f"[store]\npath = {stolen}/store.db\n")
    thief.environment["CMEK_PKCS11_CONF"] = os.path.join(stolen, "cmek.conf")
    ok(opens(thief, home, "a") and not opens(thief, home, "b"), "a copy of the store gives no more", thief.said)


def check_project_roles(fake, home, owner):
    writer, _ = with_role(fake, home, owner, "writer")
    ok(opens(writer, home, "a") and opens(writer, home, "b"), "a writer of the project opens its zones", writer.said)
    ok(writer("database", "create", "--project", "p", "c/new"), "and makes databases", writer.said)
    other = fake.keys.create("us-west-2").arn
    ok(not writer("key", "add", "--project", "p", other) and writer.code == 5, "and adds no root key", writer.said)
    admin, _ = with_role(fake, home, owner, "admin")
    ok(opens(admin, home, "b"), "an admin opens its zones", admin.said)
    ok(admin("key", "add", "--project", "p", other, "--label", "other"), "and adds a root key", admin.said)
    backup = os.path.join(home, "backup")
    ok(not writer("backup", "--project", "p", backup) and writer.code == 5, "a writer makes no backup", writer.said)
    ok(admin("backup", "--project", "p", backup), "an admin does", admin.said)
    ok(not writer("backup", "verify", backup) and writer.code == 5, "a writer can't verify it", writer.said)
    ok(not writer("restore", backup) and writer.code == 5, "nor restore it", writer.said)
    ok(admin("backup", "verify", backup) and admin("restore", backup), "an admin can", admin.said)
    reader, _ = with_role(fake, home, owner, "reader")
    ok(opens(reader, home, "a") and opens(reader, home, "b"), "a reader of the project opens its zones", reader.said)
    ok(not reader("database", "create", "--project", "p", "c/y") and reader.code == 5, "and makes no database", reader.said)


def check_rotation(fake, home, owner):
    """A new version of a database's key is an admin's to make, and everybody's to use."""
    rotate = ("database", "rotate", "--project", "p")
    for role, *database in (("reader",), ("reader", "c/a"), ("writer", "c/a"), ("rewrapper", "c/a")):
        who, _ = with_role(fake, home, owner, role, *database)
        ok(not who(*rotate, "c/a") and who.code == 5, f"a {role} of {database or 'the project'} rotates nothing", who.said)
    admin, _ = with_role(fake, home, owner, "admin", "c/a")
    fake.reset()
    ok(admin(*rotate, "c/a"), "an admin of zone a rotates it", admin.said)
    ok(fake.calls() == {"Encrypt": 1}, "by one call", fake.requests())
    ok(not admin(*rotate, "c/b") and admin.code == 5, "and not zone b", admin.said)
    reader, _ = with_role(fake, home, owner, "reader", "c/a")
    new = os.path.join(home, "new")
    ok(reader("encrypt", "--project", "p", "--database", "c/a", os.path.join(home, "a"), new), "a reader of zone a writes by the new version", reader.said)
    ok(reader("inspect", new, "--json") and json.loads(reader.said)["version"] == 2, "as the file says", reader.said)
    ok(opens(reader, home, "a"), "and opens what the old one wrote", reader.said)
    admin, _ = with_role(fake, home, owner, "admin")
    ok(admin(*rotate, "--all"), "an admin of the project rotates all of it", admin.said)


def context_of(fake, owner, home, zone):
    """What the KMS is told of a zone when it is opened."""
    fake.reset()
    ok(opens(owner, home, zone), f"zone {zone} is opened", owner.said)
    return [entry for entry in fake.requests() if entry["op"] == "Decrypt"][-1]["context"]


def may(kms, operation, **request):
    try:
        return getattr(kms, operation)(**request)
    except botocore.exceptions.ClientError as error:
        return None if error.response["Error"]["Code"] == "AccessDeniedException" else error


def check_rewrapper(fake, home, owner, arn):
    """It has an EZK moved from one root key of the project to another, inside the KMS, and never sees it."""
    rewrapper, _ = with_role(fake, home, owner, "rewrapper", "c/a")
    ok(not opens(rewrapper, home, "a") and rewrapper.code == 5, "a rewrapper opens no zone", rewrapper.said)
    new = next(key["arn"] for key in json.loads(owner.said if owner("key", "list", "--project", "p", "--json") else "[]")
               if key["label"] == "other")
    kms = {name: boto3.client("kms", region_name="us-west-2", endpoint_url=fake.url,
                              aws_access_key_id=who.environment["AWS_ACCESS_KEY_ID"],
                              aws_secret_access_key=who.environment["AWS_SECRET_ACCESS_KEY"])
           for name, who in (("owner", owner), ("rewrapper", rewrapper))}
    contexts = {zone: context_of(fake, owner, home, zone) for zone in "ab"}
    blobs = {zone: kms["owner"].encrypt(KeyId=arn, Plaintext=b"z" * 32, EncryptionContext=contexts[zone])["CiphertextBlob"]
             for zone in "ab"}

    def move(zone, to_zone, key):
        return may(kms["rewrapper"], "re_encrypt", CiphertextBlob=blobs[zone], SourceKeyId=arn, DestinationKeyId=key,
                   SourceEncryptionContext=contexts[zone], DestinationEncryptionContext=contexts[to_zone])

    moved = move("a", "a", new)
    ok(moved and kms["owner"].decrypt(KeyId=new, CiphertextBlob=moved["CiphertextBlob"], EncryptionContext=contexts["a"])
       ["Plaintext"] == b"z" * 32, "a rewrapper moves the zone's key to another root key", moved)
    ok(may(kms["rewrapper"], "decrypt", KeyId=arn, CiphertextBlob=blobs["a"], EncryptionContext=contexts["a"]) is None,
       "but does not get it decrypted")
    ok(move("b", "b", new) is None, "nor moves another zone's")
    ok(move("a", "b", new) is None, "nor makes it another zone's")
    ok(move("a", "a", fake.keys.create("us-west-2").arn) is None, "nor moves it to a key that is not the project's")


def check_rewrapping(fake, home, owner):
    """The command, by an identity that may do nothing but that."""
    rewrapper, _ = with_role(fake, home, owner, "rewrapper", "c/a")
    to = ("database", "rewrap", "--project", "p", "--key")
    fake.reset()
    ok(rewrapper(*to, "other", "c/a"), "a rewrapper brings its zone under another root key", rewrapper.said)
    ok([entry["op"] for entry in fake.requests()] == ["ReEncrypt"], "by one call of the KMS, and no other", fake.requests())
    ok(not rewrapper(*to, "other", "c/b") and rewrapper.code == 5 and "kms:ReEncryptFrom" in rewrapper.said, "not another zone", rewrapper.said)
    ok(not opens(rewrapper, home, "a") and rewrapper.code == 5, "and opens it no more than before", rewrapper.said)
    ok(not rewrapper(*to, "other", "--prove", "c/a") and rewrapper.code == 5, "nor proves it", rewrapper.said)
    ok(opens(owner, home, "a"), "the zone opens by the new root key", owner.said)
    reader, _ = with_role(fake, home, owner, "reader", "c/a")
    ok(opens(reader, home, "a"), "also for a reader whose policy is of now", reader.said)
    fake.reset()
    admin, _ = with_role(fake, home, owner, "admin")
    ok(admin(*to, "root", "c/a"), "an identity that may decrypt and encrypt brings it back without the right to ReEncrypt", admin.said)
    ok("ReEncrypt" in {entry["op"] for entry in fake.requests()} and opens(owner, home, "a"), "which was asked for first", fake.requests())


def check_multi_region(fake, home, owner):
    """Whoever may open a zone may open it with the replica of its root key."""
    here = fake.keys.create("us-west-2", multi_region=True)
    there = fake.keys.replicate(here, "eu-west-1")
    for words in (
        ("key", "add", "--project", "p", here.arn, "--label", "mrk"),
        ("cluster", "create", "--project", "p", "m", "--key", "mrk", "--region", "us-west-2"),
        ("database", "create", "--project", "p", "m/a"),
    ):
        ok(owner(*words), " ".join(words[:2]) + ", multi-Region", owner.said)
    plain = os.path.join(home, "m")
    with open(plain, "w", encoding="utf-8") as file:
        file.write("of zone m")
    ok(owner("encrypt", "--project", "p", "--database", "m/a", plain, plain + ".cmek"), "encrypt", owner.said)
    reader, _ = with_role(fake, home, owner, "reader", "m/a")
    with open(os.path.join(home, "cmek.conf"), "a", encoding="utf-8") as file:
        file.write("[aws]\nmulti_region_order = eu-west-1\n")
    fake.reset()
    ok(opens(reader, home, "m"), "a reader opens it by the replica", reader.said)
    ok({entry.get("region") for entry in fake.requests() if entry["op"] == "Decrypt"} == {"eu-west-1"}, "which was asked", fake.requests())
    ok(not opens(reader, home, "b") and reader.code == 5, "and no other zone", reader.said)
    del there


MAX_LEASE, MAX_STALE = "kms:EncryptionContext:cmek:max-lease", "kms:EncryptionContext:cmek:max-stale"


def patterns_of(owner, greatest):
    ok(owner("policy", "--project", "p", "--role", "reader", "--max-lease", str(greatest)), f"a policy of leases up to {greatest}", owner.said)
    opens_zone = next(part for part in json.loads(owner.said)["key_policy"]["Statement"] if part["Sid"] == "OpenZone")
    return opens_zone["Condition"]["StringLike"]


def check_patterns(owner):
    """IAM has strings to compare with: the patterns match the numbers up to the greatest, and no other that a record can have."""
    for greatest in (0, 7, 10, 99, 300, 3600, 86399, 86400, 604800, 31536000):
        like = patterns_of(owner, greatest)
        near = {0, 1, 9, 10, 99, 100, 999, 1000, 4294967295, *range(max(0, greatest - 1200), greatest + 1200), *range(0, 10 ** 8, 77777)}
        wrong = [number for number in near if evaluator.string_like(like[MAX_LEASE], str(number)) != (number <= greatest)]
        ok(not wrong and not evaluator.string_like(like[MAX_LEASE], None), f"which matches the numbers up to {greatest} and no others", wrong[:5])


def documented_refusal():
    """The statement for a key's policy that docs/aws.md shows."""
    with open(os.path.join(ROOT, "docs", "aws.md"), encoding="utf-8") as file:
        blocks = [block.split("```")[0] for block in file.read().split("```json")[1:]]
    return next(json.loads(block) for block in blocks if "RefuseLongerLeases" in block)


def check_greatest_lease(fake, home, owner, arn):
    """The owner of the key bounds leases by policy: whoever would go on for longer after a yes makes no zone and opens none."""
    for name, *bounds in (("short", "--max-lease", "3600", "--max-stale", "600"), ("longer", "--max-lease", "3601", "--max-stale", "600")):
        ok(owner("database", "create", "--project", "p", *bounds, f"c/{name}"), f"a database, {bounds}", owner.said)
        plain = os.path.join(home, name)
        with open(plain, "w", encoding="utf-8") as file:
            file.write(f"of zone {name}")
        ok(owner("encrypt", "--project", "p", "--database", f"c/{name}", plain, plain + ".cmek"), f"encrypt into {name}", owner.said)
    told = context_of(fake, owner, home, "short")
    ok((told["cmek:max-lease"], told["cmek:max-stale"]) == ("3600", "600"), "the KMS's log shows both of the zone", told)
    ok(owner("database", "show", "--project", "p", "c/short", "--json") and json.loads(owner.said)["max_lease"] == 3600, "and so does the command", owner.said)
    check_patterns(owner)
    reader, _ = with_role(fake, home, owner, "reader", "--max-lease", "3600")
    ok(opens(reader, home, "short"), "a reader of leases up to an hour opens the zone of an hour", reader.said)
    ok(not opens(reader, home, "longer") and reader.code == 5, "and not that of a second more", reader.said)
    ok(not opens(reader, home, "a") and reader.code == 5, "nor that of a day", reader.said)
    reader, _ = with_role(fake, home, owner, "reader", "--max-stale", "599")
    ok(not opens(reader, home, "short") and reader.code == 5, "whoever may not coast that long does not open it", reader.said)
    writer, _ = with_role(fake, home, owner, "writer", "--max-lease", "3600")
    ok(writer("database", "create", "--project", "p", "--max-lease", "60", "c/minute"), "a writer of leases up to an hour makes one of a minute", writer.said)
    ok(not writer("database", "create", "--project", "p", "--max-lease", "3601", "c/no") and writer.code == 5, "none of more than an hour", writer.said)
    ok(not writer("database", "create", "--project", "p", "c/no") and writer.code == 5, "and none without a bound", writer.said)
    check_key_demands(fake, home, owner, arn, told)


def check_key_demands(fake, home, owner, arn, context):
    key, before = fake.key_of(arn), fake.key_of(arn).policy
    without = {name: value for name, value in context.items() if not name.startswith("cmek:max-")}
    kms = boto3.client("kms", region_name="us-west-2", endpoint_url=fake.url, aws_access_key_id=owner.environment["AWS_ACCESS_KEY_ID"],
                       aws_secret_access_key=owner.environment["AWS_SECRET_ACCESS_KEY"])
    blob = kms.encrypt(KeyId=arn, Plaintext=b"z" * 32, EncryptionContext=without)["CiphertextBlob"]
    # What cmek policy prints, where the key's policy leaves nothing to IAM.
    role = "arn:aws:iam::111122223333:role/bounded"
    fake.identities.roles[role] = {"policies": []}
    session = fake.identities.issue("test", role)
    guest = Someone(fake, home, session)
    guest.environment["AWS_SESSION_TOKEN"] = session.token
    ok(owner("policy", "--project", "p", "--role", "reader", "--max-lease", "3600", "--principal", role), "a key policy that demands it", owner.said)
    key.policy = {"Statement": json.loads(owner.said)["key_policy"]["Statement"]}
    bounded = boto3.client("kms", region_name="us-west-2", endpoint_url=fake.url, aws_access_key_id=guest.environment["AWS_ACCESS_KEY_ID"],
                           aws_secret_access_key=guest.environment["AWS_SECRET_ACCESS_KEY"], aws_session_token=session.token)
    ok(opens(guest, home, "short"), "lets the one it names open a zone with no more", guest.said)
    ok(not opens(guest, home, "longer") and guest.code == 5, "and none of more", guest.said)
    ok(may(bounded, "decrypt", KeyId=arn, CiphertextBlob=blob, EncryptionContext=without) is None, "nor one without it")
    # What docs/aws.md shows for everybody, whatever else allows.
    key.policy = {"Statement": before["Statement"] + [documented_refusal()]}
    ok(opens(owner, home, "short"), "where the key's policy refuses longer leases to all, the zone of an hour opens", owner.said)
    ok(not opens(owner, home, "longer") and owner.code == 5, "that of more does not, for the owner either", owner.said)
    ok(may(kms, "decrypt", KeyId=arn, CiphertextBlob=blob, EncryptionContext=without) is None, "nor one without it, the owner's or not")
    ok(not owner("database", "create", "--project", "p", "c/no") and owner.code == 5, "and no zone of more is made", owner.said)
    key.policy = before
    ok(opens(owner, home, "longer"), "without that it opens", owner.said)


def check_bad_input(owner):
    for seconds in ("-1", "soon", "31536001", "1e3"):
        ok(not owner("policy", "--project", "p", "--role", "reader", "--max-lease", seconds) and owner.code == 2, f"a lease of {seconds} is a usage error", owner.said)
        ok(not owner("database", "create", "--project", "p", "--max-stale", seconds, "c/no") and owner.code == 2, "and so is a database's", owner.said)
    ok(not owner("policy", "--project", "p", "--role", "king") and owner.code == 2, "an unknown role is a usage error", owner.said)
    ok(owner("project", "create", "new") and owner("policy", "--project", "new", "--role", "admin"), "whoever adds the first root key needs no other", owner.said)
    ok("SeeNewKeys" in owner.said and "OpenZone" not in owner.said, "and gets what that needs", owner.said)
    ok(not owner("policy", "--project", "new", "--role", "reader") and owner.code == 3, "a reader needs a root key", owner.said)
    ok(not owner("policy", "--project", "p", "--role", "reader", "c/none") and owner.code == 3, "an unknown database is not found", owner.said)
    ok(not owner("policy", "--project", "p", "--role", "reader", "c/a", "c/b") and owner.code == 2, "two databases are too many", owner.said)
    ok(owner("policy", "--project", "p", "--role", "reader", "--principal", "arn:aws:iam::1:role/r", "c/a")
       and '"arn:aws:iam::1:role/r"' in owner.said, "a principal goes into the key policy", owner.said)


with FakeAws() as aws, tempfile.TemporaryDirectory() as folder:
    the_owner, the_arn = set_up(aws, folder)
    check_zone_reader(aws, folder, the_owner)
    check_key_policy(aws, folder, the_owner, the_arn)
    check_stolen_records(aws, folder, the_owner)
    check_states(aws, folder, the_owner, the_arn)
    check_project_roles(aws, folder, the_owner)
    check_rewrapper(aws, folder, the_owner, the_arn)
    check_rewrapping(aws, folder, the_owner)
    check_rotation(aws, folder, the_owner)
    check_greatest_lease(aws, folder, the_owner, the_arn)
    check_bad_input(the_owner)
    check_multi_region(aws, folder, the_owner)
print(f"1..{count}")
