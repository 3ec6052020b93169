/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What awaits deletion goes for good: when, in which order, and what keeps it from going. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/audit_lines.h"
#include "tests/support/memory_store.h"
#include "tests/support/second_version.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/domain/daily.h"
#include "zones/domain/edit.h"
#include "zones/domain/project.h"
#include "zones/domain/purge.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/kms/audit.h"

#include <jansson.h>
#include <stdlib.h>

#define FIXTURE(state) struct zones_fixture *f = *(state)

static const int64_t day = (int64_t)24 * 3600 * 1000;

static int begin_late(void **state)
{
	memory_rows_begin();
	assert_int_equal(zones_begin_in(&memory_store, state), 0);
	memory_rows.conflicts = 2;
	return 0;
}

static int begin_in_memory(void **state)
{
	memory_rows_begin();
	return zones_begin_in(&memory_store, state);
}

static struct entry *make_zone(struct zones_fixture *f, const char *label)
{
	struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	names.usages = USAGE_WRAP | USAGE_UNWRAP;
	assert_int_equal(zones_zone_create(f->zones, f->project->uid, &names, &zone), ZONE_OK);
	return zone;
}

static void make_key(struct zones_fixture *f, const struct entry *zone)
{
	struct entry_names names = names_of("key");
	AUTO(entry_releasep) struct entry *key = NULL;

	assert_int_equal(zones_key_create(f->zones, f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &names, &key),
			 ZONE_OK);
}

static struct purge_report purge(struct zones_fixture *f, enum purge_how how)
{
	struct purge_report report;

	assert_int_equal(zones_purge(f->zones, how, &report), ZONE_OK);
	return report;
}

static size_t count(struct zones_fixture *f, enum entry_kind kind)
{
	return count_entries(f->zones, f->project->uid, kind, true);
}

static bool is_there(struct zones_fixture *f, const struct entry *entry)
{
	AUTO(entry_releasep) struct entry *found = zones_find_uid(f->zones, entry->uid);

	return found != NULL;
}

static void what_is_due_is_announced_and_goes_a_day_later(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *stays = make_zone(f, "stays");
	struct purge_report report;

	make_key(f, zone);
	make_key(f, stays);
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	fake_clock_advance(&f->clock, 30 * day - 1);
	assert_int_equal(purge(f, PURGE_ANNOUNCED).announced, 0);
	fake_clock_advance(&f->clock, 1);
	report = purge(f, PURGE_ANNOUNCED);
	assert_int_equal(report.announced, 1);
	assert_int_equal(report.zones, 0);
	fake_clock_advance(&f->clock, day - 1);
	report = purge(f, PURGE_ANNOUNCED);
	assert_int_equal(report.announced + report.zones, 0);
	fake_clock_advance(&f->clock, 1);
	report = purge(f, PURGE_ANNOUNCED);
	assert_int_equal(report.zones, 1);
	assert_int_equal(report.token_keys, 1);
	assert_false(is_there(f, zone));
	zones_reopen(f);
	assert_false(is_there(f, zone));
	assert_true(is_there(f, stays));
	assert_int_equal(count(f, ENTRY_KEY), 1);
	/* Its id never comes again. */
	assert_int_equal(zones_zone_missing(f->zones, zone->of_zone.zone), ZONE_DELETED);
}

static void clock_that_is_far_ahead_ends_no_window(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *pending = NULL, *back = NULL;

	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	f->clock.realtime_ms += 3650 * day;
	assert_int_equal(purge(f, PURGE_ANNOUNCED).announced, 1);
	/* Somebody sets it right, and far ahead again: what was announced does not count. */
	f->clock.realtime_ms -= 3650 * day;
	assert_int_equal(purge(f, PURGE_ANNOUNCED).zones, 0);
	f->clock.realtime_ms += 4000 * day;
	assert_int_equal(purge(f, PURGE_ANNOUNCED).zones, 0);
	f->clock.realtime_ms -= 4000 * day;
	pending = zones_find_uid(f->zones, zone->uid);
	assert_int_equal(zones_entry_restore(f->zones, pending, bytes(NULL, 0), &back), ZONE_OK);
}

static void who_vouches_for_the_clock_need_not_wait(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");

	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	assert_int_equal(purge(f, PURGE_DUE).zones, 0);
	fake_clock_advance(&f->clock, 30 * day);
	assert_int_equal(purge(f, PURGE_DUE).zones, 1);
}

static void delete_it(struct zones_fixture *f, const struct entry *entry)
{
	AUTO(entry_releasep) struct entry *now = zones_find_uid(f->zones, entry->uid);

	assert_int_equal(zones_entry_delete(f->zones, now), ZONE_OK);
}

static void zones_go_before_what_they_stand_on(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "c");
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "c/db");
	struct purge_report report;

	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	fake_clock_advance(&f->clock, 30 * day);
	delete_it(f, cluster);
	delete_it(f, root_key);
	assert_int_equal(zones_purge_entry(f->zones, zone), ZONE_CONFLICT); /* an old state of it */
	fake_clock_advance(&f->clock, 30 * day);
	report = purge(f, PURGE_DUE);
	assert_int_equal(report.zones, 1);
	assert_int_equal(report.clusters, 1);
	assert_int_equal(report.root_keys, 1);
	assert_int_equal(count(f, ENTRY_ZONE) + count(f, ENTRY_CLUSTER) + count(f, ENTRY_ROOT_KEY),
			 0);
}

static void what_still_stands_on_it_keeps_a_root_key(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *cluster = make_cluster(f, root_key, "c");
	AUTO(entry_releasep) struct entry *pending = NULL;

	delete_it(f, cluster);
	delete_it(f, root_key);
	pending = zones_find_uid(f->zones, root_key->uid);
	assert_int_equal(zones_purge_entry(f->zones, pending), ZONE_IN_USE);
	assert_non_null(strstr(log_last(), "needed by cluster 'c', which awaits deletion"));
}

static void one_entry_goes_at_once_if_it_awaits_that(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *mistyped = make_root_key(f, ROOT_B);
	AUTO(entry_releasep) struct entry *pending = NULL, *pending_key = NULL;

	make_key(f, zone);
	assert_int_equal(zones_purge_entry(f->zones, zone), ZONE_INVALID);
	assert_non_null(strstr(log_last(), "delete it first"));
	assert_int_equal(zones_purge_entry(f->zones, mistyped), ZONE_INVALID);
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	pending = zones_find_uid(f->zones, zone->uid);
	assert_int_equal(zones_purge_entry(f->zones, pending), ZONE_OK);
	assert_int_equal(zones_purge_entry(f->zones, pending), ZONE_NOT_FOUND);
	assert_int_equal(count(f, ENTRY_KEY), 0);
	delete_it(f, mistyped);
	pending_key = zones_find_uid(f->zones, mistyped->uid);
	assert_int_equal(zones_purge_entry(f->zones, pending_key), ZONE_OK);
	assert_int_equal(count(f, ENTRY_ROOT_KEY), 1);
}

static void archived_project_goes_with_all_that_it_held(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *new = NULL, *newer = NULL;
	struct purge_report report;

	make_key(f, zone);
	/* It is put aside, and what took its place as well. */
	assert_int_equal(zones_project_replace(f->zones, f->project, bytes_of("new"), &new),
			 ZONE_OK);
	assert_int_equal(zones_project_replace(f->zones, new, bytes_of("newer"), &newer), ZONE_OK);
	fake_clock_advance(&f->clock, 30 * day);
	assert_int_equal(purge(f, PURGE_ANNOUNCED).announced, 2);
	fake_clock_advance(&f->clock, day);
	report = purge(f, PURGE_ANNOUNCED);
	assert_int_equal(report.projects, 2);
	assert_int_equal(report.zones, 1);
	assert_int_equal(report.token_keys, 1);
	assert_int_equal(report.clusters, 1);
	assert_int_equal(report.root_keys, 1);
	assert_false(is_there(f, zone));
	assert_false(is_there(f, f->project));
	assert_true(is_there(f, newer));
	assert_int_equal(zones_zone_missing(f->zones, zone->of_zone.zone), ZONE_DELETED);
}

static void archive_that_goes_now_takes_its_project_along(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *new = NULL, *archive = NULL;

	assert_int_equal(zones_project_replace(f->zones, f->project, bytes_of("new"), &new),
			 ZONE_OK);
	archive = find_entry(f->zones, new->uid, ENTRY_ARCHIVE, "project");
	assert_int_equal(zones_purge_entry(f->zones, archive), ZONE_OK);
	assert_false(is_there(f, zone));
	assert_false(is_there(f, f->project));
	assert_false(is_there(f, root_key));
}

/* Two projects that were put aside one after the other, the first in the second. */
struct nested {
	struct entry *zone;  /* of the first */
	struct entry *outer; /* the second's archive */
};

static void nested_clear(struct nested *nested)
{
	entry_release(nested->zone);
	entry_release(nested->outer);
}

/* The first goes in 30 days, the second in `days`. */
static struct nested make_nested(struct zones_fixture *f, unsigned days)
{
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *second = NULL, *third = NULL;
	struct nested nested = {0};

	assert_int_equal(zones_project_replace(f->zones, f->project, bytes_of("second"), &second),
			 ZONE_OK);
	f->settings.deletion_window_days = days;
	zones_reopen(f);
	assert_int_equal(zones_project_replace(f->zones, second, bytes_of("third"), &third),
			 ZONE_OK);
	nested.outer = find_entry(f->zones, third->uid, ENTRY_ARCHIVE, "second");
	nested.zone = TAKE(zone);
	assert_non_null(nested.outer);
	return nested;
}

/* Also what no look-up shows, since it is of an archived project. */
static bool is_stored(struct zones_fixture *f, const struct entry *entry)
{
	return index_uid(&f->zones->index, entry->uid) != NULL;
}

static void archive_stays_as_long_as_its_project_holds_one_that_is_not_due(void **state)
{
	FIXTURE(state);
	AUTO(nested_clear) struct nested nested = make_nested(f, 1);
	struct purge_report report;

	fake_clock_advance(&f->clock, 2 * day);
	report = purge(f, PURGE_ANNOUNCED);
	assert_int_equal(report.announced, 0);
	report = purge(f, PURGE_DUE);
	assert_int_equal(report.projects + report.zones, 0);
	assert_true(is_stored(f, nested.zone));
	assert_true(is_stored(f, nested.outer));
	fake_clock_advance(&f->clock, 28 * day);
	report = purge(f, PURGE_DUE);
	assert_int_equal(report.projects, 2);
	assert_int_equal(report.zones, 1);
	assert_false(is_stored(f, nested.zone));
	assert_false(is_stored(f, nested.outer));
}

static void archive_that_holds_another_does_not_go_by_hand(void **state)
{
	FIXTURE(state);
	AUTO(nested_clear) struct nested nested = make_nested(f, 30);

	assert_int_equal(zones_purge_entry(f->zones, nested.outer), ZONE_IN_USE);
	assert_non_null(strstr(log_last(), "project 'second' holds archived project 'project'"));
	assert_true(is_stored(f, nested.zone));
	assert_true(is_stored(f, nested.outer));
}

static enum zone_status remove_it(struct changes *changes, void *state)
{
	return changes_remove(changes, state);
}

/* As by an older release, or by SQL. */
static void archive_whose_project_lost_its_own_keeps_its_window(void **state)
{
	FIXTURE(state);
	AUTO(nested_clear) struct nested nested = make_nested(f, 30);
	struct purge_report report;

	assert_int_equal(zones_change(f->zones, remove_it, nested.outer), ZONE_OK);
	report = purge(f, PURGE_DUE);
	assert_int_equal(report.projects + report.zones, 0);
	assert_true(is_stored(f, nested.zone));
	fake_clock_advance(&f->clock, 30 * day);
	assert_int_equal(purge(f, PURGE_ANNOUNCED).announced, 1);
	assert_true(is_stored(f, nested.zone));
	fake_clock_advance(&f->clock, day);
	assert_int_equal(purge(f, PURGE_ANNOUNCED).projects, 2);
	assert_false(is_stored(f, nested.zone));
}

/* Of an archived project in the list; "": it is not there. */
static void assert_listed(struct zones_fixture *f, const char *name, const char *wanted)
{
	AUTO(buffer_clear) struct buffer text = {0};
	const char *stage = "";
	json_t *list, *row;
	size_t i;

	assert_int_equal(zones_purge_describe(f->zones, &text), ZONE_OK);
	list = json_loads(buffer_text(&text), 0, NULL);
	json_array_foreach(list, i, row)
	{
		assert_string_equal(json_string_value(json_object_get(row, "kind")), "project");
		if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
			stage = json_string_value(json_object_get(row, "stage"));
	}
	assert_string_equal(stage, wanted);
	json_decref(list);
}

static void archive_in_an_archived_project_is_listed(void **state)
{
	FIXTURE(state);
	AUTO(nested_clear) struct nested nested = make_nested(f, 1);

	assert_listed(f, "project", "restorable");
	assert_listed(f, "second", "restorable");
	/* Its time is over, but it holds what can be restored. */
	fake_clock_advance(&f->clock, 2 * day);
	assert_listed(f, "project", "restorable");
	assert_listed(f, "second", "restorable");
	fake_clock_advance(&f->clock, 28 * day);
	assert_listed(f, "project", "due");
	assert_listed(f, "second", "due");
}

static void as_many_as_there_are_go_in_steps(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	struct purge_report report;
	size_t before;

	for (int i = 0; i < 150; i++) {
		char label[16];
		AUTO(entry_releasep) struct entry *zone = NULL;

		snprintf(label, sizeof(label), "db-%d", i);
		zone = make_zone(f, label);
		if (i % 10 == 0)
			make_key(f, zone);
		assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	}
	fake_clock_advance(&f->clock, 30 * day);
	before = memory_rows.writes;
	report = purge(f, PURGE_DUE);
	assert_int_equal(report.zones, 150);
	assert_int_equal(report.token_keys, 15);
	assert_int_equal(memory_rows.writes - before, 2);
	assert_int_equal(count(f, ENTRY_ZONE), 0);
}

static void nothing_goes_without_its_line_in_a_log_that_is_required(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	struct purge_report report;

	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	fake_clock_advance(&f->clock, 30 * day);
	assert_true(audit_configure("/nowhere/audit"));
	audit_require(true);
	assert_int_equal(zones_purge(f->zones, PURGE_DUE, &report), ZONE_AUDIT_UNAVAILABLE);
	zones_daily(f->zones);
	audit_require(false);
	assert_true(audit_configure(NULL));
	assert_int_equal(report.zones, 0);
	assert_true(is_there(f, zone));
}

static void each_end_has_its_line_in_the_audit_log(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(buffer_clear) struct buffer text = {0};
	char path[128];

	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	fake_clock_advance(&f->clock, 30 * day);
	snprintf(path, sizeof(path), "%s/audit", f->folder);
	assert_true(audit_configure(path));
	purge(f, PURGE_ANNOUNCED);
	fake_clock_advance(&f->clock, day);
	purge(f, PURGE_ANNOUNCED);
	assert_true(audit_configure(NULL));
	file_bytes(path, &text);
	assert_non_null(
		strstr(buffer_text(&text), "\"event\":\"project\",\"action\":\"purge announced\""));
	assert_non_null(strstr(buffer_text(&text), "\"event\":\"zone\",\"action\":\"purged\""));
}

static void once_a_day_whoever_looks_does_it(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");

	zones_daily(f->zones);
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	fake_clock_advance(&f->clock, 30 * day);
	zones_daily(f->zones); /* announces */
	f->clock.realtime_ms += day;
	zones_daily(f->zones); /* it was done already today */
	assert_true(is_there(f, zone));
	f->clock.monotonic_ms += day;
	zones_daily(f->zones);
	assert_false(is_there(f, zone));
}

static void store_that_can_not_be_written_is_passed_over(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(buffer_clear) struct buffer said = {0};
	char log[128];

	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	fake_clock_advance(&f->clock, 30 * day);
	snprintf(log, sizeof(log), "%s/log", f->folder);
	assert_true(log_configure(LOG_INFO, log));
	memory_rows.fault = ZONE_STORE_READ_ONLY;
	zones_daily(f->zones);
	memory_rows.fault = ZONE_OK;
	assert_true(log_configure(LOG_OFF, "stderr"));
	file_bytes(log, &said);
	assert_int_equal(said.len, 0);
	assert_true(is_there(f, zone));
}

static void live_keys_end_in_other_processes(void **state)
{
	FIXTURE(state);
	struct zones *other = zones_other(f);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *theirs = NULL, *pending = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	theirs = zones_find_uid(other, zone->uid);
	assert_int_equal(ezk_find(zones_registry(other), theirs, EZK_PRIMARY, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	pending = zones_find_uid(f->zones, zone->uid);
	assert_int_equal(zones_purge_entry(f->zones, pending), ZONE_OK);
	fake_clock_advance(&f->clock, 1000);
	assert_int_equal(ezk_begin(ezk), ZONE_DELETED);
	ezk_release(TAKE(ezk));
	zones_free(other);
}

static void what_awaits_deletion_is_listed_with_its_stage(void **state)
{
	FIXTURE(state);
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(buffer_clear) struct buffer before = {0}, after = {0};
	json_t *list;

	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	assert_int_equal(zones_purge_describe(f->zones, &before), ZONE_OK);
	list = json_loads(buffer_text(&before), 0, NULL);
	assert_int_equal(json_array_size(list), 1);
	assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "stage")),
			    "restorable");
	json_decref(list);
	fake_clock_advance(&f->clock, 30 * day);
	assert_int_equal(zones_purge_describe(f->zones, &after), ZONE_OK);
	assert_non_null(strstr(buffer_text(&after), "\"due\""));
	assert_non_null(strstr(buffer_text(&after), "\"db\""));
}

static unsigned scrubs;
static enum zone_status scrubbed_as;

static enum zone_status count_scrub(struct store *store)
{
	(void)store;
	scrubs++;
	return scrubbed_as;
}

/* A store whose file is rewritten as the test says. */
static struct store_operations watch_scrub(struct zones_fixture *f, enum zone_status status)
{
	struct store_operations operations = *f->zones->store->operations;

	operations.scrub = count_scrub;
	scrubs = 0;
	scrubbed_as = status;
	return operations;
}

static void assert_told_what_to_do(struct zones_fixture *f)
{
	assert_non_null(strstr(log_last(), f->engine == &memory_store ? "memory" : f->path));
	assert_non_null(strstr(log_last(), "make room"));
	assert_non_null(strstr(log_last(), "cmek maintain --now"));
}

static void file_that_could_not_be_rewritten_is_told(void **state)
{
	FIXTURE(state);
	const struct store_operations watched = watch_scrub(f, ZONE_STORE_UNAVAILABLE),
				      *real = f->zones->store->operations;
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	AUTO(entry_releasep) struct entry *zone = make_zone(f, "db");
	AUTO(entry_releasep) struct entry *due = make_zone(f, "due"), *pending = NULL;

	f->zones->store->operations = &watched;
	assert_int_equal(zones_entry_delete(f->zones, zone), ZONE_OK);
	assert_int_equal(zones_entry_delete(f->zones, due), ZONE_OK);
	pending = zones_find_uid(f->zones, zone->uid);
	assert_int_equal(zones_purge_entry(f->zones, pending), ZONE_OK);
	assert_int_equal(scrubs, 1);
	assert_told_what_to_do(f);
	log_warning("something else");
	fake_clock_advance(&f->clock, 30 * day);
	assert_false(purge(f, PURGE_DUE).scrubbed);
	assert_int_equal(scrubs, 2);
	assert_told_what_to_do(f);
	f->zones->store->operations = real;
}

/* So that it is what to do after it failed. */
static void who_vouches_for_the_clock_has_the_file_rewritten(void **state)
{
	FIXTURE(state);
	const struct store_operations watched = watch_scrub(f, ZONE_OK),
				      *real = f->zones->store->operations;

	f->zones->store->operations = &watched;
	assert_false(purge(f, PURGE_ANNOUNCED).scrubbed);
	assert_int_equal(scrubs, 0);
	assert_true(purge(f, PURGE_DUE).scrubbed);
	assert_int_equal(scrubs, 1);
	f->zones->store->operations = real;
}

#define ON_BOTH(test)                                                                              \
	cmocka_unit_test_setup_teardown(test, zones_begin, zones_end),                             \
	{                                                                                          \
#test "_however_late_it_is", test, begin_late, zones_end, NULL                     \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(what_is_due_is_announced_and_goes_a_day_later),
		ON_BOTH(clock_that_is_far_ahead_ends_no_window),
		ON_BOTH(who_vouches_for_the_clock_need_not_wait),
		ON_BOTH(zones_go_before_what_they_stand_on),
		ON_BOTH(what_still_stands_on_it_keeps_a_root_key),
		ON_BOTH(one_entry_goes_at_once_if_it_awaits_that),
		ON_BOTH(archived_project_goes_with_all_that_it_held),
		ON_BOTH(archive_that_goes_now_takes_its_project_along),
		ON_BOTH(archive_stays_as_long_as_its_project_holds_one_that_is_not_due),
		ON_BOTH(archive_that_holds_another_does_not_go_by_hand),
		ON_BOTH(archive_whose_project_lost_its_own_keeps_its_window),
		ON_BOTH(archive_in_an_archived_project_is_listed),
		cmocka_unit_test_setup_teardown(as_many_as_there_are_go_in_steps, begin_in_memory,
						zones_end),
		ON_BOTH(nothing_goes_without_its_line_in_a_log_that_is_required),
		ON_BOTH(each_end_has_its_line_in_the_audit_log),
		cmocka_unit_test_setup_teardown(once_a_day_whoever_looks_does_it, zones_begin,
						zones_end),
		cmocka_unit_test_setup_teardown(store_that_can_not_be_written_is_passed_over,
						begin_in_memory, zones_end),
		cmocka_unit_test_setup_teardown(live_keys_end_in_other_processes, zones_begin,
						zones_end),
		ON_BOTH(what_awaits_deletion_is_listed_with_its_stage),
		ON_BOTH(file_that_could_not_be_rewritten_is_told),
		ON_BOTH(who_vouches_for_the_clock_has_the_file_rewritten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
