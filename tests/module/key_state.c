/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that looks at root keys, for tests/e2e/key_states.py and tests/aws/threads.py
 *(with CMEK_TEST_NO_THREADS it says in C_Initialize that threads can't be started):
 *
 *	key_state PROJECT LABEL
 *
 * Prints CKA_CMEK_STATE as this process finds it, CKA_CMEK_KMS_STATE, CKA_CMEK_STATE after that was
 * asked, and CKA_CMEK_DELETION_DATE ("-": empty).
 */
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static CK_FUNCTION_LIST *p11;

static void must(CK_RV rv, const char *what)
{
	if (rv == CKR_OK)
		return;
	fprintf(stderr, "key_state: %s: 0x%lx\n", what, rv);
	exit(1);
}

static void load_module(void)
{
	const char *path = getenv("CMEK_PKCS11_MODULE");
	void *library = dlopen(path == NULL ? CMEK_MODULE : path, RTLD_NOW | RTLD_LOCAL);
	void *symbol = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");
	CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
	CK_C_GetFunctionList get_list;

	if (symbol == NULL) {
		fprintf(stderr, "key_state: %s\n", dlerror());
		exit(1);
	}
	memcpy(&get_list, &symbol, sizeof(get_list));
	must(get_list(&p11), "C_GetFunctionList");
	if (getenv("CMEK_TEST_NO_THREADS") != NULL)
		arguments.flags |= CKF_LIBRARY_CANT_CREATE_OS_THREADS;
	must(p11->C_Initialize(&arguments), "C_Initialize");
}

static CK_SESSION_HANDLE open_session(const char *project)
{
	CK_SLOT_ID slots[64];
	CK_ULONG count = 64;
	CK_SESSION_HANDLE session;
	CK_TOKEN_INFO info;

	must(p11->C_GetSlotList(CK_TRUE, slots, &count), "C_GetSlotList");
	for (CK_ULONG i = 0; i < count; i++) {
		must(p11->C_GetTokenInfo(slots[i], &info), "C_GetTokenInfo");
		if (strncmp((char *)info.label, project, strlen(project)) != 0)
			continue;
		must(p11->C_OpenSession(slots[i], CKF_SERIAL_SESSION, NULL, NULL, &session),
		     "C_OpenSession");
		return session;
	}
	must(CKR_TOKEN_NOT_PRESENT, project);
	return CK_INVALID_HANDLE;
}

static CK_OBJECT_HANDLE find_key(CK_SESSION_HANDLE session, char *label)
{
	CK_ATTRIBUTE template = {CKA_LABEL, label, strlen(label)};
	CK_OBJECT_HANDLE key;
	CK_ULONG count;

	must(p11->C_FindObjectsInit(session, &template, 1), "C_FindObjectsInit");
	must(p11->C_FindObjects(session, &key, 1, &count), "C_FindObjects");
	must(p11->C_FindObjectsFinal(session), "C_FindObjectsFinal");
	must(count == 1 ? CKR_OK : CKR_OBJECT_HANDLE_INVALID, label);
	return key;
}

static CK_ULONG number(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_ATTRIBUTE_TYPE type)
{
	CK_ULONG value;
	CK_ATTRIBUTE row = {type, &value, sizeof(value)};

	must(p11->C_GetAttributeValue(session, key, &row, 1), "C_GetAttributeValue");
	return value;
}

/* These ask no KMS: the length, the object's size, a search. */
static void look(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_ULONG active = CMEK_STATE_ACTIVE, size, count;
	CK_ATTRIBUTE row = {CKA_CMEK_KMS_STATE, NULL, 0};
	CK_OBJECT_HANDLE found;

	must(p11->C_GetAttributeValue(session, key, &row, 1), "C_GetAttributeValue");
	must(row.ulValueLen == sizeof(CK_ULONG) ? CKR_OK : CKR_GENERAL_ERROR, "length");
	must(p11->C_GetObjectSize(session, key, &size), "C_GetObjectSize");
	row = (CK_ATTRIBUTE){CKA_CMEK_KMS_STATE, &active, sizeof(active)};
	must(p11->C_FindObjectsInit(session, &row, 1), "C_FindObjectsInit");
	must(p11->C_FindObjects(session, &found, 1, &count), "C_FindObjects");
	must(p11->C_FindObjectsFinal(session), "C_FindObjectsFinal");
	must(count == 0 ? CKR_OK : CKR_GENERAL_ERROR, "a search by the KMS's state");
}

int main(int argc, char **argv)
{
	char date[64] = "-";
	CK_ATTRIBUTE row = {CKA_CMEK_DELETION_DATE, date, sizeof(date) - 1};
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
	CK_ULONG before, asked, after;

	if (argc != 3)
		return 2;
	load_module();
	session = open_session(argv[1]);
	key = find_key(session, argv[2]);
	look(session, key);
	before = number(session, key, CKA_CMEK_STATE);
	asked = number(session, key, CKA_CMEK_KMS_STATE);
	after = number(session, key, CKA_CMEK_STATE);
	must(p11->C_GetAttributeValue(session, key, &row, 1), "C_GetAttributeValue");
	if (row.ulValueLen > 0)
		date[row.ulValueLen] = '\0';
	printf("%lu %lu %lu %s\n", before, asked, after, date);
	must(p11->C_Finalize(NULL), "C_Finalize");
	return 0;
}
