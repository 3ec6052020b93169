/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a failure is told: which kind it is (enum cmek_status), by tables of envelope's statuses, the
 * module's return values and reasons, and one line of text. The tool takes its exit codes from the
 * same kinds.
 */
#pragma once

#include "envelope/status.h"
#include "library/exported.h"

struct CMEK_FUNCTIONS;

enum { LIBRARY_TEXT_MAX = 1024, LIBRARY_REQUEST_MAX = 64 };

/* A failure, on the stack of the call that meets it; what a caller gets is a copy. */
struct cmek_error {
	enum cmek_status status;
	bool may_pass;
	int system_error; /* errno, of CMEK_IO */
	char request_id[LIBRARY_REQUEST_MAX];
	char text[LIBRARY_TEXT_MAX];
};

/* --- Kinds */

/* CMEK_FAILED for ENVELOPE_MODULE, INPUT and OUTPUT, which have tables of their own. */
enum cmek_status library_kind_of_envelope(enum envelope_status status);
/* Of a PKCS #11 call: the reason (CMEK_ERROR_…) decides where there is one. */
enum cmek_status library_kind_of_call(CK_RV rv, CK_ULONG reason);
/* Whether it may pass by itself: the reason says it; without one, what is out of reach may come
 * back, and what others of the process have closed is opened anew. */
bool library_call_may_pass(CK_RV rv, CK_ULONG reason);
enum cmek_status library_kind_of_errno(int error);
/* What to do, as the end of a line; NULL: nothing is known. */
const char *library_remedy(enum envelope_status status);
/* A return value in words; NULL: no table has it. */
const char *library_rv_text(CK_RV rv);

/* --- What stands in a line after the name of a file and a colon, here and in the tool */

/* `what` is "" for a file that is read, else as "cannot be written: ". */
void library_system_text(int system_error, const char *what,
			 char ret_text[static LIBRARY_TEXT_MAX]);
/* `remedy`: what to do; NULL: nothing is known. */
void library_envelope_text(enum envelope_status status, const struct envelope_error *cause,
			   const char *remedy, char ret_text[static LIBRARY_TEXT_MAX]);

/* --- Lines. Each fills `error` and answers its kind. */

enum cmek_status library_fail(struct cmek_error *error, enum cmek_status kind, const char *format,
			      ...) __attribute__((format(printf, 3, 4)));
/* A call of the module that failed; the module's own words if it has some for this reason, alone
 * where they name the zone that `which` is the title of. */
enum cmek_status library_fail_call(struct cmek_error *error, CK_RV rv, CK_ULONG reason,
				   const char *which);
enum cmek_status library_fail_envelope(struct cmek_error *error, const char *which,
				       enum envelope_status status,
				       const struct envelope_error *cause);
/* `what` as above. */
enum cmek_status library_fail_system(struct cmek_error *error, int system_error, const char *which,
				     const char *what);
enum cmek_status library_no_memory(struct cmek_error *error);

/* What a function of the public header answers: a copy for the caller, if it wants one. */
enum cmek_status library_answer(enum cmek_status status, const struct cmek_error *error,
				cmek_error **ret_error);
