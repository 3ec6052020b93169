/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A process that knows but part of a store, beside one that knows all of it: what it finds, what it
 * refuses, what it follows, and what it asks the store for. */
#include "zones/domain/partial.h"

#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/memory_store.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/backup.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/retire.h"
#include "zones/domain/rotate.h"
#include "zones/domain/standing.h"
#include "zones/domain/state.h"
#include "zones/domain/token_key.h"
#include "zones/domain/usage.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#include <stdlib.h>

enum { MOST = 16, ZONES = 40, LATER_MS = MEMORY_LOOK_MS + 1 };

struct bed {
	struct zones_fixture *f;
	struct zones *part; /* a process that starts when the store has much more than MOST rows */
	struct entry *root_key, *cluster;
	struct entry *zones[ZONES];
};

static struct entry *make_zone(struct zones *zones, struct uid project, const char *label)
{
	const struct entry_names names = names_of(label);
	struct entry *zone = NULL;

	assert_int_equal(zones_zone_create(zones, project, &names, &zone), ZONE_OK);
	return zone;
}

static struct entry *make_key(struct zones *zones, const struct entry *zone, const char *label)
{
	static const uint8_t value[32] = {7};
	const struct entry_names names = names_of(label);
	struct entry *key = NULL;

	assert_int_equal(zones_key_create(zones, zone->project, zone->of_zone.zone, 1,
					  bytes(value, sizeof(value)), &names, &key),
			 ZONE_OK);
	return key;
}

static int begin(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	void *fixture;
	char label[32];

	memory_rows_begin();
	zones_begin_in(&memory_store, &fixture);
	bed->f = fixture;
	bed->root_key = make_root_key(bed->f, "alias/a");
	bed->cluster = make_cluster(bed->f, bed->root_key, "c");
	for (size_t i = 0; i < ZONES; i++) {
		snprintf(label, sizeof(label), "c/db-%zu", i);
		bed->zones[i] = make_zone(bed->f->zones, bed->f->project->uid, label);
	}
	memory_rows.most = MOST;
	bed->part = zones_other(bed->f);
	assert_int_equal(zones_refresh(bed->part, false), ZONE_OK);
	memory_rows.reads = memory_rows.finds = memory_rows.wholes = 0;
	*state = bed;
	return 0;
}

static int end(void **state)
{
	struct bed *bed = *state;
	void *fixture = bed->f;

	for (size_t i = 0; i < ZONES; i++)
		entry_release(bed->zones[i]);
	entry_release(bed->root_key);
	entry_release(bed->cluster);
	zones_free(bed->part);
	free(bed);
	zones_end(&fixture);
	memory_rows_end();
	return 0;
}

static uint64_t id_of(const struct bed *bed, size_t zone)
{
	return bed->zones[zone]->of_zone.zone;
}

/* Held, as the process knows it; NULL: there is none. */
static struct entry *meet(struct zones *zones, uint64_t id)
{
	struct entry *zone = NULL;

	assert_int_equal(zones_meet_zone(zones, id, &zone), ZONE_OK);
	return zone;
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

static void follow(struct bed *bed)
{
	fake_clock_advance(&bed->f->clock, LATER_MS);
	assert_int_equal(zones_refresh(bed->part, false), ZONE_OK);
}

/* --- What it knows */

static void the_few_are_known_and_the_rest_comes_by_its_key(void **state)
{
	struct bed *bed = *state;

	assert_true(zones_are_partial(bed->part));
	assert_int_equal(bed->part->index.spare_count, 0);
	assert_int_equal(count_entries(bed->part, bed->f->project->uid, ENTRY_ROOT_KEY, true), 1);
	assert_int_equal(count_entries(bed->part, bed->f->project->uid, ENTRY_CLUSTER, true), 1);
	assert_int_equal(use_number(bed->part, id_of(bed, 7)), ZONE_OK);
	assert_int_equal(use_number(bed->part, id_of(bed, 7)), ZONE_OK);
	assert_int_equal(bed->part->index.spare_count, 1);
	assert_int_equal(memory_rows.finds, 1);
	assert_int_equal(memory_rows.wholes, 0);
}

static void what_was_just_made_elsewhere_is_found_by_one_question(void **state)
{
	struct bed *bed = *state;
	AUTO(entry_releasep)
	struct entry *zone = make_zone(bed->f->zones, bed->f->project->uid, "c/new");

	memory_rows.reads = 0;
	assert_int_equal(use_number(bed->part, zone->of_zone.zone), ZONE_OK);
	assert_int_equal(memory_rows.finds, 1);
	assert_int_equal(memory_rows.reads, 0);
}

static void a_label_is_asked_for_once_and_then_followed(void **state)
{
	struct bed *bed = *state;
	struct uid project = bed->f->project->uid;
	AUTO(entry_releasep) struct entry *key = make_key(bed->f->zones, bed->zones[0], "same");
	AUTO(entry_releasep) struct entry *other = NULL;
	AUTO(entry_releasep)
	struct entry *found = find_entry(bed->part, project, ENTRY_KEY, "same");

	assert_true(uid_equal(found->uid, key->uid));
	entry_release(find_entry(bed->part, project, ENTRY_KEY, "same"));
	assert_int_equal(memory_rows.finds, 1);
	/* A second key of that label is another zone's. */
	other = make_key(bed->f->zones, bed->zones[1], "same");
	follow(bed);
	assert_int_equal(bed->part->index.spare_count, 2);
	entry_release(find_entry(bed->part, project, ENTRY_KEY, "same"));
	assert_int_equal(memory_rows.finds, 1);
	assert_int_equal(memory_rows.wholes, 0);
}

static void a_list_of_all_reads_all_once(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(count_entries(bed->part, bed->f->project->uid, ENTRY_ZONE, true), ZONES);
	assert_int_equal(memory_rows.wholes, 1);
	assert_false(zones_are_partial(bed->part));
	follow(bed);
	assert_int_equal(count_entries(bed->part, bed->f->project->uid, ENTRY_ZONE, true), ZONES);
	assert_int_equal(memory_rows.wholes, 1);
}

static void whoever_has_listed_all_keeps_all_when_the_store_grows(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(count_entries(bed->f->zones, bed->f->project->uid, ENTRY_ZONE, true),
			 ZONES);
	bed->f->zones->store->most = MOST;
	fake_clock_advance(&bed->f->clock, LATER_MS);
	assert_int_equal(zones_refresh(bed->f->zones, false), ZONE_OK);
	assert_false(zones_are_partial(bed->f->zones));
	memory_rows.reads = memory_rows.finds = 0;
	assert_int_equal(count_entries(bed->f->zones, bed->f->project->uid, ENTRY_ZONE, true),
			 ZONES);
	assert_int_equal(memory_rows.reads + memory_rows.finds, 0);
}

static void no_more_is_kept_than_was_configured(void **state)
{
	struct bed *bed = *state;

	for (size_t i = 0; i < ZONES; i++) {
		AUTO(entry_releasep) struct entry *zone = meet(bed->part, id_of(bed, i));

		assert_non_null(zone);
		assert_true(bed->part->index.spare_count <= MOST + MOST / 8 + 2);
	}
	assert_int_equal(memory_rows.finds, ZONES);
	assert_int_equal(memory_rows.wholes, 0);
}

static void no_more_zone_ids_are_remembered_as_absent_either(void **state)
{
	struct bed *bed = *state;

	for (uint64_t i = 0; i < 4 * MOST; i++) {
		assert_int_equal(zones_know_zone(bed->part, 0x1000000 + i), ZONE_OK);
		assert_true(bed->part->index.absent.count <= MOST + MOST / 8 + 1);
	}
	assert_int_equal(memory_rows.finds, 4 * MOST);
}

static void what_is_in_use_is_kept_beyond_that(void **state)
{
	struct bed *bed = *state;

	for (size_t i = 0; i < ZONES; i++)
		assert_int_equal(use_number(bed->part, id_of(bed, i)), ZONE_OK);
	assert_int_equal(bed->part->index.spare_count, ZONES);
	memory_rows.fault = ZONE_STORE_UNAVAILABLE;
	for (size_t i = 0; i < ZONES; i++)
		assert_int_equal(use_number(bed->part, id_of(bed, i)), ZONE_OK);
	assert_int_equal(memory_rows.finds, ZONES);
}

static void a_number_stays_good_when_its_entry_was_let_go(void **state)
{
	struct bed *bed = *state;
	AUTO(entry_releasep) struct entry *again = NULL;
	struct entry *first = meet(bed->part, id_of(bed, 0));
	uint64_t number = first->number;

	entry_release(first);
	for (size_t i = 1; i < ZONES; i++)
		entry_release(meet(bed->part, id_of(bed, i)));
	assert_null(zones_find_number(bed->part, number));
	memory_rows.fault = ZONE_STORE_UNAVAILABLE;
	assert_int_equal(zones_meet_number(bed->part, number, &again), ZONE_STORE_UNAVAILABLE);
	memory_rows.fault = ZONE_OK;
	assert_int_equal(zones_meet_number(bed->part, number, &again), ZONE_OK);
	assert_int_equal(again->of_zone.zone, id_of(bed, 0));
	assert_int_equal(again->number, number);
}

static void a_store_that_grows_is_known_in_part_from_then_on(void **state)
{
	struct bed *bed = *state;

	bed->f->zones->store->most = MOST;
	fake_clock_advance(&bed->f->clock, LATER_MS);
	assert_int_equal(zones_refresh(bed->f->zones, false), ZONE_OK);
	assert_true(zones_are_partial(bed->f->zones));
	/* Those that this test holds stay. */
	assert_int_equal(use_number(bed->f->zones, id_of(bed, 3)), ZONE_OK);
}

/* --- What it follows */

static void a_deletion_elsewhere_ends_what_is_in_use(void **state)
{
	struct bed *bed = *state;
	AUTO(entry_releasep) struct entry *zone = meet(bed->part, id_of(bed, 2));

	assert_int_equal(use(bed->part, zone), ZONE_OK);
	assert_int_equal(zones_entry_delete(bed->f->zones, bed->zones[2]), ZONE_OK);
	follow(bed);
	assert_int_equal(use(bed->part, zone), ZONE_PENDING_DELETION);
	assert_int_equal(memory_rows.wholes, 0);
}

static void a_project_that_was_archived_ends_what_is_in_use(void **state)
{
	struct bed *bed = *state;
	AUTO(entry_releasep) struct entry *zone = meet(bed->part, id_of(bed, 2));
	AUTO(entry_releasep) struct entry *made = NULL;

	assert_int_equal(use(bed->part, zone), ZONE_OK);
	assert_int_equal(
		zones_project_replace(bed->f->zones, bed->f->project, bytes_of("next"), &made),
		ZONE_OK);
	follow(bed);
	assert_int_equal(use(bed->part, zone), ZONE_PENDING_DELETION);
	/* Nor does one that it had not met before. */
	assert_null(meet(bed->part, id_of(bed, 3)));
	assert_int_equal(zones_zone_missing(bed->part, id_of(bed, 3)), ZONE_PENDING_DELETION);
}

static void a_zone_that_awaits_deletion_is_known_as_such_when_it_is_met(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(zones_entry_delete(bed->f->zones, bed->zones[5]), ZONE_OK);
	assert_int_equal(use_number(bed->part, id_of(bed, 5)), ZONE_PENDING_DELETION);
	assert_int_equal(memory_rows.wholes, 0);
}

static void what_the_store_does_not_have_is_asked_for_once_a_second(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(zones_zone_missing(bed->part, 12345), ZONE_NOT_FOUND);
	assert_int_equal(zones_zone_missing(bed->part, 12345), ZONE_NOT_FOUND);
	assert_int_equal(memory_rows.finds, 1);
}

static void what_is_not_known_while_the_store_is_away_is_refused(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(use_number(bed->part, id_of(bed, 1)), ZONE_OK);
	memory_rows.fault = ZONE_STORE_UNAVAILABLE;
	assert_int_equal(use_number(bed->part, id_of(bed, 1)), ZONE_OK);
	assert_int_equal(use_number(bed->part, id_of(bed, 9)), ZONE_STORE_UNAVAILABLE);
	memory_rows.fault = ZONE_OK;
	assert_int_equal(use_number(bed->part, id_of(bed, 9)), ZONE_OK);
}

static enum zone_status find_label(struct zones *zones, struct uid project, const char *label,
				   size_t *ret_count)
{
	const struct bytes name = bytes_of(label);
	struct entry_filter filter = {.project = project, .label = &name};
	struct entry **entries = NULL;

	filter.kinds[ENTRY_KEY] = true;
	TRY(zones_list(zones, &filter, &entries, ret_count));
	for (size_t i = 0; i < *ret_count; i++)
		entry_release(entries[i]);
	free(entries);
	return ZONE_OK;
}

/* More labels were asked for than are remembered, so of the first one the store has to be asked
 * again; a process that knows all of the store asks it too before it says so of a zone. */
static void not_found_is_said_only_if_the_store_has_said_so(void **state)
{
	struct bed *bed = *state;
	struct uid project = bed->f->project->uid;
	struct zones *const both[] = {bed->part, bed->f->zones};
	AUTO(entry_releasep) struct entry *key = make_key(bed->f->zones, bed->zones[0], "label-0");
	char label[32];
	size_t count;

	for (int i = 0; i <= MISSED_COUNT; i++) {
		snprintf(label, sizeof(label), "label-%d", i);
		assert_int_equal(find_label(bed->part, project, label, &count), ZONE_OK);
		assert_int_equal(count, i == 0 ? 1 : 0);
	}
	fake_clock_advance(&bed->f->clock, MISSED_MS + 1);
	memory_rows.fault = ZONE_STORE_UNAVAILABLE;
	assert_int_equal(find_label(bed->part, project, "label-0", &count), ZONE_STORE_UNAVAILABLE);
	for (size_t i = 0; i < COUNT_OF(both); i++)
		assert_int_equal(zones_zone_missing(both[i], 12345), ZONE_STORE_UNAVAILABLE);
	memory_rows.fault = ZONE_OK;
	fake_clock_advance(&bed->f->clock, STORE_SILENCE_MAX_MS);
	assert_int_equal(find_label(bed->part, project, "label-0", &count), ZONE_OK);
	assert_int_equal(count, 1);
	for (size_t i = 0; i < COUNT_OF(both); i++)
		assert_int_equal(zones_zone_missing(both[i], 12345), ZONE_NOT_FOUND);
}

/* --- Rules: one of each kind is refused, though what it looks at was not known */

static void a_label_that_is_taken_is_refused_by_a_question(void **state)
{
	struct bed *bed = *state;
	struct entry_names names = names_of("c/db-11");
	struct entry *zone = NULL;

	assert_int_equal(zones_zone_create(bed->part, bed->f->project->uid, &names, &zone),
			 ZONE_EXISTS);
	names = names_of("c/fresh");
	assert_int_equal(zones_zone_create(bed->part, bed->f->project->uid, &names, &zone),
			 ZONE_OK);
	entry_release(zone);
	assert_int_equal(memory_rows.wholes, 0);
}

static void make_rival_label(void *state)
{
	struct bed *bed = state;

	entry_release(make_zone(bed->f->zones, bed->f->project->uid, "c/rival"));
}

static void a_label_that_is_taken_meanwhile_is_refused(void **state)
{
	struct bed *bed = *state;
	const struct entry_names names = names_of("c/rival");
	struct entry *zone = NULL;

	memory_rows.conflicts = 1;
	memory_rows.rival = make_rival_label;
	memory_rows.rival_state = bed;
	assert_int_equal(zones_zone_create(bed->part, bed->f->project->uid, &names, &zone),
			 ZONE_EXISTS);
	assert_int_equal(memory_rows.wholes, 0);
}

static void the_other_spelling_of_a_label_is_taken_too(void **state)
{
	struct bed *bed = *state;
	const struct entry_names names = names_of("default/orders");
	struct entry *zone = NULL;

	entry_release(make_zone(bed->f->zones, bed->f->project->uid, "orders"));
	assert_int_equal(zones_zone_create(bed->part, bed->f->project->uid, &names, &zone),
			 ZONE_EXISTS);
}

static void a_root_key_that_a_zone_needs_is_not_removed(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(zones_entry_delete(bed->part, bed->root_key), ZONE_IN_USE);
	assert_int_equal(memory_rows.wholes, 1);
}

static void a_cluster_that_has_zones_is_not_removed(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(zones_entry_delete(bed->part, bed->cluster), ZONE_IN_USE);
}

static void a_version_that_wraps_a_token_key_is_not_retired(void **state)
{
	struct bed *bed = *state;
	AUTO(entry_releasep) struct entry *key = make_key(bed->f->zones, bed->zones[4], "kept");
	AUTO(entry_releasep) struct entry *rotated = NULL;
	AUTO(entry_releasep) struct entry *zone = NULL;

	assert_int_equal(zones_zone_rotate(bed->f->zones, bed->zones[4], 2, &rotated), ZONE_OK);
	zone = meet(bed->part, id_of(bed, 4));
	assert_int_equal(zones_version_step(bed->part, zone, 1, VERSION_RETIRE), ZONE_IN_USE);
}

static void a_root_key_that_is_there_is_not_added_again(void **state)
{
	struct bed *bed = *state;

	assert_int_equal(add_root_key(bed->part, bed->f->project->uid, ROOT_A, "again"),
			 ZONE_EXISTS);
}

static void a_stale_state_is_not_changed(void **state)
{
	struct bed *bed = *state;
	AUTO(entry_releasep) struct entry *zone = meet(bed->part, id_of(bed, 6));
	AUTO(entry_releasep) struct entry *renamed = NULL;
	const struct entry_names names = names_of("c/renamed");

	assert_int_equal(zones_entry_rename(bed->f->zones, bed->zones[6], &names, &renamed),
			 ZONE_OK);
	assert_int_equal(zones_entry_delete(bed->part, zone), ZONE_CONFLICT);
}

/* --- What a service does all day reads nothing whole */

static void zones_and_keys_are_made_changed_and_opened_by_their_keys(void **state)
{
	struct bed *bed = *state;
	AUTO(entry_releasep) struct entry *zone = meet(bed->part, id_of(bed, 8));
	AUTO(entry_releasep) struct entry *rotated = NULL;
	AUTO(entry_releasep) struct entry *key = make_key(bed->part, zone, "mine");
	AUTO(entry_releasep)
	struct entry *theirs = make_key(bed->f->zones, bed->zones[9], "theirs");
	AUTO(entry_releasep) struct entry *found = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	uint8_t *secret = NULL;

	found = find_entry(bed->part, bed->f->project->uid, ENTRY_KEY, "theirs");
	assert_int_equal(zones_key_open(bed->part, found, &secret, &ezk), ZONE_OK);
	secret_free(secret);
	assert_int_equal(zones_zone_rotate(bed->part, zone, 2, &rotated), ZONE_OK);
	assert_int_equal(zones_key_rewrap(bed->part, key, 2), ZONE_OK);
	assert_int_equal(zones_entry_delete(bed->part, found), ZONE_OK);
	assert_int_equal(zones_entry_delete(bed->part, rotated), ZONE_OK);
	assert_int_equal(memory_rows.wholes, 0);
}

static void many_databases_are_made_without_reading_the_rest(void **state)
{
	struct bed *bed = *state;
	const struct entry_names names = names_of(NULL);
	struct bytes labels[] = {bytes_of("c/new-1"), bytes_of("c/db-3"), bytes_of("c/new-2")};
	AUTO(entry_releasep) struct entry *first = NULL;

	assert_int_equal(zones_zone_create_many(bed->part, bed->f->project->uid, &names, labels,
						COUNT_OF(labels), &first),
			 ZONE_EXISTS);
	labels[1] = bytes_of("c/new-3");
	assert_int_equal(zones_zone_create_many(bed->part, bed->f->project->uid, &names, labels,
						COUNT_OF(labels), &first),
			 ZONE_OK);
	assert_string_equal(first->label, "c/new-1");
	assert_int_equal(zones_refresh(bed->f->zones, true), ZONE_OK);
	assert_int_equal(count_entries(bed->f->zones, bed->f->project->uid, ENTRY_ZONE, true),
			 ZONES + 3);
	assert_int_equal(memory_rows.wholes, 0);
}

static enum zone_status put_text(void *state, struct bytes now, struct buffer *ret_extra)
{
	(void)now;
	buffer_truncate(ret_extra, 0);
	buffer_put_text(ret_extra, state);
	return ZONE_OK;
}

/* Else whoever gives a wrong one has each process of a large store read and keep all of it. */
static void a_pin_is_counted_without_reading_the_rest(void **state)
{
	struct bed *bed = *state;
	char text[] = "pins";

	assert_int_equal(zones_project_change_extra(bed->part, bed->f->project->uid, "PIN refused",
						    put_text, text),
			 ZONE_OK);
	assert_int_equal(memory_rows.wholes, 0);
	assert_true(zones_are_partial(bed->part));
}

/* Nobody has asked for its id. */
static void a_database_that_was_found_by_its_label_is_rotated(void **state)
{
	struct bed *bed = *state;
	AUTO(entry_releasep)
	struct entry *zone = find_entry(bed->part, bed->f->project->uid, ENTRY_ZONE, "c/db-11");
	AUTO(entry_releasep) struct entry *rotated = NULL;

	assert_int_equal(zones_zone_rotate(bed->part, zone, 2, &rotated), ZONE_OK);
	assert_int_equal(rotated->of_zone.primary, 2);
	assert_int_equal(memory_rows.wholes, 0);
}

static void a_report_of_what_stands_on_a_root_key_has_all(void **state)
{
	struct bed *bed = *state;
	AUTO(buffer_clear) struct buffer json = {0};

	assert_int_equal(zones_usage(bed->part, bed->root_key, &json), ZONE_OK);
	assert_non_null(strstr(buffer_text(&json), "c/db-39"));
}

static void a_backup_has_all(void **state)
{
	struct bed *bed = *state;
	const struct backup_wish wish = {0};
	AUTO(buffer_clear) struct buffer file = {0}, told = {0};

	assert_int_equal(zones_backup_make(bed->part, bed->f->project->uid, &wish, &file, &told),
			 ZONE_OK);
	assert_non_null(strstr(buffer_text(&told), "c/db-39"));
}

/* --- Whoever may write one project puts rows with others' ids there */

static void plant(const struct entry *of, struct uid project, struct uid uid, bool removed)
{
	struct entry *planted = entry_copy(of);
	struct memory_row *rows =
		realloc(memory_rows.rows, (memory_rows.count + 1) * sizeof(*rows));

	assert_true(planted != NULL && rows != NULL);
	planted->project = project;
	planted->uid = uid;
	assert_true(entry_set_text(&planted->label, bytes_of("mine")));
	planted->revision = ++memory_rows.revision;
	memory_rows.rows = rows;
	rows[memory_rows.count++] = (struct memory_row){planted, removed};
}

static struct uid make_other_project(struct bed *bed)
{
	AUTO(entry_releasep) struct entry *project = NULL;

	assert_int_equal(zones_project_create(bed->f->zones, 1, bytes_of("other"), &project),
			 ZONE_OK);
	follow(bed);
	return project->uid;
}

static void assert_is_its_projects(struct bed *bed, size_t number)
{
	AUTO(entry_releasep) struct entry *zone = meet(bed->part, id_of(bed, number));
	AUTO(entry_releasep) struct entry *by_label = NULL;
	char label[32];

	assert_non_null(zone);
	assert_true(uid_equal(zone->project, bed->f->project->uid));
	assert_int_equal(use_number(bed->part, id_of(bed, number)), ZONE_OK);
	snprintf(label, sizeof(label), "c/db-%zu", number);
	by_label = find_entry(bed->part, bed->f->project->uid, ENTRY_ZONE, label);
	assert_non_null(by_label);
}

static void a_row_of_another_project_does_not_take_a_zone_over_that_was_not_met(void **state)
{
	static const struct uid planted = {{0xa0}};
	struct bed *bed = *state;
	struct uid other = make_other_project(bed);
	AUTO(entry_releasep) struct entry *mine = NULL;

	for (int removed = 0; removed < 2; removed++) {
		struct uid uid = planted;

		uid.bytes[1] = (uint8_t)removed;
		plant(bed->zones[5 + removed], other, uid, removed);
		follow(bed);
		assert_is_its_projects(bed, 5 + removed);
	}
	/* And it can't be used itself. */
	mine = zones_find_uid(bed->part, planted);
	assert_non_null(mine);
	assert_int_equal(use(bed->part, mine), ZONE_STORE_CORRUPT);
}

static void a_row_of_another_project_does_not_open_a_zone_that_was_deleted(void **state)
{
	static const struct uid planted = {{0xa0}};
	struct bed *bed = *state;

	plant(bed->zones[7], make_other_project(bed), planted, false);
	follow(bed);
	assert_int_equal(zones_entry_delete(bed->f->zones, bed->zones[7]), ZONE_OK);
	follow(bed);
	assert_int_equal(zones_know_zone(bed->part, id_of(bed, 7)), ZONE_OK);
	assert_int_equal(standing_now(bed->part, id_of(bed, 7)), ZONE_PENDING_DELETION);
}

static void a_label_whose_row_another_project_has_taken_is_not_said_to_be_free(void **state)
{
	struct bed *bed = *state;
	const struct entry_names names = names_of("c/db-9");
	struct bytes label = bytes_of("c/db-9");
	struct entry_filter filter = {.project = bed->f->project->uid, .label = &label};
	struct entry **entries = NULL, *zone = NULL;
	size_t count;

	plant(bed->zones[9], make_other_project(bed), bed->zones[9]->uid, false);
	follow(bed);
	filter.kinds[ENTRY_ZONE] = true;
	assert_int_equal(zones_list(bed->part, &filter, &entries, &count), ZONE_STORE_CORRUPT);
	assert_int_equal(zones_zone_create(bed->part, bed->f->project->uid, &names, &zone),
			 ZONE_STORE_CORRUPT);
	/* Until the store was asked for the database itself. */
	assert_is_its_projects(bed, 9);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_few_are_known_and_the_rest_comes_by_its_key),
		TEST(what_was_just_made_elsewhere_is_found_by_one_question),
		TEST(a_label_is_asked_for_once_and_then_followed),
		TEST(a_list_of_all_reads_all_once),
		TEST(whoever_has_listed_all_keeps_all_when_the_store_grows),
		TEST(no_more_is_kept_than_was_configured),
		TEST(no_more_zone_ids_are_remembered_as_absent_either),
		TEST(what_is_in_use_is_kept_beyond_that),
		TEST(a_number_stays_good_when_its_entry_was_let_go),
		TEST(a_store_that_grows_is_known_in_part_from_then_on),
		TEST(a_deletion_elsewhere_ends_what_is_in_use),
		TEST(a_project_that_was_archived_ends_what_is_in_use),
		TEST(a_zone_that_awaits_deletion_is_known_as_such_when_it_is_met),
		TEST(what_the_store_does_not_have_is_asked_for_once_a_second),
		TEST(what_is_not_known_while_the_store_is_away_is_refused),
		TEST(not_found_is_said_only_if_the_store_has_said_so),
		TEST(a_label_that_is_taken_is_refused_by_a_question),
		TEST(a_label_that_is_taken_meanwhile_is_refused),
		TEST(the_other_spelling_of_a_label_is_taken_too),
		TEST(a_root_key_that_a_zone_needs_is_not_removed),
		TEST(a_cluster_that_has_zones_is_not_removed),
		TEST(a_version_that_wraps_a_token_key_is_not_retired),
		TEST(a_root_key_that_is_there_is_not_added_again),
		TEST(a_stale_state_is_not_changed),
		TEST(zones_and_keys_are_made_changed_and_opened_by_their_keys),
		TEST(many_databases_are_made_without_reading_the_rest),
		TEST(a_pin_is_counted_without_reading_the_rest),
		TEST(a_database_that_was_found_by_its_label_is_rotated),
		TEST(a_report_of_what_stands_on_a_root_key_has_all),
		TEST(a_backup_has_all),
		TEST(a_row_of_another_project_does_not_take_a_zone_over_that_was_not_met),
		TEST(a_row_of_another_project_does_not_open_a_zone_that_was_deleted),
		TEST(a_label_whose_row_another_project_has_taken_is_not_said_to_be_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
