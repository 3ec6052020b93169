/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time. Leases count by the earlier of two clocks: MONOTONIC_COARSE stops in suspend,
 * REALTIME_COARSE can be set back; either alone would lengthen a lease. Each costs some 3 ns. Tests
 * replace the table.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define DAY_MS INT64_C(86400000)

struct clock {
	int64_t (*monotonic_ms)(void *state);
	int64_t (*realtime_ms)(void *state); /* since 1970-01-01 UTC */
	void *state;
};

extern const struct clock clock_system;

/* Microseconds of a clock that only goes forward, for measuring how long a call took (a system
 * call's cost, not for the hot path). */
int64_t clock_precise_us(void);

/* Lets time pass, less than a second; a signal may end it early. For callers who hold nothing. */
void clock_nap(unsigned ms);

/* A moment, or a deadline, on both clocks. */
struct moment {
	int64_t monotonic_ms;
	int64_t realtime_ms;
};

static inline struct moment clock_now(const struct clock *clock)
{
	return (struct moment){clock->monotonic_ms(clock->state), clock->realtime_ms(clock->state)};
}

static inline struct moment moment_after(struct moment moment, int64_t ms)
{
	return (struct moment){moment.monotonic_ms + ms, moment.realtime_ms + ms};
}

/* It has passed on either clock. */
static inline bool moment_passed(struct moment deadline, struct moment now)
{
	return now.monotonic_ms >= deadline.monotonic_ms || now.realtime_ms >= deadline.realtime_ms;
}

/* Whichever comes first, on each clock by itself: a deadline that keeps both. */
static inline struct moment moment_earlier(struct moment a, struct moment b)
{
	return (struct moment){
		a.monotonic_ms < b.monotonic_ms ? a.monotonic_ms : b.monotonic_ms,
		a.realtime_ms < b.realtime_ms ? a.realtime_ms : b.realtime_ms,
	};
}

/* The moment that is later by the clock that never goes back, taken whole: a mixture would be later
 * than both once the other clock was set back. */
static inline struct moment moment_newer(struct moment a, struct moment b)
{
	return a.monotonic_ms > b.monotonic_ms ? a : b;
}

/* "20261124T043806Z" / "2026-11-24T04:38:06.123Z" of a real time. */
void clock_basic_utc(int64_t realtime_ms, char ret_text[static 17]);
void clock_extended_utc(int64_t realtime_ms, char ret_text[static 25]);

/* Moments written by others (clock_read.c). RFC 3339: "2026-11-24T04:38:06.123Z", or any offset
 * from UTC in place of Z; "UTC" counts as Z. */
bool clock_read_extended(const char *text, int64_t *ret_realtime_ms);
/* A Date header (RFC 9110, "Date/Time Formats", the fixed one): "Tue, 24 Nov 2026 04:38:06 GMT". */
bool clock_read_http(const char *text, int64_t *ret_realtime_ms);
