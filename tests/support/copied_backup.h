/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A small project and its backup, which comes back under another name, for tests: on a store in a
 * file and on one whose writes come too late twice. */
#pragma once

#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/memory_store.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/backup.h"
#include "zones/domain/lookup.h"
#include "zones/domain/rotate.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/kms/ezk_version.h"

#include <jansson.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static const char value[] = "0123456789abcdef";
enum { WRAPPED_SIZE = sizeof(value) - 1 + DEK_WRAP_OVERHEAD };

/* --- A small project, and its backup */

struct small {
	struct zones_fixture *f;
	struct entry *root_key, *zone, *key;
	struct buffer file;
	uint8_t wrapped[WRAPPED_SIZE]; /* by the first version of the zone */
};

static inline void small_clear(struct small *small)
{
	entry_release(small->root_key);
	entry_release(small->zone);
	entry_release(small->key);
	buffer_clear(&small->file);
}

static inline enum zone_status wrap(struct zones_fixture *f, const struct entry *zone,
				    uint8_t ret_wrapped[static WRAPPED_SIZE])
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk));
	return dek_wrap(ezk, bytes(value, sizeof(value) - 1), bytes(NULL, 0), ret_wrapped);
}

static inline enum zone_status unwrap(struct zones_fixture *f, const struct entry *zone,
				      const uint8_t wrapped[static WRAPPED_SIZE])
{
	AUTO(secret_freep) uint8_t *secret = secret_new(DEK_MAX);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk));
	TRY(dek_unwrap(ezk, bytes(wrapped, WRAPPED_SIZE), bytes(NULL, 0), secret, NULL));
	assert_memory_equal(secret, value, sizeof(value) - 1);
	return ZONE_OK;
}

static inline void rotate(struct zones_fixture *f, struct entry **zone)
{
	struct entry *rotated = NULL;

	assert_int_equal(zones_zone_rotate(f->zones, *zone, (*zone)->of_zone.primary + 1, &rotated),
			 ZONE_OK);
	entry_release(*zone);
	*zone = rotated;
}

static inline void back_up(struct small *small)
{
	AUTO(buffer_clear) struct buffer told = {0};

	buffer_clear(&small->file);
	assert_int_equal(zones_backup_make(small->f->zones, small->f->project->uid,
					   &(struct backup_wish){0}, &small->file, &told),
			 ZONE_OK);
}

/* A database with two versions, each of which wraps something. */
static inline struct small make_small(struct zones_fixture *f)
{
	struct small small = {.f = f, .root_key = make_root_key(f, ROOT_A)};
	struct entry_names names = names_of("orders");

	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &small.zone),
			 ZONE_OK);
	names = names_of("stored");
	assert_int_equal(zones_key_create(f->zones, f->project->uid, small.zone->of_zone.zone, 31,
					  bytes_of(value), &names, &small.key),
			 ZONE_OK);
	assert_int_equal(wrap(f, small.zone, small.wrapped), ZONE_OK);
	rotate(f, &small.zone);
	back_up(&small);
	return small;
}

/* --- Restoring it */

static inline enum zone_status restore_by(struct small *small, const char *as, const char *revive,
					  bool dry_run, json_t **ret_told)
{
	const struct bytes name = bytes_of(revive);
	const struct restore_wish wish = {.revive = &name,
					  .revive_count = revive != NULL,
					  .dry_run = dry_run,
					  .as = bytes_of(as)};
	AUTO(buffer_clear) struct buffer told = {0};

	TRY(zones_restore(small->f->zones, buffer_bytes(&small->file), &wish, &told));
	*ret_told = json_loads(buffer_text(&told), 0, NULL);
	assert_non_null(*ret_told);
	return ZONE_OK;
}

static inline enum zone_status restore(struct small *small, const char *as)
{
	json_t *told = NULL;
	enum zone_status status = restore_by(small, as, NULL, false, &told);

	json_decref(told);
	return status;
}

struct by_label {
	const char *label;
	struct entry *found;
};

static inline bool compare(void *state, struct entry *project)
{
	struct by_label *by = state;

	if (strcmp(project->label, by->label) == 0)
		by->found = project;
	return by->found == NULL;
}

/* Held; NULL: there is none. */
static inline struct entry *find_project(struct zones_fixture *f, const char *label)
{
	struct by_label by = {label, NULL};

	assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
	pthread_rwlock_rdlock(&f->zones->lock);
	index_each_project(&f->zones->index, compare, &by);
	if (by.found != NULL)
		entry_hold(by.found);
	pthread_rwlock_unlock(&f->zones->lock);
	return by.found;
}

static inline struct entry *find_copy(struct zones_fixture *f, enum entry_kind kind,
				      const char *label)
{
	AUTO(entry_releasep) struct entry *project = find_project(f, "copy");

	assert_non_null(project);
	return find_entry(f->zones, project->uid, kind, label);
}

static inline bool is_there(struct zones_fixture *f, const char *label)
{
	AUTO(entry_releasep) struct entry *project = find_project(f, label);

	return project != NULL;
}

/* --- On each engine */

static inline int begin_late(void **state)
{
	memory_rows_begin();
	memory_rows.conflicts = 0;
	if (zones_begin_in(&memory_store, state) != 0)
		return -1;
	memory_rows.conflicts = 2;
	return 0;
}

static inline int end_late(void **state)
{
	int result = zones_end(state);

	memory_rows_end();
	return result;
}

#define EACH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, zones_begin, zones_end),                             \
	{                                                                                          \
#test " (late)", test, begin_late, end_late, NULL                                  \
	}
