/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Families of keys that become one: in any order, with and without a zone, by many threads. */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "objects/value.h"
#include "tests/support/live_zones.h"
#include "tests/support/values.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { LEASE_SECONDS = 300, KEYS = 48, ROUNDS = 40 };

static const uint8_t plain[32] = "a key that goes with its family";

/* Two zones, and keys of none. */
struct houses {
	struct live_zones live;
	struct entry *zones[2];
	struct ezk *ezks[2];
	struct object *keys[KEYS];
};

static struct object *key_of(struct stamp *stamp)
{
	const struct object model = {.kind = OBJECT_KEY, .value_len = 32, .stamp = stamp};
	struct object *object = object_new(&model);

	assert_non_null(object);
	assert_int_equal(value_set(object, plain), ZONE_OK);
	return object;
}

static int begin(void **state)
{
	struct houses *houses = calloc(1, sizeof(*houses));

	live_zones_start(&houses->live, LEASE_SECONDS);
	for (uint64_t i = 0; i < 2; i++) {
		houses->zones[i] = live_zone(&houses->live, 42 + i, 1, ROOT_1, NULL);
		assert_int_equal(
			ezk_find(houses->live.registry, houses->zones[i], 1, &houses->ezks[i]),
			ZONE_OK);
		assert_int_equal(ezk_begin(houses->ezks[i]), ZONE_OK);
	}
	for (int i = 0; i < KEYS; i++)
		houses->keys[i] = key_of(NULL);
	*state = houses;
	return 0;
}

static int end(void **state)
{
	struct houses *houses = *state;

	for (int i = 0; i < KEYS; i++)
		object_release(houses->keys[i]);
	for (int i = 0; i < 2; i++) {
		ezk_release(houses->ezks[i]);
		entry_release(houses->zones[i]);
	}
	live_zones_stop(&houses->live);
	free(houses);
	return 0;
}

static void lease_passes(struct houses *houses)
{
	fake_clock_advance(&houses->live.clock, LEASE_SECONDS * 1000);
	registry_sweep(houses->live.registry);
}

static bool lies_open(const struct object *object)
{
	return memcmp(object->value.bytes, plain, sizeof(plain)) == 0;
}

static void united_families_are_stamped_as_one(void **state)
{
	struct houses *houses = *state;
	struct object **keys = houses->keys;
	AUTO(object_releasep) struct object *copy = key_of(keys[0]->stamp);

	assert_int_equal(object_unite(keys[0], keys[1]), ZONE_OK);
	assert_int_equal(object_unite(keys[0], keys[1]), ZONE_OK);
	assert_int_equal(object_unite(keys[0], keys[0]), ZONE_OK);
	assert_int_equal(object_zone(keys[0]), 0);
	assert_int_equal(object_stamp(keys[1], houses->ezks[0]), ZONE_OK);
	assert_int_equal(object_zone(keys[0]), 42);
	assert_int_equal(object_zone(copy), 42);
	assert_int_equal(object_stamp(copy, houses->ezks[1]), ZONE_OTHER_ZONE);
	assert_value(copy, bytes(plain, 32));
}

/* Whose values a zone keeps is not forgotten when families move. */
static void values_of_united_families_are_hidden_with_their_zone(void **state)
{
	struct houses *houses = *state;
	AUTO(object_releasep) struct object *late = NULL;

	for (int i = 1; i < KEYS; i++) /* the smaller to the greater, each way round */
		assert_int_equal(i % 2 ? object_unite(houses->keys[i - 1], houses->keys[i])
				       : object_unite(houses->keys[i], houses->keys[i - 1]),
				 ZONE_OK);
	late = key_of(houses->keys[7]->stamp);
	object_release(houses->keys[11]);
	houses->keys[11] = key_of(NULL);
	assert_int_equal(object_stamp(houses->keys[KEYS - 1], houses->ezks[1]), ZONE_OK);
	lease_passes(houses);
	for (int i = 0; i < KEYS; i++)
		assert_true(lies_open(houses->keys[i]) == (i == 11));
	assert_false(lies_open(late));
	assert_value(late, bytes(plain, 32));
	for (int i = 0; i < KEYS; i++)
		assert_value(houses->keys[i], bytes(plain, 32));
}

static void a_family_without_a_zone_takes_the_other_s(void **state)
{
	struct houses *houses = *state;
	struct object **keys = houses->keys;

	assert_int_equal(object_stamp(keys[0], houses->ezks[0]), ZONE_OK);
	assert_int_equal(object_stamp(keys[1], houses->ezks[1]), ZONE_OK);
	assert_int_equal(object_unite(keys[0], keys[2]), ZONE_OK);
	assert_int_equal(object_unite(keys[3], keys[1]), ZONE_OK);
	assert_int_equal(object_zone(keys[2]), 42);
	assert_int_equal(object_zone(keys[3]), 43);
	assert_int_equal(object_unite(keys[2], keys[0]), ZONE_OK);
	assert_int_equal(object_unite(keys[2], keys[3]), ZONE_OTHER_ZONE);
	assert_int_equal(object_unite(keys[1], keys[0]), ZONE_OTHER_ZONE);
}

static void a_family_that_can_t_be_hidden_is_not_united_with_a_zone_s(void **state)
{
	struct houses *houses = *state;
	struct object **keys = houses->keys;

	assert_int_equal(object_stamp(keys[0], houses->ezks[0]), ZONE_OK);
	lease_passes(houses);
	fake_kms_set(&houses->live.kms, ROOT_1, KMS_KEY_DISABLED, KMS_DISABLED);
	assert_int_equal(object_unite(keys[0], keys[1]), ZONE_KMS_DISABLED);
	assert_int_equal(object_zone(keys[1]), 0);
	assert_int_equal(object_stamp(keys[1], houses->ezks[1]), ZONE_KMS_DISABLED);
	assert_true(lies_open(keys[1]));
}

/* --- Threads */

struct worker {
	pthread_t thread;
	struct houses *houses;
	unsigned number;
	bool parted;
};

static void *unite_and_stamp(void *state)
{
	struct worker *worker = state;
	struct object **keys = worker->houses->keys;
	unsigned dice = worker->number * 2654435761u + 1;

	for (int i = 0; i < ROUNDS; i++) {
		AUTO(object_releasep) struct object *copy = NULL;
		unsigned a, b;

		dice = dice * 1664525 + 1013904223;
		a = dice >> 8 & 0xffff;
		b = dice >> 16;
		object_unite(keys[a % KEYS], keys[b % KEYS]);
		copy = key_of(NULL);
		object_unite(copy, keys[b % KEYS]);
		if (i % 16 == 15)
			object_stamp(keys[a % KEYS], worker->houses->ezks[worker->number % 2]);
	}
	return NULL;
}

/* Each pair that was united is of one zone, whatever happened at the same time. */
static void *unite_pairs(void *state)
{
	struct worker *worker = state;
	struct object **keys = worker->houses->keys;

	for (int i = 0; i + 1 < KEYS; i++) {
		AUTO(object_releasep) struct object *by = key_of(NULL);

		if (object_unite(by, keys[i]) != ZONE_OK ||
		    object_unite(by, keys[i + 1]) != ZONE_OK)
			continue;
		object_stamp(keys[i], worker->houses->ezks[0]);
		object_stamp(keys[i + 1], worker->houses->ezks[1]);
		worker->parted |= object_zone(keys[i]) != object_zone(keys[i + 1]) ||
				  object_zone(by) != object_zone(keys[i]);
	}
	return NULL;
}

static void threads_unite_and_stamp_as_they_like(void **state)
{
	struct worker workers[8];

	for (unsigned i = 0; i < COUNT_OF(workers); i++) {
		workers[i] = (struct worker){.houses = *state, .number = i};
		assert_int_equal(pthread_create(&workers[i].thread, NULL,
						i < 6 ? unite_and_stamp : unite_pairs, &workers[i]),
				 0);
	}
	for (unsigned i = 0; i < COUNT_OF(workers); i++)
		pthread_join(workers[i].thread, NULL);
	for (unsigned i = 0; i < COUNT_OF(workers); i++)
		assert_false(workers[i].parted);
	for (int i = 0; i < KEYS; i++)
		assert_value(((struct houses *)*state)->keys[i], bytes(plain, 32));
}

#define in_houses(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_houses(united_families_are_stamped_as_one),
		in_houses(values_of_united_families_are_hidden_with_their_zone),
		in_houses(a_family_without_a_zone_takes_the_other_s),
		in_houses(a_family_that_can_t_be_hidden_is_not_united_with_a_zone_s),
		in_houses(threads_unite_and_stamp_as_they_like),
	};

	log_configure(LOG_OFF, "stderr");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
