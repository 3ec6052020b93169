/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek tree: projects, root keys with their states, clusters and databases as a picture, as nested
 * JSON, or as a page. */
#include "base/clock.h"
#include "base/file.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/pin.h"
#include "cli/print.h"
#include "cli/tree_nodes.h"
#include "cli/tree_page.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the states of root keys are asked for; a call under way is waited for. */
enum { ASKING_MS = 10000 };

/* The lines of the picture: to one of several, to the last, past the others, past the last. */
struct lines {
	const char *one, *last, *past, *blank;
};
static const struct lines fine_lines = {"├──", "└──", "│   ", "    "};
static const struct lines plain_lines = {"|--", "`--", "|   ", "    "};

/* By its name (POSIX 8.2), so that it need not be installed. */
static const struct lines *lines_of_locale(void)
{
	static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	const char *locale = NULL;

	for (size_t i = 0; i < COUNT_OF(variables) && (locale == NULL || *locale == '\0'); i++)
		locale = getenv(variables[i]);
	if (locale != NULL && (strcasestr(locale, "UTF-8") != NULL || strcasestr(locale, "UTF8")))
		return &fine_lines;
	return &plain_lines;
}

struct level {
	const char *noun;
	const char *children; /* what a list of them is called in JSON */
	struct nodes *nodes;
};

static bool is_child(const struct node *node, const char *parent)
{
	return parent == NULL || (node->parent != NULL && strcmp(node->parent, parent) == 0);
}

static size_t children(const struct nodes *nodes, const char *parent)
{
	size_t count = 0;

	for (size_t i = 0; i < nodes->count; i++)
		count += is_child(&nodes->rows[i], parent);
	return count;
}

static void draw(const struct level *level, const struct lines *lines, const char *parent,
		 const char *indent)
{
	size_t left = level->nodes == NULL ? 0 : children(level->nodes, parent);
	char deeper[64];

	for (size_t i = 0; left > 0 && i < level->nodes->count; i++) {
		const struct node *node = &level->nodes->rows[i];

		if (!is_child(node, parent))
			continue;
		left--;
		printf("%s%s %s %s  (%s)\n", indent, left > 0 ? lines->one : lines->last,
		       level->noun, plain_text(node->label), node->detail);
		snprintf(deeper, sizeof(deeper), "%s%s", indent,
			 left > 0 ? lines->past : lines->blank);
		draw(level + 1, lines, node->key, deeper);
	}
}

static json_t *as_json(const struct level *level, const char *parent)
{
	json_t *list = json_array();

	for (size_t i = 0; level->nodes != NULL && i < level->nodes->count; i++) {
		const struct node *node = &level->nodes->rows[i];

		if (!is_child(node, parent))
			continue;
		if (level[1].noun != NULL)
			json_object_set_new(node->json, level[1].children,
					    as_json(level + 1, node->key));
		json_array_append(list, node->json);
	}
	return list;
}

static int add_project(const struct reader *reader, const struct level *levels, json_t *projects)
{
	const struct token *token = reader->token;
	json_t *project = json_pack(
		"{s:s, s:o, s:I, s:o}", "kind", "project", "label", print_json_text(token->project),
		"slot", (json_int_t)token->slot, levels[0].children, as_json(levels, NULL));
	json_t *deleted = json_array();

	json_object_set_new(project, "pin_needed", json_boolean(token->unseen));
	json_array_append_new(projects, project);
	if (!reader->usage) {
		json_decref(deleted);
		return CMEK_EXIT_OK;
	}
	json_object_set_new(project, "deleted", deleted);
	return tree_read_deleted(token, deleted);
}

static int show(const struct reader *reader, json_t *projects)
{
	const struct token *token = reader->token;
	AUTO(nodes_clear) struct nodes keys = {0}, clusters = {0}, databases = {0};
	AUTO(freep) char *label = NULL;
	const struct level levels[] = {{"root key", "root_keys", &keys},
				       {"cluster", "clusters", &clusters},
				       {"database", "databases", &databases},
				       {NULL, NULL, NULL}};

	TRY(tree_read_keys(reader, &keys));
	TRY(tree_read_clusters(reader, &clusters));
	if (!token->unseen)
		TRY(tree_read_databases(reader, &databases));
	if (projects != NULL)
		return add_project(reader, levels, projects);
	label = strdup(token->project);
	printf("project %s  (slot %lu)\n", label == NULL ? "?" : plain_text(label), token->slot);
	draw(levels, lines_of_locale(), NULL, "");
	if (token->unseen)
		puts("    " TREE_UNSEEN);
	return CMEK_EXIT_OK;
}

static int show_all(const char *project, struct reader *reader, json_t *projects)
{
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	const CK_FUNCTION_LIST *functions;
	struct library_slot slot;
	CK_ULONG count, shown = 0;

	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	TRY(pin_choose_project(functions, slots, count, project));
	for (CK_ULONG i = 0; i < count; i++) {
		AUTO(token_close) struct token token = {0};

		if (!library_slot_read(functions, slots[i], &slot) ||
		    (project != NULL && strcmp(project, slot.project) != 0))
			continue;
		TRY(token_open_slot(functions, slots[i], &token));
		reader->token = &token;
		TRY(show(reader, projects));
		shown++;
	}
	if (project != NULL && shown == 0)
		return fail(CMEK_EXIT_NOT_FOUND, "no project %s; see cmek project list", project);
	if (shown == 0 && projects == NULL)
		puts("no project yet; make one: cmek project create NAME");
	return CMEK_EXIT_OK;
}

static int write_page(const json_t *projects, struct output *output)
{
	AUTO(buffer_clear) struct buffer page = {0};

	tree_page(projects, clock_now(&clock_system).realtime_ms, &page);
	if (page.failed)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	TRY(output_open(output));
	if (!file_write_all(output->fd, buffer_bytes(&page)))
		return fail_system(errno, output->name, "cannot be written: ");
	return output_finish(output);
}

static void json_freep(json_t **json)
{
	json_decref(*json);
}

int tree_draw(const struct arguments *arguments)
{
	const char *page = arguments_value(arguments, "html");
	struct reader reader = {.asks = arguments_value(arguments, "offline") == NULL,
				.patient = arguments_value(arguments, "states") != NULL,
				.usage =
					page != NULL || arguments_value(arguments, "usage") != NULL,
				.until_ms = clock_now(&clock_system).monotonic_ms + ASKING_MS};
	AUTO(json_freep) json_t *projects = arguments->json || page != NULL ? json_array() : NULL;
	AUTO(library_output_clear) struct output output = OUTPUT_NONE;

	if (!reader.asks && reader.patient)
		return fail(CMEK_EXIT_USAGE,
			    "--states asks the KMS and --offline does not: give one");
	if (arguments->json && page != NULL)
		return fail(CMEK_EXIT_USAGE, "--json and --html are two forms of one answer: give "
					     "one");
	if (page == NULL && arguments_value(arguments, "force") != NULL)
		return fail(CMEK_EXIT_USAGE, "--force is for the file of --html: give that too");
	if (page != NULL)
		TRY(output_choose(&output, page, -1, "",
				  arguments_value(arguments, "force") != NULL));
	TRY(show_all(arguments_value(arguments, "project"), &reader, projects));
	if (page != NULL)
		return write_page(projects, &output);
	if (projects != NULL) {
		json_dumpf(projects, stdout, JSON_INDENT(2));
		putchar('\n');
	}
	return CMEK_EXIT_OK;
}

/* --- The command ----------------------------------------------------------------------------- */

/* clang-format off */

static const struct option_row tree_options[] = {
	ANY_PROJECT,
	{ "states", NULL, "ask the KMS for the state of each root key, however long that takes", false },
	{ "usage", NULL, "also the versions of each database's key, and when the KMS saw root keys used last", false },
	{ "offline", NULL, "ask no KMS: no states", false },
	{ "html", "FILE", "write a page for a browser, with all that --usage brings", false },
	{ "force", NULL, "replace that file if it is there", false },
	END,
};

static const struct command command_rows[] = {
	{ "tree", NULL, "", "the hierarchy, drawn",
	  "Projects, root keys with their states, clusters and databases. The KMS is asked for the states,\n"
	  "by one call for each root key that is active and a few for others, until ten seconds have\n"
	  "passed; the rest are 'not asked'. With --states all are asked about, with --offline none, and\n"
	  "nothing goes over the network.\n\n"
	  "With --usage each database has the versions of its key, and each root key when its KMS saw it\n"
	  "used last.\n\n"
	  "--html FILE writes one page that needs no other file and no network: what is due within 30 days,\n"
	  "and the hierarchy with states, key versions, their ages, and what awaits deletion.\n\n"
	  "  active            it works for you\n"
	  "  disabled, pending deletion (until when), pending import, unavailable (its custom key store),\n"
	  "  not usable (any other state), not found: what the KMS says of the key\n"
	  "  access denied     you can open no database below it\n"
	  "  not reachable, no credentials, credentials refused: the KMS was not heard\n"
	  "  not known         none of these could be found out; `cmek key show` has the reason\n",
	  tree_options, tree_draw },
};

/* clang-format on */

const struct command_group tree_commands = {command_rows, COUNT_OF(command_rows)};
