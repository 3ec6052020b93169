/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is new, as of one revision: the rows that were changed since, with the versions of those
 * that are zones. Etcd answers what it had at a revision for as long as that is not compacted,
 * however many requests it takes.
 */
#include "base/macros.h"
#include "zones/store/etcd/read_private.h"

#include <stdio.h>
#include <stdlib.h>

enum { LOOKS = 3 };

/* --- In part */

/* What a row is at every level of a store, and where it goes. */
struct part {
	struct etcd_reading *reading;
	struct remote_limited limited;
};

static void part_clear(struct part *part)
{
	remote_limited_clear(&part->limited);
}

static enum zone_status visit_minimum(void *state, const struct kv *kv)
{
	struct part *part = state;
	struct etcd_reading *reading = part->reading;
	struct rows_minimum minimum;

	TRY(etcd_judge(reading,
		       rows_read_minimum(&reading->rows, kv->value, kv->revision, &minimum), kv));
	return remote_limited_add(&part->limited, &reading->news, &minimum);
}

static enum zone_status read_in_part(struct etcd_reading *reading, enum etcd_fate *ret_fate)
{
	const struct etcd_range range = {.revision = reading->look->revision};
	AUTO(part_clear) struct part part = {.reading = reading};
	AUTO(buffer_clear) struct buffer below = {0};

	etcd_key(reading->etcd, &below, "row/");
	TRY(etcd_each(reading->etcd, &below, range, visit_minimum, &part, ret_fate));
	return remote_limited_end(&part.limited, &reading->news);
}

/* --- Both */

enum zone_status etcd_read_rows(struct etcd_reading *reading, uint64_t newer_than,
				enum etcd_fate *ret_fate)
{
	const struct etcd_range range = {.revision = reading->look->revision,
					 .newer_than = newer_than};
	AUTO(buffer_clear) struct buffer below = {0};

	if (reading->look->limited)
		return read_in_part(reading, ret_fate);
	etcd_key(reading->etcd, &below, "row/");
	TRY(etcd_each(reading->etcd, &below, range, etcd_visit_row, reading, ret_fate));
	return etcd_read_versions(reading, newer_than == 0, ret_fate);
}

struct etcd_reading etcd_reading_of(struct etcd *etcd, const struct etcd_look *look)
{
	return (struct etcd_reading){
		.etcd = etcd,
		.look = look,
		.rows = {.newer = look->head.level > store_level_understood()},
	};
}

static enum zone_status read_once(struct etcd *etcd, const struct store_cursor *since,
				  struct etcd_look *look, struct store_news *ret_news,
				  enum etcd_fate *ret_fate)
{
	AUTO(etcd_reading_clear) struct etcd_reading reading = {0};
	bool any, whole;

	*ret_fate = ETCD_ANSWERED;
	TRY(etcd_look_since(etcd, etcd_cursor_revision(since), look, &any));
	reading = etcd_reading_of(etcd, look);
	whole = !etcd_goes_on(etcd, since, look);
	if (look->exists && (whole || any))
		TRY(etcd_read_rows(&reading, whole ? 0 : etcd_cursor_revision(since), ret_fate));
	*ret_news = reading.news;
	reading.news = (struct store_news){0};
	ret_news->whole = whole;
	ret_news->limited = look->limited;
	ret_news->unknown = reading.rows.unknown;
	ret_news->zones_counted = look->exists && !whole && look->pending == 0;
	ret_news->zones = look->zones;
	ret_news->cursor = etcd_cursor(look, look->revision);
	return ZONE_OK;
}

/* Its writer is about it. What a second look finds still, it was killed over: whoever may write
 * puts it in its place, of whom some look. */
static void note_pending(struct etcd *etcd, uint64_t pending)
{
	const struct remote_said before = etcd->said;

	if (pending != 0 && etcd->pending == pending)
		etcd_place_parts(etcd);
	etcd->said = before;
	etcd->pending = pending;
}

void etcd_note_store(struct etcd *etcd, const struct etcd_look *look)
{
	snprintf(etcd->id, sizeof(etcd->id), "%s", look->id);
	etcd->limited = look->limited;
	note_pending(etcd, look->pending);
	remote_was_read(&etcd->said, look->limited);
}

enum zone_status etcd_tell_limit(struct etcd *etcd, const struct etcd_look *look)
{
	if (look->limited)
		etcd_says(etcd, ZONE_STORE_NEWER,
			  "reading it takes level %u, and this release knows level %u; install %s",
			  look->head.min_reader, store_level_understood(), look->head.release);
	return ZONE_OK;
}

enum zone_status etcd_tell_compacted(struct etcd *etcd)
{
	return etcd_says(etcd, ZONE_STORE_UNAVAILABLE,
			 "it was compacted again and again while it was read; let etcd keep some "
			 "minutes");
}

/* Others are told to; what was compacted stays away, however often it is looked at. */
static enum zone_status tell_blocked(struct etcd *etcd)
{
	return etcd_says(etcd, ZONE_STORE_UNAVAILABLE,
			 "a large change was cut off, and the state before it is compacted; run "
			 "'cmek store check' as a user who may write it");
}

enum zone_status etcd_unblock(struct etcd *etcd, const struct etcd_look *look, enum etcd_fate fate)
{
	const struct remote_said before = etcd->said;
	enum zone_status status;

	if (fate != ETCD_COMPACTED || look->pending == 0)
		return ZONE_OK;
	etcd->said.status = ZONE_STORE_DENIED; /* what that means here is told instead */
	status = etcd_place_parts(etcd);
	if (status == ZONE_OK || status == ZONE_STORE_DENIED)
		etcd->said = before;
	return status == ZONE_STORE_DENIED ? tell_blocked(etcd) : status;
}

enum zone_status etcd_read_news(struct etcd *etcd, const struct store_cursor *since,
				struct etcd_look *ret_look, struct store_news *ret_news)
{
	enum etcd_fate fate = ETCD_COMPACTED;
	enum zone_status status = ZONE_STORE_UNAVAILABLE;

	/* What was compacted while it was read is read as it is now. */
	for (int i = 0; i < LOOKS && fate == ETCD_COMPACTED; i++) {
		status = read_once(etcd, since, ret_look, ret_news, &fate);
		TRY(etcd_unblock(etcd, ret_look, fate));
	}
	if (fate == ETCD_COMPACTED && status != ZONE_OK)
		return etcd_tell_compacted(etcd);
	TRY(status);
	etcd_note_store(etcd, ret_look);
	return etcd_tell_limit(etcd, ret_look);
}
