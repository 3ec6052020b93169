# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""python-pkcs11 on a token with the databases prod/orders, prod/users and prod/seal, the last of which may encrypt: everything is
listed, a data key goes to the database that its label names, a seal encrypts by the database's key, a fork's child begins anew.
Prints TAP."""
import os
import sys
import traceback

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import PKCS11Error

TEXT = b"what the file says"
IV = bytes(range(16))


def zone(session, label):
    return session.get_key(object_class=ObjectClass.SECRET_KEY, label=label)


def refused(call):
    try:
        call()
    except PKCS11Error:
        return True
    return False


def everything_is_listed(session):
    labels = {key.label for key in session.get_objects()}
    return {"prod/orders", "prod/users", "prod/seal"} <= labels


def its_label_names_its_database(session):
    dek = session.generate_key(KeyType.AES, 256, store=True, label="prod/orders/dek", template={Attribute.EXTRACTABLE: True})
    wrapped = zone(session, "prod/orders").wrap_key(dek)
    again = zone(session, "prod/orders").unwrap_key(ObjectClass.SECRET_KEY, KeyType.AES, wrapped)
    return (again.decrypt(dek.encrypt(TEXT, mechanism_param=IV), mechanism_param=IV) == TEXT
            and refused(lambda: zone(session, "prod/users").wrap_key(dek))
            and refused(lambda: zone(session, "prod/users").unwrap_key(ObjectClass.SECRET_KEY, KeyType.AES, wrapped)))


def a_database_that_is_not_there_takes_no_key(session):
    return refused(lambda: session.generate_key(KeyType.AES, 256, store=True, label="prod/nobody/dek",
                                                template={Attribute.EXTRACTABLE: True}))


def a_seal_encrypts_by_the_databases_key(session):
    seal = zone(session, "prod/seal")
    return seal.decrypt(seal.encrypt(TEXT, mechanism_param=IV), mechanism_param=IV) == TEXT


def other_databases_encrypt_nothing(session):
    return not hasattr(zone(session, "prod/orders"), "encrypt")  # by its CKA_ENCRYPT


def parts_of_any_length_go_through(session):
    key = zone(session, "prod/seal")
    parts = [TEXT[i:i + 5] for i in range(0, len(TEXT), 5)]
    sealed = b"".join(key.encrypt(parts, mechanism=Mechanism.AES_CBC_PAD, mechanism_param=IV))
    return key.decrypt(sealed, mechanism=Mechanism.AES_CBC_PAD, mechanism_param=IV) == TEXT


def in_a_child(library):
    library.reinitialize()
    with library.get_token(token_label="lab").open() as session:
        return a_seal_encrypts_by_the_databases_key(session)


def a_forks_child_begins_anew(library):
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if in_a_child(library) else 1)
        except BaseException:
            traceback.print_exc()
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


def main():
    library = pkcs11.lib(sys.argv[1])
    tests = [(check, lambda check=check: check(session)) for check in (
        everything_is_listed, its_label_names_its_database, a_database_that_is_not_there_takes_no_key,
        a_seal_encrypts_by_the_databases_key, other_databases_encrypt_nothing, parts_of_any_length_go_through)]
    if hasattr(library, "reinitialize"):
        tests.append((a_forks_child_begins_anew, lambda: a_forks_child_begins_anew(library)))
    failed = 0
    with library.get_token(token_label="lab").open(rw=True) as session:
        for number, (check, run) in enumerate(tests, 1):
            try:
                good = run()
            except Exception:
                good = False
                print("".join(f"# {line}\n" for line in traceback.format_exc().splitlines()), end="")
            failed += not good
            print(f"{'ok' if good else 'not ok'} {number} - {check.__name__.replace('_', ' ')}", flush=True)
    print(f"1..{len(tests)}")
    sys.exit(failed > 0)


main()
