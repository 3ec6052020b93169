/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the programs in this folder share that scripts run as applications, without cmocka: a
 * module, a token, its zones z0, z1, … A failure ends the program. */
#pragma once

#include "include/cmek.h"
#include "include/pkcs11.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

extern CK_FUNCTION_LIST *p11;
extern CK_FUNCTION_LIST_3_2 *p32;
extern CK_SLOT_ID slot;

void must(CK_RV rv, const char *what);
double now(void); /* seconds since 1970 */

/* The module that CMEK_PKCS11_MODULE names, not initialized. */
void application_load(void);
/* The same, initialized; and the slot of a project. */
void application_start(const char *project);
CK_RV initialize(void);
CK_SESSION_HANDLE open_session(void);
CK_OBJECT_HANDLE find_zone(CK_SESSION_HANDLE session, size_t number);

/* An AES-256 key of the session, extractable. */
CK_RV make_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *ret_key);
/* By CKM_CMEK_DEK_WRAP: the key belongs to the zone from then on. */
enum { WRAPPED_MAX = 128 };
CK_RV wrap_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, CK_OBJECT_HANDLE key,
	       CK_BYTE ret_wrapped[static WRAPPED_MAX], CK_ULONG *ret_len);
