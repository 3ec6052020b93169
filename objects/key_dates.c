/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The days on which a key may be used; see the header. */
#include "objects/key_dates.h"

#include "base/clock.h"
#include "base/log.h"
#include "objects/error.h"

#include <ctype.h>

static unsigned digits(const uint8_t *at, size_t count)
{
	unsigned number = 0;

	for (size_t i = 0; i < count; i++)
		number = 10 * number + (unsigned)(at[i] - '0');
	return number;
}

static unsigned days_in(unsigned year, unsigned month)
{
	static const unsigned days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

bool key_date_read(struct bytes date, unsigned *ret_number)
{
	unsigned year, month, day;

	if (date.len != sizeof(CK_DATE))
		return false;
	for (size_t i = 0; i < date.len; i++)
		if (!isdigit(date.data[i]))
			return false;
	year = digits(date.data, 4);
	month = digits(date.data + 4, 2);
	day = digits(date.data + 6, 2);
	if (month < 1 || month > 12 || day < 1 || day > days_in(year, month))
		return false;
	*ret_number = 10000 * year + 100 * month + day;
	return true;
}

CK_RV key_dates_check(struct bytes start, struct bytes end)
{
	unsigned first, last;

	if (!key_date_read(start, &first) || !key_date_read(end, &last) || first <= last)
		return CKR_OK;
	log_warning("CKA_END_DATE (%u) comes before CKA_START_DATE (%u)", last, first);
	return CKR_TEMPLATE_INCONSISTENT;
}

static unsigned day_of(int64_t realtime_ms)
{
	char moment[25]; /* 2026-12-24T… */
	const uint8_t *at = (const uint8_t *)moment;

	clock_extended_utc(realtime_ms, moment);
	return 10000 * digits(at, 4) + 100 * digits(at + 5, 2) + digits(at + 8, 2);
}

static CK_RV refuse(const struct object *key, const char *why, const char *attribute, unsigned day)
{
	log_warning("the key '%.*s' may %s (%s is %08u); who may change it can move the date",
		    (int)key->label.len, (const char *)key->label.data, why, attribute, day);
	error_note(CMEK_ERROR_INVALID);
	return CKR_KEY_FUNCTION_NOT_PERMITTED;
}

/* A stored date that is no day, which only a hand can have written, forbids the use. */
CK_RV key_dates_allow(const struct object *key, int64_t realtime_ms)
{
	unsigned today = day_of(realtime_ms), first = 0, last = 0;

	if (key->start_date.len > 0 && (!key_date_read(key->start_date, &first) || today < first))
		return refuse(key, "not be used yet", "CKA_START_DATE", first);
	if (key->end_date.len > 0 && (!key_date_read(key->end_date, &last) || today > last))
		return refuse(key, "not be used any more", "CKA_END_DATE", last);
	return CKR_OK;
}
