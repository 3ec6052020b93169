/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Live EZKs: one KMS call for each zone and lease, and an end when it has to be. */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "tests/support/live_zones.h"
#include "zones/ezk/ezk.h"
#include "zones/ezk/registry_private.h"
#include "zones/model/title.h"

enum { LEASE_SECONDS = 300, DENY_SECONDS = 5, ZONE = 42, THREADS = 64, MANY_ZONES = 100 };

static int set_up(void **state)
{
	*state = malloc(sizeof(struct live_zones));
	live_zones_start(*state, LEASE_SECONDS);
	return 0;
}

static int set_up_without_lease(void **state)
{
	*state = malloc(sizeof(struct live_zones));
	live_zones_start(*state, 0);
	return 0;
}

static int tear_down(void **state)
{
	live_zones_stop(*state);
	free(*state);
	return 0;
}

static void seconds_pass(struct live_zones *live, int64_t seconds)
{
	fake_clock_advance(&live->clock, seconds * 1000);
}

static struct ezk *find(struct live_zones *live, const struct entry *zone, uint32_t version)
{
	struct ezk *ezk = NULL;

	assert_int_equal(ezk_find(live->registry, zone, version, &ezk), ZONE_OK);
	return ezk;
}

static enum zone_status key_status(struct ezk *ezk)
{
	AUTO(secret_freep) uint8_t *key = secret_new(EZK_SIZE);

	return ezk_key(ezk, EZK_DATA, key);
}

/* --- Finding */

static void version_is_found_by_number_or_by_its_mark(void **state)
{
	AUTO(entry_releasep) struct entry *zone = live_zone(*state, ZONE, 3, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *primary = NULL, *raw = NULL, *second = NULL;

	primary = find(*state, zone, EZK_PRIMARY);
	raw = find(*state, zone, EZK_RAW);
	second = find(*state, zone, 2);
	assert_int_equal(ezk_version_number(primary), 3);
	assert_int_equal(ezk_version_number(raw), 1);
	assert_int_equal(ezk_version_number(second), 2);
	assert_int_equal(ezk_zone(second), ZONE);
	assert_int_equal(live_decrypts(*state), 0);
}

static void a_version_that_is_found_again_is_the_same(void **state)
{
	AUTO(entry_releasep) struct entry *zone = live_zone(*state, ZONE, 2, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *one = NULL, *two = NULL, *sibling = NULL;

	one = find(*state, zone, 1);
	two = find(*state, zone, 2);
	assert_int_equal(ezk_sibling(two, ZONE, 1, &sibling), ZONE_OK);
	assert_ptr_equal(sibling, one);
	assert_int_equal(ezk_sibling(two, ZONE, 3, &sibling), ZONE_NOT_FOUND);
	assert_int_equal(ezk_sibling(two, ZONE + 1, 1, &sibling), ZONE_OTHER_ZONE);
}

static void fenced_version_is_not_found(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 2, ROOT_1, NULL);
	struct ezk *ezk;

	zone->of_zone.minimum = 2;
	assert_int_equal(ezk_find(live->registry, zone, 1, &ezk), ZONE_FENCED);
}

static void zone_that_awaits_deletion_is_not_found(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	struct ezk *ezk;

	zone->state = ENTRY_PENDING_DELETION;
	assert_int_equal(ezk_find(live->registry, zone, 1, &ezk), ZONE_PENDING_DELETION);
}

/* --- Leases */

static void kms_is_asked_once_for_a_zone_and_lease(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);

	for (int i = 0; i < 10; i++) {
		AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

		registry_sweep(live->registry);
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
		assert_int_equal(key_status(ezk), ZONE_OK);
		seconds_pass(live, 10);
	}
	assert_int_equal(live_decrypts(live), 1);
}

static void keys_are_those_of_the_page_in_every_lease(void **state)
{
	static const uint8_t value[EZK_SIZE] = {7};
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 2, ROOT_1, value);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 2);
	AUTO(secret_freep) uint8_t *key = secret_new(EZK_SIZE);
	uint8_t expected[EZK_SIZE];

	for (int i = 0; i < 4; i++) {
		for (int purpose = 0; purpose < EZK_PURPOSE_COUNT; purpose++) {
			assert_int_equal(ezk_key(ezk, purpose, key), ZONE_OK);
			assert_true(ezk_derive(value, purpose, ZONE, 2, expected));
			assert_memory_equal(key, expected, EZK_SIZE);
		}
		seconds_pass(live, LEASE_SECONDS / 2);
	}
	assert_int_equal(live_decrypts(live), 2);
}

static void sweep_wipes_what_has_ended(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	seconds_pass(live, LEASE_SECONDS - 1);
	registry_sweep(live->registry);
	assert_non_null(ezk->lease.keys);
	seconds_pass(live, 1);
	registry_sweep(live->registry);
	assert_null(ezk->lease.keys);
	assert_int_equal(key_status(ezk), ZONE_OK);
	assert_int_equal(live_decrypts(live), 2);
}

static void sweep_forgets_what_nobody_holds(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 2, ROOT_1, NULL);
	struct ezk *first = find(live, zone, 1), *second = find(live, zone, 2);

	assert_int_equal(ezk_begin(first), ZONE_OK);
	/* Ours, one of each, and what was verified of the first. */
	assert_int_equal(zone->references, 4);
	ezk_release(first);
	assert_int_equal(zone->references, 4);
	seconds_pass(live, LEASE_SECONDS);
	registry_sweep(live->registry);
	assert_int_equal(zone->references, 2);
	ezk_release(second);
}

static void zone_is_asked_as_its_newest_state_says(void **state)
{
	struct live_zones *live = *state;
	static const uint8_t key[EZK_SIZE] = {1};
	AUTO(entry_releasep) struct entry *old = live_zone(live, ZONE, 1, ROOT_1, key);
	AUTO(entry_releasep) struct entry *moved = live_zone(live, ZONE, 1, ROOT_2, key);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, old, 1), *again = NULL;

	moved->revision = old->revision + 1;
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	registry_changed(live->registry, moved, ZONE_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	/* A caller with an older state does not turn it back. */
	again = find(live, old, 1);
	assert_ptr_equal(again, ezk);
	seconds_pass(live, LEASE_SECONDS);
	assert_int_equal(ezk_begin(again), ZONE_OK);
}

static void key_that_became_another_is_refused(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *forged = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

	forged->revision = zone->revision + 1;
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	registry_changed(live->registry, forged, ZONE_OK);
	seconds_pass(live, LEASE_SECONDS);
	assert_int_equal(ezk_begin(ezk), ZONE_RECORD_CORRUPT);
	assert_int_equal(key_status(ezk), ZONE_RECORD_CORRUPT);
}

/* --- What the record says */

/* What the MAC covers does not change but by hand: it is verified anew, before the lease is over.
 */
static void change_of_what_the_mac_covers_ends_the_lease(void **state)
{
	/* A limit more, before those of leases: a day and a day. */
	static const uint8_t changed[] = {3,	0, 0, 4, 0, 4, 0,    1,	  0x51,
					  0x80, 5, 0, 4, 0, 1, 0x51, 0x80};
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 2, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *forged = live_zone_next(zone), *mended = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1), *other = find(live, zone, 2);

	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(ezk_begin(other), ZONE_OK);
	assert_true(entry_set_bytes(&forged->of_zone.versions[0].limits,
				    bytes(changed, sizeof(changed))));
	registry_changed(live->registry, forged, false);
	assert_false(ezk_leased(ezk));
	assert_true(ezk_leased(other));
	assert_int_equal(ezk_begin(ezk), ZONE_RECORD_CORRUPT);
	assert_int_equal(ezk_begin(other), ZONE_OK);
	mended = live_zone_next(forged);
	assert_true(entry_set_bytes(&mended->of_zone.versions[0].limits,
				    zone->of_zone.versions[0].limits));
	registry_changed(live->registry, mended, false);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(live_decrypts(live), 4);
}

/* A day, raised to a week by hand: the key does not come by it, and it is forgotten when the row is
 * mended. */
static void greatest_lease_that_was_raised_in_the_store_opens_nothing(void **state)
{
	static const uint8_t raised[] = {4, 0, 4, 0, 9, 0x3a, 0x80, 5, 0, 4, 0, 9, 0x3a, 0x80};
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *forged = live_zone_next(zone), *mended = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	assert_true(entry_set_bytes(&forged->of_zone.versions[0].limits,
				    bytes(raised, sizeof(raised))));
	registry_rules(live->registry)->lease_ms = 604800000;
	ezk = find(live, forged, 1);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_INVALID_CIPHERTEXT);
	mended = live_zone_next(forged);
	assert_true(entry_set_bytes(&mended->of_zone.versions[0].limits,
				    zone->of_zone.versions[0].limits));
	registry_changed(live->registry, mended, ZONE_OK);
	assert_int_equal(ezk->lease.lease_ms, 86400000);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
}

static void change_of_a_name_leaves_the_lease_alone(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *renamed = live_zone_next(zone);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_true(entry_set_text(&renamed->label, bytes_of("new")));
	registry_changed(live->registry, renamed, false);
	assert_true(ezk_leased(ezk));
	assert_int_equal(ezk_verified(ezk, renamed), ZONE_OK);
	assert_int_equal(ezk_verified(ezk, zone), ZONE_OK);
	assert_int_equal(live_decrypts(live), 1);
}

/* A caller that decided by a state that is not what was found good does not go on by it, however
 * the two came to meet. */
static void only_what_was_found_good_is_verified(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 2, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *forged = live_zone_next(zone), *older = NULL;
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

	assert_int_equal(ezk_verified(ezk, zone), ZONE_RECORD_CORRUPT); /* not yet */
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(ezk_verified(ezk, zone), ZONE_OK);
	forged->of_zone.versions[0].greatest_usages ^= USAGE_ENCRYPT;
	assert_int_equal(ezk_verified(ezk, forged), ZONE_RECORD_CORRUPT);
	forged->of_zone.versions[0].greatest_usages ^= USAGE_ENCRYPT;
	forged->of_zone.versions[1].greatest_usages ^= USAGE_ENCRYPT;
	assert_int_equal(ezk_verified(ezk, forged), ZONE_OK); /* another version's */
	/* From another store, whose revision is no newer. */
	older = live_zone_next(zone);
	older->revision = zone->revision;
	older->of_zone.versions[0].created_ms++;
	registry_changed(live->registry, older, false);
	assert_true(ezk_leased(ezk));
	assert_int_equal(ezk_verified(ezk, older), ZONE_RECORD_CORRUPT);
}

/* --- Refusals */

static void disabled_key_is_noticed_within_the_lease_and_works_again(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	seconds_pass(live, LEASE_SECONDS);
	assert_int_equal(ezk_continue(ezk), ZONE_KMS_DISABLED);
	assert_int_equal(key_status(ezk), ZONE_KMS_DISABLED);
	assert_int_equal(live_decrypts(live), 2);
	assert_null(ezk->lease.keys);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_ENABLED, KMS_OK);
	seconds_pass(live, DENY_SECONDS);
	assert_int_equal(ezk_continue(ezk), ZONE_OK);
	assert_int_equal(key_status(ezk), ZONE_OK);
	assert_int_equal(live_decrypts(live), 3);
}

/* Not the last line that this thread happened to log about something else. */
static void a_thread_that_does_not_ask_gets_a_reason_too(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
	assert_non_null(strstr(log_last(), "KMS Decrypt"));
	log_error("something else");
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
	assert_int_equal(live_decrypts(live), 1);
	assert_non_null(strstr(log_last(), "the key is disabled, as was heard"));
	assert_null(strstr(log_last(), "else"));
}

static void refusal_of_a_zone_is_remembered_though_nobody_holds_it(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);

	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_ENABLED, KMS_DENIED);
	for (int i = 0; i < 10; i++) {
		AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

		assert_int_equal(ezk_begin(ezk), ZONE_KMS_DENIED);
		registry_wipe_ended(live->registry);
	}
	assert_int_equal(live_decrypts(live), 1);
}

/* Version 1 of a zone that either of two root keys decrypts. */
static struct entry *zone_of_two(struct live_zones *live)
{
	static const uint8_t key[EZK_SIZE] = {1};
	struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, key);
	AUTO(entry_releasep) struct entry *twin = live_zone(live, ZONE, 1, ROOT_2, key);
	const struct wrap *wrap = &twin->of_zone.versions[0].wraps[0];

	assert_int_equal(ezk_version_add_wrap(&zone->of_zone.versions[0], wrap->arn, wrap->blob),
			 ZONE_OK);
	return zone;
}

static void zone_of_two_root_keys_outlives_a_no_of_one(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_two(live);
	AUTO(entry_releasep) struct entry *other = live_zone(live, ZONE + 1, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1), *cold = find(live, other, 1);

	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	/* Another zone hears it: this one is asked anew, and goes on by its second root key. */
	assert_int_equal(ezk_begin(cold), ZONE_KMS_DISABLED);
	assert_null(ezk->lease.keys);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(live_decrypts(live), 3);
	seconds_pass(live, LEASE_SECONDS);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	/* The first rules itself out still; then so does the second. */
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_DISABLED, KMS_OK);
	seconds_pass(live, LEASE_SECONDS);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
	assert_null(ezk->lease.keys);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_ENABLED, KMS_OK);
	seconds_pass(live, DENY_SECONDS);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
}

/* A no of the first that nobody remembers comes with each request, and must not start another. */
static void no_of_one_that_is_not_remembered_is_not_asked_for_ever(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_two(live);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

	registry_rules(live->registry)->deny_ms = 0;
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	seconds_pass(live, LEASE_SECONDS);
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(live_decrypts(live), 5); /* the first; then twice both */
}

static void any_no_without_a_yes_denies_a_zone_of_two_root_keys(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = zone_of_two(live);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_ENABLED, KMS_UNAVAILABLE);
	fake_kms_set(&live->kms, ROOT_2, KMS_KEY_ENABLED, KMS_DENIED);
	seconds_pass(live, LEASE_SECONDS - 1);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DENIED);
	assert_null(ezk->lease.keys);
}

static void deletion_ends_a_lease_and_restoring_allows_a_new_one(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *deleted = live_zone_next(zone);
	AUTO(entry_releasep) struct entry *restored = live_zone_next(deleted);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

	deleted->state = ENTRY_PENDING_DELETION;
	restored->state = ENTRY_ACTIVE;
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	registry_changed(live->registry, deleted, ZONE_OK);
	assert_null(ezk->lease.keys);
	assert_int_equal(ezk_continue(ezk), ZONE_PENDING_DELETION);
	registry_changed(live->registry, restored, ZONE_OK);
	assert_int_equal(ezk_continue(ezk), ZONE_OK);
	registry_changed(live->registry, restored, ZONE_NOT_FOUND);
	assert_int_equal(ezk_continue(ezk), ZONE_NOT_FOUND);
	assert_int_equal(live_decrypts(live), 2);
}

static void fence_ends_the_leases_below_it(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 2, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *fenced = live_zone_next(zone);
	AUTO(ezk_releasep) struct ezk *old = find(live, zone, 1), *new = find(live, zone, 2);

	fenced->of_zone.minimum = 2;
	assert_int_equal(ezk_begin(old), ZONE_OK);
	assert_int_equal(ezk_begin(new), ZONE_OK);
	registry_changed(live->registry, fenced, ZONE_OK);
	assert_int_equal(ezk_continue(old), ZONE_FENCED);
	assert_int_equal(ezk_continue(new), ZONE_OK);
}

static void record_of_another_zone_in_the_store_is_refused(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *other = live_zone(live, ZONE + 1, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	ezk_version_clear(&other->of_zone.versions[0]);
	assert_int_equal(ezk_version_copy(&zone->of_zone.versions[0], &other->of_zone.versions[0]),
			 ZONE_OK);
	ezk = find(live, other, 1);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_INVALID_CIPHERTEXT);
}

/* --- lease_seconds = 0 */

static void without_a_lease_each_operation_asks_the_kms(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);

	for (unsigned i = 1; i < 4; i++) {
		assert_int_equal(ezk_begin(ezk), ZONE_OK);
		assert_int_equal(key_status(ezk), ZONE_OK);
		assert_int_equal(ezk_continue(ezk), ZONE_OK);
		assert_int_equal(live_decrypts(live), i);
	}
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
	assert_int_equal(ezk_continue(ezk), ZONE_KMS_DISABLED);
}

/* --- What is remembered of them */

/* Sweeps as long as there is something to come. */
static size_t remembered(struct live_zones *live)
{
	size_t count = 0;

	for (int i = 0; i < 3; i++) {
		seconds_pass(live, LEASE_SECONDS);
		registry_sweep(live->registry);
	}
	for (const struct live *at = live->registry->first; at != NULL; at = at->next)
		count++;
	return count;
}

static void zone_that_is_removed_is_forgotten_when_nobody_holds_it(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	struct ezk *ezk = find(live, zone, 1);

	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	registry_changed(live->registry, zone, ZONE_NOT_FOUND);
	assert_int_equal(remembered(live), 1);
	assert_int_equal(ezk_continue(ezk), ZONE_NOT_FOUND);
	ezk_release(ezk);
	/* The next caller has the sweep look. */
	lease_rules_wipe_at(registry_rules(live->registry), clock_now(&live->clock.clock));
	assert_int_equal(remembered(live), 0);
}

static void zone_of_the_store_that_is_refused_is_remembered(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	struct ezk *ezk = find(live, zone, 1);

	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(ezk_begin(ezk), ZONE_KMS_DISABLED);
	ezk_release(ezk);
	assert_int_equal(remembered(live), 1);
	assert_false(lease_rules_due(registry_rules(live->registry))); /* at no cost */
}

/* --- A session's record set */

static void export_zone(const struct entry *zone, struct buffer *out)
{
	struct record_set set = {zone->of_zone.zone, zone->of_zone.versions,
				 zone->of_zone.version_count};

	assert_int_equal(record_set_encode(&set, out), ZONE_OK);
}

static void records_open_without_a_store(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 2, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *root_key = live_root_key(ROOT_1);
	AUTO(ezk_releasep) struct ezk *ezk = NULL, *first = NULL;
	AUTO(buffer_clear) struct buffer records = {0};

	export_zone(zone, &records);
	assert_int_equal(ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk),
			 ZONE_OK);
	assert_int_equal(ezk_zone(ezk), ZONE);
	assert_int_equal(ezk_version_number(ezk), 2);
	assert_int_equal(ezk_sibling(ezk, ZONE, 1, &first), ZONE_OK);
	assert_int_equal(key_status(first), ZONE_OK);
	assert_int_equal(live_decrypts(live), 2);
}

static void same_records_share_a_lease(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *root_key = live_root_key(ROOT_1);
	AUTO(buffer_clear) struct buffer records = {0};

	export_zone(zone, &records);
	for (int i = 0; i < 10; i++) {
		AUTO(ezk_releasep) struct ezk *ezk = NULL;

		assert_int_equal(
			ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk),
			ZONE_OK);
	}
	assert_int_equal(live_decrypts(live), 1);
}

static void records_under_a_strangers_key_are_not_asked_for(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_2, NULL);
	AUTO(entry_releasep) struct entry *root_key = live_root_key(ROOT_1);
	AUTO(buffer_clear) struct buffer records = {0};
	struct ezk *ezk;

	export_zone(zone, &records);
	assert_int_equal(ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk),
			 ZONE_KMS_INCORRECT_KEY);
	assert_int_equal(live_decrypts(live), 0);
}

static void root_key_may_be_named_by_its_alias(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_3, NULL);
	AUTO(entry_releasep) struct entry *root_key = live_root_key("alias/third");
	AUTO(buffer_clear) struct buffer records = {0};
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	export_zone(zone, &records);
	assert_int_equal(ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk),
			 ZONE_OK);
	assert_int_equal(fake_kms_calls(&live->kms, FAKE_DESCRIBE), 1);
}

static void only_the_wrap_of_the_named_root_key_is_used(void **state)
{
	struct live_zones *live = *state;
	static const uint8_t key[EZK_SIZE] = {1};
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_2, key);
	AUTO(entry_releasep) struct entry *twin = live_zone(live, ZONE, 1, ROOT_1, key);
	AUTO(entry_releasep) struct entry *root_key = live_root_key(ROOT_1);
	AUTO(buffer_clear) struct buffer records = {0};
	const struct wrap *wrap = &twin->of_zone.versions[0].wraps[0];
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	assert_int_equal(ezk_version_add_wrap(&zone->of_zone.versions[0], wrap->arn, wrap->blob),
			 ZONE_OK);
	export_zone(zone, &records);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk),
			 ZONE_KMS_DISABLED);
	assert_int_equal(live_decrypts(live), 1);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_ENABLED, KMS_OK);
	seconds_pass(live, DENY_SECONDS);
	assert_int_equal(ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk),
			 ZONE_OK);
}

/* Though no lease ever runs here, whose end would bring the sweep. */
static void refused_records_are_forgotten(void **state)
{
	static const struct {
		enum kms_status answer;
		enum zone_status status;
	} answers[] = {{KMS_DENIED, ZONE_KMS_DENIED},
		       {KMS_DISABLED, ZONE_KMS_DISABLED},
		       {KMS_INVALID_CIPHERTEXT, ZONE_KMS_INVALID_CIPHERTEXT},
		       {KMS_UNAVAILABLE, ZONE_KMS_UNAVAILABLE}};
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *root_key = live_root_key(ROOT_1);

	for (size_t i = 0; i < COUNT_OF(answers); i++) {
		AUTO(entry_releasep)
		struct entry *zone = live_zone(live, ZONE + i, 1, ROOT_1, NULL);
		AUTO(buffer_clear) struct buffer records = {0};
		struct ezk *ezk;

		export_zone(zone, &records);
		fake_kms_fail(&live->kms, FAKE_DECRYPT, answers[i].answer, 1);
		assert_int_equal(
			ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk),
			answers[i].status);
		assert_int_equal(remembered(live), 0);
	}
}

static void records_of_strange_projects_are_no_more_root_keys(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *root_key = live_root_key(ROOT_1);
	size_t at = 0;

	for (uint8_t i = 0; i < MANY_ZONES; i++) {
		AUTO(entry_releasep)
		struct entry *zone = live_zone(live, ZONE + i, 1, ROOT_1, NULL);
		AUTO(buffer_clear) struct buffer records = {0};
		AUTO(ezk_releasep) struct ezk *ezk = NULL;

		zone->of_zone.versions[0].project = uid_of(i);
		export_zone(zone, &records);
		ezk_from_records(live->registry, root_key, buffer_bytes(&records), &ezk);
	}
	assert_non_null(map_next(&live->registry->roots, &at));
	assert_null(map_next(&live->registry->roots, &at));
}

static void malformed_records_are_invalid(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *root_key = live_root_key(ROOT_1);
	struct ezk *ezk;

	assert_int_equal(ezk_from_records(live->registry, root_key, bytes(NULL, 0), &ezk),
			 ZONE_INVALID);
	assert_int_equal(ezk_from_records(live->registry, root_key, bytes_of("CEZS"), &ezk),
			 ZONE_INVALID);
}

/* --- Threads */

struct worker {
	pthread_t thread;
	struct live_zones *live;
	struct entry **zones;
	unsigned seed;
	unsigned refused;
};

/* Takes the zones in an order of its own. */
static void *use_all(void *state)
{
	struct worker *worker = state;

	for (unsigned i = 0; i < MANY_ZONES; i++) {
		AUTO(ezk_releasep) struct ezk *ezk = NULL;
		AUTO(secret_freep) uint8_t *key = secret_new(EZK_SIZE);
		unsigned at = (worker->seed * 7 + i) % MANY_ZONES;

		worker->refused +=
			ezk_find(worker->live->registry, worker->zones[at], 0, &ezk) != ZONE_OK ||
			ezk_begin(ezk) != ZONE_OK || ezk_key(ezk, EZK_DATA, key) != ZONE_OK ||
			ezk_continue(ezk) != ZONE_OK;
		registry_sweep(worker->live->registry);
	}
	return NULL;
}

static unsigned work(struct live_zones *live, struct entry **zones)
{
	struct worker workers[THREADS];
	unsigned refused = 0;

	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){.live = live, .zones = zones, .seed = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL, use_all, &workers[i]), 0);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		refused += workers[i].refused;
	}
	return refused;
}

static void threads_ask_once_for_each_cold_zone(void **state)
{
	struct live_zones *live = *state;
	struct entry *zones[MANY_ZONES];

	for (uint64_t i = 0; i < MANY_ZONES; i++)
		zones[i] = live_zone(live, i + 1, 1, ROOT_1, NULL);
	live->kms.delay_ms = 2;
	assert_int_equal(work(live, zones), 0);
	assert_int_equal(live_decrypts(live), MANY_ZONES);
	seconds_pass(live, LEASE_SECONDS);
	assert_int_equal(work(live, zones), 0);
	assert_int_equal(live_decrypts(live), 2 * MANY_ZONES);
	/* A no of the key is one for all: only who asks before it is heard asks. */
	seconds_pass(live, LEASE_SECONDS);
	fake_kms_set(&live->kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	assert_int_equal(work(live, zones), THREADS * MANY_ZONES);
	assert_in_range(live_decrypts(live), 2 * MANY_ZONES + 1, 3 * MANY_ZONES);
	for (unsigned i = 0; i < MANY_ZONES; i++)
		entry_release(zones[i]);
}

/* What happens while a request is out. */
struct meanwhile {
	struct live_zones *live;
	struct ezk *ezk;
	bool happened;
};

static void use_the_other_zone(void *state, enum fake_kms_call call)
{
	struct meanwhile *meanwhile = state;
	AUTO(entry_releasep) struct entry *entry = NULL;

	if (call != FAKE_DECRYPT)
		return;
	entry = ezk_entry(meanwhile->ezk);
	assert_int_equal(ezk_begin(meanwhile->ezk), ZONE_OK);
	assert_int_equal(key_status(meanwhile->ezk), ZONE_OK);
	ezk_release(find(meanwhile->live, entry, 1));
	registry_wipe_ended(meanwhile->live->registry);
	meanwhile->happened = true;
}

static void other_zones_do_not_wait_for_a_request(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(entry_releasep) struct entry *other = live_zone(live, ZONE + 1, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1), *used = find(live, other, 1);
	struct meanwhile meanwhile = {.live = live, .ezk = used};

	assert_int_equal(ezk_begin(used), ZONE_OK);
	live->kms.on_call_state = &meanwhile;
	live->kms.on_call = use_the_other_zone;
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_true(meanwhile.happened);
	live->kms.on_call = NULL;
}

static void forget(void *state, enum fake_kms_call call)
{
	struct meanwhile *meanwhile = state;
	AUTO(entry_releasep) struct entry *entry = ezk_entry(meanwhile->ezk);
	AUTO(entry_releasep) struct entry *deleted = live_zone_next(entry);

	if (call != FAKE_DECRYPT)
		return;
	deleted->state = ENTRY_PENDING_DELETION;
	registry_changed(meanwhile->live->registry, deleted, ZONE_OK);
}

static void yes_that_comes_after_the_deletion_is_dropped(void **state)
{
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *zone = live_zone(live, ZONE, 1, ROOT_1, NULL);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, zone, 1);
	struct meanwhile meanwhile = {.live = live, .ezk = ezk};

	live->kms.on_call_state = &meanwhile;
	live->kms.on_call = forget;
	assert_int_equal(ezk_begin(ezk), ZONE_PENDING_DELETION);
	assert_null(ezk->lease.keys);
	live->kms.on_call = NULL;
}

static struct entry *moved_meanwhile;

static void move(void *state, enum fake_kms_call call)
{
	struct live_zones *live = state;
	struct entry *moved = moved_meanwhile;

	if (call != FAKE_DECRYPT || moved == NULL)
		return;
	moved_meanwhile = NULL;
	registry_changed(live->registry, moved, ZONE_OK);
}

/* The canary of the old root key must not vouch for it. */
static void zone_that_moves_to_another_root_key_meanwhile_rests_on_that(void **state)
{
	static const uint8_t key[EZK_SIZE] = {1};
	struct live_zones *live = *state;
	AUTO(entry_releasep) struct entry *old = live_zone(live, ZONE, 1, ROOT_1, key);
	AUTO(entry_releasep) struct entry *moved = live_zone(live, ZONE, 1, ROOT_2, key);
	AUTO(ezk_releasep) struct ezk *ezk = find(live, old, 1);

	moved->revision = old->revision + 1;
	moved_meanwhile = moved;
	live->kms.on_call_state = live;
	live->kms.on_call = move;
	assert_int_equal(ezk_begin(ezk), ZONE_OK);
	assert_int_equal(live_decrypts(live), 2);
	assert_ptr_equal(ezk->rests_on[0], ezk->needs[0]);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(zone_that_moves_to_another_root_key_meanwhile_rests_on_that),
		CASE(version_is_found_by_number_or_by_its_mark),
		CASE(a_version_that_is_found_again_is_the_same),
		CASE(fenced_version_is_not_found),
		CASE(zone_that_awaits_deletion_is_not_found),
		CASE(kms_is_asked_once_for_a_zone_and_lease),
		CASE(keys_are_those_of_the_page_in_every_lease),
		CASE(sweep_wipes_what_has_ended),
		CASE(sweep_forgets_what_nobody_holds),
		CASE(zone_is_asked_as_its_newest_state_says),
		CASE(key_that_became_another_is_refused),
		CASE(greatest_lease_that_was_raised_in_the_store_opens_nothing),
		CASE(change_of_what_the_mac_covers_ends_the_lease),
		CASE(change_of_a_name_leaves_the_lease_alone),
		CASE(only_what_was_found_good_is_verified),
		CASE(disabled_key_is_noticed_within_the_lease_and_works_again),
		CASE(a_thread_that_does_not_ask_gets_a_reason_too),
		CASE(refusal_of_a_zone_is_remembered_though_nobody_holds_it),
		CASE(zone_of_two_root_keys_outlives_a_no_of_one),
		CASE(no_of_one_that_is_not_remembered_is_not_asked_for_ever),
		CASE(any_no_without_a_yes_denies_a_zone_of_two_root_keys),
		CASE(deletion_ends_a_lease_and_restoring_allows_a_new_one),
		CASE(fence_ends_the_leases_below_it),
		CASE(record_of_another_zone_in_the_store_is_refused),
		cmocka_unit_test_setup_teardown(without_a_lease_each_operation_asks_the_kms,
						set_up_without_lease, tear_down),
		CASE(records_open_without_a_store),
		CASE(same_records_share_a_lease),
		CASE(records_under_a_strangers_key_are_not_asked_for),
		CASE(root_key_may_be_named_by_its_alias),
		CASE(only_the_wrap_of_the_named_root_key_is_used),
		CASE(zone_that_is_removed_is_forgotten_when_nobody_holds_it),
		CASE(zone_of_the_store_that_is_refused_is_remembered),
		CASE(refused_records_are_forgotten),
		CASE(records_of_strange_projects_are_no_more_root_keys),
		CASE(malformed_records_are_invalid),
		CASE(threads_ask_once_for_each_cold_zone),
		CASE(other_zones_do_not_wait_for_a_request),
		CASE(yes_that_comes_after_the_deletion_is_dropped),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests_name("ezk", tests, NULL, NULL);
}
