/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of C_SetAttributeValue that are steps of their own, which happen whole or not at all. */
#pragma once

#include "base/json.h"
#include "objects/edit.h"
#include "zones/domain/rewrap.h"

/* CKA_CMEK_ROOT_KEY, set alone. KMS. CKR_ATTRIBUTE_READ_ONLY: it is no database or cluster that the
 * store has. */
CK_RV change_root_key(const struct editor *editor, const struct object *object,
		      const CK_ATTRIBUTE *attribute);
/* What a value of CKA_CMEK_ROOT_KEYS asks for. The ARNs lie in `json`. */
struct root_keys_wish {
	json_t *json;
	struct bytes arns[ZONE_ROOT_KEYS_MAX];
	size_t count;
	bool both; /* policy "and": they are two, and both needed */
};
void root_keys_wish_clear(struct root_keys_wish *wish);
/* CKR_ATTRIBUTE_VALUE_INVALID: malformed, which is logged. */
CK_RV root_keys_read(struct bytes text, struct root_keys_wish *ret_wish);
/* CKA_CMEK_ROOT_KEYS of a zone, the same. KMS. */
CK_RV change_root_keys(const struct editor *editor, const struct object *zone,
		       const CK_ATTRIBUTE *attribute);
