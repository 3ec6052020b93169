/* Values at rest in memory, and who shares a zone's fate. */
#include "objects/value.h"

#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"

#include <stdlib.h>

/* --- Stamps */

struct stamp *stamp_new(void)
{
	struct stamp *stamp = calloc(1, sizeof(*stamp));

	if (stamp == NULL)
		return NULL;
	stamp->references = 1;
	pthread_mutex_init(&stamp->lock, NULL);
	return stamp;
}

struct stamp *stamp_hold(struct stamp *stamp)
{
	if (stamp != NULL)
		atomic_fetch_add_explicit(&stamp->references, 1, memory_order_relaxed);
	return stamp;
}

void stamp_release(struct stamp *stamp)
{
	if (stamp == NULL || atomic_fetch_sub(&stamp->references, 1) != 1)
		return;
	ezk_release(atomic_load(&stamp->ezk));
	pthread_mutex_destroy(&stamp->lock);
	free(stamp);
}

void stamp_join(struct object *object)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&object->stamp->lock);
	struct object *first = object->stamp->family;

	object->kin_before = NULL;
	object->kin_after = first;
	if (first != NULL)
		first->kin_before = object;
	object->stamp->family = object;
	if (object->stamp->ezk != NULL && object->value.bytes != NULL)
		ezk_keep(object->stamp->ezk, &object->value);
}

void stamp_leave(struct object *object)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&object->stamp->lock);

	if (object->kin_after != NULL)
		object->kin_after->kin_before = object->kin_before;
	if (object->kin_before != NULL)
		object->kin_before->kin_after = object->kin_after;
	else
		object->stamp->family = object->kin_after;
}

void stamp_keep(struct stamp *stamp)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&stamp->lock);
	struct object *object;

	for (object = stamp->family; object != NULL; object = object->kin_after)
		if (value_is_set(object))
			ezk_keep(stamp->ezk, &object->value);
}

/* --- Values */

bool value_is_set(const struct object *object)
{
	return object->value.bytes != NULL;
}

/* Takes the bytes. What `like` says of them is so. */
static void put(struct object *object, uint8_t *bytes, const struct kept *like)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&object->stamp->lock);
	struct ezk *ezk = object->stamp->ezk;

	if (value_is_set(object)) {
		secret_free(bytes);
		return;
	}
	object->value.len = object->value_len;
	object->value.hidden = like->hidden;
	object->value.lost = like->lost;
	object->value.number = like->number;
	object->value.bytes = bytes;
	if (ezk != NULL)
		ezk_keep(ezk, &object->value);
}

bool value_set(struct object *object, const uint8_t *plain)
{
	const struct kept open = {.len = 0}; /* clang 14 takes no {0} for an atomic pointer */
	uint8_t *bytes = secret_new(object->value_len);

	if (bytes == NULL)
		return false;
	memcpy(bytes, plain, object->value_len);
	put(object, bytes, &open);
	return true;
}

/* By the lock of whoever guards it. */
static void copy_as_it_lies(const struct object *from, struct kept *ret_copy)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&from->stamp->lock);
	struct ezk *ezk = from->stamp->ezk;

	if (ezk != NULL)
		ezk_share(ezk, &from->value, ret_copy);
	else
		memcpy(ret_copy->bytes, from->value.bytes, from->value_len);
}

bool value_share(struct object *to, const struct object *from)
{
	struct kept copy = {.bytes = secret_new(from->value_len)};

	if (copy.bytes == NULL)
		return false;
	copy_as_it_lies(from, &copy);
	put(to, copy.bytes, &copy);
	return true;
}

/* The zone whose value it is; NULL: none, and it has been copied. */
static struct ezk *copy_or_zone(struct object *object, uint8_t *ret_secret)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&object->stamp->lock);
	struct ezk *ezk = object->stamp->ezk;

	if (ezk == NULL)
		memcpy(ret_secret, object->value.bytes, object->value_len);
	return ezk;
}

enum zone_status value_read(struct object *object, uint8_t *ret_secret)
{
	struct ezk *ezk;

	if (!value_is_set(object))
		return ZONE_INVALID;
	ezk = copy_or_zone(object, ret_secret);
	return ezk == NULL ? ZONE_OK : ezk_read(ezk, &object->value, ret_secret);
}

bool value_read_now(struct object *object, uint8_t *ret_secret)
{
	struct ezk *ezk;

	if (!value_is_set(object))
		return false;
	ezk = copy_or_zone(object, ret_secret);
	return ezk == NULL || ezk_read_now(ezk, &object->value, ret_secret);
}

void value_clear(struct object *object)
{
	struct ezk *ezk;

	if (object->stamp == NULL)
		return;
	stamp_leave(object);
	ezk = object->stamp->ezk;
	if (ezk != NULL)
		ezk_forget(ezk, &object->value);
	secret_free(object->value.bytes);
}
