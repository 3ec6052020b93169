/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the objects of sessions by their session, their label or their id. Used under their
 * shard's lock. */
#pragma once

#include "objects/objects_private.h"

/* False: no memory, and nothing has changed. */
bool links_add(struct shard *shard, struct object *object);
void links_remove(struct shard *shard, struct object *object);
/* The first object with this key, and the one after an object; NULL: none. */
struct object *links_first(const struct shard *shard, enum object_link by, struct bytes key);
struct object *links_next(const struct object *object, enum object_link by);
/* When a session is closed and has no objects any more. */
void links_forget_session(struct shard *shard, CK_SESSION_HANDLE session);
void links_clear(struct shard *shard);
