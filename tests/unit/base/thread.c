/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a thread remembers. */
#include "base/thread.h"
#include "tests/support/unit.h"

#include <pthread.h>

static void a_thread_that_remembers_nothing_reads_zeros(void **state)
{
	const struct thread_notes *notes = thread_notes_kept();

	(void)state;
	assert_int_equal(notes->message[0], 0);
	assert_int_equal(notes->messages, 0);
	assert_int_equal(notes->reason, 0);
	assert_null(notes->function);
}

static void what_a_thread_noted_stays(void **state)
{
	(void)state;
	assert_non_null(thread_notes());
	thread_notes()->reason = 7;
	assert_int_equal(thread_notes_kept()->reason, 7);
	assert_ptr_equal(thread_notes(), thread_notes_kept());
}

static void *note(void *state)
{
	unsigned long before = thread_notes_kept()->reason;

	(void)state;
	thread_notes()->reason = 8;
	return before == 0 ? thread_notes() : NULL;
}

static void each_thread_has_its_own(void **state)
{
	pthread_t thread;
	void *its;

	(void)state;
	thread_notes()->reason = 7;
	assert_int_equal(pthread_create(&thread, NULL, note, NULL), 0);
	assert_int_equal(pthread_join(thread, &its), 0);
	assert_non_null(its);
	assert_int_equal(thread_notes_kept()->reason, 7);
}

static void *part(void *state)
{
	size_t *ret_part = state;

	*ret_part = thread_part(3);
	return *ret_part == thread_part(3) ? state : NULL;
}

static void threads_that_begin_one_after_the_other_have_different_parts(void **state)
{
	size_t parts[8], taken = 0;

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		pthread_t thread;
		void *kept;

		assert_int_equal(pthread_create(&thread, NULL, part, &parts[i]), 0);
		assert_int_equal(pthread_join(thread, &kept), 0);
		assert_ptr_equal(kept, &parts[i]);
		taken |= (size_t)1 << parts[i];
	}
	assert_int_equal(taken, 0xff);
	assert_int_equal(thread_part(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_thread_that_remembers_nothing_reads_zeros),
		cmocka_unit_test(what_a_thread_noted_stays),
		cmocka_unit_test(each_thread_has_its_own),
		cmocka_unit_test(threads_that_begin_one_after_the_other_have_different_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
