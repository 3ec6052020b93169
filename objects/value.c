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

/* The values of the family, chained for ezk_keep(). */
static struct kept *chain(struct stamp *stamp)
{
	struct kept *first = NULL;
	struct object *object;

	for (object = stamp->family; object != NULL; object = object->kin_after) {
		if (!value_is_set(object))
			continue;
		object->value.next = first;
		first = &object->value;
	}
	return first;
}

bool stamp_set(struct stamp *stamp, struct ezk *ezk)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&stamp->lock);

	if (stamp->ezk != NULL)
		return true;
	if (!ezk_keep(ezk, chain(stamp)))
		return false;
	atomic_store_explicit(&stamp->ezk, ezk_hold(ezk), memory_order_release);
	return true;
}

/* --- Values */

bool value_is_set(const struct object *object)
{
	return object->value.bytes != NULL;
}

/* Takes the bytes, unless there are some. False: its zone has no lease. */
static bool put(struct object *object, uint8_t **bytes)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&object->stamp->lock);
	struct ezk *ezk = object->stamp->ezk;

	if (value_is_set(object))
		return true;
	object->value.len = object->value_len;
	if (ezk == NULL)
		object->value.bytes = *bytes;
	else if (!ezk_put(ezk, &object->value, *bytes))
		return false;
	*bytes = NULL;
	return true;
}

enum zone_status value_set(struct object *object, const uint8_t *plain)
{
	AUTO(secret_freep) uint8_t *bytes = secret_new(object->value_len);

	if (bytes == NULL)
		return ZONE_NO_MEMORY;
	memcpy(bytes, plain, object->value_len);
	if (put(object, &bytes))
		return ZONE_OK;
	TRY(ezk_continue(object_ezk(object)));
	/* Else it ended within the blink since. */
	return put(object, &bytes) ? ZONE_OK : ZONE_KMS_UNAVAILABLE;
}

bool value_share(struct object *to, const struct object *from)
{
	AUTO(secret_freep) uint8_t *bytes = secret_new(from->value_len);
	AUTO(unlockp) pthread_mutex_t *lock = locked(&to->stamp->lock);
	struct ezk *ezk = to->stamp->ezk;

	if (value_is_set(to))
		return true;
	if (bytes == NULL)
		return false;
	to->value.len = to->value_len;
	if (ezk != NULL) {
		ezk_share(ezk, &from->value, &to->value, TAKE(bytes));
		return true;
	}
	memcpy(bytes, from->value.bytes, from->value_len);
	to->value.bytes = TAKE(bytes);
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
