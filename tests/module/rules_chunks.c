/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* CKM_CMEK_CHUNK: the module makes the IV, each once. */
#include "rules.h"

static CK_OBJECT_HANDLE derive_by(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE base,
				  bool extractable)
{
	CK_HKDF_PARAMS hkdf = {.bExpand = CK_TRUE,
			       .prfHashMechanism = CKM_SHA256,
			       .ulSaltType = CKF_HKDF_SALT_NULL};
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key;

	t = with_bool(t, CKA_EXTRACTABLE, extractable);
	check(p11->C_DeriveKey(session, mechanism_with(CKM_HKDF_DERIVE, &hkdf, sizeof(hkdf)), base,
			       t->rows, t->count, &key));
	return key;
}

static CK_OBJECT_HANDLE base_key(CK_SESSION_HANDLE session)
{
	return key_generate(session, with_bool(with_number(aes_template(), CKA_VALUE_LEN, 32),
					       CKA_DERIVE, true));
}

static CK_OBJECT_HANDLE chunk_key(CK_SESSION_HANDLE session)
{
	return derive_by(session, base_key(session), false);
}

static CK_RV seal(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, CK_ULONG index, bool last,
		  CK_BYTE out[static 32])
{
	CK_CMEK_CHUNK_PARAMS parameters = {index, last, (CK_BYTE *)"aad", 3};
	CK_BYTE text[16] = "sixteen bytes ..";
	CK_ULONG len = 32;
	CK_RV rv = p11->C_EncryptInit(
		session, mechanism_with(CKM_CMEK_CHUNK, &parameters, sizeof(parameters)), key);

	return rv != CKR_OK ? rv : p11->C_Encrypt(session, text, sizeof(text), out, &len);
}

static void a_chunk_is_gcm_by_the_iv_of_the_format(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = chunk_key(session);
	CK_BYTE iv[12] = {0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 1};
	CK_BYTE sealed[32], opened[32];
	CK_ULONG len = sizeof(opened);

	check(seal(session, key, 0x01020304, true, sealed));
	check(p11->C_DecryptInit(session, mechanism_gcm(iv, 12, (CK_BYTE *)"aad", 3, 128), key));
	check(p11->C_Decrypt(session, sealed, 32, opened, &len));
	assert_int_equal(len, 16);
	assert_memory_equal(opened, "sixteen bytes ..", 16);
}

static void no_chunk_is_sealed_twice_nor_after_the_last(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other = session_new();
	CK_OBJECT_HANDLE key = chunk_key(session);
	CK_BYTE out[32];

	check(seal(session, key, 0, false, out));
	answers(CKR_MECHANISM_PARAM_INVALID, seal(session, key, 0, false, out));
	answers(CKR_MECHANISM_PARAM_INVALID, seal(other, key, 0, true, out));
	check(seal(other, key, 1, false, out));
	check(seal(session, key, 7, false, out));
	answers(CKR_MECHANISM_PARAM_INVALID, seal(session, key, 6, false, out));
	check(seal(session, key, 8, true, out));
	answers(CKR_MECHANISM_PARAM_INVALID, seal(session, key, 9, false, out));
	answers(CKR_MECHANISM_PARAM_INVALID, seal(session, key, 1UL << 32, false, out));
	check(p11->C_CloseSession(other));
}

static void only_a_key_that_began_here_seals_chunks(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE base = base_key(session), key = chunk_key(session), copy;
	CK_BYTE out[32];

	check(seal(session, key, 0, false, out));
	check(p11->C_CopyObject(session, key, NULL, 0, &copy));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, seal(session, copy, 1, false, out));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, seal(session, base, 0, false, out));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, seal(session, known_key(session), 0, false, out));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		seal(session, derive_by(session, base, true), 0, false, out));
}

static void chunks_are_sealed_and_not_opened(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_CMEK_CHUNK_PARAMS parameters = {0};
	CK_MECHANISM *by = mechanism_with(CKM_CMEK_CHUNK, &parameters, sizeof(parameters));

	answers(CKR_MECHANISM_INVALID, p11->C_DecryptInit(session, by, chunk_key(session)));
	by = mechanism_with(CKM_CMEK_CHUNK, &parameters, sizeof(parameters) - 1);
	answers(CKR_MECHANISM_PARAM_INVALID, p11->C_EncryptInit(session, by, chunk_key(session)));
}

int rules_chunks(void)
{
	const struct CMUnitTest tests[] = {
		in_session(a_chunk_is_gcm_by_the_iv_of_the_format),
		in_session(no_chunk_is_sealed_twice_nor_after_the_last),
		in_session(only_a_key_that_began_here_seals_chunks),
		in_session(chunks_are_sealed_and_not_opened),
	};

	return run_group("chunks", tests, token_setup, token_teardown);
}
