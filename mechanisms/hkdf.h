/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* HKDF (RFC 5869) over a data key, in the order of its steps; a salt may be a key. What becomes of
 * the bytes that it gives is the caller's: by CKM_HKDF_DERIVE a key, by CKM_HKDF_DATA data. */
#pragma once

#include "crypto/digest.h"
#include "mechanisms/ready_key.h"

enum { HKDF_KEY, HKDF_DATA }; /* the detail of their rows */

struct derivation {
	CK_HKDF_PARAMS params; /* whose pointers stay the caller's */
	enum digest_kind digest;
	size_t len; /* of what is derived */
	struct bytes base, salt;
	uint8_t *base_secret, *salt_secret; /* what these lie in, where they are keys */
};
void derivation_clear(struct derivation *derivation);

CK_RV hkdf_read(const CK_MECHANISM *given, CK_HKDF_PARAMS *ret_params);
/* Finds digest and length; `wanted_len` 0: the template names none; `max`: the most that what is
 * made can have, beside 255 digests. CKR_KEY_SIZE_RANGE, CKR_TEMPLATE_INCOMPLETE. */
CK_RV hkdf_begin(struct derivation *derivation, size_t wanted_len, size_t max);
/* Reads the base key, which has begun (KMS), and a salt that is data. */
CK_RV hkdf_base(struct derivation *derivation, struct objects *objects, const struct ready_key *by);
/* Is the salt a key? It is checked for the use by the caller, and then read (KMS). */
bool hkdf_wants_salt_key(const struct derivation *derivation);
CK_RV hkdf_salt_key(struct derivation *derivation, struct objects *objects,
		    const struct ready_key *by, struct object *salt);
/* derivation->len bytes, for the caller to secret_free(). */
CK_RV hkdf_run(const struct derivation *derivation, uint8_t **ret_value);
