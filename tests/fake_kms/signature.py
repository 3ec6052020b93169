# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Signature Version 4, the server's side: AWS General Reference, "Authenticating Requests". Strict where moto is not: the date must be
within five minutes, and host, content-type and every x-amz-* header must be signed."""

import datetime
import hashlib
import hmac
import re

WINDOW = datetime.timedelta(minutes=5)
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, *"
    r"SignedHeaders=([a-z0-9;-]+), *Signature=([0-9a-f]{64})$"
)


class Unsigned(Exception):
    """(error type, message) as the real service words it."""


class Signature:
    """What a request's Authorization header claims."""

    def __init__(self, headers):
        value = headers.get("Authorization", "")
        found = AUTHORIZATION.match(value)
        if not value:
            raise Unsigned("MissingAuthenticationTokenException", "Missing Authentication Token")
        if not found:
            raise Unsigned("IncompleteSignatureException", f"Authorization header is malformed: {value[:40]}")
        self.access_key, self.day, self.region, self.service, signed, self.signature = found.groups()
        self.signed = signed.split(";")

    def check(self, method, path, headers, body, secret, now):
        """Raises Unsigned unless the request was signed by `secret` and lately."""
        self._check_headers(headers)
        stamp = headers.get("X-Amz-Date", "")
        self._check_date(stamp, now)
        expected = self._sign(method, path, headers, body, secret, stamp)
        if not hmac.compare_digest(expected, self.signature):
            raise Unsigned(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
                "Access Key and signing method. Consult the service documentation for details.",
            )

    def _check_headers(self, headers):
        must = {"host"} | {name.lower() for name in headers if name.lower().startswith("x-amz-")}
        must |= {"content-type"} if "Content-Type" in headers else set()
        missing = sorted(must - set(self.signed))
        if missing or self.signed != sorted(self.signed):
            raise Unsigned("InvalidSignatureException", f"headers not signed, or out of order: {missing}")

    def _check_date(self, stamp, now):
        try:
            then = datetime.datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=datetime.timezone.utc)
        except ValueError:
            raise Unsigned("IncompleteSignatureException", f"Date must be in ISO-8601 basic format: {stamp!r}") from None
        limit = f"({now:%Y%m%dT%H%M%SZ} - 5 min.)" if then < now else f"({now:%Y%m%dT%H%M%SZ} + 5 min.)"
        if then < now - WINDOW:
            raise Unsigned("InvalidSignatureException", f"Signature expired: {stamp} is now earlier than {limit}")
        if then > now + WINDOW:
            raise Unsigned("InvalidSignatureException", f"Signature not yet current: {stamp} is still later than {limit}")
        if not stamp.startswith(self.day):
            raise Unsigned("InvalidSignatureException", "Date in Credential scope does not match X-Amz-Date")

    def _sign(self, method, path, headers, body, secret, stamp):
        def digest(data):
            return hashlib.sha256(data).hexdigest()

        lines = "".join(f"{name}:{' '.join(headers.get(name, '').split())}\n" for name in self.signed)
        canonical = "\n".join([method, path, "", lines, ";".join(self.signed), digest(body)])
        scope = f"{self.day}/{self.region}/{self.service}/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, digest(canonical.encode())])
        key = ("AWS4" + secret).encode()
        for part in (self.day, self.region, self.service, "aws4_request", text):
            key = hmac.digest(key, part.encode(), "sha256")
        return key.hex()
