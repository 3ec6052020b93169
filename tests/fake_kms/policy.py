# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""IAM and key policies as far as this project's own (cmek policy, docs/aws.md) need them: Effect, Principal, Action, Resource, and the string
and Null conditions on the KMS encryption context. An explicit Deny wins, nothing said is no (IAM User Guide, "Policy evaluation logic"); a key's
policy names the identity, or the account, whose IAM policies count then (KMS Developer Guide, "Key policies")."""

import fnmatch


def as_list(value):
    return value if isinstance(value, list) else [value]


def matches(patterns, value):
    return any(fnmatch.fnmatchcase(value, pattern) for pattern in as_list(patterns))


def string_like(wanted, have):
    return have is not None and matches(wanted, have)


def string_equals(wanted, have):
    return have is not None and have in as_list(wanted)


def is_null(wanted, have):
    return (have is None) == (str(as_list(wanted)[0]).lower() == "true")


OPERATORS = {
    "StringEquals": string_equals,
    "StringNotEquals": lambda wanted, have: not string_equals(wanted, have),
    "StringLike": string_like,
    "StringNotLike": lambda wanted, have: not string_like(wanted, have),
    "Null": is_null,
    "Bool": lambda wanted, have: str(have).lower() == str(as_list(wanted)[0]).lower(),
}
SETS = {"ForAllValues:": all, "ForAnyValue:": any}


def condition_holds(operator, key, wanted, facts):
    have = facts.get(key)
    for prefix, combine in SETS.items():
        if operator.startswith(prefix):
            values = have if isinstance(have, list) else [] if have is None else [have]
            return combine(OPERATORS[operator[len(prefix):]](wanted, value) for value in values)
    if operator.endswith("IfExists"):
        return have is None or OPERATORS[operator[: -len("IfExists")]](wanted, have)
    return OPERATORS[operator](wanted, have)


def applies(statement, action, resource, facts):
    if not matches(statement.get("Action", []), action):
        return False
    if not matches(statement.get("Resource", "*"), resource):
        return False
    conditions = statement.get("Condition", {})
    return all(
        condition_holds(operator, key, wanted, facts)
        for operator, pairs in conditions.items()
        for key, wanted in pairs.items()
    )


def effects(statements, action, resource, facts):
    return {statement["Effect"] for statement in statements if applies(statement, action, resource, facts)}


def principal_of(caller):
    """As a policy names it: of a role's session, the role."""
    head, _, name = caller.partition(":assumed-role/")
    return f"{head.replace(':sts:', ':iam:')}:role/{name.split('/')[0]}" if name else caller


def named(key_policy, principal):
    """Those about this principal, or about everybody."""
    return [statement for statement in as_list(key_policy["Statement"]) if {principal, "*"} & set(as_list(statement["Principal"]["AWS"]))]


def of_account(account):
    """The policy that a key has from the beginning: IAM decides."""
    return {"Statement": [{"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}, "Action": "kms:*", "Resource": "*"}]}


def allowed(credential, account, key_policy, action, resource, facts):
    """Whether the identity's policies and the key's, together, allow it."""
    statements = [statement for policy in credential.policies for statement in as_list(policy["Statement"])]
    by_identity = effects(statements, action, resource, facts)
    by_key = effects(named(key_policy, principal_of(credential.arn)), action, resource, facts)
    by_account = effects(named(key_policy, f"arn:aws:iam::{account}:root"), action, resource, facts)
    if "Deny" in by_identity | by_key | by_account:
        return False
    return "Allow" in by_key or ("Allow" in by_account and "Allow" in by_identity)


def facts_of(context):
    """Condition keys of a KMS request with this encryption context."""
    facts = {f"kms:EncryptionContext:{name}": value for name, value in context.items()}
    facts["kms:EncryptionContextKeys"] = sorted(context)
    return facts
