/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek database rotate and set: a new version of databases' keys, and which versions are used. Each
 * database is a step of its own, so that what was done stays done when the rest fails. */
#include "base/clock.h"
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/progress.h"
#include "cli/token.h"
#include "cli/versions.h"

#include <stdlib.h>
#include <string.h>

#define DAY_MS (24 * 3600 * INT64_C(1000))

static CK_RV set_number(const struct token *token, CK_OBJECT_HANDLE zone, CK_ATTRIBUTE_TYPE type,
			CK_ULONG number)
{
	CK_ATTRIBUTE attribute = {type, &number, sizeof(number)};

	return token->functions->C_SetAttributeValue(token->session, zone, &attribute, 1);
}

/* --- Which */

struct selection {
	CK_OBJECT_HANDLE *zones;
	size_t count;
	bool single; /* named by itself */
};

static void selection_clear(struct selection *selection)
{
	free(selection->zones);
}

/* "C/": the databases of a cluster. */
static bool is_cluster(const char *name)
{
	const char *slash = strchr(name, '/');

	return slash != NULL && slash != name && slash[1] == '\0';
}

static bool lies_in(const struct token *token, CK_OBJECT_HANDLE zone, const char *cluster)
{
	AUTO(freep) char *label = object_text(token, zone, CKA_CMEK_CLUSTER);
	size_t len = strlen(cluster) - 1; /* without the slash */

	return label != NULL && strlen(label) == len && memcmp(label, cluster, len) == 0;
}

static int keep_cluster(const struct token *token, const char *cluster, struct selection *selection)
{
	size_t kept = 0;

	for (size_t i = 0; i < selection->count; i++)
		if (lies_in(token, selection->zones[i], cluster))
			selection->zones[kept++] = selection->zones[i];
	selection->count = kept;
	if (kept > 0)
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_NOT_FOUND, "project %s has no databases in a cluster %s",
		    token->project, cluster);
}

/* One that is as young as that needs nothing. */
static void keep_old(const struct token *token, int64_t days, struct selection *selection)
{
	int64_t before = clock_system.realtime_ms(clock_system.state) - days * DAY_MS;
	size_t kept = 0;

	for (size_t i = 0; i < selection->count; i++)
		if (versions_primary_made(token, selection->zones[i]) <= before)
			selection->zones[kept++] = selection->zones[i];
	selection->count = kept;
}

static int find_one(const struct token *token, const char *name, struct selection *selection)
{
	selection->zones = calloc(1, sizeof(*selection->zones));
	if (selection->zones == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	selection->single = true;
	selection->count = 1;
	return token_find_one(token, &kind_database, name, selection->zones);
}

static int select_zones(const struct arguments *arguments, const struct token *token,
			struct selection *selection)
{
	const char *name = arguments->positional[0];
	uint64_t days = 0;

	TRY(arguments_days(arguments, "older-than", &days));
	if (name != NULL && !is_cluster(name)) {
		TRY(find_one(token, name, selection));
	} else {
		TRY(token_find(token, &kind_database, NULL, &selection->zones, &selection->count));
		if (name != NULL)
			TRY(keep_cluster(token, name, selection));
	}
	if (arguments_value(arguments, "older-than") != NULL)
		keep_old(token, (int64_t)days, selection);
	return CMEK_EXIT_OK;
}

static int check_selection(const struct arguments *arguments)
{
	bool all = arguments_value(arguments, "all") != NULL;

	if (all != (arguments->positional[0] != NULL))
		return CMEK_EXIT_OK;
	return fail(CMEK_EXIT_USAGE,
		    "name a database (CLUSTER/DB) or a cluster (CLUSTER/), or give "
		    "--all for each database of the project");
}

/* --- Rotation */

/* Of several, one that fails does not stop the others. */
struct run {
	const struct token *token;
	bool dry_run, single;
	size_t rotated, failed;
	int code; /* of the first failure */
};

static bool is_imported(const struct token *token, CK_OBJECT_HANDLE zone)
{
	CK_BBOOL imported = CK_FALSE;
	CK_ATTRIBUTE attribute = {CKA_CMEK_IMPORTED, &imported, sizeof(imported)};

	return token->functions->C_GetAttributeValue(token->session, zone, &attribute, 1) ==
		       CKR_OK &&
	       imported == CK_TRUE;
}

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

	if (!run->single && is_imported(run->token, zone))
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

	TRY(check_selection(arguments));
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(select_zones(arguments, &token, &selection));
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
			    "which would not open; --force fences all the same, and a lower "
			    "--min-version "
			    "takes it back",
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
