#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Whom the module trusts, and how it talks: servers with certificates of every wrong kind, and with TLS that is too old, are told nothing, and
the error says what to do. TAP."""

import contextlib
import os
import socket
import ssl
import struct
import tempfile
import threading
import warnings

from certificates import Authority, self_signed
from driver import UNAVAILABLE, Home, Probe, Tap, watched
from fake_kms import FakeAws

TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = 0x0301, 0x0302, 0x0303, 0x0304
LIMITS = {"PROBE_CALL_MS": 20000, "PROBE_ATTEMPT_MS": 20000}

tap = Tap()


def ask(home):
    """(answer, log)"""
    with Probe(home.environment) as probe:
        answer = probe.ask("describe", "arn:aws:kms:us-west-2:111122223333:key/11111111-2222-3333-4444-555555555555")
    return answer, probe.log


def home_of(fake, **environment):
    return Home(fake, **fake.environment()).set(**LIMITS).set(**environment)


@contextlib.contextmanager
def kms(pair, context=None):
    with FakeAws(*pair) as fake:
        if context:
            context(fake)
        watched.append(fake)
        yield fake


def certificates(folder):
    good, strange = Authority(folder, "good"), Authority(folder, "strange")
    trusted = good.certify("server")
    with kms(trusted) as fake, home_of(fake, AWS_CA_BUNDLE=good.path) as home:
        answer, log = ask(home)
        tap.ok(answer["type"] == "NotFoundException" and len(fake.requests()) == 1, "AWS_CA_BUNDLE names whom to trust", f"{answer}\n{log}")
        home.set(AWS_CA_BUNDLE=None, AWS_PROFILE="work").write("config", f"[profile work]\nca_bundle = {good.path}\n")
        answer, log = ask(home)
        tap.ok(answer["type"] == "NotFoundException", "so does the profile's ca_bundle", f"{answer}\n{log}")
    two = os.path.join(folder, "two.pem")
    with open(two, "w", encoding="utf-8") as file:
        for path in (strange.path, good.path):
            with open(path, encoding="utf-8") as one:
                file.write(one.read())
    with kms(trusted) as fake, home_of(fake, AWS_CA_BUNDLE=two) as home:
        answer, log = ask(home)
        tap.ok(answer["type"] == "NotFoundException", "a bundle may have several", f"{answer}\n{log}")
    empty, missing = os.path.join(folder, "empty"), os.path.join(folder, "missing")
    with open(empty, "w", encoding="utf-8"):
        pass
    name = "name a file with its CA in AWS_CA_BUNDLE"
    rows = [  # what is wrong, certificate, AWS_CA_BUNDLE, what the error says: what happened, what to do
        ("a CA that the system does not know", trusted, None, ["issuer", name]),
        ("a CA that AWS_CA_BUNDLE does not have", strange.certify("server"), good.path, ["issuer", name]),
        ("a certificate by itself", self_signed(folder), good.path, ["self", name]),
        ("another host's certificate", good.certify("other", "IP:127.0.0.2,DNS:kms.example"), good.path, ["another host's", "check the endpoint"]),
        ("a certificate that has expired", good.certify("old", days=0), good.path, ["expired", "clock"]),
        ("a bundle that is not there", trusted, missing, [missing, "check AWS_CA_BUNDLE"]),
        ("a bundle of nothing", trusted, empty, ["check AWS_CA_BUNDLE"]),
    ]
    for title, pair, bundle, words in rows:
        with kms(pair) as fake, home_of(fake, AWS_CA_BUNDLE=bundle) as home:
            answer, log = ask(home)
            told = [word for word in [*words, f"127.0.0.1:{fake.server.server_port}"] if word not in answer["message"]]
            tap.ok(answer["status"] == UNAVAILABLE and not told and not fake.requests(), f"{title}: refused before a word is said, with what to do",
                   f"not said: {told}: {answer}\n{log}")


def hello_of(connection):
    """(the versions that a client offers) of its first message, RFC 8446 section 4.1.2."""
    head = connection.recv(5, socket.MSG_WAITALL)
    data = connection.recv(struct.unpack(">H", head[3:5])[0], socket.MSG_WAITALL)
    legacy, at = struct.unpack(">H", data[4:6])[0], 4 + 2 + 32
    at += 1 + data[at]  # session id
    at += 2 + struct.unpack(">H", data[at:at + 2])[0]  # cipher suites
    at += 1 + data[at]  # compression methods
    end, at = at + 2 + struct.unpack(">H", data[at:at + 2])[0], at + 2
    while at < end:
        kind, length = struct.unpack(">HH", data[at:at + 4])
        if kind == 43:  # supported_versions
            return set(struct.unpack(f">{data[at + 4] // 2}H", data[at + 5:at + 5 + data[at + 4]]))
        at += 4 + length
    return {version for version in (TLS_1_0, TLS_1_1, TLS_1_2) if version <= legacy}


def versions(folder):
    offers = []
    server = socket.create_server(("127.0.0.1", 0))

    def listen():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    offers.append(hello_of(connection))

    threading.Thread(target=listen, daemon=True).start()
    with Home(AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", **LIMITS,
              AWS_ENDPOINT_URL=f"https://127.0.0.1:{server.getsockname()[1]}") as home:
        ask(home)
    server.close()
    tap.ok(offers and all(offer == {TLS_1_2, TLS_1_3} for offer in offers), "TLS 1.2 and 1.3 are offered, nothing older", offers)
    authority = Authority(folder, "versions")
    pair = authority.certify("server")

    def limit(low, high):
        def set_up(fake):
            context = fake.server.socket.context
            context.set_ciphers("DEFAULT:@SECLEVEL=0")
            context.minimum_version, context.maximum_version = low, high
        return set_up

    def works_with_a_client_of(old, fake):
        """That the server would serve such a client is what makes the module's refusal one."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(authority.path)
        context.set_ciphers("DEFAULT:@SECLEVEL=0")
        context.minimum_version = old
        with socket.create_connection(("127.0.0.1", fake.server.server_port)) as raw, context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
            return tls.version()

    version = ssl.TLSVersion
    for low, high, name in ((version.TLSv1, version.TLSv1, "TLSv1"), (version.TLSv1, version.TLSv1_1, "TLSv1.1"),
                            (version.TLSv1_2, version.TLSv1_2, "TLSv1.2"), (version.TLSv1_3, version.TLSv1_3, "TLSv1.3")):
        with kms(pair, limit(low, high)) as fake, home_of(fake, AWS_CA_BUNDLE=authority.path) as home:
            serves = works_with_a_client_of(low, fake)
            answer, log = ask(home)
            asked = len(fake.requests())
        if high >= version.TLSv1_2:
            good = answer["type"] == "NotFoundException" and asked == 1
        else:
            good = answer["status"] == UNAVAILABLE and asked == 0 and "the server must offer TLS 1.2 or 1.3" in answer["message"]
        tap.ok(good and serves == name, f"a server with nothing newer than {name}: {'talked to' if high >= version.TLSv1_2 else 'refused'}",
               f"{serves} {answer} {asked}\n{log}")


def main():
    warnings.simplefilter("ignore", DeprecationWarning)  # that old versions are old is the point here
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        certificates(folder)
        versions(folder)
    tap.finish()


main()
