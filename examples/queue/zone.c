/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "examples/queue/zone.h"

#include "envelope/retry.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void die(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	exit(1);
}

static const CK_FUNCTION_LIST *load(void)
{
	const char *path = getenv("CMEK_PKCS11_MODULE");
	void *library = dlopen(path == NULL ? "cmek-pkcs11.so" : path, RTLD_NOW | RTLD_LOCAL);
	void *symbol = library == NULL ? NULL : dlsym(library, "C_GetFunctionList");
	CK_C_INITIALIZE_ARGS arguments = {.flags = CKF_OS_LOCKING_OK};
	CK_C_GetFunctionList get_list;
	CK_FUNCTION_LIST *functions;

	if (symbol == NULL)
		die("the module does not load: %s", dlerror());
	memcpy(&get_list, &symbol, sizeof(get_list));
	if (get_list(&functions) != CKR_OK || functions->C_Initialize(&arguments) != CKR_OK)
		die("the module does not start");
	return functions;
}

/* The token whose label, padded with blanks, is the project's name. */
static CK_SLOT_ID slot_of(const CK_FUNCTION_LIST *functions, const char *project)
{
	CK_SLOT_ID slots[64];
	CK_ULONG count = 64;
	CK_TOKEN_INFO info;
	char label[33];

	snprintf(label, sizeof(label), "%-32s", project);
	if (functions->C_GetSlotList(CK_TRUE, slots, &count) != CKR_OK)
		die("the slots are not to be had");
	for (CK_ULONG i = 0; i < count; i++)
		if (functions->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
		    memcmp(info.label, label, sizeof(info.label)) == 0)
			return slots[i];
	die("there is no project %s", project);
}

/* A zone's object is the key that has CKA_CMEK_VERSION. */
static CK_OBJECT_HANDLE ezk_of(const struct envelope_token *token, const char *database)
{
	CK_OBJECT_CLASS secret_key = CKO_SECRET_KEY;
	CK_ATTRIBUTE template[] = {{CKA_CLASS, &secret_key, sizeof(secret_key)},
				   {CKA_LABEL, (void *)database, strlen(database)}};
	CK_OBJECT_HANDLE found[16];
	CK_ULONG count = 0;

	token->functions->C_FindObjectsInit(token->session, template, 2);
	token->functions->C_FindObjects(token->session, found, 16, &count);
	token->functions->C_FindObjectsFinal(token->session);
	for (CK_ULONG i = 0; i < count; i++) {
		CK_ATTRIBUTE version = {CKA_CMEK_VERSION, NULL, 0};

		if (token->functions->C_GetAttributeValue(token->session, found[i], &version, 1) ==
		    CKR_OK)
			return found[i];
	}
	die("there is no database %s", database);
}

static uint64_t id_of(const struct envelope_token *token, CK_OBJECT_HANDLE ezk)
{
	uint8_t bytes[8] = {0};
	CK_ATTRIBUTE id = {CKA_CMEK_ZONE, bytes, sizeof(bytes)};
	uint64_t value = 0;

	if (token->functions->C_GetAttributeValue(token->session, ezk, &id, 1) != CKR_OK)
		die("the zone has no id");
	for (int i = 0; i < 8; i++)
		value = value << 8 | bytes[i];
	return value;
}

void zone_open(const char *project, const char *database, struct zone *ret_zone)
{
	const CK_FUNCTION_LIST *functions = load();
	struct zone zone = {.token.functions = functions};

	if (functions->C_OpenSession(slot_of(functions, project), CKF_SERIAL_SESSION, NULL, NULL,
				     &zone.token.session) != CKR_OK)
		die("there is no session on project %s", project);
	zone.ezk = ezk_of(&zone.token, database);
	zone.id = id_of(&zone.token, zone.ezk);
	*ret_zone = zone;
}

void zone_close(struct zone *zone)
{
	envelope_token_clear(&zone->token);
	zone->token.functions->C_Finalize(NULL);
}

void zone_wait(const struct zone *zone, const char *what, enum envelope_status status,
	       const struct envelope_error *error, unsigned *attempt)
{
	unsigned ms = envelope_retry_ms(++*attempt);
	struct timespec time = {ms / 1000, ms % 1000 * 1000000L};

	(void)zone;
	if (!envelope_may_pass(status, error))
		die("%s: %s%s%s (%s %#lx, reason %lu): stopped", what, envelope_status_text(status),
		    error->text[0] == '\0' ? "" : ": ", error->text,
		    error->function == NULL ? "" : error->function, error->rv, error->reason);
	/* The module itself has said why, in its log. */
	fprintf(stderr, "%s: waiting %u ms, reason %lu\n", what, ms, error->reason);
	nanosleep(&time, NULL);
}
