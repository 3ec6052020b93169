/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/each.h"

#include "base/macros.h"
#include "cli/progress.h"
#include "cli/said.h"
#include "cli/selection.h"

#include <stdio.h>
#include <string.h>

void each_failed(struct each *each, int code)
{
	each->failed++;
	if (each->code == CMEK_EXIT_OK)
		each->code = code;
	if (!each->printer.json)
		return;
	if (each->failures == NULL)
		each->failures = json_array();
	json_array_append_new(each->failures, said_json(code, fail_here.text, fail_here.which_len));
}

void each_print_failures(struct each *each)
{
	if (!each->printer.json)
		return;
	print_take_json(&each->printer, "failures",
			each->failures == NULL ? strdup("[]")
					       : json_dumps(each->failures, JSON_COMPACT));
	json_decref(each->failures);
	each->failures = NULL;
}

static int run_steps(struct each *each, const struct selection *selection)
{
	struct progress progress;
	int code = CMEK_EXIT_OK;

	progress_begin(&progress, each->doing, selection->count);
	for (size_t i = 0; i < selection->count && code == CMEK_EXIT_OK; i++) {
		progress_step(&progress, i);
		code = each->step(each, selection->zones[i]);
	}
	progress_end(&progress);
	return code;
}

static int print(struct each *each)
{
	if (each->count == 0 && asprintf(&each->printer.empty, "%s in project %s", each->nothing,
					 each->token->project) < 0)
		each->printer.empty = NULL;
	return print_end(&each->printer);
}

int each_run(const struct arguments *arguments, struct each *each)
{
	AUTO(selection_clear) struct selection selection = {0};
	AUTO(token_close) struct token token = {0};
	int code;

	TRY(selection_check(arguments));
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(selection_find(arguments, &token, &selection));
	each->token = &token;
	each->dry_run = arguments_value(arguments, "dry-run") != NULL;
	each->single = selection.single;
	each->count = selection.count;
	each->printer.json = arguments->json;
	each->printer.single = selection.single && selection.count == 1;
	code = run_steps(each, &selection);
	if (code == CMEK_EXIT_OK)
		code = print(each);
	each->token = NULL;
	return code;
}
