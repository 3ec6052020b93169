/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_WrapKeyAuthenticated and C_UnwrapKeyAuthenticated (3.2): the tag is apart. */
#include "rules.h"
#include "tests/support/judged_fips.h"

enum { LEN = 32, TAG = 16 };

static CK_C_WrapKeyAuthenticated wrap_key;
static CK_C_UnwrapKeyAuthenticated unwrap_key;

static CK_BYTE aad[] = "whose key it is";

/* A wrapped key, and what goes along with it. */
struct parcel {
	CK_BYTE iv[12], tag[TAG], wrapped[LEN];
	CK_GCM_MESSAGE_PARAMS gcm;
	CK_CCM_MESSAGE_PARAMS ccm;
	CK_MECHANISM by;
};

static struct parcel *parcel_by(CK_MECHANISM_TYPE type, struct parcel *parcel)
{
	*parcel = (struct parcel){{0}};
	parcel->gcm = (CK_GCM_MESSAGE_PARAMS){parcel->iv,	   12,		0,
					      CKG_GENERATE_RANDOM, parcel->tag, 8 * TAG};
	parcel->ccm = (CK_CCM_MESSAGE_PARAMS){LEN,	   parcel->iv, 12, 0, CKG_GENERATE_RANDOM,
					      parcel->tag, TAG};
	if (type == CKM_AES_GCM)
		parcel->by = (CK_MECHANISM){type, &parcel->gcm, sizeof(parcel->gcm)};
	else
		parcel->by = (CK_MECHANISM){type, &parcel->ccm, sizeof(parcel->ccm)};
	return parcel;
}

static CK_RV wrap(CK_SESSION_HANDLE session, struct parcel *parcel, CK_OBJECT_HANDLE wrapping,
		  CK_OBJECT_HANDLE key)
{
	CK_ULONG len = LEN;
	CK_RV rv = wrap_key(session, &parcel->by, wrapping, key, aad, sizeof(aad), parcel->wrapped,
			    &len);

	if (rv == CKR_OK)
		assert_int_equal(len, LEN);
	return rv;
}

static CK_RV unwrap(CK_SESSION_HANDLE session, struct parcel *parcel, CK_OBJECT_HANDLE wrapping,
		    CK_OBJECT_HANDLE *ret_key)
{
	struct template *t = aes_template();

	return unwrap_key(session, &parcel->by, wrapping, parcel->wrapped, LEN, t->rows, t->count,
			  aad, sizeof(aad), ret_key);
}

static int load(void **state)
{
	void *one, *other;

	if (token_setup(state) != 0)
		return -1;
	one = module_symbol("C_WrapKeyAuthenticated");
	other = module_symbol("C_UnwrapKeyAuthenticated");
	memcpy(&wrap_key, &one, sizeof(one));
	memcpy(&unwrap_key, &other, sizeof(other));
	return 0;
}

/* The mechanisms that wrap in this run; a module that watches ours may have nothing of 3.2. */
static size_t types(CK_MECHANISM_TYPE list[static 2])
{
	if (wrap_key == NULL)
		skip_because("the module has no functions of 3.2");
	list[0] = CKM_AES_CCM;
	list[1] = CKM_AES_GCM;
	return fips_offers(CKM_AES_GCM, CKF_WRAP) ? 2 : 1;
}

static void has_known_value(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	CK_BYTE value[LEN];

	assert_int_equal(attribute_bytes(session, key, CKA_VALUE, value, LEN), LEN);
	assert_memory_equal(value, known_value, LEN);
}

static void what_is_wrapped_unwraps_and_nothing_else_does(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by[2] = {some_zone(session), known_key(session)}, key;
	CK_MECHANISM_TYPE list[2];
	struct parcel parcel, other;

	for (size_t i = 0; i < 2 * types(list); i++) {
		CK_BYTE *fields[] = {parcel.iv, parcel.tag, parcel.wrapped, aad};

		parcel_by(list[i / 2], &parcel);
		parcel_by(list[i / 2], &other);
		check(wrap(session, &parcel, by[i % 2], known_key(session)));
		check(wrap(session, &other, by[i % 2], known_key(session)));
		assert_memory_not_equal(parcel.iv, other.iv, 12);
		check(unwrap(session, &parcel, by[i % 2], &key));
		has_known_value(session, key);
		for (size_t f = 0; f < 4; f++) {
			fields[f][11] ^= 0x10;
			answers(CKR_WRAPPED_KEY_INVALID, unwrap(session, &parcel, by[i % 2], &key));
			fields[f][11] ^= 0x10;
		}
		answers(CKR_WRAPPED_KEY_INVALID,
			unwrap(session, &parcel, some_zone(session), &key));
		check(unwrap(session, &parcel, by[i % 2], &key));
	}
}

static void gcm_wraps_by_an_iv_of_the_modules_and_with_fips_by_no_other(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by = some_zone(session), key;
	struct parcel parcel;

	if (wrap_key == NULL)
		skip_because("the module has no functions of 3.2");
	check(wrap(session, parcel_by(CKM_AES_GCM, &parcel), by, known_key(session)));
	check(unwrap(session, &parcel, by, &key));
	has_known_value(session, key);
	parcel.gcm.ivGenerator = CKG_NO_GENERATE;
	answers(fips_offers(CKM_AES_GCM, CKF_WRAP) ? CKR_OK : CKR_MECHANISM_PARAM_INVALID,
		wrap(session, &parcel, by, known_key(session)));
}

static void c_unwrap_key_opens_it_with_its_tag(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), key;
	CK_BYTE joined[LEN + TAG];
	CK_MECHANISM_TYPE list[2];
	struct parcel parcel;

	for (size_t i = 0; i < types(list); i++) {
		CK_MECHANISM *same;
		CK_ULONG len = sizeof(joined);

		parcel_by(list[i], &parcel);
		check(wrap(session, &parcel, zone, known_key(session)));
		memcpy(joined, parcel.wrapped, LEN);
		memcpy(joined + LEN, parcel.tag, TAG);
		same = list[i] == CKM_AES_GCM
			       ? mechanism_gcm(parcel.iv, 12, aad, sizeof(aad), 8 * TAG)
			       : mechanism_ccm(LEN, parcel.iv, 12, aad, sizeof(aad), TAG);
		check(unwrap_by(session, same, zone, joined, sizeof(joined), &key));
		parcel.iv[0] ^= 1; /* another one for another key */
		check(wrap_by(session, same, zone, known_key(session), joined, &len));
		memcpy(parcel.wrapped, joined, LEN);
		memcpy(parcel.tag, joined + LEN, TAG);
		check(unwrap(session, &parcel, zone, &key));
		has_known_value(session, key);
	}
}

static void no_message_opens_a_wrapped_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session);
	CK_BYTE out[LEN] = {0}, zeros[LEN] = {0};
	CK_MECHANISM_TYPE list[2];
	struct parcel parcel;

	for (size_t i = 0; i < types(list); i++) {
		CK_ULONG len = LEN;

		parcel_by(list[i], &parcel);
		check(wrap(session, &parcel, zone, known_key(session)));
		check(p30->C_MessageDecryptInit(session, mechanism(list[i]), zone));
		answers(CKR_AEAD_DECRYPT_FAILED,
			p30->C_DecryptMessage(session, parcel.by.pParameter,
					      parcel.by.ulParameterLen, aad, sizeof(aad),
					      parcel.wrapped, LEN, out, &len));
		assert_memory_equal(out, zeros, LEN);
		check(p30->C_MessageDecryptFinal(session));
	}
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

			check(wrap_key(session, &parcel.by, by, key, aad, sizeof(aad), NULL, &len));
			assert_int_equal(len, LEN);
			len = LEN - 1;
			answers(CKR_BUFFER_TOO_SMALL, wrap_key(session, &parcel.by, by, key, aad,
							       sizeof(aad), parcel.wrapped, &len));
			check(wrap(session, &parcel, by, key));
			assert_int_equal(parcel.iv[11], n);
		}
	}
}

static void the_rules_of_c_wrap_key_hold(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE zone = some_zone(session), other = some_zone(session), key, shut;
	CK_MECHANISM_TYPE list[2];
	struct parcel parcel;
	CK_ULONG len = LEN;

	for (size_t i = 0; i < types(list); i++) {
		parcel_by(list[i], &parcel);
		key = known_key(session);
		check(wrap(session, &parcel, zone, key));
		answers(CKR_KEY_NOT_WRAPPABLE, wrap(session, &parcel, other, key));
		shut = key_generate(session,
				    with_bool(with_number(aes_template(), CKA_VALUE_LEN, 32),
					      CKA_EXTRACTABLE, false));
		answers(CKR_KEY_UNEXTRACTABLE, wrap(session, &parcel, zone, shut));
		answers(CKR_KEY_UNEXTRACTABLE, wrap(session, &parcel, zone, other));
		parcel.gcm.ulTagBits = 64;
		parcel.ccm.ulMACLen = 8;
		answers(CKR_MECHANISM_PARAM_INVALID, wrap(session, &parcel, zone, key));
		answers(CKR_MECHANISM_PARAM_INVALID, unwrap(session, &parcel, zone, &key));
		parcel_by(list[i], &parcel)->by.ulParameterLen--;
		answers(CKR_MECHANISM_PARAM_INVALID, wrap(session, &parcel, zone, key));
		answers(CKR_ARGUMENTS_BAD,
			wrap_key(session, &parcel.by, zone, key, NULL, 1, parcel.wrapped, &len));
		parcel_by(list[i], &parcel)->ccm.ulDataLen = LEN - 1;
		if (list[i] != CKM_AES_CCM)
			continue;
		answers(CKR_KEY_SIZE_RANGE, wrap(session, &parcel, zone, key));
		answers(CKR_WRAPPED_KEY_LEN_RANGE, unwrap(session, &parcel, zone, &key));
	}
	parcel_by(CKM_AES_CCM, &parcel)->by.mechanism = CKM_AES_KEY_WRAP;
	answers(CKR_MECHANISM_INVALID, wrap(session, &parcel, zone, known_key(session)));
	answers(CKR_MECHANISM_INVALID, unwrap(session, &parcel, zone, &key));
}

static void unwrapping_passes_over_generator_and_fixed_bits(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE by = known_key(session), key;
	CK_BYTE long_iv[20] = "twenty bytes of an I", joined[LEN + TAG];
	CK_MECHANISM_TYPE list[2];
	CK_ULONG len = sizeof(joined);
	struct parcel parcel;

	for (size_t i = 0; i < types(list); i++) {
		check(wrap(session, parcel_by(list[i], &parcel), by, known_key(session)));
		parcel.gcm.ulIvFixedBits = parcel.ccm.ulNonceFixedBits = ~0UL;
		parcel.gcm.ivGenerator = parcel.ccm.nonceGenerator = 6;
		check(unwrap(session, &parcel, by, &key));
		has_known_value(session, key);
	}
	if (types(list) == 1)
		return;
	check(wrap_by(session, mechanism_gcm(long_iv, 20, aad, sizeof(aad), 8 * TAG), by,
		      known_key(session), joined, &len));
	parcel_by(CKM_AES_GCM, &parcel)->gcm.pIv = long_iv;
	parcel.gcm.ulIvLen = 20;
	memcpy(parcel.wrapped, joined, LEN);
	memcpy(parcel.tag, joined + LEN, TAG);
	answers(CKR_MECHANISM_PARAM_INVALID, wrap(session, &parcel, by, known_key(session)));
	check(unwrap(session, &parcel, by, &key));
	has_known_value(session, key);
}

int rules_authenticated(void)
{
	const struct CMUnitTest tests[] = {
		in_session(what_is_wrapped_unwraps_and_nothing_else_does),
		in_session(gcm_wraps_by_an_iv_of_the_modules_and_with_fips_by_no_other),
		in_session(c_unwrap_key_opens_it_with_its_tag),
		in_session(no_message_opens_a_wrapped_key),
		in_session(a_length_query_takes_no_iv),
		in_session(unwrapping_passes_over_generator_and_fixed_bits),
		in_session(the_rules_of_c_wrap_key_hold),
	};

	return run_group("authenticated", tests, load, token_teardown);
}
