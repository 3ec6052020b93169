/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* IVs that the module makes for messages: none comes twice under a key, whatever an application
 * does. How many there are: tests/unit/objects/ivs.c. */
#include "rules.h"
#include "tests/support/judged_fips.h"

enum { LEN = 16, IV = 12, MANY = 200 };

static CK_BYTE text[LEN] = "sixteen bytes..", out[LEN], tag[16];

static CK_GCM_MESSAGE_PARAMS params_of(CK_BYTE iv[static IV], CK_GENERATOR_FUNCTION generator,
				       CK_ULONG fixed_bits)
{
	return (CK_GCM_MESSAGE_PARAMS){iv, IV, fixed_bits, generator, tag, 128};
}

static CK_RV seal(CK_SESSION_HANDLE session, CK_GCM_MESSAGE_PARAMS params)
{
	CK_ULONG len = LEN;

	return p30->C_EncryptMessage(session, &params, sizeof(params), NULL, 0, text, LEN, out,
				     &len);
}

static CK_RV seal_by(CK_SESSION_HANDLE session, CK_GENERATOR_FUNCTION generator,
		     CK_ULONG fixed_bits, CK_BYTE iv[static IV])
{
	return seal(session, params_of(iv, generator, fixed_bits));
}

static CK_OBJECT_HANDLE generated(CK_SESSION_HANDLE session)
{
	return key_generate(session, with_number(aes_template(), CKA_VALUE_LEN, 32));
}

static void begin(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key)
{
	check(p30->C_MessageEncryptInit(session, mechanism(CKM_AES_GCM), key));
}

static void is_counted(const CK_BYTE iv[static IV], unsigned count)
{
	CK_BYTE expected[IV] = {0};

	expected[IV - 1] = (CK_BYTE)count;
	expected[IV - 2] = (CK_BYTE)(count >> 8);
	assert_memory_equal(iv, expected, IV);
}

static void no_random_iv_comes_twice(void **state)
{
	static const CK_GENERATOR_FUNCTION generators[] = {CKG_GENERATE, CKG_GENERATE_RANDOM};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	static CK_BYTE ivs[MANY][IV];

	begin(session, some_zone(session));
	for (size_t i = 0; i < MANY; i++) {
		memset(ivs[i], 'x', IV);
		check(seal_by(session, generators[i % 2], 0, ivs[i]));
		for (size_t k = 0; k < i; k++)
			assert_memory_not_equal(ivs[i], ivs[k], IV);
	}
	check(p30->C_MessageEncryptFinal(session));
}

static void fixed_bits_stay(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE iv[IV];

	if (!fips_offers(CKM_AES_GCM, CKF_ENCRYPT))
		skip_because("with FIPS random IVs have no fixed bits");
	begin(session, known_key(session));
	for (CK_ULONG bits = 0; bits <= 32; bits += 3) {
		memset(iv, 0xa5, IV);
		check(seal_by(session, CKG_GENERATE_RANDOM, bits, iv));
		for (CK_ULONG bit = 0; bit < bits; bit++)
			assert_int_equal((iv[bit / 8] ^ 0xa5) & (0x80 >> bit % 8), 0);
		memset(iv, 0xa5, IV);
		assert_memory_not_equal(iv + 4, (CK_BYTE[8]){0}, 8);
	}
	answers(CKR_MECHANISM_PARAM_INVALID, seal_by(session, CKG_GENERATE_RANDOM, 33, iv));
	answers(CKR_MECHANISM_PARAM_INVALID, seal_by(session, CKG_GENERATE_RANDOM, 96, iv));
	answers(CKR_MECHANISM_PARAM_INVALID, seal_by(session, CKG_GENERATE_RANDOM, ~0UL, iv));
	check(p30->C_MessageEncryptFinal(session));
}

/* Errors, queries, ends of all kinds, another session: the counter is the key's. */
static void a_counter_goes_on_whatever_becomes_of_a_message(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, second = session_new();
	CK_OBJECT_HANDLE key = generated(session);
	struct template *t = with_text(template_new(), CKA_LABEL, "another label");
	CK_GCM_MESSAGE_PARAMS params;
	CK_BYTE iv[IV] = {0};
	CK_ULONG len = 3;

	begin(session, key);
	begin(second, key);
	check(seal_by(session, CKG_GENERATE_COUNTER, 0, iv));
	is_counted(iv, 0);
	check(seal_by(second, CKG_GENERATE_COUNTER, 0, iv));
	is_counted(iv, 1);
	params = params_of(iv, CKG_GENERATE_COUNTER, 0);
	/* Queries and too little room take none. */
	check(p30->C_EncryptMessage(session, &params, sizeof(params), NULL, 0, text, LEN, NULL,
				    &len));
	len = 3;
	answers(CKR_BUFFER_TOO_SMALL, p30->C_EncryptMessage(session, &params, sizeof(params), NULL,
							    0, text, LEN, out, &len));
	is_counted(iv, 1);
	/* What is begun has taken one, though it comes to nothing. */
	check(p30->C_EncryptMessageBegin(session, &params, sizeof(params), NULL, 0));
	is_counted(iv, 2);
	answers(CKR_ARGUMENTS_BAD, p30->C_EncryptMessageNext(session, &params, sizeof(params), text,
							     LEN, out, NULL, 0));
	check(p30->C_EncryptMessageBegin(session, &params, sizeof(params), NULL, 0));
	is_counted(iv, 3);
	check(p30->C_SessionCancel(session, CKF_MESSAGE_ENCRYPT));
	begin(session, key);
	check(p30->C_EncryptMessageBegin(session, &params, sizeof(params), NULL, 0));
	is_counted(iv, 4);
	check(p30->C_MessageEncryptInit(session, NULL, 0));
	begin(session, key);
	check(seal(session, params));
	is_counted(iv, 5);
	check(p11->C_SetAttributeValue(second, key, t->rows, t->count));
	check(seal(session, params));
	is_counted(iv, 6);
	check(p11->C_CloseSession(second));
	check(seal(session, params));
	is_counted(iv, 7);
	check(p30->C_MessageEncryptFinal(session));
}

/* Of which nobody knows where else its value counts. */
static void only_a_key_that_was_generated_here_counts(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = generated(session), keys[4];
	struct template *token = with_bool(template_new(), CKA_TOKEN, true);
	CK_BYTE wrapped[64], iv[IV] = {0};
	CK_ULONG len = sizeof(wrapped);

	keys[0] = some_zone(session);
	keys[1] = known_key(session);
	check(p11->C_CopyObject(session, key, token->rows, token->count, &keys[2]));
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), keys[1], key, wrapped, &len));
	check(unwrap_by(session, mechanism(CKM_AES_KEY_WRAP), keys[1], wrapped, len, &keys[3]));
	for (int i = 0; i < 4; i++) {
		begin(session, keys[i]);
		answers(CKR_MECHANISM_PARAM_INVALID, seal_by(session, CKG_GENERATE_COUNTER, 0, iv));
		answers(CKR_MECHANISM_PARAM_INVALID,
			seal_by(session, CKG_GENERATE_COUNTER_XOR, 0, iv));
		assert_memory_equal(iv, (CK_BYTE[IV]){0}, IV);
		check(seal_by(session, CKG_GENERATE, 0, iv));
		memset(iv, 0, IV);
		check(p30->C_MessageEncryptFinal(session));
	}
	check(p11->C_CopyObject(session, key, NULL, 0, &keys[0]));
	begin(session, keys[0]);
	answers(CKR_MECHANISM_PARAM_INVALID, seal_by(session, CKG_GENERATE_COUNTER, 0, iv));
	check(p30->C_MessageEncryptFinal(session));
	begin(session, key);
	check(seal_by(session, CKG_GENERATE_COUNTER, 0, iv));
	check(p30->C_MessageEncryptFinal(session));
}

/* Two layouts of one counter would give an IV twice, and so would two values to XOR with. */
static void a_counter_keeps_its_layout(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE iv[IV] = {0};

	begin(session, generated(session));
	check(seal_by(session, CKG_GENERATE_COUNTER, 32, iv));
	answers(CKR_MECHANISM_PARAM_INVALID, seal_by(session, CKG_GENERATE_COUNTER, 40, iv));
	answers(CKR_MECHANISM_PARAM_INVALID, seal_by(session, CKG_GENERATE_COUNTER, 0, iv));
	answers(CKR_MECHANISM_PARAM_INVALID, seal_by(session, CKG_GENERATE_COUNTER_XOR, 32, iv));
	iv[0] = 7; /* the fixed part may differ */
	check(seal_by(session, CKG_GENERATE_COUNTER, 32, iv));
	assert_int_equal(iv[0], 7);
	assert_int_equal(iv[IV - 1], 1);
	check(p30->C_MessageEncryptFinal(session));
}

/* With the byte 2 as the first of GCM's fixed ones, both would encipher one block. */
static void a_counter_is_of_one_mechanism(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = generated(session);
	CK_BYTE iv[IV] = {2}, nonce[IV] = {0};
	CK_CCM_MESSAGE_PARAMS ccm = {LEN, nonce, IV, 32, CKG_GENERATE_COUNTER, tag, 16};
	CK_ULONG len = LEN;

	begin(session, key);
	check(seal_by(session, CKG_GENERATE_COUNTER, 32, iv));
	check(p30->C_MessageEncryptFinal(session));
	check(p30->C_MessageEncryptInit(session, mechanism(CKM_AES_CCM), key));
	answers(CKR_MECHANISM_PARAM_INVALID,
		p30->C_EncryptMessage(session, &ccm, sizeof(ccm), NULL, 0, text, LEN, out, &len));
	ccm.ulNonceFixedBits = 0;
	ccm.nonceGenerator = CKG_GENERATE_RANDOM;
	check(p30->C_EncryptMessage(session, &ccm, sizeof(ccm), NULL, 0, text, LEN, out, &len));
	check(p30->C_MessageEncryptFinal(session));
}

/* As TLS 1.3 has it. Who gives back what came out would XOR 0, 1, 2, 3 and be at the start again.
 */
static void a_counter_is_xored_with_what_it_began_with(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE iv[IV], base[IV];

	if (!fips_offers(CKM_AES_GCM, CKF_ENCRYPT))
		skip_because("with FIPS no counter is XORed");
	begin(session, generated(session));
	memset(base, 0x5a, IV);
	for (int i = 0; i < 4; i++) {
		memcpy(iv, base, IV);
		check(seal_by(session, CKG_GENERATE_COUNTER_XOR, 0, iv));
		assert_int_equal(iv[IV - 1], 0x5a ^ i);
		assert_memory_equal(iv, base, IV - 1);
	}
	answers(CKR_MECHANISM_PARAM_INVALID, seal_by(session, CKG_GENERATE_COUNTER_XOR, 0, iv));
	memcpy(iv, base, IV);
	iv[0] ^= 1;
	answers(CKR_MECHANISM_PARAM_INVALID, seal_by(session, CKG_GENERATE_COUNTER_XOR, 0, iv));
	check(p30->C_MessageEncryptFinal(session));
}

static void a_counter_that_would_wrap_is_refused_for_good(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = generated(session);
	CK_BYTE iv[IV] = {0};

	if (!fips_offers(CKM_AES_GCM, CKF_ENCRYPT))
		skip_because("with FIPS a counter has 32 bits at least");
	begin(session, key);
	for (int i = 0; i < 16; i++) {
		check(seal_by(session, CKG_GENERATE_COUNTER, 92, iv));
		assert_int_equal(iv[IV - 1], i);
	}
	answers(CKR_KEY_EXHAUSTED, seal_by(session, CKG_GENERATE_COUNTER, 92, iv));
	answers(CKR_MECHANISM_PARAM_INVALID, seal_by(session, CKG_GENERATE_COUNTER, 88, iv));
	check(p30->C_MessageEncryptFinal(session));
	begin(session, key);
	answers(CKR_KEY_EXHAUSTED, seal_by(session, CKG_GENERATE_COUNTER, 92, iv));
	check(seal_by(session, CKG_GENERATE_RANDOM, 0, iv));
	check(p30->C_MessageEncryptFinal(session));
}

/* CKG_GENERATE leaves the choice to the module. */
static void where_random_bits_are_few_a_counter_is_taken(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE iv[IV] = {0};

	begin(session, generated(session));
	for (int i = 0; i < 3; i++) {
		check(seal_by(session, CKG_GENERATE, 32, iv));
		is_counted(iv, (unsigned)i);
	}
	check(p30->C_MessageEncryptFinal(session));
}

static CK_RV seal_ccm(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_ULONG nonce_len,
		      CK_GENERATOR_FUNCTION generator)
{
	CK_BYTE nonce[13] = {0};
	CK_CCM_MESSAGE_PARAMS params = {LEN, nonce, nonce_len, 0, generator, tag, 16};
	CK_ULONG len = LEN;
	CK_RV rv;

	check(p30->C_MessageEncryptInit(session, mechanism(CKM_AES_CCM), key));
	rv = p30->C_EncryptMessage(session, &params, sizeof(params), NULL, 0, text, LEN, out, &len);
	check(p30->C_MessageEncryptFinal(session));
	return rv;
}

/* They could be what a counter gave, of this handle or of one with the same value. */
static void few_random_bits_are_for_keys_without_a_counter(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *token = with_bool(template_new(), CKA_TOKEN, true);
	CK_OBJECT_HANDLE key = generated(session), copies[2];

	check(p11->C_CopyObject(session, key, NULL, 0, &copies[0]));
	check(p11->C_CopyObject(session, key, token->rows, token->count, &copies[1]));
	check(seal_ccm(session, key, 12, CKG_GENERATE_COUNTER));
	answers(CKR_MECHANISM_PARAM_INVALID, seal_ccm(session, key, 11, CKG_GENERATE_RANDOM));
	check(seal_ccm(session, key, 12, CKG_GENERATE_RANDOM));
	for (size_t i = 0; i < 2; i++) {
		answers(CKR_MECHANISM_PARAM_INVALID,
			seal_ccm(session, copies[i], 11, CKG_GENERATE_RANDOM));
		answers(CKR_MECHANISM_PARAM_INVALID,
			seal_ccm(session, copies[i], 11, CKG_GENERATE));
		check(seal_ccm(session, copies[i], 12, CKG_GENERATE_RANDOM));
	}
	key = generated(session);
	check(seal_ccm(session, key, 11, CKG_GENERATE_RANDOM));
	answers(CKR_MECHANISM_PARAM_INVALID, seal_ccm(session, key, 12, CKG_GENERATE_COUNTER));
	check(seal_ccm(session, key, 11, CKG_GENERATE_RANDOM));
	check(seal_ccm(session, some_zone(session), 11, CKG_GENERATE_RANDOM));
	check(seal_ccm(session, known_key(session), 11, CKG_GENERATE_RANDOM));
}

static void nonces_of_ccm_are_made_too(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = generated(session);
	CK_BYTE nonce[13] = {0}, opened[LEN];
	CK_CCM_MESSAGE_PARAMS params = {LEN, nonce, 13, 0, CKG_GENERATE_RANDOM, tag, 16};
	CK_ULONG len;

	check(p30->C_MessageEncryptInit(session, mechanism(CKM_AES_CCM), key));
	check(p30->C_MessageDecryptInit(session, mechanism(CKM_AES_CCM), key));
	for (CK_ULONG nonce_len = 7; nonce_len <= 13; nonce_len++) {
		params.ulNonceLen = nonce_len;
		len = LEN;
		/* Fewer than 64 bits are too few to be random. */
		answers(nonce_len < 8 ? CKR_MECHANISM_PARAM_INVALID : CKR_OK,
			p30->C_EncryptMessage(session, &params, sizeof(params), NULL, 0, text, LEN,
					      out, &len));
		if (nonce_len < 8)
			continue;
		check(p30->C_DecryptMessage(session, &params, sizeof(params), NULL, 0, out, LEN,
					    opened, &len));
		assert_memory_equal(opened, text, LEN);
	}
	check(p30->C_MessageEncryptFinal(session));
	key = generated(session);
	check(p30->C_MessageEncryptInit(session, mechanism(CKM_AES_CCM), key));
	params.nonceGenerator = CKG_GENERATE_COUNTER;
	for (int i = 0; i < 3; i++) {
		check(p30->C_EncryptMessage(session, &params, sizeof(params), NULL, 0, text, LEN,
					    out, &len));
		assert_int_equal(nonce[12], i);
	}
	check(p30->C_MessageEncryptFinal(session));
	check(p30->C_MessageDecryptFinal(session));
}

int rules_ivs(void)
{
	const struct CMUnitTest tests[] = {
		in_session(no_random_iv_comes_twice),
		in_session(fixed_bits_stay),
		in_session(a_counter_goes_on_whatever_becomes_of_a_message),
		in_session(only_a_key_that_was_generated_here_counts),
		in_session(a_counter_keeps_its_layout),
		in_session(a_counter_is_of_one_mechanism),
		in_session(a_counter_is_xored_with_what_it_began_with),
		in_session(a_counter_that_would_wrap_is_refused_for_good),
		in_session(where_random_bits_are_few_a_counter_is_taken),
		in_session(few_random_bits_are_for_keys_without_a_counter),
		in_session(nonces_of_ccm_are_made_too),
	};

	return run_group("ivs", tests, token_setup, token_teardown);
}
