/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers that all leases of a process share. */
#include "zones/ezk/lease_rules.h"

#include <string.h>
#include <unistd.h>

enum { SECOND_MS = 1000, OUTAGE_MS = 30 * SECOND_MS };

static int64_t smaller(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* Children of one process share its addresses, hosts that start together share the time. */
static uint64_t first_dice(const struct lease_rules *rules, struct moment now)
{
	return (uint64_t)(uintptr_t)rules ^ (uint64_t)now.realtime_ms << 16 ^
	       (uint64_t)now.monotonic_ms << 40 ^ (uint64_t)getpid() << 48;
}

static struct lease_times times_of(int64_t lease_ms, int64_t stale_ms)
{
	return (struct lease_times){
		.lease_ms = lease_ms,
		.yes_ms = lease_ms > 0 ? lease_ms : OPERATION_SECONDS * SECOND_MS,
		.stale_ms = stale_ms > lease_ms ? stale_ms : 0,
	};
}

struct lease_times lease_rules_within(const struct lease_rules *rules,
				      const struct lease_bounds *bounds)
{
	uint32_t configured = (uint32_t)(rules->lease_ms / SECOND_MS);

	return times_of((int64_t)lease_in_force(configured, bounds->max_lease) * SECOND_MS,
			smaller(rules->max_stale_ms, (int64_t)bounds->max_stale * SECOND_MS));
}

void lease_rules_init(struct lease_rules *rules, const struct clock *clock,
		      const struct lease_settings *settings)
{
	struct lease_times times = times_of((int64_t)settings->lease_seconds * SECOND_MS,
					    (int64_t)settings->max_stale_seconds * SECOND_MS);

	memset(rules, 0, sizeof(*rules));
	rules->clock = clock;
	rules->lease_ms = times.lease_ms;
	rules->yes_ms = times.yes_ms;
	rules->deny_ms = (int64_t)settings->deny_seconds * SECOND_MS;
	rules->stale_ms = times.stale_ms;
	rules->max_stale_ms = (int64_t)settings->max_stale_seconds * SECOND_MS;
	rules->call_ms = (int64_t)settings->call_ms;
	rules->zone_lease_ms =
		rules->lease_ms > 0 ? (int64_t)settings->zone_lease_seconds * SECOND_MS : 0;
	rules->outage_ms = smaller(rules->yes_ms, OUTAGE_MS);
	atomic_init(&rules->look_monotonic_ms, INT64_MAX);
	atomic_init(&rules->told_lease, INT64_MAX);
	atomic_init(&rules->told_stale, INT64_MAX);
	atomic_init(&rules->dice, first_dice(rules, clock_now(clock)));
	lease_rules_reset(rules);
}

/* --- Chance */

/* splitmix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014): its
 * values are evenly spread, and no more is needed here. */
static uint64_t throw(struct lease_rules * rules)
{
	uint64_t x = atomic_fetch_add(&rules->dice, 0x9e3779b97f4a7c15) + 0x9e3779b97f4a7c15;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static int64_t between(struct lease_rules *rules, int64_t first, int64_t last)
{
	return first + (int64_t)(throw(rules) % (uint64_t)(last - first + 1));
}

struct moment lease_rules_ahead(struct lease_rules *rules, struct moment asked, int64_t ms)
{
	return moment_after(asked, between(rules, ms - ms / 4, ms - ms / 20));
}

struct moment lease_rules_again(struct lease_rules *rules, struct moment failed)
{
	return moment_after(failed, between(rules, rules->outage_ms / 4, rules->outage_ms / 2));
}

void lease_rules_look_at(struct lease_rules *rules, int64_t monotonic_ms)
{
	atomic_store_explicit(&rules->look_monotonic_ms, monotonic_ms, memory_order_relaxed);
}

/* --- What to wipe next */

/* False: it is as low already. */
static bool lower(_Atomic int64_t *value, int64_t to)
{
	int64_t seen = atomic_load(value);

	while (to < seen)
		if (atomic_compare_exchange_weak(value, &seen, to))
			return true;
	return false;
}

bool lease_rules_first(_Atomic int64_t *told, uint32_t bound)
{
	return lower(told, bound);
}

void lease_rules_wipe_at(struct lease_rules *rules, struct moment moment)
{
	lower(&rules->wipe_monotonic_ms, moment.monotonic_ms);
	lower(&rules->wipe_realtime_ms, moment.realtime_ms);
}

void lease_rules_reset(struct lease_rules *rules)
{
	atomic_store(&rules->wipe_monotonic_ms, INT64_MAX);
	atomic_store(&rules->wipe_realtime_ms, INT64_MAX);
}

bool lease_rules_due(const struct lease_rules *rules)
{
	struct moment next = {
		atomic_load_explicit(&rules->wipe_monotonic_ms, memory_order_relaxed),
		atomic_load_explicit(&rules->wipe_realtime_ms, memory_order_relaxed),
	};

	return moment_passed(next, clock_now(rules->clock));
}
