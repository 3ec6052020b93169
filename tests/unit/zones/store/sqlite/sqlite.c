/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite store in one process: what goes in comes out, transactions are whole, and nothing that
 * is damaged, newer or not ours is written over. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "zones/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FIXTURE(state) struct fixture *f = *(state)

static void missing_store_is_empty_and_stays_missing(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};
	char folder[128];

	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_int_equal(news.count, 0);
	assert_true(news.whole);
	assert_int_equal(cursor_revision(&news.cursor), 0);
	snprintf(folder, sizeof(folder), "%s/data", f->folder);
	assert_int_equal(access(folder, F_OK), -1);
}

static void first_write_makes_folder_and_file_for_the_owner_alone(void **state)
{
	FIXTURE(state);
	struct stat found;
	char folder[128];

	umask(0);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false), ZONE_OK);
	assert_int_equal(stat(f->path, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0600);
	snprintf(folder, sizeof(folder), "%s/data", f->folder);
	assert_int_equal(stat(folder, &found), 0);
	assert_int_equal(found.st_mode & 07777, 0700);
	umask(022);
}

static void every_kind_comes_back_as_it_was_written(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};

	fixture_fill(f);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 1), false), ZONE_OK);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_ARCHIVE, 1), false), ZONE_OK);
	fixture_reopen(f);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_int_equal(news.count, ENTRY_KIND_COUNT);
	assert_int_equal(cursor_revision(&news.cursor), 3);
	for (int kind = 0; kind < ENTRY_KIND_COUNT; kind++) {
		AUTO(entry_releasep)
		struct entry *written = test_entry((enum entry_kind)kind, 1);
		const struct entry *read = news_find(&news, (enum entry_kind)kind, 1);

		assert_non_null(read);
		written->revision = read->revision;
		assert_same_entry(read, written);
	}
}

static void change_of_a_zone_is_written_whole(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(entry_releasep) struct entry *zone = NULL;
	const struct entry *read;

	fixture_fill(f);
	zone = test_entry(ENTRY_ZONE, 1);
	zone->revision = 1;
	zone->state = ENTRY_PENDING_DELETION;
	zone->delete_after_ms = 77;
	zone->of_zone.primary = 1;
	zone->of_zone.versions[0].wraps[1].state = WRAP_REPLACED;
	zone->of_zone.imported = true;
	assert_int_equal(store_put_one(f->store, entry_hold(zone), false), ZONE_OK);
	assert_int_equal(zone->revision, 2);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	read = news_find(&news, ENTRY_ZONE, 1);
	assert_same_entry(read, zone);
}

/* The place in the table that only a row which nobody has written anew still has. */
enum { MARKED_ROW = 1000 };
#define FIRST_VERSION "version = 1 AND record_zone = 0"

static bool first_version_was_left_alone(const char *path)
{
	sqlite3_stmt *statement = NULL;
	sqlite3 *db = NULL;
	int64_t row;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db,
					    "SELECT rowid FROM ezk_versions WHERE " FIRST_VERSION,
					    -1, &statement, NULL),
			 SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	row = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return row == MARKED_ROW;
}

/* Version 2 has another wrap, 3 is new, and the one that was imported is gone. */
static struct entry *change_versions(const struct entry *before)
{
	struct entry *zone = entry_copy(before);
	struct ezk_version *versions = zone->of_zone.versions;

	versions[1].wraps[0].state = WRAP_REPLACED;
	versions[2].record_zone = 0;
	versions[2].version = 3;
	versions[2].fingerprint[0] = 0x33;
	zone->of_zone.primary = 3;
	return zone;
}

static void only_what_differs_of_a_zone_is_written(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news first = {0}, news = {0};
	AUTO(entry_releasep) struct entry *zone = NULL;
	struct store_change change = {0};
	uint64_t revision;

	fixture_fill(f);
	assert_int_equal(store_all(f->store, &first), ZONE_OK);
	raw_sql(f->path, "UPDATE ezk_versions SET rowid = 1000 WHERE " FIRST_VERSION);
	zone = change_versions(news_find(&first, ENTRY_ZONE, 1));
	change.entry = entry_hold(zone);
	change.before = news_find(&first, ENTRY_ZONE, 1);
	assert_int_equal(store_put(f->store, &change, 1, &revision), ZONE_OK);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_same_entry(news_find(&news, ENTRY_ZONE, 1), zone);
	assert_true(first_version_was_left_alone(f->path));
	/* Without the state before all of it is written. */
	assert_int_equal(store_put_one(f->store, entry_hold(zone), false), ZONE_OK);
	assert_false(first_version_was_left_alone(f->path));
}

static void stale_change_is_a_conflict_and_changes_nothing(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};
	struct store_change changes[2];
	struct entry *stale = test_entry(ENTRY_PROJECT, 1);
	uint64_t revision = 0;

	fixture_fill(f);
	stale->revision = 7; /* is 1 */
	changes[0] = (struct store_change){test_entry(ENTRY_KEY, 9), false};
	changes[1] = (struct store_change){stale, false};
	assert_int_equal(store_put(f->store, changes, 2, &revision), ZONE_CONFLICT);
	assert_int_equal(revision, 0);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_int_equal(cursor_revision(&news.cursor), 1);
	assert_null(news_find(&news, ENTRY_KEY, 9));
}

static void what_is_new_must_not_be_there(void **state)
{
	FIXTURE(state);
	struct entry *same = test_entry(ENTRY_ZONE, 2);

	fixture_fill(f);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false),
			 ZONE_CONFLICT);
	/* The same zone id, the same fingerprint, the same label under another uid. */
	same->of_zone.zone--;
	assert_int_equal(store_put_one(f->store, same, false), ZONE_CONFLICT);
	same = test_entry(ENTRY_ZONE, 2);
	memset(same->of_zone.versions[1].fingerprint, 0, 16);
	same->of_zone.versions[1].fingerprint[0] = 2;
	same->of_zone.versions[1].fingerprint[1] = 7;
	same->of_zone.versions[1].fingerprint[4] = 1;
	assert_int_equal(store_put_one(f->store, same, false), ZONE_CONFLICT);
	same = test_entry(ENTRY_ZONE, 2);
	same->label[6] = '1';
	assert_int_equal(store_put_one(f->store, same, false), ZONE_CONFLICT);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_ZONE, 2), false), ZONE_OK);
}

static void what_names_something_missing_is_refused(void **state)
{
	FIXTURE(state);
	struct entry *cluster = test_entry(ENTRY_CLUSTER, 2);

	fixture_fill(f);
	cluster->of_cluster.root_key = test_uid(ENTRY_ROOT_KEY, 99);
	assert_int_equal(store_put_one(f->store, cluster, false), ZONE_CONFLICT);
}

static void removal_leaves_a_tombstone_that_others_read(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};
	struct entry *zone = test_entry(ENTRY_ZONE, 1);
	uint64_t id = zone->of_zone.zone;

	fixture_fill(f);
	zone->revision = 1;
	assert_int_equal(store_put_one(f->store, zone, true), ZONE_OK);
	fixture_reopen(f);
	assert_int_equal(store_since(f->store, 1, &news), ZONE_OK);
	store_news_clear(&news);
	assert_int_equal(store_since(f->store, 1, &news), ZONE_OK);
	assert_false(news.whole);
	assert_int_equal(news.count, 1);
	assert_true(news.rows[0].removed);
	assert_int_equal(news.rows[0].entry->kind, ENTRY_ZONE);
	assert_true(uid_equal(news.rows[0].entry->uid, test_uid(ENTRY_ZONE, 1)));
	assert_int_equal(news.rows[0].entry->of_zone.zone, id);
	assert_int_equal(news.rows[0].entry->revision, 2);

	/* It is no free place, but for a backup. */
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_ZONE, 1), false), ZONE_CONFLICT);
	/* Versions and wraps went with it: another may have them. */
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_ZONE, 2), false), ZONE_OK);
}

static void reading_since_a_revision_brings_what_is_newer(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};

	fixture_fill(f);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_true(news.whole);
	store_news_clear(&news);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 5), false), ZONE_OK);
	assert_int_equal(store_since(f->store, 1, &news), ZONE_OK);
	assert_false(news.whole);
	assert_int_equal(news.count, 1);
	assert_non_null(news_find(&news, ENTRY_KEY, 5));
	store_news_clear(&news);
	assert_int_equal(store_since(f->store, 2, &news), ZONE_OK);
	assert_int_equal(news.count, 0);
	assert_int_equal(cursor_revision(&news.cursor), 2);
}

static void another_store_in_its_place_is_read_whole(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};

	fixture_fill(f);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 1), false), ZONE_OK);
	assert_int_equal(unlink(f->path), 0);
	fixture_reopen(f);
	fixture_fill(f);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 2), false), ZONE_OK);
	raw_sql(f->path, "UPDATE store SET id = 'ffffffffffffffffffffffffffffffff'");
	assert_int_equal(store_since(f->store, 2, &news), ZONE_OK);
	assert_true(news.whole);
	assert_int_equal(news.count, 5);
	store_news_clear(&news);

	/* An old backup of the same store. */
	raw_sql(f->path, "UPDATE store SET revision = 1");
	assert_int_equal(store_since(f->store, 2, &news), ZONE_OK);
	assert_true(news.whole);
}

/* How often the log says so. */
static size_t count_lines(const char *path, const char *text)
{
	AUTO(buffer_clear) struct buffer log = {0};
	size_t count = 0;

	file_bytes(path, &log);
	for (const char *at = buffer_text(&log); (at = strstr(at, text)) != NULL; at++)
		count++;
	return count;
}

static void store_that_was_there_is_out_of_reach_until_it_is_back(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	char data[128], aside[128], log[128];

	snprintf(data, sizeof(data), "%s/data", f->folder);
	snprintf(aside, sizeof(aside), "%s/aside", f->folder);
	snprintf(log, sizeof(log), "%s/log", f->folder);
	fixture_fill(f);
	assert_true(log_configure(LOG_WARNING, log));
	assert_int_equal(rename(data, aside), 0);
	for (int round = 0; round < 3; round++) {
		assert_true(f->store->operations->changed(f->store));
		assert_int_equal(store_since(f->store, 1, &news), ZONE_STORE_UNAVAILABLE);
		assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 1), false),
				 ZONE_STORE_UNAVAILABLE);
		assert_non_null(strstr(log_last(), "out of reach"));
	}
	assert_int_equal(f->store->operations->describe(f->store, &text), ZONE_STORE_UNAVAILABLE);
	assert_int_equal(access(data, F_OK), -1); /* not even its folder or a lock is made */
	assert_int_equal(rename(aside, data), 0);
	assert_true(f->store->operations->changed(f->store));
	assert_int_equal(store_since(f->store, 1, &news), ZONE_OK);
	assert_false(news.whole);
	store_news_clear(&news);
	assert_int_equal(store_since(f->store, 1, &news), ZONE_OK);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 1), false), ZONE_OK);
	assert_int_equal(rename(f->path, aside), 0);
	assert_int_equal(store_since(f->store, 2, &news), ZONE_STORE_UNAVAILABLE);
	assert_true(log_configure(LOG_OFF, "stderr"));
	assert_int_equal(count_lines(log, "out of reach"), 2);
	assert_int_equal(count_lines(log, ": it is back"), 1);

	/* For whoever has not seen it, it is not there. */
	fixture_reopen(f);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false), ZONE_OK);
}

struct question {
	enum zone_status answer;
	struct store_change *change;
	size_t news_count;
	uint64_t news_revision;
	bool whole;
};

static enum zone_status answer(void *state, struct store_news *news,
			       struct store_change **ret_changes, size_t *ret_count)
{
	struct question *question = state;

	question->news_count = news->count;
	question->news_revision = cursor_revision(&news->cursor);
	question->whole = news->whole;
	*ret_changes = question->change;
	*ret_count = question->change != NULL;
	return question->answer;
}

static enum zone_status ask(struct store *store, uint64_t since, struct question *question,
			    uint64_t *ret_revision)
{
	const struct store_cursor cursor = cursor_at(since);
	struct store_cursor after;
	enum zone_status status =
		store->operations->write(store, &cursor, answer, question, &after);

	if (status == ZONE_OK)
		*ret_revision = cursor_revision(&after);
	return status;
}

static void refused_transaction_leaves_nothing(void **state)
{
	FIXTURE(state);
	struct store_change change = {test_entry(ENTRY_PROJECT, 1), false};
	struct question question = {.answer = ZONE_EXISTS, .change = &change};
	uint64_t revision = 5;

	assert_int_equal(ask(f->store, 0, &question, &revision), ZONE_EXISTS);
	assert_int_equal(access(f->path, F_OK), -1);
	question = (struct question){0};
	assert_int_equal(ask(f->store, 0, &question, &revision), ZONE_OK);
	assert_true(question.whole);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(revision, 0);

	fixture_fill(f);
	question = (struct question){.answer = ZONE_IN_USE, .change = &change};
	assert_int_equal(ask(f->store, 0, &question, &revision), ZONE_IN_USE);
	assert_int_equal(question.news_count, 4);
	assert_int_equal(question.news_revision, 1);
	question = (struct question){0};
	assert_int_equal(ask(f->store, 1, &question, &revision), ZONE_OK);
	assert_int_equal(question.news_count, 0);
	assert_int_equal(revision, 1);
	entry_release(change.entry);
}

static void change_is_noticed_by_a_look_at_the_file(void **state)
{
	FIXTURE(state);
	struct store *other = store_sqlite_new(f->path);
	AUTO(store_news_clear) struct store_news news = {0};
	struct timespec old = {.tv_sec = 1700000000};
	const struct timespec times[2] = {old, old};

	assert_true(other->operations->changed(other));
	fixture_fill(f);
	assert_true(other->operations->changed(other));
	/* A file that was changed this very moment may be changed again without a new time. */
	assert_int_equal(store_all(other, &news), ZONE_OK);
	assert_true(other->operations->changed(other));
	store_news_clear(&news);
	assert_int_equal(utimensat(AT_FDCWD, f->path, times, 0), 0);
	assert_int_equal(store_all(other, &news), ZONE_OK);
	assert_false(other->operations->changed(other));
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 1), false), ZONE_OK);
	assert_true(other->operations->changed(other));
	assert_int_equal(unlink(f->path), 0);
	assert_true(other->operations->changed(other));
	other->operations->free(other);
}

static void description_names_path_level_and_revision(void **state)
{
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer text = {0};

	assert_int_equal(f->store->operations->describe(f->store, &text), ZONE_OK);
	assert_non_null(strstr(buffer_text(&text), f->path));
	assert_non_null(strstr(buffer_text(&text), "not made yet"));
	fixture_fill(f);
	assert_int_equal(f->store->operations->describe(f->store, &text), ZONE_OK);
	assert_non_null(strstr(buffer_text(&text), "level 1, readers need 1, writers 1"));
	assert_non_null(strstr(buffer_text(&text), "revision 1, 4 rows, writable"));
}

/* Whoever takes rows from zones alone has erased nothing. */
static void description_tells_of_keys_whose_zone_is_gone(void **state)
{
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer text = {0};

	fixture_fill(f);
	assert_int_equal(f->store->operations->describe(f->store, &text), ZONE_OK);
	assert_null(strstr(buffer_text(&text), "not in zones"));
	raw_sql(f->path, "DELETE FROM zones");
	assert_int_equal(f->store->operations->describe(f->store, &text), ZONE_OK);
	assert_non_null(strstr(buffer_text(&text), "keys of 1 databases that are not in zones"));
}

static void assert_zones(struct fixture *f, uint64_t revision, size_t expected)
{
	AUTO(store_news_clear) struct store_news news = {0};

	assert_int_equal(store_since(f->store, revision, &news), ZONE_OK);
	assert_false(news.whole);
	assert_true(news.zones_counted);
	assert_int_equal(news.zones, expected);
}

/* Their number is kept between looks, and never believed longer than it is true. */
static void zones_are_told_to_be_as_many_as_there_are(void **state)
{
	FIXTURE(state);
	struct store *other;
	struct store_change first[] = {{.entry = test_entry(ENTRY_ZONE, 2)}};
	struct store_change two[] = {{.entry = test_entry(ENTRY_ZONE, 3)},
				     {.entry = test_entry(ENTRY_ZONE, 4)}};
	uint64_t revision;

	fixture_fill(f);
	assert_zones(f, 1, 1);
	assert_int_equal(store_put(f->store, first, 1, &revision), ZONE_OK);
	assert_zones(f, revision, 2);
	other = store_sqlite_new(f->path);
	assert_int_equal(store_put(other, two, 2, &revision), ZONE_OK);
	other->operations->free(other);
	assert_zones(f, revision, 4);
	assert_zones(f, revision, 4);
	raw_sql(f->path, "PRAGMA foreign_keys = OFF; DELETE FROM zones WHERE zone IN "
			 "(SELECT max(zone) FROM zones)");
	assert_zones(f, revision, 3);
	raw_sql(f->path, "PRAGMA foreign_keys = OFF; PRAGMA journal_mode = WAL; DELETE FROM zones "
			 "WHERE zone IN (SELECT max(zone) FROM zones)");
	assert_zones(f, revision, 2);
	raw_sql(f->path, "PRAGMA foreign_keys = OFF; DELETE FROM zones");
	assert_zones(f, revision, 0);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(missing_store_is_empty_and_stays_missing),
		STORE_TEST(first_write_makes_folder_and_file_for_the_owner_alone),
		STORE_TEST(every_kind_comes_back_as_it_was_written),
		STORE_TEST(change_of_a_zone_is_written_whole),
		STORE_TEST(zones_are_told_to_be_as_many_as_there_are),
		STORE_TEST(only_what_differs_of_a_zone_is_written),
		STORE_TEST(stale_change_is_a_conflict_and_changes_nothing),
		STORE_TEST(what_is_new_must_not_be_there),
		STORE_TEST(what_names_something_missing_is_refused),
		STORE_TEST(removal_leaves_a_tombstone_that_others_read),
		STORE_TEST(reading_since_a_revision_brings_what_is_newer),
		STORE_TEST(another_store_in_its_place_is_read_whole),
		STORE_TEST(store_that_was_there_is_out_of_reach_until_it_is_back),
		STORE_TEST(refused_transaction_leaves_nothing),
		STORE_TEST(change_is_noticed_by_a_look_at_the_file),
		STORE_TEST(description_names_path_level_and_revision),
		STORE_TEST(description_tells_of_keys_whose_zone_is_gone),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
