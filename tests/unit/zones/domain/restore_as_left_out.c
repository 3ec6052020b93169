/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Backups that come back under another name: what does not come, and what the store says of the
 * original that holds for its copy. */
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/copied_backup.h"
#include "tests/support/memory_store.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/backup.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/purge.h"
#include "zones/domain/retire.h"
#include "zones/domain/rotate.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/ezk/ezk.h"
#include "zones/kms/ezk_version.h"

#include <jansson.h>

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH(a_dry_run_writes_nothing_and_asks_the_kms_for_the_mac_alone),
		EACH(what_was_deleted_here_stays_away),
		EACH(what_awaited_deletion_comes_if_it_is_named),
		EACH(fenced_versions_are_not_imported),
		EACH(fence_of_the_original_holds_for_its_imports),
		EACH(erased_database_is_not_left_as_an_import),
		EACH(purged_database_is_not_left_as_an_import),
		EACH(purged_version_is_not_left_as_an_import),
		EACH(what_was_erased_or_destroyed_here_does_not_come_as_a_copy),
	};

	return cmocka_run_group_tests_name("what is left out under another name", tests, NULL,
					   NULL);
}
