/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is new, as of one revision: the rows that were changed since, with the versions of those
 * that are zones. Etcd answers what it had at a revision for as long as that is not compacted,
 * however many requests it takes.
 */
#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/model/title.h"
#include "zones/store/etcd/etcd.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* For so many zones their versions are asked for one by one, else all there are. */
enum { ZONES_ASKED = 16, LOOKS = 3 };

struct kv {
	struct bytes key, value; /* borrowed; the key without the store's prefix */
	uint64_t revision;
};
typedef enum zone_status visit_kv(void *state, const struct kv *kv);

static enum zone_status damaged(struct etcd *etcd, struct bytes key, const char *what)
{
	return etcd_says(etcd, ZONE_STORE_CORRUPT,
			 "%.*s holds what no release wrote (%s); restore the store from a backup",
			 (int)key.len, (const char *)key.data, what);
}

/* --- Pages */

static enum zone_status visit_one(struct etcd *etcd, const json_t *json, struct buffer *key,
				  visit_kv *visit, void *state)
{
	AUTO(buffer_clear) struct buffer value = {0};
	size_t prefix = strlen(etcd->prefix);
	struct kv kv;

	buffer_truncate(key, 0);
	if (!etcd_bytes(json, "key", key) || !etcd_bytes(json, "value", &value) ||
	    !bytes_begin(buffer_bytes(key), etcd->prefix))
		return key->failed || value.failed
			       ? ZONE_NO_MEMORY
			       : etcd_says(
					 etcd, ZONE_STORE_UNAVAILABLE,
					 "it answers what etcd does not; look at [store] endpoint");
	kv.key = bytes_after(buffer_bytes(key), prefix);
	kv.value = buffer_bytes(&value);
	kv.revision = etcd_number(json, "mod_revision");
	return visit(state, &kv);
}

static enum zone_status visit_page(struct etcd *etcd, const json_t *answer, struct buffer *last,
				   visit_kv *visit, void *state)
{
	const json_t *kvs = json_object_get(answer, "kvs");

	for (size_t i = 0; i < json_array_size(kvs); i++)
		TRY(visit_one(etcd, json_array_get(kvs, i), last, visit, state));
	return ZONE_OK;
}

static enum zone_status ask_page(struct etcd *etcd, struct etcd_range *range,
				 enum etcd_fate *ret_fate, json_t **ret_answer)
{
	AUTO(buffer_clear) struct buffer body = {0};

	range->limit = etcd->page;
	etcd_put_range(&body, range);
	return etcd_call(etcd, "/v3/kv/range", &body, true, ret_fate, ret_answer);
}

/* A page that is too long is asked for once more, with half as many rows. */
static enum zone_status ask_page_that_fits(struct etcd *etcd, struct etcd_range *range,
					   enum etcd_fate *ret_fate, json_t **ret_answer)
{
	enum zone_status status = ask_page(etcd, range, ret_fate, ret_answer);

	while (*ret_fate == ETCD_TOO_LONG && etcd->page > 1) {
		etcd->page /= 2;
		etcd_go_on(etcd, ETCD_READ_MS);
		status = ask_page(etcd, range, ret_fate, ret_answer);
	}
	if (*ret_fate == ETCD_TOO_LONG)
		etcd_says(etcd, status, "a row is longer than any that a release writes");
	else if (etcd->page < ETCD_PAGE)
		etcd->page *= 2; /* the rows that come may be shorter */
	return status;
}

/* All that is below `below`, a key that ends with a slash. */
static enum zone_status each(struct etcd *etcd, const struct buffer *below, struct etcd_range range,
			     visit_kv *visit, void *state, enum etcd_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer end = {0};
	bool more = true;

	if (below->failed)
		return ZONE_NO_MEMORY;
	buffer_append(&key, buffer_bytes(below));
	etcd_prefix_end(&end, buffer_bytes(below));
	while (more) {
		AUTO(json_freep) json_t *answer = NULL;

		if (key.failed || end.failed)
			return ZONE_NO_MEMORY;
		range.key = buffer_bytes(&key);
		range.end = buffer_bytes(&end);
		TRY(ask_page_that_fits(etcd, &range, ret_fate, &answer));
		TRY(visit_page(etcd, answer, &key, visit, state));
		buffer_put_u8(&key, 0);
		more = json_is_true(json_object_get(answer, "more")) &&
		       json_array_size(json_object_get(answer, "kvs")) > 0;
		/* However many there are, each has the same time. */
		if (more)
			etcd_go_on(etcd, ETCD_READ_MS);
	}
	return ZONE_OK;
}

/* --- The head */

static const json_t *answer_at(const json_t *answer, size_t index)
{
	const json_t *responses = json_object_get(answer, "responses");

	return json_object_get(json_array_get(responses, index), "response_range");
}

static const json_t *first_kv(const json_t *range)
{
	return json_array_get(json_object_get(range, "kvs"), 0);
}

static enum zone_status take_head(struct etcd *etcd, const json_t *kv, struct etcd_look *look)
{
	AUTO(buffer_clear) struct buffer text = {0};
	enum zone_status status;

	if (kv == NULL)
		return ZONE_OK;
	if (!etcd_bytes(kv, "value", &text))
		return text.failed ? ZONE_NO_MEMORY : ZONE_STORE_UNAVAILABLE;
	status = rows_read_head(buffer_bytes(&text), look->id, &look->head, &look->created_ms);
	if (status == ZONE_STORE_CORRUPT)
		return damaged(etcd, bytes_of("head"), "as a whole");
	look->exists = true;
	look->limited = look->head.min_reader > store_level_understood();
	return status;
}

/* A store that was there and is not is no empty one: somebody has emptied the prefix, or another
 * etcd answers. */
static enum zone_status check_reach(struct etcd *etcd, const struct etcd_look *look)
{
	if (look->exists || etcd->id[0] == '\0')
		return ZONE_OK;
	return etcd_says(
		etcd, ZONE_STORE_UNAVAILABLE,
		"it was there and is gone: its keys were removed, or another etcd answers; "
		"put it back, or end the processes that use it to begin anew");
}

/* The head, how many zones there are, and whether anything is newer. */
static enum zone_status look_since(struct etcd *etcd, uint64_t newer_than,
				   struct etcd_look *ret_look, bool *ret_news)
{
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(json_freep) json_t *answer = NULL;
	struct etcd_look look = {0};
	enum etcd_fate fate;

	etcd_key(etcd, &key, "head");
	etcd_op_range(&ops, &(struct etcd_range){.key = buffer_bytes(&key)});
	etcd_key(etcd, &key, "live/");
	etcd_op_range(&ops, &(struct etcd_range){
				    .key = buffer_bytes(&key), .prefix = true, .count_only = true});
	etcd_key(etcd, &key, "row/");
	etcd_op_range(&ops, &(struct etcd_range){.key = buffer_bytes(&key),
						 .prefix = true,
						 .newer_than = newer_than,
						 .limit = 1,
						 .keys_only = true});
	buffer_format(&body, "{\"success\":[%s]}", buffer_text(&ops));
	if (ops.failed || key.failed)
		return ZONE_NO_MEMORY;
	TRY(etcd_call(etcd, "/v3/kv/txn", &body, true, &fate, &answer));
	look.revision = etcd_revision(answer);
	look.cluster = etcd_number(json_object_get(answer, "header"), "cluster_id");
	look.zones = (size_t)etcd_number(answer_at(answer, 1), "count");
	if (look.revision == 0 || look.revision > INT64_MAX)
		return etcd_says(etcd, ZONE_STORE_UNAVAILABLE,
				 "it answers what etcd does not; look at [store] endpoint");
	TRY(take_head(etcd, first_kv(answer_at(answer, 0)), &look));
	TRY(check_reach(etcd, &look));
	*ret_news = first_kv(answer_at(answer, 2)) != NULL;
	*ret_look = look;
	return ZONE_OK;
}

enum zone_status etcd_look(struct etcd *etcd, struct etcd_look *ret_look)
{
	bool any;

	return look_since(etcd, 0, ret_look, &any);
}

/* --- A cursor: the revision, and whose it is */

enum { CURSOR_LEN = 2 * sizeof(uint64_t) + ROWS_ID_SIZE };

struct store_cursor etcd_cursor(const struct etcd_look *look, uint64_t revision)
{
	struct store_cursor cursor = {0};

	_Static_assert((int)CURSOR_LEN <= (int)STORE_CURSOR_MAX, "a cursor has room");
	if (!look->exists)
		return cursor;
	cursor.len = CURSOR_LEN;
	memcpy(cursor.data, &revision, sizeof(revision));
	memcpy(cursor.data + sizeof(revision), &look->cluster, sizeof(look->cluster));
	memcpy(cursor.data + 2 * sizeof(revision), look->id, ROWS_ID_SIZE);
	return cursor;
}

static uint64_t revision_of(const struct store_cursor *cursor)
{
	uint64_t revision = 0;

	if (cursor->len == CURSOR_LEN)
		memcpy(&revision, cursor->data, sizeof(revision));
	return revision;
}

/* The same store in the same etcd, further on. */
static bool goes_on(const struct etcd *etcd, const struct store_cursor *since,
		    const struct etcd_look *look)
{
	struct store_cursor then = etcd_cursor(look, revision_of(since));

	return since->len == CURSOR_LEN && look->exists && !look->limited && !etcd->limited &&
	       look->revision >= revision_of(since) &&
	       memcmp(then.data, since->data, CURSOR_LEN) == 0;
}

/* --- Rows */

struct reading {
	struct etcd *etcd;
	const struct etcd_look *look;
	struct rows_reading rows;
	struct store_news news;
	/* Zones among the news, by zone id when all are there; borrowed. */
	struct entry **zones;
	size_t zone_count;
	struct entry *zone; /* whose versions come alone; else NULL */
};

static void reading_clear(struct reading *reading)
{
	store_news_clear(&reading->news);
	free(reading->zones);
}

static enum zone_status judge(struct reading *reading, enum zone_status status, const struct kv *kv)
{
	if (status != ZONE_STORE_CORRUPT)
		return status;
	if (reading->look->limited)
		return ZONE_STORE_NEWER;
	return damaged(reading->etcd, kv->key,
		       reading->rows.fault == NULL ? "as a whole" : reading->rows.fault);
}

/* Its key is its uid. */
static bool is_at(const struct kv *kv, struct uid uid)
{
	struct uid key;

	return bytes_begin(kv->key, "row/") && etcd_read_uid(bytes_after(kv->key, 4), &key) &&
	       uid_equal(key, uid);
}

static enum zone_status visit_row(void *state, const struct kv *kv)
{
	struct reading *reading = state;
	struct store_row row = {0};

	TRY(judge(reading, rows_read_entry(&reading->rows, kv->value, kv->revision, &row), kv));
	if (row.entry == NULL)
		return ZONE_OK;
	if (!is_at(kv, row.entry->uid)) {
		entry_release(row.entry);
		reading->rows.fault = "uid";
		return judge(reading, ZONE_STORE_CORRUPT, kv);
	}
	return store_news_add(&reading->news, row.entry, row.removed) ? ZONE_OK : ZONE_NO_MEMORY;
}

/* --- Versions of the zones among them */

static int by_zone(const void *a, const void *b)
{
	uint64_t x = (*(struct entry *const *)a)->of_zone.zone;
	uint64_t y = (*(struct entry *const *)b)->of_zone.zone;

	return (x > y) - (x < y);
}

static enum zone_status note_zones(struct reading *reading)
{
	const struct store_news *news = &reading->news;

	free(reading->zones);
	reading->zone_count = 0;
	reading->zones = calloc(news->count + 1, sizeof(*reading->zones));
	if (reading->zones == NULL)
		return ZONE_NO_MEMORY;
	for (size_t i = 0; i < news->count; i++)
		if (news->rows[i].entry->kind == ENTRY_ZONE && !news->rows[i].removed)
			reading->zones[reading->zone_count++] = news->rows[i].entry;
	qsort(reading->zones, reading->zone_count, sizeof(*reading->zones), by_zone);
	for (size_t i = 1; i < reading->zone_count; i++)
		if (by_zone(&reading->zones[i - 1], &reading->zones[i]) == 0)
			return etcd_says(reading->etcd, ZONE_STORE_CORRUPT,
					 "two rows are of zone %" PRIu64
					 "; restore the store from a backup",
					 reading->zones[i]->of_zone.zone);
	return ZONE_OK;
}

/* Of a version's key: its zone. NULL: not among the news. */
static struct entry *zone_of(const struct reading *reading, const struct kv *kv)
{
	char digits[17] = {0};
	struct entry wanted = {.kind = ENTRY_ZONE}, *key = &wanted, **found;

	if (kv->key.len < 8 + 16)
		return NULL;
	memcpy(digits, kv->key.data + 8, 16);
	wanted.of_zone.zone = strtoull(digits, NULL, 16);
	found = bsearch(&key, reading->zones, reading->zone_count, sizeof(*reading->zones),
			by_zone);
	return found == NULL ? NULL : *found;
}

static bool version_is_at(const struct reading *reading, const struct kv *kv,
			  const struct entry *zone)
{
	AUTO(buffer_clear) struct buffer key = {0};

	etcd_key_version(reading->etcd, &key, zone->of_zone.zone,
			 &zone->of_zone.versions[zone->of_zone.version_count - 1]);
	return key.failed ||
	       bytes_equal(bytes_after(buffer_bytes(&key), strlen(reading->etcd->prefix)), kv->key);
}

static enum zone_status visit_version(void *state, const struct kv *kv)
{
	struct reading *reading = state;
	struct entry *zone = reading->zone != NULL ? reading->zone : zone_of(reading, kv);
	size_t before;

	if (zone == NULL)
		return ZONE_OK;
	before = zone->of_zone.version_count;
	TRY(judge(reading, rows_read_version(&reading->rows, kv->value, zone), kv));
	if (zone->of_zone.version_count == before || version_is_at(reading, kv, zone))
		return ZONE_OK;
	reading->rows.fault = "version";
	return judge(reading, ZONE_STORE_CORRUPT, kv);
}

static enum zone_status read_versions_of(struct reading *reading, struct entry *zone,
					 enum etcd_fate *ret_fate)
{
	const struct etcd_range range = {.revision = reading->look->revision};
	AUTO(buffer_clear) struct buffer below = {0};

	etcd_key(reading->etcd, &below, "version/%016" PRIx64 "/", zone->of_zone.zone);
	reading->zone = zone;
	TRY(each(reading->etcd, &below, range, visit_version, reading, ret_fate));
	reading->zone = NULL;
	return ZONE_OK;
}

static enum zone_status check_zones(const struct reading *reading)
{
	for (size_t i = 0; i < reading->zone_count; i++) {
		const struct entry *zone = reading->zones[i];

		if (!rows_zone_is_whole(zone))
			return etcd_says(
				reading->etcd, ZONE_STORE_CORRUPT,
				"%s lacks its primary or raw version; restore the store from a "
				"backup",
				zone_title_as(zone->label, NULL, zone->of_zone.zone).text);
	}
	return ZONE_OK;
}

static enum zone_status read_versions(struct reading *reading, enum etcd_fate *ret_fate)
{
	const struct etcd_range range = {.revision = reading->look->revision};
	AUTO(buffer_clear) struct buffer below = {0};

	TRY(note_zones(reading));
	etcd_key(reading->etcd, &below, "version/");
	if (reading->zone_count > ZONES_ASKED)
		TRY(each(reading->etcd, &below, range, visit_version, reading, ret_fate));
	else
		for (size_t i = 0; i < reading->zone_count; i++)
			TRY(read_versions_of(reading, reading->zones[i], ret_fate));
	return check_zones(reading);
}

/* --- In part */

/* A zone that awaits deletion, or whose project is not active: this is all that is known of it. */
struct part {
	struct reading *reading;
	struct rows_minimum *zones;
	size_t count;
};

static void part_clear(struct part *part)
{
	for (size_t i = 0; i < part->count; i++)
		entry_release(part->zones[i].row.entry);
	free(part->zones);
}

static enum zone_status keep_zone(struct part *part, const struct rows_minimum *zone)
{
	struct rows_minimum *zones = realloc(part->zones, (part->count + 1) * sizeof(*part->zones));

	if (zones == NULL) {
		entry_release(zone->row.entry);
		return ZONE_NO_MEMORY;
	}
	part->zones = zones;
	zones[part->count++] = *zone;
	return ZONE_OK;
}

static enum zone_status visit_minimum(void *state, const struct kv *kv)
{
	struct part *part = state;
	struct reading *reading = part->reading;
	struct rows_minimum minimum;

	TRY(judge(reading, rows_read_minimum(&reading->rows, kv->value, kv->revision, &minimum),
		  kv));
	if (minimum.row.entry == NULL)
		return ZONE_OK;
	if (minimum.row.entry->kind == ENTRY_ZONE && !minimum.row.removed)
		return keep_zone(part, &minimum);
	return store_news_add(&reading->news, minimum.row.entry, minimum.row.removed)
		       ? ZONE_OK
		       : ZONE_NO_MEMORY;
}

static bool has_active_project(const struct store_news *news, struct uid project)
{
	for (size_t i = 0; i < news->count; i++)
		if (uid_equal(news->rows[i].entry->uid, project))
			return !news->rows[i].removed && news->rows[i].entry->state == ENTRY_ACTIVE;
	return false;
}

static enum zone_status read_in_part(struct reading *reading, enum etcd_fate *ret_fate)
{
	const struct etcd_range range = {.revision = reading->look->revision};
	AUTO(part_clear) struct part part = {.reading = reading};
	AUTO(buffer_clear) struct buffer below = {0};
	struct store_news *news = &reading->news;

	etcd_key(reading->etcd, &below, "row/");
	TRY(each(reading->etcd, &below, range, visit_minimum, &part, ret_fate));
	for (size_t i = 0; i < part.count; i++) {
		struct rows_minimum *zone = &part.zones[i];

		if (zone->active && has_active_project(news, zone->row.entry->project))
			continue;
		if (!store_news_add(news, entry_hold(zone->row.entry), true))
			return ZONE_NO_MEMORY;
	}
	return ZONE_OK;
}

/* --- Both */

static enum zone_status read_rows(struct reading *reading, uint64_t newer_than,
				  enum etcd_fate *ret_fate)
{
	const struct etcd_range range = {.revision = reading->look->revision,
					 .newer_than = newer_than};
	AUTO(buffer_clear) struct buffer below = {0};

	if (reading->look->limited)
		return read_in_part(reading, ret_fate);
	etcd_key(reading->etcd, &below, "row/");
	TRY(each(reading->etcd, &below, range, visit_row, reading, ret_fate));
	return read_versions(reading, ret_fate);
}

static struct reading reading_of(struct etcd *etcd, const struct etcd_look *look)
{
	return (struct reading){
		.etcd = etcd,
		.look = look,
		.rows = {.newer = look->head.level > store_level_understood()},
	};
}

static enum zone_status read_once(struct etcd *etcd, const struct store_cursor *since,
				  struct etcd_look *look, struct store_news *ret_news,
				  enum etcd_fate *ret_fate)
{
	AUTO(reading_clear) struct reading reading = {0};
	bool any, whole;

	*ret_fate = ETCD_ANSWERED;
	TRY(look_since(etcd, revision_of(since), look, &any));
	reading = reading_of(etcd, look);
	whole = !goes_on(etcd, since, look);
	if (look->exists && (whole || any))
		TRY(read_rows(&reading, whole ? 0 : revision_of(since), ret_fate));
	*ret_news = reading.news;
	reading.news = (struct store_news){0};
	ret_news->whole = whole;
	ret_news->limited = look->limited;
	ret_news->unknown = reading.rows.unknown;
	ret_news->zones_counted = look->exists && !whole;
	ret_news->zones = look->zones;
	ret_news->cursor = etcd_cursor(look, look->revision);
	return ZONE_OK;
}

static void note_store(struct etcd *etcd, const struct etcd_look *look)
{
	snprintf(etcd->id, sizeof(etcd->id), "%s", look->id);
	etcd->limited = look->limited;
	/* What it needs is said once, not at each look. */
	if (etcd->said != ZONE_STORE_NEWER || !look->limited)
		etcd->said = ZONE_OK;
}

static enum zone_status tell_limit(struct etcd *etcd, const struct etcd_look *look)
{
	if (look->limited)
		etcd_says(etcd, ZONE_STORE_NEWER,
			  "reading it takes level %u, and this release knows level %u; install %s",
			  look->head.min_reader, store_level_understood(), look->head.release);
	return ZONE_OK;
}

enum zone_status etcd_read_news(struct etcd *etcd, const struct store_cursor *since,
				struct etcd_look *ret_look, struct store_news *ret_news)
{
	enum etcd_fate fate = ETCD_COMPACTED;
	enum zone_status status = ZONE_STORE_UNAVAILABLE;

	/* What was compacted while it was read is read as it is now. */
	for (int i = 0; i < LOOKS && fate == ETCD_COMPACTED; i++)
		status = read_once(etcd, since, ret_look, ret_news, &fate);
	if (fate == ETCD_COMPACTED && status != ZONE_OK)
		return etcd_says(
			etcd, ZONE_STORE_UNAVAILABLE,
			"it was compacted again and again while it was read; let etcd keep "
			"some minutes");
	TRY(status);
	note_store(etcd, ret_look);
	return tell_limit(etcd, ret_look);
}

/* --- By a key */

static enum zone_status visit_uid_of_label(void *state, const struct kv *kv)
{
	struct buffer *uids = state;
	struct uid uid;

	if (kv->key.len < (size_t)2 * UID_SIZE ||
	    !etcd_read_uid(bytes_after(kv->key, kv->key.len - (size_t)2 * UID_SIZE), &uid))
		return ZONE_STORE_CORRUPT;
	buffer_append(uids, bytes(uid.bytes, UID_SIZE));
	return uids->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

static enum zone_status visit_uid_of_zone(void *state, const struct kv *kv)
{
	struct buffer *uids = state;
	struct uid uid;

	if (!etcd_read_uid(kv->value, &uid))
		return ZONE_STORE_CORRUPT;
	buffer_append(uids, bytes(uid.bytes, UID_SIZE));
	return uids->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

/* One key, as it was. */
static enum zone_status visit_key(struct etcd *etcd, const struct buffer *key, uint64_t revision,
				  visit_kv *visit, void *state, enum etcd_fate *ret_fate)
{
	struct etcd_range range = {.key = buffer_bytes(key), .revision = revision};
	AUTO(buffer_clear) struct buffer found = {0};
	AUTO(json_freep) json_t *answer = NULL;

	if (key->failed)
		return ZONE_NO_MEMORY;
	TRY(ask_page_that_fits(etcd, &range, ret_fate, &answer));
	return visit_page(etcd, answer, &found, visit, state);
}

/* The uids that a key means. */
static enum zone_status find_uids(struct etcd *etcd, const struct store_key *key, uint64_t revision,
				  struct buffer *ret_uids, enum etcd_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer name = {0};

	switch (key->by) {
	case STORE_BY_UID:
		buffer_append(ret_uids, bytes(key->uid.bytes, UID_SIZE));
		return ret_uids->failed ? ZONE_NO_MEMORY : ZONE_OK;
	case STORE_BY_ZONE:
		etcd_key(etcd, &name, "zone/%016" PRIx64, key->zone);
		return visit_key(etcd, &name, revision, visit_uid_of_zone, ret_uids, ret_fate);
	case STORE_BY_LABEL:
		break;
	}
	if (key->label.len > LABEL_MAX)
		return ZONE_OK;
	etcd_key_label(etcd, &name, key->project, key->kind, key->label, NULL);
	return each(etcd, &name, (struct etcd_range){.revision = revision, .keys_only = true},
		    visit_uid_of_label, ret_uids, ret_fate);
}

static bool has(const struct store_news *news, struct uid uid)
{
	for (size_t i = 0; i < news->count; i++)
		if (uid_equal(news->rows[i].entry->uid, uid))
			return true;
	return false;
}

/* The row, if it is not among the news yet; *ret_entry (borrowed, may be NULL) is what came. */
static enum zone_status find_row(struct reading *reading, struct uid uid,
				 const struct entry **ret_entry, enum etcd_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer key = {0};
	size_t before = reading->news.count;

	*ret_entry = NULL;
	if (has(&reading->news, uid))
		return ZONE_OK;
	etcd_key_uid(reading->etcd, &key, "row", uid);
	TRY(visit_key(reading->etcd, &key, reading->look->revision, visit_row, reading, ret_fate));
	if (reading->news.count > before && !reading->news.rows[before].removed)
		*ret_entry = reading->news.rows[before].entry;
	return ZONE_OK;
}

/* And what it stands on. */
static enum zone_status find_with_parents(struct reading *reading, struct uid uid,
					  enum etcd_fate *ret_fate)
{
	const struct entry *entry, *cluster, *other;

	TRY(find_row(reading, uid, &entry, ret_fate));
	if (entry == NULL)
		return ZONE_OK;
	TRY(find_row(reading, entry->project, &other, ret_fate));
	if (entry->kind != ENTRY_ZONE)
		return ZONE_OK;
	TRY(find_row(reading, entry->of_zone.cluster, &cluster, ret_fate));
	if (cluster == NULL || cluster->kind != ENTRY_CLUSTER)
		return ZONE_OK;
	return find_row(reading, cluster->of_cluster.root_key, &other, ret_fate);
}

static enum zone_status find_all(struct reading *reading, const struct store_key *key,
				 enum etcd_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer uids = {0};
	enum zone_status status;
	struct uid uid;

	status = find_uids(reading->etcd, key, reading->look->revision, &uids, ret_fate);
	if (status == ZONE_STORE_CORRUPT)
		return damaged(reading->etcd, bytes_of("a key below zone/ or label/"), "uid");
	TRY(status);
	for (size_t at = 0; at < uids.len; at += UID_SIZE) {
		memcpy(uid.bytes, uids.data + at, UID_SIZE);
		TRY(find_with_parents(reading, uid, ret_fate));
	}
	return read_versions(reading, ret_fate);
}

static enum zone_status find_once(struct etcd *etcd, const struct store_key *key,
				  struct store_news *ret_news, enum etcd_fate *ret_fate)
{
	AUTO(reading_clear) struct reading reading = {0};
	struct etcd_look look;

	*ret_fate = ETCD_ANSWERED;
	TRY(etcd_look(etcd, &look));
	if (look.limited)
		return tell_limit(etcd, &look) == ZONE_OK ? ZONE_STORE_NEWER : ZONE_NO_MEMORY;
	/* What is known is another store's: the next look reads this one. */
	if (look.exists && etcd->id[0] != '\0' && strcmp(look.id, etcd->id) != 0)
		return etcd_says(etcd, ZONE_STORE_UNAVAILABLE,
				 "another store has taken its place; it is read at the next look");
	reading = reading_of(etcd, &look);
	if (look.exists)
		TRY(find_all(&reading, key, ret_fate));
	*ret_news = reading.news;
	ret_news->unknown = reading.rows.unknown;
	reading.news = (struct store_news){0};
	return ZONE_OK;
}

enum zone_status etcd_find(struct etcd *etcd, const struct store_key *key,
			   struct store_news *ret_news)
{
	enum etcd_fate fate = ETCD_COMPACTED;
	enum zone_status status = ZONE_STORE_UNAVAILABLE;

	for (int i = 0; i < LOOKS && fate == ETCD_COMPACTED; i++)
		status = find_once(etcd, key, ret_news, &fate);
	return status;
}
