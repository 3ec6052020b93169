/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a process's objects: those that sessions made, and views of the store's entries. */
#include "base/free.h"
#include "base/log.h"
#include "base/macros.h"
#include "objects/error.h"
#include "objects/objects_private.h"
#include "objects/profile.h"
#include "objects/shards.h"
#include "zones/domain/lookup.h"
#include "zones/domain/partial.h"
#include "zones/domain/zones.h"

enum { VIEWS_MAX = 4096 };

CK_RV objects_new(struct zones *zones, const struct objects_asks *asks,
		  struct objects **ret_objects)
{
	struct objects *objects = aligned_alloc(_Alignof(struct objects), sizeof(*objects));
	struct report *report = report_new();

	if (objects == NULL || report == NULL) {
		free(objects);
		report_free(report);
		return CKR_HOST_MEMORY;
	}
	*objects = (struct objects){.zones = zones, .asks = asks, .report = report};
	objects->views.of_numbers = true;
	pthread_mutex_init(&objects->lock, NULL);
	shards_init(objects);
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
	shards_clear(objects);
	release_all(&objects->views);
	report_free(objects->report);
	buffer_clear(&objects->store_copy);
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

struct objects_generation objects_generation(const struct objects *objects)
{
	/* Reads the store at most once a second; what can't be read now changes nothing. */
	zones_refresh(objects->zones, false);
	return (struct objects_generation){zones_generation(objects->zones),
					   atomic_load(&objects->changes)};
}

const _Atomic uint64_t *objects_gone(const struct objects *objects)
{
	return &objects->changes;
}

/* A PIN that the project got since makes what it has private. */
static bool is_as_private(struct objects *objects, const struct object *view)
{
	return (view->flags & OBJECT_PRIVATE) != 0 ||
	       !view_is_private(objects, view->entry, view->slot);
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
	return entry != NULL && entry == object->entry && is_as_private(objects, object);
}

void objects_note_project(struct objects *objects, const struct entry *project)
{
	if (project_has_pin(project) && !objects_know_pins(objects))
		atomic_store_explicit(&objects->knows_pins, true, memory_order_relaxed);
}

CK_RV objects_other_with_pin(struct objects *objects, const struct uid *own,
			     struct entry **ret_project)
{
	struct entry **projects = NULL;
	size_t count = 0;

	*ret_project = NULL;
	TRY(error_of_zone(zones_list_projects(objects->zones, &projects, &count), ERROR_OBJECT));
	for (size_t i = 0; i < count; i++) {
		if (*ret_project == NULL && project_has_pin(projects[i]) &&
		    !uid_equal(projects[i]->uid, *own))
			*ret_project = projects[i];
		else
			entry_release(projects[i]);
	}
	free(projects);
	return CKR_OK;
}

CK_RV objects_project(struct objects *objects, CK_SLOT_ID slot, struct entry **ret_project)
{
	struct entry *project = NULL;

	if (slot <= UINT32_MAX)
		project = zones_find_slot(objects->zones, (uint32_t)slot);
	if (project == NULL)
		return zones_are_whole(objects->zones) ? CKR_DEVICE_REMOVED : CKR_HOST_MEMORY;
	objects_note_project(objects, project);
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

/* A view that was made from the same state of the entry, and as private as it is now. */
static struct object *find_view(struct objects *objects, const struct entry *entry, CK_SLOT_ID slot)
{
	const uint32_t private = view_is_private(objects, entry, slot) ? OBJECT_PRIVATE : 0;
	const CK_OBJECT_HANDLE handle = entry->number;
	AUTO(unlockp) pthread_mutex_t *held = locked(&objects->lock);
	struct object *view = map_find(&objects->views, handle_key(&handle));

	return view != NULL && view->entry == entry && (private & ~view->flags) == 0
		       ? object_hold(view)
		       : NULL;
}

/* If a view can't be kept, that is no failure: it is made again. */
static void keep_view(struct objects *objects, struct object *view)
{
	struct map full = {0};
	struct object *old;

	pthread_mutex_lock(&objects->lock);
	if (objects->views.count >= VIEWS_MAX) {
		full = objects->views;
		objects->views = (struct map){.of_numbers = true};
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
	struct object *view = find_view(objects, entry, slot), model;

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
	AUTO(entry_releasep) struct entry *entry = NULL;
	AUTO(entry_releasep) struct entry *project = NULL;

	TRY(error_of_zone(zones_meet_number(objects->zones, handle, &entry), ERROR_OBJECT));
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

/* Any. */

static CK_RV find_profile(struct objects *objects, CK_SLOT_ID slot, struct object **ret_object)
{
	AUTO(entry_releasep) struct entry *project = NULL;
	struct object model;

	if (objects_project(objects, slot, &project) != CKR_OK)
		return CKR_OBJECT_HANDLE_INVALID;
	profile_model(project, slot, &model);
	*ret_object = object_new(&model);
	return *ret_object == NULL ? CKR_HOST_MEMORY : CKR_OK;
}

CK_RV objects_get(struct objects *objects, CK_SLOT_ID slot, CK_OBJECT_HANDLE handle,
		  struct object **ret_object)
{
	struct object *object;

	if (handle == PROFILE_HANDLE)
		return find_profile(objects, slot, ret_object);
	if (handle < PROFILE_HANDLE)
		return find_entry(objects, slot, handle, ret_object);
	object = shards_find(objects, slot, handle);
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

bool objects_remove(struct objects *objects, CK_OBJECT_HANDLE handle, const struct object *held)
{
	if (handle > PROFILE_HANDLE)
		return shards_remove(objects, handle, held);
	forget_view(objects, handle);
	return false;
}
