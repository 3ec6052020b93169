/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The end of what awaits deletion. Each transaction looks at the index anew, takes what may go, up
 * to some number of rows, and leaves the rest to the next, until one finds nothing. */
#include "zones/domain/purge.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/domain/levels.h"
#include "zones/domain/retire.h"
#include "zones/domain/state.h"
#include "zones/domain/usage.h"
#include "zones/index/rules.h"
#include "zones/model/refuse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	ROWS = 128,	  /* a transaction: but one zone goes with its keys, however many */
	ROWS_A_DAY = 256, /* of what is done beside other work */
	DEPTH = 256,	  /* of archives in archived projects */
	DAY_MS = 24 * 60 * 60 * 1000
};

struct purge {
	enum purge_how how;
	bool leftovers; /* only what archived projects held that have no archive any more */
	int64_t now_ms;
	const struct index *index;
	struct changes *changes;
	/* Of the transaction under way: made anew each time it is asked. */
	struct purge_report step;
	size_t rows;
	enum zone_status status;
	/* Of the project that is looked at. */
	const struct entry *project;
	bool all;  /* it was archived, and its archive is gone */
	bool ripe; /* something is due that was not announced */
	struct entry *zones[ROWS];
	size_t zone_count, keys[ROWS];
};

static bool has_room(const struct purge *purge)
{
	return purge->status == ZONE_OK && purge->rows + purge->zone_count < ROWS;
}

/* --- What may go */

static bool was_announced(const struct purge *purge, int64_t due_ms)
{
	int64_t announced_ms = purge->project->of_project.announced_ms;

	return announced_ms > 0 && due_ms <= announced_ms && announced_ms <= purge->now_ms - DAY_MS;
}

/* Of something that awaits deletion until `due_ms`, by its own date alone. */
static bool is_over(struct purge *purge, int64_t due_ms)
{
	if (purge->leftovers || due_ms > purge->now_ms)
		return false;
	if (purge->how == PURGE_DUE || was_announced(purge, due_ms))
		return true;
	purge->ripe = true;
	return false;
}

static bool may_go(struct purge *purge, int64_t due_ms)
{
	return purge->all || is_over(purge, due_ms);
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
	return has_room(purge);
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
		if (rows > ROWS && count > 0)
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
	if (!has_room(purge))
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

/* A token key may have come back meanwhile, by a restore of another release. */
static bool version_may_go(struct purge *purge, const struct entry *zone,
			   const struct ezk_version *version)
{
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
			version_drop(changed, i);
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
	return has_room(purge);
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
	return has_room(purge);
}

/* --- Archives, and the projects that they stand for */

static bool keep_latest(void *state, struct entry *archive)
{
	const struct entry **latest = state;

	if (*latest == NULL || archive->delete_after_ms > (*latest)->delete_after_ms)
		*latest = archive;
	return true;
}

/* What the project of an archive holds itself: of its archives the one that goes last. Borrowed;
 * NULL: none. It has its own date, of which whoever ends the outer one does not hear. */
static const struct entry *archive_within(const struct index *index, const struct entry *archive)
{
	const struct entry *latest = NULL;

	index_each_of(index, archive->of_archive.archived, ENTRY_ARCHIVE, keep_latest, &latest);
	return latest;
}

/* Whether anything that it holds, however deep, is not due. No end is in sight of a ring. */
static bool holds_undue(const struct purge *purge, const struct entry *archive)
{
	for (size_t depth = 0; depth < DEPTH; depth++) {
		archive = archive_within(purge->index, archive);
		if (archive == NULL)
			return false;
		if (archive->delete_after_ms > purge->now_ms)
			return true;
	}
	return true;
}

/* From the inside out, each by its own date, also where the project has no archive any more; and
 * announced when nothing that it holds will keep it. */
static bool take_archive(void *state, struct entry *archive)
{
	struct purge *purge = state;

	if (!holds_undue(purge, archive) && is_over(purge, archive->delete_after_ms) &&
	    archive_within(purge->index, archive) == NULL) {
		purge->status = changes_remove(purge->changes, archive);
		purge->rows++;
	}
	return has_room(purge);
}

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

struct archive_search {
	const struct index *index;
	struct uid archived;
	bool found;
};

static bool is_its_archive(void *state, struct entry *archive)
{
	struct archive_search *search = state;

	search->found |= uid_equal(archive->of_archive.archived, search->archived);
	return !search->found;
}

static bool search_archives(void *state, struct entry *project)
{
	struct archive_search *search = state;

	index_each_of(search->index, project->uid, ENTRY_ARCHIVE, is_its_archive, search);
	return !search->found;
}

static bool has_archive(const struct purge *purge, const struct entry *project)
{
	struct archive_search search = {.index = purge->index, .archived = project->uid};

	index_each_project_of_all(search.index, search_archives, &search);
	return search.found;
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

	if (purge->how == PURGE_DUE || purge->leftovers || !has_room(purge))
		return;
	if (purge->ripe && (ahead || over))
		purge->status = announce(purge, purge->now_ms);
	else if (ahead)
		purge->status = announce(purge, 0);
}

/* --- A project */

static bool purge_project(void *state, struct entry *project)
{
	struct purge *purge = state;
	size_t rows = purge->rows;

	purge->project = project;
	purge->ripe = false;
	purge->all = project->state != ENTRY_ACTIVE && !has_archive(purge, project);
	take_zones(purge);
	if (has_room(purge))
		index_each_of(purge->index, project->uid, ENTRY_ZONE, take_versions, purge);
	if (has_room(purge))
		index_each_of(purge->index, project->uid, ENTRY_CLUSTER, take_unused, purge);
	if (has_room(purge))
		index_each_of(purge->index, project->uid, ENTRY_ROOT_KEY, take_unused, purge);
	if (has_room(purge))
		index_each_of(purge->index, project->uid, ENTRY_ARCHIVE, take_archive, purge);
	if (has_room(purge) && purge->all && is_empty(purge))
		take(purge, project, &purge->step.projects);
	if (purge->rows == rows)
		announce_if_ripe(purge);
	return has_room(purge);
}

static enum zone_status decide(struct changes *changes, void *state)
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

/* --- All of it */

static void add(struct purge_report *sum, const struct purge_report *step)
{
	sum->zones += step->zones;
	sum->versions += step->versions;
	sum->token_keys += step->token_keys;
	sum->clusters += step->clusters;
	sum->root_keys += step->root_keys;
	sum->projects += step->projects;
	sum->announced += step->announced;
}

static enum zone_status run(struct zones *zones, struct purge *purge, size_t most,
			    struct purge_report *sum)
{
	size_t rows = 0;

	do {
		TRY(zones_change(zones, decide, purge));
		add(sum, &purge->step);
		rows += purge->rows;
	} while (purge->rows > 0 && rows < most);
	return ZONE_OK;
}

static void tell(const struct purge_report *sum)
{
	size_t all = sum->zones + sum->versions + sum->token_keys + sum->clusters + sum->root_keys +
		     sum->projects;

	if (all > 0)
		log_notice("store: gone for good, since their time was over: %zu databases, %zu "
			   "key versions, %zu token keys, %zu clusters, %zu root keys, %zu "
			   "projects",
			   sum->zones, sum->versions, sum->token_keys, sum->clusters,
			   sum->root_keys, sum->projects);
	if (sum->announced > 0)
		log_warning("store: the time of something that awaits deletion is over in %zu "
			    "projects: it goes for good in a day ('cmek maintain --dry-run' lists "
			    "it); if this clock is wrong, set it right",
			    sum->announced);
}

static enum zone_status scrub_in_turn(struct zones *zones)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;

	TRY(zones_begin_turn(zones, &held));
	return zones->store->operations->scrub(zones->store);
}

/* A store may have no way to do that, or lack the room: what was removed stays so. */
static bool scrub(struct zones *zones)
{
	struct store_facts facts = {.path = "?"};

	if (zones->store->operations->scrub == NULL)
		return false;
	if (scrub_in_turn(zones) == ZONE_OK)
		return true;
	if (zones_store_look_at(zones, &facts) != ZONE_OK)
		facts.path = "?";
	log_warning("store %s: its file could not be rewritten, and may have old bytes of what is "
		    "gone; make room on its disk, and run 'cmek maintain --now' again",
		    facts.path);
	return false;
}

/* Whoever asks for all that is due may do so since the last time failed. */
static bool is_to_be_scrubbed(struct zones *zones, enum purge_how how,
			      const struct purge_report *sum)
{
	return sum->zones + sum->versions > 0 || (how == PURGE_DUE && zones_store_may_write(zones));
}

enum zone_status zones_purge(struct zones *zones, enum purge_how how,
			     struct purge_report *ret_report)
{
	struct purge purge = {.how = how};
	struct purge_report sum = {0};
	enum zone_status status = run(zones, &purge, SIZE_MAX, &sum);

	tell(&sum);
	if (status == ZONE_OK && is_to_be_scrubbed(zones, how, &sum))
		sum.scrubbed = scrub(zones);
	*ret_report = sum;
	return status;
}

/* --- One entry */

static enum zone_status check_holds_no_archive(const struct purge *purge,
					       const struct entry *archive)
{
	const struct entry *within = archive_within(purge->index, archive);
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

static enum zone_status take_one(struct purge *purge, struct entry *entry)
{
	switch (entry->kind) {
	case ENTRY_ZONE:
		purge->zones[0] = entry;
		purge->zone_count = 1;
		index_each_of(purge->index, entry->project, ENTRY_KEY, take_key, purge);
		TRY(purge->status);
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

struct one {
	const struct entry *entry; /* as the caller knows it */
	struct purge purge;
};

static enum zone_status decide_one(struct changes *changes, void *state)
{
	struct one *one = state;
	struct entry *current;

	changes->purges = true;
	one->purge = (struct purge){.changes = changes, .index = &changes->zones->index};
	TRY(entry_check_current(&changes->zones->index, one->entry, &current));
	if (current->kind == ENTRY_KEY || current->kind == ENTRY_PROJECT ||
	    (current->kind != ENTRY_ARCHIVE && current->state == ENTRY_ACTIVE))
		return refuse(
			ZONE_INVALID,
			"the %s '%s' does not await deletion: delete it first, since that can "
			"be undone",
			entry_kind_word(current->kind), current->label);
	return take_one(&one->purge, current);
}

enum zone_status zones_purge_entry(struct zones *zones, const struct entry *entry)
{
	struct one one = {.entry = entry};
	struct purge leftovers = {.leftovers = true};
	struct purge_report sum = {0};

	TRY(zones_change(zones, decide_one, &one));
	if (entry->kind == ENTRY_ARCHIVE)
		TRY(run(zones, &leftovers, SIZE_MAX, &sum));
	if (entry->kind == ENTRY_ZONE || entry->kind == ENTRY_ARCHIVE)
		scrub(zones);
	return ZONE_OK;
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

/* --- What awaits deletion */

struct listing {
	struct purge purge; /* whose project is looked at, and by what clock */
	json_t *list;	    /* NULL: memory lacked */
};

static const char *stage_of(const struct purge *purge, const struct entry *entry, int64_t due_ms)
{
	if (due_ms > purge->now_ms || (entry->kind == ENTRY_ARCHIVE && holds_undue(purge, entry)))
		return "restorable";
	return was_announced(purge, due_ms) ? "goes now" : "due";
}

static json_t *item_of(struct listing *listing, const struct entry *entry, int64_t due_ms)
{
	char date[25];

	clock_extended_utc(due_ms, date);
	return json_pack("{s:o, s:s, s:o, s:s, s:s}", "project",
			 json_text(listing->purge.project->label), "kind",
			 entry->kind == ENTRY_ARCHIVE ? "project" : entry_kind_word(entry->kind),
			 "name", json_text(entry->label), "purge_date", date, "stage",
			 stage_of(&listing->purge, entry, due_ms));
}

/* Of a zone, its id; `version`: 0: the zone as a whole. */
static void put_zone(json_t *item, const struct entry *zone, uint32_t version)
{
	char id[21];

	snprintf(id, sizeof(id), "%" PRIu64, zone->of_zone.zone);
	json_object_set_new(item, "zone", json_string(id));
	if (version != 0)
		json_object_set_new(item, "version", json_integer((json_int_t)version));
}

static void add_item(struct listing *listing, json_t *item)
{
	if (listing->list != NULL && item != NULL && json_array_append(listing->list, item) == 0) {
		json_decref(item);
		return;
	}
	json_decref(item);
	json_decref(listing->list);
	listing->list = NULL;
}

static void list_versions(struct listing *listing, const struct entry *zone)
{
	for (size_t i = 0; i < zone->of_zone.version_count; i++) {
		const struct ezk_version *version = &zone->of_zone.versions[i];
		json_t *item;

		if (!version->retired)
			continue;
		item = item_of(listing, zone, version->delete_after_ms);
		put_zone(item, zone, version->version);
		add_item(listing, item);
	}
}

static bool list_entry(void *state, struct entry *entry)
{
	struct listing *listing = state;
	bool pending = entry->state != ENTRY_ACTIVE || entry->kind == ENTRY_ARCHIVE;
	json_t *item = NULL;

	if (pending)
		item = item_of(listing, entry, entry->delete_after_ms);
	if (pending && entry->kind == ENTRY_ZONE)
		put_zone(item, entry, 0);
	if (pending)
		add_item(listing, item);
	else if (entry->kind == ENTRY_ZONE)
		list_versions(listing, entry);
	return listing->list != NULL;
}

static bool list_project(void *state, struct entry *project)
{
	struct listing *listing = state;
	struct entry_filter filter = {.project = project->uid, .with_pending = true};

	listing->purge.project = project;
	/* What an archived project holds goes with it; but archives go by their own date. */
	filter.kinds[ENTRY_ARCHIVE] = true;
	filter.kinds[ENTRY_ZONE] = filter.kinds[ENTRY_CLUSTER] = filter.kinds[ENTRY_ROOT_KEY] =
		project->state == ENTRY_ACTIVE;
	index_each(listing->purge.index, &filter, list_entry, listing);
	return listing->list != NULL;
}

enum zone_status zones_purge_describe(struct zones *zones, struct buffer *ret_json)
{
	struct listing listing = {.purge = {.index = &zones->index, .now_ms = zones_now_ms(zones)},
				  .list = json_array()};
	char *text;

	pthread_rwlock_rdlock(&zones->lock);
	index_each_project_of_all(&zones->index, list_project, &listing);
	pthread_rwlock_unlock(&zones->lock);
	text = listing.list == NULL ? NULL : json_dumps(listing.list, JSON_ENSURE_ASCII);
	json_decref(listing.list);
	if (text == NULL)
		return ZONE_NO_MEMORY;
	buffer_put_text(ret_json, text);
	free(text);
	return ret_json->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* --- Once a day */

/* Whether a transaction would change anything, by what is known: it is decided upon, and dropped.
 */
static bool has_work(struct zones *zones)
{
	struct purge purge = {.how = PURGE_ANNOUNCED};
	struct changes changes = {.zones = zones};
	bool work;

	pthread_rwlock_rdlock(&zones->lock);
	work = decide(&changes, &purge) == ZONE_OK && changes.count > 0;
	changes_clear(&changes);
	pthread_rwlock_unlock(&zones->lock);
	return work;
}

static bool is_first_today(struct zones *zones)
{
	int64_t now = zones->clock->monotonic_ms(zones->clock->state);
	int64_t next = atomic_load(&zones->next_purge);

	return now >= next &&
	       atomic_compare_exchange_strong(&zones->next_purge, &next, now + DAY_MS);
}

void zones_purge_daily(struct zones *zones)
{
	struct purge purge = {.how = PURGE_ANNOUNCED};
	struct purge_report sum = {0};

	if (!is_first_today(zones) || zones_are_limited(zones) || !has_work(zones) ||
	    !zones_store_may_write(zones))
		return;
	run(zones, &purge, ROWS_A_DAY, &sum);
	tell(&sum);
}
