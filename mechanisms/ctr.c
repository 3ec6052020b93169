/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CTR: a stream. */
#include "mechanisms/cipher.h"

/* ulCounterBits is only checked for a plausible value: the pkcs11 provider of OpenSSL says 16
 * and means 16 bytes, and a counter that wraps early would not decrypt what others wrote. */
static CK_RV read_counter(const CK_MECHANISM *given, struct parameter *parameter)
{
	CK_AES_CTR_PARAMS counter;

	if (given->ulParameterLen != sizeof(counter) || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&counter, given->pParameter, sizeof(counter));
	if (counter.ulCounterBits < 1 || counter.ulCounterBits > 128)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(parameter->counter, counter.cb, sizeof(counter.cb));
	parameter->iv = bytes(parameter->counter, sizeof(parameter->counter));
	return CKR_OK;
}

static CK_RV nothing_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)op;
	(void)in_len;
	*ret_bound = 0;
	return CKR_OK;
}

static const struct cipher_class counter_class = {
	.start = iv_start,
	.bounds = {same_bound, same_bound, nothing_bound},
	.runs = {aes_once, aes_part, aes_last},
};

const struct behaviour ctr_behaviour = {
	.read = read_counter,
	.wanted = "CK_AES_CTR_PARAMS with 1 to 128 bits of counter",
	.operations = {[OPERATION_ENCRYPT] = &counter_class, [OPERATION_DECRYPT] = &counter_class},
	.scheduled = true,
};
