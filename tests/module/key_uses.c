/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application at the end of a pipe that tries whatever a token key can be used for; for
 * tests/e2e/store_writer.py, which changes the store meanwhile.
 *
 *	key_uses PROJECT
 *
 * reads a command a line. Each answer is lines of a name, CKR_…, why (CMEK_ERROR_…), then an empty
 * line. A key that is not there answers as handle 0 does.
 *
 *	make LABEL	a key with every limit, in the zone z0, of a value that is known here
 *	use LABEL	each use of it
 *	label LABEL NEW
 *	narrow LABEL	CKA_ENCRYPT becomes FALSE, and it ends earlier
 */
#include "application.h"

#include <stdio.h>
#include <stdlib.h>

static CK_SESSION_HANDLE session;
static CK_OBJECT_HANDLE zone, other; /* a key of the session */
static CK_BYTE value[32] = "a value that nobody should read";
static CK_BYTE start[] = "20200101", end[] = "20991231";
static CK_BBOOL yes = CK_TRUE, no = CK_FALSE;

static void answer(const char *name, CK_RV rv)
{
	CK_SESSION_INFO info;

	must(p11->C_GetSessionInfo(session, &info), "C_GetSessionInfo");
	printf("%s %lu %lu\n", name, rv, info.ulDeviceError);
}

static CK_OBJECT_HANDLE find(char *label)
{
	CK_ATTRIBUTE template[] = {{CKA_LABEL, label, strlen(label)}};
	CK_OBJECT_HANDLE key = 0;
	CK_ULONG count = 0;

	must(p11->C_FindObjectsInit(session, template, 1), "C_FindObjectsInit");
	must(p11->C_FindObjects(session, &key, 1, &count), "C_FindObjects");
	must(p11->C_FindObjectsFinal(session), "C_FindObjectsFinal");
	return count == 1 ? key : 0;
}

static void make(char *label, char *rest)
{
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE type = CKK_AES;
	CK_MECHANISM_TYPE allowed[] = {CKM_AES_ECB, CKM_AES_KEY_WRAP};
	CK_ATTRIBUTE wraps[] = {{CKA_EXTRACTABLE, &yes, sizeof(yes)}};
	CK_ATTRIBUTE unwraps[] = {{CKA_SENSITIVE, &yes, sizeof(yes)}};
	CK_BYTE id[8];
	CK_ATTRIBUTE of_zone[] = {{CKA_CMEK_ZONE, id, sizeof(id)}};
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &type, sizeof(type)},
		{CKA_VALUE, value, sizeof(value)},
		{CKA_LABEL, label, strlen(label)},
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_SENSITIVE, &yes, sizeof(yes)},
		{CKA_EXTRACTABLE, &no, sizeof(no)},
		{CKA_COPYABLE, &no, sizeof(no)},
		{CKA_WRAP_WITH_TRUSTED, &yes, sizeof(yes)},
		{CKA_ENCRYPT, &yes, sizeof(yes)},
		{CKA_WRAP, &yes, sizeof(yes)},
		{CKA_START_DATE, start, 8},
		{CKA_END_DATE, end, 8},
		{CKA_ALLOWED_MECHANISMS, allowed, sizeof(allowed)},
		{CKA_WRAP_TEMPLATE, wraps, sizeof(wraps)},
		{CKA_UNWRAP_TEMPLATE, unwraps, sizeof(unwraps)},
		{CKA_CMEK_ZONE, id, sizeof(id)},
	};
	CK_OBJECT_HANDLE key;

	(void)rest;
	must(p11->C_GetAttributeValue(session, zone, of_zone, 1), "C_GetAttributeValue");
	answer("make",
	       p11->C_CreateObject(session, template, sizeof(template) / sizeof(*template), &key));
}

/* --- Uses */

static CK_RV encrypt(CK_OBJECT_HANDLE key)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_BYTE block[16] = {0}, out[16];
	CK_ULONG len = sizeof(out);
	CK_RV rv = p11->C_EncryptInit(session, &ecb, key);

	return rv == CKR_OK ? p11->C_Encrypt(session, block, sizeof(block), out, &len) : rv;
}

static CK_RV decrypt(CK_OBJECT_HANDLE key)
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_BYTE block[16] = {0}, out[16];
	CK_ULONG len = sizeof(out);
	CK_RV rv = p11->C_DecryptInit(session, &ecb, key);

	return rv == CKR_OK ? p11->C_Decrypt(session, block, sizeof(block), out, &len) : rv;
}

/* By a mechanism that the key does not allow. */
static CK_RV encrypt_by_another(CK_OBJECT_HANDLE key)
{
	CK_BYTE iv[16] = {0};
	CK_MECHANISM cbc = {CKM_AES_CBC, iv, sizeof(iv)};
	CK_BYTE block[16] = {0}, out[16];
	CK_ULONG len = sizeof(out);
	CK_RV rv = p11->C_EncryptInit(session, &cbc, key);

	return rv == CKR_OK ? p11->C_Encrypt(session, block, sizeof(block), out, &len) : rv;
}

static CK_RV read_value(CK_OBJECT_HANDLE key)
{
	CK_BYTE out[512];
	CK_ATTRIBUTE attribute = {CKA_VALUE, out, sizeof(out)};

	return p11->C_GetAttributeValue(session, key, &attribute, 1);
}

static CK_RV wrap_another(CK_OBJECT_HANDLE key)
{
	CK_MECHANISM wrap = {CKM_AES_KEY_WRAP, NULL, 0};
	CK_BYTE out[WRAPPED_MAX];
	CK_ULONG len = sizeof(out);

	return p11->C_WrapKey(session, &wrap, key, other, out, &len);
}

static CK_RV be_wrapped(CK_OBJECT_HANDLE key)
{
	CK_BYTE out[WRAPPED_MAX];
	CK_ULONG len;

	return wrap_key(session, zone, key, out, &len);
}

static CK_RV derive(CK_OBJECT_HANDLE key)
{
	CK_HKDF_PARAMS hkdf = {.bExpand = CK_TRUE,
			       .prfHashMechanism = CKM_SHA256,
			       .ulSaltType = CKF_HKDF_SALT_NULL};
	CK_MECHANISM mechanism = {CKM_HKDF_DERIVE, &hkdf, sizeof(hkdf)};
	CK_KEY_TYPE type = CKK_AES;
	CK_ULONG len = 32;
	CK_ATTRIBUTE template[] = {{CKA_KEY_TYPE, &type, sizeof(type)},
				   {CKA_VALUE_LEN, &len, sizeof(len)}};
	CK_OBJECT_HANDLE derived;

	return p11->C_DeriveKey(session, &mechanism, key, template, 2, &derived);
}

static CK_RV copy(CK_OBJECT_HANDLE key)
{
	CK_ATTRIBUTE template[] = {{CKA_TOKEN, &no, sizeof(no)}};
	CK_OBJECT_HANDLE made;

	return p11->C_CopyObject(session, key, template, 1, &made);
}

static const struct {
	const char *name;
	CK_RV (*run)(CK_OBJECT_HANDLE key);
} uses[] = {
	{"encrypt", encrypt}, {"decrypt", decrypt},   {"encrypt-by-another", encrypt_by_another},
	{"read", read_value}, {"wrap", wrap_another}, {"be-wrapped", be_wrapped},
	{"derive", derive},   {"copy", copy},
};

static void use(char *label, char *rest)
{
	CK_OBJECT_HANDLE key = find(label);

	(void)rest;
	for (size_t i = 0; i < sizeof(uses) / sizeof(*uses); i++)
		answer(uses[i].name, uses[i].run(key));
}

/* --- Changes */

static void set_label(char *label, char *new)
{
	CK_ATTRIBUTE template[] = {{CKA_LABEL, new, strlen(new)}};

	answer("label", p11->C_SetAttributeValue(session, find(label), template, 1));
}

static void narrow(char *label, char *rest)
{
	static CK_BYTE earlier[] = "20501231";
	CK_ATTRIBUTE template[] = {{CKA_ENCRYPT, &no, sizeof(no)}, {CKA_END_DATE, earlier, 8}};

	(void)rest;
	answer("narrow", p11->C_SetAttributeValue(session, find(label), template, 2));
}

static const struct {
	const char *name;
	void (*run)(char *label, char *rest);
} verbs[] = {{"make", make}, {"use", use}, {"label", set_label}, {"narrow", narrow}};

int main(int argc, char **argv)
{
	static char line[256], verb[16], label[64], rest[64];

	if (argc != 2) {
		fprintf(stderr, "usage: key_uses PROJECT\n");
		return 2;
	}
	application_start(argv[1]);
	session = open_session();
	zone = find_zone(session, 0);
	must(make_key(session, &other), "C_GenerateKey");
	while (fgets(line, sizeof(line), stdin) != NULL) {
		if (sscanf(line, "%15s %63s %63s", verb, label, rest) < 2)
			must(CKR_ARGUMENTS_BAD, line);
		for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
			if (strcmp(verb, verbs[i].name) == 0)
				verbs[i].run(label, rest);
		printf("\n");
		fflush(stdout);
	}
	must(p11->C_Finalize(NULL), "C_Finalize");
	return 0;
}
