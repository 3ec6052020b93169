/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* News of the store come into the index, and to the live EZKs that they are about. */
#include "base/log.h"
#include "base/macros.h"
#include "zones/domain/standing.h"
#include "zones/ezk/registry.h"

static enum zone_status usable(struct zones *zones, uint64_t id)
{
	const struct entry *zone = index_zone(&zones->index, id);

	return zone == NULL ? ZONE_OK
			    : registry_usable(zones->registry, zone, id, zone->of_zone.primary);
}

/* Once in a process, when keys that it had open have ended. */
static void tell_ended(struct zones *zones, uint64_t zone)
{
	enum zone_status why = standing_of(zones, zone);
	AUTO(buffer_clear) struct buffer text = {0};

	if (why == ZONE_OK)
		why = usable(zones, zone);
	if (!standing_is(why)) /* fenced, or the store is another one */
		return;
	standing_text(zones, zone, 0, why, &text);
	if (!text.failed)
		log_notice("%s; its keys that were open have ended", buffer_text(&text));
}

static void note_ended(struct buffer *ended, uint64_t zone)
{
	buffer_append(ended, bytes(&zone, sizeof(zone)));
}

static uint64_t ended_at(const struct buffer *ended, size_t at)
{
	uint64_t zone;

	memcpy(&zone, ended->data + at, sizeof(zone));
	return zone;
}

/* A zone may be open by its handle and by its record. */
static bool is_told(const struct buffer *ended, size_t before)
{
	size_t at = 0;

	while (at < before && ended_at(ended, at) != ended_at(ended, before))
		at += sizeof(uint64_t);
	return at < before;
}

static void tell_touched(struct zones *zones, const struct store_row *touched, struct buffer *ended)
{
	const struct entry *zone = touched->entry;
	enum zone_status why = standing_of_row(zones, zone);

	if (why == ZONE_OK && touched->removed)
		why = ZONE_NOT_FOUND;
	if (registry_changed(zones->registry, zone, why))
		note_ended(ended, zone->of_zone.zone);
}

/* Within a turn, so that the index can be read without its lock. */
static enum zone_status standing(void *zones, uint64_t zone, uint32_t version)
{
	return standing_of_version(zones, zone, version);
}

/* Live EZKs follow what has become of their zones. */
static void tell_all(struct zones *zones, const struct store_news *touched)
{
	AUTO(buffer_clear) struct buffer ended = {0};

	for (size_t i = 0; i < touched->count; i++)
		tell_touched(zones, &touched->rows[i], &ended);
	registry_changed_records(zones->registry, standing, zones, &ended);
	for (size_t at = 0; at < ended.len; at += sizeof(uint64_t))
		if (!is_told(&ended, at))
			tell_ended(zones, ended_at(&ended, at));
}

/* So long a store that still counts fewer zones than it has is not read anew for that. */
enum { RECOUNT_MS = 5 * 60 * 1000 };

/* Then rows of zones went without a tombstone, which no row tells. Called by the code that changes
 * the index. */
static bool has_lost_some(const struct zones *zones, const struct store_news *news)
{
	return news->zones_counted && zones->index.zone_count > news->zones;
}

/* Rows that were looked for by their key say nothing of others. */
static bool is_reading(const struct store_news *news)
{
	return news->whole || news->cursor.len > 0;
}

static void tell_miscounted(const struct zones *zones, const struct store_news *news)
{
	log_warning("the store says that it has %zu databases, and has %zu: whoever may write it "
		    "can have changed that number; see who may, and restore it from a backup",
		    news->zones, zones->index.zone_count);
}

/* Whether all is to be read for that: whoever may write the number must not have everybody read all
 * of it at each look. */
static bool is_to_recount(struct zones *zones, const struct store_news *news)
{
	const int64_t now = clock_now(zones->clock).monotonic_ms;
	const bool was_told = zones->miscounted;

	if (!news->zones_counted)
		return false;
	zones->miscounted = false;
	if (!has_lost_some(zones, news))
		return false;
	if (now >= zones->next_recount) {
		zones->next_recount = now + RECOUNT_MS;
		zones->miscounted = was_told;
		return true;
	}
	if (!was_told)
		tell_miscounted(zones, news);
	zones->miscounted = true;
	return false;
}

/* What is incomplete is read anew. */
static void note_cursor(struct zones *zones, const struct store_news *news, bool good)
{
	if (news->zones_counted)
		atomic_store(&zones->zones_there, news->zones);
	if (is_to_recount(zones, news) || !good)
		zones->cursor = (struct store_cursor){0};
	else if (is_reading(news))
		zones->cursor = news->cursor;
}

enum zone_status zones_apply(struct zones *zones, struct store_news *news)
{
	AUTO(store_news_clear) struct store_news touched = {0};
	enum zone_status status;

	if (is_reading(news))
		atomic_store(&zones->limited, news->limited);
	if (news->count == 0 && !news->whole && news->unread_count == 0 && !zones->unread) {
		note_cursor(zones, news, true);
		return ZONE_OK;
	}
	if (news->whole)
		missed_forget(&zones->asked);
	pthread_rwlock_wrlock(&zones->lock);
	status = index_apply(&zones->index, news);
	touched = zones->index.touched;
	zones->index.touched = (struct store_news){0};
	atomic_store(&zones->partial, zones->index.partial);
	atomic_store(&zones->unread, zones->index.unread_count > 0);
	atomic_fetch_add(&zones->generation, 1);
	pthread_rwlock_unlock(&zones->lock);
	tell_all(zones, &touched);
	registry_note_news(zones->registry);
	note_cursor(zones, news, status == ZONE_OK);
	if (status != ZONE_OK || is_reading(news))
		atomic_store(&zones->broken, status != ZONE_OK);
	return status;
}

enum zone_status zones_reserve(struct zones *zones, struct entry *entry)
{
	enum zone_status status;

	pthread_rwlock_wrlock(&zones->lock);
	status = index_reserve(&zones->index, entry);
	pthread_rwlock_unlock(&zones->lock);
	return status;
}

void zones_unreserve(struct zones *zones, const struct entry *entry)
{
	pthread_rwlock_wrlock(&zones->lock);
	index_unreserve(&zones->index, entry);
	pthread_rwlock_unlock(&zones->lock);
}
