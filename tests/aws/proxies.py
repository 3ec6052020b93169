#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""HTTPS_PROXY and NO_PROXY: what goes by a proxy goes through it for sure, with TLS from end to end and with the proxy's user and password,
which no log shows; what does not, never does; a proxy that fails is named. TAP."""

import base64
import tempfile

import tunnel
from certificates import Authority
from driver import OK, UNAVAILABLE, WRONG, Home, Probe, Tap, watched
from fake_kms import FakeAws

USER, PASSWORD, ESCAPED = "us er", "p@ss:w/rd", "us%20er:p%40ss%3Aw%2Frd"
SECRETS = {PASSWORD, "p%40ss%3Aw%2Frd", base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()}
CALL_MS, ATTEMPT_MS, SLACK_MS = 2000, 60000, 5000
ROLE = "arn:aws:iam::111122223333:role/proxied"
ELSEWHERE = "https://kms.example"  # nobody but the proxy knows where that is

tap = Tap()


class Scene:
    """A KMS with TLS whose CA only AWS_CA_BUNDLE names."""

    def __init__(self, folder):
        self.authority = Authority(folder, "ca")
        self.fake = FakeAws(*self.authority.certify("server")).__enter__()
        self.port = self.fake.server.server_port
        watched.append(self.fake)
        self.key = self.fake.keys.create("us-west-2").arn

    def home(self, endpoint, **environment):
        return Home(None, **self.fake.environment()).set(
            AWS_ENDPOINT_URL=endpoint, AWS_REGION="us-west-2", AWS_CA_BUNDLE=self.authority.path, PROBE_CALL_MS=CALL_MS,
            PROBE_ATTEMPT_MS=ATTEMPT_MS).set(**environment)

    def ask(self, endpoint, times=1, home=None, **environment):
        """(the last answer, what was asked of the KMS meanwhile, the log)"""
        before = len(self.fake.requests())
        with home or self.home(endpoint, **environment) as place:
            with Probe(place.environment) as probe:
                answer = [probe.ask("describe", self.key) for _ in range(times)][-1]
        told = [secret for secret in SECRETS if secret in probe.log + answer["message"]]
        if told:
            raise RuntimeError(f"the proxy's password was told: {told}\n{probe.log}")
        return answer, [entry["op"] for entry in self.fake.requests()[before:]], probe.log


def goes_through(scene):
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        with tunnel.Tunnel(scene.port) as proxy:
            answer, asked, log = scene.ask(ELSEWHERE, times=3, **{name: proxy.url})
        tap.ok(answer["status"] == OK and asked == ["DescribeKey"] * 3 and proxy.targets == ["kms.example:443"],
               f"{name}: three calls, by one tunnel that is kept", f"{answer} {asked} {proxy.heads}\n{log}")
        words = "".join(proxy.heads)
        tap.ok(not any(word in words for word in ("Authorization:", "X-Amz", "AWS4", "TrentService")), f"{name}: it sees where to, and no more", words)
    with tunnel.Tunnel(scene.port) as proxy, scene.home(ELSEWHERE, HTTPS_PROXY=proxy.url, AWS_CA_BUNDLE=None) as home:
        answer, asked, log = scene.ask(None, home=home)
    tap.ok(answer["status"] == UNAVAILABLE and not asked and proxy.targets == ["kms.example:443"],
           "behind a proxy too the KMS is who its certificate says, or nobody", f"{answer} {asked} {log}")


def credentials(scene):
    with tunnel.Tunnel(scene.port, user=f"{USER}:{PASSWORD}") as proxy:
        answer, asked, log = scene.ask(ELSEWHERE, HTTPS_PROXY=f"http://{ESCAPED}@{proxy.address}")
        tap.ok(answer["status"] == OK and asked == ["DescribeKey"] and len(proxy.heads) == 1, "user and password of the proxy's URL are shown to it",
               f"{answer} {asked} {proxy.heads}\n{log}")
    for title, address in (("no password", "http://"), ("a wrong password", f"http://{ESCAPED}x@")):
        with tunnel.Tunnel(scene.port, user=f"{USER}:{PASSWORD}") as proxy:
            answer, asked, log = scene.ask(ELSEWHERE, HTTPS_PROXY=address + proxy.address)
        good = all(word in answer["message"] for word in ("kms.example", proxy.address, "407", "USER:PASSWORD", "HTTPS_PROXY"))
        tap.ok(answer["status"] == UNAVAILABLE and good and not asked and not proxy.targets, f"{title}: the error says so and names the proxy",
               f"{answer}\n{log}")
        tap.ok(len(proxy.heads) == 1, f"{title}: which is not tried again, so that nobody is locked out", proxy.heads)


def direct(scene):
    port = scene.port
    rows = [  # endpoint, what NO_PROXY says, whether the proxy is passed by
        (f"https://127.0.0.1:{port}", "127.0.0.1", True), (f"https://127.0.0.1:{port}", "10.0.0.0/8 127.0.0.0/8", True),
        (f"https://127.0.0.1:{port}", "*", True), (f"https://localhost:{port}", "example, localhost", True),
        (f"https://kms.localhost:{port}", "localhost", True), (f"https://kms.localhost:{port}", ".localhost", True),
        (f"https://kms.localhost:{port}", f"kms.localhost:{port}", True),
        (f"https://kms.localhost:{port}", "ms.localhost", False), (f"https://kms.localhost:{port}", "kms.localhost:444", False),
        (f"https://127.0.0.1:{port}", "10.0.0.0/8,localhost", False), (f"https://localhost:{port}", "", False),
    ]
    for endpoint, words, passed_by in rows:
        for name in ("NO_PROXY", "no_proxy") if words in ("*", "127.0.0.1") else ("NO_PROXY",):
            with tunnel.Tunnel(port) as proxy:
                answer, asked, log = scene.ask(endpoint, HTTPS_PROXY=proxy.url, **{name: words})
            expected = [] if passed_by else [endpoint.removeprefix("https://")]
            tap.ok(answer["status"] == OK and asked == ["DescribeKey"] and proxy.targets == expected,
                   f"{name}={words}: {endpoint.replace(str(port), 'PORT')} {'directly' if passed_by else 'by the proxy'}",
                   f"{answer} {asked} {proxy.heads}\n{log}")


def in_clear(scene):
    """What is not encrypted, and what only this machine may know, goes to nobody but its host."""
    with FakeAws() as plain, tunnel.Tunnel(scene.port) as proxy:
        watched.append(plain)
        proxies = {name: proxy.url for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY")}
        key = plain.keys.create("us-west-2").arn
        with Home(plain, **plain.environment(), **proxies) as home, Probe(home.environment) as probe:
            answer = probe.ask("describe", key)
        tap.ok(answer["status"] == OK and not proxy.heads, "http to this machine goes by no proxy", f"{answer} {proxy.heads}")
        sources = [
            ("EC2's metadata", {"AWS_EC2_METADATA_DISABLED": None, "AWS_EC2_METADATA_SERVICE_ENDPOINT": plain.url}, "IMDS"),
            ("a container's credentials", {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{plain.url}/container"}, "Container"),
        ]
        for title, source, op in sources:
            with Home(plain, AWS_ENDPOINT_URL=ELSEWHERE, AWS_CA_BUNDLE=scene.authority.path, **proxies, **source) as home:
                with Probe(home.environment) as probe:
                    probe.ask("describe", scene.key)
            tap.ok(plain.calls().get(op, 0) > 0 and set(proxy.targets) == {"kms.example:443"} and all("CONNECT kms.example:443 " in head for head in proxy.heads),
                   f"{title}: by no proxy, while the KMS goes by it", f"{plain.calls()} {proxy.heads}\n{probe.log}")
            proxy.heads.clear()
            proxy.targets.clear()
        with Home(plain, AWS_CONTAINER_CREDENTIALS_FULL_URI=f"https://127.0.0.1:{scene.port}/container", **proxies) as home:
            with Probe(home.environment) as probe:
                answer = probe.ask("describe", key)
        tap.ok(answer["status"] != OK and not proxy.heads, "a container's credentials by https: by no proxy either", f"{answer} {proxy.heads}")


def other_services(scene):
    user = scene.fake.user
    with tunnel.Tunnel(scene.port) as proxy, scene.home(ELSEWHERE, HTTPS_PROXY=proxy.url, AWS_PROFILE="work", AWS_ACCESS_KEY_ID=None,
                                                         AWS_ENDPOINT_URL_STS="https://localhost") as home:
        home.write("config", f"[profile work]\nrole_arn = {ROLE}\nsource_profile = base\n")
        home.write("credentials", f"[base]\naws_access_key_id = {user.access_key}\naws_secret_access_key = {user.secret}\n")
        answer, asked, log = scene.ask(None, home=home)
    tap.ok(answer["status"] == OK and asked == ["AssumeRole", "DescribeKey"] and proxy.targets == ["localhost:443", "kms.example:443"],
           "STS goes by it as well", f"{answer} {asked} {proxy.targets}\n{log}")


def failures(scene):
    rows = [  # manners, what the message says, how often it is tried
        ("says 403", tunnel.answers(403, "Forbidden"), "403", 1), ("says 502", tunnel.answers(502, "Bad Gateway"), "502", 3),
        ("hangs up", tunnel.closes, "", 3), ("speaks no HTTP", tunnel.garbage, "", 3), ("says nothing", tunnel.hangs, "time", 1),
    ]
    for title, manners, word, times in rows:
        with tunnel.Tunnel(scene.port, manners=manners) as proxy:
            answer, asked, log = scene.ask(ELSEWHERE, HTTPS_PROXY=f"http://{ESCAPED}@{proxy.address}")
        named = all(text in answer["message"] for text in (f"the proxy {proxy.address}", "kms.example", word, "NO_PROXY"))
        tap.ok(answer["status"] == UNAVAILABLE and named and not asked and answer["ms"] <= CALL_MS + SLACK_MS and len(proxy.heads) == times,
               f"a proxy that {title}: an outage, with its name, in time", f"{answer} {proxy.heads}\n{log}")
    with tunnel.Tunnel(scene.port, pair=scene.authority.certify("proxy")) as proxy:
        answer, asked, log = scene.ask(ELSEWHERE, HTTPS_PROXY=proxy.url.replace("//", f"//{ESCAPED}@"))
    named = f"the proxy {proxy.address}" in answer["message"] and "the proxy's certificate" in answer["message"]
    tap.ok(answer["status"] == UNAVAILABLE and named and not asked and not proxy.heads,
           "a proxy by https that the system does not trust: is not told its password", f"{answer}\n{log}")
    for title, proxy, status in (("nobody listens at", f"http://{ESCAPED}@127.0.0.1:9", UNAVAILABLE), ("of an unknown kind", f"ftp://{ESCAPED}@127.0.0.1:9", UNAVAILABLE),
                                 ("whose port is none", f"http://{ESCAPED}@127.0.0.1:many", WRONG)):
        answer, asked, log = scene.ask(ELSEWHERE, HTTPS_PROXY=proxy)
        named = f"the proxy {proxy.split('@')[1]}" in answer["message"] and "check HTTPS_PROXY" in answer["message"]
        tap.ok(answer["status"] in (status, UNAVAILABLE) and named and not asked, f"a proxy {title}: named, without its password", f"{answer}\n{log}")


def main():
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        scene = Scene(folder)
        for part in (goes_through, credentials, direct, in_clear, other_services, failures):
            part(scene)
        scene.fake.__exit__()
    tap.finish()


main()
