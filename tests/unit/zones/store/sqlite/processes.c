/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store among processes: several writers, forks in the middle of things, and kill -9 at every
 * system call that changes a file. */
#include "base/log.h"
#include "base/macros.h"
#include "tests/support/allocator.h"
#include "tests/support/store_fixture.h"
#include "tests/support/unit.h"
#include "tests/support/zones_fixture.h"
#include "zones/domain/project.h"
#include "zones/domain/zone.h"
#include "zones/domain/zones.h"
#include "zones/ezk/ezk.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static void write_file(const char *path, struct bytes contents)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, contents.data, contents.len), (ssize_t)contents.len);
	close(fd);
}

/* --- Two processes */

enum { WRITERS = 3, ZONES_EACH = 12 };

static void make_zones(struct zones_fixture *f, int writer)
{
	struct zones *zones = zones_other(f);

	for (int i = 0; i < ZONES_EACH; i++) {
		struct entry *zone = NULL;
		char label[32];
		struct entry_names names;

		snprintf(label, sizeof(label), "db-%d-%d", writer, i);
		names = names_of(label);
		if (zones_zone_create(zones, f->project->uid, &names, &zone) != ZONE_OK)
			child_exit(1);
		/* The same label in all of them: one wins. */
		snprintf(label, sizeof(label), "shared-%d", i);
		names = names_of(label);
		switch (zones_zone_create(zones, f->project->uid, &names, &zone)) {
		case ZONE_OK:
		case ZONE_EXISTS:
			break;
		default:
			child_exit(2);
		}
	}
	child_exit(0);
}

static void wait_for(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void databases_made_at_once_are_all_there(void **state)
{
	struct zones_fixture *f = *state;
	AUTO(entry_releasep) struct entry *root_key = make_root_key(f, ROOT_A);
	pid_t children[WRITERS];

	for (int i = 0; i < WRITERS; i++) {
		children[i] = fork();
		if (children[i] == 0)
			make_zones(f, i);
	}
	for (int i = 0; i < WRITERS; i++)
		wait_for(children[i]);
	assert_int_equal(zones_refresh(f->zones, true), ZONE_OK);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_ZONE, true),
			 (WRITERS + 1) * ZONES_EACH);
	assert_int_equal(count_entries(f->zones, f->project->uid, ENTRY_CLUSTER, true), 1);
	for (int writer = 0; writer < WRITERS; writer++) {
		char label[32];
		AUTO(entry_releasep) struct entry *zone = NULL;
		AUTO(ezk_releasep) struct ezk *ezk = NULL;

		snprintf(label, sizeof(label), "db-%d-%d", writer, ZONES_EACH - 1);
		zone = find_entry(f->zones, f->project->uid, ENTRY_ZONE, label);
		assert_non_null(zone);
		assert_int_equal(ezk_find(zones_registry(f->zones), zone, EZK_PRIMARY, &ezk),
				 ZONE_OK);
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
	}
}

static void first_project(struct zones_fixture *f)
{
	struct zones *zones = zones_other(f);
	struct entry *project = NULL;
	enum zone_status status = zones_project_create(zones, 0, bytes_of("mine"), &project);

	child_exit(status == ZONE_OK ? 0 : status == ZONE_EXISTS ? 1 : 2);
}

static void store_made_at_once_is_made_once(void **state)
{
	struct zones_fixture *f = *state;
	int winners = 0;

	for (int round = 0; round < 10; round++) {
		pid_t children[WRITERS];

		unlink(f->path);
		winners = 0;
		for (int i = 0; i < WRITERS; i++) {
			children[i] = fork();
			if (children[i] == 0)
				first_project(f);
		}
		for (int i = 0; i < WRITERS; i++) {
			int status;

			assert_int_equal(waitpid(children[i], &status, 0), children[i]);
			assert_true(WIFEXITED(status) && WEXITSTATUS(status) < 2);
			winners += WEXITSTATUS(status) == 0;
		}
		assert_int_equal(winners, 1);
	}
}

/* --- Fork */

struct busy {
	struct fixture *f;
	atomic_bool stop;
	atomic_int failures;
};

static void *keep_busy(void *state)
{
	struct busy *busy = state;
	struct store *store = store_sqlite_new(busy->f->path);

	for (uint32_t number = 100; !busy->stop; number++) {
		AUTO(store_news_clear) struct store_news news = {0};

		if (store_put_one(store, test_entry(ENTRY_KEY, number), false) != ZONE_OK ||
		    store_all(store, &news) != ZONE_OK)
			busy->failures++;
	}
	store->operations->free(store);
	return NULL;
}

static void work_as_child(struct fixture *f, uint32_t number)
{
	struct store *store = store_sqlite_new(f->path);
	struct store_news news = {0};

	alarm(300); /* it hangs */
	if (store_all(store, &news) != ZONE_OK || news_find(&news, ENTRY_PROJECT, 1) == NULL)
		child_exit(1);
	if (store_put_one(store, test_entry(ENTRY_KEY, 1000000 + number), false) != ZONE_OK)
		child_exit(2);
	child_exit(0);
}

static void child_of_a_fork_within_a_store_call_can_use_the_store(void **state)
{
	enum { CHILDREN = 30 };
	struct fixture *f = *state;
	struct busy busy = {.f = f};
	pthread_t thread;
	AUTO(store_news_clear) struct store_news news = {0};

	if (ALLOCATOR_IS_NOT_FORK_SAFE) {
		print_message("# reason: %s\n", ALLOCATOR_REASON);
		skip();
	}
	fixture_fill(f);
	assert_int_equal(pthread_create(&thread, NULL, keep_busy, &busy), 0);
	for (uint32_t i = 0; i < CHILDREN; i++) {
		pid_t child = fork();

		if (child == 0)
			work_as_child(f, i);
		wait_for(child);
	}
	busy.stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(busy.failures, 0);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	for (uint32_t i = 0; i < CHILDREN; i++)
		assert_non_null(news_find(&news, ENTRY_KEY, 1000000 + i));
}

/* --- kill -9 */

/* What a transaction does to the store. */
struct scenario {
	const char *name;
	bool from_nothing; /* no store is there before */
	void (*run)(struct store *store);
	bool (*is_old)(const struct store_news *news);
	bool (*is_new)(const struct store_news *news);
};

static void make_first(struct store *store)
{
	if (store_put_one(store, test_entry(ENTRY_PROJECT, 1), false) != ZONE_OK)
		child_exit(1);
}

static bool is_empty(const struct store_news *news)
{
	return news->count == 0;
}

static bool is_first(const struct store_news *news)
{
	return news->count == 1 && news_find(news, ENTRY_PROJECT, 1) != NULL;
}

static void change_zone(struct store *store)
{
	struct store_change changes[3] = {{test_entry(ENTRY_ZONE, 1), false},
					  {test_entry(ENTRY_ZONE, 2), false},
					  {test_entry(ENTRY_KEY, 2), false}};
	uint64_t revision;

	changes[0].entry->revision = 1;
	changes[0].entry->of_zone.primary = 1;
	changes[0].entry->label[0] = 'L';
	if (store_put(store, changes, 3, &revision) != ZONE_OK)
		child_exit(1);
}

static bool zone_is(const struct store_news *news, uint32_t primary, char first)
{
	const struct entry *zone = news_find(news, ENTRY_ZONE, 1);

	return zone != NULL && zone->of_zone.primary == primary && zone->label[0] == first &&
	       zone->of_zone.version_count == 3 && zone->of_zone.versions[1].wrap_count == 2;
}

static bool zone_is_old(const struct store_news *news)
{
	return news->count == 5 && zone_is(news, 2, 'l');
}

static bool zone_is_new(const struct store_news *news)
{
	return news->count == 7 && zone_is(news, 1, 'L') &&
	       news_find(news, ENTRY_ZONE, 2) != NULL && news_find(news, ENTRY_KEY, 2) != NULL;
}

/* A version more, as rotation writes it. */
static void rotate_zone(struct store *store)
{
	struct entry *before = test_entry(ENTRY_ZONE, 1), *zone = test_entry(ENTRY_ZONE, 1);
	struct store_change change = {.entry = zone, .before = before};
	uint64_t revision;

	before->revision = zone->revision = 1;
	zone->of_zone.versions[2].record_zone = 0;
	zone->of_zone.versions[2].version = 3;
	zone->of_zone.primary = 3;
	zone->label[0] = 'L';
	if (store_put(store, &change, 1, &revision) != ZONE_OK)
		child_exit(1);
}

static bool zone_is_rotated(const struct store_news *news)
{
	return news->count == 5 && zone_is(news, 3, 'L') &&
	       entry_version(news_find(news, ENTRY_ZONE, 1), 3) != NULL;
}

static void remove_key(struct store *store)
{
	struct entry *key = test_entry(ENTRY_KEY, 1);

	key->revision = 2;
	if (store_put_one(store, key, true) != ZONE_OK)
		child_exit(1);
}

static bool key_is_there(const struct store_news *news)
{
	return news->count == 5 && news_find(news, ENTRY_KEY, 1) != NULL;
}

static bool key_is_gone(const struct store_news *news)
{
	return news->count == 5 && news_find(news, ENTRY_KEY, 1) == NULL;
}

static const struct scenario scenarios[] = {
	{"the first project of a store", true, make_first, is_empty, is_first},
	{"a changed zone, a new one and a key", false, change_zone, zone_is_old, zone_is_new},
	{"a zone that is rotated", false, rotate_zone, zone_is_old, zone_is_rotated},
	{"a key that is removed", false, remove_key, key_is_there, key_is_gone},
};

static bool changes_files(uint64_t number)
{
	static const uint64_t numbers[] = {
		SYS_write,     SYS_pwrite64,  SYS_fsync,    SYS_fdatasync, SYS_ftruncate,
		SYS_renameat2, SYS_fallocate, SYS_unlinkat, SYS_openat,
#ifdef SYS_unlink
		SYS_unlink,    SYS_mkdir,
#endif
	};

	for (size_t i = 0; i < COUNT_OF(numbers); i++)
		if (numbers[i] == number)
			return true;
	return false;
}

/* Runs the child until its `kill_at`-th such call begins, and kills it there. True: it came to its
 * end before. */
static bool run_until(pid_t child, int kill_at)
{
	int status, count = 0;

	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSTOPPED(status));
	ptrace(PTRACE_SETOPTIONS, child, NULL, PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD);
	for (;;) {
		struct __ptrace_syscall_info info;

		ptrace(PTRACE_SYSCALL, child, NULL, 0);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFEXITED(status)) {
			assert_int_equal(WEXITSTATUS(status), 0);
			return true;
		}
		assert_true(WIFSTOPPED(status));
		ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info);
		if (info.op != PTRACE_SYSCALL_INFO_ENTRY || !changes_files(info.entry.nr))
			continue;
		if (++count == kill_at)
			break;
	}
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	return false;
}

static void prepare(struct fixture *f, const struct scenario *scenario, struct bytes before)
{
	static const char *const suffixes[] = {"", "-journal", ".new", ".new-journal"};

	for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
		char path[200];

		snprintf(path, sizeof(path), "%s%s", f->path, suffixes[i]);
		unlink(path);
	}
	if (!scenario->from_nothing)
		write_file(f->path, before);
	fixture_reopen(f);
}

/* --- Whoever comes first after the kill rolls back what it left. */

static enum zone_status read_first(struct store *store)
{
	AUTO(store_news_clear) struct store_news news = {0};

	return store_all(store, &news);
}

static enum zone_status describe_first(struct store *store)
{
	AUTO(buffer_clear) struct buffer text = {0};

	return store->operations->describe(store, &text);
}

static enum zone_status look_first(struct store *store)
{
	struct store_facts facts;

	return store->operations->look_at(store, &facts);
}

typedef enum zone_status come_first(struct store *store);

static come_first *const readers[] = {read_first, describe_first, look_first};

static void assert_old_or_new(struct fixture *f, const struct scenario *scenario, int kill_at,
			      bool finished, come_first *first)
{
	AUTO(store_news_clear) struct store_news news = {0};
	AUTO(buffer_clear) struct buffer text = {0};
	bool old, new;

	assert_int_equal(first(f->store), ZONE_OK);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	old = scenario->is_old(&news);
	new = scenario->is_new(&news);
	if (old == new || (finished && !new))
		fail_msg("%s: killed at call %d: neither the old state nor the new", scenario->name,
			 kill_at);
	assert_int_equal(f->store->operations->describe(f->store, &text), ZONE_OK);
	/* And it can go on. */
	if (!new && scenario->from_nothing)
		assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 1), false),
				 ZONE_OK);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_PROJECT, 77), false), ZONE_OK);
}

static bool can_trace(void)
{
	pid_t child = fork();
	int status = 0;
	struct __ptrace_syscall_info info;
	bool good;

	if (child == 0) {
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0)
			raise(SIGSTOP);
		child_exit(0);
	}
	good = waitpid(child, &status, 0) == child && WIFSTOPPED(status) &&
	       ptrace(PTRACE_GET_SYSCALL_INFO, child, sizeof(info), &info) > 0;
	kill(child, SIGKILL);
	if (WIFSTOPPED(status))
		waitpid(child, &status, 0);
	return good;
}

static int sweep(struct fixture *f, const struct scenario *scenario, size_t round)
{
	AUTO(buffer_clear) struct buffer before = {0};
	bool finished = false;
	int kill_at = 0;

	if (!scenario->from_nothing) {
		unlink(f->path);
		fixture_reopen(f);
		fixture_fill(f);
		assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 1), false), ZONE_OK);
		file_bytes(f->path, &before);
	}
	while (!finished) {
		come_first *first; /* another for each scenario */
		pid_t child;

		prepare(f, scenario, buffer_bytes(&before));
		child = fork();
		if (child == 0) {
			ptrace(PTRACE_TRACEME, 0, NULL, NULL);
			raise(SIGSTOP);
			scenario->run(f->store);
			child_exit(0);
		}
		finished = run_until(child, ++kill_at);
		first = readers[((size_t)kill_at + round) % COUNT_OF(readers)];
		assert_old_or_new(f, scenario, kill_at, finished, first);
	}
	return kill_at - 1;
}

static void kill_at_every_call_leaves_the_old_state_or_the_new(void **state)
{
	struct fixture *f = *state;

	/* Valgrind runs the child's code by its own, which a tracer would stop. */
	if (under_valgrind() || !can_trace()) {
		print_message("# reason: no process can be traced here\n");
		skip();
	}
	for (size_t i = 0; i < COUNT_OF(scenarios); i++) {
		int calls = sweep(f, &scenarios[i], i);

		print_message("# %s: killed at each of %d calls\n", scenarios[i].name, calls);
		assert_true(calls > 10);
	}
}

/* One process after the other counts on in two rows at once, and is killed at some moment. */
static void count_on(struct fixture *f)
{
	struct store *store = store_sqlite_new(f->path);

	for (;;) {
		AUTO(store_news_clear) struct store_news news = {0};
		struct store_change changes[2];
		struct entry *one, *two;
		uint64_t revision;

		if (store_all(store, &news) != ZONE_OK)
			child_exit(1);
		one = news_find(&news, ENTRY_KEY, 1);
		two = news_find(&news, ENTRY_KEY, 2);
		if (one == NULL || two == NULL || one->of_key.value_len != two->of_key.value_len)
			child_exit(2);
		changes[0] = (struct store_change){entry_copy(one), false};
		changes[1] = (struct store_change){entry_copy(two), false};
		changes[0].entry->of_key.value_len++;
		changes[1].entry->of_key.value_len++;
		switch (store_put(store, changes, 2, &revision)) {
		case ZONE_OK:
		case ZONE_CONFLICT: /* another was faster */
			break;
		default:
			child_exit(3);
		}
	}
}

static void kill_soon(struct fixture *f, unsigned microseconds)
{
	pid_t children[2];

	for (int i = 0; i < 2; i++) {
		children[i] = fork();
		if (children[i] == 0)
			count_on(f);
	}
	usleep(under_valgrind() ? 20 * microseconds : microseconds);
	for (int i = 0; i < 2; i++) {
		int status;

		kill(children[i], SIGKILL);
		assert_int_equal(waitpid(children[i], &status, 0), children[i]);
		assert_true(WIFSIGNALED(status));
	}
}

/* What they have counted to. */
static uint32_t counted(struct fixture *f)
{
	AUTO(store_news_clear) struct store_news news = {0};

	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_int_equal(news_find(&news, ENTRY_KEY, 1)->of_key.value_len,
			 news_find(&news, ENTRY_KEY, 2)->of_key.value_len);
	return news_find(&news, ENTRY_KEY, 1)->of_key.value_len;
}

static void kill_at_any_moment_leaves_both_rows_equal(void **state)
{
	struct fixture *f = *state;
	const char *rounds = getenv("CMEK_CRASH_ROUNDS");
	unsigned seed = 1;

	fixture_fill(f);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 1), false), ZONE_OK);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 2), false), ZONE_OK);
	for (int i = rounds == NULL ? 20 : atoi(rounds); i > 0; i--)
		kill_soon(f, 5000 + (unsigned)rand_r(&seed) % 60000);
	/* A machine that is very busy gives none of them the time to write: then longer ones. */
	for (int i = 0; i < 20 && counted(f) == 32; i++)
		kill_soon(f, 1000000);
	assert_true(counted(f) > 32);
}

/* Another process that holds the store's lock for so long, and has it when this returns. */
static pid_t hold_lock(struct fixture *f, useconds_t us)
{
	char lock[160], byte;
	int ready[2];
	pid_t child;

	snprintf(lock, sizeof(lock), "%s.lock", f->path);
	assert_int_equal(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		int fd = open(lock, O_RDWR);

		if (fd < 0 || syscall(SYS_flock, fd, 2 /* LOCK_EX */) != 0 ||
		    write(ready[1], "x", 1) != 1)
			child_exit(1);
		usleep(us);
		child_exit(0);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return child;
}

static void lock_held_by_another_process_is_waited_for(void **state)
{
	struct fixture *f = *state;
	AUTO(store_news_clear) struct store_news news = {0};
	pid_t child;

	fixture_fill(f);
	child = hold_lock(f, 300000);
	assert_int_equal(store_put_one(f->store, test_entry(ENTRY_KEY, 1), false), ZONE_OK);
	/* It was let go by its end, not by us. */
	wait_for(child);
	assert_int_equal(store_all(f->store, &news), ZONE_OK);
	assert_int_equal(news.count, 5);
}

static void ignore_signal(int number)
{
	(void)number;
}

static void set_alarms(suseconds_t us)
{
	const struct itimerval often = {{0, us}, {0, us}};
	struct sigaction action = {.sa_handler = ignore_signal}; /* without SA_RESTART */

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
}

/* A profiler, for one, sends them all the time. */
static void signals_do_not_shorten_the_wait_for_a_lock(void **state)
{
	struct fixture *f = *state;
	enum zone_status status;
	pid_t child;

	fixture_fill(f);
	child = hold_lock(f, 3000000);
	/* An emulator needs longer than that to deliver one. */
	set_alarms(getenv("CMEK_TEST_UNDER") != NULL ? 20000 : 200);
	status = store_put_one(f->store, test_entry(ENTRY_KEY, 1), false);
	set_alarms(0);
	wait_for(child);
	assert_int_equal(status, ZONE_OK);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_end)
#define ZONES_TEST(name) cmocka_unit_test_setup_teardown(name, zones_begin, zones_end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZONES_TEST(databases_made_at_once_are_all_there),
		ZONES_TEST(store_made_at_once_is_made_once),
		STORE_TEST(child_of_a_fork_within_a_store_call_can_use_the_store),
		STORE_TEST(kill_at_every_call_leaves_the_old_state_or_the_new),
		STORE_TEST(kill_at_any_moment_leaves_both_rows_equal),
		STORE_TEST(lock_held_by_another_process_is_waited_for),
		STORE_TEST(signals_do_not_shorten_the_wait_for_a_lock),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
