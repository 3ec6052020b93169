/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The two stores of a copy, read whole. */
#include "base/cancel.h"
#include "base/macros.h"
#include "zones/domain/store_copy_private.h"
#include "zones/model/moving.h"
#include "zones/model/refuse.h"

#include <stdlib.h>

static void forget(struct side *side)
{
	store_news_clear(&side->news);
	map_clear(&side->by_uid);
}

void side_clear(struct side *side)
{
	forget(side);
	free(side->name);
	*side = (struct side){0};
}

static bool note_rows(struct side *side)
{
	for (size_t i = 0; i < side->news.count; i++) {
		struct store_row *row = &side->news.rows[i];

		if (!map_put(&side->by_uid, bytes(row->entry->uid.bytes, UID_SIZE), row))
			return false;
	}
	return true;
}

static enum zone_status note_facts(struct side *side)
{
	struct store_facts facts = {0};

	TRY(side->store->operations->look_at(side->store, &facts));
	if (side->name == NULL)
		side->name = strdup(facts.path);
	memcpy(side->id, facts.id, sizeof(side->id));
	side->exists = facts.exists;
	side->level = facts.head.level;
	return side->name == NULL ? ZONE_NO_MEMORY : ZONE_OK;
}

/* What is missing of such a project may be there: it must neither stay behind, nor be removed in
 * the other store as if it were gone. */
static enum zone_status check_read(const struct side *side)
{
	const struct store_unread *unread = side->news.unread;

	if (side->news.unread_count == 0)
		return ZONE_OK;
	return refuse(unread->why, "store %s: %s; nothing is copied while a project can't be read",
		      side->name, unread->text);
}

static enum zone_status read_all(struct side *side)
{
	const struct store_cursor nothing = {0};

	forget(side);
	TRY(note_facts(side));
	TRY(side->store->operations->read(side->store, &nothing, &side->news));
	if (side->news.limited || side->news.unknown > 0)
		return refuse(
			ZONE_STORE_NEWER,
			"store %s has rows that only a later release knows; copy it with that "
			"release (cmek store show)",
			side->name);
	TRY(check_read(side));
	return note_rows(side) ? ZONE_OK : ZONE_NO_MEMORY;
}

/* This process may use its own store otherwise meanwhile. */
enum zone_status side_read(struct copying *copying, struct side *side)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;

	if (side == &copying->from)
		TRY(zones_begin_turn(copying->zones, &held));
	return read_all(side);
}

enum zone_status copy_refuse_other(const struct entry *project, const char *store)
{
	return refuse(ZONE_CONFLICT,
		      "project %s: somebody else is at work on it in store %s; wait for that, then "
		      "run this again",
		      project->label, store);
}

bool copy_arrives(const struct copying *copying, const struct entry *there)
{
	struct bytes place;

	for (size_t i = 0; i < copying->count; i++)
		if (uid_equal(copying->projects[i], there->uid))
			return there->revision == copying->arriving[i] &&
			       moving_of(there, &place) == MOVING_IN &&
			       bytes_are(place, copying->from.name);
	return true;
}

enum zone_status copy_read_there(struct copying *copying)
{
	TRY(side_read(copying, &copying->to));
	for (size_t i = 0; i < copying->count; i++) {
		const struct entry *there = side_project(&copying->to, copying->projects[i]);

		if (there == NULL || !copy_arrives(copying, there))
			return copy_refuse_other(side_project(&copying->from, copying->projects[i]),
						 copying->to.name);
	}
	return ZONE_OK;
}

struct store_row *side_row(const struct side *side, struct uid uid)
{
	return map_find(&side->by_uid, bytes(uid.bytes, UID_SIZE));
}

struct entry *side_project(const struct side *side, struct uid uid)
{
	struct store_row *row = side_row(side, uid);

	return row == NULL || row->removed || row->entry->kind != ENTRY_PROJECT ? NULL : row->entry;
}

bool copying_has(const struct copying *copying, struct uid project)
{
	for (size_t i = 0; i < copying->count; i++)
		if (uid_equal(copying->projects[i], project))
			return true;
	return false;
}
