/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/domain/ahead.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/domain/lookup.h"
#include "zones/domain/state.h"

#include <inttypes.h>

static bool is_ahead(const struct entry *zone, int64_t now_ms)
{
	const struct ezk_version *primary = entry_version(zone, zone->of_zone.primary);

	return zone->state == ENTRY_ACTIVE && !zone->of_zone.imported && primary != NULL &&
	       primary->created_ms > now_ms + DAY_MS;
}

bool zone_is_ahead(const struct zones *zones, const struct entry *zone)
{
	return is_ahead(zone, zones_now_ms(zones));
}

struct search {
	const struct index *index;
	int64_t now_ms;
	struct entry *first; /* held */
	size_t count;
};

static bool note(void *state, struct entry *zone)
{
	struct search *search = state;

	if (zone->of_zone.rotate_days == 0 || !is_ahead(zone, search->now_ms))
		return true;
	if (search->count++ == 0)
		search->first = entry_hold(zone);
	return true;
}

static bool search_project(void *state, struct entry *project)
{
	struct search *search = state;

	index_each_of(search->index, project->uid, ENTRY_ZONE, note, search);
	return true;
}

void zones_tell_ahead(struct zones *zones)
{
	struct search search = {.index = &zones->index, .now_ms = zones_now_ms(zones)};
	AUTO(entry_releasep) struct entry *project = NULL;
	char made[25];

	pthread_rwlock_rdlock(&zones->lock);
	index_each_project(&zones->index, search_project, &search);
	pthread_rwlock_unlock(&zones->lock);
	if (search.count == 0)
		return;
	project = zones_find_uid(zones, search.first->project);
	clock_extended_utc(entry_version(search.first, search.first->of_zone.primary)->created_ms,
			   made);
	log_warning("database '%s' of project '%s': its version %" PRIu32 " says that it was made "
		    "on %.10s, so that the next rotation is put off; if this clock is right, "
		    "rotate it by hand ('cmek database rotate'); so it is with %zu more databases",
		    search.first->label, project == NULL ? "?" : project->label,
		    search.first->of_zone.primary, made, search.count - 1);
	entry_release(search.first);
}
