/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Fails with one line on standard error, words or a JSON object. For a failed PKCS #11 call the
 * line has the module's own words or, failing those, the words of a table (library/error.h), which
 * also knows the kind of failure; each kind has its exit code here. */
#include "base/free.h"
#include "base/macros.h"
#include "base/name.h"
#include "cli/cli.h"
#include "cli/said.h"
#include "cli/token.h"
#include "library/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void (*fail_prepare)(void);
bool fail_in_json;
_Thread_local struct fail_here fail_here;

/* What a line is about stands first: "%s: …". */
static size_t length_of_which(const char *format, va_list list)
{
	size_t len;
	va_list copy;

	if (strncmp(format, "%s: ", 4) != 0)
		return 0;
	va_copy(copy, list);
	len = strlen(va_arg(copy, const char *));
	va_end(copy);
	return len;
}

static void remember(const char *text, size_t which_len)
{
	snprintf(fail_here.text, sizeof(fail_here.text), "%s", text);
	fail_here.which_len = which_len < strlen(fail_here.text) ? which_len : 0;
}

static void write_json(int code, const char *text, size_t which_len)
{
	json_t *said = said_json(code, text, which_len);
	AUTO(freep) char *line = said == NULL ? NULL : json_dumps(said, JSON_COMPACT);

	fprintf(stderr, "%s\n", line == NULL ? "{\"message\":\"out of memory\"}" : line);
	json_decref(said);
}

static void say(int code, const char *format, va_list list)
{
	size_t which_len = length_of_which(format, list);
	char *text = NULL;

	fflush(stdout);
	if (fail_prepare != NULL)
		fail_prepare();
	if (vasprintf(&text, format, list) < 0)
		text = NULL;
	if (code != CMEK_EXIT_OK)
		remember(text == NULL ? "" : text, which_len);
	if (fail_in_json && text != NULL)
		write_json(code, text, which_len);
	else
		fprintf(stderr, "cmek: %s%s\n", code == CMEK_EXIT_OK ? "warning: " : "",
			text == NULL ? "out of memory" : plain_text(text));
	free(text);
}

int fail(int code, const char *format, ...)
{
	va_list list;

	if (fail_here.silent)
		return code;
	va_start(list, format);
	say(code, format, list);
	va_end(list);
	return code;
}

void warn(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	say(CMEK_EXIT_OK, format, list);
	va_end(list);
}

int fail_system(int error, const char *name, const char *what)
{
	char text[LIBRARY_TEXT_MAX];

	library_system_text(error, what, text);
	return fail(exit_code_of(library_kind_of_errno(error)), "%s: %s", name, text);
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

int exit_code_of(enum cmek_status kind)
{
	static const int codes[] = {
		[CMEK_OK] = CMEK_EXIT_OK,
		[CMEK_DENIED] = CMEK_EXIT_DENIED,
		[CMEK_UNAVAILABLE] = CMEK_EXIT_UNAVAILABLE,
		[CMEK_NOT_FOUND] = CMEK_EXIT_NOT_FOUND,
		[CMEK_REFUSED] = CMEK_EXIT_REFUSED,
		[CMEK_DAMAGED] = CMEK_EXIT_DAMAGED,
		[CMEK_NOT_AN_ENVELOPE] = CMEK_EXIT_DAMAGED,
		[CMEK_NEWER] = CMEK_EXIT_DAMAGED,
		[CMEK_UNTRUSTED_ROOT] = CMEK_EXIT_NOT_FOUND,
		[CMEK_IO] = CMEK_EXIT_FAILED,
		[CMEK_FAILED] = CMEK_EXIT_FAILED,
	};

	return (size_t)kind < COUNT_OF(codes) ? codes[kind] : CMEK_EXIT_FAILED;
}

/* A PIN that is too short or too long is the command line's, unless a rule of the module's spoke.
 */
int exit_code_for(CK_RV rv, CK_ULONG reason)
{
	int code = exit_code_of(library_kind_of_call(rv, reason));

	return rv == CKR_PIN_LEN_RANGE && code == CMEK_EXIT_REFUSED && reason == CMEK_ERROR_NONE
		       ? CMEK_EXIT_USAGE
		       : code;
}

const char *rv_text(CK_RV rv)
{
	static _Thread_local char unknown[32];
	const char *text = library_rv_text(rv);

	if (rv == CKR_USER_NOT_LOGGED_IN)
		return "a PIN is needed: --pin-file, or for root keys and clusters --so-pin-file";
	if (text != NULL)
		return text;
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
