/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An index that has but part of the store. The news tell of all that changes, so what is in it is
 * as fresh as in a whole one; what is not in it is asked for by its key. Whatever needs more than
 * that reads the store whole, and the index stays so.
 */
#include "zones/domain/partial.h"

#include "base/cancel.h"
#include "base/macros.h"
#include "zones/domain/lookup.h"
#include "zones/domain/state.h"
#include "zones/ezk/registry.h"
#include "zones/model/refuse.h"

#include <stdlib.h>

/* --- All of it */

static bool lacks_some(const struct zones *zones)
{
	return zones->partial && !zones->limited;
}

/* The same, or there are projects that can't be read: what is not known may be theirs. */
static bool must_ask(const struct zones *zones)
{
	return (zones->partial || zones->unread) && !zones->limited;
}

bool zones_are_partial(const struct zones *zones)
{
	return lacks_some(zones);
}

enum zone_status zones_know_all_in_turn(struct zones *zones)
{
	AUTO(store_news_clear) struct store_news news = {0};
	const struct store_cursor nothing = {0};

	if (zones->store->operations->read_few == NULL)
		return ZONE_OK;
	if (!lacks_some(zones))
		return ZONE_OK;
	zones->wants_all = true;
	TRY(zones_check_silence(zones));
	TRY(zones_note_silence(zones,
			       zones->store->operations->read(zones->store, &nothing, &news)));
	return zones_apply(zones, &news);
}

enum zone_status zones_know_all(struct zones *zones)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;

	zones->wants_all = true; /* also where it is all there: it is not to be let go */
	if (!lacks_some(zones))
		return ZONE_OK;
	TRY(zones_begin_turn(zones, &held));
	return zones_know_all_in_turn(zones);
}

/* --- By a key */

enum zone_status zones_apply_all(struct zones *zones, struct store_news *news)
{
	const size_t refused = zones->index.refused;

	TRY(zones_apply(zones, news));
	if (!zones->index.partial || zones->index.refused == refused)
		return ZONE_OK;
	missed_forget(&zones->asked); /* it may be what was asked for */
	return refuse(ZONE_STORE_CORRUPT,
		      "the store is damaged: two projects have something of the same id, and which "
		      "is right is not known; look at who may write it (docs/store-dynamodb.md)");
}

enum { TRIES = 8 }; /* where others let go of it meanwhile */

static enum zone_status refuse_lost(void)
{
	return refuse(ZONE_STORE_UNAVAILABLE,
		      "what the store said was let go again before it could be used, since [store] "
		      "index_max is small for what this process does; raise it");
}

/* Whether the index says all that there is of that key. */
static bool knows(const struct zones *zones, const struct store_key *key)
{
	const struct index *index = &zones->index;

	switch (key->by) {
	case STORE_BY_UID:
		return index_uid(index, key->uid) != NULL || index_is_buried(index, key->uid);
	case STORE_BY_ZONE:
		return !index_zone_is_unknown(index, key->zone);
	case STORE_BY_LABEL:
		/* Of zones one has it at most. */
		return (key->kind == ENTRY_ZONE &&
			index_label(index, key->project, key->kind, key->label) != NULL) ||
		       missed_has((struct missed *)(uintptr_t)&zones->asked, key, 0);
	case STORE_BY_IMPORT:
		return missed_has((struct missed *)(uintptr_t)&zones->asked, key, 0);
	}
	return false;
}

static bool knows_now(struct zones *zones, const struct store_key *key)
{
	bool known;

	pthread_rwlock_rdlock(&zones->lock);
	known = knows(zones, key);
	pthread_rwlock_unlock(&zones->lock);
	return known;
}

bool zones_know_now(struct zones *zones, const struct store_key *key)
{
	return !must_ask(zones) || knows_now(zones, key);
}

static enum zone_status know(struct zones *zones, const struct store_key *key)
{
	return zones_know_now(zones, key) ? ZONE_OK : zones_look_for(zones, key);
}

enum zone_status zones_know_in_turn(struct zones *zones, const struct store_key *keys, size_t count)
{
	if (zones->store->operations->read_few != NULL &&
	    (!zones->loaded || (must_ask(zones) && zones->store->engine->waits_ms == 0)))
		TRY(zones_look_in_turn(zones));
	for (size_t i = 0; must_ask(zones) && i < count; i++)
		if (!knows(zones, &keys[i]))
			TRY(zones_ask_in_turn(zones, &keys[i]));
	return ZONE_OK;
}

enum zone_status zones_know_zone(struct zones *zones, uint64_t zone)
{
	return know(zones,
		    &(struct store_key){.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = zone});
}

enum zone_status zones_know_imports(struct zones *zones, uint64_t zone)
{
	return know(zones,
		    &(struct store_key){.by = STORE_BY_IMPORT, .kind = ENTRY_ZONE, .zone = zone});
}

enum zone_status zones_meet_zone(struct zones *zones, uint64_t zone, struct entry **ret_entry)
{
	const struct store_key key = {.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = zone};

	for (int i = 0; i < TRIES; i++) {
		*ret_entry = zones_find_zone(zones, zone);
		if (*ret_entry != NULL || !must_ask(zones) || knows_now(zones, &key))
			return ZONE_OK;
		TRY(zones_look_for(zones, &key));
	}
	return refuse_lost();
}

enum zone_status zones_meet_uid(struct zones *zones, struct uid uid, struct entry **ret_entry)
{
	const struct store_key key = {.by = STORE_BY_UID, .uid = uid};

	for (int i = 0; i < TRIES; i++) {
		*ret_entry = zones_find_uid(zones, uid);
		if (*ret_entry != NULL || !must_ask(zones) || knows_now(zones, &key))
			return ZONE_OK;
		/* What is nowhere is not known to be so, and was asked for a moment ago. */
		if (i > 0 ? missed_has(&zones->missed, &key, zones_monotonic_ms(zones))
			  : zones_asked_just_now(zones, &key))
			return ZONE_OK;
		TRY(zones_look_for(zones, &key));
	}
	return refuse_lost();
}

enum zone_status zones_meet_number(struct zones *zones, uint64_t number, struct entry **ret_entry)
{
	struct uid uid;
	bool let_go;

	*ret_entry = zones_find_number(zones, number);
	if (*ret_entry != NULL || !lacks_some(zones))
		return ZONE_OK;
	pthread_rwlock_rdlock(&zones->lock);
	let_go = index_number_let_go(&zones->index, number, &uid);
	pthread_rwlock_unlock(&zones->lock);
	return let_go ? zones_meet_uid(zones, uid, ret_entry) : ZONE_OK;
}

/* The keys that a filter names; none: all has to be known. */
struct filter_keys {
	struct store_key keys[2];
	size_t count;
};

static void add_label(const struct entry_filter *filter, enum entry_kind kind,
		      struct filter_keys *keys)
{
	if (filter->kinds[kind])
		keys->keys[keys->count++] = (struct store_key){.by = STORE_BY_LABEL,
							       .kind = kind,
							       .project = filter->project,
							       .label = *filter->label};
}

static struct filter_keys keys_of(const struct entry_filter *filter)
{
	struct filter_keys keys = {0};

	if (filter->uid != NULL) {
		keys.keys[keys.count++] =
			(struct store_key){.by = STORE_BY_UID, .uid = *filter->uid};
	} else if (filter->label != NULL && !filter->with_pending) {
		/* The store finds labels of what is active alone. */
		add_label(filter, ENTRY_ZONE, &keys);
		add_label(filter, ENTRY_KEY, &keys);
	}
	return keys;
}

static bool asks_few(const struct entry_filter *filter)
{
	return filter->known || (!filter->kinds[ENTRY_ZONE] && !filter->kinds[ENTRY_KEY]);
}

bool zones_knows_filter(const struct zones *zones, const struct entry_filter *filter)
{
	const struct filter_keys keys = keys_of(filter);
	bool known = keys.count > 0;

	if (!lacks_some(zones) || asks_few(filter))
		return true;
	for (size_t i = 0; i < keys.count; i++)
		known &= filter->uid != NULL || knows(zones, &keys.keys[i]);
	return known;
}

bool zones_filter_needs_all(const struct zones *zones, const struct entry_filter *filter)
{
	return lacks_some(zones) && !asks_few(filter) && keys_of(filter).count == 0;
}

enum zone_status zones_know_filter(struct zones *zones, const struct entry_filter *filter)
{
	const struct filter_keys keys = keys_of(filter);

	if (asks_few(filter))
		return ZONE_OK;
	if (keys.count == 0)
		return zones_know_all(zones);
	if (!lacks_some(zones))
		return ZONE_OK;
	for (size_t i = 0; i < keys.count; i++)
		TRY(know(zones, &keys.keys[i]));
	return ZONE_OK;
}

/* --- Letting go */

static int by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Zones that are in use here, or that something which is in use stands on. */
struct in_use {
	const uint64_t *zones;
	size_t count;
};

static bool is_in_use(const void *state, uint64_t zone)
{
	const struct in_use *in_use = state;

	return in_use->count > 0 &&
	       bsearch(&zone, in_use->zones, in_use->count, sizeof(zone), by_number) != NULL;
}

size_t zones_most(const struct zones *zones)
{
	return zones->store->most == 0 ? (size_t)STORE_MOST : zones->store->most;
}

/* Some more than is wanted, so that not every look-up has some let go. */
static bool is_too_many(const struct zones *zones, size_t count)
{
	return count > zones_most(zones) + zones_most(zones) / 8;
}

static struct in_use in_use_of(struct buffer *live)
{
	struct in_use in_use = {(uint64_t *)(void *)live->data, live->len / sizeof(uint64_t)};

	if (in_use.count > 0)
		qsort(live->data, in_use.count, sizeof(uint64_t), by_number);
	return in_use;
}

static void let_go(struct zones *zones, struct buffer *live)
{
	const struct in_use in_use = in_use_of(live);

	pthread_rwlock_wrlock(&zones->lock);
	index_trim(&zones->index, zones_most(zones), is_in_use, &in_use);
	atomic_store(&zones->partial, true);
	pthread_rwlock_unlock(&zones->lock);
	missed_forget(&zones->asked);
	missed_forget(&zones->missed);
}

void zones_trim(struct zones *zones)
{
	AUTO(buffer_clear) struct buffer live = {0};

	if (zones->store->operations->read_few == NULL || zones->wants_all || zones->limited ||
	    !is_too_many(zones, zones->index.spare_count))
		return;
	registry_zones(zones->registry, &live);
	if (!live.failed) /* memory lacks: another time */
		let_go(zones, &live);
}

/* Those are the ids in the files that others bring: as many as they like, however few rows are
 * known. */
void zones_trim_absent(struct zones *zones)
{
	AUTO(buffer_clear) struct buffer live = {0};
	struct in_use in_use;

	if (!is_too_many(zones, zones->index.absent.count))
		return;
	registry_zones(zones->registry, &live);
	if (live.failed)
		return;
	in_use = in_use_of(&live);
	pthread_rwlock_wrlock(&zones->lock);
	index_trim_absent(&zones->index, zones_most(zones), is_in_use, &in_use);
	pthread_rwlock_unlock(&zones->lock);
	missed_forget(&zones->missed); /* or it would not be asked for again */
}
