/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The leases of a zone that needs the root keys of two owners: both yeses begin and renew one,
 * either no ends it, and an outage of either is one. */
#include "base/macros.h"
#include "tests/support/live_zones.h"
#include "zones/model/wraps.h"

enum { LEASE_SECONDS = 300, DENY_SECONDS = 5, STALE_SECONDS = 900, ZONE = 42 };

static const char *const owners[] = {ROOT_1, ROOT_2};

static int set_up(void **state)
{
	const struct lease_settings lease = {.lease_seconds = LEASE_SECONDS,
					     .deny_seconds = DENY_SECONDS,
					     .zone_lease_seconds = 86400};

	*state = malloc(sizeof(struct live_zones));
	live_zones_start_with(*state, &lease);
	return 0;
}

static int set_up_to_coast(void **state)
{
	const struct lease_settings lease = {.lease_seconds = LEASE_SECONDS,
					     .deny_seconds = DENY_SECONDS,
					     .zone_lease_seconds = 86400,
					     .max_stale_seconds = STALE_SECONDS};

	*state = malloc(sizeof(struct live_zones));
	live_zones_start_with(*state, &lease);
	return 0;
}

static int tear_down(void **state)
{
	live_zones_stop(*state);
	free(*state);
	return 0;
}

static struct entry *zone_of_both(struct live_zones *live, uint64_t id)
{
	struct entry *zone = live_zone(live, id, 1, ROOT_1, NULL);
	struct ezk_version *version = &zone->of_zone.versions[0];
	struct kms_door door = live_door(live, ROOT_1);
	struct ezk_seal seal = {
		.identity = {uid_of(0xaa), uid_of(0xbb), id, 1, a_day},
		.greatest_usages = 0x7f,
		.created_ms = 1764000000000,
		.second = ROOT_2,
	};

	ezk_version_clear(version);
	assert_int_equal(ezk_version_seal(&door, &seal, version), ZONE_OK);
	return zone;
}

static struct ezk *find(struct live_zones *live, const struct entry *zone)
{
	struct ezk *ezk = NULL;

	assert_int_equal(ezk_find(live->registry, zone, 1, &ezk), ZONE_OK);
	return ezk;
}

static void seconds_pass(struct live_zones *live, int64_t seconds)
{
	fake_clock_advance(&live->clock, seconds * 1000);
}

/* Into the part of a lease in which whoever uses it renews it. */
static void nearly_pass(struct live_zones *live)
{
	fake_clock_advance(&live->clock, LEASE_SECONDS * 1000 * 97 / 100);
}

static void a_lease_begins_with_both_yeses(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_both(live, ZONE);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_true(ezk_leased(ezk));
	assert_int_equal(live_decrypts(live), 2);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(live_decrypts(live), 2);
}

static void a_no_of_either_denies_and_recovers(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_both(live, ZONE);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	for (size_t i = 0; i < COUNT_OF(owners); i++) {
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
		fake_kms_set(&live->kms, owners[i], KMS_KEY_DISABLED, KMS_OK);
		seconds_pass(live, LEASE_SECONDS);
		assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
		assert_null(ezk->lease.keys);
		fake_kms_set(&live->kms, owners[i], KMS_KEY_ENABLED, KMS_OK);
		seconds_pass(live, DENY_SECONDS);
	}
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_ENABLED, KMS_DENIED);
	seconds_pass(live, LEASE_SECONDS);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DENIED);
	assert_null(ezk->lease.keys);
}

/* Another zone, of one owner alone, hears of it. */
static void a_no_of_either_that_another_zone_hears_ends_the_lease(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_both(live, ZONE);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	for (size_t i = 0; i < COUNT_OF(owners); i++) {
		AUTO(entry_releasep)
		struct entry *other = live_zone(live, ZONE + 1 + i, 1, owners[i], NULL);
		AUTO(ezk_releasep) struct ezk *cold = find(live, other);
		unsigned before;

		assert_int_equal(ezk_begin(ezk), ZONE_OK);
		fake_kms_set(&live->kms, owners[i], KMS_KEY_DISABLED, KMS_OK);
		assert_int_equal(ezk_begin(cold), ZONE_KMS_DISABLED);
		assert_null(ezk->lease.keys);
		before = live_decrypts(live);
		/* It is remembered: nobody is asked. */
		assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
		assert_int_equal(live_decrypts(live), before);
		fake_kms_set(&live->kms, owners[i], KMS_KEY_ENABLED, KMS_OK);
		seconds_pass(live, DENY_SECONDS);
	}
}

static void renewal_asks_both_canaries(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_both(live, ZONE);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	live->canary = ZONE_OK;
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	nearly_pass(live);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(live->canaries, 2);
	assert_int_equal(live_decrypts(live), 2);
	/* The lease goes on by that. */
	nearly_pass(live);
	assert_true(ezk_leased(ezk));
}

static void a_no_of_either_canary_ends_the_lease(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_both(live, ZONE);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	for (size_t i = 0; i < COUNT_OF(owners); i++) {
		live->canary = ZONE_OK;
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
		live->canary = ZONE_KMS_DISABLED;
		live->canary_of = owners[i];
		nearly_pass(live);
		assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
		assert_false(ezk_leased(ezk));
		assert_null(ezk->lease.keys);
		/* For the time of a lease each zone answers for itself. */
		seconds_pass(live, 2 * LEASE_SECONDS);
	}
}

/* One yes is none. */
static void a_canary_alone_vouches_for_nothing(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_both(live, ZONE);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	for (size_t i = 0; i < COUNT_OF(owners); i++) {
		unsigned before;

		live->canary = ZONE_OK;
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
		live->canary = ZONE_KMS_DENIED; /* a right, which the zone may have */
		live->canary_of = owners[i];
		before = live_decrypts(live);
		nearly_pass(live);
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
		assert_int_equal(live_decrypts(live), before + 2);
		seconds_pass(live, 2 * LEASE_SECONDS);
	}
}

static void an_outage_of_either_lets_a_lease_run_out(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_both(live, ZONE);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	for (size_t i = 0; i < COUNT_OF(owners); i++) {
		live->canary = ZONE_OK;
		live->canary_of = NULL;
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
		live->canary = ZONE_KMS_THROTTLED;
		live->canary_of = owners[i];
		fake_kms_set(&live->kms, owners[i], KMS_KEY_ENABLED, KMS_THROTTLED);
		nearly_pass(live);
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
		assert_true(ezk_leased(ezk));
		seconds_pass(live, LEASE_SECONDS);
		assert_int_equal(ezk_begin(ezk), ZONE_KMS_THROTTLED);
		assert_false(ezk_leased(ezk));
		fake_kms_set(&live->kms, owners[i], KMS_KEY_ENABLED, KMS_OK);
		seconds_pass(live, 60);
	}
}

static void an_outage_of_either_coasts_and_a_no_of_the_other_ends_that(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_both(live, ZONE);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone);

	live->canary = ZONE_OK;
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	live->canary = ZONE_KMS_UNAVAILABLE;
	live->canary_of = ROOT_1;
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	for (int i = 0; i < 40; i++) {
		seconds_pass(live, 10);
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
	}
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_ENABLED, KMS_THROTTLED);
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_DISABLED, KMS_OK);
	live->canary = ZONE_KMS_DISABLED;
	live->canary_of = ROOT_2;
	seconds_pass(live, LEASE_SECONDS);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
	assert_null(ezk->lease.keys);
}

static void a_zone_that_gets_a_second_owner_is_asked_of_both_next(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *both = zone_of_both(live, ZONE);
	AUTO(entry_releasep) struct entry *next = live_zone_next(both);
	struct ezk_version *version = &next->of_zone.versions[0];
	AUTO(ezk_releasep) struct ezk *ezk = find(live, both);

	live->canary = ZONE_OK;
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_true(ezk->both);
	/* Its entry names other owners. */
	assert_true(entry_set_text(&version->wraps[1].arn, bytes_of(ROOT_3)));
	registry_changed(live->registry, next, ZONE_OK);
	nearly_pass(live);
	assert_int_equal(live_decrypts(live), 2);
	assert_int_not_equal(ezk_begin(ezk), ZONE_NOT_FOUND);
	assert_true(live_decrypts(live) > 2);
	assert_string_equal(ezk->needs[1]->arn, ROOT_3);
	/* What one owner opens rests on that one alone. */
	version->all_wraps = false;
	version->wraps[0].share = version->wraps[1].share = 0;
	ezk_version_drop_wrap(version);
	next->revision++;
	{
		AUTO(entry_releasep) struct entry *last = live_zone_next(next);

		registry_changed(live->registry, last, ZONE_OK);
	}
	assert_false(ezk->both);
	assert_null(ezk->rests_on[1]);
	assert_string_equal(ezk->needs[0]->arn, ROOT_1);
}

/* Somebody who can't use the trusted root key makes both shares by keys of his own, and names the
 * trusted one beside them. */
static void records_that_only_name_a_trusted_key_open_by_no_other(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_both(live, ZONE);
	AUTO(entry_releasep) struct entry *trusted = live_root_key(ROOT_3);
	struct ezk_version *version = &zone->of_zone.versions[0];
	AUTO(buffer_clear) struct buffer record = {0};
	struct ezk *none = NULL;

	assert_int_equal(ezk_version_add_wrap(version, ROOT_3, version->wraps[0].blob), ZONE_OK);
	version->wraps[2].share = 1;
	live->stranger = ROOT_2;
	assert_int_equal(record_encode(ZONE, version, &record), ZONE_OK);
	assert_int_equal(ezk_from_records(live->registry, trusted, buffer_bytes(&record), &none),
			 ZONE_NO_ROOT_KEY);
	assert_int_equal(live_decrypts(live), 0);
}

static void records_of_two_owners_open_where_both_keys_are_known(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_both(live, ZONE);
	AUTO(entry_releasep) struct entry *second = live_root_key(ROOT_2);
	AUTO(entry_releasep) struct entry *stranger = live_root_key(ROOT_3);
	AUTO(buffer_clear) struct buffer record = {0};
	AUTO(ezk_releasep) struct ezk *ezk = NULL;
	struct ezk *none = NULL;

	assert_int_equal(record_encode(ZONE, &zone->of_zone.versions[0], &record), ZONE_OK);
	assert_int_equal(ezk_from_records(live->registry, stranger, buffer_bytes(&record), &none),
			 ZONE_KMS_INCORRECT_KEY);
	live->stranger = ROOT_1;
	assert_int_equal(ezk_from_records(live->registry, second, buffer_bytes(&record), &none),
			 ZONE_NO_ROOT_KEY);
	live->stranger = NULL;
	assert_int_equal(ezk_from_records(live->registry, second, buffer_bytes(&record), &ezk),
			 ZONE_OK);
	assert_true(ezk_leased(ezk));
	assert_int_equal(live_decrypts(live), 2);
}

#define CASE(name)     cmocka_unit_test_setup_teardown(name, set_up, tear_down)
#define COASTING(name) cmocka_unit_test_setup_teardown(name, set_up_to_coast, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_lease_begins_with_both_yeses),
		CASE(a_no_of_either_denies_and_recovers),
		CASE(a_no_of_either_that_another_zone_hears_ends_the_lease),
		CASE(renewal_asks_both_canaries),
		CASE(a_no_of_either_canary_ends_the_lease),
		CASE(a_canary_alone_vouches_for_nothing),
		CASE(an_outage_of_either_lets_a_lease_run_out),
		COASTING(an_outage_of_either_coasts_and_a_no_of_the_other_ends_that),
		CASE(a_zone_that_gets_a_second_owner_is_asked_of_both_next),
		CASE(records_that_only_name_a_trusted_key_open_by_no_other),
		CASE(records_of_two_owners_open_where_both_keys_are_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
