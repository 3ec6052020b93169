/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of names and patterns that are ARNs of keys, for the rows of providers whose keys have
 * such. */
#pragma once

#include "kms/provider.h"

/* Letters, digits, hyphens and stars. */
bool field_valid(struct bytes field);
static inline struct bytes field_any(void)
{
	return bytes_of("*");
}

/* arn:PARTITION:kms:REGION:ACCOUNT:key/ID, a star in any of them. */
bool fields_of_arn(const char *text, bool has_account, struct kms_key_fields *ret_fields);
