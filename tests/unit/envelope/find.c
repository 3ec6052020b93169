/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which root key of a token opens an envelope's record. */
#include "base/macros.h"
#include "envelope/keys.h"
#include "tests/support/fake_token.h"
#include "tests/support/unit.h"

#define MRK(region)   "arn:aws:kms:" region ":111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
#define OTHER_MRK     "arn:aws:kms:us-east-1:111122223333:key/mrk-ffffabcd12ab34cd56ef1234567890ab"
#define OTHER_ACCOUNT "arn:aws:kms:us-east-1:444455556666:key/mrk-1234abcd12ab34cd56ef1234567890ab"
#define PLAIN(region) "arn:aws:kms:" region ":111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

static int start(void **state)
{
	(void)state;
	fake_token_reset();
	return 0;
}

/* The index of the token's root key that is found for a record by these; -1: none. */
static int find(const char *first, const char *second)
{
	struct envelope_record record = {.arns = {bytes_of(first), bytes_of(second)},
					 .arn_count = second == NULL ? 1 : 2};
	struct envelope_token token = fake_token_session();
	struct envelope_error error = {0};
	CK_OBJECT_HANDLE key = 0;
	enum envelope_status status = envelope_root_key_find(&token, &record, &key, &error);

	envelope_token_clear(&token);
	if (status == ENVELOPE_OK)
		return (int)key - 200;
	assert_int_equal(status, ENVELOPE_ROOT_KEY_UNKNOWN);
	assert_string_equal(error.text, first);
	return -1;
}

static void a_root_key_is_found_by_its_arn(void **state)
{
	(void)state;
	fake.root_keys[0] = PLAIN("us-east-1");
	fake.root_keys[1] = MRK("us-east-1");
	assert_int_equal(find(PLAIN("us-east-1"), NULL), 0);
	assert_int_equal(find(MRK("us-east-1"), NULL), 1);
	assert_int_equal(find("arn:aws:kms:us-east-1:111122223333:key/none", MRK("us-east-1")), 1);
}

static void a_related_multi_region_key_will_do(void **state)
{
	static const struct {
		const char *on_token, *in_record;
		int found;
	} rows[] = {
		{MRK("eu-west-1"), MRK("us-east-1"), 0},
		{OTHER_MRK, MRK("us-east-1"), -1},
		{OTHER_ACCOUNT, MRK("us-east-1"), -1},
		/* Keys of two regions that are not related, though their ids are the same. */
		{PLAIN("eu-west-1"), PLAIN("us-east-1"), -1},
		{"arn:aws-cn:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab",
		 MRK("us-east-1"), -1},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		fake.root_keys[0] = rows[i].on_token;
		assert_int_equal(find(rows[i].in_record, NULL), rows[i].found);
	}
}

static void a_failure_on_the_way_is_the_module_s(void **state)
{
	struct envelope_record record = {.arns = {bytes_of(MRK("us-east-1"))}, .arn_count = 1};
	unsigned calls;

	(void)state;
	fake.root_keys[0] = MRK("eu-west-1");
	fake.calls = 0;
	assert_int_equal(find(MRK("us-east-1"), NULL), 0);
	calls = fake.calls;
	for (fake.fail_at = 1; fake.fail_at <= calls; fake.fail_at++) {
		struct envelope_token token = fake_token_session();
		struct envelope_error error = {0};
		CK_OBJECT_HANDLE key = 0;

		fake.calls = 0;
		if (envelope_root_key_find(&token, &record, &key, &error) == ENVELOPE_OK)
			continue; /* it was the end of a search that had found it */
		assert_int_equal(error.rv, CKR_DEVICE_ERROR);
		assert_int_equal(key, 0);
		envelope_token_clear(&token);
	}
	fake.fail_at = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_root_key_is_found_by_its_arn, start),
		cmocka_unit_test_setup(a_related_multi_region_key_will_do, start),
		cmocka_unit_test_setup(a_failure_on_the_way_is_the_module_s, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
