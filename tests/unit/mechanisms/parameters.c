/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Mechanism parameters as applications send them, with what they get wrong. */
#include "crypto/aes.h"
#include "mechanisms/hkdf.h"
#include "mechanisms/parameters.h"
#include "tests/support/unit.h"

static uint8_t iv[16] = {1, 2, 3}, aad[5] = {9};

static CK_RV read(CK_MECHANISM_TYPE type, const void *data, size_t len, struct parameter *ret)
{
	const CK_MECHANISM given = {type, (void *)data, len};

	*ret = (struct parameter){0};
	return parameter_read(mechanism_find(type), &given, ret);
}

static void refused(CK_MECHANISM_TYPE type, const void *data, size_t len)
{
	struct parameter parameter;

	assert_int_equal(read(type, data, len, &parameter), CKR_MECHANISM_PARAM_INVALID);
	parameter_clear(&parameter);
}

static void accepted(CK_MECHANISM_TYPE type, const void *data, size_t len)
{
	struct parameter parameter;

	assert_int_equal(read(type, data, len, &parameter), CKR_OK);
	parameter_clear(&parameter);
}

static void no_parameter_may_be_a_pointer_without_length(void **state)
{
	(void)state;
	accepted(CKM_AES_ECB, NULL, 0);
	accepted(CKM_AES_ECB, iv, 0);
	refused(CKM_AES_ECB, iv, 1);
}

static void an_iv_has_16_bytes(void **state)
{
	struct parameter parameter;

	(void)state;
	assert_int_equal(read(CKM_AES_CBC, iv, 16, &parameter), CKR_OK);
	assert_ptr_equal(parameter.iv.data, iv);
	refused(CKM_AES_CBC, iv, 15);
	refused(CKM_AES_CBC, iv, 17);
	refused(CKM_AES_CBC, NULL, 16);
	refused(CKM_AES_CBC_PAD, NULL, 0);
}

static void counter_bits_are_1_to_128(void **state)
{
	CK_AES_CTR_PARAMS counter = {.ulCounterBits = 16};
	struct parameter parameter;

	(void)state;
	memcpy(counter.cb, iv, sizeof(iv));
	assert_int_equal(read(CKM_AES_CTR, &counter, sizeof(counter), &parameter), CKR_OK);
	assert_bytes(parameter.iv, bytes(iv, sizeof(iv)));
	counter.ulCounterBits = 128;
	accepted(CKM_AES_CTR, &counter, sizeof(counter));
	counter.ulCounterBits = 129;
	refused(CKM_AES_CTR, &counter, sizeof(counter));
	counter.ulCounterBits = 0;
	refused(CKM_AES_CTR, &counter, sizeof(counter));
	refused(CKM_AES_CTR, iv, sizeof(iv));
}

static CK_GCM_PARAMS gcm_of(CK_ULONG iv_len, CK_ULONG aad_len, CK_ULONG tag_bits)
{
	return (CK_GCM_PARAMS){iv, iv_len, 285774608, aad, aad_len, tag_bits};
}

static void gcm_takes_garbage_in_iv_bits(void **state)
{
	CK_GCM_PARAMS gcm = gcm_of(12, 5, 128);
	struct parameter parameter;

	(void)state;
	assert_int_equal(read(CKM_AES_GCM, &gcm, sizeof(gcm), &parameter), CKR_OK);
	assert_bytes(parameter.iv, bytes(iv, 12));
	assert_bytes(parameter.aad, bytes(aad, 5));
	assert_int_equal(parameter.tag_len, 16);
}

static void gcm_takes_the_form_without_iv_bits(void **state)
{
	CK_GCM_PARAMS gcm = gcm_of(12, 5, 96);
	uint8_t old[sizeof(gcm) - sizeof(CK_ULONG)];
	struct parameter parameter;

	(void)state;
	memcpy(old, &gcm, 2 * sizeof(CK_ULONG));
	memcpy(old + 2 * sizeof(CK_ULONG), &gcm.pAAD, sizeof(old) - 2 * sizeof(CK_ULONG));
	assert_int_equal(read(CKM_AES_GCM, old, sizeof(old), &parameter), CKR_OK);
	assert_bytes(parameter.iv, bytes(iv, 12));
	assert_bytes(parameter.aad, bytes(aad, 5));
	assert_int_equal(parameter.tag_len, 12);
	refused(CKM_AES_GCM, old, sizeof(old) - 1);
}

static void gcm_tags_are_those_of_the_standard(void **state)
{
	CK_ULONG bits;

	(void)state;
	for (bits = 0; bits <= 256; bits++) {
		CK_GCM_PARAMS gcm = gcm_of(12, 0, bits);
		bool valid = bits == 32 || bits == 64 || bits == 96 || bits == 104 || bits == 112 ||
			     bits == 120 || bits == 128;

		if (valid)
			accepted(CKM_AES_GCM, &gcm, sizeof(gcm));
		else
			refused(CKM_AES_GCM, &gcm, sizeof(gcm));
	}
}

static void gcm_needs_an_iv(void **state)
{
	CK_GCM_PARAMS gcm = gcm_of(0, 0, 128);

	(void)state;
	refused(CKM_AES_GCM, &gcm, sizeof(gcm));
	gcm = gcm_of(AES_GCM_IV_MAX + 1, 0, 128);
	refused(CKM_AES_GCM, &gcm, sizeof(gcm));
	gcm = gcm_of(12, 0, 128);
	gcm.pIv = NULL;
	refused(CKM_AES_GCM, &gcm, sizeof(gcm));
	gcm = gcm_of(12, 1, 128);
	gcm.pAAD = NULL;
	refused(CKM_AES_GCM, &gcm, sizeof(gcm));
	gcm.ulAADLen = 0;
	accepted(CKM_AES_GCM, &gcm, sizeof(gcm));
	refused(CKM_AES_GCM, NULL, sizeof(gcm));
}

static void key_wrap_takes_its_standard_iv_alone(void **state)
{
	static const uint8_t kw[8] = {0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6, 0xA6};
	static const uint8_t kwp[4] = {0xA6, 0x59, 0x59, 0xA6};

	(void)state;
	accepted(CKM_AES_KEY_WRAP, NULL, 0);
	accepted(CKM_AES_KEY_WRAP, kw, sizeof(kw));
	refused(CKM_AES_KEY_WRAP, kwp, sizeof(kwp));
	refused(CKM_AES_KEY_WRAP, iv, 8);
	accepted(CKM_AES_KEY_WRAP_KWP, NULL, 0);
	accepted(CKM_AES_KEY_WRAP_KWP, kwp, sizeof(kwp));
	refused(CKM_AES_KEY_WRAP_KWP, kw, sizeof(kw));
	accepted(CKM_AES_KEY_WRAP_PAD, kwp, sizeof(kwp));
	refused(CKM_AES_KEY_WRAP_PAD, NULL, 4);
}

static CK_RV read_json(const char *json, struct parameter *ret)
{
	return read(CKM_CMEK_KMS, json, strlen(json), ret);
}

static void a_context_is_flat_json(void **state)
{
	struct parameter parameter;

	(void)state;
	assert_int_equal(read_json("{\"table\":\"orders\",\"day\":\"1\"}", &parameter), CKR_OK);
	assert_int_equal(parameter.context->pairs.count, 2);
	assert_string_equal(parameter.context->pairs.pairs[0].name, "table");
	assert_string_equal(parameter.context->pairs.pairs[0].value, "orders");
	parameter_clear(&parameter);
	assert_int_equal(read_json("{}", &parameter), CKR_OK);
	parameter_clear(&parameter);
	accepted(CKM_CMEK_KMS, NULL, 0);
}

static void a_context_of_another_form_is_refused(void **state)
{
	static const char *const bad[] = {
		"{\"a\":1}",
		"{\"a\":{\"b\":\"c\"}}",
		"[\"a\"]",
		"\"a\"",
		"{\"a\":null}",
		"{\"a\":\"b\"",
		"{\"a\":\"b\"} ,",
		"nonsense",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":\"b\",\"a\":\"c\"}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		refused(CKM_CMEK_KMS, bad[i], strlen(bad[i]));
	refused(CKM_CMEK_KMS, NULL, 5);
	refused(CKM_CMEK_KMS, bad[0], CONTEXT_JSON_MAX + 1);
}

static void names_of_ours_are_refused_in_a_context(void **state)
{
	struct parameter parameter;

	(void)state;
	assert_int_equal(read_json("{\"cmek:purpose\":\"ezk\"}", &parameter),
			 CKR_MECHANISM_PARAM_INVALID);
	assert_int_equal(read_json("{\"a\":\"b\",\"cmek:\":\"\"}", &parameter),
			 CKR_MECHANISM_PARAM_INVALID);
	assert_int_equal(read_json("{\"\\u0063mek:zone\":\"7\"}", &parameter),
			 CKR_MECHANISM_PARAM_INVALID);
	assert_int_equal(read_json("{\"cmek\":\"fine\"}", &parameter), CKR_OK);
	parameter_clear(&parameter);
}

static void a_context_has_so_many_pairs_at_most(void **state)
{
	struct buffer json = {0};
	struct parameter parameter;
	size_t i;

	(void)state;
	for (i = 0; i < CONTEXT_PAIRS_MAX; i++)
		buffer_format(&json, "%s\"n%zu\":\"v\"", i == 0 ? "{" : ",", i);
	buffer_put_text(&json, "}");
	assert_int_equal(read_json(buffer_text(&json), &parameter), CKR_OK);
	parameter_clear(&parameter);
	buffer_truncate(&json, json.len - 1);
	buffer_put_text(&json, ",\"one more\":\"v\"}");
	assert_int_equal(read_json(buffer_text(&json), &parameter), CKR_MECHANISM_PARAM_INVALID);
	buffer_clear(&json);
}

static void aad_is_any_bytes(void **state)
{
	struct parameter parameter;

	(void)state;
	assert_int_equal(read(CKM_CMEK_DEK_WRAP, aad, sizeof(aad), &parameter), CKR_OK);
	assert_bytes(parameter.aad, bytes(aad, sizeof(aad)));
	accepted(CKM_CMEK_DEK_WRAP, NULL, 0);
	refused(CKM_CMEK_DEK_WRAP, NULL, 1);
}

static CK_CCM_PARAMS ccm_of(CK_ULONG data_len, CK_ULONG nonce_len, CK_ULONG mac_len)
{
	return (CK_CCM_PARAMS){data_len, iv, nonce_len, aad, sizeof(aad), mac_len};
}

static void ccm_takes_what_its_nonce_has_room_for(void **state)
{
	CK_CCM_PARAMS ccm = ccm_of(65535, 13, 8);
	struct parameter parameter;

	(void)state;
	assert_int_equal(read(CKM_AES_CCM, &ccm, sizeof(ccm), &parameter), CKR_OK);
	assert_bytes(parameter.iv, bytes(iv, 13));
	assert_bytes(parameter.aad, bytes(aad, 5));
	assert_int_equal(parameter.tag_len, 8);
	assert_int_equal(parameter.data_len, 65535);
	refused(CKM_AES_CCM, &ccm, sizeof(ccm) - 1);
	refused(CKM_AES_CCM, NULL, sizeof(ccm));
	ccm.ulDataLen++;
	refused(CKM_AES_CCM, &ccm, sizeof(ccm));
	ccm = ccm_of((CK_ULONG)-1, 7, 16);
	refused(CKM_AES_CCM, &ccm, sizeof(ccm));
	ccm.ulDataLen = AES_CCM_LEN_MAX;
	accepted(CKM_AES_CCM, &ccm, sizeof(ccm));
	ccm.ulDataLen++;
	refused(CKM_AES_CCM, &ccm, sizeof(ccm));
	ccm = ccm_of(1, 7, 16);
	ccm.ulAADLen = (CK_ULONG)AES_CCM_LEN_MAX + 1;
	refused(CKM_AES_CCM, &ccm, sizeof(ccm));
	ccm.ulAADLen = 0;
	ccm.pNonce = NULL;
	refused(CKM_AES_CCM, &ccm, sizeof(ccm));
	ccm = ccm_of(1, 12, 16);
	ccm.pAAD = NULL;
	refused(CKM_AES_CCM, &ccm, sizeof(ccm));
	ccm.ulAADLen = 0;
	accepted(CKM_AES_CCM, &ccm, sizeof(ccm));
}

static void ccm_nonces_and_macs_are_those_of_the_standard(void **state)
{
	(void)state;
	for (CK_ULONG len = 0; len <= 40; len++) {
		CK_CCM_PARAMS nonce = ccm_of(1, len, 16), mac = ccm_of(1, 12, len);
		bool mac_valid = len >= 4 && len <= 16 && len % 2 == 0;

		(len >= 7 && len <= 13 ? accepted : refused)(CKM_AES_CCM, &nonce, sizeof(nonce));
		(mac_valid ? accepted : refused)(CKM_AES_CCM, &mac, sizeof(mac));
	}
}

static CK_RV read_hkdf(const CK_HKDF_PARAMS *hkdf, size_t len)
{
	const CK_MECHANISM given = {CKM_HKDF_DERIVE, (void *)hkdf, len};
	CK_HKDF_PARAMS back;

	return hkdf_read(&given, &back);
}

static void hkdf_does_one_half_at_least(void **state)
{
	CK_HKDF_PARAMS hkdf = {.prfHashMechanism = CKM_SHA256, .ulSaltType = CKF_HKDF_SALT_NULL};

	(void)state;
	assert_int_equal(read_hkdf(&hkdf, sizeof(hkdf)), CKR_MECHANISM_PARAM_INVALID);
	hkdf.bExpand = CK_TRUE;
	assert_int_equal(read_hkdf(&hkdf, sizeof(hkdf)), CKR_OK);
	assert_int_equal(read_hkdf(&hkdf, sizeof(hkdf) - 1), CKR_MECHANISM_PARAM_INVALID);
	assert_int_equal(read_hkdf(NULL, sizeof(hkdf)), CKR_MECHANISM_PARAM_INVALID);
	hkdf.ulInfoLen = 1;
	assert_int_equal(read_hkdf(&hkdf, sizeof(hkdf)), CKR_MECHANISM_PARAM_INVALID);
}

static void hkdf_salts_are_checked_where_they_count(void **state)
{
	CK_HKDF_PARAMS hkdf = {.bExpand = CK_TRUE, .prfHashMechanism = CKM_SHA256};

	(void)state;
	/* No type of salt, but nobody looks. */
	assert_int_equal(read_hkdf(&hkdf, sizeof(hkdf)), CKR_OK);
	hkdf.bExtract = CK_TRUE;
	assert_int_equal(read_hkdf(&hkdf, sizeof(hkdf)), CKR_MECHANISM_PARAM_INVALID);
	hkdf.ulSaltType = CKF_HKDF_SALT_DATA;
	assert_int_equal(read_hkdf(&hkdf, sizeof(hkdf)), CKR_OK);
	hkdf.ulSaltLen = 3;
	assert_int_equal(read_hkdf(&hkdf, sizeof(hkdf)), CKR_MECHANISM_PARAM_INVALID);
	hkdf.ulSaltType = CKF_HKDF_SALT_KEY | CKF_HKDF_SALT_DATA;
	assert_int_equal(read_hkdf(&hkdf, sizeof(hkdf)), CKR_MECHANISM_PARAM_INVALID);
}

/* Structures may lie anywhere. */
static void structures_may_be_misaligned(void **state)
{
	uint8_t place[sizeof(CK_GCM_PARAMS) + 8];
	CK_GCM_PARAMS gcm = gcm_of(12, 5, 128);
	size_t shift;

	(void)state;
	for (shift = 0; shift < 8; shift++) {
		memcpy(place + shift, &gcm, sizeof(gcm));
		accepted(CKM_AES_GCM, place + shift, sizeof(gcm));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_parameter_may_be_a_pointer_without_length),
		cmocka_unit_test(an_iv_has_16_bytes),
		cmocka_unit_test(counter_bits_are_1_to_128),
		cmocka_unit_test(gcm_takes_garbage_in_iv_bits),
		cmocka_unit_test(gcm_takes_the_form_without_iv_bits),
		cmocka_unit_test(gcm_tags_are_those_of_the_standard),
		cmocka_unit_test(gcm_needs_an_iv),
		cmocka_unit_test(key_wrap_takes_its_standard_iv_alone),
		cmocka_unit_test(a_context_is_flat_json),
		cmocka_unit_test(a_context_of_another_form_is_refused),
		cmocka_unit_test(names_of_ours_are_refused_in_a_context),
		cmocka_unit_test(a_context_has_so_many_pairs_at_most),
		cmocka_unit_test(aad_is_any_bytes),
		cmocka_unit_test(hkdf_does_one_half_at_least),
		cmocka_unit_test(hkdf_salts_are_checked_where_they_count),
		cmocka_unit_test(structures_may_be_misaligned),
		cmocka_unit_test(ccm_takes_what_its_nonce_has_room_for),
		cmocka_unit_test(ccm_nonces_and_macs_are_those_of_the_standard),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
