/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store's partition has a head for each project: which was its last write. With these, read by
 * one Query, is known of which projects there is something new; how far each was read is
 * remembered in the process, and a cursor names what is remembered.
 */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

void dynamodb_look_clear(struct dynamodb_look *look)
{
	free(look->at.list);
	*look = (struct dynamodb_look){0};
}

/* --- Heads */

static int by_project(const void *a, const void *b)
{
	return memcmp(((const struct dynamodb_position *)a)->project.bytes,
		      ((const struct dynamodb_position *)b)->project.bytes, UID_SIZE);
}

struct dynamodb_position *dynamodb_position_of(const struct dynamodb_positions *positions,
					       struct uid project)
{
	const struct dynamodb_position wanted = {.project = project};

	if (positions->count == 0)
		return NULL;
	return bsearch(&wanted, positions->list, positions->count, sizeof(wanted), by_project);
}

bool dynamodb_set_position(struct dynamodb_positions *positions,
			   const struct dynamodb_position *position)
{
	struct dynamodb_position *list = dynamodb_position_of(positions, position->project);
	size_t at = positions->count;

	if (list != NULL) {
		*list = *position;
		return true;
	}
	list = realloc(positions->list, (positions->count + 1) * sizeof(*list));
	if (list == NULL)
		return false;
	positions->list = list;
	for (; at > 0 && by_project(&list[at - 1], position) > 0; at--)
		list[at] = list[at - 1];
	list[at] = *position;
	positions->count++;
	return true;
}

/* More than any store has, so that the sums of all heads are numbers. */
static const uint64_t count_max = (uint64_t)1 << 40;

/* Each database has a row. */
static bool counts_fit(const struct dynamodb_position *position)
{
	return position->zones <= count_max && position->rows <= count_max &&
	       (position->rows == 0 || position->zones <= position->rows);
}

bool dynamodb_read_position(const json_t *item, struct dynamodb_position *ret_position)
{
	const char *sort = dynamodb_text(item, "SK"), *by = dynamodb_text(item, "by");
	struct dynamodb_position position = {
		.rev = dynamodb_number(item, "rev"),
		.zones = dynamodb_number(item, "zones"),
		.rows = dynamodb_number(item, "rows"),
		.parts = dynamodb_number(item, "parts"),
	};

	if (strncmp(sort, "project/", 8) != 0 || !dynamodb_read_uid(sort + 8, &position.project) ||
	    position.rev == 0 || position.rev > INT64_MAX || strlen(by) >= sizeof(position.by) ||
	    !counts_fit(&position))
		return false;
	snprintf(position.by, sizeof(position.by), "%s", by);
	*ret_position = position;
	return true;
}

void dynamodb_put_position(struct buffer *out, const struct dynamodb_position *position)
{
	dynamodb_put_number(out, "rev", position->rev);
	dynamodb_put_text(out, "by", position->by);
	dynamodb_put_number(out, "zones", position->zones);
	if (position->rows > 0)
		dynamodb_put_number(out, "rows", position->rows);
	if (position->parts > 0)
		dynamodb_put_number(out, "parts", position->parts);
}

/* --- A look */

struct looking {
	struct dynamodb *dynamodb;
	struct dynamodb_look *look;
};

static enum zone_status take_head(struct looking *looking, const json_t *item)
{
	struct dynamodb_look *look = looking->look;
	enum zone_status status = rows_read_head(bytes_of(dynamodb_text(item, "v")), look->id,
						 &look->head, &look->created_ms);

	if (status == ZONE_STORE_CORRUPT)
		return dynamodb_damaged(looking->dynamodb, "head", "as a whole");
	look->exists = true;
	look->limited = look->head.min_reader > store_level_understood();
	return status;
}

/* Of a head that can't be read only whose it is: rev 0. */
static enum zone_status take_position(struct looking *looking, const json_t *item)
{
	const char *sort = dynamodb_text(item, "SK");
	struct dynamodb_position position = {0};

	if (!dynamodb_read_position(item, &position) &&
	    !dynamodb_read_uid(sort + strlen("project/"), &position.project))
		return dynamodb_damaged(looking->dynamodb, sort, "as a whole");
	looking->look->zones += position.zones;
	return dynamodb_set_position(&looking->look->at, &position) ? ZONE_OK : ZONE_NO_MEMORY;
}

static enum zone_status visit_item(void *state, const json_t *item)
{
	struct looking *looking = state;
	const char *sort = dynamodb_text(item, "SK");

	if (strcmp(sort, "head") == 0)
		return take_head(looking, item);
	/* Other names are those of later releases. */
	return strncmp(sort, "project/", 8) == 0 ? take_position(looking, item) : ZONE_OK;
}

/* A store that was there and is not is no empty one: somebody has emptied the table, or put
 * another in its place. */
static enum zone_status check_reach(struct dynamodb *dynamodb, const struct dynamodb_look *look)
{
	if (look->exists || dynamodb->id[0] == '\0')
		return ZONE_OK;
	return dynamodb_says(dynamodb, ZONE_STORE_UNAVAILABLE,
			     "it was there and is gone: its items were removed, or another table "
			     "answers; put it back, or end the processes that use it to begin "
			     "anew");
}

enum zone_status dynamodb_look(struct dynamodb *dynamodb, struct dynamodb_look *ret_look)
{
	/* "head" is the first and "wide" the last. */
	const struct dynamodb_range all = {"store", "head", "wide", false};
	struct looking looking = {dynamodb, ret_look};

	dynamodb_look_clear(ret_look);
	TRY(dynamodb_query(dynamodb, &all, visit_item, &looking));
	snprintf(ret_look->at.id, sizeof(ret_look->at.id), "%s", ret_look->id);
	return check_reach(dynamodb, ret_look);
}

/* It guards the heads: whoever goes by those must have read it before them. */
enum zone_status dynamodb_read_wide(struct dynamodb *dynamodb, uint64_t *ret_wide)
{
	const struct dynamodb_key key = dynamodb_key_wide();
	AUTO(json_freep) json_t *item = NULL;

	TRY(dynamodb_get(dynamodb, &key, &item));
	*ret_wide = dynamodb_number(item, "rev");
	return ZONE_OK;
}

enum zone_status dynamodb_look_at_head(struct dynamodb *dynamodb, struct dynamodb_look *ret_look)
{
	const struct dynamodb_key key = dynamodb_key_head();
	struct looking looking = {dynamodb, ret_look};
	AUTO(json_freep) json_t *item = NULL;

	dynamodb_look_clear(ret_look);
	TRY(dynamodb_get(dynamodb, &key, &item));
	if (item != NULL)
		TRY(take_head(&looking, item));
	return check_reach(dynamodb, ret_look);
}

/* --- Cursors */

static uint64_t serial_of(const struct store_cursor *cursor)
{
	uint64_t serial = 0;

	if (cursor->len == sizeof(serial))
		memcpy(&serial, cursor->data, sizeof(serial));
	return serial;
}

/* A cursor never leaves its process, and a serial is of one store alone. */
struct store_cursor dynamodb_remember(struct dynamodb *dynamodb, struct dynamodb_look *look)
{
	static _Atomic uint64_t serials;
	struct dynamodb_positions *place = &dynamodb->known[dynamodb->next_known];
	struct store_cursor cursor = {0};

	if (!look->exists)
		return cursor;
	dynamodb->next_known = (dynamodb->next_known + 1) % DYNAMODB_KNOWN;
	free(place->list);
	*place = look->at;
	look->at.list = NULL;
	look->at.count = 0;
	place->serial = atomic_fetch_add(&serials, 1) + 1;
	cursor.len = sizeof(place->serial);
	memcpy(cursor.data, &place->serial, sizeof(place->serial));
	return cursor;
}

const struct dynamodb_positions *dynamodb_recall(const struct dynamodb *dynamodb,
						 const struct store_cursor *cursor)
{
	uint64_t serial = serial_of(cursor);

	for (size_t i = 0; serial != 0 && i < DYNAMODB_KNOWN; i++)
		if (dynamodb->known[i].serial == serial)
			return &dynamodb->known[i];
	return NULL;
}
