/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the mechanisms over struct aes share; see the header. */
#include "mechanisms/cipher.h"

CK_RV iv_start(struct operation *op, struct parameter *parameter)
{
	const struct aes_message message = {.iv = parameter->iv};

	return aes_start(op->key->aes, &message) ? CKR_OK : CKR_FUNCTION_FAILED;
}

/* What fails here is data: a length or a padding. */
static CK_RV data_invalid(const struct operation *op)
{
	return operation_opens(op) ? CKR_ENCRYPTED_DATA_INVALID : CKR_FUNCTION_FAILED;
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

/* --- Without padding: a full block is never held back */

static CK_RV blocks_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = in_len;
	return in_len % AES_BLOCK == 0 ? CKR_OK : len_range(op);
}

CK_RV blocks_part_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
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
	.start = iv_start,
	.bounds = {blocks_bound, blocks_part_bound, blocks_last_bound},
	.runs = {aes_once, aes_part, aes_last},
};

/* --- A whole message */

bool aes_message_run(struct aes *aes, const struct parameter *parameter, struct bytes in,
		     uint8_t *out, size_t *ret_len)
{
	const struct aes_message message = {parameter->iv, parameter->aad, parameter->tag_len};
	size_t last_len;

	if (!aes_start(aes, &message) || !aes_update(aes, in, out, ret_len) ||
	    !aes_finish(aes, out + *ret_len, &last_len))
		return false;
	*ret_len += last_len;
	return true;
}

CK_RV aes_wrap(struct ready_key *by, const struct parameter *parameter, struct bytes value,
	       uint8_t *ret_wrapped)
{
	size_t len;

	return aes_message_run(by->aes, parameter, value, ret_wrapped, &len) ? CKR_OK
									     : CKR_FUNCTION_FAILED;
}
