/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Leases while the KMS is out of reach. */
#include "tests/support/lease_fixture.h"

/* The last renewal is due half a second before the end of a lease of 10 seconds. */
enum { CALL_SECONDS = 15, STEP_MS = 250, LATE_MS = 9600 };

static void start_coasting(struct fixture *f, unsigned lease_seconds)
{
	start_with(f, (struct lease_settings){.lease_seconds = lease_seconds,
					      .max_stale_seconds = STALE_SECONDS});
	assert_int_equal(begin(f), ZONE_OK);
}

static void outage_may_coast_to_its_hard_end_and_no_further(void **state)
{
	struct fixture *f = *state;

	start_coasting(f, LEASE_SECONDS);
	f->oracle.answer = ZONE_KMS_UNAVAILABLE;
	for (int i = 1; i < STALE_SECONDS; i++) {
		seconds_pass(f, 1);
		assert_int_equal(begin(f), ZONE_OK);
		assert_int_equal(go_on(f), ZONE_OK);
	}
	/* Every 7 to 15 seconds, since the first failure. */
	assert_in_range(f->oracle.asked, 3300 / 16, 3400 / 7);
	seconds_pass(f, 1);
	assert_int_equal(begin(f), ZONE_KMS_UNAVAILABLE);
	assert_int_equal(go_on(f), ZONE_KMS_UNAVAILABLE);
	f->oracle.answer = ZONE_OK;
	assert_int_equal(begin(f), ZONE_OK);
}

static void coasts_for(struct fixture *f, int64_t seconds)
{
	f->oracle.answer = ZONE_KMS_UNAVAILABLE;
	for (int64_t i = 1; i < seconds; i++) {
		seconds_pass(f, 1);
		assert_int_equal(begin(f), ZONE_OK);
	}
	seconds_pass(f, 1);
	assert_int_equal(begin(f), ZONE_KMS_UNAVAILABLE);
	sweep(f);
	assert_null(f->lease.keys);
}

static void start_bounded(struct fixture *f, struct lease_settings settings,
			  struct lease_bounds bounds)
{
	start_with(f, settings);
	f->oracle.bounds = bounds;
	assert_int_equal(begin(f), ZONE_OK);
}

static void record_cuts_the_stale_time_that_is_configured(void **state)
{
	const struct lease_settings week = {.lease_seconds = LEASE_SECONDS,
					    .max_stale_seconds = 604800};
	struct fixture *f = *state;

	start_bounded(f, week, (struct lease_bounds){86400, 2 * LEASE_SECONDS});
	coasts_for(f, 2 * LEASE_SECONDS);
}

static void record_without_a_stale_time_ends_with_the_lease(void **state)
{
	const struct lease_settings week = {.lease_seconds = LEASE_SECONDS,
					    .max_stale_seconds = 604800};
	struct fixture *f = *state;

	start_bounded(f, week, (struct lease_bounds){86400, 0});
	coasts_for(f, LEASE_SECONDS);
	/* And where the lease itself is cut. */
	start_bounded(f, week, (struct lease_bounds){60, 60});
	coasts_for(f, 60);
}

/* The configuration's lease is longer than its stale time; the record's is not. */
static void stale_time_counts_by_the_lease_that_the_record_allows(void **state)
{
	const struct lease_settings settings = {.lease_seconds = LEASE_SECONDS,
						.max_stale_seconds = 200};
	struct fixture *f = *state;

	start_bounded(f, settings, (struct lease_bounds){60, 86400});
	coasts_for(f, 200);
}

static void hard_end_counts_from_the_last_yes(void **state)
{
	struct fixture *f = *state;

	start_coasting(f, LEASE_SECONDS);
	seconds_pass(f, SURELY);
	f->oracle.answer = ZONE_KMS_THROTTLED;
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, 1000);
	assert_int_equal(begin(f), ZONE_OK);
	f->oracle.answer = ZONE_OK;
	seconds_pass(f, 1000);
	assert_int_equal(begin(f), ZONE_OK);
	f->oracle.answer = ZONE_KMS_THROTTLED;
	seconds_pass(f, STALE_SECONDS - 1);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, 1);
	assert_int_equal(begin(f), ZONE_KMS_THROTTLED);
}

static void no_ends_coasting_at_once(void **state)
{
	struct fixture *f = *state;

	start_coasting(f, LEASE_SECONDS);
	f->oracle.answer = ZONE_KMS_UNAVAILABLE;
	seconds_pass(f, LEASE_SECONDS);
	assert_int_equal(begin(f), ZONE_OK);
	f->oracle.answer = ZONE_KMS_DISABLED;
	seconds_pass(f, 15);
	assert_int_equal(begin(f), ZONE_KMS_DISABLED);
	assert_null(f->lease.keys);
}

static void nobody_coasts_by_a_failure_that_is_long_ago(void **state)
{
	struct fixture *f = *state;

	start_coasting(f, LEASE_SECONDS);
	f->oracle.answer = ZONE_KMS_UNAVAILABLE;
	seconds_pass(f, SURELY);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, 1000);
	assert_false(lease_runs(&f->lease));
	f->oracle.answer = ZONE_KMS_DISABLED;
	assert_int_equal(begin(f), ZONE_KMS_DISABLED);
}

static void only_an_outage_coasts(void **state)
{
	static const enum zone_status others[] = {
		ZONE_KMS_NO_CREDENTIALS, ZONE_KMS_CREDENTIALS_REFUSED, ZONE_KMS_BAD_ANSWER,
		ZONE_KMS_MISCONFIGURED, ZONE_KMS_INVALID_CIPHERTEXT};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(others); i++) {
		lease_clear(&f->lease);
		start_coasting(f, LEASE_SECONDS);
		f->oracle.answer = others[i];
		seconds_pass(f, LEASE_SECONDS - 1);
		assert_int_equal(begin(f), ZONE_OK);
		seconds_pass(f, 1);
		assert_int_equal(begin(f), others[i]);
	}
}

static void sweep_keeps_a_key_that_may_coast_until_its_hard_end(void **state)
{
	struct fixture *f = *state;

	start_coasting(f, LEASE_SECONDS);
	seconds_pass(f, STALE_SECONDS - 1);
	assert_false(lease_rules_due(&f->rules));
	assert_false(sweep(f));
	assert_false(lease_runs(&f->lease));
	seconds_pass(f, 1);
	assert_true(lease_rules_due(&f->rules));
	assert_true(sweep(f));
	assert_null(f->lease.keys);
}

static void suspended_machine_does_not_coast(void **state)
{
	struct fixture *f = *state;

	start_coasting(f, LEASE_SECONDS);
	f->oracle.answer = ZONE_KMS_UNAVAILABLE;
	seconds_pass(f, LEASE_SECONDS);
	assert_int_equal(begin(f), ZONE_OK);
	f->clock.realtime_ms += STALE_SECONDS * 1000;
	assert_int_equal(begin(f), ZONE_KMS_UNAVAILABLE);
}

static void without_a_lease_an_outage_may_coast_too(void **state)
{
	struct fixture *f = *state;

	start_coasting(f, 0);
	f->oracle.answer = ZONE_KMS_UNAVAILABLE;
	seconds_pass(f, STALE_SECONDS - 1);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
	assert_int_equal(go_on(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
	seconds_pass(f, 1);
	assert_int_equal(begin(f), ZONE_KMS_UNAVAILABLE);
}

static void clock_that_was_set_back_lengthens_nothing(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, SURELY);
	f->clock.realtime_ms -= 3600 * 1000;
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
	/* A suspended machine: the monotonic clock stands. */
	f->clock.realtime_ms += LEASE_SECONDS * 1000;
	assert_false(lease_runs(&f->lease));
}

static void suspended_machine_coasts_as_well(void **state)
{
	(void)state;
	for (int at = 200; at < LEASE_SECONDS; at += 11) {
		struct fixture f;

		start_coasting(&f, LEASE_SECONDS);
		f.oracle.answer = ZONE_KMS_UNAVAILABLE;
		f.clock.monotonic_ms += at * 1000;
		f.clock.realtime_ms += (at + 200) * 1000;
		assert_int_equal(begin(&f), ZONE_OK);
		lease_clear(&f.lease);
	}
}

static bool ran_on;

static void be_silent(struct oracle *oracle)
{
	oracle->while_brought = NULL;
	fake_clock_advance(oracle->clock, CALL_SECONDS * 1000 - 1);
	ran_on = lease_runs(oracle->lease);
	fake_clock_advance(oracle->clock, 1);
}

/* Whoever asks waits; the others must not, at no time of a network that swallows all. */
static void silence_stops_nobody_but_the_one_that_asks(void **state)
{
	struct fixture f;

	(void)state;
	start_with(&f, (struct lease_settings){.lease_seconds = 10,
					       .max_stale_seconds = STALE_SECONDS,
					       .call_ms = CALL_SECONDS * 1000});
	assert_int_equal(begin(&f), ZONE_OK);
	f.oracle.answer = ZONE_KMS_UNAVAILABLE;
	for (int64_t gone_ms = 0; gone_ms < (STALE_SECONDS - 2 * CALL_SECONDS) * 1000;
	     gone_ms += STEP_MS) {
		unsigned asked = f.oracle.asked;

		fake_clock_advance(&f.clock, STEP_MS);
		f.oracle.while_brought = be_silent;
		assert_int_equal(begin(&f), ZONE_OK);
		assert_true(lease_runs(&f.lease));
		if (f.oracle.asked == asked)
			continue;
		assert_true(ran_on);
		gone_ms += CALL_SECONDS * 1000;
	}
	assert_in_range(f.oracle.asked, 100, 400);
	lease_clear(&f.lease);
}

static void silence_ends_a_lease_where_coasting_is_not_allowed(void **state)
{
	struct fixture f;

	(void)state;
	start_with(&f,
		   (struct lease_settings){.lease_seconds = 10, .call_ms = CALL_SECONDS * 1000});
	assert_int_equal(begin(&f), ZONE_OK);
	f.oracle.answer = ZONE_KMS_UNAVAILABLE;
	fake_clock_advance(&f.clock, LATE_MS);
	f.oracle.while_brought = be_silent;
	ran_on = true;
	assert_int_equal(begin(&f), ZONE_KMS_UNAVAILABLE);
	assert_false(ran_on);
	assert_false(lease_runs(&f.lease));
	lease_clear(&f.lease);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silence_stops_nobody_but_the_one_that_asks),
		cmocka_unit_test(silence_ends_a_lease_where_coasting_is_not_allowed),
		cmocka_unit_test(suspended_machine_coasts_as_well),
		CASE(outage_may_coast_to_its_hard_end_and_no_further),
		CASE(record_cuts_the_stale_time_that_is_configured),
		CASE(record_without_a_stale_time_ends_with_the_lease),
		CASE(stale_time_counts_by_the_lease_that_the_record_allows),
		CASE(hard_end_counts_from_the_last_yes),
		CASE(no_ends_coasting_at_once),
		CASE(nobody_coasts_by_a_failure_that_is_long_ago),
		CASE(only_an_outage_coasts),
		CASE(sweep_keeps_a_key_that_may_coast_until_its_hard_end),
		CASE(suspended_machine_does_not_coast),
		CASE(without_a_lease_an_outage_may_coast_too),
		CASE(clock_that_was_set_back_lengthens_nothing),
	};

	return cmocka_run_group_tests_name("lease coasting", tests, NULL, NULL);
}
