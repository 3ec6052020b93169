/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The tests of tests/support/store_contract.h, by their files. */
#pragma once

/* store_contract_rows.c: entries there and back, and changes of them */
void every_kind_comes_back_as_it_was(void **state);
void only_what_is_newer_is_read(void **state);
void change_needs_the_revision_that_is_there(void **state);
void all_is_written_or_nothing(void **state);
void what_is_removed_leaves_a_tombstone(void **state);
void backup_takes_the_place_of_a_tombstone(void **state);
void versions_of_a_zone_follow_it(void **state);
void versions_that_come_from_one_zone_are_written_at_once(void **state);
void zone_with_one_value_twice_is_refused(void **state);

/* store_contract_finding.c: by a key, a part, a list */
void find_brings_an_entry_with_what_it_stands_on(void **state);
void names_as_long_as_they_may_be_are_found(void **state);
void old_name_finds_nothing(void **state);
void zones_are_found_by_what_they_have_imported(void **state);
void of_a_large_store_the_few_are_read_and_then_the_news(void **state);
void a_list_has_each_once_page_by_page(void **state);

/* store_contract_rivals.c: others are quicker */
void write_of_the_same_project_is_decided_anew(void **state);
void write_of_another_project_is_not_in_the_way(void **state);
void what_is_unique_in_the_store_is_decided_beside_all_projects(void **state);
void what_destroys_a_version_is_decided_beside_all_projects(void **state);
void two_that_make_the_store_agree(void **state);
