/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Names of related multi-Region keys, and the order in which they are asked. */
#include "kms/aws/provider.h"
#include "kms/replica.h"
#include "pkcs11/providers.h"
#include "tests/support/unit.h"

#include <stdio.h>

#define WEST	"arn:aws:kms:us-west-2:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
#define IRELAND "arn:aws:kms:eu-west-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
#define TOKYO	"arn:aws:kms:ap-northeast-1:111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
#define SINGLE	"arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
#define LOCAL	"arn:local:kms:local::key/1234abcd-12ab-34cd-56ef-1234567890ab"

/* By an order of regions of [aws]. */
static bool name_by(const char *order, const char *arn, size_t index,
		    char ret_arn[static KMS_ARN_MAX + 1])
{
	struct kms_aws_settings section = {.multi_region_order = order};
	const struct kms_settings settings = {.providers = module_providers,
					      .sections = {[PROVIDER_AWS] = &section}};

	return replica_name(&settings, arn, index, ret_arn);
}

static void assert_names(const char *order, const char *arn, const char *const *names)
{
	char name[KMS_ARN_MAX + 1];
	size_t count = 0;

	for (; names[count] != NULL; count++) {
		assert_true(name_by(order, arn, count, name));
		assert_string_equal(name, names[count]);
	}
	assert_false(name_by(order, arn, count, name));
}

static void a_region_is_put_in_the_place_of_another(void **state)
{
	char arn[KMS_ARN_MAX + 1];

	(void)state;
	assert_true(kms_arn_in_region(module_providers, WEST, bytes_of("ap-northeast-1"), arn));
	assert_string_equal(arn, TOKYO);
}

static void what_is_no_multi_region_key_has_no_replica(void **state)
{
	char arn[KMS_ARN_MAX + 1];

	(void)state;
	assert_false(kms_arn_in_region(module_providers, SINGLE, bytes_of("eu-west-1"), arn));
	assert_false(kms_arn_in_region(module_providers, LOCAL, bytes_of("eu-west-1"), arn));
	assert_false(
		kms_arn_in_region(module_providers, "alias/mrk-x", bytes_of("eu-west-1"), arn));
	assert_false(kms_arn_in_region(module_providers, WEST, bytes_of("evil.example/"), arn));
}

static void without_an_order_a_key_has_its_own_name(void **state)
{
	(void)state;
	assert_names(NULL, WEST, (const char *const[]){WEST, NULL});
	assert_names("", WEST, (const char *const[]){WEST, NULL});
	assert_names(NULL, SINGLE, (const char *const[]){SINGLE, NULL});
}

static void an_order_comes_first_and_the_own_region_last(void **state)
{
	(void)state;
	assert_names("eu-west-1 ap-northeast-1", WEST,
		     (const char *const[]){IRELAND, TOKYO, WEST, NULL});
	assert_names("  eu-west-1  ", WEST, (const char *const[]){IRELAND, WEST, NULL});
}

static void an_order_that_has_the_own_region_decides_its_place(void **state)
{
	(void)state;
	assert_names("us-west-2 eu-west-1", WEST, (const char *const[]){WEST, IRELAND, NULL});
	assert_names("eu-west-1 us-west-2", WEST, (const char *const[]){IRELAND, WEST, NULL});
}

/* Or the key's own region would never be asked. */
static void what_is_no_region_hides_none_that_follows(void **state)
{
	(void)state;
	assert_names("eu-west-1 us_east_1", WEST, (const char *const[]){IRELAND, WEST, NULL});
	assert_names("EU eu-west-1,us-west-2 ap-northeast-1", WEST,
		     (const char *const[]){TOKYO, WEST, NULL});
}

static void a_region_that_comes_again_has_one_name(void **state)
{
	(void)state;
	assert_names("us-west-2 us-west-2 eu-west-1 us-west-2", WEST,
		     (const char *const[]){WEST, IRELAND, NULL});
	assert_names("eu-west-1 eu-west-1", WEST, (const char *const[]){IRELAND, WEST, NULL});
}

static void more_regions_than_there_may_be_leave_the_own_one(void **state)
{
	char order[1024] = "", name[KMS_ARN_MAX + 1];

	(void)state;
	for (int i = 0; i < 2 * REPLICA_REGIONS_MAX; i++)
		snprintf(order + strlen(order), sizeof(order) - strlen(order), "eu-west-%d ", i);
	strcat(order, "us-west-2");
	assert_true(name_by(order, WEST, REPLICA_REGIONS_MAX - 1, name));
	assert_string_not_equal(name, WEST);
	assert_true(name_by(order, WEST, REPLICA_REGIONS_MAX, name));
	assert_string_equal(name, WEST);
	assert_false(name_by(order, WEST, REPLICA_REGIONS_MAX + 1, name));
}

static void an_order_is_nothing_to_other_keys(void **state)
{
	(void)state;
	assert_names("eu-west-1", SINGLE, (const char *const[]){SINGLE, NULL});
	assert_names("eu-west-1", LOCAL, (const char *const[]){LOCAL, NULL});
}

static void an_order_names_regions_and_not_too_many(void **state)
{
	char many[32 * 4 + 1] = "";

	(void)state;
	assert_true(kms_regions_valid(""));
	assert_true(kms_regions_valid("eu-west-1"));
	assert_true(kms_regions_valid(" eu-west-1  us-west-2 "));
	assert_false(kms_regions_valid("eu-west-1, us-west-2"));
	assert_false(kms_regions_valid("eu-west-1 us_west_2"));
	assert_false(kms_regions_valid("eu-west-1\tus-west-2"));
	for (int i = 0; i < 31; i++)
		strcat(many, "a-1 ");
	assert_true(kms_regions_valid(many));
	assert_false(kms_regions_valid(strcat(many, "b-1")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_region_is_put_in_the_place_of_another),
		cmocka_unit_test(what_is_no_multi_region_key_has_no_replica),
		cmocka_unit_test(without_an_order_a_key_has_its_own_name),
		cmocka_unit_test(an_order_comes_first_and_the_own_region_last),
		cmocka_unit_test(an_order_that_has_the_own_region_decides_its_place),
		cmocka_unit_test(what_is_no_region_hides_none_that_follows),
		cmocka_unit_test(a_region_that_comes_again_has_one_name),
		cmocka_unit_test(more_regions_than_there_may_be_leave_the_own_one),
		cmocka_unit_test(an_order_is_nothing_to_other_keys),
		cmocka_unit_test(an_order_names_regions_and_not_too_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
