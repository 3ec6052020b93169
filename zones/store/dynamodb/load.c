/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "zones/store/dynamodb/load.h"

#include "base/macros.h"
#include "zones/model/title.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void loaded_clear(struct dynamodb_loaded *loaded)
{
	entry_release(loaded->row.entry);
	free(loaded->have);
	buffer_clear(&loaded->got);
	loaded->row = (struct store_row){0};
	loaded->have = NULL;
	loaded->rev = 0;
}

void load_clear(struct dynamodb_load *load)
{
	for (size_t i = 0; i < load->count; i++)
		loaded_clear(&load->rows[i]);
	free(load->rows);
	load->rows = NULL;
	load->count = 0;
}

/* --- Rows by their uids */

/* Where a uid is, or has to be put. */
static size_t place_of(const struct dynamodb_load *load, struct uid uid)
{
	size_t low = 0, high = load->count;

	/* They mostly come in their order. */
	if (high > 0 && memcmp(load->rows[high - 1].uid.bytes, uid.bytes, UID_SIZE) < 0)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(load->rows[middle].uid.bytes, uid.bytes, UID_SIZE) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool make_room(struct dynamodb_load *load)
{
	size_t capacity = load->capacity == 0 ? 16 : load->capacity * 2;
	struct dynamodb_loaded *rows;

	if (load->count < load->capacity)
		return true;
	rows = realloc(load->rows, capacity * sizeof(*rows));
	if (rows == NULL)
		return false;
	load->rows = rows;
	load->capacity = capacity;
	return true;
}

/* The row with that uid, a new one if there is none. NULL: no memory. */
static struct dynamodb_loaded *row_with(struct dynamodb_load *load, struct uid uid)
{
	size_t at = place_of(load, uid);

	if (at < load->count && uid_equal(load->rows[at].uid, uid))
		return &load->rows[at];
	if (!make_room(load))
		return NULL;
	memmove(&load->rows[at + 1], &load->rows[at], (load->count - at) * sizeof(*load->rows));
	load->rows[at] = (struct dynamodb_loaded){.uid = uid};
	load->count++;
	return &load->rows[at];
}

enum zone_status load_wish(struct dynamodb_load *load, struct uid uid, uint64_t least)
{
	struct dynamodb_loaded *row = row_with(load, uid);

	if (row == NULL)
		return ZONE_NO_MEMORY;
	if (row->least < least)
		row->least = least;
	row->wished |= row->rev == 0 || row->rev < least;
	return ZONE_OK;
}

/* --- Reading a row */

static enum zone_status judge(struct dynamodb_load *load, enum zone_status status,
			      const json_t *item)
{
	const char *fault = load->reading->rows.fault;

	if (status != ZONE_STORE_CORRUPT)
		return status;
	return dynamodb_damaged(load->reading->dynamodb, dynamodb_text(item, "SK"),
				fault == NULL ? "as a whole" : fault);
}

static enum zone_status corrupt(struct dynamodb_load *load, const char *fault, const json_t *item)
{
	load->reading->rows.fault = fault;
	return judge(load, ZONE_STORE_CORRUPT, item);
}

/* Each version once, in their order: what names one twice would be asked for twice, and DynamoDB
 * refuses all of such a request. */
static bool is_in_order(const char *have)
{
	struct ezk_version last = {0}, next = {0};

	for (bool first = true; dynamodb_next_version(&have, &next); first = false) {
		if (!first &&
		    (next.record_zone < last.record_zone ||
		     (next.record_zone == last.record_zone && next.version <= last.version)))
			return false;
		last = next;
	}
	return true;
}

static enum zone_status visit_row(void *state, const json_t *item)
{
	struct dynamodb_load *load = state;
	const char *sort = dynamodb_text(item, "SK");
	struct dynamodb_loaded *loaded;
	struct store_row row;
	struct uid uid;

	if (strncmp(sort, "row/", 4) != 0 || !dynamodb_read_uid(sort + 4, &uid))
		return corrupt(load, "SK", item);
	if (dynamodb_number(item, "rev") == 0)
		return corrupt(load, "rev", item);
	loaded = row_with(load, uid);
	if (loaded == NULL)
		return ZONE_NO_MEMORY;
	loaded_clear(loaded);
	TRY(judge(load,
		  rows_read_entry(&load->reading->rows, bytes_of(dynamodb_text(item, "v")),
				  dynamodb_number(item, "rev"), &row),
		  item));
	loaded->row = row;
	loaded->rev = dynamodb_number(item, "rev");
	loaded->have = strdup(dynamodb_text(item, "have"));
	if (loaded->have == NULL)
		return ZONE_NO_MEMORY;
	if (!is_in_order(loaded->have))
		return corrupt(load, "have", item);
	if (row.entry != NULL && !uid_equal(row.entry->uid, uid))
		return corrupt(load, "uid", item);
	return row.entry == NULL || uid_equal(row.entry->project, load->project)
		       ? ZONE_OK
		       : corrupt(load, "project", item);
}

static bool is_zone(const struct dynamodb_loaded *loaded)
{
	return loaded->row.entry != NULL && loaded->row.entry->kind == ENTRY_ZONE &&
	       !loaded->row.removed;
}

/* --- Versions */

struct version_visit {
	struct dynamodb_load *load;
	struct dynamodb_loaded **zones; /* in the order of their zone ids */
	size_t count;
};

static int by_zone(const void *a, const void *b)
{
	uint64_t x = (*(struct dynamodb_loaded *const *)a)->row.entry->of_zone.zone;
	uint64_t y = (*(struct dynamodb_loaded *const *)b)->row.entry->of_zone.zone;

	return (x > y) - (x < y);
}

/* Of a version's sort key: its zone. NULL: not among those that were read. */
static struct dynamodb_loaded *zone_of(const struct version_visit *visit, const char *sort)
{
	struct entry entry = {.kind = ENTRY_ZONE, .of_zone.zone = strtoull(sort + 8, NULL, 16)};
	struct dynamodb_loaded wanted = {.row.entry = &entry}, *key = &wanted, **found;

	found = visit->count == 0 ? NULL
				  : bsearch(&key, visit->zones, visit->count,
					    sizeof(struct dynamodb_loaded *), by_zone);
	return found == NULL ? NULL : *found;
}

static bool version_is_at(const struct dynamodb_load *load, const struct entry *zone,
			  const char *sort)
{
	const struct dynamodb_key key =
		dynamodb_key_version(load->project, zone->of_zone.zone,
				     &zone->of_zone.versions[zone->of_zone.version_count - 1]);

	return strcmp(key.sort, sort) == 0;
}

enum { SORT_OF_VERSION = 8 + 16 + 1 + 16 + 1 + 8, SORT_OF_ZONE = 8 + 16 + 1 };

static enum zone_status take_version(struct dynamodb_load *load, struct dynamodb_loaded *zone,
				     const json_t *item)
{
	const char *sort = dynamodb_text(item, "SK");
	size_t before = zone->row.entry->of_zone.version_count;

	buffer_format(&zone->got, "%s@%" PRIx64 ",", sort + SORT_OF_ZONE,
		      dynamodb_number(item, "rev"));
	TRY(judge(load,
		  rows_read_version(&load->reading->rows, bytes_of(dynamodb_text(item, "v")),
				    zone->row.entry),
		  item));
	if (zone->row.entry->of_zone.version_count == before ||
	    version_is_at(load, zone->row.entry, sort))
		return zone->got.failed ? ZONE_NO_MEMORY : ZONE_OK;
	return corrupt(load, "version", item);
}

static enum zone_status visit_version(void *state, const json_t *item)
{
	struct version_visit *visit = state;
	const char *sort = dynamodb_text(item, "SK");
	struct dynamodb_loaded *zone;

	if (strlen(sort) != SORT_OF_VERSION)
		return corrupt(visit->load, "SK", item);
	zone = zone_of(visit, sort);
	return zone == NULL ? ZONE_OK : take_version(visit->load, zone, item);
}

static void version_visit_clear(struct version_visit *visit)
{
	free(visit->zones);
}

/* The zones that were read, each by a row of its own. */
static enum zone_status note_zones(struct version_visit *visit)
{
	struct dynamodb_load *load = visit->load;

	visit->zones = calloc(load->count + 1, sizeof(struct dynamodb_loaded *));
	if (visit->zones == NULL)
		return ZONE_NO_MEMORY;
	for (size_t i = 0; i < load->count; i++)
		if (is_zone(&load->rows[i]))
			visit->zones[visit->count++] = &load->rows[i];
	qsort(visit->zones, visit->count, sizeof(struct dynamodb_loaded *), by_zone);
	for (size_t i = 1; i < visit->count; i++)
		if (by_zone(&visit->zones[i - 1], &visit->zones[i]) == 0)
			return dynamodb_damaged(
				load->reading->dynamodb,
				dynamodb_key_row(load->project, visit->zones[i]->uid).sort,
				"the zone of another row");
	return ZONE_OK;
}

/* Of all zones of the project. */
static enum zone_status load_all_versions(struct dynamodb_load *load)
{
	const struct dynamodb_key key = dynamodb_key_row(load->project, (struct uid){0});
	const struct dynamodb_range range = {key.partition, "version/", "version/g", false};
	AUTO(version_visit_clear) struct version_visit visit = {.load = load};

	TRY(note_zones(&visit));
	return visit.count == 0
		       ? ZONE_OK
		       : dynamodb_query(load->reading->dynamodb, &range, visit_version, &visit);
}

/* --- Versions by their keys, which the rows of their zones have */

/* Versions that were asked for: they come in any order, and are taken in that of their zones. */
struct wanted {
	struct buffer keys; /* struct dynamodb_key, one after another */
	json_t *items;	    /* by sort key */
};

static void wanted_clear(struct wanted *wanted)
{
	buffer_clear(&wanted->keys);
	json_decref(wanted->items);
}

static struct dynamodb_key key_in(const struct dynamodb_load *load,
				  const struct dynamodb_loaded *zone,
				  const struct ezk_version *version)
{
	return dynamodb_key_version(load->project, zone->row.entry->of_zone.zone, version);
}

static void want_versions(const struct dynamodb_load *load, const struct dynamodb_loaded *zone,
			  struct wanted *wanted)
{
	struct ezk_version version = {0};

	for (const char *have = zone->have; dynamodb_next_version(&have, &version);) {
		const struct dynamodb_key key = key_in(load, zone, &version);

		buffer_append(&wanted->keys, bytes(&key, sizeof(key)));
	}
}

static enum zone_status keep_version(void *state, const json_t *item)
{
	struct wanted *wanted = state;

	return json_object_set(wanted->items, dynamodb_text(item, "SK"),
			       (json_t *)(uintptr_t)item) == 0
		       ? ZONE_OK
		       : ZONE_NO_MEMORY;
}

static enum zone_status take_versions(struct dynamodb_load *load, struct dynamodb_loaded *zone,
				      const struct wanted *wanted)
{
	struct ezk_version version = {0};

	for (const char *have = zone->have; dynamodb_next_version(&have, &version);) {
		const struct dynamodb_key key = key_in(load, zone, &version);
		const json_t *item = json_object_get(wanted->items, key.sort);

		if (item != NULL)
			TRY(take_version(load, zone, item));
	}
	return ZONE_OK;
}

/* Of the zones that were wished for, whose rows were just read. */
static enum zone_status fetch_versions(struct dynamodb_load *load)
{
	AUTO(wanted_clear) struct wanted wanted = {.items = json_object()};
	AUTO(version_visit_clear) struct version_visit visit = {.load = load};

	TRY(note_zones(&visit));
	for (size_t i = 0; i < load->count; i++)
		if (load->rows[i].wished && is_zone(&load->rows[i]))
			want_versions(load, &load->rows[i], &wanted);
	if (wanted.keys.failed || wanted.items == NULL)
		return ZONE_NO_MEMORY;
	TRY(dynamodb_fetch(load->reading->dynamodb, (const struct dynamodb_key *)wanted.keys.data,
			   wanted.keys.len / sizeof(struct dynamodb_key), keep_version, &wanted));
	for (size_t i = 0; i < load->count; i++)
		if (load->rows[i].wished && is_zone(&load->rows[i]))
			TRY(take_versions(load, &load->rows[i], &wanted));
	for (size_t i = 0; i < load->count; i++)
		load->rows[i].wished = false;
	return ZONE_OK;
}

/* --- All, and some */

enum zone_status load_all(struct dynamodb_load *load)
{
	const struct dynamodb_key key = dynamodb_key_row(load->project, (struct uid){0});
	const struct dynamodb_range range = {key.partition, "row/", "row/g", false};

	TRY(dynamodb_query(load->reading->dynamodb, &range, visit_row, load));
	return load_all_versions(load);
}

enum zone_status load_page(struct dynamodb_load *load, struct uid after, unsigned most,
			   bool *ret_more)
{
	static const struct uid first;
	struct dynamodb_key from = dynamodb_key_row(load->project, after);
	const struct dynamodb_range range = {from.partition, from.sort, "row/g", false};

	/* What comes next has a greater digit, or one more. */
	if (!uid_equal(after, first))
		strcat(from.sort, "!");
	TRY(dynamodb_query_some(load->reading->dynamodb, &range, most, visit_row, load, ret_more));
	for (size_t i = 0; i < load->count; i++)
		load->rows[i].wished = true;
	return fetch_versions(load);
}

static enum zone_status visit_few(void *state, const json_t *item)
{
	struct dynamodb_load *load = state;
	const char *sort = dynamodb_text(item, "SK");
	struct uid uid;

	if (strncmp(sort, "few/", 4) != 0 || !dynamodb_read_uid(sort + 4, &uid))
		return corrupt(load, "SK", item);
	return load_wish(load, uid, 0);
}

enum zone_status load_few(struct dynamodb_load *load)
{
	const struct dynamodb_key key = dynamodb_key_row(load->project, (struct uid){0});
	const struct dynamodb_range range = {key.partition, "few/", "few/g", false};

	load->few = true;
	TRY(dynamodb_query(load->reading->dynamodb, &range, visit_few, load));
	return load_fetch(load);
}

enum zone_status load_fetch(struct dynamodb_load *load)
{
	struct dynamodb_key *keys = calloc(load->count + 1, sizeof(*keys));
	enum zone_status status;
	size_t count = 0;

	if (keys == NULL)
		return ZONE_NO_MEMORY;
	for (size_t i = 0; i < load->count; i++) {
		if (!load->rows[i].wished)
			continue;
		loaded_clear(&load->rows[i]);
		keys[count++] = dynamodb_key_row(load->project, load->rows[i].uid);
	}
	status = dynamodb_fetch(load->reading->dynamodb, keys, count, visit_row, load);
	free(keys);
	TRY(status);
	return fetch_versions(load);
}

static bool has_its_versions(const struct dynamodb_loaded *loaded)
{
	return bytes_equal(bytes_of(loaded->have), buffer_bytes(&loaded->got));
}

bool load_misses(struct dynamodb_load *load, uint64_t rev)
{
	bool any = false;

	for (size_t i = 0; i < load->count; i++) {
		struct dynamodb_loaded *row = &load->rows[i];

		if (row->rev == 0)
			row->wished = !load->optional;
		else
			row->wished = row->rev > rev || row->rev < row->least ||
				      (is_zone(row) && !has_its_versions(row));
		any |= row->wished;
	}
	return any;
}

static enum zone_status check_zone(struct dynamodb_load *load, const struct entry *zone)
{
	if (rows_zone_is_whole(zone))
		return ZONE_OK;
	return dynamodb_says(load->reading->dynamodb, ZONE_STORE_CORRUPT,
			     "%s lacks its primary or raw version; restore the store from a backup",
			     zone_title_as(zone->label, NULL, zone->of_zone.zone).text);
}

enum zone_status load_give(struct dynamodb_load *load)
{
	for (size_t i = 0; i < load->count; i++) {
		struct dynamodb_loaded *row = &load->rows[i];
		struct entry *entry = row->row.entry;

		if (entry == NULL)
			continue;
		if (is_zone(row))
			TRY(check_zone(load, entry));
		row->row.entry = NULL;
		if (!store_news_add(&load->reading->news, entry, row->row.removed))
			return ZONE_NO_MEMORY;
	}
	return ZONE_OK;
}
