/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Each transaction looks at the index anew, takes what may go, up to some number of rows, and
 * leaves the rest to the next, until one finds nothing. */
#include "base/clock.h"
#include "base/macros.h"
#include "zones/domain/purge_private.h"
#include "zones/domain/retire.h"
#include "zones/domain/usage.h"
#include "zones/model/moving.h"
#include "zones/model/record.h"
#include "zones/model/refuse.h"

bool purge_has_room(const struct purge *purge)
{
	return purge->status == ZONE_OK && purge->rows + purge->zone_count < PURGE_ROWS;
}

/* --- What may go */

bool purge_was_announced(const struct purge *purge, int64_t due_ms)
{
	int64_t announced_ms = purge->project->of_project.announced_ms;

	return announced_ms > 0 && due_ms <= announced_ms && announced_ms <= purge->now_ms - DAY_MS;
}

bool purge_is_over(struct purge *purge, int64_t due_ms)
{
	if (purge->leftovers || due_ms > purge->now_ms)
		return false;
	if (purge->how == PURGE_DUE || purge_was_announced(purge, due_ms))
		return true;
	purge->ripe = true;
	return false;
}

static bool may_go(struct purge *purge, int64_t due_ms)
{
	return purge->all || purge_is_over(purge, due_ms);
}

static bool entry_may_go(struct purge *purge, const struct entry *entry)
{
	return purge->all ||
	       (entry->state != ENTRY_ACTIVE && may_go(purge, entry->delete_after_ms));
}

static void take(struct purge *purge, struct entry *entry, size_t *count)
{
	purge->status = changes_remove(purge->changes, entry);
	purge->rows++;
	++*count;
}

/* --- Zones and their token keys */

static bool choose_zone(void *state, struct entry *zone)
{
	struct purge *purge = state;

	if (!entry_may_go(purge, zone))
		return true;
	purge->keys[purge->zone_count] = 0;
	purge->zones[purge->zone_count++] = zone;
	return purge_has_room(purge);
}

/* The place of a key's zone among those that were chosen; zone_count: it is none of them. */
static size_t place_of(const struct purge *purge, const struct entry *key)
{
	size_t at = 0;

	while (at < purge->zone_count && purge->zones[at]->of_zone.zone != key->of_key.zone)
		at++;
	return at;
}

static bool count_key(void *state, struct entry *key)
{
	struct purge *purge = state;
	size_t at = place_of(purge, key);

	if (at < purge->zone_count)
		purge->keys[at]++;
	return true;
}

/* The first that fit; and the very first in any case. */
static void keep_those_that_fit(struct purge *purge)
{
	size_t rows = purge->rows, count = 0;

	for (; count < purge->zone_count; count++) {
		rows += 1 + purge->keys[count];
		if (rows > PURGE_ROWS && count > 0)
			break;
	}
	purge->zone_count = count;
}

static bool take_key(void *state, struct entry *key)
{
	struct purge *purge = state;

	if (place_of(purge, key) < purge->zone_count)
		take(purge, key, &purge->step.token_keys);
	return purge->status == ZONE_OK;
}

/* Keys before the zone that they name. */
static void take_zones(struct purge *purge)
{
	struct uid project = purge->project->uid;

	purge->zone_count = 0;
	if (!purge_has_room(purge))
		return;
	index_each_of(purge->index, project, ENTRY_ZONE, choose_zone, purge);
	if (purge->zone_count == 0)
		return;
	index_each_of(purge->index, project, ENTRY_KEY, count_key, purge);
	keep_those_that_fit(purge);
	index_each_of(purge->index, project, ENTRY_KEY, take_key, purge);
	for (size_t i = 0; i < purge->zone_count && purge->status == ZONE_OK; i++)
		take(purge, purge->zones[i], &purge->step.zones);
	purge->zone_count = 0;
}

/* --- Versions of zones that stay */

/* A token key may have come back meanwhile, by a restore of another release. And with a zone goes
 * what others have imported of it, in the step after. */
static bool version_may_go(struct purge *purge, const struct entry *zone,
			   const struct ezk_version *version)
{
	if (import_is_orphan(purge->index, version))
		return true;
	return version->retired && version->delete_after_ms <= purge->now_ms &&
	       (version->record_zone != 0 ||
		usage_find_token_key(purge->changes->zones, zone, version->version) == NULL) &&
	       may_go(purge, version->delete_after_ms);
}

static size_t count_versions(struct purge *purge, const struct entry *zone)
{
	size_t count = 0;

	for (size_t i = 0; i < zone->of_zone.version_count; i++)
		count += version_may_go(purge, zone, &zone->of_zone.versions[i]);
	return count;
}

static enum zone_status drop_versions(struct purge *purge, const struct entry *zone)
{
	AUTO(entry_releasep) struct entry *changed = entry_copy(zone);

	if (changed == NULL)
		return ZONE_NO_MEMORY;
	for (size_t i = changed->of_zone.version_count; i-- > 0;)
		if (version_may_go(purge, zone, &changed->of_zone.versions[i]))
			zone_drop_version(changed, i);
	return changes_put(purge->changes, changed);
}

static bool take_versions(void *state, struct entry *zone)
{
	struct purge *purge = state;
	size_t count;

	if (entry_may_go(purge, zone)) /* it goes as a whole */
		return true;
	count = count_versions(purge, zone);
	if (count == 0)
		return true;
	purge->status = drop_versions(purge, zone);
	purge->step.versions += count;
	purge->rows++;
	return purge_has_room(purge);
}

/* --- Clusters and root keys that nothing stands on any more */

static bool take_unused(void *state, struct entry *entry)
{
	struct purge *purge = state;
	size_t *count =
		entry->kind == ENTRY_CLUSTER ? &purge->step.clusters : &purge->step.root_keys;

	if (entry_may_go(purge, entry) &&
	    usage_find(purge->changes->zones, entry, USAGE_BY_ALL) == NULL)
		take(purge, entry, count);
	return purge_has_room(purge);
}

/* --- Announcing */

static enum zone_status announce(struct purge *purge, int64_t announced_ms)
{
	AUTO(entry_releasep) struct entry *changed = entry_copy(purge->project);

	if (changed == NULL)
		return ZONE_NO_MEMORY;
	changed->of_project.announced_ms = announced_ms;
	purge->step.announced += announced_ms != 0;
	purge->rows++;
	return changes_put(purge->changes, changed);
}

/* Not before all that was announced a day ago is gone: the new day would hold that up too. */
static void announce_if_ripe(struct purge *purge)
{
	int64_t announced_ms = purge->project->of_project.announced_ms;
	bool ahead = announced_ms > purge->now_ms;
	bool over = announced_ms <= purge->now_ms - DAY_MS;

	if (purge->how == PURGE_DUE || purge->leftovers || !purge_has_room(purge))
		return;
	if (purge->ripe && (ahead || over))
		purge->status = announce(purge, purge->now_ms);
	else if (ahead)
		purge->status = announce(purge, 0);
}

/* --- A project */

static bool is_none(void *state, struct entry *entry)
{
	(void)entry;
	*(bool *)state = false;
	return false;
}

static bool is_empty(const struct purge *purge)
{
	struct entry_filter filter = {.project = purge->project->uid, .with_pending = true};
	bool empty = true;

	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++)
		filter.kinds[kind] = kind != ENTRY_PROJECT;
	index_each(purge->index, &filter, is_none, &empty);
	return empty;
}

static bool purge_project(void *state, struct entry *project)
{
	struct purge *purge = state;
	size_t rows = purge->rows;
	struct bytes place;

	if (moving_of(project, &place) != MOVING_NOT)
		return true;
	purge->project = project;
	purge->ripe = false;
	purge->all = project->state != ENTRY_ACTIVE && !purge_has_archive(purge, project);
	take_zones(purge);
	if (purge_has_room(purge))
		index_each_of(purge->index, project->uid, ENTRY_ZONE, take_versions, purge);
	if (purge_has_room(purge))
		index_each_of(purge->index, project->uid, ENTRY_CLUSTER, take_unused, purge);
	if (purge_has_room(purge))
		index_each_of(purge->index, project->uid, ENTRY_ROOT_KEY, take_unused, purge);
	if (purge_has_room(purge))
		index_each_of(purge->index, project->uid, ENTRY_ARCHIVE, purge_take_archive, purge);
	if (purge_has_room(purge) && purge->all && is_empty(purge))
		take(purge, project, &purge->step.projects);
	if (purge->rows == rows)
		announce_if_ripe(purge);
	return purge_has_room(purge);
}

enum zone_status purge_decide(struct changes *changes, void *state)
{
	struct purge *purge = state;

	changes->purges = true;
	purge->changes = changes;
	purge->index = &changes->zones->index;
	purge->step = (struct purge_report){0};
	purge->rows = purge->zone_count = 0;
	purge->status = ZONE_OK;
	purge->now_ms = zones_now_ms(changes->zones);
	index_each_project_of_all(&changes->zones->index, purge_project, purge);
	return purge->status;
}

/* --- One entry, and root keys alone */

static enum zone_status check_holds_no_archive(const struct purge *purge,
					       const struct entry *archive)
{
	const struct entry *within = purge_archive_within(purge->index, archive);
	char date[25];

	if (within == NULL)
		return ZONE_OK;
	clock_extended_utc(within->delete_after_ms, date);
	return refuse(
		ZONE_IN_USE,
		"project '%s' holds archived project '%s', which goes first (purge date %s; see "
		"'cmek maintain --dry-run')",
		archive->label, within->label, date);
}

enum zone_status purge_take_one(struct purge *purge, struct entry *entry)
{
	switch (entry->kind) {
	case ENTRY_ZONE:
		purge->zones[0] = entry;
		purge->zone_count = 1;
		index_each_of(purge->index, entry->project, ENTRY_KEY, take_key, purge);
		TRY(purge->status);
		TRY(imports_drop(purge->changes, entry->of_zone.zone, 0));
		break;
	case ENTRY_ROOT_KEY:
	case ENTRY_CLUSTER:
		TRY(usage_check_none(purge->changes->zones, entry, USAGE_BY_ALL));
		break;
	case ENTRY_ARCHIVE: /* what it stood for follows */
		TRY(check_holds_no_archive(purge, entry));
		break;
	default:
		break;
	}
	return changes_remove(purge->changes, entry);
}

enum zone_status purge_root_keys(struct changes *changes, struct uid project, size_t *count)
{
	struct purge purge = {.how = PURGE_DUE,
			      .changes = changes,
			      .index = &changes->zones->index,
			      .now_ms = zones_now_ms(changes->zones),
			      .project = index_uid(&changes->zones->index, project)};

	index_each_of(&changes->zones->index, project, ENTRY_ROOT_KEY, take_unused, &purge);
	*count += purge.step.root_keys;
	return purge.status;
}
