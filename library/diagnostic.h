/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The diagnostic object of a session's project, and what it says of the store. */
#pragma once

#include "include/cmek.h"
#include "include/pkcs11.h"

#include <stdbool.h>

/* CK_INVALID_HANDLE: not available. */
CK_OBJECT_HANDLE library_diagnostic(const CK_FUNCTION_LIST *functions, CK_SESSION_HANDLE session);
/* What the module reports about the store (docs/store.md), as JSON (free() it); NULL: nothing, or
 * no memory. */
char *library_store_facts(const CK_FUNCTION_LIST *functions, CK_SESSION_HANDLE session);
/* Whether the store is too new for the module to read all of it, so that what is not found may
 * still be there. */
bool library_store_is_partial(const CK_FUNCTION_LIST *functions, CK_SESSION_HANDLE session);
