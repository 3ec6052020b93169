/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The work of C_CreateObject, C_CopyObject, C_SetAttributeValue and C_DestroyObject. */
#pragma once

#include "objects/object.h"
#include "objects/template.h"

/* Where and for whom: a session's slot, handle and rights. */
struct editor {
	struct objects *objects;
	struct tokens *tokens; /* NULL: nobody logs out while it works */
	CK_SLOT_ID slot;
	CK_SESSION_HANDLE session;
	bool read_write;
	bool private_allowed, so_allowed;
};

/* Whether the session may make or change such an object: CKR_SESSION_READ_ONLY,
 * CKR_USER_NOT_LOGGED_IN. */
CK_RV editor_allows(const struct editor *editor, uint32_t flags);

/* The same of an object that is there. Root keys, clusters and archives of a project with a PIN,
 * and what is done to the store by its diagnostic object, are the security officer's:
 * CKR_USER_NOT_LOGGED_IN. */
CK_RV editor_allows_object(const struct editor *editor, const struct object *object);

/* CKA_TRUSTED, where the flags have it, is the security officer's to say: CKR_ATTRIBUTE_READ_ONLY.
 */
CK_RV trust_allowed(const struct editor *editor, uint32_t flags);

/* A root key (KMS), a cluster, a data key, data, a certificate, or a backup (KMS). */
CK_RV edit_create(const struct editor *editor, const CK_ATTRIBUTE *attributes, CK_ULONG count,
		  CK_OBJECT_HANDLE *ret_handle);
/* For data keys, data and certificates; the copy belongs to the same zone. Of a backup: its restore
 * (KMS). */
CK_RV edit_copy(const struct editor *editor, struct object *object, const CK_ATTRIBUTE *attributes,
		CK_ULONG count, CK_OBJECT_HANDLE *ret_handle);
/* objects/backup.c */
CK_RV edit_create_backup(const struct editor *editor, const struct template *template,
			 CK_OBJECT_HANDLE *ret_handle);
CK_RV edit_restore(const struct editor *editor, const struct object *backup,
		   const struct template *template, CK_OBJECT_HANDLE *ret_handle);
/* These tell of a session object whether another than `object` has gone, since another thread had
 * changed it meanwhile. */
CK_RV edit_change(const struct editor *editor, const struct object *object,
		  const CK_ATTRIBUTE *attributes, CK_ULONG count, bool *ret_other);
/* A session object is destroyed; a zone or root key is scheduled for deletion. */
CK_RV edit_destroy(const struct editor *editor, const struct object *object, bool *ret_other);

/* Applies a template that was read for a copy or a change. Flags that only go one way (sensitive,
 * not extractable …) are checked: CKR_ATTRIBUTE_READ_ONLY. Borrows from both. */
CK_RV edit_merge(const struct object *object, const struct template *template,
		 struct object *ret_model);
