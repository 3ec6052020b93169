/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES-GCM as operations. Decrypting in parts keeps the ciphertext back until the tag is known to be
 * good: no plaintext leaves the module that was not verified. */
#include "mechanisms/cipher.h"

#include "base/log.h"
#include "objects/chunk.h"

static CK_RV start(struct operation *op, struct parameter *parameter)
{
	const struct aes_message message = {
		.iv = parameter->iv,
		.aad = parameter->aad,
		.tag_len = parameter->tag_len,
	};

	op->tag_len = parameter->tag_len;
	op->collected_max = SIZE_MAX;
	return aes_start(op->key->aes, &message) ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV seal_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = in_len + op->tag_len;
	return in_len < SIZE_MAX - AES_BLOCK ? CKR_OK : len_range(op);
}

static CK_RV tag_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)in_len;
	*ret_bound = op->tag_len;
	return CKR_OK;
}

const struct cipher_class seal_class = {
	.start = start,
	.bounds = {seal_bound, same_bound, tag_bound},
	.runs = {aes_once, aes_part, aes_last},
};

/* The index is taken whatever comes of it. */
static CK_RV chunk_start(struct operation *op, struct parameter *parameter)
{
	struct object *key = op->key->object;

	if (!object_has_chunks(key) || object_has(key, OBJECT_EXTRACTABLE)) {
		log_warning(
			"CKM_CMEK_CHUNK takes a session's key that C_DeriveKey made and that is "
			"not extractable, so that no chunk was sealed elsewhere");
		return CKR_KEY_FUNCTION_NOT_PERMITTED;
	}
	if (!object_take_chunk(key, parameter->chunk, parameter->is_last)) {
		log_warning("CKM_CMEK_CHUNK: chunk %lu, or one after it, was sealed under this key",
			    (unsigned long)parameter->chunk);
		return CKR_MECHANISM_PARAM_INVALID;
	}
	return start(op, parameter);
}

const struct cipher_class chunk_class = {
	.start = chunk_start,
	.bounds = {seal_bound, same_bound, tag_bound},
	.runs = {aes_once, aes_part, aes_last},
};

static CK_RV open_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	if (in_len < op->tag_len)
		return len_range(op);
	*ret_bound = in_len - op->tag_len;
	return CKR_OK;
}

/* The tag first: in place, the end of the input may be written over. */
static CK_RV open_once(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	struct bytes tag = bytes(in.data + in.len - op->tag_len, op->tag_len);
	struct bytes text = bytes(in.data, in.len - op->tag_len);
	size_t none;

	if (!aes_set_tag(op->key->aes, tag))
		return CKR_FUNCTION_FAILED;
	TRY(aes_part(op, text, out, ret_len));
	return aes_last(op, text, NULL, &none);
}

const struct cipher_class open_class = {
	.start = start,
	.bounds = {open_bound, collected_part_bound, collected_last_bound},
	.runs = {open_once, collected_part, collected_last},
};
