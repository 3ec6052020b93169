/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/tree_nodes.h"

#include "base/clock.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/objects.h"
#include "cli/usage.h"
#include "cli/versions.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void node_clear(struct node *node)
{
	free(node->label);
	free(node->parent);
	free(node->key);
	free(node->detail);
	json_decref(node->json);
}

void nodes_clear(struct nodes *nodes)
{
	for (size_t i = 0; i < nodes->count; i++)
		node_clear(&nodes->rows[i]);
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

/* When the age of its primary version asks for a new one; nothing where age alone never does. */
static void put_rotation(struct node *node, const struct token *token, CK_OBJECT_HANDLE object)
{
	CK_ULONG days = object_number(token, object, CKA_CMEK_ROTATE_DAYS);
	int64_t made = versions_primary_made(token, object);
	char due[25];

	if (days == 0 || made == 0 || object_is_imported(token, object))
		return;
	clock_extended_utc(made + (int64_t)days * DAY_MS, due);
	put(node, "rotation_due", due);
}

/* For programs and the page: each version by itself. */
static void put_versions(struct node *node, const struct token *token, CK_OBJECT_HANDLE object)
{
	AUTO(freep) char *text = object_text(token, object, CKA_CMEK_VERSIONS);
	json_t *versions = text == NULL ? NULL : json_loads(text, 0, NULL);

	json_object_set_new(node->json, "key_versions", versions == NULL ? json_null() : versions);
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
	json_object_set_new(node->json, "embed", json_boolean(embeds));
	if (several)
		put(node, "root_key", owners);
	node->detail = formatted("zone %s, key version %lu%s%s%s%s", zone, version,
				 embeds ? "" : ", embed: no", several ? ", " : "",
				 several && !both ? "any of " : "", several ? owners : "");
	if (reader->usage) {
		json_t *usage = usage_of(token, object);

		add_detail(node, "versions", "versions:", usage_versions(usage));
		json_decref(usage);
		put_versions(node, token, object);
		put_rotation(node, token, object);
	}
}

struct reading {
	const struct reader *reader;
	const struct object_kind_row *kind;
	void (*fill)(struct node *, const struct reader *, CK_OBJECT_HANDLE);
	struct nodes *nodes;
	size_t capacity;
	bool no_memory;
};

/* A node more, which is empty; NULL: no memory. */
static struct node *add_node(struct reading *reading)
{
	struct nodes *nodes = reading->nodes;
	size_t capacity = reading->capacity == 0 ? 64 : reading->capacity * 2;
	struct node *rows;

	if (nodes->count == reading->capacity) {
		rows = realloc(nodes->rows, capacity * sizeof(*rows));
		reading->no_memory |= rows == NULL;
		if (rows == NULL)
			return NULL;
		nodes->rows = rows;
		reading->capacity = capacity;
	}
	nodes->rows[nodes->count] = (struct node){0};
	return &nodes->rows[nodes->count++];
}

static void read_node(void *state, const struct token *token, CK_OBJECT_HANDLE object)
{
	struct reading *reading = state;
	struct node *node = add_node(reading);

	if (node == NULL)
		return;
	node->json = json_object();
	node->label = object_text(token, object, CKA_LABEL);
	put(node, "kind", reading->kind->noun);
	put(node, "label", node->label);
	reading->fill(node, reading->reader, object);
}

static int read_nodes(const struct reader *reader, const struct object_kind_row *kind,
		      void (*fill)(struct node *, const struct reader *, CK_OBJECT_HANDLE),
		      struct nodes *ret_nodes)
{
	struct reading reading = {.reader = reader, .kind = kind, .fill = fill, .nodes = ret_nodes};

	TRY(token_each(reader->token, kind, false, read_node, &reading));
	return reading.no_memory ? fail(CMEK_EXIT_FAILED, "out of memory") : CMEK_EXIT_OK;
}

int tree_read_keys(const struct reader *reader, struct nodes *ret_nodes)
{
	return read_nodes(reader, &kind_key, fill_key, ret_nodes);
}

int tree_read_clusters(const struct reader *reader, struct nodes *ret_nodes)
{
	return read_nodes(reader, &kind_cluster, fill_cluster, ret_nodes);
}

int tree_read_databases(const struct reader *reader, struct nodes *ret_nodes)
{
	return read_nodes(reader, &kind_database, fill_database, ret_nodes);
}

int tree_read_deleted(const struct token *token, json_t *list)
{
	const struct object_kind_row *const kinds[] = {&kind_key, &kind_cluster, &kind_database};

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		AUTO(freep) CK_OBJECT_HANDLE *handles = NULL;
		size_t count;

		if (token->unseen && kinds[i] == &kind_database)
			continue;
		TRY(token_find_pending(token, kinds[i], NULL, &handles, &count));
		for (size_t k = 0; k < count; k++) {
			struct node node = {.json = json_object()};

			node.label = object_text(token, handles[k], CKA_LABEL);
			node.key = object_text(token, handles[k], CKA_UNIQUE_ID);
			node.detail = object_text(token, handles[k], CKA_CMEK_PURGE_DATE);
			put(&node, "kind", kinds[i]->noun);
			put(&node, "label", node.label);
			put(&node, "id", node.key);
			put(&node, "purge_date", node.detail);
			json_array_append(list, node.json);
			node_clear(&node);
		}
	}
	return CMEK_EXIT_OK;
}
