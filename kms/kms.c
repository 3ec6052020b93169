/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the statuses and states of kms.h are called, and which of them are a no. */
#include "kms/kms.h"

#include "base/macros.h"

static const struct {
	const char *text;
	enum { NEITHER, NO, OUTAGE } kind;
} statuses[KMS_STATUS_COUNT] = {
	/* clang-format off */
	[KMS_OK]                  = { "success",                                 NEITHER },
	[KMS_DENIED]              = { "access denied",                           NO },
	[KMS_DISABLED]            = { "the key is disabled",                     NO },
	[KMS_PENDING_DELETION]    = { "the key is pending deletion",             NO },
	[KMS_PENDING_IMPORT]      = { "the key is pending import",               NO },
	[KMS_KEY_STORE_UNAVAILABLE] = { "the key's custom key store is unavailable", NO },
	[KMS_INVALID_STATE]       = { "the key's state does not allow it",       NO },
	[KMS_NOT_FOUND]           = { "no such key",                             NO },
	[KMS_INVALID_CIPHERTEXT]  = { "ciphertext or encryption context wrong",  NEITHER },
	[KMS_INCORRECT_KEY]       = { "ciphertext of another key",               NEITHER },
	[KMS_INVALID_KEY_USAGE]   = { "not a symmetric encryption key",          NEITHER },
	[KMS_INVALID_REQUEST]     = { "invalid request",                         NEITHER },
	[KMS_UNSUPPORTED]         = { "not supported",                           NEITHER },
	[KMS_LIMIT_EXCEEDED]      = { "a quota is exhausted",                    NEITHER },
	[KMS_THROTTLED]           = { "throttled",                               OUTAGE },
	[KMS_UNAVAILABLE]         = { "the KMS cannot be reached",               OUTAGE },
	[KMS_NO_CREDENTIALS]      = { "no credentials",                          NEITHER },
	[KMS_CREDENTIALS_REFUSED] = { "credentials refused",                     NEITHER },
	[KMS_BAD_ANSWER]          = { "the KMS answered what it must not",       NEITHER },
	[KMS_NO_MEMORY]           = { "out of memory",                           NEITHER },
	[KMS_MISCONFIGURED]       = { "wrong configuration",                     NEITHER },
	/* clang-format on */
};

static const char *const key_states[] = {
	[KMS_KEY_ENABLED] = "Enabled",
	[KMS_KEY_DISABLED] = "Disabled",
	[KMS_KEY_PENDING_DELETION] = "PendingDeletion",
	[KMS_KEY_PENDING_IMPORT] = "PendingImport",
	[KMS_KEY_UNAVAILABLE] = "Unavailable",
	[KMS_KEY_UNUSABLE] = "Unusable",
};

bool kms_status_is_no(enum kms_status status)
{
	return (unsigned)status < KMS_STATUS_COUNT && statuses[status].kind == NO;
}

bool kms_status_is_no_of_key(enum kms_status status)
{
	return kms_status_is_no(status) && status != KMS_DENIED;
}

bool kms_status_is_outage(enum kms_status status)
{
	return (unsigned)status < KMS_STATUS_COUNT && statuses[status].kind == OUTAGE;
}

const char *kms_status_text(enum kms_status status)
{
	return (unsigned)status < KMS_STATUS_COUNT ? statuses[status].text : "unknown";
}

const char *kms_key_state_text(enum kms_key_state state)
{
	return (unsigned)state < COUNT_OF(key_states) ? key_states[state] : "unknown";
}
