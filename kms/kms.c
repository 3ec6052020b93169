/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The states of a key: their names, and what a use of the key would be answered. */
#include "kms/kms.h"

#include "base/macros.h"

static const struct {
	const char *text;
	enum kms_status status;
} key_states[] = {
	[KMS_KEY_ENABLED] = {"Enabled", KMS_OK},
	[KMS_KEY_DISABLED] = {"Disabled", KMS_DISABLED},
	[KMS_KEY_PENDING_DELETION] = {"PendingDeletion", KMS_PENDING_DELETION},
	[KMS_KEY_PENDING_IMPORT] = {"PendingImport", KMS_PENDING_IMPORT},
	[KMS_KEY_UNAVAILABLE] = {"Unavailable", KMS_KEY_STORE_UNAVAILABLE},
	[KMS_KEY_UNUSABLE] = {"Unusable", KMS_INVALID_STATE},
};

const char *kms_key_state_text(enum kms_key_state state)
{
	return (unsigned)state < COUNT_OF(key_states) ? key_states[state].text : "unknown";
}

enum kms_status kms_key_state_status(enum kms_key_state state)
{
	return (unsigned)state < COUNT_OF(key_states) ? key_states[state].status
						      : KMS_INVALID_STATE;
}
