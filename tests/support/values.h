/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the value of a key is, for tests of what lies above objects/value.h. */
#pragma once

#include "base/macros.h"
#include "base/secret.h"
#include "objects/value.h"
#include "tests/support/unit.h"

static inline void assert_value(struct object *object, struct bytes expected)
{
	AUTO(secret_freep) uint8_t *secret = secret_new(object->value_len);

	assert_int_equal(value_read(object, secret), ZONE_OK);
	assert_bytes(bytes(secret, object->value_len), expected);
}
