/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek tree: projects, root keys with their states, clusters and databases as a picture, or as
 * nested JSON. */
#include "base/clock.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/objects.h"
#include "cli/usage.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the states of root keys are asked for; a call under way is waited for. */
enum { ASKING_MS = 10000 };

struct reader {
	const struct token *token;
	bool asks;	  /* for the states of root keys, one after the other */
	bool patient;	  /* however long it takes */
	bool usage;	  /* also versions, and when root keys were used last */
	int64_t until_ms; /* otherwise: from then on no more are asked for */
};

/* One project's objects, read once. A node's parent is named by text: a root key's ARN, a cluster's
 * label. */
struct node {
	char *label, *parent, *key; /* key: the text by which children name it */
	char *detail;		    /* for the picture */
	json_t *json;		    /* for --json: taken when it is shown */
};

struct nodes {
	struct node *rows;
	size_t count;
};

static char *formatted(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *formatted(const char *format, ...)
{
	va_list list;
	char *text;

	va_start(list, format);
	if (vasprintf(&text, format, list) < 0)
		text = NULL;
	va_end(list);
	return text;
}

static void nodes_clear(struct nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++) {
		free(nodes->rows[i].label);
		free(nodes->rows[i].parent);
		free(nodes->rows[i].key);
		free(nodes->rows[i].detail);
		json_decref(nodes->rows[i].json);
	}
	free(nodes->rows);
}

static void put(struct node *node, const char *name, const char *value)
{
	json_object_set_new(node->json, name, print_json_text(value == NULL ? "" : value));
}

static int64_t now_ms(void)
{
	return clock_now(&clock_system).monotonic_ms;
}

static bool may_ask(const struct reader *reader)
{
	return reader->asks && (reader->patient || now_ms() < reader->until_ms);
}

/* One more of them (takes the value), in both forms. */
static void add_detail(struct node *node, const char *name, const char *words, char *value)
{
	char *longer = formatted("%s, %s %s", node->detail, words, value);

	put(node, name, value);
	free(value);
	free(node->detail);
	node->detail = longer;
}

static void fill_key(struct node *node, const struct reader *reader, CK_OBJECT_HANDLE object)
{
	const struct token *token = reader->token;
	const char *state = may_ask(reader) ? root_key_state(token, object) : "not asked";
	AUTO(freep) char *until = object_text(token, object, CKA_CMEK_DELETION_DATE);
	AUTO(freep) char *provider = object_text(token, object, CKA_CMEK_PROVIDER);
	AUTO(freep) char *region = object_text(token, object, CKA_CMEK_REGION);
	bool ends = until != NULL && *until != '\0';

	node->key = object_text(token, object, CKA_CMEK_ROOT_KEY);
	put(node, "provider", provider);
	put(node, "region", region);
	put(node, "arn", node->key);
	put(node, "state", state);
	if (ends)
		put(node, "deletion_date", until);
	node->detail = formatted("%s%s%s, %s, %s", state, ends ? " until " : "", ends ? until : "",
				 provider, node->key);
	if (reader->usage && may_ask(reader))
		add_detail(node, "last_used", "last used", root_key_last_used(token, object));
}

static void fill_cluster(struct node *node, const struct reader *reader, CK_OBJECT_HANDLE object)
{
	const struct token *token = reader->token;
	AUTO(freep) char *provider = object_text(token, object, CKA_CMEK_PROVIDER);
	AUTO(freep) char *region = object_text(token, object, CKA_CMEK_REGION);

	node->key = object_text(token, object, CKA_LABEL);
	node->parent = object_text(token, object, CKA_CMEK_ROOT_KEY);
	put(node, "provider", provider);
	put(node, "region", region);
	node->detail = formatted("%s, %s", provider, region);
}

static void fill_database(struct node *node, const struct reader *reader, CK_OBJECT_HANDLE object)
{
	const struct token *token = reader->token;
	CK_ULONG version = object_number(token, object, CKA_CMEK_VERSION);
	bool embeds = object_embeds(token, object);
	AUTO(freep)
	char *zone = formatted("%llu", (unsigned long long)object_zone_id(token, object));
	AUTO(freep) char *owners = object_root_keys(token, object);
	bool both = owners != NULL && strncmp(owners, BOTH_OF, strlen(BOTH_OF)) == 0;
	bool several = both || (owners != NULL && strchr(owners, ',') != NULL);

	node->parent = object_text(token, object, CKA_CMEK_CLUSTER);
	put(node, "zone", zone);
	json_object_set_new(node->json, "version", json_integer((json_int_t)version));
	put(node, "embed", embeds ? "yes" : "no");
	if (several)
		put(node, "root_key", owners);
	node->detail = formatted("zone %s, key version %lu%s%s%s%s", zone, version,
				 embeds ? "" : ", embed: no", several ? ", " : "",
				 several && !both ? "any of " : "", several ? owners : "");
	if (reader->usage) {
		json_t *usage = usage_of(token, object);

		add_detail(node, "versions", "versions:", usage_versions(usage));
		json_decref(usage);
	}
}

static int read_nodes(const struct reader *reader, const struct object_kind_row *kind,
		      void (*fill)(struct node *, const struct reader *, CK_OBJECT_HANDLE),
		      struct nodes *ret_nodes)
{
	const struct token *token = reader->token;
	AUTO(freep) CK_OBJECT_HANDLE *handles = NULL;
	size_t count;

	TRY(token_find(token, kind, NULL, &handles, &count));
	ret_nodes->rows = calloc(count + 1, sizeof(*ret_nodes->rows));
	if (ret_nodes->rows == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	ret_nodes->count = count;
	for (size_t i = 0; i < count; i++) {
		struct node *node = &ret_nodes->rows[i];

		node->json = json_object();
		node->label = object_text(token, handles[i], CKA_LABEL);
		put(node, "kind", kind->noun);
		put(node, "label", node->label);
		fill(node, reader, handles[i]);
	}
	return CMEK_EXIT_OK;
}

/* --- The picture ----------------------------------------------------------------------------- */

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

static void draw(const struct level *level, const char *parent, const char *indent)
{
	size_t left = level->nodes == NULL ? 0 : children(level->nodes, parent);
	char deeper[64];

	for (size_t i = 0; left > 0 && i < level->nodes->count; i++) {
		const struct node *node = &level->nodes->rows[i];

		if (!is_child(node, parent))
			continue;
		left--;
		printf("%s%s %s %s  (%s)\n", indent, left > 0 ? "├──" : "└──", level->noun,
		       plain_text(node->label), node->detail);
		snprintf(deeper, sizeof(deeper), "%s%s", indent, left > 0 ? "│   " : "    ");
		draw(level + 1, node->key, deeper);
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

static int show(const struct reader *reader, json_t *projects)
{
	const struct token *token = reader->token;
	AUTO(nodes_clear) struct nodes keys = {0}, clusters = {0}, databases = {0};
	AUTO(freep) char *label = NULL;
	const struct level levels[] = {{"root key", "root_keys", &keys},
				       {"cluster", "clusters", &clusters},
				       {"database", "databases", &databases},
				       {NULL, NULL, NULL}};

	TRY(read_nodes(reader, &kind_key, fill_key, &keys));
	TRY(read_nodes(reader, &kind_cluster, fill_cluster, &clusters));
	TRY(read_nodes(reader, &kind_database, fill_database, &databases));
	if (projects != NULL) {
		json_array_append_new(projects,
				      json_pack("{s:s, s:o, s:I, s:o}", "kind", "project", "label",
						print_json_text(token->project), "slot",
						(json_int_t)token->slot, levels[0].children,
						as_json(levels, NULL)));
		return CMEK_EXIT_OK;
	}
	label = strdup(token->project);
	printf("project %s  (slot %lu)\n", label == NULL ? "?" : plain_text(label), token->slot);
	draw(levels, NULL, "");
	return CMEK_EXIT_OK;
}

int tree_draw(const struct arguments *arguments)
{
	const char *project = arguments_value(arguments, "project");
	struct reader reader = {.asks = arguments_value(arguments, "offline") == NULL,
				.patient = arguments_value(arguments, "states") != NULL,
				.usage = arguments_value(arguments, "usage") != NULL,
				.until_ms = now_ms() + ASKING_MS};
	json_t *projects = arguments->json ? json_array() : NULL;
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	const CK_FUNCTION_LIST *functions;
	CK_ULONG count, shown = 0;
	char label[TOKEN_LABEL_SIZE];

	if (!reader.asks && reader.patient)
		return fail(CMEK_EXIT_USAGE,
			    "--states asks the KMS and --offline does not: give one");
	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++) {
		AUTO(token_close) struct token token = {0};

		if (!slot_label(functions, slots[i], label, NULL) ||
		    (project != NULL && strcmp(project, label) != 0))
			continue;
		TRY(token_open_slot(functions, slots[i], &token));
		reader.token = &token;
		TRY(show(&reader, projects));
		shown++;
	}
	if (projects != NULL) {
		json_dumpf(projects, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(projects);
	}
	if (project != NULL && shown == 0)
		return fail(CMEK_EXIT_NOT_FOUND, "no project %s; see cmek project list", project);
	return CMEK_EXIT_OK;
}
