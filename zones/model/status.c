/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The border between kms/ and zones/ as one table, and the words for what zones/ answers. */
#include "zones/model/status.h"

#include "base/macros.h"

#include <assert.h>

static const enum zone_status of_kms[KMS_STATUS_COUNT] = {
	[KMS_OK] = ZONE_OK,
	[KMS_DENIED] = ZONE_KMS_DENIED,
	[KMS_DISABLED] = ZONE_KMS_DISABLED,
	[KMS_PENDING_DELETION] = ZONE_KMS_PENDING_DELETION,
	[KMS_PENDING_IMPORT] = ZONE_KMS_PENDING_IMPORT,
	[KMS_KEY_STORE_UNAVAILABLE] = ZONE_KMS_KEY_STORE_UNAVAILABLE,
	[KMS_INVALID_STATE] = ZONE_KMS_INVALID_STATE,
	[KMS_NOT_FOUND] = ZONE_KMS_NOT_FOUND,
	[KMS_INVALID_CIPHERTEXT] = ZONE_KMS_INVALID_CIPHERTEXT,
	[KMS_INCORRECT_KEY] = ZONE_KMS_INCORRECT_KEY,
	[KMS_INVALID_KEY_USAGE] = ZONE_KMS_INVALID_KEY_USAGE,
	[KMS_INVALID_REQUEST] = ZONE_KMS_INVALID_REQUEST,
	[KMS_UNSUPPORTED] = ZONE_KMS_UNSUPPORTED,
	[KMS_LIMIT_EXCEEDED] = ZONE_KMS_LIMIT_EXCEEDED,
	[KMS_THROTTLED] = ZONE_KMS_THROTTLED,
	[KMS_UNAVAILABLE] = ZONE_KMS_UNAVAILABLE,
	[KMS_NO_CREDENTIALS] = ZONE_KMS_NO_CREDENTIALS,
	[KMS_CREDENTIALS_REFUSED] = ZONE_KMS_CREDENTIALS_REFUSED,
	[KMS_BAD_ANSWER] = ZONE_KMS_BAD_ANSWER,
	[KMS_NO_MEMORY] = ZONE_NO_MEMORY,
	[KMS_MISCONFIGURED] = ZONE_KMS_MISCONFIGURED,
};

static const char *const texts[ZONE_STATUS_COUNT] = {
	[ZONE_OK] = "done",
	[ZONE_NO_MEMORY] = "out of memory",
	[ZONE_NOT_STARTED] = "the cryptographic library has not been started",
	[ZONE_NOT_FOUND] = "not found",
	[ZONE_EXISTS] = "exists already",
	[ZONE_TOO_MANY_ROOT_KEYS] = "the project has 20 root keys already",
	[ZONE_WRONG_REGION] = "the region is not the root key's",
	[ZONE_WRONG_PROVIDER] = "the provider is not the root key's",
	[ZONE_OTHER_ZONE] = "belongs to another zone",
	[ZONE_NO_ROOT_KEY] = "the project has no root key to use",
	[ZONE_IN_USE] = "still in use",
	[ZONE_PENDING_DELETION] = "awaits deletion",
	[ZONE_DELETED] = "was deleted for good",
	[ZONE_INVALID] = "malformed",
	[ZONE_INVALID_NAME] = "not a name",
	[ZONE_FENCED] = "the version is below the zone's minimum",
	[ZONE_IMPORTED] = "an imported zone decrypts only",
	[ZONE_RECORD_CORRUPT] = "the EZK record is not what was written",
	[ZONE_RECORD_NEWER] = "the EZK record has limits of a later release",
	[ZONE_RECORD_KEPT] = "the EZK record is for its store alone",
	[ZONE_WRAPPED_KEY_INVALID] = "the wrapped key does not open",
	[ZONE_OTHER_PIN] = "the name is pinned to another zone",
	[ZONE_ROOT_KEY_REFUSED] = "the root key is not one of those that are allowed",
	[ZONE_STORE_UNAVAILABLE] = "the store is out of reach",
	[ZONE_STORE_THROTTLED] = "the store asks for fewer requests",
	[ZONE_STORE_DENIED] = "the store denies access",
	[ZONE_STORE_NO_CREDENTIALS] = "there are no credentials for the store, or it refuses them",
	[ZONE_STORE_READ_ONLY] = "the store can't be written",
	[ZONE_STORE_CORRUPT] = "the store is damaged",
	[ZONE_STORE_NEWER] = "the store needs a later release to be read",
	[ZONE_STORE_NEWER_WRITER] = "the store needs a later release to be changed",
	[ZONE_STORE_FULL] = "the store's disk is full",
	[ZONE_CONFLICT] = "somebody else changed it first",
	[ZONE_AUDIT_UNAVAILABLE] = "the audit log can't be written",
	[ZONE_KMS_DENIED] = "the KMS denies access",
	[ZONE_KMS_DISABLED] = "the root key is disabled",
	[ZONE_KMS_PENDING_DELETION] = "the root key is pending deletion in the KMS",
	[ZONE_KMS_PENDING_IMPORT] = "the root key is pending import: it has no key material",
	[ZONE_KMS_KEY_STORE_UNAVAILABLE] = "the root key's custom key store is unavailable",
	[ZONE_KMS_INVALID_STATE] = "the root key is in a state that allows no use",
	[ZONE_KMS_NOT_FOUND] = "the KMS does not know the key",
	[ZONE_KMS_INVALID_CIPHERTEXT] = "the KMS does not take the ciphertext",
	[ZONE_KMS_INCORRECT_KEY] = "the ciphertext belongs to another root key",
	[ZONE_KMS_INVALID_KEY_USAGE] = "the KMS key is not a symmetric encryption key",
	[ZONE_KMS_INVALID_REQUEST] = "the KMS calls the request malformed",
	[ZONE_KMS_UNSUPPORTED] = "the KMS does not offer that",
	[ZONE_KMS_LIMIT_EXCEEDED] = "a quota of the KMS is used up",
	[ZONE_KMS_THROTTLED] = "the KMS asks for fewer requests",
	[ZONE_KMS_UNAVAILABLE] = "the KMS is out of reach",
	[ZONE_KMS_NO_CREDENTIALS] = "there are no credentials for the KMS",
	[ZONE_KMS_CREDENTIALS_REFUSED] = "the KMS refuses the credentials",
	[ZONE_KMS_BAD_ANSWER] = "the KMS's answer is invalid",
	[ZONE_KMS_MISCONFIGURED] = "the KMS is not configured",
};

/* The same words as in cli/token.c. */
static const char *const words[ZONE_STATUS_COUNT] = {
	[ZONE_OK] = "active",
	[ZONE_KMS_DENIED] = "access denied",
	[ZONE_KMS_DISABLED] = "disabled",
	[ZONE_KMS_PENDING_DELETION] = "pending deletion",
	[ZONE_KMS_PENDING_IMPORT] = "pending import",
	[ZONE_KMS_KEY_STORE_UNAVAILABLE] = "unavailable",
	[ZONE_KMS_INVALID_STATE] = "not usable",
	[ZONE_KMS_NOT_FOUND] = "not found",
	[ZONE_KMS_THROTTLED] = "not reachable",
	[ZONE_KMS_UNAVAILABLE] = "not reachable",
	[ZONE_KMS_NO_CREDENTIALS] = "no credentials",
	[ZONE_KMS_CREDENTIALS_REFUSED] = "credentials refused",
};

enum zone_status zone_status_of_kms(enum kms_status status)
{
	assert((unsigned)status < KMS_STATUS_COUNT);
	return of_kms[status];
}

/* What the KMS answered; KMS_OK: it is none of its statuses. */
static enum kms_status kms_of(enum zone_status status)
{
	for (int kms = 0; kms < KMS_STATUS_COUNT; kms++)
		if (of_kms[kms] == status)
			return (enum kms_status)kms;
	return KMS_OK;
}

bool zone_status_is_no(enum zone_status status)
{
	return kms_status_is_no(kms_of(status));
}

bool zone_status_is_outage(enum zone_status status)
{
	return kms_status_is_outage(kms_of(status));
}

bool zone_status_is_no_of_key(enum zone_status status)
{
	return kms_status_is_no_of_key(kms_of(status));
}

bool zone_status_is_store_outage(enum zone_status status)
{
	return status == ZONE_STORE_UNAVAILABLE || status == ZONE_STORE_THROTTLED ||
	       status == ZONE_STORE_DENIED || status == ZONE_STORE_NO_CREDENTIALS;
}

const char *zone_status_text(enum zone_status status)
{
	return (unsigned)status < ZONE_STATUS_COUNT ? texts[status] : "unknown";
}

const char *zone_status_word(enum zone_status status)
{
	return (unsigned)status < ZONE_STATUS_COUNT && words[status] != NULL ? words[status]
									     : "not known";
}
