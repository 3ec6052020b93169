/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The values of keys in memory, and the families of keys that share a zone. */
#include "objects/value.h"

#include "base/free.h"
#include "base/macros.h"
#include "base/secret.h"

#include <assert.h>
#include <stdlib.h>

/* --- Stamps */

struct stamp *stamp_new(void)
{
	struct stamp *stamp = malloc(sizeof(*stamp));

	if (stamp == NULL)
		return NULL;
	*stamp = (struct stamp){.references = 1};
	pthread_mutex_init(&stamp->lock, NULL);
	return stamp;
}

struct stamp *stamp_hold(struct stamp *stamp)
{
	if (stamp != NULL)
		atomic_fetch_add_explicit(&stamp->references, 1, memory_order_relaxed);
	return stamp;
}

/* Whether that was the last one. Who has the only one needs no atomic step. */
static bool let_go(struct stamp *stamp)
{
	return atomic_load_explicit(&stamp->references, memory_order_acquire) == 1 ||
	       atomic_fetch_sub(&stamp->references, 1) == 1;
}

/* A stamp that has joined another lets go of that one. */
void stamp_release(struct stamp *stamp)
{
	struct stamp *next;

	for (; stamp != NULL && let_go(stamp); stamp = next) {
		next = atomic_load(&stamp->joined);
		ezk_release(atomic_load(&stamp->ezk));
		pthread_mutex_destroy(&stamp->lock);
		free(stamp);
	}
}

/* The stamp that counts. The chain is short: the smaller family joins the greater one. */
static struct stamp *root_of(const struct stamp *stamp)
{
	const struct stamp *next;

	while ((next = atomic_load_explicit(&stamp->joined, memory_order_acquire)) != NULL)
		stamp = next;
	return (struct stamp *)(uintptr_t)stamp;
}

static bool has_joined(const struct stamp *stamp)
{
	return atomic_load_explicit(&stamp->joined, memory_order_acquire) != NULL;
}

struct ezk *stamp_ezk(const struct stamp *stamp)
{
	return atomic_load_explicit(&root_of(stamp)->ezk, memory_order_acquire);
}

/* Its lock guards the family, unless the family joined another while we waited. */
static struct stamp *lock_family(const struct stamp *stamp)
{
	struct stamp *root;

	for (;;) {
		root = root_of(stamp);
		pthread_mutex_lock(&root->lock);
		if (!has_joined(root))
			return root;
		pthread_mutex_unlock(&root->lock);
	}
}

static void unlock_family(struct stamp **stamp)
{
	if (*stamp != NULL)
		pthread_mutex_unlock(&(*stamp)->lock);
}

/* For an object that is new or about to go, which nobody else knows: nobody else then knows a stamp
 * of which that is the only one. */
static bool is_alone(const struct stamp *stamp)
{
	return atomic_load_explicit(&stamp->references, memory_order_acquire) == 1 &&
	       !has_joined(stamp);
}

static void add_to_family(struct stamp *stamp, struct object *object)
{
	object->kin_before = NULL;
	object->kin_after = stamp->family;
	if (stamp->family != NULL)
		stamp->family->kin_before = object;
	stamp->family = object;
	stamp->count++;
}

void stamp_join(struct object *object)
{
	AUTO(unlock_family) struct stamp *stamp = NULL;

	if (is_alone(object->stamp)) {
		add_to_family(object->stamp, object);
		return;
	}
	stamp = lock_family(object->stamp);
	add_to_family(stamp, object);
}

void stamp_leave(struct object *object)
{
	AUTO(unlock_family) struct stamp *stamp = NULL;

	if (is_alone(object->stamp))
		return; /* it goes too */
	stamp = lock_family(object->stamp);
	if (object->kin_after != NULL)
		object->kin_after->kin_before = object->kin_before;
	if (object->kin_before != NULL)
		object->kin_before->kin_after = object->kin_after;
	else
		stamp->family = object->kin_after;
	stamp->count--;
}

/* The values of the family, chained for ezk_keep(). */
static struct masked_value *chain(struct stamp *stamp)
{
	struct masked_value *first = NULL;
	struct object *object;

	for (object = stamp->family; object != NULL; object = object->kin_after) {
		if (!value_is_set(object))
			continue;
		object->value.next = first;
		first = &object->value;
	}
	return first;
}

void stamp_begin(struct stamp *stamp, struct ezk *ezk)
{
	assert(is_alone(stamp) && stamp_ezk(stamp) == NULL);
	atomic_store_explicit(&stamp->ezk, ezk_hold(ezk), memory_order_release);
}

bool stamp_set(struct stamp *of, struct ezk *ezk)
{
	AUTO(unlock_family) struct stamp *stamp = NULL;

	if (stamp_ezk(of) != NULL)
		return true;
	stamp = lock_family(of);
	if (stamp->ezk != NULL)
		return true;
	if (!ezk_keep(ezk, chain(stamp)))
		return false;
	atomic_store_explicit(&stamp->ezk, ezk_hold(ezk), memory_order_release);
	return true;
}

/* --- Two families */

/* The pair's holder has locked both; there is one lock if they are one family already. */
struct pair {
	struct stamp *lower, *higher;
};

static void unlock_pair(struct pair *pair)
{
	if (pair->lower == NULL)
		return;
	pthread_mutex_unlock(&pair->lower->lock);
	if (pair->higher != pair->lower)
		pthread_mutex_unlock(&pair->higher->lock);
}

static struct pair lock_pair(const struct stamp *a, const struct stamp *b)
{
	struct pair pair;

	for (;;) {
		struct stamp *x = root_of(a), *y = root_of(b);

		pair = (uintptr_t)x < (uintptr_t)y ? (struct pair){x, y} : (struct pair){y, x};
		pthread_mutex_lock(&pair.lower->lock);
		if (pair.higher != pair.lower)
			pthread_mutex_lock(&pair.higher->lock);
		if (!has_joined(x) && !has_joined(y))
			return pair;
		unlock_pair(&pair);
	}
}

static void move_family(struct stamp *from, struct stamp *to)
{
	struct object *object, *next;

	for (object = from->family; object != NULL; object = next) {
		next = object->kin_after;
		add_to_family(to, object);
	}
	from->family = NULL;
	from->count = 0;
	atomic_store_explicit(&from->joined, stamp_hold(to), memory_order_release);
}

bool stamp_unite(struct stamp *a, struct stamp *b)
{
	AUTO(unlock_pair) struct pair pair = {0};

	if (root_of(a) == root_of(b)) /* and that stays so */
		return true;
	pair = lock_pair(a, b);
	if (pair.lower == pair.higher)
		return true;
	if (pair.lower->ezk != NULL || pair.higher->ezk != NULL)
		return false;
	if (pair.lower->count < pair.higher->count)
		move_family(pair.lower, pair.higher);
	else
		move_family(pair.higher, pair.lower);
	return true;
}

/* --- Values */

bool value_is_set(const struct object *object)
{
	return object->value.bytes != NULL;
}

/* The family's lock, where it guards the object's value: unless the family has a zone, for ever,
 * and nobody else knows the object. */
static struct stamp *lock_value(const struct object *object)
{
	bool is_known = object_is_shared(object);

	return !is_known && stamp_ezk(object->stamp) != NULL ? NULL : lock_family(object->stamp);
}

/* Takes over the bytes, unless there is a value. False: its zone has no lease. */
static bool put(struct object *object, uint8_t **bytes)
{
	AUTO(unlock_family) struct stamp *locked = lock_value(object);
	struct ezk *ezk = stamp_ezk(object->stamp);

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
	secret_copy(bytes, plain, object->value_len);
	return value_take(object, &bytes);
}

enum zone_status value_take(struct object *object, uint8_t **secret)
{
	if (put(object, secret))
		return ZONE_OK;
	TRY(ezk_continue(object_ezk(object)));
	/* Otherwise the lease has ended a moment ago. */
	return put(object, secret) ? ZONE_OK : ZONE_KMS_UNAVAILABLE;
}

bool value_share(struct object *to, const struct object *from)
{
	AUTO(secret_freep) uint8_t *bytes = secret_new(from->value_len);
	AUTO(unlock_family) struct stamp *stamp = lock_family(to->stamp);
	struct ezk *ezk = stamp->ezk;

	if (value_is_set(to))
		return true;
	if (bytes == NULL)
		return false;
	to->value.len = to->value_len;
	if (ezk != NULL) {
		ezk_share(ezk, &from->value, &to->value, TAKE(bytes));
		return true;
	}
	secret_copy(bytes, from->value.bytes, from->value_len);
	to->value.bytes = TAKE(bytes);
	return true;
}

/* The zone that the value belongs to; NULL: none, and the value has been copied. */
static struct ezk *copy_or_zone(struct object *object, uint8_t *ret_secret)
{
	AUTO(unlock_family) struct stamp *stamp = NULL;
	struct ezk *ezk = stamp_ezk(object->stamp);

	if (ezk != NULL)
		return ezk;
	stamp = lock_family(object->stamp);
	ezk = stamp->ezk;
	if (ezk == NULL)
		secret_copy(ret_secret, object->value.bytes, object->value_len);
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
	ezk = stamp_ezk(object->stamp);
	if (ezk != NULL)
		ezk_forget(ezk, &object->value);
	secret_free(object->value.bytes);
}
