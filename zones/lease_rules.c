/* Numbers that all leases of a process share. */
#include "zones/lease_rules.h"

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

void lease_rules_init(struct lease_rules *rules, const struct clock *clock,
		      const struct lease_settings *settings)
{
	int64_t stale_ms = (int64_t)settings->max_stale_seconds * SECOND_MS;

	memset(rules, 0, sizeof(*rules));
	rules->clock = clock;
	rules->lease_ms = (int64_t)settings->lease_seconds * SECOND_MS;
	rules->yes_ms = rules->lease_ms > 0 ? rules->lease_ms : OPERATION_SECONDS * SECOND_MS;
	rules->deny_ms = (int64_t)settings->deny_seconds * SECOND_MS;
	rules->stale_ms = stale_ms > rules->lease_ms ? stale_ms : 0;
	rules->call_ms = (int64_t)settings->call_ms;
	rules->zone_lease_ms =
		rules->lease_ms > 0 ? (int64_t)settings->zone_lease_seconds * SECOND_MS : 0;
	rules->outage_ms = smaller(rules->yes_ms, OUTAGE_MS);
	atomic_init(&rules->look_monotonic_ms, INT64_MAX);
	atomic_init(&rules->dice, first_dice(rules, clock_now(clock)));
	lease_rules_reset(rules);
}

/* --- Chance */

/* splitmix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014): even,
 * which is all that is asked of it here. */
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

/* --- What is to be wiped next */

static void lower(_Atomic int64_t *value, int64_t to)
{
	int64_t seen = atomic_load(value);

	while (to < seen && !atomic_compare_exchange_weak(value, &seen, to))
		;
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
