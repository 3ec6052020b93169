/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Logins by one PIN, by threads in place of processes; with children:
 * tests/module/library_others.c. */
#include "library/refusal.h"

#include "base/macros.h"
#include "tests/support/unit.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

enum { RELATIVES = LIBRARY_LOGINS_AT_ONCE + 1, CROWD = 20, SECONDS = 120 };

static struct library_refusal *refusal;
static atomic_uint come, logins, untried;
static CK_RV answers;
static pthread_barrier_t together;

/* The first one answers when all have come; the others when all of them are here. */
static CK_RV login(void *state)
{
	(void)state;
	if (atomic_fetch_add(&logins, 1) > 0) {
		pthread_barrier_wait(&together);
		return answers;
	}
	while (come < RELATIVES)
		sched_yield();
	return answers;
}

/* The first one answers when all have come, and then the PIN is changed. */
static CK_RV login_before_a_change(void *state)
{
	(void)state;
	if (atomic_fetch_add(&logins, 1) > 0)
		return CKR_PIN_INCORRECT;
	while (come < CROWD)
		sched_yield();
	return CKR_OK;
}

static void *log_in_before_a_change(void *state)
{
	unsigned before = library_refusal_look(refusal);
	bool tried;

	come++;
	library_refusal_try(refusal, before, login_before_a_change, state, &tried);
	untried += !tried;
	return NULL;
}

static void *log_in(void *state)
{
	unsigned before = library_refusal_look(refusal);
	bool tried;
	CK_RV rv;

	come++;
	rv = library_refusal_try(refusal, before, login, state, &tried);
	untried += !tried;
	return rv == answers ? NULL : state;
}

static void all_log_in(void)
{
	pthread_t threads[RELATIVES];
	void *other;

	alarm(SECONDS); /* those that wait for each other in vain */
	for (size_t i = 0; i < RELATIVES; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_in, &come), 0);
	for (size_t i = 0; i < RELATIVES; i++) {
		assert_int_equal(pthread_join(threads[i], &other), 0);
		assert_null(other);
	}
	alarm(0);
}

static int fresh(void **state)
{
	(void)state;
	come = logins = untried = 0;
	refusal = library_refusal_new();
	return refusal == NULL || pthread_barrier_init(&together, NULL, RELATIVES - 1) != 0;
}

static int end(void **state)
{
	(void)state;
	pthread_barrier_destroy(&together);
	library_refusal_free(refusal);
	return 0;
}

static void those_who_waited_for_a_login_that_was_accepted_log_in_at_once(void **state)
{
	(void)state;
	answers = CKR_OK;
	all_log_in();
	assert_int_equal(logins, RELATIVES);
	assert_int_equal(untried, 0);
}

static void a_refused_pin_is_tried_once_by_all(void **state)
{
	(void)state;
	answers = CKR_PIN_INCORRECT;
	all_log_in();
	assert_int_equal(logins, 1);
	assert_int_equal(untried, RELATIVES - 1);
}

static void a_pin_that_is_changed_meanwhile_is_tried_a_few_times(void **state)
{
	pthread_t threads[CROWD];

	(void)state;
	for (size_t i = 0; i < CROWD; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, log_in_before_a_change, NULL),
				 0);
	for (size_t i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	/* The one that was right, and the wrong ones. */
	assert_in_range(logins, 2, 1 + LIBRARY_LOGINS_AT_ONCE + 1);
	assert_int_equal(logins + untried, CROWD);
}

static CK_RV answer(void *state)
{
	logins++;
	return *(CK_RV *)state;
}

/* It may have been changed since. */
static void an_earlier_login_says_nothing_of_a_pin(void **state)
{
	CK_RV accepted = CKR_OK, wrong = CKR_PIN_INCORRECT;
	bool tried;

	(void)state;
	assert_int_equal(library_refusal_try(refusal, library_refusal_look(refusal), answer,
					     &accepted, &tried),
			 CKR_OK);
	answers = CKR_PIN_INCORRECT;
	logins = 0;
	all_log_in();
	assert_int_equal(logins, 1);
	assert_int_equal(
		library_refusal_try(refusal, library_refusal_look(refusal), answer, &wrong, &tried),
		CKR_PIN_INCORRECT);
	assert_false(tried);
	assert_int_equal(logins, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			those_who_waited_for_a_login_that_was_accepted_log_in_at_once, fresh, end),
		cmocka_unit_test_setup_teardown(a_refused_pin_is_tried_once_by_all, fresh, end),
		cmocka_unit_test_setup_teardown(
			a_pin_that_is_changed_meanwhile_is_tried_a_few_times, fresh, end),
		cmocka_unit_test_setup_teardown(an_earlier_login_says_nothing_of_a_pin, fresh, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
