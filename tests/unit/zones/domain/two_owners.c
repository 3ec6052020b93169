/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a zone that needs the root keys of two owners: made, rotated, moved, brought back. */
#include "base/log.h"
#include "tests/support/moved_zones.h"
#include "zones/domain/backup.h"
#include "zones/domain/edit.h"
#include "zones/domain/project.h"
#include "zones/domain/root_key.h"
#include "zones/domain/rotate.h"
#include "zones/domain/token_key.h"
#include "zones/ezk/ezk.h"
#include "zones/ezk/registry.h"

#include <unistd.h>

static enum zone_status create_both(struct zones_fixture *f, const char *one, const char *two,
				    struct entry **ret_zone)
{
	struct entry_names names = names_of("c/d");

	names.both[0] = bytes_of(one);
	names.both[1] = bytes_of(two);
	return zones_zone_create(f->zones, f->project->uid, &names, ret_zone);
}

static struct entry *zone_of_both(struct zones_fixture *f)
{
	struct entry *zone = NULL;

	place_for_zones(f);
	assert_int_equal(create_both(f, ROOT_A, ROOT_B, &zone), ZONE_OK);
	return zone;
}

static enum zone_status set_both(struct zones_fixture *f, const struct entry *zone, const char *one,
				 const char *two)
{
	AUTO(entry_releasep) struct entry *changed = NULL;
	const struct bytes arns[] = {bytes_of(one), bytes_of(two)};

	return zones_zone_set_root_keys(f->zones, zone, arns, 2, true, &changed);
}

static enum zone_status set_one(struct zones_fixture *f, const struct entry *zone, const char *one)
{
	AUTO(entry_releasep) struct entry *changed = NULL;
	const struct bytes arn = bytes_of(one);

	return zones_zone_set_root_keys(f->zones, zone, &arn, 1, false, &changed);
}

static bool needs_both(struct zones_fixture *f, const struct entry *zone)
{
	AUTO(entry_releasep) struct entry *found = now(f, zone);
	size_t both = 0;

	for (size_t i = 0; i < found->of_zone.version_count; i++)
		both += found->of_zone.versions[i].all_wraps;
	assert_true(both == 0 || both == found->of_zone.version_count);
	return both > 0;
}

static enum zone_status put_it(struct changes *changes, void *state)
{
	return changes_put(changes, state);
}

static void change_by_hand(struct zones_fixture *f, struct entry *changed)
{
	assert_int_equal(zones_change(f->zones, put_it, changed), ZONE_OK);
}

struct by_label {
	const char *label;
	struct entry *found;
};

static bool compare(void *state, struct entry *project)
{
	struct by_label *by = state;

	if (strcmp(project->label, by->label) == 0)
		by->found = entry_hold(project);
	return by->found == NULL;
}

/* Held. */
static struct entry *project_of(struct zones_fixture *f, const char *label)
{
	struct by_label by = {label, NULL};

	index_each_project(&f->zones->index, compare, &by);
	assert_non_null(by.found);
	return by.found;
}

static enum zone_status remove_key(struct zones_fixture *f, const char *label)
{
	AUTO(entry_releasep)
	struct entry *key = find_entry(f->zones, f->project->uid, ENTRY_ROOT_KEY, label);

	return zones_entry_delete(f->zones, key);
}

static void zone_is_made_for_two_owners_of_the_project(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *none = NULL, *local = NULL;

	place_for_zones(f);
	assert_int_equal(create_both(f, ROOT_A, ROOT_A, &none), ZONE_INVALID);
	assert_non_null(strstr(log_last(), "are one key"));
	assert_int_equal(create_both(f, ROOT_A, ROOT_EAST, &none), ZONE_NOT_FOUND);
	local = make_root_key(f, LOCAL_KEY);
	assert_int_equal(create_both(f, ROOT_A, local->of_root_key.arn, &none),
			 ZONE_WRONG_PROVIDER);
	assert_int_equal(create_both(f, ROOT_A, ROOT_B, &zone), ZONE_OK);
	assert_wraps(f, zone, "a b");
	assert_true(needs_both(f, zone));
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_int_equal(remove_key(f, "a"), ZONE_IN_USE);
	assert_int_equal(remove_key(f, "b"), ZONE_IN_USE);
}

static void each_owner_may_end_it(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = zone_of_both(f);

	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(open_anew(f, zone, 1), ZONE_KMS_DISABLED);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_OK);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_PENDING_DELETION, KMS_OK);
	assert_true(zone_status_is_no(open_anew(f, zone, 1)));
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_ENABLED, KMS_OK);
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
}

static void both_must_be_allowed(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = zone_of_both(f);

	f->allowed_root_keys = ROOT_A;
	assert_int_equal(open_anew(f, zone, 1), ZONE_ROOT_KEY_REFUSED);
	f->allowed_root_keys = ROOT_A ", " ROOT_B;
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
}

static void rotation_keeps_both(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = zone_of_both(f), *rotated = NULL;

	assert_int_equal(zones_zone_rotate(f->zones, zone, 2, &rotated), ZONE_OK);
	assert_wraps(f, zone, "a b");
	assert_true(needs_both(f, zone));
	assert_int_equal(open_anew(f, zone, 2), ZONE_OK);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(zones_zone_rotate(f->zones, zone, 3, NULL), ZONE_KMS_DISABLED);
	assert_int_equal(open_anew(f, zone, 2), ZONE_KMS_DISABLED);
}

static void one_owner_becomes_two_and_back(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	give_versions(f, zone, 2);
	assert_int_equal(set_both(f, zone, ROOT_A, ROOT_A), ZONE_EXISTS);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_ENABLED, KMS_DENIED);
	assert_int_equal(set_both(f, zone, ROOT_A, ROOT_B), ZONE_KMS_DENIED);
	assert_wraps(f, zone, "a");
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_ENABLED, KMS_OK);
	assert_int_equal(set_both(f, zone, ROOT_A, ROOT_B), ZONE_OK);
	assert_wraps(f, zone, "a b");
	assert_true(needs_both(f, zone));
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(set_one(f, zone, ROOT_A), ZONE_KMS_DISABLED);
	assert_true(needs_both(f, zone));
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_ENABLED, KMS_OK);
	assert_int_equal(set_one(f, zone, ROOT_A), ZONE_OK);
	assert_wraps(f, zone, "a");
	assert_false(needs_both(f, zone));
}

/* A lease that runs is asked of both next, and goes by both from there on. */
static void lease_follows_the_owners(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *current = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	place_for_zones(f);
	zone = moved_zone(f, "c/d");
	current = now(f, zone);
	assert_int_equal(ezk_find(zones_registry(f->zones), current, 1, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(set_both(f, zone, ROOT_A, ROOT_B), ZONE_OK);
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_DISABLED, KMS_OK);
	fake_clock_advance(&f->clock, 290 * 1000);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
	assert_false(ezk_leased(ezk));
	ezk_release(TAKE(ezk));
}

static void a_share_moves_and_the_other_stays(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = zone_of_both(f), *mrk = NULL;
	unsigned encrypts = fake_kms_calls(&f->aws, FAKE_ENCRYPT);

	mrk = make_root_key(f, ROOT_MRK);
	encrypts = fake_kms_calls(&f->aws, FAKE_ENCRYPT);
	refuse_calls(f, FAKE_DECRYPT);
	assert_int_equal(set_both(f, zone, ROOT_MRK, ROOT_B), ZONE_OK);
	fake_kms_fail(&f->aws, FAKE_DECRYPT, KMS_OK, 0);
	assert_int_equal(fake_kms_calls(&f->aws, FAKE_ENCRYPT), encrypts);
	assert_wraps(f, zone, "other? b a-");
	assert_int_equal(remove_key(f, "a"), ZONE_IN_USE);
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_wraps(f, zone, "other b");
	/* The named key in place of the first; that of the second owner stays. */
	assert_int_equal(rewrap(f, zone, ROOT_A), ZONE_OK);
	assert_wraps(f, zone, "a? b other-");
	assert_int_equal(rewrap(f, zone, ROOT_A), ZONE_OK); /* proves */
	assert_wraps(f, zone, "a b");
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK); /* anew, and no other */
	assert_wraps(f, zone, "a b? b-");
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_wraps(f, zone, "a b");
}

static void the_share_goes_that_its_cluster_is_leaving(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *mrk = NULL;

	place_for_zones(f);
	mrk = make_root_key(f, ROOT_MRK);
	assert_int_equal(create_both(f, ROOT_B, ROOT_A, &zone), ZONE_OK);
	assert_int_equal(aim(f, "c", ROOT_MRK), ZONE_OK);
	assert_int_equal(rewrap(f, zone, ROOT_MRK), ZONE_OK);
	assert_wraps(f, zone, "b other? a-");
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK);
}

static bool is_leaving(struct zones_fixture *f)
{
	AUTO(entry_releasep)
	struct entry *cluster = find_entry(f->zones, f->project->uid, ENTRY_CLUSTER, "c");

	return !uid_equal(cluster->of_cluster.leaving, (struct uid){0});
}

static void cluster_does_not_leave_what_stays_as_the_other_owners(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *mrk = NULL;

	place_for_zones(f);
	mrk = make_root_key(f, ROOT_MRK);
	assert_int_equal(create_both(f, ROOT_B, ROOT_A, &zone), ZONE_OK);
	assert_int_equal(aim(f, "c", ROOT_B), ZONE_OK);
	assert_false(is_leaving(f));
	assert_int_equal(rewrap(f, zone, ROOT_B), ZONE_OK); /* anew, and no other */
	assert_wraps(f, zone, "b? a b-");
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	assert_int_equal(aim(f, "c", ROOT_MRK), ZONE_OK);
	assert_true(is_leaving(f));
	assert_int_equal(rewrap(f, zone, ROOT_MRK), ZONE_OK);
	assert_wraps(f, zone, "other? a b-");
	assert_false(is_leaving(f));
}

static void stored_key_of_two_owners_is_not_wrapped_by_a_version_of_one(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = zone_of_both(f), *key = NULL, *changed = NULL;
	AUTO(entry_releasep) struct entry *rotated = NULL;
	struct entry_names names = names_of("stored");

	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 31,
					  bytes_of("0123456789abcdef"), &names, &key),
			 ZONE_OK);
	assert_int_equal(zones_zone_rotate(f->zones, zone, 2, &rotated), ZONE_OK);
	/* As whoever writes the store could have it. */
	changed = entry_copy(rotated);
	changed->of_zone.versions[1].all_wraps = false;
	change_by_hand(f, changed);
	assert_int_equal(zones_key_rewrap(f->zones, key, 2), ZONE_INVALID);
	assert_non_null(strstr(log_last(), "root keys of two owners"));
}

/* --- From elsewhere */

static struct entry *copy_of(struct zones_fixture *f, const struct buffer *file)
{
	const struct restore_wish wish = {.as = bytes_of("copy")};
	AUTO(buffer_clear) struct buffer told = {0};
	AUTO(entry_releasep) struct entry *project = NULL;

	assert_int_equal(zones_restore(f->zones, buffer_bytes(file), &wish, &told), ZONE_OK);
	project = project_of(f, "copy");
	return find_entry(f->zones, project->uid, ENTRY_ZONE, "c/d");
}

static void imported_version_ends_with_a_no_of_either(void **state)
{
	static const char *const owners[] = {ROOT_A, ROOT_B};
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = zone_of_both(f), *rotated = NULL, *copy = NULL;
	AUTO(buffer_clear) struct buffer file = {0}, told = {0};

	assert_int_equal(zones_zone_rotate(f->zones, zone, 2, &rotated), ZONE_OK);
	assert_int_equal(zones_backup_make(f->zones, f->project->uid, &(struct backup_wish){0},
					   &file, &told),
			 ZONE_OK);
	copy = copy_of(f, &file);
	/* The copy has a version 1 of its own, and none that is 2. */
	for (size_t i = 0; i < COUNT_OF(owners); i++) {
		AUTO(ezk_releasep) struct ezk *own = NULL, *import = NULL;

		zones_reopen(f);
		assert_int_equal(ezk_find(zones_registry(f->zones), copy, EZK_PRIMARY, &own),
				 ZONE_OK);
		assert_int_equal(ezk_sibling(own, zone->of_zone.zone, 2, &import), ZONE_OK);
		assert_int_equal(ezk_begin(import), ZONE_OK);
		assert_int_equal(ezk_owner_count(import), 2); /* it rests on both */
		fake_kms_set(&f->aws, owners[i], KMS_KEY_DISABLED, KMS_OK);
		fake_clock_advance(&f->clock, 290 * 1000);
		assert_int_equal(ezk_begin(import), ZONE_KMS_DISABLED);
		assert_false(ezk_leased(import));
		fake_kms_set(&f->aws, owners[i], KMS_KEY_ENABLED, KMS_OK);
		ezk_release(TAKE(import));
		ezk_release(TAKE(own));
	}
}

static enum zone_status restore_mapped(struct zones_fixture *f, const struct buffer *file,
				       const struct restore_map *maps, size_t count)
{
	const struct restore_wish wish = {.maps = maps, .map_count = count};
	AUTO(buffer_clear) struct buffer told = {0};

	return zones_restore(f->zones, buffer_bytes(file), &wish, &told);
}

static void lose_store(struct zones_fixture *f)
{
	zones_free(f->zones);
	f->zones = NULL;
	entry_release(f->project);
	f->project = NULL;
	assert_int_equal(unlink(f->path), 0);
	zones_reopen(f);
}

static void each_share_is_mapped_and_both_to_one_key_are_not(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = zone_of_both(f);
	AUTO(buffer_clear) struct buffer file = {0}, told = {0};
	const struct restore_map one[] = {{bytes_of(ROOT_B), bytes_of(ROOT_MRK)}};
	const struct restore_map both[] = {{bytes_of(ROOT_A), bytes_of(ROOT_MRK)},
					   {bytes_of(ROOT_B), bytes_of(ROOT_MRK)}};

	assert_int_equal(zones_backup_make(f->zones, f->project->uid, &(struct backup_wish){0},
					   &file, &told),
			 ZONE_OK);
	lose_store(f);
	assert_int_equal(restore_mapped(f, &file, both, 2), ZONE_INVALID);
	assert_non_null(strstr(log_last(), "map them to two keys"));
	assert_int_equal(restore_mapped(f, &file, one, 1), ZONE_OK);
	assert_wraps(f, zone, "a other");
	assert_true(needs_both(f, zone));
	fake_kms_set(&f->aws, ROOT_B, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(open_anew(f, zone, 1), ZONE_OK);
	fake_kms_set(&f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(open_anew(f, zone, 1), ZONE_KMS_DISABLED);
}

static void records_come_to_stay_where_both_keys_are(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *zone = zone_of_both(f);
	AUTO(entry_releasep)
	struct entry *project = NULL, *first = NULL, *second = NULL, *back = NULL;
	AUTO(buffer_clear) struct buffer records = {0};
	struct entry_names names = names_of("a"), other = names_of("b"), place = names_of("back");

	assert_int_equal(zones_zone_export(f->zones, zone, &records), ZONE_OK);
	assert_int_equal(remove(f->path), 0);
	zones_reopen(f);
	assert_int_equal(zones_project_create(f->zones, 0, bytes_of("fresh"), &project), ZONE_OK);
	assert_int_equal(
		zones_root_key_add(f->zones, project->uid, bytes_of(ROOT_A), &names, &first),
		ZONE_OK);
	assert_int_equal(zones_zone_import(f->zones, project->uid, first, buffer_bytes(&records),
					   false, &place, &back),
			 ZONE_NO_ROOT_KEY);
	assert_int_equal(
		zones_root_key_add(f->zones, project->uid, bytes_of(ROOT_B), &other, &second),
		ZONE_OK);
	assert_int_equal(zones_zone_import(f->zones, project->uid, first, buffer_bytes(&records),
					   false, &place, &back),
			 ZONE_OK);
	assert_wraps(f, back, "a b");
	assert_int_equal(open_anew(f, back, 1), ZONE_OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(zone_is_made_for_two_owners_of_the_project),
		CASE(each_owner_may_end_it),
		CASE(both_must_be_allowed),
		CASE(rotation_keeps_both),
		CASE(one_owner_becomes_two_and_back),
		CASE(lease_follows_the_owners),
		CASE(a_share_moves_and_the_other_stays),
		CASE(the_share_goes_that_its_cluster_is_leaving),
		CASE(cluster_does_not_leave_what_stays_as_the_other_owners),
		CASE(stored_key_of_two_owners_is_not_wrapped_by_a_version_of_one),
		CASE(imported_version_ends_with_a_no_of_either),
		CASE(each_share_is_mapped_and_both_to_one_key_are_not),
		CASE(records_come_to_stay_where_both_keys_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
