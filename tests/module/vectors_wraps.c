/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Key wrap on its vectors, by C_WrapKey and C_UnwrapKey and by C_Encrypt and C_Decrypt. */
#include "vectors.h"

static CK_RV unwrap(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE wrapping,
		    CK_BYTE *wrapped, CK_ULONG len, CK_OBJECT_HANDLE *ret_key)
{
	struct template *t = generic_secret();

	return p11->C_UnwrapKey(session, mechanism(type), wrapping, wrapped, len, t->rows, t->count,
				ret_key);
}

static void unwraps(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, CK_OBJECT_HANDLE wrapping,
		    const struct vector *v)
{
	CK_OBJECT_HANDLE key;
	CK_BYTE value[1024];
	CK_ULONG len;

	check(unwrap(session, type, wrapping, v->bytes[2], v->len[2], &key));
	len = attribute_bytes(session, key, CKA_VALUE, value, sizeof(value));
	is_output(v, value, len, v->bytes[1], v->len[1]);
	check(p11->C_DestroyObject(session, key));
}

static void wraps(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, const struct vector *v)
{
	CK_OBJECT_HANDLE wrapping = key_import(session, CKK_AES, v->bytes[0], v->len[0]);
	CK_OBJECT_HANDLE key = key_import(session, CKK_GENERIC_SECRET, v->bytes[1], v->len[1]);
	CK_BYTE wrapped[1024];
	CK_ULONG len = sizeof(wrapped);

	check(p11->C_WrapKey(session, mechanism(type), wrapping, key, wrapped, &len));
	is_output(v, wrapped, len, v->bytes[2], v->len[2]);
	unwraps(session, type, wrapping, v);
	check(p11->C_DestroyObject(session, key));
	check(p11->C_DestroyObject(session, wrapping));
}

static void wraps_not(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, const struct vector *v)
{
	CK_OBJECT_HANDLE wrapping = key_import(session, CKK_AES, v->bytes[0], v->len[0]), key;
	CK_RV expected = module_is_softhsm() ? CKR_GENERAL_ERROR : CKR_WRAPPED_KEY_INVALID;

	answers(expected, unwrap(session, type, wrapping, v->bytes[1], v->len[1], &key));
	check(p11->C_DestroyObject(session, wrapping));
}

static void kw(CK_SESSION_HANDLE session, const struct vector *v)
{
	wraps(session, CKM_AES_KEY_WRAP, v);
}

static void kw_bad(CK_SESSION_HANDLE session, const struct vector *v)
{
	wraps_not(session, CKM_AES_KEY_WRAP, v);
}

static void kwp(CK_SESSION_HANDLE session, const struct vector *v)
{
	wraps(session, CKM_AES_KEY_WRAP_KWP, v);
}

static void kwp_bad(CK_SESSION_HANDLE session, const struct vector *v)
{
	wraps_not(session, CKM_AES_KEY_WRAP_KWP, v);
}

static void pad(CK_SESSION_HANDLE session, const struct vector *v)
{
	/* SoftHSM2 adds zeros before it wraps: see the table in same_on_softhsm.c. */
	if (module_is_softhsm() && v->len[1] % 8 != 0)
		return;
	wraps(session, CKM_AES_KEY_WRAP_PAD, v);
}

static void pad_bad(CK_SESSION_HANDLE session, const struct vector *v)
{
	wraps_not(session, CKM_AES_KEY_WRAP_PAD, v);
}

static void encrypts_too(CK_SESSION_HANDLE session, CK_MECHANISM_TYPE type, const struct vector *v)
{
	CK_OBJECT_HANDLE key = key_import(session, CKK_AES, v->bytes[0], v->len[0]);
	CK_BYTE out[1024];
	CK_ULONG len = sizeof(out);

	check(p11->C_EncryptInit(session, mechanism(type), key));
	check(p11->C_Encrypt(session, v->bytes[1], v->len[1], out, &len));
	is_output(v, out, len, v->bytes[2], v->len[2]);
	len = sizeof(out);
	check(p11->C_DecryptInit(session, mechanism(type), key));
	check(p11->C_Decrypt(session, v->bytes[2], v->len[2], out, &len));
	is_output(v, out, len, v->bytes[1], v->len[1]);
	check(p11->C_DestroyObject(session, key));
}

static void kw_encrypts(CK_SESSION_HANDLE session, const struct vector *v)
{
	encrypts_too(session, CKM_AES_KEY_WRAP, v);
}

static void kwp_encrypts(CK_SESSION_HANDLE session, const struct vector *v)
{
	encrypts_too(session, CKM_AES_KEY_WRAP_KWP, v);
}

static void key_wrap_is_that_of_rfc_3394(void **state)
{
	from_file(state, "aes_kw.txt", 3, kw);
}

static void key_wrap_refuses_what_is_not_authentic(void **state)
{
	from_file(state, "aes_kw_bad.txt", 2, kw_bad);
}

static void key_wrap_with_padding_is_that_of_rfc_5649(void **state)
{
	need(CKM_AES_KEY_WRAP_KWP, CKF_WRAP | CKF_UNWRAP);
	from_file(state, "aes_kwp.txt", 3, kwp);
}

static void key_wrap_with_padding_refuses_what_is_not_authentic(void **state)
{
	need(CKM_AES_KEY_WRAP_KWP, CKF_UNWRAP);
	from_file(state, "aes_kwp_bad.txt", 2, kwp_bad);
}

static void mechanism_210a_is_that_of_rfc_5649(void **state)
{
	from_file(state, "aes_kwp.txt", 3, pad);
}

static void mechanism_210a_refuses_what_is_not_authentic(void **state)
{
	from_file(state, "aes_kwp_bad.txt", 2, pad_bad);
}

static void key_wrap_encrypts_too(void **state)
{
	need(CKM_AES_KEY_WRAP, CKF_ENCRYPT | CKF_DECRYPT);
	from_file(state, "aes_kw.txt", 3, kw_encrypts);
}

static void key_wrap_with_padding_encrypts_too(void **state)
{
	need(CKM_AES_KEY_WRAP_KWP, CKF_ENCRYPT | CKF_DECRYPT);
	from_file(state, "aes_kwp.txt", 3, kwp_encrypts);
}

int vectors_wraps(void)
{
	const struct CMUnitTest tests[] = {
		in_session(key_wrap_is_that_of_rfc_3394),
		in_session(key_wrap_refuses_what_is_not_authentic),
		in_session(key_wrap_with_padding_is_that_of_rfc_5649),
		in_session(key_wrap_with_padding_refuses_what_is_not_authentic),
		in_session(mechanism_210a_is_that_of_rfc_5649),
		in_session(mechanism_210a_refuses_what_is_not_authentic),
		in_session(key_wrap_encrypts_too),
		in_session(key_wrap_with_padding_encrypts_too),
	};

	return run_group("wraps", tests, token_setup, token_teardown);
}
