/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a call asks, in which order and how long, and what is remembered of regions and keys. */
#include "base/log.h"
#include "base/macros.h"
#include "kms/aws/provider.h"
#include "kms/route.h"
#include "kms/settings.h"
#include "pkcs11/providers.h"
#include "tests/support/fake_clock.h"
#include "tests/support/unit.h"

#define MRK    ":111122223333:key/mrk-1234abcd12ab34cd56ef1234567890ab"
#define HOME   "arn:aws:kms:us-west-2" MRK
#define SECOND "arn:aws:kms:us-west-2:111122223333:key/mrk-00000000000000000000000000000000"
#define SINGLE "arn:aws:kms:us-west-2:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"

enum { CALL_MS = 15000, THREADS = 8 };

static struct fake_clock clock_;
static struct kms_aws_settings section;
static struct kms_settings settings;
static struct regions regions;

static int set_up(void **state)
{
	(void)state;
	log_configure(LOG_OFF, "stderr");
	fake_clock_init(&clock_);
	section = (struct kms_aws_settings){
		.aws.call_timeout_ms = CALL_MS,
		.multi_region_order = "us-west-2 eu-west-1 ap-northeast-1",
	};
	settings = (struct kms_settings){
		.providers = module_providers,
		.clock = &clock_.clock,
		.sections = {[PROVIDER_AWS] = &section},
	};
	regions_init(&regions, &settings);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	regions_clear(&regions);
	return 0;
}

static void next_is(struct kms_route *route, const char *region)
{
	assert_true(kms_route_next(route));
	assert_string_equal(route->region, region);
}

static bool hear(struct kms_route *route, enum kms_status status)
{
	struct kms_report report = {.sent = true, .message = "as the test wants it"};

	if (status != KMS_NO_CREDENTIALS)
		strcpy(report.request_id, "1");
	return kms_route_heard(route, status, &report);
}

/* Whoever waited in vain for credentials has not heard of the region. */
static void hear_before_sending(struct kms_route *route)
{
	const struct kms_report report = {.message = "out of time while waiting for credentials"};

	assert_true(kms_route_heard(route, KMS_UNAVAILABLE, &report));
}

/* One whole call: each region answers as `answers` says, in the order in which it is asked; ends
 * where the route ends. What was asked, as "us-west-2 eu-west-1". */
static const char *asked(const char *key, const enum kms_status *answers)
{
	static char text[256];
	struct kms_route route;

	text[0] = 0;
	route_begin(&route, &regions, key, false);
	for (size_t i = 0; kms_route_next(&route); i++) {
		strcat(text, i == 0 ? "" : " ");
		strcat(text, route.region);
		hear(&route, answers[i]);
	}
	return text;
}

#define ASKED(key, ...) asked(key, (const enum kms_status[]){__VA_ARGS__})

static void lose_home(void)
{
	assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE, KMS_OK), "us-west-2 eu-west-1");
}

/* --- Which regions are asked */

static void the_first_that_answers_decides(void **state)
{
	static const enum kms_status answers[] = {KMS_OK,
						  KMS_DENIED,
						  KMS_DISABLED,
						  KMS_INVALID_STATE,
						  KMS_NOT_FOUND,
						  KMS_INVALID_CIPHERTEXT,
						  KMS_INCORRECT_KEY,
						  KMS_BAD_ANSWER,
						  KMS_NO_CREDENTIALS,
						  KMS_CREDENTIALS_REFUSED,
						  KMS_NO_MEMORY,
						  KMS_MISCONFIGURED};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(answers); i++)
		assert_string_equal(ASKED(HOME, answers[i]), "us-west-2");
}

static void an_outage_is_passed_over(void **state)
{
	(void)state;
	assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE, KMS_THROTTLED, KMS_OK),
			    "us-west-2 eu-west-1 ap-northeast-1");
}

static void a_replica_s_no_is_a_no(void **state)
{
	static const enum kms_status noes[] = {KMS_DENIED, KMS_DISABLED, KMS_INVALID_STATE};

	for (size_t i = 0; i < COUNT_OF(noes); i++) {
		assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE, noes[i]), "us-west-2 eu-west-1");
		tear_down(state);
		set_up(state);
	}
}

static void a_region_without_a_replica_says_nothing(void **state)
{
	struct kms_route route;

	(void)state;
	route_begin(&route, &regions, HOME, false);
	next_is(&route, "us-west-2");
	assert_true(hear(&route, KMS_UNAVAILABLE));
	next_is(&route, "eu-west-1");
	assert_false(hear(&route, KMS_NOT_FOUND));
	next_is(&route, "ap-northeast-1");
	assert_true(hear(&route, KMS_OK));
	assert_false(kms_route_next(&route));
}

static void a_call_about_the_very_key_stays_in_its_region(void **state)
{
	struct kms_route route;

	(void)state;
	section.multi_region_order = "eu-west-1";
	route_begin(&route, &regions, HOME, true);
	next_is(&route, "us-west-2");
	assert_true(hear(&route, KMS_UNAVAILABLE));
	assert_false(kms_route_next(&route));
}

static void a_key_of_one_region_has_one_name(void **state)
{
	(void)state;
	assert_string_equal(ASKED(SINGLE, KMS_UNAVAILABLE), "us-west-2");
	assert_string_equal(ASKED(HOME, KMS_OK), "us-west-2"); /* nothing was learnt by that */
}

static void a_name_that_is_none_is_handed_on(void **state)
{
	struct kms_route route;

	(void)state;
	route_begin(&route, &regions, "arn:aws:s3:::bucket", false);
	assert_true(kms_route_next(&route));
	assert_string_equal(route.arn, "arn:aws:s3:::bucket");
	assert_true(hear(&route, KMS_INVALID_REQUEST));
	assert_false(kms_route_next(&route));
}

/* --- How long */

static int64_t time_given(const struct kms_route *route)
{
	return route->until.monotonic_ms - clock_.monotonic_ms;
}

static void regions_that_are_asked_share_one_deadline(void **state)
{
	struct kms_route route;

	(void)state;
	route_begin(&route, &regions, HOME, false);
	next_is(&route, "us-west-2");
	assert_int_equal(time_given(&route), CALL_MS / 3);
	fake_clock_advance(&clock_, CALL_MS / 3);
	hear(&route, KMS_UNAVAILABLE);
	next_is(&route, "eu-west-1");
	assert_int_equal(time_given(&route), CALL_MS / 3);
	fake_clock_advance(&clock_, 1000); /* what it leaves is the next one's */
	hear(&route, KMS_UNAVAILABLE);
	next_is(&route, "ap-northeast-1");
	assert_int_equal(time_given(&route), CALL_MS - CALL_MS / 3 - 1000);
}

static void nobody_gets_time_that_is_not_there(void **state)
{
	struct kms_route route;

	(void)state;
	route_begin(&route, &regions, HOME, false);
	next_is(&route, "us-west-2");
	fake_clock_advance(&clock_, 2 * CALL_MS);
	hear(&route, KMS_UNAVAILABLE);
	next_is(&route, "eu-west-1");
	assert_true(time_given(&route) <= 0);
}

static void the_only_region_has_the_whole_time(void **state)
{
	struct kms_route route;

	(void)state;
	route_begin(&route, &regions, SINGLE, false);
	next_is(&route, "us-west-2");
	assert_int_equal(time_given(&route), CALL_MS);
}

/* --- What is remembered of regions */

static void a_region_that_does_not_answer_comes_last(void **state)
{
	(void)state;
	lose_home();
	assert_string_equal(ASKED(HOME, KMS_OK), "eu-west-1");
	assert_string_equal(ASKED(SECOND, KMS_UNAVAILABLE, KMS_UNAVAILABLE, KMS_OK),
			    "eu-west-1 ap-northeast-1 us-west-2");
}

static void after_a_while_one_caller_looks_again(void **state)
{
	(void)state;
	lose_home();
	fake_clock_advance(&clock_, REGIONS_OUT_MS - 1);
	assert_string_equal(ASKED(HOME, KMS_OK), "eu-west-1");
	fake_clock_advance(&clock_, 1);
	assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE, KMS_OK), "us-west-2 eu-west-1");
	assert_string_equal(ASKED(HOME, KMS_OK), "eu-west-1");
	fake_clock_advance(&clock_, REGIONS_OUT_MS);
	assert_string_equal(ASKED(HOME, KMS_OK), "us-west-2");
	assert_string_equal(ASKED(HOME, KMS_OK), "us-west-2");
}

static void the_others_do_not_wait_for_whom_looks_again(void **state)
{
	struct kms_route looking;

	(void)state;
	lose_home();
	fake_clock_advance(&clock_, REGIONS_OUT_MS);
	route_begin(&looking, &regions, HOME, false);
	next_is(&looking, "us-west-2");
	assert_string_equal(ASKED(HOME, KMS_OK), "eu-west-1"); /* meanwhile */
	hear(&looking, KMS_OK);
	assert_string_equal(ASKED(HOME, KMS_OK), "us-west-2");
}

static void where_nobody_answered_the_order_is_as_it_was(void **state)
{
	(void)state;
	ASKED(HOME, KMS_UNAVAILABLE, KMS_UNAVAILABLE, KMS_UNAVAILABLE);
	assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE, KMS_OK), "us-west-2 eu-west-1");
	/* One who answers goes first from now on. */
	assert_string_equal(ASKED(HOME, KMS_OK), "eu-west-1");
}

static void a_no_is_an_answer_too(void **state)
{
	(void)state;
	lose_home();
	fake_clock_advance(&clock_, REGIONS_OUT_MS);
	assert_string_equal(ASKED(HOME, KMS_DENIED), "us-west-2");
	assert_string_equal(ASKED(HOME, KMS_OK), "us-west-2");
}

static void missing_credentials_are_no_answer(void **state)
{
	(void)state;
	lose_home();
	fake_clock_advance(&clock_, REGIONS_OUT_MS);
	assert_string_equal(ASKED(HOME, KMS_NO_CREDENTIALS), "us-west-2");
	assert_string_equal(ASKED(HOME, KMS_OK), "eu-west-1");
}

static void time_that_credentials_took_is_not_the_region_s_silence(void **state)
{
	struct kms_route route;

	(void)state;
	route_begin(&route, &regions, HOME, false);
	next_is(&route, "us-west-2");
	hear_before_sending(&route);
	next_is(&route, "eu-west-1");
	hear(&route, KMS_OK);
	assert_string_equal(ASKED(HOME, KMS_OK), "us-west-2");
}

static void *begin_route(void *state)
{
	struct kms_route *route = state;

	route_begin(route, &regions, HOME, false);
	kms_route_next(route);
	return NULL;
}

static void of_many_threads_one_looks_again(void **state)
{
	struct kms_route routes[THREADS];
	pthread_t threads[THREADS];
	unsigned looking = 0;

	(void)state;
	lose_home();
	fake_clock_advance(&clock_, REGIONS_OUT_MS);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, begin_route, &routes[i]), 0);
	for (size_t i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		looking += strcmp(routes[i].region, "us-west-2") == 0;
	}
	assert_int_equal(looking, 1);
}

/* --- What is remembered of keys */

static void the_own_region_s_no_stands_until_it_says_yes(void **state)
{
	static const enum kms_status noes[] = {KMS_DISABLED, KMS_INVALID_STATE, KMS_NOT_FOUND};

	for (size_t i = 0; i < COUNT_OF(noes); i++) {
		assert_string_equal(ASKED(HOME, noes[i]), "us-west-2");
		/* Out of reach, it is not passed over, now or later. */
		assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE), "us-west-2");
		assert_string_equal(ASKED(HOME, KMS_DENIED), "us-west-2");
		fake_clock_advance(&clock_, 100 * REGIONS_OUT_MS);
		assert_string_equal(ASKED(HOME, KMS_THROTTLED), "us-west-2");
		/* Another key there is another matter. */
		assert_string_equal(ASKED(SECOND, KMS_OK), "eu-west-1");
		assert_string_equal(ASKED(HOME, KMS_OK), "us-west-2");
		assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE, KMS_OK), "us-west-2 eu-west-1");
		tear_down(state);
		set_up(state);
	}
}

/* However the order is written, the own region is known for what it is. */
static void no_slip_in_the_order_hides_the_own_region(void **state)
{
	static const char *const orders[] = {"eu-west-1 us_west_2", "eu-west-1 us-west-2 us-west-2",
					     "eu-west-1 eu-west-1"};

	for (size_t i = 0; i < COUNT_OF(orders); i++) {
		section.multi_region_order = orders[i];
		assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE, KMS_NOT_FOUND),
				    "eu-west-1 us-west-2");
		assert_string_equal(ASKED(HOME, KMS_OK), "us-west-2");
		tear_down(state);
		set_up(state);
	}
}

static void where_replicas_come_first_the_own_region_s_no_stands_as_well(void **state)
{
	(void)state;
	section.multi_region_order = "eu-west-1";
	assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE, KMS_DISABLED), "eu-west-1 us-west-2");
	fake_clock_advance(&clock_, REGIONS_OUT_MS);
	assert_string_equal(ASKED(HOME, KMS_DISABLED), "us-west-2");
}

static void a_yes_that_was_on_its_way_takes_no_no_back(void **state)
{
	struct kms_route slow;

	(void)state;
	route_begin(&slow, &regions, HOME, false);
	next_is(&slow, "us-west-2");
	assert_string_equal(ASKED(HOME, KMS_DISABLED), "us-west-2");
	hear(&slow, KMS_OK);
	assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE), "us-west-2");
}

static void a_replica_s_no_does_not_outlast_the_call(void **state)
{
	(void)state;
	assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE, KMS_DISABLED), "us-west-2 eu-west-1");
	assert_string_equal(ASKED(HOME, KMS_OK), "eu-west-1"); /* taken back there */
	fake_clock_advance(&clock_, REGIONS_OUT_MS);
	assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE, KMS_DISABLED), "us-west-2 eu-west-1");
	fake_clock_advance(&clock_, REGIONS_OUT_MS);
	assert_string_equal(ASKED(HOME, KMS_OK), "us-west-2"); /* or by the own region */
}

static void a_no_about_a_right_is_not_one_about_the_key(void **state)
{
	(void)state;
	assert_string_equal(ASKED(HOME, KMS_DENIED), "us-west-2");
	assert_string_equal(ASKED(HOME, KMS_UNAVAILABLE, KMS_OK), "us-west-2 eu-west-1");
}

static void the_region_of_the_last_yes_is_known(void **state)
{
	char region[KMS_REGION_MAX + 1];

	(void)state;
	assert_false(regions_key_answered(&regions, HOME, region));
	lose_home();
	assert_true(regions_key_answered(&regions, HOME, region));
	assert_string_equal(region, "eu-west-1");
	ASKED(SINGLE, KMS_OK);
	assert_false(regions_key_answered(&regions, SINGLE, region));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(the_first_that_answers_decides),
		CASE(an_outage_is_passed_over),
		CASE(a_replica_s_no_is_a_no),
		CASE(a_region_without_a_replica_says_nothing),
		CASE(a_call_about_the_very_key_stays_in_its_region),
		CASE(a_key_of_one_region_has_one_name),
		CASE(a_name_that_is_none_is_handed_on),
		CASE(regions_that_are_asked_share_one_deadline),
		CASE(nobody_gets_time_that_is_not_there),
		CASE(the_only_region_has_the_whole_time),
		CASE(a_region_that_does_not_answer_comes_last),
		CASE(after_a_while_one_caller_looks_again),
		CASE(the_others_do_not_wait_for_whom_looks_again),
		CASE(where_nobody_answered_the_order_is_as_it_was),
		CASE(a_no_is_an_answer_too),
		CASE(missing_credentials_are_no_answer),
		CASE(time_that_credentials_took_is_not_the_region_s_silence),
		CASE(of_many_threads_one_looks_again),
		CASE(the_own_region_s_no_stands_until_it_says_yes),
		CASE(no_slip_in_the_order_hides_the_own_region),
		CASE(where_replicas_come_first_the_own_region_s_no_stands_as_well),
		CASE(a_yes_that_was_on_its_way_takes_no_no_back),
		CASE(a_replica_s_no_does_not_outlast_the_call),
		CASE(a_no_about_a_right_is_not_one_about_the_key),
		CASE(the_region_of_the_last_yes_is_known),
	};

	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
