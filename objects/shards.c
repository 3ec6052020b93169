/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The objects that sessions made. */
#include "objects/shards.h"

#include "base/free.h"
#include "base/macros.h"
#include "base/short_lock.h"
#include "crypto/crypto.h"
#include "objects/links.h"
#include "objects/profile.h"

/* Unique world-wide, without asking for random bytes each time. */
static bool has_prefix(struct objects *objects)
{
	AUTO(unlockp) pthread_mutex_t *held = NULL;

	if (atomic_load_explicit(&objects->has_prefix, memory_order_acquire))
		return true;
	held = locked(&objects->lock);
	if (!objects->has_prefix)
		atomic_store_explicit(
			&objects->has_prefix,
			crypto_random(objects->uid_prefix, sizeof(objects->uid_prefix)),
			memory_order_release);
	return objects->has_prefix;
}

/* A handle is never given twice. */
static void name(const struct objects *objects, struct shard *shard, struct object *object)
{
	object->handle = PROFILE_HANDLE + (++shard->made << SHARD_BITS) +
			 (CK_OBJECT_HANDLE)(shard - objects->shards);
	memcpy(object->uid.bytes, objects->uid_prefix, sizeof(objects->uid_prefix));
	memcpy(object->uid.bytes + sizeof(objects->uid_prefix), &object->handle,
	       UID_SIZE - sizeof(objects->uid_prefix));
}

static CK_RV add(struct objects *objects, struct object *object, CK_OBJECT_HANDLE *ret_handle)
{
	struct shard *shard = shard_of_session(objects, object->owner);
	AUTO(unlockp) pthread_mutex_t *held = NULL;

	if (!has_prefix(objects))
		return CKR_FUNCTION_FAILED;
	held = locked(&shard->lock);
	name(objects, shard, object);
	if (!links_add(shard, object))
		return CKR_HOST_MEMORY;
	if (!map_put(&shard->objects, handle_key(&object->handle), object)) {
		links_remove(shard, object);
		return CKR_HOST_MEMORY;
	}
	/* Here, under the lock: afterwards another thread may destroy it, since handles are easy to
	 * guess. */
	*ret_handle = object->handle;
	return CKR_OK;
}

CK_RV objects_add(struct objects *objects, struct object *object, CK_OBJECT_HANDLE *ret_handle)
{
	CK_RV rv;

	rv = add(objects, object, ret_handle);
	if (rv != CKR_OK)
		object_release(object);
	return rv;
}

/* From here on it is not found. */
static void take_out(struct shard *shard, struct object *object)
{
	links_remove(shard, object);
	atomic_store_explicit(&object->gone, true, memory_order_relaxed);
}

/* A change was made of what was read, or it would take back another's. A zone is read as the store
 * narrows it, which is not the object of the table: there it must allow no more. */
static bool may_follow(const struct object *old, const struct object *read,
		       const struct object *new)
{
	if (old->kind != OBJECT_ZONE)
		return old == read;
	return object_flags_may_become(old->flags, new->flags) && (new->usages & ~old->usages) == 0;
}

/* Gives the replaced object, to be released; else nothing has changed. */
static CK_RV replace(struct objects *objects, const struct object *read, struct object *object,
		     struct object **ret_old)
{
	struct shard *shard = shard_of_handle(objects, object->handle);
	AUTO(unlockp) pthread_mutex_t *held = locked(&shard->lock);
	struct object *old = map_find(&shard->objects, handle_key(&object->handle));

	if (old == NULL)
		return CKR_OBJECT_HANDLE_INVALID;
	if (!may_follow(old, read, object))
		return OBJECT_HAS_CHANGED;
	if (!links_add(shard, object))
		return CKR_HOST_MEMORY;
	if (!map_put(&shard->objects, handle_key(&object->handle), object)) {
		links_remove(shard, object);
		return CKR_HOST_MEMORY;
	}
	object->may_count_ivs = old->may_count_ivs;
	object->is_copy = old->is_copy;
	take_out(shard, old);
	*ret_old = old;
	return CKR_OK;
}

CK_RV objects_replace(struct objects *objects, const struct object *read, struct object *object)
{
	struct object *unused = object;
	CK_RV rv;

	rv = replace(objects, read, object, &unused);
	atomic_fetch_add(&objects->changes, 1);
	object_release(unused);
	return rv;
}

/* Keys come and go with each message. One that is in no table any more, and that nobody holds
 * besides, is in no session's ready keys either: so nobody need look. A zone may be there as
 * another object (view_of_session). */
static bool is_news(const struct object *object, const struct object *held)
{
	const unsigned ours = held == object ? 2 : 1; /* it may hold what this one has replaced */

	return object->kind == OBJECT_ZONE ||
	       atomic_load_explicit(&object->references, memory_order_acquire) > ours;
}

bool shards_remove(struct objects *objects, CK_OBJECT_HANDLE handle, const struct object *held)
{
	struct shard *shard = shard_of_handle(objects, handle);
	struct object *object;
	bool is_other;

	pthread_mutex_lock(&shard->lock);
	object = map_remove(&shard->objects, handle_key(&handle));
	if (object != NULL)
		take_out(shard, object);
	shard_forget_ivs(shard, handle);
	pthread_mutex_unlock(&shard->lock);
	is_other = object != NULL && held != NULL && object != held;
	if (object != NULL && is_news(object, held))
		atomic_fetch_add(&objects->changes, 1);
	object_release(object);
	return is_other;
}

/* Takes a session's objects out of the table; a list by their neighbours. */
static struct object *take_session(struct objects *objects, CK_SESSION_HANDLE session)
{
	struct shard *shard = shard_of_session(objects, session);
	AUTO(unlockp) pthread_mutex_t *held = locked(&shard->lock);
	struct object *object, *taken = NULL;

	while ((object = links_first(shard, OBJECT_BY_SESSION, handle_key(&session))) != NULL) {
		map_remove(&shard->objects, handle_key(&object->handle));
		shard_forget_ivs(shard, object->handle);
		take_out(shard, object);
		object->links[OBJECT_BY_SESSION].next = taken;
		taken = object;
	}
	links_forget_session(shard, session);
	return taken;
}

/* The same for the private objects of a slot's sessions that are in a shard, before those that have
 * been taken. */
static struct object *take_private(struct shard *shard, CK_SLOT_ID slot, struct object *taken)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&shard->lock);
	struct object *before = taken;
	struct map_entry *entry;
	size_t at = 0;

	while ((entry = map_next(&shard->objects, &at)) != NULL) {
		struct object *object = entry->value;

		if (object->slot != slot || (object->flags & OBJECT_PRIVATE) == 0)
			continue;
		take_out(shard, object);
		object->links[OBJECT_BY_SESSION].next = taken;
		taken = object;
	}
	for (struct object *object = taken; object != before;
	     object = links_next(object, OBJECT_BY_SESSION)) {
		map_remove(&shard->objects, handle_key(&object->handle));
		shard_forget_ivs(shard, object->handle);
	}
	return taken;
}

static bool release_list(struct objects *objects, struct object *object)
{
	struct object *next;
	bool news = false, shared = false;

	for (; object != NULL; object = next) {
		next = links_next(object, OBJECT_BY_SESSION);
		news |= is_news(object, NULL);
		shared |= object_is_shared(object);
		object_release(object);
	}
	if (news)
		atomic_fetch_add(&objects->changes, 1);
	return shared;
}

bool objects_remove_session(struct objects *objects, CK_SESSION_HANDLE session)
{
	return release_list(objects, take_session(objects, session));
}

void objects_remove_private(struct objects *objects, CK_SLOT_ID slot)
{
	struct object *taken = NULL;

	for (size_t i = 0; i < SHARD_COUNT; i++)
		taken = take_private(&objects->shards[i], slot, taken);
	release_list(objects, taken);
}

struct object *shards_find(struct objects *objects, CK_SLOT_ID slot, CK_OBJECT_HANDLE handle)
{
	struct shard *shard = shard_of_handle(objects, handle);
	AUTO(unlockp) pthread_mutex_t *held = locked(&shard->lock);
	struct object *object = map_find(&shard->objects, handle_key(&handle));

	return object != NULL && object->slot == slot ? object_hold(object) : NULL;
}

static void visit_shard(struct shard *shard, enum object_link by, struct bytes key,
			void (*visit)(void *state, struct object *object), void *state)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&shard->lock);
	struct map_entry *entry;
	struct object *object;
	size_t at = 0;

	if (key.len == 0)
		while ((entry = map_next(&shard->objects, &at)) != NULL)
			visit(state, entry->value);
	else
		for (object = links_first(shard, by, key); object != NULL;
		     object = links_next(object, by))
			visit(state, object);
}

void shards_visit(struct objects *objects, enum object_link by, struct bytes key,
		  void (*visit)(void *state, struct object *object), void *state)
{
	for (size_t i = 0; i < SHARD_COUNT; i++)
		visit_shard(&objects->shards[i], by, key, visit, state);
}

/* --- Their life */

void shards_init(struct objects *objects)
{
	for (size_t i = 0; i < SHARD_COUNT; i++) {
		struct shard *shard = &objects->shards[i];

		short_lock_init(&shard->lock);
		shard->objects.of_numbers = shard->made_ivs.of_numbers = true;
		shard->buckets[OBJECT_BY_SESSION].of_numbers = true;
	}
}

static void clear(struct shard *shard)
{
	struct map_entry *entry;
	size_t at = 0;

	links_clear(shard);
	while ((entry = map_next(&shard->objects, &at)) != NULL)
		object_release(entry->value);
	map_clear(&shard->objects);
	shard_free_ivs(shard);
	pthread_mutex_destroy(&shard->lock);
}

void shards_clear(struct objects *objects)
{
	for (size_t i = 0; i < SHARD_COUNT; i++)
		clear(&objects->shards[i]);
}
