/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "objects/store_copy.h"

#include "base/free.h"
#include "base/json.h"
#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "objects/error.h"
#include "objects/objects_private.h"
#include "zones/domain/lookup.h"
#include "zones/domain/store_copy.h"

#include <stdlib.h>

static CK_RV malformed(void)
{
	log_warning(
		"CKA_CMEK_STORE_COPY is {\"to\": STORE, \"all\": ..., \"dry_run\": ..., \"undo\": "
		"...}, of which only \"to\" must be there, as text");
	return CKR_ATTRIBUTE_VALUE_INVALID;
}

/* False: it is there, and neither true nor false. */
static bool take_flag(const json_t *json, const char *name, size_t *members, bool *ret_flag)
{
	const json_t *flag = json_object_get(json, name);

	*members -= flag != NULL;
	*ret_flag = json_is_true(flag);
	return flag == NULL || json_is_boolean(flag);
}

static CK_RV read_wish(const json_t *json, const struct uid *project,
		       struct store_copy_wish *ret_wish)
{
	struct store_copy_wish wish = {.to = json_string_value(json_object_get(json, "to"))};
	size_t members = json_object_size(json) - 1;
	bool all;

	if (wish.to == NULL || *wish.to == '\0' || !take_flag(json, "all", &members, &all) ||
	    !take_flag(json, "dry_run", &members, &wish.dry_run) ||
	    !take_flag(json, "undo", &members, &wish.undo) || members != 0)
		return malformed();
	wish.of = all ? NULL : project;
	*ret_wish = wish;
	return CKR_OK;
}

/* To move a project with a PIN is its security officer's: whoever is logged in to one project does
 * not move the others. */
static CK_RV check_others(struct objects *objects, const struct uid *own)
{
	AUTO(entry_releasep) struct entry *other = NULL;

	TRY(objects_other_with_pin(objects, own, &other));
	if (other == NULL)
		return CKR_OK;
	log_warning("project %s has a PIN: move it by itself, with its security officer's PIN",
		    other->label);
	return CKR_USER_NOT_LOGGED_IN;
}

static void keep_told(struct objects *objects, struct buffer *told)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&objects->lock);

	buffer_clear(&objects->store_copy);
	objects->store_copy = *told;
	*told = (struct buffer){0};
}

CK_RV store_copy_run(const struct editor *editor, const struct object *object,
		     const CK_ATTRIBUTE *attribute)
{
	AUTO(json_freep) json_t *json = NULL;
	AUTO(buffer_clear) struct buffer told = {0};
	struct store_copy_wish wish;
	bool no_memory = false;

	if (object->entry == NULL || attribute->pValue == NULL)
		return CKR_ATTRIBUTE_VALUE_INVALID;
	json = json_read(bytes(attribute->pValue, attribute->ulValueLen), JSON_REJECT_DUPLICATES,
			 &no_memory);
	if (json == NULL)
		return no_memory ? CKR_HOST_MEMORY : malformed();
	TRY(read_wish(json, &object->entry->project, &wish));
	if (wish.of == NULL)
		TRY(check_others(editor->objects, &object->entry->project));
	TRY(error_of_zone(zones_store_copy(editor->objects->zones, &wish, &told), ERROR_OBJECT));
	keep_told(editor->objects, &told);
	return CKR_OK;
}

void store_copy_get(struct objects *objects, struct buffer *out)
{
	AUTO(unlockp) pthread_mutex_t *held = locked(&objects->lock);

	buffer_append(out, buffer_bytes(&objects->store_copy));
}
