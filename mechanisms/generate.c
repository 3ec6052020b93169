/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* New keys, of random bytes. */
#include "mechanisms/generate.h"

#include "base/macros.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "mechanisms/parameters.h"
#include "objects/template.h"

CK_RV generate_value(struct object *key, size_t len)
{
	AUTO(secret_freep) uint8_t *value = secret_new(len);

	if (value == NULL)
		return CKR_HOST_MEMORY;
	if (!crypto_random(value, len))
		return CKR_FUNCTION_FAILED;
	return object_take_value(key, &value, len);
}

const struct behaviour generate_behaviour = {.read = parameter_read_none, .wanted = "empty"};
