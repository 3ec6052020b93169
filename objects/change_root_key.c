/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_SetAttributeValue of CKA_CMEK_ROOT_KEY: zones and clusters move to another root key. */
#include "base/log.h"
#include "base/macros.h"
#include "objects/change.h"
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
