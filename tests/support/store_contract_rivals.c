/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/store_contract_tests.h"

#include "base/log.h"
#include "base/macros.h"
#include "tests/support/store_contract.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/model/record.h"

#include <pthread.h>
#include <stdatomic.h>

/* --- Others are quicker */

struct rival {
	struct contract_bed *bed;
	enum entry_kind kind;
	uint32_t number;
	struct uid project;
};

static void rival_writes(void *state)
{
	struct rival *rival = state;
	struct contract_bed other = {.store = rival->bed->open(rival->bed->place)};
	struct entry *entry = contract_make_entry(rival->kind, rival->number);

	entry->project = rival->project;
	assert_int_equal(contract_put_one(&other, entry, false), ZONE_OK);
	other.store->operations->free(other.store);
}

static size_t asks_for(struct contract_bed *bed, struct rival rival, struct store_change change)
{
	struct contract_wish wish = {.changes = &change,
				     .count = 1,
				     .meanwhile = rival_writes,
				     .meanwhile_state = &rival};
	AUTO(store_news_clear) struct store_news news = {0};

	rival.bed = bed;
	assert_int_equal(contract_put_wish(bed, &wish), ZONE_OK);
	/* Nothing that `decide` has not seen is passed over. */
	contract_read_since(bed, &bed->cursor, &news);
	assert_true(wish.asks > 1 || news_find(&news, rival.kind, rival.number) != NULL);
	entry_release(change.entry);
	return wish.asks;
}

static size_t asks_beside(struct contract_bed *bed, struct rival rival, enum entry_kind kind)
{
	return asks_for(bed, rival, (struct store_change){.entry = contract_make_entry(kind, 50)});
}

void write_of_the_same_project_is_decided_anew(void **state)
{
	struct rival rival = {.kind = ENTRY_KEY, .number = 60};

	contract_fill(*state);
	rival.project = test_uid(ENTRY_PROJECT, 1);
	assert_int_equal(asks_beside(*state, rival, ENTRY_KEY), 2);
}

void write_of_another_project_is_not_in_the_way(void **state)
{
	struct rival rival = {.kind = ENTRY_KEY, .number = 60};

	contract_fill(*state);
	rival.project = test_uid(ENTRY_PROJECT, 9);
	assert_int_equal(asks_beside(*state, rival, ENTRY_KEY), 1);
}

void what_is_unique_in_the_store_is_decided_beside_all_projects(void **state)
{
	struct rival rival = {.kind = ENTRY_ZONE, .number = 60};

	contract_fill(*state);
	rival.project = test_uid(ENTRY_PROJECT, 9);
	assert_int_equal(asks_beside(*state, rival, ENTRY_ZONE), 2);
}

/* A project that is made of a backup elsewhere imports the versions of zones that are there. */
void what_destroys_a_version_is_decided_beside_all_projects(void **state)
{
	struct contract_bed *bed = *state;
	struct rival rival = {.kind = ENTRY_ZONE, .number = 60};

	contract_fill(bed);
	rival.project = test_uid(ENTRY_PROJECT, 9);
	/* To retire one, to remove one, to remove the zone. */
	for (size_t i = 0; i < 3; i++, rival.number++) {
		AUTO(entry_releasep) struct entry *before = contract_copy_of(bed, ENTRY_ZONE, 1);
		struct store_change change = {
			.entry = entry_copy(before), .before = before, .remove = i == 2};
		struct ezk_version *versions = change.entry->of_zone.versions;

		if (i == 0)
			versions[0].retired = true;
		if (i == 1)
			ezk_version_clear(&versions[--change.entry->of_zone.version_count]);
		assert_int_equal(asks_for(bed, rival, change), i == 0 ? 1 : 2);
	}
}

void two_that_make_the_store_agree(void **state)
{
	struct contract_bed *bed = *state;
	struct rival rival = {.bed = bed, .kind = ENTRY_PROJECT, .number = 2};
	struct store_change change = {.entry = NULL};
	struct contract_wish wish = {.changes = &change,
				     .count = 1,
				     .meanwhile = rival_writes,
				     .meanwhile_state = &rival};
	AUTO(store_news_clear) struct store_news news = {0};

	rival.project = test_uid(ENTRY_PROJECT, 2);
	change.entry = contract_make_entry(ENTRY_PROJECT, 1);
	assert_int_equal(contract_put_wish(bed, &wish), ZONE_OK);
	assert_int_equal(wish.asks, 2);
	assert_int_equal(wish.rows, 1);
	contract_read_all(bed, &news);
	assert_int_equal(news.count, 2);
	entry_release(change.entry);
}

/* --- Racing writers */

struct race {
	struct contract_bed *bed;
	atomic_uint done, asks, late, unsure;
};

/* Adds one to a number that all of them change: the usages of one key. A project that others change
 * for as long as it may be read is none of the news, which say why. */
static enum zone_status count_up(void *state, struct store_news *news,
				 struct store_change **ret_changes, size_t *ret_count)
{
	struct contract_wish *wish = state;

	wish->asks++;
	for (size_t i = 0; i < news->count; i++) {
		if (news->rows[i].entry->kind != ENTRY_KEY)
			continue;
		entry_release(wish->changes[0].entry);
		wish->changes[0].entry = entry_copy(news->rows[i].entry);
		wish->changes[0].entry->usages++;
	}
	if (wish->changes[0].entry == NULL)
		return news->unread_count > 0 ? news->unread[0].why : ZONE_STORE_CORRUPT;
	*ret_changes = wish->changes;
	*ret_count = 1;
	return ZONE_OK;
}

static void *race(void *state)
{
	struct race *race = state;
	struct store *store = race->bed->open(race->bed->place);
	enum zone_status status = ZONE_STORE_UNAVAILABLE;

	while (status != ZONE_OK) {
		const struct store_cursor nothing = {0};
		struct store_change change = {0};
		struct contract_wish wish = {.changes = &change, .count = 1};
		struct store_cursor cursor;

		status = store->operations->write(store, &nothing, count_up, &wish, &cursor);
		entry_release(change.entry);
		atomic_fetch_add(&race->asks, (unsigned)wish.asks);
		/* Others were quicker for as long as a call may take. */
		atomic_fetch_add(&race->late, status != ZONE_OK);
		if (status != ZONE_OK && strstr(log_last(), "may have been done") != NULL) {
			atomic_fetch_add(&race->unsure, 1);
			break;
		}
	}
	atomic_fetch_add(&race->done, status == ZONE_OK);
	store->operations->free(store);
	return NULL;
}

void contract_race(struct contract_bed *bed, unsigned writers)
{
	struct race them = {.bed = bed};
	AUTO(entry_releasep) struct entry *key = NULL;
	pthread_t *threads = calloc(writers, sizeof(*threads));
	struct entry *first = contract_make_entry(ENTRY_KEY, 1);

	assert_non_null(threads);
	contract_fill(bed);
	first->usages = 0;
	assert_int_equal(contract_put_one(bed, first, false), ZONE_OK);
	for (size_t i = 0; i < writers; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, race, &them), 0);
	for (size_t i = 0; i < writers; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	key = contract_copy_of(bed, ENTRY_KEY, 1);
	print_message("# %u of %u writes, %u tries, %u calls out of time, %u unsure\n",
		      atomic_load(&them.done), writers, atomic_load(&them.asks),
		      atomic_load(&them.late), atomic_load(&them.unsure));
	assert_int_equal(atomic_load(&them.done), writers);
	assert_int_equal(key->usages, writers);
}
