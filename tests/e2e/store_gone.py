#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The store's folder is gone for a while: moved, unmounted, behind a chroot. A process that has used it goes on with what it knows, writes nothing,
makes nothing in its place, says so once, and is as before when it is back. TAP."""

import ctypes
import os
import subprocess
import sys
import tempfile
import time
import traceback

import PyKCS11
from PyKCS11 import LowLevel as low

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
MODULE, CMEK = os.path.join(BUILD, "cmek-pkcs11.so"), os.path.join(BUILD, "cmek")
CKM_CMEK_DEK_WRAP = 0x80434D02
CLONE_NEWNS = 0x20000
LOOK_SECONDS = 1.2  # a process looks at the store once a second


class Tally:
    count = failed = 0

    def __call__(self, condition, name, detail=""):
        self.count += 1
        self.failed += not condition
        print(f"{'ok' if condition else 'not ok'} {self.count} - {name}", flush=True)
        for line in "" if condition else str(detail).splitlines():
            print(f"# {line}", flush=True)


def template(*more):
    return [(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_KEY_TYPE, low.CKK_AES), *more]


class Application:
    """Handles that are made while the store is there, and what is done with them."""

    def __init__(self):
        self.library = PyKCS11.PyKCS11Lib()
        self.library.load(MODULE)
        self.slot = self.library.getSlotList(tokenPresent=True)[0]
        self.session = self.library.openSession(self.slot, low.CKF_SERIAL_SESSION | low.CKF_RW_SESSION)
        self.zone = self.find("prod/orders")
        self.dek = self.session.generateKey(template((low.CKA_TOKEN, False), (low.CKA_EXTRACTABLE, True), (low.CKA_VALUE_LEN, 32)))
        self.blob = self.wrap()
        self.data = self.encrypt(self.dek)

    def find(self, label):
        return self.session.findObjects([(low.CKA_CLASS, low.CKO_SECRET_KEY), (low.CKA_LABEL, label)])[0]

    def wrap(self):
        return bytes(self.session.wrapKey(self.zone, self.dek, PyKCS11.Mechanism(CKM_CMEK_DEK_WRAP, b"x")))

    def encrypt(self, key):
        return bytes(self.session.encrypt(key, b"what the file says", PyKCS11.AES_GCM_Mechanism(bytes(12), b"", 128)))

    def is_well(self):
        """Every old handle, and a new one."""
        assert self.encrypt(self.dek) == self.data
        key = self.session.unwrapKey(self.zone, self.blob, template((low.CKA_TOKEN, False)), PyKCS11.Mechanism(CKM_CMEK_DEK_WRAP, b"x"))
        assert self.encrypt(key) == self.data
        self.wrap()
        assert self.find("prod/orders").value() == self.zone.value()
        assert self.slot in self.library.getSlotList(tokenPresent=True)

    def make_zone(self, label):
        self.session.generateKey(template((low.CKA_TOKEN, True), (low.CKA_LABEL, label), (low.CKA_VALUE_LEN, 32)))

    def writes(self, label):
        try:
            self.make_zone(label)
        except PyKCS11.PyKCS11Error:
            return False
        return True


class Place:
    """A project whose store and key file are in a folder of their own, `data`; the log is elsewhere."""

    def __init__(self, home):
        self.home, self.data, self.log = home, os.path.join(home, "data"), os.path.join(home, "log")
        self.configuration = os.path.join(home, "cmek.conf")
        os.mkdir(self.data)
        with open(self.configuration, "w", encoding="utf-8") as file:
            file.write(f"[store]\npath = {self.data}/store.db\n[local]\npath = {self.data}/local.keys\n[log]\nto = {self.log}\n")
        os.environ.update(CMEK_PKCS11_CONF=self.configuration, CMEK_PKCS11_MODULE=MODULE, HOME=home)

    def fill(self):
        for words in (["project", "create", "demo"], ["key", "create", "--project", "demo", "local:root", "--label", "root"],
                      ["cluster", "create", "--project", "demo", "prod", "--key", "root", "--region", "us-west-2"],
                      ["database", "create", "--project", "demo", "prod/orders"]):
            subprocess.run([CMEK, *words], check=True, stdout=subprocess.DEVNULL)

    def lines(self, text):
        with open(self.log, encoding="utf-8") as file:
            return [line for line in file if text in line]


def hold(what, place, leave, come_back):
    application = Application()
    application.is_well()
    leave()
    time.sleep(LOOK_SECONDS)
    application.is_well()
    yield True, f"{what}: every handle goes on"
    yield not application.writes("prod/while-away"), f"{what}: nothing is written"
    time.sleep(LOOK_SECONDS)
    application.is_well()
    left = os.listdir(place.data) if os.path.isdir(place.data) else []
    yield left == [], f"{what}: nothing is made in its place", left
    come_back()
    time.sleep(LOOK_SECONDS)
    application.is_well()
    yield application.writes("prod/after"), f"{what}: when it is back, it is written again"
    gone, back = place.lines("store.db: it was there and is out of reach now: No such file"), place.lines("store.db: it is back")
    yield len(gone) == 1 and len(back) == 1, f"{what}: the log says it once, and once that it is back", "".join(gone + back)


def moved(place):
    place.fill()
    aside = place.data + ".aside"
    return hold("a folder that is moved", place, lambda: os.rename(place.data, aside), lambda: os.rename(aside, place.data))


def mount(*words):
    subprocess.run(["mount", *words], check=True)


def unmount(folder):
    subprocess.run(["umount", folder], check=True)


def unmounted(place):
    disk = place.data + ".disk"
    os.mkdir(disk)
    mount("--bind", disk, place.data)
    place.fill()
    yield from hold("a disk that is unmounted", place, lambda: unmount(place.data), lambda: mount("--bind", disk, place.data))
    unmount(place.data)


def behind_a_chroot(place):
    place.fill()
    root, jail = os.open("/", os.O_RDONLY), place.home + "/jail"
    os.mkdir(jail)

    def leave():
        os.chroot(jail)
        os.chdir("/")

    def come_back():
        os.fchdir(root)
        os.chroot(".")

    return hold("a chroot", place, leave, come_back)


def deleted_on_purpose(place):
    place.fill()
    application = Application()
    for name in os.listdir(place.data):
        os.unlink(os.path.join(place.data, name))
    yield not application.writes("prod/new"), "a process that has seen a store that is deleted makes none anew"
    yield os.listdir(place.data) == [], "nor anything else", os.listdir(place.data)
    subprocess.run([CMEK, "project", "create", "anew"], check=True, stdout=subprocess.DEVNULL)
    yield True, "but a new process does"
    time.sleep(LOOK_SECONDS)
    labels = [application.library.getTokenInfo(slot).label.strip() for slot in application.library.getSlotList(tokenPresent=True)]
    yield labels == ["anew"], "which the first one then has instead", labels


def in_child(ok, scenario, needs_mounts):
    """Each in a process of its own: the module is loaded there, and what it mounts goes with it."""
    results, child_end = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            with tempfile.TemporaryDirectory(prefix="cmek-test-") as home:
                os.chmod(home, 0o755)
                if needs_mounts and ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0:
                    mount("--make-rprivate", "/")
                with os.fdopen(child_end, "w") as out:
                    for good, name, *detail in scenario(Place(home)):
                        out.write(f"{int(good)}\t{name}\t{''.join(map(str, detail))!r}\n")
            status = 0
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
        os._exit(status)
    os.close(child_end)
    with os.fdopen(results) as file:
        for line in file:
            good, name, detail = line.rstrip("\n").split("\t")
            ok(good == "1", name, detail)
    _, status = os.waitpid(child, 0)
    ok(status == 0, f"{scenario.__name__.replace('_', ' ')}: and the process ends well", status)


def can_mount():
    command = ["unshare", "-m", "sh", "-c", "mount --bind /tmp /mnt"]
    return os.geteuid() == 0 and subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def main():
    ok = Tally()
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    in_child(ok, moved, False)
    in_child(ok, deleted_on_purpose, False)
    if can_mount():
        in_child(ok, unmounted, True)
    else:
        ok(True, "a disk that is unmounted # SKIP mounting needs root's rights")
    if os.geteuid() == 0:
        in_child(ok, behind_a_chroot, False)
    else:
        ok(True, "a chroot # SKIP it needs root's rights")
    print(f"1..{ok.count}")
    return ok.failed > 0


sys.exit(main())
