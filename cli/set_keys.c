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

static bool are_both_needed(const json_t *root_keys)
{
	const char *policy = json_string_value(json_object_get(root_keys, "policy"));

	return policy != NULL && strcmp(policy, "and") == 0;
}

char *object_owners(const struct token *token, CK_OBJECT_HANDLE zone)
{
	json_t *json = root_keys_of(token, zone);
	bool both = are_both_needed(json);

	json_decref(json);
	return both ? object_root_keys(token, zone) : object_text(token, zone, CKA_CMEK_ROOT_KEY);
}

char *object_root_keys(const struct token *token, CK_OBJECT_HANDLE zone)
{
	json_t *json = root_keys_of(token, zone), *keys = json_object_get(json, "keys");
	AUTO(buffer_clear) struct buffer all = {0};

	if (are_both_needed(json))
		buffer_put_text(&all, BOTH_OF);
	for (size_t i = 0; i < json_array_size(keys); i++)
		buffer_format(&all, "%s%s", i == 0 ? "" : ", ",
			      json_string_value(json_array_get(keys, i)));
	json_decref(json);
	return buffer_take_text(&all);
}

static void fields(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE zone)
{
	AUTO(freep) char *keys = object_root_keys(token, zone);
	bool both = keys != NULL && strncmp(keys, BOTH_OF, strlen(BOTH_OF)) == 0;

	print_take(printer, "database", object_text(token, zone, CKA_LABEL));
	print_text(printer, both ? "both_of" : "any_of",
		   keys == NULL ? "" : keys + (both ? strlen(BOTH_OF) : 0));
}

/* "L1,L2": labels have no commas here; one that has can be set by its ARN through PKCS #11. */
static int read_labels(const struct token *token, char *labels, json_t *keys)
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

int root_keys_named(const struct token *token, const char *labels, bool both, char **ret_text)
{
	AUTO(freep) char *copy = strdup(labels);
	json_t *keys = json_array();
	int code = copy == NULL ? fail(CMEK_EXIT_FAILED, "out of memory")
				: read_labels(token, copy, keys);
	json_t *json = NULL;

	if (code == CMEK_EXIT_OK && both && json_array_size(keys) != 2)
		code = fail(CMEK_EXIT_USAGE, "--both names two root keys, L1,L2, not %s", labels);
	if (code == CMEK_EXIT_OK) {
		json = json_pack("{s:s, s:O}", "policy", both ? "and" : "or", "keys", keys);
		*ret_text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
		if (*ret_text == NULL)
			code = fail(CMEK_EXIT_FAILED, "out of memory");
	}
	json_decref(json);
	json_decref(keys);
	return code;
}

static int set_keys(const struct token *token, CK_OBJECT_HANDLE zone, const char *name, char *text)
{
	CK_ATTRIBUTE change = {CKA_CMEK_ROOT_KEYS, text, text == NULL ? 0 : strlen(text)};
	CK_RV rv = token->functions->C_SetAttributeValue(token->session, zone, &change, 1);

	return rv == CKR_OK
		       ? CMEK_EXIT_OK
		       : module_failed(rv, "setting the root keys of database %s in project %s",
				       name, token->project);
}

int database_set_keys(const struct arguments *arguments)
{
	const char *name = arguments->positional[0], *any = arguments_value(arguments, "any");
	const char *both = arguments_value(arguments, "both");
	AUTO(token_close) struct token token = {0};
	AUTO(freep) char *text = NULL;
	CK_OBJECT_HANDLE zone = CK_INVALID_HANDLE;

	if ((any == NULL) == (both == NULL))
		return fail(CMEK_EXIT_USAGE, "give --any L1,L2 (any one of them opens it) or "
					     "--both L1,L2 (it needs them together)");
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(token_find_one(&token, &kind_database, name, &zone));
	TRY(root_keys_named(&token, both != NULL ? both : any, both != NULL, &text));
	TRY(set_keys(&token, zone, name, text));
	return objects_report(arguments, &token, zone, fields);
}
