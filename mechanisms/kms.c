/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_Encrypt and C_Decrypt by a root key: the KMS does it, for purpose "data" and at most 4096
 * bytes. The result is kept for a caller whose buffer was too small, so that the KMS is asked once.
 */
#include "base/json.h"
#include "base/log.h"
#include "mechanisms/operation.h"
#include "objects/error.h"
#include "zones/domain/root_key.h"

#include <jansson.h>

/* --- The parameter */

static void context_freep(struct context **context)
{
	context_free(*context);
}

/* Names that begin so are the module's, which says by them what a ciphertext is for. */
static bool name_is_ours(const char *name)
{
	return strncmp(name, "cmek:", 5) == 0;
}

static bool context_fill(struct context *context)
{
	const char *name;
	json_t *value;

	if (!json_is_object((json_t *)context->json))
		return false;
	context->pairs.pairs = context->list;
	json_object_foreach((json_t *)context->json, name, value)
	{
		if (context->pairs.count == CONTEXT_PAIRS_MAX || !json_is_string(value) ||
		    name_is_ours(name))
			return false;
		context->list[context->pairs.count++] =
			(struct kms_pair){name, json_string_value(value)};
	}
	return true;
}

static CK_RV read_context(const CK_MECHANISM *given, struct parameter *parameter)
{
	AUTO(context_freep) struct context *context = NULL;
	bool no_memory;

	if (given->ulParameterLen == 0)
		return CKR_OK;
	if (given->pParameter == NULL || given->ulParameterLen > CONTEXT_JSON_MAX)
		return CKR_MECHANISM_PARAM_INVALID;
	context = calloc(1, sizeof(*context));
	if (context == NULL)
		return CKR_HOST_MEMORY;
	context->json = json_read(bytes(given->pParameter, given->ulParameterLen),
				  JSON_REJECT_DUPLICATES, &no_memory);
	if (context->json == NULL && no_memory)
		return CKR_HOST_MEMORY;
	if (!context_fill(context)) {
		log_error("CKM_CMEK_KMS: the parameter is not a flat JSON object of at most %d "
			  "texts with names that do not begin with \"cmek:\"",
			  CONTEXT_PAIRS_MAX);
		return CKR_MECHANISM_PARAM_INVALID;
	}
	parameter->context = TAKE(context);
	return CKR_OK;
}

/* --- Operations */

static void let_go(void *own)
{
	context_free(own);
}

static CK_RV start(struct operation *op, struct parameter *parameter)
{
	op->own = TAKE(parameter->context);
	op->collected_max = operation_opens(op) ? KMS_BLOB_MAX : KMS_PLAINTEXT_MAX;
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
	const struct context *context = op->own;
	size_t bound;

	TRY(error_of_zone(function(objects_zones(op->objects), op->key->object->entry,
				   context == NULL ? &none : &context->pairs, in, &answer),
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

static const struct cipher_class encrypt_class = {
	.start = start,
	.bounds = {encrypt_bound, collected_part_bound, collected_last_bound},
	.runs = {encrypt, collected_part, collected_last},
	.let_go = let_go,
	.inexact = true,
};

static const struct cipher_class decrypt_class = {
	.start = start,
	.bounds = {decrypt_bound, collected_part_bound, collected_last_bound},
	.runs = {decrypt, collected_part, collected_last},
	.let_go = let_go,
	.inexact = true,
};

const struct behaviour kms_behaviour = {
	.read = read_context,
	.wanted = "empty or flat JSON",
	.operations = {[OPERATION_ENCRYPT] = &encrypt_class, [OPERATION_DECRYPT] = &decrypt_class},
	.moves_zones = true,
};
