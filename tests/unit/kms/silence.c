/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which call may ask an endpoint that does not answer, and when; what is logged about it. */
#include "crypto/crypto.h"
#include "kms/silence.h"
#include "pkcs11/providers.h"
#include "tests/support/fake_clock.h"
#include "tests/support/unit.h"

#include <stdio.h>

#define KEY_1  "arn:aws:kms:us-west-2:111122223333:key/11111111-1111-1111-1111-111111111111"
#define KEY_2  "arn:aws:kms:us-west-2:111122223333:key/22222222-2222-2222-2222-222222222222"
#define KEY_3  "arn:aws:kms:us-west-2:111122223333:key/33333333-3333-3333-3333-333333333333"
#define KEY_4  "arn:aws:kms:us-west-2:111122223333:key/44444444-4444-4444-4444-444444444444"
#define ABROAD "arn:aws:kms:eu-west-1:111122223333:key/33333333-3333-3333-3333-333333333333"
#define LOCAL  "local:embedded"

static struct fixture {
	struct fake_clock clock;
	struct kms_settings settings;
	struct silences silences;
	struct kms_report report;
	struct kms_turn_news news;
} f;

static int set_up(void **state)
{
	(void)state;
	memset(&f, 0, sizeof(f));
	fake_clock_init(&f.clock);
	f.settings.clock = &f.clock.clock;
	f.settings.providers = module_providers;
	silences_init(&f.silences, &f.settings);
	return crypto_start(false) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	silences_clear(&f.silences);
	return 0;
}

static enum kms_status begin(const char *key, struct kms_turn *turn)
{
	return silences_begin(&f.silences, key, turn, &f.report);
}

static void finish(const struct kms_turn *turn, enum kms_status status, const char *type,
		   const char *message)
{
	f.report = (struct kms_report){.sent = true};
	snprintf(f.report.error_type, sizeof(f.report.error_type), "%s", type);
	snprintf(f.report.message, sizeof(f.report.message), "%s", message);
	silences_end(&f.silences, turn, status, &f.report, &f.news);
}

/* What a call answers if the KMS would answer `status`. */
static enum kms_status call(const char *key, enum kms_status status, const char *type)
{
	struct kms_turn turn;
	enum kms_status silent = begin(key, &turn);

	if (silent != KMS_OK)
		return silent;
	finish(&turn, status, type, "no answer");
	return status;
}

static bool may_ask(const char *key)
{
	return silences_silent(&f.silences, key) == KMS_OK;
}

enum { HAMMERED_MS = 600000, STEP_MS = 10, EACH_MS = 250, SLOW_MS = 5000, SLOW_KEYS = 2 };

/* Two keys with which each request ends in nothing, used all the time, and one that is answered. */
static void keys_that_are_never_answered_leave_turns_to_others(void **state)
{
	static const char *const slow[SLOW_KEYS] = {KEY_1, KEY_2};
	struct kms_turn turn;
	int64_t asking_until = 0, refused_since = -1, longest = 0;
	bool asking = false;

	(void)state;
	for (int64_t at = 0; at < HAMMERED_MS; at += STEP_MS) {
		if (asking && at >= asking_until) {
			finish(&turn, KMS_UNAVAILABLE, "", "timed out");
			asking = false;
		}
		for (int i = 0; i < SLOW_KEYS && !asking; i++)
			asking = begin(slow[i], &turn) == KMS_OK;
		if (asking && asking_until <= at)
			asking_until = at + SLOW_MS;
		if (at % EACH_MS == 0 && call(KEY_3, KMS_OK, "") == KMS_OK)
			refused_since = -1;
		else if (at % EACH_MS == 0 && refused_since < 0)
			refused_since = at;
		if (refused_since >= 0 && at - refused_since > longest)
			longest = at - refused_since;
		fake_clock_advance(&f.clock, STEP_MS);
	}
	assert_in_range(longest, 0, SLOW_MS + SILENCE_REST_MS + SILENCE_OTHERS_MS);
}

static void silence_of_one_key_holds_for_all_at_its_endpoint(void **state)
{
	(void)state;
	assert_int_equal(call(KEY_1, KMS_UNAVAILABLE, ""), KMS_UNAVAILABLE);
	assert_false(may_ask(KEY_1));
	assert_false(may_ask(KEY_2));
	assert_true(may_ask(ABROAD));
	assert_int_equal(call(KEY_2, KMS_OK, ""), KMS_UNAVAILABLE);
}

static void throttling_and_a_key_store_are_of_one_key(void **state)
{
	static const struct {
		enum kms_status status;
		const char *type;
	} cases[] = {{KMS_THROTTLED, "ThrottlingException"},
		     {KMS_KEY_OUT_OF_REACH, "KeyUnavailableException"}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(call(KEY_1, cases[i].status, cases[i].type), cases[i].status);
		assert_false(may_ask(KEY_1));
		assert_true(may_ask(KEY_2));
		/* What another key is answered says nothing of this one. */
		assert_int_equal(call(KEY_2, KMS_OK, ""), KMS_OK);
		assert_false(may_ask(KEY_1));
		fake_clock_advance(&f.clock, SILENCE_FIRST_MS);
		assert_int_equal(call(KEY_1, KMS_OK, ""), KMS_OK);
		assert_true(may_ask(KEY_1));
	}
}

static enum kms_status fail_answered(const char *key)
{
	struct kms_turn turn;
	enum kms_status silent = begin(key, &turn);

	if (silent != KMS_OK)
		return silent;
	f.report = (struct kms_report){.sent = true, .request_id = "1", .error_type = "Internal"};
	silences_end(&f.silences, &turn, KMS_UNAVAILABLE, &f.report, &f.news);
	return KMS_UNAVAILABLE;
}

static void error_of_the_kms_is_of_one_key_until_a_second_has_it(void **state)
{
	(void)state;
	fail_answered(KEY_1);
	assert_true(f.news.is_new);
	assert_false(may_ask(KEY_1));
	assert_true(may_ask(KEY_2));
	assert_int_equal(call(KEY_2, KMS_OK, ""), KMS_OK);
	assert_false(may_ask(KEY_1));
	/* It works for one, so another's failure is its own again. */
	fail_answered(KEY_2);
	assert_true(may_ask(KEY_3));
	fail_answered(KEY_3);
	assert_false(f.news.is_new); /* the same cause, of all now */
	assert_false(may_ask(KEY_2));
	assert_false(may_ask(KEY_4));
	fake_clock_advance(&f.clock, SILENCE_FIRST_MS);
	assert_int_equal(call(KEY_4, KMS_OK, ""), KMS_OK);
	assert_true(f.news.ended);
	assert_false(f.news.of_key);
	assert_int_equal(f.news.failed, 2);
	assert_true(may_ask(KEY_2));
}

static void one_caller_asks_for_all_when_the_backoff_is_over(void **state)
{
	struct kms_turn turn, other;

	(void)state;
	call(KEY_1, KMS_UNAVAILABLE, "");
	fake_clock_advance(&f.clock, SILENCE_FIRST_MS);
	assert_int_equal(begin(KEY_2, &turn), KMS_OK);
	assert_true(kms_turn_is_for_all(&turn));
	assert_int_equal(begin(KEY_1, &other), KMS_UNAVAILABLE);
	fake_clock_advance(&f.clock, 60000);
	assert_int_equal(begin(KEY_1, &other), KMS_UNAVAILABLE);
	finish(&turn, KMS_OK, "", "");
	assert_true(f.news.ended);
	assert_int_equal(f.news.failed, 1);
	assert_int_equal(f.news.refused, 2);
	assert_int_equal(begin(KEY_1, &other), KMS_OK);
	assert_false(kms_turn_is_for_all(&other));
}

/* Nobody knows better since when there was no answer. */
static void it_is_as_long_as_from_the_first_failed_request_s_begin(void **state)
{
	static const struct {
		enum kms_status status;
		const char *type;
	} cases[] = {{KMS_UNAVAILABLE, ""},
		     {KMS_THROTTLED, "ThrottlingException"},
		     {KMS_NO_CREDENTIALS, ""}};
	struct kms_turn turn;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		for (int failed = 0; failed < 2; failed++) {
			assert_int_equal(begin(KEY_1, &turn), KMS_OK);
			fake_clock_advance(&f.clock, 15000);
			finish(&turn, cases[i].status, cases[i].type, "no answer");
			fake_clock_advance(&f.clock, 2500);
		}
		assert_int_equal(call(KEY_1, KMS_OK, ""), KMS_OK);
		assert_true(f.news.ended);
		assert_int_equal(f.news.lasted_ms, 35000);
	}
}

/* How long nobody may ask after a failure now, of a request that took `took_ms`. */
static int64_t pause_after(int64_t took_ms)
{
	struct kms_turn turn;
	int64_t ms = 0;

	assert_int_equal(begin(KEY_1, &turn), KMS_OK);
	fake_clock_advance(&f.clock, took_ms);
	finish(&turn, KMS_UNAVAILABLE, "", "no answer");
	for (; !may_ask(KEY_1); ms += 5)
		fake_clock_advance(&f.clock, 5);
	return ms;
}

static void backoff_begins_small_and_is_bounded(void **state)
{
	static const int64_t most[] = {500, 1000, 2000, 4000, 8000, 13000, 13000, 13000};
	int64_t last = 0, different = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(most) / sizeof(*most); i++)
		assert_in_range(pause_after(0), most[i] * 3 / 4, most[i]);
	for (int i = 0; i < 100; i++) {
		int64_t ms = pause_after(0);

		assert_in_range(ms, SILENCE_MAX_MS * 3 / 4, SILENCE_MAX_MS);
		different += ms != last;
		last = ms;
	}
	assert_true(different > 90);
	/* From one request to the next, however long each takes to fail; but somebody rests. */
	assert_in_range(pause_after(5000), SILENCE_MAX_MS * 3 / 4 - 5000, SILENCE_MAX_MS - 5000);
	assert_in_range(pause_after(15000), SILENCE_REST_MS, SILENCE_REST_MS + 5);
}

static void those_who_were_under_way_make_it_no_longer(void **state)
{
	struct kms_turn turns[64];

	(void)state;
	for (size_t i = 0; i < 64; i++)
		assert_int_equal(begin(KEY_1, &turns[i]), KMS_OK);
	for (size_t i = 0; i < 64; i++) {
		finish(&turns[i], KMS_UNAVAILABLE, "", "no answer");
		assert_int_equal(f.news.is_new, i == 0);
	}
	fake_clock_advance(&f.clock, SILENCE_FIRST_MS);
	assert_true(may_ask(KEY_1));
}

static void any_answer_ends_it(void **state)
{
	static const enum kms_status answers[] = {
		KMS_OK,	       KMS_DENIED,	    KMS_DISABLED,
		KMS_NOT_FOUND, KMS_INVALID_REQUEST, KMS_CREDENTIALS_REFUSED,
		KMS_THROTTLED};

	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(*answers); i++) {
		call(KEY_1, KMS_UNAVAILABLE, "");
		fake_clock_advance(&f.clock, SILENCE_FIRST_MS);
		assert_int_equal(call(KEY_2, answers[i], ""), answers[i]);
		assert_true(f.news.ended);
		assert_true(may_ask(KEY_1));
		fake_clock_advance(&f.clock, SILENCE_FIRST_MS);
		call(KEY_2, KMS_OK, "");
	}
}

static void own_faults_are_no_silence_and_end_none(void **state)
{
	static const enum kms_status faults[] = {KMS_NO_MEMORY, KMS_NO_CREDENTIALS,
						 KMS_MISCONFIGURED};

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
		assert_int_equal(call(KEY_1, faults[i], ""), faults[i]);
		assert_true(f.news.is_new);
		assert_int_equal(call(KEY_1, faults[i], ""), faults[i]);
		assert_false(f.news.is_new);
		assert_true(may_ask(KEY_1));
	}
	call(KEY_1, KMS_UNAVAILABLE, "");
	fake_clock_advance(&f.clock, SILENCE_FIRST_MS);
	assert_int_equal(call(KEY_1, KMS_NO_MEMORY, ""), KMS_NO_MEMORY);
	assert_false(f.news.ended);
	assert_true(may_ask(KEY_1)); /* by the next, since nobody was asked */
	assert_int_equal(call(KEY_1, KMS_OK, ""), KMS_OK);
	assert_true(f.news.ended);
}

static void cause_is_told_once_and_each_change(void **state)
{
	static const struct {
		enum kms_status status;
		const char *type, *message;
		bool is_new;
	} steps[] = {
		{KMS_UNAVAILABLE, "", "connection refused after 3 ms", true},
		{KMS_UNAVAILABLE, "", "connection refused after 27 ms", false},
		{KMS_UNAVAILABLE, "", "timed out after 5001 ms", true},
		{KMS_UNAVAILABLE, "KMSInternalException", "one", true},
		{KMS_UNAVAILABLE, "KMSInternalException", "another", false},
		{KMS_OK, "", "", false},
		{KMS_UNAVAILABLE, "KMSInternalException", "one", true},
		{KMS_DENIED, "AccessDeniedException", "no", true},
		{KMS_DENIED, "AccessDeniedException", "no", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		struct kms_turn turn;

		assert_int_equal(begin(KEY_1, &turn), KMS_OK);
		finish(&turn, steps[i].status, steps[i].type, steps[i].message);
		assert_int_equal(f.news.is_new, steps[i].is_new);
		fake_clock_advance(&f.clock, SILENCE_MAX_MS);
	}
}

static void a_caller_who_tells_nothing_leaves_it_new(void **state)
{
	struct kms_turn turn;

	(void)state;
	assert_int_equal(begin(KEY_1, &turn), KMS_OK);
	turn.quiet = true;
	finish(&turn, KMS_UNAVAILABLE, "", "no answer");
	fake_clock_advance(&f.clock, SILENCE_MAX_MS);
	call(KEY_1, KMS_UNAVAILABLE, "");
	assert_true(f.news.is_new);
}

static void embedded_kms_is_always_asked_and_told_once(void **state)
{
	(void)state;
	assert_int_equal(call(LOCAL, KMS_UNAVAILABLE, ""), KMS_UNAVAILABLE);
	assert_true(f.news.is_new);
	assert_true(may_ask(LOCAL));
	assert_int_equal(call(LOCAL, KMS_UNAVAILABLE, ""), KMS_UNAVAILABLE);
	assert_false(f.news.is_new);
	assert_int_equal(call(LOCAL, KMS_OK, ""), KMS_OK);
}

static void reason_says_what_was_heard_and_when(void **state)
{
	struct kms_turn turn;

	(void)state;
	call(KEY_1, KMS_UNAVAILABLE, "");
	fake_clock_advance(&f.clock, SILENCE_MAX_MS);
	call(KEY_1, KMS_UNAVAILABLE, "");
	assert_int_equal(begin(KEY_1, &turn), KMS_UNAVAILABLE);
	assert_string_equal(f.report.message, "no answer, 0 s ago");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(keys_that_are_never_answered_leave_turns_to_others),
		CASE(silence_of_one_key_holds_for_all_at_its_endpoint),
		CASE(throttling_and_a_key_store_are_of_one_key),
		CASE(error_of_the_kms_is_of_one_key_until_a_second_has_it),
		CASE(one_caller_asks_for_all_when_the_backoff_is_over),
		CASE(it_is_as_long_as_from_the_first_failed_request_s_begin),
		CASE(backoff_begins_small_and_is_bounded),
		CASE(those_who_were_under_way_make_it_no_longer),
		CASE(any_answer_ends_it),
		CASE(own_faults_are_no_silence_and_end_none),
		CASE(cause_is_told_once_and_each_change),
		CASE(a_caller_who_tells_nothing_leaves_it_new),
		CASE(embedded_kms_is_always_asked_and_told_once),
		CASE(reason_says_what_was_heard_and_when),
	};

	return cmocka_run_group_tests_name("silence", tests, NULL, NULL);
}
