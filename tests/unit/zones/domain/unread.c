/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* One project can't be read, the others can: what is open of it ends or goes on, nothing that is
 * not known of it is said to be absent, and nobody else notices. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/memory_store.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/backup.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/project.h"
#include "zones/domain/purge.h"
#include "zones/domain/standing.h"
#include "zones/domain/state.h"
#include "zones/domain/usage.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#include <stdio.h>
#include <stdlib.h>

#define WHY "the log of project P lacks a line; restore that project from a backup"

struct bed {
	struct zones_fixture *f;
	struct entry *broken; /* a zone of the first project */
	struct entry *beside; /* a project, … */
	struct entry *whole;  /* … and a zone of it */
};

static struct entry *make_zone(struct zones *zones, struct uid project, const char *label)
{
	const struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	assert_int_equal(zones_zone_create(zones, project, &names, &zone), ZONE_OK);
	return zone;
}

static int begin(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	void *fixture;

	memory_rows_begin();
	zones_begin_in(&memory_store, &fixture);
	bed->f = fixture;
	entry_release(make_root_key(bed->f, "alias/a"));
	bed->broken = make_zone(bed->f->zones, bed->f->project->uid, "broken");
	assert_int_equal(zones_project_create(bed->f->zones, 1, bytes_of("beside"), &bed->beside),
			 ZONE_OK);
	assert_int_equal(add_root_key(bed->f->zones, bed->beside->uid, "alias/a", "root"), ZONE_OK);
	bed->whole = make_zone(bed->f->zones, bed->beside->uid, "whole");
	*state = bed;
	return 0;
}

static int end(void **state)
{
	struct bed *bed = *state;
	void *fixture = bed->f;

	entry_release(bed->broken);
	entry_release(bed->beside);
	entry_release(bed->whole);
	free(bed);
	zones_end(&fixture);
	memory_rows_end();
	return 0;
}

static void look(struct bed *bed, struct zones *zones)
{
	fake_clock_advance(&bed->f->clock, MEMORY_LOOK_MS + 1);
	assert_int_equal(zones_refresh(zones, false), ZONE_OK);
}

/* ZONE_OK: it can be read again. */
static void break_it(struct bed *bed, enum zone_status why)
{
	memory_rows.unread = (struct store_unread){bed->f->project->uid, why, false, WHY};
	look(bed, bed->f->zones);
}

static enum zone_status use(struct zones *zones, const struct entry *zone)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	TRY(ezk_find(zones_registry(zones), zone, EZK_PRIMARY, &ezk));
	return ezk_begin(ezk);
}

static enum zone_status use_number(struct zones *zones, uint64_t id)
{
	AUTO(entry_releasep) struct entry *zone = NULL;

	TRY(zones_meet_zone(zones, id, &zone));
	return zone == NULL ? zones_zone_missing(zones, id) : use(zones, zone);
}

static enum zone_status list(struct zones *zones, struct uid project, size_t *ret_count)
{
	struct entry_filter filter = {.project = project, .kinds = {[ENTRY_ZONE] = true}};
	struct entry **entries = NULL;

	TRY(zones_list(zones, &filter, &entries, ret_count));
	for (size_t i = 0; i < *ret_count; i++)
		entry_release(entries[i]);
	free(entries);
	return ZONE_OK;
}

/* --- */

static void what_is_open_of_a_damaged_project_ends_and_comes_back(void **state)
{
	struct bed *bed = *state;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	size_t count;

	assert_int_equal(ezk_find(zones_registry(bed->f->zones), bed->broken, EZK_PRIMARY, &ezk),
			 ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	break_it(bed, ZONE_STORE_CORRUPT);
	assert_int_equal(ezk_begin(ezk), ZONE_STORE_CORRUPT);
	assert_int_equal(list(bed->f->zones, bed->f->project->uid, &count), ZONE_STORE_CORRUPT);
	assert_string_equal(log_last(), WHY);
	break_it(bed, ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(list(bed->f->zones, bed->f->project->uid, &count), ZONE_OK);
	assert_int_equal(count, 1);
}

static void what_is_known_of_a_project_that_waits_goes_on(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(use(bed->f->zones, bed->broken), ZONE_OK);
	break_it(bed, ZONE_STORE_UNAVAILABLE);
	assert_int_equal(use(bed->f->zones, bed->broken), ZONE_OK);
	assert_int_equal(use_number(bed->f->zones, bed->broken->of_zone.zone), ZONE_OK);
}

static void other_projects_go_on(void **state)
{
	struct bed *bed = *state;
	static const enum zone_status whys[] = {ZONE_STORE_CORRUPT, ZONE_STORE_UNAVAILABLE};
	char label[16];
	size_t count;

	for (size_t i = 0; i < COUNT_OF(whys); i++) {
		break_it(bed, whys[i]);
		assert_int_equal(use(bed->f->zones, bed->whole), ZONE_OK);
		snprintf(label, sizeof(label), "new-%zu", i);
		entry_release(make_zone(bed->f->zones, bed->beside->uid, label));
		assert_int_equal(list(bed->f->zones, bed->beside->uid, &count), ZONE_OK);
		assert_int_equal(count, i + 2);
	}
}

/* A process that starts meanwhile has nothing of it. What it does not know is not said to be
 * absent: the zone was deleted, and its record would open. */
static void zone_that_may_be_of_a_project_that_cannot_be_read_is_refused(void **state)
{
	struct bed *bed = *state;
	struct zones *other;
	size_t count;

	assert_int_equal(zones_entry_delete(bed->f->zones, bed->broken), ZONE_OK);
	memory_rows.unread =
		(struct store_unread){bed->f->project->uid, ZONE_STORE_UNAVAILABLE, false, WHY};
	other = zones_other(bed->f);
	assert_int_equal(zones_refresh(other, false), ZONE_OK);
	assert_int_equal(standing_now(other, bed->broken->of_zone.zone), ZONE_STORE_UNAVAILABLE);
	assert_int_equal(zones_zone_missing(other, bed->broken->of_zone.zone),
			 ZONE_STORE_UNAVAILABLE);
	assert_int_equal(list(other, bed->f->project->uid, &count), ZONE_STORE_UNAVAILABLE);
	assert_string_equal(log_last(), WHY);
	/* Of others the store says that it does not have them. */
	assert_int_equal(zones_zone_missing(other, 12345), ZONE_NOT_FOUND);
	assert_int_equal(standing_now(other, 12345), ZONE_OK);
	assert_int_equal(use_number(other, bed->whole->of_zone.zone), ZONE_OK);
	memory_rows.unread.why = ZONE_OK;
	look(bed, other);
	zones_free(other);
}

/* All of it is read meanwhile, as by a process for which the log has moved on too far. */
static void what_is_open_of_a_project_that_waits_outlives_a_whole_reading(void **state)
{
	struct bed *bed = *state;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	size_t count;

	assert_int_equal(ezk_find(zones_registry(bed->f->zones), bed->broken, EZK_PRIMARY, &ezk),
			 ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	for (int i = 0; i < 2; i++) {
		bed->f->zones->cursor = (struct store_cursor){0};
		break_it(bed, ZONE_STORE_UNAVAILABLE);
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
		assert_int_equal(list(bed->f->zones, bed->f->project->uid, &count), ZONE_OK);
		assert_int_equal(count, 1);
	}
	/* What is damaged ends, as ever. */
	bed->f->zones->cursor = (struct store_cursor){0};
	break_it(bed, ZONE_STORE_CORRUPT);
	assert_int_not_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(list(bed->f->zones, bed->f->project->uid, &count), ZONE_STORE_CORRUPT);
}

static enum zone_status back_up(struct zones *zones, struct uid project)
{
	AUTO(buffer_clear) struct buffer file = {0};
	AUTO(buffer_clear) struct buffer told = {0};

	return zones_backup_make(zones, project, &(struct backup_wish){0}, &file, &told);
}

static enum zone_status use_report(struct zones *zones, const struct entry *entry)
{
	AUTO(buffer_clear) struct buffer json = {0};

	return zones_usage(zones, entry, &json);
}

/* A process that starts meanwhile knows no more than the project itself. */
static void a_part_of_a_project_is_not_told_as_the_whole(void **state)
{
	struct bed *bed = *state;
	struct uid project = bed->f->project->uid;
	struct zones *other;

	memory_rows.unread = (struct store_unread){project, ZONE_STORE_CORRUPT, false, WHY};
	other = zones_other(bed->f);
	assert_int_equal(zones_refresh(other, false), ZONE_OK);
	assert_int_equal(use_report(other, bed->broken), ZONE_STORE_CORRUPT);
	assert_string_equal(log_last(), WHY);
	assert_int_equal(back_up(other, project), ZONE_STORE_CORRUPT);
	assert_string_equal(log_last(), WHY);
	/* Nor are others kept from it, but told what may be missing. */
	assert_int_equal(use_report(other, bed->whole), ZONE_OK);
	assert_non_null(strstr(log_last(), WHY));
	assert_int_equal(back_up(other, bed->beside->uid), ZONE_OK);
	zones_free(other);
}

static void a_project_that_waits_is_reported_as_it_was_and_not_backed_up(void **state)
{
	struct bed *bed = *state;

	break_it(bed, ZONE_STORE_UNAVAILABLE);
	assert_int_equal(use_report(bed->f->zones, bed->broken), ZONE_OK);
	assert_int_equal(back_up(bed->f->zones, bed->f->project->uid), ZONE_STORE_UNAVAILABLE);
	break_it(bed, ZONE_OK);
	assert_int_equal(back_up(bed->f->zones, bed->f->project->uid), ZONE_OK);
}

static void a_list_of_what_awaits_deletion_names_the_projects_that_it_lacks(void **state)
{
	struct bed *bed = *state;
	AUTO(buffer_clear) struct buffer json = {0};

	break_it(bed, ZONE_STORE_CORRUPT);
	log_error("before");
	assert_int_equal(zones_purge_describe(bed->f->zones, &json), ZONE_OK);
	assert_non_null(strstr(log_last(), WHY));
}

/* --- A number that somebody who may write the store has changed */

static size_t readings_of_all(struct bed *bed, int looks)
{
	const size_t before = memory_rows.wholes;

	for (int i = 0; i < looks; i++)
		look(bed, bed->f->zones);
	return memory_rows.wholes - before;
}

static void count_that_never_fits_has_all_read_once_in_minutes(void **state)
{
	struct bed *bed = *state;

	memory_rows.miscounted = 1;
	assert_int_equal(readings_of_all(bed, 6), 1);
	assert_non_null(strstr(log_last(), "says that it has 1 databases, and has 2"));
	assert_int_equal(use(bed->f->zones, bed->broken), ZONE_OK);
	assert_int_equal(readings_of_all(bed, 10), 1);
	memory_rows.miscounted = 0;
	readings_of_all(bed, 1);
	assert_int_equal(readings_of_all(bed, 20), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define UNREAD_TEST(test) cmocka_unit_test_setup_teardown(test, begin, end)
		UNREAD_TEST(what_is_open_of_a_damaged_project_ends_and_comes_back),
		UNREAD_TEST(what_is_known_of_a_project_that_waits_goes_on),
		UNREAD_TEST(other_projects_go_on),
		UNREAD_TEST(what_is_open_of_a_project_that_waits_outlives_a_whole_reading),
		UNREAD_TEST(a_part_of_a_project_is_not_told_as_the_whole),
		UNREAD_TEST(a_project_that_waits_is_reported_as_it_was_and_not_backed_up),
		UNREAD_TEST(a_list_of_what_awaits_deletion_names_the_projects_that_it_lacks),
		UNREAD_TEST(zone_that_may_be_of_a_project_that_cannot_be_read_is_refused),
		UNREAD_TEST(count_that_never_fits_has_all_read_once_in_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
