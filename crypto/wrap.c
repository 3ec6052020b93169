/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES key wrap over a keyed ECB context: OpenSSL's own objects cost some ten times as much. */
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/aes.h"
#include "crypto/internal.h"

#include <endian.h>
#include <stddef.h>
#include <string.h>

enum { HALF = AES_BLOCK / 2, ROUNDS = 6 };

/* Bytes of the register A (RFC 3394 section 2.2.1) and of the parts R after it. */
enum { WORK_MAX = HALF + AES_WRAP_MAX };

static const uint8_t kw_iv[HALF] = {0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6};
static const uint8_t kwp_iv[HALF / 2] = {0xa6, 0x59, 0x59, 0xa6};

/* A | R as one value, since OpenSSL loads the block at once: two stores of half a block before that
 * load would stall the processor, 24 times a key. */
typedef uint64_t halves __attribute__((vector_size(AES_BLOCK)));

/* Where a key is wrapped: its owner wipes it. */
struct work {
	halves block;		/* the one under way */
	uint8_t text[WORK_MAX]; /* A, then the parts */
};

static void work_wipe(struct work *work, size_t text_len)
{
	wipe(work, offsetof(struct work, text) + text_len);
}

static inline bool run_block(const struct block_cipher *cipher, struct work *work, halves a,
			     uint8_t *part)
{
	uint64_t r;
	bool good;

	memcpy(&r, part, HALF);
	work->block = (halves){a[0], r};
	good = block_cipher_run(cipher, &work->block);
	r = work->block[1];
	memcpy(part, &r, HALF);
	return good;
}

/* RFC 3394 section 2.2.1 on `work`: A, then `count` parts of 8 bytes. */
static bool wrap_parts(struct aes *ecb, struct work *work, size_t count)
{
	const struct block_cipher cipher = aes_block_cipher(ecb);
	uint8_t *first = work->text + HALF, *end = first + HALF * count;
	uint64_t step = 0;
	bool good = true;
	halves a = {0};

	memcpy(&a, work->text, HALF);
	for (int round = 0; round < ROUNDS; round++) {
		for (uint8_t *part = first; part < end; part += HALF) {
			good &= run_block(&cipher, work, a, part);
			a = work->block ^ (halves) { htobe64(++step) };
		}
	}
	memcpy(work->text, &a, HALF);
	return good;
}

/* RFC 3394 section 2.2.2: the steps of wrap_parts() backwards. */
static bool unwrap_parts(struct aes *ecb, struct work *work, size_t count)
{
	const struct block_cipher cipher = aes_block_cipher(ecb);
	uint8_t *first = work->text + HALF, *end = first + HALF * count;
	uint64_t step = ROUNDS * count;
	bool good = true;
	halves a = {0};

	memcpy(&a, work->text, HALF);
	for (int round = 0; round < ROUNDS; round++) {
		for (uint8_t *part = end - HALF; part >= first; part -= HALF) {
			a ^= (halves){htobe64(step--)};
			good &= run_block(&cipher, work, a, part);
			a = work->block;
		}
	}
	memcpy(work->text, &a, HALF);
	return good;
}

static bool kw_iv_choose(struct bytes *iv)
{
	if (iv->len == 0)
		*iv = bytes(kw_iv, sizeof(kw_iv));
	return iv->len == HALF;
}

/* One comparison of a whole word: it takes as long whatever differs. */
static bool is_iv(const uint8_t a[static HALF], struct bytes iv)
{
	uint64_t found, wanted;

	memcpy(&found, a, HALF);
	memcpy(&wanted, iv.data, HALF);
	return found == wanted;
}

bool aes_kw_wrap(struct aes *ecb, struct bytes iv, struct bytes in, uint8_t *ret, size_t *ret_len)
{
	struct work work;
	bool good;

	if (in.len < 2 * HALF || in.len % HALF != 0 || in.len > AES_WRAP_MAX || !kw_iv_choose(&iv))
		return false;
	memcpy(work.text, iv.data, HALF);
	secret_copy(work.text + HALF, in.data, in.len);
	good = wrap_parts(ecb, &work, in.len / HALF);
	if (good) {
		memcpy(ret, work.text, HALF + in.len);
		*ret_len = HALF + in.len;
	}
	work_wipe(&work, HALF + in.len);
	return good;
}

bool aes_kw_unwrap(struct aes *ecb, struct bytes iv, struct bytes in, uint8_t *ret, size_t *ret_len)
{
	struct work work;
	bool good;

	if (in.len < 3 * HALF || in.len % HALF != 0 || in.len > WORK_MAX || !kw_iv_choose(&iv))
		return false;
	memcpy(work.text, in.data, in.len);
	good = unwrap_parts(ecb, &work, in.len / HALF - 1) && is_iv(work.text, iv);
	if (good) {
		secret_copy(ret, work.text + HALF, in.len - HALF);
		*ret_len = in.len - HALF;
	}
	work_wipe(&work, in.len);
	return good;
}

/* One part alone is a single block (RFC 5649 sections 4.1 and 4.2). */
static bool kwp_parts(struct aes *ecb, bool wrap, struct work *work, size_t count)
{
	if (count == 1)
		return aes_block(ecb, work->text, work->text);
	return wrap ? wrap_parts(ecb, work, count) : unwrap_parts(ecb, work, count);
}

bool aes_kwp_wrap(struct aes *ecb, struct bytes in, uint8_t *ret, size_t *ret_len)
{
	size_t padded = (in.len + HALF - 1) / HALF * HALF;
	struct work work;
	bool good;

	if (in.len == 0 || in.len > AES_WRAP_MAX)
		return false;
	memset(work.text, 0, HALF + padded);
	memcpy(work.text, kwp_iv, sizeof(kwp_iv));
	work.text[6] = (uint8_t)(in.len >> 8);
	work.text[7] = (uint8_t)in.len;
	secret_copy(work.text + HALF, in.data, in.len);
	good = kwp_parts(ecb, true, &work, padded / HALF);
	if (good) {
		memcpy(ret, work.text, HALF + padded);
		*ret_len = HALF + padded;
	}
	work_wipe(&work, HALF + padded);
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
	struct work work;
	size_t len = 0;

	if (in.len < 2 * HALF || in.len % HALF != 0 || in.len > WORK_MAX)
		return false;
	memcpy(work.text, in.data, in.len);
	if (kwp_parts(ecb, false, &work, in.len / HALF - 1))
		len = kwp_check(work.text, in.len - HALF);
	if (len > 0) {
		secret_copy(ret, work.text + HALF, len);
		*ret_len = len;
	}
	work_wipe(&work, in.len);
	return len > 0;
}
