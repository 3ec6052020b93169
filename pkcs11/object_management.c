/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* PKCS #11, "Object management functions". */
#include "objects/attribute.h"
#include "objects/edit.h"
#include "objects/refusal.h"
#include "pkcs11/exported.h"
#include "session/find.h"
#include "session/output.h"
#include "session/ready_keys.h"
#include "session/session.h"

static struct editor editor_of(const struct session *session)
{
	struct tokens *tokens = session_tokens(session);
	CK_SLOT_ID slot = session_slot(session);

	return (struct editor){
		.objects = session_objects(session),
		.tokens = tokens,
		.slot = slot,
		.session = session_handle(session),
		.read_write = session_is_read_write(session),
		.private_allowed = tokens_private_allowed(tokens, slot),
		.so_allowed = tokens_so_allowed(tokens, slot),
	};
}

CK_RV C_CreateObject(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *attributes, CK_ULONG count,
		     CK_OBJECT_HANDLE *ret_object)
{
	AUTO(session_return) struct session *session = NULL;
	CK_OBJECT_HANDLE object;
	struct editor editor;

	TRY(session_borrow(handle, &session));
	if (ret_object == NULL)
		return told(CKR_ARGUMENTS_BAD);
	editor = editor_of(session);
	TRY(told(edit_create(&editor, attributes, count, &object)));
	put_ulong(ret_object, object);
	return CKR_OK;
}

CK_RV C_CopyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object_handle,
		   CK_ATTRIBUTE *attributes, CK_ULONG count, CK_OBJECT_HANDLE *ret_object)
{
	AUTO(session_return) struct session *session = NULL;
	AUTO(object_releasep) struct object *object = NULL;
	CK_OBJECT_HANDLE copy;
	struct editor editor;

	TRY(session_borrow(handle, &session));
	if (ret_object == NULL)
		return told(CKR_ARGUMENTS_BAD);
	TRY(told(session_object(session, object_handle, CKR_OBJECT_HANDLE_INVALID, &object)));
	editor = editor_of(session);
	TRY(told(edit_copy(&editor, object, attributes, count, &copy)));
	put_ulong(ret_object, copy);
	return CKR_OK;
}

CK_RV C_DestroyObject(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object_handle)
{
	AUTO(session_return) struct session *session = NULL;
	AUTO(object_releasep) struct object *object = NULL;
	struct editor editor;
	bool other;

	TRY(session_borrow(handle, &session));
	TRY(told(session_object(session, object_handle, CKR_OBJECT_HANDLE_INVALID, &object)));
	editor = editor_of(session);
	TRY(told(edit_destroy(&editor, object, &other)));
	ready_keys_let_go(session, object, other);
	return CKR_OK;
}

CK_RV C_GetObjectSize(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object_handle, CK_ULONG *ret_size)
{
	AUTO(session_return) struct session *session = NULL;
	AUTO(object_releasep) struct object *object = NULL;

	TRY(session_borrow(handle, &session));
	if (ret_size == NULL)
		return told(CKR_ARGUMENTS_BAD);
	TRY(told(session_object(session, object_handle, CKR_OBJECT_HANDLE_INVALID, &object)));
	put_ulong(ret_size, attributes_size(session_objects(session), object));
	return CKR_OK;
}

CK_RV C_GetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object_handle,
			  CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	AUTO(session_return) struct session *session = NULL;
	AUTO(object_releasep) struct object *object = NULL;

	TRY(session_borrow(handle, &session));
	TRY(told(session_object_seen(session, object_handle, &object)));
	return told(attributes_get(session_objects(session), object, attributes, count));
}

CK_RV C_SetAttributeValue(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE object_handle,
			  CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	AUTO(session_return) struct session *session = NULL;
	AUTO(object_releasep) struct object *object = NULL;
	struct editor editor;
	bool other;

	TRY(session_borrow(handle, &session));
	TRY(told(session_object_seen(session, object_handle, &object)));
	editor = editor_of(session);
	TRY(told(edit_change(&editor, object, attributes, count, &other)));
	ready_keys_let_go(session, object, other);
	return CKR_OK;
}

CK_RV C_FindObjectsInit(CK_SESSION_HANDLE handle, CK_ATTRIBUTE *attributes, CK_ULONG count)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_find_begin(session, attributes, count));
}

CK_RV C_FindObjects(CK_SESSION_HANDLE handle, CK_OBJECT_HANDLE *objects, CK_ULONG objects_max,
		    CK_ULONG *ret_count)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_find_next(session, objects, objects_max, ret_count));
}

CK_RV C_FindObjectsFinal(CK_SESSION_HANDLE handle)
{
	AUTO(session_return) struct session *session = NULL;

	TRY(session_borrow(handle, &session));
	return told(session_find_end(session));
}
