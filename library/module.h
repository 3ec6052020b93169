/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The module, loaded and initialized once for the process, however many clients there are, and once
 * more in a fork's child. The locks of library/ stand here, since a fork must not come between.
 */
#pragma once

#include "library/error.h"

#include "include/cmek.h"
#include "include/pkcs11.h"

/* A module that was found and loaded; it stays loaded. */
struct library_found {
	const CK_FUNCTION_LIST *functions;
	const struct CMEK_FUNCTIONS *ours; /* NULL: an older module's, or another's */
};

/* Whether the interface is of version 1.`minor`, or later; NULL is of none. */
bool library_has_minor(const struct CMEK_FUNCTIONS *ours, CK_BYTE minor);

/* Loads the module: `path`, else what $CMEK_PKCS11_MODULE names, else that in the folder `beside`
 * (which may be NULL) or in pkcs11/ below it, else where it was installed. Does not initialize it.
 * A folder that is not said from the root on is passed over: the program may have gone elsewhere.
 */
enum cmek_status library_module_find(const char *path, const char *beside,
				     struct library_found *ret_found, struct cmek_error *error);

/* Loads and initializes it for one user more. CMEK_REFUSED: it is in use here with another path or
 * configuration. Each is followed by library_module_drop. */
enum cmek_status library_module_use(const char *path, const char *configuration,
				    struct cmek_error *error);
/* With the last user it is finalized, unless others use it too: somebody else had initialized it,
 * has finalized it meanwhile, or has closed sessions. */
void library_module_drop(void);
/* A session of that generation is gone: somebody else has closed it, or has finalized the module
 * and initialized it again, so that it is his. */
void library_module_used_by_others(unsigned generation);
const CK_FUNCTION_LIST *library_module_functions(void);
/* At the beginning of each call: initializes the module again in a fork's child, and after somebody
 * else has finalized it. Sessions and handles are good only while this number, which is never 0,
 * stays the same. */
enum cmek_status library_module_ready(unsigned *ret_generation, struct cmek_error *error);
/* Somebody else has finalized the module, and all sessions are gone: a new generation. */
void library_module_lost(unsigned generation);
unsigned library_module_generation(void);
/* Whether what was made in that generation is this process's, and there still. A fork's child owns
 * nothing of its parent's, also before it has initialized the module. */
bool library_module_owns(unsigned generation);

/* The module's words for this thread's last error ("": none), and its CMEK_ERROR_ number. */
const char *library_module_last_error(CK_ULONG *ret_reason);
/* The request id of that line; "": none, or the module is older than this question. */
const char *library_module_last_request(void);

/* Around a few instructions, never around a call of the module. */
void library_lock(void);
void library_unlock(void);
/* Around a login, which may wait for the store; a fork does not wait for it. */
void library_lock_logins(void);
void library_unlock_logins(void);
