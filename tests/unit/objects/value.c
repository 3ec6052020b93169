/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Values of keys at rest in memory: hidden while their zone has no lease, and found again with it.
 */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "objects/value.h"
#include "tests/support/live_zones.h"
#include "tests/support/values.h"

#include <string.h>

enum { LEASE_SECONDS = 300, DENY_SECONDS = 5, ZONE = 42, THREADS = 16 };

static const uint8_t plain[DEK_MAX] = "a key that is longer than one block of the stream";

struct held {
	struct live_zones live;
	struct entry *zone;
	struct ezk *ezk;
};

static int begin(void **state)
{
	struct held *held = malloc(sizeof(*held));

	live_zones_start(&held->live, LEASE_SECONDS);
	held->zone = live_zone(&held->live, ZONE, 1, ROOT_1, NULL);
	assert_int_equal(ezk_find(held->live.registry, held->zone, 1, &held->ezk), ZONE_OK);
	*state = held;
	return 0;
}

static int end(void **state)
{
	struct held *held = *state;

	ezk_release(held->ezk);
	entry_release(held->zone);
	live_zones_stop(&held->live);
	free(held);
	return 0;
}

static struct object *key_of(size_t len, struct stamp *stamp)
{
	const struct object model = {.kind = OBJECT_KEY, .value_len = len, .stamp = stamp};
	struct object *object = object_new(&model);

	assert_non_null(object);
	assert_int_equal(value_set(object, plain), ZONE_OK);
	return object;
}

/* Does the key lie in memory as it is? */
static bool lies_open(const struct object *object)
{
	return memcmp(object->value.bytes, plain, object->value_len) == 0;
}

static void lease_begins(struct held *held)
{
	assert_int_equal(ezk_begin(held->ezk), ZONE_OK);
}

static void lease_passes(struct held *held)
{
	fake_clock_advance(&held->live.clock, LEASE_SECONDS * 1000);
	registry_sweep(held->live.registry);
}

static void key_of_no_zone_is_read_as_it_lies(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *key = key_of(32, NULL);
	uint8_t got[32];

	assert_true(lies_open(key));
	assert_value(key, bytes(plain, 32));
	assert_true(value_read_now(key, got));
	assert_memory_equal(got, plain, 32);
	assert_int_equal(live_decrypts(&held->live), 0);
}

static void key_of_a_zone_is_hidden_and_read_while_that_has_a_lease(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *key = key_of(32, NULL);
	uint8_t got[32];

	lease_begins(held);
	assert_int_equal(object_stamp(key, held->ezk), ZONE_OK);
	assert_value(key, bytes(plain, 32));
	assert_true(value_read_now(key, got));
	assert_memory_equal(got, plain, 32);
	lease_passes(held);
	assert_false(lies_open(key));
	assert_int_equal(live_decrypts(&held->live), 1);
}

static void keys_of_every_length_are_found_again(void **state)
{
	struct held *held = *state;

	lease_begins(held);
	for (size_t len = 1; len <= DEK_MAX; len++) {
		AUTO(object_releasep) struct object *key = key_of(len, NULL);

		assert_int_equal(object_stamp(key, held->ezk), ZONE_OK);
		lease_passes(held);
		assert_false(lies_open(key));
		assert_value(key, bytes(plain, len));
		assert_true(lies_open(key));
	}
}

static void key_goes_with_the_lease_and_comes_back_with_the_next(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *key = key_of(48, NULL);
	uint8_t got[48];

	lease_begins(held);
	assert_int_equal(object_stamp(key, held->ezk), ZONE_OK);
	lease_passes(held);
	assert_null(held->ezk->lease.keys);
	assert_false(value_read_now(key, got));
	assert_value(key, bytes(plain, 48));
	assert_int_equal(live_decrypts(&held->live), 2);
}

static void no_takes_every_handle_of_the_zone_and_recovery_brings_them_back(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *generated = key_of(32, NULL);
	AUTO(object_releasep) struct object *copy = NULL;
	struct object *all[2];
	uint8_t got[32];

	copy = key_of(32, generated->stamp);
	all[0] = generated;
	all[1] = copy;
	lease_begins(held);
	assert_int_equal(object_stamp(generated, held->ezk), CKR_OK); /* it is wrapped */
	fake_kms_set(&held->live.kms, ROOT_1, KMS_KEY_DISABLED, KMS_OK);
	lease_deny(&held->ezk->lease, ZONE_KMS_DISABLED);
	for (int i = 0; i < 2; i++) {
		assert_false(lies_open(all[i]));
		assert_false(value_read_now(all[i], got));
		assert_int_equal(value_read(all[i], got), ZONE_KMS_DISABLED);
	}
	fake_kms_set(&held->live.kms, ROOT_1, KMS_KEY_ENABLED, KMS_OK);
	fake_clock_advance(&held->live.clock, DENY_SECONDS * 1000);
	for (int i = 0; i < 2; i++)
		assert_value(all[i], bytes(plain, 32));
}

static void what_joins_a_family_later_is_hidden_as_well(void **state)
{
	struct held *held = *state;
	const struct object model = {.kind = OBJECT_KEY, .value_len = 32};
	AUTO(object_releasep) struct object *base = key_of(32, NULL);
	AUTO(object_releasep) struct object *derived = object_new(&model);
	AUTO(object_releasep) struct object *copy = NULL;

	lease_begins(held);
	assert_int_equal(object_stamp(base, held->ezk), ZONE_OK);
	object_share_stamp(derived, base);
	assert_int_equal(value_set(derived, plain), ZONE_OK);
	copy = key_of(32, base->stamp);
	lease_passes(held);
	assert_false(lies_open(derived));
	assert_false(lies_open(copy));
	assert_value(derived, bytes(plain, 32));
	assert_value(copy, bytes(plain, 32));
}

static void family_may_go_one_after_the_other(void **state)
{
	struct held *held = *state;
	struct object *first = key_of(32, NULL), *second = key_of(32, first->stamp),
		      *third = key_of(32, first->stamp);

	object_release(second);
	lease_begins(held);
	assert_int_equal(object_stamp(third, held->ezk), CKR_OK);
	object_release(third);
	lease_passes(held);
	assert_false(lies_open(first));
	object_release(first);
}

static void shared_value_is_the_same_and_as_hidden(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *key = key_of(32, NULL);
	AUTO(object_releasep) struct object *copy = NULL;
	const struct object model = {.kind = OBJECT_KEY, .value_len = 32, .stamp = key->stamp};

	lease_begins(held);
	assert_int_equal(object_stamp(key, held->ezk), ZONE_OK);
	lease_passes(held);
	copy = object_new(&model);
	assert_false(value_is_set(copy));
	assert_true(value_share(copy, key));
	assert_false(lies_open(copy));
	assert_int_equal(live_decrypts(&held->live), 1);
	assert_value(copy, bytes(plain, 32));
}

static void key_that_is_stamped_without_a_lease_begins_one(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *key = key_of(32, NULL);
	uint8_t got[32];

	assert_int_equal(object_stamp(key, held->ezk), ZONE_OK);
	assert_int_equal(live_decrypts(&held->live), 1);
	assert_true(value_read_now(key, got));
	lease_passes(held);
	assert_false(lies_open(key));
}

/* A key that has its zone's stamp, but no value yet: one that is about to be unwrapped. */
static struct object *key_without_value(struct held *held)
{
	const struct object model = {.kind = OBJECT_KEY, .value_len = 32};
	struct object *object = object_new(&model);

	assert_non_null(object);
	assert_int_equal(object_stamp(object, held->ezk), ZONE_OK);
	return object;
}

static void look_at_value(void *state, struct masked_value *value)
{
	*(bool *)state |= memcmp(value->bytes, plain, value->len) == 0;
}

/* Does a value of the zone lie open in memory while the EZK is not there to hide it? */
static bool one_lies_open(struct held *held)
{
	struct lease *lease = &held->ezk->lease;
	AUTO(unlockp) pthread_mutex_t *lock = locked(&lease->lock);
	bool open = false;

	lanes_each(&lease->lanes, look_at_value, &open);
	return open && lease->keys == NULL;
}

static void value_that_comes_with_a_no_is_not_set(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *key = key_without_value(held);

	lease_begins(held);
	lease_deny(&held->ezk->lease, ZONE_KMS_DISABLED);
	assert_int_equal(value_set(key, plain), ZONE_KMS_DISABLED);
	assert_false(value_is_set(key));
	assert_false(one_lies_open(held));
	fake_clock_advance(&held->live.clock, DENY_SECONDS * 1000);
	assert_int_equal(value_set(key, plain), ZONE_OK);
	assert_value(key, bytes(plain, 32));
}

static uint8_t *secret_of_plain(void)
{
	uint8_t *secret = secret_new(32);

	assert_non_null(secret);
	memcpy(secret, plain, 32);
	return secret;
}

static void value_that_is_handed_over_is_the_keys_own_memory(void **state)
{
	struct held *held = *state;
	const struct object model = {.kind = OBJECT_KEY, .value_len = 32};
	AUTO(object_releasep) struct object *key = object_new(&model);
	AUTO(secret_freep) uint8_t *secret = secret_of_plain();
	AUTO(secret_freep) uint8_t *second = secret_of_plain();
	const uint8_t *was = secret;

	object_begin_in(key, held->ezk);
	assert_ptr_equal(object_ezk(key), held->ezk);
	lease_begins(held);
	assert_int_equal(value_take(key, &secret), ZONE_OK);
	assert_null(secret);
	assert_ptr_equal(key->value.bytes, was);
	assert_value(key, bytes(plain, 32));
	assert_int_equal(value_take(key, &second), ZONE_OK); /* it is set once */
	assert_non_null(second);
	lease_passes(held);
	assert_false(one_lies_open(held));
}

static void value_that_is_handed_over_with_a_no_stays_with_whoever_has_it(void **state)
{
	struct held *held = *state;
	const struct object model = {.kind = OBJECT_KEY, .value_len = 32};
	AUTO(object_releasep) struct object *key = object_new(&model);
	AUTO(secret_freep) uint8_t *secret = secret_of_plain();

	object_begin_in(key, held->ezk);
	lease_deny(&held->ezk->lease, ZONE_KMS_DISABLED);
	assert_int_equal(value_take(key, &secret), ZONE_KMS_DISABLED);
	assert_non_null(secret);
	assert_false(value_is_set(key));
	assert_null(held->ezk->lease.lanes.first.values);
}

static void key_that_is_stamped_in_the_moment_of_a_no_stays_outside(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *key = key_of(32, NULL);
	AUTO(object_releasep) struct object *copy = key_of(32, key->stamp);

	lease_begins(held);
	lease_deny(&held->ezk->lease, ZONE_KMS_DISABLED);
	assert_int_equal(object_stamp(key, held->ezk), ZONE_KMS_DISABLED);
	assert_null(object_ezk(copy));
	assert_null(held->ezk->lease.lanes.first.values);
	fake_clock_advance(&held->live.clock, DENY_SECONDS * 1000);
	assert_int_equal(object_stamp(key, held->ezk), ZONE_OK);
	lease_passes(held);
	assert_false(lies_open(key));
	assert_false(lies_open(copy));
}

static void hidden_value_is_shared_without_a_lease_and_stays_hidden(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *key = key_of(32, NULL);
	AUTO(object_releasep) struct object *copy = NULL;
	const struct object model = {.kind = OBJECT_KEY, .value_len = 32, .stamp = key->stamp};

	assert_int_equal(object_stamp(key, held->ezk), ZONE_OK);
	lease_deny(&held->ezk->lease, ZONE_KMS_DISABLED);
	copy = object_new(&model);
	assert_true(value_share(copy, key));
	assert_false(one_lies_open(held));
	fake_clock_advance(&held->live.clock, DENY_SECONDS * 1000);
	assert_value(copy, bytes(plain, 32));
	lease_passes(held);
	assert_false(lies_open(copy));
}

static void value_is_set_once(void **state)
{
	AUTO(object_releasep) struct object *key = key_of(32, NULL);
	static const uint8_t other[32] = {1};

	(void)state;
	assert_int_equal(value_set(key, other), ZONE_OK);
	assert_value(key, bytes(plain, 32));
}

static void equal_keys_do_not_look_equal(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *one = key_of(32, NULL);
	AUTO(object_releasep) struct object *two = key_of(32, NULL);

	lease_begins(held);
	assert_int_equal(object_stamp(one, held->ezk), CKR_OK);
	assert_int_equal(object_stamp(two, held->ezk), CKR_OK);
	lease_passes(held);
	assert_memory_not_equal(one->value.bytes, two->value.bytes, 32);
}

/* --- Threads */

struct reader {
	pthread_t thread;
	struct object *key;
	bool wrong;
};

static void *read_often(void *state)
{
	struct reader *reader = state;
	uint8_t got[32];

	for (int i = 0; i < 200; i++)
		reader->wrong |=
			value_read(reader->key, got) != ZONE_OK || memcmp(got, plain, 32) != 0;
	return NULL;
}

static void threads_read_while_others_stamp(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *key = key_of(32, NULL);
	struct reader readers[THREADS];

	lease_begins(held);
	for (int i = 0; i < THREADS; i++) {
		readers[i] = (struct reader){.key = key};
		assert_int_equal(pthread_create(&readers[i].thread, NULL, read_often, &readers[i]),
				 0);
	}
	assert_int_equal(object_stamp(key, held->ezk), ZONE_OK);
	for (int i = 0; i < THREADS; i++) {
		pthread_join(readers[i].thread, NULL);
		assert_false(readers[i].wrong);
	}
}

static void *use_and_end_leases(void *state)
{
	struct held *held = state;

	for (int i = 0; i < 200; i++) {
		ezk_begin(held->ezk);
		lease_end(&held->ezk->lease, ZONE_OK);
	}
	return NULL;
}

static void threads_read_while_leases_end(void **state)
{
	struct held *held = *state;
	AUTO(object_releasep) struct object *key = key_of(48, NULL);
	uint8_t got[48];
	pthread_t thread;

	assert_int_equal(object_stamp(key, held->ezk), ZONE_OK);
	assert_int_equal(pthread_create(&thread, NULL, use_and_end_leases, held), 0);
	for (int i = 0; i < 200; i++) {
		enum zone_status status = value_read(key, got);

		/* A lease may end before it could be used. */
		assert_true(status == ZONE_KMS_UNAVAILABLE || memcmp(got, plain, 48) == 0);
	}
	pthread_join(thread, NULL);
	assert_value(key, bytes(plain, 48));
}

/* Whatever moment of a lease each key comes upon. */
static void *stamp_often(void *state)
{
	struct held *held = state;
	uintptr_t wrong = 0;

	for (int i = 0; i < 2000; i++) {
		AUTO(object_releasep) struct object *key = key_of(32, NULL);

		object_stamp(key, held->ezk);
		wrong += one_lies_open(held);
	}
	return (void *)wrong;
}

static void none_lies_open_while_leases_end_and_keys_come(void **state)
{
	struct held *held = *state;
	pthread_t ending, stamping[3];
	void *wrong;

	assert_int_equal(pthread_create(&ending, NULL, use_and_end_leases, held), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&stamping[i], NULL, stamp_often, held), 0);
	pthread_join(ending, NULL);
	for (int i = 0; i < 3; i++) {
		pthread_join(stamping[i], &wrong);
		assert_null(wrong);
	}
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(key_of_no_zone_is_read_as_it_lies),
		CASE(key_of_a_zone_is_hidden_and_read_while_that_has_a_lease),
		CASE(keys_of_every_length_are_found_again),
		CASE(key_goes_with_the_lease_and_comes_back_with_the_next),
		CASE(no_takes_every_handle_of_the_zone_and_recovery_brings_them_back),
		CASE(what_joins_a_family_later_is_hidden_as_well),
		CASE(family_may_go_one_after_the_other),
		CASE(shared_value_is_the_same_and_as_hidden),
		CASE(key_that_is_stamped_without_a_lease_begins_one),
		CASE(value_that_comes_with_a_no_is_not_set),
		CASE(value_that_is_handed_over_is_the_keys_own_memory),
		CASE(value_that_is_handed_over_with_a_no_stays_with_whoever_has_it),
		CASE(key_that_is_stamped_in_the_moment_of_a_no_stays_outside),
		CASE(hidden_value_is_shared_without_a_lease_and_stays_hidden),
		CASE(value_is_set_once),
		CASE(equal_keys_do_not_look_equal),
		CASE(threads_read_while_others_stamp),
		CASE(threads_read_while_leases_end),
		CASE(none_lies_open_while_leases_end_and_keys_come),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests_name("value", tests, NULL, NULL);
}
