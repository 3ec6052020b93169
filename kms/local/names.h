/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How keys of the embedded KMS are named (docs/format-local-kms.md): members of its row
 * (kms/provider.h). */
#pragma once

#include "kms/provider.h"

/* NAME of "local:NAME". */
bool local_name_valid(struct bytes name);

bool local_read_name(const char *key, struct bytes *ret_region);
/* An ARN, which the file gives a key. */
bool local_is_own_name(const char *key);
struct bytes local_label(const char *key);
bool local_read_fields(const char *key, struct kms_key_fields *ret_fields);
bool local_read_pattern(const char *text, struct kms_key_fields *ret_fields);
