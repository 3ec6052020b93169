/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "library/error.h"

#include "base/macros.h"
#include "base/system_error.h"
#include "envelope/retry.h"
#include "library/module.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Kinds ----------------------------------------------------------------------------------- */

static const struct {
	enum envelope_status status;
	enum cmek_status kind;
	const char *remedy;
} statuses[] = {
	{ENVELOPE_EMPTY, CMEK_NOT_AN_ENVELOPE, "was it emptied, or never written?"},
	{ENVELOPE_NOT_AN_ENVELOPE, CMEK_NOT_AN_ENVELOPE, "is it plain data, or the wrong file?"},
	{ENVELOPE_NEWER, CMEK_NEWER, "read it with a newer cmek"},
	{ENVELOPE_DAMAGED, CMEK_DAMAGED, "fetch it again or take a backup"},
	{ENVELOPE_NAME_NEEDED, CMEK_REFUSED, "give the name that it was sealed with"},
	{ENVELOPE_WRONG_NAME, CMEK_REFUSED, "was the object moved or swapped?"},
	{ENVELOPE_NOT_BOUND, CMEK_REFUSED, "leave out the name if that is as it should be"},
	{ENVELOPE_OTHER_ZONE, CMEK_REFUSED, "see cmek inspect for its zone"},
	{ENVELOPE_ZONE_UNKNOWN, CMEK_NOT_FOUND, "use the store where its database lives"},
	{ENVELOPE_NO_ROOM, CMEK_REFUSED, "write it anew: cmek rewrap --rewrite"},
	{ENVELOPE_ROOT_KEY_UNKNOWN, CMEK_UNTRUSTED_ROOT,
	 "if you trust that key: cmek key add --project P KEY"},
	{ENVELOPE_TOO_LARGE, CMEK_REFUSED, "divide it"},
	{ENVELOPE_MESSAGE, CMEK_REFUSED, "open it whole, as a message"},
};

enum cmek_status library_kind_of_envelope(enum envelope_status status)
{
	for (size_t i = 0; i < COUNT_OF(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].kind;
	return status == ENVELOPE_OK ? CMEK_OK : CMEK_FAILED;
}

const char *library_remedy(enum envelope_status status)
{
	for (size_t i = 0; i < COUNT_OF(statuses); i++)
		if (statuses[i].status == status)
			return statuses[i].remedy;
	return NULL;
}

static const struct {
	CK_RV rv;
	const char *text;
	enum cmek_status kind;
} calls[] = {
	{CKR_HOST_MEMORY, "out of memory", CMEK_FAILED},
	{CKR_ARGUMENTS_BAD, "an argument is not acceptable", CMEK_FAILED},
	{CKR_ATTRIBUTE_READ_ONLY, "this cannot be changed here", CMEK_REFUSED},
	{CKR_ATTRIBUTE_VALUE_INVALID, "a value is not acceptable", CMEK_REFUSED},
	{CKR_CRYPTOKI_NOT_INITIALIZED,
	 "other code of the process has finalized the module; try again", CMEK_FAILED},
	{CKR_DEVICE_ERROR, "the KMS or the store is out of reach", CMEK_UNAVAILABLE},
	{CKR_DEVICE_MEMORY, "a limit has been reached", CMEK_REFUSED},
	{CKR_FUNCTION_FAILED, "refused", CMEK_FAILED},
	{CKR_KEY_FUNCTION_NOT_PERMITTED, "the key may not be used for this", CMEK_REFUSED},
	{CKR_KEY_UNEXTRACTABLE, "the key does not leave its place", CMEK_REFUSED},
	{CKR_KEY_NOT_WRAPPABLE, "the key belongs to another database", CMEK_REFUSED},
	{CKR_MECHANISM_INVALID, "the module does not know the mechanism", CMEK_FAILED},
	{CKR_TEMPLATE_INCONSISTENT, "the values do not fit together", CMEK_REFUSED},
	{CKR_TOKEN_WRITE_PROTECTED, "the store is read-only", CMEK_UNAVAILABLE},
	{CKR_SESSION_CLOSED, "other code of the process has closed the session; try again",
	 CMEK_FAILED},
	{CKR_SESSION_HANDLE_INVALID, "other code of the process has closed the session; try again",
	 CMEK_FAILED},
	{CKR_USER_NOT_LOGGED_IN, "a PIN is needed: give the user's", CMEK_DENIED},
	{CKR_PIN_INCORRECT, "the PIN is wrong", CMEK_DENIED},
	{CKR_PIN_LOCKED, "the PIN is locked after ten wrong ones; see docs/pin.md", CMEK_DENIED},
	{CKR_PIN_LEN_RANGE, "a PIN has 4 to 255 bytes", CMEK_REFUSED},
	{CKR_USER_PIN_NOT_INITIALIZED,
	 "the user has no PIN yet: the security officer sets it (C_InitPIN)", CMEK_DENIED},
	{CKR_WRAPPED_KEY_INVALID, "the wrapped key does not open", CMEK_DAMAGED},
};

/* Before the ranges below, in which some of these lie. */
static const struct {
	CK_ULONG reason;
	enum cmek_status kind;
} reasons[] = {
	{CMEK_ERROR_STORE_CORRUPT, CMEK_DAMAGED},
	{CMEK_ERROR_RECORD_CORRUPT, CMEK_DAMAGED},
	{CMEK_ERROR_WRAPPED_KEY_INVALID, CMEK_DAMAGED},
	{CMEK_ERROR_KMS_INVALID_CIPHERTEXT, CMEK_DAMAGED},
	{CMEK_ERROR_BACKUP_CORRUPT, CMEK_DAMAGED},
	{CMEK_ERROR_STORE_NEWER, CMEK_NEWER},
	{CMEK_ERROR_RECORD_NEWER, CMEK_NEWER},
	{CMEK_ERROR_BACKUP_NEWER, CMEK_NEWER},
	{CMEK_ERROR_STORE_NEWER_WRITER, CMEK_REFUSED},
	{CMEK_ERROR_STORE_MOVED, CMEK_REFUSED},
	{CMEK_ERROR_NOT_FOUND, CMEK_NOT_FOUND},
	{CMEK_ERROR_NO_ROOT_KEY, CMEK_NOT_FOUND},
};

/* Numbers of a kind begin at a ten's first, rules of ours at a hundred's; a new one of it follows
 * there. */
static const struct {
	CK_ULONG first, last;
	enum cmek_status kind;
} ranges[] = {
	{CMEK_ERROR_KMS_DENIED, CMEK_ERROR_KMS_DENIED + 9, CMEK_DENIED},
	{CMEK_ERROR_KMS_UNAVAILABLE, CMEK_ERROR_KMS_UNAVAILABLE + 9, CMEK_UNAVAILABLE},
	{CMEK_ERROR_STORE_UNAVAILABLE, CMEK_ERROR_AUDIT_UNAVAILABLE, CMEK_UNAVAILABLE},
	{CMEK_ERROR_EXISTS - 1, CMEK_ERROR_EXISTS + 98, CMEK_REFUSED},
};

enum cmek_status library_kind_of_call(CK_RV rv, CK_ULONG reason)
{
	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (reasons[i].reason == reason)
			return reasons[i].kind;
	for (size_t i = 0; i < COUNT_OF(ranges); i++)
		if (reason >= ranges[i].first && reason <= ranges[i].last)
			return ranges[i].kind;
	for (size_t i = 0; i < COUNT_OF(calls); i++)
		if (calls[i].rv == rv)
			return calls[i].kind;
	return CMEK_FAILED;
}

enum cmek_status library_kind_of_errno(int error)
{
	return error == ENOENT ? CMEK_NOT_FOUND : error == ENOMEM ? CMEK_FAILED : CMEK_IO;
}

const char *library_rv_text(CK_RV rv)
{
	for (size_t i = 0; i < COUNT_OF(calls); i++)
		if (calls[i].rv == rv)
			return calls[i].text;
	return NULL;
}

/* --- Lines ----------------------------------------------------------------------------------- */

enum cmek_status library_fail(struct cmek_error *error, enum cmek_status kind, const char *format,
			      ...)
{
	va_list list;

	error->status = kind;
	error->may_pass = kind == CMEK_UNAVAILABLE;
	error->system_error = 0;
	error->request_id[0] = '\0';
	va_start(list, format);
	vsnprintf(error->text, sizeof(error->text), format, list);
	va_end(list);
	for (char *at = error->text; *at != '\0'; at++)
		if ((unsigned char)*at < ' ' || *at == 0x7f) /* of a name, on somebody's terminal */
			*at = ' ';
	return kind;
}

enum cmek_status library_no_memory(struct cmek_error *error)
{
	return library_fail(error, CMEK_FAILED, "out of memory");
}

/* Whether the module's line has the zone already, as zones/model/title.h writes it. `which` is
 * "CLUSTER/NAME of project P", or something else. */
static bool names_zone(const char *said, const char *which)
{
	static const char between[] = " of project ";
	const char *project = strstr(which, between);
	char title[LIBRARY_TEXT_MAX];

	if (project == NULL)
		return false;
	snprintf(title, sizeof(title), "zone '%.*s' of project '%s'", (int)(project - which), which,
		 project + strlen(between));
	return strstr(said, title) != NULL;
}

bool library_call_may_pass(CK_RV rv, CK_ULONG reason)
{
	const struct envelope_error cause = {.rv = rv, .reason = reason};

	if (reason != CMEK_ERROR_NONE)
		return envelope_may_pass(ENVELOPE_MODULE, &cause);
	return rv == CKR_DEVICE_ERROR || rv == CKR_CRYPTOKI_NOT_INITIALIZED ||
	       rv == CKR_SESSION_CLOSED || rv == CKR_SESSION_HANDLE_INVALID;
}

/* The thread's last line of the module may be of an earlier failure: then it has another reason. */
enum cmek_status library_fail_call(struct cmek_error *error, CK_RV rv, CK_ULONG reason,
				   const char *which)
{
	CK_ULONG said_of = CMEK_ERROR_NONE;
	const char *said = library_module_last_error(&said_of);
	bool is_its = *said != '\0' && reason != CMEK_ERROR_NONE && said_of == reason;

	if (!is_its)
		said = library_rv_text(rv);
	if (said == NULL)
		library_fail(error, library_kind_of_call(rv, reason), "%s: PKCS #11 error 0x%lx",
			     which, rv);
	else if (is_its && names_zone(said, which))
		library_fail(error, library_kind_of_call(rv, reason), "%s", said);
	else
		library_fail(error, library_kind_of_call(rv, reason), "%s: %s", which, said);
	error->may_pass = library_call_may_pass(rv, reason);
	if (is_its)
		snprintf(error->request_id, sizeof(error->request_id), "%s",
			 library_module_last_request());
	return error->status;
}

void library_system_text(int system_error, const char *what, char ret_text[static LIBRARY_TEXT_MAX])
{
	bool reads = *what == '\0';

	snprintf(ret_text, LIBRARY_TEXT_MAX, "%s%s; %s", what,
		 reads ? system_error_text(system_error) : system_error_making(system_error),
		 system_error_remedy(system_error));
}

enum cmek_status library_fail_system(struct cmek_error *error, int system_error, const char *which,
				     const char *what)
{
	enum cmek_status kind = library_kind_of_errno(system_error);
	char text[LIBRARY_TEXT_MAX];

	library_system_text(system_error, what, text);
	library_fail(error, kind, "%s: %s", which, text);
	error->system_error = system_error;
	return kind;
}

void library_envelope_text(enum envelope_status status, const struct envelope_error *cause,
			   const char *remedy, char ret_text[static LIBRARY_TEXT_MAX])
{
	snprintf(ret_text, LIBRARY_TEXT_MAX, "%s%s%s%s%s", envelope_status_text(status),
		 cause->text[0] == '\0' ? "" : ": ", cause->text, remedy == NULL ? "" : "; ",
		 remedy == NULL ? "" : remedy);
}

enum cmek_status library_fail_envelope(struct cmek_error *error, const char *which,
				       enum envelope_status status,
				       const struct envelope_error *cause)
{
	char text[LIBRARY_TEXT_MAX];

	if (status == ENVELOPE_MODULE)
		return library_fail_call(error, cause->rv, cause->reason, which);
	if (status == ENVELOPE_INPUT || status == ENVELOPE_OUTPUT)
		return library_fail_system(error, cause->system_error, which,
					   status == ENVELOPE_INPUT ? "" : "cannot be written: ");
	library_envelope_text(status, cause, library_remedy(status), text);
	return library_fail(error, library_kind_of_envelope(status), "%s: %s", which, text);
}

/* --- What callers get ------------------------------------------------------------------------ */

/* For whoever can't even be told: nobody's, so it is never freed. */
static cmek_error no_memory = {.status = CMEK_FAILED, .text = "out of memory"};

enum cmek_status library_answer(enum cmek_status status, const struct cmek_error *error,
				cmek_error **ret_error)
{
	cmek_error *copy;

	if (status == CMEK_OK || ret_error == NULL)
		return status;
	copy = malloc(sizeof(*copy));
	if (copy != NULL)
		*copy = *error;
	*ret_error = copy == NULL ? &no_memory : copy;
	return status;
}

enum cmek_status cmek_error_status(const cmek_error *error)
{
	return error == NULL ? CMEK_OK : error->status;
}

const char *cmek_error_text(const cmek_error *error)
{
	return error == NULL ? "" : error->text;
}

bool cmek_error_may_pass(const cmek_error *error)
{
	return error != NULL && error->may_pass;
}

const char *cmek_error_request_id(const cmek_error *error)
{
	return error == NULL ? "" : error->request_id;
}

int cmek_error_errno(const cmek_error *error)
{
	return error == NULL ? 0 : error->system_error;
}

void cmek_error_free(cmek_error *error)
{
	if (error != &no_memory)
		free(error);
}
