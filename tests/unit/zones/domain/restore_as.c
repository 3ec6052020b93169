/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Backups that come back under another name, on a store in a file and on one whose writes come too
 * late twice. */
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/memory_store.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/backup.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/purge.h"
#include "zones/domain/retire.h"
#include "zones/domain/rotate.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/record.h"

#include <jansson.h>
#include <unistd.h>

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

static void small_clear(struct small *small)
{
	entry_release(small->root_key);
	entry_release(small->zone);
	entry_release(small->key);
	buffer_clear(&small->file);
}

static enum zone_status wrap(struct zones_fixture *f, const struct entry *zone,
			     uint8_t ret_wrapped[static WRAPPED_SIZE])
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk));
	return dek_wrap(ezk, bytes(value, sizeof(value) - 1), bytes(NULL, 0), ret_wrapped);
}

static enum zone_status unwrap(struct zones_fixture *f, const struct entry *zone,
			       const uint8_t wrapped[static WRAPPED_SIZE])
{
	AUTO(secret_freep) uint8_t *secret = secret_new(DEK_MAX);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk));
	TRY(dek_unwrap(ezk, bytes(wrapped, WRAPPED_SIZE), bytes(NULL, 0), secret, NULL));
	assert_memory_equal(secret, value, sizeof(value) - 1);
	return ZONE_OK;
}

static void rotate(struct zones_fixture *f, struct entry **zone)
{
	struct entry *rotated = NULL;

	assert_int_equal(zones_zone_rotate(f->zones, *zone, (*zone)->of_zone.primary + 1, &rotated),
			 ZONE_OK);
	entry_release(*zone);
	*zone = rotated;
}

static void back_up(struct small *small)
{
	AUTO(buffer_clear) struct buffer told = {0};

	buffer_clear(&small->file);
	assert_int_equal(zones_backup_make(small->f->zones, small->f->project->uid,
					   &(struct backup_wish){0}, &small->file, &told),
			 ZONE_OK);
}

/* A database with two versions, each of which wraps something. */
static struct small make_small(struct zones_fixture *f)
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

static enum zone_status restore_by(struct small *small, const char *as, const char *revive,
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

static enum zone_status restore(struct small *small, const char *as)
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

static bool compare(void *state, struct entry *project)
{
	struct by_label *by = state;

	if (strcmp(project->label, by->label) == 0)
		by->found = project;
	return by->found == NULL;
}

/* Held; NULL: there is none. */
static struct entry *find_project(struct zones_fixture *f, const char *label)
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

static struct entry *find_copy(struct zones_fixture *f, enum entry_kind kind, const char *label)
{
	AUTO(entry_releasep) struct entry *project = find_project(f, "copy");

	assert_non_null(project);
	return find_entry(f->zones, project->uid, kind, label);
}

static bool is_there(struct zones_fixture *f, const char *label)
{
	AUTO(entry_releasep) struct entry *project = find_project(f, label);

	return project != NULL;
}

/* How many entries of the backup had that outcome in a dry run. */
static json_int_t planned(struct small *small, const char *revive, const char *outcome)
{
	json_t *told = NULL;
	json_int_t count;

	assert_int_equal(restore_by(small, "copy", revive, true, &told), ZONE_OK);
	count = json_integer_value(json_object_get(json_object_get(told, "counts"), outcome));
	json_decref(told);
	assert_false(is_there(small->f, "copy"));
	return count;
}

/* --- What comes of it */

static void a_copy_has_ids_and_keys_of_its_own_and_imports_the_old_ones(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *copy = NULL;
	AUTO(entry_releasep) struct entry *original = NULL;
	const struct ezk_version *own, *old;

	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	copy = find_copy(f, ENTRY_ZONE, "orders");
	original = zones_find_uid(f->zones, small.zone->uid);
	assert_int_equal(original->revision, small.zone->revision);
	assert_int_not_equal(copy->of_zone.zone, original->of_zone.zone);
	assert_false(uid_equal(copy->uid, original->uid));
	assert_false(uid_equal(copy->project, original->project));
	assert_false(uid_equal(copy->of_zone.cluster, original->of_zone.cluster));
	assert_int_equal(copy->of_zone.version_count, 3);
	assert_int_equal(copy->of_zone.primary, 1);
	own = entry_version(copy, 1);
	assert_true(uid_equal(own->project, copy->project));
	assert_true(uid_equal(own->cluster, copy->of_zone.cluster));
	for (uint32_t i = 1; i <= 2; i++) {
		old = entry_bound_version(copy, original->of_zone.zone, i);
		assert_non_null(old);
		assert_true(uid_equal(old->project, original->project));
		assert_memory_equal(old->fingerprint, entry_version(original, i)->fingerprint, 16);
		assert_memory_not_equal(old->fingerprint, own->fingerprint, 16);
	}
}

static void what_the_old_keys_wrapped_opens_and_nothing_is_wrapped_by_them(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *copy = NULL;
	uint8_t newer[WRAPPED_SIZE];

	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	zones_reopen(f);
	copy = find_copy(f, ENTRY_ZONE, "orders");
	assert_int_equal(wrap(f, small.zone, newer), ZONE_OK);
	assert_int_equal(unwrap(f, copy, small.wrapped), ZONE_OK);
	assert_int_equal(unwrap(f, copy, newer), ZONE_OK);
	assert_int_equal(wrap(f, copy, newer), ZONE_OK);
	assert_int_equal(unwrap(f, copy, newer), ZONE_OK);
	/* Nothing moves back. */
	assert_int_equal(unwrap(f, small.zone, newer), ZONE_OTHER_ZONE);
}

static void stored_keys_are_wrapped_anew_for_the_copy(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *key = NULL;
	AUTO(entry_releasep) struct entry *forged = NULL;
	AUTO(secret_freep) uint8_t *secret = NULL;

	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	zone = find_copy(f, ENTRY_ZONE, "orders");
	key = find_copy(f, ENTRY_KEY, "stored");
	assert_false(uid_equal(key->uid, small.key->uid));
	assert_int_equal(key->of_key.zone, zone->of_zone.zone);
	assert_int_equal(zones_key_version(key), 1);
	assert_int_equal(zones_key_open(f->zones, key, &secret, NULL), ZONE_OK);
	assert_memory_equal(secret, value, sizeof(value) - 1);
	secret_free(TAKE(secret));
	/* As it was wrapped for the original it opens nowhere but there. */
	forged = entry_copy(key);
	assert_true(entry_set_bytes(&forged->of_key.wrapped, small.key->of_key.wrapped));
	assert_int_equal(zones_key_open(f->zones, forged, &secret, NULL), ZONE_RECORD_CORRUPT);
	assert_int_equal(zones_key_open(f->zones, small.key, &secret, NULL), ZONE_OK);
}

static void a_copy_comes_into_another_store_as_well(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *copy = NULL;

	zones_free(f->zones);
	f->zones = NULL;
	entry_release(TAKE(f->project));
	if (f->engine == &memory_store) {
		memory_rows_end();
		memory_rows.conflicts = 2;
	} else {
		assert_int_equal(unlink(f->path), 0);
	}
	zones_reopen(f);
	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	copy = find_copy(f, ENTRY_ZONE, "orders");
	assert_int_equal(unwrap(f, copy, small.wrapped), ZONE_OK);
	/* The original comes beside it. */
	assert_int_equal(restore(&small, ""), ZONE_OK);
	entry_release(small.zone);
	small.zone = zones_find_zone(f->zones, copy->of_zone.versions[1].record_zone);
	assert_non_null(small.zone);
	assert_int_equal(unwrap(f, small.zone, small.wrapped), ZONE_OK);
	assert_int_equal(unwrap(f, copy, small.wrapped), ZONE_OK);
}

static void a_copy_can_be_copied(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *first = NULL;
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *second = NULL;
	AUTO(buffer_clear) struct buffer told = {0};

	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	first = find_copy(f, ENTRY_ZONE, "orders");
	buffer_clear(&small.file);
	assert_int_equal(zones_backup_make(f->zones, first->project, &(struct backup_wish){0},
					   &small.file, &told),
			 ZONE_OK);
	assert_int_equal(restore(&small, "third"), ZONE_OK);
	project = find_project(f, "third");
	second = find_entry(f->zones, project->uid, ENTRY_ZONE, "orders");
	assert_int_equal(second->of_zone.version_count, 4);
	assert_int_equal(unwrap(f, second, small.wrapped), ZONE_OK);
}

/* --- What does not come */

static void a_dry_run_writes_nothing_and_asks_the_kms_for_the_mac_alone(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	unsigned encrypts = fake_kms_calls(&f->aws, FAKE_ENCRYPT),
		 decrypts = fake_kms_calls(&f->aws, FAKE_DECRYPT);

	assert_int_equal(planned(&small, NULL, "added"), 5);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), encrypts);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_DECRYPT), decrypts + 1);
}

static void a_name_that_is_taken_or_is_none_is_refused(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);

	assert_int_equal(restore(&small, f->project->label), ZONE_RESTORE_CONFLICT);
	assert_int_not_equal(restore(&small, "a name of more than thirty-two bytes"), ZONE_OK);
	assert_int_not_equal(restore(&small, "a\nb"), ZONE_OK);
	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	assert_int_equal(restore(&small, "copy"), ZONE_RESTORE_CONFLICT);
}

static void what_was_deleted_here_stays_away(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);

	assert_int_equal(zones_entry_delete(f->zones, small.zone), ZONE_OK);
	/* Database and stored key; and the cluster's root key comes with the cluster. */
	assert_int_equal(planned(&small, NULL, "left out"), 2);
	assert_int_equal(planned(&small, "orders", "left out"), 2);
}

static void what_awaited_deletion_comes_if_it_is_named(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *pending = NULL;
	AUTO(entry_releasep) struct entry *active = NULL;

	assert_int_equal(zones_entry_delete(f->zones, small.zone), ZONE_OK);
	back_up(&small);
	pending = zones_find_uid(f->zones, small.zone->uid);
	assert_int_equal(zones_entry_restore(f->zones, pending, bytes(NULL, 0), &active), ZONE_OK);
	assert_int_equal(planned(&small, NULL, "left out"), 2);
	assert_int_equal(planned(&small, "orders", "left out"), 0);
}

static void fenced_versions_are_not_imported(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *raw = NULL;
	AUTO(entry_releasep) struct entry *fenced = NULL;
	AUTO(entry_releasep) struct entry *lowered = NULL;
	AUTO(entry_releasep) struct entry *copy = NULL;

	assert_int_equal(zones_zone_mark(f->zones, small.zone, ZONE_RAW, 2, &raw), ZONE_OK);
	assert_int_equal(zones_zone_mark(f->zones, raw, ZONE_MINIMUM, 2, &fenced), ZONE_OK);
	back_up(&small);
	assert_int_equal(zones_zone_mark(f->zones, fenced, ZONE_MINIMUM, 1, &lowered), ZONE_OK);
	assert_int_equal(planned(&small, NULL, "left out"), 1); /* the stored key */
	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	copy = find_copy(f, ENTRY_ZONE, "orders");
	assert_int_equal(copy->of_zone.version_count, 2);
	assert_int_equal(unwrap(f, copy, small.wrapped), ZONE_WRAPPED_KEY_INVALID);
}

static void fence_of_the_original_holds_for_its_imports(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *raw = NULL;
	AUTO(entry_releasep) struct entry *fenced = NULL;
	AUTO(entry_releasep) struct entry *copy = NULL;

	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	copy = find_copy(f, ENTRY_ZONE, "orders");
	assert_int_equal(unwrap(f, copy, small.wrapped), ZONE_OK);
	assert_int_equal(zones_zone_mark(f->zones, small.zone, ZONE_RAW, 2, &raw), ZONE_OK);
	assert_int_equal(zones_zone_mark(f->zones, raw, ZONE_MINIMUM, 2, &fenced), ZONE_OK);
	assert_int_equal(unwrap(f, copy, small.wrapped), ZONE_FENCED);
}

/* --- What was destroyed is nowhere in this store */

static struct entry *newest(struct zones_fixture *f, const struct entry *zone)
{
	struct entry *now = zones_find_uid(f->zones, zone->uid);

	assert_non_null(now);
	return now;
}

static void erased_database_is_not_left_as_an_import(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *pending = NULL;
	AUTO(entry_releasep) struct entry *copy = NULL;

	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, small.zone), ZONE_OK);
	copy = find_copy(f, ENTRY_ZONE, "orders");
	assert_int_equal(copy->of_zone.version_count, 3);
	pending = newest(f, small.zone);
	assert_int_equal(zones_purge_entry(f->zones, pending), ZONE_OK);
	zones_reopen(f);
	entry_release(copy);
	copy = find_copy(f, ENTRY_ZONE, "orders");
	assert_int_equal(copy->of_zone.version_count, 1);
	assert_int_equal(unwrap(f, copy, small.wrapped), ZONE_OTHER_ZONE);
}

static void purged_database_is_not_left_as_an_import(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *copy = NULL;
	struct purge_report report;

	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, small.zone), ZONE_OK);
	fake_clock_advance(&f->clock, INT64_C(40) * 24 * 3600 * 1000);
	assert_int_equal(zones_purge(f->zones, PURGE_DUE, &report), ZONE_OK);
	assert_int_equal(report.zones, 1);
	copy = find_copy(f, ENTRY_ZONE, "orders");
	assert_int_equal(copy->of_zone.version_count, 1);
}

static void purged_version_is_not_left_as_an_import(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(entry_releasep) struct entry *copy = NULL;
	static const enum version_step steps[] = {VERSION_RETIRE, VERSION_PURGE};
	static const enum zone_mark marks[] = {ZONE_RAW, ZONE_MINIMUM};

	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	assert_int_equal(zones_key_rewrap(f->zones, small.key, 2), ZONE_OK);
	for (size_t i = 0; i < COUNT_OF(marks); i++) {
		AUTO(entry_releasep) struct entry *marked = NULL;

		assert_int_equal(zones_zone_mark(f->zones, small.zone, marks[i], 2, &marked),
				 ZONE_OK);
	}
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		entry_release(zone);
		zone = newest(f, small.zone);
		assert_int_equal(zones_version_step(f->zones, zone, 1, steps[i]), ZONE_OK);
	}
	copy = find_copy(f, ENTRY_ZONE, "orders");
	assert_int_equal(copy->of_zone.version_count, 2);
	assert_null(entry_bound_version(copy, small.zone->of_zone.zone, 1));
	assert_non_null(entry_bound_version(copy, small.zone->of_zone.zone, 2));
}

static void what_was_erased_or_destroyed_here_does_not_come_as_a_copy(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *zone = NULL, *copy = NULL, *key = NULL;
	static const enum version_step steps[] = {VERSION_RETIRE, VERSION_PURGE};
	static const enum zone_mark marks[] = {ZONE_RAW, ZONE_MINIMUM};

	assert_int_equal(zones_entry_delete(f->zones, small.key), ZONE_OK);
	for (size_t i = 0; i < COUNT_OF(marks); i++) {
		AUTO(entry_releasep) struct entry *marked = NULL;

		assert_int_equal(zones_zone_mark(f->zones, small.zone, marks[i], 2, &marked),
				 ZONE_OK);
	}
	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		entry_release(zone);
		zone = newest(f, small.zone);
		assert_int_equal(zones_version_step(f->zones, zone, 1, steps[i]), ZONE_OK);
	}
	assert_int_equal(planned(&small, NULL, "left out"), 1); /* the stored key */
	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	copy = find_copy(f, ENTRY_ZONE, "orders");
	assert_int_equal(copy->of_zone.version_count, 2);
	assert_null(entry_bound_version(copy, small.zone->of_zone.zone, 1));
	assert_int_equal(unwrap(f, copy, small.wrapped), ZONE_WRAPPED_KEY_INVALID);
}

/* --- What stops all of it */

static void a_no_of_a_root_key_leaves_nothing(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *b = make_root_key(f, ROOT_B);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, b, "b");
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct entry_names names = names_of("b/db");

	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	back_up(&small);
	/* The other one vouches for the file. */
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(restore(&small, "copy"), ZONE_KMS_DISABLED);
	assert_false(is_there(f, "copy"));
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_ENABLED, KMS_OK);
	assert_int_equal(restore(&small, "copy"), ZONE_OK);
}

static enum zone_status put_it(struct changes *changes, void *state)
{
	return changes_put(changes, state);
}

/* As whoever may write the store can. */
static void change_by_hand(struct zones_fixture *f, struct entry *changed)
{
	assert_int_equal(zones_change(f->zones, put_it, changed), ZONE_OK);
}

static void a_stored_key_that_was_changed_stops_all_of_it(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *changed = entry_copy(small.key);

	changed->usages ^= USAGE_ENCRYPT;
	change_by_hand(f, changed);
	back_up(&small);
	assert_int_equal(restore(&small, "copy"), ZONE_RECORD_CORRUPT);
	assert_false(is_there(f, "copy"));
}

static void a_version_whose_mac_is_wrong_stops_all_of_it(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *changed = entry_copy(small.zone);

	changed->of_zone.versions[0].greatest_usages ^= USAGE_SIGN;
	change_by_hand(f, changed);
	back_up(&small);
	assert_int_equal(restore(&small, "copy"), ZONE_RECORD_CORRUPT);
	assert_false(is_there(f, "copy"));
}

/* New data would go under whatever key the file's maker put there. */
static void a_root_key_that_the_original_does_not_have_is_not_brought_by_its_copy(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *changed = entry_copy(small.zone);
	const struct kms_door door = {.clients = f->zones->clients, .key = ROOT_B};
	const struct ezk_seal seal = {
		.identity = {changed->project,
			     changed->of_zone.cluster,
			     changed->of_zone.zone,
			     2,
			     {86400, 86400}},
		.greatest_usages = changed->of_zone.versions[1].greatest_usages,
	};

	ezk_version_clear(&changed->of_zone.versions[1]);
	assert_int_equal(ezk_version_seal(&door, &seal, &changed->of_zone.versions[1]), ZONE_OK);
	change_by_hand(f, changed);
	back_up(&small);
	assert_int_equal(restore(&small, "copy"), ZONE_RESTORE_CONFLICT);
	assert_false(is_there(f, "copy"));
}

struct meddling {
	struct small *small;
	unsigned at; /* the call before which it happens */
};

static void delete_original(void *state, enum fake_kms_call call)
{
	struct meddling *meddling = state;

	(void)call;
	if (meddling->at > 0 && --meddling->at == 0)
		assert_int_equal(
			zones_entry_delete(meddling->small->f->zones, meddling->small->zone),
			ZONE_OK);
}

static void what_was_deleted_meanwhile_stops_all_of_it(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	struct meddling meddling = {&small, 4};

	f->aws.on_call_state = &meddling;
	f->aws.on_call = delete_original;
	assert_int_equal(restore(&small, "copy"), ZONE_CONFLICT);
	f->aws.on_call = NULL;
	assert_int_equal(meddling.at, 0);
	assert_false(is_there(f, "copy"));
}

/* --- On each engine */

static int begin_late(void **state)
{
	memory_rows_begin();
	memory_rows.conflicts = 0;
	if (zones_begin_in(&memory_store, state) != 0)
		return -1;
	memory_rows.conflicts = 2;
	return 0;
}

static int end_late(void **state)
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_copy_has_ids_and_keys_of_its_own_and_imports_the_old_ones),
		EACH(what_the_old_keys_wrapped_opens_and_nothing_is_wrapped_by_them),
		EACH(stored_keys_are_wrapped_anew_for_the_copy),
		EACH(a_copy_comes_into_another_store_as_well),
		EACH(a_copy_can_be_copied),
		EACH(a_dry_run_writes_nothing_and_asks_the_kms_for_the_mac_alone),
		EACH(a_name_that_is_taken_or_is_none_is_refused),
		EACH(what_was_deleted_here_stays_away),
		EACH(what_awaited_deletion_comes_if_it_is_named),
		EACH(fenced_versions_are_not_imported),
		EACH(fence_of_the_original_holds_for_its_imports),
		EACH(erased_database_is_not_left_as_an_import),
		EACH(purged_database_is_not_left_as_an_import),
		EACH(purged_version_is_not_left_as_an_import),
		EACH(what_was_erased_or_destroyed_here_does_not_come_as_a_copy),
		EACH(a_no_of_a_root_key_leaves_nothing),
		EACH(a_stored_key_that_was_changed_stops_all_of_it),
		EACH(a_version_whose_mac_is_wrong_stops_all_of_it),
		EACH(a_root_key_that_the_original_does_not_have_is_not_brought_by_its_copy),
		EACH(what_was_deleted_meanwhile_stops_all_of_it),
	};

	return cmocka_run_group_tests_name("restore under another name", tests, NULL, NULL);
}
