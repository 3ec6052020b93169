/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How keys of AWS KMS are named. */
#include "kms/aws/names.h"

#include "base/arn.h"
#include "kms/fields.h"

#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define UPPER  "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALIAS  UPPER LOWER DIGITS ":/_-"
#define HEX    "0123456789abcdefABCDEF"

enum { MRK_TEXT = 36, ALIAS_MAX = 256 };

_Static_assert((int)REGION_TEXT_MAX == (int)KMS_REGION_MAX, "a region fits where kms/ keeps it");

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

/* Key ids of AWS are UUIDs, or "mrk-" and 32 digits; other emulations and imported names exist, so
 * an ARN's key id may be any word. */
static bool aws_resource_valid(const struct arn *arn)
{
	struct bytes id = arn_key_id(arn);

	return (id.len > 0 && bytes_all_in(id, UPPER LOWER DIGITS "-")) ||
	       alias_valid(arn->resource);
}

bool aws_read_name(const char *key, struct bytes *ret_region)
{
	struct bytes text = bytes_of(key);
	struct arn arn;

	if (arn_parse(key, &arn)) {
		*ret_region = arn.region;
		return bytes_are(arn.service, "kms") && bytes_begin(arn.partition, "aws") &&
		       region_valid(arn.region) && aws_resource_valid(&arn);
	}
	*ret_region = bytes_of("");
	return uuid_valid(text) || mrk_valid(text) || alias_valid(text);
}

struct bytes aws_label(const char *key)
{
	static const char mark[] = "alias/";
	const char *found = strstr(key, mark);

	return found == NULL ? bytes(NULL, 0) : bytes_of(found + strlen(mark));
}

bool aws_read_fields(const char *key, struct kms_key_fields *ret_fields)
{
	return fields_of_arn(key, true, ret_fields);
}

/* ACCOUNT or ACCOUNT/REGION. */
static bool read_account(struct bytes text, struct kms_key_fields *ret_fields)
{
	enum { ACCOUNT_LEN = 12 };
	struct bytes account = bytes(text.data, text.len < ACCOUNT_LEN ? text.len : ACCOUNT_LEN);
	struct bytes left = bytes(text.data + account.len, text.len - account.len);

	*ret_fields = (struct kms_key_fields){field_any(), field_any(), account, field_any()};
	if (account.len != ACCOUNT_LEN || !bytes_all_in(account, DIGITS))
		return false;
	if (left.len == 0)
		return true;
	ret_fields->region = bytes(left.data + 1, left.len - 1);
	return left.data[0] == '/' && field_valid(ret_fields->region);
}

bool aws_read_pattern(const char *text, struct kms_key_fields *ret_fields)
{
	return fields_of_arn(text, true, ret_fields) || read_account(bytes_of(text), ret_fields);
}

bool aws_is_own_name(const char *key)
{
	struct arn arn;

	return arn_parse(key, &arn) && arn_key_id(&arn).len > 0;
}

/* Related multi-Region keys: one key under an ARN per region ("Multi-Region keys in AWS KMS", AWS
 * KMS Developer Guide). What one encrypted, each decrypts. */
bool aws_in_region(const char *arn, struct bytes region, char ret_arn[static KMS_ARN_MAX + 1])
{
	struct arn parts;
	size_t before, len;

	if (!arn_parse(arn, &parts) || !bytes_begin(arn_key_id(&parts), "mrk-") ||
	    !region_valid(region))
		return false;
	before = (size_t)(parts.region.data - (const uint8_t *)arn);
	len = strlen(arn) - parts.region.len + region.len;
	if (len > KMS_ARN_MAX)
		return false;
	memcpy(ret_arn, arn, before);
	memcpy(ret_arn + before, region.data, region.len);
	strcpy(ret_arn + before + region.len, arn + before + parts.region.len);
	return true;
}
