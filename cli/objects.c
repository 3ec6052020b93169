/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/objects.h"

#include "base/free.h"
#include "base/macros.h"

#include <stdio.h>
#include <string.h>

/* Of what awaits deletion: what tells it from others of its name, and until when it comes back. */
static void fields_deleted(struct printer *printer, const struct token *token,
			   CK_OBJECT_HANDLE object)
{
	print_take(printer, "id", object_text(token, object, CKA_UNIQUE_ID));
	print_take(printer, "purge_date", object_text(token, object, CKA_CMEK_PURGE_DATE));
}

/* What is read in place of a list without rows; free() it. */
static char *nothing_of(const struct object_kind_row *kind, const char *project, bool deleted)
{
	char *text = NULL;
	int done =
		deleted ? asprintf(&text, "no %s of project %s awaits deletion", kind->noun,
				   project)
			: asprintf(&text, "no %s in project %s yet; make one: cmek %s --project %s",
				   kind->noun, project, kind->make, project);

	return done < 0 ? NULL : text;
}

struct list {
	struct printer printer;
	object_fields *fields;
	bool deleted;
};

static void list_one(void *state, const struct token *token, CK_OBJECT_HANDLE object)
{
	struct list *list = state;

	print_row(&list->printer);
	list->fields(&list->printer, token, object);
	if (list->deleted)
		fields_deleted(&list->printer, token, object);
}

/* Nothing is printed before all is there. */
int objects_list(const struct arguments *arguments, const struct object_kind_row *kind,
		 object_fields *fields)
{
	struct list list = {
		.printer.json = arguments->json,
		.fields = fields,
		.deleted = arguments_value(arguments, "deleted") != NULL,
	};
	AUTO(token_close) struct token token = {0};
	int code;

	TRY(token_open(arguments_value(arguments, "project"), &token));
	code = token_each(&token, kind, list.deleted, list_one, &list);
	if (code == CMEK_EXIT_OK) {
		list.printer.empty = nothing_of(kind, token.project, list.deleted);
		return print_end(&list.printer);
	}
	print_drop(&list.printer);
	return code;
}

int objects_report(const struct arguments *arguments, const struct token *token,
		   CK_OBJECT_HANDLE object, object_fields *fields)
{
	struct printer printer = {.json = arguments->json, .single = true};

	print_row(&printer);
	fields(&printer, token, object);
	return print_end(&printer);
}

int objects_show(const struct arguments *arguments, const struct object_kind_row *kind,
		 object_fields *fields)
{
	AUTO(token_close) struct token token = {0};
	CK_OBJECT_HANDLE object;

	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(token_find_one(&token, kind, arguments->positional[0], &object));
	return objects_report(arguments, &token, object, fields);
}

/* --- The state of a root key */

const char *root_key_state(const struct token *token, CK_OBJECT_HANDLE key)
{
	return state_text(object_number(token, key, CKA_CMEK_KMS_STATE));
}
