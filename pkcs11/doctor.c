/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The doctor's rows as a program gets them: first those of the module, then those of zones/. */
#include "pkcs11/doctor.h"

#include "base/macros.h"
#include "base/thread.h"
#include "objects/error.h"
#include "pkcs11/module.h"
#include "zones/domain/doctor.h"

#include <unistd.h>

static const CK_ULONG verdicts[] = {
	[DOCTOR_FINE] = CMEK_VERDICT_FINE,
	[DOCTOR_NOTE] = CMEK_VERDICT_NOTE,
	[DOCTOR_UNSET] = CMEK_VERDICT_UNSET,
	[DOCTOR_FAULT] = CMEK_VERDICT_FAULT,
};

/* Of a row whose buffers end in NUL. */
static const char *text_of(const struct buffer *buffer)
{
	return buffer->data == NULL ? "" : (const char *)buffer->data;
}

/* A report under way: what the program wants, and how several things are asked. */
struct look {
	const struct CMEK_DOCTOR *request;
	pid_t process;	     /* of the call: a child of a fork within it is told nothing */
	CMEK_DOCTOR_RUN run; /* NULL: one after the other */
	doctor_ask *ask;
	void *asked;
};

static void put(void *state, const struct doctor_row *row)
{
	const struct look *look = state;
	const struct CMEK_DOCTOR *request = look->request;
	const struct CMEK_DOCTOR_ROW out = {
		.what = row->what,
		.which = text_of(&row->which),
		.details = text_of(&row->details),
		.project = row->project == NULL ? "" : row->project,
		.said = text_of(&row->said),
		.verdict = verdicts[row->verdict],
		.reason = row->verdict == DOCTOR_FAULT ? error_reason_of(row->status)
						       : CMEK_ERROR_NONE,
	};

	if (getpid() == look->process)
		request->put(request->state, &out);
}

/* The module is borrowed on each thread as in any call: not in a fork's child, and what the KMS is
 * asked stands in the audit log as asked by this function. */
static void ask(void *state, CK_ULONG number)
{
	AUTO(module_return) struct module *module = NULL;
	const struct look *look = state;

	if (module_borrow_for("CMEK_Doctor", &module) == CKR_OK)
		look->ask(look->asked, number);
}

static void run(void *state, size_t count, doctor_ask *ask_one, void *asked)
{
	struct look *look = state;

	look->ask = ask_one;
	look->asked = asked;
	look->run(look->request->state, count, ask, look);
}

/* So that C_Finalize, which waits for all calls to end, does not wait for its own. */
static void calls_back_no_more(struct thread_notes **notes)
{
	if (*notes != NULL)
		(*notes)->calls_back = false;
}

static CK_RV begin_calling_back(struct thread_notes **ret_notes)
{
	struct thread_notes *notes = thread_notes();

	if (notes == NULL)
		return CKR_HOST_MEMORY;
	if (notes->calls_back)
		return CKR_FUNCTION_FAILED;
	notes->calls_back = true;
	*ret_notes = notes;
	return CKR_OK;
}

CK_RV doctor_look_at_once(const struct CMEK_DOCTOR *request, CMEK_DOCTOR_RUN run_parts)
{
	AUTO(module_return) struct module *module = NULL;
	AUTO(calls_back_no_more) struct thread_notes *notes = NULL;
	AUTO(buffer_clear) struct buffer text = {0};
	struct look look = {.request = request, .process = getpid(), .run = run_parts};
	struct doctor_request wanted = {
		.put = put,
		.run = run_parts == NULL ? NULL : run,
		.state = &look,
	};
	enum zone_status status;

	if (request == NULL || request->put == NULL)
		return CKR_ARGUMENTS_BAD;
	TRY(module_borrow_for("CMEK_Doctor", &module));
	TRY(begin_calling_back(&notes));
	wanted.project = request->project;
	wanted.kms_key = request->kms_key;
	wanted.all_zones = request->all_zones != CK_FALSE;
	module_describe(module, &text);
	if (text.failed)
		return CKR_HOST_MEMORY;
	doctor_put_lines(buffer_bytes(&text), put, wanted.state);
	if (getpid() != look.process) /* the store is the parent's */
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	status = zones_doctor_rows(module->zones, &wanted);
	if (getpid() != look.process)
		return CKR_CRYPTOKI_NOT_INITIALIZED;
	if (status == ZONE_NOT_FOUND)
		return CKR_TOKEN_NOT_PRESENT;
	return error_of_zone(status, ERROR_TOKEN);
}

CK_RV doctor_look(const struct CMEK_DOCTOR *request)
{
	return doctor_look_at_once(request, NULL);
}
