/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a file that a process knows but a part of: what zones/store/store.h promises of that,
 * and how little SQLite is asked for it, however many rows there are; and the rest of the promises.
 */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/sqlite_asked.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct bed {
	struct contract_bed bed; /* first: contract_tests are handed it */
	char folder[64], path[128];
};

static struct store *open_place(void *place)
{
	return store_sqlite_new(place);
}

static int begin(void **state)
{
	struct bed *bed = calloc(1, sizeof(*bed));

	make_test_folder("few", bed->folder);
	snprintf(bed->path, sizeof(bed->path), "%s/store.db", bed->folder);
	bed->bed.open = open_place;
	bed->bed.place = bed->path;
	bed->bed.store = store_sqlite_new(bed->path);
	*state = bed;
	return 0;
}

static int end(void **state)
{
	struct bed *bed = *state;

	bed->bed.store->operations->free(bed->bed.store);
	remove_test_folder(bed->folder);
	free(bed);
	return 0;
}

static void reopen(struct bed *bed)
{
	bed->bed.store->operations->free(bed->bed.store);
	bed->bed.store = store_sqlite_new(bed->path);
}

static void read_few(struct bed *bed, const struct store_cursor *since, struct store_news *ret_news)
{
	assert_int_equal(bed->bed.store->operations->read_few(bed->bed.store, since, 3, ret_news),
			 ZONE_OK);
}

/* --- By what it has imported, and page by page */

/* --- Rows that went by hand */

static void zone_that_went_by_hand_has_all_read_anew(void **state)
{
	struct bed *bed = *state;
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news few = {0}, none = {0}, all = {0};

	contract_fill(&bed->bed);
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_ZONE, 2), false),
			 ZONE_OK);
	reopen(bed);
	read_few(bed, &nothing, &few);
	assert_true(few.partial);
	assert_int_equal(few.zones, 2);
	/* With a tombstone, and so does a change of the other. */
	assert_int_equal(
		contract_put_one(&bed->bed, contract_copy_of(&bed->bed, ENTRY_ZONE, 2), true),
		ZONE_OK);
	reopen(bed);
	store_news_clear(&few);
	read_few(bed, &nothing, &few);
	read_few(bed, &few.cursor, &none);
	assert_false(none.whole);
	/* And without one. */
	raw_sql(bed->path, "PRAGMA foreign_keys = ON; DELETE FROM zones");
	read_few(bed, &few.cursor, &all);
	assert_true(all.whole && !all.partial);
	assert_null(news_find(&all, ENTRY_ZONE, 1));
}

static void tombstone_is_no_row_that_went_by_hand(void **state)
{
	struct bed *bed = *state;
	const struct store_cursor nothing = {0};
	AUTO(store_news_clear) struct store_news few = {0}, news = {0};
	struct contract_bed other;

	contract_fill(&bed->bed);
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_ZONE, 2), false),
			 ZONE_OK);
	reopen(bed);
	read_few(bed, &nothing, &few);
	other = (struct contract_bed){.store = store_sqlite_new(bed->path), .cursor = few.cursor};
	assert_int_equal(contract_put_one(&other, contract_copy_of(&other, ENTRY_ZONE, 2), true),
			 ZONE_OK);
	other.store->operations->free(other.store);
	read_few(bed, &few.cursor, &news);
	assert_false(news.whole);
	assert_int_equal(news.count, 1);
	assert_true(news.rows[0].removed);
}

/* Else what was erased would open again by a copy of its row under another uid, in processes that
 * do not read all of the store. */
static void a_zone_is_found_with_the_tombstone_of_another_that_had_its_id(void **state)
{
	struct bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(entry_releasep) struct entry *zone = contract_make_entry(ENTRY_ZONE, 1);
	const struct store_key key = {
		.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = zone->of_zone.zone};
	size_t removed = 0;

	contract_fill(&bed->bed);
	assert_int_equal(contract_put_one(&bed->bed, contract_make_entry(ENTRY_ZONE, 2), false),
			 ZONE_OK);
	assert_int_equal(
		contract_put_one(&bed->bed, contract_copy_of(&bed->bed, ENTRY_ZONE, 2), true),
		ZONE_OK);
	raw_sql(bed->path, "UPDATE tombstones SET number = (SELECT zone FROM zones)");
	assert_int_equal(bed->bed.store->operations->find(bed->bed.store, &key, &news), ZONE_OK);
	assert_non_null(news_find(&news, ENTRY_ZONE, 1));
	for (size_t i = 0; i < news.count; i++)
		removed += news.rows[i].removed && news.rows[i].entry->of_zone.zone == key.zone;
	assert_int_equal(removed, 1);
}

static void what_is_in_another_store_is_not_found(void **state)
{
	struct bed *bed = *state;
	const struct store_cursor nothing = {0};
	const struct store_key key = {.by = STORE_BY_UID, .uid = test_uid(ENTRY_ZONE, 1)};
	AUTO(store_news_clear) struct store_news few = {0}, found = {0}, all = {0};
	struct contract_bed other;

	contract_fill(&bed->bed);
	reopen(bed);
	read_few(bed, &nothing, &few);
	assert_int_equal(unlink(bed->path), 0);
	other = (struct contract_bed){.store = store_sqlite_new(bed->path)};
	contract_fill(&other);
	other.store->operations->free(other.store);
	assert_int_equal(bed->bed.store->operations->find(bed->bed.store, &key, &found),
			 ZONE_STORE_UNAVAILABLE);
	assert_true(bed->bed.store->operations->changed(bed->bed.store));
	read_few(bed, &few.cursor, &all);
	assert_true(all.whole);
}

/* --- What it costs */

enum { FEW = 60, MANY = 960 };

/* What a start and the look-ups of a process ask of SQLite. */
static struct sqlite_asked start(size_t count)
{
	AUTO(store_news_clear) struct store_news few = {0};
	const struct store_cursor nothing = {0};
	void *state = NULL;
	struct bed *bed;
	struct store_change *changes = calloc(count, sizeof(*changes));
	struct sqlite_asked before, now;
	const struct store_key keys[] = {
		{.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = ((uint64_t)1 << 62) + 100},
		{.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = 7},
		{.by = STORE_BY_UID, .uid = test_uid(ENTRY_KEY, 101)},
		{.by = STORE_BY_LABEL,
		 .kind = ENTRY_ZONE,
		 .project = test_uid(ENTRY_PROJECT, 1),
		 .label = bytes_of("label/100 \xc3\xa4")},
		{.by = STORE_BY_LABEL,
		 .kind = ENTRY_KEY,
		 .project = test_uid(ENTRY_PROJECT, 1),
		 .label = bytes_of("label/101 \xc3\xa4")},
		{.by = STORE_BY_IMPORT, .kind = ENTRY_ZONE, .zone = 8},
	};

	begin(&state);
	bed = state;
	contract_fill(&bed->bed);
	for (uint32_t i = 0; i < count; i++)
		changes[i].entry =
			contract_make_entry(i % 2 == 0 ? ENTRY_ZONE : ENTRY_KEY, 100 + i);
	assert_int_equal(contract_put(&bed->bed, changes, count), ZONE_OK);
	free(changes);
	reopen(bed);
	before = sqlite_asked;
	read_few(bed, &nothing, &few);
	assert_true(few.partial);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		AUTO(store_news_clear) struct store_news news = {0};

		assert_int_equal(bed->bed.store->operations->find(bed->bed.store, &keys[i], &news),
				 ZONE_OK);
		assert_int_equal(news.count > 0, i != 1 && i != 5);
	}
	now = sqlite_asked;
	end(&state);
	return (struct sqlite_asked){now.pages - before.pages, now.steps - before.steps};
}

/* The number of databases is counted once, by an index: one instruction for many. */
static void start_and_look_ups_ask_the_same_of_few_rows_and_of_many(void **state)
{
	struct sqlite_asked few = start(FEW), many = start(MANY);

	(void)state;
	print_message("# a start and 6 look-ups: %d rows %llu pages, %llu instructions; %d rows "
		      "%llu pages, %llu instructions\n",
		      FEW, (unsigned long long)few.pages, (unsigned long long)few.steps, MANY,
		      (unsigned long long)many.pages, (unsigned long long)many.steps);
	assert_true(many.steps <= few.steps + few.steps / 20);
	assert_true(many.pages <= few.pages + few.pages / 2 + 16);
}

int main(void)
{
	struct CMUnitTest tests[32];
	size_t count = 0;

	assert_true(contract_test_count + 5 <= COUNT_OF(tests));
	/* One writer locks the others out. */
	for (size_t i = 0; i < contract_test_count; i++)
		if (!contract_tests[i].has_rivals)
			tests[count++] = (struct CMUnitTest){
				contract_tests[i].name, contract_tests[i].run, begin, end, NULL};
	tests[count++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
		zone_that_went_by_hand_has_all_read_anew, begin, end);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
		tombstone_is_no_row_that_went_by_hand, begin, end);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
		a_zone_is_found_with_the_tombstone_of_another_that_had_its_id, begin, end);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
		what_is_in_another_store_is_not_found, begin, end);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test(
		start_and_look_ups_ask_the_same_of_few_rows_and_of_many);
	log_configure(LOG_OFF, "stderr");
	sqlite_watch();
	return _cmocka_run_group_tests("few", tests, count, NULL, NULL);
}
