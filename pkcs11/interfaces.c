/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that give the lists of all others. */
#include "base/macros.h"
#include "pkcs11/exported.h"
#include "pkcs11/function_list.h"

#include <stdbool.h>
#include <string.h>

static CK_UTF8CHAR pkcs11[] = "PKCS 11", ours[] = CMEK_INTERFACE;

/* An application that does not ask for a version gets the first one. None is fork-safe as the
 * standard means it (CKF_INTERFACE_FORK_SAFE): a child calls C_Initialize and begins anew. */
static CK_INTERFACE interfaces_offered[] = {
	{pkcs11, &function_list_3_2, 0},    {pkcs11, &function_list_3_1, 0},
	{pkcs11, &function_list_3_0, 0},    {pkcs11, &function_list_2_40, 0},
	{ours, &function_list_cmek, 0},	    {ours, &function_list_cmek_1_2, 0},
	{ours, &function_list_cmek_1_1, 0}, {ours, &function_list_cmek_1_0, 0},
};

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret_list)
{
	CK_FUNCTION_LIST *list = &function_list_2_40;

	if (ret_list == NULL)
		return CKR_ARGUMENTS_BAD;
	memcpy((void *)ret_list, &list, sizeof(list));
	return CKR_OK;
}

CK_RV C_GetInterfaceList(CK_INTERFACE *interfaces, CK_ULONG *interfaces_count)
{
	const CK_ULONG count = COUNT_OF(interfaces_offered);
	CK_ULONG room;

	if (interfaces_count == NULL)
		return CKR_ARGUMENTS_BAD;
	memcpy(&room, (const void *)interfaces_count, sizeof(room));
	memcpy((void *)interfaces_count, &count, sizeof(count));
	if (interfaces == NULL)
		return CKR_OK;
	if (room < count)
		return CKR_BUFFER_TOO_SMALL;
	memcpy((void *)interfaces, interfaces_offered, sizeof(interfaces_offered));
	return CKR_OK;
}

static bool is_asked_for(const CK_INTERFACE *interface, const CK_UTF8CHAR *name,
			 const CK_VERSION *version, CK_FLAGS flags)
{
	const CK_VERSION *offered = interface->pFunctionList;
	const CK_UTF8CHAR *wanted = name == NULL ? pkcs11 : name;

	if (strcmp((const char *)wanted, (const char *)interface->pInterfaceName) != 0)
		return false;
	if (version != NULL && memcmp(version, offered, sizeof(*version)) != 0)
		return false;
	return (interface->flags & flags) == flags;
}

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **ret_interface,
		     CK_FLAGS flags)
{
	if (ret_interface == NULL)
		return CKR_ARGUMENTS_BAD;
	for (size_t i = 0; i < COUNT_OF(interfaces_offered); i++) {
		CK_INTERFACE *interface = &interfaces_offered[i];

		if (!is_asked_for(interface, name, version, flags))
			continue;
		memcpy((void *)ret_interface, &interface, sizeof(interface));
		return CKR_OK;
	}
	return CKR_ARGUMENTS_BAD;
}
