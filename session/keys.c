/* Where a new key goes: into the session, or, wrapped by its zone, into the token. */
#include "session/keys.h"

#include "base/log.h"
#include "objects/error.h"
#include "session/state.h"
#include "zones/told.h"

CK_RV session_may_make(const struct session *session, const struct template *template)
{
	if (template->token && !session->read_write)
		return CKR_SESSION_READ_ONLY;
	/* Where a login is enforced, every key on the token is private. */
	return (!template->token && (template->flags & OBJECT_PRIVATE) == 0) ||
			       tokens_private_allowed(session->tokens, session->slot)
		       ? CKR_OK
		       : CKR_USER_NOT_LOGGED_IN;
}

/* A zone is of the project whose token this is. */
static CK_RV find_zone(struct session *session, uint64_t id, struct ezk **ret_ezk)
{
	struct zones *zones = objects_zones(session->objects);
	AUTO(entry_releasep) struct entry *zone = zones_find_zone(zones, id), *project = NULL;

	TRY(tokens_project(session->tokens, session->slot, &project));
	if (zone == NULL || !uid_equal(zone->project, project->uid)) {
		log_warning("a template names %s, which this token does not have",
			    zone_told(zones, id).text);
		return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	return error_of_zone(ezk_find(zones, zone, EZK_PRIMARY, ret_ezk), ERROR_OBJECT);
}

static CK_RV stamp_as_named(struct session *session, const struct template *template,
			    struct object *key)
{
	AUTO(ezk_releasep) struct ezk *ezk = NULL;

	if (template->zone == 0)
		return CKR_OK;
	TRY(find_zone(session, template->zone, &ezk));
	/* To make a key for a zone is to use that. */
	TRY(error_of_zone(ezk_begin(ezk), ERROR_OBJECT));
	return error_of_zone(object_stamp(key, ezk), ERROR_OBJECT);
}

CK_RV session_add(struct session *session, struct object **object, CK_OBJECT_HANDLE *ret_handle)
{
	bool is_private = ((*object)->flags & OBJECT_PRIVATE) != 0;

	(*object)->slot = session->slot;
	(*object)->owner = session->handle;
	TRY(objects_add(session->objects, TAKE(*object), ret_handle));
	/* A logout that came while the KMS was asked has not seen it. */
	if (!is_private || tokens_private_allowed(session->tokens, session->slot))
		return CKR_OK;
	objects_remove(session->objects, *ret_handle);
	*ret_handle = CK_INVALID_HANDLE;
	return CKR_USER_NOT_LOGGED_IN;
}

CK_RV session_add_key(struct session *session, const struct template *template, struct object **key,
		      CK_OBJECT_HANDLE *ret_handle)
{
	TRY(stamp_as_named(session, template, *key));
	if (!template->token)
		return session_add(session, key, ret_handle);
	(*key)->slot = session->slot;
	return objects_store_key(session->objects, session->slot, TAKE(*key), template->zone,
				 ret_handle);
}
