/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite store where something is in its way: files that are damaged, newer or not ours, no
 * rights, no room. Nothing is written over. */
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
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FIXTURE(state) struct fixture *f = *(state)

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

static void make_it(struct fixture *f)
{
	drop_rights();
	CHILD_CHECK(1, store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false) == ZONE_OK);
}

/* Then the folder can't be opened to be synced. */
static void store_is_made_where_the_folder_can_not_be_read(void **state)
{
	FIXTURE(state);
	AUTO(store_news_clear) struct store_news news = {0};
	char folder[128];

	snprintf(folder, sizeof(folder), "%s/data", f->folder);
	assert_int_equal(chmod(f->folder, 0755), 0);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_int_equal(chmod(folder, geteuid() == 0 ? 0733 : 0300), 0);
	assert_int_equal(in_child(make_it, f), 0);
	assert_int_equal(chmod(folder, 0700), 0);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_int_equal(news.count, 1);
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

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
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
		STORE_TEST(store_is_made_where_the_folder_can_not_be_read),
		STORE_TEST(limit_on_file_sizes_is_a_full_store_in_its_old_state),
		STORE_TEST(full_disk_leaves_the_old_state),
		STORE_TEST(store_that_does_not_fit_is_not_made),
		STORE_TEST(too_many_open_files_are_called_that),
		STORE_TEST(what_is_in_the_store_s_way_is_called_what_it_is),
		STORE_TEST(a_journal_that_is_a_pipe_is_not_waited_for),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
