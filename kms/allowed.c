/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which root keys may be used at all: patterns of ARNs. Names and aliases prove nothing, since
 * whoever may change an alias in AWS, or a row of the store, has it name another key. */
#include "kms/allowed.h"

#include "kms/kms.h"
#include "aws/arn.h"

#define DIGITS "0123456789"
#define FIELD  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_*"

static const char separators[] = ", \t\r\n";

/* A pattern, or the ARN of a key. */
struct fields {
	struct bytes partition, region, account, id;
};

static struct bytes any(void)
{
	return bytes_of("*");
}

/* --- Reading */

static bool is_field(struct bytes field, bool may_lack)
{
	return (field.len > 0 || may_lack) && bytes_all_in(field, FIELD);
}

/* Only keys of the embedded KMS have no account. */
static bool read_arn(const char *text, struct fields *ret_fields)
{
	struct arn arn;

	if (!arn_parse(text, &arn) || !bytes_are(arn.service, "kms"))
		return false;
	*ret_fields = (struct fields){arn.partition, arn.region, arn.account, arn_key_id(&arn)};
	return is_field(arn.partition, false) && is_field(arn.region, false) &&
	       is_field(arn.account, bytes_are(arn.partition, "local")) &&
	       is_field(ret_fields->id, false);
}

/* ACCOUNT or ACCOUNT/REGION. */
static bool read_account(struct bytes text, struct fields *ret_fields)
{
	enum { ACCOUNT_LEN = 12 };
	struct bytes account = bytes(text.data, text.len < ACCOUNT_LEN ? text.len : ACCOUNT_LEN);
	struct bytes left = bytes(text.data + account.len, text.len - account.len);

	*ret_fields = (struct fields){any(), any(), account, any()};
	if (account.len != ACCOUNT_LEN || !bytes_all_in(account, DIGITS))
		return false;
	if (left.len == 0)
		return true;
	ret_fields->region = bytes(left.data + 1, left.len - 1);
	return left.data[0] == '/' && is_field(ret_fields->region, false);
}

/* `text` ends with a NUL. */
static bool read_pattern(struct bytes text, struct fields *ret_fields)
{
	if (bytes_begin(text, "arn:"))
		return read_arn((const char *)text.data, ret_fields);
	if (bytes_are(text, "local:*")) {
		*ret_fields = (struct fields){bytes_of("local"), any(), any(), any()};
		return true;
	}
	return read_account(text, ret_fields);
}

/* The next pattern, in the caller's memory. False: there are no more. */
struct word {
	char text[KMS_ARN_MAX + 1];
	size_t len;
	struct bytes whole; /* as written in the list; it may be too long */
};

static bool next_word(const char **at, struct word *ret_word)
{
	*at += strspn(*at, separators);
	ret_word->whole = bytes(*at, strcspn(*at, separators));
	*at += ret_word->whole.len;
	ret_word->len = ret_word->whole.len > KMS_ARN_MAX ? 0 : ret_word->whole.len;
	memcpy(ret_word->text, ret_word->whole.data, ret_word->len);
	ret_word->text[ret_word->len] = '\0';
	return ret_word->whole.len > 0;
}

static bool read_word(const struct word *word, struct fields *ret_fields)
{
	return read_pattern(bytes(word->text, word->len), ret_fields);
}

bool kms_keys_valid(const char *patterns, struct bytes *ret_bad)
{
	struct fields fields;
	struct word word;
	size_t count = 0;

	*ret_bad = bytes_of(patterns);
	for (; next_word(&patterns, &word); count++) {
		*ret_bad = word.whole;
		if (!read_word(&word, &fields))
			return false;
	}
	/* An empty list with separators would allow nothing. */
	return count > 0 || ret_bad->len == 0;
}

/* --- Matching */

/* `*` stands for any characters, or none. */
static bool matches(struct bytes pattern, struct bytes text)
{
	size_t p = 0, t = 0, star = SIZE_MAX, from = 0;

	while (t < text.len) {
		if (p < pattern.len && pattern.data[p] == '*') {
			star = p++;
			from = t;
		} else if (p < pattern.len && pattern.data[p] == text.data[t]) {
			p++;
			t++;
		} else if (star != SIZE_MAX) {
			p = star + 1;
			t = ++from;
		} else {
			return false;
		}
	}
	while (p < pattern.len && pattern.data[p] == '*')
		p++;
	return p == pattern.len;
}

static bool all_match(const struct fields *pattern, const struct fields *key)
{
	return matches(pattern->partition, key->partition) &&
	       matches(pattern->region, key->region) && matches(pattern->account, key->account) &&
	       matches(pattern->id, key->id);
}

static bool read_key(const char *key, struct fields *ret_fields)
{
	/* no key has it, so only a star matches it */
	static const char unknown_id[] = "?";

	if (bytes_begin(bytes_of(key), "local:")) {
		*ret_fields = (struct fields){bytes_of("local"), bytes_of("local"),
					      bytes(unknown_id, 0), bytes_of(unknown_id)};
		return true;
	}
	return read_arn(key, ret_fields);
}

bool key_allowed(const char *patterns, const char *key)
{
	struct fields of_key, pattern;
	struct word word;

	if (patterns == NULL)
		return true;
	if (!read_key(key, &of_key))
		return false;
	while (next_word(&patterns, &word))
		if (read_word(&word, &pattern) && all_match(&pattern, &of_key))
			return true;
	return false;
}
