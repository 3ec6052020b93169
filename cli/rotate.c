/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek database rotate and set: a new version of databases' keys, and which versions are used. Each
 * database is a step of its own, so that what was done stays done when the rest fails. */
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/selection.h"
#include "cli/token.h"
#include "cli/versions.h"

#include <stdlib.h>
#include <string.h>

static CK_RV set_number(const struct token *token, CK_OBJECT_HANDLE zone, CK_ATTRIBUTE_TYPE type,
			CK_ULONG number)
{
	CK_ATTRIBUTE attribute = {type, &number, sizeof(number)};

	return token->functions->C_SetAttributeValue(token->session, zone, &attribute, 1);
}

/* --- Rotation */

/* Of several, one that fails does not stop the others. */
struct run {
	const struct token *token;
	bool dry_run, single;
	size_t rotated, failed;
	int code; /* of the first failure */
};

static const char *failed(struct run *run, CK_RV rv, const char *label)
{
	int code =
		module_failed(rv, "rotating database %s of project %s", label, run->token->project);

	run->failed++;
	if (run->code == CMEK_EXIT_OK)
		run->code = code;
	return "failed";
}

/* The word for what was done. */
static const char *rotate(struct run *run, CK_OBJECT_HANDLE zone, const char *label, CK_ULONG from)
{
	CK_ULONG reason;
	CK_RV rv;

	if (!run->single && object_is_imported(run->token, zone))
		return "imported: left as it is";
	if (run->dry_run)
		return "would be rotated";
	rv = set_number(run->token, zone, CKA_CMEK_VERSION, from + 1);
	if (rv == CKR_OK) {
		run->rotated++;
		return "rotated";
	}
	module_last_error(&reason);
	return reason == CMEK_ERROR_ROTATED ? "rotated by somebody else" : failed(run, rv, label);
}

static void rotate_row(struct run *run, CK_OBJECT_HANDLE zone, struct printer *printer)
{
	AUTO(freep) char *label = object_text(run->token, zone, CKA_LABEL);
	CK_ULONG from = object_number(run->token, zone, CKA_CMEK_VERSION);
	const char *outcome = rotate(run, zone, label == NULL ? "" : label, from);

	print_row(printer);
	print_text(printer, "database", label);
	print_id(printer, "zone", object_zone_id(run->token, zone));
	print_number(printer, "from", from);
	print_number(printer, "version", object_number(run->token, zone, CKA_CMEK_VERSION));
	print_text(printer, "outcome", outcome);
}

int database_rotate(const struct arguments *arguments)
{
	struct printer printer = {.json = arguments->json};
	AUTO(selection_clear) struct selection selection = {0};
	AUTO(token_close) struct token token = {0};
	struct run run = {.token = &token,
			  .dry_run = arguments_value(arguments, "dry-run") != NULL};
	struct progress progress;

	TRY(selection_check(arguments));
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(selection_find(arguments, &token, &selection));
	run.single = selection.single;
	printer.single = selection.single && selection.count == 1;
	progress_begin(&progress, "rotating databases", selection.count);
	for (size_t i = 0; i < selection.count; i++) {
		progress_step(&progress, i);
		rotate_row(&run, selection.zones[i], &printer);
	}
	progress_end(&progress);
	TRY(print_end(&printer));
	if (run.failed > 0 && !run.single)
		fail(run.code,
		     "%zu of %zu databases were not rotated; what was done stays: go on with "
		     "--older-than 1",
		     run.failed, selection.count);
	return run.code;
}

/* --- What can be set of a database */

struct settings {
	const struct arguments *arguments;
	const struct token *token;
	CK_OBJECT_HANDLE zone;
};

static int version_option(const struct arguments *arguments, const char *name,
			  uint64_t *ret_version)
{
	const char *text = arguments_value(arguments, name);

	if (text == NULL || (decimal_decode(text, UINT32_MAX - 1, ret_version) && *ret_version > 0))
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_USAGE, "--%s is the number of a version, from 1, not %s", name, text);
}

static int apply(const struct settings *settings, const char *option, CK_ATTRIBUTE_TYPE type,
		 uint64_t value)
{
	CK_RV rv;

	if (arguments_value(settings->arguments, option) == NULL)
		return CMEK_EXIT_OK;
	rv = set_number(settings->token, settings->zone, type, value);
	return rv == CKR_OK ? CMEK_EXIT_OK
			    : module_failed(rv, "setting --%s of database %s of project %s", option,
					    settings->arguments->positional[0],
					    settings->token->project);
}

/* Of what the store knows; which versions files need is for whoever has them to find out. */
static int check_fence(const struct settings *settings, uint64_t minimum)
{
	AUTO(freep) char *labels = NULL;
	size_t count = 0;

	if (minimum <= object_number(settings->token, settings->zone, CKA_CMEK_MIN_VERSION))
		return CMEK_EXIT_OK;
	TRY(versions_stored_below(settings->token, object_zone_id(settings->token, settings->zone),
				  minimum, &count, &labels));
	if (count == 0)
		return CMEK_EXIT_OK;
	if (arguments_value(settings->arguments, "force") == NULL)
		return fail(CMEK_EXIT_REFUSED,
			    "older versions of database %s are needed by stored keys (%zu: %s), "
			    "which would not open; wrap those anew first ('cmek database rewrap "
			    "--token-keys'), or fence all the same (--force)",
			    settings->arguments->positional[0], count, labels);
	warn("stored keys need older versions, and do not open until --min-version is lower (%zu: "
	     "%s)",
	     count, labels);
	return CMEK_EXIT_OK;
}

/* A fence that rises comes after the raw version, one that falls before it. */
static int apply_versions(const struct settings *settings)
{
	uint64_t raw = 0, minimum = 0;
	bool falls;

	TRY(version_option(settings->arguments, "raw-version", &raw));
	TRY(version_option(settings->arguments, "min-version", &minimum));
	TRY(check_fence(settings, minimum));
	falls = minimum <= object_number(settings->token, settings->zone, CKA_CMEK_RAW_VERSION);
	if (falls)
		TRY(apply(settings, "min-version", CKA_CMEK_MIN_VERSION, minimum));
	TRY(apply(settings, "raw-version", CKA_CMEK_RAW_VERSION, raw));
	return falls ? CMEK_EXIT_OK : apply(settings, "min-version", CKA_CMEK_MIN_VERSION, minimum);
}

static int check_some(const struct arguments *arguments)
{
	if (arguments_value(arguments, "rotate-days") != NULL ||
	    arguments_value(arguments, "raw-version") != NULL ||
	    arguments_value(arguments, "min-version") != NULL)
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_USAGE, "nothing to set: give --rotate-days, --raw-version or "
				     "--min-version");
}

static int report(const struct settings *settings)
{
	struct printer printer = {.json = settings->arguments->json, .single = true};

	print_row(&printer);
	database_fields(&printer, settings->token, settings->zone);
	return print_end(&printer);
}

int database_set(const struct arguments *arguments)
{
	AUTO(token_close) struct token token = {0};
	struct settings settings = {arguments, &token, CK_INVALID_HANDLE};
	uint64_t days = 0;

	TRY(check_some(arguments));
	TRY(arguments_days(arguments, "rotate-days", &days));
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(token_find_one(&token, &kind_database, arguments->positional[0], &settings.zone));
	TRY(apply_versions(&settings));
	TRY(apply(&settings, "rotate-days", CKA_CMEK_ROTATE_DAYS, days));
	return report(&settings);
}
