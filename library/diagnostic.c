/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/diagnostic.h"

#include "base/free.h"
#include "base/macros.h"

#include <stdlib.h>
#include <string.h>

CK_OBJECT_HANDLE library_diagnostic(const CK_FUNCTION_LIST *functions, CK_SESSION_HANDLE session)
{
	CK_OBJECT_CLASS class = CKO_CMEK_DIAGNOSTIC;
	CK_ATTRIBUTE template = {CKA_CLASS, &class, sizeof(class)};
	CK_OBJECT_HANDLE diagnostic = CK_INVALID_HANDLE;
	CK_ULONG count = 0;

	if (functions->C_FindObjectsInit(session, &template, 1) != CKR_OK)
		return CK_INVALID_HANDLE;
	if (functions->C_FindObjects(session, &diagnostic, 1, &count) != CKR_OK)
		count = 0;
	functions->C_FindObjectsFinal(session);
	return count == 0 ? CK_INVALID_HANDLE : diagnostic;
}

char *library_store_facts(const CK_FUNCTION_LIST *functions, CK_SESSION_HANDLE session)
{
	CK_OBJECT_HANDLE diagnostic = library_diagnostic(functions, session);
	CK_ATTRIBUTE facts = {CKA_CMEK_STORE, NULL, 0};
	AUTO(freep) char *text = NULL;

	if (diagnostic == CK_INVALID_HANDLE ||
	    functions->C_GetAttributeValue(session, diagnostic, &facts, 1) != CKR_OK ||
	    facts.ulValueLen == CK_UNAVAILABLE_INFORMATION)
		return NULL;
	text = calloc(1, facts.ulValueLen + 1);
	facts.pValue = text;
	if (text == NULL ||
	    functions->C_GetAttributeValue(session, diagnostic, &facts, 1) != CKR_OK)
		return NULL;
	return TAKE(text);
}

/* Whether the JSON of zones/domain/levels.c has the name with the value false, however it is
 * spaced. Within a text these quotation marks have a backslash before them, a whole text has no
 * colon behind it, and no object in it has the name. tests/e2e/store_levels.py has such a store. */
static bool is_false(const char *facts, const char *name)
{
	static const char space[] = " \t\r\n";

	for (const char *at = facts; (at = strstr(at, name)) != NULL;) {
		at += strlen(name);
		at += strspn(at, space);
		if (*at == ':')
			return strncmp(at + 1 + strspn(at + 1, space), "false", strlen("false")) ==
			       0;
	}
	return false;
}

bool library_store_is_partial(const CK_FUNCTION_LIST *functions, CK_SESSION_HANDLE session)
{
	AUTO(freep) char *facts = library_store_facts(functions, session);

	return facts != NULL && is_false(facts, "\"reads\"");
}
