/* What the statuses and states of kms.h are called, and which of them are a no. */
#include "kms/kms.h"

#include "base/macros.h"

static const struct {
	const char *text;
	bool is_no;
} statuses[KMS_STATUS_COUNT] = {
	/* clang-format off */
	[KMS_OK]                  = { "success",                                 false },
	[KMS_DENIED]              = { "access denied",                           true },
	[KMS_DISABLED]            = { "the key is disabled",                     true },
	[KMS_PENDING_DELETION]    = { "the key is pending deletion",             true },
	[KMS_PENDING_IMPORT]      = { "the key is pending import",               true },
	[KMS_KEY_STORE_UNAVAILABLE] = { "the key's custom key store is unavailable", true },
	[KMS_INVALID_STATE]       = { "the key's state does not allow it",       true },
	[KMS_NOT_FOUND]           = { "no such key",                             true },
	[KMS_INVALID_CIPHERTEXT]  = { "ciphertext or encryption context wrong",  false },
	[KMS_INCORRECT_KEY]       = { "ciphertext of another key",               false },
	[KMS_INVALID_KEY_USAGE]   = { "not a symmetric encryption key",          false },
	[KMS_INVALID_REQUEST]     = { "invalid request",                         false },
	[KMS_UNSUPPORTED]         = { "not supported",                           false },
	[KMS_LIMIT_EXCEEDED]      = { "a quota is exhausted",                    false },
	[KMS_THROTTLED]           = { "throttled",                               false },
	[KMS_UNAVAILABLE]         = { "the KMS cannot be reached",               false },
	[KMS_NO_CREDENTIALS]      = { "no credentials",                          false },
	[KMS_CREDENTIALS_REFUSED] = { "credentials refused",                     false },
	[KMS_BAD_ANSWER]          = { "the KMS answered what it must not",       false },
	[KMS_NO_MEMORY]           = { "out of memory",                           false },
	[KMS_MISCONFIGURED]       = { "wrong configuration",                     false },
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
	return (unsigned)status < KMS_STATUS_COUNT && statuses[status].is_no;
}

const char *kms_status_text(enum kms_status status)
{
	return (unsigned)status < KMS_STATUS_COUNT ? statuses[status].text : "unknown";
}

const char *kms_key_state_text(enum kms_key_state state)
{
	return (unsigned)state < COUNT_OF(key_states) ? key_states[state] : "unknown";
}
