/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Digests as operations. */
#include "mechanisms/operation.h"

static size_t size_of(const struct operation *op)
{
	return digest_size((enum digest_kind)op->mechanism->detail);
}

static CK_RV start(struct operation *op, struct parameter *parameter)
{
	enum digest_kind kind = (enum digest_kind)op->mechanism->detail;

	(void)parameter;
	if (op->digest != NULL && op->digest_kind == kind)
		return digest_start(op->digest) ? CKR_OK : CKR_FUNCTION_FAILED;
	digest_free(op->digest);
	op->digest = digest_new(kind);
	op->digest_kind = kind;
	return op->digest != NULL && digest_start(op->digest) ? CKR_OK : CKR_HOST_MEMORY;
}

static CK_RV whole_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)in_len;
	*ret_bound = size_of(op);
	return CKR_OK;
}

static CK_RV part_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)op;
	(void)in_len;
	*ret_bound = 0;
	return CKR_OK;
}

static CK_RV part(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	(void)out;
	*ret_len = 0;
	return in.len == 0 || digest_update(op->digest, in) ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV last(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	(void)in;
	*ret_len = size_of(op);
	return digest_finish(op->digest, out) ? CKR_OK : CKR_FUNCTION_FAILED;
}

static CK_RV once(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	TRY(part(op, in, NULL, ret_len));
	return last(op, bytes(NULL, 0), out, ret_len);
}

static const struct cipher_class digest_class = {
	.start = start,
	.bounds = {whole_bound, part_bound, whole_bound},
	.runs = {once, part, last},
};

const struct behaviour digest_behaviour = {
	.read = parameter_read_none,
	.wanted = "empty",
	.operations = {[OPERATION_DIGEST] = &digest_class},
};
