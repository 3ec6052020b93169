/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A project in a store in a file, which goes to one that asks others, and back: the writes of
 * either can be cut off. For tests of zones/domain/store_copy.h. */
#pragma once

#include "base/buffer.h"
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/memory_store.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/purge.h"
#include "zones/domain/state.h"
#include "zones/domain/store_copy.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"

#include <stdlib.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

/* --- Stores whose writes can be cut off */

enum cut { CUT_BEFORE, CUT_AFTER, CUT_COUNT };

/* Which write of either store is the last one; 0: none. */
static struct {
	unsigned at;
	enum cut cut;
} cutting;

/* What was written at once at most, and where the last tombstone of a database went. */
static struct {
	size_t projects;
	struct uid tombstone;
} watched;

struct watching {
	store_decide *decide;
	void *state;
};

static inline enum zone_status watch(void *state, struct store_news *news,
				     struct store_change **ret_changes, size_t *ret_count)
{
	struct watching *watching = state;
	enum zone_status status = watching->decide(watching->state, news, ret_changes, ret_count);
	size_t projects = 0;

	for (size_t i = 0; status == ZONE_OK && i < *ret_count; i++) {
		const struct store_change *change = &(*ret_changes)[i];

		projects += change->entry->kind == ENTRY_PROJECT && !change->remove;
		if (change->remove && change->entry->kind == ENTRY_ZONE)
			watched.tombstone = change->entry->project;
	}
	if (projects > watched.projects)
		watched.projects = projects;
	return status;
}

static inline enum zone_status cut_write(const struct store_operations *operations,
					 struct store *store, const struct store_cursor *since,
					 store_decide *decide, void *state,
					 struct store_cursor *ret_cursor)
{
	bool last = cutting.at > 0 && --cutting.at == 0;
	enum zone_status status = ZONE_STORE_UNAVAILABLE;
	struct watching watching = {decide, state};

	if (!last || cutting.cut == CUT_AFTER)
		status = operations->write(store, since, watch, &watching, ret_cursor);
	return last ? ZONE_STORE_UNAVAILABLE : status;
}

/* Somebody else, who is at work before a reading of the other store, or a write of this one. */
static struct {
	unsigned at_read, at_write; /* counted from now; 0: at none */
	void (*work)(void *state);
	void *state;
} rival;

static inline void let_rival(unsigned *at)
{
	if (*at > 0 && --*at == 0)
		rival.work(rival.state);
}

static struct store_operations in_file, in_memory; /* as they are */
static struct store_operations cut_in_file, cut_in_memory;

static inline enum zone_status write_file(struct store *store, const struct store_cursor *since,
					  store_decide *decide, void *state,
					  struct store_cursor *ret_cursor)
{
	let_rival(&rival.at_write);
	return cut_write(&in_file, store, since, decide, state, ret_cursor);
}

static inline enum zone_status write_memory(struct store *store, const struct store_cursor *since,
					    store_decide *decide, void *state,
					    struct store_cursor *ret_cursor)
{
	return cut_write(&in_memory, store, since, decide, state, ret_cursor);
}

static inline enum zone_status read_memory(struct store *store, const struct store_cursor *since,
					   struct store_news *ret_news)
{
	let_rival(&rival.at_read);
	return in_memory.read(store, since, ret_news);
}

static inline struct store *open_file(const struct store_settings *settings)
{
	struct store *store = store_sqlite.open(settings);

	in_file = cut_in_file = *store->operations;
	cut_in_file.write = write_file;
	store->operations = &cut_in_file;
	return store;
}

static inline struct store *open_memory(const struct store_settings *settings)
{
	struct store *store = memory_store.open(settings);

	in_memory = cut_in_memory = *store->operations;
	cut_in_memory.write = write_memory;
	cut_in_memory.read = read_memory;
	store->operations = &cut_in_memory;
	return store;
}

static const struct store_engine engine_file = {
	.name = "file", .look_every_ms = 1, .open = open_file};
static const struct store_engine engine_memory = {
	.name = "memory", .look_every_ms = 1, .waits_ms = 1000, .open = open_memory};

/* "memory", or a path. */
static inline enum zone_status open_place(void *state, const char *name, struct store **ret_store)
{
	const struct store_settings settings = {.path = name};

	(void)state;
	*ret_store = strcmp(name, "memory") == 0 ? open_memory(NULL) : open_file(&settings);
	return ZONE_OK;
}

/* --- What is in them */

static inline void make_zone(struct zones_fixture *f, const char *label)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct entry_names names = names_of(label);

	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
}

static inline struct entry *zone_of(struct zones *zones, const struct zones_fixture *f,
				    const char *label)
{
	struct entry *zone = find_entry(zones, f->project->uid, ENTRY_ZONE, label);

	assert_non_null(zone);
	return zone;
}

static inline enum zone_status delete_zone(struct zones *zones, const struct zones_fixture *f,
					   const char *label, bool for_good)
{
	AUTO(entry_releasep) struct entry *zone = zone_of(zones, f, label);
	AUTO(entry_releasep) struct entry *gone = NULL;

	if (zones_entry_delete(zones, zone) != ZONE_OK)
		return ZONE_IN_USE;
	gone = zones_find_uid(zones, zone->uid);
	return for_good ? zones_purge_entry(zones, gone) : ZONE_OK;
}

static inline void make_key(struct zones_fixture *f, const char *zone_label)
{
	AUTO(entry_releasep) struct entry *zone = zone_of(f->zones, f, zone_label);
	AUTO(entry_releasep) struct entry *key = NULL;
	struct entry_names names = names_of("key");

	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &names, &key),
			 ZONE_OK);
}

/* A project with one archived on it, and something of each kind and state. */
static inline void fill(struct zones_fixture *f)
{
	AUTO(entry_releasep) struct entry *old = f->project;
	AUTO(entry_releasep) struct entry *root_key = NULL;
	AUTO(entry_releasep) struct entry *cluster = NULL;

	assert_int_equal(add_root_key(f->zones, old->uid, ROOT_B, "old"), ZONE_OK);
	assert_int_equal(zones_project_replace(f->zones, old, bytes_of("project"), &f->project),
			 ZONE_OK);
	root_key = make_root_key(f, ROOT_A);
	cluster = make_cluster(f, root_key, "prod");
	make_zone(f, "prod/a");
	make_zone(f, "prod/b");
	make_zone(f, "prod/deleted");
	make_zone(f, "prod/gone");
	make_key(f, "prod/a");
	for (int i = 0; i < 30; i++) { /* more than one transaction takes */
		char label[32];

		snprintf(label, sizeof(label), "prod/z%d", i);
		make_zone(f, label);
	}
	assert_int_equal(delete_zone(f->zones, f, "prod/deleted", false), ZONE_OK);
	assert_int_equal(delete_zone(f->zones, f, "prod/gone", true), ZONE_OK);
}

static inline int two_stores_begin(void **state)
{
	struct zones_fixture *f;

	memory_rows_begin();
	cutting.at = rival.at_read = rival.at_write = 0;
	zones_begin_in(&engine_file, state);
	f = *state;
	f->settings.open_place = open_place;
	zones_reopen(f);
	fill(f);
	return 0;
}

static inline int two_stores_end(void **state)
{
	zones_end(state);
	memory_rows_end();
	return 0;
}

/* --- Copying */

static inline enum zone_status copy_told(struct zones *zones, const struct store_copy_wish *wish,
					 const char *expected)
{
	AUTO(buffer_clear) struct buffer told = {0};
	enum zone_status status = zones_store_copy(zones, wish, &told);

	if (status == ZONE_OK && expected != NULL)
		assert_non_null(strstr(buffer_text(&told), expected));
	return status;
}

static inline enum zone_status copy_to(struct zones *zones, const char *to)
{
	return copy_told(zones, &(struct store_copy_wish){.to = to}, NULL);
}

static inline enum zone_status undo(struct zones *zones, const char *to)
{
	return copy_told(zones, &(struct store_copy_wish){.to = to, .undo = true}, NULL);
}

/* The domain on the other store, as another process has it. */
static inline struct zones *there(struct zones_fixture *f)
{
	const struct store_engine *here = f->engine;
	struct zones *zones;

	f->engine = &engine_memory;
	zones = zones_other(f);
	f->engine = here;
	assert_int_equal(zones_refresh(zones, true), ZONE_OK);
	return zones;
}

static inline void zones_freep(struct zones **zones)
{
	zones_free(*zones);
}

static inline bool takes_changes(struct zones *zones, struct uid project, const char *label)
{
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct entry_names names = names_of(label);

	if (zones_refresh(zones, true) != ZONE_OK)
		return false;
	return zones_zone_create(zones, project, &names, &zone) == ZONE_OK;
}

/* In both: never. */
static inline void assert_lives_once_at_most(struct zones_fixture *f, const char *label)
{
	AUTO(zones_freep) struct zones *other = there(f);
	bool here = takes_changes(f->zones, f->project->uid, label);

	assert_false(here && takes_changes(other, f->project->uid, label));
}

static inline void assert_same_row(const struct store_row *a, const struct store_row *b)
{
	AUTO(entry_releasep) struct entry *copy = entry_copy(a->entry);

	assert_int_equal(a->removed, b->removed);
	if (a->removed)
		return;
	copy->revision = b->entry->revision;
	if (copy->kind == ENTRY_PROJECT)
		assert_true(entry_set_bytes(&copy->extra, b->entry->extra));
	assert_same_entry(copy, b->entry);
}

static inline const struct store_row *row_of(const struct store_news *news, struct uid uid)
{
	for (size_t i = 0; i < news->count; i++)
		if (uid_equal(news->rows[i].entry->uid, uid))
			return &news->rows[i];
	return NULL;
}

/* All rows, tombstones too, and no others. */
static inline void assert_same_rows(const struct zones_fixture *f)
{
	const struct store_settings settings = {.path = f->path};
	struct store *file = store_sqlite.open(&settings), *memory = memory_store.open(NULL);
	AUTO(store_news_clear) struct store_news here = {0};
	AUTO(store_news_clear) struct store_news other = {0};

	assert_int_equal(store_all(file, &here), ZONE_OK);
	assert_int_equal(store_all(memory, &other), ZONE_OK);
	assert_int_equal(here.count, other.count);
	for (size_t i = 0; i < here.count; i++) {
		const struct store_row *row = row_of(&other, here.rows[i].entry->uid);

		assert_non_null(row);
		assert_same_row(&here.rows[i], row);
	}
	file->operations->free(file);
	memory->operations->free(memory);
}

#define COPY_TEST(name) cmocka_unit_test_setup_teardown(name, two_stores_begin, two_stores_end)
