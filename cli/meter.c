/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/meter.h"

#include "base/macros.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void put(char text[static METER_SIZE], const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void put(char text[static METER_SIZE], const char *format, ...)
{
	size_t len = strlen(text);
	va_list list;

	va_start(list, format);
	(void)vsnprintf(text + len, METER_SIZE - len, format, list);
	va_end(list);
}

/* What the greater number is told in, so that both are told in the same. */
static const struct unit {
	uint64_t from;
	double bytes;
	const char *name;
} units[] = {
	{UINT64_C(10) << 30, 1024.0 * 1024 * 1024, "GiB"},
	{UINT64_C(1) << 20, 1024.0 * 1024, "MiB"},
	{0, 1024.0, "KiB"},
};

static const struct unit *unit_for(uint64_t bytes)
{
	const struct unit *unit = units;

	while (bytes < unit->from)
		unit++;
	return unit;
}

static void put_files(const struct meter *meter, char text[static METER_SIZE])
{
	if (meter->total_files > 0)
		put(text, "%" PRIu64 " of %" PRIu64 " files, ", meter->files, meter->total_files);
	else if (meter->files > 0)
		put(text, "%" PRIu64 " files, ", meter->files);
}

static void put_bytes(const struct meter *meter, char text[static METER_SIZE])
{
	uint64_t most = meter->total_bytes > 0 ? meter->total_bytes : meter->bytes;
	const struct unit *unit = unit_for(most);

	put(text, "%.1f ", (double)meter->bytes / unit->bytes);
	if (meter->total_bytes > 0)
		put(text, "of %.1f ", (double)meter->total_bytes / unit->bytes);
	put(text, "%s", unit->name);
}

/* Seconds that the rest takes at the speed so far. */
static uint64_t seconds_left(const struct meter *meter)
{
	double rest = (double)(meter->total_bytes - meter->bytes);

	return (uint64_t)(rest / (double)meter->bytes * (double)meter->elapsed_ms / 1000 + 0.5);
}

void meter_text(const struct meter *meter, char ret_text[static METER_SIZE])
{
	uint64_t rate =
		meter->elapsed_ms <= 0
			? 0
			: (uint64_t)((double)meter->bytes * 1000 / (double)meter->elapsed_ms);
	uint64_t left;

	*ret_text = '\0';
	put_files(meter, ret_text);
	put_bytes(meter, ret_text);
	if (rate == 0)
		return;
	put(ret_text, ", %.1f %s/s", (double)rate / unit_for(rate)->bytes, unit_for(rate)->name);
	/* A file may have grown since it was looked at. */
	if (meter->total_bytes <= meter->bytes)
		return;
	left = seconds_left(meter);
	if (left < 3600)
		put(ret_text, ", %" PRIu64 ":%02" PRIu64 " left", left / 60, left % 60);
	else
		put(ret_text, ", %" PRIu64 " h %02" PRIu64 " min left", left / 3600,
		    left / 60 % 60);
}
