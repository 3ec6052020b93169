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
	free(search->wanted);
	free(search->before);
	*search = (struct search){0};
}

static CK_RV see(struct session *session, CK_OBJECT_HANDLE handle, bool *ret_visible)
{
	AUTO(object_releasep) struct object *object = NULL;
	CK_RV rv = session_object_seen(session, handle, &object);

	*ret_visible = rv == CKR_OK;
	return rv == CKR_OBJECT_HANDLE_INVALID ? CKR_OK : rv;
}

/* Where login is enforced, only a user who has logged in sees private objects, and the security
 * officer databases. */
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

/* --- What a later part of it searches for */

enum { WANTED_MAX = 4096 };

/* Attributes within attributes are searched for at once. */
static bool can_wait(const CK_ATTRIBUTE *template, CK_ULONG count)
{
	size_t len = count * sizeof(*template);

	for (CK_ULONG i = 0; i < count && len <= WANTED_MAX; i++) {
		if ((template[i].type & CKF_ARRAY_ATTRIBUTE) != 0 ||
		    template[i].ulValueLen > WANTED_MAX)
			return false;
		len += template[i].ulValueLen;
	}
	return len <= WANTED_MAX;
}

static CK_RV keep_wanted(struct search *search, const CK_ATTRIBUTE *template, CK_ULONG count)
{
	size_t rows = count * sizeof(*template), len = rows + 1;
	uint8_t *values;

	for (CK_ULONG i = 0; i < count; i++)
		len += template[i].ulValueLen;
	search->wanted = malloc(len);
	if (search->wanted == NULL)
		return CKR_HOST_MEMORY;
	values = (uint8_t *)search->wanted + rows;
	for (CK_ULONG i = 0; i < count; i++) {
		search->wanted[i] = template[i];
		search->wanted[i].pValue = values;
		if (template[i].ulValueLen > 0)
			memcpy(values, template[i].pValue, template[i].ulValueLen);
		values += template[i].ulValueLen;
	}
	search->wanted_count = count;
	return CKR_OK;
}

static CK_RV begin(struct session *session, const CK_ATTRIBUTE *template, CK_ULONG count)
{
	struct search *search = &session->search;

	if (!can_wait(template, count))
		return objects_search(session->objects, session->slot, template, count,
				      &search->handles, &search->count);
	TRY(objects_search_part(session->objects, session->slot, template, count, &search->rest,
				&search->handles, &search->count));
	return search->rest.more ? keep_wanted(search, template, count) : CKR_OK;
}

static CK_RV show(struct session *session, struct search *search)
{
	return tokens_private_allowed(session->tokens, session->slot)
		       ? CKR_OK
		       : hide_private(session, search);
}

static bool came_before(const struct search *search, CK_OBJECT_HANDLE handle)
{
	for (size_t i = 0; i < search->before_count; i++)
		if (search->before[i] == handle)
			return true;
	return false;
}

/* A zone that came by itself comes once more with all others. */
static void keep_before(struct search *search)
{
	if (search->rest.pages || search->before != NULL)
		return;
	search->before = search->handles;
	search->before_count = search->count;
	search->handles = NULL;
}

/* In the place of the part that was given out. */
static CK_RV take_part(struct session *session)
{
	struct search *search = &session->search;
	AUTO(search_clear) struct search part = {0};
	struct search_rest rest = search->rest;

	TRY(objects_search_part(session->objects, session->slot, search->wanted,
				search->wanted_count, &rest, &part.handles, &part.count));
	TRY(show(session, &part));
	keep_before(search);
	free(search->handles);
	search->handles = part.handles;
	search->count = search->next = 0;
	for (size_t from = 0; from < part.count; from++)
		if (!came_before(search, part.handles[from]))
			search->handles[search->count++] = part.handles[from];
	search->rest = rest;
	part.handles = NULL;
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
	rv = begin(session, template, count);
	if (rv == CKR_OK)
		rv = show(session, search);
	if (rv != CKR_OK)
		search_clear(search);
	search->active = rv == CKR_OK;
	return rv;
}

/* As many as there is room for: programs take fewer for the end. */
static CK_RV give(struct session *session, CK_OBJECT_HANDLE *handles, size_t max, size_t *ret_count)
{
	struct search *search = &session->search;
	size_t count = 0, some;

	while (count < max) {
		while (search->next == search->count && search->rest.more)
			TRY(take_part(session));
		some = search->count - search->next;
		if (some == 0)
			break;
		if (some > max - count)
			some = max - count;
		memcpy(handles + count, search->handles + search->next, some * sizeof(*handles));
		search->next += some;
		count += some;
	}
	*ret_count = count;
	return CKR_OK;
}

CK_RV session_find_next(struct session *session, CK_OBJECT_HANDLE *handles, CK_ULONG handles_max,
			CK_ULONG *ret_count)
{
	struct search *search = &session->search;
	size_t count = 0;

	if (!search->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (ret_count == NULL || (handles == NULL && handles_max != 0))
		return CKR_ARGUMENTS_BAD;
	if (search->failed == CKR_OK)
		search->failed = give(session, handles, handles_max, &count);
	if (search->failed != CKR_OK)
		return search->failed;
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
