/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* [kms] allowed_root_keys as it is matched; kms_keys_valid() of kms.h defines what may be written.
 */
#pragma once

#include "base/bytes.h"

/* `key`: a key ARN; or "local:NAME" of a key that is to be made, which only matches a pattern that
 * says nothing about the key id. No other name is allowed. Without patterns all keys are. */
bool key_allowed(const char *patterns, const char *key);
