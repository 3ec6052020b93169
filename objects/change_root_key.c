/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_SetAttributeValue of CKA_CMEK_ROOT_KEY and CKA_CMEK_ROOT_KEYS: zones and clusters move to other
 * root keys. */
#include "objects/change.h"

#include "base/json.h"
#include "base/log.h"
#include "base/macros.h"
#include "objects/error.h"
#include "objects/objects_private.h"
#include "zones/domain/rewrap.h"

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
	log_warning("CKA_CMEK_ROOT_KEYS is {\"policy\": \"or\", \"keys\": [ARN, …]}, with 1 to %d "
		    "keys, as text",
		    ZONE_ROOT_KEYS_MAX);
	return CKR_ATTRIBUTE_VALUE_INVALID;
}

static CK_RV read_keys(const json_t *json, struct bytes *ret_arns, size_t *ret_count)
{
	const char *policy = json_string_value(json_object_get(json, "policy"));
	const json_t *keys = json_object_get(json, "keys");
	size_t count = json_array_size(keys);

	if (policy == NULL || strcmp(policy, "or") != 0 || count == 0 || count > ZONE_ROOT_KEYS_MAX)
		return malformed();
	for (size_t i = 0; i < count; i++) {
		const json_t *arn = json_array_get(keys, i);

		if (!json_is_string(arn))
			return malformed();
		ret_arns[i] = bytes(json_string_value(arn), json_string_length(arn));
	}
	*ret_count = count;
	return CKR_OK;
}

static void json_freep(json_t **json)
{
	json_decref(*json);
}

CK_RV change_root_keys(const struct editor *editor, const struct object *zone,
		       const CK_ATTRIBUTE *attribute)
{
	AUTO(entry_releasep) struct entry *changed = NULL;
	struct bytes arns[ZONE_ROOT_KEYS_MAX];
	bool no_memory = false;
	AUTO(json_freep)
	json_t *json = json_read(bytes(attribute->pValue, attribute->ulValueLen),
				 JSON_REJECT_DUPLICATES, &no_memory);
	size_t count;

	if (no_memory)
		return CKR_HOST_MEMORY;
	if (zone->owner != 0 || zone->entry == NULL)
		return CKR_ATTRIBUTE_READ_ONLY;
	TRY(read_keys(json, arns, &count));
	return error_of_zone(zones_zone_set_root_keys(editor->objects->zones, zone->entry, arns,
						      count, &changed),
			     ERROR_OBJECT);
}
