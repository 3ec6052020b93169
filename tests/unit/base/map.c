/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The hash map, against a plain array as its model. */
#include "base/macros.h"
#include "base/map.h"
#include "tests/support/unit.h"

#include <stdio.h>

enum { NAME_COUNT = 3000 };

static char names[NAME_COUNT][16];

static int make_names(void **state)
{
	(void)state;
	for (int i = 0; i < NAME_COUNT; i++)
		snprintf(names[i], sizeof(names[i]), "name-%d", i);
	return 0;
}

static void empty_map_finds_nothing(void **state)
{
	AUTO(map_clear) struct map map = {0};
	size_t at = 0;

	(void)state;
	assert_null(map_find(&map, bytes_of("x")));
	assert_null(map_remove(&map, bytes_of("x")));
	assert_null(map_next(&map, &at));
	map_clear(NULL);
}

static void every_entry_is_found_and_walked_once(void **state)
{
	AUTO(map_clear) struct map map = {0};
	bool seen[NAME_COUNT] = {false};
	size_t at = 0, count = 0;

	(void)state;
	for (int i = 0; i < NAME_COUNT; i++)
		assert_true(map_put(&map, bytes_of(names[i]), names[i]));
	for (int i = 0; i < NAME_COUNT; i++)
		assert_ptr_equal(map_find(&map, bytes_of(names[i])), names[i]);
	assert_null(map_find(&map, bytes_of("name")));
	for (struct map_entry *entry; (entry = map_next(&map, &at)) != NULL; count++) {
		size_t index = (size_t)((char(*)[16])entry->value - names);

		assert_false(seen[index]);
		seen[index] = true;
	}
	assert_int_equal(count, NAME_COUNT);
	assert_int_equal(map.count, NAME_COUNT);
}

static void put_of_an_equal_key_replaces(void **state)
{
	AUTO(map_clear) struct map map = {0};
	char one[] = "key", two[] = "key";

	(void)state;
	assert_true(map_put(&map, bytes_of(one), one));
	assert_true(map_put(&map, bytes_of(two), two));
	assert_int_equal(map.count, 1);
	assert_ptr_equal(map_find(&map, bytes_of("key")), two);
}

static void removals_in_any_order_leave_the_rest_findable(void **state)
{
	AUTO(map_clear) struct map map = {0};
	bool inside[NAME_COUNT] = {false};
	unsigned random = 1;

	(void)state;
	for (int round = 0; round < 30000; round++) {
		size_t index;

		random = random * 1103515245 + 12345;
		index = random / 65536 % 200;
		if (inside[index])
			assert_ptr_equal(map_remove(&map, bytes_of(names[index])), names[index]);
		else
			assert_true(map_put(&map, bytes_of(names[index]), names[index]));
		inside[index] = !inside[index];
		index = random / 256 % 200;
		assert_int_equal(map_find(&map, bytes_of(names[index])) != NULL, inside[index]);
	}
	for (size_t i = 0; i < 200; i++)
		assert_int_equal(map_remove(&map, bytes_of(names[i])) != NULL, inside[i]);
	assert_int_equal(map.count, 0);
}

static void keys_may_be_empty_or_contain_zeros(void **state)
{
	AUTO(map_clear) struct map map = {0};
	int values[3];

	(void)state;
	assert_true(map_put(&map, bytes(NULL, 0), &values[0]));
	assert_true(map_put(&map, bytes("\0", 1), &values[1]));
	assert_true(map_put(&map, bytes("\0\0", 2), &values[2]));
	assert_ptr_equal(map_find(&map, bytes("", 0)), &values[0]);
	assert_ptr_equal(map_find(&map, bytes("\0", 1)), &values[1]);
	assert_ptr_equal(map_find(&map, bytes("\0\0", 2)), &values[2]);
}

/* Vectors of Rust's standard library (library/coretests/tests/hash/sip.rs): key 00..0f, input
 * 00..len-1. */
static void hash_is_siphash_1_3(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} vectors[] = {{0, 0xabac0158050fc4dc}, {1, 0xc9f49bf37d57ca93}, {63, 0x9d199062b7bbb3a8}};
	const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
	uint8_t in[63];

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)i;
	for (size_t i = 0; i < COUNT_OF(vectors); i++)
		assert_true(map_hash(key, bytes(in, vectors[i].len)) == vectors[i].hash);
}

static void hash_depends_on_key_length_and_every_byte(void **state)
{
	const uint64_t key[2] = {0x0706050403020100, 0x0f0e0d0c0b0a0908}, other[2] = {1, 2};
	uint8_t in[24] = {0};
	uint64_t before = map_hash(key, bytes(in, sizeof(in)));

	(void)state;
	assert_true(map_hash(other, bytes(in, sizeof(in))) != before);
	assert_true(map_hash(key, bytes(in, 23)) != before);
	for (size_t i = 0; i < sizeof(in); i++) {
		in[i] = 1;
		assert_true(map_hash(key, bytes(in, sizeof(in))) != before);
		in[i] = 0;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_map_finds_nothing),
		cmocka_unit_test(every_entry_is_found_and_walked_once),
		cmocka_unit_test(put_of_an_equal_key_replaces),
		cmocka_unit_test(removals_in_any_order_leave_the_rest_findable),
		cmocka_unit_test(keys_may_be_empty_or_contain_zeros),
		cmocka_unit_test(hash_is_siphash_1_3),
		cmocka_unit_test(hash_depends_on_key_length_and_every_byte),
	};

	return cmocka_run_group_tests(tests, make_names, NULL);
}
