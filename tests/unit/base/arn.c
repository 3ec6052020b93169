/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of an ARN, and what a key id and a region may look like. */
#include "base/arn.h"
#include "base/macros.h"
#include "tests/support/unit.h"

#define UUID "1234abcd-12ab-34cd-56ef-1234567890ab"

static void assert_part(struct bytes part, const char *text)
{
	assert_int_equal(part.len, strlen(text));
	assert_memory_equal(part.data, text, part.len);
}

static void an_arn_has_five_parts_and_the_last_may_have_colons(void **state)
{
	struct arn arn;

	(void)state;
	assert_true(arn_parse("arn:aws:kms:us-west-2:111122223333:key/" UUID, &arn));
	assert_part(arn.partition, "aws");
	assert_part(arn.service, "kms");
	assert_part(arn.region, "us-west-2");
	assert_part(arn.account, "111122223333");
	assert_part(arn.resource, "key/" UUID);
	assert_part(arn_key_id(&arn), UUID);
	assert_true(arn_parse("arn:local:kms:local::alias/a:b", &arn));
	assert_part(arn.account, "");
	assert_part(arn.resource, "alias/a:b");
	assert_int_equal(arn_key_id(&arn).len, 0);
}

static void what_lacks_a_part_is_no_arn(void **state)
{
	static const char *const texts[] = {"",
					    "arn",
					    "arn:",
					    "arn:aws:kms:us-west-2:1",
					    "arn:aws:kms:us-west-2:1:",
					    "Arn:aws:kms:us-west-2:1:key/x"};
	struct arn arn;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		assert_false(arn_parse(texts[i], &arn));
}

static void a_uuid_has_its_hyphens_in_their_places(void **state)
{
	(void)state;
	assert_true(uuid_valid(bytes_of(UUID)));
	assert_false(uuid_valid(bytes_of("1234abcd-12ab-34cd-56ef-1234567890a")));
	assert_false(uuid_valid(bytes_of("1234abcd012ab-34cd-56ef-1234567890ab")));
	assert_false(uuid_valid(bytes_of("1234abcg-12ab-34cd-56ef-1234567890ab")));
}

static void a_region_is_part_of_a_host_name(void **state)
{
	static const char *const bad[] = {"",	     "-west",	"west-",
					  "US WEST", "us_west", "evil.example/"};

	(void)state;
	assert_true(region_valid(bytes_of("us-west-2")));
	assert_true(region_valid(bytes_of("local")));
	for (size_t i = 0; i < COUNT_OF(bad); i++)
		assert_false(region_valid(bytes_of(bad[i])));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_arn_has_five_parts_and_the_last_may_have_colons),
		cmocka_unit_test(what_lacks_a_part_is_no_arn),
		cmocka_unit_test(a_uuid_has_its_hyphens_in_their_places),
		cmocka_unit_test(a_region_is_part_of_a_host_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
