/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Slabs as an OpenSSL of our own has them; tests/unit/base/secret.c looks at those of keys. */
#include "base/slabs.h"
#include "base/macros.h"
#include "tests/support/unit.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct slabs slabs = {
	.lock = PTHREAD_MUTEX_INITIALIZER, .stays_at_fork = true, .half_the_limit = true};

static bool all(const void *memory, int byte, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (((const uint8_t *)memory)[i] != byte)
			return false;
	return true;
}

static void every_size_is_zeroed_aligned_and_has_its_room(void **state)
{
	static const size_t sizes[] = {1, 64, 65, 4096, 4097, 16320, 16384, 70000, 1 << 20};
	void *slots[COUNT_OF(sizes)];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		slots[i] = slabs_new(&slabs, sizes[i]);
		assert_non_null(slots[i]);
		assert_int_equal((uintptr_t)slots[i] % 64, 0);
		assert_true(slabs_room(slots[i]) >= sizes[i]);
		assert_true(all(slots[i], 0, slabs_room(slots[i])));
		memset(slots[i], (int)i + 1, slabs_room(slots[i]));
	}
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		assert_true(all(slots[i], (int)i + 1, slabs_room(slots[i])));
		slabs_free(&slabs, slots[i]);
	}
	slabs_free(&slabs, NULL);
	assert_null(slabs_new(&slabs, SIZE_MAX));
	assert_null(slabs_new(&slabs, SIZE_MAX / 4));
}

static void a_slot_is_wiped_when_it_is_freed(void **state)
{
	uint8_t *slot = slabs_new(&slabs, 600);

	(void)state;
	memset(slot, 0xa5, 600);
	slabs_free(&slabs, slot);
	assert_true(all(slot + sizeof(void *), 0, 600 - sizeof(void *)));
}

static void a_large_one_goes_back_to_the_system(void **state)
{
	size_t before = slabs.locked_bytes;
	void *large = slabs_new(&slabs, 100000);

	(void)state;
	assert_non_null(large);
	slabs_free(&slabs, large);
	assert_int_equal(slabs.locked_bytes, before);
}

/* What the kernel says of a mapping, a line of /proc/self/smaps. */
static bool mapping_has(const void *at, const char *flag)
{
	FILE *maps = fopen("/proc/self/smaps", "r");
	unsigned long from, to;
	char line[512];
	bool within = false, has = false;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			within = from <= (uintptr_t)at && (uintptr_t)at < to;
		if (within && strncmp(line, "VmFlags:", 8) == 0)
			has = strstr(line, flag) != NULL;
	}
	fclose(maps);
	return has;
}

/* qemu-user takes the advice and keeps it to itself. */
static void skip_unless_advice_is_seen(void)
{
	enum { LEN = 4096 };
	void *page = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool seen;

	assert_ptr_not_equal(page, MAP_FAILED);
	assert_int_equal(madvise(page, LEN, MADV_DONTDUMP), 0);
	seen = mapping_has(page, " dd");
	munmap(page, LEN);
	if (seen)
		return;
	print_message("# reason: the kernel does not say here what is left out of core dumps\n");
	skip();
}

static void none_is_in_a_core_dump(void **state)
{
	void *slot, *large;

	(void)state;
	skip_unless_advice_is_seen();
	slot = slabs_new(&slabs, 100);
	large = slabs_new(&slabs, 100000);
	assert_true(mapping_has(slot, " dd"));
	assert_true(mapping_has(large, " dd"));
	slabs_free(&slabs, slot);
	slabs_free(&slabs, large);
}

static int status_of_child(void (*run)(void *), void *argument)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		run(argument);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void use_and_free(void *slot)
{
	if (all(slot, 0x5a, 100))
		slabs_free(&slabs, slot);
	_exit(slabs_new(&slabs, 100) == slot ? 0 : 1);
}

static void a_child_keeps_those_that_stay(void **state)
{
	uint8_t *slot = slabs_new(&slabs, 100);

	(void)state;
	memset(slot, 0x5a, 100);
	assert_int_equal(status_of_child(use_and_free, slot), 0);
	assert_true(all(slot, 0x5a, 100));
	slabs_free(&slabs, slot);
}

/* As in a fork's child while another thread held the lock. */
static void forget_and_go_on(void *slot)
{
	pthread_mutex_lock(&slabs.lock);
	slabs_abandon(&slabs);
	_exit(slabs_new(&slabs, 100) != slot ? 0 : 1);
}

static void a_child_may_forget_the_parents(void **state)
{
	void *slot = slabs_new(&slabs, 100);

	(void)state;
	slabs_free(&slabs, slot);
	assert_int_equal(status_of_child(forget_and_go_on, slot), 0);
}

static int told;

static void count_told(int error)
{
	(void)error;
	told++;
}

static void take_with_little_to_lock(void *unused)
{
	const struct rlimit little = {65536, 65536};
	struct slabs own = {.lock = PTHREAD_MUTEX_INITIALIZER,
			    .half_the_limit = true,
			    .on_unlocked = count_told};

	(void)unused;
	if (setrlimit(RLIMIT_MEMLOCK, &little) != 0)
		_exit(2);
	for (int i = 0; i < 50; i++)
		if (slabs_new(&own, 4096) == NULL)
			_exit(3);
	_exit(own.locked_bytes <= 32768 && own.unlocked_count > 1 && told == 1 ? 0 : 4);
}

static void half_of_what_may_be_locked_is_left_to_keys(void **state)
{
	(void)state;
	assert_int_equal(status_of_child(take_with_little_to_lock, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size_is_zeroed_aligned_and_has_its_room),
		cmocka_unit_test(a_slot_is_wiped_when_it_is_freed),
		cmocka_unit_test(a_large_one_goes_back_to_the_system),
		cmocka_unit_test(none_is_in_a_core_dump),
		cmocka_unit_test(a_child_keeps_those_that_stay),
		cmocka_unit_test(a_child_may_forget_the_parents),
		cmocka_unit_test(half_of_what_may_be_locked_is_left_to_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
