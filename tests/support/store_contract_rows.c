/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/store_contract_tests.h"

#include "base/macros.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/model/record.h"

/* --- There and back */

void every_kind_comes_back_as_it_was(void **state)
{
	struct contract_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	struct store_change changes[ENTRY_KIND_COUNT] = {0};

	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++)
		changes[kind].entry = entry_hold(contract_make_entry((enum entry_kind)kind, 1));
	assert_int_equal(contract_put(bed, changes, ENTRY_KIND_COUNT), ZONE_OK);
	contract_read_all(bed, &news);
	assert_int_equal(news.count, ENTRY_KIND_COUNT);
	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++) {
		struct entry *back = news_find(&news, (enum entry_kind)kind, 1);

		assert_non_null(back);
		assert_same_entry(changes[kind].entry, back);
		entry_release(changes[kind].entry);
	}
}

void only_what_is_newer_is_read(void **state)
{
	struct contract_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(store_news_clear) struct store_news nothing = {0};
	struct store_cursor then;

	contract_fill(bed);
	then = bed->cursor;
	assert_int_equal(contract_put_one(bed, contract_make_entry(ENTRY_KEY, 2), false), ZONE_OK);
	contract_read_since(bed, &then, &news);
	assert_false(news.whole);
	assert_int_equal(news.count, 1);
	assert_non_null(news_find(&news, ENTRY_KEY, 2));
	assert_true(news.zones_counted);
	assert_int_equal(news.zones, 1);
	contract_read_since(bed, &news.cursor, &nothing);
	assert_int_equal(nothing.count, 0);
	assert_false(nothing.whole);
}

/* --- Changes */

void change_needs_the_revision_that_is_there(void **state)
{
	struct contract_bed *bed = *state;
	struct entry *first, *second;

	contract_fill(bed);
	assert_int_equal(contract_put_one(bed, contract_make_entry(ENTRY_CLUSTER, 1), false),
			 ZONE_CONFLICT);
	first = contract_copy_of(bed, ENTRY_CLUSTER, 1);
	second = contract_copy_of(bed, ENTRY_CLUSTER, 1);
	assert_int_equal(contract_put_one(bed, first, false), ZONE_OK);
	assert_int_equal(contract_put_one(bed, entry_hold(second), true), ZONE_CONFLICT);
	assert_int_equal(contract_put_one(bed, second, false), ZONE_CONFLICT);
}

void all_is_written_or_nothing(void **state)
{
	struct contract_bed *bed = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	struct store_change changes[2] = {0};

	contract_fill(bed);
	changes[0].entry = contract_make_entry(ENTRY_KEY, 5); /* new */
	changes[1].entry = contract_make_entry(ENTRY_CLUSTER, 1);
	assert_int_equal(contract_put(bed, changes, 2), ZONE_CONFLICT);
	contract_read_all(bed, &news);
	assert_int_equal(news.count, 4);
}

void what_is_removed_leaves_a_tombstone(void **state)
{
	struct contract_bed *bed = *state;
	const struct store_key by_zone = {
		.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = ((uint64_t)1 << 62) + 1};
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(store_news_clear) struct store_news found = {0};
	struct store_cursor then;

	contract_fill(bed);
	then = bed->cursor;
	assert_int_equal(contract_put_one(bed, contract_copy_of(bed, ENTRY_ZONE, 1), true),
			 ZONE_OK);
	contract_read_since(bed, &then, &news);
	assert_int_equal(news.count, 1);
	assert_true(news.rows[0].removed);
	assert_int_equal(news.zones, 0);
	assert_true(news.rows[0].entry->of_zone.zone == ((uint64_t)1 << 62) + 1);
	assert_int_equal(bed->store->operations->find(bed->store, &by_zone, &found), ZONE_OK);
	assert_int_equal(found.count, 1);
	assert_true(found.rows[0].removed);
	/* It is no free place. */
	assert_int_equal(contract_put_one(bed, contract_make_entry(ENTRY_ZONE, 1), false),
			 ZONE_CONFLICT);
}

void backup_takes_the_place_of_a_tombstone(void **state)
{
	struct contract_bed *bed = *state;
	struct store_change back = {.entry = NULL, .from_backup = true};
	struct store_change foreign = {.entry = NULL, .remove = true, .from_backup = true};
	AUTO(store_news_clear) struct store_news news = {0};

	contract_fill(bed);
	assert_int_equal(contract_put_one(bed, contract_copy_of(bed, ENTRY_ZONE, 1), true),
			 ZONE_OK);
	back.entry = contract_make_entry(ENTRY_ZONE, 1);
	assert_int_equal(contract_put(bed, &back, 1), ZONE_OK);
	foreign.entry = contract_make_entry(ENTRY_ZONE, 2);
	assert_int_equal(contract_put(bed, &foreign, 1), ZONE_OK);
	foreign.entry = contract_make_entry(ENTRY_ZONE, 2);
	assert_int_equal(contract_put(bed, &foreign, 1), ZONE_CONFLICT);
	contract_read_all(bed, &news);
	assert_int_equal(news.count, 5);
	assert_int_equal(news_find(&news, ENTRY_ZONE, 1)->of_zone.version_count, 3);
}

/* With and without the state before. */
void versions_of_a_zone_follow_it(void **state)
{
	struct contract_bed *bed = *state;

	contract_fill(bed);
	for (int known = 0; known < 2; known++) {
		AUTO(entry_releasep) struct entry *before = contract_copy_of(bed, ENTRY_ZONE, 1);
		AUTO(entry_releasep) struct entry *after = NULL;
		struct entry *zone = entry_copy(before);
		struct store_change change = {.entry = entry_hold(zone)};

		change.before = known ? before : NULL;
		/* The last goes, the first is retired. */
		ezk_version_clear(&zone->of_zone.versions[--zone->of_zone.version_count]);
		zone->of_zone.versions[0].retired = !zone->of_zone.versions[0].retired;
		zone->of_zone.primary = zone->of_zone.raw = 1;
		assert_int_equal(contract_put(bed, &change, 1), ZONE_OK);
		after = contract_copy_of(bed, ENTRY_ZONE, 1);
		assert_same_entry(zone, after);
		entry_release(zone);
	}
}

void zone_with_one_value_twice_is_refused(void **state)
{
	struct contract_bed *bed = *state;
	struct entry *zone;

	contract_fill(bed);
	zone = contract_copy_of(bed, ENTRY_ZONE, 1);
	memcpy(zone->of_zone.versions[1].fingerprint, zone->of_zone.versions[0].fingerprint,
	       sizeof(zone->of_zone.versions[1].fingerprint));
	assert_int_equal(contract_put_one(bed, zone, false), ZONE_CONFLICT);
}

/* An engine that finds imports by where they come from has one key for all of these. */
void versions_that_come_from_one_zone_are_written_at_once(void **state)
{
	struct contract_bed *bed = *state;
	AUTO(entry_releasep) struct entry *wish = contract_make_entry(ENTRY_ZONE, 2);
	AUTO(entry_releasep) struct entry *after = NULL;
	struct ezk_version *versions = wish->of_zone.versions;

	contract_fill(bed);
	wish->of_zone.primary = wish->of_zone.raw = 1;
	versions[1].record_zone = versions[2].record_zone;
	versions[1].version = 1;
	versions[2].version = 2;
	assert_int_equal(contract_put_one(bed, entry_hold(wish), false), ZONE_OK);
	after = contract_copy_of(bed, ENTRY_ZONE, 2);
	assert_same_entry(wish, after);
}
