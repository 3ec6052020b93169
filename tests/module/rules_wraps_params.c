/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_WrapKey and C_UnwrapKey by the structures that 3.2 has for them, where the module can make the
 * IV; and by AES-CBC, which authenticates nothing. */
#include "rules.h"
#include "tests/support/judged_fips.h"

enum { LEN = 32, TAG = 16, IV = 12 };

static CK_BYTE aad[] = "whose key it is";

/* --- CK_GCM_WRAP_PARAMS and CK_CCM_WRAP_PARAMS */

struct parcel {
	CK_BYTE iv[128], wrapped[LEN + TAG];
	CK_GCM_WRAP_PARAMS gcm;
	CK_CCM_WRAP_PARAMS ccm;
	CK_MECHANISM by;
};

static struct parcel *parcel_by(CK_MECHANISM_TYPE type, struct parcel *parcel)
{
	*parcel = (struct parcel){{0}};
	parcel->gcm = (CK_GCM_WRAP_PARAMS){parcel->iv, IV,	    0,	    CKG_GENERATE_RANDOM,
					   aad,	       sizeof(aad), 8 * TAG};
	parcel->ccm = (CK_CCM_WRAP_PARAMS){LEN, parcel->iv,  IV, 0, CKG_GENERATE_RANDOM,
					   aad, sizeof(aad), TAG};
	if (type == CKM_AES_GCM)
		parcel->by = (CK_MECHANISM){type, &parcel->gcm, sizeof(parcel->gcm)};
	else
		parcel->by = (CK_MECHANISM){type, &parcel->ccm, sizeof(parcel->ccm)};
	return parcel;
}

static CK_RV wrap(CK_SESSION_HANDLE session, struct parcel *parcel, CK_OBJECT_HANDLE wrapping,
		  CK_OBJECT_HANDLE key)
{
	CK_ULONG len = sizeof(parcel->wrapped);
	CK_RV rv = wrap_by(session, &parcel->by, wrapping, key, parcel->wrapped, &len);

	if (rv == CKR_OK)
		assert_int_equal(len, LEN + TAG);
	return rv;
}

static CK_RV unwrap(CK_SESSION_HANDLE session, struct parcel *parcel, CK_OBJECT_HANDLE wrapping,
		    CK_OBJECT_HANDLE *ret_key)
{
	return unwrap_by(session, &parcel->by, wrapping, parcel->wrapped, LEN + TAG, ret_key);
}

static size_t types(CK_MECHANISM_TYPE list[static 2])
{
	list[0] = CKM_AES_CCM;
	list[1] = CKM_AES_GCM;
	return fips_offers(CKM_AES_GCM, CKF_WRAP) ? 2 : 1;
}

static void the_module_makes_the_iv_by_which_a_key_is_wrapped(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by[2] = {some_zone(session), known_key(session)}, key;
	CK_OBJECT_HANDLE known = known_key(session);
	CK_MECHANISM_TYPE list[2];
	struct parcel parcel, other;

	for (size_t i = 0; i < 2 * types(list); i++) {
		CK_BYTE *fields[] = {parcel.iv, parcel.wrapped, parcel.wrapped + LEN, aad};

		parcel_by(list[i / 2], &parcel);
		parcel_by(list[i / 2], &other);
		check(wrap(session, &parcel, by[i % 2], known));
		check(wrap(session, &other, by[i % 2], known));
		assert_memory_not_equal(parcel.iv, other.iv, IV);
		check(unwrap(session, &parcel, by[i % 2], &key));
		assert_true(same_key(session, key, known));
		for (size_t f = 0; f < 4; f++) {
			fields[f][11] ^= 0x10;
			answers(CKR_WRAPPED_KEY_INVALID, unwrap(session, &parcel, by[i % 2], &key));
			fields[f][11] ^= 0x10;
		}
		answers(CKR_WRAPPED_KEY_INVALID,
			unwrap(session, &parcel, some_zone(session), &key));
	}
}

static CK_MECHANISM *as_message(CK_MECHANISM_TYPE type, const struct parcel *parcel)
{
	return type == CKM_AES_GCM ? mechanism_gcm(parcel->iv, IV, aad, sizeof(aad), 8 * TAG)
				   : mechanism_ccm(LEN, parcel->iv, IV, aad, sizeof(aad), TAG);
}

static void both_structures_make_and_open_the_same(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by = known_key(session), known = known_key(session), key;
	CK_MECHANISM_TYPE list[2];
	CK_BYTE wrapped[LEN + TAG];
	struct parcel parcel;

	for (size_t i = 0; i < types(list); i++) {
		CK_ULONG len = sizeof(wrapped);

		parcel_by(list[i], &parcel);
		parcel.gcm.ivGenerator = parcel.ccm.nonceGenerator = CKG_NO_GENERATE;
		memset(parcel.iv, 0x5a, IV);
		check(wrap(session, &parcel, by, known));
		assert_int_equal(parcel.iv[0], 0x5a);
		check(wrap_by(session, as_message(list[i], &parcel), by, known, wrapped, &len));
		assert_memory_equal(wrapped, parcel.wrapped, sizeof(wrapped));
		check(unwrap_by(session, as_message(list[i], &parcel), by, parcel.wrapped,
				LEN + TAG, &key));
		assert_true(same_key(session, key, known));
		parcel.gcm.ulIvFixedBits = parcel.ccm.ulNonceFixedBits = ~0UL;
		parcel.gcm.ivGenerator = parcel.ccm.nonceGenerator = 6;
		check(unwrap(session, &parcel, by, &key)); /* which passes over both */
	}
}

/* Its own, or CK_GCM_PARAMS: what FIPS refuses ends the test there. */
static void gcm_wraps_by_an_iv_of_the_modules_and_with_fips_by_no_other(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by[2] = {some_zone(session), known_key(session)}, key;
	CK_OBJECT_HANDLE known = known_key(session);
	CK_GENERATOR_FUNCTION makers[] = {CKG_GENERATE, CKG_GENERATE_RANDOM};
	CK_BYTE wrapped[LEN + TAG];
	CK_ULONG len = sizeof(wrapped);
	struct parcel parcel;

	for (size_t i = 0; i < 4; i++) {
		parcel_by(CKM_AES_GCM, &parcel)->gcm.ivGenerator = makers[i / 2];
		check(wrap(session, &parcel, by[i % 2], known));
		check(unwrap(session, &parcel, by[i % 2], &key));
		assert_true(same_key(session, key, known));
	}
	check(wrap_by(session, as_message(CKM_AES_GCM, &parcel), by[1], known, wrapped, &len));
	assert_memory_equal(wrapped, parcel.wrapped, sizeof(wrapped));
}

static void a_length_query_takes_no_iv(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by, key = known_key(session);
	CK_MECHANISM_TYPE list[2];
	struct parcel parcel;

	for (size_t i = 0; i < types(list); i++) {
		by = key_generate(session, with_number(aes_template(), CKA_VALUE_LEN, 32));
		parcel_by(list[i], &parcel);
		parcel.gcm.ivGenerator = parcel.ccm.nonceGenerator = CKG_GENERATE_COUNTER;
		for (int n = 0; n < 3; n++) {
			CK_ULONG len = 0;

			check(wrap_by(session, &parcel.by, by, key, NULL, &len));
			assert_int_equal(len, LEN + TAG);
			len--;
			answers(CKR_BUFFER_TOO_SMALL,
				wrap_by(session, &parcel.by, by, key, parcel.wrapped, &len));
			check(wrap(session, &parcel, by, key));
			assert_int_equal(parcel.iv[IV - 1], n);
		}
	}
}

static void refused(CK_SESSION_HANDLE session, struct parcel *parcel, CK_MECHANISM_TYPE type)
{
	CK_OBJECT_HANDLE by = known_key(session), key;
	struct parcel good;

	answers(CKR_MECHANISM_PARAM_INVALID, wrap(session, parcel, by, known_key(session)));
	check(wrap(session, parcel_by(type, &good), by, known_key(session)));
	check(unwrap(session, &good, by, &key));
}

static void a_structure_that_is_wrong_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_MECHANISM_TYPE list[2];
	struct parcel parcel;

	for (size_t i = 0; i < types(list); i++) {
		parcel_by(list[i], &parcel);
		parcel.gcm.pIv = parcel.ccm.pNonce = NULL;
		refused(session, &parcel, list[i]);
		parcel_by(list[i], &parcel);
		parcel.gcm.pAAD = parcel.ccm.pAAD = NULL;
		refused(session, &parcel, list[i]);
		parcel_by(list[i], &parcel);
		parcel.gcm.ulTagBits = 64;
		parcel.ccm.ulMACLen = 8;
		refused(session, &parcel, list[i]);
		parcel_by(list[i], &parcel);
		parcel.gcm.ivGenerator = parcel.ccm.nonceGenerator = 6;
		refused(session, &parcel, list[i]);
		parcel_by(list[i], &parcel);
		parcel.gcm.ulIvFixedBits = parcel.ccm.ulNonceFixedBits = 8 * IV;
		refused(session, &parcel, list[i]);
		parcel_by(list[i], &parcel);
		parcel.gcm.ulIvLen = parcel.ccm.ulNonceLen = 0;
		refused(session, &parcel, list[i]);
		parcel_by(list[i], &parcel)->by.ulParameterLen--;
		refused(session, &parcel, list[i]);
	}
}

/* What OpenSSL takes: docs/mechanisms.md. */
static void an_iv_of_gcm_has_128_bytes_at_most(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE iv[256] = {0}, out[64], back[64];
	CK_ULONG len = sizeof(out), back_len = sizeof(back);

	check(p11->C_EncryptInit(session, mechanism_gcm(iv, 128, NULL, 0, 128), key));
	check(p11->C_Encrypt(session, iv, 16, out, &len));
	check(p11->C_DecryptInit(session, mechanism_gcm(iv, 128, NULL, 0, 128), key));
	check(p11->C_Decrypt(session, out, len, back, &back_len));
	for (CK_ULONG n = 129; n <= 256; n += 127)
		for (int i = 0; i < 2; i++) {
			CK_MECHANISM *by = mechanism_gcm(iv, n, NULL, 0, 128);

			answers(CKR_MECHANISM_PARAM_INVALID,
				i == 0 ? p11->C_EncryptInit(session, by, key)
				       : p11->C_DecryptInit(session, by, key));
		}
}

/* --- AES-CBC */

static CK_OBJECT_HANDLE imported_with(CK_SESSION_HANDLE session, CK_ATTRIBUTE_TYPE one,
				      CK_ATTRIBUTE_TYPE other)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
	CK_OBJECT_HANDLE key;

	with_number(t, CKA_KEY_TYPE, CKK_AES);
	with(t, CKA_VALUE, known_value, sizeof(known_value));
	with_bool(t, one, true);
	with_bool(t, other, true);
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	return key;
}

static void a_zone_refuses_to_wrap_by_cbc_without_padding(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key;
	CK_BYTE wrapped[LEN] = {0};
	CK_ULONG len = sizeof(wrapped);

	answers(CKR_WRAPPING_KEY_TYPE_INCONSISTENT,
		wrap_by(session, fitting(CKM_AES_CBC), zone, known_key(session), wrapped, &len));
	answers(CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT,
		unwrap_by(session, fitting(CKM_AES_CBC), zone, wrapped, sizeof(wrapped), &key));
}

static void what_unwraps_by_cbc_may_decrypt(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE known = known_key(session), key;
	CK_OBJECT_HANDLE one = imported_with(session, CKA_WRAP, CKA_UNWRAP);
	CK_OBJECT_HANDLE other = imported_with(session, CKA_DECRYPT, CKA_UNWRAP);
	CK_BYTE wrapped[LEN];
	CK_ULONG len = sizeof(wrapped);

	check(wrap_by(session, fitting(CKM_AES_CBC), one, known, wrapped, &len));
	assert_int_equal(len, LEN);
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		unwrap_by(session, fitting(CKM_AES_CBC), one, wrapped, len, &key));
	check(unwrap_by(session, fitting(CKM_AES_CBC), other, wrapped, len, &key));
	assert_true(same_key(session, key, known));
}

/* A last block of few bytes and zeros, unwrapped alone, would be guessed. */
static void cbc_wraps_whole_blocks_alone(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by = known_key(session), key;
	CK_OBJECT_HANDLE long_key = key_import(session, CKK_GENERIC_SECRET, known_value, 24);
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 24);
	CK_BYTE wrapped[64] = {0};
	CK_ULONG len = sizeof(wrapped);

	answers(CKR_KEY_SIZE_RANGE,
		wrap_by(session, fitting(CKM_AES_CBC), by, long_key, wrapped, &len));
	answers(CKR_WRAPPED_KEY_LEN_RANGE,
		unwrap_by(session, fitting(CKM_AES_CBC), by, wrapped, 24, &key));
	answers(CKR_WRAPPED_KEY_LEN_RANGE,
		unwrap_by(session, fitting(CKM_AES_CBC), by, wrapped, 0, &key));
	answers(CKR_TEMPLATE_INCONSISTENT, p11->C_UnwrapKey(session, fitting(CKM_AES_CBC), by,
							    wrapped, 32, t->rows, t->count, &key));
}

int rules_wraps_params(void)
{
	const struct CMUnitTest tests[] = {
		in_session(the_module_makes_the_iv_by_which_a_key_is_wrapped),
		in_session(both_structures_make_and_open_the_same),
		in_session(gcm_wraps_by_an_iv_of_the_modules_and_with_fips_by_no_other),
		in_session(a_length_query_takes_no_iv),
		in_session(a_structure_that_is_wrong_is_refused),
		in_session(an_iv_of_gcm_has_128_bytes_at_most),
		in_session(a_zone_refuses_to_wrap_by_cbc_without_padding),
		in_session(what_unwraps_by_cbc_may_decrypt),
		in_session(cbc_wraps_whole_blocks_alone),
	};

	return run_group("ways to wrap", tests, token_setup, token_teardown);
}
