/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How an application gets to a zone. */
#include "application.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

CK_FUNCTION_LIST *p11;
CK_FUNCTION_LIST_3_2 *p32;
CK_SLOT_ID slot;

void must(CK_RV rv, const char *what)
{
	if (rv == CKR_OK)
		return;
	fprintf(stderr, "%s: 0x%lx\n", what, rv);
	exit(1);
}

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_REALTIME, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

CK_RV initialize(void)
{
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK};

	return p11->C_Initialize(&args);
}

static void load_3_2(void *library)
{
	void *symbol = dlsym(library, "C_GetInterface");
	CK_C_GetInterface get_interface;
	CK_INTERFACE *newest = NULL;

	memcpy(&get_interface, &symbol, sizeof(get_interface));
	must(get_interface(NULL, NULL, &newest, 0), "C_GetInterface");
	p32 = newest->pFunctionList;
}

void application_load(void)
{
	const char *path = getenv("CMEK_PKCS11_MODULE");
	void *library = dlopen(path == NULL ? CMEK_MODULE : path, RTLD_NOW | RTLD_LOCAL);
	CK_C_GetFunctionList get_list;
	void *symbol = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");

	if (symbol == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		exit(1);
	}
	memcpy(&get_list, &symbol, sizeof(get_list));
	must(get_list(&p11), "C_GetFunctionList");
	load_3_2(library);
}

static void find_slot(const char *project)
{
	CK_SLOT_ID slots[64];
	CK_ULONG count = 64;
	CK_TOKEN_INFO info;

	must(p11->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
	for (CK_ULONG i = 0; i < count; i++) {
		must(p11->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
		slot = slots[i];
		if (strncmp((char *)info.label, project, strlen(project)) == 0)
			return;
	}
	must(CKR_TOKEN_NOT_PRESENT, project);
}

void application_start(const char *project)
{
	application_load();
	must(initialize(), "C_Initialize");
	find_slot(project);
}

CK_SESSION_HANDLE open_session(void)
{
	CK_SESSION_HANDLE session;

	must(p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session),
	     "C_OpenSession");
	return session;
}

CK_OBJECT_HANDLE find_zone(CK_SESSION_HANDLE session, size_t number)
{
	char label[16];
	CK_ATTRIBUTE template[] = {{CKA_LABEL, label, 0}};
	CK_OBJECT_HANDLE zone = 0;
	CK_ULONG count = 0;

	template[0].ulValueLen = (CK_ULONG)snprintf(label, sizeof(label), "z%zu", number);
	must(p11->C_FindObjectsInit(session, template, 1), "C_FindObjectsInit");
	must(p11->C_FindObjects(session, &zone, 1, &count), "C_FindObjects");
	must(p11->C_FindObjectsFinal(session), "C_FindObjectsFinal");
	must(count == 1 ? CKR_OK : CKR_OBJECT_HANDLE_INVALID, label);
	return zone;
}

CK_RV make_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE *ret_key)
{
	CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG key_len = 32;
	CK_ATTRIBUTE template[] = {
		{CKA_TOKEN, &no, sizeof(no)},
		{CKA_EXTRACTABLE, &yes, sizeof(yes)},
		{CKA_VALUE_LEN, &key_len, sizeof(key_len)},
	};

	return p11->C_GenerateKey(session, &generate, template, 3, ret_key);
}

CK_RV wrap_key(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE zone, CK_OBJECT_HANDLE key,
	       CK_BYTE ret_wrapped[static WRAPPED_MAX], CK_ULONG *ret_len)
{
	CK_MECHANISM wrap = {CKM_CMEK_DEK_WRAP, NULL, 0};

	*ret_len = WRAPPED_MAX;
	return p11->C_WrapKey(session, &wrap, zone, key, ret_wrapped, ret_len);
}
