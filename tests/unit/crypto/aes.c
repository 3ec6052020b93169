/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES modes. Vectors: FIPS 197 appendix C, SP 800-38A appendix F, and the test cases of "The
 * Galois/Counter Mode of Operation" (McGrew and Viega, 2005).
 */
#include "base/encode.h"
#include "base/macros.h"
#include "crypto/aes.h"
#include "crypto/crypto.h"
#include "tests/support/lacking_provider.h"

#include <openssl/err.h>
#include <stdlib.h>

enum { ROOM = 8192 };

#define PLAIN_38A                                                                                  \
	"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"                         \
	"30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
#define KEY_128_38A "2b7e151628aed2a6abf7158809cf4f3c"
#define KEY_192_38A "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b"
#define KEY_256_38A "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4"
#define IV_38A	    "000102030405060708090a0b0c0d0e0f"
#define COUNTER_38A "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"
#define PLAIN_197   "00112233445566778899aabbccddeeff"
#define KEY_GCM	    "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"
#define PLAIN_GCM                                                                                  \
	"d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"                         \
	"1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"
#define AAD_GCM "feedfacedeadbeeffeedfacedeadbeefabaddad2"

struct vector {
	enum aes_mode mode;
	const char *key, *iv, *aad, *plain, *cipher, *tag;
};

static const struct vector vectors[] = {
	{AES_ECB, "000102030405060708090a0b0c0d0e0f", "", "", PLAIN_197,
	 "69c4e0d86a7b0430d8cdb78070b4c55a", ""},
	{AES_ECB, "000102030405060708090a0b0c0d0e0f1011121314151617", "", "", PLAIN_197,
	 "dda97ca4864cdfe06eaf70a0ec0d7191", ""},
	{AES_ECB, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f", "", "",
	 PLAIN_197, "8ea2b7ca516745bfeafc49904b496089", ""},
	{AES_ECB, KEY_256_38A, "", "", PLAIN_38A,
	 "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870"
	 "b6ed21b99ca6f4f9f153e7b1beafed1d23304b7a39f9f3ff067d8d8f9e24ecc7",
	 ""},
	{AES_CBC, KEY_128_38A, IV_38A, "", PLAIN_38A,
	 "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
	 "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7",
	 ""},
	{AES_CBC, KEY_192_38A, IV_38A, "", PLAIN_38A,
	 "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"
	 "571b242012fb7ae07fa9baac3df102e008b0e27988598881d920a9e64f5615cd",
	 ""},
	{AES_CBC, KEY_256_38A, IV_38A, "", PLAIN_38A,
	 "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"
	 "39f23369a9d9bacfa530e26304231461b2eb05e2c39be9fcda6c19078c6a9d1b",
	 ""},
	{AES_CTR, KEY_128_38A, COUNTER_38A, "", PLAIN_38A,
	 "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff"
	 "5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
	 ""},
	{AES_CTR, KEY_192_38A, COUNTER_38A, "", PLAIN_38A,
	 "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94"
	 "1e36b26bd1ebc670d1bd1d665620abf74f78a7f6d29809585a97daec58c6b050",
	 ""},
	{AES_CTR, KEY_256_38A, COUNTER_38A, "", PLAIN_38A,
	 "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5"
	 "2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
	 ""},
	{AES_GCM, "00000000000000000000000000000000", "000000000000000000000000", "", "", "",
	 "58e2fccefa7e3061367f1d57a4e7455a"},
	{AES_GCM, "0000000000000000000000000000000000000000000000000000000000000000",
	 "000000000000000000000000", "", "00000000000000000000000000000000",
	 "cea7403d4d606b6e074ec5d3baf39d18", "d0d1c8a799996bf0265b98b5d48ab919"},
	{AES_GCM, KEY_GCM, "cafebabefacedbaddecaf888", "", PLAIN_GCM "1aafd255",
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
	 "b094dac5d93471bdec1a502270e3cc6c"},
	{AES_GCM, KEY_GCM, "cafebabefacedbaddecaf888", AAD_GCM, PLAIN_GCM,
	 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
	 "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
	 "76fc6ece0f4e1768cddf8853bb2d551b"},
	{AES_GCM, KEY_GCM, "cafebabefacedbad", AAD_GCM, PLAIN_GCM,
	 "c3762df1ca787d32ae47c13bf19844cbaf1ae14d0b976afac52ff7d79bba9de0"
	 "feb582d33934a4f0954cc2363bc73f7862ac430e64abe499f47c9b1f",
	 "3a337dbf46a792c45e454913fe2ea8f2"},
	{AES_GCM, KEY_GCM,
	 "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728"
	 "c3c0c95156809539fcf0e2429a6b525416aedbf5a0de6a57a637b39b",
	 AAD_GCM, PLAIN_GCM,
	 "5a8def2f0c9e53f1f75d7853659e2a20eeb2b22aafde6419a058ab4f6f746bf4"
	 "0fc0c3b780f244452da3ebf1c5d82cdea2418997200ef82e44ae7e3f",
	 "a44a8266ee1c8eb0c8b5d4cf5ae9f19a"},
};

static int start(void **state)
{
	(void)state;
	return crypto_start(false) ? 0 : -1;
}

static const uint8_t some_key[32] = {1, 2, 3}, some_iv[16] = {4, 5, 6};

static struct aes *some_aes(enum aes_mode mode, bool encrypt)
{
	struct aes *aes = aes_new(mode, encrypt, bytes(some_key, 32));

	assert_non_null(aes);
	return aes;
}

static struct aes_message some_message(enum aes_mode mode)
{
	static const size_t iv_lens[] = {0, 16, 16, 16, 12};

	return (struct aes_message){
		.iv = bytes(some_iv, iv_lens[mode]),
		.tag_len = mode == AES_GCM ? 16 : 0,
	};
}

/* All of a message in pieces of `step` bytes, in its own memory if `in_place`. */
static size_t run(struct aes *aes, const struct aes_message *message, struct bytes in, size_t step,
		  bool in_place, uint8_t *out)
{
	size_t done = 0, got = 0;

	assert_true(aes_start(aes, message));
	for (size_t at = 0; at < in.len; at += step) {
		size_t len = in.len - at < step ? in.len - at : step;
		uint8_t piece[ROOM + 32];

		memcpy(piece, in.data + at, len);
		if (in_place) {
			assert_true(aes_update(aes, bytes(piece, len), piece, &got));
			memcpy(out + done, piece, got);
		} else {
			assert_true(aes_update(aes, bytes(piece, len), out + done, &got));
		}
		done += got;
	}
	return done;
}

static size_t encrypt_all(struct aes *aes, const struct aes_message *message, struct bytes in,
			  size_t step, bool in_place, uint8_t *out)
{
	size_t done = run(aes, message, in, step, in_place, out), got = 0;

	assert_true(aes_finish(aes, out + done, &got));
	return done + got;
}

static bool decrypt_all(struct aes *aes, const struct aes_message *message, struct bytes in,
			size_t step, bool in_place, uint8_t *out, size_t *ret_len)
{
	size_t done, got = 0;

	done = run(aes, message, bytes(in.data, in.len - message->tag_len), step, in_place, out);
	if (message->tag_len > 0)
		assert_true(aes_set_tag(
			aes, bytes(in.data + in.len - message->tag_len, message->tag_len)));
	if (!aes_finish(aes, out + done, &got))
		return false;
	*ret_len = done + got;
	return true;
}

static void check_vector(const struct vector *vector, size_t step)
{
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer iv = {0};
	AUTO(buffer_clear) struct buffer aad = {0};
	AUTO(buffer_clear) struct buffer plain = {0};
	AUTO(buffer_clear) struct buffer cipher = {0};
	AUTO(buffer_clear) struct buffer tag = {0};
	struct aes_message message = {from_hex(&iv, vector->iv), from_hex(&aad, vector->aad),
				      from_hex(&tag, vector->tag).len};
	AUTO(aes_freep)
	struct aes *encrypt = aes_new(vector->mode, true, from_hex(&key, vector->key));
	AUTO(aes_freep) struct aes *decrypt = aes_new(vector->mode, false, buffer_bytes(&key));
	uint8_t out[ROOM];
	size_t len;

	from_hex(&plain, vector->plain);
	from_hex(&cipher, vector->cipher);
	buffer_append(&cipher, buffer_bytes(&tag));
	len = encrypt_all(encrypt, &message, buffer_bytes(&plain), step, false, out);
	assert_bytes(bytes(out, len), buffer_bytes(&cipher));
	assert_true(decrypt_all(decrypt, &message, buffer_bytes(&cipher), step, false, out, &len));
	assert_bytes(bytes(out, len), buffer_bytes(&plain));
}

static void published_vectors_hold_in_pieces_of_any_size(void **state)
{
	static const size_t steps[] = {1, 7, 16, 17, 1000};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(vectors); i++)
		for (size_t k = 0; k < COUNT_OF(steps); k++)
			check_vector(&vectors[i], steps[k]);
}

static void working_in_place_gives_the_same(void **state)
{
	static const size_t steps[] = {1, 5, 15, 16, 17, 31, 1024, 1025, 3000, 4100};
	static uint8_t plain[ROOM], expected[ROOM + 32], out[ROOM + 32], back[ROOM + 32];

	(void)state;
	for (size_t i = 0; i < ROOM; i++)
		plain[i] = (uint8_t)(i * 7 + i / 256);
	for (int mode = 0; mode < AES_CCM; mode++) {
		AUTO(aes_freep) struct aes *encrypt = some_aes((enum aes_mode)mode, true);
		AUTO(aes_freep) struct aes *decrypt = some_aes((enum aes_mode)mode, false);
		struct aes_message message = some_message((enum aes_mode)mode);
		struct bytes in = {plain, 4208};
		size_t len = encrypt_all(encrypt, &message, in, ROOM, false, expected);

		for (size_t k = 0; k < COUNT_OF(steps); k++) {
			size_t back_len;

			assert_int_equal(encrypt_all(encrypt, &message, in, steps[k], true, out),
					 len);
			assert_memory_equal(out, expected, len);
			assert_true(decrypt_all(decrypt, &message, bytes(out, len), steps[k], true,
						back, &back_len));
			assert_bytes(bytes(back, back_len), in);
		}
	}
}

static void whole_blocks_are_never_held_back_without_padding(void **state)
{
	(void)state;
	for (int mode = AES_ECB; mode <= AES_CTR; mode++) {
		for (int encrypt = 0; encrypt < 2; encrypt++) {
			AUTO(aes_freep) struct aes *aes = some_aes((enum aes_mode)mode, encrypt);
			struct aes_message message = some_message((enum aes_mode)mode);
			uint8_t data[48] = {0};
			size_t len;

			if (mode == AES_CBC_PAD)
				continue;
			assert_true(aes_start(aes, &message));
			assert_true(aes_update(aes, bytes(data, 16), data, &len));
			assert_int_equal(len, 16);
			assert_true(aes_update(aes, bytes(data, 3), data, &len));
			assert_int_equal(len, mode == AES_CTR ? 3 : 0);
			assert_true(aes_update(aes, bytes(data, 29), data, &len));
			assert_int_equal(len, mode == AES_CTR ? 29 : 32);
			assert_true(aes_finish(aes, data, &len));
			assert_int_equal(len, 0);
		}
	}
}

static void half_a_block_at_the_end_fails_and_the_context_lives_on(void **state)
{
	(void)state;
	for (int mode = AES_ECB; mode <= AES_CBC; mode++) {
		AUTO(aes_freep) struct aes *aes = some_aes((enum aes_mode)mode, true);
		struct aes_message message = some_message((enum aes_mode)mode);
		uint8_t data[32] = {0}, first[16];
		size_t len = 99;

		assert_true(aes_start(aes, &message));
		assert_true(aes_update(aes, bytes(data, 16), first, &len));
		assert_true(aes_update(aes, bytes(data, 5), data, &len));
		len = 99;
		assert_false(aes_finish(aes, data, &len));
		assert_int_equal(len, 99);
		/* What was held back must not leak into the next message. */
		memset(data, 0, sizeof(data));
		assert_true(aes_start(aes, &message));
		assert_true(aes_update(aes, bytes(data, 16), data, &len));
		assert_memory_equal(data, first, 16);
	}
}

static void wrong_padding_fails_without_output(void **state)
{
	AUTO(aes_freep) struct aes *encrypt = some_aes(AES_CBC, true);
	AUTO(aes_freep) struct aes *decrypt = some_aes(AES_CBC_PAD, false);
	struct aes_message message = some_message(AES_CBC);
	static const uint8_t ends[][2] = {{7, 0}, {7, 17}, {3, 2}, {0, 255}};
	uint8_t block[16] = {0}, out[32];
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(ends); i++) {
		memset(block, 0, sizeof(block));
		memcpy(block + 14, ends[i], 2);
		encrypt_all(encrypt, &message, bytes(block, 16), 16, false, out);
		memset(block, 0x55, sizeof(block));
		assert_true(aes_start(decrypt, &message));
		assert_true(aes_update(decrypt, bytes(out, 16), block, &len));
		assert_int_equal(len, 0);
		assert_false(aes_finish(decrypt, block, &len));
		assert_int_equal(block[0], 0x55);
	}
	assert_int_equal(ERR_peek_error(), 0);
}

static void padded_input_that_is_empty_or_no_multiple_fails(void **state)
{
	AUTO(aes_freep) struct aes *decrypt = some_aes(AES_CBC_PAD, false);
	struct aes_message message = some_message(AES_CBC_PAD);
	uint8_t data[48] = {0};
	size_t len;

	(void)state;
	assert_true(aes_start(decrypt, &message));
	assert_false(aes_finish(decrypt, data, &len));
	assert_true(aes_start(decrypt, &message));
	assert_true(aes_update(decrypt, bytes(data, 17), data, &len));
	assert_false(aes_finish(decrypt, data, &len));
}

static void wrong_tag_fails_and_the_context_lives_on(void **state)
{
	AUTO(aes_freep) struct aes *encrypt = some_aes(AES_GCM, true);
	AUTO(aes_freep) struct aes *decrypt = some_aes(AES_GCM, false);
	struct aes_message message = some_message(AES_GCM);
	uint8_t cipher[64], out[64];
	size_t len, cipher_len;

	(void)state;
	for (message.tag_len = 4; message.tag_len <= 16; message.tag_len++) {
		cipher_len = encrypt_all(encrypt, &message, bytes_of("hello"), 64, false, cipher);
		assert_int_equal(cipher_len, 5 + message.tag_len);
		for (size_t i = 0; i < cipher_len; i++) {
			cipher[i] ^= 1;
			assert_false(decrypt_all(decrypt, &message, bytes(cipher, cipher_len), 64,
						 false, out, &len));
			cipher[i] ^= 1;
		}
		assert_true(decrypt_all(decrypt, &message, bytes(cipher, cipher_len), 64, false,
					out, &len));
		assert_bytes(bytes(out, len), bytes_of("hello"));
	}
	assert_int_equal(ERR_peek_error(), 0);
}

static void tag_is_needed_and_of_the_length_announced(void **state)
{
	AUTO(aes_freep) struct aes *encrypt = some_aes(AES_GCM, true);
	AUTO(aes_freep) struct aes *decrypt = some_aes(AES_GCM, false);
	struct aes_message message = some_message(AES_GCM);
	uint8_t tag[16] = {0};
	size_t len;

	(void)state;
	assert_false(aes_set_tag(decrypt, bytes(tag, 16))); /* before any message */
	assert_true(aes_start(decrypt, &message));
	assert_false(aes_set_tag(decrypt, bytes(tag, 15)));
	assert_false(aes_set_tag(decrypt, bytes(NULL, 0)));
	assert_false(aes_finish(decrypt, NULL, &len));
	assert_true(aes_start(encrypt, &message));
	assert_false(aes_set_tag(encrypt, bytes(tag, 16)));
}

static void message_out_of_bounds_is_refused(void **state)
{
	static const struct {
		enum aes_mode mode;
		size_t iv_len, aad_len, tag_len;
	} wrong[] = {{AES_ECB, 16, 0, 0},   {AES_CBC, 0, 0, 0},	 {AES_CBC, 12, 0, 0},
		     {AES_CTR, 15, 0, 0},   {AES_CTR, 16, 1, 0}, {AES_GCM, 0, 0, 16},
		     {AES_GCM, 129, 0, 16}, {AES_GCM, 12, 0, 0}, {AES_GCM, 12, 0, 3},
		     {AES_GCM, 12, 0, 17},  {AES_CCM, 12, 0, 16}};
	static const uint8_t zeros[129];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		AUTO(aes_freep) struct aes *aes = some_aes(wrong[i].mode, true);
		const struct aes_message message = {bytes(zeros, wrong[i].iv_len),
						    bytes(zeros, wrong[i].aad_len),
						    wrong[i].tag_len};
		uint8_t out[32];
		size_t len;

		assert_false(aes_start(aes, &message));
		assert_false(aes_update(aes, bytes(zeros, 16), out, &len));
		assert_false(aes_finish(aes, out, &len));
	}
	assert_int_equal(ERR_peek_error(), 0);
}

static void keys_of_other_sizes_are_refused(void **state)
{
	static const size_t sizes[] = {0, 1, 15, 17, 31, 33, 64};
	static const uint8_t zeros[64];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		assert_null(aes_new(AES_GCM, true, bytes(zeros, sizes[i])));
	aes_free(NULL);
}

static void lengths_of_ivs_may_change_from_message_to_message(void **state)
{
	static const size_t lens[] = {12, 8, 128, 1, 12, 16, 12};
	static const uint8_t iv[128] = {9};
	AUTO(aes_freep) struct aes *kept = some_aes(AES_GCM, true);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(lens); i++) {
		AUTO(aes_freep) struct aes *fresh = some_aes(AES_GCM, true);
		struct aes_message message = {bytes(iv, lens[i]), bytes_of("aad"), 16};
		uint8_t one[32], other[32];
		size_t len = encrypt_all(kept, &message, bytes_of("text"), 64, false, one);

		assert_int_equal(encrypt_all(fresh, &message, bytes_of("text"), 64, false, other),
				 len);
		assert_memory_equal(one, other, len);
	}
}

static void a_context_with_a_new_key_is_as_a_new_one(void **state)
{
	static const uint8_t other_key[32] = {7};
	uint8_t one[64], other[64];
	size_t len, none;

	(void)state;
	for (enum aes_mode mode = AES_ECB; mode < AES_CCM; mode++) {
		AUTO(aes_freep) struct aes *kept = aes_new(mode, true, bytes(other_key, 32));
		AUTO(aes_freep) struct aes *fresh = some_aes(mode, true);
		struct aes_message message = some_message(mode);

		assert_true(aes_start(kept, &message));
		assert_true(aes_update(kept, bytes_of("under way"), one, &none));
		assert_true(aes_rekey(kept, bytes(some_key, 32)));
		assert_false(aes_update(kept, bytes_of("given up"), one, &none));
		len = encrypt_all(kept, &message, bytes(some_key, 32), 64, false, one);
		assert_int_equal(
			encrypt_all(fresh, &message, bytes(some_key, 32), 64, false, other), len);
		assert_memory_equal(one, other, len);
		assert_false(aes_rekey(kept, bytes(some_key, 16)));
		assert_false(aes_rekey(kept, bytes(NULL, 0)));
	}
	assert_int_equal(ERR_peek_error(), 0);
}

static void message_after_its_end_needs_a_new_start(void **state)
{
	AUTO(aes_freep) struct aes *aes = some_aes(AES_GCM, true);
	struct aes_message message = some_message(AES_GCM);
	uint8_t out[64];
	size_t len;

	(void)state;
	assert_false(aes_update(aes, bytes_of("x"), out, &len));
	assert_true(aes_start(aes, &message));
	assert_true(aes_update(aes, bytes(NULL, 0), out, &len));
	assert_int_equal(len, 0);
	assert_true(aes_finish(aes, out, &len));
	assert_false(aes_update(aes, bytes_of("x"), out, &len));
	assert_false(aes_finish(aes, out, &len));
}

static void counter_carries_through_all_128_bits(void **state)
{
	AUTO(aes_freep) struct aes *aes = some_aes(AES_CTR, true);
	uint8_t all_ones[16], zeros[32] = {0}, out[32], second[16];
	struct aes_message message = {.iv = bytes(all_ones, 16)};
	size_t len;

	(void)state;
	memset(all_ones, 0xff, sizeof(all_ones));
	encrypt_all(aes, &message, bytes(zeros, 32), 32, false, out);
	message.iv = bytes(zeros, 16);
	assert_true(aes_start(aes, &message));
	assert_true(aes_update(aes, bytes(zeros, 16), second, &len));
	assert_memory_equal(out + 16, second, 16);
}

static void sealed_opens_and_every_flipped_bit_is_noticed(void **state)
{
	const struct bytes key = {some_key, 32}, iv = {some_iv, 12};
	uint8_t sealed[5 + 16], opened[5];
	bool wrong;

	(void)state;
	assert_true(aes_gcm_seal(key, iv, bytes_of("aad"), bytes_of("hello"), sealed));
	assert_true(aes_gcm_open(key, iv, bytes_of("aad"), bytes(sealed, sizeof(sealed)), opened,
				 &wrong));
	assert_memory_equal(opened, "hello", 5);
	for (size_t bit = 0; bit < sizeof(sealed) * 8; bit++) {
		memset(opened, 0x55, sizeof(opened));
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(aes_gcm_open(key, iv, bytes_of("aad"), bytes(sealed, sizeof(sealed)),
					  opened, &wrong));
		assert_true(wrong);
		assert_memory_equal(opened, "\0\0\0\0\0", 5);
		sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_false(aes_gcm_open(key, iv, bytes_of("aae"), bytes(sealed, sizeof(sealed)), opened,
				  &wrong));
	assert_false(aes_gcm_open(key, iv, bytes_of("aad"), bytes(sealed, 15), opened, &wrong));
	assert_false(aes_gcm_open(bytes(some_key, 31), iv, bytes_of("aad"), bytes(sealed, 21),
				  opened, &wrong));
	assert_false(wrong); /* nobody has looked at the tag */
	assert_false(
		aes_gcm_seal(key, bytes(some_iv, 11), bytes_of(""), bytes_of("hello"), sealed));
	assert_int_equal(ERR_peek_error(), 0);
}

static void sealing_and_opening_work_in_place(void **state)
{
	const struct bytes key = {some_key, 32}, iv = {some_iv, 12};
	uint8_t data[5 + 16] = "hello", sealed[5 + 16];
	bool wrong;

	(void)state;
	assert_true(aes_gcm_seal(key, iv, bytes(NULL, 0), bytes_of("hello"), sealed));
	assert_true(aes_gcm_seal(key, iv, bytes(NULL, 0), bytes(data, 5), data));
	assert_memory_equal(data, sealed, sizeof(sealed));
	assert_true(aes_gcm_open(key, iv, bytes(NULL, 0), bytes(data, sizeof(data)), data, &wrong));
	assert_memory_equal(data, "hello", 5);
}

static void callers_errors_stay_in_the_queue(void **state)
{
	AUTO(aes_freep) struct aes *decrypt = some_aes(AES_GCM, false);
	struct aes_message message = some_message(AES_GCM);
	uint8_t zeros[32] = {0}, out[32];
	size_t len;

	(void)state;
	ERR_raise(ERR_LIB_USER, 42);
	assert_false(decrypt_all(decrypt, &message, bytes(zeros, 32), 32, false, out, &len));
	assert_int_equal(ERR_GET_REASON(ERR_get_error()), 42);
	assert_int_equal(ERR_get_error(), 0);
}

/* --- CCM: NIST SP 800-38C, appendix C; in aes_ccm.txt the others of tests/module/vectors.c */

static void ccm_is_that_of_the_standard_with_a_long_aad_too(void **state)
{
	static const uint8_t nonce[] = {0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16,
					0x17, 0x18, 0x19, 0x1a, 0x1b, 0x1c};
	static const char standard[] =
		"69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463c"
		"cf72b4ac6bec93e8598e7f0dadbcea5b";
	static uint8_t aad[65536];
	AUTO(buffer_clear) struct buffer expected = {0};
	const struct aes_message message = {bytes(nonce, sizeof(nonce)), bytes(aad, sizeof(aad)),
					    14};
	AUTO(aes_freep) struct aes *seal = NULL, *open = NULL;
	uint8_t key[16], text[32], out[32 + 14];

	(void)state;
	for (size_t i = 0; i < sizeof(aad); i++)
		aad[i] = (uint8_t)i;
	for (size_t i = 0; i < 32; i++)
		text[i] = (uint8_t)(0x20 + i);
	for (size_t i = 0; i < 16; i++)
		key[i] = (uint8_t)(0x40 + i);
	seal = aes_new(AES_CCM, true, bytes(key, 16));
	open = aes_new(AES_CCM, false, bytes(key, 16));
	assert_true(aes_ccm(seal, &message, bytes(text, 32), out));
	assert_true(hex_decode(bytes_of(standard), &expected));
	assert_bytes(bytes(out, sizeof(out)), buffer_bytes(&expected));
	assert_true(aes_ccm(open, &message, bytes(out, sizeof(out)), out));
	assert_bytes(bytes(out, 32), bytes(text, 32));
}

static void ccm_of_other_lengths_is_refused(void **state)
{
	static const struct {
		size_t nonce, tag, len;
		bool good;
	} some[] = {{7, 16, 20, true},	    {13, 4, 20, true},	  {6, 16, 20, false},
		    {14, 16, 20, false},    {12, 2, 20, false},	  {12, 5, 20, false},
		    {12, 18, 20, false},    {12, 0, 20, false},	  {13, 16, 65535, true},
		    {13, 16, 65536, false}, {12, 16, 65536, true}};
	static uint8_t text[65536 + 16], out[65536 + 16];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(some); i++) {
		AUTO(aes_freep) struct aes *seal = some_aes(AES_CCM, true);
		AUTO(aes_freep) struct aes *open = some_aes(AES_CCM, false);
		const struct aes_message message = {bytes(some_iv, some[i].nonce), bytes(NULL, 0),
						    some[i].tag};

		assert_int_equal(aes_ccm(seal, &message, bytes(text, some[i].len), out),
				 some[i].good);
		assert_int_equal(
			aes_ccm(open, &message, bytes(out, some[i].len + some[i].tag), out),
			some[i].good);
	}
	assert_true(aes_ccm_max(7) == AES_CCM_LEN_MAX);
	assert_true(aes_ccm_max(12) == (UINT64_C(1) << 24) - 1);
	assert_true(aes_ccm_max(13) == 65535);
}

/* Nonces and tags of other lengths under one context, and what is wrong between what is good. */
static void a_ccm_context_serves_any_message_after_any_other(void **state)
{
	AUTO(aes_freep) struct aes *seal = some_aes(AES_CCM, true);
	AUTO(aes_freep) struct aes *open = some_aes(AES_CCM, false);
	uint8_t text[40] = {9, 8, 7}, out[40 + 16], back[40 + 16];

	(void)state;
	for (size_t i = 0; i < 100; i++) {
		size_t len = i % 41, tag = 4 + i * 2 % 14;
		const struct aes_message message = {bytes(some_iv, 7 + i % 7),
						    bytes(some_key, i % 3), tag};

		assert_true(aes_ccm(seal, &message, bytes(text, len), out));
		out[i % (len + tag)] ^= 0x80;
		memset(back, 0x55, sizeof(back));
		assert_false(aes_ccm(open, &message, bytes(out, len + tag), back));
		for (size_t at = 0; at < len; at++)
			assert_int_equal(back[at], 0);
		out[i % (len + tag)] ^= 0x80;
		assert_true(aes_ccm(open, &message, bytes(out, len + tag), back));
		assert_bytes(bytes(back, len), bytes(text, len));
	}
	assert_int_equal(ERR_peek_error(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors_hold_in_pieces_of_any_size),
		cmocka_unit_test(working_in_place_gives_the_same),
		cmocka_unit_test(whole_blocks_are_never_held_back_without_padding),
		cmocka_unit_test(half_a_block_at_the_end_fails_and_the_context_lives_on),
		cmocka_unit_test(wrong_padding_fails_without_output),
		cmocka_unit_test(padded_input_that_is_empty_or_no_multiple_fails),
		cmocka_unit_test(wrong_tag_fails_and_the_context_lives_on),
		cmocka_unit_test(tag_is_needed_and_of_the_length_announced),
		cmocka_unit_test(message_out_of_bounds_is_refused),
		cmocka_unit_test(keys_of_other_sizes_are_refused),
		cmocka_unit_test(lengths_of_ivs_may_change_from_message_to_message),
		cmocka_unit_test(a_context_with_a_new_key_is_as_a_new_one),
		cmocka_unit_test(message_after_its_end_needs_a_new_start),
		cmocka_unit_test(counter_carries_through_all_128_bits),
		cmocka_unit_test(sealed_opens_and_every_flipped_bit_is_noticed),
		cmocka_unit_test(sealing_and_opening_work_in_place),
		cmocka_unit_test(callers_errors_stay_in_the_queue),
		cmocka_unit_test(ccm_is_that_of_the_standard_with_a_long_aad_too),
		cmocka_unit_test(ccm_of_other_lengths_is_refused),
		cmocka_unit_test(a_ccm_context_serves_any_message_after_any_other),
	};

	int failed = cmocka_run_group_tests_name("straight", tests, start, NULL);

	return failed + cmocka_run_group_tests_name("by EVP", tests, start_by_evp, NULL);
}
