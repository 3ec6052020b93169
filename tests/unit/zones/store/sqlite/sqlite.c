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
#include <sched.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

/* --- What must not be touched */

static void assert_left_alone(struct fixture *f, enum zone_status status)
{
	AUTO(buffer_clear) struct buffer before = {0};
	AUTO(buffer_clear) struct buffer after = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(store_news_clear) struct store_news news = {0};

	file_bytes(f->path, &before);
	fixture_reopen(f);
	assert_int_equal(store_all(f->store, &news), status);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 2), false), status);
	assert_int_equal(f->store->operations->describe(f->store, &text), status);
	file_bytes(f->path, &after);
	assert_bytes(buffer_bytes(&after), buffer_bytes(&before));
}

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	close(fd);
}

static void newer_store_is_left_alone(void **state)
{
	FIXTURE(state);

	fixture_fill(f);
	raw_sql(f->path, "PRAGMA user_version = 2; DROP TABLE store");
	assert_left_alone(f, ZONE_STORE_NEWER);
}

static void garbage_is_left_alone(void **state)
{
	FIXTURE(state);
	char garbage[5000];

	fixture_fill(f);
	memset(garbage, 'x', sizeof(garbage));
	write_file(f->path, garbage, sizeof(garbage));
	assert_left_alone(f, ZONE_STORE_CORRUPT);
	write_file(f->path, garbage, 10);
	assert_left_alone(f, ZONE_STORE_CORRUPT);
}

static void empty_file_is_not_a_new_store(void **state)
{
	FIXTURE(state);

	fixture_fill(f);
	write_file(f->path, "", 0);
	assert_left_alone(f, ZONE_STORE_CORRUPT);
}

static void database_of_somebody_else_is_left_alone(void **state)
{
	FIXTURE(state);

	fixture_fill(f);
	unlink(f->path);
	raw_sql(f->path, "CREATE TABLE projects (name TEXT)");
	assert_left_alone(f, ZONE_STORE_CORRUPT);
}

static void store_that_lacks_a_table_is_left_alone(void **state)
{
	FIXTURE(state);

	fixture_fill(f);
	raw_sql(f->path, "DROP TABLE wraps");
	assert_left_alone(f, ZONE_STORE_CORRUPT);
}

static void truncated_store_is_left_alone(void **state)
{
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer whole = {0};

	fixture_fill(f);
	file_bytes(f->path, &whole);
	for (size_t len = 100; len < whole.len - 4096; len += 8192) {
		AUTO(store_news_clear) struct store_news news = {0};

		write_file(f->path, whole.data, len);
		fixture_reopen(f);
		assert_int_equal(store_all(f->store, &news), ZONE_STORE_CORRUPT);
	}
	assert_left_alone(f, ZONE_STORE_CORRUPT);
}

static void row_that_no_release_wrote_is_corrupt(void **state)
{
	static const char *const damages[] = {
		"UPDATE projects SET label = x'00'",
		"UPDATE projects SET label = 'a' || char(0) || 'b'",
		"UPDATE projects SET slot = 'x'",
		"UPDATE projects SET slot = -1",
		"UPDATE root_keys SET arn = x'41'",
		"UPDATE clusters SET root_key = 'zz' || substr(root_key, 3)",
		"UPDATE zones SET id = zeroblob(256)",
		"UPDATE zones SET primary_version = 3",
		"UPDATE zones SET raw_version = 9",
		("UPDATE ezk_versions SET mac = zeroblob(31) || x'' WHERE 0; "
		 "PRAGMA ignore_check_constraints = 1; UPDATE ezk_versions SET mac = x'00'"),
		"UPDATE wraps SET blob = x''",
		"UPDATE wraps SET arn = ''  || CAST(x'ff' AS TEXT)",
		"DELETE FROM store",
		"UPDATE store SET revision = 'many'",
		"UPDATE store SET schema = 0",
		"UPDATE store SET min_writer = 0",
		"UPDATE store SET min_reader = 2, min_writer = 2, schema = 2", /* unlike its head */
		"UPDATE store SET min_writer = 2",			       /* above its level */
		"PRAGMA user_version = 0",
		"PRAGMA user_version = -5",
	};
	FIXTURE(state);
	AUTO(buffer_clear) struct buffer whole = {0};

	fixture_fill(f);
	file_bytes(f->path, &whole);
	for (size_t i = 0; i < COUNT_OF(damages); i++) {
		write_file(f->path, whole.data, whole.len);
		raw_sql(f->path, damages[i]);
		print_message("# %s\n", damages[i]);
		assert_left_alone(f, ZONE_STORE_CORRUPT);
	}
}

static void journal_without_its_store_is_left_alone(void **state)
{
	FIXTURE(state);
	char journal[160];

	fixture_fill(f);
	unlink(f->path);
	snprintf(journal, sizeof(journal), "%s-journal", f->path);
	write_file(journal, "journal", 7);
	fixture_reopen(f);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false),
			 ZONE_STORE_CORRUPT);
	assert_int_equal(access(f->path, F_OK), -1);
	assert_int_equal(access(journal, F_OK), 0);
	unlink(journal);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false), ZONE_OK);
}

static void leftover_of_a_store_that_was_never_finished_does_no_harm(void **state)
{
	FIXTURE(state);
	char new[160];

	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false), ZONE_OK);
	unlink(f->path);
	fixture_reopen(f);
	snprintf(new, sizeof(new), "%s.new", f->path);
	write_file(new, "half", 4);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false), ZONE_OK);
	assert_int_equal(access(new, F_OK), -1);
}

static void store_in_wal_mode_is_brought_back(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};

	fixture_fill(f);
	raw_sql(f->path, "PRAGMA journal_mode = WAL");
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 1), false), ZONE_OK);
	store_news_clear(&news);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_int_equal(news.count, 5);
}

/* --- A child with fewer rights; the exit code is the number of the check that failed */

static int in_child(void (*run)(struct fixture *), struct fixture *f)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		run(f);
		child_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#define CHILD_CHECK(number, condition)                                                             \
	do {                                                                                       \
		if (!(condition))                                                                  \
			child_exit(number);                                                        \
	} while (0)

static void drop_rights(void)
{
	if (geteuid() == 0 && (setgid(65534) != 0 || setuid(65534) != 0))
		child_exit(99);
}

static void read_but_not_write(struct fixture *f)
{
	struct store_news news = {0};
	struct buffer text = {0};

	drop_rights();
	CHILD_CHECK(1, store_all(f->store, &news) == ZONE_OK);
	CHILD_CHECK(2, news.count == 4);
	CHILD_CHECK(3, store_put_one(f->store, test_entry(ENTRY_KEY, 1), false) ==
			       ZONE_STORE_READ_ONLY);
	CHILD_CHECK(4, f->store->operations->describe(f->store, &text) == ZONE_OK);
	CHILD_CHECK(5, strstr(buffer_text(&text), "read-only") != NULL);
}

static void neither_read_nor_write(struct fixture *f)
{
	struct store_news news = {0};

	drop_rights();
	CHILD_CHECK(1, store_all(f->store, &news) == ZONE_STORE_UNAVAILABLE);
	CHILD_CHECK(2, strstr(log_last(), "give it the owner, group and mode of") != NULL);
	CHILD_CHECK(3, store_put_one(f->store, test_entry(ENTRY_KEY, 1), false) ==
			       ZONE_STORE_UNAVAILABLE);
}

static void read_only_store_is_read_and_not_written(void **state)
{
	FIXTURE(state);
	char folder[128], lock[160];

	if (geteuid() != 0) {
		print_message("# reason: it takes root to be two users\n");
		skip();
	}
	fixture_fill(f);
	snprintf(folder, sizeof(folder), "%s/data", f->folder);
	snprintf(lock, sizeof(lock), "%s.lock", f->path);
	assert_int_equal(chmod(f->folder, 0755), 0);
	assert_int_equal(chmod(f->path, 0444), 0);
	assert_int_equal(chmod(folder, 0555), 0);
	fixture_reopen(f);
	assert_int_equal(in_child(neither_read_nor_write, f),
			 0); /* the lock is the owner's alone */
	assert_int_equal(chmod(lock, 0444), 0);
	assert_int_equal(in_child(read_but_not_write, f), 0);
	assert_int_equal(unlink(lock), 0); /* none, and none can be made */
	assert_int_equal(in_child(read_but_not_write, f), 0);
	/* A file that may be written in a folder where no journal can be. */
	assert_int_equal(chmod(f->path, 0666), 0);
	assert_int_equal(in_child(read_but_not_write, f), 0);
	assert_int_equal(chmod(folder, 0700), 0);
}

/* A transaction of which something is in the file already. */
static void be_cut_off(struct fixture *f)
{
	sqlite3 *db = NULL;

	CHILD_CHECK(1, sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK);
	CHILD_CHECK(2, sqlite3_exec(db,
				    "PRAGMA cache_size = 1; BEGIN; CREATE TABLE more (x);"
				    "WITH RECURSIVE c (i) AS (VALUES (1) UNION ALL SELECT i + 1 "
				    "FROM c LIMIT 100) INSERT INTO more SELECT randomblob(3000) "
				    "FROM c",
				    NULL, NULL, NULL) == SQLITE_OK);
	child_exit(77);
}

/* The journal is where SQLite puts it, and the lock where those look for it who know no link. */
static void store_behind_a_link_is_the_one_it_leads_to(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};
	char real[100], name[120], data[100];

	snprintf(data, sizeof(data), "%s/data", f->folder);
	snprintf(real, sizeof(real), "%s/elsewhere/real.db", f->folder);
	assert_int_equal(mkdir(data, 0700), 0);
	assert_int_equal(symlink(real, f->path), 0);
	assert_int_equal(store_all(f->store, &news), ZONE_STORE_UNAVAILABLE); /* no empty one */
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false),
			 ZONE_STORE_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "is a link"));
	assert_int_equal(unlink(f->path), 0);
	fixture_fill(f);
	snprintf(name, sizeof(name), "%s/elsewhere", f->folder);
	assert_int_equal(mkdir(name, 0700), 0);
	assert_int_equal(rename(f->path, real), 0);
	assert_int_equal(symlink(real, f->path), 0);
	fixture_reopen(f);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 1), false), ZONE_OK);
	snprintf(name, sizeof(name), "%s.lock", real);
	assert_int_equal(access(name, F_OK), 0);

	/* What was cut off is rolled back by whoever reads next. */
	assert_int_equal(in_child(be_cut_off, f), 77);
	snprintf(name, sizeof(name), "%s-journal", real);
	assert_int_equal(access(name, F_OK), 0);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_int_equal(news.count, 5);
	assert_int_equal(access(name, F_OK), -1);
}

static void fail_to_make(struct fixture *f)
{
	drop_rights();
	CHILD_CHECK(1, store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false) ==
			       ZONE_STORE_READ_ONLY);
}

static void store_that_cannot_be_made_is_read_only(void **state)
{
	FIXTURE(state);

	assert_int_equal(chmod(f->folder, 0555), 0);
	assert_int_equal(in_child(fail_to_make, f), 0);
	assert_int_equal(chmod(f->folder, 0700), 0);
}

static void write_within_a_limit(struct fixture *f)
{
	struct stat found;
	struct store_news news = {0};

	signal(SIGXFSZ, SIG_IGN);
	CHILD_CHECK(1, stat(f->path, &found) == 0);
	for (uint32_t number = 10; number < 500; number++) {
		struct rlimit limit = {(rlim_t)found.st_size, (rlim_t)found.st_size};
		enum zone_status status;

		CHILD_CHECK(2, setrlimit(RLIMIT_FSIZE, &limit) == 0);
		status = store_put_one(f->store, test_entry(ENTRY_KEY, number), false);
		if (status == ZONE_OK)
			continue;
		CHILD_CHECK(3, status == ZONE_STORE_FULL);
		CHILD_CHECK(4, store_all(f->store, &news) == ZONE_OK);
		CHILD_CHECK(5, news_find(&news, ENTRY_KEY, number) == NULL);
		CHILD_CHECK(6, news_find(&news, ENTRY_KEY, number - 1) != NULL || number == 10);
		return;
	}
	child_exit(7);
}

static void limit_on_file_sizes_is_a_full_store_in_its_old_state(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};

	fixture_fill(f);
	assert_int_equal(in_child(write_within_a_limit, f), 0);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 1000), false), ZONE_OK);
}

/* On a disk of its own: 99 = none can be mounted here. */
static void write_until_the_disk_is_full(struct fixture *f)
{
	uint32_t number = 10;
	struct store_news news = {0};
	enum zone_status status = ZONE_OK;
	char folder[128];

	snprintf(folder, sizeof(folder), "%s/data", f->folder);
	if (mkdir(folder, 0700) != 0 || unshare(CLONE_NEWNS) != 0 ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("none", folder, "tmpfs", 0, "size=320k") != 0)
		child_exit(99);
	fixture_fill(f);
	for (; number < 2000 && status == ZONE_OK; number++)
		status = store_put_one(f->store, test_entry(ENTRY_KEY, number), false);
	number--;
	CHILD_CHECK(1, status == ZONE_STORE_FULL);
	CHILD_CHECK(2, store_all(f->store, &news) == ZONE_OK);
	CHILD_CHECK(3, news_find(&news, ENTRY_KEY, number) == NULL);
	CHILD_CHECK(4, news_find(&news, ENTRY_KEY, number - 1) != NULL);
}

static void full_disk_leaves_the_old_state(void **state)
{
	FIXTURE(state);
	int result = in_child(write_until_the_disk_is_full, f);

	if (result == 99) {
		print_message("# reason: no file system can be mounted here\n");
		skip();
	}
	assert_int_equal(result, 0);
}

static void make_within_a_limit(struct fixture *f)
{
	struct rlimit limit = {20000, 20000};
	char new[160];

	signal(SIGXFSZ, SIG_IGN);
	snprintf(new, sizeof(new), "%s.new", f->path);
	CHILD_CHECK(1, setrlimit(RLIMIT_FSIZE, &limit) == 0);
	CHILD_CHECK(2, store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false) ==
			       ZONE_STORE_FULL);
	CHILD_CHECK(3, access(f->path, F_OK) != 0);
	CHILD_CHECK(4, access(new, F_OK) != 0);
}

static void store_that_does_not_fit_is_not_made(void **state)
{
	FIXTURE(state);

	assert_int_equal(in_child(make_within_a_limit, f), 0);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false), ZONE_OK);
}

static void read_without_descriptors(struct fixture *f)
{
	struct store_news news = {0};
	int next = dup(STDERR_FILENO);
	struct rlimit few;

	close(next);
	CHILD_CHECK(1, getrlimit(RLIMIT_NOFILE, &few) == 0);
	few.rlim_cur = (rlim_t)next; /* the greatest stays: valgrind lets nobody lower that */
	CHILD_CHECK(1, setrlimit(RLIMIT_NOFILE, &few) == 0);
	CHILD_CHECK(2, store_all(f->store, &news) == ZONE_STORE_UNAVAILABLE);
	CHILD_CHECK(3, strstr(log_last(), strerror(EMFILE)) != NULL);
	CHILD_CHECK(4, strstr(log_last(), "raise the limit on open files") != NULL);
}

/* SQLite only says that it can't open the file. */
static void too_many_open_files_are_called_that(void **state)
{
	FIXTURE(state);

	fixture_fill(f);
	fixture_reopen(f);
	assert_int_equal(in_child(read_without_descriptors, f), 0);
}

static void what_is_in_the_store_s_way_is_called_what_it_is(void **state)
{
	FIXTURE(state);
	static const struct {
		const char *target;
		const char *said;
	} rows[] = {{"data", "Too many levels of symbolic links"},
		    {"/dev/null", "Not a directory"}};
	struct store_news news = {0};
	char folder[128];

	snprintf(folder, sizeof(folder), "%s/data", f->folder);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		assert_int_equal(symlink(rows[i].target, folder), 0);
		assert_int_equal(store_all(f->store, &news), ZONE_STORE_UNAVAILABLE);
		assert_non_null(strstr(log_last(), rows[i].said));
		assert_int_equal(unlink(folder), 0);
		fixture_reopen(f);
	}
}

static void a_journal_that_is_a_pipe_is_not_waited_for(void **state)
{
	FIXTURE(state);
	struct store_news news = {0};
	char journal[160];

	fixture_fill(f);
	snprintf(journal, sizeof(journal), "%s-journal", f->path);
	assert_int_equal(mkfifo(journal, 0600), 0);
	fixture_reopen(f);
	assert_int_equal(store_all(f->store, &news), ZONE_STORE_UNAVAILABLE);
	assert_non_null(strstr(log_last(), "is not a file; remove it"));
	assert_int_equal(unlink(journal), 0);
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
		STORE_TEST(newer_store_is_left_alone),
		STORE_TEST(garbage_is_left_alone),
		STORE_TEST(empty_file_is_not_a_new_store),
		STORE_TEST(database_of_somebody_else_is_left_alone),
		STORE_TEST(store_that_lacks_a_table_is_left_alone),
		STORE_TEST(truncated_store_is_left_alone),
		STORE_TEST(row_that_no_release_wrote_is_corrupt),
		STORE_TEST(journal_without_its_store_is_left_alone),
		STORE_TEST(leftover_of_a_store_that_was_never_finished_does_no_harm),
		STORE_TEST(store_in_wal_mode_is_brought_back),
		STORE_TEST(read_only_store_is_read_and_not_written),
		STORE_TEST(store_behind_a_link_is_the_one_it_leads_to),
		STORE_TEST(store_that_cannot_be_made_is_read_only),
		STORE_TEST(limit_on_file_sizes_is_a_full_store_in_its_old_state),
		STORE_TEST(full_disk_leaves_the_old_state),
		STORE_TEST(store_that_does_not_fit_is_not_made),
		STORE_TEST(too_many_open_files_are_called_that),
		STORE_TEST(what_is_in_the_store_s_way_is_called_what_it_is),
		STORE_TEST(a_journal_that_is_a_pipe_is_not_waited_for),
		STORE_TEST(description_names_path_level_and_revision),
		STORE_TEST(description_tells_of_keys_whose_zone_is_gone),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
