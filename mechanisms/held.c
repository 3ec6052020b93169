/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Multi-part operations of mechanisms that work on a whole: the parts are collected, the last step
 * does the work that STEP_ONCE does. */
#include "mechanisms/operation.h"

CK_RV held_part_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	if (in_len > op->held_max - op->held.len)
		return len_range(op);
	*ret_bound = 0;
	return CKR_OK;
}

CK_RV held_part(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	(void)out;
	buffer_append(&op->held, in);
	*ret_len = 0;
	return op->held.failed ? CKR_HOST_MEMORY : CKR_OK;
}

CK_RV held_last_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)in_len;
	return op->class->bounds[STEP_ONCE](op, op->held.len, ret_bound);
}

CK_RV held_last(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	(void)in;
	return op->class->runs[STEP_ONCE](op, buffer_bytes(&op->held), out, ret_len);
}
