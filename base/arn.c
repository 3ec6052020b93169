/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of an ARN, and what they may contain. */
#include "base/arn.h"

#define DIGITS "0123456789"
#define LOWER  "abcdefghijklmnopqrstuvwxyz"
#define HEX    "0123456789abcdefABCDEF"

enum { UUID_TEXT = 36 };

/* Up to the colon, which is consumed. */
static bool take_part(struct bytes *left, struct bytes *ret_part)
{
	const uint8_t *colon = left->len == 0 ? NULL : memchr(left->data, ':', left->len);

	if (colon == NULL)
		return false;
	*ret_part = bytes(left->data, (size_t)(colon - left->data));
	*left = bytes_after(*left, ret_part->len + 1);
	return true;
}

bool arn_parse(const char *text, struct arn *ret_arn)
{
	struct bytes left = bytes_of(text), arn;
	struct arn parts;

	if (!take_part(&left, &arn) || !bytes_are(arn, "arn") ||
	    !take_part(&left, &parts.partition) || !take_part(&left, &parts.service) ||
	    !take_part(&left, &parts.region) || !take_part(&left, &parts.account))
		return false;
	parts.resource = left;
	*ret_arn = parts;
	return left.len > 0;
}

struct bytes arn_key_id(const struct arn *arn)
{
	if (!bytes_begin(arn->resource, "key/"))
		return bytes(NULL, 0);
	return bytes_after(arn->resource, strlen("key/"));
}

bool uuid_valid(struct bytes text)
{
	if (text.len != UUID_TEXT)
		return false;
	for (size_t i = 0; i < UUID_TEXT; i++) {
		bool hyphen = i == 8 || i == 13 || i == 18 || i == 23;

		if (!bytes_all_in(bytes(text.data + i, 1), hyphen ? "-" : HEX))
			return false;
	}
	return true;
}

bool region_valid(struct bytes region)
{
	return region.len > 0 && region.len <= REGION_TEXT_MAX && region.data[0] != '-' &&
	       region.data[region.len - 1] != '-' && bytes_all_in(region, LOWER DIGITS "-");
}
