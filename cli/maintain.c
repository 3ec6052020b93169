/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek maintain: what awaits deletion, and its end when that is due. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/print.h"
#include "cli/token.h"

#include <stdlib.h>
#include <string.h>

static json_t *read_list(const struct token *token)
{
	AUTO(freep) char *text = object_text(token, token_diagnostic(token), CKA_CMEK_MAINTAIN);

	return text == NULL || *text == '\0' ? NULL : json_loads(text, 0, NULL);
}

/* Its stage now; NULL: it is not there any more. */
static const char *stage_in(const json_t *list, const json_t *wanted)
{
	static const char *const names[] = {"project", "kind",	  "name",
					    "zone",    "version", "purge_date"};

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		bool same = true;

		for (size_t n = 0; n < COUNT_OF(names); n++) {
			const json_t *a = json_object_get(row, names[n]),
				     *b = json_object_get(wanted, names[n]);

			same &= a == b || json_equal(a, b);
		}
		if (same)
			return member_text(row, "stage");
	}
	return NULL;
}

static void put_row(struct printer *printer, const json_t *row, const char *stage)
{
	const json_t *version = json_object_get(row, "version");

	print_row(printer);
	print_text(printer, "project", member_text(row, "project"));
	print_text(printer, "kind", version == NULL ? member_text(row, "kind") : "key version");
	print_text(printer, "name", member_text(row, "name"));
	print_text(printer, "zone", member_text(row, "zone"));
	if (version != NULL)
		print_number(printer, "version", (uint64_t)json_integer_value(version));
	else
		print_take(printer, "version", NULL);
	print_text(printer, "purge_date", member_text(row, "purge_date"));
	print_text(printer, "stage", stage == NULL ? state_text(CMEK_STATE_DELETED) : stage);
}

static int print_both(const struct arguments *arguments, const json_t *before, const json_t *after)
{
	struct printer printer = {.json = arguments->json};

	for (size_t i = 0; i < json_array_size(before); i++)
		put_row(&printer, json_array_get(before, i),
			stage_in(after, json_array_get(before, i)));
	printer.empty = strdup("nothing awaits deletion");
	return print_end(&printer);
}

static int set(const struct token *token, CK_BBOOL now)
{
	CK_ATTRIBUTE change = {CKA_CMEK_MAINTAIN, &now, sizeof(now)};
	CK_RV rv = token->functions->C_SetAttributeValue(token->session, token_diagnostic(token),
							 &change, 1);

	return rv == CKR_OK ? CMEK_EXIT_OK : module_failed(rv, "removing what is due");
}

int maintain_run(const struct arguments *arguments)
{
	bool dry_run = arguments_value(arguments, "dry-run") != NULL;
	CK_BBOOL now = arguments_value(arguments, "now") != NULL;
	AUTO(token_close) struct token token = {0};
	json_t *before, *after;
	int code = CMEK_EXIT_OK;

	TRY(token_open_any(arguments_value(arguments, "project"), &token));
	before = read_list(&token);
	if (before == NULL)
		return module_failed(CKR_DEVICE_ERROR, "looking for what awaits deletion");
	if (!dry_run)
		code = set(&token, now);
	after = dry_run ? json_incref(before) : read_list(&token);
	if (code == CMEK_EXIT_OK)
		code = print_both(arguments, before, after);
	json_decref(before);
	json_decref(after);
	return code;
}

/* --- The command ----------------------------------------------------------------------------- */

/* clang-format off */

static const struct option_row maintain_options[] = {
	BY_PROJECT,
	{ "now", NULL, "remove all that is due by this computer's clock, announced or not", false },
	DRY_RUN,
	END,
};

static const struct command command_rows[] = {
	{ "maintain", NULL, "", "remove for good what awaits deletion and is due",
	  "What is due (its purge_date has passed) is announced first, in the log and the audit log, and\n"
	  "goes a day later, so that a clock that is wrong ends no window. Programs that use the store do\n"
	  "the same once a day; this does it now, for all projects, and lists what awaits deletion: what is\n"
	  "restorable, what is due, and what is gone. With --now it waits for no announcement.\n\n"
	  "  cmek maintain --dry-run\n",
	  maintain_options, maintain_run },
};

/* clang-format on */

const struct command_group maintain_commands = {command_rows, COUNT_OF(command_rows)};
