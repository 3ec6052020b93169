/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A zone that was deleted is refused by every way in, by every process that has its store, and
 * works again in what was open when it is restored. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/root_key.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A zone of the first project, and all that leads into it: its live EZK, one by its record set in
 * another project, whose root key is the same. */
struct world {
	struct zones_fixture *f;
	struct entry *root_key;
	struct entry *zone;
	struct buffer records;
	struct entry *beside; /* a project with the same root key */
	struct entry *beside_key;
	struct ezk *ezk, *by_record;
};

static struct entry *root_key_of(struct zones *zones, const struct entry *project)
{
	struct entry_names names = names_of("root");
	struct entry *root_key = NULL;

	assert_int_equal(
		zones_root_key_add(zones, project->uid, bytes_of(ROOT_A), &names, &root_key),
		ZONE_OK);
	return root_key;
}

static int world_begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct entry_names names = names_of("db");
	void *fixture;

	zones_begin(&fixture);
	w->f = fixture;
	w->root_key = root_key_of(w->f->zones, w->f->project);
	assert_int_equal(zones_zone_create(w->f->zones, w->f->project->uid, &names, &w->zone),
			 ZONE_OK);
	assert_int_equal(zones_zone_export(w->f->zones, w->zone, &w->records), ZONE_OK);
	assert_int_equal(zones_project_create(w->f->zones, 1, bytes_of("beside"), &w->beside),
			 ZONE_OK);
	w->beside_key = root_key_of(w->f->zones, w->beside);
	assert_int_equal(ezk_find(zones_registry(w->f->zones), w->zone, EZK_PRIMARY, &w->ezk),
			 ZONE_OK);
	assert_int_equal(ezk_begin(w->ezk), ZONE_OK);
	assert_int_equal(ezk_from_records(zones_registry(w->f->zones), w->beside_key,
					  buffer_bytes(&w->records), &w->by_record),
			 ZONE_OK);
	*state = w;
	return 0;
}

static int world_end(void **state)
{
	struct world *w = *state;
	void *fixture = w->f;

	ezk_release(w->ezk);
	ezk_release(w->by_record);
	entry_release(w->root_key);
	entry_release(w->zone);
	entry_release(w->beside);
	entry_release(w->beside_key);
	buffer_clear(&w->records);
	free(w);
	return zones_end(&fixture);
}

/* --- What may become of it */

static void delete_it(struct world *w, struct zones *zones)
{
	AUTO(entry_releasep) struct entry *zone = zones_find_uid(zones, w->zone->uid);

	assert_int_equal(zones_entry_delete(zones, zone), ZONE_OK);
}

static void restore_it(struct world *w, struct zones *zones)
{
	AUTO(entry_releasep) struct entry *zone = zones_find_uid(zones, w->zone->uid);
	AUTO(entry_releasep) struct entry *restored = NULL;

	assert_int_equal(zones_entry_restore(zones, zone, bytes(NULL, 0), &restored), ZONE_OK);
}

static void archive_it(struct world *w, struct zones *zones)
{
	AUTO(entry_releasep) struct entry *project = zones_find_uid(zones, w->zone->project);
	AUTO(entry_releasep) struct entry *new = NULL;

	assert_int_equal(zones_project_replace(zones, project, bytes_of("new"), &new), ZONE_OK);
}

static void bring_back(struct world *w, struct zones *zones)
{
	AUTO(entry_releasep) struct entry *new = zones_find_slot(zones, 0);
	AUTO(entry_releasep)
	struct entry *archive = find_entry(zones, new->uid, ENTRY_ARCHIVE, "project");
	AUTO(entry_releasep) struct entry *back = NULL;

	(void)w;
	assert_int_equal(zones_entry_restore(zones, archive, bytes(NULL, 0), &back), ZONE_OK);
}

static enum zone_status decide_removal(struct changes *changes, void *state)
{
	const struct world *w = state;

	return changes_remove(changes, index_uid(&changes->zones->index, w->zone->uid));
}

static void remove_it(struct world *w, struct zones *zones)
{
	assert_int_equal(zones_change(zones, decide_removal, w), ZONE_OK);
}

static const struct end {
	const char *name;
	void (*end)(struct world *w, struct zones *zones);
	void (*undo)(struct world *w, struct zones *zones); /* NULL: for good */
	enum zone_status why;
	const char *words[4];
} ends[] = {
	{"deleted",
	 delete_it,
	 restore_it,
	 ZONE_PENDING_DELETION,
	 {"database 'db' (zone ", "of project 'project' awaits deletion", "CKA_CMEK_STATE"}},
	{"its project archived",
	 archive_it,
	 bring_back,
	 ZONE_PENDING_DELETION,
	 {"database 'db' (zone ", "of project 'project'", "archived", "cmek project restore"}},
	{"removed for good", remove_it, NULL, ZONE_DELETED, {"zone ", "was deleted for good"}},
};

/* --- Ways in; each as this process sees it */

static enum zone_status begin_ezk(struct world *w)
{
	return ezk_begin(w->ezk);
}

static enum zone_status go_on_with_ezk(struct world *w)
{
	return ezk_continue(w->ezk);
}

static enum zone_status begin_by_record(struct world *w)
{
	return ezk_begin(w->by_record);
}

static enum zone_status go_on_by_record(struct world *w)
{
	return ezk_continue(w->by_record);
}

static enum zone_status wrap_by_record(struct world *w)
{
	uint8_t wrapped[DEK_WRAP_OVERHEAD + 16];

	return dek_wrap(w->by_record, bytes_of("0123456789abcdef"), bytes(NULL, 0), wrapped);
}

static enum zone_status open_record(struct world *w)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	return ezk_from_records(zones_registry(w->f->zones), w->beside_key,
				buffer_bytes(&w->records), &ezk);
}

static enum zone_status find_again(struct world *w)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	/* By what somebody knew of it before. */
	TRY(ezk_find(zones_registry(w->f->zones), w->zone, EZK_PRIMARY, &ezk));
	return ezk_begin(ezk);
}

static enum zone_status import_it(struct world *w)
{
	struct entry_names names = names_of("back");
	AUTO(entry_releasep) struct entry *zone = NULL;

	return zones_zone_import(w->f->zones, w->beside->uid, w->beside_key,
				 buffer_bytes(&w->records), true, &names, &zone);
}

static const struct way {
	const char *name;
	enum zone_status (*go)(struct world *w);
	enum zone_status open; /* of a zone that is there */
} ways[] = {
	{"an operation begins", begin_ezk, ZONE_OK},
	{"an operation goes on", go_on_with_ezk, ZONE_OK},
	{"an operation begins under a record", begin_by_record, ZONE_OK},
	{"an operation goes on under a record", go_on_by_record, ZONE_OK},
	{"a key is wrapped under a record", wrap_by_record, ZONE_OK},
	{"its record is opened", open_record, ZONE_OK},
	{"its key is looked up", find_again, ZONE_OK},
	{"its record set becomes a zone", import_it, ZONE_EXISTS},
};

static void take_all_ways(struct world *w, const struct end *end)
{
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		enum zone_status expected = end == NULL ? ways[i].open : end->why;
		enum zone_status status;

		log_reason("nothing");
		status = ways[i].go(w);
		if (status != expected)
			fail_msg("%s, %s: %s", end == NULL ? "there" : end->name, ways[i].name,
				 zone_status_text(status));
		for (size_t j = 0; end != NULL && j < COUNT_OF(end->words); j++)
			if (end->words[j] != NULL && strstr(log_last(), end->words[j]) == NULL)
				fail_msg("%s, %s: '%s' does not say: %s", end->name, ways[i].name,
					 log_last(), end->words[j]);
	}
}

/* Also of the restored one: nothing has to be opened anew. */
static void zone_that_is_deleted_is_refused_by_every_way_in_until_it_is_restored(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		struct world *w;

		world_begin(state);
		w = *state;
		take_all_ways(w, NULL);
		ends[i].end(w, w->f->zones);
		take_all_ways(w, &ends[i]);
		if (ends[i].undo != NULL) {
			ends[i].undo(w, w->f->zones);
			take_all_ways(w, NULL);
		}
		world_end(state);
	}
}

static void other_processes_refuse_it_within_a_second(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		struct zones *other;
		struct world *w;

		world_begin(state);
		w = *state;
		other = zones_other(w->f);
		assert_int_equal(zones_refresh(other, true), ZONE_OK);
		ends[i].end(w, other);
		fake_clock_advance(&w->f->clock, 1000);
		/* The first to come by is an operation that only goes on. */
		assert_int_equal(ezk_continue(w->by_record), ends[i].why);
		take_all_ways(w, &ends[i]);
		if (ends[i].undo != NULL) {
			ends[i].undo(w, other);
			fake_clock_advance(&w->f->clock, 1000);
			assert_int_equal(ezk_continue(w->by_record), ZONE_OK);
			take_all_ways(w, NULL);
		}
		zones_free(other);
		world_end(state);
	}
}

/* One that never had it open, and learns of a tombstone whose zone it never saw. */
static void process_that_starts_later_refuses_it_too(void **state)
{
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		AUTO(ezk_releasep) struct ezk *ezk = NULL;
		struct zones *other;
		struct world *w;

		world_begin(state);
		w = *state;
		ends[i].end(w, w->f->zones);
		other = zones_other(w->f);
		/* It has not even looked into the store so far. */
		assert_int_equal(ezk_from_records(zones_registry(other), w->beside_key,
						  buffer_bytes(&w->records), &ezk),
				 ends[i].why);
		assert_null(ezk);
		zones_free(other);
		world_end(state);
	}
}

/* A process opens it by its record where its store does not know it; then it does. */
static void zone_that_the_store_learns_of_later_is_heard_of_by_its_record(void **state)
{
	struct world *w = *state;
	struct entry_names names = names_of("back");
	struct zones *other;
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(entry_releasep) struct entry *root_key = NULL;
	AUTO(entry_releasep) struct entry *imported = NULL;
	AUTO(entry_releasep) struct entry *restored = NULL;
	AUTO(entry_releasep) struct entry *pending = NULL;
	struct ezk *ezk = NULL;

	assert_int_equal(remove(w->f->path), 0);
	other = zones_other(w->f);
	assert_int_equal(zones_root_key_name(other, bytes_of(ROOT_A), &root_key), ZONE_OK);
	assert_int_equal(
		ezk_from_records(zones_registry(other), root_key, buffer_bytes(&w->records), &ezk),
		ZONE_OK);
	/* With the old ids, in another project. */
	assert_int_equal(zones_project_create(other, 0, bytes_of("fresh"), &project), ZONE_OK);
	entry_release(root_key);
	root_key = root_key_of(other, project);
	assert_int_equal(zones_zone_import(other, project->uid, root_key, buffer_bytes(&w->records),
					   true, &names, &imported),
			 ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(zones_entry_delete(other, imported), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_PENDING_DELETION);
	assert_non_null(strstr(log_last(), "database 'back'"));
	assert_non_null(strstr(log_last(), "project 'fresh'"));
	pending = zones_find_uid(other, imported->uid);
	assert_int_equal(zones_entry_restore(other, pending, bytes(NULL, 0), &restored), ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	ezk_release(ezk);
	zones_free(other);
}

/* The KMS's yes is on its way when the zone goes. */
static void delete_meanwhile(void *state, enum fake_kms_call call)
{
	struct world *w = state;

	w->f->aws.on_call = NULL;
	assert_int_equal(call, FAKE_DECRYPT);
	delete_it(w, w->f->zones);
}

static void record_that_is_being_opened_when_its_zone_is_deleted_is_refused(void **state)
{
	struct world *w = *state;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	ezk_release(TAKE(w->by_record));
	fake_clock_advance(&w->f->clock, (int64_t)400 * 1000);
	w->f->aws.on_call_state = w;
	w->f->aws.on_call = delete_meanwhile;
	assert_int_equal(ezk_from_records(zones_registry(w->f->zones), w->beside_key,
					  buffer_bytes(&w->records), &ezk),
			 ZONE_PENDING_DELETION);
	assert_null(w->f->aws.on_call);
}

static void another_zone_is_not_touched(void **state)
{
	struct world *w = *state;
	struct entry_names names = names_of("other");
	AUTO(entry_releasep) struct entry *zone = NULL;
	AUTO(buffer_clear) struct buffer records = {0};
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	assert_int_equal(zones_zone_create(w->f->zones, w->f->project->uid, &names, &zone),
			 ZONE_OK);
	assert_int_equal(zones_zone_export(w->f->zones, zone, &records), ZONE_OK);
	assert_int_equal(ezk_from_records(zones_registry(w->f->zones), w->beside_key,
					  buffer_bytes(&records), &ezk),
			 ZONE_OK);
	delete_it(w, w->f->zones);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
}

/* --- The store itself */

static void write_nonsense(const char *path)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs("this is no store, nor was it ever", file) > 0);
	assert_int_equal(fclose(file), 0);
}

static void record_is_not_opened_without_a_look_into_the_store(void **state)
{
	struct world *w = *state;
	struct zones *other = zones_other(w->f);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	unsigned before = fake_kms_calls(&w->f->aws, FAKE_DECRYPT);

	write_nonsense(w->f->path);
	assert_int_equal(ezk_from_records(zones_registry(other), w->beside_key,
					  buffer_bytes(&w->records), &ezk),
			 ZONE_STORE_CORRUPT);
	assert_int_equal(fake_kms_calls(&w->f->aws, FAKE_DECRYPT), before);
	zones_free(other);
}

static const char *const removals[] = {
	"DELETE FROM zones",
	"DELETE FROM zones; UPDATE store SET revision = revision + 1",
};

/* Nothing but their absence tells of it: no tombstone, and perhaps not even a revision. */
static void zone_whose_rows_just_went_ends_within_a_second(void **state)
{
	for (size_t i = 0; i < COUNT_OF(removals); i++) {
		AUTO(entry_releasep) struct entry *found = NULL;
		struct world *w;

		world_begin(state);
		w = *state;
		raw_sql(w->f->path, "DELETE FROM wraps; DELETE FROM ezk_versions");
		raw_sql(w->f->path, removals[i]);
		fake_clock_advance(&w->f->clock, 1000);
		assert_int_not_equal(ezk_begin(w->ezk), ZONE_OK);
		found = zones_find_zone(w->f->zones, w->zone->of_zone.zone);
		assert_null(found);
		world_end(state);
	}
}

/* The same for a caller that finds it out by a change of something else. */
static void zone_whose_rows_just_went_ends_for_a_caller_that_changes_something_else(void **state)
{
	struct world *w = *state;
	struct entry_names names = names_of("another");
	AUTO(entry_releasep) struct entry *another = NULL;

	raw_sql(w->f->path, "DELETE FROM wraps; DELETE FROM ezk_versions");
	raw_sql(w->f->path, removals[0]);
	assert_int_equal(zones_zone_create(w->f->zones, w->f->project->uid, &names, &another),
			 ZONE_OK);
	fake_clock_advance(&w->f->clock, 1000);
	assert_int_not_equal(ezk_begin(w->ezk), ZONE_OK);
	fake_clock_advance(&w->f->clock, 1000);
	assert_int_not_equal(ezk_begin(w->ezk), ZONE_OK);
}

static void what_was_read_once_goes_on_while_the_store_is_away(void **state)
{
	struct world *w = *state;

	delete_it(w, w->f->zones);
	write_nonsense(w->f->path);
	fake_clock_advance(&w->f->clock, 1000);
	assert_int_equal(ezk_continue(w->by_record), ZONE_PENDING_DELETION);
	assert_int_equal(ezk_begin(w->ezk), ZONE_PENDING_DELETION);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_begin, world_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			zone_that_is_deleted_is_refused_by_every_way_in_until_it_is_restored),
		cmocka_unit_test(other_processes_refuse_it_within_a_second),
		cmocka_unit_test(process_that_starts_later_refuses_it_too),
		WORLD_TEST(zone_that_the_store_learns_of_later_is_heard_of_by_its_record),
		WORLD_TEST(record_that_is_being_opened_when_its_zone_is_deleted_is_refused),
		WORLD_TEST(another_zone_is_not_touched),
		WORLD_TEST(record_is_not_opened_without_a_look_into_the_store),
		cmocka_unit_test(zone_whose_rows_just_went_ends_within_a_second),
		WORLD_TEST(zone_whose_rows_just_went_ends_for_a_caller_that_changes_something_else),
		WORLD_TEST(what_was_read_once_goes_on_while_the_store_is_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
