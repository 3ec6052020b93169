/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Encryption and decryption by every mode: what comes out, and which arguments are refused. How an
 * operation goes on and ends is in same_operations.c. */
#include "same.h"

#include <stdlib.h>

static const CK_BYTE value[32] = "0123456789abcdef0123456789abcde";
static const CK_BYTE iv[16] = "initial vector!";

/* Every mode with a parameter that fits. */
enum mode { ECB, CBC, CBC_PAD, CTR, GCM, MODE_COUNT };

static CK_MECHANISM *mode(enum mode mode)
{
	switch (mode) {
	case ECB:
		return mechanism(CKM_AES_ECB);
	case CBC:
		return mechanism_with(CKM_AES_CBC, iv, sizeof(iv));
	case CBC_PAD:
		return mechanism_with(CKM_AES_CBC_PAD, iv, sizeof(iv));
	case CTR:
		return mechanism_ctr(iv, 128);
	default:
		return mechanism_gcm(iv, 12, "header", 6, 128);
	}
}

static bool takes_any_length(enum mode mode)
{
	return mode >= CBC_PAD;
}

static CK_ULONG encrypted_len(enum mode mode, CK_ULONG len)
{
	return mode == CBC_PAD ? (len / 16 + 1) * 16 : mode == GCM ? len + 16 : len;
}

static CK_ULONG encrypt(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key,
			CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG size)
{
	check(p11->C_EncryptInit(session, by, key));
	check(p11->C_Encrypt(session, data, len, out, &size));
	return size;
}

static CK_ULONG decrypt(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key,
			CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG size)
{
	check(p11->C_DecryptInit(session, by, key));
	check(p11->C_Decrypt(session, data, len, out, &size));
	return size;
}

static void fill(CK_BYTE *data, CK_ULONG len)
{
	for (CK_ULONG i = 0; i < len; i++)
		data[i] = (CK_BYTE)(i * 7 + i / 256);
}

static void every_mode_gives_back_what_it_took(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE data[80], out[128], back[128];

	fill(data, sizeof(data));
	for (enum mode m = 0; m < MODE_COUNT; m++) {
		for (CK_ULONG len = 16; len <= 80; len += takes_any_length(m) ? 1 : 16) {
			CK_ULONG out_len = encrypt(session, mode(m), key, data, len, out, 128);

			assert_int_equal(out_len, encrypted_len(m, len));
			assert_memory_not_equal(out, data, len);
			assert_int_equal(decrypt(session, mode(m), key, out, out_len, back, 128),
					 len);
			assert_memory_equal(back, data, len);
		}
	}
}

static void nothing_can_be_encrypted(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE data[1], out[32], back[32];

	for (enum mode m = CBC_PAD; m < MODE_COUNT; m += GCM - CBC_PAD) {
		CK_ULONG out_len = encrypt(session, mode(m), key, data, 0, out, 32);

		assert_int_equal(out_len, 16);
		assert_int_equal(decrypt(session, mode(m), key, out, out_len, back, 32), 0);
	}
}

static void keys_of_every_size_encrypt(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE data[32] = {0}, out[3][48];
	CK_ULONG len[3] = {16, 24, 32};

	for (int i = 0; i < 3; i++) {
		CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, len[i]);

		assert_int_equal(encrypt(session, mode(GCM), key, data, 32, out[i], 48), 48);
	}
	assert_memory_not_equal(out[0], out[1], 48);
	assert_memory_not_equal(out[1], out[2], 48);
}

static void a_megabyte_is_encrypted_at_once(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_ULONG len = 1 << 20, size = len + 16;
	CK_BYTE *data = malloc(len), *out = malloc(size), *back = malloc(size);

	fill(data, len);
	for (enum mode m = 0; m < MODE_COUNT; m++) {
		CK_ULONG out_len = encrypt(session, mode(m), key, data, len, out, size);

		assert_int_equal(out_len, encrypted_len(m, len));
		assert_int_equal(decrypt(session, mode(m), key, out, out_len, back, size), len);
		assert_memory_equal(back, data, len);
	}
	free(data);
	free(out);
	free(back);
}

static void the_output_may_replace_the_input(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE data[64], buffer[96];

	fill(data, sizeof(data));
	for (enum mode m = 0; m < MODE_COUNT; m++) {
		CK_ULONG len;

		memcpy(buffer, data, 64);
		len = encrypt(session, mode(m), key, buffer, 64, buffer, sizeof(buffer));
		assert_int_equal(
			decrypt(session, mode(m), key, buffer, len, buffer, sizeof(buffer)), 64);
		assert_memory_equal(buffer, data, 64);
	}
}

/* Oracle passes packed structures. */
static void outputs_may_be_misaligned(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE data[32] = {0}, straight[48], crooked[64];
	CK_BYTE len_bytes[sizeof(CK_ULONG) + 1];
	CK_ULONG len = 48;
	void *misplaced = len_bytes + 1;

	encrypt(session, mode(GCM), key, data, 32, straight, 48);
	memcpy(misplaced, &len, sizeof(len));
	check(p11->C_EncryptInit(session, mode(GCM), key));
	check(p11->C_Encrypt(session, data, 32, crooked + 1, misplaced));
	memcpy(&len, misplaced, sizeof(len));
	assert_int_equal(len, 48);
	assert_memory_equal(crooked + 1, straight, 48);
}

static void parameters_are_read_when_the_operation_begins(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE data[32] = {0}, expected[48], out[48], nonce[12], header[6];
	CK_MECHANISM *by;
	CK_ULONG len = 48;

	encrypt(session, mode(GCM), key, data, 32, expected, 48);
	memcpy(nonce, iv, 12);
	memcpy(header, "header", 6);
	by = mechanism_gcm(nonce, 12, header, 6, 128);
	check(p11->C_EncryptInit(session, by, key));
	memset(nonce, 0, sizeof(nonce));
	memset(header, 0, sizeof(header));
	memset(by->pParameter, 0xff, by->ulParameterLen);
	check(p11->C_Encrypt(session, data, 32, out, &len));
	assert_memory_equal(out, expected, 48);
}

static void a_changed_message_is_not_authentic(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE data[20] = {0}, out[36], back[36];
	CK_ULONG len = encrypt(session, mode(GCM), key, data, 20, out, 36);

	for (CK_ULONG i = 0; i < len; i++) {
		CK_ULONG back_len = sizeof(back);

		out[i] ^= 1;
		check(p11->C_DecryptInit(session, mode(GCM), key));
		answers(difference("C_Decrypt of a changed GCM message"),
			p11->C_Decrypt(session, out, len, back, &back_len));
		out[i] ^= 1;
	}
	assert_int_equal(decrypt(session, mode(GCM), key, out, len, back, 36), 20);
}

static void the_header_of_a_message_is_bound(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE data[20] = {0}, out[36], back[36];
	CK_ULONG len = encrypt(session, mode(GCM), key, data, 20, out, 36), back_len = 36;

	check(p11->C_DecryptInit(session, mechanism_gcm(iv, 12, "heADer", 6, 128), key));
	answers(difference("C_Decrypt of a changed GCM message"),
		p11->C_Decrypt(session, out, len, back, &back_len));
}

static void shorter_tags_are_made(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE data[20] = {0}, whole[36], out[36], back[36];

	encrypt(session, mode(GCM), key, data, 20, whole, 36);
	for (CK_ULONG bits = 96; bits <= 128; bits += 8) {
		CK_MECHANISM *by = mechanism_gcm(iv, 12, "header", 6, bits);
		CK_ULONG len = encrypt(session, by, key, data, 20, out, 36);

		assert_int_equal(len, 20 + bits / 8);
		assert_memory_equal(out, whole, len);
		assert_int_equal(decrypt(session, by, key, out, len, back, 36), 20);
	}
}

static void a_message_without_a_tag_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);

	answers(difference("GCM with a tag of 0 bits"),
		p11->C_EncryptInit(session, mechanism_gcm(iv, 12, "header", 6, 0), key));
}

static void parameters_that_do_not_fit_are_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	static const CK_MECHANISM_TYPE types[] = {CKM_AES_CBC, CKM_AES_CBC_PAD, CKM_AES_CTR,
						  CKM_AES_GCM};
	CK_BYTE out[16];
	CK_ULONG len = sizeof(out);

	for (int i = 0; i < 4; i++) {
		CK_RV expected =
			difference(i < 2 ? "an IV of 15 bytes" : "a structure that is too short");

		answers(difference("a parameter that is missing"),
			p11->C_EncryptInit(session, mechanism(types[i]), key));
		answers(expected,
			p11->C_EncryptInit(session, mechanism_with(types[i], iv, 15), key));
		answers(expected,
			p11->C_DecryptInit(session, mechanism_with(types[i], iv, 15), key));
	}
	answers(difference("GCM with a tag of 136 bits"),
		p11->C_EncryptInit(session, mechanism_gcm(iv, 12, "header", 6, 136), key));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_EncryptFinal(session, out, &len));
}

static void lengths_that_are_no_blocks_are_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE data[32] = {0}, out[48];

	for (enum mode m = ECB; m <= CBC_PAD; m++) {
		CK_ULONG len = sizeof(out);

		if (m != CBC_PAD) {
			check(p11->C_EncryptInit(session, mode(m), key));
			answers(CKR_DATA_LEN_RANGE, p11->C_Encrypt(session, data, 17, out, &len));
		}
		check(p11->C_DecryptInit(session, mode(m), key));
		answers(CKR_ENCRYPTED_DATA_LEN_RANGE, p11->C_Decrypt(session, data, 17, out, &len));
		answers(CKR_OPERATION_NOT_INITIALIZED,
			p11->C_Decrypt(session, data, 16, out, &len));
	}
}

static void wrong_padding_is_noticed(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE data[32] = {0}, out[32], back[32];
	CK_ULONG len = encrypt(session, mode(CBC), key, data, 32, out, 32);

	check(p11->C_DecryptInit(session, mode(CBC_PAD), key));
	answers(difference("C_Decrypt with wrong padding"),
		p11->C_Decrypt(session, out, 32, back, &len));
}

static void a_message_shorter_than_its_tag_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE data[15] = {0}, out[32];
	CK_ULONG len = sizeof(out);

	check(p11->C_DecryptInit(session, mode(GCM), key));
	answers(difference("a GCM message shorter than its tag"),
		p11->C_Decrypt(session, data, 15, out, &len));
}

static void the_counter_carries_over_all_its_bits(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, value, 32);
	CK_BYTE counter[16] = {0x12}, next[16] = {0x12}, data[32] = {0}, out[32], block[16];

	memset(counter + 2, 0xff, sizeof(counter) - 2);
	next[1] = 1;
	encrypt(session, mechanism_ctr(counter, 128), key, data, 32, out, 32);
	encrypt(session, mechanism(CKM_AES_ECB), key, counter, 16, block, 16);
	assert_memory_equal(out, block, 16);
	encrypt(session, mechanism(CKM_AES_ECB), key, next, 16, block, 16);
	assert_memory_equal(out + 16, block, 16);
}

static void a_key_does_what_it_is_allowed_to(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key = key_generate(session, with_bool(t, CKA_ENCRYPT, false)), secret;

	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, p11->C_EncryptInit(session, mode(GCM), key));
	check(p11->C_DecryptInit(session, mode(GCM), key));
	secret = key_import(session, CKK_GENERIC_SECRET, value, 32);
	*state = (void *)session_new();
	session = (CK_SESSION_HANDLE)*state;
	answers(CKR_KEY_TYPE_INCONSISTENT, p11->C_EncryptInit(session, mode(ECB), secret));
	answers(difference("C_EncryptInit with a missing key"),
		p11->C_EncryptInit(session, mode(ECB), CK_INVALID_HANDLE));
	answers(CKR_MECHANISM_INVALID,
		p11->C_EncryptInit(session, mechanism(0x8ABCDEF0UL), secret));
}

static void allowed_mechanisms_are_the_only_ones(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_MECHANISM_TYPE allowed = CKM_AES_GCM;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key;

	with(t, CKA_ALLOWED_MECHANISMS, &allowed, sizeof(allowed));
	key = key_generate(session, t);
	check(p11->C_EncryptInit(session, mode(GCM), key));
	answers(CKR_MECHANISM_INVALID, p11->C_DecryptInit(session_new(), mode(CBC), key));
}

int same_ciphers(void)
{
	const struct CMUnitTest tests[] = {
		in_session(every_mode_gives_back_what_it_took),
		in_session(nothing_can_be_encrypted),
		in_session(keys_of_every_size_encrypt),
		in_session(a_megabyte_is_encrypted_at_once),
		in_session(the_output_may_replace_the_input),
		in_session(outputs_may_be_misaligned),
		in_session(parameters_are_read_when_the_operation_begins),
		in_session(a_changed_message_is_not_authentic),
		in_session(the_header_of_a_message_is_bound),
		in_session(shorter_tags_are_made),
		in_session(a_message_without_a_tag_is_refused),
		in_session(parameters_that_do_not_fit_are_refused),
		in_session(lengths_that_are_no_blocks_are_refused),
		in_session(wrong_padding_is_noticed),
		in_session(a_message_shorter_than_its_tag_is_refused),
		in_session(the_counter_carries_over_all_its_bits),
		in_session(a_key_does_what_it_is_allowed_to),
		in_session(allowed_mechanisms_are_the_only_ones),
	};

	return run_group("ciphers", tests, token_setup, token_teardown);
}
