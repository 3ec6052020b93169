/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The life of struct zones, and looking into the store. */
#include "zones/domain/zones.h"

#include "base/cancel.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/macros.h"
#include "net/retry.h"
#include "zones/domain/state.h"
#include "zones/ezk/registry.h"
#include "zones/model/pins.h"

#include <stdlib.h>

enum { TIDY_EVERY_MS = 1000 };

/* --- Life */

bool zones_pins_valid(const char *text, struct bytes *ret_bad, bool *ret_no_memory)
{
	return pins_valid(text, ret_bad, ret_no_memory);
}

static bool own_text(const char **text, const char *from)
{
	*text = from == NULL ? NULL : strdup(from);
	return *text != NULL || from == NULL;
}

/* The settings that are text. */
static bool own_settings(struct zones *zones, const struct zones_settings *settings)
{
	bool failed;

	zones->settings = *settings;
	zones->settings.pins = NULL;
	zones->pins = pins_new(settings->pins, &failed);
	failed |= !own_text(&zones->settings.default_root_key, settings->default_root_key);
	failed |= !own_text(&zones->settings.pins_at, settings->pins_at);
	return !failed;
}

enum zone_status zones_new(const struct zones_settings *settings, struct store *store,
			   struct kms_clients *clients, struct zones **ret_zones)
{
	struct zones *zones = calloc(1, sizeof(*zones));

	if (zones == NULL)
		return ZONE_NO_MEMORY;
	zones->clock = settings->clock != NULL ? settings->clock : &clock_system;
	turn_init(&zones->changing);
	missed_init(&zones->missed);
	missed_init(&zones->asked);
	store_silence_init(&zones->silence);
	pthread_rwlock_init(&zones->lock, NULL);
	if (!schedule_init(&zones->schedule) || !own_settings(zones, settings) ||
	    zones_live_ezks(zones, clients, &zones->registry) != ZONE_OK) {
		zones_free(zones);
		return ZONE_NO_MEMORY;
	}
	zones->store = store;
	zones->clients = clients;
	index_init(&zones->index, kms_clients_providers(clients));
	*ret_zones = zones;
	return ZONE_OK;
}

void zones_free(struct zones *zones)
{
	if (zones == NULL)
		return;
	registry_free(zones->registry);
	index_clear(&zones->index);
	if (zones->store != NULL)
		zones->store->operations->free(zones->store);
	kms_clients_free(zones->clients);
	pthread_rwlock_destroy(&zones->lock);
	missed_clear(&zones->missed);
	missed_clear(&zones->asked);
	store_silence_clear(&zones->silence);
	schedule_clear(&zones->schedule);
	turn_clear(&zones->changing);
	free((char *)(uintptr_t)zones->settings.default_root_key);
	free((char *)(uintptr_t)zones->settings.pins_at);
	pins_free(zones->pins);
	free(zones);
}

void zones_abandon(struct zones *zones)
{
	registry_abandon(zones->registry);
	zones->store->operations->abandon(zones->store);
	kms_clients_abandon(zones->clients);
}

int64_t zones_now_ms(const struct zones *zones)
{
	int64_t now = zones->clock->realtime_ms(zones->clock->state);

	return now > 0 ? now : 0; /* a clock that was never set */
}

int64_t zones_deletion_ms(const struct zones *zones)
{
	return zones_now_ms(zones) + (int64_t)zones->settings.deletion_window_days * DAY_MS;
}

/* --- Looking into the store */

/* A whole index goes on whole, and so does one that lacks nothing but what it may be told anew. */
static bool reads_few(const struct zones *zones)
{
	return zones->store->operations->read_few != NULL && !zones->wants_all && !zones->limited &&
	       (zones->partial ? zones->cursor.len > 0 : !zones->loaded);
}

static size_t reads_whole(const struct store *store)
{
	if (store->most != 0)
		return store->most;
	return store->engine->reads_whole != 0 ? store->engine->reads_whole : (size_t)STORE_MOST;
}

static enum zone_status read_news(struct zones *zones, struct store_news *ret_news)
{
	struct store *store = zones->store;

	return reads_few(zones) ? store->operations->read_few(store, &zones->cursor,
							      reads_whole(store), ret_news)
				: store->operations->read(store, &zones->cursor, ret_news);
}

static enum zone_status take_news(struct zones *zones)
{
	AUTO(store_news_clear) struct store_news news = {0};

	enum zone_status status;

	TRY(read_news(zones, &news));
	status = zones_apply_all(zones, &news);
	return status == ZONE_STORE_CORRUPT ? ZONE_OK : status; /* it stops nobody else */
}

static bool knows_some(const struct zones *zones)
{
	return zones->cursor.len > 0;
}

static enum zone_status look(struct zones *zones)
{
	bool knew = knows_some(zones);

	/* Of a store that can be read in part, each look says so anew. */
	if (knew && !zones->limited && !zones->store->operations->changed(zones->store))
		return ZONE_OK;
	TRY(take_news(zones));
	if (knew && !knows_some(zones)) /* the news showed that something is missing */
		TRY(take_news(zones));
	return zones->limited ? ZONE_STORE_NEWER : ZONE_OK;
}

int64_t zones_monotonic_ms(const struct zones *zones)
{
	return zones->clock->monotonic_ms(zones->clock->state);
}

static bool is_due(const struct zones *zones)
{
	return !zones->loaded || zones->broken || zones_monotonic_ms(zones) >= zones->next_look;
}

/* What is due with each look, also while the store need not be asked again. */
static void note_look(struct zones *zones)
{
	int64_t soon = zones_monotonic_ms(zones) + TIDY_EVERY_MS;

	registry_note_news(zones->registry);
	zones->next_look = soon < zones->next_read ? soon : zones->next_read;
	lease_rules_look_at(registry_rules(zones->registry), zones->next_look);
}

/* Up to a tenth sooner where each look is a request, so that processes which began together, or
 * heard of an outage together, don't ask in step. */
static int64_t until_next_read(const struct store *store)
{
	int64_t ms =
		store->look_every_ms != 0 ? store->look_every_ms : store->engine->look_every_ms;

	return store->engine->waits_ms == 0 ? ms : ms - retry_jitter(ms / 10);
}

void zones_looked(struct zones *zones, enum zone_status status)
{
	zones->look = status;
	/* Memory may be there again for the next call. */
	zones->next_read = status == ZONE_NO_MEMORY
				   ? 0
				   : zones_monotonic_ms(zones) + until_next_read(zones->store);
	note_look(zones);
	if (status == ZONE_OK || (status == ZONE_STORE_NEWER && zones->limited))
		zones->loaded = true;
}

/* While somebody else keeps the store busy, what is known is still good to use; so is what could be
 * read of a newer store. */
static enum zone_status bearable(const struct zones *zones, enum zone_status status)
{
	bool good = zone_status_is_store_outage(status) ||
		    (status == ZONE_STORE_NEWER && zones->limited);

	return zones->loaded && good ? ZONE_OK : status;
}

enum zone_status zones_begin_turn(struct zones *zones, struct zones **ret_held)
{
	if (!turn_take(&zones->changing, zones->store->engine->waits_ms)) {
		log_reason("another call of this process waits for the store");
		return ZONE_STORE_UNAVAILABLE;
	}
	*ret_held = zones;
	return ZONE_OK;
}

void zones_end_turn(struct zones **held)
{
	if (*held != NULL)
		turn_give(&(*held)->changing);
}

enum zone_status zones_check_silence(struct zones *zones)
{
	return store_silence_check(&zones->silence, zones_monotonic_ms(zones));
}

enum zone_status zones_note_silence(struct zones *zones, enum zone_status status)
{
	/* A store that answers, if only about one project, need not be spared. */
	store_silence_note(&zones->silence, zones->store->away ? status : ZONE_OK,
			   zones_monotonic_ms(zones));
	return status;
}

/* Whoever has waited need not look, if a look that began meanwhile did. */
static bool was_looked(const struct zones *zones, uint64_t looks)
{
	return zones->store->engine->waits_ms > 0 && zones->looks > looks;
}

/* With the turn, as the next. */
enum zone_status zones_look_in_turn(struct zones *zones)
{
	enum zone_status status;

	/* A good time: calls that have no time for it of their own come by once a second. */
	registry_sweep(zones->registry);
	TRY(zones_check_silence(zones));
	atomic_fetch_add(&zones->looks, 1);
	status = zones_note_silence(zones, look(zones));
	zones_looked(zones, status);
	zones_trim(zones);
	return status;
}

static enum zone_status look_if_due(struct zones *zones)
{
	if (!is_due(zones))
		return zones->look;
	if (!zones->loaded || zones->broken || zones_monotonic_ms(zones) >= zones->next_read)
		return zones_look_in_turn(zones);
	registry_sweep(zones->registry);
	note_look(zones);
	return zones->look;
}

/* wait_ms: 0: as long as the engine's calls may take. */
static enum zone_status refresh_now(struct zones *zones, unsigned wait_ms)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;
	uint64_t looks = zones->looks;

	if (wait_ms == 0)
		TRY(zones_begin_turn(zones, &held));
	else if (turn_take(&zones->changing, wait_ms))
		held = zones;
	if (held == NULL)
		return ZONE_STORE_UNAVAILABLE;
	return was_looked(zones, looks) ? zones->look : zones_look_in_turn(zones);
}

static enum zone_status refresh_due(struct zones *zones)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;

	/* Another thread is looking, or changing something: no need to wait for it. */
	if (!zones->loaded || zones->broken)
		TRY(zones_begin_turn(zones, &held));
	else if (turn_try(&zones->changing))
		held = zones;
	return held == NULL ? zones->look : look_if_due(zones);
}

enum zone_status zones_refresh(struct zones *zones, bool now)
{
	if (now)
		return refresh_now(zones, 0);
	return bearable(zones, is_due(zones) ? refresh_due(zones) : zones->look);
}

enum zone_status zones_refresh_within(struct zones *zones, unsigned wait_ms)
{
	return refresh_now(zones, wait_ms);
}

static enum zone_status note_absent(struct zones *zones, uint64_t zone)
{
	bool good;

	zones_trim_absent(zones);
	pthread_rwlock_wrlock(&zones->lock);
	good = !index_zone_is_unknown(&zones->index, zone) ||
	       index_note_absent(&zones->index, zone);
	pthread_rwlock_unlock(&zones->lock);
	return good ? ZONE_OK : ZONE_NO_MEMORY;
}

bool zones_asked_just_now(struct zones *zones, const struct store_key *key)
{
	return zones->store->engine->waits_ms > 0 &&
	       missed_has(&zones->missed, key, zones_monotonic_ms(zones));
}

/* Whoever had the turn before may have asked for the same. */
enum zone_status zones_ask_in_turn(struct zones *zones, const struct store_key *key)
{
	AUTO(store_news_clear) struct store_news news = {0};

	if (zones_asked_just_now(zones, key))
		return ZONE_OK;
	TRY(zones_check_silence(zones));
	TRY(zones_note_silence(zones, zones->store->operations->find(zones->store, key, &news)));
	if (news.count == 0)
		missed_add(&zones->missed, key, zones_monotonic_ms(zones));
	if (key->by == STORE_BY_ZONE)
		news.zone = key->zone;
	TRY(zones_apply_all(zones, &news));
	/* What comes to that label or import from now on, the news tell. */
	if (key->by == STORE_BY_LABEL || key->by == STORE_BY_IMPORT)
		missed_keep(&zones->asked, key);
	return key->by == STORE_BY_ZONE ? note_absent(zones, key->zone) : ZONE_OK;
}

/* Of a store that need not be waited for, a look-up costs what a hundred rows cost that are read
 * with others. So whoever has met a hundredth reads it whole, once, if all of it may be kept. */
enum { ROWS_A_FIND = 100 };

static bool is_worth_all(struct zones *zones)
{
	const size_t there = atomic_load(&zones->zones_there);

	return zones->store->engine->waits_ms == 0 && zones->partial && !zones->read_on &&
	       ++zones->found_here * ROWS_A_FIND > there && there <= zones_most(zones);
}

static enum zone_status find_now(struct zones *zones, const struct store_key *key)
{
	AUTO(cancel_releasep) int cancel = cancel_hold();
	AUTO(zones_end_turn) struct zones *held = NULL;

	TRY(zones_begin_turn(zones, &held));
	if (is_worth_all(zones)) {
		zones->read_on = true;
		zones->cursor = (struct store_cursor){0};
		return zones_look_in_turn(zones);
	}
	TRY(zones_ask_in_turn(zones, key));
	zones_trim(zones);
	return ZONE_OK;
}

enum zone_status zones_look_for(struct zones *zones, const struct store_key *key)
{
	/* Part of the store is good only beside all that was there before. */
	if (zones->store->operations->find == NULL || !zones->loaded || zones->broken ||
	    zones->limited)
		return zones_refresh(zones, true);
	if (zones_asked_just_now(zones, key))
		return ZONE_OK;
	/* An engine that need not wait is read on, and asked for no more than that leaves out. */
	if (zones->store->engine->waits_ms == 0) {
		TRY(zones_refresh(zones, true));
		if (zones_know_now(zones, key))
			return ZONE_OK;
	}
	return find_now(zones, key);
}

static bool has_version(struct zones *zones, uint64_t id, uint32_t version)
{
	const struct entry *zone;
	bool found;

	pthread_rwlock_rdlock(&zones->lock);
	zone = index_zone(&zones->index, id);
	found = zone != NULL && entry_version(zone, version) != NULL;
	pthread_rwlock_unlock(&zones->lock);
	return found;
}

enum zone_status zones_look_for_version(struct zones *zones, uint64_t zone, uint32_t version)
{
	const struct store_key of_zone = {.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = zone};
	struct store_key of_version = of_zone;

	of_version.version = version;
	if (missed_has(&zones->missed, &of_version, zones_monotonic_ms(zones)))
		return ZONE_OK;
	TRY(zones_look_for(zones, &of_zone));
	if (!has_version(zones, zone, version))
		missed_add(&zones->missed, &of_version, zones_monotonic_ms(zones));
	return ZONE_OK;
}

bool zones_are_whole(const struct zones *zones)
{
	return !atomic_load_explicit(&zones->broken, memory_order_acquire);
}

bool zones_are_limited(const struct zones *zones)
{
	return atomic_load_explicit(&zones->limited, memory_order_acquire);
}

uint64_t zones_generation(const struct zones *zones)
{
	return atomic_load_explicit(&zones->generation, memory_order_acquire);
}
