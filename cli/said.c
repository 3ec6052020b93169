/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/said.h"

#include "base/free.h"
#include "base/macros.h"
#include "cli/print.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <string.h>

#define BEFORE_WHAT   ": "
#define BEFORE_ADVICE "; "

static const char *status_word(int code)
{
	static const char *const words[] = {
		[CMEK_EXIT_OK] = "warning",
		[CMEK_EXIT_FAILED] = "failed",
		[CMEK_EXIT_USAGE] = "usage",
		[CMEK_EXIT_NOT_FOUND] = "not found",
		[CMEK_EXIT_REFUSED] = "refused",
		[CMEK_EXIT_DENIED] = "denied",
		[CMEK_EXIT_UNAVAILABLE] = "out of reach",
		[CMEK_EXIT_DAMAGED] = "damaged",
	};

	return code >= 0 && (size_t)code < COUNT_OF(words) ? words[code] : "failed";
}

const char *said_advice(const char *text)
{
	const char *last = NULL;

	for (const char *at = text; (at = strstr(at, BEFORE_ADVICE)) != NULL;
	     at += strlen(BEFORE_ADVICE))
		last = at;
	return last == NULL ? NULL : last + strlen(BEFORE_ADVICE);
}

json_t *said_json(int code, const char *text, size_t which_len)
{
	const char *begin = which_len == 0 ? text : text + which_len + strlen(BEFORE_WHAT);
	const char *advice = said_advice(begin);
	AUTO(freep) char *which = strndup(text, which_len);
	AUTO(freep)
	char *what = advice == NULL
			     ? strdup(begin)
			     : strndup(begin, (size_t)(advice - begin) - strlen(BEFORE_ADVICE));

	if (which == NULL || what == NULL)
		return NULL;
	return json_pack("{s:o, s:o, s:o, s:o, s:s, s:i}", "message", print_json_text(text),
			 "which", print_json_text(which), "what", print_json_text(what), "to_do",
			 print_json_text(advice == NULL ? "" : advice), "status", status_word(code),
			 "exit_code", code);
}
