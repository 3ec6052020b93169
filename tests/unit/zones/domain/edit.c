/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Renaming, deleting, restoring. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/rewrap.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/ezk/ezk.h"

#include <stdlib.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static struct entry *make_zone(struct zones_fixture *f, const char *label)
{
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	names.usages = USAGE_ENCRYPT | USAGE_DECRYPT | USAGE_WRAP | USAGE_UNWRAP;
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

static struct entry *make_key(struct zones_fixture *f, const struct entry *zone)
{
	struct entry_names names = names_of("key");
	struct entry *key = NULL;

	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &names, &key),
			 ZONE_OK);
	return key;
}

static enum zone_status rename_to(struct zones_fixture *f, const struct entry *entry,
				  const char *label, uint32_t usages)
{
	AUTO(entry_releasep) struct entry *renamed = NULL;
	struct entry_names names = {.label = bytes_of(label), .usages = usages};

	return zones_entry_rename(f->zones, entry, &names, &renamed);
}

static struct entry *now(struct zones_fixture *f, const struct entry *entry)
{
	return zones_find_uid(f->zones, entry->uid);
}

static void rename_changes_label_id_usages_and_extra(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *renamed = NULL;
	AUTO(entry_releasep) struct entry *found = NULL;
	struct entry_names names = {bytes_of("db2"), bytes_of("id"), USAGE_WRAP, bytes_of("more")};

	assert_int_equal(zones_entry_rename(f->zones, zone, &names, &renamed), ZONE_OK);
	zones_reopen(f);
	found = now(f, zone);
	assert_string_equal(found->label, "db2");
	assert_bytes(found->id, bytes_of("id"));
	assert_int_equal(found->usages, USAGE_WRAP);
	assert_bytes(found->extra, bytes_of("more"));
	assert_int_equal(found->of_zone.version_count, 1);
	assert_string_equal(found->of_zone.versions[0].wraps[0].arn, ROOT_A);
}

static void empty_names_stand_for_the_defaults(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *key = make_key(f, zone);
	AUTO(entry_releasep) struct entry *renamed_zone = NULL;
	AUTO(entry_releasep) struct entry *renamed_key = NULL;
	const struct entry_names nothing = {.usages = USAGE_WRAP};

	assert_int_equal(zones_entry_rename(f->zones, zone, &nothing, &renamed_zone), ZONE_OK);
	assert_memory_equal(renamed_zone->label, "zone-", 5);
	assert_int_equal(renamed_zone->id.len, 8);
	assert_int_equal(zones_entry_rename(f->zones, key, &nothing, &renamed_key), ZONE_OK);
	assert_string_equal(renamed_key->label, "");
	assert_int_equal(renamed_key->id.len, 0);
	assert_int_equal(renamed_key->extra.len, 0);
}

static void attributes_that_the_store_could_not_read_back_are_not_written(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *renamed = NULL;
	struct entry_names names = names_of("db");
	uint8_t *extra = calloc(1, EXTRA_MAX + 1);

	names.extra = bytes(extra, EXTRA_MAX + 1);
	assert_int_equal(zones_entry_rename(f->zones, zone, &names, &renamed), ZONE_INVALID);
	names.extra.len = EXTRA_MAX;
	assert_int_equal(zones_entry_rename(f->zones, zone, &names, &renamed), ZONE_OK);
	zones_reopen(f);
	assert_non_null(f->project);
	free(extra);
}

static void change_of_what_somebody_else_changed_is_a_conflict(void **state)
{
	FIXTURE(state);
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *theirs = NULL;
	AUTO(entry_releasep) struct entry *renamed = NULL;
	struct entry_names names = names_of("theirs");

	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	theirs = zones_find_uid(other, zone->uid);
	assert_int_equal(zones_entry_rename(other, theirs, &names, &renamed), ZONE_OK);
	assert_int_equal(rename_to(f, zone, "ours", USAGE_WRAP), ZONE_CONFLICT);
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_CONFLICT);
	zones_free(other);
}

static void usages_of_a_zone_are_narrowed_not_widened(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *narrowed = NULL;

	assert_int_equal(rename_to(f, zone, "db", USAGE_WRAP | USAGE_SIGN), ZONE_INVALID);
	assert_int_equal(rename_to(f, zone, "db", USAGE_WRAP), ZONE_OK);
	narrowed = now(f, zone);
	/* What it was made for may come back. */
	assert_int_equal(rename_to(f, narrowed, "db", USAGE_WRAP | USAGE_ENCRYPT), ZONE_OK);
}

static void zone_keeps_to_its_cluster_and_to_a_free_label(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "c");
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "c/one");
	AUTO(entry_releasep) struct entry *two = make_zone(f, "c/two");
	AUTO(entry_releasep) struct entry *three = make_zone(f, "three");

	assert_int_equal(rename_to(f, zone, "c/two", USAGE_WRAP), ZONE_EXISTS);
	assert_int_equal(rename_to(f, zone, "one", USAGE_WRAP), ZONE_INVALID);
	assert_int_equal(rename_to(f, zone, "default/one", USAGE_WRAP), ZONE_INVALID);
	assert_int_equal(rename_to(f, zone, "c/x/y", USAGE_WRAP), ZONE_INVALID_NAME);
	assert_int_equal(rename_to(f, zone, "c/four", USAGE_WRAP), ZONE_OK);
	assert_int_equal(rename_to(f, three, "default/three", USAGE_WRAP), ZONE_OK);
}

static void renamed_cluster_takes_its_zones_labels_along(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "c");
	AUTO(entry_releasep) struct entry *one = make_zone(f, "c/one");
	AUTO(entry_releasep) struct entry *two = make_zone(f, "two");
	AUTO(entry_releasep) struct entry *cluster_two = NULL;
	AUTO(entry_releasep) struct entry *found = NULL;

	assert_int_equal(rename_to(f, cluster, "d", 0), ZONE_OK);
	found = now(f, one);
	assert_string_equal(found->label, "d/one");
	cluster_two = find_entry(f->zones, f->project->uid, ENTRY_CLUSTER, "default");
	assert_int_equal(rename_to(f, cluster_two, "d", 0), ZONE_EXISTS);
	assert_int_equal(rename_to(f, cluster_two, "e", 0), ZONE_OK);
	entry_release(found);
	found = now(f, two);
	assert_string_equal(found->label, "e/two");
}

static void deleted_zone_is_out_of_use_until_it_is_restored(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *pending = NULL;
	AUTO(entry_releasep) struct entry *restored = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	assert_int_equal(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_PENDING_DELETION);
	pending = now(f, zone);
	assert_int_equal(pending->state, ENTRY_PENDING_DELETION);
	assert_true(pending->delete_after_ms ==
		    f->clock.realtime_ms + (int64_t)30 * 24 * 3600 * 1000);
	assert_int_equal(pending->of_zone.version_count, 1);
	/* Once more changes nothing. */
	assert_int_equal(zones_entry_delete(f->zones, pending), ZONE_OK);
	assert_int_equal(zones_entry_restore(f->zones, pending, bytes(NULL, 0), &restored),
			 ZONE_OK);
	assert_int_equal(restored->state, ENTRY_ACTIVE);
	assert_int_equal(restored->number, zone->number);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
}

static void deletion_by_another_process_ends_a_lease(void **state)
{
	FIXTURE(state);
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *theirs = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	assert_int_equal(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	theirs = zones_find_uid(other, zone->uid);
	assert_int_equal(zones_entry_delete(other, theirs), ZONE_OK);
	fake_clock_advance(&f->clock, 1000);
	assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_PENDING_DELETION);
	zones_free(other);
}

static void restored_zone_needs_a_free_label(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *pending = NULL;
	AUTO(entry_releasep) struct entry *other = NULL;
	AUTO(entry_releasep) struct entry *renamed = NULL;
	AUTO(entry_releasep) struct entry *restored = NULL;
	struct entry_names names = {.label = bytes_of("db-old"), .usages = USAGE_WRAP};

	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	other = make_zone(f, "db");
	pending = now(f, zone);
	assert_int_equal(zones_entry_restore(f->zones, pending, bytes(NULL, 0), &restored),
			 ZONE_EXISTS);
	assert_int_equal(zones_entry_rename(f->zones, pending, &names, &renamed), ZONE_OK);
	assert_int_equal(zones_entry_restore(f->zones, renamed, bytes(NULL, 0), &restored),
			 ZONE_OK);
	assert_string_equal(restored->label, "db-old");
}

static void root_key_that_a_zone_or_cluster_needs_stays(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep)
	struct entry *cluster = find_entry(f->zones, f->project->uid, ENTRY_CLUSTER, "default");
	AUTO(entry_releasep) struct entry *restored = NULL;
	AUTO(entry_releasep) struct entry *pending = NULL;

	assert_int_equal(zones_entry_delete(f->zones, root_key), ZONE_IN_USE);
	assert_int_equal(zones_entry_delete(f->zones, cluster), ZONE_IN_USE);
	/* A zone that can be restored needs it still. */
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, root_key), ZONE_IN_USE);
	assert_int_equal(zones_entry_delete(f->zones, cluster), ZONE_IN_USE);
	fake_clock_advance(&f->clock, (int64_t)30 * 24 * 3600 * 1000);
	assert_int_equal(zones_entry_delete(f->zones, root_key), ZONE_IN_USE); /* the cluster's */
	assert_int_equal(zones_entry_delete(f->zones, cluster), ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, root_key), ZONE_OK);

	/* Back in order: root key, then cluster. */
	pending = now(f, cluster);
	assert_int_equal(zones_entry_restore(f->zones, pending, bytes(NULL, 0), &restored),
			 ZONE_PENDING_DELETION);
	entry_release(pending);
	pending = now(f, root_key);
	assert_int_equal(zones_entry_restore(f->zones, pending, bytes(NULL, 0), &restored),
			 ZONE_OK);
	entry_release(pending);
	entry_release(restored);
	pending = now(f, cluster);
	assert_int_equal(zones_entry_restore(f->zones, pending, bytes(NULL, 0), &restored),
			 ZONE_OK);
}

static enum zone_status restore_now(struct zones_fixture *f, const struct entry *entry)
{
	AUTO(entry_releasep) struct entry *pending = now(f, entry), *restored = NULL;

	return zones_entry_restore(f->zones, pending, bytes(NULL, 0), &restored);
}

/* When its time is over it holds up the removal of no root key, and can come back all the same. */
static void zone_comes_back_after_each_root_key_that_it_needs(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *a = make_root_key(f, "alias/a");
	AUTO(entry_releasep) struct entry *b = make_root_key(f, "alias/b");
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, a, "c");
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "c/db"), *both = NULL;
	const struct bytes arns[] = {bytes_of(ROOT_A), bytes_of(ROOT_B)};

	assert_int_equal(zones_zone_set_root_keys(f->zones, zone, arns, 2, false, &both), ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, both), ZONE_OK);
	fake_clock_advance(&f->clock, 31LL * 24 * 60 * 60 * 1000);
	assert_int_equal(zones_entry_delete(f->zones, b), ZONE_OK);
	assert_int_equal(restore_now(f, zone), ZONE_PENDING_DELETION);
	assert_non_null(strstr(log_last(), "restore root key 'b' first"));
	assert_int_equal(restore_now(f, b), ZONE_OK);
	assert_int_equal(restore_now(f, zone), ZONE_OK);
}

static void cluster_comes_back_after_the_root_key_that_it_leaves(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *a = make_root_key(f, "alias/a");
	AUTO(entry_releasep) struct entry *b = make_root_key(f, "alias/b");
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, a, "c"), *leaving = NULL;
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "c/db");

	assert_int_equal(zones_cluster_rewrap(f->zones, cluster, bytes_of(ROOT_B), &leaving),
			 ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	fake_clock_advance(&f->clock, 31LL * 24 * 60 * 60 * 1000);
	assert_int_equal(zones_entry_delete(f->zones, leaving), ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, a), ZONE_OK);
	assert_int_equal(restore_now(f, cluster), ZONE_PENDING_DELETION);
	assert_int_equal(restore_now(f, a), ZONE_OK);
	assert_int_equal(restore_now(f, cluster), ZONE_OK);
}

static void token_key_is_deleted_for_good(void **state)
{
	FIXTURE(state);
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *key = make_key(f, zone);

	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(count_entries(other, f->project->uid, ENTRY_KEY, true), 1);
	assert_int_equal(zones_entry_delete(f->zones, key), ZONE_OK);
	assert_null(now(f, key));
	assert_int_equal(zones_entry_delete(f->zones, key), ZONE_NOT_FOUND);
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(count_entries(other, f->project->uid, ENTRY_KEY, true), 0);
	zones_free(other);
}

static void archived_project_is_out_of_use_until_it_is_restored(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *new = NULL;
	AUTO(entry_releasep) struct entry *archive = NULL;
	AUTO(entry_releasep) struct entry *back = NULL;
	AUTO(entry_releasep) struct entry *found = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	assert_int_equal(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(zones_project_replace(f->zones, f->project, bytes_of("new"), &new),
			 ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_PENDING_DELETION);
	assert_null(zones_find_zone(f->zones, zone->of_zone.zone));
	archive = find_entry(f->zones, new->uid, ENTRY_ARCHIVE, "project");
	assert_int_equal(zones_entry_delete(f->zones, archive), ZONE_PENDING_DELETION);
	assert_int_equal(zones_entry_restore(f->zones, archive, bytes(NULL, 0), &back), ZONE_OK);
	assert_int_equal(back->kind, ENTRY_PROJECT);
	assert_true(uid_equal(back->uid, f->project->uid));
	assert_int_equal(back->of_project.slot, 1); /* the old number is its successor's */
	assert_int_equal(count_entries(f->zones, new->uid, ENTRY_ARCHIVE, true), 0);
	found = zones_find_zone(f->zones, zone->of_zone.zone);
	assert_non_null(found);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
}

static void project_is_not_deleted(void **state)
{
	FIXTURE(state);

	assert_int_equal(zones_entry_delete(f->zones, f->project), ZONE_INVALID);
}

#define ZONES_TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZONES_TEST(rename_changes_label_id_usages_and_extra),
		ZONES_TEST(empty_names_stand_for_the_defaults),
		ZONES_TEST(attributes_that_the_store_could_not_read_back_are_not_written),
		ZONES_TEST(change_of_what_somebody_else_changed_is_a_conflict),
		ZONES_TEST(usages_of_a_zone_are_narrowed_not_widened),
		ZONES_TEST(zone_keeps_to_its_cluster_and_to_a_free_label),
		ZONES_TEST(renamed_cluster_takes_its_zones_labels_along),
		ZONES_TEST(deleted_zone_is_out_of_use_until_it_is_restored),
		ZONES_TEST(deletion_by_another_process_ends_a_lease),
		ZONES_TEST(restored_zone_needs_a_free_label),
		ZONES_TEST(root_key_that_a_zone_or_cluster_needs_stays),
		ZONES_TEST(zone_comes_back_after_each_root_key_that_it_needs),
		ZONES_TEST(cluster_comes_back_after_the_root_key_that_it_leaves),
		ZONES_TEST(token_key_is_deleted_for_good),
		ZONES_TEST(archived_project_is_out_of_use_until_it_is_restored),
		ZONES_TEST(project_is_not_deleted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
