/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_Sign and C_Verify: what their vectors (vectors_macs.c) do not say. */
#include "rules.h"

#include "tests/support/judged_fips.h"

static CK_BYTE text[48] = "what is signed stands here, and goes on for long";

static const struct mac_row {
	CK_MECHANISM_TYPE type, general; /* 0: it has none */
	CK_KEY_TYPE key_type;
	CK_MECHANISM_TYPE makes_keys;
	CK_ULONG len;
} rows[] = {
	{CKM_SHA_1_HMAC, CKM_SHA_1_HMAC_GENERAL, CKK_SHA_1_HMAC, CKM_SHA_1_KEY_GEN, 20},
	{CKM_SHA224_HMAC, CKM_SHA224_HMAC_GENERAL, CKK_SHA224_HMAC, CKM_SHA224_KEY_GEN, 28},
	{CKM_SHA256_HMAC, CKM_SHA256_HMAC_GENERAL, CKK_SHA256_HMAC, CKM_SHA256_KEY_GEN, 32},
	{CKM_SHA384_HMAC, CKM_SHA384_HMAC_GENERAL, CKK_SHA384_HMAC, CKM_SHA384_KEY_GEN, 48},
	{CKM_SHA512_HMAC, CKM_SHA512_HMAC_GENERAL, CKK_SHA512_HMAC, CKM_SHA512_KEY_GEN, 64},
	{CKM_SHA512_224_HMAC, CKM_SHA512_224_HMAC_GENERAL, CKK_SHA512_224_HMAC,
	 CKM_SHA512_224_KEY_GEN, 28},
	{CKM_SHA512_256_HMAC, CKM_SHA512_256_HMAC_GENERAL, CKK_SHA512_256_HMAC,
	 CKM_SHA512_256_KEY_GEN, 32},
	{CKM_SHA3_224_HMAC, CKM_SHA3_224_HMAC_GENERAL, CKK_SHA3_224_HMAC, CKM_SHA3_224_KEY_GEN, 28},
	{CKM_SHA3_256_HMAC, CKM_SHA3_256_HMAC_GENERAL, CKK_SHA3_256_HMAC, CKM_SHA3_256_KEY_GEN, 32},
	{CKM_SHA3_384_HMAC, CKM_SHA3_384_HMAC_GENERAL, CKK_SHA3_384_HMAC, CKM_SHA3_384_KEY_GEN, 48},
	{CKM_SHA3_512_HMAC, CKM_SHA3_512_HMAC_GENERAL, CKK_SHA3_512_HMAC, CKM_SHA3_512_KEY_GEN, 64},
	{CKM_AES_CMAC, CKM_AES_CMAC_GENERAL, CKK_AES, CKM_AES_KEY_GEN, 16},
	{CKM_AES_GMAC, 0, CKK_AES, CKM_AES_KEY_GEN, 16},
};
#define ROW_COUNT (sizeof(rows) / sizeof(*rows))
/* GMAC is only verified with FIPS. */
#define for_each_row(row)                                                                          \
	for (const struct mac_row *row = rows; (row) < rows + ROW_COUNT; (row)++)                  \
		if (fips_offers((row)->type, CKF_SIGN))

static CK_MECHANISM *whole(const struct mac_row *row)
{
	return row->type == CKM_AES_GMAC ? mechanism_with(row->type, "twelve bytes", 12)
					 : mechanism(row->type);
}

static CK_MECHANISM *cut(const struct mac_row *row, CK_ULONG len)
{
	return mechanism_with(row->general, &len, sizeof(len));
}

/* Of 32 bytes, for these uses alone: CKA_SIGN, CKA_VERIFY. */
static struct template *key_template(CK_KEY_TYPE type, bool sign, bool verify)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);

	with_number(t, CKA_KEY_TYPE, type);
	with_bool(t, CKA_SIGN, sign);
	with_bool(t, CKA_VERIFY, verify);
	return t;
}

static CK_OBJECT_HANDLE created(CK_SESSION_HANDLE session, struct template *t)
{
	CK_OBJECT_HANDLE key;

	with(t, CKA_VALUE, known_value, sizeof(known_value));
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	return key;
}

static CK_OBJECT_HANDLE key_of(CK_SESSION_HANDLE session, const struct mac_row *row)
{
	return created(session, key_template(row->key_type, true, true));
}

static void sign(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key,
		 CK_BYTE mac[static 64], CK_ULONG expected_len)
{
	CK_ULONG len = 64;

	check(p11->C_SignInit(session, by, key));
	check(p11->C_Sign(session, text, sizeof(text), mac, &len));
	assert_int_equal(len, expected_len);
}

static CK_RV verify(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE key, CK_BYTE *mac,
		    CK_ULONG len)
{
	CK_RV rv = p11->C_VerifyInit(session, by, key);

	return rv != CKR_OK ? rv : p11->C_Verify(session, text, sizeof(text), mac, len);
}

static void every_bit_of_a_mac_counts(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE mac[64];

	for_each_row(row)
	{
		CK_OBJECT_HANDLE key = key_of(session, row);

		sign(session, whole(row), key, mac, row->len);
		check(verify(session, whole(row), key, mac, row->len));
		for (CK_ULONG bit = 0; bit < 8 * row->len; bit++) {
			mac[bit / 8] ^= (CK_BYTE)(1 << bit % 8);
			answers(CKR_SIGNATURE_INVALID,
				verify(session, whole(row), key, mac, row->len));
			mac[bit / 8] ^= (CK_BYTE)(1 << bit % 8);
		}
		text[3] ^= 1;
		answers(CKR_SIGNATURE_INVALID, verify(session, whole(row), key, mac, row->len));
		text[3] ^= 1;
	}
}

/* Nobody may pass a short one for the whole. */
static void a_mac_has_the_length_that_was_said(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE mac[65] = {0};

	for_each_row(row)
	{
		CK_OBJECT_HANDLE key = key_of(session, row);

		sign(session, whole(row), key, mac, row->len);
		for (CK_ULONG len = 0; len <= 65; len++)
			answers(len == row->len ? CKR_OK : CKR_SIGNATURE_LEN_RANGE,
				verify(session, whole(row), key, mac, len));
		if (row->general == 0)
			continue;
		for (CK_ULONG len = 0; len <= 65; len++)
			answers(len == 8 ? CKR_OK : CKR_SIGNATURE_LEN_RANGE,
				verify(session, cut(row, 8), key, mac, len));
	}
}

static void a_mac_is_cut_to_4_bytes_at_least(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	for_each_row(row)
	{
		CK_OBJECT_HANDLE key = key_of(session, row);

		if (row->general == 0)
			continue;
		for (CK_ULONG len = 0; len <= 70; len++) {
			CK_RV expected =
				len >= 4 && len <= row->len ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;

			answers(expected, p11->C_SignInit(session, cut(row, len), key));
			answers(expected, p11->C_VerifyInit(session, cut(row, len), key));
			check(p30->C_SessionCancel(session, CKF_SIGN | CKF_VERIFY));
		}
		answers(CKR_MECHANISM_PARAM_INVALID, p11->C_SignInit(session, cut(row, ~0UL), key));
		answers(CKR_MECHANISM_PARAM_INVALID,
			p11->C_SignInit(session, mechanism(row->general), key));
		answers(CKR_MECHANISM_PARAM_INVALID,
			p11->C_SignInit(session, mechanism_with(row->type, text, 8), key));
	}
}

static void gmac_takes_no_associated_data_beside_what_is_signed(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = created(session, key_template(CKK_AES, true, true));
	CK_GCM_PARAMS params = {.pIv = text, .ulIvLen = 12, .pAAD = text, .ulTagBits = 128};

	check(p11->C_VerifyInit(session, mechanism_with(CKM_AES_GMAC, &params, sizeof(params)),
				key));
	check(p11->C_VerifyInit(session, NULL, 0));
	params.ulAADLen = 1;
	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_VerifyInit(session, mechanism_with(CKM_AES_GMAC, &params, sizeof(params)),
				  key));
	for (CK_ULONG len = 0; len < 17; len++) {
		if (len != 12)
			answers(CKR_MECHANISM_PARAM_INVALID,
				p11->C_VerifyInit(session, mechanism_with(CKM_AES_GMAC, text, len),
						  key));
	}
}

static void whoever_lacks_room_may_come_again(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE mac[64], again[64];

	for_each_row(row)
	{
		CK_OBJECT_HANDLE key = key_of(session, row);
		CK_ULONG len = 0;

		sign(session, whole(row), key, mac, row->len);
		check(p11->C_SignInit(session, whole(row), key));
		check(p11->C_Sign(session, text, sizeof(text), NULL, &len));
		assert_int_equal(len--, row->len);
		answers(CKR_BUFFER_TOO_SMALL,
			p11->C_Sign(session, text, sizeof(text), again, &len));
		assert_int_equal(len, row->len);
		check(p11->C_Sign(session, text, sizeof(text), again, &len));
		assert_memory_equal(again, mac, row->len);
		check(p11->C_SignInit(session, whole(row), key));
		check(p11->C_SignUpdate(session, text, sizeof(text)));
		check(p11->C_SignFinal(session, NULL, &len));
		assert_int_equal(len--, row->len);
		answers(CKR_BUFFER_TOO_SMALL, p11->C_SignFinal(session, again, &len));
		check(p11->C_SignFinal(session, again, &len));
		assert_memory_equal(again, mac, row->len);
	}
}

/* --- How operations begin and end */

static void a_mac_is_begun_before_it_is_used_and_ends_once(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_of(session, &rows[2]);
	CK_BYTE mac[64];
	CK_ULONG len = sizeof(mac);

	for (int round = 0; round < 2; round++) {
		answers(CKR_OPERATION_NOT_INITIALIZED,
			p11->C_Sign(session, text, sizeof(text), mac, &len));
		answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignUpdate(session, text, 1));
		answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignFinal(session, mac, &len));
		answers(CKR_OPERATION_NOT_INITIALIZED,
			p11->C_Verify(session, text, sizeof(text), mac, len));
		answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyUpdate(session, text, 1));
		answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyFinal(session, mac, len));
		sign(session, whole(&rows[2]), key, mac, 32);
		check(verify(session, whole(&rows[2]), key, mac, 32));
	}
	check(p11->C_SignInit(session, whole(&rows[2]), key));
	answers(CKR_OPERATION_ACTIVE, p11->C_SignInit(session, whole(&rows[2]), key));
	check(p11->C_SignInit(session, NULL, 0));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_SignFinal(session, mac, &len));
}

static void the_whole_can_not_follow_a_part(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_of(session, &rows[2]);
	CK_BYTE mac[64];
	CK_ULONG len = sizeof(mac);

	check(p11->C_SignInit(session, whole(&rows[2]), key));
	check(p11->C_SignUpdate(session, text, 1));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_Sign(session, text, 1, mac, &len));
	check(p11->C_VerifyInit(session, whole(&rows[2]), key));
	check(p11->C_VerifyUpdate(session, text, 1));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_Verify(session, text, 1, mac, 32));
}

static void a_bad_argument_ends_a_mac(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = key_of(session, &rows[11]);
	CK_BYTE mac[64];
	CK_ULONG len = sizeof(mac);

	check(p11->C_SignInit(session, whole(&rows[11]), key));
	answers(CKR_ARGUMENTS_BAD, p11->C_Sign(session, NULL, 1, mac, &len));
	check(p11->C_SignInit(session, whole(&rows[11]), key));
	answers(CKR_ARGUMENTS_BAD, p11->C_Sign(session, text, 1, mac, NULL));
	check(p11->C_SignInit(session, whole(&rows[11]), key));
	answers(CKR_ARGUMENTS_BAD, p11->C_SignUpdate(session, NULL, 1));
	check(p11->C_VerifyInit(session, whole(&rows[11]), key));
	answers(CKR_ARGUMENTS_BAD, p11->C_Verify(session, NULL, 1, mac, 16));
	check(p11->C_VerifyInit(session, whole(&rows[11]), key));
	answers(CKR_ARGUMENTS_BAD, p11->C_Verify(session, text, 1, NULL, 16));
	check(p11->C_VerifyInit(session, whole(&rows[11]), key));
	answers(CKR_ARGUMENTS_BAD, p11->C_VerifyFinal(session, NULL, 0));
	answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyFinal(session, mac, 16));
}

/* Of one key, in one session, in parts that alternate. */
static void all_kinds_of_operation_stand_beside_each_other(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(key_template(CKK_AES, true, true), CKA_ENCRYPT, true);
	CK_OBJECT_HANDLE key = created(session, t), other = key_of(session, &rows[2]);
	CK_BYTE mac[64], again[64], block[64];
	CK_ULONG len = sizeof(again);

	sign(session, mechanism(CKM_AES_CMAC), key, mac, 16);
	check(p11->C_SignInit(session, mechanism(CKM_AES_CMAC), key));
	check(p11->C_VerifyInit(session, mechanism(CKM_AES_CMAC), key));
	check(p11->C_EncryptInit(session, mechanism(CKM_AES_ECB), key));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	for (CK_ULONG at = 0; at < sizeof(text); at += 16) {
		check(p11->C_SignUpdate(session, text + at, 16));
		check(p11->C_EncryptUpdate(session, text + at, 16, block, &(CK_ULONG){64}));
		check(p11->C_VerifyUpdate(session, text + at, 16));
		check(p11->C_DigestUpdate(session, text + at, 16));
	}
	check(p11->C_SignFinal(session, again, &len));
	assert_memory_equal(again, mac, 16);
	/* Another key is signed with meanwhile. */
	sign(session, whole(&rows[2]), other, again, 32);
	check(p11->C_VerifyFinal(session, mac, 16));
	check(p11->C_EncryptFinal(session, block, &(CK_ULONG){64}));
	check(p11->C_DigestFinal(session, block, &(CK_ULONG){64}));
}

/* --- Which keys */

static void a_key_signs_only_if_its_template_said_so(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE mac[64];

	for_each_row(row)
	{
		CK_OBJECT_HANDLE usual =
			created(session, with_bool(key_template(row->key_type, false, false),
						   CKA_ENCRYPT, true));
		CK_OBJECT_HANDLE signs = created(session, key_template(row->key_type, true, false));
		CK_OBJECT_HANDLE looks = created(session, key_template(row->key_type, false, true));

		answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
			p11->C_SignInit(session, whole(row), usual));
		answers(CKR_KEY_FUNCTION_NOT_PERMITTED, verify(session, whole(row), usual, mac, 1));
		answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
			p11->C_SignInit(session, whole(row), looks));
		answers(CKR_KEY_FUNCTION_NOT_PERMITTED, verify(session, whole(row), signs, mac, 1));
		sign(session, whole(row), signs, mac, row->len);
		check(verify(session, whole(row), looks, mac, row->len));
	}
}

/* A key that both encrypts and signs can give away by the one what the other needs. */
static void a_key_for_macs_alone_encrypts_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = created(session, key_template(CKK_AES, true, true));
	CK_OBJECT_HANDLE usual = known_key(session);

	for (size_t i = 0; i < crypt_count; i++)
		answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
			p11->C_EncryptInit(session, fitting(crypt_mechanisms[i]), key));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		p11->C_SignInit(session, mechanism(CKM_AES_CMAC), usual));
	assert_false(attribute_bool(session, usual, CKA_SIGN));
	assert_false(attribute_bool(session, key, CKA_ENCRYPT));
}

static void each_type_of_key_is_for_its_own_mac(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	for_each_row(row)
	{
		CK_OBJECT_HANDLE key = key_of(session, row);
		CK_OBJECT_HANDLE generic =
			created(session, key_template(CKK_GENERIC_SECRET, true, true));

		for_each_row(other)
		{
			answers(row->key_type == other->key_type ? CKR_OK
								 : CKR_KEY_TYPE_INCONSISTENT,
				p11->C_SignInit(session, whole(other), key));
			check(p11->C_SignInit(session, NULL, 0));
		}
		answers(row->key_type == CKK_AES ? CKR_KEY_TYPE_INCONSISTENT : CKR_OK,
			p11->C_SignInit(session, whole(row), generic));
		check(p11->C_SignInit(session, NULL, 0));
	}
}

/* An EZK itself does nothing, and no key for MACs is derived from it. */
static void a_zone_signs_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);

	for_each_row(row)
	{
		answers(CKR_KEY_TYPE_INCONSISTENT, p11->C_SignInit(session, whole(row), zone));
		answers(CKR_KEY_TYPE_INCONSISTENT, p11->C_VerifyInit(session, whole(row), zone));
	}
}

static void a_list_of_allowed_mechanisms_holds_for_macs(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_MECHANISM_TYPE allowed = CKM_SHA256_HMAC_GENERAL;
	struct template *t = key_template(CKK_GENERIC_SECRET, true, true);
	CK_OBJECT_HANDLE key =
		created(session, with(t, CKA_ALLOWED_MECHANISMS, &allowed, sizeof(allowed)));

	answers(CKR_MECHANISM_INVALID, p11->C_SignInit(session, mechanism(CKM_SHA256_HMAC), key));
	check(p11->C_SignInit(session, cut(&rows[2], 16), key));
	check(p11->C_SignInit(session, NULL, 0));
}

static void a_session_and_a_token_have_keys_for_macs_which_zones_wrap(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key, back;
	CK_BYTE mac[64], wrapped[256];
	CK_ULONG len = sizeof(wrapped);

	for (size_t i = 0; i < 2 * 11; i++) {
		const struct mac_row *row = &rows[i / 2];
		struct template *t = key_template(row->key_type, true, true);

		with_bool(t, CKA_TOKEN, i % 2 == 1);
		with_bool(t, CKA_EXTRACTABLE, true);
		with_number(t, CKA_VALUE_LEN, 40);
		check(p11->C_GenerateKey(session, mechanism(row->makes_keys), t->rows, t->count,
					 &key));
		assert_int_equal(attribute_number(session, key, CKA_KEY_TYPE), row->key_type);
		assert_int_equal(attribute_number(session, key, CKA_KEY_GEN_MECHANISM),
				 row->makes_keys);
		sign(session, whole(row), key, mac, row->len);
		if (i % 2 == 1)
			continue;
		check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, key, wrapped, &len));
		t = key_template(row->key_type, false, true);
		check(p11->C_UnwrapKey(session, mechanism(CKM_CMEK_DEK_WRAP), zone, wrapped, len,
				       t->rows, t->count, &back));
		check(verify(session, whole(row), back, mac, row->len));
		len = sizeof(wrapped);
	}
}

static void keys_of_less_than_112_bits_are_for_no_mac_with_fips(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = key_template(CKK_GENERIC_SECRET, true, true);
	CK_OBJECT_HANDLE key;

	with(t, CKA_VALUE, known_value, 13);
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	answers(fips_takes_key(13) ? CKR_OK : CKR_KEY_SIZE_RANGE,
		module_list->C_SignInit(session, mechanism(CKM_SHA256_HMAC), key));
	check(p11->C_SignInit(session, NULL, 0));
	t = with_number(key_template(CKK_SHA256_HMAC, true, true), CKA_VALUE_LEN, 13);
	answers(fips_takes_key(13) ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID,
		module_list->C_GenerateKey(session, mechanism(CKM_SHA256_KEY_GEN), t->rows,
					   t->count, &key));
	t = with_number(key_template(CKK_GENERIC_SECRET, true, true), CKA_VALUE_LEN, 13);
	answers(fips_takes_key(13) ? CKR_OK : CKR_ATTRIBUTE_VALUE_INVALID,
		module_list->C_GenerateKey(session, mechanism(CKM_GENERIC_SECRET_KEY_GEN), t->rows,
					   t->count, &key));
}

int rules_macs(void)
{
	const struct CMUnitTest tests[] = {
		in_session(every_bit_of_a_mac_counts),
		in_session(a_mac_has_the_length_that_was_said),
		in_session(a_mac_is_cut_to_4_bytes_at_least),
		in_session(gmac_takes_no_associated_data_beside_what_is_signed),
		in_session(whoever_lacks_room_may_come_again),
		in_session(a_mac_is_begun_before_it_is_used_and_ends_once),
		in_session(the_whole_can_not_follow_a_part),
		in_session(a_bad_argument_ends_a_mac),
		in_session(all_kinds_of_operation_stand_beside_each_other),
		in_session(a_key_signs_only_if_its_template_said_so),
		in_session(a_key_for_macs_alone_encrypts_nothing),
		in_session(each_type_of_key_is_for_its_own_mac),
		in_session(a_zone_signs_nothing),
		in_session(a_list_of_allowed_mechanisms_holds_for_macs),
		in_session(a_session_and_a_token_have_keys_for_macs_which_zones_wrap),
		in_session(keys_of_less_than_112_bits_are_for_no_mac_with_fips),
	};

	return run_group("MACs", tests, token_setup, token_teardown);
}
