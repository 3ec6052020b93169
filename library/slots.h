/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module's slots: which of them hold a project (an initialized token), what its token says of
 * itself, and sessions there. libcmek and the tool each tell in their words what failed.
 */
#pragma once

#include "include/pkcs11.h"

#include <stdbool.h>

enum { LIBRARY_LABEL_SIZE = 32 + 1, LIBRARY_SERIAL_SIZE = 16 + 1 };

/* A slot that holds a project. */
struct library_slot {
	CK_SLOT_ID id;
	char project[LIBRARY_LABEL_SIZE]; /* without its padding */
	char serial[LIBRARY_SERIAL_SIZE]; /* no other project has it, also of the same name */
	bool read_only;			  /* nobody can write to its store from here */
	bool wants_login;
};

/* All slots, in their order: of the projects, then the free one (free() them). For this the module
 * looks at the store anew. CKR_OK and NULL: no memory. */
CK_RV library_slots(const CK_FUNCTION_LIST *functions, CK_SLOT_ID **ret_slots, CK_ULONG *ret_count);
/* False: a slot that is free, or does not answer. */
bool library_slot_read(const CK_FUNCTION_LIST *functions, CK_SLOT_ID id,
		       struct library_slot *ret_slot);
/* Whether a project can be made on it; not on one that does not answer. */
bool library_slot_is_free(const CK_FUNCTION_LIST *functions, CK_SLOT_ID id);
/* A session, read-write unless that is `read_only`. */
CK_RV library_slot_open(const CK_FUNCTION_LIST *functions, CK_SLOT_ID id, bool read_only,
			CK_SESSION_HANDLE *ret_session);
/* Logs the user in without a PIN, which will do where the configuration alone asks for a login.
 * Of this length it is no guess, and is not counted. False: a PIN is needed. */
bool library_login_without(const CK_FUNCTION_LIST *functions, CK_SESSION_HANDLE session);
/* Whether the user is logged in, by the state of a session. */
bool library_is_users(CK_STATE state);
