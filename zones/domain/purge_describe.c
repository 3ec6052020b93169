/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What awaits deletion, in words. */
#include "base/clock.h"
#include "base/json.h"
#include "base/macros.h"
#include "zones/domain/purge_private.h"
#include "zones/domain/partial.h"
#include "zones/index/rules.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct listing {
	struct purge purge; /* whose project is looked at, and by what clock */
	json_t *list;	    /* NULL: memory lacked */
};

static const char *stage_of(const struct purge *purge, const struct entry *entry, int64_t due_ms)
{
	if (due_ms > purge->now_ms ||
	    (entry->kind == ENTRY_ARCHIVE && purge_holds_undue(purge, entry)))
		return "restorable";
	return purge_was_announced(purge, due_ms) ? "goes now" : "due";
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
	struct listing listing = {.purge = {.index = &zones->index, .now_ms = zones_now_ms(zones)}};
	char *text;

	TRY(zones_know_all(zones));
	listing.list = json_array();
	pthread_rwlock_rdlock(&zones->lock);
	projects_warn_unread(&zones->index);
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
