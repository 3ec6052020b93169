/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A copy from store to store that is cut off at each of its writes, taken back, or made by two at
 * once. */
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
#include "zones/domain/state.h"
#include "zones/domain/store_copy.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"

static bool has_zone(struct zones_fixture *f, const char *label)
{
	AUTO(entry_releasep)
	struct entry *zone = find_entry(f->zones, f->project->uid, ENTRY_ZONE, label);

	return zone != NULL;
}

static void copy_that_is_cut_off_at_any_write_goes_on(void **state)
{
	FIXTURE(state);
	enum zone_status status = ZONE_STORE_UNAVAILABLE;

	for (unsigned at = 1; status != ZONE_OK; at++) {
		cutting.cut = at % CUT_COUNT == 0 ? CUT_BEFORE : CUT_AFTER;
		cutting.at = (at + 1) / CUT_COUNT;
		memory_rows_begin();
		status = copy_to(f->zones, "memory");
		cutting.at = 0;
		if (status != ZONE_OK) {
			assert_int_equal(status, ZONE_STORE_UNAVAILABLE);
			assert_lives_once_at_most(f, "prod/cut");
			assert_int_equal(copy_to(f->zones, "memory"), ZONE_OK);
		}
		assert_same_rows(f);
		{
			AUTO(zones_freep) struct zones *other = there(f);

			assert_int_equal(copy_to(other, f->path), ZONE_OK); /* and back */
		}
		assert_true(at < 100);
		if (status == ZONE_OK)
			assert_true(at > 8); /* it takes more than four writes */
		assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
		if (has_zone(f, "prod/cut"))
			assert_int_equal(delete_zone(f->zones, f, "prod/cut", true), ZONE_OK);
	}
}

static void copy_that_is_cut_off_can_be_taken_back(void **state)
{
	FIXTURE(state);
	enum zone_status status = ZONE_STORE_UNAVAILABLE;

	for (unsigned at = 1; at < 100; at++) {
		cutting.cut = CUT_AFTER;
		cutting.at = at;
		memory_rows_begin();
		status = copy_to(f->zones, "memory");
		cutting.at = 0;
		if (status == ZONE_OK)
			break;
		status = undo(f->zones, "memory");
		if (status == ZONE_EXISTS) { /* the last write was done */
			assert_non_null(strstr(log_last(), "has arrived"));
			return;
		}
		assert_int_equal(status, ZONE_OK);
		assert_true(takes_changes(f->zones, f->project->uid, "prod/back"));
		assert_int_equal(delete_zone(f->zones, f, "prod/back", true), ZONE_OK);
		{
			AUTO(zones_freep) struct zones *other = there(f);

			assert_false(takes_changes(other, f->project->uid, "prod/back"));
		}
	}
	fail_msg("the last write was never cut off");
}

static void take_it_back(void *state)
{
	struct zones_fixture *f = state;
	struct zones *second = zones_other(f);

	assert_int_equal(undo(second, "memory"), ZONE_OK);
	zones_free(second);
}

static void copy_and_its_being_taken_back_do_not_both_win(void **state)
{
	FIXTURE(state);

	cutting.cut = CUT_AFTER;
	cutting.at = 2;
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_STORE_UNAVAILABLE);
	/* While the copy writes its rows, somebody takes it back. */
	memory_rows.conflicts = 1;
	memory_rows.rival = take_it_back;
	memory_rows.rival_state = f;
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_CONFLICT);
	memory_rows.conflicts = 0;
	assert_non_null(strstr(log_last(), "somebody else is at work on it"));
	assert_true(takes_changes(f->zones, f->project->uid, "prod/still"));
}

/* The same copy, and then work there. */
static void copy_it_too(void *state)
{
	struct zones_fixture *f = state;
	AUTO(zones_freep) struct zones *second = zones_other(f);
	AUTO(zones_freep) struct zones *other = NULL;

	rival.at_read = rival.at_write = 0;
	assert_int_equal(copy_to(second, "memory"), ZONE_OK);
	other = there(f);
	assert_true(takes_changes(other, f->project->uid, "prod/new"));
}

static void slower_of_two_copies_leaves_the_new_store_as_it_is(void **state)
{
	FIXTURE(state);
	enum zone_status status = ZONE_CONFLICT;
	unsigned at = 2; /* the first reading is before anything was done */

	for (; status == ZONE_CONFLICT; at++) {
		AUTO(zones_freep) struct zones *other = NULL;
		AUTO(entry_releasep) struct entry *made = NULL;

		memory_rows_begin();
		rival.work = copy_it_too;
		rival.state = f;
		rival.at_read = at;
		status = copy_to(f->zones, "memory");
		if (rival.at_read > 0)
			break; /* it has no such reading */
		assert_int_equal(status, ZONE_CONFLICT);
		assert_non_null(strstr(log_last(), "somebody else is at work on it"));
		other = there(f);
		made = find_entry(other, f->project->uid, ENTRY_ZONE, "prod/new");
		assert_non_null(made);
		assert_int_equal(delete_zone(other, f, "prod/new", true), ZONE_OK);
		assert_lives_once_at_most(f, "prod/late");
		assert_int_equal(copy_to(other, f->path), ZONE_OK); /* and back */
		assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
		if (has_zone(f, "prod/late"))
			assert_int_equal(delete_zone(f->zones, f, "prod/late", true), ZONE_OK);
	}
	assert_true(at > 3);
	rival.at_read = 0;
}

static void copy_is_taken_back_once_or_not_at_all(void **state)
{
	FIXTURE(state);

	/* Taken back at each reading of a copy. */
	for (unsigned at = 2; at < 5; at++) {
		memory_rows_begin();
		rival.work = take_it_back;
		rival.state = f;
		rival.at_read = at;
		copy_to(f->zones, "memory");
		rival.at_read = 0;
		assert_lives_once_at_most(f, "prod/late");
		undo(f->zones, "memory");
		if (has_zone(f, "prod/late"))
			assert_int_equal(delete_zone(f->zones, f, "prod/late", true), ZONE_OK);
	}
	/* A copy that was cut off and taken back there, but not here yet, when it goes on. */
	memory_rows_begin();
	cutting.cut = CUT_AFTER;
	cutting.at = 3;
	assert_int_equal(copy_to(f->zones, "memory"), ZONE_STORE_UNAVAILABLE);
	rival.work = copy_it_too;
	rival.state = f;
	rival.at_write = 1;
	assert_int_equal(undo(f->zones, "memory"), ZONE_CONFLICT);
	assert_non_null(strstr(log_last(), "somebody else is at work on it"));
	assert_false(takes_changes(f->zones, f->project->uid, "prod/both"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COPY_TEST(copy_that_is_cut_off_at_any_write_goes_on),
		COPY_TEST(copy_that_is_cut_off_can_be_taken_back),
		COPY_TEST(copy_and_its_being_taken_back_do_not_both_win),
		COPY_TEST(slower_of_two_copies_leaves_the_new_store_as_it_is),
		COPY_TEST(copy_is_taken_back_once_or_not_at_all),
	};

	return cmocka_run_group_tests_name("copies that are cut off", tests, NULL, NULL);
}
