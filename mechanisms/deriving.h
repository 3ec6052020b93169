/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* How a mechanism makes a key of the bytes of one other. HKDF, into which a second key may go, is
 * in hkdf.h. */
#pragma once

#include "mechanisms/ready_key.h"

enum { KDF_PIECES_MAX = 32 };
enum { COUNTER_KDF, FEEDBACK_KDF, PIPELINE_KDF }; /* the detail of SP 800-108's rows */

/* A part of what a block is made of (SP 800-108r1): bytes, or a number of so many. */
struct kdf_piece {
	CK_PRF_DATA_TYPE type;
	struct bytes value; /* the caller's */
	size_t width;
	bool little_endian;
	bool of_segments; /* a length: of all blocks, not of what is taken of them */
};

/* A parameter that was read; pointers stay the caller's. */
struct deriving {
	const struct mechanism *mechanism;
	const struct mechanism *prf; /* SP 800-108: an HMAC, or CMAC */
	struct kdf_piece pieces[KDF_PIECES_MAX];
	size_t count;
	struct bytes iv, data;
	uint8_t cbc_iv[AES_BLOCK];
	size_t len; /* of what is derived */
};

struct derive_method {
	/* CKR_MECHANISM_PARAM_INVALID. */
	CK_RV (*read)(const CK_MECHANISM *given, struct deriving *ret_deriving);
	/* Finds the length; `wanted_len` 0: the template names none. CKR_TEMPLATE_INCOMPLETE,
	 * CKR_KEY_SIZE_RANGE, CKR_KEY_TYPE_INCONSISTENT. */
	CK_RV (*fit)(const struct object *base, size_t wanted_len, struct deriving *deriving);
	/* deriving->len bytes. */
	bool (*run)(const struct deriving *deriving, struct bytes base, uint8_t *ret_value);
};
