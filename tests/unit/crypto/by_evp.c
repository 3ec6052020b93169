/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Ciphers whose provider does not offer all the functions that we call straight. What EVP then
 * computes is tested in aes.c and wrap.c, each of which runs both ways. */
#include "base/log.h"
#include "crypto/aes.h"
#include "tests/support/folder_fixture.h"
#include "tests/support/lacking_provider.h"

static const struct {
	int function;
	const char *name;
} functions[] = {
	{0, "no functions of its own for AES-128-ECB"},
	{OSSL_FUNC_CIPHER_NEWCTX, "newctx for AES-128-ECB"},
	{OSSL_FUNC_CIPHER_FREECTX, "freectx"},
	{OSSL_FUNC_CIPHER_ENCRYPT_INIT, "encrypt_init"},
	{OSSL_FUNC_CIPHER_DECRYPT_INIT, "decrypt_init"},
	{OSSL_FUNC_CIPHER_UPDATE, "update"},
	{OSSL_FUNC_CIPHER_FINAL, "final"},
	{OSSL_FUNC_CIPHER_GET_CTX_PARAMS, "get_ctx_params"},
	{OSSL_FUNC_CIPHER_SET_CTX_PARAMS, "set_ctx_params"},
};

static const uint8_t key[32] = {1, 2, 3};

static size_t lines_with(const char *path, const char *text)
{
	FILE *file = fopen(path, "r");
	size_t count = 0;
	char line[2048];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		count += strstr(line, text) != NULL;
	fclose(file);
	return count;
}

static void any_function_that_is_lacking_costs_the_straight_way_and_not_the_start(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(functions); i++) {
		uint8_t sealed[5 + AES_GCM_TAG], opened[5];
		const struct bytes iv = {key, AES_GCM_IV};

		assert_true(start_lacking(functions[i].function));
		assert_int_equal(crypto_get()->by_evp, AES_MODE_COUNT * AES_KEY_SIZE_COUNT);
		assert_true(aes_gcm_seal(bytes(key, 32), iv, bytes_of("aad"), bytes_of("hello"),
					 sealed));
		assert_true(aes_gcm_open(bytes(key, 32), iv, bytes_of("aad"),
					 bytes(sealed, sizeof(sealed)), opened, &(bool){false}));
		assert_memory_equal(opened, "hello", 5);
	}
}

static void the_log_says_once_which_way_is_taken_and_why(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(functions); i++) {
		AUTO(freep) char *path = in_folder(functions[i].name);

		assert_true(log_configure(LOG_INFO, path));
		assert_true(start_lacking(functions[i].function));
		assert_true(crypto_start(false));
		assert_int_equal(lines_with(path, ""), 1);
		assert_int_equal(lines_with(path, "18 of 18 ciphers take the slower way"), 1);
		assert_int_equal(lines_with(path, functions[i].name), 1);
		assert_true(log_configure(LOG_WARNING, "stderr"));
	}
}

static void whole_providers_are_asked_straight_and_nothing_is_said(void **state)
{
	AUTO(freep) char *path = in_folder("log");

	(void)state;
	assert_true(log_configure(LOG_INFO, path));
	crypto_abandon();
	assert_true(crypto_start(false));
	assert_int_equal(crypto_get()->by_evp, 0);
	assert_int_equal(lines_with(path, ""), 0);
	assert_true(log_configure(LOG_WARNING, "stderr"));
}

/* It only saves the time in which update looks for what it holds back. */
static void without_the_function_for_whole_blocks_keys_are_wrapped_straight_by_update(void **state)
{
	uint8_t wrapped[2][sizeof(key) + 8], opened[sizeof(key)];
	size_t len;

	(void)state;
	for (int way = 0; way < 2; way++) {
		AUTO(aes_freep) struct aes *wrap = NULL, *unwrap = NULL;

		crypto_abandon();
		assert_true(way == 0 ? crypto_start(false)
				     : start_lacking(OSSL_FUNC_CIPHER_CIPHER));
		assert_int_equal(crypto_get()->by_evp, 0);
		assert_int_equal(crypto_get()->provided[AES_ECB][2].whole ==
					 crypto_get()->provided[AES_ECB][2].update,
				 way == 1);
		wrap = aes_new(AES_ECB, true, bytes(key, sizeof(key)));
		unwrap = aes_new(AES_ECB, false, bytes(key, sizeof(key)));
		assert_true(aes_kw_wrap(wrap, bytes(NULL, 0), bytes(key, sizeof(key)), wrapped[way],
					&len));
		assert_true(aes_kw_unwrap(unwrap, bytes(NULL, 0), bytes(wrapped[way], len), opened,
					  &len));
		assert_memory_equal(opened, key, sizeof(key));
	}
	assert_memory_equal(wrapped[0], wrapped[1], sizeof(wrapped[0]));
}

enum { LARGE = (3 << 20) + 16, STEP = 1021 * 2000 };

static struct aes_message message_of(enum aes_mode mode)
{
	static const size_t iv_lens[] = {0, AES_BLOCK, AES_BLOCK, AES_BLOCK, 9};

	return (struct aes_message){
		.iv = bytes(key, iv_lens[mode]),
		.tag_len = mode == AES_GCM ? 13 : 0,
	};
}

/* In place, in pieces that are no whole blocks. Returns how much came out. */
static size_t run(enum aes_mode mode, bool encrypt, uint8_t *data, size_t len)
{
	AUTO(aes_freep) struct aes *aes = aes_new(mode, encrypt, bytes(key, sizeof(key)));
	const struct aes_message message = message_of(mode);
	size_t got, in = encrypt ? len : len - message.tag_len, out = 0;
	uint8_t end[AES_BLOCK];

	assert_non_null(aes);
	assert_true(aes_start(aes, &message));
	for (size_t at = 0; at < in; at += STEP) {
		size_t piece = in - at < STEP ? in - at : STEP;

		assert_true(aes_update(aes, bytes(data + at, piece), data + at, &got));
		memmove(data + out, data + at, got);
		out += got;
	}
	if (!encrypt && mode == AES_GCM)
		assert_true(aes_set_tag(aes, bytes(data + in, message.tag_len)));
	assert_true(aes_finish(aes, end, &got));
	memcpy(data + out, end, got);
	return out + got;
}

static void messages_of_megabytes_come_out_the_same_both_ways(void **state)
{
	uint8_t *straight = calloc(1, LARGE + 64), *by_evp = calloc(1, LARGE + 64);

	(void)state;
	for (int mode = 0; mode < AES_CCM; mode++) {
		size_t len;

		crypto_abandon();
		assert_true(crypto_start(false));
		len = run((enum aes_mode)mode, true, straight, LARGE);
		assert_true(start_lacking(OSSL_FUNC_CIPHER_UPDATE));
		assert_int_equal(run((enum aes_mode)mode, true, by_evp, LARGE), len);
		assert_memory_equal(straight, by_evp, len);
		assert_int_equal(run((enum aes_mode)mode, false, by_evp, len), LARGE);
		memset(straight, 0, LARGE + 64);
		assert_memory_equal(straight, by_evp, LARGE);
	}
	free(straight);
	free(by_evp);
}

static void ccm_comes_out_the_same_both_ways(void **state)
{
	static const struct {
		size_t len, nonce, tag;
	} messages[] = {{0, 13, 4}, {1, 7, 16}, {300, 12, 8}, {LARGE, 11, 14}, {3, 13, 6}};
	const struct bytes aad = {key, 20};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(messages); i++) {
		size_t len = messages[i].len, whole = len + messages[i].tag;
		uint8_t *straight = calloc(1, LARGE + 16), *by_evp = calloc(1, LARGE + 16);
		const struct aes_message message = {bytes(key, messages[i].nonce), aad,
						    messages[i].tag};
		AUTO(aes_freep) struct aes *aes = NULL, *seal = NULL, *open = NULL;

		crypto_abandon();
		assert_true(crypto_start(false));
		aes = aes_new(AES_CCM, true, bytes(key, sizeof(key)));
		assert_true(aes_ccm(aes, &message, bytes(straight, len), straight));
		assert_true(start_lacking(OSSL_FUNC_CIPHER_UPDATE));
		seal = aes_new(AES_CCM, true, bytes(key, sizeof(key)));
		open = aes_new(AES_CCM, false, bytes(key, sizeof(key)));
		assert_true(aes_ccm(seal, &message, bytes(by_evp, len), by_evp));
		assert_memory_equal(straight, by_evp, whole);
		by_evp[whole - 1] ^= 1;
		assert_false(aes_ccm(open, &message, bytes(by_evp, whole), by_evp));
		assert_true(aes_ccm(open, &message, bytes(straight, whole), straight));
		for (size_t at = 0; at < len; at++)
			assert_int_equal(straight[at], 0);
		free(straight);
		free(by_evp);
	}
}

/* As in a host whose exit handlers run OpenSSL's first, and the module's C_Finalize after it. */
static int free_after_cleanup(const char *unused)
{
	struct aes *aes;

	(void)unused;
	if (!start_lacking(OSSL_FUNC_CIPHER_FINAL))
		return 1;
	aes = aes_new(AES_GCM, true, bytes(key, sizeof(key)));
	OPENSSL_cleanup();
	aes_free(aes);
	return aes == NULL ? 2 : 0;
}

static void contexts_can_be_freed_after_openssl_cleaned_up(void **state)
{
	(void)state;
	assert_int_equal(in_child(free_after_cleanup, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			any_function_that_is_lacking_costs_the_straight_way_and_not_the_start),
		IN_FOLDER(the_log_says_once_which_way_is_taken_and_why),
		cmocka_unit_test(
			without_the_function_for_whole_blocks_keys_are_wrapped_straight_by_update),
		IN_FOLDER(whole_providers_are_asked_straight_and_nothing_is_said),
		cmocka_unit_test(messages_of_megabytes_come_out_the_same_both_ways),
		cmocka_unit_test(ccm_comes_out_the_same_both_ways),
		cmocka_unit_test(contexts_can_be_freed_after_openssl_cleaned_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
