/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of functions, in the order that the header gives. Each has a C_GetInfo of its own,
 * which tells the version of its table; all else they share. */
#include "pkcs11/function_list.h"

#pragma GCC diagnostic ignored "-Woverride-init"

#define FUNCTION(name) .name = name,
#define GET_INFO(number, ...)                                                                      \
	static CK_RV get_info_##number(CK_INFO *ret_info)                                          \
	{                                                                                          \
		return info_of_version((CK_VERSION){__VA_ARGS__}, ret_info);                       \
	}
GET_INFO(3_0, 3, 0)
GET_INFO(3_1, 3, 1)
GET_INFO(3_2, 3, 2)

/* C_GetInfo of 2.40 is the one that is exported. */
CK_FUNCTION_LIST function_list_2_40 = {.version = {2, 40}, CK_FUNCTIONS_2_40(FUNCTION)};

/* clang-format off */
CK_FUNCTION_LIST_3_0 function_list_3_0 = {
	.version = {3, 0}, CK_FUNCTIONS_2_40(FUNCTION) CK_FUNCTIONS_3_0(FUNCTION)
	.C_GetInfo = get_info_3_0,
};

CK_FUNCTION_LIST_3_0 function_list_3_1 = {
	.version = {3, 1}, CK_FUNCTIONS_2_40(FUNCTION) CK_FUNCTIONS_3_0(FUNCTION)
	.C_GetInfo = get_info_3_1,
};

CK_FUNCTION_LIST_3_2 function_list_3_2 = {
	.version = {3, 2}, CK_FUNCTIONS_2_40(FUNCTION) CK_FUNCTIONS_3_0(FUNCTION)
	CK_FUNCTIONS_3_2(FUNCTION)
	.C_GetInfo = get_info_3_2,
};
/* clang-format on */
