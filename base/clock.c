/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The system's clocks, and UTC as text without the C library's time zone lock. */
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
	struct timespec now = {0};

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_monotonic_ms(void *state)
{
	(void)state;
	return read_ms(CLOCK_MONOTONIC_COARSE);
}

static int64_t system_realtime_ms(void *state)
{
	(void)state;
	return read_ms(CLOCK_REALTIME_COARSE);
}

void clock_nap(unsigned ms)
{
	const struct timespec nap = {.tv_nsec = (long)ms * 1000000};

	nanosleep(&nap, NULL);
}

const struct clock clock_system = {system_monotonic_ms, system_realtime_ms, NULL};

struct date {
	unsigned year, month, day, hour, minute, second, ms;
};

/* Proleptic Gregorian calendar. Years are counted from March, so that the leap day is the last of
 * its year. */
static void put_day(unsigned days, struct date *ret)
{
	unsigned shifted = days + 719468; /* since 0000-03-01 */
	unsigned era = shifted / 146097, of_era = shifted % 146097;
	unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
	unsigned month = (5 * of_year + 2) / 153;

	ret->day = of_year - (153 * month + 2) / 5 + 1;
	ret->month = month < 10 ? month + 3 : month - 9;
	ret->year = year + era * 400 + (ret->month <= 2 ? 1 : 0);
}

/* Years 1970 to 9999; anything outside becomes the nearest end. */
static struct date date_of(int64_t realtime_ms)
{
	const int64_t last = 253402300799999;
	uint64_t ms = realtime_ms < 0 ? 0 : (uint64_t)(realtime_ms > last ? last : realtime_ms);
	uint64_t of_day = ms % 86400000;
	struct date date = {
		.hour = (unsigned)(of_day / 3600000),
		.minute = (unsigned)(of_day / 60000 % 60),
		.second = (unsigned)(of_day / 1000 % 60),
		.ms = (unsigned)(of_day % 1000),
	};

	put_day((unsigned)(ms / 86400000), &date);
	return date;
}

/* Writes `count` decimal digits and what follows them; returns the place after. */
static char *put_digits(char *at, unsigned count, unsigned value, const char *after)
{
	for (unsigned i = count; i-- > 0; value /= 10)
		at[i] = (char)('0' + value % 10);
	at += count;
	while (*after != '\0')
		*at++ = *after++;
	return at;
}

void clock_basic_utc(int64_t realtime_ms, char ret_text[static 17])
{
	struct date date = date_of(realtime_ms);
	char *at = ret_text;

	at = put_digits(at, 4, date.year, "");
	at = put_digits(at, 2, date.month, "");
	at = put_digits(at, 2, date.day, "T");
	at = put_digits(at, 2, date.hour, "");
	at = put_digits(at, 2, date.minute, "");
	at = put_digits(at, 2, date.second, "Z");
	*at = '\0';
}

void clock_extended_utc(int64_t realtime_ms, char ret_text[static 25])
{
	struct date date = date_of(realtime_ms);
	char *at = ret_text;

	at = put_digits(at, 4, date.year, "-");
	at = put_digits(at, 2, date.month, "-");
	at = put_digits(at, 2, date.day, "T");
	at = put_digits(at, 2, date.hour, ":");
	at = put_digits(at, 2, date.minute, ":");
	at = put_digits(at, 2, date.second, ".");
	at = put_digits(at, 3, date.ms, "Z");
	*at = '\0';
}

int64_t clock_precise_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}
