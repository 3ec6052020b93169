/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Backups that come back under another name, on a store in a file and on one whose writes come too
 * late twice. */
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/copied_backup.h"
#include "tests/support/memory_store.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/backup.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/retire.h"
#include "zones/domain/rotate.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/kms/ezk_version.h"
#include "zones/model/record.h"

#include <unistd.h>

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

static void stored_data_is_wrapped_anew_for_the_copy(void **state)
{
	FIXTURE(state);
	AUTO(small_clear) struct small small = make_small(f);
	AUTO(entry_releasep) struct entry *data = NULL;
	AUTO(entry_releasep) struct entry *copy = NULL;
	AUTO(secret_freep) uint8_t *secret = NULL;
	static uint8_t content[DATA_MAX] = "what a program keeps";
	struct entry_names names = names_of("document");

	names.data = true;
	assert_int_equal(zones_key_create(f->zones, f->project->uid, small.zone->of_zone.zone, 0,
					  bytes(content, sizeof(content)), &names, &data),
			 ZONE_OK);
	back_up(&small);
	assert_int_equal(restore(&small, "copy"), ZONE_OK);
	copy = find_copy(f, ENTRY_KEY, "document");
	assert_true(zones_key_is_data(copy));
	assert_int_equal(zones_key_open(f->zones, copy, &secret, NULL), ZONE_OK);
	assert_memory_equal(secret, content, sizeof(content));
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_copy_has_ids_and_keys_of_its_own_and_imports_the_old_ones),
		EACH(what_the_old_keys_wrapped_opens_and_nothing_is_wrapped_by_them),
		EACH(stored_keys_are_wrapped_anew_for_the_copy),
		EACH(stored_data_is_wrapped_anew_for_the_copy),
		EACH(a_copy_comes_into_another_store_as_well),
		EACH(a_copy_can_be_copied),
		EACH(a_name_that_is_taken_or_is_none_is_refused),
		EACH(a_no_of_a_root_key_leaves_nothing),
		EACH(a_stored_key_that_was_changed_stops_all_of_it),
		EACH(a_version_whose_mac_is_wrong_stops_all_of_it),
		EACH(a_root_key_that_the_original_does_not_have_is_not_brought_by_its_copy),
		EACH(what_was_deleted_meanwhile_stops_all_of_it),
	};

	return cmocka_run_group_tests_name("restore under another name", tests, NULL, NULL);
}
