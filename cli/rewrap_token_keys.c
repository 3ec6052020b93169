/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek database rewrap --token-keys: keys that the store keeps are wrapped anew by the newest
 * version of their databases' keys, so that nothing in the store needs the older ones. One
 * transaction each: it can be stopped at any moment, and be gone on with by the same command. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/selection.h"
#include "cli/versions.h"

#include <string.h>

struct run {
	const struct token *token;
	bool dry_run;
	size_t rewrapped, there, failed; /* of the database under way */
	size_t all_failed;
	int code; /* of the first failure */
};

static void note_failure(struct run *run, CK_OBJECT_HANDLE key, const char *database, CK_RV rv)
{
	AUTO(freep) char *label = object_text(run->token, key, CKA_LABEL);
	int code = module_failed(rv, "wrapping token key '%s' of database %s of project %s anew",
				 label == NULL ? "" : plain_text(label), database,
				 run->token->project);

	run->failed++;
	run->all_failed++;
	if (run->code == CMEK_EXIT_OK)
		run->code = code;
}

static void rewrap_key(struct run *run, CK_OBJECT_HANDLE key, const char *database,
		       CK_ULONG primary)
{
	CK_ATTRIBUTE change = {CKA_CMEK_WRAP_VERSION, &primary, sizeof(primary)};
	CK_ULONG by = object_number(run->token, key, CKA_CMEK_WRAP_VERSION);
	CK_RV rv;

	if (by == 0) /* the database itself, or gone meanwhile */
		return;
	if (by == primary) {
		run->there++;
		return;
	}
	rv = run->dry_run ? CKR_OK
			  : run->token->functions->C_SetAttributeValue(run->token->session, key,
								       &change, 1);
	if (rv == CKR_OK)
		run->rewrapped++;
	else if (rv != CKR_OBJECT_HANDLE_INVALID)
		note_failure(run, key, database, rv);
}

static int rewrap_database(struct run *run, CK_OBJECT_HANDLE zone, struct printer *printer)
{
	AUTO(freep) char *label = object_text(run->token, zone, CKA_LABEL);
	CK_ULONG primary = object_number(run->token, zone, CKA_CMEK_VERSION);
	AUTO(buffer_clear) struct buffer found = {0};
	CK_OBJECT_HANDLE key;

	run->rewrapped = run->there = run->failed = 0;
	TRY(versions_stored(run->token, object_zone_id(run->token, zone), &found));
	for (size_t at = 0; at + sizeof(key) <= found.len; at += sizeof(key)) {
		memcpy(&key, found.data + at, sizeof(key));
		rewrap_key(run, key, label == NULL ? "" : label, primary);
	}
	print_row(printer);
	print_text(printer, "database", label);
	print_number(printer, "version", primary);
	print_number(printer, run->dry_run ? "to_rewrap" : "rewrapped", run->rewrapped);
	print_number(printer, "there", run->there);
	print_number(printer, "failed", run->failed);
	return CMEK_EXIT_OK;
}

int rewrap_token_keys(const struct arguments *arguments)
{
	struct printer printer = {.json = arguments->json};
	AUTO(selection_clear) struct selection selection = {0};
	AUTO(token_close) struct token token = {0};
	struct run run = {.token = &token,
			  .dry_run = arguments_value(arguments, "dry-run") != NULL};
	struct progress progress;
	int code = CMEK_EXIT_OK;

	TRY(selection_check(arguments));
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(selection_find(arguments, &token, &selection));
	printer.single = selection.single && selection.count == 1;
	progress_begin(&progress, "wrapping token keys of databases", selection.count);
	for (size_t i = 0; i < selection.count && code == CMEK_EXIT_OK; i++) {
		progress_step(&progress, i);
		code = rewrap_database(&run, selection.zones[i], &printer);
	}
	progress_end(&progress);
	TRY(code);
	TRY(print_end(&printer));
	if (run.all_failed > 0)
		fail(run.code,
		     "%zu token keys are wrapped as before; what was done stays: run it again",
		     run.all_failed);
	return run.code;
}
