/* Values at rest in memory, and who shares a zone's fate. */
#include "objects/value.h"

#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"

#include <stdlib.h>

/* In locked memory. */
struct value {
	uint64_t number; /* under which it is hidden */
	bool hidden;
	uint8_t bytes[];
};

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

/* With the stamp's lock held. */
static void hide(const struct object *object, struct ezk *ezk)
{
	struct value *value = object->value;

	if (value == NULL || value->hidden)
		return;
	value->number = ezk_hide_number(ezk);
	value->hidden = ezk_hide_now(ezk, value->number, value->bytes, object->value_len);
}

void stamp_hide(struct stamp *stamp)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&stamp->lock);
	struct ezk *ezk = stamp->ezk;
	struct object *object;

	for (object = ezk == NULL ? NULL : stamp->family; object != NULL;
	     object = object->kin_after)
		hide(object, ezk);
}

void value_hide(struct object *object)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&object->stamp->lock);
	struct ezk *ezk = object->stamp->ezk;

	if (ezk != NULL)
		hide(object, ezk);
}

/* --- Values */

bool value_is_set(const struct object *object)
{
	return object->value != NULL;
}

static struct value *value_new(const struct object *object)
{
	return secret_new(sizeof(struct value) + object->value_len);
}

/* Takes the value. */
static void put(struct object *object, struct value *value)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&object->stamp->lock);
	struct ezk *ezk = object->stamp->ezk;

	if (object->value != NULL)
		secret_free(value);
	else
		object->value = value;
	if (ezk != NULL)
		hide(object, ezk);
}

bool value_set(struct object *object, const uint8_t *plain)
{
	struct value *value = value_new(object);

	if (value == NULL)
		return false;
	memcpy(value->bytes, plain, object->value_len);
	put(object, value);
	return true;
}

static void copy_as_it_lies(const struct object *from, struct value *value)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&from->stamp->lock);
	const struct value *original = from->value;

	memcpy(value, original, sizeof(*value) + from->value_len);
}

bool value_share(struct object *to, const struct object *from)
{
	struct value *value = value_new(to);

	if (value == NULL)
		return false;
	copy_as_it_lies(from, value);
	put(to, value);
	return true;
}

/* Hides it first, if that can be. True: it is hidden. */
static bool copy_bytes(const struct object *object, uint8_t *ret_secret, uint64_t *ret_number)
{
	AUTO(unlockp) pthread_mutex_t *lock = locked(&object->stamp->lock);
	const struct value *value = object->value;
	struct ezk *ezk = object->stamp->ezk;

	if (ezk != NULL)
		hide(object, ezk);
	*ret_number = value->number;
	memcpy(ret_secret, value->bytes, object->value_len);
	return value->hidden;
}

enum zone_status value_read(struct object *object, uint8_t *ret_secret)
{
	struct ezk *ezk = object_ezk(object);
	uint64_t number;

	if (!value_is_set(object))
		return ZONE_INVALID;
	if (ezk != NULL)
		TRY(ezk_continue(ezk));
	if (!copy_bytes(object, ret_secret, &number))
		return ZONE_OK;
	/* Hidden: so it has a zone by now, if it had none above. */
	return ezk_hide(object_ezk(object), number, ret_secret, object->value_len);
}

bool value_read_now(const struct object *object, uint8_t *ret_secret)
{
	struct ezk *ezk = object_ezk(object);
	uint64_t number;

	if (!value_is_set(object))
		return false;
	if (copy_bytes(object, ret_secret, &number))
		return ezk_hide_now(object_ezk(object), number, ret_secret, object->value_len);
	/* In the clear: its own, or not yet its zone's. */
	return ezk == NULL;
}
