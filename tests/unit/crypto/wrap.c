/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* AES key wrap: the vectors of RFC 3394 section 4 and RFC 5649 section 6, and every length against
 * OpenSSL's own implementation. */
#include "base/macros.h"
#include "crypto/aes.h"
#include "crypto/crypto.h"
#include "tests/support/lacking_provider.h"

#include <openssl/err.h>
#include <openssl/evp.h>

#define KEK  "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define DATA "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f"

static const struct {
	size_t kek_len, data_len;
	const char *wrapped;
} kw_cases[] = {
	{16, 16, "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"},
	{24, 16, "96778b25ae6ca435f92b5b97c050aed2468ab8a17ad84e5d"},
	{32, 16, "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"},
	{24, 24, "031d33264e15d33268f24ec260743edce1c6c7ddee725a936ba814915c6762d2"},
	{32, 24, "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"},
	{32, 32,
	 "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"},
};

static const struct {
	const char *data, *wrapped;
} kwp_cases[] = {
	{"c37b7e6492584340bed12207808941155068f738",
	 "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a"},
	{"466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"},
};

static uint8_t kek[32], data[AES_WRAP_MAX];

static int start(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(kek); i++)
		kek[i] = (uint8_t)i;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 17 + 1);
	return crypto_start(false) ? 0 : -1;
}

static struct aes *ecb(bool wrap, struct bytes key)
{
	struct aes *aes = aes_new(AES_ECB, wrap, key);

	assert_non_null(aes);
	return aes;
}

static void kw_vectors_hold(void **state)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer plain = {0};
	AUTO(buffer_clear) struct buffer wrapped = {0};

	(void)state;
	from_hex(&key, KEK);
	from_hex(&plain, DATA);
	for (size_t i = 0; i < COUNT_OF(kw_cases); i++) {
		AUTO(aes_freep) struct aes *wrap = ecb(true, bytes(key.data, kw_cases[i].kek_len));
		AUTO(aes_freep)
		struct aes *unwrap = ecb(false, bytes(key.data, kw_cases[i].kek_len));
		struct bytes expected = from_hex(&wrapped, kw_cases[i].wrapped);
		uint8_t out[64];
		size_t len;

		assert_true(aes_kw_wrap(wrap, bytes(NULL, 0),
					bytes(plain.data, kw_cases[i].data_len), out, &len));
		assert_bytes(bytes(out, len), expected);
		assert_true(aes_kw_unwrap(unwrap, bytes(NULL, 0), expected, out, &len));
		assert_bytes(bytes(out, len), bytes(plain.data, kw_cases[i].data_len));
	}
}

static void kwp_vectors_hold(void **state)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer plain = {0};
	AUTO(buffer_clear) struct buffer wrapped = {0};

	(void)state;
	from_hex(&key, "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
	for (size_t i = 0; i < COUNT_OF(kwp_cases); i++) {
		AUTO(aes_freep) struct aes *wrap = ecb(true, buffer_bytes(&key));
		AUTO(aes_freep) struct aes *unwrap = ecb(false, buffer_bytes(&key));
		uint8_t out[64];
		size_t len;

		from_hex(&plain, kwp_cases[i].data);
		from_hex(&wrapped, kwp_cases[i].wrapped);
		assert_true(aes_kwp_wrap(wrap, buffer_bytes(&plain), out, &len));
		assert_bytes(bytes(out, len), buffer_bytes(&wrapped));
		assert_true(aes_kwp_unwrap(unwrap, buffer_bytes(&wrapped), out, &len));
		assert_bytes(bytes(out, len), buffer_bytes(&plain));
	}
}

/* OpenSSL's answer, by the algorithm's name. */
static struct bytes reference(const char *name, struct bytes in, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(NULL, name, NULL);
	int len = 0;

	EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	assert_int_equal(EVP_EncryptInit_ex2(ctx, cipher, kek, NULL, NULL), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, out, &len, in.data, (int)in.len), 1);
	EVP_CIPHER_free(cipher);
	EVP_CIPHER_CTX_free(ctx);
	return bytes(out, (size_t)len);
}

static void lengths_agree_with_openssl_and_come_back(void **state)
{
	static const size_t lens[] = {1,  2,  7,  8,   9,   15,	 16,  17,   20,	  24,	31,   32,
				      33, 40, 64, 100, 255, 256, 512, 1000, 2040, 2048, 4095, 4096};
	static uint8_t expected[AES_WRAP_MAX + 16], out[AES_WRAP_MAX + 16];
	AUTO(aes_freep) struct aes *wrap = ecb(true, bytes(kek, 32));
	AUTO(aes_freep) struct aes *unwrap = ecb(false, bytes(kek, 32));

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		struct bytes in = {data, lens[i]},
			     answer = reference("AES-256-WRAP-PAD", in, expected);
		size_t len;

		assert_true(aes_kwp_wrap(wrap, in, out, &len));
		assert_bytes(bytes(out, len), answer);
		assert_true(aes_kwp_unwrap(unwrap, bytes(out, len), out, &len));
		assert_bytes(bytes(out, len), in);
		if (lens[i] % 8 != 0 || lens[i] < 16)
			continue;
		answer = reference("AES-256-WRAP", in, expected);
		assert_true(aes_kw_wrap(wrap, bytes(NULL, 0), in, out, &len));
		assert_bytes(bytes(out, len), answer);
		assert_true(aes_kw_unwrap(unwrap, bytes(NULL, 0), bytes(out, len), out, &len));
		assert_bytes(bytes(out, len), in);
	}
}

static void iv_of_ones_own_is_checked(void **state)
{
	AUTO(aes_freep) struct aes *wrap = ecb(true, bytes(kek, 32));
	AUTO(aes_freep) struct aes *unwrap = ecb(false, bytes(kek, 32));
	uint8_t out[64], back[64];
	size_t len, back_len = 99;

	(void)state;
	assert_true(aes_kw_wrap(wrap, bytes_of("12345678"), bytes(data, 16), out, &len));
	assert_true(aes_kw_unwrap(unwrap, bytes_of("12345678"), bytes(out, len), back, &back_len));
	assert_bytes(bytes(back, back_len), bytes(data, 16));
	back_len = 99;
	assert_false(aes_kw_unwrap(unwrap, bytes(NULL, 0), bytes(out, len), back, &back_len));
	assert_false(aes_kw_unwrap(unwrap, bytes_of("1234567"), bytes(out, len), back, &back_len));
	assert_false(aes_kw_wrap(wrap, bytes_of("123456789"), bytes(data, 16), out, &len));
	assert_int_equal(back_len, 99);
}

static void lengths_out_of_bounds_are_refused(void **state)
{
	static const size_t kw_wrong[] = {0, 8, 15, 17, 20, 4097, 4104};
	static const size_t unwrap_wrong[] = {0, 8, 15, 17, 4112, 4120};
	static uint8_t large[8192], out[8192];
	AUTO(aes_freep) struct aes *wrap = ecb(true, bytes(kek, 32));
	AUTO(aes_freep) struct aes *unwrap = ecb(false, bytes(kek, 32));
	size_t len = 99;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(kw_wrong); i++)
		assert_false(
			aes_kw_wrap(wrap, bytes(NULL, 0), bytes(large, kw_wrong[i]), out, &len));
	for (size_t i = 0; i < COUNT_OF(unwrap_wrong); i++) {
		assert_false(aes_kw_unwrap(unwrap, bytes(NULL, 0), bytes(large, unwrap_wrong[i]),
					   out, &len));
		assert_false(aes_kwp_unwrap(unwrap, bytes(large, unwrap_wrong[i]), out, &len));
	}
	assert_false(aes_kw_unwrap(unwrap, bytes(NULL, 0), bytes(large, 16), out, &len));
	assert_false(aes_kwp_wrap(wrap, bytes(large, 0), out, &len));
	assert_false(aes_kwp_wrap(wrap, bytes(large, 4097), out, &len));
	assert_int_equal(len, 99);
}

static void every_flipped_bit_is_noticed_and_writes_nothing(void **state)
{
	AUTO(aes_freep) struct aes *wrap = ecb(true, bytes(kek, 32));
	AUTO(aes_freep) struct aes *unwrap = ecb(false, bytes(kek, 32));
	static const size_t lens[] = {1, 7, 8, 20, 32};
	uint8_t wrapped[64], out[64] = {0}, untouched[64] = {0};
	size_t wrapped_len, len = 99;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		assert_true(aes_kwp_wrap(wrap, bytes(data, lens[i]), wrapped, &wrapped_len));
		for (size_t bit = 0; bit < wrapped_len * 8; bit++) {
			wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_false(
				aes_kwp_unwrap(unwrap, bytes(wrapped, wrapped_len), out, &len));
			assert_false(aes_kw_unwrap(unwrap, bytes(NULL, 0),
						   bytes(wrapped, wrapped_len), out, &len));
			wrapped[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	assert_memory_equal(out, untouched, sizeof(out));
	assert_int_equal(len, 99);
}

/* Wraps a register and parts of our choice: what a forger who had the key could make. */
static bool unwraps(uint32_t magic, uint32_t claimed, const uint8_t *parts, size_t parts_len)
{
	AUTO(aes_freep) struct aes *wrap = ecb(true, bytes(kek, 32));
	AUTO(aes_freep) struct aes *unwrap = ecb(false, bytes(kek, 32));
	AUTO(buffer_clear) struct buffer a = {0};
	uint8_t wrapped[64], out[64];
	size_t len;

	buffer_put_u32(&a, magic);
	buffer_put_u32(&a, claimed);
	assert_true(aes_kw_wrap(wrap, buffer_bytes(&a), bytes(parts, parts_len), wrapped, &len));
	return aes_kwp_unwrap(unwrap, bytes(wrapped, len), out, &len);
}

static void length_and_padding_must_agree(void **state)
{
	const uint8_t good[24] = {1, 2, 3, [16] = 4}, bad[24] = {1, 2, 3, [16] = 4, [23] = 1};

	(void)state;
	assert_true(unwraps(0xa65959a6, 17, good, 24));
	assert_true(unwraps(0xa65959a6, 24, good, 24));
	assert_true(unwraps(0xa65959a6, 24, bad, 24));
	assert_false(unwraps(0xa65959a6, 17, bad, 24));
	assert_false(unwraps(0xa65959a6, 23, bad, 24));
	assert_false(unwraps(0xa65959a6, 16, good, 24)); /* would have fewer parts */
	assert_false(unwraps(0xa65959a6, 25, good, 24));
	assert_false(unwraps(0xa65959a6, 0, good, 24));
	assert_false(unwraps(0xa65959a6, 0xffffffff, good, 24));
	assert_false(unwraps(0xa65959a7, 24, good, 24));
	assert_false(unwraps(0xa6a6a6a6, 0xa6a6a6a6, good, 24));
}

static void other_keys_open_nothing(void **state)
{
	AUTO(aes_freep) struct aes *wrap = ecb(true, bytes(kek, 32));
	AUTO(aes_freep) struct aes *unwrap = ecb(false, bytes(data, 32));
	uint8_t out[64];
	size_t len;

	(void)state;
	assert_true(aes_kwp_wrap(wrap, bytes(data, 32), out, &len));
	assert_false(aes_kwp_unwrap(unwrap, bytes(out, len), out, &len));
	assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kw_vectors_hold),
		cmocka_unit_test(kwp_vectors_hold),
		cmocka_unit_test(lengths_agree_with_openssl_and_come_back),
		cmocka_unit_test(iv_of_ones_own_is_checked),
		cmocka_unit_test(lengths_out_of_bounds_are_refused),
		cmocka_unit_test(every_flipped_bit_is_noticed_and_writes_nothing),
		cmocka_unit_test(length_and_padding_must_agree),
		cmocka_unit_test(other_keys_open_nothing),
	};

	int failed = cmocka_run_group_tests_name("straight", tests, start, NULL);

	return failed + cmocka_run_group_tests_name("by EVP", tests, start_by_evp, NULL);
}
