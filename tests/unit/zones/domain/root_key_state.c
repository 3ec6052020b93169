/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The state of a root key: by which calls it is found, for whom, and in which word. */
#include "base/log.h"
#include "tests/support/leased_zones.h"
#include "zones/domain/root_key.h"
#include "zones/domain/root_key_private.h"

static struct root_key_finding ask(struct leased *l)
{
	struct root_key_finding found;

	assert_true(zones_root_key_ask(l->f->zones, l->root_key, &found));
	return found;
}

static unsigned describes(struct leased *l)
{
	return fake_kms_calls(&l->f->aws, FAKE_DESCRIBE);
}

/* The next calls of the kind. */
static void refuse_next(struct leased *l, enum fake_kms_call call, enum kms_status status,
			unsigned count)
{
	fake_kms_fail(&l->f->aws, call, status, count);
}

static struct root_key_finding heard(struct leased *l)
{
	struct root_key_finding heard = {0};

	assert_true(zones_root_key_heard(l->f->zones, l->root_key, &heard));
	return heard;
}

static void key_that_works_takes_one_call(void **state)
{
	struct leased *l = *state;
	unsigned before;

	make_zones(l, 1);
	before = describes(l);
	assert_int_equal(ask(l).status, ZONE_OK);
	assert_int_equal(calls(l), 1);
	assert_int_equal(describes(l), before);
	assert_string_equal(zone_status_word(ZONE_OK), "active");
}

static const struct {
	enum kms_key_state state;
	enum zone_status status;
	const char *word;
} rows[] = {
	{KMS_KEY_DISABLED, ZONE_KMS_DISABLED, "disabled"},
	{KMS_KEY_PENDING_DELETION, ZONE_KMS_PENDING_DELETION, "pending deletion"},
	{KMS_KEY_PENDING_IMPORT, ZONE_KMS_PENDING_IMPORT, "pending import"},
	{KMS_KEY_UNAVAILABLE, ZONE_KMS_KEY_STORE_UNAVAILABLE, "unavailable"},
	{KMS_KEY_UNUSABLE, ZONE_KMS_INVALID_STATE, "not usable"},
};

static void each_state_has_its_word_whoever_may_describe(void **state)
{
	struct leased *l = *state;

	make_zones(l, 1);
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		bool dated = rows[i].state == KMS_KEY_PENDING_DELETION;

		l->f->aws.keys[0].deletion_ms = dated ? 1798086246500 : 0;
		set_key(l, rows[i].state);
		assert_int_equal(ask(l).status, rows[i].status);
		assert_int_equal(ask(l).deletion_ms, dated ? 1798086246500 : 0);
		assert_int_equal(heard(l).status, rows[i].status);
		assert_int_equal(heard(l).deletion_ms, dated ? 1798086246500 : 0);
		assert_string_equal(zone_status_word(rows[i].status), rows[i].word);
		refuse_next(l, FAKE_DESCRIBE, KMS_DENIED, 1);
		assert_int_equal(ask(l).status, rows[i].status);
		/* What is told is the refusal that says so, not that of DescribeKey. */
		assert_non_null(strstr(log_last(), "KMS Decrypt with key " ROOT_A));
		assert_null(strstr(log_last(), "DescribeKey"));
		set_key(l, KMS_KEY_ENABLED);
		assert_int_equal(ask(l).status, ZONE_OK);
		assert_int_equal(heard(l).status, ZONE_OK);
	}
}

/* As AWS may answer for a key that is pending deletion. */
static void description_is_more_exact_than_the_refusal(void **state)
{
	struct leased *l = *state;

	make_zones(l, 0);
	set_key(l, KMS_KEY_PENDING_DELETION);
	refuse_next(l, FAKE_DECRYPT, KMS_DISABLED, 1);
	assert_int_equal(ask(l).status, ZONE_KMS_PENDING_DELETION);
}

static void an_identity_that_can_open_a_zone_is_not_denied_access(void **state)
{
	struct leased *l = *state;

	make_zones(l, 3);
	refuse_next(l, FAKE_DECRYPT, KMS_DENIED, 3); /* the canary and two zones */
	assert_int_equal(ask(l).status, ZONE_OK);
	assert_int_equal(calls(l), 4);
	assert_int_equal(heard(l).status, ZONE_OK);
}

static void an_identity_that_can_open_none_is(void **state)
{
	struct leased *l = *state;

	make_zones(l, 3);
	refuse_next(l, FAKE_DECRYPT, KMS_DENIED, 4);
	assert_int_equal(ask(l).status, ZONE_KMS_DENIED);
	assert_int_equal(calls(l), 4);
	assert_int_equal(heard(l).status, ZONE_KMS_DENIED);
	assert_string_equal(zone_status_word(ZONE_KMS_DENIED), "access denied");
	/* Which ends no lease and is no memory of a no. */
	use_all(l, ZONE_OK);
	assert_int_equal(heard(l).status, ZONE_OK);
}

static void denied_key_is_described_all_the_same(void **state)
{
	struct leased *l = *state;

	make_zones(l, 1);
	set_key(l, KMS_KEY_PENDING_IMPORT);
	refuse_next(l, FAKE_DECRYPT, KMS_DENIED, 1);
	assert_int_equal(ask(l).status, ZONE_KMS_PENDING_IMPORT);
	assert_int_equal(calls(l), 1);
}

static void more_zones_than_are_tried_leave_it_unknown(void **state)
{
	struct leased *l = *state;
	struct root_key_finding found;

	make_zones(l, 9);
	refuse_next(l, FAKE_DECRYPT, KMS_DENIED, 100);
	assert_false(zones_root_key_ask(l->f->zones, l->root_key, &found));
	assert_int_equal(calls(l), 9); /* the canary and eight of them */
	assert_false(zones_root_key_heard(l->f->zones, l->root_key, &found));
	assert_non_null(strstr(log_last(), "the others were not tried"));
}

static void outage_is_not_asked_further(void **state)
{
	static const enum kms_status outages[] = {KMS_UNAVAILABLE, KMS_THROTTLED};
	struct leased *l = *state;
	unsigned before;

	make_zones(l, 2);
	before = describes(l);
	for (size_t i = 0; i < COUNT_OF(outages); i++) {
		refuse_next(l, FAKE_DECRYPT, outages[i], 1);
		assert_string_equal(zone_status_word(ask(l).status), "not reachable");
		seconds_pass(l, 13); /* past the longest silence */
	}
	assert_int_equal(calls(l), 2);
	assert_int_equal(describes(l), before);
}

/* The state is asked for in the key's own region only; leases are renewed wherever the key answers,
 * and coast only if nobody does. */
static void own_region_that_is_out_is_told_and_keeps_no_lease_from_its_replica(void **state)
{
	struct leased *l = *state;

	l->f->multi_region_order = "us-west-2 us-east-1";
	configure(l, false, STALE_SECONDS);
	make_zones_by(l, ROOT_MRK, 2);
	use_all(l, ZONE_OK);
	fake_kms_set(&l->f->aws, ROOT_MRK, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	seconds_pass(l, LEASE_SECONDS + 1);
	assert_string_equal(zone_status_word(ask(l).status), "not reachable");
	assert_int_equal(heard(l).status, ZONE_KMS_UNAVAILABLE);
	use_all(l, ZONE_OK);
	assert_int_equal(heard(l).status, ZONE_OK);
	fake_kms_set(&l->f->aws, ROOT_MRK_EAST, KMS_KEY_DISABLED, KMS_OK);
	seconds_pass(l, LEASE_SECONDS + 1);
	assert_string_equal(zone_status_word(ask(l).status), "not reachable");
	use_all(l, ZONE_KMS_DISABLED);
}

static void hear_a_no(void *state, enum fake_kms_call call)
{
	struct leased *l = state;
	const struct root_key_listener listener = root_key_listen(l->f->zones, l->root_key);

	(void)call;
	root_key_hear(&listener, ZONE_KMS_DISABLED);
}

static void no_that_comes_while_the_state_is_asked_stands(void **state)
{
	struct leased *l = *state;

	make_zones(l, 1);
	l->f->aws.on_call = hear_a_no;
	l->f->aws.on_call_state = l;
	assert_int_equal(ask(l).status, ZONE_OK);
	assert_int_equal(heard(l).status, ZONE_KMS_DISABLED);
	l->f->aws.on_call = NULL;
	assert_int_equal(ask(l).status, ZONE_OK);
	assert_int_equal(heard(l).status, ZONE_OK);
}

static void zone_that_is_denied_does_not_speak_for_the_key(void **state)
{
	struct leased *l = *state;
	struct root_key_finding none;

	make_zones(l, 2);
	assert_int_equal(use(l, 0), ZONE_OK);
	refuse_next(l, FAKE_DECRYPT, KMS_DENIED, 1);
	assert_int_equal(use(l, 1), ZONE_KMS_DENIED);
	assert_false(zones_root_key_heard(l->f->zones, l->root_key, &none));
	assert_int_equal(ask(l).status, ZONE_OK);
	assert_int_equal(heard(l).status, ZONE_OK);
}

static void key_that_is_gone_is_not_found(void **state)
{
	struct leased *l = *state;

	make_zones(l, 1);
	fake_kms_set(&l->f->aws, ROOT_A, KMS_KEY_ENABLED, KMS_NOT_FOUND);
	assert_string_equal(zone_status_word(ask(l).status), "not found");
}

static void key_without_a_canary_is_described(void **state)
{
	struct leased *l = *state;

	assert_int_equal(zones_root_key_name(l->f->zones, bytes_of(ROOT_A), &l->root_key), ZONE_OK);
	assert_int_equal(ask(l).status, ZONE_OK);
	set_key(l, KMS_KEY_DISABLED);
	assert_int_equal(ask(l).status, ZONE_KMS_DISABLED);
	assert_int_equal(fake_kms_calls(&l->f->aws, FAKE_DECRYPT), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(key_that_works_takes_one_call),
		CASE(each_state_has_its_word_whoever_may_describe),
		CASE(description_is_more_exact_than_the_refusal),
		CASE(an_identity_that_can_open_a_zone_is_not_denied_access),
		CASE(an_identity_that_can_open_none_is),
		CASE(denied_key_is_described_all_the_same),
		CASE(more_zones_than_are_tried_leave_it_unknown),
		CASE(outage_is_not_asked_further),
		CASE(own_region_that_is_out_is_told_and_keeps_no_lease_from_its_replica),
		CASE(no_that_comes_while_the_state_is_asked_stands),
		CASE(zone_that_is_denied_does_not_speak_for_the_key),
		CASE(key_that_is_gone_is_not_found),
		CASE(key_without_a_canary_is_described),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
