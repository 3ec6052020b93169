/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek database rotate and set: a new version of databases' keys, and which versions are used. Each
 * database is a step of its own, so that what was done stays done when the rest fails. */
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/each.h"
#include "cli/pin.h"
#include "cli/print.h"
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

static const char *failed(struct each *each, CK_RV rv, const char *label)
{
	each_failed(each, module_failed(rv, "rotating database %s of project %s", label,
					each->token->project));
	return "failed";
}

/* The word for what was done. */
static const char *rotate(struct each *each, CK_OBJECT_HANDLE zone, const char *label,
			  CK_ULONG from)
{
	CK_ULONG reason;
	CK_RV rv;

	if (!each->single && object_is_imported(each->token, zone))
		return "imported: left as it is";
	if (each->dry_run)
		return "would be rotated";
	rv = set_number(each->token, zone, CKA_CMEK_VERSION, from + 1);
	if (rv == CKR_OK)
		return "rotated";
	module_last_error(&reason);
	return reason == CMEK_ERROR_ROTATED ? "rotated by somebody else" : failed(each, rv, label);
}

static int rotate_row(struct each *each, CK_OBJECT_HANDLE zone)
{
	AUTO(freep) char *label = object_text(each->token, zone, CKA_LABEL);
	CK_ULONG from = object_number(each->token, zone, CKA_CMEK_VERSION);
	const char *outcome = rotate(each, zone, label == NULL ? "" : label, from);
	struct printer *printer = &each->printer;

	print_row(printer);
	print_text(printer, "database", label);
	print_id(printer, "zone", object_zone_id(each->token, zone));
	print_number(printer, "from", from);
	print_number(printer, "version", object_number(each->token, zone, CKA_CMEK_VERSION));
	print_text(printer, "outcome", outcome);
	each_print_failures(each);
	return CMEK_EXIT_OK;
}

int database_rotate(const struct arguments *arguments)
{
	struct each each = {
		.step = rotate_row,
		.doing = "rotating databases",
		.nothing = "no database to rotate",
	};

	TRY(each_run(arguments, &each));
	if (each.failed > 0 && !each.single)
		fail(each.code,
		     "%zu of %zu databases were not rotated; what was done stays: go on with "
		     "--older-than 1",
		     each.failed, each.count);
	return each.code;
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

static int trust_option(const struct arguments *arguments, CK_BBOOL *ret_trusted)
{
	const char *text = arguments_value(arguments, "trusted");

	if (text != NULL && strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return fail(CMEK_EXIT_USAGE, "--trusted is yes or no, not %s", text);
	*ret_trusted = text != NULL && strcmp(text, "yes") == 0 ? CK_TRUE : CK_FALSE;
	return CMEK_EXIT_OK;
}

static int apply_trust(const struct settings *settings, CK_BBOOL trusted)
{
	CK_ATTRIBUTE change = {CKA_TRUSTED, &trusted, sizeof(trusted)};
	CK_RV rv;

	if (arguments_value(settings->arguments, "trusted") == NULL)
		return CMEK_EXIT_OK;
	rv = settings->token->functions->C_SetAttributeValue(settings->token->session,
							     settings->zone, &change, 1);
	if (rv == CKR_ATTRIBUTE_READ_ONLY)
		return fail(CMEK_EXIT_DENIED,
			    "which databases of project %s are trusted is for its security officer "
			    "to say; give --so-pin-file FILE or CMEK_SO_PIN",
			    settings->token->project);
	return rv == CKR_OK ? CMEK_EXIT_OK
			    : module_failed(rv, "setting --trusted of database %s of project %s",
					    settings->arguments->positional[0],
					    settings->token->project);
}

static int check_some(const struct arguments *arguments)
{
	bool trusted = arguments_value(arguments, "trusted") != NULL;
	bool others = arguments_value(arguments, "rotate-days") != NULL ||
		      arguments_value(arguments, "raw-version") != NULL ||
		      arguments_value(arguments, "min-version") != NULL;

	if (trusted && others)
		return fail(CMEK_EXIT_USAGE, "--trusted is set alone: by the security officer, and "
					     "the others by the user");
	return trusted || others
		       ? CMEK_EXIT_OK
		       : fail(CMEK_EXIT_USAGE, "nothing to set: give --rotate-days, --raw-version, "
					       "--min-version or --trusted");
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
	CK_BBOOL trusted = CK_FALSE;
	uint64_t days = 0;

	TRY(check_some(arguments));
	TRY(trust_option(arguments, &trusted));
	TRY(arguments_days(arguments, "rotate-days", &days));
	TRY(token_open(arguments_value(arguments, "project"), &token));
	/* The security officer sees databases for this alone. */
	token.unseen &= arguments_value(arguments, "trusted") == NULL || !pin_is_officers(&token);
	TRY(token_find_one(&token, &kind_database, arguments->positional[0], &settings.zone));
	TRY(apply_trust(&settings, trusted));
	TRY(apply_versions(&settings));
	TRY(apply(&settings, "rotate-days", CKA_CMEK_ROTATE_DAYS, days));
	return report(&settings);
}
