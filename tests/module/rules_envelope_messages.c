/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* CKM_CMEK_MESSAGE: what a derived key and its chunk would give, under a key that is no object. */
#include "rules.h"

#include <string.h>

enum { TAG = 16, LONG = 4096 };

static struct template *dek_template(bool encrypts, bool derives)
{
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);

	with_number(t, CKA_KEY_TYPE, CKK_AES);
	with_number(t, CKA_VALUE_LEN, 32);
	with_bool(t, CKA_EXTRACTABLE, true);
	with_bool(t, CKA_ENCRYPT, encrypts);
	with_bool(t, CKA_DECRYPT, encrypts);
	return with_bool(t, CKA_DERIVE, derives);
}

static CK_OBJECT_HANDLE dek_new(CK_SESSION_HANDLE session)
{
	return key_generate(session, dek_template(true, true));
}

static CK_MECHANISM *numbered(CK_ULONG number, const char *aad)
{
	CK_CMEK_MESSAGE_PARAMS parameters = {number, (CK_BYTE *)aad, aad == NULL ? 0 : strlen(aad)};

	return mechanism_with(CKM_CMEK_MESSAGE, &parameters, sizeof(parameters));
}

static CK_RV seal(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE dek, CK_ULONG number,
		  const char *text, CK_BYTE *out)
{
	CK_ULONG len = strlen(text) + TAG;
	CK_RV rv = p11->C_EncryptInit(session, numbered(number, "aad"), dek);

	return rv != CKR_OK ? rv
			    : p11->C_Encrypt(session, (CK_BYTE *)text, strlen(text), out, &len);
}

static CK_RV begin_open(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE dek, CK_ULONG number)
{
	return p11->C_DecryptInit(session, numbered(number, "aad"), dek);
}

static CK_RV open(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE dek, CK_ULONG number,
		  const CK_BYTE *sealed, CK_ULONG len, CK_BYTE *out)
{
	CK_ULONG out_len = LONG;

	check(begin_open(session, dek, number));
	return p11->C_Decrypt(session, (CK_BYTE *)sealed, len, out, &out_len);
}

/* --- Beside C_DeriveKey ---------------------------------------------------------------------- */

static CK_OBJECT_HANDLE derived(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE dek, uint32_t number)
{
	CK_BYTE info[] = "cmek/1/message....";
	CK_HKDF_PARAMS hkdf = {.bExpand = CK_TRUE,
			       .prfHashMechanism = CKM_SHA256,
			       .ulSaltType = CKF_HKDF_SALT_NULL,
			       .pInfo = info,
			       .ulInfoLen = sizeof(info) - 1};
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);
	CK_OBJECT_HANDLE key;

	for (int i = 0; i < 4; i++)
		info[14 + i] = (CK_BYTE)(number >> (24 - 8 * i));
	with_bool(t, CKA_EXTRACTABLE, false);
	check(p11->C_DeriveKey(session, mechanism_with(CKM_HKDF_DERIVE, &hkdf, sizeof(hkdf)), dek,
			       t->rows, t->count, &key));
	return key;
}

static void it_is_gcm_by_the_derived_key(void **state)
{
	static const uint32_t numbers[] = {0, 1, 0x01020304, UINT32_MAX};
	static const CK_ULONG lengths[] = {0, 1, 16, LONG};
	static CK_BYTE text[LONG], sealed[LONG + TAG], opened[LONG];
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE dek = dek_new(session);
	CK_BYTE iv[12] = {[11] = 1};

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < 4; i++) {
		CK_ULONG len = sizeof(sealed), opened_len = sizeof(opened);
		const char *aad = i % 2 == 0 ? "bound" : NULL;

		check(p11->C_EncryptInit(session, numbered(numbers[i], aad), dek));
		check(p11->C_Encrypt(session, text, lengths[i], sealed, &len));
		assert_int_equal(len, lengths[i] + TAG);
		check(p11->C_DecryptInit(session,
					 mechanism_gcm(iv, 12, aad, aad == NULL ? 0 : 5, 128),
					 derived(session, dek, numbers[i])));
		check(p11->C_Decrypt(session, sealed, len, opened, &opened_len));
		assert_int_equal(opened_len, lengths[i]);
		assert_memory_equal(opened, text, lengths[i]);
	}
}

static void it_opens_what_a_derived_key_has_sealed(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_CMEK_CHUNK_PARAMS chunk = {0, CK_TRUE, (CK_BYTE *)"aad", 3};
	CK_OBJECT_HANDLE dek = dek_new(session);
	CK_BYTE sealed[7 + TAG], opened[LONG];
	CK_ULONG len = sizeof(sealed);

	check(p11->C_EncryptInit(session, mechanism_with(CKM_CMEK_CHUNK, &chunk, sizeof(chunk)),
				 derived(session, dek, 77)));
	check(p11->C_Encrypt(session, (CK_BYTE *)"payload", 7, sealed, &len));
	check(open(session, dek, 77, sealed, len, opened));
	assert_memory_equal(opened, "payload", 7);
}

/* --- In parts, side by side ------------------------------------------------------------------ */

static void in_parts_it_is_the_same(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE dek = dek_new(session);
	CK_BYTE sealed[7 + TAG], opened[LONG];
	CK_ULONG at = 0, len;

	check(p11->C_EncryptInit(session, numbered(5, "aad"), dek));
	for (size_t i = 0; i < 7; i++, at += len) {
		len = sizeof(sealed) - at;
		check(p11->C_EncryptUpdate(session, (CK_BYTE *)"payload" + i, 1, sealed + at,
					   &len));
	}
	len = sizeof(sealed) - at;
	check(p11->C_EncryptFinal(session, sealed + at, &len));
	assert_int_equal(at + len, sizeof(sealed));
	check(open(session, dek, 5, sealed, sizeof(sealed), opened));
	assert_memory_equal(opened, "payload", 7);

	check(begin_open(session, dek, 5));
	for (size_t i = 0; i < sizeof(sealed); i++) {
		len = sizeof(opened);
		check(p11->C_DecryptUpdate(session, sealed + i, 1, opened, &len));
		assert_int_equal(len, 0);
	}
	memset(opened, 0, 7);
	len = sizeof(opened);
	check(p11->C_DecryptFinal(session, opened, &len));
	assert_int_equal(len, 7);
	assert_memory_equal(opened, "payload", 7);
}

/* Each has a key schedule of its own. */
static void messages_under_way_do_not_disturb_each_other(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other = session_new();
	CK_OBJECT_HANDLE dek = dek_new(session);
	CK_BYTE one[4 + TAG], two[4 + TAG], three[4 + TAG], opened[LONG];
	CK_ULONG len = 4;

	check(seal(session, dek, 0, "zero", three));
	check(p11->C_EncryptInit(session, numbered(1, "aad"), dek));
	check(p11->C_EncryptUpdate(session, (CK_BYTE *)"one.", 4, one, &len));
	check(seal(other, dek, 2, "two.", two));
	check(open(session, dek, 0, three, sizeof(three), opened));
	len = TAG;
	check(p11->C_EncryptFinal(session, one + 4, &len));
	check(open(other, dek, 1, one, sizeof(one), opened));
	assert_memory_equal(opened, "one.", 4);
	check(open(session, dek, 2, two, sizeof(two), opened));
	assert_memory_equal(opened, "two.", 4);
	check(p11->C_CloseSession(other));
}

/* --- What is refused ------------------------------------------------------------------------- */

static void what_was_changed_gives_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE dek = dek_new(session);
	CK_BYTE sealed[7 + TAG], opened[LONG] = {0};
	CK_ULONG len = sizeof(opened);

	check(seal(session, dek, 3, "payload", sealed));
	for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
		sealed[bit / 8] ^= (CK_BYTE)(1 << bit % 8);
		answers(CKR_ENCRYPTED_DATA_INVALID,
			open(session, dek, 3, sealed, sizeof(sealed), opened));
		sealed[bit / 8] ^= (CK_BYTE)(1 << bit % 8);
	}
	answers(CKR_ENCRYPTED_DATA_INVALID, open(session, dek, 4, sealed, sizeof(sealed), opened));
	answers(CKR_ENCRYPTED_DATA_INVALID,
		open(session, dek_new(session), 3, sealed, sizeof(sealed), opened));
	answers(CKR_ENCRYPTED_DATA_INVALID,
		open(session, dek, 3, sealed, sizeof(sealed) - 1, opened));
	answers(CKR_ENCRYPTED_DATA_LEN_RANGE, open(session, dek, 3, sealed, TAG - 1, opened));
	check(p11->C_DecryptInit(session, numbered(3, "AAD"), dek));
	answers(CKR_ENCRYPTED_DATA_INVALID,
		p11->C_Decrypt(session, sealed, sizeof(sealed), opened, &len));
	for (size_t i = 0; i < sizeof(opened); i++)
		assert_int_equal(opened[i], 0);
	check(open(session, dek, 3, sealed, sizeof(sealed), opened));
}

static void no_number_is_sealed_twice(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other = session_new();
	CK_OBJECT_HANDLE dek = dek_new(session);
	CK_BYTE out[1 + TAG];

	check(seal(session, dek, 0, "x", out));
	answers(CKR_MECHANISM_PARAM_INVALID, seal(session, dek, 0, "x", out));
	answers(CKR_MECHANISM_PARAM_INVALID, seal(other, dek, 0, "x", out));
	check(seal(other, dek, 9, "x", out));
	answers(CKR_MECHANISM_PARAM_INVALID, seal(session, dek, 8, "x", out));
	/* Taken by Init alone. */
	check(p11->C_EncryptInit(session, numbered(10, NULL), dek));
	check(p11->C_EncryptInit(session, NULL, 0));
	answers(CKR_MECHANISM_PARAM_INVALID, seal(session, dek, 10, "x", out));
	check(seal(session, dek, UINT32_MAX, "x", out));
	answers(CKR_MECHANISM_PARAM_INVALID, seal(session, dek, UINT32_MAX, "x", out));
	answers(CKR_MECHANISM_PARAM_INVALID, seal(session, dek, 1UL << 32, "x", out));
	answers(CKR_MECHANISM_PARAM_INVALID, begin_open(session, dek, 1UL << 32));
	check(p11->C_CloseSession(other));
}

static CK_OBJECT_HANDLE wrapped_and_unwrapped(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE dek)
{
	struct template *t = dek_template(true, true);
	CK_OBJECT_HANDLE zone = some_zone(session), key;
	CK_MECHANISM *by = mechanism(CKM_CMEK_DEK_WRAP);
	CK_BYTE wrapped[128];
	CK_ULONG len = sizeof(wrapped);

	check(p11->C_WrapKey(session, by, zone, dek, wrapped, &len));
	check(p11->C_UnwrapKey(session, by, zone, wrapped, len, t->rows, t->count, &key));
	return key;
}

static void only_a_key_that_was_generated_here_seals(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	struct template *t = with_bool(template_new(), CKA_DESTROYABLE, true);
	CK_OBJECT_HANDLE dek = dek_new(session), others[4];
	CK_BYTE sealed[1 + TAG], out[LONG];

	check(seal(session, dek, 0, "x", sealed));
	check(p11->C_CopyObject(session, dek, NULL, 0, &others[0]));
	others[1] = wrapped_and_unwrapped(session, dek);
	others[2] = derived(session, dek, 0);
	others[3] = known_key(session);
	for (size_t i = 0; i < 4; i++)
		answers(CKR_KEY_FUNCTION_NOT_PERMITTED, seal(session, others[i], 1, "x", out));
	/* To open by, they will do. */
	for (size_t i = 0; i < 2; i++)
		check(open(session, others[i], 0, sealed, sizeof(sealed), out));
	check(seal(session, dek, 1, "x", out));
	check(p11->C_SetAttributeValue(session, dek, with_text(t, CKA_LABEL, "new")->rows + 1, 1));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED, seal(session, dek, 2, "x", out));
}

static void a_key_gains_no_right_by_it(void **state)
{
	static const CK_MECHANISM_TYPE gcm[] = {CKM_AES_GCM, CKM_HKDF_DERIVE},
				       this[] = {CKM_CMEK_MESSAGE};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_ATTRIBUTE forced[] = {{CKA_LABEL, (void *)"x", 1}};
	CK_BYTE out[1 + TAG];
	struct template *t;

	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		seal(session, key_generate(session, dek_template(false, true)), 0, "x", out));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		begin_open(session, key_generate(session, dek_template(false, true)), 0));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		seal(session, key_generate(session, dek_template(true, false)), 0, "x", out));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		begin_open(session, key_generate(session, dek_template(true, false)), 0));
	t = with(dek_template(true, true), CKA_ALLOWED_MECHANISMS, gcm, sizeof(gcm));
	answers(CKR_MECHANISM_INVALID, seal(session, key_generate(session, t), 0, "x", out));
	t = with(dek_template(true, true), CKA_ALLOWED_MECHANISMS, this, sizeof(this));
	check(seal(session, key_generate(session, t), 0, "x", out));
	t = with(dek_template(true, true), CKA_DERIVE_TEMPLATE, forced, sizeof(forced));
	answers(CKR_KEY_FUNCTION_NOT_PERMITTED,
		seal(session, key_generate(session, t), 0, "x", out));
}

static void what_does_not_fit_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_CMEK_MESSAGE_PARAMS parameters = {0}, nowhere = {.ulAADLen = 3};
	CK_OBJECT_HANDLE dek = dek_new(session);
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 16);
	CK_BYTE out[1 + TAG];

	for (CK_ULONG len = 0; len < sizeof(parameters); len += 8)
		answers(CKR_MECHANISM_PARAM_INVALID,
			p11->C_EncryptInit(
				session, mechanism_with(CKM_CMEK_MESSAGE, &parameters, len), dek));
	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_EncryptInit(
			session, mechanism_with(CKM_CMEK_MESSAGE, &nowhere, sizeof(nowhere)), dek));
	answers(CKR_KEY_SIZE_RANGE,
		seal(session, key_generate(session, with_bool(t, CKA_DERIVE, true)), 0, "x", out));
	answers(CKR_KEY_TYPE_INCONSISTENT, seal(session, some_zone(session), 0, "x", out));
	answers(CKR_KEY_TYPE_INCONSISTENT, begin_open(session, default_root_key(session), 0));
}

static void it_ends_with_its_key(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE dek = dek_new(session);
	CK_BYTE out[1 + TAG];

	check(seal(session, dek, 0, "x", out));
	check(p11->C_DestroyObject(session, dek));
	answers(CKR_KEY_HANDLE_INVALID, seal(session, dek, 1, "x", out));
	answers(CKR_KEY_HANDLE_INVALID, begin_open(session, dek, 0));
}

int rules_envelope_messages(void)
{
	const struct CMUnitTest tests[] = {
		in_session(it_is_gcm_by_the_derived_key),
		in_session(it_opens_what_a_derived_key_has_sealed),
		in_session(in_parts_it_is_the_same),
		in_session(messages_under_way_do_not_disturb_each_other),
		in_session(what_was_changed_gives_nothing),
		in_session(no_number_is_sealed_twice),
		in_session(only_a_key_that_was_generated_here_seals),
		in_session(a_key_gains_no_right_by_it),
		in_session(what_does_not_fit_is_refused),
		in_session(it_ends_with_its_key),
	};

	return run_group("messages of envelopes", tests, token_setup, token_teardown);
}
