# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What is to be reached: a row for each line of the table that bench/run.py prints.

A row: title, what is measured and in which unit, the goal, whether more is better, and how the figure comes out of what was measured
(`Run`; None: not measured). A goal may be one for each OpenSSL, by the beginning of its version, longest first; "" is any."""

GCM = "AES-256-GCM, {}"
WRAP, UNWRAP = "wrap a 32-byte key (AES_KEY_WRAP)", "unwrap it into a key, destroy it"
FILE, GENERATE = "file of 4 KiB: unwrap its key, decrypt", "generate a key, destroy it"
SESSION, RANDOM, FIND = "open a session, close it", "random, 32 B", "find by label among 10,000 session keys"
LIBCRYPTO, SOFTOKN = "libcrypto", "NSS softokn"


class Run:
    """What was measured with one OpenSSL: the JSON of bench, threads and stores; `files`, where it was measured."""

    def __init__(self, bench, threads, stores, files):
        self.bench, self.files = bench, files or {}
        self.names = [peer["name"] for peer in bench["peers"]]
        self.rows = {row["work"]: row for row in bench["rows"]}
        self.threads = {row["work"]: row for row in threads}
        self.stores = {row["zones"]: row for row in stores}
        self.openssl = bench["peers"][self.names.index(LIBCRYPTO)]["version"].split()[1]

    def of(self, peer, values):
        return values[self.names.index(peer)]

    def speed(self, work):
        """Beside libcrypto."""
        return self.of("cmek-pkcs11", self.rows[work]["speed"])

    def times(self, work, peer):
        """How many times as fast as this peer."""
        return self.of(peer, self.rows[work]["times"])

    def more(self, work, peer="cmek-pkcs11"):
        """What two threads do, beside one."""
        return self.of(peer, self.threads[work]["more"])

    def store(self, zones, what):
        return self.stores.get(zones, {}).get(what)


def more_beside_libcrypto(run):
    ours, theirs = run.more(GCM.format("64 B")), run.more(GCM.format("64 B"), LIBCRYPTO)
    return None if ours is None or theirs is None else ours / theirs


def softokn(title, work, goal):
    return (title, "× NSS softokn", {"": goal}, True, lambda run: run.times(work, SOFTOKN))


def more(title, work, goal):
    return (f"{title}, two threads", "× one", {"": goal}, True, lambda run: run.more(work))


def gcm(size, goals):
    return (GCM.format(size), "of libcrypto", goals, True, lambda run: run.speed(GCM.format(size)))


def first_find(zones, goal):
    return (f"store of {zones:,} zones: start to first find", "ms", {"": goal}, False, lambda run: run.store(zones, "first_find_ms"))


def of_files(title, unit, goal, name):
    return (title, unit, {"": goal}, True, lambda run: run.files.get(name))


GOALS = (
    gcm("64 B", {"3.0": 0.85, "": 0.65}),
    gcm("1 KiB", {"3.0": 0.95, "": 0.80}),
    gcm("16 KiB", {"": 0.97}),
    gcm("1 MiB", {"": 0.99}),
    ("AES-256-GCM, 64 B: what a second thread adds", "of libcrypto's", {"": 1.0}, True, more_beside_libcrypto),
    softokn("wrap a key", WRAP, 2.0),
    softokn("unwrap a key, destroy it", UNWRAP, 3.0),
    more("unwrap a key, destroy it", UNWRAP, 1.8),
    more("wrap a key", WRAP, 1.8),
    more("generate a key, destroy it", GENERATE, 1.8),
    softokn("file of 4 KiB: unwrap its key, decrypt", FILE, 3.0),
    softokn("generate a key, destroy it", GENERATE, 2.0),
    softokn("open a session, close it", SESSION, 1.0),
    softokn("random, 32 B", RANDOM, 1.0),
    softokn("find by label among 10,000 keys", FIND, 6500),
    first_find(3000, 20),
    first_find(10000, 20),
    ("making a zone on the embedded KMS, in a store of 10,000", "ms", {"": 13}, False, lambda run: run.store(10000, "make_ms")),
    of_files("cmek encrypt, a large file", "of what disk and libcrypto allow", 0.9, "encrypt_of_bound"),
    of_files("cmek decrypt, a large file", "of what disk and libcrypto allow", 0.9, "decrypt_of_bound"),
    of_files("cmek encrypt, a large file", "× age", 1.0, "encrypt_times_age"),
    of_files("cmek decrypt, a large file", "× age", 1.0, "decrypt_times_age"),
    of_files("cmek encrypt, 10,000 files of 16 KiB", "× a loop in the shell", 5.0, "many_encrypt_times_loop"),
    of_files("cmek decrypt, 10,000 files of 16 KiB", "× a loop in the shell", 5.0, "many_decrypt_times_loop"),
)


def goal_for(goals, openssl):
    return next(goals[beginning] for beginning in sorted(goals, key=len, reverse=True) if openssl.startswith(beginning))


def judged(run):
    """By row: title, unit, goal, figure, whether it is met; None: not measured with this OpenSSL."""
    for title, unit, goals, more_is_better, figure in GOALS:
        goal, value = goal_for(goals, run.openssl), figure(run)
        met = None if value is None else value >= goal if more_is_better else value <= goal
        yield title, unit, ("≥ " if more_is_better else "≤ ") + f"{goal:g}", value, met
