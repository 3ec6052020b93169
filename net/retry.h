/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a call is tried again: the AWS SDKs' standard mode with its numbers of 2026 (AWS SDKs and
 * Tools Reference Guide, "Retry behavior"). A bucket of tokens per client keeps a fleet from
 * beating a KMS that is down.
 */
#pragma once

#include "base/clock.h"

/* What can be done about a failure, besides reporting it. */
enum retry_kind {
	RETRY_NO,
	RETRY_TRANSIENT, /* a fault on the way or on the other side */
	RETRY_THROTTLED, /* too many requests */
	RETRY_RENEWED,	 /* only with other credentials */
	RETRY_CLOCK	 /* only signed for another time, if our clock is wrong */
};

enum { RETRY_BUCKET = 500 };

struct retry_bucket {
	_Atomic int tokens; /* begins with RETRY_BUCKET */
};

/* One call's tries. */
struct retry {
	struct retry_bucket *bucket;
	const struct clock *clock;
	void (*sleep)(void *state, int64_t ms);
	void *sleep_state;
	unsigned max_attempts;
	unsigned attempt;	/* under way, from 1 */
	int spent;		/* tokens of the last retry */
	struct moment deadline; /* of the whole call */
};

/* Milliseconds until the deadline, at most `limit`; 0: none left. */
int64_t retry_time_left(const struct retry *retry, int64_t limit);

/* After a failed attempt: waits and answers true if another one shall be made. hint_ms: what the
 * server asked for, or -1. */
bool retry_again(struct retry *retry, enum retry_kind kind, int64_t hint_ms);
/* After an attempt that worked: gives tokens back. */
void retry_succeeded(struct retry *retry);

/* Anything from 0 to `ms`. */
int64_t retry_jitter(int64_t ms);
/* The real sleep, past interruptions. */
void retry_sleep(void *state, int64_t ms);
