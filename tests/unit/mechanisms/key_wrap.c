/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Key wrap by its three numbers: lengths, and the two meanings of 0x210A. */
#include "crypto/crypto.h"
#include "mechanisms/key_wrap.h"
#include "tests/support/unit.h"

static const struct mechanism *kw, *kwp, *pad;
static struct aes *wrapper, *unwrapper;
static uint8_t key[32] = {7, 7, 7}, text[AES_WRAP_MAX];
static uint8_t wrapped[AES_WRAP_MAX + 16], back[AES_WRAP_MAX + 16];

static int start(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 31 + 200);
	kw = mechanism_find(CKM_AES_KEY_WRAP);
	kwp = mechanism_find(CKM_AES_KEY_WRAP_KWP);
	pad = mechanism_find(CKM_AES_KEY_WRAP_PAD);
	if (!crypto_start(false))
		return -1;
	wrapper = aes_new(AES_ECB, true, bytes(key, sizeof(key)));
	unwrapper = aes_new(AES_ECB, false, bytes(key, sizeof(key)));
	return wrapper == NULL || unwrapper == NULL ? -1 : 0;
}

static int stop(void **state)
{
	(void)state;
	aes_free(wrapper);
	aes_free(unwrapper);
	return 0;
}

static void round_trip(const struct mechanism *mechanism, size_t len)
{
	size_t wrapped_len, back_len;

	assert_true(kw_wrap(mechanism, wrapper, bytes(text, len), wrapped, &wrapped_len));
	assert_int_equal(wrapped_len, kw_wrapped_len(mechanism, len));
	assert_true(kw_unwrapped_max(mechanism, wrapped_len) >= len);
	assert_true(kw_unwrap(mechanism, unwrapper, bytes(wrapped, wrapped_len), back, &back_len));
	assert_bytes(bytes(back, back_len), bytes(text, len));
}

static void what_is_wrapped_comes_back(void **state)
{
	size_t len;

	(void)state;
	for (len = 1; len <= 80; len++) {
		round_trip(kwp, len);
		round_trip(pad, len);
		if (len % 8 == 0 && len >= 16)
			round_trip(kw, len);
	}
	round_trip(kw, AES_WRAP_MAX);
	round_trip(kwp, AES_WRAP_MAX);
}

static void lengths_that_fit_no_wrap_are_zero(void **state)
{
	(void)state;
	assert_int_equal(kw_wrapped_len(kw, 0), 0);
	assert_int_equal(kw_wrapped_len(kw, 8), 0);
	assert_int_equal(kw_wrapped_len(kw, 17), 0);
	assert_int_equal(kw_wrapped_len(kwp, 0), 0);
	assert_int_equal(kw_wrapped_len(kwp, AES_WRAP_MAX + 1), 0);
	assert_int_equal(kw_unwrapped_max(kw, 16), 0);
	assert_int_equal(kw_unwrapped_max(kw, 25), 0);
	assert_int_equal(kw_unwrapped_max(kwp, 8), 0);
	assert_int_equal(kw_unwrapped_max(kwp, 16), 8);
	assert_int_equal(kw_unwrapped_max(kwp, AES_WRAP_MAX + 16), 0);
}

/* As Java does under the number 0x210A: PKCS #5 to a multiple of 8, then RFC 3394. */
static size_t wrap_as_java(size_t len)
{
	size_t padded = len - len % 8 + 8, wrapped_len;

	memcpy(back, text, len);
	memset(back + len, (int)(padded - len), padded - len);
	assert_true(kw_wrap(kw, wrapper, bytes(back, padded), wrapped, &wrapped_len));
	return wrapped_len;
}

static void the_number_210a_opens_what_java_wrapped(void **state)
{
	size_t len, wrapped_len, back_len;

	(void)state;
	for (len = 8; len <= 64; len++) {
		wrapped_len = wrap_as_java(len);
		assert_true(
			kw_unwrap(pad, unwrapper, bytes(wrapped, wrapped_len), back, &back_len));
		assert_bytes(bytes(back, back_len), bytes(text, len));
		assert_false(
			kw_unwrap(kwp, unwrapper, bytes(wrapped, wrapped_len), back, &back_len));
	}
}

static void the_number_210a_refuses_a_wrong_padding(void **state)
{
	size_t wrapped_len, back_len;

	(void)state;
	assert_true(kw_wrap(kw, wrapper, bytes(text, 32), wrapped, &wrapped_len));
	assert_false(kw_unwrap(pad, unwrapper, bytes(wrapped, wrapped_len), back, &back_len));
}

static void a_flipped_bit_opens_nothing(void **state)
{
	size_t wrapped_len, back_len, bit;

	(void)state;
	assert_true(kw_wrap(kwp, wrapper, bytes(text, 20), wrapped, &wrapped_len));
	for (bit = 0; bit < wrapped_len * 8; bit++) {
		wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(
			kw_unwrap(pad, unwrapper, bytes(wrapped, wrapped_len), back, &back_len));
		assert_false(
			kw_unwrap(kwp, unwrapper, bytes(wrapped, wrapped_len), back, &back_len));
		wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_wrapped_comes_back),
		cmocka_unit_test(lengths_that_fit_no_wrap_are_zero),
		cmocka_unit_test(the_number_210a_opens_what_java_wrapped),
		cmocka_unit_test(the_number_210a_refuses_a_wrong_padding),
		cmocka_unit_test(a_flipped_bit_opens_nothing),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
