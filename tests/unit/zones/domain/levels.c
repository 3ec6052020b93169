/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A store of a later release: what this one goes on reading, what it refuses, and in which words.
 * Stores are raised by SQL, as a release to come would; bringing them from level to level is in
 * tests/e2e/store_levels.py, since this release has one level. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/edit.h"
#include "zones/domain/lookup.h"
#include "zones/domain/project.h"
#include "zones/domain/state.h"
#include "zones/domain/zone.h"
#include "zones/ezk/ezk.h"
#include "zones/store/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXTURE(state) struct fixture *f = *(state)

#define RAISE(reader, writer, level)                                                               \
	"PRAGMA user_version = " #reader "; UPDATE store SET min_reader = " #reader                \
	", min_writer = " #writer ", schema = " #level                                             \
	", release = '0.9.0', revision = revision + 1;"

/* --- The store */

static void writers_level_stops_writing_alone(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(buffer_clear) struct buffer before = {0};
	AUTO(buffer_clear) struct buffer after = {0};

	fixture_fill(f);
	raw_sql(f->path, RAISE(1, 2, 3));
	file_bytes(f->path, &before);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_int_equal(news.count, 4);
	assert_false(news.limited);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 2), false),
			 ZONE_STORE_NEWER_WRITER);
	assert_non_null(strstr(log_last(), f->path));
	assert_non_null(strstr(log_last(), "changing it takes level 2"));
	assert_non_null(strstr(log_last(), "knows level 1"));
	assert_non_null(strstr(log_last(), "install cmek-pkcs11 0.9.0"));
	file_bytes(f->path, &after);
	assert_bytes(buffer_bytes(&after), buffer_bytes(&before));
}

static void level_alone_stops_nothing(void **state)
{
	FIXTURE(state);

	fixture_fill(f);
	raw_sql(f->path, RAISE(1, 1, 7));
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 2), false), ZONE_OK);
}

static void readers_level_leaves_projects_and_root_keys(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};

	fixture_fill(f);
	/* Nothing else may be looked at, so it may be anything. */
	raw_sql(f->path, RAISE(2, 2, 2) "DROP TABLE wraps; ALTER TABLE ezk_versions RENAME TO e;"
					"ALTER TABLE clusters DROP COLUMN region;"
					"ALTER TABLE zones DROP COLUMN imported;"
					"ALTER TABLE projects ADD COLUMN colour TEXT");
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_true(news.limited && news.whole);
	assert_int_equal(news.count, 2);
	assert_non_null(news_find(&news, ENTRY_PROJECT, 1));
	assert_non_null(news_find(&news, ENTRY_ROOT_KEY, 1));
	assert_non_null(strstr(log_last(), "reading it takes level 2"));
	assert_non_null(strstr(log_last(), "install cmek-pkcs11 0.9.0"));
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 2), false),
			 ZONE_STORE_NEWER_WRITER);
}

static void what_can_not_even_be_read_so_is_newer(void **state)
{
	static const char *const later[] = {
		"ALTER TABLE root_keys RENAME COLUMN arn TO key",
		"ALTER TABLE store DROP COLUMN release",
		"UPDATE store SET id = ''",
		"PRAGMA ignore_check_constraints = 1; UPDATE projects SET state = 1",
		"DROP TABLE projects",
	};
	FIXTURE(state);

	fixture_fill(f);
	raw_sql(f->path, RAISE(2, 2, 2));
	for (size_t i = 0; i < COUNT_OF(later); i++) {
		AUTO(store_news_clear) struct store_news news = {0};

		raw_sql(f->path, later[i]);
		assert_int_equal(store_all(f->store, &news), ZONE_STORE_NEWER);
		fixture_reopen(f);
	}
}

static void what_is_read_in_part_is_all_read_when_the_store_comes_back(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news part = {0};
	AUTO(store_news_clear) struct store_news all = {0};

	fixture_fill(f);
	raw_sql(f->path, RAISE(2, 2, 2));
	assert_int_equal(store_since(f->store, 0, &part), ZONE_OK);
	assert_true(part.limited);
	raw_sql(f->path, RAISE(1, 1, 1));
	assert_int_equal(store_since(f->store, cursor_revision(&part.cursor), &all), ZONE_OK);
	assert_false(all.limited);
	assert_true(all.whole);
	assert_int_equal(all.count, 4);
}

static void unknown_words_are_damage_but_in_a_store_of_a_later_level(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(store_news_clear) struct store_news later = {0};
	const struct entry *zone;

	fixture_fill(f);
	raw_sql(f->path, "INSERT INTO tombstones VALUES ('00000000000000000000000000000000', "
			 "'colour', 1, 0, 0, '00000000000000000000000000000000');"
			 "PRAGMA ignore_check_constraints = 1; UPDATE zones SET state = 'frozen';"
			 "UPDATE wraps SET state = 'split'");
	assert_int_equal(store_all(f->store, &news), ZONE_STORE_CORRUPT);
	raw_sql(f->path, RAISE(1, 2, 2));
	assert_int_equal(store_all(f->store, &later), ZONE_OK);
	assert_int_equal(later.count, 4);
	assert_int_equal(later.unknown, 8); /* six are wraps */
	zone = news_find(&later, ENTRY_ZONE, 1);
	assert_non_null(zone);
	assert_int_equal(zone->state,
			 ENTRY_PENDING_DELETION); /* what nobody knows allows nothing */
	assert_int_equal(zone->of_zone.versions[0].wraps[0].state, WRAP_REPLACED);
}

static void release_of_a_store_makes_no_line_of_its_own(void **state)
{
	FIXTURE(state);

	fixture_fill(f);
	raw_sql(f->path, RAISE(1, 2, 2) "UPDATE store SET release = '1' || char(10) || 'x'");
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 2), false),
			 ZONE_STORE_NEWER_WRITER);
	assert_non_null(strstr(log_last(), "install a later release"));
	assert_null(strchr(log_last(), '\n'));
}

static void facts_are_those_of_the_store(void **state)
{
	FIXTURE(state);
	struct store_facts facts;

	assert_int_equal(f->store->operations->look_at(f->store, &facts), ZONE_OK);
	assert_false(facts.exists);
	fixture_fill(f);
	assert_int_equal(f->store->operations->look_at(f->store, &facts), ZONE_OK);
	assert_true(facts.exists && facts.writable);
	assert_int_equal(facts.head.level, 1);
	assert_int_equal(facts.head.min_reader, 1);
	assert_int_equal(facts.head.min_writer, 1);
	raw_sql(f->path, RAISE(2, 3, 4));
	assert_int_equal(f->store->operations->look_at(f->store, &facts), ZONE_OK);
	assert_int_equal(facts.head.level, 4);
	assert_int_equal(facts.head.min_reader, 2);
	assert_int_equal(facts.head.min_writer, 3);
	assert_string_equal(facts.head.release, "cmek-pkcs11 0.9.0");
}

static void bringing_compares_and_knows_its_levels(void **state)
{
	FIXTURE(state);
	const struct store_operations *operations = f->store->operations;
	AUTO(buffer_clear) struct buffer before = {0};
	AUTO(buffer_clear) struct buffer after = {0};

	assert_int_equal(operations->bring(f->store, 1, 1), ZONE_NOT_FOUND);
	fixture_fill(f);
	file_bytes(f->path, &before);
	assert_int_equal(operations->bring(f->store, 1, 1), ZONE_OK);
	assert_int_equal(operations->bring(f->store, 2, 1), ZONE_CONFLICT);
	assert_int_equal(operations->bring(f->store, 1, 0), ZONE_INVALID);
	assert_int_equal(operations->bring(f->store, 1, store_level_understood() + 1),
			 ZONE_INVALID);
	file_bytes(f->path, &after);
	assert_bytes(buffer_bytes(&after), buffer_bytes(&before));
	raw_sql(f->path, RAISE(1, 2, 2));
	assert_int_equal(operations->bring(f->store, 2, 1), ZONE_STORE_NEWER_WRITER);
}

/* --- The domain */

struct domain {
	struct zones_fixture *f;
	struct entry *root_key, *zone, *deleted;
	struct buffer records, deleted_records;
};

static void make_zone(struct domain *d, const char *label, struct entry **ret_zone,
		      struct buffer *ret_records)
{
	struct entry_names names = names_of(label);

	assert_int_equal(zones_zone_create(d->f->zones, d->f->project->uid, &names, ret_zone),
			 ZONE_OK);
	assert_int_equal(zones_zone_export(d->f->zones, *ret_zone, ret_records), ZONE_OK);
}

static int domain_begin(void **state)
{
	struct domain *d = calloc(1, sizeof(*d));
	void *fixture;

	zones_begin(&fixture);
	d->f = fixture;
	d->root_key = make_root_key(d->f, ROOT_A);
	make_zone(d, "db", &d->zone, &d->records);
	make_zone(d, "old", &d->deleted, &d->deleted_records);
	assert_int_equal(zones_entry_delete(d->f->zones, d->deleted), ZONE_OK);
	*state = d;
	return 0;
}

static int domain_end(void **state)
{
	struct domain *d = *state;
	void *fixture = d->f;

	entry_release(d->root_key);
	entry_release(d->zone);
	entry_release(d->deleted);
	buffer_clear(&d->records);
	buffer_clear(&d->deleted_records);
	free(d);
	return zones_end(&fixture);
}

static enum zone_status open_records(struct domain *d, const struct buffer *records)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	return ezk_from_records(zones_registry(d->f->zones), d->root_key, buffer_bytes(records),
				&ezk);
}

static void assert_opens_by_record_alone(struct domain *d)
{
	struct entry_names names = names_of("new");
	struct entry *none = NULL;

	assert_null(zones_find_zone(d->f->zones, d->zone->of_zone.zone));
	assert_int_equal(open_records(d, &d->records), ZONE_OK);
	/* What was deleted stays so, and says so. */
	assert_int_equal(open_records(d, &d->deleted_records), ZONE_PENDING_DELETION);
	assert_int_equal(zones_zone_create(d->f->zones, d->f->project->uid, &names, &none),
			 ZONE_STORE_NEWER);
}

static void new_process_opens_records_of_a_newer_store(void **state)
{
	struct domain *d = *state;

	raw_sql(d->f->path, RAISE(2, 2, 2));
	zones_free(d->f->zones);
	d->f->zones = zones_other(d->f);
	assert_int_equal(zones_refresh(d->f->zones, false), ZONE_OK);
	assert_int_equal(zones_refresh(d->f->zones, true), ZONE_STORE_NEWER);
	assert_opens_by_record_alone(d);
}

static void running_process_does_as_a_new_one(void **state)
{
	struct domain *d = *state;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	AUTO(entry_releasep) struct entry *again = NULL;

	assert_int_equal(ezk_find(zones_registry(d->f->zones), d->zone, EZK_PRIMARY, &ezk),
			 ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	raw_sql(d->f->path, RAISE(2, 2, 2));
	assert_int_equal(zones_refresh(d->f->zones, true), ZONE_STORE_NEWER);
	assert_int_not_equal(ezk_begin(ezk), ZONE_OK);
	assert_opens_by_record_alone(d);
	/* And back: the same handle works again. */
	raw_sql(d->f->path, RAISE(1, 1, 1));
	assert_int_equal(zones_refresh(d->f->zones, true), ZONE_OK);
	again = zones_find_zone(d->f->zones, d->zone->of_zone.zone);
	assert_non_null(again);
	assert_int_equal(open_records(d, &d->deleted_records), ZONE_PENDING_DELETION);
	assert_int_equal(zones_zone_missing(d->f->zones, d->deleted->of_zone.zone),
			 ZONE_PENDING_DELETION);
}

static void archived_projects_zones_stay_shut_in_a_newer_store(void **state)
{
	struct domain *d = *state;
	struct entry *beside = NULL;
	AUTO(entry_releasep) struct entry *new = NULL;

	assert_int_equal(zones_project_replace(d->f->zones, d->f->project, bytes_of("n"), &beside),
			 ZONE_OK);
	new = beside;
	raw_sql(d->f->path, RAISE(2, 2, 2));
	zones_refresh(d->f->zones, true);
	assert_int_equal(open_records(d, &d->records), ZONE_PENDING_DELETION);
}

static void tombstones_count_in_a_newer_store(void **state)
{
	struct domain *d = *state;
	char sql[320];

	snprintf(sql, sizeof(sql),
		 RAISE(2, 2, 2) "INSERT INTO tombstones VALUES ('%032d', 'zone', 1, %" PRIu64
				", 0, '%032d')",
		 7, d->zone->of_zone.zone, 0);
	raw_sql(d->f->path, sql);
	assert_int_equal(zones_refresh(d->f->zones, true), ZONE_STORE_NEWER);
	assert_int_equal(open_records(d, &d->records), ZONE_DELETED);
}

#define STORE_TEST(name)  cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)
#define DOMAIN_TEST(name) cmocka_unit_test_setup_teardown(name, domain_begin, domain_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(writers_level_stops_writing_alone),
		STORE_TEST(level_alone_stops_nothing),
		STORE_TEST(readers_level_leaves_projects_and_root_keys),
		STORE_TEST(what_can_not_even_be_read_so_is_newer),
		STORE_TEST(what_is_read_in_part_is_all_read_when_the_store_comes_back),
		STORE_TEST(unknown_words_are_damage_but_in_a_store_of_a_later_level),
		STORE_TEST(release_of_a_store_makes_no_line_of_its_own),
		STORE_TEST(facts_are_those_of_the_store),
		STORE_TEST(bringing_compares_and_knows_its_levels),
		DOMAIN_TEST(new_process_opens_records_of_a_newer_store),
		DOMAIN_TEST(running_process_does_as_a_new_one),
		DOMAIN_TEST(archived_projects_zones_stay_shut_in_a_newer_store),
		DOMAIN_TEST(tombstones_count_in_a_newer_store),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
