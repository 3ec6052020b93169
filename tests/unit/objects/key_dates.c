/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The days of a key, to the millisecond. */
#include "base/macros.h"
#include "objects/key_dates.h"
#include "tests/support/unit.h"

static unsigned number_of(const char *date)
{
	unsigned number = 0;

	return key_date_read(bytes_of(date), &number) ? number : 0;
}

static void a_date_is_a_day_of_the_calendar(void **state)
{
	static const char *const wrong[] = {"",		"2026013",  "202601311", "20260132",
					    "20260431", "20260229", "21000229",	 "20260000",
					    "2026 101", "2026-1-1"};

	(void)state;
	assert_int_equal(number_of("20260131"), 20260131);
	assert_int_equal(number_of("20240229"), 20240229);
	assert_int_equal(number_of("20000229"), 20000229);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(number_of(wrong[i]), 0);
}

static void the_last_day_is_not_before_the_first(void **state)
{
	const struct bytes early = bytes_of("20260101"), late = bytes_of("20260102");

	(void)state;
	assert_int_equal(key_dates_check(early, late), CKR_OK);
	assert_int_equal(key_dates_check(early, early), CKR_OK);
	assert_int_equal(key_dates_check(late, early), CKR_TEMPLATE_INCONSISTENT);
	assert_int_equal(key_dates_check(bytes_of(""), early), CKR_OK);
	assert_int_equal(key_dates_check(late, bytes_of("")), CKR_OK);
}

/* 2026-03-01 00:00 UTC to 2026-03-02 24:00. */
static void both_days_count_whole(void **state)
{
	const int64_t begin = INT64_C(1772323200000), end = begin + 2 * INT64_C(86400000);
	const struct object key = {.start_date = bytes_of("20260301"),
				   .end_date = bytes_of("20260302")};

	(void)state;
	assert_int_equal(key_dates_allow(&key, begin - 1), CKR_KEY_FUNCTION_NOT_PERMITTED);
	assert_int_equal(key_dates_allow(&key, begin), CKR_OK);
	assert_int_equal(key_dates_allow(&key, end - 1), CKR_OK);
	assert_int_equal(key_dates_allow(&key, end), CKR_KEY_FUNCTION_NOT_PERMITTED);
}

static void stored_dates_that_are_no_days_forbid_the_use(void **state)
{
	const struct object start = {.start_date = bytes_of("20260230")};
	const struct object end = {.end_date = bytes_of("whenever")};
	const struct object none = {0};

	(void)state;
	assert_int_equal(key_dates_allow(&start, INT64_MAX / 4096), CKR_KEY_FUNCTION_NOT_PERMITTED);
	assert_int_equal(key_dates_allow(&end, 0), CKR_KEY_FUNCTION_NOT_PERMITTED);
	assert_false(key_dates_has(&none));
	assert_int_equal(key_dates_allow(&none, 0), CKR_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_date_is_a_day_of_the_calendar),
		cmocka_unit_test(the_last_day_is_not_before_the_first),
		cmocka_unit_test(both_days_count_whole),
		cmocka_unit_test(stored_dates_that_are_no_days_forbid_the_use),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
