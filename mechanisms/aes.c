/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES-ECB, CBC, CBC with padding and CTR as operations. The key schedule is the session's
 * (ready_keys.c); a start is an IV. */
#include "mechanisms/cipher.h"

static CK_RV start(struct operation *op, struct parameter *parameter)
{
	const struct aes_message message = {.iv = parameter->iv};

	return aes_start(op->key->aes, &message) ? CKR_OK : CKR_FUNCTION_FAILED;
}

/* What fails here is data: a length or a padding. */
static CK_RV data_invalid(const struct operation *op)
{
	return op->kind == OPERATION_DECRYPT ? CKR_ENCRYPTED_DATA_INVALID : CKR_FUNCTION_FAILED;
}

CK_RV aes_part(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	if (in.len == 0) {
		*ret_len = 0;
		return CKR_OK;
	}
	if (!aes_update(op->key->aes, in, out, ret_len))
		return data_invalid(op);
	op->pending += in.len - *ret_len;
	return CKR_OK;
}

CK_RV aes_last(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	(void)in;
	return aes_finish(op->key->aes, out, ret_len) ? CKR_OK : data_invalid(op);
}

CK_RV aes_once(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	size_t last_len;

	TRY(aes_part(op, in, out, ret_len));
	TRY(aes_last(op, in, out + *ret_len, &last_len));
	*ret_len += last_len;
	return CKR_OK;
}

CK_RV same_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)op;
	*ret_bound = in_len;
	return CKR_OK;
}

static CK_RV nothing_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)op;
	(void)in_len;
	*ret_bound = 0;
	return CKR_OK;
}

static size_t whole_blocks(size_t len)
{
	return len - len % AES_BLOCK;
}

/* --- Without padding: a full block is never held back */

static CK_RV blocks_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = in_len;
	return in_len % AES_BLOCK == 0 ? CKR_OK : len_range(op);
}

static CK_RV blocks_part_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = whole_blocks(op->pending + in_len);
	return CKR_OK;
}

static CK_RV blocks_last_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)in_len;
	*ret_bound = 0;
	return op->pending == 0 ? CKR_OK : len_range(op);
}

const struct cipher_class blocks_class = {
	.start = start,
	.bounds = {blocks_bound, blocks_part_bound, blocks_last_bound},
	.runs = {aes_once, aes_part, aes_last},
};

/* --- With padding: encrypting gives a block more, decrypting holds the last one back */

static CK_RV pad_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = whole_blocks(in_len) + AES_BLOCK;
	return in_len < SIZE_MAX - AES_BLOCK ? CKR_OK : len_range(op);
}

static CK_RV pad_last_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)op;
	(void)in_len;
	*ret_bound = AES_BLOCK;
	return CKR_OK;
}

const struct cipher_class pad_class = {
	.start = start,
	.bounds = {pad_bound, blocks_part_bound, pad_last_bound},
	.runs = {aes_once, aes_part, aes_last},
};

static CK_RV unpad_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = in_len;
	return in_len > 0 && in_len % AES_BLOCK == 0 ? CKR_OK : len_range(op);
}

static CK_RV unpad_part_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	size_t len = op->pending + in_len;

	*ret_bound = len == 0 ? 0 : whole_blocks(len - 1);
	return CKR_OK;
}

static CK_RV unpad_last_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)in_len;
	*ret_bound = AES_BLOCK;
	return op->pending == AES_BLOCK ? CKR_OK : len_range(op);
}

const struct cipher_class unpad_class = {
	.start = start,
	.bounds = {unpad_bound, unpad_part_bound, unpad_last_bound},
	.runs = {aes_once, aes_part, aes_last},
	.inexact = true,
};

/* --- A stream */

const struct cipher_class counter_class = {
	.start = start,
	.bounds = {same_bound, same_bound, nothing_bound},
	.runs = {aes_once, aes_part, aes_last},
};
