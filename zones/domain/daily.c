/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/domain/daily.h"

#include "base/clock.h"
#include "base/macros.h"
#include "zones/domain/ahead.h"
#include "zones/domain/levels.h"
#include "zones/domain/partial.h"
#include "zones/domain/purge_private.h"

enum { ROWS_A_DAY = 256, PARTIAL_LATER_MS = 60 * 60 * 1000 };

/* Whether a transaction would change anything, by what is known: it is decided upon, and dropped.
 */
static bool has_work(struct zones *zones)
{
	struct purge purge = {.how = PURGE_ANNOUNCED};
	struct changes changes = {.zones = zones};
	bool work;

	pthread_rwlock_rdlock(&zones->lock);
	work = purge_decide(&changes, &purge) == ZONE_OK && changes.count > 0;
	changes_clear(&changes);
	pthread_rwlock_unlock(&zones->lock);
	return work;
}

static void purge_a_part(struct zones *zones)
{
	struct purge purge = {.how = PURGE_ANNOUNCED};
	struct purge_report sum = {0};

	if (!has_work(zones) || !zones_store_may_write(zones))
		return;
	purge_run(zones, &purge, ROWS_A_DAY, &sum);
	purge_tell(&sum);
}

/* A process that knows but a part of the store begins later: most of those are gone by then, and
 * need not read all of it. */
static bool is_first_today(struct zones *zones)
{
	int64_t now = zones->clock->monotonic_ms(zones->clock->state);
	int64_t next = atomic_load(&zones->next_daily);
	const bool later = next == 0 && zones->partial;

	return (now >= next || later) &&
	       atomic_compare_exchange_strong(&zones->next_daily, &next,
					      now + (later ? PARTIAL_LATER_MS : DAY_MS)) &&
	       !later;
}

/* What is due can't be told from a part. It is read where that takes a moment, and where all of it
 * is no more than a process keeps; else another process, or the tool, sees to it. */
static bool knows_enough(const struct zones *zones)
{
	return !zones->partial || (zones->store->engine->waits_ms == 0 &&
				   atomic_load(&zones->zones_there) <= zones_most(zones));
}

void zones_daily(struct zones *zones)
{
	if (zones_are_limited(zones) || !knows_enough(zones) || !is_first_today(zones) ||
	    zones_know_all(zones) != ZONE_OK)
		return;
	zones_tell_ahead(zones);
	purge_a_part(zones);
}
