/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* cmek backup, backup verify, restore. */
#include "base/file.h"
#include "base/free.h"
#include "base/json.h"
#include "base/macros.h"
#include "cli/cli.h"
#include "cli/print.h"
#include "cli/stream.h"
#include "cli/token.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* --- The module's objects -------------------------------------------------------------------- */

/* Any attribute, whole; the buffer is the caller's. */
static int get(const struct token *token, CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type,
	       struct buffer *ret_value)
{
	CK_ATTRIBUTE attribute = {type, NULL, 0};
	CK_RV rv = token->functions->C_GetAttributeValue(token->session, object, &attribute, 1);

	if (rv == CKR_OK)
		attribute.pValue = buffer_extend(ret_value, attribute.ulValueLen);
	if (rv == CKR_OK && attribute.pValue == NULL)
		return fail(CMEK_EXIT_FAILED, "out of memory");
	if (rv == CKR_OK)
		rv = token->functions->C_GetAttributeValue(token->session, object, &attribute, 1);
	return rv == CKR_OK ? CMEK_EXIT_OK : module_failed(rv, "reading the backup");
}

/* What the module says of it: json_decref() it. */
static int get_told(const struct token *token, CK_OBJECT_HANDLE object, json_t **ret_told)
{
	AUTO(buffer_clear) struct buffer text = {0};
	bool no_memory = false;

	TRY(get(token, object, CKA_CMEK_BACKUP, &text));
	*ret_told = json_read(buffer_bytes(&text), 0, &no_memory);
	return *ret_told != NULL
		       ? CMEK_EXIT_OK
		       : fail(CMEK_EXIT_FAILED,
			      no_memory ? "out of memory" : "the module's report is not JSON");
}

static void json_freep(json_t **json)
{
	json_decref(*json);
}

static int print_json(const json_t *json)
{
	json_dumpf(json, stdout, JSON_INDENT(2));
	putchar('\n');
	return CMEK_EXIT_OK;
}

static uint64_t number_in(const json_t *json, const char *name)
{
	return (uint64_t)json_integer_value(json_object_get(json, name));
}

/* --- What is in a backup --------------------------------------------------------------------- */

static void warn_of_root_keys(const json_t *told)
{
	const json_t *keys = json_object_get(told, "root_keys");

	for (size_t i = 0; i < json_array_size(keys); i++) {
		const json_t *key = json_array_get(keys, i);

		if (json_is_false(json_object_get(key, "opens")))
			warn("by root key %s the backup does not open: %s", member_text(key, "arn"),
			     member_text(key, "why"));
	}
}

/* Whoever erases one of these must know each of its copies (docs/erasure.md). */
static void warn_of_kept(const json_t *told)
{
	const json_t *databases = json_object_get(told, "databases");

	for (size_t i = 0; i < json_array_size(databases); i++) {
		const json_t *database = json_array_get(databases, i);

		if (json_is_true(json_object_get(database, "in_store_alone")))
			warn("database %s keeps its key out of its files, and this backup has it: "
			     "to erase the database, erase this too (docs/erasure.md)",
			     member_text(database, "name"));
	}
}

static int print_told(const json_t *told)
{
	struct printer printer = {.single = true};

	print_row(&printer);
	print_text(&printer, "project", member_text(told, "project"));
	print_text(&printer, "project_id", member_text(told, "project_id"));
	print_text(&printer, "made", member_text(told, "made"));
	print_text(&printer, "verified",
		   json_is_true(json_object_get(told, "verified")) ? "by the KMS"
								   : "structure only");
	print_number(&printer, "root_keys", json_array_size(json_object_get(told, "root_keys")));
	print_number(&printer, "clusters", number_in(told, "clusters"));
	print_number(&printer, "databases", json_array_size(json_object_get(told, "databases")));
	print_number(&printer, "token_keys", number_in(told, "token_keys"));
	print_number(&printer, "left_out", number_in(told, "left_out"));
	return print_end(&printer);
}

static int report(const struct arguments *arguments, const json_t *told)
{
	return arguments->json ? print_json(told) : print_told(told);
}

/* --- cmek backup ----------------------------------------------------------------------------- */

static void put_zone(uint64_t zone, uint8_t ret_id[static 8])
{
	put_big_endian(ret_id, 8, zone);
}

static int make(const struct arguments *arguments, const struct token *token,
		CK_OBJECT_HANDLE *ret_backup)
{
	const char *database = arguments_value(arguments, "database");
	CK_OBJECT_CLASS class = CKO_CMEK_BACKUP;
	CK_BBOOL embedding_only = arguments_value(arguments, "embedding-only") != NULL;
	CK_ATTRIBUTE template[3] = {{CKA_CLASS, &class, sizeof(class)},
				    {CKA_CMEK_EMBED_EZK, &embedding_only, sizeof(embedding_only)}};
	CK_ULONG count = 2;
	CK_OBJECT_HANDLE zone;
	uint8_t id[8];
	CK_RV rv;

	if (database != NULL) {
		TRY(token_find_one(token, &kind_database, database, &zone));
		put_zone(object_zone_id(token, zone), id);
		template[count++] = (CK_ATTRIBUTE){CKA_CMEK_ZONE, id, sizeof(id)};
	}
	rv = token->functions->C_CreateObject(token->session, template, count, ret_backup);
	return rv == CKR_OK ? CMEK_EXIT_OK
			    : module_failed(rv, "backing project %s up", token->project);
}

static int write_out(const struct token *token, CK_OBJECT_HANDLE backup, struct output *output)
{
	AUTO(buffer_clear) struct buffer file = {0};

	TRY(get(token, backup, CKA_VALUE, &file));
	TRY(output_open(output));
	if (!file_write_all(output->fd, buffer_bytes(&file)))
		return fail_system(errno, output->name, "cannot be written: ");
	return output_finish(output);
}

int backup_make(const struct arguments *arguments)
{
	const char *out = arguments->positional[0];
	AUTO(library_output_clear) struct output output = OUTPUT_NONE;
	AUTO(token_close) struct token token = {0};
	AUTO(json_freep) json_t *told = NULL;
	CK_OBJECT_HANDLE backup;

	if (arguments->json && output_is_standard(out))
		return fail(CMEK_EXIT_USAGE, "--json and the backup can't both go to standard "
					     "output; name a file");
	TRY(token_open(arguments_value(arguments, "project"), &token));
	TRY(output_choose(&output, out, -1, "", arguments_value(arguments, "force") != NULL));
	TRY(make(arguments, &token, &backup));
	TRY(get_told(&token, backup, &told));
	TRY(write_out(&token, backup, &output));
	warn_of_root_keys(told);
	warn_of_kept(told);
	return output_is_standard(out) ? CMEK_EXIT_OK : report(arguments, told);
}

/* --- A file, and a session where there need be no project ------------------------------------- */

enum { BLOCK = 1 << 16 };

/* What does not begin as a backup need not be read to its end: the module says what is wrong. */
static bool is_other(const struct buffer *file)
{
	return file->len >= 4 && memcmp(file->data, "CBAK", 4) != 0;
}

static int refuse_size(const char *name)
{
	return fail(CMEK_EXIT_DAMAGED,
		    "%s: is no backup: it has more than %lu MiB, which is the most that one has",
		    name, CMEK_BACKUP_MAX >> 20);
}

/* Whose file it is, is known only when it has been read. */
static int read_in(const char *name, struct buffer *ret_file)
{
	AUTO(stream_clear) struct stream stream = STREAM_NONE;
	ssize_t count = 1;

	TRY(stream_open_input(&stream, name));
	stream.terminal = false;
	while (count > 0 && ret_file->len <= CMEK_BACKUP_MAX && !is_other(ret_file)) {
		uint8_t *to = buffer_reserve(ret_file, BLOCK);

		if (to == NULL)
			return fail(CMEK_EXIT_FAILED, "%s: out of memory", stream.in_name);
		count = stream.io.read(&stream, to, BLOCK);
		ret_file->len += count > 0 ? (size_t)count : 0;
	}
	if (count < 0)
		return fail_system(errno, stream.in_name, "");
	return ret_file->len > CMEK_BACKUP_MAX ? refuse_size(stream.in_name) : CMEK_EXIT_OK;
}

/* The free slot is the last. */
static int open_free_slot(struct token *ret_token)
{
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	struct token token = {0};
	CK_ULONG count;
	CK_RV rv;

	TRY(module_load(&token.functions));
	TRY(module_slots(token.functions, &slots, &count));
	if (count == 0 || !library_slot_is_free(token.functions, slots[count - 1]))
		return fail(CMEK_EXIT_FAILED, "the module shows no free slot");
	token.slot = slots[count - 1];
	rv = library_slot_open(token.functions, token.slot, false, &token.session);
	if (rv != CKR_OK)
		return module_failed(rv, "opening a session");
	*ret_token = token;
	return CMEK_EXIT_OK;
}

/* The project of that name, if it is here and wants a login: by whoever is logged in to it alone
 * its backup is restored. Else the token stays as it is. */
static int open_guarded(const char *project, struct token *token)
{
	AUTO(freep) CK_SLOT_ID *slots = NULL;
	struct library_slot slot;
	CK_ULONG count;

	TRY(module_slots(token->functions, &slots, &count));
	for (CK_ULONG i = 0; i < count; i++) {
		if (!library_slot_read(token->functions, slots[i], &slot) ||
		    strcmp(slot.project, project) != 0 || !slot.wants_login)
			continue;
		token_close(token);
		*token = (struct token){0};
		return token_open(project, token);
	}
	return CMEK_EXIT_OK;
}

static int read_backup(const struct token *token, const char *name, struct bytes file, bool offline,
		       CK_OBJECT_HANDLE *ret_backup)
{
	CK_OBJECT_CLASS class = CKO_CMEK_BACKUP;
	CK_BBOOL offline_only = offline;
	CK_ATTRIBUTE template[] = {
		{CKA_CLASS, &class, sizeof(class)},
		{CKA_VALUE, (void *)(uintptr_t)file.data, file.len},
		{CKA_CMEK_OFFLINE, &offline_only, sizeof(offline_only)},
	};
	CK_RV rv = token->functions->C_CreateObject(token->session, template, COUNT_OF(template),
						    ret_backup);

	return rv == CKR_OK ? CMEK_EXIT_OK : module_failed(rv, "%s", name);
}

/* --- cmek backup verify ---------------------------------------------------------------------- */

static bool all_open(const json_t *told)
{
	const json_t *keys = json_object_get(told, "root_keys");

	for (size_t i = 0; i < json_array_size(keys); i++)
		if (json_is_false(json_object_get(json_array_get(keys, i), "opens")))
			return false;
	return true;
}

int backup_verify(const struct arguments *arguments)
{
	const char *in = arguments->positional[0];
	AUTO(buffer_clear) struct buffer file = {0};
	AUTO(token_close) struct token token = {0};
	AUTO(json_freep) json_t *told = NULL;
	CK_OBJECT_HANDLE backup;

	TRY(read_in(in, &file));
	TRY(open_free_slot(&token));
	TRY(read_backup(&token, in, buffer_bytes(&file),
			arguments_value(arguments, "offline") != NULL, &backup));
	TRY(get_told(&token, backup, &told));
	warn_of_root_keys(told);
	TRY(report(arguments, told));
	return all_open(told) ? CMEK_EXIT_OK
			      : fail(CMEK_EXIT_DENIED,
				     "%s: is authentic, but not all of its root keys open it; "
				     "what they protect may not open either",
				     in);
}

/* --- cmek restore ---------------------------------------------------------------------------- */

/* "A,B" as a list; NULL: no memory. */
static json_t *revive_json(const char *names)
{
	AUTO(freep) char *copy = strdup(names);
	json_t *list = json_array();
	char *rest = NULL;

	for (char *name = copy == NULL ? NULL : strtok_r(copy, ",", &rest); name != NULL;
	     name = strtok_r(NULL, ",", &rest))
		json_array_append_new(list, print_json_text(name));
	return list;
}

/* "OLD=NEW,OLD=NEW" as an object. */
static int map_json(const char *pairs, json_t **ret_map)
{
	AUTO(freep) char *copy = strdup(pairs);
	AUTO(json_freep) json_t *map = json_object();
	char *rest = NULL;

	for (char *pair = copy == NULL ? NULL : strtok_r(copy, ",", &rest); pair != NULL;
	     pair = strtok_r(NULL, ",", &rest)) {
		char *equals = strchr(pair, '=');

		if (equals == NULL || equals == pair || equals[1] == '\0')
			return fail(CMEK_EXIT_USAGE,
				    "--map is OLD=NEW, with commas between several: not %s", pair);
		*equals = '\0';
		json_object_set_new(map, pair, print_json_text(equals + 1));
	}
	*ret_map = TAKE(map);
	return CMEK_EXIT_OK;
}

static int wishes(const struct arguments *arguments, bool dry_run, char **ret_text)
{
	const char *revive = arguments_value(arguments, "revive");
	const char *map = arguments_value(arguments, "map");
	const char *as = arguments_value(arguments, "as");
	AUTO(json_freep) json_t *wish = json_pack("{s:b}", "dry_run", (int)dry_run);
	json_t *pairs = NULL;

	if (map != NULL)
		TRY(map_json(map, &pairs));
	if (map != NULL)
		json_object_set_new(wish, "map", pairs);
	if (revive != NULL)
		json_object_set_new(wish, "revive", revive_json(revive));
	if (as != NULL)
		json_object_set_new(wish, "as", print_json_text(as));
	*ret_text = json_dumps(wish, 0);
	return *ret_text != NULL ? CMEK_EXIT_OK : fail(CMEK_EXIT_FAILED, "out of memory");
}

static int restore(const struct arguments *arguments, const struct token *token,
		   CK_OBJECT_HANDLE backup, bool dry_run, json_t **ret_told)
{
	AUTO(freep) char *wish = NULL;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE template[2] = {{CKA_TOKEN, &yes, sizeof(yes)}};
	CK_OBJECT_HANDLE restored;
	CK_RV rv;

	TRY(wishes(arguments, dry_run, &wish));
	template[1] = (CK_ATTRIBUTE){CKA_CMEK_RESTORE, wish, strlen(wish)};
	rv = token->functions->C_CopyObject(token->session, backup, template, COUNT_OF(template),
					    &restored);
	if (rv != CKR_OK)
		return module_failed(rv, "%s", arguments->positional[0]);
	return get_told(token, restored, ret_told);
}

static uint64_t count_in(const json_t *told, const char *outcome)
{
	return number_in(json_object_get(told, "counts"), outcome);
}

/* One line for each entry with that outcome of which there is something to say. */
static void say_each(const json_t *told, const char *outcome, FILE *to, const char *prefix)
{
	const json_t *entries = json_object_get(told, "entries");

	for (size_t i = 0; i < json_array_size(entries); i++) {
		const json_t *entry = json_array_get(entries, i);
		AUTO(freep) char *name = strdup(member_text(entry, "name"));

		if (name != NULL && json_object_get(entry, "why") != NULL &&
		    strcmp(member_text(entry, "outcome"), outcome) == 0)
			fprintf(to, "%s%s '%s': %s\n", prefix, member_text(entry, "kind"),
				plain_text(name), member_text(entry, "why"));
	}
}

static int print_restored(const json_t *told)
{
	static const char *const outcomes[] = {"added", "updated", "revived", "here", "left out"};
	struct printer printer = {.single = true};

	say_each(told, "left out", stdout, "left out: ");
	say_each(told, "added", stdout, "added: ");
	say_each(told, "revived", stdout, "revived: ");
	print_row(&printer);
	print_text(&printer, "project", member_text(told, "project"));
	if (json_object_get(told, "as") != NULL)
		print_text(&printer, "as", member_text(told, "as"));
	print_text(&printer, "backup_made", member_text(told, "made"));
	print_text(&printer, "vouched_by", member_text(told, "vouched_by"));
	print_bool(&printer, "written", json_is_true(json_object_get(told, "written")));
	for (size_t i = 0; i < COUNT_OF(outcomes); i++)
		print_number(&printer, outcomes[i], count_in(told, outcomes[i]));
	return print_end(&printer);
}

static int conflicts(const struct arguments *arguments, const json_t *told)
{
	uint64_t count = count_in(told, "conflict");

	if (arguments->json)
		print_json(told);
	say_each(told, "conflict", stderr, "cmek: ");
	return fail(CMEK_EXIT_REFUSED,
		    "%s: nothing was restored: %" PRIu64 " of its entries do%s not fit what is "
		    "here",
		    arguments->positional[0], count, count == 1 ? "es" : "");
}

int restore_backup(const struct arguments *arguments)
{
	const char *in = arguments->positional[0];
	AUTO(buffer_clear) struct buffer file = {0};
	AUTO(token_close) struct token token = {0};
	AUTO(json_freep) json_t *told = NULL, *planned = NULL, *done = NULL;
	CK_OBJECT_HANDLE backup;

	TRY(read_in(in, &file));
	TRY(open_free_slot(&token));
	/* Its MAC is checked by what follows. */
	TRY(read_backup(&token, in, buffer_bytes(&file), true, &backup));
	TRY(get_told(&token, backup, &told));
	TRY(open_guarded(member_text(told, "project"), &token));
	TRY(read_backup(&token, in, buffer_bytes(&file), true, &backup));
	TRY(restore(arguments, &token, backup, true, &planned));
	if (count_in(planned, "conflict") > 0)
		return conflicts(arguments, planned);
	if (arguments_value(arguments, "dry-run") == NULL)
		TRY(restore(arguments, &token, backup, false, &done));
	if (arguments->json)
		return print_json(done != NULL ? done : planned);
	return print_restored(done != NULL ? done : planned);
}
