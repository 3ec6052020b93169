/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* HMAC and CMAC in parts, started anew; HMAC against hmac_once(), CMAC against SP 800-38B,
 * appendix D. Through C_*: tests/module/vectors_macs.c. */
#include "base/macros.h"
#include "crypto/crypto.h"
#include "crypto/mac.h"
#include "tests/support/unit.h"

static uint8_t text[300], key_bytes[200];

static int start(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (uint8_t)(i * 7);
	memcpy(key_bytes, text, sizeof(key_bytes));
	return crypto_start(false) ? 0 : -1;
}

static void in_pieces(struct mac *mac, size_t len, size_t piece, uint8_t *ret_mac)
{
	assert_true(mac_start(mac));
	for (size_t at = 0; at < len; at += piece)
		assert_true(mac_update(mac, bytes(text + at, len - at < piece ? len - at : piece)));
	assert_true(mac_finish(mac, ret_mac));
}

static void an_hmac_in_parts_is_the_one_made_at_once(void **state)
{
	static const size_t key_lens[] = {0, 1, 14, 63, 64, 65, 128, 136, 144, 145, 200};

	(void)state;
	for (int kind = 0; kind < DIGEST_COUNT; kind++) {
		for (size_t i = 0; i < COUNT_OF(key_lens); i++) {
			struct bytes key = bytes(key_bytes, key_lens[i]);
			struct bytes whole = bytes(text, sizeof(text));
			struct mac *mac = mac_new_hmac((enum digest_kind)kind, key);
			uint8_t expected[MAC_MAX_SIZE], made[MAC_MAX_SIZE];

			assert_non_null(mac);
			assert_int_equal(mac_size(mac), digest_size((enum digest_kind)kind));
			assert_true(hmac_once((enum digest_kind)kind, key, &whole, 1, expected));
			for (size_t piece = 7; piece < 700; piece *= 3) {
				in_pieces(mac, sizeof(text), piece, made);
				assert_memory_equal(made, expected, mac_size(mac));
			}
			mac_free(mac);
		}
	}
}

static const char k[] = "2b7e151628aed2a6abf7158809cf4f3c";
static const char m[] = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a3"
			"5ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
static const struct {
	size_t len;
	const char *mac;
} cmacs[] = {
	{0, "bb1d6929e95937287fa37d129b756746"},
	{16, "070a16b46b4d4144f79bdd9dd04a287c"},
	{40, "dfa66747de9ae63030ca32611497c827"},
	{64, "51f0bebf7e3b9d92fc49741779363cfe"},
};

static void a_cmac_is_that_of_sp_800_38b(void **state)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer data = {0};
	AUTO(buffer_clear) struct buffer expected = {0};
	struct mac *mac = mac_new_cmac(from_hex(&key, k));
	struct bytes whole = from_hex(&data, m);
	uint8_t made[CMAC_SIZE];

	(void)state;
	assert_non_null(mac);
	assert_int_equal(mac_size(mac), CMAC_SIZE);
	for (size_t i = 0; i < COUNT_OF(cmacs); i++) {
		assert_true(mac_start(mac));
		for (size_t at = 0; at < cmacs[i].len; at += 8)
			assert_true(mac_update(mac, bytes(whole.data + at, 8)));
		assert_true(mac_finish(mac, made));
		assert_bytes(bytes(made, sizeof(made)), from_hex(&expected, cmacs[i].mac));
	}
	mac_free(mac);
}

static void a_message_that_was_left_does_not_reach_the_next(void **state)
{
	struct mac *macs[2] = {mac_new_hmac(DIGEST_SHA256, bytes(key_bytes, 32)),
			       mac_new_cmac(bytes(key_bytes, 32))};

	(void)state;
	for (int i = 0; i < 2; i++) {
		uint8_t expected[MAC_MAX_SIZE], made[MAC_MAX_SIZE];

		in_pieces(macs[i], 100, 100, expected);
		assert_true(mac_start(macs[i]));
		assert_true(mac_update(macs[i], bytes(text, 55)));
		in_pieces(macs[i], 100, 9, made);
		assert_memory_equal(made, expected, mac_size(macs[i]));
		mac_free(macs[i]);
	}
}

static void nothing_is_done_before_a_start_or_after_the_end(void **state)
{
	struct mac *mac = mac_new_hmac(DIGEST_SHA1, bytes(key_bytes, 20));
	uint8_t made[MAC_MAX_SIZE];

	(void)state;
	assert_false(mac_update(mac, bytes(text, 1)));
	assert_false(mac_finish(mac, made));
	in_pieces(mac, 3, 1, made);
	assert_false(mac_update(mac, bytes(text, 1)));
	assert_false(mac_finish(mac, made));
	mac_free(mac);
	mac_free(NULL);
}

static void cmac_takes_keys_of_aes_alone(void **state)
{
	(void)state;
	for (size_t len = 0; len <= 40; len++) {
		struct mac *mac = mac_new_cmac(bytes(key_bytes, len));

		assert_int_equal(mac != NULL, len == 16 || len == 24 || len == 32);
		mac_free(mac);
	}
}

static void without_a_context_there_is_no_mac(void **state)
{
	(void)state;
	crypto_abandon();
	assert_null(mac_new_hmac(DIGEST_SHA256, bytes(key_bytes, 32)));
	assert_null(mac_new_cmac(bytes(key_bytes, 32)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_hmac_in_parts_is_the_one_made_at_once),
		cmocka_unit_test(a_cmac_is_that_of_sp_800_38b),
		cmocka_unit_test(a_message_that_was_left_does_not_reach_the_next),
		cmocka_unit_test(nothing_is_done_before_a_start_or_after_the_end),
		cmocka_unit_test(cmac_takes_keys_of_aes_alone),
		cmocka_unit_test(without_a_context_there_is_no_mac),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
