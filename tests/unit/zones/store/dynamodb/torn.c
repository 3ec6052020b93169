/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store in a table of DynamoDB: what is read of many items is not one state, and is noticed. */
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/fake_dynamodb.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/table_bed.h"
#include "tests/support/unit.h"

/* Either the look was before the last write, or it has all of it. */
static void check_torn(const struct entry *zone, unsigned writes, bool retired)
{
	assert_in_range(zone->usages, writes - 1, writes);
	assert_int_equal(zone->of_zone.versions[0].retired, retired ^ (zone->usages & 1));
}

static void write_that_is_seen_in_part_is_read_until_it_is_whole(void **state)
{
	struct table_bed *bed = *state;
	struct entry *first;
	bool retired;

	contract_fill(&bed->bed);
	first = contract_copy_of(&bed->bed, ENTRY_ZONE, 1);
	retired = first->of_zone.versions[0].retired;
	first->usages = 0;
	assert_int_equal(contract_put_one(&bed->bed, first, false), ZONE_OK);
	for (unsigned torn = 1; torn < 6; torn++) {
		AUTO(store_news_clear) struct store_news news = {0};
		AUTO(store_news_clear) struct store_news all = {0};
		AUTO(entry_releasep)
		struct entry *before = contract_copy_of(&bed->bed, ENTRY_ZONE, 1);
		struct entry *zone = entry_copy(before);
		struct store_change change = {.entry = entry_hold(zone), .before = before};
		struct store_cursor then = bed->bed.cursor;

		zone->of_zone.versions[0].retired = !zone->of_zone.versions[0].retired;
		zone->usages = torn;
		assert_int_equal(contract_put(&bed->bed, &change, 1), ZONE_OK);
		bed->table.torn = torn;
		contract_read_since(&bed->bed, &then, &news);
		bed->table.torn = torn;
		contract_read_all(&bed->bed, &all);
		check_torn(news_find(&all, ENTRY_ZONE, 1), torn, retired);
		if (news.count > 0)
			assert_same_entry(zone, news_find(&news, ENTRY_ZONE, 1));
		bed->table.torn = 0;
		entry_release(zone);
	}
}

static void page_of_a_list_that_is_seen_in_part_is_read_until_it_is_whole(void **state)
{
	struct table_bed *bed = *state;
	bool retired;

	contract_fill(&bed->bed);
	for (unsigned torn = 1; torn < 8; torn++) {
		AUTO(store_news_clear) struct store_news news = {0};
		AUTO(entry_releasep)
		struct entry *before = contract_copy_of(&bed->bed, ENTRY_ZONE, 1);
		struct entry *zone = entry_copy(before);
		struct store_change change = {.entry = zone, .before = before};
		struct uid after = {0};
		const struct entry *found;
		bool end = false;

		retired = zone->of_zone.versions[0].retired = !zone->of_zone.versions[0].retired;
		zone->usages = torn;
		assert_int_equal(contract_put(&bed->bed, &change, 1), ZONE_OK);
		bed->table.torn = torn;
		assert_int_equal(bed->bed.store->operations->list(bed->bed.store,
								  test_uid(ENTRY_PROJECT, 1),
								  &after, &news, &end),
				 ZONE_OK);
		bed->table.torn = 0;
		found = news_find(&news, ENTRY_ZONE, 1);
		assert_non_null(found);
		assert_true(end);
		/* As it was or as it is, and never a bit of both. */
		assert_int_equal(found->of_zone.versions[0].retired == retired,
				 found->usages == torn);
	}
}

/* The page that does not come moves nothing, and is there when it is asked for again. */
static void outage_between_two_pages_of_a_list_is_told(void **state)
{
	struct table_bed *bed = *state;
	const struct uid project = test_uid(ENTRY_PROJECT, 1);
	struct store_change changes[20] = {0};
	struct store *store = bed->bed.store;
	struct uid after = {0}, before;
	size_t count = 0;
	bool end = false;

	contract_fill(&bed->bed);
	for (uint32_t i = 0; i < COUNT_OF(changes); i++)
		changes[i].entry = contract_make_entry(ENTRY_KEY, 10 + i);
	assert_int_equal(contract_put(&bed->bed, changes, COUNT_OF(changes)), ZONE_OK);
	bed->table.page = 8;
	while (!end) {
		AUTO(store_news_clear) struct store_news news = {0};

		before = after;
		bed->table.denied_reads = 1;
		assert_int_equal(store->operations->list(store, project, &after, &news, &end),
				 ZONE_STORE_DENIED);
		assert_true(uid_equal(before, after));
		assert_int_equal(store->operations->list(store, project, &after, &news, &end),
				 ZONE_OK);
		count += news.count;
	}
	assert_int_equal(count, COUNT_OF(changes) + 1);
}

/* The head is seen, and so many reads later what it stands for; by who knows what was before, and
 * by who knows nothing. */
static void write_whose_line_of_the_log_is_not_seen_yet_is_learned(void **state)
{
	struct table_bed *bed = *state;

	contract_fill(&bed->bed);
	for (unsigned torn = 1; torn < 11; torn++) {
		AUTO(store_news_clear) struct store_news news = {0};
		struct entry *zone = contract_copy_of(&bed->bed, ENTRY_ZONE, 1);
		struct store_cursor then = bed->bed.cursor;

		zone->usages = torn;
		assert_int_equal(contract_put_one(&bed->bed, zone, false), ZONE_OK);
		bed->table.torn_rows = (torn + 1) / 2;
		if (torn % 2 == 0)
			contract_read_all(&bed->bed, &news);
		else
			contract_read_since(&bed->bed, &then, &news);
		assert_int_equal(bed->table.torn_rows, 0);
		assert_int_equal(news.whole, torn % 2 == 0);
		assert_int_equal(news_find(&news, ENTRY_ZONE, 1)->usages, torn);
	}
}

static void head_without_its_line_of_the_log_is_not_taken_for_read(void **state)
{
	struct table_bed *bed = *state;
	struct store_cursor then;

	contract_fill(&bed->bed);
	then = bed->bed.cursor;
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(
			contract_put_one(&bed->bed, contract_make_entry(ENTRY_KEY, i + 10), false),
			ZONE_OK);
	/* One between, then the last. */
	for (int line = 2; line <= 3; line++) {
		char sort[32];

		snprintf(sort, sizeof(sort), "log/%016x", (unsigned)line);
		fake_table_set(&bed->table, project_partition(), sort, NULL, NULL, NULL);
		assert_int_equal(read_status_since(bed, &then), ZONE_STORE_UNAVAILABLE);
		assert_non_null(strstr(log_last(), project_partition() + 2));
		assert_int_equal(read_status(bed), line == 2 ? ZONE_OK : ZONE_STORE_UNAVAILABLE);
	}
}

static void write_between_two_pages_is_seen_whole_or_not_at_all(void **state)
{
	struct table_bed *bed = *state;
	struct between between = {bed, ENTRY_ZONE, 40};
	AUTO(store_news_clear) struct store_news news = {0};

	contract_fill(&bed->bed);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(
			contract_put_one(&bed->bed, contract_make_entry(ENTRY_KEY, i + 10), false),
			ZONE_OK);
	bed->table.page = 3;
	bed->table.batch = 2;
	bed->table.between = write_between;
	bed->table.between_state = &between;
	contract_read_all(&bed->bed, &news);
	assert_int_equal(news.count, 15);
	assert_int_equal(news_find(&news, ENTRY_ZONE, 40)->of_zone.version_count, 3);
}

/* It is about what is unique in the store, and the heads were read before it, the rest after. */
static void write_between_two_pages_of_heads_is_not_passed_over(void **state)
{
	struct table_bed *bed = *state;
	struct between between = {bed, ENTRY_PROJECT, 3};
	struct store_change change = {.entry = contract_make_entry(ENTRY_PROJECT, 4)};
	struct contract_wish wish = {.changes = &change, .count = 1};

	contract_fill(&bed->bed);
	bed->table.page = 2; /* the store's head and the project's; what guards them is behind */
	bed->table.between = write_between;
	bed->table.between_state = &between;
	assert_int_equal(contract_put_wish(&bed->bed, &wish), ZONE_OK);
	assert_null(bed->table.between);
	assert_int_equal(wish.asks, 2);
	entry_release(change.entry);
}

static void zone_whose_versions_are_not_those_that_it_says_is_not_served(void **state)
{
	struct table_bed *bed = *state;
	const struct store_key key = {
		.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = ((uint64_t)1 << 62) + 1};
	AUTO(store_news_clear) struct store_news news = {0};
	char row[64];

	contract_fill(&bed->bed);
	snprintf(row, sizeof(row), "%s", row_key(ENTRY_ZONE, 1));
	fake_table_set(&bed->table, project_partition(), row, "have", "S",
		       "0000000000000000/00000001@1,0000000000000000/00000009@1,");
	assert_int_equal(read_status(bed), ZONE_STORE_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "does not fit them"));
	assert_int_equal(bed->bed.store->operations->find(bed->bed.store, &key, &news),
			 ZONE_STORE_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TABLE_TEST(write_that_is_seen_in_part_is_read_until_it_is_whole),
		TABLE_TEST(write_between_two_pages_is_seen_whole_or_not_at_all),
		TABLE_TEST(page_of_a_list_that_is_seen_in_part_is_read_until_it_is_whole),
		TABLE_TEST(outage_between_two_pages_of_a_list_is_told),
		TABLE_TEST(write_whose_line_of_the_log_is_not_seen_yet_is_learned),
		TABLE_TEST(head_without_its_line_of_the_log_is_not_taken_for_read),
		TABLE_TEST(write_between_two_pages_of_heads_is_not_passed_over),
		TABLE_TEST(zone_whose_versions_are_not_those_that_it_says_is_not_served),
	};

	log_configure(LOG_OFF, "stderr");
	if (!crypto_start(false))
		return 1;
	return cmocka_run_group_tests_name("torn reads", tests, NULL, NULL);
}
