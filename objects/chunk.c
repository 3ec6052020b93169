/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A key's next_chunk: NONE if it seals no chunks, else FIRST + the lowest index that may come next.
 */
#include "objects/chunk.h"

enum { NONE = 0, FIRST = 1 };
/* After the last chunk: greater than FIRST + any index. */
static const uint64_t over = UINT64_MAX;

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
	uint64_t this = (uint64_t)index + FIRST, next = atomic_load(&key->next_chunk);

	while (next != NONE && next <= this)
		if (atomic_compare_exchange_weak(&key->next_chunk, &next, last ? over : this + 1))
			return true;
	return false;
}
