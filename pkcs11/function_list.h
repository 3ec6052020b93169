/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of functions that C_GetFunctionList and C_GetInterface hand out. Not const, since the
 * standard's pointers to them are not; nobody writes to the tables. */
#pragma once

#include "include/cmek.h"
#include "include/pkcs11.h"

extern CK_FUNCTION_LIST function_list_2_40;
extern struct CMEK_FUNCTIONS function_list_cmek;
