/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of functions that C_GetFunctionList and C_GetInterface hand out. Not const, since the
 * standard's pointers to them are not; nobody writes to the tables. */
#pragma once

#include "include/cmek.h"
#include "include/pkcs11.h"

extern CK_FUNCTION_LIST function_list_2_40;
extern CK_FUNCTION_LIST_3_0 function_list_3_0, function_list_3_1; /* the same but for the number */
extern CK_FUNCTION_LIST_3_2 function_list_3_2;
extern struct CMEK_FUNCTIONS function_list_cmek, function_list_cmek_1_2, function_list_cmek_1_1,
	function_list_cmek_1_0;

/* CMEK_StoreCreate, CMEK_StoreCheck (store.c). */
CK_RV cmek_store_create(char *text, CK_ULONG room);
CK_RV cmek_store_check(char *text, CK_ULONG room);

/* C_GetInfo of the table of a version, which is what it answers. */
CK_RV info_of_version(CK_VERSION version, CK_INFO *ret_info);
