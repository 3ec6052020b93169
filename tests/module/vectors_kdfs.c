/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that are derived by SP 800-108 and by encrypting data, on vectors. */
#include "vectors.h"

#include "tests/support/judged_fips.h"

static CK_MECHANISM_TYPE prf_of(const CK_BYTE name[static 2])
{
	static const struct {
		CK_BYTE name[2];
		CK_MECHANISM_TYPE type;
	} prfs[] = {
		{{0x00, 0x00}, CKM_AES_CMAC},	   {{0x00, 0x01}, CKM_SHA_1_HMAC},
		{{0x02, 0x24}, CKM_SHA224_HMAC},   {{0x02, 0x56}, CKM_SHA256_HMAC},
		{{0x03, 0x84}, CKM_SHA384_HMAC},   {{0x05, 0x12}, CKM_SHA512_HMAC},
		{{0x32, 0x56}, CKM_SHA3_256_HMAC},
	};

	for (size_t i = 0; i < sizeof(prfs) / sizeof(*prfs); i++)
		if (memcmp(prfs[i].name, name, 2) == 0)
			return prfs[i].type;
	fail();
	return 0;
}

static CK_OBJECT_HANDLE base_key(CK_SESSION_HANDLE session, CK_KEY_TYPE type, CK_BYTE *value,
				 CK_ULONG len)
{
	struct template *t = with_number(aes_template(), CKA_KEY_TYPE, type);
	CK_OBJECT_HANDLE key;

	with_bool(t, CKA_DERIVE, true);
	with(t, CKA_VALUE, value, len);
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	return key;
}

static void derives(CK_SESSION_HANDLE session, const struct vector *v, CK_MECHANISM *by,
		    CK_OBJECT_HANDLE base, CK_BYTE *expected, CK_ULONG expected_len)
{
	struct template *t = with_number(generic_secret(), CKA_VALUE_LEN, expected_len);
	CK_OBJECT_HANDLE key;
	CK_BYTE value[512];
	CK_ULONG len;

	check(p11->C_DeriveKey(session, by, base, t->rows, t->count, &key));
	len = attribute_bytes(session, key, CKA_VALUE, value, sizeof(value));
	is_output(v, value, len, expected, expected_len);
	check(p11->C_DestroyObject(session, key));
	check(p11->C_DestroyObject(session, base));
}

static CK_OBJECT_HANDLE prf_key(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE prf, CK_BYTE *value,
				CK_ULONG len)
{
	return base_key(session, prf == CKM_AES_CMAC ? CKK_AES : CKK_GENERIC_SECRET, value, len);
}

/* --- SP 800-108 */

static void counter(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_MECHANISM_TYPE prf = prf_of(v->bytes[0]);
	CK_SP800_108_COUNTER_FORMAT format = {CK_FALSE, 8UL * v->bytes[1][0]};
	CK_PRF_DATA_PARAM pieces[] = {
		{CK_SP800_108_BYTE_ARRAY, v->bytes[2], v->len[2]},
		{CK_SP800_108_ITERATION_VARIABLE, &format, sizeof(format)},
		{CK_SP800_108_BYTE_ARRAY, v->bytes[3], v->len[3]},
	};
	CK_SP800_108_KDF_PARAMS params = {
		.prfType = prf, .ulNumberOfDataParams = 3, .pDataParams = pieces};

	derives(session, v, mechanism_with(CKM_SP800_108_COUNTER_KDF, &params, sizeof(params)),
		prf_key(session, prf, v->bytes[4], v->len[4]), v->bytes[5], v->len[5]);
}

/* The counter is there, or not. */
static CK_MECHANISM *chained_by(const struct vector *v, CK_PRF_DATA_PARAM *pieces, CK_ULONG count)
{
	CK_SP800_108_KDF_PARAMS pipeline = {.prfType = prf_of(v->bytes[1]),
					    .ulNumberOfDataParams = count,
					    .pDataParams = pieces};
	CK_SP800_108_FEEDBACK_KDF_PARAMS feedback = {.prfType = prf_of(v->bytes[1]),
						     .ulNumberOfDataParams = count,
						     .pDataParams = pieces,
						     .ulIVLen = v->len[3],
						     .pIV = v->bytes[3]};

	return v->bytes[0][0] == 1
		       ? mechanism_with(CKM_SP800_108_FEEDBACK_KDF, &feedback, sizeof(feedback))
		       : mechanism_with(CKM_SP800_108_DOUBLE_PIPELINE_KDF, &pipeline,
					sizeof(pipeline));
}

static void chained(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_ULONG bits = v->bytes[0][1];
	CK_SP800_108_COUNTER_FORMAT format = {CK_FALSE, bits};
	CK_SP800_108_DKM_LENGTH_FORMAT len = {CK_SP800_108_DKM_LENGTH_SUM_OF_KEYS, CK_FALSE, 32};
	CK_PRF_DATA_PARAM pieces[4] = {{CK_SP800_108_ITERATION_VARIABLE, NULL, 0}};
	CK_ULONG count = 1;

	if (v->bytes[0][1] != 0)
		pieces[count++] =
			(CK_PRF_DATA_PARAM){CK_SP800_108_OPTIONAL_COUNTER, &format, sizeof(format)};
	pieces[count++] = (CK_PRF_DATA_PARAM){CK_SP800_108_BYTE_ARRAY, v->bytes[4], v->len[4]};
	pieces[count++] = (CK_PRF_DATA_PARAM){CK_SP800_108_DKM_LENGTH, &len, sizeof(len)};
	derives(session, v, chained_by(v, pieces, count),
		prf_key(session, prf_of(v->bytes[1]), v->bytes[2], v->len[2]), v->bytes[5],
		v->len[5]);
}

static void counter_mode_is_that_of_nist(void **state)
{
	need(CKM_SP800_108_COUNTER_KDF, CKF_DERIVE);
	from_file(state, "kdf_counter.txt", 6, counter);
}

static void feedback_and_pipeline_are_those_of_sp_800_108(void **state)
{
	need(CKM_SP800_108_FEEDBACK_KDF, CKF_DERIVE);
	from_file(state, "kdf_chained.txt", 6, chained);
}

/* --- By encrypting data: what it gives is the key */

static void ecb_data(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_KEY_DERIVATION_STRING_DATA data = {v->bytes[1], v->len[1]};

	derives(session, v, mechanism_with(CKM_AES_ECB_ENCRYPT_DATA, &data, sizeof(data)),
		base_key(session, CKK_AES, v->bytes[0], v->len[0]), v->bytes[2],
		module_is_softhsm() ? v->len[2] : v->len[2] - 1);
}

static void cbc_data(CK_SESSION_HANDLE session, const struct vector *v)
{
	CK_AES_CBC_ENCRYPT_DATA_PARAMS data = {.pData = v->bytes[2], .length = v->len[2]};

	memcpy(data.iv, v->bytes[1], sizeof(data.iv));
	derives(session, v, mechanism_with(CKM_AES_CBC_ENCRYPT_DATA, &data, sizeof(data)),
		base_key(session, CKK_AES, v->bytes[0], v->len[0]), v->bytes[3], v->len[3]);
}

static void a_key_is_what_ecb_makes_of_data(void **state)
{
	need(CKM_AES_ECB_ENCRYPT_DATA, CKF_DERIVE);
	from_file(state, "aes_ecb.txt", 3, ecb_data);
}

static void a_key_is_what_cbc_makes_of_data(void **state)
{
	need(CKM_AES_CBC_ENCRYPT_DATA, CKF_DERIVE);
	from_file(state, "aes_cbc.txt", 4, cbc_data);
}

int vectors_kdfs(void)
{
	const struct CMUnitTest tests[] = {
		in_session(counter_mode_is_that_of_nist),
		in_session(feedback_and_pipeline_are_those_of_sp_800_108),
		in_session(a_key_is_what_ecb_makes_of_data),
		in_session(a_key_is_what_cbc_makes_of_data),
	};

	return run_group("derivations", tests, token_setup, token_teardown);
}
