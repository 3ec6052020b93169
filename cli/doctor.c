/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek doctor: the module's own report (CKO_CMEK_DIAGNOSTIC), project by project. A line with
 * FAILED is a fault; the exit code is 0 without one, else that of the gravest. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/token.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Faults that waiting does not cure come first. */
static int graver(int a, int b)
{
	static const int order[] = {CMEK_EXIT_DAMAGED, CMEK_EXIT_DENIED, CMEK_EXIT_UNAVAILABLE};

	for (size_t i = 0; i < COUNT_OF(order); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return a != CMEK_EXIT_OK ? a : b;
}

/* The exit code for the faults of the report that was just read; false: it can't be determined. */
static bool read_faults(const struct token *token, CK_OBJECT_HANDLE diagnostic, int *ret_code)
{
	CK_ULONG faults[64];
	CK_ATTRIBUTE attribute = {CKA_CMEK_FAULTS, faults, sizeof(faults)};

	*ret_code = CMEK_EXIT_OK;
	if (token->functions->C_GetAttributeValue(token->session, diagnostic, &attribute, 1) !=
	    CKR_OK)
		return false;
	for (size_t i = 0; i < attribute.ulValueLen / sizeof(CK_ULONG); i++)
		*ret_code = graver(*ret_code, exit_code_for(CKR_FUNCTION_FAILED, faults[i]));
	return true;
}

static int examine(const CK_FUNCTION_LIST *functions, CK_SLOT_ID slot, json_t *list, int *found)
{
	AUTO(token_close) struct token token = {0};
	AUTO(freep) char *report = NULL;
	CK_OBJECT_HANDLE diagnostic;
	int code;

	TRY(token_open_slot(functions, slot, &token));
	diagnostic = token_diagnostic(&token);
	report = object_text(&token, diagnostic, CKA_VALUE);
	if (report == NULL || *report == '\0' || !read_faults(&token, diagnostic, &code))
		return fail(CMEK_EXIT_FAILED, "project %s: the module gives no report",
			    token.project);
	*found = graver(*found, code);
	if (list != NULL)
		json_array_append_new(list,
				      json_pack("{s:s, s:b, s:s}", "project", token.project, "ok",
						code == CMEK_EXIT_OK, "report", report));
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
	int found = CMEK_EXIT_OK;
	char label[TOKEN_LABEL_SIZE];

	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++) {
		if (!slot_label(functions, slots[i], label, NULL) ||
		    (project != NULL && strcmp(project, label) != 0))
			continue;
		TRY(examine(functions, slots[i], list, &found));
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
	return found != CMEK_EXIT_OK ? fail(found, "there are faults; see the report")
				     : CMEK_EXIT_OK;
}
