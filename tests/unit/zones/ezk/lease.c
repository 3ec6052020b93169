/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Leases: time on two clocks, one request in flight, refusals. */
#include "tests/support/lease_fixture.h"

/* --- Time */

static void one_yes_serves_until_the_lease_nears_its_end(void **state)
{
	struct fixture *f = *state;

	assert_false(lease_runs(&f->lease));
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, NOT_YET);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(go_on(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 1);
	seconds_pass(f, LEASE_SECONDS - NOT_YET);
	assert_false(lease_runs(&f->lease));
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
}

static void lease_ends_when_the_monotonic_clock_says_so(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	f->clock.monotonic_ms += LEASE_SECONDS * 1000;
	assert_false(lease_runs(&f->lease));
	/* … and setting the other back does not help. */
	f->clock.realtime_ms -= 3600 * 1000;
	assert_false(lease_runs(&f->lease));
}

static void lease_ends_when_the_real_clock_says_so(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	f->clock.realtime_ms += LEASE_SECONDS * 1000; /* a suspended machine */
	assert_false(lease_runs(&f->lease));
}

static void lease_counts_from_the_start_of_the_request(void **state)
{
	struct fixture *f = *state;

	f->oracle.takes_ms = 10 * 1000;
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, LEASE_SECONDS - 11);
	assert_true(lease_runs(&f->lease));
	seconds_pass(f, 1);
	assert_false(lease_runs(&f->lease));
}

static void answer_that_takes_longer_than_the_lease_is_an_outage(void **state)
{
	struct fixture *f = *state;

	f->oracle.takes_ms = LEASE_SECONDS * 1000;
	assert_int_equal(begin(f), ZONE_KMS_UNAVAILABLE);
	assert_null(f->lease.keys);
}

/* --- Refusals */

static void no_ends_the_lease_and_wipes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	assert_non_null(f->lease.keys);
	lease_deny(&f->lease, ZONE_KMS_DISABLED);
	assert_null(f->lease.keys);
	assert_false(lease_runs(&f->lease));
	assert_int_equal(go_on(f), ZONE_KMS_DISABLED);
	assert_int_equal(f->oracle.asked, 1);
}

static void no_is_remembered_and_then_asked_again(void **state)
{
	struct fixture *f = *state;

	f->oracle.answer = ZONE_KMS_DENIED;
	assert_int_equal(begin(f), ZONE_KMS_DENIED);
	seconds_pass(f, DENY_SECONDS - 1);
	assert_int_equal(begin(f), ZONE_KMS_DENIED);
	assert_int_equal(f->oracle.asked, 1);
	seconds_pass(f, 1);
	f->oracle.answer = ZONE_OK;
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
}

static void outage_is_not_remembered(void **state)
{
	struct fixture *f = *state;

	f->oracle.answer = ZONE_KMS_UNAVAILABLE;
	assert_int_equal(begin(f), ZONE_KMS_UNAVAILABLE);
	assert_int_equal(begin(f), ZONE_KMS_UNAVAILABLE);
	assert_int_equal(f->oracle.asked, 2);
	f->oracle.answer = ZONE_OK;
	assert_int_equal(begin(f), ZONE_OK);
}

static void outage_fails_when_the_lease_has_ended(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	f->oracle.answer = ZONE_KMS_THROTTLED;
	seconds_pass(f, LEASE_SECONDS);
	assert_int_equal(go_on(f), ZONE_KMS_THROTTLED);
	assert_int_equal(begin(f), ZONE_KMS_THROTTLED);
}

static void barred_lease_is_not_asked_for_until_it_is_restored(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	lease_bar(&f->lease, ZONE_PENDING_DELETION);
	assert_null(f->lease.keys);
	assert_int_equal(go_on(f), ZONE_PENDING_DELETION);
	seconds_pass(f, 3600);
	assert_int_equal(begin(f), ZONE_PENDING_DELETION);
	assert_int_equal(f->oracle.asked, 1);
	lease_bar(&f->lease, ZONE_OK);
	assert_int_equal(begin(f), ZONE_OK);
}

/* --- Threads */

struct caller {
	pthread_t thread;
	struct fixture *fixture;
	enum zone_status answer;
};

static void *call(void *state)
{
	struct caller *caller = state;

	caller->answer = begin(caller->fixture);
	return NULL;
}

static void launch(struct fixture *f, struct caller *callers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		callers[i].fixture = f;
		assert_int_equal(pthread_create(&callers[i].thread, NULL, call, &callers[i]), 0);
	}
}

static void join(struct caller *callers, size_t count, enum zone_status expected)
{
	for (size_t i = 0; i < count; i++) {
		pthread_join(callers[i].thread, NULL);
		assert_int_equal(callers[i].answer, expected);
	}
}

/* Gives threads the time to come as far as they can. One that comes later still is answered
 * rightly, only that the test then shows less. */
static void let_them_wait(void)
{
	usleep(50 * 1000);
}

static void threads_that_wait_get_one_answer(struct fixture *f, enum zone_status answer)
{
	struct caller callers[THREADS];

	f->oracle.answer = answer;
	hold(&f->oracle, true);
	launch(f, callers, 1);
	wait_until_asked(&f->oracle, 1);
	launch(f, callers + 1, THREADS - 1);
	let_them_wait();
	hold(&f->oracle, false);
	join(callers, THREADS, answer);
}

static void others_go_on_while_one_renews(void **state)
{
	struct fixture *f = *state;
	struct caller caller;

	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, SURELY);
	hold(&f->oracle, true);
	launch(f, &caller, 1);
	wait_until_asked(&f->oracle, 2);
	for (int i = 0; i < 10; i++)
		assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
	hold(&f->oracle, false);
	join(&caller, 1, ZONE_OK);
	seconds_pass(f, NOT_YET);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
}

static void lease_that_ends_while_it_is_renewed_makes_the_others_wait(void **state)
{
	struct fixture *f = *state;
	struct caller callers[THREADS];

	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, SURELY);
	hold(&f->oracle, true);
	launch(f, callers, 1);
	wait_until_asked(&f->oracle, 2);
	seconds_pass(f, LEASE_SECONDS - SURELY);
	launch(f, callers + 1, THREADS - 1);
	let_them_wait();
	hold(&f->oracle, false);
	join(callers, THREADS, ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
}

static void threads_share_one_yes(void **state)
{
	struct fixture *f = *state;

	threads_that_wait_get_one_answer(f, ZONE_OK);
	assert_int_equal(f->oracle.asked, 1);
}

static void threads_share_one_no(void **state)
{
	struct fixture *f = *state;

	threads_that_wait_get_one_answer(f, ZONE_KMS_DENIED);
	assert_int_equal(f->oracle.asked, 1);
}

static void yes_that_was_asked_for_before_a_no_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct caller caller;

	hold(&f->oracle, true);
	launch(f, &caller, 1);
	wait_until_asked(&f->oracle, 1);
	lease_deny(&f->lease, ZONE_KMS_DISABLED);
	hold(&f->oracle, false);
	join(&caller, 1, ZONE_KMS_DISABLED);
	assert_null(f->lease.keys);
	assert_int_equal(go_on(f), ZONE_KMS_DISABLED);
}

static void yes_that_was_asked_for_before_a_deletion_is_dropped(void **state)
{
	struct fixture *f = *state;
	struct caller caller;

	hold(&f->oracle, true);
	launch(f, &caller, 1);
	wait_until_asked(&f->oracle, 1);
	lease_bar(&f->lease, ZONE_PENDING_DELETION);
	hold(&f->oracle, false);
	join(&caller, 1, ZONE_PENDING_DELETION);
	assert_null(f->lease.keys);
}

/* --- lease_seconds = 0 */

static void without_a_lease_each_operation_asks(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
}

static void without_a_lease_parts_run_a_minute_on_their_yes(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, OPERATION_SECONDS - 1);
	assert_int_equal(go_on(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 1);
	seconds_pass(f, 1);
	f->oracle.answer = ZONE_KMS_DENIED;
	assert_int_equal(go_on(f), ZONE_KMS_DENIED);
	assert_int_equal(f->oracle.asked, 2);
}

static void without_a_lease_a_request_under_way_does_not_serve_those_that_come_later(void **state)
{
	struct fixture *f = *state;
	struct caller callers[2];

	start(f, 0);
	hold(&f->oracle, true);
	launch(f, callers, 1);
	wait_until_asked(&f->oracle, 1);
	launch(f, callers + 1, 1);
	let_them_wait();
	hold(&f->oracle, false);
	join(callers, 2, ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
}

static void without_a_lease_threads_that_wait_share_the_next_request(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	threads_that_wait_get_one_answer(f, ZONE_OK);
	assert_in_range(f->oracle.asked, 2, THREADS);
}

static void without_a_lease_a_no_is_remembered_too(void **state)
{
	struct fixture *f = *state;

	start(f, 0);
	threads_that_wait_get_one_answer(f, ZONE_KMS_DENIED);
	assert_int_equal(f->oracle.asked, 1);
}

/* --- Bounded by the record */

enum { BOUND_SECONDS = 60 };

static void start_bounded(struct fixture *f, unsigned lease_seconds, uint32_t max_lease)
{
	start(f, lease_seconds);
	f->oracle.bounds.max_lease = max_lease;
}

static void record_cuts_the_lease_that_is_configured(void **state)
{
	struct fixture *f = *state;

	start_bounded(f, 604800, BOUND_SECONDS);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, BOUND_SECONDS * 3 / 4 - 1);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 1);
	f->oracle.answer = ZONE_KMS_DISABLED;
	seconds_pass(f, BOUND_SECONDS - BOUND_SECONDS * 3 / 4 + 1);
	assert_false(lease_runs(&f->lease));
	assert_int_equal(begin(f), ZONE_KMS_DISABLED);
	assert_null(f->lease.keys);
}

static void plaintext_goes_with_the_lease_that_the_record_allows(void **state)
{
	struct fixture *f = *state;

	start_bounded(f, 604800, BOUND_SECONDS);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, BOUND_SECONDS);
	assert_true(lease_rules_due(&f->rules));
	sweep(f);
	assert_null(f->lease.keys);
}

static void record_does_not_lengthen_a_lease(void **state)
{
	struct fixture *f = *state;

	start_bounded(f, LEASE_SECONDS, 604800);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, LEASE_SECONDS - 1);
	assert_true(lease_runs(&f->lease));
	seconds_pass(f, 1);
	assert_false(lease_runs(&f->lease));
}

static void renewal_is_ahead_of_the_end_that_the_record_allows(void **state)
{
	struct fixture *f = *state;

	start_bounded(f, 604800, BOUND_SECONDS);
	assert_int_equal(begin(f), ZONE_OK);
	for (unsigned i = 2; i < 10; i++) {
		seconds_pass(f, BOUND_SECONDS * 19 / 20 + 1);
		assert_true(lease_runs(&f->lease));
		assert_int_equal(begin(f), ZONE_OK);
		assert_int_equal(f->oracle.asked, i);
	}
}

static void record_of_0_has_each_operation_ask(void **state)
{
	struct fixture *f = *state;

	start_with(f, (struct lease_settings){.lease_seconds = LEASE_SECONDS,
					      .zone_lease_seconds = 86400});
	f->oracle.bounds.max_lease = 0;
	for (unsigned i = 1; i < 5; i++) {
		assert_int_equal(begin(f), ZONE_OK);
		assert_int_equal(f->oracle.asked, i);
		assert_false(lease_is_fresh(&f->lease, f->clock.realtime_ms));
	}
	/* And not a root key, whose yes would let parts and plaintext outlast their minute. */
	f->oracle.says = f->oracle.known = VOUCH_YES;
	f->oracle.voucher.asked = f->oracle.voucher.renew = clock_now(&f->clock.clock);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 5);
	assert_int_equal(f->oracle.vouched, 0);
	seconds_pass(f, OPERATION_SECONDS - 1);
	assert_int_equal(go_on(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 5);
	f->oracle.voucher.asked = clock_now(&f->clock.clock);
	seconds_pass(f, 1);
	sweep(f);
	assert_null(f->lease.keys);
	assert_int_equal(go_on(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 6);
}

/* The first request, too, is nobody's who came after it. */
static void record_of_0_that_is_expected_does_not_share_the_first_request(void **state)
{
	struct fixture *f = *state;
	struct caller callers[2];

	start_bounded(f, LEASE_SECONDS, 0);
	lease_expect(&f->lease, &f->oracle.bounds);
	hold(&f->oracle, true);
	launch(f, callers, 1);
	wait_until_asked(&f->oracle, 1);
	launch(f, callers + 1, 1);
	let_them_wait();
	hold(&f->oracle, false);
	join(callers, 2, ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
}

/* A row that was changed by hand says so much; the key comes with what its MAC covers. */
static void what_is_expected_does_not_count_when_the_key_has_come(void **state)
{
	const struct lease_bounds forged = {604800, 604800};
	struct fixture *f = *state;

	start_bounded(f, 604800, BOUND_SECONDS);
	lease_expect(&f->lease, &forged);
	assert_int_equal(begin(f), ZONE_OK);
	lease_expect(&f->lease, &forged);
	seconds_pass(f, BOUND_SECONDS);
	assert_false(lease_runs(&f->lease));
}

/* --- Wiping */

static void ended_lease_is_wiped_by_the_sweep(void **state)
{
	struct fixture *f = *state;

	assert_false(lease_rules_due(&f->rules));
	assert_int_equal(begin(f), ZONE_OK);
	assert_false(lease_rules_due(&f->rules));
	seconds_pass(f, LEASE_SECONDS);
	assert_true(lease_rules_due(&f->rules));
	assert_true(sweep(f));
	assert_null(f->lease.keys);
	assert_false(lease_rules_due(&f->rules));
}

static void sweep_leaves_a_lease_that_runs_and_comes_again(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, LEASE_SECONDS - 10);
	assert_false(sweep(f));
	assert_non_null(f->lease.keys);
	assert_false(lease_rules_due(&f->rules));
	f->clock.realtime_ms += 10 * 1000;
	assert_true(lease_rules_due(&f->rules));
}

static void sweep_keeps_a_refusal_in_memory(void **state)
{
	struct fixture *f = *state;

	f->oracle.answer = ZONE_KMS_DENIED;
	assert_int_equal(begin(f), ZONE_KMS_DENIED);
	assert_false(sweep(f));
	seconds_pass(f, DENY_SECONDS);
	assert_true(sweep(f));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(one_yes_serves_until_the_lease_nears_its_end),
		CASE(lease_ends_when_the_monotonic_clock_says_so),
		CASE(lease_ends_when_the_real_clock_says_so),
		CASE(lease_counts_from_the_start_of_the_request),
		CASE(answer_that_takes_longer_than_the_lease_is_an_outage),
		CASE(no_ends_the_lease_and_wipes),
		CASE(no_is_remembered_and_then_asked_again),
		CASE(outage_is_not_remembered),
		CASE(outage_fails_when_the_lease_has_ended),
		CASE(barred_lease_is_not_asked_for_until_it_is_restored),
		CASE(others_go_on_while_one_renews),
		CASE(lease_that_ends_while_it_is_renewed_makes_the_others_wait),
		CASE(threads_share_one_yes),
		CASE(threads_share_one_no),
		CASE(yes_that_was_asked_for_before_a_no_is_dropped),
		CASE(yes_that_was_asked_for_before_a_deletion_is_dropped),
		CASE(without_a_lease_each_operation_asks),
		CASE(without_a_lease_parts_run_a_minute_on_their_yes),
		CASE(without_a_lease_a_request_under_way_does_not_serve_those_that_come_later),
		CASE(without_a_lease_threads_that_wait_share_the_next_request),
		CASE(without_a_lease_a_no_is_remembered_too),
		CASE(record_cuts_the_lease_that_is_configured),
		CASE(plaintext_goes_with_the_lease_that_the_record_allows),
		CASE(record_does_not_lengthen_a_lease),
		CASE(renewal_is_ahead_of_the_end_that_the_record_allows),
		CASE(record_of_0_has_each_operation_ask),
		CASE(record_of_0_that_is_expected_does_not_share_the_first_request),
		CASE(what_is_expected_does_not_count_when_the_key_has_come),
		CASE(ended_lease_is_wiped_by_the_sweep),
		CASE(sweep_leaves_a_lease_that_runs_and_comes_again),
		CASE(sweep_keeps_a_refusal_in_memory),
	};

	return cmocka_run_group_tests_name("lease", tests, NULL, NULL);
}
