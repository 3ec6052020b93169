/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What operations share, whatever their mechanism: their end, and the collecting of parts. */
#include "mechanisms/operation.h"

#include "base/log.h"

void operation_end(struct operation *op)
{
	if (op->own != NULL)
		op->class->let_go(op->own);
	/* Failed too, though there is nothing to free: the next operation begins with memory again.
	 */
	if (op->collected.data != NULL || op->collected.failed)
		buffer_clear(&op->collected);
	if (op->result.data != NULL || op->result.failed)
		buffer_clear(&op->result);
	op->own = NULL;
	if (op->key != NULL)
		ready_key_done(op->key);
	op->key = NULL;
	op->class = NULL;
}

void operation_clear(struct operation *op)
{
	operation_end(op);
	digest_free(op->digest);
	op->digest = NULL;
}

/* --- Mechanisms that work on a whole: the last step does the work that STEP_ONCE does */

static uint64_t kept_max = UINT64_MAX;

void collected_keep(uint64_t bytes_max)
{
	kept_max = bytes_max;
}

static CK_RV check_kept(const struct operation *op, size_t in_len)
{
	if (in_len > op->collected_max - op->collected.len)
		return len_range(op);
	if (op->collected.len <= kept_max && in_len <= kept_max - op->collected.len)
		return CKR_OK;
	log_warning("a message in parts has more than the %llu MiB that the module keeps until its "
		    "end ([crypto] keep_max_mib): give it at once, or as messages of less",
		    (unsigned long long)(kept_max >> 20));
	return CKR_DEVICE_MEMORY;
}

CK_RV collected_part_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = 0;
	return check_kept(op, in_len);
}

CK_RV collected_part(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	(void)out;
	buffer_append(&op->collected, in);
	*ret_len = 0;
	return op->collected.failed ? CKR_HOST_MEMORY : CKR_OK;
}

CK_RV collected_last_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)in_len;
	return op->class->bounds[STEP_ONCE](op, op->collected.len, ret_bound);
}

CK_RV collected_last(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	(void)in;
	return op->class->runs[STEP_ONCE](op, buffer_bytes(&op->collected), out, ret_len);
}

CK_RV collected_end_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	TRY(check_kept(op, in_len));
	return op->class->bounds[STEP_ONCE](op, op->collected.len + in_len, ret_bound);
}

CK_RV collected_end(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	TRY(collected_part(op, in, NULL, ret_len));
	return op->class->runs[STEP_ONCE](op, buffer_bytes(&op->collected), out, ret_len);
}
