/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Fails with one line on standard error. For a failed PKCS #11 call the line has the module's own
 * words or, failing those, the words of a table; and there is the exit code. */
#include "base/free.h"
#include "base/macros.h"
#include "base/name.h"
#include "base/system_error.h"
#include "cli/cli.h"
#include "cli/token.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void (*fail_prepare)(void);

static void say(const char *prefix, const char *format, va_list list)
{
	char *text = NULL;

	fflush(stdout);
	if (fail_prepare != NULL)
		fail_prepare();
	if (vasprintf(&text, format, list) < 0)
		text = NULL;
	fprintf(stderr, "cmek: %s%s\n", prefix, text == NULL ? "out of memory" : plain_text(text));
	free(text);
}

int fail(int code, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say("", format, list);
	va_end(list);
	return code;
}

void warn(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say("warning: ", format, list);
	va_end(list);
}

int fail_system(int error, const char *name, const char *what)
{
	bool reads = *what == '\0';

	return fail(error == ENOENT ? CMEK_EXIT_NOT_FOUND : CMEK_EXIT_FAILED, "%s: %s%s; %s", name,
		    what, reads ? system_error_text(error) : system_error_making(error),
		    system_error_remedy(error));
}

char *plain_text(char *text)
{
	char *to = text;

	for (const char *at = text; *at != '\0';) {
		size_t unseen = text_unseen(at);

		*to++ = unseen > 0 ? '?' : *at;
		at += unseen > 0 ? unseen : 1;
	}
	*to = '\0';
	return text;
}

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
	{CKR_KEY_UNEXTRACTABLE, "the key does not leave its place", CMEK_EXIT_REFUSED},
	{CKR_KEY_NOT_WRAPPABLE, "the key belongs to another database", CMEK_EXIT_REFUSED},
	{CKR_MECHANISM_INVALID, "the module does not know the mechanism", CMEK_EXIT_FAILED},
	{CKR_TEMPLATE_INCONSISTENT, "the values do not fit together", CMEK_EXIT_REFUSED},
	{CKR_TOKEN_WRITE_PROTECTED, "the store is read-only", CMEK_EXIT_UNAVAILABLE},
	{CKR_USER_NOT_LOGGED_IN, "a PIN is needed", CMEK_EXIT_DENIED},
	{CKR_WRAPPED_KEY_INVALID, "the wrapped key does not open", CMEK_EXIT_DAMAGED},
};

/* Numbers of a kind begin at a ten's first; a new one of it follows there. */
static bool is_among_ten(CK_ULONG reason, CK_ULONG first)
{
	return reason >= first && reason < first + 10;
}

static int code_for_reason(CK_ULONG reason)
{
	switch (reason) {
	case CMEK_ERROR_STORE_CORRUPT:
	case CMEK_ERROR_STORE_NEWER:
	case CMEK_ERROR_RECORD_CORRUPT:
	case CMEK_ERROR_RECORD_NEWER:
	case CMEK_ERROR_WRAPPED_KEY_INVALID:
	case CMEK_ERROR_KMS_INVALID_CIPHERTEXT:
	case CMEK_ERROR_BACKUP_CORRUPT:
	case CMEK_ERROR_BACKUP_NEWER:
		return CMEK_EXIT_DAMAGED;
	case CMEK_ERROR_STORE_NEWER_WRITER:
		return CMEK_EXIT_REFUSED;
	case CMEK_ERROR_NOT_FOUND:
	case CMEK_ERROR_NO_ROOT_KEY:
		return CMEK_EXIT_NOT_FOUND;
	default:
		break;
	}
	if (is_among_ten(reason, CMEK_ERROR_KMS_DENIED))
		return CMEK_EXIT_DENIED;
	if (is_among_ten(reason, CMEK_ERROR_KMS_UNAVAILABLE))
		return CMEK_EXIT_UNAVAILABLE;
	if (reason >= CMEK_ERROR_STORE_UNAVAILABLE && reason <= CMEK_ERROR_AUDIT_UNAVAILABLE)
		return CMEK_EXIT_UNAVAILABLE;
	if (reason / 100 == CMEK_ERROR_EXISTS / 100) /* any rule of ours, even one that is new */
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
	static _Thread_local char unknown[32];

	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].rv == rv)
			return rows[i].text;
	snprintf(unknown, sizeof(unknown), "PKCS #11 error 0x%lx", rv);
	return unknown;
}

int module_failed(CK_RV rv, const char *format, ...)
{
	AUTO(freep) char *what = NULL;
	CK_ULONG reason = CMEK_ERROR_NONE;
	const char *message = module_last_error(&reason);
	va_list list;

	va_start(list, format);
	if (vasprintf(&what, format, list) < 0)
		what = NULL;
	va_end(list);
	return fail(exit_code_for(rv, reason), "%s: %s", what == NULL ? "?" : what,
		    *message == '\0' ? rv_text(rv) : message);
}
