/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek database set-keys: which root keys a database has. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/objects.h"

#include <stdlib.h>
#include <string.h>

static json_t *root_keys_of(const struct token *token, CK_OBJECT_HANDLE zone)
{
	AUTO(freep) char *text = object_text(token, zone, CKA_CMEK_ROOT_KEYS);

	return text == NULL ? NULL : json_loads(text, 0, NULL);
}

char *object_root_keys(const struct token *token, CK_OBJECT_HANDLE zone)
{
	json_t *json = root_keys_of(token, zone), *keys = json_object_get(json, "keys");
	AUTO(buffer_clear) struct buffer all = {0};

	for (size_t i = 0; i < json_array_size(keys); i++)
		buffer_format(&all, "%s%s", i == 0 ? "" : ", ",
			      json_string_value(json_array_get(keys, i)));
	json_decref(json);
	return buffer_take_text(&all);
}

static void fields(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE zone)
{
	print_take(printer, "database", object_text(token, zone, CKA_LABEL));
	print_take(printer, "any_of", object_root_keys(token, zone));
}

/* "L1,L2": labels have no commas here; one that has can be set by its ARN through PKCS #11. */
static int add_keys(const struct token *token, char *labels, json_t *keys)
{
	char *rest = NULL;

	for (char *label = strtok_r(labels, ",", &rest); label != NULL;
	     label = strtok_r(NULL, ",", &rest)) {
		AUTO(freep) char *arn = NULL;
		CK_OBJECT_HANDLE key;

		TRY(token_find_one(token, &kind_key, label, &key));
		arn = object_text(token, key, CKA_CMEK_ROOT_KEY);
		if (arn == NULL || json_array_append_new(keys, json_string(arn)) != 0)
			return fail(CMEK_EXIT_FAILED, "out of memory");
	}
	return CMEK_EXIT_OK;
}

static int set_keys(const struct token *token, CK_OBJECT_HANDLE zone, const char *name,
		    const json_t *keys)
{
	json_t *json = json_pack("{s:s, s:O}", "policy", "or", "keys", keys);
	AUTO(freep) char *text = json_dumps(json, JSON_COMPACT);
	CK_ATTRIBUTE change = {CKA_CMEK_ROOT_KEYS, text, text == NULL ? 0 : strlen(text)};
	CK_RV rv = token->functions->C_SetAttributeValue(token->session, zone, &change, 1);

	json_decref(json);
	return rv == CKR_OK
		       ? CMEK_EXIT_OK
		       : module_failed(rv, "setting the root keys of database %s in project %s",
				       name, token->project);
}

int database_set_keys(const struct arguments *arguments)
{
	const char *name = arguments->positional[0];
	AUTO(token_close) struct token token = {0};
	AUTO(freep) char *labels = strdup(arguments_value(arguments, "any"));
	json_t *keys = json_array();
	CK_OBJECT_HANDLE zone = CK_INVALID_HANDLE;
	int code = token_open(arguments_value(arguments, "project"), &token);

	if (code == CMEK_EXIT_OK)
		code = token_find_one(&token, &kind_database, name, &zone);
	if (code == CMEK_EXIT_OK && labels != NULL)
		code = add_keys(&token, labels, keys);
	if (code == CMEK_EXIT_OK)
		code = set_keys(&token, zone, name, keys);
	json_decref(keys);
	return code == CMEK_EXIT_OK ? objects_report(arguments, &token, zone, fields) : code;
}
