/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The index: what is put in is found by every way that leads to it, and by none after it is gone.
 */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/unit.h"
#include "zones/index/index.h"

#include <stdio.h>
#include <stdlib.h>

static struct uid uid_of(uint8_t a, uint32_t b)
{
	struct uid uid = {{a}};

	memcpy(uid.bytes + 4, &b, sizeof(b));
	return uid;
}

static struct entry *make(enum entry_kind kind, struct uid project, struct uid uid,
			  const char *label, const char *id)
{
	struct entry *entry = entry_new(kind);

	entry->project = project;
	entry->uid = uid;
	assert_true(entry_set_text(&entry->label, bytes_of(label)));
	assert_true(entry_set_bytes(&entry->id, bytes_of(id)));
	return entry;
}

static struct entry *make_project(uint8_t number, uint32_t slot)
{
	struct uid uid = uid_of(number, 0);
	struct entry *entry = make(ENTRY_PROJECT, uid, uid, "project", "");

	entry->of_project.slot = slot;
	return entry;
}

static struct entry *make_zone(uint8_t project, uint32_t number, uint64_t zone, const char *label)
{
	struct entry *entry =
		make(ENTRY_ZONE, uid_of(project, 0), uid_of(project, number), label, "id");

	entry->of_zone.zone = zone;
	entry->of_zone.versions = calloc(1, sizeof(*entry->of_zone.versions));
	entry->of_zone.version_count = 1;
	entry->of_zone.versions[0].version = 1;
	memcpy(entry->of_zone.versions[0].fingerprint, &zone, sizeof(zone));
	return entry;
}

static void apply(struct index *index, bool whole, struct entry *entry, bool removed)
{
	AUTO(store_news_clear) struct store_news news = {.whole = whole};

	if (entry != NULL)
		assert_true(store_news_add(&news, entry, removed));
	assert_int_equal(index_apply(index, &news), ZONE_OK);
}

static bool count_one(void *state, struct entry *entry)
{
	(void)entry;
	++*(size_t *)state;
	return true;
}

static size_t count_of(const struct index *index, const struct entry_filter *filter)
{
	size_t count = 0;

	index_each(index, filter, count_one, &count);
	return count;
}

static void entry_is_found_by_every_way(void **state)
{
	AUTO(index_clear) struct index index = {0};
	struct entry *project = make_project(1, 4), *zone = make_zone(1, 7, 99, "c/db");
	uint8_t fingerprint[16] = {99};
	struct bytes label = bytes_of("c/db"), id = bytes_of("id");
	struct entry_filter filter = {.project = uid_of(1, 0)};

	(void)state;
	apply(&index, false, project, false);
	apply(&index, false, zone, false);
	assert_true(project->number != 0 && zone->number != 0 && project->number != zone->number);
	assert_ptr_equal(index_number(&index, zone->number), zone);
	assert_ptr_equal(index_uid(&index, uid_of(1, 7)), zone);
	assert_ptr_equal(index_zone(&index, 99), zone);
	assert_ptr_equal(index_slot(&index, 4), project);
	assert_ptr_equal(index_fingerprint(&index, fingerprint), zone);
	assert_ptr_equal(index_label(&index, uid_of(1, 0), ENTRY_ZONE, label), zone);
	assert_true(index_project_active(&index, uid_of(1, 0)));
	assert_int_equal(index.next_slot, 5);

	assert_int_equal(count_of(&index, &filter), 0);
	filter.kinds[ENTRY_ZONE] = true;
	assert_int_equal(count_of(&index, &filter), 1);
	filter.label = &label;
	assert_int_equal(count_of(&index, &filter), 1);
	filter.id = &id;
	assert_int_equal(count_of(&index, &filter), 1);
	filter.label = NULL;
	assert_int_equal(count_of(&index, &filter), 1);
	filter.uid = &zone->uid;
	assert_int_equal(count_of(&index, &filter), 1);
	filter.uid = &project->uid;
	assert_int_equal(count_of(&index, &filter), 0);
}

static void nothing_leads_to_another_project(void **state)
{
	AUTO(index_clear) struct index index = {0};
	struct bytes label = bytes_of("db");
	struct entry_filter filter = {.project = uid_of(2, 0), .label = &label};

	(void)state;
	apply(&index, false, make_zone(1, 7, 99, "db"), false);
	assert_null(index_label(&index, uid_of(2, 0), ENTRY_ZONE, label));
	assert_null(index_label(&index, uid_of(1, 0), ENTRY_CLUSTER, label));
	memset(filter.kinds, true, sizeof(filter.kinds));
	assert_int_equal(count_of(&index, &filter), 0);
	filter.project = uid_of(1, 0);
	assert_int_equal(count_of(&index, &filter), 1);
	assert_false(index_project_active(&index, uid_of(1, 0)));
}

static void replacement_keeps_the_number_and_leaves_the_old_label(void **state)
{
	AUTO(index_clear) struct index index = {0};
	AUTO(entry_releasep) struct entry *old = make_zone(1, 7, 99, "old");
	struct entry *new = make_zone(1, 7, 99, "new");

	(void)state;
	apply(&index, false, entry_hold(old), false);
	apply(&index, false, new, false);
	assert_int_equal(old->number, new->number);
	assert_ptr_equal(index_zone(&index, 99), new);
	assert_null(index_label(&index, uid_of(1, 0), ENTRY_ZONE, bytes_of("old")));
	assert_ptr_equal(index_label(&index, uid_of(1, 0), ENTRY_ZONE, bytes_of("new")), new);
	assert_string_equal(old->label, "old");
}

static void label_of_what_awaits_deletion_is_free(void **state)
{
	AUTO(index_clear) struct index index = {0};
	struct entry *zone = make_zone(1, 7, 99, "db");
	struct entry_filter filter = {.project = uid_of(1, 0)};

	(void)state;
	zone->state = ENTRY_PENDING_DELETION;
	apply(&index, false, zone, false);
	assert_null(index_label(&index, uid_of(1, 0), ENTRY_ZONE, bytes_of("db")));
	filter.kinds[ENTRY_ZONE] = true;
	assert_int_equal(count_of(&index, &filter), 0);
	filter.with_pending = true;
	assert_int_equal(count_of(&index, &filter), 1);
}

static void tombstone_removes_and_remembers_the_zone_id(void **state)
{
	AUTO(index_clear) struct index index = {0};
	struct entry *zone = make_zone(1, 7, 99, "db");
	uint8_t fingerprint[16] = {99};
	uint64_t number;

	(void)state;
	apply(&index, false, zone, false);
	number = zone->number;
	assert_true(index_zone_was_used(&index, 99));
	apply(&index, false, make_zone(1, 7, 99, ""), true);
	assert_null(index_number(&index, number));
	assert_null(index_uid(&index, uid_of(1, 7)));
	assert_null(index_zone(&index, 99));
	assert_null(index_fingerprint(&index, fingerprint));
	assert_true(index_zone_was_used(&index, 99));
	assert_false(index_zone_was_used(&index, 98));

	/* The same uid again is a new object. */
	zone = make_zone(1, 7, 99, "db");
	apply(&index, false, zone, false);
	assert_int_not_equal(zone->number, number);
}

static void slots_follow_a_replaced_project_in_either_order(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		AUTO(index_clear) struct index index = {0};
		AUTO(store_news_clear) struct store_news news = {0};
		struct entry *old = make_project(1, 3), *new = make_project(2, 3);

		apply(&index, false, make_project(1, 3), false);
		old->state = ENTRY_PENDING_DELETION;
		assert_true(store_news_add(&news, order == 0 ? old : new, false));
		assert_true(store_news_add(&news, order == 0 ? new : old, false));
		assert_int_equal(index_apply(&index, &news), ZONE_OK);
		assert_ptr_equal(index_slot(&index, 3), new);
		assert_false(index_project_active(&index, uid_of(1, 0)));
		assert_int_equal(index.next_slot, 4);
	}
}

static void whole_load_forgets_what_is_not_among_it(void **state)
{
	AUTO(index_clear) struct index index = {0};
	struct entry *kept = make_zone(1, 7, 99, "kept");
	uint64_t number;

	(void)state;
	apply(&index, false, make_project(1, 40), false);
	apply(&index, false, kept, false);
	apply(&index, false, make_zone(1, 8, 100, "gone"), false);
	apply(&index, false, make_zone(1, 9, 101, ""), true);
	number = kept->number;
	kept = make_zone(1, 7, 99, "kept");
	apply(&index, true, kept, false);
	assert_int_equal(kept->number, number);
	assert_ptr_equal(index_zone(&index, 99), kept);
	assert_null(index_zone(&index, 100));
	assert_false(index_zone_was_used(&index, 101));
	assert_null(index_slot(&index, 40));
	assert_int_equal(index.next_slot, 0);
	apply(&index, true, NULL, false);
	assert_int_equal(index.uids.count, 0);
	assert_int_equal(index.buckets.count, 0);
	assert_int_equal(index.fingerprints.count, 0);
}

static void row_of_another_project_does_not_take_over_what_is_known(void **state)
{
	AUTO(index_clear) struct index index = {0};
	struct entry *known = make_zone(1, 7, 99, "known");
	struct entry *moved = make_zone(2, 7, 99, "moved");

	(void)state;
	moved->uid = known->uid;
	apply(&index, true, known, false);
	apply(&index, false, make_zone(2, 8, 99, "planted"), false);
	assert_non_null(strstr(log_last(), "'planted', of two projects, have the same id"));
	assert_ptr_equal(index_zone(&index, 99), known);
	assert_null(index_uid(&index, uid_of(2, 8)));
	apply(&index, false, moved, false);
	assert_ptr_equal(index_uid(&index, uid_of(1, 7)), known);
	assert_false(index_zone_is_gone(&index, 99));
	/* One of the same project, as ever. */
	apply(&index, false, make_zone(1, 9, 99, "own"), false);
	assert_non_null(index_uid(&index, uid_of(1, 9)));
}

static void neither_of_two_projects_has_a_zone_that_a_first_look_finds_in_both(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		AUTO(index_clear) struct index index = {0};
		AUTO(store_news_clear) struct store_news news = {.whole = true};
		struct entry *right = make_zone(1, 7, 99, "right");
		struct entry *planted = make_zone(2, 8, 99, "planted");

		assert_true(store_news_add(&news, order == 0 ? right : planted, false));
		assert_true(store_news_add(&news, order == 0 ? planted : right, false));
		assert_int_equal(index_apply(&index, &news), ZONE_OK);
		assert_true(index_zone_is_gone(&index, 99));
	}
}

static void known_zone_stays_when_all_is_read_again(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		AUTO(index_clear) struct index index = {0};
		AUTO(store_news_clear) struct store_news news = {.whole = true};
		struct entry *right = make_zone(1, 7, 99, "right");
		struct entry *planted = make_zone(2, 8, 99, "planted");

		apply(&index, true, make_zone(1, 7, 99, "right"), false);
		assert_true(store_news_add(&news, order == 0 ? right : planted, false));
		assert_true(store_news_add(&news, order == 0 ? planted : right, false));
		assert_int_equal(index_apply(&index, &news), ZONE_OK);
		assert_false(index_zone_is_gone(&index, 99));
		assert_ptr_equal(index_zone(&index, 99), right);
	}
}

/* Whoever may write one project puts tombstones of others' things there. */
static void tombstone_in_another_project_takes_nothing_away(void **state)
{
	AUTO(index_clear) struct index index = {0};
	struct entry *known = make_zone(1, 7, 99, "known");
	struct entry *same_uid = make_zone(2, 7, 100, ""), *of_project = make_project(1, 3);

	(void)state;
	same_uid->uid = known->uid;
	of_project->project = uid_of(2, 0);
	apply(&index, true, make_project(1, 3), false);
	apply(&index, false, known, false);
	apply(&index, false, make_zone(2, 8, 99, ""), true);
	assert_non_null(strstr(log_last(), "'known' has a tombstone in another project"));
	apply(&index, false, same_uid, true);
	apply(&index, false, of_project, true);
	assert_ptr_equal(index_zone(&index, 99), known);
	assert_false(index_zone_is_gone(&index, 99));
	assert_true(index_project_active(&index, uid_of(1, 0)));
}

static void tombstone_in_another_project_at_a_first_look_denies_a_zone_alone(void **state)
{
	(void)state;
	for (int order = 0; order < 2; order++) {
		AUTO(index_clear) struct index index = {0};
		AUTO(store_news_clear) struct store_news news = {.whole = true};
		struct entry *zone = make_zone(1, 7, 99, "zone"), *project = make_project(1, 3);
		struct entry *grave = make_zone(2, 8, 99, ""), *other = make_project(1, 3);

		other->project = uid_of(2, 0);
		for (int i = 0; i < 2; i++) {
			bool removed = i == order;

			assert_true(store_news_add(&news, removed ? grave : zone, removed));
			assert_true(store_news_add(&news, removed ? other : project, removed));
		}
		assert_int_equal(index_apply(&index, &news), ZONE_OK);
		assert_true(index_zone_is_gone(&index, 99));
		assert_true(index_project_active(&index, uid_of(1, 0)));
		assert_non_null(index_uid(&index, uid_of(1, 7)));
	}
}

struct seen {
	uint64_t zones[4];
	size_t count;
};

static bool note_zone(void *state, struct entry *zone)
{
	struct seen *seen = state;

	seen->zones[seen->count++] = zone->of_zone.zone;
	return true;
}

static struct entry *make_zone_in(struct uid cluster, uint32_t number, const char *label)
{
	struct entry *zone = make_zone(1, number, number, label);

	zone->of_zone.cluster = cluster;
	return zone;
}

static void zones_of_a_cluster_are_told_and_the_last_changed_comes_last(void **state)
{
	AUTO(index_clear) struct index index = {0};
	struct uid here = uid_of(1, 90), there = uid_of(1, 91);
	AUTO(entry_releasep)
	struct entry *cluster = make(ENTRY_CLUSTER, uid_of(1, 0), here, "c", "id");
	struct seen seen = {0};

	(void)state;
	apply(&index, false, make_project(1, 0), false);
	apply(&index, false, make_zone_in(here, 1, "c/a"), false);
	apply(&index, false, make_zone_in(there, 2, "d/a"), false);
	apply(&index, false, make_zone_in(here, 3, "c/b"), false);
	apply(&index, false, make_zone_in(here, 1, "c/again"), false);
	index_each_in_cluster(&index, cluster, note_zone, &seen);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.zones[0], 3);
	assert_int_equal(seen.zones[1], 1);
}

static void thousands_come_and_go_without_a_trace(void **state)
{
	AUTO(index_clear) struct index index = {0};
	enum { COUNT = 5000 };
	struct entry_filter filter = {.project = uid_of(1, 0), .kinds[ENTRY_ZONE] = true};

	(void)state;
	for (uint32_t i = 1; i <= COUNT; i++) {
		char label[16];

		snprintf(label, sizeof(label), "db-%u", i % 100);
		apply(&index, false, make_zone(1, i, i, label), false);
	}
	assert_int_equal(count_of(&index, &filter), COUNT);
	filter.label = &(struct bytes){(const uint8_t *)"db-42", 5};
	assert_int_equal(count_of(&index, &filter), COUNT / 100);
	for (uint32_t i = 1; i <= COUNT; i++)
		apply(&index, false, make_zone(1, i, i, ""), true);
	assert_int_equal(index.uids.count, 0);
	assert_int_equal(index.zones.count, 0);
	assert_int_equal(index.buckets.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entry_is_found_by_every_way),
		cmocka_unit_test(nothing_leads_to_another_project),
		cmocka_unit_test(replacement_keeps_the_number_and_leaves_the_old_label),
		cmocka_unit_test(label_of_what_awaits_deletion_is_free),
		cmocka_unit_test(tombstone_removes_and_remembers_the_zone_id),
		cmocka_unit_test(slots_follow_a_replaced_project_in_either_order),
		cmocka_unit_test(whole_load_forgets_what_is_not_among_it),
		cmocka_unit_test(row_of_another_project_does_not_take_over_what_is_known),
		cmocka_unit_test(
			neither_of_two_projects_has_a_zone_that_a_first_look_finds_in_both),
		cmocka_unit_test(known_zone_stays_when_all_is_read_again),
		cmocka_unit_test(tombstone_in_another_project_takes_nothing_away),
		cmocka_unit_test(tombstone_in_another_project_at_a_first_look_denies_a_zone_alone),
		cmocka_unit_test(zones_of_a_cluster_are_told_and_the_last_changed_comes_last),
		cmocka_unit_test(thousands_come_and_go_without_a_trace),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
