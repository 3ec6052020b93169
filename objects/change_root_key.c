/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_SetAttributeValue of CKA_CMEK_ROOT_KEY and CKA_CMEK_ROOT_KEYS: zones and clusters move to other
 * root keys. */
#include "objects/change.h"

#include "base/log.h"
#include "base/macros.h"
#include "objects/error.h"
#include "objects/objects_private.h"

static enum zone_status move(const struct editor *editor, const struct object *object,
			     struct bytes arn)
{
	AUTO(entry_releasep) struct entry *moved = NULL;
	struct zones *zones = editor->objects->zones;

	return object->kind == OBJECT_ZONE
		       ? zones_zone_rewrap(zones, object->entry, arn, &moved)
		       : zones_cluster_rewrap(zones, object->entry, arn, &moved);
}

CK_RV change_root_key(const struct editor *editor, const struct object *object,
		      const CK_ATTRIBUTE *attribute)
{
	if (object->owner != 0 || object->entry == NULL ||
	    (object->kind != OBJECT_ZONE && object->kind != OBJECT_CLUSTER)) {
		log_warning("CKA_CMEK_ROOT_KEY can be changed only of databases and clusters that "
			    "the store has");
		return CKR_ATTRIBUTE_READ_ONLY;
	}
	return error_of_zone(move(editor, object, bytes(attribute->pValue, attribute->ulValueLen)),
			     ERROR_OBJECT);
}

/* --- All root keys of a zone */

static CK_RV malformed(void)
{
	log_warning(
		"CKA_CMEK_ROOT_KEYS is {\"policy\": \"or\", \"keys\": [ARN, ...]}, with 1 to %d "
		"keys, or with the policy \"and\" and 2, as text",
		ZONE_ROOT_KEYS_MAX);
	return CKR_ATTRIBUTE_VALUE_INVALID;
}

static CK_RV read_keys(struct root_keys_wish *wish)
{
	const char *policy = json_string_value(json_object_get(wish->json, "policy"));
	const json_t *keys = json_object_get(wish->json, "keys");
	size_t count = json_array_size(keys);

	wish->both = policy != NULL && strcmp(policy, "and") == 0;
	if (policy == NULL || (!wish->both && strcmp(policy, "or") != 0) || count == 0 ||
	    count > ZONE_ROOT_KEYS_MAX || (wish->both && count != SHARE_COUNT))
		return malformed();
	for (size_t i = 0; i < count; i++) {
		const json_t *arn = json_array_get(keys, i);

		if (!json_is_string(arn))
			return malformed();
		wish->arns[i] = bytes(json_string_value(arn), json_string_length(arn));
	}
	wish->count = count;
	return CKR_OK;
}

void root_keys_wish_clear(struct root_keys_wish *wish)
{
	json_decref(wish->json);
	*wish = (struct root_keys_wish){0};
}

CK_RV root_keys_read(struct bytes text, struct root_keys_wish *ret_wish)
{
	AUTO(root_keys_wish_clear) struct root_keys_wish wish = {0};
	bool no_memory = false;

	wish.json = json_read(text, JSON_REJECT_DUPLICATES, &no_memory);
	if (no_memory)
		return CKR_HOST_MEMORY;
	TRY(read_keys(&wish));
	*ret_wish = wish;
	wish = (struct root_keys_wish){0};
	return CKR_OK;
}

CK_RV change_root_keys(const struct editor *editor, const struct object *zone,
		       const CK_ATTRIBUTE *attribute)
{
	AUTO(entry_releasep) struct entry *changed = NULL;
	AUTO(root_keys_wish_clear) struct root_keys_wish wish = {0};

	if (zone->owner != 0 || zone->entry == NULL)
		return CKR_ATTRIBUTE_READ_ONLY;
	TRY(root_keys_read(bytes(attribute->pValue, attribute->ulValueLen), &wish));
	return error_of_zone(zones_zone_set_root_keys(editor->objects->zones, zone->entry,
						      wish.arns, wish.count, wish.both, &changed),
			     ERROR_OBJECT);
}
