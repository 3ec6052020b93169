/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A store in a file that a process knows but a part of: what zones/store/store.h promises of that,
 * and how little SQLite is asked for it, however many rows there are. */
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

static bool imports(struct bed *bed, uint64_t from, uint32_t number)
{
	const struct store_key key = {.by = STORE_BY_IMPORT, .kind = ENTRY_ZONE, .zone = from};
	AUTO(store_news_clear) struct store_news news = {0};

	assert_int_equal(bed->bed.store->operations->find(bed->bed.store, &key, &news), ZONE_OK);
	return news_find(&news, ENTRY_ZONE, number) != NULL;
}

static void zones_are_found_by_what_they_have_imported(void **state)
{
	struct bed *bed = *state;
	struct entry *zone;

	contract_fill(&bed->bed);
	assert_true(imports(bed, 7, 1));
	assert_false(imports(bed, 8, 1));
	zone = contract_copy_of(&bed->bed, ENTRY_ZONE, 1);
	zone->of_zone.versions[2].record_zone = 8;
	assert_int_equal(contract_put_one(&bed->bed, zone, false), ZONE_OK);
	assert_true(imports(bed, 8, 1));
}

enum { LISTED = 600, FIRST = 100 };

static void put_listed(struct bed *bed)
{
	struct store_change *changes = calloc(LISTED, sizeof(*changes));

	assert_non_null(changes);
	for (uint32_t i = 0; i < LISTED; i++)
		changes[i].entry =
			contract_make_entry(i % 3 == 0 ? ENTRY_ZONE : ENTRY_KEY, FIRST + i);
	assert_int_equal(contract_put(&bed->bed, changes, LISTED), ZONE_OK);
	free(changes);
}

static void note_seen(const struct entry *entry, bool *seen)
{
	uint32_t number = 1;

	while (!uid_equal(entry->uid, test_uid(entry->kind, number)))
		number++;
	assert_false(seen[number]);
	seen[number] = true;
}

static size_t list_page(struct bed *bed, struct uid *after, bool *seen, bool *ret_end)
{
	AUTO(store_news_clear) struct store_news news = {0};
	const struct uid before = *after;

	assert_int_equal(bed->bed.store->operations->list(
				 bed->bed.store, test_uid(ENTRY_PROJECT, 1), after, &news, ret_end),
			 ZONE_OK);
	assert_false(news.whole);
	for (size_t i = 0; i < news.count; i++) {
		const struct entry *entry = news.rows[i].entry;

		assert_true(!news.rows[i].removed &&
			    memcmp(entry->uid.bytes, before.bytes, UID_SIZE) > 0 &&
			    memcmp(entry->uid.bytes, after->bytes, UID_SIZE) <= 0);
		assert_int_equal(entry->kind == ENTRY_ZONE ? entry->of_zone.version_count : 3, 3);
		note_seen(entry, seen);
	}
	return news.count;
}

/* Also what changes meanwhile; what goes before its turn comes is not in it, and in no other
 * project's. */
static void list_has_each_once_page_by_page(void **state)
{
	struct bed *bed = *state;
	bool seen[FIRST + LISTED] = {false}, end = false;
	struct uid after = {0}, other = {0};
	AUTO(store_news_clear) struct store_news none = {0};
	size_t pages, count = 0;

	contract_fill(&bed->bed);
	put_listed(bed);
	for (pages = 0; !end; pages++) {
		count += list_page(bed, &after, seen, &end);
		if (pages > 0)
			continue;
		assert_int_equal(contract_put_one(&bed->bed,
						  contract_copy_of(&bed->bed, ENTRY_KEY, FIRST + 1),
						  false),
				 ZONE_OK);
		assert_int_equal(contract_put_one(&bed->bed,
						  contract_copy_of(&bed->bed, ENTRY_ZONE, FIRST),
						  false),
				 ZONE_OK);
	}
	assert_true(pages > 2);
	assert_int_equal(count, LISTED + 1); /* and the zone of before */
	assert_int_equal(bed->bed.store->operations->list(
				 bed->bed.store, test_uid(ENTRY_PROJECT, 9), &other, &none, &end),
			 ZONE_OK);
	assert_true(end);
	assert_int_equal(none.count, 0);
}

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

/* Those that SQLite's store, alone under its lock, is of the same kind for. */
static const char *const of_the_contract[] = {
	"every_kind_comes_back_as_it_was",
	"only_what_is_newer_is_read",
	"change_needs_the_revision_that_is_there",
	"all_is_written_or_nothing",
	"find_brings_an_entry_with_what_it_stands_on",
	"names_as_long_as_they_may_be_are_found",
	"old_name_finds_nothing",
	"of_a_large_store_the_few_are_read_and_then_the_news",
};

static size_t add_of_the_contract(struct CMUnitTest *tests)
{
	size_t count = 0;

	for (size_t i = 0; i < contract_test_count; i++)
		for (size_t k = 0; k < COUNT_OF(of_the_contract); k++)
			if (strcmp(contract_tests[i].name, of_the_contract[k]) == 0)
				tests[count++] = (struct CMUnitTest){contract_tests[i].name,
								     contract_tests[i].run, begin,
								     end, NULL};
	if (count != COUNT_OF(of_the_contract)) /* one has another name now */
		abort();
	return count;
}

int main(void)
{
	struct CMUnitTest tests[COUNT_OF(of_the_contract) + 7];
	size_t count = add_of_the_contract(tests);

	tests[count++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
		zones_are_found_by_what_they_have_imported, begin, end);
	tests[count++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(
		list_has_each_once_page_by_page, begin, end);
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
