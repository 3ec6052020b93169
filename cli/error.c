/* What a failed PKCS #11 call means to a person: the module's own words first, then a table; and
 * the exit code. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/token.h"

static const struct {
	CK_RV rv;
	const char *text;
	int code;
} rows[] = {
	{CKR_HOST_MEMORY, "out of memory", CMEK_EXIT_FAILED},
	{CKR_ARGUMENTS_BAD, "an argument is not acceptable", CMEK_EXIT_FAILED},
	{CKR_ATTRIBUTE_READ_ONLY, "this cannot be changed here", CMEK_EXIT_REFUSED},
	{CKR_ATTRIBUTE_VALUE_INVALID, "a value is not acceptable", CMEK_EXIT_REFUSED},
	{CKR_DEVICE_ERROR, "the KMS or the store is out of reach", CMEK_EXIT_UNAVAILABLE},
	{CKR_DEVICE_MEMORY, "a limit has been reached", CMEK_EXIT_REFUSED},
	{CKR_FUNCTION_FAILED, "refused", CMEK_EXIT_FAILED},
	{CKR_KEY_FUNCTION_NOT_PERMITTED, "the key may not be used for this", CMEK_EXIT_DENIED},
	{CKR_KEY_NOT_WRAPPABLE, "the key belongs to another database", CMEK_EXIT_REFUSED},
	{CKR_MECHANISM_INVALID, "the module does not know the mechanism", CMEK_EXIT_FAILED},
	{CKR_TEMPLATE_INCONSISTENT, "the values do not fit together", CMEK_EXIT_REFUSED},
	{CKR_TOKEN_WRITE_PROTECTED, "the store is read-only", CMEK_EXIT_UNAVAILABLE},
	{CKR_USER_NOT_LOGGED_IN, "a PIN is needed", CMEK_EXIT_DENIED},
	{CKR_WRAPPED_KEY_INVALID, "the wrapped key does not open", CMEK_EXIT_DAMAGED},
};

static int code_for_reason(CK_ULONG reason)
{
	switch (reason) {
	case CMEK_ERROR_STORE_CORRUPT:
	case CMEK_ERROR_STORE_NEWER:
	case CMEK_ERROR_RECORD_CORRUPT:
	case CMEK_ERROR_WRAPPED_KEY_INVALID:
	case CMEK_ERROR_KMS_INVALID_CIPHERTEXT:
		return CMEK_EXIT_DAMAGED;
	case CMEK_ERROR_NOT_FOUND:
	case CMEK_ERROR_NO_ROOT_KEY:
		return CMEK_EXIT_NOT_FOUND;
	default:
		break;
	}
	if (reason >= CMEK_ERROR_KMS_DENIED && reason <= CMEK_ERROR_KMS_NOT_FOUND)
		return CMEK_EXIT_DENIED;
	if (reason >= CMEK_ERROR_KMS_UNAVAILABLE && reason <= CMEK_ERROR_KMS_MISCONFIGURED)
		return CMEK_EXIT_UNAVAILABLE;
	if (reason >= CMEK_ERROR_STORE_UNAVAILABLE && reason <= CMEK_ERROR_STORE_CONFLICT)
		return CMEK_EXIT_UNAVAILABLE;
	if (reason >= CMEK_ERROR_EXISTS && reason <= CMEK_ERROR_IMPORTED)
		return CMEK_EXIT_REFUSED;
	return -1;
}

int exit_code_for(CK_RV rv, CK_ULONG reason)
{
	int code = code_for_reason(reason);

	for (size_t i = 0; code < 0 && i < COUNT_OF(rows); i++)
		if (rows[i].rv == rv)
			code = rows[i].code;
	return code < 0 ? CMEK_EXIT_FAILED : code;
}

const char *rv_text(CK_RV rv)
{
	static char unknown[32];

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].rv == rv)
			return rows[i].text;
	snprintf(unknown, sizeof(unknown), "PKCS #11 error 0x%lx", rv);
	return unknown;
}

/* The module's own words about the last error of this thread; NULL: none (or no session to ask in).
 */
static char *module_message(const struct token *token)
{
	CK_OBJECT_CLASS class = CKO_CMEK_DIAGNOSTIC;
	CK_ATTRIBUTE template = {CKA_CLASS, &class, sizeof(class)};
	CK_OBJECT_HANDLE diagnostic = CK_INVALID_HANDLE;
	CK_ULONG count = 0;
	char *text;
	CK_RV rv;

	if (token->session == CK_INVALID_HANDLE)
		return NULL;
	rv = token->functions->C_FindObjectsInit(token->session, &template, 1);
	if (rv == CKR_OPERATION_ACTIVE) { /* the search is what failed */
		token->functions->C_FindObjectsFinal(token->session);
		rv = token->functions->C_FindObjectsInit(token->session, &template, 1);
	}
	if (rv != CKR_OK)
		return NULL;
	token->functions->C_FindObjects(token->session, &diagnostic, 1, &count);
	token->functions->C_FindObjectsFinal(token->session);
	text = count == 0 ? NULL : object_text(token, diagnostic, CKA_CMEK_MESSAGE);
	if (text != NULL && *text != '\0')
		return text;
	free(text);
	return NULL;
}

int token_failed(const struct token *token, CK_RV rv, const char *format, ...)
{
	CK_SESSION_INFO info = {0};
	AUTO(freep) char *message = NULL;
	char what[512];
	va_list list;

	va_start(list, format);
	vsnprintf(what, sizeof(what), format, list);
	va_end(list);
	if (token->session != CK_INVALID_HANDLE)
		token->functions->C_GetSessionInfo(token->session, &info);
	message = module_message(token);
	return fail(exit_code_for(rv, info.ulDeviceError), "%s: %s", what,
		    message != NULL ? message : rv_text(rv));
}
