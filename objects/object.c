/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* One object: its life, and the stamp that keeps a key in its zone. */
#include "objects/object.h"

#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "objects/value.h"
#include "zones/model/title.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

/* Bytes stored behind the object itself. The first needs the alignment of CK_ULONG. */
static const size_t kept[] = {
	offsetof(struct object, allowed_mechanisms),
	offsetof(struct object, label),
	offsetof(struct object, id),
	offsetof(struct object, start_date),
	offsetof(struct object, end_date),
	offsetof(struct object, wrap_template),
	offsetof(struct object, unwrap_template),
	offsetof(struct object, root_keys),
	offsetof(struct object, kms_key),
	offsetof(struct object, file),
	offsetof(struct object, told),
	offsetof(struct object, restore),
};

static struct bytes *kept_bytes(struct object *object, size_t i)
{
	return (struct bytes *)(void *)((uint8_t *)object + kept[i]);
}

static const struct bytes *model_bytes(const struct object *object, size_t i)
{
	return (const struct bytes *)(const void *)((const uint8_t *)object + kept[i]);
}

static void copy_bytes(struct object *object, const struct object *model)
{
	uint8_t *at = (uint8_t *)(object + 1);

	for (size_t i = 0; i < COUNT_OF(kept); i++) {
		struct bytes from = *model_bytes(model, i);

		if (from.len > 0)
			memcpy(at, from.data, from.len);
		*kept_bytes(object, i) = bytes(at, from.len);
		at += from.len;
	}
}

static size_t size_of(const struct object *model)
{
	size_t size = sizeof(*model);

	for (size_t i = 0; i < COUNT_OF(kept); i++)
		size += model_bytes(model, i)->len;
	return size;
}

struct object *object_new(const struct object *model)
{
	struct stamp *stamp = model->stamp != NULL	  ? stamp_hold(model->stamp)
			      : model->kind == OBJECT_KEY ? stamp_new()
							  : NULL;
	struct object *object = calloc(1, size_of(model));

	if (object == NULL || (stamp == NULL && model->kind == OBJECT_KEY)) {
		free(object);
		stamp_release(stamp);
		return NULL;
	}
	*object = object_model(model);
	object->references = 1;
	object->stamp = stamp;
	if (model->entry != NULL)
		entry_hold(model->entry);
	if (model->ezk != NULL)
		ezk_hold(model->ezk);
	copy_bytes(object, model);
	if (stamp != NULL)
		stamp_join(object);
	return object;
}

struct object object_model(const struct object *object)
{
	enum { FIRST = offsetof(struct object, handle), END = offsetof(struct object, value) };
	struct object model = {.stamp = object->stamp};

	memcpy((uint8_t *)&model + FIRST, (const uint8_t *)object + FIRST, END - FIRST);
	return model;
}

struct object *object_hold(struct object *object)
{
	atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
	return object;
}

bool object_is_shared(const struct object *object)
{
	return atomic_load_explicit(&object->references, memory_order_acquire) > 1;
}

void object_release(struct object *object)
{
	if (object == NULL || atomic_fetch_sub(&object->references, 1) != 1)
		return;
	value_clear(object);
	stamp_release(object->stamp);
	ezk_release(object->ezk);
	entry_release(object->entry);
	free(object);
}

void object_releasep(struct object **object)
{
	object_release(TAKE(*object));
}

CK_OBJECT_CLASS object_class(const struct object *object)
{
	static const CK_OBJECT_CLASS classes[OBJECT_KIND_COUNT] = {
		[OBJECT_ROOT_KEY] = CKO_SECRET_KEY,  [OBJECT_CLUSTER] = CKO_CMEK_CLUSTER,
		[OBJECT_ZONE] = CKO_SECRET_KEY,	     [OBJECT_KEY] = CKO_SECRET_KEY,
		[OBJECT_ARCHIVE] = CKO_CMEK_ARCHIVE, [OBJECT_DIAGNOSTIC] = CKO_CMEK_DIAGNOSTIC,
		[OBJECT_BACKUP] = CKO_CMEK_BACKUP,
	};

	return classes[object->kind];
}

struct ezk *object_ezk(const struct object *object)
{
	if (object->kind != OBJECT_KEY)
		return object->ezk;
	return stamp_ezk(object->stamp);
}

void object_share_stamp(struct object *object, const struct object *other)
{
	assert(!value_is_set(object));
	stamp_leave(object);
	stamp_release(object->stamp);
	object->stamp = stamp_hold(other->stamp);
	stamp_join(object);
}

uint64_t object_zone(const struct object *object)
{
	struct ezk *ezk;

	if (object->entry != NULL && object->kind == OBJECT_ZONE)
		return object->entry->of_zone.zone;
	if (object->entry != NULL && object->kind == OBJECT_KEY)
		return object->entry->of_key.zone;
	ezk = object_ezk(object);
	return ezk == NULL ? 0 : ezk_zone(ezk);
}

static enum zone_status refuse_stamp(const struct object *object, struct ezk *ezk)
{
	log_warning("a key of %s was offered to %s: a key stays in its zone; make another one",
		    zone_title_by(ezk, object_zone(object)).text,
		    zone_title_by(ezk, ezk_zone(ezk)).text);
	return ZONE_OTHER_ZONE;
}

/* A readable value moves only to a zone with a lease. */
static enum zone_status stamp_with_lease(struct object *object, struct ezk *ezk)
{
	if (stamp_set(object->stamp, ezk))
		return ZONE_OK;
	TRY(ezk_continue(ezk));
	/* Otherwise the lease has ended a moment ago. */
	return stamp_set(object->stamp, ezk) ? ZONE_OK : ZONE_KMS_UNAVAILABLE;
}

enum zone_status object_stamp(struct object *object, struct ezk *ezk)
{
	uint64_t zone = object_zone(object);

	if (zone != 0 && zone != ezk_zone(ezk))
		return refuse_stamp(object, ezk);
	TRY(stamp_with_lease(object, ezk));
	/* Another thread may have been faster. */
	return object_zone(object) == ezk_zone(ezk) ? ZONE_OK : refuse_stamp(object, ezk);
}

enum zone_status object_unite(struct object *a, struct object *b)
{
	struct ezk *ezk;

	if (stamp_unite(a->stamp, b->stamp))
		return ZONE_OK;
	/* A stamp never changes: the other key takes it, or has the same. */
	ezk = object_ezk(a);
	return ezk != NULL ? object_stamp(b, ezk) : object_stamp(a, object_ezk(b));
}
