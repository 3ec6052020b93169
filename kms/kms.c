/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The names of the states of a key. */
#include "kms/kms.h"

#include "base/macros.h"

static const char *const key_states[] = {
	[KMS_KEY_ENABLED] = "Enabled",
	[KMS_KEY_DISABLED] = "Disabled",
	[KMS_KEY_PENDING_DELETION] = "PendingDeletion",
	[KMS_KEY_PENDING_IMPORT] = "PendingImport",
	[KMS_KEY_UNAVAILABLE] = "Unavailable",
	[KMS_KEY_UNUSABLE] = "Unusable",
};

const char *kms_key_state_text(enum kms_key_state state)
{
	return (unsigned)state < COUNT_OF(key_states) ? key_states[state] : "unknown";
}
