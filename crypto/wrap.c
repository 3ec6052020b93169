/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES key wrap over a keyed ECB context: OpenSSL's own objects cost some ten times as much. */
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/aes.h"

#include <endian.h>
#include <string.h>

enum { HALF = AES_BLOCK / 2, ROUNDS = 6 };

/* Bytes of the register A (RFC 3394 section 2.2.1) and of the parts R after it. */
enum { WORK_MAX = HALF + AES_WRAP_MAX };

static const uint8_t kw_iv[HALF] = {0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6};
static const uint8_t kwp_iv[HALF / 2] = {0xa6, 0x59, 0x59, 0xa6};

/* A | R as one value, since OpenSSL loads the block at once: two stores of half a block before that
 * load would stall the processor, 24 times a key. */
typedef uint64_t halves __attribute__((vector_size(AES_BLOCK)));

static bool run_block(struct aes *ecb, uint64_t *a, uint8_t *part)
{
	halves block;
	uint64_t r;
	bool good;

	memcpy(&r, part, HALF);
	block = (halves){*a, r};
	good = aes_block(ecb, (const uint8_t *)&block, (uint8_t *)&block);
	*a = block[0];
	r = block[1];
	memcpy(part, &r, HALF);
	return good;
}

/* RFC 3394 section 2.2.1 on `work`: A, then `count` parts of 8 bytes. */
static bool wrap_parts(struct aes *ecb, uint8_t *work, size_t count)
{
	uint64_t a, step = 0;
	bool good = true;

	memcpy(&a, work, HALF);
	for (int round = 0; round < ROUNDS; round++) {
		for (uint8_t *part = work + HALF; part <= work + HALF * count; part += HALF) {
			good &= run_block(ecb, &a, part);
			a ^= htobe64(++step);
		}
	}
	memcpy(work, &a, HALF);
	return good;
}

/* RFC 3394 section 2.2.2: the steps of wrap_parts() backwards. */
static bool unwrap_parts(struct aes *ecb, uint8_t *work, size_t count)
{
	uint64_t a, step = ROUNDS * count;
	bool good = true;

	memcpy(&a, work, HALF);
	for (int round = 0; round < ROUNDS; round++) {
		for (uint8_t *part = work + HALF * count; part > work; part -= HALF) {
			a ^= htobe64(step--);
			good &= run_block(ecb, &a, part);
		}
	}
	memcpy(work, &a, HALF);
	return good;
}

static bool kw_iv_choose(struct bytes *iv)
{
	if (iv->len == 0)
		*iv = bytes(kw_iv, sizeof(kw_iv));
	return iv->len == HALF;
}

bool aes_kw_wrap(struct aes *ecb, struct bytes iv, struct bytes in, uint8_t *ret, size_t *ret_len)
{
	uint8_t work[WORK_MAX];
	bool good;

	if (in.len < 2 * HALF || in.len % HALF != 0 || in.len > AES_WRAP_MAX || !kw_iv_choose(&iv))
		return false;
	memcpy(work, iv.data, HALF);
	memcpy(work + HALF, in.data, in.len);
	good = wrap_parts(ecb, work, in.len / HALF);
	if (good) {
		memcpy(ret, work, HALF + in.len);
		*ret_len = HALF + in.len;
	}
	wipe(work, HALF + in.len);
	return good;
}

bool aes_kw_unwrap(struct aes *ecb, struct bytes iv, struct bytes in, uint8_t *ret, size_t *ret_len)
{
	uint8_t work[WORK_MAX];
	bool good;

	if (in.len < 3 * HALF || in.len % HALF != 0 || in.len > WORK_MAX || !kw_iv_choose(&iv))
		return false;
	memcpy(work, in.data, in.len);
	good = unwrap_parts(ecb, work, in.len / HALF - 1) &&
	       bytes_equal_constant_time(bytes(work, HALF), iv);
	if (good) {
		memcpy(ret, work + HALF, in.len - HALF);
		*ret_len = in.len - HALF;
	}
	wipe(work, in.len);
	return good;
}

/* One part alone is a single block (RFC 5649 sections 4.1 and 4.2). */
static bool kwp_parts(struct aes *ecb, bool wrap, uint8_t *work, size_t count)
{
	if (count == 1)
		return aes_block(ecb, work, work);
	return wrap ? wrap_parts(ecb, work, count) : unwrap_parts(ecb, work, count);
}

bool aes_kwp_wrap(struct aes *ecb, struct bytes in, uint8_t *ret, size_t *ret_len)
{
	size_t padded = (in.len + HALF - 1) / HALF * HALF;
	uint8_t work[WORK_MAX];
	bool good;

	if (in.len == 0 || in.len > AES_WRAP_MAX)
		return false;
	memset(work, 0, HALF + padded);
	memcpy(work, kwp_iv, sizeof(kwp_iv));
	work[6] = (uint8_t)(in.len >> 8);
	work[7] = (uint8_t)in.len;
	memcpy(work + HALF, in.data, in.len);
	good = kwp_parts(ecb, true, work, padded / HALF);
	if (good) {
		memcpy(ret, work, HALF + padded);
		*ret_len = HALF + padded;
	}
	wipe(work, HALF + padded);
	return good;
}

/* Checks A and the padding (RFC 5649 section 3), by the same steps whichever of them is wrong.
 * Returns the length; 0: wrong. */
static size_t kwp_check(const uint8_t *work, size_t padded)
{
	size_t len = (size_t)work[4] << 24 | (size_t)work[5] << 16 | (size_t)work[6] << 8 | work[7];
	volatile uint32_t wrong = 0;

	for (size_t i = 0; i < sizeof(kwp_iv); i++)
		wrong |= work[i] ^ kwp_iv[i];
	wrong |= (uint32_t)(len <= padded - HALF) | (uint32_t)(len > padded);
	for (size_t i = padded - HALF; i < padded; i++)
		wrong |= work[HALF + i] & (uint32_t) - (int32_t)(i >= len);
	return wrong == 0 ? len : 0;
}

bool aes_kwp_unwrap(struct aes *ecb, struct bytes in, uint8_t *ret, size_t *ret_len)
{
	uint8_t work[WORK_MAX];
	size_t len;

	if (in.len < 2 * HALF || in.len % HALF != 0 || in.len > WORK_MAX)
		return false;
	memcpy(work, in.data, in.len);
	len = kwp_parts(ecb, false, work, in.len / HALF - 1) ? kwp_check(work, in.len - HALF) : 0;
	if (len > 0) {
		memcpy(ret, work + HALF, len);
		*ret_len = len;
	}
	wipe(work, in.len);
	return len > 0;
}
