/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* When a call is tried again, how long is waited, and what the bucket of tokens holds back. */
#include "base/macros.h"
#include "crypto/crypto.h"
#include "net/retry.h"
#include "tests/support/unit.h"

static int64_t now, slept;

static int64_t read_fake(void *state)
{
	(void)state;
	return now;
}

static void fake_sleep(void *state, int64_t ms)
{
	(void)state;
	now += ms;
	slept = ms;
}

static const struct clock fake_clock = {read_fake, read_fake, NULL};

static struct retry begin(struct retry_bucket *bucket, unsigned max_attempts, int64_t time_ms)
{
	now = 1000;
	slept = -1;
	return (struct retry){.bucket = bucket,
			      .clock = &fake_clock,
			      .sleep = fake_sleep,
			      .max_attempts = max_attempts,
			      .attempt = 1,
			      .deadline = {now + time_ms, now + time_ms}};
}

static void attempts_are_counted(void **state)
{
	struct retry_bucket bucket = {RETRY_BUCKET};
	struct retry retry = begin(&bucket, 3, 100000);

	(void)state;
	assert_true(retry_again(&retry, RETRY_TRANSIENT, -1));
	assert_in_range(slept, 0, 50);
	assert_true(retry_again(&retry, RETRY_TRANSIENT, -1));
	assert_in_range(slept, 0, 100);
	assert_false(retry_again(&retry, RETRY_TRANSIENT, -1));
	assert_int_equal(bucket.tokens, RETRY_BUCKET - 2 * 14);
	retry_succeeded(&retry);
	assert_int_equal(bucket.tokens, RETRY_BUCKET - 14);
}

static void throttling_waits_longer_and_costs_less(void **state)
{
	struct retry_bucket bucket = {RETRY_BUCKET};
	int64_t longest = 0;

	(void)state;
	for (int i = 0; i < 64; i++) {
		struct retry retry = begin(&bucket, 3, 100000);

		bucket.tokens = RETRY_BUCKET;
		assert_true(retry_again(&retry, RETRY_THROTTLED, -1));
		assert_int_equal(bucket.tokens, RETRY_BUCKET - 5);
		assert_in_range(slept, 0, 1000);
		longest = slept > longest ? slept : longest;
	}
	assert_true(longest > 50);
}

static void what_will_not_change_is_not_tried_again(void **state)
{
	struct retry_bucket bucket = {RETRY_BUCKET};
	struct retry retry = begin(&bucket, 3, 100000);

	(void)state;
	assert_false(retry_again(&retry, RETRY_NO, -1));
	assert_false(retry_again(&retry, RETRY_RENEWED, -1));
	assert_int_equal(slept, -1);
}

static void the_hint_of_the_server_lengthens_within_bounds(void **state)
{
	struct retry_bucket bucket = {RETRY_BUCKET};
	struct retry retry = begin(&bucket, 9, 1000000);

	(void)state;
	assert_true(retry_again(&retry, RETRY_TRANSIENT, 700));
	assert_int_equal(slept, 700);
	assert_true(retry_again(&retry, RETRY_TRANSIENT, 60000));
	assert_in_range(slept, 5000, 5100);
	assert_true(retry_again(&retry, RETRY_TRANSIENT, 0));
	assert_in_range(slept, 0, 200);
}

static void there_is_no_wait_beyond_the_deadline(void **state)
{
	struct retry_bucket bucket = {RETRY_BUCKET};
	struct retry retry = begin(&bucket, 9, 1000);

	(void)state;
	assert_false(retry_again(&retry, RETRY_TRANSIENT, 2000));
	assert_int_equal(slept, -1);
	assert_int_equal(bucket.tokens, RETRY_BUCKET);
	assert_int_equal(retry_time_left(&retry, 5000), 1000);
	assert_int_equal(retry_time_left(&retry, 300), 300);
	now += 1000;
	assert_int_equal(retry_time_left(&retry, 300), 0);
}

static void an_empty_bucket_ends_all_retries(void **state)
{
	struct retry_bucket bucket = {13};
	struct retry retry = begin(&bucket, 9, 100000);

	(void)state;
	assert_false(retry_again(&retry, RETRY_TRANSIENT, -1));
	assert_true(retry_again(&retry, RETRY_THROTTLED, -1));
	assert_int_equal(bucket.tokens, 8);
}

static void success_fills_the_bucket_by_one_up_to_its_size(void **state)
{
	struct retry_bucket bucket = {RETRY_BUCKET - 1};
	struct retry retry = begin(&bucket, 3, 1000);

	(void)state;
	retry_succeeded(&retry);
	assert_int_equal(bucket.tokens, RETRY_BUCKET);
	retry_succeeded(&retry);
	assert_int_equal(bucket.tokens, RETRY_BUCKET);
}

static int start(void **state)
{
	(void)state;
	return crypto_start(false) ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(attempts_are_counted),
		cmocka_unit_test(throttling_waits_longer_and_costs_less),
		cmocka_unit_test(what_will_not_change_is_not_tried_again),
		cmocka_unit_test(the_hint_of_the_server_lengthens_within_bounds),
		cmocka_unit_test(there_is_no_wait_beyond_the_deadline),
		cmocka_unit_test(an_empty_bucket_ends_all_retries),
		cmocka_unit_test(success_fills_the_bucket_by_one_up_to_its_size),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
