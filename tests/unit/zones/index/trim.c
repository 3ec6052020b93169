/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A partial index: what is let go, what is not, and what is unknown then. */
#include "base/macros.h"
#include "tests/support/unit.h"
#include "zones/index/index.h"

enum { ZONES = 8 };

static struct uid uid_of(uint8_t a, uint8_t b)
{
	return (struct uid){{a, b}};
}

/* How rows come: by a look; or by a question, for the id of a zone or for something else. */
enum come { BY_LOOK, BY_ID, BY_OTHER };

static void come(struct index *index, enum come how, struct entry *entry, bool removed)
{
	AUTO(store_news_clear) struct store_news news = {.cursor.len = how == BY_LOOK};

	news.zone = how == BY_ID ? entry->of_zone.zone : 0;
	assert_true(store_news_add(&news, entry, removed));
	assert_int_equal(index_apply(index, &news), ZONE_OK);
	store_news_clear(&index->touched); /* it holds them */
}

static void put(struct index *index, struct entry *entry)
{
	come(index, entry->kind == ENTRY_ZONE ? BY_ID : BY_OTHER, entry, false);
}

static struct entry *make(enum entry_kind kind, uint8_t number)
{
	struct entry *entry = entry_new(kind);

	entry->project = uid_of(1, 0);
	entry->uid = uid_of(1, number);
	assert_true(entry_set_text(&entry->label, bytes_of("label")));
	return entry;
}

static bool keep_none(const void *state, uint64_t zone)
{
	(void)state, (void)zone;
	return false;
}

/* All were looked up, once. */
static void pass_over(struct index *index)
{
	index_trim(index, 0, keep_none, NULL);
	index->partial = false;
}

/* A project, its cluster, and zones 1 … ZONES. */
static void fill(struct index *index)
{
	put(index, make(ENTRY_PROJECT, 0));
	put(index, make(ENTRY_CLUSTER, 100));
	for (uint8_t i = 1; i <= ZONES; i++) {
		struct entry *zone = make(ENTRY_ZONE, i);

		zone->of_zone.zone = i;
		put(index, zone);
	}
	pass_over(index);
}

static bool keep_one(const void *state, uint64_t zone)
{
	return *(const uint64_t *)state == zone;
}

static void zones_are_let_go_until_so_many_are_left(void **state)
{
	AUTO(index_clear) struct index index = {0};

	(void)state;
	fill(&index);
	assert_int_equal(index.spare_count, ZONES);
	index_trim(&index, 3, keep_none, NULL);
	assert_int_equal(index.spare_count, 3);
	assert_int_equal(index.zone_count, 3);
	assert_true(index.partial);
	/* The few that others stand on stay. */
	assert_non_null(index_uid(&index, uid_of(1, 0)));
	assert_non_null(index_uid(&index, uid_of(1, 100)));
}

static void what_was_looked_up_stays_before_what_was_not(void **state)
{
	AUTO(index_clear) struct index index = {0};

	(void)state;
	fill(&index);
	assert_non_null(index_zone(&index, 3));
	index_trim(&index, 1, keep_none, NULL);
	assert_int_equal(index.spare_count, 1);
	assert_non_null(index_zone(&index, 3));
}

static void what_is_held_or_in_use_stays(void **state)
{
	AUTO(index_clear) struct index index = {0};
	AUTO(entry_releasep) struct entry *held = NULL;
	const uint64_t in_use = 5;

	(void)state;
	fill(&index);
	held = entry_hold(index_zone(&index, 2));
	index_trim(&index, 0, keep_one, &in_use);
	assert_int_equal(index.spare_count, 2);
	assert_ptr_equal(index_zone(&index, 2), held);
	assert_non_null(index_zone(&index, 5));
}

static void a_number_outlives_its_entry_and_is_that_of_the_next_state(void **state)
{
	AUTO(index_clear) struct index index = {0};
	struct entry *zone;
	uint64_t number;
	struct uid uid;

	(void)state;
	fill(&index);
	number = index_zone(&index, 4)->number;
	assert_false(index_number_let_go(&index, number, &uid));
	index_trim(&index, 0, keep_none, NULL);
	index_trim(&index, 0, keep_none, NULL);
	assert_null(index_number(&index, number));
	assert_true(index_number_let_go(&index, number, &uid));
	assert_true(uid_equal(uid, uid_of(1, 4)));
	zone = make(ENTRY_ZONE, 4);
	zone->of_zone.zone = 4;
	put(&index, zone);
	assert_ptr_equal(index_number(&index, number), zone);
}

static void a_zone_is_unknown_until_it_comes_or_is_known_to_be_absent(void **state)
{
	AUTO(index_clear) struct index index = {0};
	struct entry *zone;

	(void)state;
	fill(&index);
	assert_false(index_zone_is_unknown(&index, 77)); /* nothing is lacking */
	index_trim(&index, 0, keep_none, NULL);
	assert_true(index_zone_is_unknown(&index, 77));
	assert_true(index_zone_is_unknown(&index, 1)); /* it was let go */
	assert_true(index_note_absent(&index, 77));
	assert_true(index_note_absent(&index, 77));
	assert_false(index_zone_is_unknown(&index, 77));
	zone = make(ENTRY_ZONE, 77);
	zone->of_zone.zone = 77;
	put(&index, zone);
	index_trim(&index, 0, keep_none, NULL);
	assert_false(index_zone_is_unknown(&index, 77)); /* it is new */
	index_trim(&index, 0, keep_none, NULL);
	index_trim(&index, 0, keep_none, NULL);
	assert_true(index_zone_is_unknown(&index, 77)); /* it was there, so it is absent no more */
}

static void absent_zones_are_forgotten_too_but_those_in_use(void **state)
{
	AUTO(index_clear) struct index index = {0};
	const uint64_t in_use = 1003;

	(void)state;
	fill(&index);
	index_trim(&index, 0, keep_none, NULL);
	for (uint64_t zone = 1000; zone < 1010; zone++)
		assert_true(index_note_absent(&index, zone));
	index_trim(&index, 5, keep_one, &in_use);
	assert_int_equal(index.absent.count, 1);
	assert_false(index_zone_is_unknown(&index, in_use));
}

static void a_tombstone_of_what_was_let_go_is_told(void **state)
{
	AUTO(index_clear) struct index index = {0};
	AUTO(store_news_clear) struct store_news news = {.cursor.len = 1};
	struct entry *zone = make(ENTRY_ZONE, 6);

	(void)state;
	fill(&index);
	index_trim(&index, 0, keep_none, NULL);
	zone->of_zone.zone = 6;
	assert_true(store_news_add(&news, entry_hold(zone), true));
	assert_int_equal(index_apply(&index, &news), ZONE_OK);
	assert_int_equal(index.touched.count, 1);
	assert_true(index.touched.rows[0].removed);
	/* Whose it is, the store says when it is asked. */
	assert_true(index_zone_is_unknown(&index, 6));
	come(&index, BY_ID, zone, true);
	assert_true(index_zone_is_gone(&index, 6));
	assert_false(index_zone_is_unknown(&index, 6));
}

/* --- What the news tell of what is not known: it may be another project's */

static struct entry *make_of(uint8_t project, uint8_t number, uint64_t zone)
{
	struct entry *entry = make(ENTRY_ZONE, number);

	entry->project = uid_of(project, 0);
	entry->uid = uid_of(project, number);
	entry->of_zone.zone = zone;
	return entry;
}

static void fill_and_let_go(struct index *index)
{
	fill(index);
	index_trim(index, 0, keep_none, NULL);
}

static void a_zone_of_the_news_is_not_found_by_its_id_before_that_was_asked_for(void **state)
{
	static const enum come hows[] = {BY_LOOK, BY_OTHER};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(hows); i++) {
		AUTO(index_clear) struct index index = {0};

		fill_and_let_go(&index);
		come(&index, hows[i], make_of(2, 50, 6), false); /* planted */
		assert_null(index_zone(&index, 6));
		assert_true(index_zone_is_unknown(&index, 6));
		assert_non_null(index_uid(&index, uid_of(2, 50)));
		come(&index, BY_ID, make_of(1, 6, 6), false);
		assert_true(uid_equal(index_zone(&index, 6)->project, uid_of(1, 0)));
		/* A newer state of either changes nothing about that. */
		come(&index, BY_LOOK, make_of(1, 6, 6), false);
		assert_non_null(index_zone(&index, 6));
		come(&index, BY_LOOK, make_of(2, 50, 6), false);
		assert_true(uid_equal(index_zone(&index, 6)->project, uid_of(1, 0)));
	}
}

static void a_zone_that_changes_its_id_is_asked_for_by_the_new_one(void **state)
{
	AUTO(index_clear) struct index index = {0};

	(void)state;
	fill_and_let_go(&index);
	come(&index, BY_ID, make_of(2, 50, 500), false);
	come(&index, BY_LOOK, make_of(2, 50, 6), false);
	assert_true(index_zone_is_unknown(&index, 6));
	assert_null(index_zone(&index, 500));
}

static void what_was_asked_for_displaces_what_the_news_have_put_under_its_uid(void **state)
{
	AUTO(index_clear) struct index index = {0};
	struct entry *planted = make_of(2, 50, 77);

	(void)state;
	fill_and_let_go(&index);
	planted->uid = uid_of(1, 6);
	come(&index, BY_LOOK, planted, false);
	/* By its label alone nobody knows which it is. */
	come(&index, BY_OTHER, make_of(1, 6, 6), false);
	assert_int_equal(index.refused, 1);
	come(&index, BY_ID, make_of(1, 6, 6), false);
	assert_true(uid_equal(index_zone(&index, 6)->project, uid_of(1, 0)));
	assert_true(uid_equal(index_uid(&index, uid_of(1, 6))->project, uid_of(1, 0)));
}

static void of_what_was_not_asked_for_and_another_row_a_whole_load_has_neither(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		AUTO(index_clear) struct index index = {0};
		AUTO(store_news_clear) struct store_news news = {.whole = true};

		fill_and_let_go(&index);
		come(&index, BY_LOOK, make_of(2, 50, 6), false);
		assert_true(store_news_add(&news, make_of(1 + order, order ? 50 : 6, 6), false));
		assert_true(store_news_add(&news, make_of(2 - order, order ? 6 : 50, 6), false));
		assert_int_equal(index_apply(&index, &news), ZONE_OK);
		assert_true(index_zone_is_gone(&index, 6));
	}
}

static void a_tombstone_of_the_news_says_nothing_of_what_is_not_known(void **state)
{
	AUTO(index_clear) struct index index = {0};

	(void)state;
	fill_and_let_go(&index);
	assert_true(index_note_absent(&index, 500));
	come(&index, BY_LOOK, make_of(2, 50, 6), true);
	come(&index, BY_LOOK, make_of(2, 51, 500), true);
	assert_true(index_zone_is_unknown(&index, 6));
	assert_true(index_zone_is_unknown(&index, 500));
	assert_false(index_is_buried(&index, uid_of(2, 50)));
	/* Nor does one that is put in and taken back bring to life what is gone. */
	come(&index, BY_ID, make_of(1, 6, 6), true);
	come(&index, BY_OTHER, make_of(2, 50, 6), true);
	come(&index, BY_OTHER, make_of(2, 50, 6), false);
	assert_true(index_zone_is_gone(&index, 6));
}

static void all_that_there_is_makes_it_whole_again(void **state)
{
	AUTO(index_clear) struct index index = {0};
	AUTO(store_news_clear) struct store_news news = {.whole = true};

	(void)state;
	fill(&index);
	index_trim(&index, 0, keep_none, NULL);
	assert_true(store_news_add(&news, make(ENTRY_PROJECT, 0), false));
	assert_int_equal(index_apply(&index, &news), ZONE_OK);
	assert_false(index.partial);
	assert_int_equal(index.uids.count, 1); /* numbers of what is not there are gone */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zones_are_let_go_until_so_many_are_left),
		cmocka_unit_test(what_was_looked_up_stays_before_what_was_not),
		cmocka_unit_test(what_is_held_or_in_use_stays),
		cmocka_unit_test(a_number_outlives_its_entry_and_is_that_of_the_next_state),
		cmocka_unit_test(a_zone_is_unknown_until_it_comes_or_is_known_to_be_absent),
		cmocka_unit_test(absent_zones_are_forgotten_too_but_those_in_use),
		cmocka_unit_test(a_tombstone_of_what_was_let_go_is_told),
		cmocka_unit_test(
			a_zone_of_the_news_is_not_found_by_its_id_before_that_was_asked_for),
		cmocka_unit_test(a_zone_that_changes_its_id_is_asked_for_by_the_new_one),
		cmocka_unit_test(what_was_asked_for_displaces_what_the_news_have_put_under_its_uid),
		cmocka_unit_test(
			of_what_was_not_asked_for_and_another_row_a_whole_load_has_neither),
		cmocka_unit_test(a_tombstone_of_the_news_says_nothing_of_what_is_not_known),
		cmocka_unit_test(all_that_there_is_makes_it_whole_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
