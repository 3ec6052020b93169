/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of a key that are retired, come back, and go for good: by each way in to them. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/memory_store.h"
#include "tests/support/second_version.h"
#include "tests/support/unit.h"
#include "zones/domain/edit.h"
#include "zones/domain/purge.h"
#include "zones/domain/token_key.h"
#include "zones/domain/retire.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#include <stdlib.h>

struct world {
	struct zones_fixture *f;
	struct entry *root_key, *zone;		/* of two versions, the first below the fence */
	struct ezk *first;			/* live, by its handle */
	struct buffer record;			/* of the first */
	uint8_t wrapped[4 + DEK_WRAP_OVERHEAD]; /* by the first */
};

#define WORLD(state) struct world *w = *(state)

static int begin_in(const struct store_engine *engine, void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct entry_names names = names_of("db");
	void *fixture = NULL;

	assert_int_equal(engine == NULL ? zones_begin(&fixture) : zones_begin_in(engine, &fixture),
			 0);
	w->f = fixture;
	w->root_key = make_root_key(w->f, ROOT_A);
	names.usages = USAGE_WRAP | USAGE_UNWRAP;
	assert_int_equal(zones_zone_create(w->f->zones, w->f->project->uid, &names, &zone),
			 ZONE_OK);
	assert_int_equal(ezk_find(zones_registry(w->f->zones), zone, EZK_PRIMARY, &w->first),
			 ZONE_OK);
	assert_int_equal(dek_wrap(w->first, bytes_of("dek!"), bytes(NULL, 0), w->wrapped), ZONE_OK);
	assert_int_equal(zones_zone_export(w->f->zones, zone, &w->record), ZONE_OK);
	w->zone = add_second_version(w->f, zone, 2);
	*state = w;
	return 0;
}

static int begin(void **state)
{
	return begin_in(NULL, state);
}

static int begin_late(void **state)
{
	memory_rows_begin();
	assert_int_equal(begin_in(&memory_store, state), 0);
	memory_rows.conflicts = 2;
	return 0;
}

static int end(void **state)
{
	WORLD(state);
	void *fixture = w->f;

	ezk_release(w->first);
	entry_release(w->zone);
	entry_release(w->root_key);
	buffer_clear(&w->record);
	free(w);
	return zones_end(&fixture);
}

static struct entry *now(struct world *w)
{
	return zones_find_uid(w->f->zones, w->zone->uid);
}

static enum zone_status step(struct world *w, uint32_t version, enum version_step step)
{
	AUTO(entry_releasep) struct entry *zone = now(w);

	return zones_version_step(w->f->zones, zone, version, step);
}

/* What each way in to the first version answers. */
static void assert_answers(struct world *w, enum zone_status wanted)
{
	struct registry *registry = zones_registry(w->f->zones);
	AUTO(entry_releasep) struct entry *zone = now(w);
	AUTO(ezk_releasep) struct ezk *primary = NULL, *by_record = NULL, *by_number = NULL;
	uint8_t secret[4];

	assert_int_equal(ezk_find(registry, zone, 1, &by_number), wanted);
	assert_int_equal(
		ezk_from_records(registry, w->root_key, buffer_bytes(&w->record), &by_record),
		wanted);
	assert_int_equal(ezk_find(registry, zone, EZK_PRIMARY, &primary), ZONE_OK);
	assert_int_equal(dek_unwrap(primary, bytes(w->wrapped, sizeof(w->wrapped)), bytes(NULL, 0),
				    secret, NULL),
			 wanted);
}

struct fence {
	struct uid zone;
	uint32_t minimum;
};

static enum zone_status decide_fence(struct changes *changes, void *state)
{
	const struct fence *fence = state;
	AUTO(entry_releasep)
	struct entry *changed = entry_copy(index_uid(&changes->zones->index, fence->zone));

	changed->of_zone.minimum = fence->minimum;
	return changes_put(changes, changed);
}

static void set_fence(struct world *w, uint32_t minimum)
{
	struct fence fence = {w->zone->uid, minimum};

	assert_int_equal(zones_change(w->f->zones, decide_fence, &fence), ZONE_OK);
}

static void retired_version_opens_nothing_by_any_way_in(void **state)
{
	WORLD(state);

	assert_answers(w, ZONE_FENCED);
	assert_int_equal(step(w, 1, VERSION_RETIRE), ZONE_OK);
	assert_answers(w, ZONE_PENDING_DELETION);
	assert_int_equal(ezk_begin(w->first), ZONE_PENDING_DELETION);
	assert_non_null(strstr(log_last(), "version 1 of database 'db'"));
	assert_non_null(strstr(log_last(), "is retired"));
}

static void it_comes_back_as_it_was(void **state)
{
	WORLD(state);

	assert_int_equal(step(w, 1, VERSION_RETIRE), ZONE_OK);
	assert_int_equal(step(w, 1, VERSION_RETIRE), ZONE_OK); /* once more does nothing */
	assert_int_equal(step(w, 1, VERSION_UNRETIRE), ZONE_OK);
	assert_int_equal(step(w, 1, VERSION_UNRETIRE), ZONE_OK);
	assert_answers(w, ZONE_FENCED);
	set_fence(w, 1);
	assert_answers(w, ZONE_OK);
	assert_int_equal(ezk_begin(w->first), ZONE_OK);
}

static void what_is_in_use_is_not_retired(void **state)
{
	WORLD(state);

	assert_int_equal(step(w, 2, VERSION_RETIRE), ZONE_IN_USE);
	assert_non_null(strstr(log_last(), "cmek database set --min-version"));
	assert_int_equal(step(w, 3, VERSION_RETIRE), ZONE_NOT_FOUND);
	assert_int_equal(step(w, 0, VERSION_RETIRE), ZONE_NOT_FOUND);
	set_fence(w, 1);
	assert_int_equal(step(w, 1, VERSION_RETIRE), ZONE_IN_USE);
}

static void nor_is_one_that_a_token_key_needs(void **state)
{
	WORLD(state);
	AUTO(entry_releasep) struct entry *zone = NULL, *key = NULL, *two = NULL;
	struct entry_names names = names_of("other"), names_of_key = names_of("needs it");

	assert_int_equal(zones_zone_create(w->f->zones, w->f->project->uid, &names, &zone),
			 ZONE_OK);
	assert_int_equal(zones_key_create(w->f->zones, w->f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &names_of_key, &key),
			 ZONE_OK);
	two = add_second_version(w->f, zone, 2);
	assert_int_equal(zones_version_step(w->f->zones, two, 1, VERSION_RETIRE), ZONE_IN_USE);
	assert_non_null(strstr(log_last(), "token key 'needs it'"));
	assert_int_equal(zones_entry_delete(w->f->zones, key), ZONE_OK);
	assert_int_equal(zones_version_step(w->f->zones, two, 1, VERSION_RETIRE), ZONE_OK);
}

static void once_it_is_gone_nothing_revives_it(void **state)
{
	WORLD(state);
	AUTO(entry_releasep) struct entry *back = NULL;
	struct entry_names names = names_of("back");

	assert_int_equal(step(w, 1, VERSION_PURGE), ZONE_INVALID);
	assert_int_equal(step(w, 1, VERSION_RETIRE), ZONE_OK);
	assert_int_equal(step(w, 1, VERSION_PURGE), ZONE_OK);
	assert_answers(w, ZONE_DELETED);
	assert_int_equal(ezk_begin(w->first), ZONE_DELETED);
	assert_non_null(strstr(log_last(), "version 1 of database 'db'"));
	assert_int_equal(step(w, 1, VERSION_UNRETIRE), ZONE_DELETED);
	assert_int_equal(zones_zone_import(w->f->zones, w->f->project->uid, w->root_key,
					   buffer_bytes(&w->record), true, &names, &back),
			 ZONE_EXISTS);
	zones_reopen(w->f);
	assert_answers(w, ZONE_DELETED);
}

static void the_end_comes_in_another_process_too(void **state)
{
	WORLD(state);
	struct zones *other = zones_other(w->f);
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	set_fence(w, 1);
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	zone = zones_find_uid(other, w->zone->uid);
	assert_int_equal(ezk_find(zones_registry(other), zone, 1, &ezk), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	set_fence(w, 2);
	assert_int_equal(step(w, 1, VERSION_RETIRE), ZONE_OK);
	fake_clock_advance(&w->f->clock, 1000);
	assert_int_equal(ezk_begin(ezk), ZONE_PENDING_DELETION);
	assert_int_equal(step(w, 1, VERSION_PURGE), ZONE_OK);
	fake_clock_advance(&w->f->clock, 1000);
	assert_int_equal(ezk_begin(ezk), ZONE_DELETED);
	ezk_release(TAKE(ezk));
	zones_free(other);
}

static void retired_version_is_not_exported(void **state)
{
	WORLD(state);
	AUTO(buffer_clear) struct buffer both = {0}, one = {0};
	AUTO(entry_releasep) struct entry *before = now(w), *after = NULL;

	assert_int_equal(zones_zone_export(w->f->zones, before, &both), ZONE_OK);
	assert_int_equal(step(w, 1, VERSION_RETIRE), ZONE_OK);
	after = now(w);
	assert_int_equal(zones_zone_export(w->f->zones, after, &one), ZONE_OK);
	assert_true(one.len < both.len);
}

static void it_goes_when_its_window_has_ended(void **state)
{
	WORLD(state);
	struct purge_report report;
	AUTO(entry_releasep) struct entry *zone = NULL;

	assert_int_equal(step(w, 1, VERSION_RETIRE), ZONE_OK);
	assert_int_equal(zones_purge(w->f->zones, PURGE_DUE, &report), ZONE_OK);
	assert_int_equal(report.versions, 0);
	fake_clock_advance(&w->f->clock, (int64_t)31 * 24 * 3600 * 1000);
	assert_int_equal(zones_purge(w->f->zones, PURGE_DUE, &report), ZONE_OK);
	assert_int_equal(report.versions, 1);
	assert_int_equal(report.zones, 0);
	zone = now(w);
	assert_int_equal(zone->of_zone.version_count, 1);
	assert_int_equal(zone->of_zone.versions[0].version, 2);
	assert_answers(w, ZONE_DELETED);
}

static enum zone_status decide_retired(struct changes *changes, void *state)
{
	const struct fence *retired = state;
	AUTO(entry_releasep)
	struct entry *changed = entry_copy(index_uid(&changes->zones->index, retired->zone));

	changed->of_zone.versions[0].retired = true;
	changed->of_zone.versions[0].delete_after_ms = zones_deletion_ms(changes->zones);
	return changes_put(changes, changed);
}

/* One that came back by an older release, or by SQL. */
static void nor_does_it_go_while_a_token_key_needs_it(void **state)
{
	WORLD(state);
	struct zones *zones = w->f->zones;
	AUTO(entry_releasep) struct entry *zone = NULL, *key = NULL, *two = NULL, *later = NULL;
	struct entry_names names = names_of("other"), names_of_key = names_of("needs it");
	struct purge_report report;
	struct fence retired = {0};

	assert_int_equal(zones_zone_create(zones, w->f->project->uid, &names, &zone), ZONE_OK);
	assert_int_equal(zones_key_create(zones, w->f->project->uid, zone->of_zone.zone, 0x1f,
					  bytes_of("0123456789abcdef"), &names_of_key, &key),
			 ZONE_OK);
	two = add_second_version(w->f, zone, 2);
	retired.zone = zone->uid;
	assert_int_equal(zones_change(zones, decide_retired, &retired), ZONE_OK);
	later = zones_find_uid(zones, zone->uid);
	assert_int_equal(zones_version_step(zones, later, 1, VERSION_PURGE), ZONE_IN_USE);
	assert_non_null(strstr(log_last(), "token key 'needs it'"));
	fake_clock_advance(&w->f->clock, (int64_t)31 * 24 * 3600 * 1000);
	assert_int_equal(zones_purge(zones, PURGE_ANNOUNCED, &report), ZONE_OK);
	assert_int_equal(report.announced, 0);
	assert_int_equal(zones_purge(zones, PURGE_DUE, &report), ZONE_OK);
	assert_int_equal(report.versions, 0);
	assert_int_equal(zones_entry_delete(zones, key), ZONE_OK);
	assert_int_equal(zones_purge(zones, PURGE_DUE, &report), ZONE_OK);
	assert_int_equal(report.versions, 1);
}

#define ON_BOTH(test)                                                                              \
	cmocka_unit_test_setup_teardown(test, begin, end),                                         \
	{                                                                                          \
#test "_however_late_it_is", test, begin_late, end, NULL                           \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(retired_version_opens_nothing_by_any_way_in),
		ON_BOTH(it_comes_back_as_it_was),
		ON_BOTH(what_is_in_use_is_not_retired),
		ON_BOTH(nor_is_one_that_a_token_key_needs),
		ON_BOTH(once_it_is_gone_nothing_revives_it),
		cmocka_unit_test_setup_teardown(the_end_comes_in_another_process_too, begin, end),
		ON_BOTH(retired_version_is_not_exported),
		ON_BOTH(it_goes_when_its_window_has_ended),
		ON_BOTH(nor_does_it_go_while_a_token_key_needs_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
