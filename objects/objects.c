/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a process's objects: those that sessions made, and views of the store's entries. */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "objects/error.h"
#include "objects/links.h"
#include "objects/objects_private.h"
#include "zones/domain/lookup.h"
#include "zones/domain/zones.h"

/* Numbers of entries are smaller. Handles above are never given twice. */
enum { VIEWS_MAX = 4096 };
static const CK_OBJECT_HANDLE first_session_handle = (CK_OBJECT_HANDLE)1 << 31;

static struct bytes handle_key(const CK_OBJECT_HANDLE *handle)
{
	return bytes(handle, sizeof(*handle));
}

CK_RV objects_new(struct zones *zones, const struct objects_asks *asks,
		  struct objects **ret_objects)
{
	struct objects *objects = calloc(1, sizeof(*objects));
	struct report *report = report_new();

	if (objects == NULL || report == NULL) {
		free(objects);
		report_free(report);
		return CKR_HOST_MEMORY;
	}
	objects->zones = zones;
	objects->asks = asks;
	objects->report = report;
	objects->last_handle = first_session_handle;
	pthread_mutex_init(&objects->lock, NULL);
	*ret_objects = objects;
	return CKR_OK;
}

static void release_all(struct map *map)
{
	struct map_entry *entry;
	size_t at = 0;

	while ((entry = map_next(map, &at)) != NULL)
		object_release(entry->value);
	map_clear(map);
}

void objects_free(struct objects *objects)
{
	if (objects == NULL)
		return;
	links_clear(objects);
	release_all(&objects->sessions);
	release_all(&objects->views);
	objects_free_ivs(objects);
	report_free(objects->report);
	pthread_mutex_destroy(&objects->lock);
	free(objects);
}

struct zones *objects_zones(struct objects *objects)
{
	return objects->zones;
}

void objects_force_private(struct objects *objects)
{
	objects->private_entries = true;
}

uint64_t objects_generation(const struct objects *objects)
{
	/* Reads the store at most once a second; what can't be read now changes nothing. */
	zones_refresh(objects->zones, false);
	return zones_generation(objects->zones) + atomic_load(&objects->changes);
}

const _Atomic uint64_t *objects_gone(const struct objects *objects)
{
	return &objects->changes;
}

bool objects_has(struct objects *objects, const struct object *object)
{
	AUTO(entry_releasep) struct entry *entry = NULL;
	AUTO(object_releasep) struct object *now = NULL;

	if (object->owner != 0 && object->kind != OBJECT_ZONE)
		return !object_is_gone(object);
	/* What the store says of a session's zone may narrow it (view_of_session). */
	if (object->owner != 0) {
		now = objects_find(objects, object->slot, object->handle);
		return now == object;
	}
	entry = zones_find_number(objects->zones, object->handle);
	return entry != NULL && entry == object->entry;
}

CK_RV objects_project(struct objects *objects, CK_SLOT_ID slot, struct entry **ret_project)
{
	struct entry *project = NULL;

	if (slot <= UINT32_MAX)
		project = zones_find_slot(objects->zones, (uint32_t)slot);
	if (project == NULL)
		return zones_are_whole(objects->zones) ? CKR_DEVICE_REMOVED : CKR_HOST_MEMORY;
	*ret_project = project;
	return CKR_OK;
}

/* Views. */

static void forget_view(struct objects *objects, CK_OBJECT_HANDLE handle)
{
	struct object *view;

	pthread_mutex_lock(&objects->lock);
	view = map_remove(&objects->views, handle_key(&handle));
	pthread_mutex_unlock(&objects->lock);
	object_release(view);
}

/* A view that was made from the same state of the entry. */
static struct object *find_view(struct objects *objects, const struct entry *entry)
{
	const CK_OBJECT_HANDLE handle = entry->number;
	AUTO(unlockp) pthread_mutex_t *held = locked(&objects->lock);
	struct object *view = map_find(&objects->views, handle_key(&handle));

	return view != NULL && view->entry == entry ? object_hold(view) : NULL;
}

/* If a view can't be kept, that is no failure: it is made again. */
static void keep_view(struct objects *objects, struct object *view)
{
	struct map full = {0};
	struct object *old;

	pthread_mutex_lock(&objects->lock);
	if (objects->views.count >= VIEWS_MAX) {
		full = objects->views;
		objects->views = (struct map){0};
	}
	old = map_remove(&objects->views, handle_key(&view->handle));
	if (map_put(&objects->views, handle_key(&view->handle), view))
		object_hold(view);
	pthread_mutex_unlock(&objects->lock);
	object_release(old);
	release_all(&full);
}

CK_RV objects_of_entry(struct objects *objects, struct entry *entry, CK_SLOT_ID slot,
		       struct object **ret_object)
{
	AUTO(buffer_clear) struct buffer scratch = {0};
	struct object *view = find_view(objects, entry), model;

	if (view == NULL) {
		view_of_entry(objects, entry, slot, &model, &scratch);
		if (scratch.failed) /* else it would lack its limits */
			return CKR_HOST_MEMORY;
		view = object_new(&model);
		if (view == NULL)
			return CKR_HOST_MEMORY;
		keep_view(objects, view);
	}
	*ret_object = view;
	return CKR_OK;
}

static CK_RV find_entry(struct objects *objects, CK_SLOT_ID slot, CK_OBJECT_HANDLE handle,
			struct object **ret_object)
{
	AUTO(entry_releasep) struct entry *entry = zones_find_number(objects->zones, handle);
	AUTO(entry_releasep) struct entry *project = NULL;

	if (entry == NULL && !zones_are_whole(objects->zones))
		return CKR_HOST_MEMORY;
	if (entry == NULL && zones_are_limited(objects->zones)) {
		log_reason("%s", zone_status_text(ZONE_STORE_NEWER));
		return error_of_zone(ZONE_STORE_NEWER, ERROR_OBJECT);
	}
	if (entry == NULL)
		forget_view(objects, handle);
	if (entry == NULL || objects_project(objects, slot, &project) != CKR_OK ||
	    !uid_equal(entry->project, project->uid))
		return CKR_OBJECT_HANDLE_INVALID;
	return objects_of_entry(objects, entry, slot, ret_object);
}

/* Objects of sessions. */

/* Unique world-wide, without asking for random bytes each time. */
static bool make_uid(struct objects *objects, struct object *object)
{
	if (objects->last_handle == first_session_handle &&
	    !crypto_random(objects->uid_prefix, sizeof(objects->uid_prefix)))
		return false;
	object->handle = ++objects->last_handle;
	memcpy(object->uid.bytes, objects->uid_prefix, sizeof(objects->uid_prefix));
	memcpy(object->uid.bytes + sizeof(objects->uid_prefix), &object->handle,
	       UID_SIZE - sizeof(objects->uid_prefix));
	return true;
}

static CK_RV add(struct objects *objects, struct object *object, CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&objects->lock);

	if (!make_uid(objects, object))
		return CKR_FUNCTION_FAILED;
	if (!links_add(objects, object))
		return CKR_HOST_MEMORY;
	if (!map_put(&objects->sessions, handle_key(&object->handle), object)) {
		links_remove(objects, object);
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
static void take_out(struct objects *objects, struct object *object)
{
	links_remove(objects, object);
	atomic_store_explicit(&object->gone, true, memory_order_relaxed);
}

/* Gives the replaced object, to be released; else nothing has changed. */
static CK_RV replace(struct objects *objects, struct object *object, struct object **ret_old)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&objects->lock);
	struct object *old = map_find(&objects->sessions, handle_key(&object->handle));

	if (old == NULL)
		return CKR_OBJECT_HANDLE_INVALID;
	if (!links_add(objects, object))
		return CKR_HOST_MEMORY;
	if (!map_put(&objects->sessions, handle_key(&object->handle), object)) {
		links_remove(objects, object);
		return CKR_HOST_MEMORY;
	}
	object->may_count_ivs = old->may_count_ivs;
	object->is_copy = old->is_copy;
	take_out(objects, old);
	*ret_old = old;
	return CKR_OK;
}

CK_RV objects_replace(struct objects *objects, struct object *object)
{
	struct object *unused = object;
	CK_RV rv;

	rv = replace(objects, object, &unused);
	atomic_fetch_add(&objects->changes, 1);
	object_release(unused);
	return rv;
}

static void remove_session_object(struct objects *objects, CK_OBJECT_HANDLE handle)
{
	struct object *object;

	pthread_mutex_lock(&objects->lock);
	object = map_remove(&objects->sessions, handle_key(&handle));
	if (object != NULL)
		take_out(objects, object);
	objects_forget_ivs(objects, handle);
	pthread_mutex_unlock(&objects->lock);
	atomic_fetch_add(&objects->changes, 1);
	object_release(object);
}

void objects_remove(struct objects *objects, CK_OBJECT_HANDLE handle)
{
	if (handle > first_session_handle)
		remove_session_object(objects, handle);
	else
		forget_view(objects, handle);
}

/* Takes a session's objects out of the table; a list by their neighbours. */
static struct object *take_session(struct objects *objects, CK_SESSION_HANDLE session)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&objects->lock);
	struct object *object, *taken = NULL;

	while ((object = links_first(objects, OBJECT_BY_SESSION, handle_key(&session))) != NULL) {
		map_remove(&objects->sessions, handle_key(&object->handle));
		objects_forget_ivs(objects, object->handle);
		take_out(objects, object);
		object->links[OBJECT_BY_SESSION].next = taken;
		taken = object;
	}
	return taken;
}

/* The same for the private objects of all the slot's sessions. */
static struct object *take_private(struct objects *objects, CK_SLOT_ID slot)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&objects->lock);
	struct object *taken = NULL;
	struct map_entry *entry;
	size_t at = 0;

	while ((entry = map_next(&objects->sessions, &at)) != NULL) {
		struct object *object = entry->value;

		if (object->slot != slot || (object->flags & OBJECT_PRIVATE) == 0)
			continue;
		take_out(objects, object);
		object->links[OBJECT_BY_SESSION].next = taken;
		taken = object;
	}
	for (struct object *object = taken; object != NULL;
	     object = links_next(object, OBJECT_BY_SESSION)) {
		map_remove(&objects->sessions, handle_key(&object->handle));
		objects_forget_ivs(objects, object->handle);
	}
	return taken;
}

static bool release_list(struct objects *objects, struct object *object)
{
	struct object *next;
	bool shared = false;

	if (object != NULL)
		atomic_fetch_add(&objects->changes, 1);
	for (; object != NULL; object = next) {
		next = links_next(object, OBJECT_BY_SESSION);
		shared |= object_is_shared(object);
		object_release(object);
	}
	return shared;
}

bool objects_remove_session(struct objects *objects, CK_SESSION_HANDLE session)
{
	return release_list(objects, take_session(objects, session));
}

void objects_remove_private(struct objects *objects, CK_SLOT_ID slot)
{
	release_list(objects, take_private(objects, slot));
}

static struct object *find_session(struct objects *objects, CK_SLOT_ID slot,
				   CK_OBJECT_HANDLE handle)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&objects->lock);
	struct object *object = map_find(&objects->sessions, handle_key(&handle));

	return object != NULL && object->slot == slot ? object_hold(object) : NULL;
}

CK_RV objects_get(struct objects *objects, CK_SLOT_ID slot, CK_OBJECT_HANDLE handle,
		  struct object **ret_object)
{
	struct object *object;

	if (handle <= first_session_handle)
		return find_entry(objects, slot, handle, ret_object);
	object = find_session(objects, slot, handle);
	if (object == NULL)
		return CKR_OBJECT_HANDLE_INVALID;
	return view_of_session(objects, object, ret_object);
}

struct object *objects_find(struct objects *objects, CK_SLOT_ID slot, CK_OBJECT_HANDLE handle)
{
	struct object *object = NULL;

	objects_get(objects, slot, handle, &object);
	return object;
}
