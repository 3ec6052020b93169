/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A search; see the header. */
#include "session/find.h"

#include "session/output.h"
#include "session/state.h"

#include <stdlib.h>

void search_clear(struct search *search)
{
	free(search->handles);
	*search = (struct search){0};
}

static CK_RV see(struct session *session, CK_OBJECT_HANDLE handle, bool *ret_visible)
{
	AUTO(object_releasep) struct object *object = NULL;
	CK_RV rv = objects_get(session->objects, session->slot, handle, &object);

	*ret_visible = rv == CKR_OK && (object->flags & OBJECT_PRIVATE) == 0;
	return rv == CKR_OBJECT_HANDLE_INVALID ? CKR_OK : rv;
}

/* Where login is enforced, only a user who has logged in sees private objects. */
static CK_RV hide_private(struct session *session, struct search *search)
{
	size_t from, to = 0;
	bool visible;

	for (from = 0; from < search->count; from++) {
		TRY(see(session, search->handles[from], &visible));
		if (visible)
			search->handles[to++] = search->handles[from];
	}
	search->count = to;
	return CKR_OK;
}

CK_RV session_find_begin(struct session *session, const CK_ATTRIBUTE *template, CK_ULONG count)
{
	struct search *search = &session->search;
	CK_RV rv;

	if (search->active)
		return CKR_OPERATION_ACTIVE;
	if (template == NULL && count != 0)
		return CKR_ARGUMENTS_BAD;
	TRY(objects_search(session->objects, session->slot, template, count, &search->handles,
			   &search->count));
	search->active = true;
	if (tokens_private_allowed(session->tokens, session->slot))
		return CKR_OK;
	rv = hide_private(session, search);
	if (rv != CKR_OK)
		search_clear(search);
	return rv;
}

CK_RV session_find_next(struct session *session, CK_OBJECT_HANDLE *handles, CK_ULONG handles_max,
			CK_ULONG *ret_count)
{
	struct search *search = &session->search;
	size_t count = search->count - search->next;

	if (!search->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (ret_count == NULL || (handles == NULL && handles_max != 0))
		return CKR_ARGUMENTS_BAD;
	if (count > handles_max)
		count = handles_max;
	if (count > 0)
		memcpy(handles, search->handles + search->next, count * sizeof(*handles));
	search->next += count;
	put_ulong(ret_count, count);
	return CKR_OK;
}

CK_RV session_find_end(struct session *session)
{
	if (!session->search.active)
		return CKR_OPERATION_NOT_INITIALIZED;
	search_clear(&session->search);
	return CKR_OK;
}
