/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the table of a process's objects knows by a lock of a shard: the objects that sessions made,
 * those of a session in one shard, and the IVs that are made for a handle. A handle of theirs names
 * its shard, so that threads with sessions of their own seldom meet.
 */
#pragma once

#include "objects/objects_private.h"

static inline struct shard *shard_of_session(struct objects *objects, CK_SESSION_HANDLE session)
{
	return &objects->shards[session & (SHARD_COUNT - 1)];
}

/* Of the object of a session, or of an entry. */
static inline struct shard *shard_of_handle(struct objects *objects, CK_OBJECT_HANDLE handle)
{
	return &objects->shards[handle & (SHARD_COUNT - 1)];
}

void shards_init(struct objects *objects);
void shards_clear(struct objects *objects);

/* In the slot, held; NULL: none. */
struct object *shards_find(struct objects *objects, CK_SLOT_ID slot, CK_OBJECT_HANDLE handle);
/* Destroys it; also what objects/ivs.h counts for it. `held`: as for objects_remove. */
bool shards_remove(struct objects *objects, CK_OBJECT_HANDLE handle, const struct object *held);
/* Visits the objects with this label or id, or (an empty key) all; under the lock of their shard.
 */
void shards_visit(struct objects *objects, enum object_link by, struct bytes key,
		  void (*visit)(void *state, struct object *object), void *state);
