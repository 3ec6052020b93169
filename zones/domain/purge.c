/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The end of what awaits deletion: as many transactions as that takes, and the store's file after
 * them. */
#include "zones/domain/purge.h"

#include "base/cancel.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/domain/levels.h"
#include "zones/domain/purge_private.h"
#include "zones/index/rules.h"
#include "zones/model/refuse.h"

/* --- All of it */

static void add(struct purge_report *sum, const struct purge_report *step)
{
	sum->zones += step->zones;
	sum->versions += step->versions;
	sum->token_keys += step->token_keys;
	sum->clusters += step->clusters;
	sum->root_keys += step->root_keys;
	sum->projects += step->projects;
	sum->announced += step->announced;
}

enum zone_status purge_run(struct zones *zones, struct purge *purge, size_t most,
			   struct purge_report *sum)
{
	size_t rows = 0;

	do {
		TRY(zones_change(zones, purge_decide, purge));
		add(sum, &purge->step);
		rows += purge->rows;
	} while (purge->rows > 0 && rows < most);
	return ZONE_OK;
}

void purge_tell(const struct purge_report *sum)
{
	size_t all = sum->zones + sum->versions + sum->token_keys + sum->clusters + sum->root_keys +
		     sum->projects;

	if (all > 0)
		log_notice("store: gone for good, since their time was over: %zu databases, %zu "
			   "key versions, %zu token keys, %zu clusters, %zu root keys, %zu "
			   "projects",
			   sum->zones, sum->versions, sum->token_keys, sum->clusters,
			   sum->root_keys, sum->projects);
	if (sum->announced > 0)
		log_warning("store: the time of something that awaits deletion is over in %zu "
			    "projects: it goes for good in a day ('cmek maintain --dry-run' lists "
			    "it); if this clock is wrong, set it right",
			    sum->announced);
}

static enum zone_status scrub_in_turn(struct zones *zones)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;

	TRY(zones_begin_turn(zones, &held));
	return zones->store->operations->scrub(zones->store);
}

/* A store may have no way to do that, or lack the room: what was removed stays so. */
static bool scrub(struct zones *zones)
{
	struct store_facts facts = {.path = "?"};

	if (zones->store->operations->scrub == NULL)
		return false;
	if (scrub_in_turn(zones) == ZONE_OK)
		return true;
	if (zones_store_look_at(zones, &facts) != ZONE_OK)
		facts.path = "?";
	log_warning("store %s: its file could not be rewritten, and may have old bytes of what is "
		    "gone; make room on its disk, and run 'cmek maintain --now' again",
		    facts.path);
	return false;
}

/* Whoever asks for all that is due may do so since the last time failed. */
static bool is_to_be_scrubbed(struct zones *zones, enum purge_how how,
			      const struct purge_report *sum)
{
	return sum->zones + sum->versions > 0 || (how == PURGE_DUE && zones_store_may_write(zones));
}

enum zone_status zones_purge(struct zones *zones, enum purge_how how,
			     struct purge_report *ret_report)
{
	struct purge purge = {.how = how};
	struct purge_report sum = {0};
	enum zone_status status = purge_run(zones, &purge, SIZE_MAX, &sum);

	purge_tell(&sum);
	if (status == ZONE_OK && is_to_be_scrubbed(zones, how, &sum))
		sum.scrubbed = scrub(zones);
	*ret_report = sum;
	return status;
}

/* --- One entry */

struct one {
	const struct entry *entry; /* as the caller knows it */
	struct purge purge;
};

static enum zone_status decide_one(struct changes *changes, void *state)
{
	struct one *one = state;
	struct entry *current;

	changes->purges = true;
	one->purge = (struct purge){.changes = changes, .index = &changes->zones->index};
	TRY(entry_check_current(&changes->zones->index, one->entry, &current));
	if (current->kind == ENTRY_KEY || current->kind == ENTRY_PROJECT ||
	    (current->kind != ENTRY_ARCHIVE && current->state == ENTRY_ACTIVE))
		return refuse(
			ZONE_INVALID,
			"the %s '%s' does not await deletion: delete it first, since that can "
			"be undone",
			entry_kind_word(current->kind), current->label);
	return purge_take_one(&one->purge, current);
}

enum zone_status zones_purge_entry(struct zones *zones, const struct entry *entry)
{
	struct one one = {.entry = entry};
	struct purge leftovers = {.leftovers = true};
	struct purge_report sum = {0};

	TRY(zones_change(zones, decide_one, &one));
	if (entry->kind == ENTRY_ARCHIVE)
		TRY(purge_run(zones, &leftovers, SIZE_MAX, &sum));
	if (entry->kind == ENTRY_ZONE || entry->kind == ENTRY_ARCHIVE)
		scrub(zones);
	return ZONE_OK;
}
