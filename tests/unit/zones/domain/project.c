/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Projects and slots, and how processes see each other's changes. */
#include "base/macros.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/zones.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static void project_is_found_in_its_slot_by_another_process(void **state)
{
	FIXTURE(state);
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *found = NULL;

	assert_null(zones_find_slot(other, 0)); /* nothing was read yet */
	assert_int_equal(zones_refresh(other, false), ZONE_OK);
	found = zones_find_slot(other, 0);
	assert_non_null(found);
	assert_string_equal(found->label, "project");
	assert_true(uid_equal(found->uid, f->project->uid));
	assert_true(uid_equal(found->project, found->uid));
	assert_int_equal(found->revision, f->project->revision);
	zones_free(other);
}

static void slots_are_never_used_twice(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *project = NULL;
	struct entry *none = NULL;
	uint32_t slot = 0;

	assert_int_equal(zones_free_slot(f->zones, &slot), ZONE_OK);
	assert_int_equal(slot, 1);
	assert_int_equal(zones_project_create(f->zones, 0, bytes_of("x"), &none), ZONE_EXISTS);
	assert_int_equal(zones_project_create(f->zones, slot, bytes_of("two"), &project), ZONE_OK);
	assert_int_equal(project->of_project.slot, 1);
	assert_int_equal(zones_project_create(f->zones, slot, bytes_of("x"), &none), ZONE_EXISTS);
	assert_null(none);
	assert_int_equal(zones_project_create(f->zones, UINT32_MAX, bytes_of("x"), &none),
			 ZONE_INVALID);
}

static void slot_taken_by_another_process_is_refused(void **state)
{
	FIXTURE(state);
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *project = NULL;
	struct entry *none = NULL;

	assert_int_equal(zones_project_create(other, 1, bytes_of("theirs"), &project), ZONE_OK);
	assert_int_equal(zones_project_create(f->zones, 1, bytes_of("ours"), &none), ZONE_EXISTS);
	zones_free(other);
}

static void projects_are_listed_by_slot(void **state)
{
	FIXTURE(state);
	struct entry **projects = NULL;
	size_t count = 0;

	for (uint32_t slot = 1; slot < 20; slot++) {
		AUTO(entry_releasep) struct entry *project = NULL;

		assert_int_equal(zones_project_create(f->zones, slot, bytes_of("x"), &project),
				 ZONE_OK);
	}
	assert_int_equal(zones_list_projects(f->zones, &projects, &count), ZONE_OK);
	assert_int_equal(count, 20);
	for (uint32_t slot = 0; slot < count; slot++) {
		assert_int_equal(projects[slot]->of_project.slot, slot);
		entry_release(projects[slot]);
	}
	free(projects);
}

static void project_labels_are_text_of_32_bytes(void **state)
{
	FIXTURE(state);
	struct entry *none = NULL;

	assert_int_equal(zones_project_create(f->zones, 1,
					      bytes_of("123456789012345678901234567890123"), &none),
			 ZONE_INVALID_NAME);
	assert_int_equal(zones_project_create(f->zones, 1, bytes_of("\xff"), &none),
			 ZONE_INVALID_NAME);
	assert_int_equal(zones_project_create(f->zones, 1, bytes("a\0b", 3), &none),
			 ZONE_INVALID_NAME);
	assert_int_equal(zones_project_create(f->zones, 1, bytes_of("two\nlines"), &none),
			 ZONE_INVALID_NAME);
}

static void look_is_taken_at_most_once_a_second(void **state)
{
	FIXTURE(state);
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *seen = NULL;
	uint64_t before;

	assert_int_equal(zones_refresh(other, false), ZONE_OK);
	before = zones_generation(other);
	assert_int_equal(zones_project_create(f->zones, 1, bytes_of("new"), &project), ZONE_OK);
	fake_clock_advance(&f->clock, 999);
	assert_int_equal(zones_refresh(other, false), ZONE_OK);
	assert_null(zones_find_slot(other, 1));
	assert_int_equal(zones_generation(other), before);
	fake_clock_advance(&f->clock, 1);
	assert_int_equal(zones_refresh(other, false), ZONE_OK);
	seen = zones_find_slot(other, 1);
	assert_non_null(seen);
	assert_int_not_equal(zones_generation(other), before);
	zones_free(other);
}

static void look_that_is_asked_for_is_taken_now(void **state)
{
	FIXTURE(state);
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *seen = NULL;

	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_int_equal(zones_project_create(f->zones, 1, bytes_of("new"), &project), ZONE_OK);
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	seen = zones_find_slot(other, 1);
	assert_non_null(seen);
	zones_free(other);
}

static void replaced_project_is_archived_and_its_slot_has_a_new_one(void **state)
{
	FIXTURE(state);
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *new = NULL;
	AUTO(entry_releasep) struct entry *archive = NULL;
	AUTO(entry_releasep) struct entry *found = NULL;

	assert_int_equal(zones_project_replace(f->zones, f->project, bytes_of("new"), &new),
			 ZONE_OK);
	assert_int_equal(new->of_project.slot, 0);
	assert_false(uid_equal(new->uid, f->project->uid));
	archive = find_entry(f->zones, new->uid, ENTRY_ARCHIVE, "project");
	assert_non_null(archive);
	assert_true(uid_equal(archive->of_archive.archived, f->project->uid));
	assert_int_equal(archive->of_archive.slot, 0);
	assert_true(archive->delete_after_ms > f->clock.realtime_ms);

	/* Nothing of the old one can be seen, here or elsewhere. */
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	for (int i = 0; i < 2; i++) {
		struct zones *zones = i == 0 ? f->zones : other;

		assert_null(zones_find_uid(zones, root_key->uid));
		assert_null(zones_find_uid(zones, f->project->uid));
		assert_int_equal(count_entries(zones, f->project->uid, ENTRY_ROOT_KEY, true), 0);
	}
	assert_null(zones_find_number(f->zones, root_key->number));
	found = zones_find_slot(other, 0);
	assert_true(uid_equal(found->uid, new->uid));
	zones_free(other);
}

static void project_that_has_changed_is_not_replaced(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *new = NULL;
	struct entry *none = NULL;

	assert_int_equal(zones_project_replace(f->zones, f->project, bytes_of("new"), &new),
			 ZONE_OK);
	assert_int_equal(zones_project_replace(f->zones, f->project, bytes_of("newer"), &none),
			 ZONE_NOT_FOUND);
	assert_null(none);
}

static void corrupt_store_is_reported_and_left(void **state)
{
	FIXTURE(state);
	struct entry *none = NULL;
	struct stat before, after;

	assert_int_equal(truncate(f->path, 5000), 0);
	assert_int_equal(stat(f->path, &before), 0);
	zones_free(f->zones);
	f->zones = zones_other(f);
	assert_int_equal(zones_refresh(f->zones, false), ZONE_STORE_CORRUPT);
	assert_int_equal(zones_refresh(f->zones, false), ZONE_STORE_CORRUPT);
	assert_int_equal(zones_project_create(f->zones, 5, bytes_of("x"), &none),
			 ZONE_STORE_CORRUPT);
	assert_int_equal(stat(f->path, &after), 0);
	assert_int_equal(after.st_size, before.st_size);
	assert_int_equal(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
}

static void store_that_goes_away_leaves_everything_in_view_and_nothing_is_written(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *known = NULL;
	char aside[200];
	struct stat found;

	snprintf(aside, sizeof(aside), "%s.aside", f->path);
	assert_int_equal(rename(f->path, aside), 0);
	assert_int_equal(zones_refresh(f->zones, true), ZONE_STORE_UNAVAILABLE);
	assert_int_equal(zones_refresh(f->zones, false), ZONE_OK);
	known = zones_find_slot(f->zones, 0);
	assert_non_null(known);
	assert_int_equal(zones_project_create(f->zones, 7, bytes_of("anew"), &project),
			 ZONE_STORE_UNAVAILABLE);
	assert_int_equal(stat(f->path, &found), -1);
	assert_int_equal(rename(aside, f->path), 0);
	assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
	assert_int_equal(zones_project_create(f->zones, 7, bytes_of("anew"), &project), ZONE_OK);
}

#define ZONES_TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZONES_TEST(project_is_found_in_its_slot_by_another_process),
		ZONES_TEST(slots_are_never_used_twice),
		ZONES_TEST(slot_taken_by_another_process_is_refused),
		ZONES_TEST(projects_are_listed_by_slot),
		ZONES_TEST(project_labels_are_text_of_32_bytes),
		ZONES_TEST(look_is_taken_at_most_once_a_second),
		ZONES_TEST(look_that_is_asked_for_is_taken_now),
		ZONES_TEST(replaced_project_is_archived_and_its_slot_has_a_new_one),
		ZONES_TEST(project_that_has_changed_is_not_replaced),
		ZONES_TEST(corrupt_store_is_reported_and_left),
		ZONES_TEST(store_that_goes_away_leaves_everything_in_view_and_nothing_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
