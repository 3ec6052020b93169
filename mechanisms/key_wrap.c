/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key wrap (RFC 3394, RFC 5649) used as a cipher for data, which Java does. Under an EZK this runs
 * by the key for data, so it opens no wrapped key. The work itself is kw.c's, for C_WrapKey and
 * C_UnwrapKey too.
 */
#include "mechanisms/cipher.h"
#include "mechanisms/kw.h"

static CK_RV start(struct operation *op, struct parameter *parameter)
{
	(void)parameter;
	op->collected_max = AES_WRAP_MAX + KW_OVERHEAD_MAX;
	return CKR_OK;
}

static CK_RV encrypt_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = kw_wrapped_len(op->mechanism, in_len);
	return *ret_bound > 0 ? CKR_OK : len_range(op);
}

static CK_RV encrypt(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	return kw_wrap(op->mechanism, op->key->aes, in, out, ret_len) ? CKR_OK
								      : CKR_FUNCTION_FAILED;
}

static CK_RV decrypt_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = kw_unwrapped_max(op->mechanism, in_len);
	return *ret_bound > 0 ? CKR_OK : len_range(op);
}

static CK_RV decrypt(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	return kw_unwrap(op->mechanism, op->key->aes, in, out, ret_len)
		       ? CKR_OK
		       : CKR_ENCRYPTED_DATA_INVALID;
}

const struct cipher_class kw_encrypt_class = {
	.start = start,
	.bounds = {encrypt_bound, collected_part_bound, collected_last_bound},
	.runs = {encrypt, collected_part, collected_last},
};

const struct cipher_class kw_decrypt_class = {
	.start = start,
	.bounds = {decrypt_bound, collected_part_bound, collected_last_bound},
	.runs = {decrypt, collected_part, collected_last},
	.inexact = true,
};
