/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_Encrypt and C_Decrypt by a root key: the KMS does it, for purpose "data" and at most 4096
 * bytes. The result is kept for a caller who lacked room, so that the KMS is asked once. */
#include "mechanisms/cipher.h"

#include "base/log.h"
#include "objects/error.h"

static CK_RV start(struct operation *op, struct parameter *parameter)
{
	op->context = TAKE(parameter->context);
	op->collected_max = op->kind == OPERATION_DECRYPT ? KMS_BLOB_MAX : KMS_PLAINTEXT_MAX;
	return CKR_OK;
}

static CK_RV encrypt_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = KMS_BLOB_MAX;
	return in_len >= 1 && in_len <= KMS_PLAINTEXT_MAX ? CKR_OK : len_range(op);
}

/* A plaintext is shorter than its blob. */
static CK_RV decrypt_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = in_len < KMS_PLAINTEXT_MAX ? in_len : KMS_PLAINTEXT_MAX;
	return in_len >= 1 && in_len <= KMS_BLOB_MAX ? CKR_OK : len_range(op);
}

typedef enum zone_status ask_kms(struct zones *zones, const struct entry *root_key,
				 const struct kms_context *context, struct bytes in,
				 struct buffer *ret_out);

static CK_RV ask(struct operation *op, ask_kms *function, struct bytes in, uint8_t *out,
		 size_t *ret_len)
{
	AUTO(buffer_clear) struct buffer answer = {0};
	const struct kms_context none = {0};
	size_t bound;

	TRY(error_of_zone(function(objects_zones(op->objects), op->key->object->entry,
				   op->context == NULL ? &none : &op->context->pairs, in, &answer),
			  ERROR_KMS));
	TRY(op->class->bounds[STEP_ONCE](op, in.len, &bound));
	if (answer.len > bound) {
		log_error("the KMS answered with %zu bytes where %zu are the most", answer.len,
			  bound);
		return CKR_DEVICE_ERROR;
	}
	if (answer.len > 0)
		memcpy(out, answer.data, answer.len);
	*ret_len = answer.len;
	return CKR_OK;
}

static CK_RV encrypt(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	return ask(op, zones_root_key_encrypt, in, out, ret_len);
}

static CK_RV decrypt(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	return ask(op, zones_root_key_decrypt, in, out, ret_len);
}

const struct cipher_class kms_encrypt_class = {
	.start = start,
	.bounds = {encrypt_bound, collected_part_bound, collected_last_bound},
	.runs = {encrypt, collected_part, collected_last},
	.inexact = true,
};

const struct cipher_class kms_decrypt_class = {
	.start = start,
	.bounds = {decrypt_bound, collected_part_bound, collected_last_bound},
	.runs = {decrypt, collected_part, collected_last},
	.inexact = true,
};
