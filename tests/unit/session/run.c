/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The rules that all operations share: the two-call rule, and what ends an operation. Table-driven
 * over the functions; what comes out of the ciphers is looked at elsewhere. */
#include "session/run.h"
#include "tests/support/session_fixture.h"

static uint8_t iv[16] = {1, 2, 3}, text[64], sealed[96], out[8192];
static CK_GCM_PARAMS gcm = {iv, 12, 0, NULL, 0, 128};
static CK_OBJECT_HANDLE key;

static int start(void **state)
{
	static const uint8_t value[32] = {5, 5, 5};

	bed_start(state);
	memset(text, 0x3c, sizeof(text));
	key = bed_key(value, sizeof(value));
	return 0;
}

/* --- What is common to the modes */

struct mode {
	CK_MECHANISM mechanism;
	CK_ULONG sealed_len; /* of 64 bytes */
};

static const struct mode modes[] = {
	{{CKM_AES_ECB, NULL, 0}, 64},	   {{CKM_AES_CBC, iv, 16}, 64},
	{{CKM_AES_CBC_PAD, iv, 16}, 80},   {{CKM_AES_GCM, &gcm, sizeof(gcm)}, 80},
	{{CKM_AES_KEY_WRAP, NULL, 0}, 72}, {{CKM_AES_KEY_WRAP_KWP, NULL, 0}, 72},
};

static CK_MECHANISM *by(const struct mode *mode)
{
	return (CK_MECHANISM *)&mode->mechanism;
}

static void seal(const struct mode *mode)
{
	CK_ULONG len = sizeof(sealed);

	check(C_EncryptInit(bed.session, by(mode), key));
	check(C_Encrypt(bed.session, text, sizeof(text), sealed, &len));
	assert_int_equal(len, mode->sealed_len);
}

/* Whether an operation of the kind is active: whether another can begin. */
static bool is_active(CK_RV (*init)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE))
{
	CK_MECHANISM ecb = {CKM_AES_ECB, NULL, 0};
	CK_RV rv = init(bed.session, &ecb, key);

	assert_true(rv == CKR_OK || rv == CKR_OPERATION_ACTIVE);
	check(init(bed.session, NULL, 0));
	return rv == CKR_OPERATION_ACTIVE;
}

static void what_was_sealed_opens(void **state)
{
	CK_ULONG len;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(modes); i++) {
		seal(&modes[i]);
		len = sizeof(out);
		check(C_DecryptInit(bed.session, by(&modes[i]), key));
		check(C_Decrypt(bed.session, sealed, modes[i].sealed_len, out, &len));
		assert_bytes(bytes(out, len), bytes(text, sizeof(text)));
		assert_false(is_active(C_DecryptInit));
	}
}

static void asking_for_a_length_keeps_the_operation(void **state)
{
	CK_ULONG len;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(modes); i++) {
		len = 0xdeadbeef;
		check(C_EncryptInit(bed.session, by(&modes[i]), key));
		check(C_Encrypt(bed.session, text, sizeof(text), NULL, &len));
		assert_int_equal(len, modes[i].sealed_len);
		check(C_Encrypt(bed.session, text, sizeof(text), sealed, &len));
		len = 0xdeadbeef;
		check(C_DecryptInit(bed.session, by(&modes[i]), key));
		check(C_Decrypt(bed.session, sealed, modes[i].sealed_len, NULL, &len));
		assert_in_range(len, sizeof(text), modes[i].sealed_len);
		check(C_Decrypt(bed.session, sealed, modes[i].sealed_len, out, &len));
		assert_bytes(bytes(out, len), bytes(text, sizeof(text)));
	}
}

static void too_little_room_keeps_the_operation(void **state)
{
	CK_ULONG len;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(modes); i++) {
		len = modes[i].sealed_len - 1;
		check(C_EncryptInit(bed.session, by(&modes[i]), key));
		assert_int_equal(C_Encrypt(bed.session, text, sizeof(text), sealed, &len),
				 CKR_BUFFER_TOO_SMALL);
		assert_int_equal(len, modes[i].sealed_len);
		check(C_Encrypt(bed.session, text, sizeof(text), sealed, &len));
		len = sizeof(text) - 1;
		check(C_DecryptInit(bed.session, by(&modes[i]), key));
		assert_int_equal(C_Decrypt(bed.session, sealed, modes[i].sealed_len, out, &len),
				 CKR_BUFFER_TOO_SMALL);
		assert_int_equal(len, sizeof(text));
		check(C_Decrypt(bed.session, sealed, modes[i].sealed_len, out, &len));
		assert_bytes(bytes(out, len), bytes(text, sizeof(text)));
	}
}

static void the_very_length_is_room_enough(void **state)
{
	CK_ULONG len = sizeof(text);
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(modes); i++) {
		seal(&modes[i]);
		check(C_DecryptInit(bed.session, by(&modes[i]), key));
		check(C_Decrypt(bed.session, sealed, modes[i].sealed_len, out, &len));
		assert_bytes(bytes(out, len), bytes(text, sizeof(text)));
	}
}

static void data_may_be_encrypted_in_place(void **state)
{
	CK_ULONG len;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(modes); i++) {
		memcpy(out, text, sizeof(text));
		len = sizeof(out);
		check(C_EncryptInit(bed.session, by(&modes[i]), key));
		check(C_Encrypt(bed.session, out, sizeof(text), out, &len));
		check(C_DecryptInit(bed.session, by(&modes[i]), key));
		check(C_Decrypt(bed.session, out, len, out, &len));
		assert_bytes(bytes(out, len), bytes(text, sizeof(text)));
	}
}

static void buffers_may_overlap_in_any_way(void **state)
{
	CK_ULONG len;
	size_t shift, i;

	(void)state;
	for (i = 0; i < COUNT_OF(modes); i++) {
		for (shift = 0; shift < 32; shift++) {
			seal(&modes[i]);
			memcpy(out + 16, text, sizeof(text));
			len = sizeof(out) - shift;
			check(C_EncryptInit(bed.session, by(&modes[i]), key));
			check(C_Encrypt(bed.session, out + 16, sizeof(text), out + shift, &len));
			assert_bytes(bytes(out + shift, len), bytes(sealed, modes[i].sealed_len));
		}
	}
}

static void lengths_may_be_misaligned(void **state)
{
	uint8_t place[sizeof(CK_ULONG) + 1];
	CK_ULONG *odd = (CK_ULONG *)(void *)(place + 1), len = sizeof(sealed);

	(void)state;
	memcpy(place + 1, &len, sizeof(len));
	check(C_EncryptInit(bed.session, by(&modes[0]), key));
	check(C_Encrypt(bed.session, text, sizeof(text), sealed, odd));
	memcpy(&len, place + 1, sizeof(len));
	assert_int_equal(len, 64);
}

/* Rust passes such pointers. */
static void no_data_may_have_any_pointer(void **state)
{
	CK_ULONG len = sizeof(out);

	(void)state;
	check(C_EncryptInit(bed.session, by(&modes[3]), key));
	check(C_Encrypt(bed.session, (CK_BYTE *)1, 0, out, &len));
	assert_int_equal(len, 16);
	check(C_EncryptInit(bed.session, by(&modes[2]), key));
	check(C_EncryptUpdate(bed.session, (CK_BYTE *)1, 0, out, &len));
	check(C_EncryptInit(bed.session, NULL, 0));
}

/* --- What ends an operation */

static CK_RV encrypt(CK_BYTE *in, CK_ULONG in_len, CK_BYTE *to, CK_ULONG *len)
{
	return C_Encrypt(bed.session, in, in_len, to, len);
}

static CK_RV encrypt_update(CK_BYTE *in, CK_ULONG in_len, CK_BYTE *to, CK_ULONG *len)
{
	return C_EncryptUpdate(bed.session, in, in_len, to, len);
}

static CK_RV encrypt_final(CK_BYTE *in, CK_ULONG in_len, CK_BYTE *to, CK_ULONG *len)
{
	(void)in;
	(void)in_len;
	return C_EncryptFinal(bed.session, to, len);
}

static CK_RV decrypt(CK_BYTE *in, CK_ULONG in_len, CK_BYTE *to, CK_ULONG *len)
{
	return C_Decrypt(bed.session, in, in_len, to, len);
}

static CK_RV decrypt_update(CK_BYTE *in, CK_ULONG in_len, CK_BYTE *to, CK_ULONG *len)
{
	return C_DecryptUpdate(bed.session, in, in_len, to, len);
}

static CK_RV decrypt_final(CK_BYTE *in, CK_ULONG in_len, CK_BYTE *to, CK_ULONG *len)
{
	(void)in;
	(void)in_len;
	return C_DecryptFinal(bed.session, to, len);
}

struct function {
	const char *name;
	CK_RV (*init)(CK_SESSION_HANDLE, CK_MECHANISM *, CK_OBJECT_HANDLE);
	CK_RV (*call)(CK_BYTE *, CK_ULONG, CK_BYTE *, CK_ULONG *);
	bool takes_data;
};

static const struct function functions[] = {
	{"C_Encrypt", C_EncryptInit, encrypt, true},
	{"C_EncryptUpdate", C_EncryptInit, encrypt_update, true},
	{"C_EncryptFinal", C_EncryptInit, encrypt_final, false},
	{"C_Decrypt", C_DecryptInit, decrypt, true},
	{"C_DecryptUpdate", C_DecryptInit, decrypt_update, true},
	{"C_DecryptFinal", C_DecryptInit, decrypt_final, false},
};

static void without_an_operation_there_is_an_error(void **state)
{
	CK_ULONG len = sizeof(out);
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(functions); i++)
		assert_int_equal(functions[i].call(text, 16, out, &len),
				 CKR_OPERATION_NOT_INITIALIZED);
}

static void a_missing_length_ends_the_operation(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(functions); i++) {
		check(functions[i].init(bed.session, by(&modes[1]), key));
		assert_int_equal(functions[i].call(text, 16, out, NULL), CKR_ARGUMENTS_BAD);
		assert_false(is_active(functions[i].init));
	}
}

static void missing_data_end_the_operation(void **state)
{
	CK_ULONG len = sizeof(out);
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(functions); i++) {
		if (!functions[i].takes_data)
			continue;
		check(functions[i].init(bed.session, by(&modes[1]), key));
		assert_int_equal(functions[i].call(NULL, 16, out, &len), CKR_ARGUMENTS_BAD);
		assert_false(is_active(functions[i].init));
	}
}

/* Java cancels by decrypting nothing into nothing: the data are looked at before the room. */
static void data_of_a_wrong_length_end_the_operation(void **state)
{
	static const size_t with_minimum[] = {2, 3, 4, 5};
	CK_ULONG len = 0;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(with_minimum); i++) {
		check(C_DecryptInit(bed.session, by(&modes[with_minimum[i]]), key));
		assert_int_equal(C_Decrypt(bed.session, out, 0, out, &len),
				 CKR_ENCRYPTED_DATA_LEN_RANGE);
		assert_false(is_active(C_DecryptInit));
	}
	check(C_EncryptInit(bed.session, by(&modes[0]), key));
	assert_int_equal(C_Encrypt(bed.session, text, 15, NULL, &len), CKR_DATA_LEN_RANGE);
	assert_false(is_active(C_EncryptInit));
}

static void what_does_not_open_ends_the_operation(void **state)
{
	CK_ULONG len;
	size_t i;

	(void)state;
	for (i = 2; i < COUNT_OF(modes); i++) {
		seal(&modes[i]);
		sealed[modes[i].sealed_len - 17] ^= 0x80;
		len = sizeof(out);
		memset(out, 0x55, sizeof(out));
		check(C_DecryptInit(bed.session, by(&modes[i]), key));
		assert_int_equal(C_Decrypt(bed.session, sealed, modes[i].sealed_len, out, &len),
				 CKR_ENCRYPTED_DATA_INVALID);
		assert_int_equal(len, sizeof(out));
		assert_memory_not_equal(out, text, 16);
		assert_false(is_active(C_DecryptInit));
	}
}

static void half_a_block_ends_a_mode_without_padding(void **state)
{
	CK_ULONG len = sizeof(out);

	(void)state;
	check(C_EncryptInit(bed.session, by(&modes[1]), key));
	check(C_EncryptUpdate(bed.session, text, 17, out, &len));
	assert_int_equal(len, 16);
	assert_int_equal(C_EncryptFinal(bed.session, out, &len), CKR_DATA_LEN_RANGE);
	assert_false(is_active(C_EncryptInit));
}

static void the_last_step_ends_the_operation(void **state)
{
	CK_ULONG len;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT_OF(modes); i++) {
		len = sizeof(out);
		check(C_EncryptInit(bed.session, by(&modes[i]), key));
		check(C_EncryptUpdate(bed.session, text, sizeof(text), out, &len));
		assert_true(is_active(C_EncryptInit));
		check(C_EncryptInit(bed.session, by(&modes[i]), key));
		check(C_EncryptUpdate(bed.session, text, sizeof(text), out, &len));
		len = sizeof(out);
		check(C_EncryptFinal(bed.session, out, &len));
		assert_false(is_active(C_EncryptInit));
	}
}

static void asking_for_the_length_of_the_last_part_keeps_the_operation(void **state)
{
	CK_ULONG len;
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		check(C_EncryptInit(bed.session, by(&modes[i]), key));
		len = sizeof(out);
		check(C_EncryptUpdate(bed.session, text, sizeof(text), out, &len));
		check(C_EncryptFinal(bed.session, NULL, &len));
		assert_int_equal(len, 0);
		check(C_EncryptFinal(bed.session, out, &len));
		assert_false(is_active(C_EncryptInit));
	}
}

static void all_at_once_does_not_follow_a_part(void **state)
{
	CK_ULONG len = sizeof(out);

	(void)state;
	check(C_EncryptInit(bed.session, by(&modes[0]), key));
	check(C_EncryptUpdate(bed.session, text, 16, out, &len));
	assert_int_equal(C_Encrypt(bed.session, text, 16, out, &len),
			 CKR_OPERATION_NOT_INITIALIZED);
	assert_false(is_active(C_EncryptInit));
}

static void a_second_init_leaves_the_first(void **state)
{
	CK_ULONG len = sizeof(out);

	(void)state;
	check(C_EncryptInit(bed.session, by(&modes[3]), key));
	assert_int_equal(C_EncryptInit(bed.session, by(&modes[0]), key), CKR_OPERATION_ACTIVE);
	check(C_Encrypt(bed.session, text, 16, out, &len));
	assert_int_equal(len, 32);
}

static void no_mechanism_cancels(void **state)
{
	(void)state;
	check(C_EncryptInit(bed.session, by(&modes[0]), key));
	check(C_EncryptInit(bed.session, NULL, 0));
	assert_false(is_active(C_EncryptInit));
	check(C_DigestInit(bed.session, NULL));
	check(C_DecryptInit(bed.session, NULL, 0));
}

static void an_init_that_fails_begins_nothing(void **state)
{
	CK_MECHANISM bad = {CKM_AES_CBC, iv, 15}, unknown = {0x7fffffff, NULL, 0},
		     digest = {CKM_SHA256, NULL, 0};
	CK_ULONG len = sizeof(out);

	(void)state;
	assert_int_equal(C_EncryptInit(bed.session, &bad, key), CKR_MECHANISM_PARAM_INVALID);
	assert_int_equal(C_EncryptInit(bed.session, &unknown, key), CKR_MECHANISM_INVALID);
	assert_int_equal(C_EncryptInit(bed.session, &digest, key), CKR_MECHANISM_INVALID);
	assert_int_equal(C_EncryptInit(bed.session, by(&modes[0]), 0), CKR_KEY_HANDLE_INVALID);
	assert_int_equal(C_EncryptInit(bed.session, by(&modes[0]), key + 1000),
			 CKR_KEY_HANDLE_INVALID);
	assert_int_equal(C_Encrypt(bed.session, text, 16, out, &len),
			 CKR_OPERATION_NOT_INITIALIZED);
	assert_int_equal(C_DigestInit(bed.session, by(&modes[0])), CKR_MECHANISM_INVALID);
}

/* --- In parts */

static CK_ULONG open_in_parts(const struct mode *mode, CK_ULONG step)
{
	CK_ULONG at, len, done = 0;

	check(C_DecryptInit(bed.session, by(mode), key));
	for (at = 0; at < mode->sealed_len; at += step) {
		len = sizeof(out) - done;
		if (step > mode->sealed_len - at)
			step = mode->sealed_len - at;
		check(C_DecryptUpdate(bed.session, sealed + at, step, out + done, &len));
		done += len;
	}
	len = sizeof(out) - done;
	check(C_DecryptFinal(bed.session, out + done, &len));
	return done + len;
}

static void parts_of_any_size_open(void **state)
{
	size_t i, step;

	(void)state;
	for (i = 0; i < COUNT_OF(modes); i++) {
		for (step = 1; step <= 64; step++) {
			seal(&modes[i]);
			assert_int_equal(open_in_parts(&modes[i], step), sizeof(text));
			assert_memory_equal(out, text, sizeof(text));
		}
	}
}

static void gcm_gives_nothing_before_its_tag_is_verified(void **state)
{
	CK_ULONG len = sizeof(out);

	(void)state;
	seal(&modes[3]);
	check(C_DecryptInit(bed.session, by(&modes[3]), key));
	check(C_DecryptUpdate(bed.session, sealed, 70, out, &len));
	assert_int_equal(len, 0);
	len = sizeof(out);
	check(C_DecryptUpdate(bed.session, sealed + 70, 10, out, &len));
	assert_int_equal(len, 0);
	check(C_DecryptFinal(bed.session, NULL, &len));
	assert_int_equal(len, 64);
	check(C_DecryptFinal(bed.session, out, &len));
	assert_memory_equal(out, text, sizeof(text));
	sealed[0] ^= 1;
	check(C_DecryptInit(bed.session, by(&modes[3]), key));
	len = sizeof(out);
	check(C_DecryptUpdate(bed.session, sealed, 80, out, &len));
	len = sizeof(out);
	assert_int_equal(C_DecryptFinal(bed.session, out, &len), CKR_ENCRYPTED_DATA_INVALID);
}

static void parts_in_place_come_out_right(void **state)
{
	CK_ULONG len, done = 0, at;

	(void)state;
	seal(&modes[2]);
	check(C_DecryptInit(bed.session, by(&modes[2]), key));
	for (at = 0; at < 80; at += 20) {
		len = sizeof(out);
		memcpy(out, sealed + at, 20);
		check(C_DecryptUpdate(bed.session, out, 20, out, &len));
		assert_memory_equal(out, text + done, len);
		done += len;
	}
	len = sizeof(out);
	check(C_DecryptFinal(bed.session, out, &len));
	assert_int_equal(done + len, sizeof(text));
}

/* --- Digests */

static const char *const abc_sha256 =
	"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; /* FIPS 180-4 */

static void digests_follow_the_same_rules(void **state)
{
	CK_MECHANISM sha = {CKM_SHA256, NULL, 0};
	AUTO(buffer_clear) struct buffer expected = {0};
	CK_ULONG len = 0xdeadbeef;

	(void)state;
	from_hex(&expected, abc_sha256);
	check(C_DigestInit(bed.session, &sha));
	check(C_Digest(bed.session, (CK_BYTE *)"abc", 3, NULL, &len));
	assert_int_equal(len, 32);
	len = 31;
	assert_int_equal(C_Digest(bed.session, (CK_BYTE *)"abc", 3, out, &len),
			 CKR_BUFFER_TOO_SMALL);
	check(C_Digest(bed.session, (CK_BYTE *)"abc", 3, out, &len));
	assert_bytes(bytes(out, len), buffer_bytes(&expected));
	check(C_DigestInit(bed.session, &sha));
	check(C_DigestUpdate(bed.session, (CK_BYTE *)"ab", 2));
	check(C_DigestUpdate(bed.session, (CK_BYTE *)1, 0));
	check(C_DigestUpdate(bed.session, (CK_BYTE *)"c", 1));
	check(C_DigestFinal(bed.session, NULL, &len));
	check(C_DigestFinal(bed.session, out, &len));
	assert_bytes(bytes(out, len), buffer_bytes(&expected));
	assert_int_equal(C_DigestFinal(bed.session, out, &len), CKR_OPERATION_NOT_INITIALIZED);
}

static void a_digest_that_gets_no_data_ends(void **state)
{
	CK_MECHANISM sha = {CKM_SHA256, NULL, 0};

	(void)state;
	check(C_DigestInit(bed.session, &sha));
	assert_int_equal(C_DigestUpdate(bed.session, NULL, 1), CKR_ARGUMENTS_BAD);
	assert_int_equal(C_DigestUpdate(bed.session, text, 1), CKR_OPERATION_NOT_INITIALIZED);
}

static void a_key_that_may_be_read_may_be_digested(void **state)
{
	CK_MECHANISM sha = {CKM_SHA256, NULL, 0};
	CK_OBJECT_HANDLE readable = bed_key((const uint8_t *)"0123456789abcdef", 16);
	CK_ULONG len = sizeof(out);
	uint8_t expected[32];

	(void)state;
	assert_true(digest_once(DIGEST_SHA256, bytes("0123456789abcdef", 16), expected));
	check(C_DigestInit(bed.session, &sha));
	check(C_DigestKey(bed.session, readable));
	check(C_DigestFinal(bed.session, out, &len));
	assert_memory_equal(out, expected, sizeof(expected));
	check(C_DigestInit(bed.session, &sha));
	assert_int_equal(C_DigestKey(bed.session, bed.zone), CKR_KEY_INDIGESTIBLE);
	assert_int_equal(C_DigestFinal(bed.session, out, &len), CKR_OPERATION_NOT_INITIALIZED);
}

/* --- The root key */

static CK_MECHANISM by_kms = {CKM_CMEK_KMS, NULL, 0};

static void a_length_is_answered_without_the_kms(void **state)
{
	unsigned before = bed_requests();
	CK_ULONG len;

	(void)state;
	check(C_EncryptInit(bed.session, &by_kms, bed.root));
	check(C_Encrypt(bed.session, text, 64, NULL, &len));
	assert_true(len >= 64);
	check(C_EncryptInit(bed.session, NULL, 0));
	assert_int_equal(bed_requests(), before);
}

static void the_kms_is_asked_once_for_one_result(void **state)
{
	CK_ULONG len = 1, back_len = 1;
	unsigned before;

	(void)state;
	before = bed_requests();
	check(C_EncryptInit(bed.session, &by_kms, bed.root));
	assert_int_equal(C_Encrypt(bed.session, text, 64, out, &len), CKR_BUFFER_TOO_SMALL);
	check(C_Encrypt(bed.session, text, 64, out, &len));
	assert_int_equal(bed_requests(), before + 1);
	check(C_DecryptInit(bed.session, &by_kms, bed.root));
	assert_int_equal(C_Decrypt(bed.session, out, len, sealed, &back_len), CKR_BUFFER_TOO_SMALL);
	assert_int_equal(back_len, 64);
	check(C_Decrypt(bed.session, out, len, sealed, &back_len));
	assert_memory_equal(sealed, text, 64);
	assert_int_equal(bed_requests(), before + 2);
}

static void the_root_key_takes_4096_bytes(void **state)
{
	static uint8_t long_text[4097];
	CK_ULONG len = sizeof(out), got = 0;

	(void)state;
	check(C_EncryptInit(bed.session, &by_kms, bed.root));
	assert_int_equal(C_Encrypt(bed.session, long_text, 4097, out, &len), CKR_DATA_LEN_RANGE);
	check(C_EncryptInit(bed.session, &by_kms, bed.root));
	check(C_EncryptUpdate(bed.session, long_text, 4096, out, &got));
	assert_int_equal(got, 0);
	check(C_EncryptFinal(bed.session, out, &len));
	check(C_EncryptInit(bed.session, &by_kms, bed.root));
	check(C_EncryptUpdate(bed.session, long_text, 4096, out, &got));
	assert_int_equal(C_EncryptUpdate(bed.session, long_text, 1, out, &got), CKR_DATA_LEN_RANGE);
	assert_int_equal(C_EncryptFinal(bed.session, out, &len), CKR_OPERATION_NOT_INITIALIZED);
}

static void the_context_is_bound_in(void **state)
{
	char context[] = "{\"table\":\"orders\"}";
	CK_MECHANISM with = {CKM_CMEK_KMS, context, strlen(context)};
	CK_ULONG len = sizeof(out), back_len = sizeof(sealed);

	(void)state;
	check(C_EncryptInit(bed.session, &with, bed.root));
	check(C_Encrypt(bed.session, text, 64, out, &len));
	check(C_DecryptInit(bed.session, &by_kms, bed.root));
	assert_int_equal(C_Decrypt(bed.session, out, len, sealed, &back_len),
			 CKR_ENCRYPTED_DATA_INVALID);
	check(C_DecryptInit(bed.session, &with, bed.root));
	check(C_Decrypt(bed.session, out, len, sealed, &back_len));
	assert_memory_equal(sealed, text, 64);
}

static void a_result_that_waits_for_room_is_not_given_after_a_no(void **state)
{
	CK_MECHANISM pad = {CKM_AES_CBC_PAD, iv, 16}, by_zone = {CKM_CMEK_DEK_WRAP, NULL, 0};
	uint8_t wrapped[256], data[80], opened[80] = {0};
	CK_ULONG wrapped_len = sizeof(wrapped), data_len = sizeof(data), len = 10;

	(void)state;
	check(C_WrapKey(bed.session, &by_zone, bed.zone, key, wrapped, &wrapped_len));
	check(C_EncryptInit(bed.session, &pad, key));
	check(C_Encrypt(bed.session, text, 64, data, &data_len));
	check(C_DecryptInit(bed.session, &pad, key));
	assert_int_equal(C_Decrypt(bed.session, data, data_len, opened, &len),
			 CKR_BUFFER_TOO_SMALL);
	fake_kms_set(&bed.kms, TEST_ROOT_ARN, KMS_KEY_DISABLED, KMS_OK);
	fake_clock_advance(&bed.clock, 3600 * 1000);
	len = sizeof(opened);
	assert_int_equal(C_Decrypt(bed.session, data, data_len, opened, &len), CKR_FUNCTION_FAILED);
	for (size_t i = 0; i < sizeof(opened); i++)
		assert_int_equal(opened[i], 0);
	assert_int_equal(C_Decrypt(bed.session, data, data_len, opened, &len),
			 CKR_OPERATION_NOT_INITIALIZED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sealed_opens),
		cmocka_unit_test(asking_for_a_length_keeps_the_operation),
		cmocka_unit_test(too_little_room_keeps_the_operation),
		cmocka_unit_test(the_very_length_is_room_enough),
		cmocka_unit_test(data_may_be_encrypted_in_place),
		cmocka_unit_test(buffers_may_overlap_in_any_way),
		cmocka_unit_test(lengths_may_be_misaligned),
		cmocka_unit_test(no_data_may_have_any_pointer),
		cmocka_unit_test(without_an_operation_there_is_an_error),
		cmocka_unit_test(a_missing_length_ends_the_operation),
		cmocka_unit_test(missing_data_end_the_operation),
		cmocka_unit_test(data_of_a_wrong_length_end_the_operation),
		cmocka_unit_test(what_does_not_open_ends_the_operation),
		cmocka_unit_test(half_a_block_ends_a_mode_without_padding),
		cmocka_unit_test(the_last_step_ends_the_operation),
		cmocka_unit_test(asking_for_the_length_of_the_last_part_keeps_the_operation),
		cmocka_unit_test(all_at_once_does_not_follow_a_part),
		cmocka_unit_test(a_second_init_leaves_the_first),
		cmocka_unit_test(no_mechanism_cancels),
		cmocka_unit_test(an_init_that_fails_begins_nothing),
		cmocka_unit_test(parts_of_any_size_open),
		cmocka_unit_test(gcm_gives_nothing_before_its_tag_is_verified),
		cmocka_unit_test(parts_in_place_come_out_right),
		cmocka_unit_test(digests_follow_the_same_rules),
		cmocka_unit_test(a_digest_that_gets_no_data_ends),
		cmocka_unit_test(a_key_that_may_be_read_may_be_digested),
		cmocka_unit_test(a_length_is_answered_without_the_kms),
		cmocka_unit_test(the_kms_is_asked_once_for_one_result),
		cmocka_unit_test(the_root_key_takes_4096_bytes),
		cmocka_unit_test(the_context_is_bound_in),
		/* The last: it disables the key. */
		cmocka_unit_test(a_result_that_waits_for_room_is_not_given_after_a_no),
	};

	return cmocka_run_group_tests(tests, start, bed_stop);
}
