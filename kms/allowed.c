/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which root keys may be used at all: patterns of ARNs. Names and aliases prove nothing, since
 * whoever may change an alias in its KMS, or a row of the store, has it name another key. */
#include "kms/allowed.h"

#include "kms/provider.h"

static const char separators[] = ", \t\r\n";

/* --- Reading */

/* The next pattern, in the caller's memory. False: there is none. */
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

static bool read_word(const struct kms_provider *const *providers, const struct word *word,
		      struct kms_key_fields *ret_fields)
{
	for (; *providers != NULL; providers++)
		if ((*providers)->read_pattern(word->text, ret_fields))
			return true;
	return false;
}

void kms_keys_wanted(const struct kms_provider *const *providers, struct buffer *out)
{
	providers_put(providers, offsetof(struct kms_provider, patterns), " or ", out);
}

bool kms_keys_valid(const struct kms_provider *const *providers, const char *patterns,
		    struct bytes *ret_bad)
{
	struct kms_key_fields fields;
	struct word word;
	size_t count = 0;

	*ret_bad = bytes_of(patterns);
	for (; next_word(&patterns, &word); count++) {
		*ret_bad = word.whole;
		if (!read_word(providers, &word, &fields))
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

static bool all_match(const struct kms_key_fields *pattern, const struct kms_key_fields *key)
{
	return matches(pattern->partition, key->partition) &&
	       matches(pattern->region, key->region) && matches(pattern->account, key->account) &&
	       matches(pattern->id, key->id);
}

/* A key is held against patterns of the provider alone that is asked by it: an account of one cloud
 * says nothing of another. */
bool key_allowed(const struct kms_provider *const *providers, const char *patterns, const char *key)
{
	struct kms_key_fields of_key, pattern;
	const struct kms_provider *provider;
	struct bytes region;
	struct word word;

	if (patterns == NULL)
		return true;
	provider = provider_of_key(providers, key, &region);
	if (provider == NULL || !provider->read_fields(key, &of_key))
		return false;
	while (next_word(&patterns, &word))
		if (provider->read_pattern(word.text, &pattern) && all_match(&pattern, &of_key))
			return true;
	return false;
}
