/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* [kms] allowed_root_keys as it is matched; kms_keys_valid() of kms.h defines what may be written.
 */
#pragma once

#include "kms/kms.h"

/* `key`: a key ARN, or the name of a key that is to be made, which fits only a pattern that
 * says nothing of the key id. No other name is allowed. No patterns: all keys are. */
bool key_allowed(const struct kms_provider *const *providers, const char *patterns,
		 const char *key);
