/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Bringing a store from level to level by the domain, as a release to come does it: this program
 * has the levels that are made up for tests (2 asks more of writers, 3 of readers too). */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/audit_lines.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/levels.h"
#include "zones/domain/state.h"
#include "zones/kms/audit.h"
#include "zones/store/store.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

enum { NOBODY = 65534 };

static void at_level(struct zones_fixture *f, unsigned level)
{
	unsigned found, understood;

	assert_int_equal(zones_store_levels(f->zones, &found, &understood), ZONE_OK);
	assert_int_equal(found, level);
	assert_int_equal(understood, 3);
}

static json_t *facts_of(struct zones *zones)
{
	AUTO(buffer_clear) struct buffer text = {0};
	json_t *facts;

	assert_int_equal(zones_store_describe(zones, &text), ZONE_OK);
	facts = json_loads(buffer_text(&text), 0, NULL);
	assert_non_null(facts);
	return facts;
}

static void way_back_is(struct zones_fixture *f, bool is_free)
{
	json_t *facts = facts_of(f->zones);

	assert_int_equal(json_is_true(json_object_get(facts, "way_back")), is_free);
	json_decref(facts);
}

/* Whoever is refused leaves every byte as it was. */
static void refuses(struct zones_fixture *f, unsigned from, unsigned to, enum zone_status status)
{
	AUTO(buffer_clear) struct buffer before = {0};
	AUTO(buffer_clear) struct buffer after = {0};

	file_bytes(f->path, &before);
	assert_int_equal(zones_store_bring(f->zones, from, to), status);
	file_bytes(f->path, &after);
	assert_bytes(buffer_bytes(&after), buffer_bytes(&before));
}

static void each_level_is_reached_and_left(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	json_t *facts;

	at_level(f, 1);
	way_back_is(f, false);
	assert_int_equal(zones_store_bring(f->zones, 1, 2), ZONE_OK);
	at_level(f, 2);
	way_back_is(f, true);
	assert_int_equal(zones_store_bring(f->zones, 2, 3), ZONE_OK);
	assert_int_equal(zones_store_bring(f->zones, 3, 1), ZONE_OK);
	assert_int_equal(zones_store_bring(f->zones, 1, 3), ZONE_OK);
	facts = facts_of(f->zones);
	assert_int_equal(json_integer_value(json_object_get(facts, "min_reader")), 3);
	assert_int_equal(json_integer_value(json_object_get(facts, "min_writer")), 3);
	assert_string_equal(json_string_value(json_object_get(facts, "needs")),
			    "cmek-pkcs11 0.3.0");
	json_decref(facts);
	/* All that was there is, and it is written. */
	zones_reopen(f);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ROOT_KEY, false), 1);
	assert_int_equal(add_root_key(f->zones, f->project->uid, ROOT_B, "b"), ZONE_OK);
	assert_int_equal(zones_store_bring(f->zones, 3, 2), ZONE_OK);
	at_level(f, 2);
}

static void what_is_in_use_holds_its_level(void **state)
{
	FIXTURE(state);

	assert_int_equal(zones_store_bring(f->zones, 1, 3), ZONE_OK);
	raw_sql(f->path, "INSERT INTO notes VALUES ('x')");
	/* The way from 3 to 1 is one step, which the note below 3 stops whole. */
	refuses(f, 3, 1, ZONE_IN_USE);
	assert_non_null(strstr(log_last(), "is in use"));
	at_level(f, 3);
	assert_int_equal(zones_store_bring(f->zones, 3, 2), ZONE_OK);
	way_back_is(f, false);
	raw_sql(f->path, "DELETE FROM notes");
	way_back_is(f, true);
	assert_int_equal(zones_store_bring(f->zones, 2, 1), ZONE_OK);
}

static void only_known_levels_from_the_one_that_is(void **state)
{
	static const struct {
		unsigned from, to;
		enum zone_status status;
		const char *said;
	} rows[] = {
		{2, 3, ZONE_CONFLICT, "another level meanwhile"},
		{3, 1, ZONE_CONFLICT, "another level meanwhile"},
		{0, 1, ZONE_CONFLICT, "another level meanwhile"},
		{1, 0, ZONE_INVALID, "does not know that level"},
		{1, 4, ZONE_INVALID, "does not know that level"},
		{1, (unsigned)-1, ZONE_INVALID, "does not know that level"},
	};
	FIXTURE(state);

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		refuses(f, rows[i].from, rows[i].to, rows[i].status);
		assert_non_null(strstr(log_last(), rows[i].said));
	}
	refuses(f, 1, 1, ZONE_OK);
	/* A level of a release that is later still. */
	raw_sql(f->path, "UPDATE store SET schema = 4");
	refuses(f, 4, 3, ZONE_INVALID);
	raw_sql(f->path, "UPDATE store SET min_writer = 4");
	refuses(f, 4, 3, ZONE_STORE_NEWER_WRITER);
}

static void a_store_that_is_not_there_has_no_level(void **state)
{
	FIXTURE(state);
	struct zones *zones;
	json_t *facts;

	snprintf(f->path, sizeof(f->path), "%s/none.db", f->folder);
	zones = zones_other(f);
	assert_int_equal(zones_store_bring(zones, 1, 2), ZONE_NOT_FOUND);
	facts = facts_of(zones);
	assert_true(json_is_false(json_object_get(facts, "exists")));
	json_decref(facts);
	zones_free(zones);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void damage_is_told_and_not_brought_anywhere(void **state)
{
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer text = {0};
	unsigned level, understood;

	raw_sql(f->path, "PRAGMA application_id = 1");
	refuses(f, 1, 2, ZONE_STORE_CORRUPT);
	assert_int_equal(zones_store_levels(f->zones, &level, &understood), ZONE_STORE_CORRUPT);
	assert_int_equal(zones_store_describe(f->zones, &text), ZONE_STORE_CORRUPT);
	assert_int_equal(text.len, 0);
}

/* A table's name is taken already: the step fails within, and nothing of it stays. */
static void a_step_that_fails_within_leaves_nothing(void **state)
{
	FIXTURE(state);

	raw_sql(f->path, "CREATE TABLE notes (x)");
	assert_int_not_equal(zones_store_bring(f->zones, 1, 3), ZONE_OK);
	at_level(f, 1);
	raw_sql(f->path, "DROP TABLE notes");
	assert_int_equal(zones_store_bring(f->zones, 1, 3), ZONE_OK);
	raw_sql(f->path, "ALTER TABLE frozen RENAME TO thawed");
	refuses(f, 3, 2, ZONE_STORE_CORRUPT);
	raw_sql(f->path, "ALTER TABLE thawed RENAME TO frozen");
	at_level(f, 3);
}

static void set_rights(struct zones_fixture *f, mode_t folder, mode_t file)
{
	char lock[160];

	snprintf(lock, sizeof(lock), "%s.lock", f->path);
	assert_int_equal(chmod(lock, file), 0);
	assert_int_equal(chmod(f->path, file), 0);
	assert_int_equal(chmod(f->folder, folder), 0);
}

static void a_read_only_store_stays_where_it_is(void **state)
{
	FIXTURE(state);
	bool is_root = geteuid() == 0;
	enum zone_status status;
	json_t *facts;

	set_rights(f, 0555, 0444);
	assert_int_equal(is_root ? seteuid(NOBODY) : 0, 0);
	status = zones_store_bring(f->zones, 1, 2);
	facts = facts_of(f->zones);
	assert_int_equal(is_root ? seteuid(0) : 0, 0);
	set_rights(f, 0700, 0600);
	assert_int_equal(status, ZONE_STORE_READ_ONLY);
	assert_true(json_is_false(json_object_get(facts, "writable")));
	json_decref(facts);
	at_level(f, 1);
}

static void each_step_is_a_line_of_the_audit_log(void **state)
{
	FIXTURE(state);
	char path[96];
	json_t *lines;

	snprintf(path, sizeof(path), "%s/audit", f->folder);
	assert_true(audit_configure(path));
	assert_int_equal(zones_store_bring(f->zones, 1, 3), ZONE_OK);
	assert_int_equal(zones_store_bring(f->zones, 3, 3), ZONE_OK);
	assert_int_equal(zones_store_bring(f->zones, 1, 2), ZONE_CONFLICT);
	assert_int_equal(zones_store_bring(f->zones, 3, 2), ZONE_OK);
	audit_configure(NULL);
	lines = read_lines(path);
	assert_int_equal(json_array_size(lines), 2);
	assert_text(lines, 0, "event", "store");
	assert_text(lines, 0, "action", "upgraded");
	assert_text(lines, 0, "name", "level 1 to 3");
	assert_text(lines, 1, "action", "downgraded");
	assert_text(lines, 1, "name", "level 3 to 2");
	assert_text(lines, 1, "outcome", "ok");
	json_decref(lines);
}

static void a_line_that_is_required_and_can_not_be_written_stops_it(void **state)
{
	FIXTURE(state);
	char path[96];

	snprintf(path, sizeof(path), "%s/none/audit", f->folder);
	audit_configure(path);
	audit_require(true);
	refuses(f, 1, 2, ZONE_AUDIT_UNAVAILABLE);
	audit_require(false);
	audit_configure(NULL);
	at_level(f, 1);
}

/* --- Without memory */

static size_t left; /* blocks that JSON may have yet */

static void *scarce(size_t size)
{
	return left == 0 ? NULL : (left--, malloc(size));
}

static void facts_are_whole_or_none_without_memory(void **state)
{
	FIXTURE(state);
	enum zone_status status = ZONE_NO_MEMORY;
	size_t count = 0;

	for (; status != ZONE_OK && count < 1000; count++) {
		AUTO(buffer_clear) struct buffer text = {0};

		left = count;
		json_set_alloc_funcs(scarce, free);
		status = zones_store_describe(f->zones, &text);
		json_set_alloc_funcs(malloc, free);
		assert_true(status == ZONE_OK || status == ZONE_NO_MEMORY);
		assert_int_equal(text.len > 0, status == ZONE_OK);
	}
	assert_int_equal(status, ZONE_OK);
	assert_true(count > 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_level_is_reached_and_left),
		TEST(what_is_in_use_holds_its_level),
		TEST(only_known_levels_from_the_one_that_is),
		TEST(a_store_that_is_not_there_has_no_level),
		TEST(damage_is_told_and_not_brought_anywhere),
		TEST(a_step_that_fails_within_leaves_nothing),
		TEST(a_read_only_store_stays_where_it_is),
		TEST(each_step_is_a_line_of_the_audit_log),
		TEST(a_line_that_is_required_and_can_not_be_written_stops_it),
		TEST(facts_are_whole_or_none_without_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
