/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The border between kms/ and zones/ as one table, and the words for what zones/ answers. */
#include "zones/model/status.h"

#include "base/macros.h"

#include <assert.h>

static const enum zone_status of_kms[KMS_STATUS_COUNT] = {
	[KMS_OK] = ZONE_OK,
#define KMS_STATUS(name, ...) [KMS_##name] = ZONE_KMS_##name,
	KMS_STATUSES(KMS_STATUS)
#undef KMS_STATUS
		[KMS_NO_MEMORY] = ZONE_NO_MEMORY,
};

/* What the KMS answered; KMS_OK: it is none of its statuses. */
static const enum kms_status kms_of[ZONE_STATUS_COUNT] = {
#define KMS_STATUS(name, ...) [ZONE_KMS_##name] = KMS_##name,
	KMS_STATUSES(KMS_STATUS)
#undef KMS_STATUS
};

/* Those of the KMS have its own. */
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
	[ZONE_MOVING] = "on the way from one root key to another",
	[ZONE_PENDING_DELETION] = "awaits deletion",
	[ZONE_DELETED] = "was deleted for good",
	[ZONE_INVALID] = "malformed",
	[ZONE_INVALID_NAME] = "not a name",
	[ZONE_FENCED] = "the version is below the zone's minimum",
	[ZONE_IMPORTED] = "an imported zone decrypts only",
	[ZONE_ROTATED] = "somebody else has rotated it already",
	[ZONE_RECORD_CORRUPT] = "the EZK record is not what was written",
	[ZONE_RECORD_NEWER] = "the EZK record has limits of a later release",
	[ZONE_RECORD_KEPT] = "the EZK record is for its store alone",
	[ZONE_WRAPPED_KEY_INVALID] = "the wrapped key does not open",
	[ZONE_BACKUP_CORRUPT] = "the backup is damaged",
	[ZONE_BACKUP_NEWER] = "the backup needs a later release",
	[ZONE_RESTORE_CONFLICT] = "the backup does not fit what is here",
	[ZONE_OTHER_PIN] = "the name is pinned to another zone",
	[ZONE_ROOT_KEY_REFUSED] = "the root key is not one of those that are allowed",
	[ZONE_STORE_UNAVAILABLE] = "the store is out of reach",
	[ZONE_STORE_THROTTLED] = "the store asks for fewer requests",
	[ZONE_STORE_DENIED] = "the store denies access",
	[ZONE_STORE_NO_CREDENTIALS] = "there are no credentials for the store, or it refuses them",
	[ZONE_STORE_READ_ONLY] = "the store can't be written",
	[ZONE_STORE_MOVED] = "the project has gone to another store",
	[ZONE_STORE_CORRUPT] = "the store is damaged",
	[ZONE_STORE_NEWER] = "the store needs a later release to be read",
	[ZONE_STORE_NEWER_WRITER] = "the store needs a later release to be changed",
	[ZONE_STORE_FULL] = "the store's disk is full",
	[ZONE_CONFLICT] = "somebody else changed it first",
	[ZONE_AUDIT_UNAVAILABLE] = "the audit log can't be written",
};

enum zone_status zone_status_of_kms(enum kms_status status)
{
	assert((unsigned)status < KMS_STATUS_COUNT);
	return of_kms[status];
}

bool zone_status_is_no(enum zone_status status)
{
	return kms_status_is_no(kms_of[status]);
}

bool zone_status_is_outage(enum zone_status status)
{
	return kms_status_is_outage(kms_of[status]);
}

bool zone_status_is_no_of_key(enum zone_status status)
{
	return kms_status_is_no_of_key(kms_of[status]);
}

bool zone_status_is_store_outage(enum zone_status status)
{
	return status == ZONE_STORE_UNAVAILABLE || status == ZONE_STORE_THROTTLED ||
	       status == ZONE_STORE_DENIED || status == ZONE_STORE_NO_CREDENTIALS;
}

const char *zone_status_text(enum zone_status status)
{
	assert((unsigned)status < ZONE_STATUS_COUNT);
	return texts[status] == NULL ? kms_status_text(kms_of[status]) : texts[status];
}

enum key_state zone_status_key_state(enum zone_status status)
{
	if (status == ZONE_OK || kms_of[status] != KMS_OK)
		return kms_status_key_state(kms_of[status]);
	return KEY_STATE_UNKNOWN;
}

const char *zone_status_word(enum zone_status status)
{
	return key_state_word(zone_status_key_state(status));
}
