/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing; removal shifts back what follows, so there are no
 * tombstones and a long-lived map does not decay. */
#include "base/map.h"

#include <assert.h>
#include <endian.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { FIRST_CAPACITY = 8 };

static uint64_t seed[2];
static pthread_once_t seeded = PTHREAD_ONCE_INIT;

static void make_seed(void)
{
	/* Before the system has entropy, addresses must do: an attacker knows neither. */
	if (getrandom(seed, sizeof(seed), GRND_NONBLOCK) == (ssize_t)sizeof(seed))
		return;
	seed[0] = (uint64_t)(uintptr_t)&seed;
	seed[1] = (uint64_t)(uintptr_t)&getrandom;
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static inline void sip_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32) + v[3];
	v[2] += v[1];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[2] = rotate(v[2], 32);
}

static uint64_t load_word(const uint8_t data[static 8])
{
	uint64_t word;

	memcpy(&word, data, sizeof(word));
	return le64toh(word);
}

/* Fewer than 8 bytes, little-endian. */
static uint64_t load_rest(const uint8_t *data, size_t len)
{
	uint64_t word = 0;

	for (size_t i = 0; i < len; i++)
		word |= (uint64_t)data[i] << 8 * i;
	return word;
}

/* SipHash-1-3 (Aumasson and Bernstein, 2012): one round a word, three to finish. */
uint64_t map_hash(const uint64_t key[static 2], struct bytes in)
{
	uint64_t v[4] = {key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d,
			 key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573};
	size_t words = in.len / 8;

	if (in.len == 0)
		in.data = (const uint8_t *)"";
	for (size_t i = 0; i <= words; i++) {
		uint64_t word =
			i < words ? load_word(in.data + i * 8)
				  : load_rest(in.data + i * 8, in.len % 8) | (uint64_t)in.len << 56;

		v[3] ^= word;
		sip_round(v);
		v[0] ^= word;
	}
	v[2] ^= 0xff;
	for (int i = 0; i < 3; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

/* One to one, so that equal hashes are equal numbers: by an odd factor, the golden ratio's, whose
 * product has its best bits on top. */
static uint64_t hash_number(struct bytes key)
{
	uint64_t number;

	assert(key.len == sizeof(number));
	memcpy(&number, key.data, sizeof(number));
	number *= UINT64_C(0x9e3779b97f4a7c15);
	return number ^ number >> 32;
}

static uint64_t hash(const struct map *map, struct bytes key)
{
	if (map->of_numbers)
		return hash_number(key);
	pthread_once(&seeded, make_seed);
	return map_hash(seed, key);
}

/* The key's entry, or the free place where it would go. The table is never full. */
static struct map_entry *place(const struct map *map, struct bytes key, uint64_t key_hash)
{
	struct map_entry *entries = map->entries;
	size_t mask = map->capacity - 1, at = key_hash & mask;

	while (entries[at].value != NULL &&
	       (entries[at].hash != key_hash ||
		(!map->of_numbers && !bytes_equal(entries[at].key, key))))
		at = (at + 1) & mask;
	return &entries[at];
}

static bool grow(struct map *map)
{
	struct map larger = *map;

	larger.capacity = map->capacity == 0 ? FIRST_CAPACITY : map->capacity * 2;
	larger.entries = calloc(larger.capacity, sizeof(*larger.entries));
	if (larger.entries == NULL)
		return false;
	for (size_t i = 0; i < map->capacity; i++) {
		const struct map_entry *old = &map->entries[i];

		if (old->value != NULL)
			*place(&larger, old->key, old->hash) = *old;
	}
	free(map->entries);
	*map = larger;
	return true;
}

void map_clear(struct map *map)
{
	if (map == NULL)
		return;
	free(map->entries);
	*map = (struct map){.of_numbers = map->of_numbers};
}

void *map_find(const struct map *map, struct bytes key)
{
	if (map->count == 0)
		return NULL;
	return place(map, key, hash(map, key))->value;
}

bool map_put(struct map *map, struct bytes key, void *value)
{
	uint64_t key_hash = hash(map, key);
	struct map_entry *entry;

	assert(value != NULL);
	/* At most three quarters full; a replacement may make it grow early, which does no harm. */
	if (map->count >= map->capacity / 4 * 3 && !grow(map))
		return false;
	entry = place(map, key, key_hash);
	if (entry->value == NULL)
		map->count++;
	*entry = (struct map_entry){key, value, key_hash};
	return true;
}

/* Fills the hole at `hole` with the next entry that may lie there, and so on. */
static void close_hole(struct map *map, size_t hole)
{
	size_t mask = map->capacity - 1;

	for (size_t at = (hole + 1) & mask; map->entries[at].value != NULL; at = (at + 1) & mask) {
		size_t home = map->entries[at].hash & mask;

		if (((at - home) & mask) < ((at - hole) & mask))
			continue; /* that would move it before its home */
		map->entries[hole] = map->entries[at];
		hole = at;
	}
	map->entries[hole] = (struct map_entry){0};
}

void *map_remove(struct map *map, struct bytes key)
{
	struct map_entry *entry;
	void *value;

	if (map->count == 0)
		return NULL;
	entry = place(map, key, hash(map, key));
	value = entry->value;
	if (value == NULL)
		return NULL;
	map->count--;
	close_hole(map, (size_t)(entry - map->entries));
	return value;
}

struct map_entry *map_next(const struct map *map, size_t *at)
{
	while (*at < map->capacity) {
		struct map_entry *entry = &map->entries[(*at)++];

		if (entry->value != NULL)
			return entry;
	}
	return NULL;
}
