/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A project that is backed up, loses its store and comes back, for tests: on a store in a file, and
 * on one whose writes come too late twice. */
#pragma once

#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/memory_store.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/backup.h"
#include "zones/domain/lookup.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/kms/ezk_version.h"

#include <jansson.h>
#include <unistd.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static const char backed_up_value[] = "0123456789abcdef";

/* --- What the tests do */

static inline struct entry *make_zone(struct zones_fixture *f, const char *label, bool kept)
{
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	names.kept = (struct wished_flag){true, kept};
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

static inline struct entry *make_key(struct zones_fixture *f, const struct entry *zone)
{
	struct entry_names names = names_of("stored");
	struct entry *key = NULL;

	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 31,
					  bytes_of(backed_up_value), &names, &key),
			 ZONE_OK);
	return key;
}

static inline enum zone_status open_key(struct zones_fixture *f, const struct entry *key)
{
	AUTO(entry_releasep) struct entry *now = zones_find_uid(f->zones, key->uid);
	AUTO(secret_freep) uint8_t *secret = NULL;
	enum zone_status status;

	if (now == NULL)
		return ZONE_NOT_FOUND;
	status = zones_key_open(f->zones, now, &secret, NULL);
	if (status == ZONE_OK)
		assert_memory_equal(secret, backed_up_value, sizeof(backed_up_value) - 1);
	return status;
}

static inline enum zone_status back_up_as(struct zones_fixture *f, const struct backup_wish *wish,
					  struct buffer *file)
{
	AUTO(buffer_clear) struct buffer told = {0};

	return zones_backup_make(f->zones, f->project->uid, wish, file, &told);
}

static inline void back_up(struct zones_fixture *f, struct buffer *file)
{
	assert_int_equal(back_up_as(f, &(struct backup_wish){0}, file), ZONE_OK);
}

static inline enum zone_status verify(struct zones_fixture *f, struct bytes file, bool offline)
{
	AUTO(buffer_clear) struct buffer told = {0};

	return zones_backup_verify(f->zones, file, offline, &told);
}

/* Restores, with what is told, which is the caller's. */
static inline enum zone_status restore_as(struct zones_fixture *f, const struct buffer *file,
					  const struct restore_wish *wish, json_t **ret_told)
{
	AUTO(buffer_clear) struct buffer told = {0};
	enum zone_status status = zones_restore(f->zones, buffer_bytes(file), wish, &told);

	*ret_told = status == ZONE_OK ? json_loads(buffer_text(&told), 0, NULL) : NULL;
	if (status == ZONE_OK)
		assert_non_null(*ret_told);
	return status;
}

static inline json_int_t count_of(const json_t *told, const char *outcome)
{
	return json_integer_value(json_object_get(json_object_get(told, "counts"), outcome));
}

/* Restores, naming `revive` (NULL: nothing), and says how many entries had that outcome. */
static inline json_int_t restored(struct zones_fixture *f, const struct buffer *file,
				  const char *revive, const char *outcome)
{
	const struct bytes name = bytes_of(revive);
	const struct restore_wish wish = {.revive = &name, .revive_count = revive != NULL};
	json_t *told;
	json_int_t count;

	assert_int_equal(restore_as(f, file, &wish, &told), ZONE_OK);
	count = count_of(told, outcome);
	json_decref(told);
	return count;
}

static inline enum zone_status restore(struct zones_fixture *f, const struct buffer *file)
{
	const struct restore_wish wish = {0};
	json_t *told;
	enum zone_status status = restore_as(f, file, &wish, &told);

	json_decref(told);
	return status;
}

/* Another store, where there is nothing. */
static inline void lose_store(struct zones_fixture *f)
{
	zones_free(f->zones);
	f->zones = NULL;
	entry_release(f->project);
	f->project = NULL;
	if (f->engine == &memory_store) {
		memory_rows_end();
		memory_rows.conflicts = 2;
	} else {
		assert_int_equal(unlink(f->path), 0);
	}
	zones_reopen(f);
}

/* --- Changes that others make */

static inline enum zone_status put_it(struct changes *changes, void *state)
{
	return changes_put(changes, state);
}

static inline enum zone_status remove_it(struct changes *changes, void *state)
{
	return changes_remove(changes, state);
}

static inline void bury(struct zones_fixture *f, const struct entry *entry)
{
	AUTO(entry_releasep) struct entry *now = zones_find_uid(f->zones, entry->uid);

	assert_non_null(now);
	assert_int_equal(zones_change(f->zones, remove_it, now), ZONE_OK);
}

/* Once more with a new version, by that root key (an ARN). */
static inline void rotate_by(struct zones_fixture *f, const struct entry *zone,
			     const char *root_key)
{
	AUTO(entry_releasep) struct entry *now = zones_find_uid(f->zones, zone->uid);
	AUTO(entry_releasep) struct entry *next = entry_copy(now);
	const size_t count = now->of_zone.version_count;
	const struct ezk_version *first = &now->of_zone.versions[0];
	const struct ezk_seal seal = {
		.identity = {now->project,
			     now->of_zone.cluster,
			     now->of_zone.zone,
			     (uint32_t)count + 1,
			     {86400, 86400}},
		.greatest_usages = first->greatest_usages,
		.created_ms = first->created_ms + 1,
	};
	const struct kms_door door = {.clients = f->zones->clients, .key = root_key};

	next->of_zone.versions =
		realloc(next->of_zone.versions, (count + 1) * sizeof(*next->of_zone.versions));
	next->of_zone.versions[count] = (struct ezk_version){0};
	next->of_zone.version_count = count + 1;
	assert_int_equal(ezk_version_seal(&door, &seal, &next->of_zone.versions[count]), ZONE_OK);
	next->of_zone.primary = (uint32_t)count + 1;
	assert_int_equal(zones_change(f->zones, put_it, next), ZONE_OK);
}

static inline void rotate(struct zones_fixture *f, const struct entry *zone)
{
	rotate_by(f, zone, ROOT_A);
}

static inline uint32_t primary_of(struct zones_fixture *f, const struct entry *zone)
{
	AUTO(entry_releasep) struct entry *now = zones_find_uid(f->zones, zone->uid);

	assert_non_null(now);
	return now->of_zone.primary;
}

/* --- A small project */

struct small {
	struct entry *root_key, *zone, *key;
};

static inline struct small make_small(struct zones_fixture *f)
{
	struct small small = {.root_key = make_root_key(f, ROOT_A)};

	small.zone = make_zone(f, "orders", false);
	small.key = make_key(f, small.zone);
	return small;
}

static inline void small_clear(struct small *small)
{
	entry_release(small->root_key);
	entry_release(small->zone);
	entry_release(small->key);
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
