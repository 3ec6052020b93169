/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek database …: zones. Those made here wrap and unwrap data keys only. */
#include "base/clock.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/objects.h"
#include "cli/versions.h"

#include <stdlib.h>
#include <string.h>

static void fields(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE zone)
{
	print_take(printer, "database", object_text(token, zone, CKA_LABEL));
	print_id(printer, "zone", object_zone_id(token, zone));
	print_number(printer, "version", object_number(token, zone, CKA_CMEK_VERSION));
	print_text(printer, "state", state_text(object_number(token, zone, CKA_CMEK_STATE)));
	print_number(printer, "max_lease", object_number(token, zone, CKA_CMEK_MAX_LEASE));
	print_number(printer, "max_stale", object_number(token, zone, CKA_CMEK_MAX_STALE));
	print_text(printer, "embed", object_embeds(token, zone) ? "yes" : "no");
	print_take(printer, "root_key", object_owners(token, zone));
}

/* What `list` has no room for. */
void database_fields(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE zone)
{
	fields(printer, token, zone);
	print_number(printer, "raw_version", object_number(token, zone, CKA_CMEK_RAW_VERSION));
	print_number(printer, "min_version", object_number(token, zone, CKA_CMEK_MIN_VERSION));
	print_number(printer, "rotate_days", object_number(token, zone, CKA_CMEK_ROTATE_DAYS));
	print_take(printer, "root_keys", object_root_keys(token, zone));
	print_take_json(printer, "versions", object_text(token, zone, CKA_CMEK_VERSIONS));
}

static int check_label(const char *label)
{
	const char *slash = strchr(label, '/');

	if (slash == NULL || slash == label || slash[1] == '\0')
		return fail(CMEK_EXIT_USAGE, "a database is named CLUSTER/DB, not %s", label);
	return CMEK_EXIT_OK;
}

/* Adds the options that are numbers and are given to a template, which has room for them. */
static int add_bounds(const struct arguments *arguments, CK_ULONG bounds[static 3],
		      CK_ATTRIBUTE *template, CK_ULONG *count)
{
	static const struct {
		const char *option;
		CK_ATTRIBUTE_TYPE type;
	} rows[] = {{"max-lease", CKA_CMEK_MAX_LEASE}, {"max-stale", CKA_CMEK_MAX_STALE}};
	uint64_t seconds = 0, days = 0;

	TRY(arguments_days(arguments, "rotate-days", &days));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		TRY(arguments_seconds(arguments, rows[i].option, &seconds));
		bounds[i] = seconds;
		if (arguments_value(arguments, rows[i].option) != NULL)
			template[(*count)++] =
				(CK_ATTRIBUTE){rows[i].type, &bounds[i], sizeof(bounds[i])};
	}
	bounds[COUNT_OF(rows)] = days;
	if (arguments_value(arguments, "rotate-days") != NULL)
		template[(*count)++] = (CK_ATTRIBUTE){CKA_CMEK_ROTATE_DAYS, &bounds[COUNT_OF(rows)],
						      sizeof(*bounds)};
	return CMEK_EXIT_OK;
}

int database_create(const struct arguments *arguments)
{
	const char *label = arguments->positional[0];
	AUTO(token_close) struct token token = {0};
	CK_MECHANISM generate = {CKM_AES_KEY_GEN, NULL, 0};
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE aes = CKK_AES;
	CK_BBOOL yes = CK_TRUE, no = CK_FALSE;
	CK_ULONG len = 32, count = 9, bounds[3];
	CK_ATTRIBUTE template[14] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &aes, sizeof(aes)},
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_VALUE_LEN, &len, sizeof(len)},
		{CKA_WRAP, &yes, sizeof(yes)},
		{CKA_UNWRAP, &yes, sizeof(yes)},
		{CKA_ENCRYPT, &no, sizeof(no)},
		{CKA_DECRYPT, &no, sizeof(no)},
		{CKA_LABEL, (void *)label, strlen(label)},
	};
	const char *both = arguments_value(arguments, "both");
	AUTO(freep) char *root_keys = NULL;
	CK_OBJECT_HANDLE zone;
	CK_RV rv;

	TRY(check_label(label));
	TRY(add_bounds(arguments, bounds, template, &count));
	if (arguments_value(arguments, "no-embed") != NULL)
		template[count++] = (CK_ATTRIBUTE){CKA_CMEK_EMBED_EZK, &no, sizeof(no)};
	TRY(token_open(arguments_value(arguments, "project"), &token));
	if (both != NULL) {
		TRY(root_keys_named(&token, both, true, &root_keys));
		template[count++] =
			(CK_ATTRIBUTE){CKA_CMEK_ROOT_KEYS, root_keys, strlen(root_keys)};
	}
	rv = token.functions->C_GenerateKey(token.session, &generate, template, count, &zone);
	if (rv != CKR_OK)
		return module_failed(rv, "creating database %s in project %s", label,
				     token.project);
	TRY(objects_report(arguments, &token, zone, database_fields));
	if (!object_embeds(&token, zone))
		warn("database %s: its key is only in the store; back up the store now, its loss "
		     "is this data's loss (docs/erasure.md)",
		     label);
	return CMEK_EXIT_OK;
}

int database_list(const struct arguments *arguments)
{
	return objects_list(arguments, &kind_database, fields);
}

/* An imported one is rotated elsewhere. */
static void warn_of_clock(const struct token *token, const char *label, CK_OBJECT_HANDLE zone)
{
	int64_t made = versions_primary_made(token, zone);

	if (made <= clock_now(&clock_system).realtime_ms + DAY_MS ||
	    object_is_imported(token, zone))
		return;
	warn("database %s: its primary version says that it was made more than a day from now, so "
	     "that a rotation by its age is put off; if this clock is right, rotate it by hand "
	     "('cmek database rotate')",
	     label);
}

int database_show(const struct arguments *arguments)
{
	AUTO(token_close) struct token token = {0};
	CK_OBJECT_HANDLE zone;

	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(token_find_one(&token, &kind_database, arguments->positional[0], &zone));
	TRY(objects_report(arguments, &token, zone, database_fields));
	warn_of_clock(&token, arguments->positional[0], zone);
	return arguments->json ? CMEK_EXIT_OK : versions_print(&token, zone);
}
