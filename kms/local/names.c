/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How keys of the embedded KMS are named. */
#include "kms/local/names.h"

#include "base/arn.h"
#include "kms/fields.h"
#include "kms/local/keys.h"

#define LOCAL                                                                                      \
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"                           \
	"._/-"

static const char prefix[] = "local:";

bool local_name_valid(struct bytes name)
{
	return name.len > 0 && name.len <= LOCAL_NAME_MAX && bytes_all_in(name, LOCAL);
}

bool local_read_name(const char *key, struct bytes *ret_region)
{
	struct arn arn;

	*ret_region = bytes_of("local");
	if (arn_parse(key, &arn))
		return bytes_are(arn.service, "kms") && bytes_are(arn.partition, "local") &&
		       uuid_valid(arn_key_id(&arn));
	return bytes_begin(bytes_of(key), prefix) && local_name_valid(local_label(key));
}

bool local_is_own_name(const char *key)
{
	struct arn arn;

	return arn_parse(key, &arn);
}

struct bytes local_label(const char *key)
{
	struct bytes text = bytes_of(key);

	return bytes_begin(text, prefix) ? bytes_after(text, strlen(prefix)) : bytes(NULL, 0);
}

static bool arn_fields(const char *text, struct kms_key_fields *ret_fields)
{
	return fields_of_arn(text, false, ret_fields) && bytes_are(ret_fields->partition, "local");
}

bool local_read_fields(const char *key, struct kms_key_fields *ret_fields)
{
	/* One that no key has, so that nothing but a star stands for it. */
	static const char unknown_id[] = "?";

	if (!bytes_begin(bytes_of(key), prefix))
		return arn_fields(key, ret_fields);
	*ret_fields = (struct kms_key_fields){bytes_of("local"), bytes_of("local"),
					      bytes(unknown_id, 0), bytes_of(unknown_id)};
	return true;
}

/* A star may stand for "local". */
static bool any_partition(const char *text, struct kms_key_fields *ret_fields)
{
	return fields_of_arn(text, true, ret_fields) &&
	       memchr(ret_fields->partition.data, '*', ret_fields->partition.len) != NULL;
}

bool local_read_pattern(const char *text, struct kms_key_fields *ret_fields)
{
	if (!bytes_are(bytes_of(text), "local:*"))
		return arn_fields(text, ret_fields) || any_partition(text, ret_fields);
	*ret_fields =
		(struct kms_key_fields){bytes_of("local"), field_any(), field_any(), field_any()};
	return true;
}
