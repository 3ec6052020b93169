/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of keys: which provider and region a name belongs to, and when two ARNs are one key. Looks
 * at the text only; whether the key exists, only the KMS knows.
 */
#include "kms/name.h"

#include "aws/arn.h"
#include "kms/kms.h"

#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALIAS  UPPER LOWER DIGITS ":/_-"
#define LOCAL  UPPER LOWER DIGITS "._/-"
#define HEX    "0123456789abcdefABCDEF"

enum { MRK_TEXT = 36, ALIAS_MAX = 256, LOCAL_NAME_MAX = 128 };

static bool mrk_valid(struct bytes text)
{
	return text.len == MRK_TEXT && bytes_begin(text, "mrk-") &&
	       bytes_all_in(bytes_after(text, 4), HEX);
}

static bool alias_valid(struct bytes text)
{
	return bytes_begin(text, "alias/") && text.len > strlen("alias/") &&
	       text.len <= ALIAS_MAX && bytes_all_in(text, ALIAS);
}

bool local_name_valid(struct bytes name)
{
	return name.len > 0 && name.len <= LOCAL_NAME_MAX && bytes_all_in(name, LOCAL);
}

/* Key ids of AWS are UUIDs, or "mrk-" and 32 digits; other emulations and imported names exist, so
 * an ARN's key id may be any word. */
static bool aws_resource_valid(const struct arn *arn)
{
	struct bytes id = arn_key_id(arn);

	return (id.len > 0 && bytes_all_in(id, UPPER LOWER DIGITS "-")) ||
	       alias_valid(arn->resource);
}

static bool arn_name_parse(const struct arn *arn, const char **ret_provider,
			   struct bytes *ret_region)
{
	if (!bytes_are(arn->service, "kms"))
		return false;
	if (bytes_are(arn->partition, "local")) {
		*ret_provider = "local";
		*ret_region = bytes_of("local");
		return uuid_valid(arn_key_id(arn));
	}
	*ret_provider = "aws";
	*ret_region = arn->region;
	return bytes_begin(arn->partition, "aws") && region_valid(arn->region) &&
	       aws_resource_valid(arn);
}

static bool find_parts(const char *key, const char **ret_provider, struct bytes *ret_region)
{
	struct bytes text = bytes_of(key);
	struct arn arn;

	if (text.len > KMS_ARN_MAX)
		return false;
	if (arn_parse(key, &arn))
		return arn_name_parse(&arn, ret_provider, ret_region);
	if (bytes_begin(text, "local:")) {
		*ret_provider = "local";
		*ret_region = bytes_of("local");
		return local_name_valid(bytes_after(text, strlen("local:")));
	}
	*ret_provider = "aws";
	*ret_region = bytes_of("");
	return uuid_valid(text) || mrk_valid(text) || alias_valid(text);
}

bool kms_name_parse(const char *key, char ret_provider[static KMS_PROVIDER_MAX + 1],
		    char ret_region[static KMS_REGION_MAX + 1])
{
	const char *provider;
	struct bytes region;

	if (key == NULL || !find_parts(key, &provider, &region))
		return false;
	strcpy(ret_provider, provider);
	if (region.len > 0)
		memcpy(ret_region, region.data, region.len);
	ret_region[region.len] = 0;
	return true;
}

bool kms_arn_same_key(const char *a, const char *b)
{
	struct arn x, y;

	if (strcmp(a, b) == 0)
		return true;
	return arn_parse(a, &x) && arn_parse(b, &y) && bytes_begin(arn_key_id(&x), "mrk-") &&
	       bytes_equal(x.partition, y.partition) && bytes_equal(x.service, y.service) &&
	       bytes_equal(x.account, y.account) && bytes_equal(x.resource, y.resource);
}
