/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Where a new key goes: into the session, or, wrapped by its zone, into the token. */
#include "session/keys.h"

#include "session/state.h"

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

CK_RV session_add(struct session *session, struct object **object, CK_OBJECT_HANDLE *ret_handle)
{
	bool is_private = ((*object)->flags & OBJECT_PRIVATE) != 0;

	(*object)->slot = session->slot;
	(*object)->owner = session->handle;
	TRY(objects_add(session->objects, TAKE(*object), ret_handle));
	/* A logout that came while the KMS was asked has not seen it. */
	if (!is_private || tokens_private_allowed(session->tokens, session->slot))
		return CKR_OK;
	objects_remove(session->objects, *ret_handle, NULL);
	*ret_handle = CK_INVALID_HANDLE;
	return CKR_USER_NOT_LOGGED_IN;
}

CK_RV session_add_key(struct session *session, const struct template *template, struct object **key,
		      CK_OBJECT_HANDLE *ret_handle)
{
	if (template->zone != 0)
		TRY(objects_stamp_as_named(session->objects, session->slot, *key, template->zone));
	if (!template->token)
		return session_add(session, key, ret_handle);
	(*key)->slot = session->slot;
	return objects_store_key(session->objects, session->slot, TAKE(*key), template->zone,
				 ret_handle);
}
