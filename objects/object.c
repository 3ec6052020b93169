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
	offsetof(struct object, derive_template),
	offsetof(struct object, root_keys),
	offsetof(struct object, kms_key),
};
static const size_t kept_more[] = {
	offsetof(struct object, more.file),
	offsetof(struct object, more.told),
	offsetof(struct object, more.restore),
};
const size_t object_texts[OBJECT_TEXTS] = {
	offsetof(struct object, more.application),
	offsetof(struct object, more.object_id),
	offsetof(struct object, more.subject),
	offsetof(struct object, more.issuer),
	offsetof(struct object, more.serial_number),
	offsetof(struct object, more.url),
	offsetof(struct object, more.subject_key_hash),
	offsetof(struct object, more.issuer_key_hash),
	offsetof(struct object, more.public_key_info),
};

static struct bytes *bytes_at(const struct object *object, size_t offset)
{
	return (struct bytes *)(void *)((uint8_t *)(uintptr_t)object + offset);
}

/* Without the bytes behind it. */
static size_t own_size(const struct object *object)
{
	return object_has_more(object) ? sizeof(*object) : offsetof(struct object, more);
}

static uint8_t *copy_bytes(struct object *object, const size_t *offsets, size_t count, uint8_t *at)
{
	for (size_t i = 0; i < count; i++) {
		struct bytes *field = bytes_at(object, offsets[i]);

		if (field->len > 0)
			memcpy(at, field->data, field->len);
		field->data = at;
		at += field->len;
	}
	return at;
}

/* Its fields are the model's, and so far point where that one's do. */
static void copy_all_bytes(struct object *object)
{
	uint8_t *at = (uint8_t *)object + own_size(object);

	at = copy_bytes(object, kept, COUNT_OF(kept), at);
	if (!object_has_more(object))
		return;
	at = copy_bytes(object, kept_more, COUNT_OF(kept_more), at);
	copy_bytes(object, object_texts, OBJECT_TEXTS, at);
}

static size_t size_of_bytes(const struct object *model, const size_t *offsets, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += bytes_at(model, offsets[i])->len;
	return size;
}

static size_t size_of(const struct object *model)
{
	size_t size = own_size(model) + size_of_bytes(model, kept, COUNT_OF(kept));

	if (object_has_more(model))
		size += size_of_bytes(model, kept_more, COUNT_OF(kept_more)) +
			size_of_bytes(model, object_texts, OBJECT_TEXTS);
	return size;
}

/* The fields that never change. */
static void copy_fields(struct object *object, const struct object *from)
{
	enum { FIRST = offsetof(struct object, handle), END = offsetof(struct object, value) };

	memcpy((uint8_t *)object + FIRST, (const uint8_t *)from + FIRST, END - FIRST);
	if (object_has_more(from))
		object->more = from->more;
}

/* Not by calloc(), which takes none of the memory that this thread has just freed, where that is at
 * hand. What is kept behind the object is written as a whole. */
static struct object *allocate(const struct object *model)
{
	struct object *object = malloc(size_of(model));

	if (object != NULL)
		memset((void *)object, 0, own_size(model));
	return object;
}

struct object *object_new(const struct object *model)
{
	struct stamp *stamp = model->stamp != NULL	? stamp_hold(model->stamp)
			      : object_has_value(model) ? stamp_new()
							: NULL;
	struct object *object = allocate(model);

	if (object == NULL || (stamp == NULL && object_has_value(model))) {
		free(object);
		stamp_release(stamp);
		return NULL;
	}
	copy_fields(object, model);
	atomic_init(&object->references, 1);
	object->stamp = stamp;
	if (model->entry != NULL)
		entry_hold(model->entry);
	if (model->ezk != NULL)
		ezk_hold(model->ezk);
	copy_all_bytes(object);
	if (stamp != NULL)
		stamp_join(object);
	return object;
}

struct object object_model(const struct object *object)
{
	struct object model = {.stamp = object->stamp};

	copy_fields(&model, object);
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
	if (object == NULL || (object_is_shared(object) && /* else nobody is left to count with */
			       atomic_fetch_sub(&object->references, 1) != 1))
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

CK_OBJECT_CLASS object_class_of(enum object_kind kind)
{
	static const CK_OBJECT_CLASS classes[OBJECT_KIND_COUNT] = {
		[OBJECT_ROOT_KEY] = CKO_SECRET_KEY,
		[OBJECT_CLUSTER] = CKO_CMEK_CLUSTER,
		[OBJECT_ZONE] = CKO_SECRET_KEY,
		[OBJECT_KEY] = CKO_SECRET_KEY,
		[OBJECT_DATA] = CKO_DATA,
		[OBJECT_CERTIFICATE] = CKO_CERTIFICATE,
		[OBJECT_ARCHIVE] = CKO_CMEK_ARCHIVE,
		[OBJECT_DIAGNOSTIC] = CKO_CMEK_DIAGNOSTIC,
		[OBJECT_BACKUP] = CKO_CMEK_BACKUP,
		[OBJECT_PROFILE] = CKO_PROFILE,
	};

	return classes[kind];
}

CK_OBJECT_CLASS object_class(const struct object *object)
{
	return object_class_of(object->kind);
}

struct ezk *object_ezk(const struct object *object)
{
	if (!object_has_value(object))
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

void object_begin_in(struct object *object, struct ezk *ezk)
{
	assert(!value_is_set(object));
	stamp_begin(object->stamp, ezk);
}

uint64_t object_zone(const struct object *object)
{
	struct ezk *ezk;

	if (object->entry != NULL && object->kind == OBJECT_ZONE)
		return object->entry->of_zone.zone;
	if (object->entry != NULL && object_has_value(object))
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
