/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES-ECB. */
#include "mechanisms/cipher.h"

const struct behaviour ecb_behaviour = {
	.read = parameter_read_none,
	.wanted = "empty",
	.operations = {[OPERATION_ENCRYPT] = &blocks_class, [OPERATION_DECRYPT] = &blocks_class},
	.scheduled = true,
};
