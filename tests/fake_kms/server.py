# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""The server: HTTP/1.1 with keep-alive, one thread a connection; control by methods here, or over HTTP for tests in other languages:

    GET  /_requests                   what was asked, oldest first
    GET  /_calls                      {"Decrypt": 3, …}
    POST /_reset                      forgets both, and all faults
    POST /_fault  {"op": …, …}        orders a fault (faults.py)
    POST /_key    {"do": "create", "region": R, …} → {"arn": …};  {"do": "state", "arn": A, "state": "Disabled"};
                  {"do": "alias", "arn": A, "name": "alias/x"};  {"do": "replicate", "arn": A, "region": R};  {"do": "rotate", "arn": A}
    POST /_user   {"name": N, "policies": […]} → {"access_key": …, "secret": …}
"""

import base64
import collections
import datetime
import http.server
import json
import socket
import ssl
import threading
import time
import urllib.parse
import uuid

from . import identity, policy
from .faults import Faults
from .keys import ACCOUNT, Keys, Material, Refusal
from .operations import Operations
from .signature import Signature, Unsigned


class Dropped(Exception):
    """The connection is closed by order of a fault."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "FakeKMS/1", ""
    timeout = 30

    def log_message(self, *_):
        pass

    def setup(self):
        super().setup()
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.server.fake.connections += 1

    def handle_one(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path, _, query = self.path.partition("?")
        self.fake.enter(1)
        try:
            if path.startswith("/_"):
                self.control(path, body)
            elif path.startswith("/latest/"):
                self.plain("IMDS", lambda: identity.metadata(self.fake.identities, self.command, path, self.headers))
            elif path == "/container":
                self.plain("Container", lambda: identity.container(self.fake.identities, self.headers))
            elif path == "/federation/credentials":
                self.plain("SSO", lambda: identity.sso_credentials(self.fake.identities, query, self.headers))
            elif path == "/token":
                self.plain("CreateToken", lambda: identity.sso_token(self.fake.identities, json.loads(body)))
            elif "X-Amz-Target" in self.headers:
                self.kms(path, body)
            else:
                self.sts(path, body)
        except Dropped:
            self.close_connection = True
            # A reset, not a polite end: what a failing network does.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.connection.close()
        finally:
            self.fake.enter(-1)

    do_GET = do_POST = do_PUT = handle_one

    @property
    def fake(self):
        return self.server.fake

    def now(self):
        return datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=self.fake.faults.skew_s)

    # --- Answers ---

    def reply(self, status, body, content_type=None, extra=(), fault=None):
        if not isinstance(body, (bytes, str)):
            body, content_type = json.dumps(body), content_type or "application/json"
        data = body.encode() if isinstance(body, str) else body
        self.send_response_only(status)
        self.send_header("Date", self.now().strftime("%a, %d %b %Y %H:%M:%S GMT"))
        self.send_header("Content-Type", content_type or "text/plain")
        if "unframed" in (fault or {}):
            self.send_header("Connection", "close")
            data = data[: fault["unframed"]]
        else:
            self.send_header("Content-Length", str(len(data)))
        for name, value in extra:
            self.send_header(name, value)
        self.end_headers()
        self.send_body(data, fault or {})

    def send_body(self, data, fault):
        if "cut" in fault:
            self.wfile.write(data[: fault["cut"]])
            raise Dropped
        if "slow" in fault:
            for byte in data:
                self.wfile.write(bytes([byte]))
                self.wfile.flush()
                time.sleep(fault["slow"] / 1000)
        else:
            self.wfile.write(data)

    def refuse(self, refusal, request_id, fault, extra=()):
        body = {"__type": refusal.error_type}
        if refusal.message:
            # The real service capitalizes the name in this one error.
            body["Message" if refusal.error_type == "AccessDeniedException" else "message"] = refusal.message
        self.reply(refusal.status, json.dumps(body), "application/x-amz-json-1.1",
                   [("x-amzn-RequestId", request_id), *extra], fault)

    # --- Requests with a fault, and what is common to them ---

    def signed_for(self):
        """The region that the request says it is for; None: it is not signed, or not well."""
        try:
            return Signature(self.headers).region
        except Unsigned:
            return None

    def begin(self, op):
        """Takes the operation's fault and obeys what of it comes before the work."""
        region = self.signed_for()
        fault, request_id = self.fake.faults.take(op, region), str(uuid.uuid4())
        entry = self.fake.note(op, request_id, region)
        time.sleep(fault.get("delay_ms", 0) / 1000)
        if "gathered" in fault:
            self.gather(fault["gathered"])
        if fault.get("reset") == "before":
            entry["outcome"] = "reset before"
            raise Dropped
        return fault, request_id, entry

    @staticmethod
    def gather(barrier):
        """Those of the first gathering go on together, or each after its time; whoever comes later goes on at once."""
        try:
            barrier.wait(10)
            barrier.abort()
        except threading.BrokenBarrierError:
            pass

    def finish(self, fault, entry, body, content_type, extra=()):
        if fault.get("reset") == "after":
            entry["outcome"] = "reset after"
            raise Dropped
        if "body" in fault:
            self.reply(fault.get("status", 200), fault["body"], fault.get("content_type", "text/html"))
        else:
            self.reply(200, body, fault.get("content_type", content_type), extra, fault)

    @staticmethod
    def ordered(fault):
        """The refusal that a fault orders."""
        if "type" in fault:
            raise Refusal(fault["type"], fault.get("message", ""), fault.get("status", 400))
        if "status" in fault and "body" not in fault:
            raise Refusal("InternalFailure", "", fault["status"])

    def plain(self, op, work):
        """What neither is signed nor has AWS's errors."""
        fault, _, entry = self.begin(op)
        if "status" in fault and "body" not in fault:
            entry["outcome"] = str(fault["status"])
            return self.reply(fault["status"], fault.get("type", ""))
        status, body = work()
        entry["outcome"] = "ok" if status == 200 else str(status)
        if status != 200:
            return self.reply(status, body)
        return self.finish(fault, entry, json.dumps(body) if isinstance(body, dict) else body, "application/json")

    # --- KMS ---

    def kms(self, path, body):
        op = self.headers["X-Amz-Target"].removeprefix("TrentService.")
        fault, request_id, entry = self.begin(op)
        try:
            answer = self.answer(op, path, body, entry, fault)
            entry["outcome"] = "ok"
        except (Refusal, Unsigned) as error:
            refusal = error if isinstance(error, Refusal) else Refusal(*error.args)
            entry["outcome"] = refusal.error_type
            return self.refuse(refusal, request_id, fault, self.retry_after(fault))
        return self.finish(fault, entry, json.dumps(self.spoil(answer, fault)), "application/x-amz-json-1.1",
                           [("x-amzn-RequestId", request_id)])

    @staticmethod
    def retry_after(fault):
        return [("x-amz-retry-after", str(fault["retry_after_ms"]))] if "retry_after_ms" in fault else []

    @staticmethod
    def spoil(answer, fault):
        if "other_key" in fault:
            other = f"arn:aws:kms:us-west-2:{ACCOUNT}:key/{uuid.UUID(int=0)}"
            if "KeyMetadata" in answer:
                answer = {"KeyMetadata": answer["KeyMetadata"] | {"Arn": other}}
            else:
                answer = answer | {"KeyId": other}
        if "plaintext_len" in fault and "Plaintext" in answer:
            answer = answer | {"Plaintext": text_of(fault["plaintext_len"])}
        return answer

    def answer(self, op, path, body, entry, fault):
        signature = Signature(self.headers)
        credential = self.fake.identities.authenticate(signature, self.headers, self.now())
        signature.check(self.command, path, self.headers, body, credential.secret, self.now())
        if signature.service != "kms":
            raise Unsigned("InvalidSignatureException", "Credential should be scoped to correct service: 'kms'.")
        request = json.loads(body)
        entry.update(
            region=signature.region, access_key=credential.access_key, caller=credential.arn,
            key=request.get("KeyId") or request.get("DestinationKeyId"), agent=self.headers.get("User-Agent"),
            context=request.get("EncryptionContext", request.get("DestinationEncryptionContext", {})),
        )
        self.ordered(fault)
        with self.fake.lock:
            run = getattr(Operations(self.fake.keys, signature.region, self.authorizer(credential)), op, None)
            if run is None or op.startswith("_"):
                raise Refusal("UnknownOperationException")
            answer = run(request)
            self.fake.plaintexts += [value["Plaintext"] for value in (request, answer) if "Plaintext" in value]
            return answer

    @staticmethod
    def authorizer(credential):
        def authorize(action, key, context):
            resource, key_policy = (key.arn, key.policy) if key else ("*", policy.of_account(ACCOUNT))
            if not policy.allowed(credential, ACCOUNT, key_policy, action, resource, policy.facts_of(context)):
                raise Refusal(
                    "AccessDeniedException",
                    f"User: {credential.arn} is not authorized to perform: {action} on resource: {resource} because no "
                    f"identity-based policy allows the {action} action",
                )

        return authorize

    # --- STS ---

    def sts(self, path, body):
        form = dict(urllib.parse.parse_qsl(body.decode()))
        fault, _, entry = self.begin(form.get("Action", "?"))
        try:
            caller = self.sts_caller(path, body)
            entry.update(role=form.get("RoleArn"), session=form.get("RoleSessionName"), external_id=form.get("ExternalId"),
                         token=form.get("WebIdentityToken"), caller=caller and caller.arn)
            self.ordered(fault)
            answer = identity.sts(self.fake.identities, form, caller)
        except (Refusal, Unsigned) as error:
            refusal = error if isinstance(error, Refusal) else Refusal(error.args[0], error.args[1], 403)
            entry["outcome"] = refusal.error_type
            return self.reply(refusal.status, identity.sts_error(refusal), "text/xml")
        entry["outcome"] = "ok"
        return self.finish(fault, entry, answer, "text/xml")

    def sts_caller(self, path, body):
        if "Authorization" not in self.headers:
            return None
        signature = Signature(self.headers)
        credential = self.fake.identities.authenticate(signature, self.headers, self.now())
        signature.check(self.command, path, self.headers, body, credential.secret, self.now())
        return credential

    # --- Control ---

    def control(self, path, body):
        order = json.loads(body) if body.strip() else {}
        if path == "/_requests":
            return self.reply(200, self.fake.requests())
        if path == "/_calls":
            return self.reply(200, self.fake.calls())
        if path == "/_reset":
            self.fake.reset()
        elif path == "/_fault":
            self.fake.faults.order(**order)
        elif path == "/_user":
            user = self.fake.identities.user(order["name"], order.get("policies"))
            return self.reply(200, {"access_key": user.access_key, "secret": user.secret})
        elif path == "/_key":
            return self.reply(200, self.fake.change_key(**order))
        else:
            return self.reply(404, {})
        return self.reply(200, {})


def text_of(length):
    return base64.b64encode(b"\x55" * length).decode()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 256

    def handle_error(self, *_):
        pass  # clients hang up in the middle; that is part of the tests


class FakeAws:
    """with FakeAws() as fake: fake.url, fake.environment(), fake.keys, fake.identities, fake.faults …"""

    def __init__(self, certificate=None, private_key=None):
        self.keys, self.identities, self.faults = Keys(), identity.Identities(), Faults()
        self.lock, self.entries, self.connections = threading.RLock(), [], 0
        self.at_once, self.most_at_once = 0, 0  # requests
        self.plaintexts = []  # base64, of all that KMS was given or gave
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.fake = self
        self.scheme = "https" if certificate else "http"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, private_key)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"{self.scheme}://127.0.0.1:{self.server.server_port}"
        self.user = self.identities.user("test")

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def enter(self, change):
        with self.lock:
            self.at_once += change
            self.most_at_once = max(self.most_at_once, self.at_once)

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def environment(self, region="us-west-2"):
        """For a child that uses static keys of a user who may do everything."""
        return {
            "AWS_ENDPOINT_URL": self.url, "AWS_REGION": region, "AWS_DEFAULT_REGION": region,
            "AWS_ACCESS_KEY_ID": self.user.access_key, "AWS_SECRET_ACCESS_KEY": self.user.secret,
        }

    def secrets(self):
        """All that no log may show, as text: of credentials, sign-ins and tokens; and plaintexts in base64."""
        with self.lock:
            return self.identities.secrets() | set(self.plaintexts)

    def note(self, op, request_id, region):
        entry = {"op": op, "request_id": request_id, "region": region, "time": time.time(), "outcome": "?"}
        with self.lock:
            self.entries.append(entry)
        return entry

    def requests(self):
        with self.lock:
            return [dict(entry) for entry in self.entries]

    def calls(self):
        return dict(collections.Counter(entry["op"] for entry in self.requests()))

    def reset(self):
        with self.lock:
            self.entries.clear()
        self.faults.clear()

    def key_of(self, arn):
        return self.keys.find(arn.split(":")[3], arn)

    def change_key(self, do, arn=None, region=None, state=None, name=None, **options):
        with self.lock:
            if do == "create":
                return {"arn": self.keys.create(region, **options).arn}
            key = self.key_of(arn)
            if do == "state":
                key.state = state
            elif do == "alias":
                self.keys.aliases[key.region, name] = key
            elif do == "replicate":
                return {"arn": self.keys.replicate(key, region).arn}
            elif do == "rotate":
                key.materials.append(Material())
            return {"arn": key.arn}
