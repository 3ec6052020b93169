/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* ARNs of keys, and patterns of such, by their fields. */
#include "kms/fields.h"

#include "base/arn.h"

#define FIELD "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_*"

bool field_valid(struct bytes field)
{
	return field.len > 0 && bytes_all_in(field, FIELD);
}

bool fields_of_arn(const char *text, bool has_account, struct kms_key_fields *ret_fields)
{
	struct arn arn;

	if (!arn_parse(text, &arn) || !bytes_are(arn.service, "kms"))
		return false;
	*ret_fields =
		(struct kms_key_fields){arn.partition, arn.region, arn.account, arn_key_id(&arn)};
	return field_valid(arn.partition) && field_valid(arn.region) &&
	       (field_valid(arn.account) || (arn.account.len == 0 && !has_account)) &&
	       field_valid(ret_fields->id);
}
