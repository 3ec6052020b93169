/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* When credentials are fetched, by which thread, and which threads wait for it. */
#include "aws/credentials/chain.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };

/* A source of our own: gives K1, K2, … or fails as told. */
static struct {
	_Atomic int fetches, within, most_within;
	enum kms_status status;
	int64_t life_ms; /* 0: for ever */
	bool outlasts, same, slow;
	_Atomic bool held; /* a fetch stays under way */
} source;

static _Atomic int64_t fake_now;

static int64_t read_fake(void *state)
{
	(void)state;
	return fake_now;
}

static const struct clock fake_clock = {read_fake, read_fake, NULL};
static const struct aws_settings settings = {.clock = &fake_clock};

static enum kms_status fetch(const struct credentials_place *place, struct kms_report *report,
			     struct credentials *ret_credentials)
{
	int number = atomic_fetch_add(&source.fetches, 1) + 1;
	int within = atomic_fetch_add(&source.within, 1) + 1;

	(void)place;
	if (within > source.most_within)
		source.most_within = within;
	if (source.slow)
		usleep(20000);
	while (source.held)
		sched_yield();
	atomic_fetch_sub(&source.within, 1);
	if (source.status != KMS_OK) {
		strcpy(report->message, "as told");
		return source.status;
	}
	buffer_format(&ret_credentials->access_key_id, "K%d", source.same ? 1 : number);
	buffer_put_text(&ret_credentials->secret_access_key, "s");
	ret_credentials->expires_ms = source.life_ms == 0 ? 0 : fake_now + source.life_ms;
	ret_credentials->outlasts = source.outlasts;
	return KMS_OK;
}

static enum kms_status absent(const struct credentials_place *place, struct kms_report *report,
			      struct credentials *ret_credentials)
{
	(void)place;
	(void)report;
	(void)ret_credentials;
	return KMS_NOT_FOUND;
}

static const struct credentials_source told = {"told", fetch}, absent_source = {"absent", absent};
static const struct credentials_source *const order[] = {&absent_source, &told};
static struct credentials_chain *chain;

static int set_up(void **state)
{
	static const struct credentials_place place = {.settings = &settings};

	(void)state;
	source.fetches = source.within = source.most_within = 0;
	source.status = KMS_OK;
	source.life_ms = 0;
	source.outlasts = source.same = source.slow = false;
	source.held = false;
	fake_now = 1000000000;
	chain = credentials_chain_new(&place, order, COUNT_OF(order));
	return chain == NULL;
}

static int tear_down(void **state)
{
	(void)state;
	credentials_chain_free(chain);
	return 0;
}

static struct credentials_wish wish(int64_t ms)
{
	return (struct credentials_wish){"us-west-2", {fake_now + ms, fake_now + ms}};
}

static enum kms_status borrow(struct kms_report *report, struct credentials **ret)
{
	const struct credentials_wish now = wish(15000);

	return credentials_chain_borrow(chain, &now, report, ret);
}

static void has(const char *expected)
{
	struct credentials *found;

	assert_int_equal(borrow(NULL, &found), KMS_OK);
	assert_string_equal((char *)found->access_key_id.data, expected);
	credentials_chain_return(chain, found);
}

static void has_none(enum kms_status status)
{
	struct kms_report report = {0};
	struct credentials *found;

	assert_int_equal(borrow(&report, &found), status);
	assert_string_equal(report.message, "as told");
}

static void what_never_ends_is_kept_for_ever(void **state)
{
	(void)state;
	has("K1");
	fake_now += INT64_C(1000000000000);
	has("K1");
	assert_int_equal(source.fetches, 1);
}

static void others_are_fetched_fifteen_minutes_before_the_end(void **state)
{
	(void)state;
	source.life_ms = 6 * HOUR;
	has("K1");
	fake_now += 6 * HOUR - 15 * MINUTE - 1;
	has("K1");
	fake_now += 1;
	has("K2");
}

static void short_lives_are_refreshed_in_their_last_quarter(void **state)
{
	(void)state;
	source.life_ms = 8 * MINUTE;
	has("K1");
	fake_now += 6 * MINUTE - 1;
	has("K1");
	assert_int_equal(source.fetches, 1);
	fake_now += 1;
	has("K2");
}

static void a_failure_before_the_last_ten_minutes_keeps_the_old_ones(void **state)
{
	(void)state;
	source.life_ms = HOUR;
	has("K1");
	fake_now += 46 * MINUTE;
	source.status = KMS_DENIED;
	has("K1");
	assert_int_equal(source.fetches, 2);
	has("K1"); /* not asked again at once */
	assert_int_equal(source.fetches, 2);
	fake_now += MINUTE + 1;
	has("K1");
	assert_int_equal(source.fetches, 3);
}

static void an_outage_in_the_last_ten_minutes_keeps_them_to_their_end(void **state)
{
	(void)state;
	source.life_ms = HOUR;
	has("K1");
	source.status = KMS_UNAVAILABLE;
	fake_now += 55 * MINUTE;
	has("K1");
	assert_int_equal(source.fetches, 2);
	fake_now += 5 * MINUTE;
	has_none(KMS_UNAVAILABLE);
	source.status = KMS_OK;
	has("K4");
}

static void a_no_in_the_last_ten_minutes_counts(void **state)
{
	(void)state;
	source.life_ms = HOUR;
	has("K1");
	source.status = KMS_DENIED;
	fake_now += 55 * MINUTE;
	has_none(KMS_DENIED);
	has_none(KMS_DENIED);
	source.status = KMS_OK;
	has("K4");
}

static void what_outlasts_its_end_serves_while_nothing_better_comes(void **state)
{
	(void)state;
	source.life_ms = 5 * MINUTE;
	source.outlasts = source.same = true;
	has("K1");
	fake_now += 10 * MINUTE;
	has("K1");
	assert_int_equal(source.fetches, 1); /* near its end as it came: not for a while */
	fake_now += 15 * MINUTE;
	has("K1");
	assert_int_equal(source.fetches, 2);
	source.status = KMS_UNAVAILABLE;
	fake_now += 100 * HOUR;
	has("K1");
	assert_int_equal(source.fetches, 3);
}

static void what_comes_expired_is_refused(void **state)
{
	struct credentials *found;

	(void)state;
	source.life_ms = -1;
	assert_int_equal(borrow(NULL, &found), KMS_NO_CREDENTIALS);
}

static void a_source_that_fails_ends_the_search(void **state)
{
	(void)state;
	source.status = KMS_UNAVAILABLE;
	has_none(KMS_UNAVAILABLE);
	assert_int_equal(source.fetches, 1);
}

static bool renew(const struct credentials *refused)
{
	const struct credentials_wish now = wish(15000);
	bool others = false;

	assert_int_equal(credentials_chain_renew(chain, &now, refused, NULL, &others), KMS_OK);
	return others;
}

static void refused_ones_are_fetched_anew_once_for_all(void **state)
{
	struct credentials *first, *second;

	(void)state;
	assert_int_equal(borrow(NULL, &first), KMS_OK);
	assert_int_equal(borrow(NULL, &second), KMS_OK);
	assert_ptr_equal(first, second);
	assert_true(renew(first));
	assert_true(renew(second));
	assert_int_equal(source.fetches, 2);
	assert_string_equal((char *)first->access_key_id.data, "K1");
	credentials_chain_return(chain, first);
	credentials_chain_return(chain, second);
	has("K2");
}

static void the_same_again_is_not_worth_another_try(void **state)
{
	struct credentials *first;

	(void)state;
	source.same = true;
	assert_int_equal(borrow(NULL, &first), KMS_OK);
	assert_false(renew(first));
	credentials_chain_return(chain, first);
}

static void a_no_while_renewing_is_told(void **state)
{
	const struct credentials_wish now = wish(15000);
	struct credentials *first;
	bool others = false;

	(void)state;
	assert_int_equal(borrow(NULL, &first), KMS_OK);
	source.status = KMS_DENIED;
	assert_int_equal(credentials_chain_renew(chain, &now, first, NULL, &others), KMS_DENIED);
	assert_false(others);
	credentials_chain_return(chain, first);
}

/* Many threads at once. */
enum { THREADS = 32, ROUNDS = 50 };
static _Atomic int failures;

static void *borrow_often(void *state)
{
	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		struct credentials *found;

		if (borrow(NULL, &found) != KMS_OK) {
			failures++;
			continue;
		}
		if (found->access_key_id.data[0] != 'K')
			failures++;
		credentials_chain_return(chain, found);
	}
	return NULL;
}

static void run_threads(void *(*work)(void *state))
{
	pthread_t threads[THREADS];

	failures = 0;
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void all_threads_wait_for_the_one_first_fetch(void **state)
{
	(void)state;
	source.slow = true;
	run_threads(borrow_often);
	assert_int_equal(failures, 0);
	assert_int_equal(source.fetches, 1);
}

static void one_thread_refreshes_while_the_others_go_on(void **state)
{
	(void)state;
	source.slow = true;
	source.life_ms = HOUR;
	has("K1");
	fake_now += 46 * MINUTE;
	run_threads(borrow_often);
	assert_int_equal(failures, 0);
	assert_int_equal(source.fetches, 2);
	assert_int_equal(source.most_within, 1);
}

static void a_failure_is_shared_by_those_who_waited_for_it(void **state)
{
	(void)state;
	source.slow = true;
	source.status = KMS_UNAVAILABLE;
	run_threads(borrow_often);
	assert_int_equal(failures, THREADS * ROUNDS);
	assert_int_equal(source.most_within, 1);
	assert_true(source.fetches < THREADS * ROUNDS);
}

static void *refuse_often(void *state)
{
	(void)state;
	for (int i = 0; i < 10; i++) {
		struct credentials *found;

		if (borrow(NULL, &found) != KMS_OK || !renew(found))
			failures++;
		else
			credentials_chain_return(chain, found);
	}
	return NULL;
}

static void refusals_in_many_threads_never_fetch_side_by_side(void **state)
{
	(void)state;
	run_threads(refuse_often);
	assert_int_equal(failures, 0);
	assert_int_equal(source.most_within, 1);
	assert_true(source.fetches <= THREADS * 10 + 1);
}

static void *fetch_held(void *state)
{
	struct credentials *found;

	(void)state;
	if (borrow(NULL, &found) == KMS_OK)
		credentials_chain_return(chain, found);
	return NULL;
}

static void nobody_waits_beyond_the_own_deadline(void **state)
{
	const struct credentials_wish none_left = wish(0);
	struct kms_report report = {0};
	struct credentials *found;
	pthread_t thread;

	(void)state;
	source.held = true;
	assert_int_equal(pthread_create(&thread, NULL, fetch_held, NULL), 0);
	while (source.within == 0)
		sched_yield();
	assert_int_equal(credentials_chain_borrow(chain, &none_left, &report, &found),
			 KMS_UNAVAILABLE);
	assert_non_null(strstr(report.message, "out of time"));
	source.held = false;
	pthread_join(thread, NULL);
}

static int start(void **state)
{
	(void)state;
	log_configure(LOG_OFF, "stderr");
	return crypto_start(false) ? 0 : -1;
}

#define CHAIN(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CHAIN(what_never_ends_is_kept_for_ever),
		CHAIN(others_are_fetched_fifteen_minutes_before_the_end),
		CHAIN(short_lives_are_refreshed_in_their_last_quarter),
		CHAIN(a_failure_before_the_last_ten_minutes_keeps_the_old_ones),
		CHAIN(an_outage_in_the_last_ten_minutes_keeps_them_to_their_end),
		CHAIN(a_no_in_the_last_ten_minutes_counts),
		CHAIN(what_outlasts_its_end_serves_while_nothing_better_comes),
		CHAIN(what_comes_expired_is_refused),
		CHAIN(a_source_that_fails_ends_the_search),
		CHAIN(refused_ones_are_fetched_anew_once_for_all),
		CHAIN(the_same_again_is_not_worth_another_try),
		CHAIN(a_no_while_renewing_is_told),
		CHAIN(all_threads_wait_for_the_one_first_fetch),
		CHAIN(one_thread_refreshes_while_the_others_go_on),
		CHAIN(a_failure_is_shared_by_those_who_waited_for_it),
		CHAIN(refusals_in_many_threads_never_fetch_side_by_side),
		CHAIN(nobody_waits_beyond_the_own_deadline),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
