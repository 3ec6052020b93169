/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store's levels as people and programs see them, and bringing it to another. */
#include "zones/domain/levels.h"

#include "base/cancel.h"
#include "base/json.h"
#include "base/macros.h"
#include "zones/domain/state.h"
#include "zones/kms/audit.h"

#include <stdio.h>
#include <stdlib.h>

enum zone_status zones_store_look_at(struct zones *zones, struct store_facts *ret_facts)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;

	TRY(zones_begin_turn(zones, &held));
	return zones->store->operations->look_at(zones->store, ret_facts);
}

bool zones_store_may_write(struct zones *zones)
{
	struct store_facts facts;

	return zones_store_look_at(zones, &facts) == ZONE_OK && facts.exists && facts.writable &&
	       facts.head.min_writer <= store_level_understood();
}

static json_t *level_json(const struct store_level *level)
{
	return json_pack("{s:i, s:i, s:i, s:s, s:s}", "level", (int)level->level, "min_reader",
			 (int)level->min_reader, "min_writer", (int)level->min_writer, "release",
			 level->release, "feature", level->feature);
}

/* NULL: no memory. */
static json_t *levels_json(void)
{
	json_t *levels = json_array();

	for (unsigned level = 1; level <= store_level_understood(); level++) {
		if (json_array_append_new(levels, level_json(store_level_row(level))) == 0)
			continue;
		json_decref(levels);
		return NULL;
	}
	return levels;
}

static json_t *facts_json(const struct store_facts *facts, const char *engine)
{
	const char *rights_on = facts->rights_on == NULL ? facts->path : facts->rights_on;
	unsigned own = store_level_understood();
	const struct store_head *head = &facts->head;

	return json_pack(
		"{s:o, s:s, s:o, s:b, s:i, s:i, s:i, s:s, s:s, s:i, s:b, s:b, s:b, s:b, s:o}",
		"store", json_text(facts->path), "engine", engine, "rights_on",
		json_text(rights_on), "exists", facts->exists, "level", (int)head->level,
		"min_reader", (int)head->min_reader, "min_writer", (int)head->min_writer, "needs",
		head->release, "this_release", CMEK_VERSION, "understands", (int)own, "reads",
		head->min_reader <= own, "writes", head->min_writer <= own, "writable",
		facts->writable, "way_back", facts->way_back, "levels", levels_json());
}

enum zone_status zones_store_describe(struct zones *zones, struct buffer *ret_json)
{
	struct store_facts facts;
	json_t *json;
	char *text;

	TRY(zones_store_look_at(zones, &facts));
	json = facts_json(&facts, zones->store->engine->name);
	text = json == NULL ? NULL : json_dumps(json, JSON_ENSURE_ASCII);
	json_decref(json);
	if (text == NULL)
		return ZONE_NO_MEMORY;
	buffer_put_text(ret_json, text);
	free(text);
	return ret_json->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

enum zone_status zones_store_levels(struct zones *zones, unsigned *ret_level,
				    unsigned *ret_understood)
{
	struct store_facts facts;

	TRY(zones_store_look_at(zones, &facts));
	*ret_level = facts.head.level;
	*ret_understood = store_level_understood();
	return ZONE_OK;
}

static void audit(unsigned from, unsigned to)
{
	char levels[64];
	struct audit_event event = {
		.event = "store",
		.action = to > from ? "upgraded" : "downgraded",
		.outcome = "ok",
		.name = levels,
		.duration_us = -1,
	};

	snprintf(levels, sizeof(levels), "level %u to %u", from, to);
	audit_write(&event);
}

static enum zone_status bring(struct zones *zones, unsigned from, unsigned to)
{
	TRY(audit_ready());
	TRY(zones->store->operations->bring(zones->store, from, to));
	if (from != to)
		audit(from, to);
	return ZONE_OK;
}

enum zone_status zones_store_bring(struct zones *zones, unsigned from, unsigned to)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;

	TRY(zones_begin_turn(zones, &held));
	return bring(zones, from, to);
}
