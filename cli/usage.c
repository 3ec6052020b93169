/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What stands on what, in lines for people. */
#include "cli/usage.h"

#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *usage_of(const struct token *token, CK_OBJECT_HANDLE object)
{
	AUTO(freep) char *text = object_text(token, object, CKA_CMEK_USAGE);

	return text == NULL ? NULL : json_loads(text, 0, NULL);
}

static const json_t *list_of(const json_t *of, const char *name)
{
	return json_object_get(of, name);
}

static long number_of(const json_t *of, const char *name)
{
	return (long)json_integer_value(json_object_get(of, name));
}

static size_t count_versions(const json_t *usage)
{
	const json_t *databases = list_of(usage, "databases");
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(databases); i++)
		count += json_array_size(list_of(json_array_get(databases, i), "versions"));
	return count;
}

bool usage_is_none(const json_t *usage)
{
	return usage != NULL && json_array_size(list_of(usage, "databases")) == 0 &&
	       json_array_size(list_of(usage, "clusters")) == 0;
}

static void put_count(struct buffer *out, size_t count, const char *noun)
{
	if (count > 0)
		buffer_format(out, "%s%zu %s%s", out->len == 0 ? "" : ", ", count, noun,
			      count == 1 ? "" : "s");
}

char *usage_summary(const json_t *usage)
{
	struct buffer out = {0};

	put_count(&out, json_array_size(list_of(usage, "databases")), "database");
	put_count(&out, count_versions(usage), "key version");
	put_count(&out, json_array_size(list_of(usage, "clusters")), "cluster");
	put_count(&out, (size_t)number_of(usage, "token_keys"), "token key");
	if (out.len == 0)
		buffer_put_text(&out, usage == NULL ? "not known" : "nothing");
	return buffer_take_text(&out);
}

/* --- Lines */

static void print_plain(const char *text)
{
	AUTO(freep) char *copy = strdup(text);

	fputs(copy == NULL ? "?" : plain_text(copy), stdout);
}

static void print_keys(const json_t *keys)
{
	for (size_t i = 0; i < json_array_size(keys); i++) {
		fputs(i == 0 ? " " : " and ", stdout);
		print_plain(json_string_value(json_array_get(keys, i)));
	}
}

static void print_version(const json_t *version)
{
	const json_t *keys = list_of(version, "root_keys");
	const json_t *before = list_of(version, "until_proven");
	long token_keys = number_of(version, "token_keys");

	printf("    version %ld, %s, since %s, encrypted by%s", number_of(version, "version"),
	       member_text(version, "state"), member_text(version, "created"),
	       json_is_true(json_object_get(version, "both")) ? " both" : "");
	print_keys(keys);
	if (json_array_size(before) > 0) {
		fputs(" (until that is proven also", stdout);
		print_keys(before);
		putchar(')');
	}
	if (token_keys > 0)
		printf("; wraps %ld token keys", token_keys);
	putchar('\n');
}

static void print_database(const json_t *database, CK_ULONG version)
{
	const json_t *versions = list_of(database, "versions");

	fputs("  database ", stdout);
	print_plain(member_text(database, "database"));
	printf(" (zone %s), %s, since %s, its files %s\n", member_text(database, "zone"),
	       member_text(database, "state"), member_text(database, "created"),
	       json_is_true(json_object_get(database, "embed")) ? "carry its key's record"
								: "need the store");
	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *row = json_array_get(versions, i);

		if (version == 0 || (CK_ULONG)number_of(row, "version") == version)
			print_version(row);
	}
}

void usage_print(const json_t *usage, CK_ULONG version)
{
	const json_t *databases = list_of(usage, "databases"),
		     *clusters = list_of(usage, "clusters");

	for (size_t i = 0; i < json_array_size(databases); i++)
		print_database(json_array_get(databases, i), version);
	for (size_t i = 0; i < json_array_size(clusters); i++) {
		const json_t *cluster = json_array_get(clusters, i);

		fputs("  cluster ", stdout);
		print_plain(member_text(cluster, "cluster"));
		printf(", %s%s\n", member_text(cluster, "state"),
		       json_is_true(json_object_get(cluster, "leaving"))
			       ? ", which is moving to another root key"
			       : "");
	}
}

void usage_print_copies(const json_t *usage)
{
	const json_t *copies = list_of(usage, "copies");

	for (size_t i = 0; i < json_array_size(copies); i++) {
		const json_t *copy = json_array_get(copies, i);

		fputs("  nor would database ", stdout);
		print_plain(member_text(copy, "database"));
		fputs(" of project ", stdout);
		print_plain(member_text(copy, "project"));
		puts(" open what this one encrypted: it has imported its key");
	}
}

void usage_print_all(const json_t *usage)
{
	usage_print(usage, 0);
}

char *usage_versions(const json_t *usage)
{
	const json_t *database = json_array_get(list_of(usage, "databases"), 0),
		     *versions = list_of(database, "versions");
	struct buffer out = {0};

	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *row = json_array_get(versions, i);

		buffer_format(&out, "%s%ld %s", i == 0 ? "" : ", ", number_of(row, "version"),
			      member_text(row, "state"));
		if (number_of(row, "token_keys") > 0)
			buffer_format(&out, " (%ld token keys)", number_of(row, "token_keys"));
	}
	return buffer_take_text(&out);
}

/* --- The KMS's side */

char *root_key_last_used(const struct token *token, CK_OBJECT_HANDLE key)
{
	char date[25] = "", *text = NULL;
	CK_ATTRIBUTE attribute = {CKA_CMEK_LAST_USED, date, sizeof(date) - 1};
	CK_RV rv = token->functions->C_GetAttributeValue(token->session, key, &attribute, 1);

	if (rv == CKR_OK && attribute.ulValueLen > 0)
		return strdup(date);
	if (rv == CKR_OK)
		return strdup("never, as far as the KMS can tell");
	if (asprintf(&text, "not told: %s", module_last_error(NULL)) < 0)
		return NULL;
	return text;
}
