/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek key …: root keys. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/objects.h"
#include "cli/usage.h"

#include <stdlib.h>
#include <string.h>

static void fields(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE key)
{
	print_take(printer, "label", object_text(token, key, CKA_LABEL));
	print_take(printer, "provider", object_text(token, key, CKA_CMEK_PROVIDER));
	print_take(printer, "region", object_text(token, key, CKA_CMEK_REGION));
	print_take(printer, "arn", object_text(token, key, CKA_CMEK_ROOT_KEY));
}

static void fields_usage(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE key)
{
	json_t *usage = usage_of(token, key);

	print_take(printer, "usage", usage_summary(usage));
	print_object(printer, "stands_on_it", usage, usage_print_all);
}

static void fields_and_state(struct printer *printer, const struct token *token,
			     CK_OBJECT_HANDLE key)
{
	const char *state = root_key_state(token, key);
	AUTO(freep) char *until = object_text(token, key, CKA_CMEK_DELETION_DATE);

	fields(printer, token, key);
	print_text(printer, "state", state);
	if (until != NULL && *until != '\0')
		print_text(printer, "deletion_date", until);
	if (strcmp(state, "active") != 0)
		print_text(printer, "reason", module_last_error(NULL));
	print_take(printer, "last_used", root_key_last_used(token, key));
	fields_usage(printer, token, key);
}

static void fields_offline(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE key)
{
	fields(printer, token, key);
	fields_usage(printer, token, key);
}

/* Reports the key that has just been registered or made. */
static void fields_active(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE key)
{
	fields(printer, token, key);
	print_text(printer, "state", "active");
}

static void fields_disabled(struct printer *printer, const struct token *token,
			    CK_OBJECT_HANDLE key)
{
	fields(printer, token, key);
	print_text(printer, "state", "disabled");
}

static int add(const struct arguments *arguments, CK_BBOOL create, const char *doing)
{
	const char *name = arguments->positional[0], *label = arguments_value(arguments, "label");
	AUTO(token_close) struct token token = {0};
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_KEY_TYPE aes = CKK_AES;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_KEY_TYPE, &aes, sizeof(aes)},
		{CKA_TOKEN, &yes, sizeof(yes)},
		{CKA_CMEK_KMS_KEY, (void *)name, strlen(name)},
		{CKA_CMEK_CREATE, &create, sizeof(create)},
		{CKA_LABEL, (void *)label, label == NULL ? 0 : strlen(label)},
	};
	CK_OBJECT_HANDLE key;
	CK_RV rv;

	TRY(token_open(arguments_value(arguments, "project"), &token));
	rv = token.functions->C_CreateObject(token.session, template,
					     COUNT_OF(template) - (label == NULL), &key);
	if (rv != CKR_OK)
		return module_failed(rv, "%s %s to project %s", doing, name, token.project);
	return objects_report(arguments, &token, key, fields_active);
}

int key_add(const struct arguments *arguments)
{
	return add(arguments, CK_FALSE, "adding");
}

int key_create(const struct arguments *arguments)
{
	return add(arguments, CK_TRUE, "making and adding");
}

int key_list(const struct arguments *arguments)
{
	return objects_list(arguments, &kind_key, fields);
}

int key_show(const struct arguments *arguments)
{
	return objects_show(arguments, &kind_key,
			    arguments_value(arguments, "offline") != NULL ? fields_offline
									  : fields_and_state);
}

static int set_state(const struct arguments *arguments, CK_ULONG state, const char *doing)
{
	const char *label = arguments->positional[0];
	CK_ATTRIBUTE change = {CKA_CMEK_STATE, &state, sizeof(state)};
	AUTO(token_close) struct token token = {0};
	CK_OBJECT_HANDLE key;
	CK_RV rv;

	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(token_find_one(&token, &kind_key, label, &key));
	rv = token.functions->C_SetAttributeValue(token.session, key, &change, 1);
	if (rv != CKR_OK)
		return module_failed(rv, "%s root key %s of project %s", doing, label,
				     token.project);
	return objects_report(arguments, &token, key,
			      state == CMEK_STATE_ACTIVE ? fields_active : fields_disabled);
}

int key_disable(const struct arguments *arguments)
{
	return set_state(arguments, CMEK_STATE_DISABLED, "disabling");
}

int key_enable(const struct arguments *arguments)
{
	return set_state(arguments, CMEK_STATE_ACTIVE, "enabling");
}
