# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""moto's KMS over HTTP, with its signature check on, behind a proxy that counts.

As a program:

    moto_server.py [options] -- COMMAND [ARG…]   runs the command with the environment set
    moto_server.py [options]                     prints NAME=value lines, then serves until its
                                                 standard input ends (or SIGTERM)

As a module: `with Moto() as moto:` gives .environment (a dict), .keys, .client(service, region),
.calls(), .requests(), .connections and .reset_calls().

Any process may ask the proxy itself: GET /_calls answers {"Decrypt": 3, …}, GET /_requests the list
of calls (operation, region, key, encryption context, status), POST /_reset forgets both.

What moto does not do: it never refuses a disabled key, it answers AccessDeniedException where the
real KMS says IncorrectKeyException, and it cannot decrypt under a multi-Region key.
"""

import argparse
import contextlib
import http.client
import http.server
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

ACCOUNT = "123456789012"
SKIP = 77  # the exit code by which meson and our scripts know a skipped test


def missing_modules():
    """Why moto can't run here, or None."""
    try:
        import boto3  # noqa: F401
        import moto.server  # noqa: F401
    except ImportError as error:
        return f"{error} (pip install 'moto[server]==5.2.1' boto3)"
    return None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Journal:
    """What went through the proxy; safe among threads."""

    def __init__(self):
        self.lock = threading.Lock()
        self.entries = []
        self.connections = 0

    def add(self, entry):
        with self.lock:
            self.entries.append(entry)

    def clear(self):
        with self.lock:
            self.entries, self.connections = [], 0

    def counts(self):
        with self.lock:
            totals = {}
            for entry in self.entries:
                totals[entry["operation"]] = totals.get(entry["operation"], 0) + 1
            return totals


class Proxy(http.server.BaseHTTPRequestHandler):
    """Keeps the client's connections alive (moto closes its own) and passes each request on."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    journal = None  # set by subclassing
    backend_port = 0

    def setup(self):
        super().setup()
        with self.journal.lock:
            self.journal.connections += 1

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/_calls":
            return self.answer_json(self.journal.counts())
        if self.path == "/_requests":
            with self.journal.lock:
                return self.answer_json(self.journal.entries)
        return self.forward()

    def do_POST(self):
        if self.path == "/_reset":
            self.read_body()
            self.journal.clear()
            return self.answer_json({})
        return self.forward()

    do_PUT = do_GET

    def read_body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer_json(self, value):
        self.answer(200, [("Content-Type", "application/json")], json.dumps(value).encode())

    def answer(self, status, headers, body):
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def forward(self):
        body = self.read_body()
        backend = http.client.HTTPConnection("127.0.0.1", self.backend_port, timeout=60)
        backend.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():  # Host too: it is signed
            if name.lower() != "connection":
                backend.putheader(name, value)
        backend.endheaders(body)
        response = backend.getresponse()
        content = response.read()
        backend.close()
        self.note(body, response.status)
        hop = ("connection", "content-length", "transfer-encoding")
        self.answer(response.status,
                    [(n, v) for n, v in response.getheaders() if n.lower() not in hop], content)

    def note(self, body, status):
        target = self.headers.get("X-Amz-Target", "")
        if not target.startswith("TrentService."):
            return
        try:
            request = json.loads(body or b"{}")
        except ValueError:
            request = {}
        scope = self.headers.get("Authorization", "").partition("Credential=")[2].split("/")
        self.journal.add({
            "operation": target.partition(".")[2],
            "region": scope[2] if len(scope) > 2 else "",
            "key": request.get("KeyId") or request.get("DestinationKeyId", ""),
            "context": request.get("EncryptionContext", {}),
            "status": status,
        })


def make_certificate(folder):
    """A CA and a certificate for 127.0.0.1 signed by it; answers the paths (ca, certificate + key)."""
    import datetime
    import ipaddress
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    def named(text):
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    def sign(subject, key, extension, critical):
        now = datetime.datetime.now(datetime.timezone.utc)
        return (x509.CertificateBuilder().subject_name(named(subject)).issuer_name(named("test CA"))
                .public_key(key.public_key()).serial_number(x509.random_serial_number())
                .not_valid_before(now - datetime.timedelta(days=1))
                .not_valid_after(now + datetime.timedelta(days=1))
                .add_extension(extension, critical).sign(ca_key, hashes.SHA256()))

    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca = sign("test CA", ca_key, x509.BasicConstraints(ca=True, path_length=None), True)
    own = sign("127.0.0.1", key, x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
    pem = serialization.Encoding.PEM
    paths = os.path.join(folder, "ca.pem"), os.path.join(folder, "server.pem")
    with open(paths[0], "wb") as file:
        file.write(ca.public_bytes(pem))
    with open(paths[1], "wb") as file:
        file.write(own.public_bytes(pem) + key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients that are killed in the middle are part of the tests


class Moto:
    """A moto server with a user, a policy, root keys and aliases.

    regions: one key with the alias `alias/root` is made in each, `keys_per_region` keys in all
    (alias/root, alias/root-2, …). .keys lists {"region", "arn", "id", "alias", "alias_arn"}.
    tls: https with a CA made for it, which .environment names (.ca_bundle is its file).
    """

    def __init__(self, regions=("us-west-2",), keys_per_region=1, check_signatures=True, tls=False):
        self.regions = list(regions)
        self.keys_per_region = keys_per_region
        self.check_signatures = check_signatures
        self.folder = tempfile.TemporaryDirectory() if tls else None
        self.ca_bundle = None
        self.journal = Journal()
        self.keys = []
        self.process = None
        self.proxy = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.backend_port = free_port()
        self.start_backend()
        self.start_proxy()
        self.access_key, self.secret_key = "root", "root"  # until the check is on
        self.make_user()
        self.make_keys()
        if self.check_signatures:
            self.backend_post("/moto-api/reset-auth", b"0")
        self.access_key, self.secret_key = self.user_key
        self.journal.clear()

    def stop(self):
        if self.proxy is not None:
            self.proxy.shutdown()
            self.proxy.server_close()
        if self.process is not None:
            self.process.terminate()
            self.process.wait()
        if self.folder is not None:
            self.folder.cleanup()

    def start_backend(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        environment["INITIAL_NO_AUTH_ACTION_COUNT"] = "inf"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.backend_port)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=environment)
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.backend_port), 1).close()
                return
            if self.process.poll() is not None:
                raise RuntimeError("moto_server ended at once")
            if time.monotonic() > deadline:
                raise RuntimeError("moto_server did not start within 120 s")
            time.sleep(0.1)

    def start_proxy(self):
        handler = type("BoundProxy", (Proxy,),
                       {"journal": self.journal, "backend_port": self.backend_port})
        self.proxy = QuietServer(("127.0.0.1", 0), handler)
        if self.folder is not None:
            self.ca_bundle, certificate = make_certificate(self.folder.name)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.proxy.socket = context.wrap_socket(self.proxy.socket, server_side=True,
                                                    do_handshake_on_connect=False)
        threading.Thread(target=self.proxy.serve_forever, args=(0.05,), daemon=True).start()

    def backend_post(self, path, body):
        connection = http.client.HTTPConnection("127.0.0.1", self.backend_port, timeout=60)
        connection.request("POST", path, body, {"Content-Type": "text/plain"})
        response = connection.getresponse()
        response.read()
        connection.close()
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status}")

    def make_user(self):
        iam = self.client("iam")
        policy = {"Version": "2012-10-17",
                  "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        iam.create_user(UserName="cmek")
        iam.put_user_policy(UserName="cmek", PolicyName="everything",
                            PolicyDocument=json.dumps(policy))
        key = iam.create_access_key(UserName="cmek")["AccessKey"]
        self.user_key = key["AccessKeyId"], key["SecretAccessKey"]

    def make_keys(self):
        for region in self.regions:
            for number in range(1, self.keys_per_region + 1):
                self.make_key(region, "alias/root" + (f"-{number}" if number > 1 else ""))

    def make_key(self, region, alias, **parameters):
        """Makes one more key; returns its entry of .keys."""
        kms = self.client("kms", region)
        meta = kms.create_key(Description=alias, **parameters)["KeyMetadata"]
        kms.create_alias(AliasName=alias, TargetKeyId=meta["KeyId"])
        key = {"region": region, "arn": meta["Arn"], "id": meta["KeyId"], "alias": alias,
               "alias_arn": f"arn:aws:kms:{region}:{ACCOUNT}:{alias}"}
        self.keys.append(key)
        return key

    def client(self, service, region=None):
        """A boto3 client of this server, as the user whose keys .environment names."""
        import boto3
        from botocore.config import Config
        return boto3.client(
            service, region_name=region or self.regions[0], endpoint_url=self.url,
            aws_access_key_id=self.access_key, aws_secret_access_key=self.secret_key,
            verify=self.ca_bundle,
            config=Config(retries={"total_max_attempts": 1}, ignore_configured_endpoint_urls=True))

    @property
    def url(self):
        scheme = "http" if self.folder is None else "https"
        return f"{scheme}://127.0.0.1:{self.proxy.server_address[1]}"

    @property
    def connections(self):
        """Connections accepted since the last reset_calls(): tells whether they are kept alive."""
        with self.journal.lock:
            return self.journal.connections

    @property
    def environment(self):
        """What a program needs to find this server and no other (no file, no metadata service)."""
        first = self.keys[0]
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": first["region"],
            "AWS_ENDPOINT_URL": self.url,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        } | ({} if self.ca_bundle is None else {"AWS_CA_BUNDLE": self.ca_bundle}) | {
            "CMEK_TEST_KMS": "moto",
            "CMEK_TEST_KMS_ENDPOINT": self.url,
            "CMEK_TEST_KMS_KEY": first["arn"],
            "CMEK_TEST_KMS_KEY_ID": first["id"],
            "CMEK_TEST_KMS_ALIAS": first["alias"],
            "CMEK_TEST_KMS_ALIAS_ARN": first["alias_arn"],
            "CMEK_TEST_KMS_KEYS": " ".join(key["arn"] for key in self.keys),
        }

    def full_environment(self):
        """os.environ without its AWS_ settings, and .environment over it."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        return clean | self.environment

    def calls(self):
        """Calls by operation since the last reset_calls(): {"Decrypt": 3}."""
        return self.journal.counts()

    def requests(self):
        """The calls themselves, in order: operation, region, key, context, status."""
        with self.journal.lock:
            return list(self.journal.entries)

    def reset_calls(self):
        self.journal.clear()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--region", action="append", help="make keys here (again for more; us-west-2)")
    parser.add_argument("--keys", type=int, default=1, help="keys in each region (1)")
    parser.add_argument("--no-signature-check", action="store_true")
    parser.add_argument("--tls", action="store_true", help="https, with a CA made for it")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="-- COMMAND to run")
    options = parser.parse_args()
    command = options.command[1:] if options.command[:1] == ["--"] else options.command

    why = missing_modules()
    if why is not None:
        print(f"skipped: moto is missing: {why}", file=sys.stderr)
        return SKIP
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Moto(options.region or ["us-west-2"], options.keys,
              not options.no_signature_check, options.tls) as moto:
        if command:
            return subprocess.run(command, env=moto.full_environment(), check=False).returncode
        for name, value in moto.environment.items():
            print(f"{name}={value}" if " " not in value else f"{name}='{value}'")
        print(flush=True)  # an empty line: ready
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    sys.exit(main())
