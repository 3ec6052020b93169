/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Projects go from a store in a file to one that asks others, and back: whole, cut off at each of
 * its writes, taken back; and what refuses it. */
#include "base/buffer.h"
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/memory_store.h"
#include "tests/support/store_fixture.h"
#include "tests/support/two_stores.h"
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

static enum zone_status rename_zone(struct zones *zones, const struct zones_fixture *f,
				    const char *label, const char *to)
{
	AUTO(entry_releasep) struct entry *zone = zone_of(zones, f, label);
	AUTO(entry_releasep) struct entry *renamed = NULL;
	struct entry_names names = names_of(to);

	return zones_entry_rename(zones, zone, &names, &renamed);
}

static void project_goes_whole_and_lives_in_the_other_store_alone(void **state)
{
	FIXTURE(state);
	AUTO(zones_freep) struct zones *other = NULL;
	AUTO(entry_releasep) struct entry *more = NULL;
	const struct store_copy_wish dry = {.to = "memory", .dry_run = true};

	assert_int_equal(copy_told(f->zones, &dry, "\"dry_run\": true"), ZONE_OK);
	assert_int_equal(memory_rows.count, 0);
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	assert_same_rows(f);
	other = there(f);
	assert_false(takes_changes(f->zones, f->project->uid, "prod/late"));
	assert_non_null(strstr(log_last(), "has gone to store memory"));
	assert_int_equal(rename_zone(f->zones, f, "prod/a", "prod/x"), ZONE_STORE_MOVED);
	assert_int_equal(zones_project_create(f->zones, 7, bytes_of("more"), &more),
			 ZONE_STORE_MOVED);
	assert_non_null(strstr(log_last(), "new projects are made where project "));
	assert_non_null(strstr(log_last(), ", store memory; make it there, or move the others"));
	assert_true(takes_changes(other, f->project->uid, "prod/late"));
	assert_int_equal(count_entries(other, f->project->uid, ENTRY_KEY, false), 1);
	/* Nothing is left to do. */
	assert_int_equal(
		copy_told(f->zones, &(struct store_copy_wish){.to = "memory"}, "\"projects\": []"),
		ZONE_OK);
}

static void way_back_brings_what_has_changed_there(void **state)
{
	FIXTURE(state);
	AUTO(zones_freep) struct zones *other = NULL;

	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	other = there(f);
	/* Names that change hands, and one that a new database has. */
	assert_int_equal(rename_zone(other, f, "prod/a", "prod/c"), ZONE_OK);
	assert_int_equal(rename_zone(other, f, "prod/b", "prod/a"), ZONE_OK);
	assert_int_equal(rename_zone(other, f, "prod/c", "prod/b"), ZONE_OK);
	assert_int_equal(delete_zone(other, f, "prod/z1", true), ZONE_OK);
	assert_true(takes_changes(other, f->project->uid, "prod/z1"));
	assert_int_equal(delete_zone(other, f, "prod/z2", false), ZONE_OK);
	assert_int_equal(copy_to(other, f->path), ZONE_OK);
	assert_same_rows(f);
	assert_false(takes_changes(other, f->project->uid, "prod/late"));
	assert_true(takes_changes(f->zones, f->project->uid, "prod/late"));
	/* And there once more. */
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	assert_same_rows(f);
}

static void what_awaits_deletion_of_a_marked_project_stays(void **state)
{
	FIXTURE(state);
	struct purge_report report;
	AUTO(zones_freep) struct zones *other = NULL;

	cutting.cut = CUT_AFTER;
	cutting.at = 3; /* it has begun to arrive */
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_STORE_UNAVAILABLE);
	other = there(f);
	f->clock.realtime_ms += INT64_C(400) * 24 * 3600 * 1000;
	assert_int_equal(zones_purge(f->zones, PURGE_DUE, &report), ZONE_OK);
	assert_int_equal(report.zones + report.projects, 0);
	assert_int_equal(zones_purge(other, PURGE_DUE, &report), ZONE_OK);
	assert_int_equal(report.zones + report.projects, 0);
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	assert_same_rows(f);
}

static void other_stores_projects_keep_their_names_and_slots(void **state)
{
	FIXTURE(state);
	AUTO(zones_freep) struct zones *other = there(f);
	AUTO(entry_releasep) struct entry *first = NULL;
	AUTO(entry_releasep) struct entry *theirs = NULL;
	AUTO(entry_releasep) struct entry *arrived = NULL;

	assert_int_equal(zones_project_create(other, 0, bytes_of("theirs"), &first), ZONE_OK);
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	arrived = zones_find_uid(other, f->project->uid);
	assert_int_equal(arrived->of_project.slot, 1);
	theirs = zones_find_uid(other, first->uid);
	assert_int_equal(theirs->of_project.slot, 0);
}

static void names_and_lives_that_collide_are_refused(void **state)
{
	FIXTURE(state);
	AUTO(zones_freep) struct zones *other = there(f);
	AUTO(entry_releasep) struct entry *namesake = NULL;

	assert_int_equal(copy_to(f->zones, f->path), ZONE_INVALID);
	assert_non_null(strstr(log_last(), "this store itself"));
	assert_int_equal(zones_project_create(other, 3, bytes_of("project"), &namesake), ZONE_OK);
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_EXISTS);
	assert_non_null(strstr(log_last(), "name of another project"));
	assert_true(takes_changes(f->zones, f->project->uid, "prod/still"));
	assert_int_equal(undo(f->zones, "memory"), ZONE_OK); /* there is nothing to take back */
	assert_int_equal(copy_told(f->zones,
				   &(struct store_copy_wish){.to = "memory", .of = &namesake->uid},
				   NULL),
			 ZONE_NOT_FOUND);
}

/* Copies from there to a third store, as its own process would. */
static void copy_on(struct zones_fixture *f, const char *third)
{
	AUTO(zones_freep) struct zones *other = there(f);

	assert_int_equal(copy_to(other, third), ZONE_OK);
}

static void project_that_has_gone_on_is_neither_copied_again_nor_taken_back(void **state)
{
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer third = {0};

	buffer_put_text(&third, f->path);
	buffer_put_text(&third, ".third");
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	copy_on(f, buffer_text(&third));
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_CONFLICT);
	assert_non_null(strstr(log_last(), "has gone on to store"));
	assert_int_equal(undo(f->zones, "memory"), ZONE_CONFLICT);
	assert_non_null(strstr(log_last(), "has gone on to store"));
	assert_lives_once_at_most(f, "prod/late");
	assert_false(takes_changes(f->zones, f->project->uid, "prod/late"));
}

static void project_that_was_purged_there_does_not_come_again(void **state)
{
	FIXTURE(state);

	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	for (size_t i = 0; i < memory_rows.count; i++)
		memory_rows.rows[i].removed = true;
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_CONFLICT);
	assert_non_null(strstr(log_last(), "was deleted for good in store"));
	assert_int_equal(undo(f->zones, "memory"), ZONE_CONFLICT);
	assert_false(takes_changes(f->zones, f->project->uid, "prod/late"));
}

/* In the store in memory: all of a project has gone for good. */
static void purge_there(struct uid project)
{
	for (size_t i = 0; i < memory_rows.count; i++)
		memory_rows.rows[i].removed |=
			uid_equal(memory_rows.rows[i].entry->project, project);
}

static bool is_gone(struct zones_fixture *f, struct uid project)
{
	AUTO(zones_freep) struct zones *again = zones_other(f);
	AUTO(entry_releasep) struct entry *found = NULL;

	assert_int_equal(zones_refresh(again, true), ZONE_OK);
	found = zones_find_uid(again, project);
	return found == NULL && index_is_buried(&again->index, project);
}

static void way_back_removes_what_was_purged_there(void **state)
{
	FIXTURE(state);
	AUTO(zones_freep) struct zones *other = NULL;
	AUTO(entry_releasep) struct entry *more = NULL;
	struct store_copy_wish dry = {.to = f->path, .dry_run = true};

	assert_int_equal(zones_project_create(f->zones, 7, bytes_of("more"), &more), ZONE_OK);
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	purge_there(f->project->uid);
	other = there(f);
	assert_int_equal(copy_told(other, &dry, NULL), ZONE_OK);
	assert_false(is_gone(f, f->project->uid));
	assert_int_equal(copy_to(other, f->path), ZONE_OK);
	assert_true(is_gone(f, f->project->uid));
	assert_false(is_gone(f, more->uid));
	assert_int_equal(copy_to(other, f->path), ZONE_OK); /* nothing is left to do */
	assert_true(is_gone(f, f->project->uid));
}

static void way_back_removes_also_the_last_project(void **state)
{
	FIXTURE(state);
	AUTO(zones_freep) struct zones *other = NULL;

	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	purge_there(f->project->uid);
	other = there(f);
	assert_int_equal(copy_to(other, f->path), ZONE_OK);
	assert_true(is_gone(f, f->project->uid));
}

static enum zone_status copy_damaged(struct zones *zones, struct uid project, const char *to,
				     bool dry_run)
{
	const struct store_copy_wish wish = {.to = to, .dry_run = dry_run};
	enum zone_status status;

	memory_rows.unread =
		(struct store_unread){project, ZONE_STORE_CORRUPT, false, "project P is damaged"};
	status = copy_told(zones, &wish, NULL);
	memory_rows.unread.why = ZONE_OK;
	return status;
}

static void nothing_is_copied_while_a_project_of_either_store_cannot_be_read(void **state)
{
	FIXTURE(state);
	struct uid hurt = f->project->uid;
	AUTO(zones_freep) struct zones *other = NULL;
	size_t zones;

	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	other = there(f);
	zones = f->zones->index.zone_count;
	for (int dry_run = 0; dry_run < 2; dry_run++) {
		assert_int_equal(copy_damaged(other, hurt, f->path, dry_run), ZONE_STORE_CORRUPT);
		assert_non_null(strstr(log_last(), "project P is damaged"));
		assert_int_equal(copy_damaged(f->zones, hurt, "memory", dry_run),
				 ZONE_STORE_CORRUPT);
	}
	assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
	assert_int_equal(f->zones->index.zone_count, zones);
	assert_false(is_gone(f, hurt));
	/* And when it can be read again, it goes on. */
	assert_int_equal(copy_to(other, f->path), ZONE_OK);
	assert_same_rows(f);
}

static void store_that_has_taken_the_place_of_another_is_told(void **state)
{
	FIXTURE(state);

	memory_rows.id = "one";
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	memory_rows.id = "another";
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_CONFLICT);
	assert_non_null(strstr(log_last(), "in whose place is another one now; put that one back"));
	assert_int_equal(undo(f->zones, "memory"), ZONE_CONFLICT);
	assert_false(takes_changes(f->zones, f->project->uid, "prod/late"));
}

static void tombstone_lies_with_its_own_project(void **state)
{
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer third = {0};
	const struct uid theirs = {{7, 7, 7}};

	buffer_put_text(&third, f->path);
	buffer_put_text(&third, ".third");
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	for (size_t i = 0; i < memory_rows.count; i++)
		if (memory_rows.rows[i].removed)
			memory_rows.rows[i].entry->project = theirs; /* as DynamoDB knows it */
	copy_on(f, buffer_text(&third));
	assert_memory_equal(watched.tombstone.bytes, theirs.bytes, UID_SIZE);
}

static void tombstone_of_a_file_goes_with_its_own_project(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *more = NULL;

	assert_int_equal(zones_project_create(f->zones, 7, bytes_of("more"), &more), ZONE_OK);
	raw_sql(f->path, "UPDATE tombstones SET project = (SELECT uid FROM projects WHERE label = "
			 "'more'), revision = (SELECT revision FROM store)");
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	assert_memory_equal(watched.tombstone.bytes, more->uid.bytes, UID_SIZE);
}

static void more_projects_than_a_transaction_takes_go_in_parts(void **state)
{
	FIXTURE(state);
	const struct store_copy_wish one = {.to = "memory"};

	for (uint32_t i = 0; i < 45; i++) {
		AUTO(entry_releasep) struct entry *project = NULL;
		char label[32];

		snprintf(label, sizeof(label), "project %u", i);
		assert_int_equal(zones_project_create(f->zones, 10 + i, bytes_of(label), &project),
				 ZONE_OK);
	}
	watched.projects = 0;
	for (unsigned at = 1; at < 6; at++) { /* cut off between the parts */
		cutting.cut = CUT_AFTER;
		cutting.at = at;
		assert_int_equal(copy_to(f->zones, "memory"), ZONE_STORE_UNAVAILABLE);
		assert_lives_once_at_most(f, "prod/cut");
	}
	cutting.at = 0;
	assert_int_equal(copy_told(f->zones, &one, NULL), ZONE_OK);
	assert_same_rows(f);
	assert_in_range(watched.projects, 1, 20);
	watched.projects = 0;
	copy_on(f, f->path); /* and back */
	assert_in_range(watched.projects, 1, 20);
}

static void row_of_the_project_itself_counts_once(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *project = NULL;

	assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
	{
		AUTO(zones_freep) struct zones *other = there(f);

		assert_int_equal(zones_project_create(other, 7, bytes_of("alone"), &project),
				 ZONE_OK);
		assert_int_equal(copy_told(other,
					   &(struct store_copy_wish){.to = f->path,
								     .of = &project->uid,
								     .dry_run = true},
					   "\"rows\": 1, \"written\": 1,"),
				 ZONE_OK);
		assert_int_equal(
			copy_told(other,
				  &(struct store_copy_wish){.to = f->path, .of = &project->uid},
				  "\"rows\": 1, \"written\": 1,"),
			ZONE_OK);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COPY_TEST(project_goes_whole_and_lives_in_the_other_store_alone),
		COPY_TEST(way_back_brings_what_has_changed_there),
		COPY_TEST(what_awaits_deletion_of_a_marked_project_stays),
		COPY_TEST(other_stores_projects_keep_their_names_and_slots),
		COPY_TEST(names_and_lives_that_collide_are_refused),
		COPY_TEST(project_that_has_gone_on_is_neither_copied_again_nor_taken_back),
		COPY_TEST(project_that_was_purged_there_does_not_come_again),
		COPY_TEST(way_back_removes_what_was_purged_there),
		COPY_TEST(way_back_removes_also_the_last_project),
		COPY_TEST(nothing_is_copied_while_a_project_of_either_store_cannot_be_read),
		COPY_TEST(store_that_has_taken_the_place_of_another_is_told),
		COPY_TEST(tombstone_lies_with_its_own_project),
		COPY_TEST(tombstone_of_a_file_goes_with_its_own_project),
		COPY_TEST(more_projects_than_a_transaction_takes_go_in_parts),
		COPY_TEST(row_of_the_project_itself_counts_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
