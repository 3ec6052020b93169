/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Patterns of root keys that may be used: what may be written, and what they take. */
#include "base/macros.h"
#include "kms/allowed.h"
#include "kms/kms.h"
#include "pkcs11/providers.h"
#include "tests/support/unit.h"

#define ID    "8b1f4f0e-3c5a-4b7e-9d58-0d0f6a2a9c11"
#define KEY   "arn:aws:kms:us-west-2:111122223333:key/" ID
#define MRK   "arn:aws:kms:us-west-2:111122223333:key/mrk-1234567890abcdef1234567890abcdef"
#define LOCAL "arn:local:kms:local::key/" ID

static void patterns_take_what_they_say(void **state)
{
	static const struct {
		const char *patterns, *key;
		bool allowed;
	} rows[] = {
		{NULL, KEY, true},
		{NULL, "alias/any", true},
		{KEY, KEY, true},
		{"arn:aws:kms:us-west-2:111122223333:key/8b1f4f0e-3c5a-4b7e-9d58-0d0f6a2a9c12", KEY,
		 false},
		{"arn:aws:kms:us-west-2:111122223333:key/*", KEY, true},
		{"arn:aws:kms:us-west-2:111122223333:key/*", MRK, true},
		{"arn:aws:kms:us-west-2:111122223333:key/mrk-*", KEY, false},
		{"arn:aws:kms:us-west-2:111122223333:key/mrk-*", MRK, true},
		{"arn:aws:kms:us-*-2:111122223333:key/*", KEY, true},
		{"arn:aws:kms:eu-*:111122223333:key/*", KEY, false},
		{"arn:*:kms:*:*:key/*", KEY, true},
		{"arn:aws-cn:kms:*:*:key/*", KEY, false},
		{"arn:aws:kms:us-west-2:*3333:key/*", KEY, true},
		/* A star is of its field. */
		{"arn:aws:kms:us-west-2:*:key/*", "arn:aws:kms:us-west-2:9:1:key/" ID, false},
		{"111122223333", KEY, true},
		{"444455556666", KEY, false},
		{"111122223333/us-west-2", KEY, true},
		{"111122223333/us-west-1", KEY, false},
		{"111122223333/us-west", KEY, false},
		{"111122223333/us-*", KEY, true},
		{"444455556666, 111122223333/us-west-2", KEY, true},
		{"444455556666\n\t111122223333", KEY, true},
		{"111122223333", LOCAL, false},
		{"arn:*:kms:*:*:key/*", LOCAL, true},
		{"arn:*:kms:*:*:key/*", "local:new", true},
		{"arn:aws*:kms:*:*:key/*", LOCAL, false},
		/* An account is one of a provider. */
		{"111122223333", "arn:local:kms:local:111122223333:key/" ID, false},
		{"local:*", LOCAL, true},
		{"local:*", KEY, false},
		{"local:* 111122223333", KEY, true},
		{LOCAL, LOCAL, true},
		/* One that is to be made has no id yet. */
		{"local:*", "local:new", true},
		{"arn:local:kms:local::key/*", "local:new", true},
		{LOCAL, "local:new", false},
		{"111122223333", "local:new", false},
		/* Aliases can be made to name another key. */
		{"arn:*:kms:*:*:key/*", "alias/root", false},
		{"arn:*:kms:*:*:key/*", "arn:aws:kms:us-west-2:111122223333:alias/root", false},
		{"111122223333", ID, false},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (key_allowed(module_providers, rows[i].patterns, rows[i].key) != rows[i].allowed)
			fail_msg("%s, %s", rows[i].patterns, rows[i].key);
}

static void what_is_no_pattern_is_named(void **state)
{
	static const struct {
		const char *patterns, *bad;
	} rows[] = {
		{"*", "*"},
		{"111122223333 alias/root", "alias/root"},
		{"arn:aws:kms:us-west-2:111122223333:alias/root",
		 "arn:aws:kms:us-west-2:111122223333:alias/root"},
		{"arn:aws:s3:us-west-2:111122223333:key/*",
		 "arn:aws:s3:us-west-2:111122223333:key/*"},
		{"arn:aws:kms:us-west-2::key/*", "arn:aws:kms:us-west-2::key/*"},
		{"arn:aws:kms::111122223333:key/*", "arn:aws:kms::111122223333:key/*"},
		{"arn:aws:kms:us-west-2:111122223333:key/",
		 "arn:aws:kms:us-west-2:111122223333:key/"},
		{"arn:aws:kms:us-west-2:111122223333:*", "arn:aws:kms:us-west-2:111122223333:*"},
		{"arn:aws:*", "arn:aws:*"},
		{"11112222333", "11112222333"},
		{"1111222233334", "1111222233334"},
		{"11112222333x", "11112222333x"},
		{"111122223333/", "111122223333/"},
		{"111122223333/us west", "west"},
		{"111122223333/us/west", "111122223333/us/west"},
		{"local:", "local:"},
		{"local:root", "local:root"},
		{"\"111122223333\"", "\"111122223333\""},
		{ID, ID},
	};
	struct bytes bad;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		if (kms_keys_valid(module_providers, rows[i].patterns, &bad))
			fail_msg("%s", rows[i].patterns);
		assert_bytes(bad, bytes_of(rows[i].bad));
	}
	assert_true(kms_keys_valid(module_providers, "", &bad));
	assert_false(kms_keys_valid(module_providers, " ,\n", &bad));
	assert_true(kms_keys_valid(module_providers, KEY "," LOCAL " local:*\n111122223333/eu-*",
				   &bad));
}

static void pattern_that_is_too_long_is_none(void **state)
{
	char text[KMS_ARN_MAX + 64] = "arn:aws:kms:us-west-2:111122223333:key/";
	size_t len = strlen(text);
	struct bytes bad;

	(void)state;
	memset(text + len, '*', sizeof(text) - len - 1);
	text[sizeof(text) - 1] = '\0';
	assert_false(kms_keys_valid(module_providers, text, &bad));
	assert_false(key_allowed(module_providers, text, KEY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_take_what_they_say),
		cmocka_unit_test(what_is_no_pattern_is_named),
		cmocka_unit_test(pattern_that_is_too_long_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
