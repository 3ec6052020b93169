/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Deletion: of databases and versions of their keys, clusters and root keys; the way back; and the
 * end. What can be undone asks for no confirmation; what can't asks for the name once more. */
#include "base/encode.h"
#include "base/free.h"
#include "base/macros.h"
#include "cli/objects.h"
#include "cli/usage.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One thing that a command is about. */
struct target {
	const struct object_kind_row *kind;
	const char *label;
	CK_ULONG version; /* of a database's key; 0: the whole */
	struct token token;
	CK_OBJECT_HANDLE object;
};

static void target_close(struct target *target)
{
	token_close(&target->token);
}

static bool is_database(const struct target *target)
{
	return target->kind == &kind_database;
}

static int find_active(const struct arguments *arguments, struct target *target)
{
	target->label = arguments->positional[0];
	TRY(token_open(arguments_value(arguments, "project"), &target->token));
	return token_find_one(&target->token, target->kind, target->label, &target->object);
}

/* --- What awaits deletion, of which several may have one name */

static char *id_of(const struct target *target, CK_OBJECT_HANDLE object)
{
	char *text = NULL;

	if (!is_database(target))
		return object_text(&target->token, object, CKA_UNIQUE_ID);
	if (asprintf(&text, "%llu", (unsigned long long)object_zone_id(&target->token, object)) < 0)
		return NULL;
	return text;
}

static int none_pending(struct target *target)
{
	AUTO(freep) CK_OBJECT_HANDLE *handles = NULL;
	size_t count;

	TRY(token_find(&target->token, target->kind, target->label, &handles, &count));
	if (count > 0)
		return fail(CMEK_EXIT_REFUSED,
			    "%s %s of project %s does not await deletion: delete it first, since "
			    "that can be undone",
			    target->kind->noun, target->label, target->token.project);
	return fail(CMEK_EXIT_NOT_FOUND, "project %s has no %s %s that awaits deletion",
		    target->token.project, target->kind->noun, target->label);
}

static int several_pending(const struct target *target, const CK_OBJECT_HANDLE *handles,
			   size_t count)
{
	AUTO(buffer_clear) struct buffer ids = {0};

	for (size_t i = 0; i < count; i++) {
		AUTO(freep) char *id = id_of(target, handles[i]);

		buffer_format(&ids, "%s%s", i == 0 ? "" : ", ", id == NULL ? "?" : id);
	}
	return fail(CMEK_EXIT_REFUSED, "%zu of %s %s await deletion: give one as --id: %s", count,
		    target->kind->noun, target->label, ids.failed ? "?" : buffer_text(&ids));
}

/* Keeps the one that --id names. */
static void choose(const struct target *target, const char *wished, CK_OBJECT_HANDLE *handles,
		   size_t *count)
{
	size_t kept = 0;

	for (size_t i = 0; wished != NULL && i < *count; i++) {
		AUTO(freep) char *id = id_of(target, handles[i]);

		if (id != NULL && strcmp(id, wished) == 0)
			handles[kept++] = handles[i];
	}
	if (wished != NULL)
		*count = kept;
}

static int find_pending(const struct arguments *arguments, struct target *target)
{
	AUTO(freep) CK_OBJECT_HANDLE *handles = NULL;
	size_t count;

	target->label = arguments->positional[0];
	TRY(token_open(arguments_value(arguments, "project"), &target->token));
	TRY(token_find_pending(&target->token, target->kind, target->label, &handles, &count));
	choose(target, arguments_value(arguments, "id"), handles, &count);
	if (count == 0)
		return none_pending(target);
	if (count > 1)
		return several_pending(target, handles, count);
	target->object = handles[0];
	return CMEK_EXIT_OK;
}

/* --- Changing and telling */

static int set_state(const struct target *target, CK_ULONG state, const char *label,
		     const char *doing)
{
	CK_ATTRIBUTE change[] = {
		{CKA_CMEK_STATE, &state, sizeof(state)},
		{CKA_LABEL, (void *)label, label == NULL ? 0 : strlen(label)},
	};
	CK_RV rv = target->token.functions->C_SetAttributeValue(
		target->token.session, target->object, change, label == NULL ? 1 : 2);

	return rv == CKR_OK ? CMEK_EXIT_OK
			    : module_failed(rv, "%s %s %s of project %s", doing, target->kind->noun,
					    target->label, target->token.project);
}

static int set_version_state(const struct target *target, CK_ULONG state, const char *doing)
{
	CK_ULONG wish[2] = {target->version, state};
	CK_ATTRIBUTE change = {CKA_CMEK_VERSION_STATE, wish, sizeof(wish)};
	CK_RV rv = target->token.functions->C_SetAttributeValue(target->token.session,
								target->object, &change, 1);

	return rv == CKR_OK ? CMEK_EXIT_OK
			    : module_failed(rv, "%s version %lu of database %s", doing,
					    target->version, target->label);
}

static void put_name(struct printer *printer, const struct target *target)
{
	const char *noun = is_database(target)		   ? "database"
			   : target->kind == &kind_cluster ? "cluster"
							   : "label";

	print_take(printer, noun, object_text(&target->token, target->object, CKA_LABEL));
	if (is_database(target))
		print_id(printer, "zone", object_zone_id(&target->token, target->object));
	if (target->version != 0)
		print_number(printer, "version", target->version);
}

static int report(const struct arguments *arguments, const struct target *target, const char *state)
{
	struct printer printer = {.json = arguments->json, .single = true};
	AUTO(freep)
	char *date = object_text(&target->token, target->object, CKA_CMEK_PURGE_DATE);

	print_row(&printer);
	put_name(&printer, target);
	print_text(&printer, "state", state);
	if (date != NULL && *date != '\0')
		print_text(&printer, "purge_date", date);
	return print_end(&printer);
}

static void print_drill(const struct target *target, const json_t *usage, const char *summary)
{
	if (is_database(target))
		printf("  would not open any more, until it is brought back: %s\n",
		       target->version != 0 ? "what this version encrypted" : summary);
	else if (usage_is_none(usage))
		puts("  would be taken away: nothing stands on it");
	else
		printf("  would stay, since this stands on it: %s\n", summary);
}

/* The drill: what would not open any more, and nothing is changed. */
static int drill(const struct arguments *arguments, const struct target *target)
{
	json_t *usage = usage_of(&target->token, target->object), *json;
	AUTO(freep) char *summary = usage_summary(usage), *label = strdup(target->label);

	if (arguments->json) {
		json = json_pack("{s:o, s:b, s:o*}", "subject", print_json_text(target->label),
				 "changed", 0, "usage", json_incref(usage));
		json_dumpf(json, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(json);
	} else {
		printf("%s %s of project %s\n", target->kind->noun,
		       label == NULL ? "?" : plain_text(label), target->token.project);
		print_drill(target, usage, summary);
		usage_print(usage, target->version);
		usage_print_copies(usage);
		puts("nothing was changed");
	}
	json_decref(usage);
	return CMEK_EXIT_OK;
}

static int delete (const struct arguments *arguments, const struct object_kind_row *kind)
{
	AUTO(target_close) struct target target = {.kind = kind};

	TRY(find_active(arguments, &target));
	if (arguments_value(arguments, "dry-run") != NULL)
		return drill(arguments, &target);
	TRY(set_state(&target, CMEK_STATE_PENDING_DELETION, NULL, "deleting"));
	return report(arguments, &target, state_text(CMEK_STATE_PENDING_DELETION));
}

static int undelete(const struct arguments *arguments, const struct object_kind_row *kind)
{
	AUTO(target_close) struct target target = {.kind = kind};

	TRY(find_pending(arguments, &target));
	TRY(set_state(&target, CMEK_STATE_ACTIVE, arguments_value(arguments, "label"),
		      "bringing back"));
	return report(arguments, &target, state_text(CMEK_STATE_ACTIVE));
}

int database_delete(const struct arguments *arguments)
{
	return delete (arguments, &kind_database);
}

int database_undelete(const struct arguments *arguments)
{
	return undelete(arguments, &kind_database);
}

int cluster_delete(const struct arguments *arguments)
{
	return delete (arguments, &kind_cluster);
}

int cluster_undelete(const struct arguments *arguments)
{
	return undelete(arguments, &kind_cluster);
}

int key_restore(const struct arguments *arguments)
{
	return undelete(arguments, &kind_key);
}

/* --- Root keys that nothing stands on may go at once */

static int check_unused(const struct target *target)
{
	json_t *usage = usage_of(&target->token, target->object);
	AUTO(freep) char *summary = usage_summary(usage);
	bool none = usage_is_none(usage);

	json_decref(usage);
	return none ? CMEK_EXIT_OK
		    : fail(CMEK_EXIT_REFUSED,
			   "root key %s of project %s has something on it (also what awaits "
			   "deletion counts): %s; see cmek key show",
			   target->label, target->token.project, summary);
}

static int remove_now(const struct arguments *arguments, const struct target *target, bool pending)
{
	struct printer printer = {.json = arguments->json, .single = true};

	TRY(check_unused(target));
	print_row(&printer);
	put_name(&printer, target);
	print_text(&printer, "state", state_text(CMEK_STATE_DELETED));
	if (!pending)
		TRY(set_state(target, CMEK_STATE_PENDING_DELETION, NULL, "removing"));
	TRY(set_state(target, CMEK_STATE_DELETED, NULL, "removing"));
	return print_end(&printer);
}

/* With --now it may be one that awaits removal already. */
static int find_removable(const struct arguments *arguments, struct target *target,
			  bool *ret_pending)
{
	AUTO(freep) CK_OBJECT_HANDLE *active = NULL, *pending = NULL;
	const struct token *token = &target->token;
	size_t count = 1, pending_count;

	target->label = arguments->positional[0];
	TRY(token_open(arguments_value(arguments, "project"), &target->token));
	if (arguments_value(arguments, "now") != NULL)
		TRY(token_find(token, target->kind, target->label, &active, &count));
	*ret_pending = count == 0;
	if (!*ret_pending)
		return token_find_one(token, target->kind, target->label, &target->object);
	TRY(token_find_pending(token, target->kind, target->label, &pending, &pending_count));
	if (pending_count == 0)
		return token_find_one(token, target->kind, target->label, &target->object);
	if (pending_count > 1)
		return several_pending(target, pending, pending_count);
	target->object = pending[0];
	return CMEK_EXIT_OK;
}

int key_remove(const struct arguments *arguments)
{
	AUTO(target_close) struct target target = {.kind = &kind_key};
	bool pending;

	TRY(find_removable(arguments, &target, &pending));
	if (arguments_value(arguments, "dry-run") != NULL)
		return drill(arguments, &target);
	if (arguments_value(arguments, "now") != NULL)
		return remove_now(arguments, &target, pending);
	TRY(set_state(&target, CMEK_STATE_PENDING_DELETION, NULL, "removing"));
	return report(arguments, &target, state_text(CMEK_STATE_PENDING_DELETION));
}

/* --- Versions */

static int read_version(const struct arguments *arguments, CK_ULONG *ret_version)
{
	const char *text = arguments_value(arguments, "version");
	uint64_t version = 0;

	if (text == NULL)
		return CMEK_EXIT_OK;
	if (!decimal_decode(text, INT32_MAX, &version) || version == 0)
		return fail(CMEK_EXIT_USAGE, "--version is a number from 1, not %s", text);
	*ret_version = version;
	return CMEK_EXIT_OK;
}

int database_retire(const struct arguments *arguments)
{
	AUTO(target_close) struct target target = {.kind = &kind_database};

	TRY(read_version(arguments, &target.version));
	TRY(find_active(arguments, &target));
	if (arguments_value(arguments, "dry-run") != NULL)
		return drill(arguments, &target);
	TRY(set_version_state(&target, CMEK_STATE_PENDING_DELETION, "retiring"));
	return report(arguments, &target, "retired");
}

int database_unretire(const struct arguments *arguments)
{
	AUTO(target_close) struct target target = {.kind = &kind_database};

	TRY(read_version(arguments, &target.version));
	TRY(find_active(arguments, &target));
	TRY(set_version_state(&target, CMEK_STATE_ACTIVE, "bringing back"));
	return report(arguments, &target, state_text(CMEK_STATE_ACTIVE));
}

/* --- The end */

static void add_left(json_t *left, const char *text)
{
	json_array_append_new(left, json_string(text));
}

/* What no command reaches. */
static json_t *left_to_do(bool embeds)
{
	json_t *left = json_array();

	if (embeds)
		add_left(left, "its files carry its key's record: they open wherever the root key "
			       "may be used and this store is not; they end with the root key in "
			       "its KMS");
	add_left(left,
		 "copies of the store: backups, snapshots, replicas and old hosts have the key "
		 "from its creation until now; remove them, or wait until they have expired; "
		 "an etcd keeps it until it is compacted and defragmented");
	add_left(left, "the disks below: what they keep of overwritten blocks");
	add_left(left, "what was decrypted and kept elsewhere");
	return left;
}

static int report_erased(const struct arguments *arguments, const char *subject, json_t *left)
{
	json_t *json;

	if (arguments->json) {
		json = json_pack("{s:o, s:b, s:O}", "erased", print_json_text(subject), "changed",
				 1, "left", left);
		json_dumpf(json, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(json);
		return CMEK_EXIT_OK;
	}
	printf("erased: %s\nwhat is left to do by hand (docs/erasure.md):\n", subject);
	for (size_t i = 0; i < json_array_size(left); i++)
		printf("  - %s\n", json_string_value(json_array_get(left, i)));
	return CMEK_EXIT_OK;
}

static char *subject_of(const struct target *target)
{
	AUTO(freep) char *label = strdup(target->label);
	char *text = NULL, version[48] = "";

	if (target->version != 0)
		snprintf(version, sizeof(version), "version %lu of ", target->version);
	if (label == NULL ||
	    asprintf(&text, "%sthe key of database %s (zone %llu) in project %s", version,
		     plain_text(label),
		     (unsigned long long)object_zone_id(&target->token, target->object),
		     target->token.project) < 0)
		return NULL;
	return text;
}

static int erase(const struct arguments *arguments, struct target *target)
{
	bool embeds = object_embeds(&target->token, target->object);
	AUTO(freep) char *subject = subject_of(target);
	json_t *left;
	int code;

	if (target->version != 0)
		TRY(set_version_state(target, CMEK_STATE_DELETED, "erasing"));
	else
		TRY(set_state(target, CMEK_STATE_DELETED, NULL, "erasing"));
	left = left_to_do(embeds);
	code = report_erased(arguments, subject == NULL ? "?" : subject, left);
	json_decref(left);
	return code;
}

int database_erase(const struct arguments *arguments)
{
	AUTO(target_close) struct target target = {.kind = &kind_database};

	TRY(read_version(arguments, &target.version));
	if (strcmp(arguments_value(arguments, "yes-erase"), arguments->positional[0]) != 0)
		return fail(CMEK_EXIT_USAGE,
			    "--yes-erase says %s, which is not %s: nothing was erased",
			    arguments_value(arguments, "yes-erase"), arguments->positional[0]);
	if (target.version != 0)
		TRY(find_active(arguments, &target));
	else
		TRY(find_pending(arguments, &target));
	return erase(arguments, &target);
}
