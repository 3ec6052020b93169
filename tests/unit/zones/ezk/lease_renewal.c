/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Leases that are renewed, ahead of their end: by the key itself or by its root key. */
#include "tests/support/lease_fixture.h"

/* --- Ahead of the end */

static void a_use_in_the_last_part_of_a_lease_renews_it(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, SURELY);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
	seconds_pass(f, LEASE_SECONDS - 1);
	assert_true(lease_runs(&f->lease));
	assert_int_equal(go_on(f), ZONE_OK); /* parts do so, too */
	assert_int_equal(f->oracle.asked, 3);
}

static void renewal_that_fails_is_tried_again_and_changes_nothing_before_the_end(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	f->oracle.answer = ZONE_KMS_UNAVAILABLE;
	seconds_pass(f, SURELY);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
	seconds_pass(f, LEASE_SECONDS - SURELY - 1);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, 1);
	assert_int_equal(begin(f), ZONE_KMS_UNAVAILABLE);
	f->oracle.answer = ZONE_OK;
	assert_int_equal(begin(f), ZONE_OK);
}

static void no_ahead_of_the_end_ends_the_lease_at_once(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	f->oracle.answer = ZONE_KMS_DENIED;
	seconds_pass(f, SURELY);
	assert_int_equal(go_on(f), ZONE_KMS_DENIED);
	assert_null(f->lease.keys);
	assert_int_equal(go_on(f), ZONE_KMS_DENIED);
	assert_int_equal(f->oracle.asked, 2);
}

static void moments_of_renewal_are_spread(void **state)
{
	struct fixture *f = *state;
	struct moment start = clock_now(&f->clock.clock);
	unsigned early = 0, late = 0;

	for (int i = 0; i < 1000; i++) {
		struct moment at = lease_rules_ahead(&f->rules, start, 1000);
		int64_t after = at.monotonic_ms - start.monotonic_ms;

		assert_in_range(after, 750, 950);
		early += after < 800;
		late += after >= 900;
	}
	assert_in_range(early, 150, 350);
	assert_in_range(late, 150, 350);
}

/* --- By the root key */

static void start_under_root_key(struct fixture *f, unsigned zone_lease_seconds)
{
	start_with(f, (struct lease_settings){.lease_seconds = LEASE_SECONDS,
					      .zone_lease_seconds = zone_lease_seconds});
}

/* The root key's canary says yes now. */
static void say_yes(struct fixture *f)
{
	f->oracle.says = VOUCH_YES;
	f->oracle.voucher.asked = clock_now(&f->clock.clock);
	f->oracle.voucher.renew =
		lease_rules_ahead(&f->rules, f->oracle.voucher.asked, LEASE_SECONDS * 1000);
}

/* The canary's yes is an hour's; the record takes a minute of it. */
static void yes_of_the_root_key_lasts_no_longer_than_the_record_allows(void **state)
{
	struct fixture *f = *state;

	start_with(f, (struct lease_settings){.lease_seconds = 3600, .zone_lease_seconds = 86400});
	f->oracle.bounds.max_lease = 60;
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, 58);
	f->oracle.says = VOUCH_YES;
	f->oracle.voucher.asked = f->oracle.voucher.renew = clock_now(&f->clock.clock);
	f->oracle.voucher.renew.monotonic_ms += 3000 * 1000;
	f->oracle.voucher.renew.realtime_ms += 3000 * 1000;
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 1);
	assert_int_equal(f->oracle.vouched, 1);
	assert_int_equal(f->oracle.yes_ms, 60 * 1000);
	seconds_pass(f, 59);
	assert_true(lease_runs(&f->lease));
	seconds_pass(f, 1);
	assert_false(lease_runs(&f->lease));
	/* By what is known above, too. */
	f->oracle.known = VOUCH_YES;
	sweep(f);
	assert_null(f->lease.keys);
}

static void yes_of_the_root_key_renews_without_asking_the_key(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 86400);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.vouched, 0);
	for (unsigned i = 1; i < 10; i++) {
		seconds_pass(f, SURELY);
		say_yes(f);
		assert_int_equal(begin(f), ZONE_OK);
		assert_int_equal(f->oracle.vouched, i);
	}
	assert_int_equal(f->oracle.asked, 1);
	seconds_pass(f, LEASE_SECONDS - 1);
	assert_true(lease_runs(&f->lease));
}

static void lease_counts_from_the_start_of_the_root_keys_request(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 86400);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, NOT_YET);
	say_yes(f); /* to another zone */
	seconds_pass(f, SURELY - NOT_YET);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, LEASE_SECONDS - (SURELY - NOT_YET) - 1);
	assert_true(lease_runs(&f->lease));
	seconds_pass(f, 1);
	assert_false(lease_runs(&f->lease));
}

static void key_is_asked_itself_where_the_root_key_does_not_vouch(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 86400);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, SURELY);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.vouched, 1);
	assert_int_equal(f->oracle.asked, 2);
	f->oracle.answer = ZONE_KMS_DENIED;
	seconds_pass(f, SURELY);
	assert_int_equal(begin(f), ZONE_KMS_DENIED);
}

static void key_is_asked_itself_at_least_once_in_its_own_time(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 10 * LEASE_SECONDS);
	assert_int_equal(begin(f), ZONE_OK);
	for (int i = 0; i < 7; i++) {
		seconds_pass(f, SURELY);
		say_yes(f);
		assert_int_equal(begin(f), ZONE_OK);
	}
	assert_int_equal(f->oracle.asked, 1);
	for (int i = 0; i < 3; i++) {
		seconds_pass(f, SURELY);
		say_yes(f);
		assert_int_equal(begin(f), ZONE_OK);
	}
	assert_int_equal(f->oracle.asked, 2);
}

static void no_yes_of_the_root_key_outlasts_the_keys_own_time(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 400);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, SURELY);
	say_yes(f);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, 400 - SURELY - 1);
	f->oracle.answer = ZONE_KMS_UNAVAILABLE;
	assert_true(lease_runs(&f->lease));
	seconds_pass(f, 1);
	assert_false(lease_runs(&f->lease));
	assert_int_equal(begin(f), ZONE_KMS_UNAVAILABLE);
}

static void a_use_that_finds_the_root_key_being_asked_goes_on(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 86400);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, SURELY);
	f->oracle.says = VOUCH_BUSY;
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 1);
	say_yes(f);
	fake_clock_advance(&f->clock, 100);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 1);
	assert_int_equal(f->oracle.vouched, 2);
}

static void lease_goes_on_by_what_is_known_of_the_root_key(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 86400);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, NOT_YET);
	say_yes(f);
	f->oracle.known = VOUCH_YES;
	seconds_pass(f, LEASE_SECONDS - NOT_YET);
	assert_false(lease_runs(&f->lease));
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 1);
}

static void sweep_spares_what_goes_on_by_the_root_key(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 86400);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, NOT_YET);
	say_yes(f);
	f->oracle.known = VOUCH_YES;
	seconds_pass(f, LEASE_SECONDS - NOT_YET);
	assert_true(lease_rules_due(&f->rules));
	assert_false(sweep(f));
	assert_true(lease_runs(&f->lease));
	seconds_pass(f, NOT_YET);
	assert_true(lease_rules_due(&f->rules));
	assert_true(sweep(f));
	assert_null(f->lease.keys);
}

static void let_go(struct oracle *oracle)
{
	lease_end(oracle->lease, ZONE_OK);
}

static void yes_of_the_root_key_for_a_key_that_went_meanwhile_brings_it_anew(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 86400);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, SURELY);
	say_yes(f);
	f->oracle.meanwhile = let_go;
	assert_int_equal(begin(f), ZONE_OK);
	assert_non_null(f->lease.keys);
	assert_int_equal(f->oracle.asked, 2);
}

static void let_go_once(struct oracle *oracle)
{
	oracle->while_brought = NULL;
	lease_end(oracle->lease, ZONE_OK);
}

static void yes_that_was_on_its_way_when_a_no_came_from_elsewhere_is_asked_again(void **state)
{
	struct fixture *f = *state;

	f->oracle.while_brought = let_go_once;
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
	assert_non_null(f->lease.keys);
}

static void doubt(struct oracle *oracle)
{
	lease_doubt(oracle->lease);
}

static void yes_of_the_root_key_that_was_doubted_meanwhile_is_worth_nothing(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 86400);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, SURELY);
	say_yes(f);
	f->oracle.meanwhile = doubt;
	f->oracle.answer = ZONE_KMS_DENIED;
	assert_int_equal(begin(f), ZONE_KMS_DENIED);
	assert_int_equal(f->oracle.asked, 2);
}

static void disable(struct oracle *oracle)
{
	lease_deny(oracle->lease, ZONE_KMS_DISABLED);
}

static void yes_of_the_root_key_that_was_asked_for_before_a_no_is_dropped(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 86400);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, SURELY);
	say_yes(f);
	f->oracle.meanwhile = disable;
	assert_int_equal(begin(f), ZONE_KMS_DISABLED);
	assert_null(f->lease.keys);
	assert_int_equal(f->oracle.asked, 1);
}

static void doubt_leaves_what_the_key_itself_was_granted(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 86400);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, SURELY);
	doubt(&f->oracle);
	assert_true(lease_runs(&f->lease));
	say_yes(f);
	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, LEASE_SECONDS - SURELY - 1);
	doubt(&f->oracle);
	assert_true(lease_runs(&f->lease));
	seconds_pass(f, 1);
	assert_false(lease_runs(&f->lease));
	f->oracle.says = VOUCH_ASK_ITSELF;
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
}

static void key_that_changed_its_root_key_is_asked_itself(void **state)
{
	struct fixture *f = *state;

	start_under_root_key(f, 86400);
	assert_int_equal(begin(f), ZONE_OK);
	lease_ask_itself(&f->lease);
	seconds_pass(f, SURELY);
	say_yes(f);
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(f->oracle.asked, 2);
	assert_int_equal(f->oracle.vouched, 0);
}

static void no_that_is_remembered_above_is_not_asked_for_again(void **state)
{
	struct fixture *f = *state;

	f->oracle.refusal = ZONE_KMS_DISABLED;
	assert_int_equal(begin(f), ZONE_KMS_DISABLED);
	assert_int_equal(f->oracle.asked, 0);
	f->oracle.refusal = ZONE_OK;
	assert_int_equal(begin(f), ZONE_OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_use_in_the_last_part_of_a_lease_renews_it),
		CASE(renewal_that_fails_is_tried_again_and_changes_nothing_before_the_end),
		CASE(no_ahead_of_the_end_ends_the_lease_at_once),
		CASE(moments_of_renewal_are_spread),
		CASE(yes_of_the_root_key_renews_without_asking_the_key),
		CASE(yes_of_the_root_key_lasts_no_longer_than_the_record_allows),
		CASE(lease_counts_from_the_start_of_the_root_keys_request),
		CASE(key_is_asked_itself_where_the_root_key_does_not_vouch),
		CASE(key_is_asked_itself_at_least_once_in_its_own_time),
		CASE(no_yes_of_the_root_key_outlasts_the_keys_own_time),
		CASE(a_use_that_finds_the_root_key_being_asked_goes_on),
		CASE(lease_goes_on_by_what_is_known_of_the_root_key),
		CASE(sweep_spares_what_goes_on_by_the_root_key),
		CASE(yes_of_the_root_key_for_a_key_that_went_meanwhile_brings_it_anew),
		CASE(yes_that_was_on_its_way_when_a_no_came_from_elsewhere_is_asked_again),
		CASE(yes_of_the_root_key_that_was_doubted_meanwhile_is_worth_nothing),
		CASE(yes_of_the_root_key_that_was_asked_for_before_a_no_is_dropped),
		CASE(doubt_leaves_what_the_key_itself_was_granted),
		CASE(key_that_changed_its_root_key_is_asked_itself),
		CASE(no_that_is_remembered_above_is_not_asked_for_again),
	};

	return cmocka_run_group_tests_name("lease renewal", tests, NULL, NULL);
}
