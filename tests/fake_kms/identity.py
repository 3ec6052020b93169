# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""Who may ask, and the places where credentials come from: STS, the instance metadata service (v2 only), the container endpoint, and the
SSO portal with its token service. Each answers in the form its consumers' documentation gives."""

import datetime
import os
import time
import urllib.parse

from .keys import ACCOUNT, Refusal
from .signature import Unsigned

EVERYTHING = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class Credential:
    def __init__(self, access_key, secret, token=None, policies=None, expires=None, arn=None):
        self.access_key, self.secret, self.token = access_key, secret, token
        self.policies = [EVERYTHING] if policies is None else policies
        self.expires = expires
        self.arn = arn or f"arn:aws:iam::{ACCOUNT}:user/{access_key}"

    def as_json(self):
        """The form of IMDS and the container endpoint."""
        return {
            "Code": "Success",
            "Type": "AWS-HMAC",
            "AccessKeyId": self.access_key,
            "SecretAccessKey": self.secret,
            "Token": self.token,
            "Expiration": iso(self.expires or time.time() + 3600),
        }


def iso(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Identities:
    def __init__(self):
        self.by_access_key = {}
        self.roles = {}  # ARN → {"policies", "external_id", "seconds", "refuse"}
        self.imds_tokens, self.imds_v1 = set(), False
        self.imds_role, self.imds_off, self.imds_seconds = "instance-role", False, 3600
        self.changes = {}  # of members of what IMDS and the container endpoint give
        self.container_token, self.sso_token, self.refresh_token = None, None, None
        self.client_secret, self.sso_forbidden = "client-secret-" + os.urandom(8).hex(), False
        self.issued = []  # (source, access key), in order
        self.spent = set()  # tokens of other sources that were in use once

    def add(self, credential):
        self.by_access_key[credential.access_key] = credential
        return credential

    def secrets(self):
        tokens = {self.container_token, self.sso_token, self.refresh_token, self.client_secret} | self.imds_tokens | self.spent
        for credential in self.by_access_key.values():
            tokens |= {credential.secret, credential.token}
        return {token for token in tokens if token}

    def user(self, name, policies=None):
        return self.add(Credential("AKIA" + name.upper(), "secret-of-" + name, policies=policies))

    def issue(self, source, role="arn:aws:iam::111122223333:role/test", session="session", seconds=None):
        settings = self.roles.get(role, {})
        if settings.get("refuse"):
            raise Refusal("AccessDenied", f"User is not authorized to perform: sts:{source} on resource: {role}", 403)
        number = len(self.issued)
        name = role.split("/")[-1]
        credential = self.add(Credential(
            f"ASIA{number:012d}", f"secret-{number}-{os.urandom(4).hex()}", f"token-{number}-" + os.urandom(8).hex(),
            settings.get("policies"), time.time() + (seconds or settings.get("seconds", 3600)),
            f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}",
        ))
        self.issued.append((source, credential.access_key))
        return credential

    def authenticate(self, signature, headers, now):
        credential = self.by_access_key.get(signature.access_key)
        if credential is None:
            raise Unsigned("UnrecognizedClientException", "The security token included in the request is invalid.")
        if credential.token != headers.get("X-Amz-Security-Token"):
            raise Unsigned("UnrecognizedClientException", "The security token included in the request is invalid.")
        if credential.expires is not None and credential.expires < now.timestamp():
            raise Unsigned("ExpiredTokenException", "The security token included in the request is expired")
        return credential


# --- STS: the Query protocol, XML answers ------------------------------------------------------------


def sts_xml(action, body):
    return (
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{action}Result>{body}</{action}Result>'
        f"<ResponseMetadata><RequestId>00000000-0000-0000-0000-000000000000</RequestId></ResponseMetadata></{action}Response>"
    ).encode()


def sts_error(refusal):
    return (
        '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type>'
        f"<Code>{refusal.error_type}</Code><Message>{refusal.message}</Message></Error>"
        "<RequestId>00000000-0000-0000-0000-000000000000</RequestId></ErrorResponse>"
    ).encode()


def credentials_xml(credential, session):
    return (
        f"<AssumedRoleUser><AssumedRoleId>AROA:{session}</AssumedRoleId><Arn>{credential.arn}</Arn></AssumedRoleUser>"
        f"<Credentials><AccessKeyId>{credential.access_key}</AccessKeyId>"
        f"<SecretAccessKey>{credential.secret}</SecretAccessKey><SessionToken>{credential.token}</SessionToken>"
        f"<Expiration>{iso(credential.expires)}</Expiration></Credentials>"
    )


def sts(identities, form, caller):
    """`caller` is None when the request was not signed."""
    action = form.get("Action", "")
    session, role = form.get("RoleSessionName", ""), form.get("RoleArn", "")
    if action == "GetCallerIdentity":
        require(caller is not None, "MissingAuthenticationToken", "Request is missing Authentication Token")
        return sts_xml(action, f"<Arn>{caller.arn}</Arn><UserId>AIDA</UserId><Account>{ACCOUNT}</Account>")
    if action == "AssumeRole":
        require(caller is not None, "MissingAuthenticationToken", "Request is missing Authentication Token")
        wanted = identities.roles.get(role, {}).get("external_id")
        require(wanted in (None, form.get("ExternalId")), "AccessDenied", f"not authorized to perform: sts:AssumeRole on {role}")
        seconds = int(form["DurationSeconds"]) if "DurationSeconds" in form else None
        return sts_xml(action, credentials_xml(identities.issue(action, role, session, seconds), session))
    if action == "AssumeRoleWithWebIdentity":
        require(form.get("WebIdentityToken", "").startswith("jwt-"), "InvalidIdentityToken", "No OpenIDConnect provider found")
        identities.spent.add(form["WebIdentityToken"])
        return sts_xml(action, credentials_xml(identities.issue(action, role, session), session))
    raise Refusal("InvalidAction", f"Could not find operation {action}", 400)


def require(condition, error_type, message):
    if not condition:
        raise Refusal(error_type, message, 403)


# --- Plain HTTP sources: (status, body or JSON) ------------------------------------------------------


def metadata(identities, method, path, headers):
    """IMDSv2: a token by PUT, then GETs that carry it."""
    if identities.imds_off:
        return 403, ""
    if method == "PUT" and path == "/latest/api/token":
        if identities.imds_v1:
            return 404, ""
        if "X-aws-ec2-metadata-token-ttl-seconds" not in headers:
            return 400, ""
        token = "imds-" + os.urandom(8).hex()
        identities.imds_tokens.add(token)
        return 200, token
    if headers.get("X-aws-ec2-metadata-token") not in identities.imds_tokens and not identities.imds_v1:
        return 401, ""
    base = "/latest/meta-data/iam/security-credentials/"
    if path == base and identities.imds_role:
        return 200, identities.imds_role
    if path == f"{base}{identities.imds_role}":
        role = f"arn:aws:iam::{ACCOUNT}:role/{identities.imds_role}"
        return 200, identities.issue("IMDS", role, "i-1234", identities.imds_seconds).as_json() | identities.changes
    if path == "/latest/meta-data/placement/region":
        return 200, "us-west-2"
    return 404, ""


def container(identities, headers):
    if identities.container_token is not None and headers.get("Authorization") != identities.container_token:
        return 401, {"code": "Unauthorized", "message": "bad token"}
    return 200, identities.issue("Container", f"arn:aws:iam::{ACCOUNT}:role/task-role").as_json() | identities.changes


def sso_credentials(identities, query, headers):
    if identities.sso_token is None or headers.get("x-amz-sso_bearer_token") != identities.sso_token:
        return 401, {"message": "Session token not found or invalid", "__type": "com.amazonaws.switchboard.portal#UnauthorizedException"}
    if identities.sso_forbidden:
        return 403, {"message": "No access", "__type": "com.amazonaws.switchboard.portal#ForbiddenException"}
    role = dict(urllib.parse.parse_qsl(query)).get("role_name", "")
    credential = identities.issue("SSO", f"arn:aws:iam::{ACCOUNT}:role/{role}")
    return 200, {"roleCredentials": {
        "accessKeyId": credential.access_key, "secretAccessKey": credential.secret,
        "sessionToken": credential.token, "expiration": int(credential.expires * 1000),
    }}


def sso_token(identities, request):
    """A refresh; the old refresh token is of no use afterwards."""
    known = (identities.refresh_token, identities.client_secret)
    if request.get("grantType") != "refresh_token" or (request.get("refreshToken"), request.get("clientSecret")) != known:
        return 400, {"error": "invalid_grant", "error_description": "Invalid refresh token provided"}
    identities.spent |= {identities.sso_token, identities.refresh_token}
    identities.sso_token, identities.refresh_token = "sso-" + os.urandom(8).hex(), "refresh-" + os.urandom(8).hex()
    return 200, {"accessToken": identities.sso_token, "expiresIn": 28800, "tokenType": "Bearer",
                 "refreshToken": identities.refresh_token}
