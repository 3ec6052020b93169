/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek database …: zones. Those made here wrap and unwrap data keys only, unless --usage says
 * otherwise. */
#include "base/buffer.h"
#include "base/clock.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/objects.h"
#include "cli/versions.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fields(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE zone)
{
	print_take(printer, "database", object_text(token, zone, CKA_LABEL));
	print_id(printer, "zone", object_zone_id(token, zone));
	print_number(printer, "version", object_number(token, zone, CKA_CMEK_VERSION));
	print_text(printer, "state", state_text(object_number(token, zone, CKA_CMEK_STATE)));
	print_number(printer, "max_lease", object_number(token, zone, CKA_CMEK_MAX_LEASE));
	print_number(printer, "max_stale", object_number(token, zone, CKA_CMEK_MAX_STALE));
	print_bool(printer, "embed", object_embeds(token, zone));
	print_take(printer, "root_key", object_owners(token, zone));
}

static const char *usage_text(const struct token *token, CK_OBJECT_HANDLE zone)
{
	bool wraps = object_flag(token, zone, CKA_WRAP);
	bool encrypts = object_flag(token, zone, CKA_ENCRYPT);

	return wraps && encrypts ? "encrypt,wrap" : wraps ? "wrap" : encrypts ? "encrypt" : "";
}

/* What `list` has no room for. */
void database_fields(struct printer *printer, const struct token *token, CK_OBJECT_HANDLE zone)
{
	fields(printer, token, zone);
	print_text(printer, "usage", usage_text(token, zone));
	print_bool(printer, "trusted", object_flag(token, zone, CKA_TRUSTED));
	print_number(printer, "raw_version", object_number(token, zone, CKA_CMEK_RAW_VERSION));
	print_number(printer, "min_version", object_number(token, zone, CKA_CMEK_MIN_VERSION));
	print_number(printer, "rotate_days", object_number(token, zone, CKA_CMEK_ROTATE_DAYS));
	print_take(printer, "root_keys", object_root_keys(token, zone));
	print_take_json(printer, "versions", object_text(token, zone, CKA_CMEK_VERSIONS));
}

static int check_label(const char *label)
{
	const char *slash = strchr(label, '/');

	if (slash == NULL || slash == label || slash[1] == '\0')
		return fail(CMEK_EXIT_USAGE, "a database is named CLUSTER/DB, not %s", label);
	return CMEK_EXIT_OK;
}

/* Adds the options that are numbers and are given to a template, which has room for them. */
static int add_bounds(const struct arguments *arguments, CK_ULONG bounds[static 3],
		      CK_ATTRIBUTE *template, CK_ULONG *count)
{
	static const struct {
		const char *option;
		CK_ATTRIBUTE_TYPE type;
	} rows[] = {{"max-lease", CKA_CMEK_MAX_LEASE}, {"max-stale", CKA_CMEK_MAX_STALE}};
	uint64_t seconds = 0, days = 0;

	TRY(arguments_days(arguments, "rotate-days", &days));
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		TRY(arguments_seconds(arguments, rows[i].option, &seconds));
		bounds[i] = seconds;
		if (arguments_value(arguments, rows[i].option) != NULL)
			template[(*count)++] =
				(CK_ATTRIBUTE){rows[i].type, &bounds[i], sizeof(bounds[i])};
	}
	bounds[COUNT_OF(rows)] = days;
	if (arguments_value(arguments, "rotate-days") != NULL)
		template[(*count)++] = (CK_ATTRIBUTE){CKA_CMEK_ROTATE_DAYS, &bounds[COUNT_OF(rows)],
						      sizeof(*bounds)};
	return CMEK_EXIT_OK;
}

/* What the key is for; programs that know no data keys encrypt by it (docs/objects.md). */
struct usage {
	CK_BBOOL wrap, encrypt;
};

static CK_BBOOL *usage_named(struct usage *usage, const char *word, size_t len)
{
	if (len == strlen("wrap") && memcmp(word, "wrap", len) == 0)
		return &usage->wrap;
	if (len == strlen("encrypt") && memcmp(word, "encrypt", len) == 0)
		return &usage->encrypt;
	return NULL;
}

static int read_usage(const struct arguments *arguments, struct usage *ret_usage)
{
	const char *words = arguments_value(arguments, "usage");
	struct usage usage = {CK_FALSE, CK_FALSE};

	if (words == NULL) {
		*ret_usage = (struct usage){CK_TRUE, CK_FALSE};
		return CMEK_EXIT_OK;
	}
	for (const char *at = words;; at++) {
		size_t len = strcspn(at, ",");
		CK_BBOOL *named = usage_named(&usage, at, len);

		if (named == NULL)
			return fail(CMEK_EXIT_USAGE,
				    "--usage is wrap, encrypt or both with a comma between, not %s",
				    words);
		*named = CK_TRUE;
		at += len;
		if (*at == '\0')
			break;
	}
	*ret_usage = usage;
	return CMEK_EXIT_OK;
}

/* What a new database is made of; the names come last. */
struct wish {
	CK_OBJECT_CLASS class;
	CK_KEY_TYPE type;
	CK_BBOOL yes, no;
	CK_ULONG len, bounds[3];
	struct usage usage;
	char *root_keys; /* owned */
	CK_ATTRIBUTE template[14];
	CK_ULONG count;
};

static void wish_clear(struct wish *wish)
{
	free(wish->root_keys);
}

static void put(struct wish *wish, CK_ATTRIBUTE_TYPE type, void *value, size_t len)
{
	wish->template[wish->count++] = (CK_ATTRIBUTE){type, value, len};
}

static int read_wish(const struct arguments *arguments, struct wish *wish)
{
	wish->class = CKO_SECRET_KEY;
	wish->type = CKK_AES;
	wish->yes = CK_TRUE;
	wish->len = 32;
	TRY(read_usage(arguments, &wish->usage));
	put(wish, CKA_CLASS, &wish->class, sizeof(wish->class));
	put(wish, CKA_KEY_TYPE, &wish->type, sizeof(wish->type));
	put(wish, CKA_TOKEN, &wish->yes, sizeof(wish->yes));
	put(wish, CKA_VALUE_LEN, &wish->len, sizeof(wish->len));
	put(wish, CKA_WRAP, &wish->usage.wrap, sizeof(CK_BBOOL));
	put(wish, CKA_UNWRAP, &wish->usage.wrap, sizeof(CK_BBOOL));
	put(wish, CKA_ENCRYPT, &wish->usage.encrypt, sizeof(CK_BBOOL));
	put(wish, CKA_DECRYPT, &wish->usage.encrypt, sizeof(CK_BBOOL));
	TRY(add_bounds(arguments, wish->bounds, wish->template, &wish->count));
	if (arguments_value(arguments, "no-embed") != NULL)
		put(wish, CKA_CMEK_EMBED_EZK, &wish->no, sizeof(wish->no));
	return CMEK_EXIT_OK;
}

static int add_owners(const struct arguments *arguments, const struct token *token,
		      struct wish *wish)
{
	const char *both = arguments_value(arguments, "both");

	if (both == NULL)
		return CMEK_EXIT_OK;
	TRY(root_keys_named(token, both, true, &wish->root_keys));
	put(wish, CKA_CMEK_ROOT_KEYS, wish->root_keys, strlen(wish->root_keys));
	return CMEK_EXIT_OK;
}

static CK_RV generate(const struct token *token, struct wish *wish, CK_OBJECT_HANDLE *ret_zone)
{
	CK_MECHANISM by = {CKM_AES_KEY_GEN, NULL, 0};

	return token->functions->C_GenerateKey(token->session, &by, wish->template, wish->count,
					       ret_zone);
}

static void warn_of_kept(const struct token *token, CK_OBJECT_HANDLE zone, const char *which)
{
	if (!object_embeds(token, zone))
		warn("%s: its key is only in the store; back up the store now, its loss is this "
		     "data's loss (docs/erasure.md)",
		     which);
}

static int create_one(const struct arguments *arguments, const char *label)
{
	AUTO(token_close) struct token token = {0};
	AUTO(wish_clear) struct wish wish = {0};
	AUTO(freep) char *which = NULL;
	CK_OBJECT_HANDLE zone;
	CK_RV rv;

	TRY(check_label(label));
	TRY(read_wish(arguments, &wish));
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(add_owners(arguments, &token, &wish));
	put(&wish, CKA_LABEL, (void *)(uintptr_t)label, strlen(label));
	rv = generate(&token, &wish, &zone);
	if (rv != CKR_OK)
		return module_failed(rv, "creating database %s in project %s", label,
				     token.project);
	TRY(objects_report(arguments, &token, zone, database_fields));
	if (asprintf(&which, "database %s", label) < 0)
		which = NULL;
	warn_of_kept(&token, zone, which == NULL ? label : which);
	return CMEK_EXIT_OK;
}

/* --- Several at once, all or none */

struct names {
	struct buffer text; /* one a line, each line with its end */
	size_t count;
};

static void names_clear(struct names *names)
{
	buffer_clear(&names->text);
}

static int add_name(struct names *names, const char *name)
{
	TRY(check_label(name));
	if (++names->count > CMEK_DATABASES_MAX)
		return fail(CMEK_EXIT_USAGE,
			    "at most %lu databases are made at once, all or none; give the others "
			    "to another command",
			    CMEK_DATABASES_MAX);
	buffer_put_text(&names->text, name);
	buffer_put_text(&names->text, "\n");
	return CMEK_EXIT_OK;
}

/* Blank lines are none. */
static int add_lines(struct names *names, FILE *list, const char *called)
{
	AUTO(freep) char *line = NULL;
	size_t room = 0;
	ssize_t len;

	while ((len = getline(&line, &room, list)) > 0) {
		if (memchr(line, '\0', (size_t)len) != NULL)
			return fail(CMEK_EXIT_USAGE, "%s is no list of names, one a line", called);
		line[strcspn(line, "\r\n")] = '\0';
		if (*line != '\0')
			TRY(add_name(names, line));
	}
	return ferror(list) == 0 ? CMEK_EXIT_OK : fail_system(errno, called, "");
}

static int add_list(struct names *names, const char *from)
{
	FILE *list;
	int code;

	if (strcmp(from, "-") == 0)
		return add_lines(names, stdin, "standard input");
	list = fopen(from, "re");
	if (list == NULL)
		return fail_system(errno, from, "");
	code = add_lines(names, list, from);
	fclose(list);
	return code;
}

static int read_names(const struct arguments *arguments, struct names *names)
{
	const char *from = arguments_value(arguments, "from-file");

	for (size_t i = 0; i < arguments->word_count; i++)
		TRY(add_name(names, arguments->words[i]));
	if (from != NULL)
		TRY(add_list(names, from));
	if (names->text.failed)
		return fail(CMEK_EXIT_FAILED, "not enough memory");
	if (names->count == 0)
		return from == NULL ? fail(CMEK_EXIT_USAGE,
					   "which database? name CLUSTER/DB, or --from-file LIST")
				    : fail(CMEK_EXIT_USAGE, "%s names no database", from);
	return CMEK_EXIT_OK;
}

/* As they were named. */
static int report_all(const struct arguments *arguments, const struct token *token,
		      struct names *names)
{
	struct printer printer = {.json = arguments->json};
	char *rest = NULL;

	for (char *name = strtok_r((char *)names->text.data, "\n", &rest); name != NULL;
	     name = strtok_r(NULL, "\n", &rest)) {
		CK_OBJECT_HANDLE zone;
		int code = token_find_one(token, &kind_database, name, &zone);

		if (code != CMEK_EXIT_OK) {
			print_drop(&printer);
			return code;
		}
		print_row(&printer);
		fields(&printer, token, zone);
	}
	return print_end(&printer);
}

static int create_many(const struct arguments *arguments, struct names *names)
{
	AUTO(token_close) struct token token = {0};
	AUTO(wish_clear) struct wish wish = {0};
	CK_OBJECT_HANDLE first;
	CK_RV rv;

	TRY(read_wish(arguments, &wish));
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(add_owners(arguments, &token, &wish));
	put(&wish, CKA_CMEK_DATABASES, names->text.data, names->text.len);
	rv = generate(&token, &wish, &first);
	if (rv != CKR_OK)
		return module_failed(rv, "creating %zu databases in project %s: none was made",
				     names->count, token.project);
	buffer_put_u8(&names->text, 0);
	TRY(report_all(arguments, &token, names));
	warn_of_kept(&token, first, "each of these databases");
	return CMEK_EXIT_OK;
}

int database_create(const struct arguments *arguments)
{
	AUTO(names_clear) struct names names = {0};

	TRY(read_names(arguments, &names));
	return arguments->word_count == 1 && names.count == 1
		       ? create_one(arguments, arguments->words[0])
		       : create_many(arguments, &names);
}

int database_list(const struct arguments *arguments)
{
	return objects_list(arguments, &kind_database, fields);
}

/* An imported one is rotated elsewhere. */
static void warn_of_clock(const struct token *token, const char *label, CK_OBJECT_HANDLE zone)
{
	int64_t made = versions_primary_made(token, zone);

	if (made <= clock_now(&clock_system).realtime_ms + DAY_MS ||
	    object_is_imported(token, zone))
		return;
	warn("database %s: its primary version says that it was made more than a day from now, so "
	     "that a rotation by its age is put off; if this clock is right, rotate it by hand "
	     "('cmek database rotate')",
	     label);
}

int database_show(const struct arguments *arguments)
{
	AUTO(token_close) struct token token = {0};
	CK_OBJECT_HANDLE zone;

	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(token_find_one(&token, &kind_database, arguments->positional[0], &zone));
	TRY(objects_report(arguments, &token, zone, database_fields));
	warn_of_clock(&token, arguments->positional[0], zone);
	return arguments->json ? CMEK_EXIT_OK : versions_print(&token, zone);
}
