/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Digests (FIPS 180-4's and 202's example "abc"), HMAC (RFC 2202 and 4231), HKDF (RFC 5869), and
 * the counter KDF against OpenSSL's implementation of SP 800-108. */
#include "base/macros.h"
#include "crypto/crypto.h"
#include "crypto/digest.h"
#include "tests/support/unit.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#define REPEAT_20(x)  x x x x x x x x x x x x x x x x x x x x
#define REPEAT_131(x) REPEAT_20(x x x x x x) x x x x x x x x x x x

static const char *const abc[DIGEST_COUNT] = {
	[DIGEST_SHA1] = "a9993e364706816aba3e25717850c26c9cd0d89d",
	[DIGEST_SHA224] = "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
	[DIGEST_SHA256] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	[DIGEST_SHA384] = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163"
			  "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
	[DIGEST_SHA512] = "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
			  "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
	[DIGEST_SHA512_224] = "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa",
	[DIGEST_SHA512_256] = "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23",
	[DIGEST_SHA3_224] = "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
	[DIGEST_SHA3_256] = "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
	[DIGEST_SHA3_384] = "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2"
			    "98d88cea927ac7f539f1edf228376d25",
	[DIGEST_SHA3_512] = "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e"
			    "10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
};

static const struct {
	enum digest_kind kind;
	const char *key, *data, *mac;
} hmac_cases[] = {
	{DIGEST_SHA1, REPEAT_20("\x0b"), "Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"},
	{DIGEST_SHA224, REPEAT_20("\x0b"), "Hi There",
	 "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22"},
	{DIGEST_SHA256, REPEAT_20("\x0b"), "Hi There",
	 "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
	{DIGEST_SHA384, REPEAT_20("\x0b"), "Hi There",
	 "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec6"
	 "82aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6"},
	{DIGEST_SHA512, REPEAT_20("\x0b"), "Hi There",
	 "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
	 "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
	{DIGEST_SHA256, "Jefe", "what do ya want for nothing?",
	 "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
	{DIGEST_SHA256, REPEAT_131("\xaa"),
	 "Test Using Larger Than Block-Size Key - Hash Key First",
	 "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
	{DIGEST_SHA512, REPEAT_131("\xaa"),
	 "Test Using Larger Than Block-Size Key - Hash Key First",
	 "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
	 "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
};

static const struct {
	enum digest_kind kind;
	const char *key, *salt, *info, *prk, *okm;
} hkdf_cases[] = {
	{DIGEST_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
	 "000102030405060708090a0b0c", "f0f1f2f3f4f5f6f7f8f9",
	 "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
	 "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
	{DIGEST_SHA256,
	 "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
	 "28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
	 "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828384858687"
	 "88898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
	 "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7"
	 "d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
	 "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
	 "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac78272"
	 "71cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
	{DIGEST_SHA256, "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
	 "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
	 "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
	{DIGEST_SHA1, "0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
	 "f0f1f2f3f4f5f6f7f8f9", "9b6c18c432a7bf8f0e71c8eb88f4b30baa2ba243",
	 "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896"},
};

static int start(void **state)
{
	(void)state;
	return crypto_start(false) ? 0 : -1;
}

static void digests_of_abc_are_the_published_ones(void **state)
{
	AUTO(buffer_clear) struct buffer expected = {0};

	(void)state;
	for (int kind = 0; kind < DIGEST_COUNT; kind++) {
		uint8_t digest[DIGEST_MAX_SIZE];

		from_hex(&expected, abc[kind]);
		assert_int_equal(expected.len, digest_size((enum digest_kind)kind));
		assert_true(digest_once((enum digest_kind)kind, bytes_of("abc"), digest));
		assert_memory_equal(digest, expected.data, expected.len);
	}
}

static void digest_in_parts_can_begin_anew(void **state)
{
	AUTO(buffer_clear) struct buffer expected = {0};
	struct digest *digest = digest_new(DIGEST_SHA256);
	uint8_t out[SHA256_SIZE];

	(void)state;
	from_hex(&expected, abc[DIGEST_SHA256]);
	for (int round = 0; round < 2; round++) {
		assert_true(digest_update(digest, bytes_of("a")));
		assert_true(digest_update(digest, bytes(NULL, 0)));
		assert_true(digest_update(digest, bytes_of("bc")));
		assert_true(digest_finish(digest, out));
		assert_memory_equal(out, expected.data, sizeof(out));
		assert_false(digest_update(digest, bytes_of("d")));
		assert_false(digest_finish(digest, out));
		assert_true(digest_start(digest));
	}
	assert_true(digest_update(digest, bytes_of("dropped")));
	assert_true(digest_start(digest));
	assert_true(digest_update(digest, bytes_of("abc")));
	assert_true(digest_finish(digest, out));
	assert_memory_equal(out, expected.data, sizeof(out));
	digest_free(digest);
	digest_free(NULL);
}

static void hmac_vectors_hold_however_the_data_is_cut(void **state)
{
	AUTO(buffer_clear) struct buffer expected = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(hmac_cases); i++) {
		struct bytes data = bytes_of(hmac_cases[i].data), key = bytes_of(hmac_cases[i].key);
		struct bytes parts[] = {{data.data, 3}, {NULL, 0}, {data.data + 3, data.len - 3}};
		uint8_t mac[DIGEST_MAX_SIZE];

		from_hex(&expected, hmac_cases[i].mac);
		assert_true(hmac_once(hmac_cases[i].kind, key, &data, 1, mac));
		assert_memory_equal(mac, expected.data, expected.len);
		assert_true(hmac_once(hmac_cases[i].kind, key, parts, COUNT_OF(parts), mac));
		assert_memory_equal(mac, expected.data, expected.len);
	}
}

static void hmac_takes_no_key_and_no_data(void **state)
{
	AUTO(buffer_clear) struct buffer expected = {0};
	uint8_t mac[SHA256_SIZE];

	(void)state;
	/* As 'openssl mac' and Python's hmac answer. */
	from_hex(&expected, "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	assert_true(hmac_once(DIGEST_SHA256, bytes(NULL, 0), NULL, 0, mac));
	assert_memory_equal(mac, expected.data, expected.len);
}

static void hkdf_vectors_hold_whole_and_by_halves(void **state)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer salt = {0};
	AUTO(buffer_clear) struct buffer info = {0};
	AUTO(buffer_clear) struct buffer prk = {0};
	AUTO(buffer_clear) struct buffer okm = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(hkdf_cases); i++) {
		enum digest_kind kind = hkdf_cases[i].kind;
		uint8_t out[128];

		from_hex(&key, hkdf_cases[i].key);
		from_hex(&salt, hkdf_cases[i].salt);
		from_hex(&info, hkdf_cases[i].info);
		from_hex(&prk, hkdf_cases[i].prk);
		from_hex(&okm, hkdf_cases[i].okm);
		assert_true(hkdf(kind, true, true, buffer_bytes(&key), buffer_bytes(&salt),
				 buffer_bytes(&info), out, okm.len));
		assert_memory_equal(out, okm.data, okm.len);
		assert_true(hkdf(kind, true, false, buffer_bytes(&key), buffer_bytes(&salt),
				 bytes(NULL, 0), out, prk.len));
		assert_memory_equal(out, prk.data, prk.len);
		assert_true(hkdf(kind, false, true, buffer_bytes(&prk), bytes(NULL, 0),
				 buffer_bytes(&info), out, okm.len));
		assert_memory_equal(out, okm.data, okm.len);
	}
}

static void hkdf_refuses_lengths_out_of_bounds(void **state)
{
	static uint8_t out[255 * 32 + 1];
	const struct bytes key = {(const uint8_t *)"0123456789abcdef0123456789abcdef", 32};
	const struct bytes none = {0};

	(void)state;
	assert_true(hkdf(DIGEST_SHA256, false, true, key, none, none, out, 255 * 32));
	assert_true(hkdf(DIGEST_SHA256, false, true, key, none, none, out, 1));
	assert_false(hkdf(DIGEST_SHA256, false, true, key, none, none, out, 255 * 32 + 1));
	assert_false(hkdf(DIGEST_SHA256, false, true, key, none, none, out, 0));
	assert_false(hkdf(DIGEST_SHA256, true, false, key, none, none, out, 31));
	assert_false(hkdf(DIGEST_SHA256, false, false, key, none, none, out, 32));
}

/* SP 800-108 by OpenSSL's KBKDF, which puts the same fields in the same order. */
static void reference(struct bytes key, const char *label, struct bytes context, uint8_t *ret)
{
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "KBKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	char mode[] = "counter", mac[] = "HMAC", digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MODE, mode, 0),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_MAC, mac, 0),
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)key.data, key.len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)label,
						  strlen(label)),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)context.data,
						  context.len),
		OSSL_PARAM_construct_end(),
	};

	assert_int_equal(EVP_KDF_derive(ctx, ret, 32, params), 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
}

static void counter_kdf_agrees_with_openssl(void **state)
{
	static const char *const labels[] = {
		"cmek/1/record", "x",
		"a label longer than one block of the digest, with some spaces between its words"};
	uint8_t data[200];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i + 1);
	for (size_t i = 0; i < COUNT_OF(labels); i++) {
		for (size_t len = 1; len < sizeof(data); len += 13) {
			uint8_t ours[32], theirs[32];

			reference(bytes(data, 32), labels[i], bytes(data, len), theirs);
			assert_true(
				kdf_counter(bytes(data, 32), labels[i], bytes(data, len), ours));
			assert_memory_equal(ours, theirs, 32);
		}
	}
}

static void errors_are_not_left_behind(void **state)
{
	(void)state;
	assert_int_equal(ERR_peek_error(), 0);
}

static void a_copy_goes_on_where_the_digest_was(void **state)
{
	uint8_t expected[DIGEST_MAX_SIZE], made[2][DIGEST_MAX_SIZE];

	(void)state;
	for (int kind = 0; kind < DIGEST_COUNT; kind++) {
		struct digest *digest = digest_new((enum digest_kind)kind), *copy;

		assert_true(digest_once((enum digest_kind)kind, bytes_of("abcdef"), expected));
		assert_true(digest_update(digest, bytes_of("abc")));
		copy = digest_copy(digest);
		assert_non_null(copy);
		assert_true(digest_update(digest, bytes_of("xyz")));
		assert_true(digest_finish(digest, made[0]));
		digest_free(digest);
		assert_true(digest_update(copy, bytes_of("def")));
		assert_true(digest_finish(copy, made[1]));
		digest_free(copy);
		assert_memory_equal(made[1], expected, digest_size((enum digest_kind)kind));
		assert_memory_not_equal(made[0], expected, digest_size((enum digest_kind)kind));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(digests_of_abc_are_the_published_ones),
		cmocka_unit_test(digest_in_parts_can_begin_anew),
		cmocka_unit_test(a_copy_goes_on_where_the_digest_was),
		cmocka_unit_test(hmac_vectors_hold_however_the_data_is_cut),
		cmocka_unit_test(hmac_takes_no_key_and_no_data),
		cmocka_unit_test(hkdf_vectors_hold_whole_and_by_halves),
		cmocka_unit_test(hkdf_refuses_lengths_out_of_bounds),
		cmocka_unit_test(counter_kdf_agrees_with_openssl),
		cmocka_unit_test(errors_are_not_left_behind),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
