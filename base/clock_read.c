/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Reads moments written by others. Strict about form and ranges; a leap second is read as the next
 * second. */
#include "base/clock.h"

#include <stddef.h>
#include <string.h>

struct date {
	unsigned year, month, day, hour, minute, second;
	int64_t ms;		/* a fraction of a second */
	int64_t offset_minutes; /* east of UTC */
};

/* The text that is left to read; a failed step leaves NULL, and so do all steps after it. */
struct reading {
	const char *at;
};

static unsigned take_digits(struct reading *reading, unsigned count)
{
	unsigned value = 0;

	for (unsigned i = 0; reading->at != NULL && i < count; i++) {
		char c = *reading->at;

		if (c < '0' || c > '9') {
			reading->at = NULL;
			return 0;
		}
		value = value * 10 + (unsigned)(c - '0');
		reading->at++;
	}
	return value;
}

static bool begins(const struct reading *reading, const char *text)
{
	return reading->at != NULL && strncmp(reading->at, text, strlen(text)) == 0;
}

static void take(struct reading *reading, const char *text)
{
	reading->at = begins(reading, text) ? reading->at + strlen(text) : NULL;
}

/* Which of the names stands here, counted from 1. */
static unsigned take_name(struct reading *reading, const char *const *names, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		if (begins(reading, names[i])) {
			take(reading, names[i]);
			return i + 1;
		}
	reading->at = NULL;
	return 0;
}

static bool in_range(const struct date *date)
{
	static const unsigned days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);

	return date->year >= 1970 && date->month >= 1 && date->month <= 12 && date->day >= 1 &&
	       date->day <= days[date->month - 1] - (date->month == 2 && !leap) &&
	       date->hour < 24 && date->minute < 60 && date->second <= 60;
}

/* Since 1970-01-01. Years begin in March, so that the leap day is the last of its year. */
static int64_t days_of(const struct date *date)
{
	int64_t year = date->month > 2 ? date->year : date->year - 1;
	int64_t month = date->month > 2 ? date->month - 3 : date->month + 9;

	return year * 365 + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + date->day -
	       719469;
}

static bool finish(const struct reading *reading, const struct date *date, int64_t *ret_realtime_ms)
{
	int64_t minutes = days_of(date) * 1440 + date->hour * 60 + date->minute;

	if (reading->at == NULL || *reading->at != '\0' || !in_range(date))
		return false;
	*ret_realtime_ms = ((minutes - date->offset_minutes) * 60 + date->second) * 1000 + date->ms;
	return true;
}

/* ".123456", read to the millisecond. */
static int64_t take_fraction(struct reading *reading)
{
	int64_t ms = 0, weight = 100;

	if (!begins(reading, "."))
		return 0;
	reading->at++;
	do {
		ms += weight * take_digits(reading, 1);
		weight /= 10;
	} while (reading->at != NULL && *reading->at >= '0' && *reading->at <= '9');
	return ms;
}

static int64_t take_offset(struct reading *reading)
{
	static const char *const zones[] = {"Z", "z", "UTC"};
	int64_t sign = begins(reading, "-") ? -1 : 1;
	unsigned hours, minutes;

	if (!begins(reading, "+") && !begins(reading, "-")) {
		take_name(reading, zones, 3);
		return 0;
	}
	reading->at++;
	hours = take_digits(reading, 2);
	if (begins(reading, ":"))
		reading->at++;
	minutes = take_digits(reading, 2);
	if (hours > 23 || minutes > 59)
		reading->at = NULL;
	return sign * (hours * 60 + minutes);
}

static void take_time(struct reading *reading, struct date *date)
{
	date->hour = take_digits(reading, 2);
	take(reading, ":");
	date->minute = take_digits(reading, 2);
	take(reading, ":");
	date->second = take_digits(reading, 2);
}

bool clock_read_extended(const char *text, int64_t *ret_realtime_ms)
{
	struct reading reading = {text};
	struct date date = {0};

	date.year = take_digits(&reading, 4);
	take(&reading, "-");
	date.month = take_digits(&reading, 2);
	take(&reading, "-");
	date.day = take_digits(&reading, 2);
	take(&reading, begins(&reading, " ") ? " " : "T");
	take_time(&reading, &date);
	date.ms = take_fraction(&reading);
	date.offset_minutes = take_offset(&reading);
	return finish(&reading, &date, ret_realtime_ms);
}

bool clock_read_http(const char *text, int64_t *ret_realtime_ms)
{
	static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
					     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	struct reading reading = {text};
	struct date date = {0};

	take_name(&reading, days, 7);
	take(&reading, ", ");
	date.day = take_digits(&reading, 2);
	take(&reading, " ");
	date.month = take_name(&reading, months, 12);
	take(&reading, " ");
	date.year = take_digits(&reading, 4);
	take(&reading, " ");
	take_time(&reading, &date);
	take(&reading, " GMT");
	return finish(&reading, &date, ret_realtime_ms);
}
