/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/objects.h"

#include "base/free.h"
#include "base/macros.h"

/* Of what awaits deletion: what tells it from others of its name, and until when it comes back. */
static void fields_deleted(struct printer *printer, const struct token *token,
			   CK_OBJECT_HANDLE object)
{
	print_take(printer, "id", object_text(token, object, CKA_UNIQUE_ID));
	print_take(printer, "purge_date", object_text(token, object, CKA_CMEK_PURGE_DATE));
}

int objects_list(const struct arguments *arguments, const struct object_kind_row *kind,
		 object_fields *fields)
{
	struct printer printer = {.json = arguments->json};
	AUTO(freep) CK_OBJECT_HANDLE *handles = NULL;
	AUTO(token_close) struct token token = {0};
	size_t count;

	bool deleted = arguments_value(arguments, "deleted") != NULL;

	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(deleted ? token_find_pending(&token, kind, NULL, &handles, &count)
		    : token_find(&token, kind, NULL, &handles, &count));
	for (size_t i = 0; i < count; i++) {
		print_row(&printer);
		fields(&printer, &token, handles[i]);
		if (deleted)
			fields_deleted(&printer, &token, handles[i]);
	}
	return print_end(&printer);
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
