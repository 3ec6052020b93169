/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Secret memory and the noticing of forks. */
#include "base/fork.h"
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/unit.h"

#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs a check in a child; its answer becomes the exit code. */
static bool in_child(bool (*check)(void *), void *argument)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(check(argument) ? 0 : 1);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static bool all_zero(const void *memory, size_t len)
{
	const uint8_t *data = memory;

	for (size_t i = 0; i < len; i++)
		if (data[i] != 0)
			return false;
	return true;
}

static void every_size_gives_aligned_zeroed_memory(void **state)
{
	static const size_t sizes[] = {0, 1, 16, 63, 64, 65, 128, 300, 1024, 2048, 2049, 4096};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		AUTO(secret_freep) void *secret = secret_new(sizes[i]);

		assert_non_null(secret);
		assert_int_equal((uintptr_t)secret % 16, 0);
		assert_true(all_zero(secret, sizes[i]));
		memset(secret, 0xa5, sizes[i]);
	}
	assert_null(secret_new(SECRET_MAX + 1));
	assert_null(secret_new(SIZE_MAX));
	secret_free(NULL);
}

static void freed_memory_is_wiped_and_given_again(void **state)
{
	uint8_t *first = secret_new(64);
	uint8_t *second;

	(void)state;
	memset(first, 0xa5, 64);
	secret_free(first);
	assert_true(all_zero(first + sizeof(void *), 64 - sizeof(void *)));
	second = secret_new(64);
	assert_ptr_equal(first, second);
	assert_true(all_zero(second, 64));
	secret_free(second);
}

static void many_slots_do_not_overlap(void **state)
{
	enum { COUNT = 1000 };
	static uint8_t *slots[COUNT];

	(void)state;
	for (int i = 0; i < COUNT; i++) {
		slots[i] = secret_new(100);
		assert_non_null(slots[i]);
		memset(slots[i], i % 251, 128);
	}
	for (int i = 0; i < COUNT; i++) {
		assert_int_equal(slots[i][0], i % 251);
		assert_int_equal(slots[i][127], i % 251);
		secret_free(slots[i]);
	}
}

static bool child_reads_zeros(void *secret)
{
	bool zero = all_zero(secret, 32);
	uint8_t *own;

	secret_free(secret); /* the parent's: nothing happens */
	secret_abandon();
	own = secret_new(32);
	if (own == NULL || own == secret)
		return false;
	memset(own, 1, 32);
	secret_free(own);
	return zero;
}

static void child_reads_zeros_and_gets_memory_of_its_own(void **state)
{
	AUTO(secret_freep) void *secret = secret_new(32);

	(void)state;
	memset(secret, 0xa5, 32);
	assert_true(in_child(child_reads_zeros, secret));
	assert_int_equal(*(uint8_t *)secret, 0xa5);
}

static bool give_up_locking(void)
{
	const struct rlimit none = {0, 0};

	return setrlimit(RLIMIT_MEMLOCK, &none) == 0 && (geteuid() != 0 || seteuid(65534) == 0);
}

static bool locking_always_works(void *page)
{
	return give_up_locking() && mlock(page, 1) == 0;
}

static bool works_unlocked(void *unused)
{
	(void)unused;
	secret_abandon();
	if (!give_up_locking())
		return false;
	close(STDERR_FILENO); /* the warning */
	return secret_new(32) != NULL && secret_unlocked_count() == 1 && secret_new(4096) != NULL &&
	       secret_unlocked_count() == 2;
}

static void memory_that_can_not_be_locked_is_counted(void **state)
{
	static uint8_t page[1];

	(void)state;
	if (in_child(locking_always_works, page)) {
		print_message("# reason: a sanitizer's mlock() never fails\n");
		skip();
	}
	assert_true(in_child(works_unlocked, NULL));
}

static void *take_and_give(void *unused)
{
	for (int i = 0; i < 2000; i++) {
		uint8_t *secret = secret_new(32);

		if (secret == NULL || !all_zero(secret, 32))
			return unused;
		memset(secret, i, 32);
		secret_free(secret);
	}
	return NULL;
}

static void threads_share_the_slabs(void **state)
{
	pthread_t threads[4];

	for (size_t i = 0; i < COUNT_OF(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, take_and_give, &state), 0);
	for (size_t i = 0; i < COUNT_OF(threads); i++) {
		void *failed = NULL;

		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
}

static bool is_child_until_marked(void *unused)
{
	bool before = fork_is_child();

	(void)unused;
	fork_mark();
	return before && !fork_is_child();
}

static bool grandchild_notices_too(void *unused)
{
	return fork_is_child() && in_child(is_child_until_marked, unused) && fork_is_child();
}

static int begun_anew; /* what the child's first thread makes before it marks */

static void *begin_anew(void *unused)
{
	begun_anew = 7;
	fork_mark();
	return unused;
}

/* The thread sanitizer sees whether the mark hands it over. */
static bool finds_what_another_thread_began(void *unused)
{
	pthread_t thread;
	bool found;

	if (pthread_create(&thread, NULL, begin_anew, unused) != 0)
		return false;
	while (fork_is_child())
		sched_yield();
	found = begun_anew == 7;
	pthread_join(thread, NULL);
	return found;
}

static void whoever_sees_the_mark_sees_what_was_made_before_it(void **state)
{
	fork_mark();
	assert_true(in_child(finds_what_another_thread_began, *state));
}

static void fork_is_noticed_in_children_only(void **state)
{
	(void)state;
	assert_false(fork_is_child());
	fork_mark();
	assert_false(fork_is_child());
	assert_true(in_child(is_child_until_marked, NULL));
	assert_true(in_child(grandchild_notices_too, NULL));
	assert_false(fork_is_child());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_gives_aligned_zeroed_memory),
		cmocka_unit_test(freed_memory_is_wiped_and_given_again),
		cmocka_unit_test(many_slots_do_not_overlap),
		cmocka_unit_test(child_reads_zeros_and_gets_memory_of_its_own),
		cmocka_unit_test(memory_that_can_not_be_locked_is_counted),
		cmocka_unit_test(threads_share_the_slabs),
		cmocka_unit_test(fork_is_noticed_in_children_only),
		cmocka_unit_test(whoever_sees_the_mark_sees_what_was_made_before_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
