/* cmek tree: projects, root keys, clusters and databases as a picture, or as nested JSON. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "base/free.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/token.h"

/* One project's objects, read once. A node's parent is named by text: a root key's ARN, a cluster's
 * label. */
struct node {
	char *label, *parent, *key; /* key: what children name */
	char *detail;
	bool drawn;
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
	}
	free(nodes->rows);
}

static void fill_key(struct node *node, const struct token *token, CK_OBJECT_HANDLE object)
{
	AUTO(freep) char *provider = object_text(token, object, CKA_CMEK_PROVIDER);
	CK_ULONG state = object_number(token, object, CKA_CMEK_STATE);

	node->label = object_text(token, object, CKA_LABEL);
	node->key = object_text(token, object, CKA_CMEK_ROOT_KEY);
	node->detail = formatted("%s%s%s  %s", provider, state == CMEK_STATE_UNKNOWN ? "" : ", ",
				 state == CMEK_STATE_UNKNOWN ? "" : state_text(state), node->key);
}

static void fill_cluster(struct node *node, const struct token *token, CK_OBJECT_HANDLE object)
{
	AUTO(freep) char *provider = object_text(token, object, CKA_CMEK_PROVIDER);
	AUTO(freep) char *region = object_text(token, object, CKA_CMEK_REGION);

	node->label = object_text(token, object, CKA_LABEL);
	node->key = object_text(token, object, CKA_LABEL);
	node->parent = object_text(token, object, CKA_CMEK_ROOT_KEY);
	node->detail = formatted("%s, %s", provider, region);
}

static void fill_database(struct node *node, const struct token *token, CK_OBJECT_HANDLE object)
{
	node->label = object_text(token, object, CKA_LABEL);
	node->parent = object_text(token, object, CKA_CMEK_CLUSTER);
	node->detail = formatted("zone %llu, key version %lu",
				 (unsigned long long)object_zone_id(token, object),
				 object_number(token, object, CKA_CMEK_VERSION));
}

static int read_nodes(const struct token *token, const struct object_kind_row *kind,
		      void (*fill)(struct node *, const struct token *, CK_OBJECT_HANDLE),
		      struct nodes *ret_nodes)
{
	AUTO(freep) CK_OBJECT_HANDLE *handles = NULL;
	size_t count;

	TRY(token_find(token, kind, NULL, &handles, &count));
	ret_nodes->rows = calloc(count + 1, sizeof(*ret_nodes->rows));
	if (ret_nodes->rows == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	for (size_t i = 0; i < count; i++)
		fill(&ret_nodes->rows[i], token, handles[i]);
	ret_nodes->count = count;
	return CMEK_EXIT_OK;
}

/* --- The picture ----------------------------------------------------------------------------- */

struct level {
	const char *noun;
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
		       node->label, node->detail);
		snprintf(deeper, sizeof(deeper), "%s%s", indent, left > 0 ? "│   " : "    ");
		draw(level + 1, node->key, deeper);
	}
}

static json_t *as_json(const struct level *level, const char *parent)
{
	json_t *list = json_array();

	for (size_t i = 0; level->nodes != NULL && i < level->nodes->count; i++) {
		const struct node *node = &level->nodes->rows[i];

		if (is_child(node, parent))
			json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:o}", "kind",
							      level->noun, "label", node->label,
							      "detail", node->detail, "children",
							      as_json(level + 1, node->key)));
	}
	return list;
}

static int show(const struct token *token, json_t *projects)
{
	AUTO(nodes_clear) struct nodes keys = {0}, clusters = {0}, databases = {0};
	const struct level levels[] = {{"root key", &keys},
				       {"cluster", &clusters},
				       {"database", &databases},
				       {NULL, NULL}};

	TRY(read_nodes(token, &kind_key, fill_key, &keys));
	TRY(read_nodes(token, &kind_cluster, fill_cluster, &clusters));
	TRY(read_nodes(token, &kind_database, fill_database, &databases));
	if (projects != NULL) {
		json_array_append_new(projects,
				      json_pack("{s:s, s:s, s:i, s:o}", "kind", "project", "label",
						token->project, "slot", (int)token->slot,
						"children", as_json(levels, NULL)));
		return CMEK_EXIT_OK;
	}
	printf("project %s  (slot %lu)\n", token->project, token->slot);
	draw(levels, NULL, "");
	return CMEK_EXIT_OK;
}

int tree_draw(const struct arguments *arguments)
{
	const char *project = arguments_value(arguments, "project");
	json_t *projects = arguments->json ? json_array() : NULL;
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	const CK_FUNCTION_LIST *functions;
	CK_ULONG count, shown = 0;
	char label[33];

	TRY(module_load(&functions));
	TRY(module_slots(functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++) {
		AUTO(token_close) struct token token = {0};

		if (!slot_label(functions, slots[i], label, NULL) ||
		    (project != NULL && strcmp(project, label) != 0))
			continue;
		TRY(token_open_slot(functions, slots[i], &token));
		TRY(show(&token, projects));
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
