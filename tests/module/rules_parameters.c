/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Mechanism parameters as programs really pass them, and how operations are cancelled. */
#include "rules.h"
#include "tests/support/judged_fips.h"

static CK_BYTE nonce[12] = "twelve bytes";
static CK_BYTE iv[16] = "initial vector!";

static CK_ULONG encrypt(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key,
			CK_BYTE *data, CK_ULONG len, CK_BYTE *out, CK_ULONG size)
{
	check(p11->C_EncryptInit(session, by, key));
	check(p11->C_Encrypt(session, data, len, out, &size));
	return size;
}

static void the_bits_of_an_iv_are_ignored(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	static const CK_ULONG garbage[] = {0, 96, 285774608, ~0UL};
	CK_BYTE data[16] = {0}, first[32], out[32];

	for (int i = 0; i < 4; i++) {
		CK_MECHANISM *by = mechanism_gcm(nonce, 12, NULL, 0, 128);

		((CK_GCM_PARAMS *)by->pParameter)->ulIvBits = garbage[i];
		encrypt(session, by, key, data, 16, i == 0 ? first : out, 32);
		if (i > 0)
			assert_memory_equal(out, first, 32);
	}
}

/* Older releases of Java leave ulIvBits out. */
static void the_shorter_structure_of_gcm_is_accepted(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	struct {
		CK_BYTE *iv;
		CK_ULONG iv_len;
		CK_BYTE *aad;
		CK_ULONG aad_len, tag_bits;
	} shorter = {nonce, 12, iv, 16, 128};
	CK_BYTE data[16] = {0}, first[32], out[32];

	encrypt(session, mechanism_gcm(nonce, 12, iv, 16, 128), key, data, 16, first, 32);
	encrypt(session, mechanism_with(CKM_AES_GCM, &shorter, sizeof(shorter)), key, data, 16, out,
		32);
	assert_memory_equal(out, first, 32);
}

static void tags_that_are_no_tags_are_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session), zone = some_zone(session);
	static const CK_ULONG bits[] = {0, 1, 8, 88, 97, 127, 129, 136, 1024, ~0UL};
	CK_BYTE wrapped[128];

	for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
		CK_MECHANISM *by = mechanism_gcm(nonce, 12, NULL, 0, bits[i]);

		answers(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptInit(session, by, key));
		answers(CKR_MECHANISM_PARAM_INVALID, p11->C_DecryptInit(session, by, key));
		answers(CKR_MECHANISM_PARAM_INVALID,
			wrap_by(session, by, zone, key, wrapped, &(CK_ULONG){sizeof(wrapped)}));
	}
}

static void an_iv_that_is_not_there_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);

	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_EncryptInit(session, mechanism_gcm(NULL, 12, NULL, 0, 128), key));
	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_EncryptInit(session, mechanism_gcm(nonce, 0, NULL, 0, 128), key));
	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_EncryptInit(session, mechanism_gcm(nonce, 12, NULL, 5, 128), key));
}

/* OpenSSL's provider says 16 and means bytes. */
static void a_counter_of_16_bits_carries(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE counter[16] = {[13] = 1, [14] = 0xff, [15] = 0xff}, data[48] = {0};
	CK_BYTE expected[48], out[48];

	encrypt(session, mechanism_ctr(counter, 128), key, data, 48, expected, 48);
	encrypt(session, mechanism_ctr(counter, 16), key, data, 48, out, 48);
	assert_memory_equal(out, expected, 48);
	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_EncryptInit(session, mechanism_ctr(counter, 0), key));
	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_EncryptInit(session, mechanism_ctr(counter, 129), key));
}

/* Blocks that there are for a counter of so many bits, whose last bytes are these. */
static const struct {
	CK_ULONG bits;
	CK_BYTE end[9];
	CK_ULONG blocks; /* 0: more than are tried */
} counters[] = {
	{1, {0}, 2},
	{1, {[8] = 1}, 1},
	{2, {[8] = 0xfd}, 3},
	{8, {[7] = 1, [8] = 0xfe}, 2},
	{15, {[7] = 0x7f, [8] = 0xff}, 1},
	{15, {[7] = 0x80}, 0},
	{17, {[6] = 1, [7] = 0xff, [8] = 0xfe}, 2},
	{32, {[5] = 0xff, [6] = 0xff, [7] = 0xff, [8] = 0xfd}, 3},
	{32, {0}, 0},
	{64, {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, 2},
	{64, {0}, 0},
	{65, {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, 0},
	{65, {1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xfe}, 2},
	{65, {0}, 0},
	{128, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0},
};

/* PKCS #11, "AES-CTR": the last block may be enciphered, and nothing after it. */
static void a_counter_does_not_run_into_the_nonce(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE counter[16] = {0x11}, data[80] = {0}, out[80];

	for (size_t i = 0; i < sizeof(counters) / sizeof(*counters); i++) {
		CK_MECHANISM *ctr;
		CK_ULONG room = 16 * (counters[i].blocks == 0 ? 4 : counters[i].blocks), len = 80;
		bool ends = counters[i].blocks != 0;

		memcpy(counter + 7, counters[i].end, 9);
		ctr = mechanism_ctr(counter, counters[i].bits);
		encrypt(session, ctr, key, data, room, out, room);
		check(p11->C_EncryptInit(session, ctr, key));
		for (CK_ULONG at = 0; at < room; at += 8)
			check(p11->C_EncryptUpdate(session, data, 8, out, &(CK_ULONG){8}));
		answers(ends ? CKR_DATA_LEN_RANGE : CKR_OK,
			p11->C_EncryptUpdate(session, data, 1, out, &(CK_ULONG){8}));
		check(p11->C_EncryptInit(session, NULL, 0));
		check(p11->C_DecryptInit(session, ctr, key));
		answers(ends ? CKR_ENCRYPTED_DATA_LEN_RANGE : CKR_OK,
			p11->C_Decrypt(session, data, room + 1, out, &len));
	}
}

static const CK_BYTE kw_iv[8] = {0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6};

static CK_MECHANISM *java(void)
{
	return mechanism_with(CKM_AES_KEY_WRAP_PAD, kw_iv, sizeof(kw_iv));
}

static CK_OBJECT_HANDLE moved(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE key,
			      CK_ULONG expected_len)
{
	struct template *t = with_number(aes_template(), CKA_KEY_TYPE, CKK_GENERIC_SECRET);
	CK_BYTE wrapped[80];
	CK_ULONG len = sizeof(wrapped);
	CK_OBJECT_HANDLE back;

	with_bool(t, CKA_SENSITIVE, false);
	check(wrap_by(session, java(), by, key, wrapped, &len));
	assert_int_equal(len, expected_len);
	check(p11->C_UnwrapKey(session, mechanism(CKM_AES_KEY_WRAP_PAD), by, wrapped, len, t->rows,
			       t->count, &back));
	return back;
}

/* RFC 3394 after a padding by PKCS #5: CKM_AES_KEY_WRAP opens it, and shows the padding. */
static void the_number_210a_with_the_iv_of_rfc_3394_is_javas(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by = known_key(session), zone = some_zone(session);
	CK_BYTE wrapped[80], value[80], padded[40];

	for (CK_ULONG len = 8; len <= 32; len++) {
		CK_OBJECT_HANDLE key = key_import(session, CKK_GENERIC_SECRET, known_value, len);
		CK_ULONG pad = 8 - len % 8, value_len = sizeof(value);

		key = moved(session, len % 2 == 0 ? by : zone, key, len + pad + 8);
		assert_int_equal(attribute_bytes(session, key, CKA_VALUE, value, 80), len);
		assert_memory_equal(value, known_value, len);
		memcpy(padded, known_value, len);
		memset(padded + len, (int)pad, pad);
		encrypt(session, java(), by, padded, len, wrapped, len + pad + 8);
		check(p11->C_DecryptInit(session, mechanism(CKM_AES_KEY_WRAP), by));
		check(p11->C_Decrypt(session, wrapped, len + pad + 8, value, &value_len));
		assert_int_equal(value_len, len + pad);
		assert_memory_equal(value, padded, value_len);
	}
	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_EncryptInit(session, mechanism_with(CKM_AES_KEY_WRAP_KWP, kw_iv, 8), by));
	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_EncryptInit(session, mechanism_with(CKM_AES_KEY_WRAP_PAD, known_value, 8),
				   by));
}

static void a_parameter_of_length_zero_is_none(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_MECHANISM by = {CKM_AES_ECB, iv, 0};
	CK_BYTE data[16] = {0}, out[16];

	encrypt(session, &by, key, data, 16, out, 16);
	by.ulParameterLen = 16;
	answers(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptInit(session, &by, key));
	by.pParameter = NULL;
	answers(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptInit(session, &by, key));
}

static void the_standard_ivs_of_key_wrap_may_be_given(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key = known_key(session), back;
	static const CK_BYTE kw[8] = {0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6, 0xa6};
	static const CK_BYTE kwp[4] = {0xa6, 0x59, 0x59, 0xa6};
	CK_MECHANISM *by[] = {mechanism_with(CKM_AES_KEY_WRAP, kw, 8),
			      mechanism_with(CKM_AES_KEY_WRAP_KWP, kwp, 4)};
	CK_BYTE wrapped[64];

	for (int i = 0; i < 2; i++) {
		CK_ULONG len = sizeof(wrapped);

		check(wrap_by(session, by[i], zone, key, wrapped, &len));
		check(unwrap_by(session, mechanism(by[i]->mechanism), zone, wrapped, len, &back));
		assert_true(same_key(session, back, key));
	}
	answers(CKR_MECHANISM_PARAM_INVALID,
		wrap_by(session, mechanism_with(CKM_AES_KEY_WRAP, iv, 8), zone, key, wrapped,
			&(CK_ULONG){sizeof(wrapped)}));
}

static void an_init_without_a_mechanism_cancels(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE data[16] = {0};

	check(p11->C_EncryptInit(session, NULL, CK_INVALID_HANDLE));
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_EncryptInit(session, NULL, CK_INVALID_HANDLE));
	answers(CKR_OPERATION_NOT_INITIALIZED,
		p11->C_Encrypt(session, data, 16, data, &(CK_ULONG){16}));
	check(p11->C_DecryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_DecryptInit(session, NULL, key));
	answers(CKR_OPERATION_NOT_INITIALIZED,
		p11->C_Decrypt(session, data, 16, data, &(CK_ULONG){16}));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_DigestInit(session, NULL));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_DigestUpdate(session, data, 16));
}

/* Java ends what it no longer wants by giving nothing. */
static void decrypting_nothing_ends_the_operation(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	static const CK_MECHANISM_TYPE types[] = {CKM_AES_GCM, CKM_AES_CBC_PAD};
	CK_BYTE out[1];

	for (int i = 0; i < 2; i++) {
		CK_RV rv;

		check(p11->C_DecryptInit(session, fitting(types[i]), key));
		rv = p11->C_Decrypt(session, out, 0, out, &(CK_ULONG){0});
		assert_int_not_equal(rv, CKR_BUFFER_TOO_SMALL);
		answers(CKR_OPERATION_NOT_INITIALIZED,
			p11->C_Decrypt(session, out, 0, out, &(CK_ULONG){0}));
	}
}

static void nothing_may_come_with_a_dangling_pointer(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE out[16];
	CK_ULONG len = sizeof(out);

	check(p11->C_EncryptInit(session, fitting(CKM_AES_GCM), key));
	check(p11->C_Encrypt(session, (CK_BYTE *)1, 0, out, &len));
	assert_int_equal(len, 16);
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_DigestUpdate(session, (CK_BYTE *)1, 0));
	check(p11->C_EncryptInit(session, fitting(CKM_AES_GCM), key));
	check(p11->C_Encrypt(session, NULL, 0, out, &len));
}

static void a_zone_encrypts_by_every_mechanism(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	CK_BYTE data[32], out[64], back[64];

	for (size_t i = 0; i < crypt_count; i++) {
		CK_ULONG len = sizeof(out), back_len = sizeof(back);

		memset(data, (int)i, sizeof(data));
		check(p11->C_EncryptInit(session, fitting(crypt_mechanisms[i]), zone));
		check(p11->C_Encrypt(session, data, 32, out, &len));
		check(p11->C_DecryptInit(session, fitting(crypt_mechanisms[i]), zone));
		check(p11->C_Decrypt(session, out, len, back, &back_len));
		assert_int_equal(back_len, 32);
		assert_memory_equal(back, data, 32);
	}
}

static void the_wrap_of_a_zone_is_a_zones_alone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE wrapped[128];

	fails(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), known_key(session), known_key(session),
		      wrapped, &(CK_ULONG){sizeof(wrapped)}));
	answers(CKR_MECHANISM_INVALID,
		p11->C_EncryptInit(session, mechanism(CKM_CMEK_DEK_WRAP), some_zone(session)));
}

/* The lists of rules.c are by hand; whatever the module comes to offer has to be in them. Root keys
 * have a mechanism of their own, and so have chunks and messages of envelopes. */
static bool is_listed(CK_MECHANISM_TYPE type, CK_FLAGS use, const CK_MECHANISM_TYPE *list,
		      size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == type)
			return true;
	/* By CBC without padding no zone wraps: rules_wraps_params.c. */
	if (type == CKM_AES_CBC && use == CKF_WRAP)
		return true;
	return type == CKM_CMEK_KMS || type == CKM_CMEK_CHUNK || type == CKM_CMEK_MESSAGE ||
	       !fips_offers(type, use);
}

static void the_rules_are_tried_with_every_mechanism(void **state)
{
	CK_MECHANISM_TYPE types[128];
	CK_MECHANISM_INFO info;
	CK_ULONG count = 128;

	(void)state;
	check(p11->C_GetMechanismList(slot, types, &count));
	assert_true(count > crypt_count);
	for (CK_ULONG i = 0; i < count; i++) {
		check(p11->C_GetMechanismInfo(slot, types[i], &info));
		if ((info.flags & (CKF_ENCRYPT | CKF_DECRYPT)) != 0)
			assert_true(
				is_listed(types[i], CKF_ENCRYPT, crypt_mechanisms, crypt_count));
		if ((info.flags & (CKF_WRAP | CKF_UNWRAP)) != 0)
			assert_true(is_listed(types[i], CKF_WRAP, wrap_mechanisms, wrap_count));
	}
}

int rules_parameters(void)
{
	const struct CMUnitTest tests[] = {
		in_session(the_bits_of_an_iv_are_ignored),
		in_session(the_shorter_structure_of_gcm_is_accepted),
		in_session(tags_that_are_no_tags_are_refused),
		in_session(an_iv_that_is_not_there_is_refused),
		in_session(a_counter_of_16_bits_carries),
		in_session(a_counter_does_not_run_into_the_nonce),
		in_session(the_number_210a_with_the_iv_of_rfc_3394_is_javas),
		in_session(a_parameter_of_length_zero_is_none),
		in_session(the_standard_ivs_of_key_wrap_may_be_given),
		in_session(an_init_without_a_mechanism_cancels),
		in_session(decrypting_nothing_ends_the_operation),
		in_session(nothing_may_come_with_a_dangling_pointer),
		in_session(the_rules_are_tried_with_every_mechanism),
		in_session(a_zone_encrypts_by_every_mechanism),
		in_session(the_wrap_of_a_zone_is_a_zones_alone),
	};

	return run_group("parameters", tests, token_setup, token_teardown);
}
