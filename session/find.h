/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_FindObjectsInit, C_FindObjects, C_FindObjectsFinal: the handles are taken when the search
 * begins, so that objects that come and go meanwhile do no harm; of a store that is known in part,
 * those that are found by a key, and the others part by part when they are asked for. */
#pragma once

#include "session/session.h"

struct search {
	bool active;
	CK_OBJECT_HANDLE *handles; /* owned */
	size_t count;
	size_t next;
	/* What is searched for, while there may be more than was taken; owned, in one piece. NULL:
	 * that is all. */
	CK_ATTRIBUTE *wanted;
	CK_ULONG wanted_count;
	struct search_rest rest;
	CK_OBJECT_HANDLE *before; /* owned: few, which may come once more */
	size_t before_count;
	CK_RV failed; /* a part that did not come ends all: what is there is not told as all */
};
void search_clear(struct search *search);

/* CKR_OPERATION_ACTIVE. Unknown classes and attributes find nothing. */
CK_RV session_find_begin(struct session *session, const CK_ATTRIBUTE *template, CK_ULONG count);
/* CKR_OPERATION_NOT_INITIALIZED. */
CK_RV session_find_next(struct session *session, CK_OBJECT_HANDLE *handles, CK_ULONG handles_max,
			CK_ULONG *ret_count);
CK_RV session_find_end(struct session *session);
