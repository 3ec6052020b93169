/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a service may have answered, or why it did not: a row each. From this list are made KMS_…
 * (net/answer.h), ZONE_KMS_… (zones/model/status.h), and what is known of them; only the return
 * values of PKCS #11 (objects/error.c) and the words of a service (as aws/status.c) stand
 * elsewhere. The names are those of the AWS KMS API Reference.
 */
#pragma once

#include "base/key_state.h"

#include <stddef.h>

/* What follows from a status. */
enum kms_status_kind {
	STATUS_YES,
	STATUS_NO,	      /* an explicit no, to this identity */
	STATUS_NO_OF_KEY,     /* an explicit no about the key itself, whoever asks */
	STATUS_OF_REQUEST,    /* what was sent will not do; the KMS answers */
	STATUS_OUTAGE,	      /* nobody said no: nobody can be asked */
	STATUS_OUTAGE_OF_KEY, /* the same for this key alone; the KMS answers for others */
	STATUS_OURS,	      /* a fault on our side, which lasts until somebody mends it */
};

/*
 * NO_MEMORY, which is of all rooms, is not among them. What it says of the state of a key; its
 * text, in logs, messages and the audit log; what to do about it (NULL: the message says it). A
 * provider may have another word for that (struct kms_remedy).
 */
/* clang-format off */
#define KMS_STATUSES(ROW)                                                                          \
	/* AccessDeniedException, from the KMS or from STS on our way there */                     \
	ROW(DENIED,              STATUS_NO,            KEY_STATE_DENIED,                           \
	    "access denied",                                                                       \
	    "allow it in the policies of this identity and of the key, or the role's trust policy") \
	ROW(DISABLED,            STATUS_NO_OF_KEY,     KEY_STATE_DISABLED,                         \
	    "the key is disabled",                                                                 \
	    "enable the key")                                                                      \
	/* KMSInvalidStateException, by what its text says; the last for any other text */         \
	ROW(PENDING_DELETION,    STATUS_NO_OF_KEY,     KEY_STATE_KMS_PENDING_DELETION,             \
	    "the key is pending deletion",                                                         \
	    "cancel its deletion while there is time, and enable the key")                         \
	ROW(PENDING_IMPORT,      STATUS_NO_OF_KEY,     KEY_STATE_PENDING_IMPORT,                   \
	    "the key is pending import",                                                           \
	    "import its key material")                                                             \
	ROW(KEY_STORE_UNAVAILABLE, STATUS_NO_OF_KEY,   KEY_STATE_UNAVAILABLE,                      \
	    "the key's custom key store is unavailable",                                           \
	    "connect the custom key store that holds the key")                                     \
	ROW(INVALID_STATE,       STATUS_NO_OF_KEY,     KEY_STATE_UNUSABLE,                         \
	    "the key's state does not allow it",                                                   \
	    "look at the key's state in the KMS")                                                  \
	ROW(NOT_FOUND,           STATUS_NO_OF_KEY,     KEY_STATE_NOT_FOUND,                        \
	    "no such key",                                                                         \
	    "check the key's name, account and region")                                            \
	/* corrupt, or another encryption context */                                               \
	ROW(INVALID_CIPHERTEXT,  STATUS_OF_REQUEST,    KEY_STATE_UNKNOWN,                          \
	    "ciphertext or encryption context wrong",                                              \
	    "the stored record was changed or is another's; restore it from a backup")             \
	ROW(INCORRECT_KEY,       STATUS_OF_REQUEST,    KEY_STATE_UNKNOWN,                          \
	    "ciphertext of another key",                                                           \
	    "the stored record belongs to another root key")                                       \
	ROW(INVALID_KEY_USAGE,   STATUS_OF_REQUEST,    KEY_STATE_UNKNOWN,                          \
	    "not a symmetric encryption key",                                                      \
	    "a root key must be symmetric, for encryption and decryption")                         \
	/* ValidationException, a malformed name, data too long */                                 \
	ROW(INVALID_REQUEST,     STATUS_OF_REQUEST,    KEY_STATE_UNKNOWN,                          \
	    "invalid request",                                                                     \
	    NULL)                                                                                  \
	ROW(UNSUPPORTED,         STATUS_OF_REQUEST,    KEY_STATE_UNKNOWN,                          \
	    "not supported",                                                                       \
	    "for a key in a cloud this is done there")                                             \
	ROW(LIMIT_EXCEEDED,      STATUS_OF_REQUEST,    KEY_STATE_UNKNOWN,                          \
	    "a quota is exhausted",                                                                \
	    "ask for a higher quota")                                                              \
	ROW(THROTTLED,           STATUS_OUTAGE_OF_KEY, KEY_STATE_UNREACHABLE,                      \
	    "throttled",                                                                           \
	    "raise its request quota, or lease_seconds"                )                           \
	/* DependencyTimeoutException and kin: the KMS answers, but what holds the key does not */  \
	ROW(KEY_OUT_OF_REACH,    STATUS_OUTAGE_OF_KEY, KEY_STATE_UNREACHABLE,                      \
	    "the key is out of reach",                                                             \
	    "see to the key store that holds it")                                                  \
	/* 5xx, connection, DNS, TLS, deadline */                                                  \
	ROW(UNAVAILABLE,         STATUS_OUTAGE,        KEY_STATE_UNREACHABLE,                      \
	    "the KMS is out of reach",                                                             \
	    "check network, endpoint and proxy")                                                   \
	/* none found, or their source failed */                                                   \
	ROW(NO_CREDENTIALS,      STATUS_OURS,          KEY_STATE_NO_CREDENTIALS,                   \
	    "no credentials",                                                                      \
	    "set credentials up; 'cmek doctor' shows where they are looked for")                   \
	/* expired, unknown, badly signing */                                                      \
	ROW(CREDENTIALS_REFUSED, STATUS_OURS,          KEY_STATE_CREDENTIALS_REFUSED,              \
	    "credentials refused",                                                                 \
	    "renew the credentials; 'cmek doctor' shows which are used")                           \
	/* not what the protocol promises: JSON, lengths, another key's ARN */                     \
	ROW(BAD_ANSWER,          STATUS_OURS,          KEY_STATE_UNKNOWN,                          \
	    "the KMS's answer is invalid",                                                         \
	    "see what answers there: a proxy or gateway may")                                      \
	/* provider unknown, no region, http to a strange host, unreadable local.keys */           \
	ROW(MISCONFIGURED,       STATUS_OURS,          KEY_STATE_UNKNOWN,                          \
	    "wrong configuration",                                                                 \
	    "'cmek doctor' walks the configuration")
/* clang-format on */
