/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek cluster …: provider, region and the root key of new databases. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/objects.h"

#include <stdlib.h>
#include <string.h>

static void fields(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE cluster)
{
	AUTO(freep) char *leaving = NULL;

	print_take(printer, "cluster", object_text(token, cluster, CKA_LABEL));
	print_take(printer, "provider", object_text(token, cluster, CKA_CMEK_PROVIDER));
	print_take(printer, "region", object_text(token, cluster, CKA_CMEK_REGION));
	print_take(printer, "root_key", object_text(token, cluster, CKA_CMEK_ROOT_KEY));
	leaving = object_text(token, cluster, CKA_CMEK_LEAVING_ROOT_KEY);
	/* An empty line tells people nothing; rows of a list have the same fields. */
	if (printer->json || !printer->single || (leaving != NULL && *leaving != '\0'))
		print_text(printer, "leaving", leaving == NULL ? "" : leaving);
}

static CK_ATTRIBUTE text_attribute(CK_ATTRIBUTE_TYPE type, const char *text)
{
	return (CK_ATTRIBUTE){type, (void *)text, text == NULL ? 0 : strlen(text)};
}

int cluster_create(const struct arguments *arguments)
{
	const char *name = arguments->positional[0],
		   *provider = arguments_value(arguments, "provider");
	AUTO(token_close) struct token token = {0};
	AUTO(freep) char *root_key = NULL;
	CK_OBJECT_CLASS class = CKO_CMEK_CLUSTER;
	CK_BBOOL yes = CK_TRUE;
	CK_OBJECT_HANDLE key, cluster;
	CK_RV rv;

	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(token_find_one(&token, &kind_key, arguments_value(arguments, "key"), &key));
	root_key = object_text(&token, key, CKA_CMEK_ROOT_KEY);
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_TOKEN, &yes, sizeof(yes)},
		text_attribute(CKA_LABEL, name),
		text_attribute(CKA_CMEK_REGION, arguments_value(arguments, "region")),
		text_attribute(CKA_CMEK_ROOT_KEY, root_key),
		text_attribute(CKA_CMEK_PROVIDER, provider),
	};
	rv = token.functions->C_CreateObject(token.session, template,
					     COUNT_OF(template) - (provider == NULL), &cluster);
	if (rv != CKR_OK)
		return module_failed(rv, "creating cluster %s in project %s", name, token.project);
	return objects_report(arguments, &token, cluster, fields);
}

int cluster_list(const struct arguments *arguments)
{
	return objects_list(arguments, &kind_cluster, fields);
}

int cluster_show(const struct arguments *arguments)
{
	return objects_show(arguments, &kind_cluster, fields);
}
