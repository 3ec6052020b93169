/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of C_SetAttributeValue that are steps of their own, which happen whole or not at all. */
#pragma once

#include "objects/edit.h"

/* CKA_CMEK_ROOT_KEY, set alone. KMS. CKR_ATTRIBUTE_READ_ONLY: it is no database or cluster that the
 * store has. */
CK_RV change_root_key(const struct editor *editor, const struct object *object,
		      const CK_ATTRIBUTE *attribute);
/* CKA_CMEK_ROOT_KEYS of a zone, the same. KMS. */
CK_RV change_root_keys(const struct editor *editor, const struct object *zone,
		       const CK_ATTRIBUTE *attribute);
