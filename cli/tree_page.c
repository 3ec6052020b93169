/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tree_page.h"

#include "base/clock.h"
#include "base/macros.h"
#include "cli/print.h"
#include "cli/tree_nodes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How long before its date a thing counts as due soon. */
enum { SOON_DAYS = 30 };

static const char head[] =
	"<!DOCTYPE html>\n"
	"<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" "
	"content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<title>cmek: the key hierarchy</title>\n<style>\n"
	":root { color-scheme: light dark; --line: #8884; --quiet: #777; }\n"
	"body { font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto;"
	" padding: 0 1rem; }\n"
	"h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }\n"
	"details { margin: .2rem 0 .2rem .6rem; padding-left: .9rem;"
	" border-left: 1px solid var(--line); }\n"
	"summary { cursor: pointer; } summary small, .quiet { color: var(--quiet); }\n"
	"table { border-collapse: collapse; margin: .3rem 0 .6rem 1rem; font-size: .9rem; }\n"
	"th, td { text-align: left; padding: .1rem .9rem .1rem 0;"
	" border-bottom: 1px solid var(--line); }\n"
	"bdi { overflow-wrap: anywhere; } .name { font-weight: 600; }\n"
	".state { border-radius: .6rem; padding: 0 .5rem; font-size: .85rem; color: #fff;"
	" background: #666; }\n"
	".good { background: #1a7f37; } .bad { background: #b3261e; }"
	" .soon { background: #9a6700; }\n"
	"</style>\n</head>\n<body>\n";

/* --- Text ------------------------------------------------------------------------------------ */

static const char *text_of(const json_t *json, const char *name)
{
	return member_text(json, name);
}

static long number_of(const json_t *json, const char *name)
{
	return (long)json_integer_value(json_object_get(json, name));
}

static const char *markup_of(unsigned char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return c < ' ' || c == 0x7f ? "?" : NULL;
	}
}

/* A text of others: no markup, and <bdi> keeps its direction to itself. */
static void put_text(struct buffer *out, const char *class, const char *text)
{
	buffer_format(out, "<bdi%s%s>", *class == '\0' ? "" : " class=", class);
	for (const char *at = text; *at != '\0'; at++) {
		const char *markup = markup_of((unsigned char)*at);

		buffer_append(out, markup == NULL ? bytes(at, 1) : bytes(markup, strlen(markup)));
	}
	buffer_put_text(out, "</bdi>");
}

/* --- Dates and states ------------------------------------------------------------------------ */

/* Days from now to a date, rounded down, below 0 when it has passed. False: there is no date. */
static bool days_to(const char *date, int64_t now_ms, long *ret_days)
{
	int64_t then;

	if (*date == '\0' || !clock_read_extended(date, &then))
		return false;
	*ret_days = (long)((then - now_ms) / DAY_MS) - (then < now_ms);
	return true;
}

static void put_age(struct buffer *out, const char *date, int64_t now_ms)
{
	long days;

	if (days_to(date, now_ms, &days))
		buffer_format(out, "%ld days", days < 0 ? -days - 1 : 0);
}

static void put_state(struct buffer *out, const char *state)
{
	static const char *const quiet[] = {"", "not asked", "retired", "pending deletion"};
	const char *class = strcmp(state, "active") == 0 ? " good" : " bad";

	for (size_t i = 0; i < COUNT_OF(quiet); i++)
		if (strcmp(state, quiet[i]) == 0)
			class = "";
	if (*state != '\0') {
		buffer_format(out, " <span class=\"state%s\">", class);
		put_text(out, "", state);
		buffer_put_text(out, "</span>");
	}
}

/* --- What is due ----------------------------------------------------------------------------- */

struct due {
	struct buffer *out;
	int64_t now_ms;
	bool later; /* what has a date to come; else what is due now */
	size_t count;
};

/* A line of the list; `date` may be empty: then it is due at once. */
static void put_due(struct due *due, const json_t *row, const char *what, const char *date,
		    const char *detail)
{
	struct buffer *out = due->out;
	long days = -1;
	bool dated = days_to(date, due->now_ms, &days);

	if (days > SOON_DAYS || due->later != (days >= 0))
		return;
	if (due->count++ == 0)
		buffer_put_text(out, "<table class=\"due\">\n<tr><th>when<th>what<th>which\n");
	buffer_format(out, "<tr><td><span class=\"state %s\">", days < 0 ? "bad" : "soon");
	if (days < 0)
		buffer_put_text(out, "now");
	else
		buffer_format(out, "in %ld days", days);
	buffer_format(out, "</span> %.10s<td>%s<td>", dated ? date : "", what);
	buffer_format(out, "%s ", text_of(row, "kind"));
	put_text(out, "name", text_of(row, "label"));
	if (*detail != '\0') {
		buffer_put_text(out, " ");
		put_text(out, "quiet", detail);
	}
	buffer_put_text(out, "\n");
}

static void due_of_key(struct due *due, const json_t *key)
{
	const char *state = text_of(key, "state");
	const char *deletion = text_of(key, "deletion_date");

	if (strcmp(state, "active") == 0 || strcmp(state, "not asked") == 0)
		return;
	put_due(due, key, *deletion != '\0' ? "the KMS deletes this key" : "what its KMS says", "",
		*deletion != '\0' ? deletion : state);
}

static const struct {
	const char *list, *children;
} levels[] = {{"root_keys", "clusters"}, {"clusters", "databases"}, {"databases", NULL}};

static void due_below(struct due *due, const json_t *parent, size_t level)
{
	const json_t *list = json_object_get(parent, levels[level].list);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);
		const char *rotation = text_of(row, "rotation_due");

		if (level == 0)
			due_of_key(due, row);
		if (*rotation != '\0')
			put_due(due, row, "a new key version", rotation, "");
		if (levels[level].children != NULL)
			due_below(due, row, level + 1);
	}
}

static void due_of_project(struct due *due, const json_t *project)
{
	const json_t *deleted = json_object_get(project, "deleted");

	due_below(due, project, 0);
	for (size_t i = 0; i < json_array_size(deleted); i++) {
		const json_t *row = json_array_get(deleted, i);

		put_due(due, row, "removed for good", text_of(row, "purge_date"),
			text_of(row, "id"));
	}
}

static void put_all_due(struct buffer *out, const json_t *projects, int64_t now_ms)
{
	struct due due = {.out = out, .now_ms = now_ms};

	buffer_format(out, "<h2>Due now or within %d days</h2>\n", SOON_DAYS);
	for (size_t pass = 0; pass < 2; pass++) {
		due.later = pass == 1;
		for (size_t i = 0; i < json_array_size(projects); i++)
			due_of_project(&due, json_array_get(projects, i));
	}
	buffer_put_text(out, due.count > 0 ? "</table>\n" : "<p class=\"quiet\">Nothing.</p>\n");
}

/* --- The hierarchy --------------------------------------------------------------------------- */

static const char *use_of(const json_t *version)
{
	if (strcmp(text_of(version, "state"), "active") != 0)
		return "";
	return json_is_true(json_object_get(version, "primary")) ? "wraps and opens" : "opens";
}

static void put_versions(struct buffer *out, const json_t *versions, int64_t now_ms)
{
	buffer_put_text(out, "<table class=\"versions\">\n"
			     "<tr><th>key version<th>state<th>use<th>made<th>age\n");
	for (size_t i = 0; i < json_array_size(versions); i++) {
		const json_t *version = json_array_get(versions, i);
		const char *made = text_of(version, "created");

		buffer_format(out, "<tr><td>%ld<td>", number_of(version, "version"));
		put_state(out, text_of(version, "state"));
		buffer_format(out, "<td>%s<td>%.10s<td>", use_of(version), made);
		put_age(out, made, now_ms);
		buffer_put_text(out, "\n");
	}
	buffer_put_text(out, "</table>\n");
}

/* What is told of a row beside its name, in this order, where it has it. */
static const struct {
	const char *member, *words;
} details[] = {
	{"arn", ""},
	{"provider", ""},
	{"region", ""},
	{"zone", "zone "},
	{"deletion_date", "until "},
	{"last_used", "last used "},
	{"root_key", "encrypted by "},
	{"rotation_due", "next key version due "},
};

static void put_summary(struct buffer *out, const json_t *row)
{
	buffer_format(out, "<summary>%s ", text_of(row, "kind"));
	put_text(out, "name", text_of(row, "label"));
	put_state(out, text_of(row, "state"));
	buffer_put_text(out, " <small>");
	for (size_t i = 0, shown = 0; i < COUNT_OF(details); i++) {
		const char *text = text_of(row, details[i].member);

		if (*text == '\0')
			continue;
		buffer_format(out, "%s%s", shown++ == 0 ? "" : ", ", details[i].words);
		put_text(out, "", text);
	}
	if (json_is_false(json_object_get(row, "embed")))
		buffer_put_text(out, ", its files need the store");
	buffer_put_text(out, "</small></summary>\n");
}

static void put_below(struct buffer *out, const json_t *parent, size_t level, int64_t now_ms)
{
	const json_t *list = json_object_get(parent, levels[level].list);

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);

		buffer_format(out, "<details%s>\n", levels[level].children != NULL ? " open" : "");
		put_summary(out, row);
		if (levels[level].children != NULL)
			put_below(out, row, level + 1, now_ms);
		else
			put_versions(out, json_object_get(row, "key_versions"), now_ms);
		buffer_put_text(out, "</details>\n");
	}
}

static void put_deleted(struct buffer *out, const json_t *list)
{
	if (json_array_size(list) == 0)
		return;
	buffer_put_text(out,
			"<details>\n<summary>awaits deletion</summary>\n"
			"<table class=\"deleted\">\n<tr><th>which<th>id<th>can come back until\n");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *row = json_array_get(list, i);

		buffer_format(out, "<tr><td>%s ", text_of(row, "kind"));
		put_text(out, "name", text_of(row, "label"));
		buffer_put_text(out, "<td>");
		put_text(out, "", text_of(row, "id"));
		buffer_format(out, "<td>%.10s\n", text_of(row, "purge_date"));
	}
	buffer_put_text(out, "</table>\n</details>\n");
}

void tree_page(const json_t *projects, int64_t now_ms, struct buffer *out)
{
	char now[25];

	clock_extended_utc(now_ms, now);
	buffer_put_text(out, head);
	buffer_format(
		out,
		"<h1>The key hierarchy</h1>\n<p class=\"quiet\">As of %.16s UTC, by cmek "
		"tree. A root key opens the keys of its databases, and these open the data.</p>\n",
		now);
	put_all_due(out, projects, now_ms);
	buffer_put_text(out, "<h2>Projects</h2>\n");
	if (json_array_size(projects) == 0)
		buffer_put_text(out, "<p class=\"quiet\">There is none.</p>\n");
	for (size_t i = 0; i < json_array_size(projects); i++) {
		const json_t *project = json_array_get(projects, i);

		buffer_put_text(out, "<details open class=\"project\">\n");
		put_summary(out, project);
		if (json_is_true(json_object_get(project, "pin_needed")))
			buffer_put_text(out, "<p class=\"quiet\">" TREE_UNSEEN ".</p>\n");
		put_below(out, project, 0, now_ms);
		put_deleted(out, json_object_get(project, "deleted"));
		buffer_put_text(out, "</details>\n");
	}
	buffer_put_text(out, "</body>\n</html>\n");
}
