/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Moments, deadlines and UTC as text. */
#include "base/clock.h"
#include "base/macros.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <time.h>

static const struct {
	int64_t ms;
	const char *basic, *extended;
} dates[] = {
	{0, "19700101T000000Z", "1970-01-01T00:00:00.000Z"},
	{-5, "19700101T000000Z", "1970-01-01T00:00:00.000Z"},
	{951782399999, "20000228T235959Z", "2000-02-28T23:59:59.999Z"},
	{951782400000, "20000229T000000Z", "2000-02-29T00:00:00.000Z"},
	{951868800007, "20000301T000000Z", "2000-03-01T00:00:00.007Z"},
	{1795495086123, "20261124T043806Z", "2026-11-24T04:38:06.123Z"},
	{4107542400000, "21000301T000000Z", "2100-03-01T00:00:00.000Z"},
	{253402300799999, "99991231T235959Z", "9999-12-31T23:59:59.999Z"},
	{INT64_MAX, "99991231T235959Z", "9999-12-31T23:59:59.999Z"},
};

static void known_dates_are_written(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(dates); i++) {
		char basic[17], extended[25];

		clock_basic_utc(dates[i].ms, basic);
		clock_extended_utc(dates[i].ms, extended);
		assert_string_equal(basic, dates[i].basic);
		assert_string_equal(extended, dates[i].extended);
	}
}

static void every_day_agrees_with_the_c_library(void **state)
{
	(void)state;
	for (time_t day = 0; day < 60000; day++) {
		time_t seconds = day * 86400 + 86399;
		char basic[17], expected[32];
		struct tm tm;

		gmtime_r(&seconds, &tm);
		strftime(expected, sizeof(expected), "%Y%m%dT%H%M%SZ", &tm);
		clock_basic_utc((int64_t)seconds * 1000, basic);
		assert_string_equal(basic, expected);
	}
}

static void moments_of_others_are_read(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2026-11-24T04:38:06Z", 1795495086000},
		{"2026-11-24T04:38:06z", 1795495086000},
		{"2026-11-24T04:38:06UTC", 1795495086000},
		{"2026-11-24 04:38:06+00:00", 1795495086000},
		{"2026-11-24T04:38:06.5Z", 1795495086500},
		{"2026-11-24T04:38:06.123456789Z", 1795495086123},
		{"2026-11-24T05:38:06+01:00", 1795495086000},
		{"2026-11-24T04:08:06-0030", 1795495086000},
		{"2000-02-29T00:00:00Z", 951782400000},
		{"2016-12-31T23:59:60Z", 1483228800000},
	};
	int64_t ms;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_true(clock_read_extended(rows[i].text, &ms));
		assert_int_equal(ms, rows[i].ms);
	}
	assert_true(clock_read_http("Tue, 24 Nov 2026 04:38:06 GMT", &ms));
	assert_int_equal(ms, 1795495086000);
}

static void what_is_no_moment_is_refused(void **state)
{
	static const char *const extended[] = {
		"",
		"2026-11-24",
		"2026-11-24T04:38:06",
		"2026-11-24T04:38Z",
		"2026-13-24T04:38:06Z",
		"2026-00-24T04:38:06Z",
		"2026-02-29T04:38:06Z",
		"2100-02-29T04:38:06Z",
		"2026-11-00T04:38:06Z",
		"2026-11-31T04:38:06Z",
		"2026-11-24T24:38:06Z",
		"2026-11-24T04:60:06Z",
		"2026-11-24T04:38:61Z",
		"2026-11-24T04:38:06.Z",
		"2026-11-24T04:38:06Zx",
		"2026-11-24T04:38:06+24:00",
		"2026-11-24T04:38:06+1",
		"1969-12-31T23:59:59Z",
		"20261124T043806Z",
		"+026-11-24T04:38:06Z",
	};
	static const char *const http[] = {
		"",
		"Tue, 24 Nov 2026 04:38:06",
		"Tue, 24 Nov 2026 04:38:06 UTC",
		"24 Nov 2026 04:38:06 GMT",
		"Tuesday, 24-Nov-26 04:38:06 GMT",
		"Tue, 24 Foo 2026 04:38:06 GMT",
		"Tue Nov 24 04:38:06 2026",
	};
	int64_t ms = 7;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(extended); i++)
		assert_false(clock_read_extended(extended[i], &ms));
	for (size_t i = 0; i < COUNT_OF(http); i++)
		assert_false(clock_read_http(http[i], &ms));
	assert_int_equal(ms, 7);
}

static void what_is_written_is_read_again(void **state)
{
	(void)state;
	for (int64_t ms = 0; ms < INT64_C(4102444800000); ms += INT64_C(86399999)) {
		char text[25];
		int64_t read;

		clock_extended_utc(ms, text);
		assert_true(clock_read_extended(text, &read));
		assert_int_equal(read, ms);
	}
}

static void deadline_passes_on_the_earlier_clock(void **state)
{
	struct moment start = {1000, 50000}, deadline = moment_after(start, 300);

	(void)state;
	assert_false(moment_passed(deadline, start));
	assert_false(moment_passed(deadline, (struct moment){1299, 50299}));
	assert_true(moment_passed(deadline, (struct moment){1300, 50000}));
	assert_true(moment_passed(deadline, (struct moment){1000, 50300}));
}

static void system_clock_is_near_the_real_time(void **state)
{
	struct moment now = clock_now(&clock_system);

	(void)state;
	assert_true(llabs(now.realtime_ms - (int64_t)time(NULL) * 1000) < 5000);
	assert_true(now.monotonic_ms > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(known_dates_are_written),
		cmocka_unit_test(every_day_agrees_with_the_c_library),
		cmocka_unit_test(moments_of_others_are_read),
		cmocka_unit_test(what_is_no_moment_is_refused),
		cmocka_unit_test(what_is_written_is_read_again),
		cmocka_unit_test(deadline_passes_on_the_earlier_clock),
		cmocka_unit_test(system_clock_is_near_the_real_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
