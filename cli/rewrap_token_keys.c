/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek database rewrap --token-keys: keys that the store keeps are wrapped anew by the newest
 * version of their databases' keys, so that nothing in the store needs the older ones. One
 * transaction each: it can be stopped at any moment, and be gone on with by the same command. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/each.h"
#include "cli/print.h"
#include "cli/versions.h"

#include <string.h>

/* What became of a database's keys. */
struct outcome {
	size_t rewrapped, there, failed;
};

static void note_failure(struct each *each, CK_OBJECT_HANDLE key, const char *database, CK_RV rv)
{
	AUTO(freep) char *label = object_text(each->token, key, CKA_LABEL);

	each_failed(each,
		    module_failed(rv, "wrapping token key '%s' of database %s of project %s anew",
				  label == NULL ? "" : plain_text(label), database,
				  each->token->project));
}

static void rewrap_key(struct each *each, CK_OBJECT_HANDLE key, const char *database,
		       CK_ULONG primary, struct outcome *outcome)
{
	CK_ATTRIBUTE change = {CKA_CMEK_WRAP_VERSION, &primary, sizeof(primary)};
	CK_ULONG by = object_number(each->token, key, CKA_CMEK_WRAP_VERSION);
	CK_RV rv;

	if (by == 0) /* the database itself, or gone meanwhile */
		return;
	if (by == primary) {
		outcome->there++;
		return;
	}
	rv = each->dry_run ? CKR_OK
			   : each->token->functions->C_SetAttributeValue(each->token->session, key,
									 &change, 1);
	if (rv == CKR_OK) {
		outcome->rewrapped++;
	} else if (rv != CKR_OBJECT_HANDLE_INVALID) {
		outcome->failed++;
		note_failure(each, key, database, rv);
	}
}

static int rewrap_database(struct each *each, CK_OBJECT_HANDLE zone)
{
	AUTO(freep) char *label = object_text(each->token, zone, CKA_LABEL);
	CK_ULONG primary = object_number(each->token, zone, CKA_CMEK_VERSION);
	AUTO(buffer_clear) struct buffer found = {0};
	struct printer *printer = &each->printer;
	struct outcome outcome = {0};
	CK_OBJECT_HANDLE key;

	TRY(versions_stored(each->token, object_zone_id(each->token, zone), &found));
	for (size_t at = 0; at + sizeof(key) <= found.len; at += sizeof(key)) {
		memcpy(&key, found.data + at, sizeof(key));
		rewrap_key(each, key, label == NULL ? "" : label, primary, &outcome);
	}
	print_row(printer);
	print_text(printer, "database", label);
	print_number(printer, "version", primary);
	print_number(printer, each->dry_run ? "to_rewrap" : "rewrapped", outcome.rewrapped);
	print_number(printer, "there", outcome.there);
	print_number(printer, "failed", outcome.failed);
	each_print_failures(each);
	return CMEK_EXIT_OK;
}

int rewrap_token_keys(const struct arguments *arguments)
{
	struct each each = {
		.step = rewrap_database,
		.doing = "wrapping token keys of databases",
		.nothing = "no database whose token keys could be wrapped anew",
	};

	TRY(each_run(arguments, &each));
	if (each.failed > 0)
		fail(each.code,
		     "%zu token keys are wrapped as before; what was done stays: run it again",
		     each.failed);
	return each.code;
}
