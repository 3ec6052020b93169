/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek store copy: projects go to another store (docs/store.md, "Moving to another store"). The
 * module does it, by CKA_CMEK_STORE_COPY of its diagnostic object. */
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/token.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "sqlite:PATH" or a configuration file, with an absolute path: the module takes no other. */
static int absolute(const char *place, char **ret_place)
{
	static const char in_a_file[] = "sqlite:";
	size_t skip =
		strncmp(place, in_a_file, sizeof(in_a_file) - 1) == 0 ? sizeof(in_a_file) - 1 : 0;
	AUTO(freep) char *path = NULL;

	if (skip > 0) { /* which need not be there yet */
		*ret_place = strdup(place);
		return *ret_place == NULL ? fail(CMEK_EXIT_FAILED, "out of memory") : CMEK_EXIT_OK;
	}
	path = realpath(place, NULL);
	if (path == NULL)
		return fail_system(errno, place, "");
	*ret_place = TAKE(path);
	return CMEK_EXIT_OK;
}

/* From here on this configuration counts, for the module too. */
static int use_configuration(const char *file)
{
	AUTO(freep) char *path = file == NULL ? NULL : realpath(file, NULL);

	if (file == NULL)
		return CMEK_EXIT_OK;
	if (path == NULL)
		return fail_system(errno, file, "");
	return setenv("CMEK_PKCS11_CONF", path, 1) == 0 ? CMEK_EXIT_OK
							: fail(CMEK_EXIT_FAILED, "out of memory");
}

static int wish_of(const struct arguments *arguments, char **ret_text)
{
	AUTO(freep) char *to = NULL;
	json_t *wish;

	TRY(absolute(arguments_value(arguments, "to"), &to));
	wish = json_pack("{s:o, s:b, s:b, s:b}", "to", print_json_text(to), "all",
			 arguments_value(arguments, "project") == NULL, "dry_run",
			 arguments_value(arguments, "dry-run") != NULL, "undo",
			 arguments_value(arguments, "undo") != NULL);
	*ret_text = wish == NULL ? NULL : json_dumps(wish, 0);
	json_decref(wish);
	return *ret_text == NULL ? fail(CMEK_EXIT_FAILED, "out of memory") : CMEK_EXIT_OK;
}

static void print_projects(const json_t *told)
{
	const json_t *projects = json_object_get(told, "projects");

	for (size_t i = 0; i < json_array_size(projects); i++) {
		AUTO(freep) char *name = strdup(json_string_value(json_array_get(projects, i)));

		printf("%s%s", i == 0 ? "" : ", ", name == NULL ? "?" : plain_text(name));
	}
}

static void print_told(const json_t *told)
{
	const char *from = member_text(told, "from"), *to = member_text(told, "to");
	long long rows = json_integer_value(json_object_get(told, "rows"));
	long long written = json_integer_value(json_object_get(told, "written"));

	if (json_array_size(json_object_get(told, "projects")) == 0) {
		if (json_is_true(json_object_get(told, "undone")))
			printf("nothing was changed: no copy to store %s has begun\n", to);
		else
			printf("nothing was changed: it is all in store %s already\n", to);
		return;
	}
	printf("store %s to store %s: ", from, to);
	print_projects(told);
	if (json_is_true(json_object_get(told, "dry_run")))
		printf("\n%lld rows, of which %lld would be written; nothing was changed\n", rows,
		       written);
	else if (json_is_true(json_object_get(told, "undone")))
		printf("\ntaken back: they live in store %s\n", from);
	else
		printf("\n%lld rows, %lld written, all compared: they live in store %s now, and "
		       "can't be changed in store %s any more\n",
		       rows, written, to, from);
}

static int report(const struct arguments *arguments, const struct token *token,
		  CK_OBJECT_HANDLE diagnostic)
{
	AUTO(freep) char *text = object_text(token, diagnostic, CKA_CMEK_STORE_COPY);
	json_t *told = text == NULL ? NULL : json_loads(text, 0, NULL);

	if (told == NULL)
		return fail(CMEK_EXIT_FAILED, "it is done, but the module does not say what");
	if (arguments->json) {
		json_dumpf(told, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_told(told);
	}
	json_decref(told);
	return CMEK_EXIT_OK;
}

int store_copy(const struct arguments *arguments)
{
	const char *project = arguments_value(arguments, "project");
	AUTO(token_close) struct token token = {0};
	AUTO(freep) char *wish = NULL;
	CK_OBJECT_HANDLE diagnostic;
	CK_ATTRIBUTE change = {.type = CKA_CMEK_STORE_COPY};
	CK_RV rv;

	TRY(wish_of(arguments, &wish));
	TRY(use_configuration(arguments_value(arguments, "from")));
	TRY(token_open_any(project, &token));
	diagnostic = token_diagnostic(&token);
	change.pValue = wish;
	change.ulValueLen = strlen(wish);
	rv = token.functions->C_SetAttributeValue(token.session, diagnostic, &change, 1);
	if (rv != CKR_OK)
		return module_failed(rv, "copying the store");
	return report(arguments, &token, diagnostic);
}
