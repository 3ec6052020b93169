/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all leases of a process have in common: the clock, how long what is good for, when some
 * plaintext is to be wiped next, and the dice that keep processes from asking all at once.
 */
#pragma once

#include "base/clock.h"
#include "zones/model/limits.h"

#include <stdatomic.h>

/* An operation under way runs this long on its yes where lease_seconds is 0. */
enum { OPERATION_SECONDS = 60 };

/* Those of struct zones_settings, with the same meaning; zone_lease_seconds is 0 where each key is
 * asked itself at every renewal. */
struct lease_settings {
	unsigned lease_seconds;
	unsigned deny_seconds;
	unsigned max_stale_seconds;
	unsigned call_ms;
	unsigned zone_lease_seconds;
};

struct lease_rules {
	const struct clock *clock;
	int64_t lease_ms;      /* 0: each operation needs a request sent after it began */
	int64_t yes_ms;	       /* how long a yes is good for: the lease, or one operation */
	int64_t deny_ms;       /* how long a no is remembered */
	int64_t stale_ms;      /* the hard end during an outage, after the last yes; 0: the lease */
	int64_t max_stale_ms;  /* the same as configured, for leases that are shorter */
	int64_t call_ms;       /* how long a request may be out before it counts as unanswered */
	int64_t zone_lease_ms; /* how long other yeses may stand for a key's own; 0: never */
	int64_t outage_ms;     /* how long a failed attempt is taken for an outage that lasts */
	/* The first moment at which some plaintext is to be wiped, on either clock. */
	_Atomic int64_t wipe_monotonic_ms;
	_Atomic int64_t wipe_realtime_ms;
	/* When the store is to be looked into again, by whoever uses a lease then. */
	_Atomic int64_t look_monotonic_ms;
	_Atomic uint64_t news; /* struct registry_watch */
	_Atomic uint64_t dice;
	/* The smallest bounds of a zone that the log has told of. */
	_Atomic int64_t told_lease, told_stale;
	/* For values that are hidden (zones/ezk/masked_value.c): this process's own salt, and the
	 * last number. */
	uint8_t salt[16];
	_Atomic uint64_t last_hidden;
};

void lease_rules_init(struct lease_rules *rules, const struct clock *clock,
		      const struct lease_settings *settings);

/* The three that a zone's own bounds shorten, for one lease. */
struct lease_times {
	int64_t lease_ms, yes_ms, stale_ms;
};
struct lease_times lease_rules_within(const struct lease_rules *rules,
				      const struct lease_bounds *bounds);

/* Notes a bound that is smaller than all before; false: it is not. */
bool lease_rules_first(_Atomic int64_t *told, uint32_t bound);

/* When to renew what was asked for at `asked` and is good for `ms`: by chance, in the last quarter
 * but not in the last twentieth, so that processes that began together do not go on together and an
 * answer has time to come. */
struct moment lease_rules_ahead(struct lease_rules *rules, struct moment asked, int64_t ms);
/* When to try again after a failure, before that failure is forgotten. */
struct moment lease_rules_again(struct lease_rules *rules, struct moment failed);

/* The store was looked into; when it is to be looked into again. Without a call: never. */
void lease_rules_look_at(struct lease_rules *rules, int64_t monotonic_ms);
static inline bool lease_rules_look_due(const struct lease_rules *rules, int64_t monotonic_ms)
{
	return monotonic_ms >=
	       atomic_load_explicit(&rules->look_monotonic_ms, memory_order_relaxed);
}

/* Something is to be wiped at this moment. */
void lease_rules_wipe_at(struct lease_rules *rules, struct moment moment);
/* Is there something to wipe? */
bool lease_rules_due(const struct lease_rules *rules);
/* Before all leases are swept: they note anew what is next. */
void lease_rules_reset(struct lease_rules *rules);
