/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* C_DeriveKey by SP 800-108 and by encrypting data: what their vectors (vectors_kdfs.c) do not
 * say. */
#include "rules.h"

#include "tests/support/judged_fips.h"

static CK_BYTE data[64] = "data of four blocks, of which keys are made by encrypting them..";
static CK_SP800_108_COUNTER_FORMAT counter = {CK_FALSE, 32};

static CK_OBJECT_HANDLE base_key(CK_SESSION_HANDLE session, CK_KEY_TYPE type, bool derives)
{
	struct template *t = with_number(aes_template(), CKA_KEY_TYPE, type);
	CK_OBJECT_HANDLE key;

	with_bool(t, CKA_DERIVE, derives);
	with(t, CKA_VALUE, known_value, sizeof(known_value));
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	return key;
}

static CK_RV derive(CK_SESSION_HANDLE session, CK_MECHANISM *by, CK_OBJECT_HANDLE base,
		    CK_ULONG len, CK_OBJECT_HANDLE *ret_key)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);

	with_bool(t, CKA_SENSITIVE, false);
	with_bool(t, CKA_EXTRACTABLE, true);
	if (len != 0)
		with_number(t, CKA_VALUE_LEN, len);
	return p11->C_DeriveKey(session, by, base, t->rows, t->count, ret_key);
}

static CK_MECHANISM *kdf(CK_MECHANISM_TYPE type, CK_MECHANISM_TYPE prf, CK_PRF_DATA_PARAM *pieces,
			 CK_ULONG count)
{
	CK_SP800_108_KDF_PARAMS params = {
		.prfType = prf, .ulNumberOfDataParams = count, .pDataParams = pieces};

	return mechanism_with(type, &params, sizeof(params));
}

/* --- SP 800-108 */

static CK_PRF_DATA_PARAM number = {CK_SP800_108_ITERATION_VARIABLE, &counter, sizeof(counter)};
static CK_PRF_DATA_PARAM text = {CK_SP800_108_BYTE_ARRAY, data, sizeof(data)};

static CK_RV by_pieces(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_PRF_DATA_PARAM first,
		       CK_PRF_DATA_PARAM second)
{
	CK_PRF_DATA_PARAM pieces[2] = {first, second};
	CK_OBJECT_HANDLE key;

	return derive(session, kdf(type, CKM_SHA256_HMAC, pieces, 2),
		      base_key(session, CKK_GENERIC_SECRET, true), 32, &key);
}

static void pieces_that_fit_no_mode_are_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	const CK_MECHANISM_TYPE count = CKM_SP800_108_COUNTER_KDF;
	const CK_MECHANISM_TYPE pipe = CKM_SP800_108_DOUBLE_PIPELINE_KDF;
	CK_PRF_DATA_PARAM before = {CK_SP800_108_ITERATION_VARIABLE, NULL, 0};
	CK_PRF_DATA_PARAM optional = {CK_SP800_108_OPTIONAL_COUNTER, &counter, sizeof(counter)};
	CK_PRF_DATA_PARAM other_key = {CK_SP800_108_KEY_HANDLE, data, sizeof(CK_OBJECT_HANDLE)};
	CK_PRF_DATA_PARAM unknown = {99, data, 8}, nowhere = {CK_SP800_108_BYTE_ARRAY, NULL, 1};
	const struct {
		CK_MECHANISM_TYPE type;
		CK_PRF_DATA_PARAM one, two;
		CK_RV rv;
	} rows[] = {
		{count, number, text, CKR_OK},
		{count, text, number, CKR_OK},
		{count, text, text, CKR_MECHANISM_PARAM_INVALID},
		{count, number, number, CKR_MECHANISM_PARAM_INVALID},
		{count, before, text, CKR_MECHANISM_PARAM_INVALID},
		{count, number, optional, CKR_MECHANISM_PARAM_INVALID},
		{count, number, other_key, CKR_MECHANISM_PARAM_INVALID},
		{count, number, unknown, CKR_MECHANISM_PARAM_INVALID},
		{count, number, nowhere, CKR_MECHANISM_PARAM_INVALID},
		{pipe, before, optional, CKR_OK},
		{pipe, before, text, CKR_OK},
		{pipe, number, text, CKR_MECHANISM_PARAM_INVALID},
		{pipe, optional, optional, CKR_MECHANISM_PARAM_INVALID},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		answers(rows[i].rv, by_pieces(session, rows[i].type, rows[i].one, rows[i].two));
	for (counter.ulWidthInBits = 0; counter.ulWidthInBits <= 72; counter.ulWidthInBits += 4)
		answers(counter.ulWidthInBits % 8 == 0 && counter.ulWidthInBits > 0 &&
					counter.ulWidthInBits <= 64
				? CKR_OK
				: CKR_MECHANISM_PARAM_INVALID,
			by_pieces(session, count, number, text));
	counter.ulWidthInBits = 32;
}

static void a_parameter_of_another_form_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE base = base_key(session, CKK_GENERIC_SECRET, true), key;
	CK_PRF_DATA_PARAM many[33];
	CK_SP800_108_KDF_PARAMS params = {.prfType = CKM_SHA256_HMAC,
					  .ulNumberOfDataParams = 1,
					  .pDataParams = &number,
					  .ulAdditionalDerivedKeys = 1};

	answers(CKR_MECHANISM_PARAM_INVALID,
		derive(session, mechanism_with(CKM_SP800_108_COUNTER_KDF, &params, sizeof(params)),
		       base, 32, &key));
	params.ulAdditionalDerivedKeys = 0;
	answers(CKR_MECHANISM_PARAM_INVALID,
		derive(session, mechanism_with(CKM_SP800_108_FEEDBACK_KDF, &params, sizeof(params)),
		       base, 32, &key));
	answers(CKR_MECHANISM_PARAM_INVALID,
		derive(session, mechanism(CKM_SP800_108_COUNTER_KDF), base, 32, &key));
	for (int i = 0; i < 33; i++)
		many[i] = i == 0 ? number : text;
	for (CK_ULONG count = 31; count <= 33; count++)
		answers(count <= 32 ? CKR_OK : CKR_MECHANISM_PARAM_INVALID,
			derive(session,
			       kdf(CKM_SP800_108_COUNTER_KDF, CKM_SHA256_HMAC, many, count), base,
			       32, &key));
	answers(CKR_MECHANISM_PARAM_INVALID,
		derive(session, kdf(CKM_SP800_108_COUNTER_KDF, CKM_SHA256_HMAC, NULL, 1), base, 32,
		       &key));
	answers(CKR_MECHANISM_PARAM_INVALID,
		derive(session, kdf(CKM_SP800_108_COUNTER_KDF, CKM_SHA256, &number, 1), base, 32,
		       &key));
	answers(CKR_MECHANISM_PARAM_INVALID,
		derive(session, kdf(CKM_SP800_108_COUNTER_KDF, CKM_SHA256_HMAC_GENERAL, &number, 1),
		       base, 32, &key));
}

static void the_length_and_the_base_key_fit_the_prf(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE generic = base_key(session, CKK_GENERIC_SECRET, true), key;
	CK_OBJECT_HANDLE aes = base_key(session, CKK_AES, true);
	CK_MECHANISM *cmac = kdf(CKM_SP800_108_COUNTER_KDF, CKM_AES_CMAC, &number, 1);
	CK_MECHANISM *hmac = kdf(CKM_SP800_108_COUNTER_KDF, CKM_SHA256_HMAC, &number, 1);

	check(derive(session, cmac, aes, 32, &key));
	answers(CKR_KEY_TYPE_INCONSISTENT, derive(session, cmac, generic, 32, &key));
	check(derive(session, hmac, aes, 32, &key));
	check(derive(session, hmac, generic, 512, &key));
	assert_int_equal(attribute_number(session, key, CKA_VALUE_LEN), 512);
	assert_int_equal(attribute_number(session, key, CKA_KEY_TYPE), CKK_GENERIC_SECRET);
	answers(CKR_KEY_SIZE_RANGE, derive(session, hmac, generic, 513, &key));
	answers(CKR_TEMPLATE_INCOMPLETE, derive(session, hmac, generic, 0, &key));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		derive(session, hmac, base_key(session, CKK_AES, false), 32, &key));
	answers(CKR_KEY_TYPE_INCONSISTENT, derive(session, hmac, some_zone(session), 32, &key));
}

static void value_of(CK_SESSION_HANDLE session, CK_PRF_DATA_PARAM *pieces, CK_BYTE out[static 40])
{
	CK_OBJECT_HANDLE key;

	check(derive(session, kdf(CKM_SP800_108_COUNTER_KDF, CKM_SHA256_HMAC, pieces, 2),
		     base_key(session, CKK_GENERIC_SECRET, true), 40, &key));
	assert_int_equal(attribute_bytes(session, key, CKA_VALUE, out, 40), 40);
}

/* Numbers, in the place of which the same bytes give the same key. */
static void numbers_are_written_as_their_format_says(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	static const struct {
		CK_SP800_108_DKM_LENGTH_FORMAT format;
		CK_BYTE bytes[4];
		CK_ULONG len;
	} rows[] = {
		{{CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_FALSE, 32}, {0, 0, 1, 0x40}, 4},
		{{CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_TRUE, 32}, {0x40, 1, 0, 0}, 4},
		{{CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS, CK_FALSE, 16}, {2, 0}, 2},
		{{CK_SP800_108_DKM_LENGTH_SUM_OF_SEGMENTS, CK_TRUE, 24}, {0, 2, 0}, 3},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		CK_PRF_DATA_PARAM said[2] = {
			number,
			{CK_SP800_108_DKM_LENGTH, (void *)&rows[i].format, sizeof(rows[i].format)}};
		CK_PRF_DATA_PARAM given[2] = {
			number, {CK_SP800_108_BYTE_ARRAY, (void *)rows[i].bytes, rows[i].len}};
		CK_BYTE expected[40], made[40];

		value_of(session, given, expected);
		value_of(session, said, made);
		assert_memory_equal(made, expected, sizeof(made));
	}
}

/* --- By encrypting */

static CK_MECHANISM *ecb(CK_ULONG len)
{
	CK_KEY_DERIVATION_STRING_DATA params = {data, len};

	return mechanism_with(CKM_AES_ECB_ENCRYPT_DATA, &params, sizeof(params));
}

static void data_are_whole_blocks_and_enough(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE base = base_key(session, CKK_AES, true), key;

	check(derive(session, ecb(48), base, 0, &key));
	assert_int_equal(attribute_number(session, key, CKA_VALUE_LEN), 48);
	assert_int_equal(attribute_number(session, key, CKA_KEY_TYPE), CKK_GENERIC_SECRET);
	check(derive(session, ecb(48), base, 20, &key));
	answers(CKR_KEY_SIZE_RANGE, derive(session, ecb(16), base, 17, &key));
	for (CK_ULONG len = 0; len < 48; len++)
		if (len % 16 != 0 || len == 0)
			answers(CKR_MECHANISM_PARAM_INVALID,
				derive(session, ecb(len), base, 16, &key));
	answers(CKR_MECHANISM_PARAM_INVALID, derive(session, ecb(4112), base, 16, &key));
	answers(CKR_MECHANISM_PARAM_INVALID,
		derive(session, mechanism_with(CKM_AES_CBC_ENCRYPT_DATA, data, 16), base, 16,
		       &key));
	answers(CKR_KEY_TYPE_INCONSISTENT,
		derive(session, ecb(16), base_key(session, CKK_GENERIC_SECRET, true), 16, &key));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		derive(session, ecb(16), base_key(session, CKK_AES, false), 16, &key));
}

/* Whoever may not read a key could read what it makes of zeros: GCM's hash key. */
static void a_sensitive_key_gives_only_sensitive_ones(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
	CK_OBJECT_HANDLE base = base_key(session, CKK_AES, true), key;
	CK_BBOOL yes = CK_TRUE;
	CK_ATTRIBUTE sensitive = {CKA_SENSITIVE, &yes, sizeof(yes)};

	if (!fips_offers(CKM_AES_ECB_ENCRYPT_DATA, CKF_DERIVE))
		skip_because("FIPS leaves the mechanism out");
	check(p11->C_SetAttributeValue(session, base, &sensitive, 1));
	answers(CKR_TEMPLATE_INCONSISTENT, derive(session, ecb(16), base, 16, &key));
	answers(CKR_TEMPLATE_INCONSISTENT,
		derive(session, kdf(CKM_SP800_108_COUNTER_KDF, CKM_AES_CMAC, &number, 1), base, 32,
		       &key));
	with_bool(t, CKA_SENSITIVE, true);
	with_number(t, CKA_VALUE_LEN, 16);
	check(p11->C_DeriveKey(session, ecb(16), base, t->rows, t->count, &key));
}

/* --- Of all */

/* Also of a key that the token keeps. */
static void what_is_derived_has_what_its_base_demands(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BBOOL no = CK_FALSE, yes = CK_TRUE;
	CK_ATTRIBUTE demanded[] = {{CKA_DECRYPT, &no, sizeof(no)}, {CKA_VERIFY, &yes, sizeof(yes)}};
	CK_PRF_DATA_PARAM pieces[2] = {number, text};
	CK_MECHANISM *by = kdf(CKM_SP800_108_COUNTER_KDF, CKM_SHA256_HMAC, pieces, 2);

	for (int token = 0; token < 2; token++) {
		struct template *t = with_number(aes_template(), CKA_KEY_TYPE, CKK_GENERIC_SECRET);
		CK_OBJECT_HANDLE base, key;

		with(with_bool(t, CKA_DERIVE, true), CKA_VALUE, known_value, sizeof(known_value));
		with(t, CKA_DERIVE_TEMPLATE, demanded, sizeof(demanded));
		with_bool(t, CKA_TOKEN, token == 1);
		check(p11->C_CreateObject(session, t->rows, t->count, &base));
		check(derive(session, by, base, 32, &key));
		assert_false(attribute_bool(session, key, CKA_DECRYPT));
		assert_true(attribute_bool(session, key, CKA_VERIFY));
		t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
		with_bool(with_number(t, CKA_VALUE_LEN, 32), CKA_DECRYPT, true);
		answers(CKR_TEMPLATE_INCONSISTENT,
			p11->C_DeriveKey(session, by, base, t->rows, t->count, &key));
	}
}

static void what_is_derived_stays_in_the_zone_of_its_base(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE base = base_key(session, CKK_AES, true), keys[2];
	CK_OBJECT_HANDLE zone = some_zone(session), other = some_zone(session);
	CK_BYTE wrapped[256];
	CK_ULONG len = sizeof(wrapped);
	int count = fips_offers(CKM_AES_ECB_ENCRYPT_DATA, CKF_DERIVE) ? 2 : 1;

	check(derive(session, kdf(CKM_SP800_108_COUNTER_KDF, CKM_AES_CMAC, &number, 1), base, 32,
		     &keys[0]));
	if (count == 2)
		check(derive(session, ecb(32), base, 32, &keys[1]));
	check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, base, wrapped, &len));
	for (int i = 0; i < count; i++) {
		len = sizeof(wrapped);
		answers(CKR_KEY_NOT_WRAPPABLE, wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), other,
						       keys[i], wrapped, &len));
		len = sizeof(wrapped);
		check(wrap_by(session, mechanism(CKM_CMEK_DEK_WRAP), zone, keys[i], wrapped, &len));
	}
}

/* --- HKDF, whose result is data */

enum { MOST = 255 * 64 };

static CK_MECHANISM *hkdf_by(CK_MECHANISM_TYPE type)
{
	CK_HKDF_PARAMS params = {.bExpand = CK_TRUE,
				 .prfHashMechanism = CKM_SHA512,
				 .pInfo = data,
				 .ulInfoLen = sizeof(data)};

	return mechanism_with(type, &params, sizeof(params));
}

static struct template *data_of(CK_ULONG len)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_DATA);

	return with_number(with_text(t, CKA_APPLICATION, "a program"), CKA_VALUE_LEN, len);
}

static CK_RV derive_data(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE base, struct template *t,
			 CK_OBJECT_HANDLE *ret_data)
{
	return p11->C_DeriveKey(session, hkdf_by(CKM_HKDF_DATA), base, t->rows, t->count, ret_data);
}

static void data_has_as_many_bytes_as_hkdf_gives(void **state)
{
	static CK_BYTE value[MOST], key_value[32];
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE base = base_key(session, CKK_GENERIC_SECRET, true), made, key;
	struct template *t = with_number(aes_template(), CKA_KEY_TYPE, CKK_GENERIC_SECRET);

	check(derive_data(session, base, data_of(MOST), &made));
	assert_int_equal(attribute_number(session, made, CKA_CLASS), CKO_DATA);
	assert_int_equal(attribute_bytes(session, made, CKA_VALUE, value, MOST), MOST);
	with_number(t, CKA_VALUE_LEN, 32);
	check(p11->C_DeriveKey(session, hkdf_by(CKM_HKDF_DERIVE), base, t->rows, t->count, &key));
	assert_int_equal(attribute_bytes(session, key, CKA_VALUE, key_value, 32), 32);
	assert_memory_equal(value, key_value, 32);
	answers(CKR_KEY_SIZE_RANGE, derive_data(session, base, data_of(MOST + 1), &made));
	answers(CKR_KEY_SIZE_RANGE, derive(session, hkdf_by(CKM_HKDF_DERIVE), base, 513, &key));
}

static void data_is_no_way_round_what_a_base_demands_of_its_keys(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BBOOL yes = CK_TRUE;
	CK_OBJECT_CLASS class = CKO_DATA;
	CK_ATTRIBUTE sensitive = {CKA_SENSITIVE, &yes, sizeof(yes)};
	CK_ATTRIBUTE of_data = {CKA_CLASS, &class, sizeof(class)};
	CK_OBJECT_HANDLE made;

	for (int may = 0; may < 2; may++) {
		struct template *t = with_number(aes_template(), CKA_KEY_TYPE, CKK_GENERIC_SECRET);

		with(with_bool(t, CKA_DERIVE, true), CKA_VALUE, known_value, sizeof(known_value));
		with(t, CKA_DERIVE_TEMPLATE, may ? &of_data : &sensitive, sizeof(CK_ATTRIBUTE));
		check(p11->C_CreateObject(session, t->rows, t->count, &made));
		answers(may ? CKR_OK : CKR_TEMPLATE_INCONSISTENT,
			derive_data(session, made, data_of(32), &made));
	}
}

static void data_that_is_derived_says_what_it_is(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE base = base_key(session, CKK_GENERIC_SECRET, true), made;
	CK_OBJECT_HANDLE shut = base_key(session, CKK_GENERIC_SECRET, false);
	struct template *t = with_number(template_new(), CKA_VALUE_LEN, 32);

	answers(CKR_TEMPLATE_INCOMPLETE, derive_data(session, base, t, &made));
	with_number(t, CKA_CLASS, CKO_SECRET_KEY);
	answers(CKR_TEMPLATE_INCONSISTENT, derive_data(session, base, t, &made));
	t = with_bool(data_of(32), CKA_SENSITIVE, true);
	answers(CKR_ATTRIBUTE_TYPE_INVALID, derive_data(session, base, t, &made));
	t = data_of(32);
	answers(CKR_TEMPLATE_INCONSISTENT, p11->C_DeriveKey(session, hkdf_by(CKM_HKDF_DERIVE), base,
							    t->rows, t->count, &made));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, derive_data(session, shut, data_of(32), &made));
}

/* As a key that is derived is. */
static void data_that_is_derived_belongs_to_the_zone_of_its_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE base = base_key(session, CKK_GENERIC_SECRET, true), made, kept;
	CK_OBJECT_HANDLE zone = some_zone(session), other = some_zone(session);
	CK_BYTE ours[8], its[8], one[32], two[32], wrapped[64];
	CK_ULONG len = sizeof(wrapped);
	struct template *t;

	check(derive_data(session, base, data_of(32), &made));
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), zone, base, wrapped, &len));
	attribute_bytes(session, zone, CKA_CMEK_ZONE, ours, 8);
	check(derive_data(session, base, with_bool(data_of(32), CKA_TOKEN, true), &kept));
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			attribute_bytes(session, i == 0 ? made : kept, CKA_CMEK_ZONE, its, 8), 8);
		assert_memory_equal(its, ours, 8);
	}
	attribute_bytes(session, made, CKA_VALUE, one, 32);
	attribute_bytes(session, kept, CKA_VALUE, two, 32);
	assert_memory_equal(one, two, 32);
	attribute_bytes(session, other, CKA_CMEK_ZONE, its, 8);
	t = with(with_bool(data_of(32), CKA_TOKEN, true), CKA_CMEK_ZONE, its, 8);
	answers(CKR_TEMPLATE_INCONSISTENT, derive_data(session, base, t, &kept));
}

int rules_derivations(void)
{
	const struct CMUnitTest tests[] = {
		in_session(pieces_that_fit_no_mode_are_refused),
		in_session(a_parameter_of_another_form_is_refused),
		in_session(the_length_and_the_base_key_fit_the_prf),
		in_session(numbers_are_written_as_their_format_says),
		in_session(data_are_whole_blocks_and_enough),
		in_session(a_sensitive_key_gives_only_sensitive_ones),
		in_session(what_is_derived_has_what_its_base_demands),
		in_session(what_is_derived_stays_in_the_zone_of_its_base),
		in_session(data_has_as_many_bytes_as_hkdf_gives),
		in_session(data_is_no_way_round_what_a_base_demands_of_its_keys),
		in_session(data_that_is_derived_says_what_it_is),
		in_session(data_that_is_derived_belongs_to_the_zone_of_its_key),
	};

	return run_group("derivations", tests, token_setup, token_teardown);
}
