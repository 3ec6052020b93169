/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* CKA_CMEK_STORE_COPY of the diagnostic object: the project goes to another store. */
#pragma once

#include "objects/edit.h"

CK_RV store_copy_run(const struct editor *editor, const struct object *object,
		     const CK_ATTRIBUTE *attribute);
/* What the last one of this life did, as JSON; nothing before. */
void store_copy_get(struct objects *objects, struct buffer *out);
