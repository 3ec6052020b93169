/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES-CTR: a stream. */
#include "mechanisms/cipher.h"

/* The pkcs11 provider of OpenSSL says 16 and means 16 bytes: these 16 bits carry into the rest. */
enum { BITS_TAKEN_FOR_BYTES = 16, BITS_MAX = 128 };

static CK_RV read_counter(const CK_MECHANISM *given, struct parameter *parameter)
{
	CK_AES_CTR_PARAMS counter;

	if (given->ulParameterLen != sizeof(counter) || given->pParameter == NULL)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(&counter, given->pParameter, sizeof(counter));
	if (counter.ulCounterBits < 1 || counter.ulCounterBits > BITS_MAX)
		return CKR_MECHANISM_PARAM_INVALID;
	memcpy(parameter->counter, counter.cb, sizeof(counter.cb));
	parameter->iv = bytes(parameter->counter, sizeof(parameter->counter));
	parameter->counter_bits = (uint8_t)counter.ulCounterBits;
	return CKR_OK;
}

static uint64_t number_of(const uint8_t from[static 8])
{
	uint64_t number = 0;

	for (int i = 0; i < 8; i++)
		number = number << 8 | from[i];
	return number;
}

static uint64_t low_bits(uint64_t value, unsigned bits)
{
	return bits >= 64 ? value : value & ((UINT64_C(1) << bits) - 1);
}

/* How many blocks there are until the counter, the last bits of the block, is 0 again; UINT64_MAX:
 * as many, or more. */
static uint64_t blocks_left(const uint8_t block[static 16], unsigned bits)
{
	uint64_t high = number_of(block), low = number_of(block + 8);
	uint64_t more = bits <= 64 ? 0 : low_bits(~high + (low == 0), bits - 64);
	uint64_t left = low_bits(-low, bits);

	if (more > 0 || (left == 0 && bits >= 64))
		return UINT64_MAX;
	return left == 0 ? UINT64_C(1) << bits : left;
}

/* PKCS #11, "AES-CTR": where the counter's bits would overflow, CKR_DATA_LEN_RANGE. */
static CK_RV start(struct operation *op, struct parameter *parameter)
{
	unsigned bits = parameter->counter_bits;
	uint64_t blocks = bits == BITS_TAKEN_FOR_BYTES || bits == BITS_MAX
				  ? UINT64_MAX
				  : blocks_left(parameter->counter, bits);

	op->room = blocks > UINT64_MAX / AES_BLOCK ? UINT64_MAX : blocks * AES_BLOCK;
	return iv_start(op, parameter);
}

static CK_RV counted_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	*ret_bound = in_len;
	return in_len <= op->room ? CKR_OK : len_range(op);
}

static CK_RV part(struct operation *op, struct bytes in, uint8_t *out, size_t *ret_len)
{
	if (op->room != UINT64_MAX)
		op->room -= in.len;
	return aes_part(op, in, out, ret_len);
}

static CK_RV nothing_bound(const struct operation *op, size_t in_len, size_t *ret_bound)
{
	(void)op;
	(void)in_len;
	*ret_bound = 0;
	return CKR_OK;
}

static const struct cipher_class counter_class = {
	.start = start,
	.bounds = {counted_bound, counted_bound, nothing_bound},
	.runs = {aes_once, part, aes_last},
};

const struct behaviour ctr_behaviour = {
	.read = read_counter,
	.wanted = "CK_AES_CTR_PARAMS with 1 to 128 bits of counter",
	.operations = {[OPERATION_ENCRYPT] = &counter_class, [OPERATION_DECRYPT] = &counter_class},
	.scheduled = true,
};
