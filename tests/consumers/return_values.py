#!/usr/bin/env python3
# SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors
# SPDX-License-Identifier: Apache-2.0
"""What each C_ function answers to all that our tests ask of it, rightly and wrongly, stands in the standard's list for that function; and
what stands there was answered, or NOT_SEEN says why not. OpenSC's pkcs11-spy, between the test programs and the module, writes down every
call. TAP."""

import fnmatch
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
BUILD = os.environ.get("CMEK_BUILD", os.path.join(ROOT, "build"))
PROGRAMS = ("same_on_softhsm", "rules")

# PKCS #11 2.40 to 3.2, chapter "Functions", without CKR_. Those that every function lists:
ANY = "OK GENERAL_ERROR HOST_MEMORY FUNCTION_FAILED CRYPTOKI_NOT_INITIALIZED FUNCTION_NOT_SUPPORTED"
TOKEN = "DEVICE_ERROR DEVICE_MEMORY DEVICE_REMOVED TOKEN_NOT_PRESENT TOKEN_NOT_RECOGNIZED SLOT_ID_INVALID ARGUMENTS_BAD"
SESSION = "DEVICE_ERROR DEVICE_MEMORY DEVICE_REMOVED SESSION_CLOSED SESSION_HANDLE_INVALID"
ACTIVE = SESSION + " ARGUMENTS_BAD OPERATION_NOT_INITIALIZED"
BEGIN = SESSION + " MECHANISM_INVALID MECHANISM_PARAM_INVALID OPERATION_ACTIVE PIN_EXPIRED USER_NOT_LOGGED_IN"
KEYED = BEGIN + " KEY_FUNCTION_NOT_PERMITTED KEY_HANDLE_INVALID KEY_SIZE_RANGE KEY_TYPE_INCONSISTENT"
CHANGE = SESSION + " ARGUMENTS_BAD SESSION_READ_ONLY TOKEN_WRITE_PROTECTED USER_NOT_LOGGED_IN"
TEMPLATE = CHANGE + " ATTRIBUTE_READ_ONLY ATTRIBUTE_TYPE_INVALID ATTRIBUTE_VALUE_INVALID TEMPLATE_INCONSISTENT"
NEW_KEY = TEMPLATE + " TEMPLATE_INCOMPLETE MECHANISM_INVALID MECHANISM_PARAM_INVALID OPERATION_ACTIVE PIN_EXPIRED"
DECRYPTED = ACTIVE + " BUFFER_TOO_SMALL ENCRYPTED_DATA_INVALID ENCRYPTED_DATA_LEN_RANGE AEAD_DECRYPT_FAILED USER_NOT_LOGGED_IN"
MESSAGE = ACTIVE + " MECHANISM_PARAM_INVALID OPERATION_ACTIVE USER_NOT_LOGGED_IN"
# Not in the standard's lists: docs/errors.md says why.
OURS = " KEY_FUNCTION_NOT_PERMITTED"
OURS_LATER = OURS + " KEY_HANDLE_INVALID KEY_EXHAUSTED"

LISTS = {
    "C_Initialize": "ARGUMENTS_BAD CANT_LOCK CRYPTOKI_ALREADY_INITIALIZED NEED_TO_CREATE_THREADS",
    "C_Finalize": "ARGUMENTS_BAD",
    "C_GetInfo": "ARGUMENTS_BAD",
    "C_GetFunctionList": "ARGUMENTS_BAD",
    "C_GetInterface": "ARGUMENTS_BAD",
    "C_GetInterfaceList": "ARGUMENTS_BAD BUFFER_TOO_SMALL",
    "C_GetSlotList": "ARGUMENTS_BAD BUFFER_TOO_SMALL",
    "C_GetSlotInfo": "ARGUMENTS_BAD DEVICE_ERROR SLOT_ID_INVALID",
    "C_GetTokenInfo": TOKEN,
    "C_WaitForSlotEvent": "ARGUMENTS_BAD NO_EVENT",
    "C_GetMechanismList": TOKEN + " BUFFER_TOO_SMALL",
    "C_GetMechanismInfo": TOKEN + " MECHANISM_INVALID",
    "C_InitToken": TOKEN + " PIN_INCORRECT PIN_LOCKED SESSION_EXISTS TOKEN_WRITE_PROTECTED",
    "C_InitPIN": SESSION + " ARGUMENTS_BAD PIN_INVALID PIN_LEN_RANGE SESSION_READ_ONLY TOKEN_WRITE_PROTECTED USER_NOT_LOGGED_IN"
                 " PIN_EXPIRED",  # not in its list: docs/errors.md
    "C_SetPIN": SESSION + " ARGUMENTS_BAD PIN_INCORRECT PIN_INVALID PIN_LEN_RANGE PIN_LOCKED SESSION_READ_ONLY TOKEN_WRITE_PROTECTED",
    "C_OpenSession": TOKEN + " SESSION_COUNT SESSION_PARALLEL_NOT_SUPPORTED SESSION_READ_WRITE_SO_EXISTS TOKEN_WRITE_PROTECTED",
    "C_CloseSession": SESSION,
    "C_CloseAllSessions": "DEVICE_ERROR DEVICE_MEMORY DEVICE_REMOVED SLOT_ID_INVALID TOKEN_NOT_PRESENT",
    "C_GetSessionInfo": SESSION + " ARGUMENTS_BAD",
    "C_Login": ACTIVE + " PIN_INCORRECT PIN_LOCKED SESSION_READ_ONLY_EXISTS USER_ALREADY_LOGGED_IN USER_ANOTHER_ALREADY_LOGGED_IN"
               " USER_PIN_NOT_INITIALIZED USER_TOO_MANY_TYPES USER_TYPE_INVALID",
    "C_LoginUser": ACTIVE + " PIN_INCORRECT PIN_LOCKED SESSION_READ_ONLY_EXISTS USER_ALREADY_LOGGED_IN USER_ANOTHER_ALREADY_LOGGED_IN"
                   " USER_PIN_NOT_INITIALIZED USER_TOO_MANY_TYPES USER_TYPE_INVALID",
    "C_SessionCancel": SESSION + " OPERATION_ACTIVE OPERATION_CANCEL_FAILED TOKEN_NOT_PRESENT",
    "C_Logout": SESSION + " USER_NOT_LOGGED_IN",
    "C_CreateObject": TEMPLATE + " TEMPLATE_INCOMPLETE PIN_EXPIRED",
    "C_CopyObject": TEMPLATE + " ACTION_PROHIBITED OBJECT_HANDLE_INVALID PIN_EXPIRED",
    "C_DestroyObject": SESSION + " ACTION_PROHIBITED OBJECT_HANDLE_INVALID PIN_EXPIRED SESSION_READ_ONLY TOKEN_WRITE_PROTECTED",
    "C_GetObjectSize": SESSION + " ARGUMENTS_BAD INFORMATION_SENSITIVE OBJECT_HANDLE_INVALID",
    "C_GetAttributeValue": SESSION + " ARGUMENTS_BAD ATTRIBUTE_SENSITIVE ATTRIBUTE_TYPE_INVALID BUFFER_TOO_SMALL OBJECT_HANDLE_INVALID",
    "C_SetAttributeValue": TEMPLATE + " ACTION_PROHIBITED OBJECT_HANDLE_INVALID",
    "C_FindObjectsInit": SESSION + " ARGUMENTS_BAD ATTRIBUTE_TYPE_INVALID ATTRIBUTE_VALUE_INVALID OPERATION_ACTIVE PIN_EXPIRED",
    "C_FindObjects": ACTIVE,
    "C_FindObjectsFinal": SESSION + " OPERATION_NOT_INITIALIZED",
    "C_EncryptInit": KEYED,
    "C_Encrypt": ACTIVE + " BUFFER_TOO_SMALL DATA_INVALID DATA_LEN_RANGE",
    "C_EncryptUpdate": ACTIVE + " BUFFER_TOO_SMALL DATA_LEN_RANGE",
    "C_EncryptFinal": ACTIVE + " BUFFER_TOO_SMALL DATA_LEN_RANGE",
    "C_DecryptInit": KEYED + " ARGUMENTS_BAD",
    "C_Decrypt": DECRYPTED,
    "C_DecryptUpdate": DECRYPTED,
    "C_DecryptFinal": DECRYPTED,
    "C_MessageEncryptInit": KEYED + " ARGUMENTS_BAD OPERATION_CANCEL_FAILED",
    "C_EncryptMessage": MESSAGE + " BUFFER_TOO_SMALL DATA_INVALID DATA_LEN_RANGE" + OURS_LATER,
    "C_EncryptMessageBegin": MESSAGE + " PIN_EXPIRED" + OURS_LATER,
    "C_EncryptMessageNext": MESSAGE + " BUFFER_TOO_SMALL DATA_INVALID DATA_LEN_RANGE",
    "C_MessageEncryptFinal": ACTIVE + " OPERATION_ACTIVE USER_NOT_LOGGED_IN",
    "C_MessageDecryptInit": KEYED + " ARGUMENTS_BAD OPERATION_CANCEL_FAILED",
    "C_DecryptMessage": MESSAGE + " " + DECRYPTED + OURS_LATER,
    "C_DecryptMessageBegin": MESSAGE + " PIN_EXPIRED" + OURS_LATER,
    "C_DecryptMessageNext": MESSAGE + " " + DECRYPTED,
    "C_MessageDecryptFinal": ACTIVE + " OPERATION_ACTIVE USER_NOT_LOGGED_IN",
    "C_DigestInit": BEGIN + " ARGUMENTS_BAD",
    "C_Digest": ACTIVE + " BUFFER_TOO_SMALL",
    "C_DigestUpdate": ACTIVE,
    "C_DigestKey": SESSION + " KEY_HANDLE_INVALID KEY_INDIGESTIBLE KEY_SIZE_RANGE OPERATION_NOT_INITIALIZED",
    "C_DigestFinal": ACTIVE + " BUFFER_TOO_SMALL",
    "C_GetOperationState": ACTIVE + " BUFFER_TOO_SMALL STATE_UNSAVEABLE",
    "C_SetOperationState": SESSION + " ARGUMENTS_BAD KEY_CHANGED KEY_NEEDED KEY_NOT_NEEDED SAVED_STATE_INVALID",
    "C_DigestEncryptUpdate": ACTIVE + " BUFFER_TOO_SMALL DATA_LEN_RANGE",
    "C_DecryptDigestUpdate": DECRYPTED,
    "C_SignEncryptUpdate": ACTIVE + " BUFFER_TOO_SMALL DATA_LEN_RANGE USER_NOT_LOGGED_IN",
    "C_DecryptVerifyUpdate": DECRYPTED + " DATA_LEN_RANGE",
    "C_SignInit": KEYED,
    "C_Sign": ACTIVE + " BUFFER_TOO_SMALL DATA_INVALID DATA_LEN_RANGE USER_NOT_LOGGED_IN",
    "C_SignUpdate": ACTIVE + " DATA_LEN_RANGE USER_NOT_LOGGED_IN",
    "C_SignFinal": ACTIVE + " BUFFER_TOO_SMALL DATA_LEN_RANGE USER_NOT_LOGGED_IN",
    "C_VerifyInit": KEYED,
    "C_Verify": ACTIVE + " DATA_INVALID DATA_LEN_RANGE SIGNATURE_INVALID SIGNATURE_LEN_RANGE",
    "C_VerifyUpdate": ACTIVE + " DATA_LEN_RANGE",
    "C_VerifyFinal": ACTIVE + " DATA_LEN_RANGE SIGNATURE_INVALID SIGNATURE_LEN_RANGE",
    "C_GenerateKey": NEW_KEY,
    "C_WrapKey": BEGIN + " ARGUMENTS_BAD BUFFER_TOO_SMALL KEY_HANDLE_INVALID KEY_NOT_WRAPPABLE KEY_SIZE_RANGE KEY_UNEXTRACTABLE"
                 " WRAPPING_KEY_HANDLE_INVALID WRAPPING_KEY_SIZE_RANGE WRAPPING_KEY_TYPE_INCONSISTENT" + OURS,
    "C_UnwrapKey": NEW_KEY + " BUFFER_TOO_SMALL UNWRAPPING_KEY_HANDLE_INVALID UNWRAPPING_KEY_SIZE_RANGE"
                   " UNWRAPPING_KEY_TYPE_INCONSISTENT WRAPPED_KEY_INVALID WRAPPED_KEY_LEN_RANGE" + OURS,
    "C_DeriveKey": NEW_KEY + " KEY_HANDLE_INVALID KEY_SIZE_RANGE KEY_TYPE_INCONSISTENT" + OURS,
    "C_SeedRandom": SESSION + " ARGUMENTS_BAD OPERATION_ACTIVE RANDOM_SEED_NOT_SUPPORTED RANDOM_NO_RNG USER_NOT_LOGGED_IN",
    "C_GenerateRandom": SESSION + " ARGUMENTS_BAD OPERATION_ACTIVE RANDOM_NO_RNG USER_NOT_LOGGED_IN",
    "C_GetFunctionStatus": "FUNCTION_NOT_PARALLEL",
    "C_CancelFunction": "FUNCTION_NOT_PARALLEL",
}
# They only say that they do nothing here (pkcs11/unsupported.c).
UNSUPPORTED = ("SignRecoverInit SignRecover"
               " VerifyRecoverInit VerifyRecover GenerateKeyPair MessageSignInit SignMessage SignMessageBegin SignMessageNext MessageSignFinal"
               " MessageVerifyInit VerifyMessage VerifyMessageBegin VerifyMessageNext MessageVerifyFinal").split()
LEAST_REFUSALS = 440  # different pairs of a function and a value: 466 are found, so nothing has ended early

# What no test comes to: functions without C_ ("*": those that don't answer it), values, and why. A file in the reason shows it otherwise.
NOT_SEEN = (
    # Values that are never answered.
    ("*", "GENERAL_ERROR", "what went wrong has a value of its own: FUNCTION_FAILED, DEVICE_ERROR, HOST_MEMORY"),
    ("*", "FUNCTION_NOT_SUPPORTED", "the function is supported"),
    ("*", "SESSION_CLOSED", "a call has its session to the end; who closes one waits for it"),
    ("*", "PIN_EXPIRED", "no PIN expires"),
    ("*", "TOKEN_WRITE_PROTECTED", "no token is: a store that can't be written is FUNCTION_FAILED"),
    ("*", "TOKEN_NOT_RECOGNIZED", "a slot is a project that was read, or a free one"),
    ("*", "RANDOM_NO_RNG RANDOM_SEED_NOT_SUPPORTED", "there is a generator, and it can be seeded"),
    ("*", "DATA_INVALID", "any bytes are data; only their length may be wrong"),
    ("*", "OPERATION_CANCEL_FAILED", "everything can be cancelled"),
    # Values that come from elsewhere than an argument.
    ("*", "HOST_MEMORY", "tests/e2e/memory_shortage.sh"),
    ("*", "FUNCTION_FAILED", "a store or a key that is out of order: tests/e2e/store_gone.py"),
    ("*", "DEVICE_ERROR", "the KMS or the store does not answer: tests/e2e/outages.py"),
    ("*", "DEVICE_MEMORY", "locked memory is used up, as tests/unit/objects/error_doc.c has it; of parts, tests/module/rules_settings.c"),
    ("*", "DEVICE_REMOVED TOKEN_NOT_PRESENT", "the project went meanwhile: tests/module/rules_deleted.c, for all as for those it tries"),
    # Where another value says it better, or sooner.
    ("*", "USER_NOT_LOGGED_IN", "a private object is not there without a login: …_HANDLE_INVALID; C_Logout ends operations under its key"),
    ("Decrypt* *Decrypt*Update DecryptVerifyUpdate", "AEAD_DECRYPT_FAILED", "of 3.0, for messages: ENCRYPTED_DATA_INVALID in all else"),
    ("DecryptMessage*", "ENCRYPTED_DATA_INVALID", "AEAD_DECRYPT_FAILED says it"),
    ("DecryptUpdate Decrypt*Update", "ENCRYPTED_DATA_INVALID", "padding and tags are looked at in the end"),
    ("DecryptVerifyUpdate", "DATA_LEN_RANGE", "ENCRYPTED_DATA_LEN_RANGE says it"),
    ("GenerateKey WrapKey UnwrapKey DeriveKey SeedRandom GenerateRandom", "OPERATION_ACTIVE", "these go beside operations"),
    ("EncryptMessageNext DecryptMessageNext", "OPERATION_ACTIVE", "it goes on with the message that is active"),
    ("MessageEncryptFinal MessageDecryptFinal", "OPERATION_ACTIVE", "it ends a message in parts, too"),
    ("SessionCancel", "OPERATION_ACTIVE", "it passes over what is not active, and ends what is"),
    ("DecryptInit MessageEncryptInit MessageDecryptInit DigestInit", "ARGUMENTS_BAD", "without a mechanism, since 3.0, these cancel"),
    ("MessageEncryptFinal MessageDecryptFinal", "ARGUMENTS_BAD", "they have no arguments"),
    ("*Init WrapKey UnwrapKey", "KEY_SIZE_RANGE WRAPPING_KEY_SIZE_RANGE UNWRAPPING_KEY_SIZE_RANGE",
     "each key of a type fits these, but for CKM_CMEK_CHUNK and CKM_CMEK_MESSAGE, and with FIPS: tests/unit/mechanisms/mechanism.c"),
    ("DigestKey", "KEY_SIZE_RANGE", "keys of all lengths are digested"),
    ("UnwrapKey", "BUFFER_TOO_SMALL", "nothing comes out"),
    ("Sign* Verify*", "DATA_LEN_RANGE", "MACs take data of any length"),
    ("SetOperationState", "KEY_CHANGED KEY_NEEDED", "states of operations with keys are not saved"),
    ("GetObjectSize", "INFORMATION_SENSITIVE", "every object tells its size"),
    ("FindObjectsInit", "ATTRIBUTE_TYPE_INVALID", "what has no such attribute is not found"),
    ("OpenSession", "SESSION_COUNT", "there are as many as memory allows"),
    ("Login LoginUser", "USER_TOO_MANY_TYPES", "there are the user and the SO"),
    ("LoginUser", "SESSION_READ_ONLY_EXISTS USER_ANOTHER_ALREADY_LOGGED_IN", "it is C_Login, which answers them"),
    ("InitToken InitPIN SetPIN Login LoginUser",
     "OK PIN_INCORRECT PIN_INVALID PIN_LEN_RANGE PIN_LOCKED SESSION_READ_ONLY USER_PIN_NOT_INITIALIZED",
     "PINs: tests/unit/objects/token_pin.c; PIN_INVALID is never answered, since PINs are any text"),
    ("Initialize", "NEED_TO_CREATE_THREADS", "the module needs none"),
    ("Initialize GetFunctionList GetInterface GetInterfaceList", "CRYPTOKI_NOT_INITIALIZED", "they come before"),
    ("GetFunctionList", "ARGUMENTS_BAD", "the spy answers it: tests/module/rules_interfaces.c"),
    ("GetFunctionStatus CancelFunction", "OK CRYPTOKI_NOT_INITIALIZED", "relics of 1.0, which say FUNCTION_NOT_PARALLEL to all"),
    ("EncryptMessage* DecryptMessage*", "KEY_FUNCTION_NOT_PERMITTED KEY_HANDLE_INVALID KEY_EXHAUSTED", "not in the standard's list"),
)


class Tap:
    def __init__(self):
        self.count = 0

    def __call__(self, good, sentence, detail=""):
        self.count += 1
        print(f"{'ok' if good else 'not ok'} {self.count} - {sentence}")
        if not good:
            print("".join(f"# {line}\n" for line in str(detail).splitlines()), end="")


def names_of_values():
    """The standard's names of CKR_ values, from our header."""
    with open(os.path.join(ROOT, "include", "pkcs11_constants.h"), encoding="utf-8") as header:
        found = re.findall(r"#define CKR_(\w+)\s+\(?(?:CK_RV\))?\(?(?:\(CK_RV\))?(0x[0-9A-Fa-f]+)", header.read())
    return {int(value, 16): name for name, value in found}


def watched(spy, program, folder):
    """What happened: pairs of a function and the number that it answered."""
    log = os.path.join(folder, program + ".log")
    subprocess.run([os.path.join(BUILD, "tests", "module", program)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=280, check=False,
                   env=os.environ | {"CMEK_TEST_MODULE": spy, "PKCS11SPY": os.path.join(BUILD, "cmek-pkcs11.so"), "PKCS11SPY_OUTPUT": log})
    pairs, function = set(), None
    with open(log, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if call := re.match(r"\d+: (?:C_)?(\w+)$", line):  # one name lacks its C_
                function = "C_" + call[1]
            elif (answer := re.search(r"Returned: +(\d+) ", line)) and function:  # of one, behind its arguments
                pairs.add((function, int(answer[1])))
                function = None
    return pairs


def reason(function, value, used):
    """Why the value is not seen, or None; notes which row says so."""
    for row in NOT_SEEN:
        functions, values, why = row
        if value in values.split() and any(fnmatch.fnmatchcase(function[2:], pattern) for pattern in functions.split()):
            used.add(row)
            return why
    return None


def judge_missing(ok, lists, answers):
    """What is listed was seen, or has a reason, and each reason is needed."""
    used = set()
    for function, allowed in sorted(lists.items()):
        missing = {value: reason(function, value, used) for value in sorted(allowed - answers.get(function, set()))}
        print("".join(f"# {function}: {value} is not seen: {why}\n" for value, why in missing.items() if why), end="")
        unexplained = [value for value, why in missing.items() if why is None]
        ok(not unexplained, f"{function} was seen to answer all that it can", ", ".join(unexplained))
    ok(used == set(NOT_SEEN), "no reason is left over", "\n".join(map(str, set(NOT_SEEN) - used)))
    files = [file for *_, why in NOT_SEEN for file in re.findall(r"tests/[\w/.]+\w", why)]
    lost = [file for file in files if not os.path.exists(os.path.join(ROOT, file))]
    ok(files and not lost, "and the tests that they name are there", lost)


def judge(ok, pairs):
    names = names_of_values()
    answers = {}
    for function, value in sorted(pairs):
        answers.setdefault(function, set()).add(names.get(value, hex(value)))
    lists = {function: set((ANY + " " + values).split()) for function, values in LISTS.items()}
    lists |= {"C_" + name: {"FUNCTION_NOT_SUPPORTED"} for name in UNSUPPORTED}
    for function, allowed in sorted(lists.items()):
        given = answers.get(function, set())
        ok(given and given <= allowed, f"{function} answers what the standard lists for it: {', '.join(sorted(given))}", given - allowed or "never called")
    unknown = set(answers) - set(lists)
    ok(not unknown, "and no other function was called", unknown)
    refusals = sum(len(given - {"OK"}) for given in answers.values())
    ok(refusals >= LEAST_REFUSALS, f"{refusals} different refusals were seen", refusals)
    judge_missing(ok, {function: values for function, values in lists.items() if function in LISTS}, answers)


def main():
    ok = Tap()
    spies = glob.glob("/usr/lib/*/pkcs11-spy.so") + glob.glob("/usr/lib*/pkcs11-spy.so") + glob.glob("/usr/lib*/pkcs11/pkcs11-spy.so")
    if not spies:
        print("ok 1 - each function answers what the standard lists for it # SKIP pkcs11-spy.so (OpenSC) is not here\n1..1")
        return
    with tempfile.TemporaryDirectory(prefix="cmek-test-") as folder:
        judge(ok, set().union(*(watched(spies[0], program, folder) for program in PROGRAMS)))
    print(f"1..{ok.count}")


if __name__ == "__main__":
    sys.exit(main())
