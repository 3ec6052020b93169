/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that meet on their way, answers that do not come, and what is known without any. */
#include "tests/support/leased_zones.h"
#include "zones/domain/root_key.h"
#include "zones/domain/zones.h"

/* --- Yes and no on the way together */

struct meanwhile {
	struct leased *l;
	size_t zone;
	bool done;
	enum zone_status answer;
};

/* While a request is out, another zone hears that the key is disabled; and then it is enabled
 * again, so that the request brings a yes. */
static void hear_a_no(void *state, enum fake_kms_call call)
{
	struct meanwhile *meanwhile = state;

	if (call != FAKE_DECRYPT || meanwhile->done)
		return;
	meanwhile->done = true;
	set_key(meanwhile->l, KMS_KEY_DISABLED);
	meanwhile->answer = use(meanwhile->l, meanwhile->zone);
	set_key(meanwhile->l, KMS_KEY_ENABLED);
}

static void yes_of_the_canary_that_a_no_of_a_zone_overtook_is_dropped(void **state)
{
	struct leased *l = *state;
	struct meanwhile meanwhile = {.l = l, .zone = 2};

	make_zones(l, 3);
	assert_int_equal(use(l, 0), ZONE_OK);
	assert_int_equal(use(l, 1), ZONE_OK);
	seconds_pass(l, SURELY);
	l->f->aws.on_call = hear_a_no;
	l->f->aws.on_call_state = &meanwhile;
	assert_int_equal(use(l, 0), ZONE_KMS_DISABLED);
	assert_int_equal(meanwhile.answer, ZONE_KMS_DISABLED);
	assert_int_equal(use(l, 1), ZONE_KMS_DISABLED);
	seconds_pass(l, DENY_SECONDS);
	use_all(l, ZONE_OK);
}

static void yes_of_a_zone_that_a_no_of_the_canary_overtook_is_dropped(void **state)
{
	struct leased *l = *state;
	struct meanwhile meanwhile = {.l = l, .zone = 0};

	make_zones(l, 2);
	assert_int_equal(use(l, 0), ZONE_OK);
	seconds_pass(l, SURELY);
	l->f->aws.on_call = hear_a_no;
	l->f->aws.on_call_state = &meanwhile;
	assert_int_equal(use(l, 1), ZONE_KMS_DISABLED);
	assert_int_equal(meanwhile.answer, ZONE_KMS_DISABLED);
	assert_null(l->ezks[1]->lease.keys);
	seconds_pass(l, DENY_SECONDS);
	use_all(l, ZONE_OK);
}

static void yes_of_a_zone_that_a_no_of_another_overtook_is_dropped(void **state)
{
	struct leased *l = *state;
	struct meanwhile meanwhile = {.l = l, .zone = 0};

	make_zones(l, 2);
	l->f->aws.on_call = hear_a_no;
	l->f->aws.on_call_state = &meanwhile;
	assert_int_equal(use(l, 1), ZONE_KMS_DISABLED);
	assert_int_equal(meanwhile.answer, ZONE_KMS_DISABLED);
	seconds_pass(l, DENY_SECONDS);
	use_all(l, ZONE_OK);
}

/* --- Outage */

static void outage_is_one_attempt_for_all_zones(void **state)
{
	struct leased *l = *state;
	unsigned before;

	configure(l, false, STALE_SECONDS);
	make_zones(l, 10);
	use_all(l, ZONE_OK);
	before = calls(l);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	for (int i = 1; i < STALE_SECONDS; i++) {
		seconds_pass(l, 1);
		use_all(l, ZONE_OK);
	}
	/* Every 10 to 28 seconds: 7 to 15 after the last look, if the silence is over by then. */
	assert_in_range(calls(l) - before, 3300 / 28, 3400 / 10 + 5);
	seconds_pass(l, 1);
	use_all(l, ZONE_KMS_UNAVAILABLE);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_OK);
	seconds_pass(l, 13);
	use_all(l, ZONE_OK);
}

static void without_coasting_an_outage_is_borne_to_the_end_of_the_lease(void **state)
{
	struct leased *l = *state;

	make_zones(l, 3);
	use_all(l, ZONE_OK);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_THROTTLED);
	for (int i = 1; i < LEASE_SECONDS; i++) {
		seconds_pass(l, 1);
		use_all(l, ZONE_OK);
	}
	seconds_pass(l, 1);
	use_all(l, ZONE_KMS_THROTTLED);
}

static void missing_credentials_are_borne_to_the_end_of_the_lease_alone(void **state)
{
	struct leased *l = *state;

	configure(l, false, STALE_SECONDS);
	make_zones(l, 3);
	use_all(l, ZONE_OK);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_NO_CREDENTIALS);
	for (int i = 1; i < LEASE_SECONDS; i++) {
		seconds_pass(l, 1);
		use_all(l, ZONE_OK);
	}
	assert_in_range(calls(l), 3 + 1, 3 + LEASE_SECONDS / 4 / 7);
	seconds_pass(l, 15);
	use_all(l, ZONE_KMS_NO_CREDENTIALS);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_OK);
	seconds_pass(l, 15);
	use_all(l, ZONE_OK);
}

static void no_is_heard_while_coasting(void **state)
{
	struct leased *l = *state;

	configure(l, false, STALE_SECONDS);
	make_zones(l, 3);
	use_all(l, ZONE_OK);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	seconds_pass(l, 2 * LEASE_SECONDS);
	use_all(l, ZONE_OK);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_DISABLED, KMS_OK);
	seconds_pass(l, 15);
	use_all(l, ZONE_KMS_DISABLED);
}

/* --- What is known of the key */

static void what_was_heard_of_a_root_key_is_told_without_asking(void **state)
{
	struct leased *l = *state;
	struct root_key_finding heard;
	struct zones *other;
	unsigned before;

	make_zones(l, 1);
	assert_true(zones_root_key_heard(l->f->zones, l->root_key, &heard));
	assert_int_equal(heard.status, ZONE_OK); /* it was added here */
	other = zones_other(l->f);
	assert_int_equal(zones_refresh(other, true), ZONE_OK);
	assert_false(zones_root_key_heard(other, l->root_key, &heard));
	zones_free(other);
	set_key(l, KMS_KEY_DISABLED);
	assert_int_equal(use(l, 0), ZONE_KMS_DISABLED);
	before = calls(l);
	assert_true(zones_root_key_heard(l->f->zones, l->root_key, &heard));
	assert_int_equal(heard.status, ZONE_KMS_DISABLED);
	set_key(l, KMS_KEY_ENABLED);
	seconds_pass(l, DENY_SECONDS);
	fake_kms_fail(&l->f->aws, FAKE_DECRYPT, KMS_UNAVAILABLE, 1);
	assert_int_equal(use(l, 0), ZONE_KMS_UNAVAILABLE);
	assert_true(zones_root_key_heard(l->f->zones, l->root_key, &heard));
	assert_int_equal(heard.status, ZONE_KMS_UNAVAILABLE);
	seconds_pass(l, 1);
	assert_int_equal(use(l, 0), ZONE_OK);
	assert_true(zones_root_key_heard(l->f->zones, l->root_key, &heard));
	assert_int_equal(heard.status, ZONE_OK);
	assert_int_equal(calls(l) - before, 2);
}

static void key_that_is_found_disabled_ends_the_leases_below_it(void **state)
{
	struct leased *l = *state;
	struct root_key_finding found;

	make_zones(l, 2);
	use_all(l, ZONE_OK);
	set_key(l, KMS_KEY_DISABLED);
	assert_true(zones_root_key_ask(l->f->zones, l->root_key, &found));
	assert_int_equal(found.status, ZONE_KMS_DISABLED);
	use_all(l, ZONE_KMS_DISABLED);
	assert_int_equal(calls(l), 3);
}

static void an_identity_that_may_not_encrypt_goes_on_to_decrypt(void **state)
{
	struct leased *l = *state;
	AUTO(buffer_clear) struct buffer blob = {0};
	const struct kms_context none = {0};
	struct root_key_finding heard;

	make_zones(l, 1);
	use_all(l, ZONE_OK);
	fake_kms_fail(&l->f->aws, FAKE_ENCRYPT, KMS_DENIED, 1);
	assert_int_equal(
		zones_root_key_encrypt(l->f->zones, l->root_key, &none, bytes_of("x"), &blob),
		ZONE_KMS_DENIED);
	use_all(l, ZONE_OK);
	assert_true(zones_root_key_heard(l->f->zones, l->root_key, &heard));
	assert_int_equal(heard.status, ZONE_OK);
}

static void local_key_that_is_disabled_here_ends_its_leases_at_once(void **state)
{
	struct leased *l = *state;

	l->root_key = make_root_key(l->f, LOCAL_KEY);
	l->ezks[l->count++] = make_zone(l, "zone");
	assert_int_equal(use(l, 0), ZONE_OK);
	assert_int_equal(zones_root_key_set_state(l->f->zones, l->root_key, KMS_KEY_DISABLED),
			 ZONE_OK);
	assert_int_equal(use(l, 0), ZONE_KMS_DISABLED);
	assert_int_equal(zones_root_key_set_state(l->f->zones, l->root_key, KMS_KEY_ENABLED),
			 ZONE_OK);
	assert_int_equal(use(l, 0), ZONE_OK);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(yes_of_the_canary_that_a_no_of_a_zone_overtook_is_dropped),
		CASE(yes_of_a_zone_that_a_no_of_the_canary_overtook_is_dropped),
		CASE(yes_of_a_zone_that_a_no_of_another_overtook_is_dropped),
		CASE(outage_is_one_attempt_for_all_zones),
		CASE(without_coasting_an_outage_is_borne_to_the_end_of_the_lease),
		CASE(missing_credentials_are_borne_to_the_end_of_the_lease_alone),
		CASE(no_is_heard_while_coasting),
		CASE(what_was_heard_of_a_root_key_is_told_without_asking),
		CASE(key_that_is_found_disabled_ends_the_leases_below_it),
		CASE(an_identity_that_may_not_encrypt_goes_on_to_decrypt),
		CASE(local_key_that_is_disabled_here_ends_its_leases_at_once),
	};

	return cmocka_run_group_tests_name("canary in flight", tests, NULL, NULL);
}
