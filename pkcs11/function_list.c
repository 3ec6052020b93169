/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of functions, in the order that the header gives. */
#include "pkcs11/function_list.h"

#define FUNCTION(name) .name = name,

CK_FUNCTION_LIST function_list_2_40 = {.version = {2, 40}, CK_FUNCTIONS_2_40(FUNCTION)};
