/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A key's next_chunk, and its next_message: NONE if it seals none, else FIRST + the lowest number
 * that may come next. */
#include "objects/chunk.h"

enum { NONE = 0, FIRST = 1 };
/* After the last chunk: greater than FIRST + any number. */
static const uint64_t over = UINT64_MAX;

static bool take(_Atomic uint64_t *counter, uint32_t number, bool last)
{
	uint64_t this = (uint64_t)number + FIRST, next = atomic_load(counter);

	while (next != NONE && next <= this)
		if (atomic_compare_exchange_weak(counter, &next, last ? over : this + 1))
			return true;
	return false;
}

void object_begin_chunks(struct object *key)
{
	atomic_store(&key->next_chunk, FIRST);
}

bool object_has_chunks(const struct object *key)
{
	return atomic_load(&key->next_chunk) != NONE;
}

bool object_take_chunk(struct object *key, uint32_t index, bool last)
{
	return take(&key->next_chunk, index, last);
}

void object_begin_messages(struct object *key)
{
	atomic_store(&key->next_message, FIRST);
}

bool object_has_messages(const struct object *key)
{
	return atomic_load(&key->next_message) != NONE;
}

bool object_take_message(struct object *key, uint32_t number)
{
	return take(&key->next_message, number, false);
}
