/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/domain/schedule.h"

#include "base/clock.h"
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/rotate.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/kms/door.h"

#include <stdlib.h>

/* How long a process waits at most, of each day of a zone's period: a 24th. */
#define SPREAD_MS INT64_C(3600000)
enum { BUSY_MS = 1000, PAUSE_MS = 60 * 1000, HOUR_MS = 60 * 60 * 1000 };

/* A zone that could not be rotated. */
struct failure {
	uint64_t zone; /* the map's key */
	int64_t next_ms, told_ms;
};

bool schedule_init(struct schedule *schedule)
{
	*schedule = (struct schedule){0};
	pthread_mutex_init(&schedule->lock, NULL);
	return crypto_random(&schedule->salt, sizeof(schedule->salt));
}

void schedule_clear(struct schedule *schedule)
{
	struct map_entry *failed;
	size_t at = 0;

	while ((failed = map_next(&schedule->failed, &at)) != NULL)
		free(failed->value);
	map_clear(&schedule->failed);
	pthread_mutex_destroy(&schedule->lock);
}

/* --- When */

/* The same for a zone and a version as long as the process lives, and different in each. */
static int64_t own_delay(const struct zones *zones, const struct entry *zone)
{
	const uint64_t key[2] = {zones->schedule.salt, zone->of_zone.primary};
	uint64_t spread = (uint64_t)(zone->of_zone.rotate_days * SPREAD_MS);

	return (int64_t)(map_hash(key, bytes(&zone->of_zone.zone, sizeof(zone->of_zone.zone))) %
			 spread);
}

int64_t zones_rotation_due(const struct zones *zones, const struct entry *zone)
{
	const struct ezk_version *primary;

	if (zone->of_zone.rotate_days == 0 || zone->of_zone.rotate_days > ROTATE_DAYS_MAX ||
	    zone->of_zone.imported)
		return INT64_MAX;
	primary = entry_version(zone, zone->of_zone.primary);
	if (primary == NULL || primary->created_ms > INT64_MAX / 2)
		return INT64_MAX;
	return primary->created_ms + zone->of_zone.rotate_days * DAY_MS + own_delay(zones, zone);
}

/* --- Who */

static struct failure *find_failure(const struct schedule *schedule, const uint64_t *zone)
{
	return map_find(&schedule->failed, bytes(zone, sizeof(*zone)));
}

static int64_t not_before(const struct schedule *schedule, uint64_t zone, int64_t now_ms)
{
	const struct failure *failure = find_failure(schedule, &zone);
	int64_t next = failure == NULL ? 0 : failure->next_ms;

	if (schedule->busy)
		return now_ms + BUSY_MS;
	return next > schedule->pause_until ? next : schedule->pause_until;
}

/* False: not now, but from *ret_next_ms on. */
static bool begin(struct schedule *schedule, uint64_t zone, int64_t now_ms, int64_t *ret_next_ms)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&schedule->lock);
	int64_t next = not_before(schedule, zone, now_ms);

	if (next > now_ms) {
		*ret_next_ms = next;
		return false;
	}
	schedule->busy = true;
	return true;
}

static struct failure *add_failure(struct schedule *schedule, uint64_t zone)
{
	struct failure *failure = find_failure(schedule, &zone);

	if (failure != NULL)
		return failure;
	failure = calloc(1, sizeof(*failure));
	if (failure == NULL)
		return NULL;
	failure->zone = zone;
	if (map_put(&schedule->failed, bytes(&failure->zone, sizeof(failure->zone)), failure))
		return failure;
	free(failure);
	return NULL;
}

static int64_t wait_after(enum zone_status status)
{
	return zone_status_is_outage(status) || zone_status_is_store_outage(status) ||
			       status == ZONE_NO_MEMORY || status == ZONE_CONFLICT
		       ? HOUR_MS
		       : DAY_MS;
}

/* True: it is to be told. Failures come at most once a minute, whatever they are about. */
static bool note_failure(struct schedule *schedule, uint64_t zone, enum zone_status status,
			 int64_t now_ms, int64_t *ret_next_ms)
{
	struct failure *failure = add_failure(schedule, zone);
	bool tell;

	schedule->pause_until = now_ms + PAUSE_MS;
	*ret_next_ms = now_ms + wait_after(status);
	if (failure == NULL) { /* no memory to tell them apart */
		schedule->pause_until = *ret_next_ms;
		return false;
	}
	failure->next_ms = *ret_next_ms;
	tell = failure->told_ms == 0 || now_ms - failure->told_ms >= DAY_MS;
	if (tell)
		failure->told_ms = now_ms;
	return tell;
}

static bool end(struct schedule *schedule, uint64_t zone, enum zone_status status, int64_t now_ms,
		int64_t *ret_next_ms)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&schedule->lock);

	schedule->busy = false;
	if (status != ZONE_OK)
		return note_failure(schedule, zone, status, now_ms, ret_next_ms);
	free(map_remove(&schedule->failed, bytes(&zone, sizeof(zone))));
	return false;
}

static void tell(const struct entry *zone, enum zone_status status)
{
	char since[25];

	clock_extended_utc(entry_version(zone, zone->of_zone.primary)->created_ms +
				   zone->of_zone.rotate_days * DAY_MS,
			   since);
	log_warning("database '%s' is to be rotated since %.10s, and could not be from here: %s; "
		    "whoever may encrypt by its root key does it by 'cmek database rotate'",
		    zone->label, since, zone_status_text(status));
}

/* --- Doing it */

/* A KMS that does not answer is not waited for. */
static bool is_silent(struct zones *zones, const struct entry *zone)
{
	const struct ezk_version *primary = entry_version(zone, zone->of_zone.primary);
	bool silent = false;

	for (size_t i = 0; primary != NULL && i < primary->wrap_count; i++)
		silent |= door_silent(zones->clients, primary->wraps[i].arn) != ZONE_OK;
	return silent;
}

/* *ret_due_ms: when the zone is due, if not now or no longer. */
static enum zone_status rotate(struct zones *zones, const struct entry *zone, int64_t now_ms,
			       int64_t *ret_due_ms)
{
	AUTO(entry_releasep) struct entry *newest = NULL;
	enum zone_status status;

	TRY(zones_refresh(zones, true));
	TRY(zones_meet_uid(zones, zone->uid, &newest));
	*ret_due_ms = newest == NULL ? INT64_MAX : zones_rotation_due(zones, newest);
	if (*ret_due_ms > now_ms)
		return ZONE_OK;
	if (is_silent(zones, newest))
		return ZONE_KMS_UNAVAILABLE;
	status = zone_rotate_quietly(zones, newest, newest->of_zone.primary + 1);
	*ret_due_ms = now_ms + BUSY_MS; /* the caller will have a newer entry by then */
	return status == ZONE_ROTATED ? ZONE_OK : status;
}

void zones_rotate_when_due(struct zones *zones, const struct entry *zone, int64_t *due_ms)
{
	uint64_t id = zone->of_zone.zone;
	enum zone_status status;
	int64_t now;

	if (*due_ms == INT64_MAX)
		return;
	now = zones_now_ms(zones);
	if (now < *due_ms || !begin(&zones->schedule, id, now, due_ms))
		return;
	status = rotate(zones, zone, now, due_ms);
	if (end(&zones->schedule, id, status, now, due_ms))
		tell(zone, status);
}
