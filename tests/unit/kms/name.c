/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Names of keys: provider, region, and when two are one key. */
#include "base/macros.h"
#include "kms/kms.h"
#include "pkcs11/providers.h"
#include "tests/support/unit.h"

#include <stdio.h>

#define UUID "8b1f4f0e-3c5a-4b7e-9d58-0d0f6a2a9c11"
#define MRK  "mrk-1234567890abcdef1234567890abcdef"

static void names_tell_provider_and_region(void **state)
{
	static const struct {
		const char *name, *provider, *region;
	} rows[] = {
		{"arn:aws:kms:us-west-2:111122223333:key/" UUID, "aws", "us-west-2"},
		{"arn:aws:kms:us-west-2:111122223333:key/" MRK, "aws", "us-west-2"},
		{"arn:aws:kms:eu-west-1:111122223333:alias/root", "aws", "eu-west-1"},
		{"arn:aws-cn:kms:cn-north-1:111122223333:key/" UUID, "aws", "cn-north-1"},
		{"arn:aws-us-gov:kms:us-gov-west-1:1:key/" UUID, "aws", "us-gov-west-1"},
		{"alias/root", "aws", ""},
		{"alias/team/a-b_c", "aws", ""},
		{UUID, "aws", ""},
		{MRK, "aws", ""},
		{"local:demo", "local", "local"},
		{"local:" UUID, "local", "local"},
		{"arn:local:kms:local::key/" UUID, "local", "local"},
	};
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_true(kms_name_parse(module_providers, rows[i].name, provider, region));
		assert_string_equal(provider, rows[i].provider);
		assert_string_equal(region, rows[i].region);
	}
}

static void what_is_not_a_key_name_is_refused(void **state)
{
	static const char *const names[] = {
		"",
		"root",
		"alias/",
		"alias/ro ot",
		"alias/\xc3\xa4",
		"local:",
		"local:a b",
		"local:\"",
		"mrk-1234",
		"8b1f4f0e-3c5a-4b7e-9d58-0d0f6a2a9c1",
		"8b1f4f0e_3c5a_4b7e_9d58_0d0f6a2a9c11",
		"arn:aws:kms:us-west-2:111122223333:",
		"arn:aws:kms:us-west-2:111122223333:key/",
		"arn:aws:kms:us-west-2:111122223333:key/a/b",
		"arn:aws:kms:us-west-2:111122223333:grant/x",
		"arn:aws:kms::111122223333:key/" UUID,
		"arn:aws:kms:evil.example/:1:key/" UUID,
		"arn:aws:kms:-x:1:key/" UUID,
		"arn:aws:s3:us-west-2:1:key/" UUID,
		"arn:gcp:kms:us-west-2:1:key/" UUID,
		"arn:local:kms:local::key/demo",
		"arn:local:kms:local::alias/demo",
		"arn:aws:kms",
	};
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		if (kms_name_parse(module_providers, names[i], provider, region))
			fail_msg("'%s' was taken for a key", names[i]);
	assert_false(kms_name_parse(module_providers, NULL, provider, region));
}

static void a_name_may_be_long_but_not_endless(void **state)
{
	char name[KMS_ARN_MAX + 64] = "local:";
	char provider[KMS_PROVIDER_MAX + 1], region[KMS_REGION_MAX + 1];

	(void)state;
	memset(name + 6, 'a', 128);
	assert_true(kms_name_parse(module_providers, name, provider, region));
	name[6 + 128] = 'a';
	assert_false(kms_name_parse(module_providers, name, provider, region));
	memset(name, 0, sizeof(name));
	strcpy(name, "arn:aws:kms:us-west-2:1:key/");
	memset(name + strlen(name), 'a', KMS_ARN_MAX + 1 - strlen(name));
	assert_false(kms_name_parse(module_providers, name, provider, region));
}

static void related_multi_region_keys_are_one_key(void **state)
{
	(void)state;
	assert_true(kms_same_key(module_providers, "arn:aws:kms:us-west-2:1:key/" UUID,
				 "arn:aws:kms:us-west-2:1:key/" UUID));
	assert_false(kms_same_key(module_providers, "arn:aws:kms:us-west-2:1:key/" UUID,
				  "arn:aws:kms:us-east-1:1:key/" UUID));
	assert_true(kms_same_key(module_providers, "arn:aws:kms:us-west-2:1:key/" MRK,
				 "arn:aws:kms:us-east-1:1:key/" MRK));
	assert_false(kms_same_key(module_providers, "arn:aws:kms:us-west-2:1:key/" MRK,
				  "arn:aws:kms:us-east-1:2:key/" MRK));
	assert_false(
		kms_same_key(module_providers, "arn:aws:kms:us-west-2:1:key/" MRK, "alias/root"));
}

static void the_states_of_a_key_have_names(void **state)
{
	(void)state;
	assert_string_equal(kms_key_state_text(KMS_KEY_PENDING_DELETION), "PendingDeletion");
	assert_string_equal(kms_key_state_text((enum kms_key_state)99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_tell_provider_and_region),
		cmocka_unit_test(what_is_not_a_key_name_is_refused),
		cmocka_unit_test(a_name_may_be_long_but_not_endless),
		cmocka_unit_test(related_multi_region_keys_are_one_key),
		cmocka_unit_test(the_states_of_a_key_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
