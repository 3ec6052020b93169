/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Backups as objects of a session: what makes, verifies and restores them is zones/domain/backup.h.
 */
#include "base/free.h"
#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "objects/edit.h"
#include "objects/error.h"
#include "objects/objects_private.h"
#include "zones/domain/backup.h"
#include "zones/domain/lookup.h"
#include "zones/model/backup.h"

#include <stdlib.h>

_Static_assert(CMEK_BACKUP_MAX == BACKUP_MAX, "what the header says is what is read");

static CK_RV keep(const struct editor *editor, struct object *model, CK_OBJECT_HANDLE *ret_handle)
{
	struct object *object;

	model->kind = OBJECT_BACKUP;
	model->slot = editor->slot;
	model->owner = editor->session;
	model->flags = OBJECT_COPYABLE | OBJECT_DESTROYABLE;
	object = object_new(model);
	return object == NULL ? CKR_HOST_MEMORY : objects_add(editor->objects, object, ret_handle);
}

static CK_RV make(const struct editor *editor, const struct template *template,
		  CK_OBJECT_HANDLE *ret_handle)
{
	const struct backup_wish wish = {template->zone,
					 template->present_embed_ezk && template->embed_ezk};
	AUTO(entry_releasep) struct entry *project = NULL;
	AUTO(buffer_clear) struct buffer file = {0}, told = {0};
	struct object model = {.kept = {.named = wish.embedding_only}};

	if (!editor->private_allowed)
		return CKR_USER_NOT_LOGGED_IN;
	TRY(objects_project(editor->objects, editor->slot, &project));
	TRY(error_of_zone(
		zones_backup_make(editor->objects->zones, project->uid, &wish, &file, &told),
		ERROR_OBJECT));
	model.label = bytes_of(project->label);
	model.more.file = buffer_bytes(&file);
	model.more.told = buffer_bytes(&told);
	return keep(editor, &model, ret_handle);
}

static CK_RV verify(const struct editor *editor, const struct template *template,
		    CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(buffer_clear) struct buffer told = {0};
	struct object model = {.label = template->label,
			       .more = {.file = template->value, .offline = template->offline}};

	TRY(error_of_zone(zones_backup_verify(editor->objects->zones, template->value,
					      template->offline, &told),
			  ERROR_OBJECT));
	model.more.told = buffer_bytes(&told);
	return keep(editor, &model, ret_handle);
}

CK_RV edit_create_backup(const struct editor *editor, const struct template *template,
			 CK_OBJECT_HANDLE *ret_handle)
{
	bool from_file = template->value.data != NULL;

	if (template->token ||
	    (from_file && (template->zone != 0 || template->present_embed_ezk)) ||
	    (!from_file && template->offline)) {
		log_warning("a backup is a session's object; it is made (of CKA_CMEK_ZONE, with "
			    "CKA_CMEK_EMBED_EZK), or read from its bytes (CKA_VALUE, with "
			    "CKA_CMEK_OFFLINE)");
		return CKR_TEMPLATE_INCONSISTENT;
	}
	return from_file ? verify(editor, template, ret_handle)
			 : make(editor, template, ret_handle);
}

/* --- Restoring */

/* What CKA_CMEK_RESTORE asks for, read; the wish borrows from the JSON. */
struct asked {
	json_t *json;
	struct restore_map *maps;
	struct bytes *revive;
	struct restore_wish wish;
};

static void asked_clear(struct asked *asked)
{
	json_decref(asked->json);
	free(asked->maps);
	free(asked->revive);
}

static struct bytes text_of(const json_t *text)
{
	return bytes(json_string_value(text), json_string_length(text));
}

static bool read_maps(const json_t *map, struct asked *asked)
{
	const char *from;
	json_t *to;

	asked->maps = calloc(json_object_size(map) + 1, sizeof(*asked->maps));
	if (asked->maps == NULL)
		return false;
	json_object_foreach((json_t *)(uintptr_t)map, from, to)
		asked->maps[asked->wish.map_count++] =
		(struct restore_map){bytes_of(from), text_of(to)};
	asked->wish.maps = asked->maps;
	return true;
}

static bool read_revive(const json_t *names, struct asked *asked)
{
	asked->revive = calloc(json_array_size(names) + 1, sizeof(*asked->revive));
	if (asked->revive == NULL)
		return false;
	for (size_t i = 0; i < json_array_size(names); i++)
		asked->revive[asked->wish.revive_count++] = text_of(json_array_get(names, i));
	asked->wish.revive = asked->revive;
	return true;
}

static bool all_texts(const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!json_is_string(json_array_get(list, i)))
			return false;
	return true;
}

static bool all_text_values(json_t *map)
{
	const char *name;
	json_t *value;

	json_object_foreach(map, name, value) if (!json_is_string(value)) return false;
	return true;
}

/* Each part is there in its form, or not at all; there are no others. */
static bool is_well_formed(json_t *json)
{
	const json_t *dry_run = json_object_get(json, "dry_run"),
		     *revive = json_object_get(json, "revive"), *as = json_object_get(json, "as");
	json_t *map = json_object_get(json, "map");
	size_t known = (size_t)(dry_run != NULL) + (size_t)(revive != NULL) +
		       (size_t)(map != NULL) + (size_t)(as != NULL);

	return json_is_object(json) && json_object_size(json) == known &&
	       (dry_run == NULL || json_is_boolean(dry_run)) &&
	       (as == NULL || json_string_length(as) > 0) &&
	       (revive == NULL || (json_is_array(revive) && all_texts(revive))) &&
	       (map == NULL || (json_is_object(map) && all_text_values(map)));
}

static CK_RV read_asked(struct bytes text, struct asked *asked)
{
	bool no_memory = false;

	if (text.len == 0)
		return CKR_OK;
	asked->json = json_read(text, 0, &no_memory);
	if (no_memory)
		return CKR_HOST_MEMORY;
	if (!is_well_formed(asked->json)) {
		log_warning(
			"CKA_CMEK_RESTORE is a JSON object with \"dry_run\" (true or false), "
			"\"revive\" (a list of names), \"map\" (an object of names) and \"as\" (a "
			"name), and nothing else");
		return CKR_ATTRIBUTE_VALUE_INVALID;
	}
	asked->wish.dry_run = json_is_true(json_object_get(asked->json, "dry_run"));
	asked->wish.as = text_of(json_object_get(asked->json, "as"));
	return read_maps(json_object_get(asked->json, "map"), asked) &&
			       read_revive(json_object_get(asked->json, "revive"), asked)
		       ? CKR_OK
		       : CKR_HOST_MEMORY;
}

/* A backup of a project that is here and has a PIN is restored, into it or under another name, by
 * whoever is logged in to it; with other root keys by its security officer. */
static CK_RV check_project(const struct editor *editor, const struct object *backup,
			   const struct restore_wish *wish)
{
	AUTO(backup_clear) struct backup decoded = {0};
	AUTO(entry_releasep) struct entry *own = NULL, *project = NULL;
	bool allowed;

	TRY(error_of_zone(backup_decode(backup->more.file, &decoded), ERROR_OBJECT));
	project = zones_find_uid(editor->objects->zones, decoded.project);
	if (project == NULL || !project_has_pin(project))
		return CKR_OK;
	allowed = editor->so_allowed ||
		  (editor->private_allowed && wish->map_count == 0 && wish->as.len == 0);
	/* A free slot has no project. */
	if (allowed && objects_project(editor->objects, editor->slot, &own) == CKR_OK &&
	    uid_equal(own->uid, project->uid))
		return CKR_OK;
	log_warning("the backup is of project %s, which has a PIN: log in to it", project->label);
	return CKR_USER_NOT_LOGGED_IN;
}

CK_RV edit_restore(const struct editor *editor, const struct object *backup,
		   const struct template *template, CK_OBJECT_HANDLE *ret_handle)
{
	AUTO(asked_clear) struct asked asked = {0};
	AUTO(buffer_clear) struct buffer told = {0};
	struct object model = {.label = backup->label, .more.file = backup->more.file};

	if (!template->token) {
		log_warning("a copy of a backup is its restore, which needs CKA_TOKEN");
		return CKR_TEMPLATE_INCONSISTENT;
	}
	TRY(editor_allows(editor, OBJECT_TOKEN));
	TRY(read_asked(template->restore, &asked));
	TRY(check_project(editor, backup, &asked.wish));
	TRY(error_of_zone(
		zones_restore(editor->objects->zones, backup->more.file, &asked.wish, &told),
		ERROR_OBJECT));
	model.more.told = buffer_bytes(&told);
	model.more.restore = template->restore;
	return keep(editor, &model, ret_handle);
}
