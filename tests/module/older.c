/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The module as one of an older release, for tests/e2e/doctor_at_once.py and
 * tests/bindings/examples.sh: of our own interface it offers the version 1.$CMEK_TEST_MINOR and
 * none that is newer. All else is the module's. */
#include "include/cmek.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void *symbol(const char *name)
{
	void *library = dlopen(CMEK_MODULE, RTLD_NOW | RTLD_LOCAL);

	return library == NULL ? NULL : dlsym(library, name);
}

CK_RV C_GetFunctionList(CK_FUNCTION_LIST **ret_list)
{
	void *found = symbol("C_GetFunctionList");
	CK_C_GetFunctionList get;

	if (found == NULL)
		return CKR_GENERAL_ERROR;
	memcpy(&get, &found, sizeof(get));
	return get(ret_list);
}

CK_RV C_GetInterface(CK_UTF8CHAR *name, CK_VERSION *version, CK_INTERFACE **ret_interface,
		     CK_FLAGS flags)
{
	void *found = symbol("C_GetInterface");
	const char *minor = getenv("CMEK_TEST_MINOR");
	CK_VERSION older = {1, (CK_BYTE)atoi(minor == NULL ? "0" : minor)};
	bool is_ours = name != NULL && strcmp((const char *)name, CMEK_INTERFACE) == 0;
	CK_C_GetInterface get;

	if (found == NULL)
		return CKR_GENERAL_ERROR;
	memcpy(&get, &found, sizeof(get));
	return get(name, is_ours ? &older : version, ret_interface, flags);
}
