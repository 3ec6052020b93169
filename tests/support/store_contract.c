/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/support/store_contract.h"

#include "base/log.h"
#include "base/macros.h"
#include "tests/support/store_contract_tests.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/model/record.h"

enum zone_status contract_wished(void *state, struct store_news *news,
				 struct store_change **ret_changes, size_t *ret_count)
{
	struct contract_wish *wish = state;
	void (*meanwhile)(void *) = wish->meanwhile;

	wish->asks++;
	wish->rows += news->count;
	wish->meanwhile = NULL;
	if (meanwhile != NULL)
		meanwhile(wish->meanwhile_state);
	*ret_changes = wish->changes;
	*ret_count = wish->count;
	return ZONE_OK;
}

enum zone_status contract_put_wish(struct contract_bed *bed, struct contract_wish *wish)
{
	const struct store_cursor since = bed->cursor;

	return bed->store->operations->write(bed->store, &since, contract_wished, wish,
					     &bed->cursor);
}

/* Releases the entries. */
enum zone_status contract_put(struct contract_bed *bed, struct store_change *changes, size_t count)
{
	struct contract_wish wish = {.changes = changes, .count = count};
	enum zone_status status = contract_put_wish(bed, &wish);

	for (size_t i = 0; i < count; i++)
		entry_release(changes[i].entry);
	return status;
}

enum zone_status contract_put_one(struct contract_bed *bed, struct entry *entry, bool remove)
{
	struct store_change change = {.entry = entry, .remove = remove};

	return contract_put(bed, &change, 1);
}

struct entry *contract_make_entry(enum entry_kind kind, uint32_t number)
{
	struct entry *entry = test_entry(kind, number);

	/* A project's name is a name. */
	if (kind == ENTRY_PROJECT)
		assert_true(entry_set_text(&entry->label, bytes_of("project")));
	return entry;
}

void contract_fill(struct contract_bed *bed)
{
	struct store_change changes[4] = {0};

	for (int kind = ENTRY_PROJECT; kind <= ENTRY_ZONE; kind++)
		changes[kind].entry = contract_make_entry((enum entry_kind)kind, 1);
	assert_int_equal(contract_put(bed, changes, 4), ZONE_OK);
}

struct uid contract_other_project(struct contract_bed *bed)
{
	struct entry *project = contract_make_entry(ENTRY_PROJECT, 9);

	project->project = project->uid;
	assert_true(entry_set_text(&project->label, bytes_of("other")));
	assert_int_equal(contract_put_one(bed, project, false), ZONE_OK);
	return test_uid(ENTRY_PROJECT, 9);
}

void contract_read_since(struct contract_bed *bed, const struct store_cursor *since,
			 struct store_news *ret_news)
{
	assert_int_equal(bed->store->operations->read(bed->store, since, ret_news), ZONE_OK);
}

void contract_read_all(struct contract_bed *bed, struct store_news *ret_news)
{
	const struct store_cursor nothing = {0};

	contract_read_since(bed, &nothing, ret_news);
	assert_true(ret_news->whole);
}

struct entry *contract_copy_of(struct contract_bed *bed, enum entry_kind kind, uint32_t number)
{
	AUTO(store_news_clear) struct store_news news = {0};
	struct entry *found, *copy;

	contract_read_all(bed, &news);
	found = news_find(&news, kind, number);
	assert_non_null(found);
	copy = entry_copy(found);
	copy->number = 0;
	return copy;
}

/* --- All of them */

const struct contract_test contract_tests[] = {
	{"every_kind_comes_back_as_it_was", every_kind_comes_back_as_it_was, false},
	{"only_what_is_newer_is_read", only_what_is_newer_is_read, false},
	{"change_needs_the_revision_that_is_there", change_needs_the_revision_that_is_there, false},
	{"all_is_written_or_nothing", all_is_written_or_nothing, false},
	{"what_is_removed_leaves_a_tombstone", what_is_removed_leaves_a_tombstone, false},
	{"backup_takes_the_place_of_a_tombstone", backup_takes_the_place_of_a_tombstone, false},
	{"versions_of_a_zone_follow_it", versions_of_a_zone_follow_it, false},
	{"versions_that_come_from_one_zone_are_written_at_once",
	 versions_that_come_from_one_zone_are_written_at_once, false},
	{"zone_with_one_value_twice_is_refused", zone_with_one_value_twice_is_refused, false},
	{"find_brings_an_entry_with_what_it_stands_on", find_brings_an_entry_with_what_it_stands_on,
	 false},
	{"names_as_long_as_they_may_be_are_found", names_as_long_as_they_may_be_are_found, false},
	{"old_name_finds_nothing", old_name_finds_nothing, false},
	{"zones_are_found_by_what_they_have_imported", zones_are_found_by_what_they_have_imported,
	 false},
	{"of_a_large_store_the_few_are_read_and_then_the_news",
	 of_a_large_store_the_few_are_read_and_then_the_news, false},
	{"a_list_has_each_once_page_by_page", a_list_has_each_once_page_by_page, false},
	{"write_of_the_same_project_is_decided_anew", write_of_the_same_project_is_decided_anew,
	 true},
	{"write_of_another_project_is_not_in_the_way", write_of_another_project_is_not_in_the_way,
	 true},
	{"what_is_unique_in_the_store_is_decided_beside_all_projects",
	 what_is_unique_in_the_store_is_decided_beside_all_projects, true},
	{"what_destroys_a_version_is_decided_beside_all_projects",
	 what_destroys_a_version_is_decided_beside_all_projects, true},
	{"two_that_make_the_store_agree", two_that_make_the_store_agree, true},
};
const size_t contract_test_count = COUNT_OF(contract_tests);
