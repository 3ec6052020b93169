/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a lease: each change once, in order, and nothing while it is used. */
#include "tests/support/lease_fixture.h"

static void assert_told(struct fixture *f, const char *text)
{
	assert_string_equal(f->oracle.told, text);
	f->oracle.told[0] = '\0';
}

#define DISABLED  "the key is disabled\n"
#define DENIED	  "access denied\n"
#define OUT	  "the KMS is out of reach\n"
#define RECOVERED "recovered: done\n"

static void lease_that_is_used_and_renewed_is_not_told_of(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < 10; i++) {
		assert_int_equal(begin(f), ZONE_OK);
		assert_int_equal(go_on(f), ZONE_OK);
		seconds_pass(f, SURELY);
	}
	assert_int_equal(f->oracle.asked, 10);
	seconds_pass(f, LEASE_SECONDS * 3); /* it ends because nobody uses it */
	assert_true(sweep(f));
	assert_int_equal(begin(f), ZONE_OK);
	assert_told(f, "");
}

static void no_is_told_once_and_so_is_the_yes_after_it(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	f->oracle.answer = ZONE_KMS_DISABLED;
	seconds_pass(f, SURELY);
	assert_int_equal(begin(f), ZONE_KMS_DISABLED);
	assert_told(f, "ended: " DISABLED);
	for (int i = 0; i < 10; i++) {
		assert_int_equal(begin(f), ZONE_KMS_DISABLED);
		seconds_pass(f, DENY_SECONDS);
	}
	assert_told(f, "");
	f->oracle.answer = ZONE_OK;
	assert_int_equal(begin(f), ZONE_OK);
	assert_int_equal(begin(f), ZONE_OK);
	assert_told(f, RECOVERED);
}

static void without_a_lease_a_no_is_a_refusal(void **state)
{
	struct fixture *f = *state;

	f->oracle.answer = ZONE_KMS_DENIED;
	assert_int_equal(begin(f), ZONE_KMS_DENIED);
	assert_told(f, "refused: " DENIED);
	f->oracle.answer = ZONE_OK;
	seconds_pass(f, DENY_SECONDS);
	assert_int_equal(begin(f), ZONE_OK);
	assert_told(f, RECOVERED);
}

static void no_that_is_known_above_is_told(void **state)
{
	struct fixture *f = *state;

	f->oracle.refusal = ZONE_KMS_DISABLED;
	assert_int_equal(begin(f), ZONE_KMS_DISABLED);
	assert_int_equal(f->oracle.asked, 0);
	assert_told(f, "refused: " DISABLED);
}

static void another_no_is_told_and_silence_after_one_is_not(void **state)
{
	static const struct {
		enum zone_status answer;
		const char *told;
	} steps[] = {
		{ZONE_KMS_UNAVAILABLE, "refused: " OUT},
		{ZONE_KMS_THROTTLED, ""},
		{ZONE_KMS_NO_CREDENTIALS, ""},
		{ZONE_KMS_DISABLED, "refused: " DISABLED},
		{ZONE_KMS_UNAVAILABLE, ""},
		{ZONE_KMS_DISABLED, ""},
		{ZONE_KMS_DENIED, "refused: " DENIED},
		{ZONE_OK, RECOVERED},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT_OF(steps); i++) {
		f->oracle.answer = steps[i].answer;
		assert_int_equal(begin(f), steps[i].answer);
		assert_told(f, steps[i].told);
		seconds_pass(f, DENY_SECONDS);
	}
}

static void outage_is_told_when_the_lease_has_run_out(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	f->oracle.answer = ZONE_KMS_UNAVAILABLE;
	seconds_pass(f, SURELY);
	assert_int_equal(begin(f), ZONE_OK); /* by what is left */
	assert_told(f, "");
	seconds_pass(f, LEASE_SECONDS - SURELY);
	assert_int_equal(begin(f), ZONE_KMS_UNAVAILABLE);
	assert_int_equal(begin(f), ZONE_KMS_UNAVAILABLE);
	assert_told(f, "ended: " OUT);
	f->oracle.answer = ZONE_OK;
	assert_int_equal(begin(f), ZONE_OK);
	assert_told(f, RECOVERED);
}

/* Without being used: by the sweep, which goes on by what is known above. */
static void lease_that_goes_on_by_the_word_of_another_is_told(void **state)
{
	struct fixture *f = *state;

	lease_clear(&f->lease);
	start_with(f, (struct lease_settings){.lease_seconds = LEASE_SECONDS,
					      .max_stale_seconds = STALE_SECONDS,
					      .zone_lease_seconds = 86400});
	assert_int_equal(begin(f), ZONE_OK);
	f->oracle.answer = ZONE_KMS_NO_CREDENTIALS;
	seconds_pass(f, LEASE_SECONDS);
	assert_int_equal(begin(f), ZONE_KMS_NO_CREDENTIALS);
	assert_told(f, "ended: no credentials\n");
	seconds_pass(f, STALE_SECONDS);
	f->oracle.known = VOUCH_YES;
	f->oracle.voucher.asked = f->oracle.voucher.renew = clock_now(&f->clock.clock);
	assert_false(sweep(f));
	assert_true(lease_has_news(&f->lease));
	lease_tell(&f->lease);
	assert_told(f, RECOVERED);
}

static void no_from_elsewhere_is_told_by_whom_it_reached(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	lease_end(&f->lease, ZONE_KMS_DISABLED);
	assert_true(lease_has_news(&f->lease));
	assert_told(f, ""); /* locks are held */
	lease_tell(&f->lease);
	lease_tell(&f->lease);
	assert_false(lease_has_news(&f->lease));
	assert_told(f, "ended: " DISABLED);
	lease_end(&f->lease, ZONE_KMS_DISABLED); /* there is nothing left to end */
	lease_tell(&f->lease);
	assert_told(f, "");
}

static void what_the_domain_itself_ends_is_not_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	lease_bar(&f->lease, ZONE_PENDING_DELETION);
	assert_int_equal(begin(f), ZONE_PENDING_DELETION);
	lease_bar(&f->lease, ZONE_OK);
	assert_int_equal(begin(f), ZONE_OK);
	assert_told(f, "");
}

static void barred_lease_begins_anew(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	lease_bar(&f->lease, ZONE_PENDING_DELETION);
	lease_bar(&f->lease, ZONE_OK);
	f->oracle.answer = ZONE_KMS_DISABLED;
	assert_int_equal(begin(f), ZONE_KMS_DISABLED);
	assert_told(f, "refused: " DISABLED);
	lease_bar(&f->lease, ZONE_PENDING_DELETION);
	assert_false(lease_is_out(&f->lease));
	lease_bar(&f->lease, ZONE_OK);
	f->oracle.answer = ZONE_OK;
	seconds_pass(f, DENY_SECONDS);
	assert_int_equal(begin(f), ZONE_OK);
	assert_told(f, "");
}

/* A sweep must not forget it, or the next no would be told again. */
static void refused_lease_is_out_until_a_yes(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(begin(f), ZONE_OK);
	assert_false(lease_is_out(&f->lease));
	f->oracle.answer = ZONE_KMS_DISABLED;
	seconds_pass(f, SURELY);
	assert_int_equal(begin(f), ZONE_KMS_DISABLED);
	seconds_pass(f, LEASE_SECONDS * 100);
	assert_true(sweep(f));
	assert_true(lease_is_out(&f->lease));
	f->oracle.answer = ZONE_OK;
	assert_int_equal(begin(f), ZONE_OK);
	assert_false(lease_is_out(&f->lease));
}

static void *use_in_a_thread(void *state)
{
	begin(state);
	return NULL;
}

static void many_threads_hear_one_no_and_tell_it_once(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[THREADS];

	assert_int_equal(begin(f), ZONE_OK);
	seconds_pass(f, LEASE_SECONDS);
	f->oracle.answer = ZONE_KMS_DISABLED;
	hold(&f->oracle, true);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, use_in_a_thread, f), 0);
	wait_until_asked(&f->oracle, 2);
	hold(&f->oracle, false);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_told(f, "ended: " DISABLED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lease_that_is_used_and_renewed_is_not_told_of),
		TEST(no_is_told_once_and_so_is_the_yes_after_it),
		TEST(without_a_lease_a_no_is_a_refusal),
		TEST(no_that_is_known_above_is_told),
		TEST(another_no_is_told_and_silence_after_one_is_not),
		TEST(outage_is_told_when_the_lease_has_run_out),
		TEST(lease_that_goes_on_by_the_word_of_another_is_told),
		TEST(no_from_elsewhere_is_told_by_whom_it_reached),
		TEST(what_the_domain_itself_ends_is_not_told),
		TEST(barred_lease_begins_anew),
		TEST(refused_lease_is_out_until_a_yes),
		TEST(many_threads_hear_one_no_and_tell_it_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
