/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/defaults.h"

#include "base/free.h"
#include "base/macros.h"
#include "cli/token.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAMES_SHOWN = 5 };

/* Of this process's one command. */
static struct origin {
	const char *option, *text;
	char *value; /* owned */
} origins[] = {{.option = "project"}, {.option = "database"}};

static struct origin *origin_of(const char *option)
{
	for (size_t i = 0; i < COUNT_OF(origins); i++)
		if (strcmp(origins[i].option, option) == 0)
			return &origins[i];
	return NULL;
}

static void set_origin(const char *option, const char *value, const char *text)
{
	struct origin *origin = origin_of(option);

	free(origin->value);
	*origin = (struct origin){option, text, strdup(value)};
}

const char *defaults_origin(const char *option, const char *value)
{
	const struct origin *origin = origin_of(option);

	return origin == NULL || origin->value == NULL || strcmp(origin->value, value) != 0
		       ? ""
		       : origin->text;
}

/* Names of which there should be one. */
struct names {
	char *first; /* owned */
	size_t count;
	char list[256]; /* "a, b, c", as far as there is room */
};

static void names_clear(struct names *names)
{
	free(names->first);
}

static void names_add(struct names *names, const char *name)
{
	size_t len = strlen(names->list);

	if (names->count == 0)
		names->first = strdup(name);
	if (names->count < NAMES_SHOWN)
		(void)snprintf(names->list + len, sizeof(names->list) - len, "%s%s",
			       names->count == 0 ? "" : ", ", name);
	names->count++;
}

static int take_only(struct names *names, const char *option, const char *variable,
		     const char *make, char **ret_value)
{
	if (names->count == 0)
		return fail(CMEK_EXIT_NOT_FOUND, "there is no %s yet; make one: %s", option, make);
	if (names->count > 1)
		return fail(CMEK_EXIT_USAGE,
			    "missing --%s, since there are several (%s%s); give one, or set %s or "
			    "[cli] %s",
			    option, names->list, names->count > NAMES_SHOWN ? ", ..." : "",
			    variable, option);
	if (names->first == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	*ret_value = TAKE(names->first);
	return CMEK_EXIT_OK;
}

static int only_project(char **ret_value)
{
	AUTO(names_clear) struct names names = {0};
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	const CK_FUNCTION_LIST *functions;
	struct library_slot slot;
	CK_ULONG count;

	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++)
		if (library_slot_read(functions, slots[i], &slot))
			names_add(&names, slot.project);
	return take_only(&names, "project", "CMEK_PROJECT", "cmek project create NAME", ret_value);
}

static int only_database(const char *project, char **ret_value)
{
	AUTO(names_clear) struct names names = {0};
	AUTO(token_close) struct token token = {0};
	AUTO(freep) CK_OBJECT_HANDLE *handles = NULL;
	size_t count = 0;

	TRY(token_open(project, &token));
	TRY(token_find(&token, &kind_database, NULL, &handles, &count));
	for (size_t i = 0; i < count; i++) {
		AUTO(freep) char *label = object_text(&token, handles[i], CKA_LABEL);

		names_add(&names, label == NULL ? "?" : label);
	}
	return take_only(&names, "database", "CMEK_DATABASE", "cmek database create CLUSTER/DB",
			 ret_value);
}

/* NULL: the configuration has none. */
static int configured(const char *key, char **ret_value)
{
	const CK_FUNCTION_LIST *functions;
	const char *value;

	TRY(module_load(&functions));
	value = module_setting(key);
	*ret_value = *value == '\0' ? NULL : strdup(value);
	return CMEK_EXIT_OK;
}

static int find(const struct arguments *arguments, const char *option, char **ret_value)
{
	bool is_project = strcmp(option, "project") == 0;
	const char *set = getenv(is_project ? "CMEK_PROJECT" : "CMEK_DATABASE");

	if (set != NULL && *set != '\0') {
		*ret_value = strdup(set);
		set_origin(option, set,
			   is_project ? " (from CMEK_PROJECT)" : " (from CMEK_DATABASE)");
		return *ret_value == NULL ? fail(CMEK_EXIT_FAILED, "out of memory") : CMEK_EXIT_OK;
	}
	TRY(configured(option, ret_value));
	if (*ret_value != NULL) {
		set_origin(option, *ret_value,
			   is_project ? " (from [cli] project)" : " (from [cli] database)");
		return CMEK_EXIT_OK;
	}
	return is_project ? only_project(ret_value)
			  : only_database(arguments_value(arguments, "project"), ret_value);
}

int defaults_fill(struct arguments *arguments)
{
	const struct option_row *options = arguments->command->options;

	for (size_t i = 0; options[i].name != NULL; i++)
		if (options[i].has_default && arguments->values[i] == NULL) {
			TRY(find(arguments, options[i].name, &arguments->found[i]));
			arguments->values[i] = arguments->found[i];
		}
	return CMEK_EXIT_OK;
}

void defaults_clear(struct arguments *arguments)
{
	for (size_t i = 0; i < ARGUMENTS_OPTIONS_MAX; i++)
		free(arguments->found[i]);
	for (size_t i = 0; i < COUNT_OF(origins); i++)
		free(TAKE(origins[i].value));
}
