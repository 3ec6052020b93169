/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of objects that share a session, a label or an id. An empty label or id has no list:
 * most session keys have none, and no search is for them. */
#include "objects/links.h"

#include <stdlib.h>

struct bucket {
	struct object *first;
	size_t key_len;
	uint8_t key[];
};

static struct bytes key_of(const struct object *object, enum object_link by)
{
	if (by == OBJECT_BY_SESSION)
		return bytes(&object->owner, sizeof(object->owner));
	return by == OBJECT_BY_LABEL ? object->label : object->id;
}

static struct bucket *bucket_for(struct map *buckets, struct bytes key)
{
	struct bucket *bucket = map_find(buckets, key);

	if (bucket != NULL)
		return bucket;
	bucket = calloc(1, sizeof(*bucket) + key.len);
	if (bucket == NULL)
		return NULL;
	bucket->key_len = key.len;
	memcpy(bucket->key, key.data, key.len);
	if (map_put(buckets, bytes(bucket->key, key.len), bucket))
		return bucket;
	free(bucket);
	return NULL;
}

static bool add(struct map *buckets, struct object *object, enum object_link by)
{
	struct bytes key = key_of(object, by);
	struct bucket *bucket;

	if (key.len == 0)
		return true;
	bucket = bucket_for(buckets, key);
	if (bucket == NULL)
		return false;
	object->links[by].previous = NULL;
	object->links[by].next = bucket->first;
	if (bucket->first != NULL)
		bucket->first->links[by].previous = object;
	bucket->first = object;
	return true;
}

static void forget(struct map *buckets, struct bytes key)
{
	free(map_remove(buckets, key));
}

static void take_out(struct map *buckets, struct object *object, enum object_link by)
{
	struct bytes key = key_of(object, by);
	struct bucket *bucket = key.len == 0 ? NULL : map_find(buckets, key);

	if (bucket == NULL)
		return;
	if (object->links[by].next != NULL)
		object->links[by].next->links[by].previous = object->links[by].previous;
	if (object->links[by].previous != NULL)
		object->links[by].previous->links[by].next = object->links[by].next;
	else
		bucket->first = object->links[by].next;
	/* A session's stays until that is closed: with one key at a time it comes and goes. */
	if (bucket->first == NULL && by != OBJECT_BY_SESSION)
		forget(buckets, key);
}

bool links_add(struct shard *shard, struct object *object)
{
	for (enum object_link by = 0; by < OBJECT_LINK_COUNT; by++) {
		if (add(&shard->buckets[by], object, by))
			continue;
		while (by-- > 0)
			take_out(&shard->buckets[by], object, by);
		return false;
	}
	return true;
}

void links_remove(struct shard *shard, struct object *object)
{
	for (enum object_link by = 0; by < OBJECT_LINK_COUNT; by++)
		take_out(&shard->buckets[by], object, by);
}

void links_forget_session(struct shard *shard, CK_SESSION_HANDLE session)
{
	forget(&shard->buckets[OBJECT_BY_SESSION], bytes(&session, sizeof(session)));
}

struct object *links_first(const struct shard *shard, enum object_link by, struct bytes key)
{
	const struct bucket *bucket = map_find(&shard->buckets[by], key);

	return bucket == NULL ? NULL : bucket->first;
}

struct object *links_next(const struct object *object, enum object_link by)
{
	return object->links[by].next;
}

void links_clear(struct shard *shard)
{
	for (enum object_link by = 0; by < OBJECT_LINK_COUNT; by++) {
		struct map_entry *entry;
		size_t at = 0;

		while ((entry = map_next(&shard->buckets[by], &at)) != NULL)
			free(entry->value);
		map_clear(&shard->buckets[by]);
	}
}
