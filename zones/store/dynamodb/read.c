/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is new: the heads say in which projects, and those are read one by one. */
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

#include <stdio.h>

static struct dynamodb_reading reading_of(struct dynamodb *dynamodb,
					  const struct dynamodb_look *look)
{
	return (struct dynamodb_reading){
		.dynamodb = dynamodb,
		.rows = {.newer = look->head.level > store_level_understood()},
	};
}

static void reading_clear(struct dynamodb_reading *reading)
{
	store_news_clear(&reading->news);
}

/* --- From where */

static bool is_after(const struct dynamodb_position *then, const struct dynamodb_position *now)
{
	return now != NULL && (now->rev == 0 || now->rev > then->rev ||
			       (now->rev == then->rev && strcmp(now->by, then->by) == 0));
}

/* The same store, further on: each project that was known is there, at the same write or a later
 * one. A table that was restored to an earlier time is another store. */
static bool goes_on(const struct dynamodb *dynamodb, const struct dynamodb_positions *known,
		    const struct dynamodb_look *look)
{
	if (known == NULL || !look->exists || look->limited || dynamodb->limited ||
	    strcmp(known->id, look->id) != 0)
		return false;
	for (size_t i = 0; i < known->count; i++)
		if (!is_after(&known->list[i],
			      dynamodb_position_of(&look->at, known->list[i].project)))
			return false;
	return true;
}

/* Of what was never read nothing is remembered. */
static void drop_unread(struct dynamodb_positions *at)
{
	size_t count = 0;

	for (size_t i = 0; i < at->count; i++)
		if (at->list[i].rev != 0)
			at->list[count++] = at->list[i];
	at->count = count;
}

/* *ret_lost: what was known is not in a log any more. */
static enum zone_status read_projects(struct dynamodb_reading *reading,
				      const struct dynamodb_positions *known,
				      struct dynamodb_look *look, bool few, bool *ret_lost)
{
	*ret_lost = false;
	for (size_t i = 0; i < look->at.count && !*ret_lost; i++) {
		struct dynamodb_position *now = &look->at.list[i];
		const struct dynamodb_position *then =
			known == NULL ? NULL : dynamodb_position_of(known, now->project);

		if (then != NULL && then->rev == now->rev)
			continue;
		TRY(dynamodb_try_project(reading, then, now, few, ret_lost));
		dynamodb_go_on(reading->dynamodb, DYNAMODB_READ_MS);
	}
	if (!*ret_lost)
		drop_unread(&look->at);
	return ZONE_OK;
}

/* --- The news */

static void note_store(struct dynamodb *dynamodb, const struct dynamodb_look *look)
{
	snprintf(dynamodb->id, sizeof(dynamodb->id), "%s", look->id);
	dynamodb->limited = look->limited;
	remote_was_read(&dynamodb->said, look->limited);
}

enum zone_status dynamodb_tell_limit(struct dynamodb *dynamodb, const struct dynamodb_look *look)
{
	if (look->limited)
		dynamodb_says(dynamodb, ZONE_STORE_NEWER,
			      "reading it takes level %u, and this release knows level %u; "
			      "install %s",
			      look->head.min_reader, store_level_understood(), look->head.release);
	return ZONE_OK;
}

static enum zone_status read_new_rows(struct dynamodb_reading *reading,
				      const struct dynamodb_positions *known,
				      struct dynamodb_look *look, bool few, bool *whole)
{
	bool lost = false;

	if (look->limited)
		return dynamodb_read_in_part(reading, look);
	TRY(read_projects(reading, *whole ? NULL : known, look, few, &lost));
	if (!lost)
		return ZONE_OK;
	*whole = true;
	reading_clear(reading);
	TRY(dynamodb_look(reading->dynamodb, look));
	return read_projects(reading, NULL, look, few, &lost);
}

static uint64_t count_zones(const struct dynamodb_look *look)
{
	uint64_t count = 0;

	for (size_t i = 0; i < look->at.count; i++)
		count += look->at.list[i].zones;
	return count;
}

/* What is known already is another store's, else: that is rare, and read as a whole; and so is what
 * was not counted. */
static bool is_more(const struct dynamodb_look *look, size_t most)
{
	uint64_t rows = 0;

	for (size_t i = 0; i < look->at.count; i++) {
		if (look->at.list[i].rows == 0 && look->at.list[i].rev != 0)
			return false;
		rows += look->at.list[i].rows;
	}
	return look->exists && !look->limited && rows > most;
}

static bool is_same(const struct dynamodb_positions *known, const struct dynamodb_positions *now)
{
	if (known->count != now->count)
		return false;
	for (size_t i = 0; i < now->count; i++)
		if (known->list[i].rev != now->list[i].rev)
			return false;
	return true;
}

/* The look keeps its heads: a write goes by them. */
static enum zone_status make_cursor(struct dynamodb *dynamodb, const struct dynamodb_look *look,
				    struct store_cursor *ret_cursor)
{
	AUTO(dynamodb_look_clear) struct dynamodb_look copy = *look;

	copy.at.list = NULL;
	copy.at.count = 0;
	for (size_t i = 0; i < look->at.count; i++)
		if (!dynamodb_set_position(&copy.at, &look->at.list[i]))
			return ZONE_NO_MEMORY;
	*ret_cursor = dynamodb_remember(dynamodb, &copy);
	return ZONE_OK;
}

enum zone_status dynamodb_read_news(struct dynamodb *dynamodb, const struct store_cursor *since,
				    size_t most, struct dynamodb_look *ret_look,
				    struct store_news *ret_news)
{
	const struct dynamodb_positions *known = dynamodb_recall(dynamodb, since);
	AUTO(reading_clear) struct dynamodb_reading reading = {0};
	struct store_cursor cursor = *since;
	bool whole, few;

	dynamodb_be_patient(dynamodb);
	TRY(dynamodb_look(dynamodb, ret_look));
	reading = reading_of(dynamodb, ret_look);
	whole = !goes_on(dynamodb, known, ret_look);
	few = whole && since->len == 0 && is_more(ret_look, most);
	if (ret_look->exists)
		TRY(read_new_rows(&reading, known, ret_look, few, &whole));
	TRY(dynamodb_note_unread(dynamodb, &reading.news));
	if (whole || !is_same(known, &ret_look->at))
		TRY(make_cursor(dynamodb, ret_look, &cursor));
	*ret_news = reading.news;
	reading.news = (struct store_news){0};
	ret_news->whole = whole;
	ret_news->partial = few;
	ret_news->limited = ret_look->limited;
	ret_news->unknown = reading.rows.unknown;
	ret_news->zones_counted = ret_look->exists && !whole;
	ret_news->zones = (size_t)count_zones(ret_look);
	ret_news->cursor = cursor;
	note_store(dynamodb, ret_look);
	return dynamodb_tell_limit(dynamodb, ret_look);
}
