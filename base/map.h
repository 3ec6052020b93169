/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A hash map from bytes to a pointer. Keys are borrowed and must live as long as their entry (they
 * usually lie in the value). Not thread-safe. The hash is seeded per process, since labels come
 * from strangers; a map of numbers that we have given ourselves needs no such hash.
 */
#pragma once

#include "base/bytes.h"

struct map_entry {
	struct bytes key;
	void *value; /* NULL: free place */
	uint64_t hash;
};

struct map {
	struct map_entry *entries;
	size_t count;
	size_t capacity; /* power of two */
	bool of_numbers; /* all keys have 8 bytes, and nobody else chooses them */
};

void map_clear(struct map *map); /* frees the table, not the values; the map can be used again */
void *map_find(const struct map *map, struct bytes key); /* NULL: none */
/* Adds, or replaces the value (and key) of an equal key; `value` is not NULL. False: no memory,
 * nothing changed. */
bool map_put(struct map *map, struct bytes key, void *value);
/* Takes the entry out; NULL: there was none. */
void *map_remove(struct map *map, struct bytes key);
/* For loops: the next entry after position *at (begin with 0); NULL at the end. Don't change the
 * map meanwhile. */
struct map_entry *map_next(const struct map *map, size_t *at);

/* For tests: the hash itself, SipHash-1-3. */
uint64_t map_hash(const uint64_t key[static 2], struct bytes in);
