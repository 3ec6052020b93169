/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The versions of a zone's EZK in words. */
#pragma once

#include "base/buffer.h"
#include "zones/model/entry.h"

/* Appends them as JSON (include/cmek.h, CKA_CMEK_VERSIONS); the buffer remembers a failure. No
 * KMS. */
void versions_describe(const struct entry *zone, struct buffer *out);
