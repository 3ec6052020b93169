/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CBC, without padding and with. */
#include "mechanisms/cipher.h"

static CK_RV read_iv(const CK_MECHANISM *given, struct parameter *parameter)
{
	if (given->ulParameterLen != AES_BLOCK || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	parameter->iv = bytes(given->pParameter, AES_BLOCK);
	return CKR_OK;
}

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

static const struct cipher_class pad_class = {
	.start = iv_start,
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

static const struct cipher_class unpad_class = {
	.start = iv_start,
	.bounds = {unpad_bound, unpad_part_bound, unpad_last_bound},
	.runs = {aes_once, aes_part, aes_last},
	.inexact = true,
};

/* --- As ways of wrapping. Without padding only keys of whole blocks: of others, which the standard
 * fills up with zeros, the last block could be unwrapped alone, and its few bytes guessed. */

static size_t blocks_len(const struct mechanism *mechanism, const struct parameter *parameter,
			 size_t len)
{
	(void)mechanism;
	(void)parameter;
	return len % AES_BLOCK != 0 || len > AES_WRAP_MAX ? 0 : len;
}

static size_t padded_len(const struct mechanism *mechanism, const struct parameter *parameter,
			 size_t len)
{
	(void)mechanism;
	(void)parameter;
	return len == 0 || len > AES_WRAP_MAX ? 0 : len - len % AES_BLOCK + AES_BLOCK;
}

static CK_RV unwrap(struct ready_key *by, const struct parameter *parameter, struct bytes wrapped,
		    uint8_t *ret_secret, size_t *ret_len, struct ezk **ret_ezk)
{
	(void)ret_ezk;
	return aes_message_run(by->aes, parameter, wrapped, ret_secret, ret_len)
		       ? CKR_OK
		       : CKR_WRAPPED_KEY_INVALID;
}

static const struct wrap_method blocks_wrap = {
	.wrapped_len = blocks_len,
	.value_max = blocks_len,
	.wrap = aes_wrap,
	.unwrap = unwrap,
	.checks_nothing = true,
};

static const struct wrap_method pad_wrap = {
	.wrapped_len = padded_len,
	.value_max = blocks_len,
	.wrap = aes_wrap,
	.unwrap = unwrap,
};

const struct behaviour cbc_behaviour = {
	.read = read_iv,
	.wanted = "an IV of 16 bytes",
	.operations = {[OPERATION_ENCRYPT] = &blocks_class, [OPERATION_DECRYPT] = &blocks_class},
	.wrap = &blocks_wrap,
	.scheduled = true,
};

const struct behaviour cbc_pad_behaviour = {
	.read = read_iv,
	.wanted = "an IV of 16 bytes",
	.operations = {[OPERATION_ENCRYPT] = &pad_class, [OPERATION_DECRYPT] = &unpad_class},
	.wrap = &pad_wrap,
	.scheduled = true,
};
