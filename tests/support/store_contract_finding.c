/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/store_contract_tests.h"

#include "base/macros.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/model/record.h"

/* --- By a key */

void find_brings_an_entry_with_what_it_stands_on(void **state)
{
	struct contract_bed *bed = *state;
	struct entry *zone;
	const struct store_key keys[] = {
		{.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = ((uint64_t)1 << 62) + 1},
		{.by = STORE_BY_UID, .uid = test_uid(ENTRY_ZONE, 1)},
		{.by = STORE_BY_LABEL,
		 .kind = ENTRY_ZONE,
		 .project = test_uid(ENTRY_PROJECT, 1),
		 .label = bytes_of("label/1 \xc3\xa4")},
	};
	const struct store_key nobody = {.by = STORE_BY_ZONE, .kind = ENTRY_ZONE, .zone = 7};

	contract_fill(bed);
	for (size_t i = 0; i < COUNT_OF(keys); i++) {
		AUTO(store_news_clear) struct store_news news = {0};

		assert_int_equal(bed->store->operations->find(bed->store, &keys[i], &news),
				 ZONE_OK);
		assert_int_equal(news.count, 4);
		assert_false(news.whole);
		assert_int_equal(news.cursor.len, 0);
		zone = news_find(&news, ENTRY_ZONE, 1);
		assert_int_equal(zone->of_zone.version_count, 3);
	}
	for (int i = 0; i < 2; i++) {
		AUTO(store_news_clear) struct store_news news = {0};

		assert_int_equal(bed->store->operations->find(bed->store,
							      i == 0 ? &nobody : &keys[2], &news),
				 ZONE_OK);
		assert_int_equal(news.count, i == 0 ? 0 : 4);
	}
}

void names_as_long_as_they_may_be_are_found(void **state)
{
	static const size_t lens[] = {1, 57, 58, 59, 60, 128, LABEL_MAX};
	struct contract_bed *bed = *state;
	char label[LABEL_MAX];

	contract_fill(bed);
	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		const size_t len = lens[i];
		const struct store_key key = {.by = STORE_BY_LABEL,
					      .kind = ENTRY_CLUSTER,
					      .project = test_uid(ENTRY_PROJECT, 1),
					      .label = bytes(label, len)};
		struct entry *cluster = contract_copy_of(bed, ENTRY_CLUSTER, 1);
		AUTO(store_news_clear) struct store_news news = {0};

		memset(label, 'n', len);
		assert_true(entry_set_text(&cluster->label, key.label));
		assert_int_equal(contract_put_one(bed, cluster, false), ZONE_OK);
		assert_int_equal(bed->store->operations->find(bed->store, &key, &news), ZONE_OK);
		if (news_find(&news, ENTRY_CLUSTER, 1) == NULL)
			fail_msg("a name of %zu bytes is not found", len);
	}
}

void old_name_finds_nothing(void **state)
{
	struct contract_bed *bed = *state;
	struct store_key key = {.by = STORE_BY_LABEL,
				.kind = ENTRY_CLUSTER,
				.project = test_uid(ENTRY_PROJECT, 1),
				.label = bytes_of("label/1 \xc3\xa4")};
	struct entry *cluster;

	contract_fill(bed);
	cluster = contract_copy_of(bed, ENTRY_CLUSTER, 1);
	assert_true(entry_set_text(&cluster->label, bytes_of("new")));
	assert_int_equal(contract_put_one(bed, cluster, false), ZONE_OK);
	for (int i = 0; i < 3; i++) {
		AUTO(store_news_clear) struct store_news news = {0};

		if (i == 1)
			key.label = bytes_of("new");
		if (i == 2) {
			cluster = contract_copy_of(bed, ENTRY_CLUSTER, 1);
			cluster->state = ENTRY_PENDING_DELETION;
			assert_int_equal(contract_put_one(bed, cluster, false), ZONE_OK);
		}
		assert_int_equal(bed->store->operations->find(bed->store, &key, &news), ZONE_OK);
		assert_int_equal(news.count, i == 1 ? 2 : 0);
	}
}

static bool brings(struct contract_bed *bed, const struct store_key *key, uint32_t number)
{
	AUTO(store_news_clear) struct store_news news = {0};

	assert_int_equal(bed->store->operations->find(bed->store, key, &news), ZONE_OK);
	assert_false(news.whole);
	return news_find(&news, ENTRY_ZONE, number) != NULL;
}

/* In whichever project it is, and for as long as it is there. */
void zones_are_found_by_what_they_have_imported(void **state)
{
	struct contract_bed *bed = *state;
	const struct store_key key = {.by = STORE_BY_IMPORT, .kind = ENTRY_ZONE, .zone = 7};
	const struct store_key nobody = {.by = STORE_BY_IMPORT, .kind = ENTRY_ZONE, .zone = 8};
	struct entry *other = contract_make_entry(ENTRY_ZONE, 60);
	struct entry *mine;

	contract_fill(bed);
	other->project = contract_other_project(bed);
	assert_int_equal(contract_put_one(bed, other, false), ZONE_OK);
	assert_true(brings(bed, &key, 1) && brings(bed, &key, 60));
	assert_false(brings(bed, &nobody, 1) || brings(bed, &nobody, 60));
	/* An import that comes later. */
	mine = contract_copy_of(bed, ENTRY_ZONE, 1);
	mine->of_zone.versions[2].record_zone = 8;
	assert_int_equal(contract_put_one(bed, mine, false), ZONE_OK);
	assert_true(brings(bed, &nobody, 1));
	assert_false(brings(bed, &nobody, 60));
}

/* --- A part */

enum { KEYS = 30 };

static void read_few(struct contract_bed *bed, size_t most, struct store_news *ret_news)
{
	const struct store_cursor nothing = {0};

	assert_int_equal(bed->store->operations->read_few(bed->store, &nothing, most, ret_news),
			 ZONE_OK);
	assert_true(ret_news->whole);
}

void of_a_large_store_the_few_are_read_and_then_the_news(void **state)
{
	struct contract_bed *bed = *state;
	AUTO(store_news_clear) struct store_news few = {0};
	AUTO(store_news_clear) struct store_news all = {0};
	AUTO(store_news_clear) struct store_news news = {0};

	contract_fill(bed);
	for (uint32_t i = 0; i < KEYS; i++)
		assert_int_equal(contract_put_one(bed, contract_make_entry(ENTRY_KEY, i), false),
				 ZONE_OK);
	assert_int_equal(contract_put_one(bed, contract_make_entry(ENTRY_CLUSTER, 2), false),
			 ZONE_OK);
	assert_int_equal(contract_put_one(bed, contract_copy_of(bed, ENTRY_CLUSTER, 2), true),
			 ZONE_OK);
	assert_int_equal(contract_put_one(bed, contract_make_entry(ENTRY_CLUSTER, 3), false),
			 ZONE_OK);
	read_few(bed, KEYS, &few);
	assert_true(few.partial);
	assert_int_equal(few.count, 4);
	for (size_t i = 0; i < few.count; i++)
		assert_true(!few.rows[i].removed && few.rows[i].entry->kind != ENTRY_ZONE &&
			    few.rows[i].entry->kind != ENTRY_KEY);
	/* With the tombstone it has five more than these keys. */
	read_few(bed, KEYS + 6, &all);
	assert_false(all.partial);
	assert_int_equal(all.count, KEYS + 6);
	/* From then on all that comes is told, met or not. */
	assert_int_equal(contract_put_one(bed, contract_make_entry(ENTRY_ZONE, 2), false), ZONE_OK);
	assert_int_equal(bed->store->operations->read_few(bed->store, &few.cursor, KEYS, &news),
			 ZONE_OK);
	assert_false(news.whole || news.partial);
	assert_int_equal(news.count, 1);
	assert_int_equal(news_find(&news, ENTRY_ZONE, 2)->of_zone.version_count, 3);
}

/* --- A list, page by page */

enum { LISTED = 300 };

static void put_listed(struct contract_bed *bed)
{
	struct store_change *changes = calloc(LISTED, sizeof(*changes));

	assert_non_null(changes);
	for (uint32_t i = 0; i < LISTED; i++)
		changes[i].entry =
			contract_make_entry(i % 3 == 0 ? ENTRY_ZONE : ENTRY_KEY, 100 + i);
	assert_int_equal(contract_put(bed, changes, LISTED), ZONE_OK);
	free(changes);
}

static size_t list_some(struct contract_bed *bed, struct uid *after, bool *seen, bool *ret_end)
{
	AUTO(store_news_clear) struct store_news news = {0};
	struct uid before = *after;

	assert_int_equal(bed->store->operations->list(bed->store, test_uid(ENTRY_PROJECT, 1), after,
						      &news, ret_end),
			 ZONE_OK);
	assert_false(news.whole);
	for (size_t i = 0; i < news.count; i++) {
		const struct entry *entry = news.rows[i].entry;
		uint32_t number;

		assert_false(news.rows[i].removed);
		assert_true(uid_equal(entry->project, test_uid(ENTRY_PROJECT, 1)));
		assert_true(memcmp(entry->uid.bytes, before.bytes, UID_SIZE) > 0 &&
			    memcmp(entry->uid.bytes, after->bytes, UID_SIZE) <= 0);
		assert_true(entry->kind == ENTRY_KEY || entry->of_zone.version_count == 3);
		for (number = 0; number < LISTED + 100; number++)
			if (uid_equal(entry->uid, test_uid(entry->kind, number)))
				break;
		assert_true(number < LISTED + 100);
		assert_false(seen[2 * number + (entry->kind == ENTRY_ZONE)]);
		seen[2 * number + (entry->kind == ENTRY_ZONE)] = true;
	}
	return news.count;
}

/* What is there all the time is in it once, though it is changed between two pages; what goes
 * before its turn comes is not; what is another project's or of another kind never. */
void a_list_has_each_once_page_by_page(void **state)
{
	struct contract_bed *bed = *state;
	bool seen[2 * (LISTED + 100)] = {false}, end = false;
	struct entry *other = contract_make_entry(ENTRY_KEY, 60);
	size_t pages, count = 0;
	struct uid after = {0};

	contract_fill(bed);
	put_listed(bed);
	other->project = contract_other_project(bed);
	assert_int_equal(contract_put_one(bed, other, false), ZONE_OK);
	assert_int_equal(contract_put_one(bed, contract_copy_of(bed, ENTRY_KEY, 101), true),
			 ZONE_OK);
	for (pages = 0; !end; pages++) {
		count += list_some(bed, &after, seen, &end);
		if (pages == 0)
			for (uint32_t i = 110; i < 120; i++)
				if (i % 3 == 2) /* 100 + 3 n is a zone */
					assert_int_equal(
						contract_put_one(
							bed, contract_copy_of(bed, ENTRY_KEY, i),
							false),
						ZONE_OK);
	}
	assert_true(pages > 1);
	/* These, and a zone of before. */
	assert_int_equal(count, LISTED);
	assert_false(seen[2 * 101]);
}
