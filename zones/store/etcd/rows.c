/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Rows as they are read, and the versions of the zones among them. */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/model/title.h"
#include "zones/store/etcd/read_private.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	ASKED_AT_ONCE = 64, /* of etcd's 128 */
	ZONES_ASKED = 16,   /* for so few their versions are asked for by their keys */
};

void etcd_reading_clear(struct etcd_reading *reading)
{
	store_news_clear(&reading->news);
	free(reading->zones);
}

enum zone_status etcd_judge(struct etcd_reading *reading, enum zone_status status,
			    const struct kv *kv)
{
	if (status != ZONE_STORE_CORRUPT)
		return status;
	if (reading->look->limited)
		return ZONE_STORE_NEWER;
	return etcd_damaged(reading->etcd, kv->key,
			    reading->rows.fault == NULL ? "as a whole" : reading->rows.fault);
}

/* Its key is its uid. */
static bool is_at(const struct kv *kv, struct uid uid)
{
	struct uid key;

	return bytes_begin(kv->key, "row/") && etcd_read_uid(bytes_after(kv->key, 4), &key) &&
	       uid_equal(key, uid);
}

enum zone_status etcd_visit_row(void *state, const struct kv *kv)
{
	struct etcd_reading *reading = state;
	struct store_row row = {0};

	TRY(etcd_judge(reading, rows_read_entry(&reading->rows, kv->value, kv->revision, &row),
		       kv));
	if (row.entry == NULL)
		return ZONE_OK;
	if (!is_at(kv, row.entry->uid)) {
		entry_release(row.entry);
		reading->rows.fault = "uid";
		return etcd_judge(reading, ZONE_STORE_CORRUPT, kv);
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

static enum zone_status note_zones(struct etcd_reading *reading)
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
static struct entry *zone_of(const struct etcd_reading *reading, const struct kv *kv)
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

static bool version_is_at(const struct etcd_reading *reading, const struct kv *kv,
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
	struct etcd_reading *reading = state;
	struct entry *zone = zone_of(reading, kv);
	size_t before;

	if (zone == NULL)
		return ZONE_OK;
	before = zone->of_zone.version_count;
	TRY(etcd_judge(reading, rows_read_version(&reading->rows, kv->value, zone), kv));
	if (zone->of_zone.version_count == before || version_is_at(reading, kv, zone))
		return ZONE_OK;
	reading->rows.fault = "version";
	return etcd_judge(reading, ZONE_STORE_CORRUPT, kv);
}

/* --- Several questions in one request */

/* One at `at`, or the rows or versions of several things: as many as the answer has room for. */
struct asking {
	struct etcd_reading *reading;
	visit_kv *visit;
	void (*put)(const struct asking *asking, size_t at, struct buffer *ops);
	const void *of;
	size_t count;
};

static enum zone_status ask_some(const struct asking *asking, size_t from, size_t to,
				 enum etcd_fate *ret_fate, json_t **ret_answer)
{
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(buffer_clear) struct buffer body = {0};

	for (size_t i = from; i < to; i++)
		asking->put(asking, i, &ops);
	buffer_put_text(&body, "{\"success\":[");
	buffer_append(&body, buffer_bytes(&ops));
	buffer_put_text(&body, "]}");
	body.failed |= ops.failed;
	return body.failed ? ZONE_NO_MEMORY
			   : etcd_call(asking->reading->etcd, "/v3/kv/txn", &body, true, ret_fate,
				       ret_answer);
}

static enum zone_status visit_answers(const struct asking *asking, size_t count,
				      const json_t *answer)
{
	AUTO(buffer_clear) struct buffer key = {0};

	for (size_t i = 0; i < count; i++)
		TRY(etcd_visit_page(asking->reading->etcd, etcd_answer_at(answer, i), &key,
				    asking->visit, asking->reading));
	return ZONE_OK;
}

static enum zone_status ask_all(const struct asking *asking, enum etcd_fate *ret_fate)
{
	struct etcd *etcd = asking->reading->etcd;
	size_t step = etcd->ops_at_once < ASKED_AT_ONCE ? etcd->ops_at_once : ASKED_AT_ONCE;

	for (size_t at = 0; at < asking->count;) {
		AUTO(json_freep) json_t *answer = NULL;
		size_t left = asking->count - at, to = at + (left < step ? left : step);
		enum zone_status status = ask_some(asking, at, to, ret_fate, &answer);

		/* Not for want of space: it takes fewer operations than usual. */
		bool too_many = status == ZONE_STORE_FULL && *ret_fate == ETCD_ANSWERED;

		if ((*ret_fate == ETCD_TOO_LONG || too_many) && step > 1) {
			step /= 2;
			if (too_many)
				etcd->ops_at_once = step;
			continue;
		}
		if (*ret_fate == ETCD_TOO_LONG)
			etcd_says(etcd, status, "the answer about one database is too long");
		TRY(status);
		TRY(visit_answers(asking, to - at, answer));
		at = to;
		/* However many there are, each request has the same time. */
		if (at < asking->count)
			etcd_go_on(etcd, ETCD_READ_MS);
	}
	return ZONE_OK;
}

static void put_row(const struct asking *asking, size_t at, struct buffer *ops)
{
	AUTO(buffer_clear) struct buffer key = {0};
	struct uid uid;

	memcpy(uid.bytes, (const uint8_t *)asking->of + at * UID_SIZE, UID_SIZE);
	etcd_key_uid(asking->reading->etcd, &key, "row", uid);
	ops->failed |= key.failed;
	etcd_op_range(ops, &(struct etcd_range){.key = buffer_bytes(&key),
						.revision = asking->reading->look->revision});
}

enum zone_status etcd_read_rows_of(struct etcd_reading *reading, const struct buffer *uids,
				   enum etcd_fate *ret_fate)
{
	const struct asking asking = {
		.reading = reading,
		.visit = etcd_visit_row,
		.put = put_row,
		.of = uids->data,
		.count = uids->len / UID_SIZE,
	};

	return ask_all(&asking, ret_fate);
}

static void put_versions(const struct asking *asking, size_t at, struct buffer *ops)
{
	const struct etcd_reading *reading = asking->reading;
	AUTO(buffer_clear) struct buffer below = {0};

	etcd_key(reading->etcd, &below, "version/%016" PRIx64 "/",
		 reading->zones[at]->of_zone.zone);
	ops->failed |= below.failed;
	etcd_op_range(ops, &(struct etcd_range){.key = buffer_bytes(&below),
						.prefix = true,
						.revision = reading->look->revision});
}

static enum zone_status check_zones(const struct etcd_reading *reading)
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

enum zone_status etcd_read_versions(struct etcd_reading *reading, bool all,
				    enum etcd_fate *ret_fate)
{
	const struct etcd_range range = {.revision = reading->look->revision};
	AUTO(buffer_clear) struct buffer below = {0};
	struct asking asking = {.reading = reading, .visit = visit_version, .put = put_versions};

	TRY(note_zones(reading));
	asking.count = reading->zone_count;
	etcd_key(reading->etcd, &below, "version/");
	if (all && reading->zone_count > ZONES_ASKED)
		TRY(etcd_each(reading->etcd, &below, range, visit_version, reading, ret_fate));
	else
		TRY(ask_all(&asking, ret_fate));
	return check_zones(reading);
}
