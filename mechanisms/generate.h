/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* CKM_AES_KEY_GEN and CKM_GENERIC_SECRET_KEY_GEN. */
#pragma once

#include "objects/object.h"

/* Draws the value of a new data key. */
CK_RV generate_value(struct object *key, size_t len);
