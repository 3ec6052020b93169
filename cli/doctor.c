/* cmek doctor: the module's own report (CKO_CMEK_DIAGNOSTIC), project by project. A line in which
 * something has FAILED is a fault; the exit code is 0 without one. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/token.h"

static char *read_report(const struct token *token)
{
	CK_OBJECT_CLASS class = CKO_CMEK_DIAGNOSTIC;
	CK_ATTRIBUTE template = {CKA_CLASS, &class, sizeof(class)};
	CK_OBJECT_HANDLE diagnostic = CK_INVALID_HANDLE;
	CK_ULONG count = 0;

	if (token->functions->C_FindObjectsInit(token->session, &template, 1) != CKR_OK)
		return NULL;
	token->functions->C_FindObjects(token->session, &diagnostic, 1, &count);
	token->functions->C_FindObjectsFinal(token->session);
	return count == 0 ? NULL : object_text(token, diagnostic, CKA_VALUE);
}

static bool has_fault(const char *report)
{
	return strstr(report, ": FAILED: ") != NULL;
}

static int examine(const CK_FUNCTION_LIST *functions, CK_SLOT_ID slot, json_t *list, bool *faulty)
{
	AUTO(token_close) struct token token = {0};
	AUTO(freep) char *report = NULL;

	TRY(token_open_slot(functions, slot, &token));
	report = read_report(&token);
	if (report == NULL || *report == '\0')
		return fail(CMEK_EXIT_FAILED, "project %s: the module gives no report",
			    token.project);
	*faulty |= has_fault(report);
	if (list != NULL)
		json_array_append_new(list, json_pack("{s:s, s:b, s:s}", "project", token.project,
						      "ok", !has_fault(report), "report", report));
	else
		printf("project %s\n%s\n", token.project, report);
	return CMEK_EXIT_OK;
}

int doctor_run(const struct arguments *arguments)
{
	const char *project = arguments_value(arguments, "project");
	json_t *list = arguments->json ? json_array() : NULL;
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	const CK_FUNCTION_LIST *functions;
	CK_ULONG count, examined = 0;
	bool faulty = false;
	char label[33];

	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++) {
		if (!slot_label(functions, slots[i], label, NULL) ||
		    (project != NULL && strcmp(project, label) != 0))
			continue;
		TRY(examine(functions, slots[i], list, &faulty));
		examined++;
	}
	if (list != NULL) {
		json_dumpf(list, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(list);
	}
	if (examined == 0)
		return project != NULL ? fail(CMEK_EXIT_NOT_FOUND,
					      "no project %s; see cmek project list", project)
				       : fail(CMEK_EXIT_NOT_FOUND,
					      "the module works and the store holds no project; "
					      "make one: cmek project create NAME");
	return faulty ? fail(CMEK_EXIT_UNAVAILABLE, "there are faults; see the report")
		      : CMEK_EXIT_OK;
}
