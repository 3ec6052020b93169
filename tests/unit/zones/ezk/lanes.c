/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes of an EZK: nothing is lost between them, whichever thread uses which. */
#include "zones/ezk/lanes.h"

#include "base/macros.h"
#include "tests/support/unit.h"
#include "zones/ezk/ezk.h"

#include <pthread.h>
#include <sched.h>

enum { THREADS = 4, TIMES = 300, TURNS_ENOUGH = 40 };

static struct lanes lanes;

static int set_up(void **state)
{
	(void)state;
	lanes_init(&lanes);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	lanes_clear(&lanes);
	return 0;
}

static void take(struct masked_value *value)
{
	AUTO(lane_unlockp) struct lane *lane = lanes_lock(&lanes);

	lanes_take(&lanes, lane, value);
}

static void *lock_once(void *state)
{
	struct lane *lane = lanes_lock(&lanes);

	lane_unlockp(&lane);
	return state;
}

static void in_another_thread(void *(*run)(void *state), void *state)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, state), 0);
	pthread_join(thread, NULL);
}

static void let_threads_take_turns(void)
{
	for (int i = 0; i < TURNS_ENOUGH; i++) {
		in_another_thread(lock_once, NULL);
		lock_once(NULL);
	}
	assert_non_null(atomic_load(&lanes.others));
}

static void count_value(void *state, struct masked_value *value)
{
	(*(size_t *)state)++;
	value->hidden = true;
}

/* --- One and several */

static void one_thread_has_one_lane(void **state)
{
	(void)state;
	for (int i = 0; i < TURNS_ENOUGH; i++)
		lock_once(NULL);
	assert_null(atomic_load(&lanes.others));
}

static void threads_that_take_turns_get_lanes_of_their_own(void **state)
{
	struct lane *lane;

	(void)state;
	let_threads_take_turns();
	lane = lanes_lock(&lanes);
	assert_ptr_not_equal(lane, &lanes.first);
	lane_unlockp(&lane);
}

static void what_is_open_is_so_in_all_lanes(void **state)
{
	struct lane *lane;

	(void)state;
	lanes_open(&lanes);
	let_threads_take_turns();
	lane = lanes_lock(&lanes);
	assert_true(lane->open);
	lane_unlockp(&lane);
	lanes_close(&lanes, count_value, &(size_t){0});
	lane = lanes_lock(&lanes);
	assert_false(lane->open);
	lane_unlockp(&lane);
}

/* --- Values */

static void closing_meets_each_value_once_in_whichever_lane_it_is(void **state)
{
	struct masked_value before = {.len = 0}, after = {.len = 0}, gone = {.len = 0};
	size_t count = 0;

	(void)state;
	take(&before);
	let_threads_take_turns();
	take(&after);
	take(&gone);
	lanes_forget(&lanes, &gone);
	lanes_close(&lanes, count_value, &count);
	assert_int_equal(count, 2);
	assert_true(before.hidden && after.hidden && !gone.hidden);
	lanes_forget(&lanes, &before);
	lanes_forget(&lanes, &after);
}

static void value_of_before_moves_to_the_thread_that_uses_it(void **state)
{
	struct masked_value value = {.len = 0}, beside = {.len = 0};
	struct lane *lane;
	size_t count = 0;

	(void)state;
	take(&beside);
	take(&value);
	let_threads_take_turns();
	lane = lanes_lock_to_use(&lanes, &value);
	assert_ptr_not_equal(lane, &lanes.first);
	assert_ptr_equal(lane->values, &value);
	assert_ptr_equal(lanes.first.values, &beside);
	lane_unlockp(&lane);
	lanes_close(&lanes, count_value, &count);
	assert_int_equal(count, 2);
	lanes_forget(&lanes, &value);
	lanes_forget(&lanes, &value);
	lanes_forget(&lanes, &beside);
}

/* --- Who holds it */

static void *hold(void *state)
{
	lanes_hold(&lanes);
	return state;
}

static void *release(void *state)
{
	lanes_release(&lanes);
	return state;
}

static void is_held_until_the_last_lets_go_in_whichever_thread(void **state)
{
	(void)state;
	assert_false(lanes_are_held(&lanes));
	lanes_hold(&lanes);
	let_threads_take_turns();
	assert_true(lanes_are_held(&lanes));
	in_another_thread(hold, NULL);
	lanes_release(&lanes);
	assert_true(lanes_are_held(&lanes));
	in_another_thread(release, NULL);
	assert_false(lanes_are_held(&lanes));
}

static void the_last_release_is_told_once_that_has_ended(void **state)
{
	(void)state;
	assert_false(lanes_end(&lanes));
	tear_down(NULL);
	set_up(NULL);
	lanes_hold(&lanes);
	let_threads_take_turns();
	lanes_hold(&lanes);
	assert_false(lanes_release(&lanes));
	in_another_thread(hold, NULL);
	assert_true(lanes_end(&lanes));
	lanes_hold(&lanes);
	assert_false(lanes_release(&lanes));
	assert_false(lanes_release(&lanes));
	assert_true(lanes_release(&lanes));
}

static atomic_bool done;

/* One more before one less, as whoever hands it on does. */
static void *hand_on(void *state)
{
	while (!atomic_load(&done)) {
		lanes_hold(&lanes);
		lanes_release(&lanes);
		sched_yield();
	}
	return state;
}

static void is_never_taken_for_free_while_it_goes_from_hand_to_hand(void **state)
{
	pthread_t threads[THREADS];
	bool held = true;

	(void)state;
	let_threads_take_turns();
	atomic_store(&done, false);
	lanes_hold(&lanes);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hand_on, NULL), 0);
	for (int i = 0; i < TIMES; i++)
		held = held && lanes_are_held(&lanes);
	atomic_store(&done, true);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_true(held);
	lanes_release(&lanes);
	assert_false(lanes_are_held(&lanes));
}

/* --- All at once */

static atomic_bool may_be_open, wrong;

static void *put_and_forget(void *state)
{
	for (int i = 0; i < TIMES; i++) {
		struct masked_value value = {.len = 0};
		struct lane *lane = lanes_lock(&lanes);
		bool open = lane->open;

		if (open && !atomic_load(&may_be_open))
			atomic_store(&wrong, true);
		if (open)
			lanes_take(&lanes, lane, &value);
		lane_unlockp(&lane);
		lane = lanes_lock_to_use(&lanes, &value);
		if (open && !lane->open && !value.hidden)
			atomic_store(&wrong, true);
		lane_unlockp(&lane);
		lanes_forget(&lanes, &value);
	}
	return state;
}

/* While lanes come to be more, too. */
static void no_value_comes_or_stays_open_while_all_are_closed(void **state)
{
	pthread_t threads[THREADS];

	(void)state;
	atomic_store(&wrong, false);
	atomic_store(&may_be_open, false);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, put_and_forget, NULL), 0);
	for (int i = 0; i < TIMES; i++) {
		atomic_store(&may_be_open, true);
		lanes_open(&lanes);
		sched_yield();
		lanes_close(&lanes, count_value, &(size_t){0});
		atomic_store(&may_be_open, false);
	}
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_false(atomic_load(&wrong));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_thread_has_one_lane),
		TEST(threads_that_take_turns_get_lanes_of_their_own),
		TEST(what_is_open_is_so_in_all_lanes),
		TEST(closing_meets_each_value_once_in_whichever_lane_it_is),
		TEST(value_of_before_moves_to_the_thread_that_uses_it),
		TEST(is_held_until_the_last_lets_go_in_whichever_thread),
		TEST(the_last_release_is_told_once_that_has_ended),
		TEST(is_never_taken_for_free_while_it_goes_from_hand_to_hand),
		TEST(no_value_comes_or_stays_open_while_all_are_closed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
