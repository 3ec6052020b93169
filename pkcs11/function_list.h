/* The tables of functions that C_GetFunctionList and C_GetInterface hand out. Not const, since the
 * standard's pointers to them are not; nobody writes to them. */
#pragma once

#include "pkcs11/pkcs11.h"

extern CK_FUNCTION_LIST function_list_2_40;
