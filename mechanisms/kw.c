/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Key wrap. 0x2109 is RFC 3394; 0x210B is RFC 5649. 0x210A means two things: RFC 5649 to SoftHSM
 * and OpenSC, RFC 3394 after a padding by PKCS #5 to Java. We wrap as the first and tell, when
 * unwrapping, by the integrity check value that comes out: the two can't be taken for one another.
 */
#include "mechanisms/kw.h"

enum { HALF = 8 }; /* the unit of RFC 3394, in bytes */

size_t kw_wrapped_len(const struct mechanism *mechanism, size_t len)
{
	if (len < 1 || len > AES_WRAP_MAX)
		return 0;
	if (mechanism->cipher == CIPHER_KWP)
		return (len + HALF - 1) / HALF * HALF + HALF;
	return len >= 2 * HALF && len % HALF == 0 ? len + HALF : 0;
}

size_t kw_unwrapped_max(const struct mechanism *mechanism, size_t wrapped_len)
{
	size_t least = mechanism->cipher == CIPHER_KWP ? 2 * HALF : 3 * HALF;

	if (wrapped_len < least || wrapped_len % HALF != 0 || wrapped_len > AES_WRAP_MAX + HALF)
		return 0;
	return wrapped_len - HALF;
}

bool kw_wrap(const struct mechanism *mechanism, struct aes *ecb, struct bytes in, uint8_t *ret,
	     size_t *ret_len)
{
	if (mechanism->cipher == CIPHER_KWP)
		return aes_kwp_wrap(ecb, in, ret, ret_len);
	return aes_kw_wrap(ecb, bytes(NULL, 0), in, ret, ret_len);
}

/* RFC 8018 section 6.1.1, step 4, with blocks of 8. */
static bool unpad(const uint8_t *text, size_t len, size_t *ret_len)
{
	size_t pad = text[len - 1], i;

	if (pad < 1 || pad > HALF || pad > len)
		return false;
	for (i = 0; i < pad; i++) {
		if (text[len - 1 - i] != pad)
			return false;
	}
	*ret_len = len - pad;
	return true;
}

static bool unwrap_padded(struct aes *ecb, struct bytes in, uint8_t *ret, size_t *ret_len)
{
	size_t len;

	return in.len >= 3 * HALF && aes_kw_unwrap(ecb, bytes(NULL, 0), in, ret, &len) &&
	       unpad(ret, len, ret_len);
}

bool kw_unwrap(const struct mechanism *mechanism, struct aes *ecb, struct bytes in, uint8_t *ret,
	       size_t *ret_len)
{
	if (mechanism->cipher != CIPHER_KWP)
		return aes_kw_unwrap(ecb, bytes(NULL, 0), in, ret, ret_len);
	if (aes_kwp_unwrap(ecb, in, ret, ret_len))
		return true;
	return mechanism->type == CKM_AES_KEY_WRAP_PAD && unwrap_padded(ecb, in, ret, ret_len);
}
