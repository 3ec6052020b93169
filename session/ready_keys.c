/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The keys a session has made ready, found by handle. How they are let go: ready_keys_end.c. */
#include "session/ready_keys.h"

#include "session/ready_keys_private.h"
#include "session/state.h"

static CK_RV fill(struct session *session, struct ready_key *place,
		  const struct mechanism *mechanism, enum key_use use, CK_OBJECT_HANDLE handle)
{
	AUTO(object_releasep) struct object *object = NULL;
	struct objects_generation generation = objects_generation(session->objects);

	TRY(session_object(session, handle, key_uses[use].bad_handle, &object));
	TRY(key_check(mechanism, use, object));
	TRY(ready_key_fill(place, session->objects, mechanism, use, &object));
	place->handle = handle;
	place->generation = generation;
	return CKR_OK;
}

/* Something has changed since, perhaps not this. */
static bool is_same(struct session *session, struct ready_key *place,
		    struct objects_generation generation)
{
	if (!objects_has(session->objects, place->object))
		return false;
	place->generation = generation;
	return true;
}

/* Still what the handle stands for? */
static bool is_fresh(struct session *session, struct ready_key *place)
{
	struct objects_generation now = objects_generation(session->objects);

	return object_is_as_in(place->object, place->generation, now) ||
	       is_same(session, place, now);
}

bool ready_keys_is_busy(const struct session *session, const struct ready_key *place)
{
	size_t i;

	for (i = 0; i < OPERATION_KIND_COUNT; i++) {
		if (session->operations[i].key == place)
			return true;
	}
	return false;
}

/* The place that was not used for the longest time; there are more places than operations. */
static struct ready_key *oldest_place(struct session *session)
{
	struct ready_key *oldest = NULL, *place;
	size_t i;

	for (i = 0; i < READY_KEYS_COUNT; i++) {
		place = &session->ready.places[i];
		if (place->handle == 0)
			return place; /* it was let go, so nothing works with it */
		if (!ready_keys_is_busy(session, place) &&
		    (oldest == NULL || place->turn < oldest->turn))
			oldest = place;
	}
	return oldest;
}

static struct ready_key *find_place(struct session *session, enum key_use use,
				    CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE handle)
{
	struct ready_key *place;
	size_t i;

	for (i = 0; i < READY_KEYS_COUNT; i++) {
		place = &session->ready.places[i];
		if (place->handle == handle && place->type == type && place->use == use &&
		    handle != 0)
			return place;
	}
	return NULL;
}

bool ready_keys_may_use(struct session *session, const struct object *object)
{
	return (object->flags & OBJECT_PRIVATE) == 0 ||
	       tokens_private_allowed(session->tokens, session->slot);
}

/* --- Keys for a use */

CK_RV session_key(struct session *session, enum key_use use, CK_MECHANISM_TYPE type,
		  CK_OBJECT_HANDLE handle, struct ready_key **ret_key)
{
	struct ready_key *place = find_place(session, use, type, handle);
	const struct mechanism *mechanism;

	if (place == NULL || !is_fresh(session, place)) {
		mechanism = mechanism_find_for(type, key_uses[use].flag);
		if (mechanism == NULL)
			return CKR_MECHANISM_INVALID;
		if (place == NULL)
			place = oldest_place(session);
		ready_key_clear(place);
		TRY(fill(session, place, mechanism, use, handle));
	} else if (!ready_keys_may_use(session, place->object)) {
		return key_uses[use].bad_handle;
	}
	place->turn = ++session->ready.turn;
	*ret_key = place;
	return CKR_OK;
}

CK_RV session_second_key(struct session *session, enum key_use use,
			 const struct mechanism *mechanism, CK_OBJECT_HANDLE handle,
			 struct object **ret_object)
{
	AUTO(object_releasep) struct object *object = NULL;

	TRY(session_object(session, handle, key_uses[use].bad_handle, &object));
	TRY(key_check(mechanism, use, object));
	*ret_object = TAKE(object);
	return CKR_OK;
}
