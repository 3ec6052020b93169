/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What may be answered, told and logged where memory lacked. */
#include "application.h"
#include "shortage_rounds.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

/* Words and reasons that send somebody to a backup, or to another key, where only memory lacked. */
static const char *const words[] = {
	"amage",
	"orrupt",
	"JSON",
	"backup",
	"restore",
	"malformed",
	"nvalid",
	"not what",
	"missing",
	"neither",
	"another key",
	"does not open",
	"another encryption context",
};
static const CK_ULONG reasons[] = {
	CMEK_ERROR_STORE_CORRUPT,
	CMEK_ERROR_STORE_NEWER,
	CMEK_ERROR_RECORD_CORRUPT,
	CMEK_ERROR_WRAPPED_KEY_INVALID,
	CMEK_ERROR_KMS_BAD_ANSWER,
	CMEK_ERROR_INVALID,
	CMEK_ERROR_KMS_INVALID_CIPHERTEXT,
	CMEK_ERROR_KMS_INCORRECT_KEY,
	CMEK_ERROR_KMS_NOT_FOUND,
	CMEK_ERROR_NOT_FOUND,
	CMEK_ERROR_KMS_DISABLED,
	CMEK_ERROR_KMS_DENIED,
	CMEK_ERROR_EXISTS,
	CMEK_ERROR_OTHER_ZONE,
	CMEK_ERROR_KMS_MISCONFIGURED,
};

static void check_words(const char *said)
{
	/* A message of OpenSSL about itself is not about stored data. */
	if (strstr(said, "OpenSSL") != NULL)
		return;
	for (size_t i = 0; i < COUNT(words); i++)
		if (strstr(said, words[i]) != NULL)
			note_wrong("speaks of damage: %s", said);
}

static void check_log(void)
{
	char line[OUT_MAX];
	FILE *log = fopen("log", "r");

	while (log != NULL && fgets(line, sizeof(line), log) != NULL)
		check_words(line);
	if (log != NULL)
		fclose(log);
}

void check_answer(void)
{
	static const CK_RV allowed[] = {CKR_OK, CKR_HOST_MEMORY, CKR_FUNCTION_FAILED,
					CKR_DEVICE_ERROR};
	bool good = false;

	for (size_t i = 0; i < COUNT(allowed); i++)
		good |= told->rv == allowed[i];
	if (!good || (told->rv != CKR_OK && told->failures == 0))
		note_wrong("answered 0x%lx: %s", told->rv, told->message);
	for (size_t i = 0; told->rv != CKR_OK && i < COUNT(reasons); i++)
		if (told->reason == reasons[i])
			note_wrong("gives the reason %lu: %s", told->reason, told->message);
	check_words(told->message);
	check_log();
}

void take_reason(void)
{
	CK_INTERFACE *interface = NULL;
	const struct CMEK_FUNCTIONS *functions;
	CK_C_GetInterface get;
	void *symbol = dlsym(dlopen(getenv("CMEK_PKCS11_MODULE"), RTLD_NOW), "C_GetInterface");

	memcpy(&get, &symbol, sizeof(get));
	must(get((CK_UTF8CHAR *)CMEK_INTERFACE, NULL, &interface, 0), "C_GetInterface");
	functions = interface->pFunctionList;
	snprintf(told->message, sizeof(told->message), "%s",
		 functions->CMEK_LastError(&told->reason));
}
