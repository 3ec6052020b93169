/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Return values that the standard lists for a function, and that no other group of rules comes to.
 * tests/consumers/return_values.py says which of all are seen, and why the rest is not. */
#include "rules.h"

enum { LEN = 32, TAG = 16, NONCE = 12 };

static CK_BYTE data[64], out[128];

static CK_ULONG *len_of(CK_ULONG len)
{
	static CK_ULONG out_len;

	out_len = len;
	return &out_len;
}

static CK_MECHANISM *cbc(void)
{
	return fitting(CKM_AES_CBC);
}

static CK_MECHANISM *pad(void)
{
	return fitting(CKM_AES_CBC_PAD);
}

static CK_OBJECT_HANDLE secret(CK_SESSION_HANDLE session, CK_ULONG len)
{
	struct template *t = with_number(aes_template(), CKA_KEY_TYPE, CKK_GENERIC_SECRET);
	CK_OBJECT_HANDLE key;

	with_bool(t, CKA_SIGN, true);
	with_bool(t, CKA_VERIFY, true);
	with_bool(t, CKA_DERIVE, true);
	with(t, CKA_VALUE, known_value, len);
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	return key;
}

/* --- Module, slots */

static void mechanism_info_is_of_a_slot_and_a_mechanism(void **state)
{
	CK_MECHANISM_INFO info;

	(void)state;
	answers(CKR_ARGUMENTS_BAD, p11->C_GetMechanismInfo(slot, CKM_AES_CBC, NULL));
	answers(CKR_MECHANISM_INVALID, p11->C_GetMechanismInfo(slot, CKM_RSA_PKCS, &info));
	answers(CKR_SLOT_ID_INVALID, p11->C_GetMechanismInfo(slot + 99, CKM_AES_CBC, &info));
}

static CK_RV lock_nothing(void **mutex)
{
	(void)mutex;
	return CKR_OK;
}

static CK_RV use_nothing(void *mutex)
{
	(void)mutex;
	return CKR_OK;
}

static void before_initialize(void **state)
{
	CK_C_INITIALIZE_ARGS args = {.CreateMutex = lock_nothing,
				     .DestroyMutex = use_nothing,
				     .LockMutex = use_nothing,
				     .UnlockMutex = use_nothing};
	CK_MECHANISM_INFO info;
	CK_SLOT_ID some;

	(void)state;
	check(p11->C_Finalize(NULL));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_GetMechanismInfo(slot, CKM_AES_CBC, &info));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &some, NULL));
	answers(CKR_CANT_LOCK, p11->C_Initialize(&args));
	check(initialize());
}

/* --- Objects */

static void a_read_only_session_changes_no_token(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, reader;
	CK_OBJECT_HANDLE zone = some_zone(session), key = known_key(session), base, made;
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);
	struct template *label = with_text(template_new(), CKA_LABEL, "other");
	struct template *token = with_bool(template_new(), CKA_TOKEN, true);
	CK_HKDF_PARAMS hkdf = {.bExpand = CK_TRUE, .prfHashMechanism = CKM_SHA256};
	CK_BYTE wrapped[64];
	CK_ULONG len = sizeof(wrapped);

	base = secret(session, LEN);
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), zone, key, wrapped, &len));
	check(p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &reader));
	answers(CKR_SESSION_READ_ONLY, p11->C_DestroyObject(reader, zone));
	answers(CKR_SESSION_READ_ONLY,
		p11->C_SetAttributeValue(reader, zone, label->rows, label->count));
	answers(CKR_SESSION_READ_ONLY,
		p11->C_CopyObject(reader, key, token->rows, token->count, &made));
	answers(CKR_SESSION_READ_ONLY, p11->C_UnwrapKey(reader, mechanism(CKM_AES_KEY_WRAP), zone,
							wrapped, len, t->rows, t->count, &made));
	with_number(t, CKA_VALUE_LEN, LEN);
	answers(CKR_SESSION_READ_ONLY,
		p11->C_DeriveKey(reader, mechanism_with(CKM_HKDF_DERIVE, &hkdf, sizeof(hkdf)), base,
				 t->rows, t->count, &made));
	t = with(with_bool(aes_template(), CKA_TOKEN, true), CKA_VALUE, known_value, LEN);
	answers(CKR_SESSION_READ_ONLY, p11->C_CreateObject(reader, t->rows, t->count, &made));
	check(p11->C_CloseSession(reader));
}

/* What has a handle without a login is a session's. */
static void no_key_comes_to_the_token_without_a_login(void **state)
{
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key, base, made;
	struct template *token = with_bool(template_new(), CKA_TOKEN, true);
	struct template *t = with_bool(aes_template(), CKA_TOKEN, true);
	CK_HKDF_PARAMS hkdf = {.bExpand = CK_TRUE, .prfHashMechanism = CKM_SHA256};
	CK_BYTE wrapped[64];
	CK_ULONG len = sizeof(wrapped);

	(void)state;
	check(p11->C_Finalize(NULL));
	token_configure("[slots]\nlogin_required = true\n");
	check(initialize());
	check(p11->C_OpenSession(slot, CKF_SERIAL_SESSION | CKF_RW_SESSION, NULL, NULL, &session));
	key = known_key(session);
	base = secret(session, LEN);
	answers(CKR_USER_NOT_LOGGED_IN,
		p11->C_CopyObject(session, key, token->rows, token->count, &made));
	check(wrap_by(session, mechanism(CKM_AES_KEY_WRAP), key, key, wrapped, &len));
	answers(CKR_USER_NOT_LOGGED_IN, p11->C_UnwrapKey(session, mechanism(CKM_AES_KEY_WRAP), key,
							 wrapped, len, t->rows, t->count, &made));
	with_number(t, CKA_VALUE_LEN, LEN);
	answers(CKR_USER_NOT_LOGGED_IN,
		p11->C_DeriveKey(session, mechanism_with(CKM_HKDF_DERIVE, &hkdf, sizeof(hkdf)),
				 base, t->rows, t->count, &made));
	check(p11->C_Finalize(NULL));
	token_configure("");
	check(initialize());
}

static void what_no_template_can_say(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session), base = secret(session, LEN), made;
	CK_ATTRIBUTE unknown = {CKA_MODULUS, data, 8}, local = {CKA_LOCAL, data, 1};
	CK_ATTRIBUTE nowhere = {CKA_LABEL, NULL, 8};
	CK_HKDF_PARAMS hkdf = {.bExpand = CK_TRUE, .prfHashMechanism = CKM_SHA256};
	CK_MECHANISM *derive = mechanism_with(CKM_HKDF_DERIVE, &hkdf, sizeof(hkdf));
	CK_MECHANISM *wrap = mechanism(CKM_AES_KEY_WRAP);

	answers(CKR_ATTRIBUTE_TYPE_INVALID, p11->C_CopyObject(session, key, &unknown, 1, &made));
	answers(CKR_ATTRIBUTE_TYPE_INVALID,
		p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), &unknown, 1, &made));
	answers(CKR_ATTRIBUTE_TYPE_INVALID,
		p11->C_UnwrapKey(session, wrap, key, data, 40, &unknown, 1, &made));
	answers(CKR_ATTRIBUTE_READ_ONLY,
		p11->C_UnwrapKey(session, wrap, key, data, 40, &local, 1, &made));
	answers(CKR_ATTRIBUTE_TYPE_INVALID,
		p11->C_DeriveKey(session, derive, base, &unknown, 1, &made));
	answers(CKR_ATTRIBUTE_READ_ONLY, p11->C_DeriveKey(session, derive, base, &local, 1, &made));
	answers(CKR_ATTRIBUTE_VALUE_INVALID, p11->C_FindObjectsInit(session, &nowhere, 1));
	answers(CKR_ARGUMENTS_BAD, p11->C_SetAttributeValue(session, key, NULL, 1));
	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_GenerateKey(session, mechanism_with(CKM_AES_KEY_GEN, data, 8), NULL, 0,
				   &made));
}

/* --- How operations begin */

static void operations_begin_with_a_key_that_fits(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE aes = key_import(session, CKK_AES, known_value, 16);
	CK_OBJECT_HANDLE generic = secret(session, LEN);
	CK_MECHANISM *hmac = mechanism(CKM_SHA256_HMAC);
	CK_CMEK_CHUNK_PARAMS chunk = {.ulIndex = 0};

	answers(CKR_KEY_HANDLE_INVALID, p11->C_DecryptInit(session, cbc(), 0));
	answers(CKR_KEY_TYPE_INCONSISTENT, p11->C_DecryptInit(session, cbc(), generic));
	answers(CKR_KEY_SIZE_RANGE,
		p11->C_EncryptInit(session, mechanism_with(CKM_CMEK_CHUNK, &chunk, sizeof(chunk)),
				   aes));
	answers(CKR_KEY_HANDLE_INVALID, p11->C_SignInit(session, hmac, 0));
	answers(CKR_KEY_HANDLE_INVALID, p11->C_VerifyInit(session, hmac, 0));
	answers(CKR_MECHANISM_INVALID, p11->C_VerifyInit(session, cbc(), generic));
	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_DigestInit(session, mechanism_with(CKM_SHA256, data, 8)));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	answers(CKR_KEY_HANDLE_INVALID, p11->C_DigestKey(session, 0));
}

static void an_operation_of_a_kind_is_active_already(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE aes = known_key(session), generic = secret(session, LEN);
	CK_MECHANISM *hmac = mechanism(CKM_SHA256_HMAC);

	check(p11->C_DecryptInit(session, cbc(), aes));
	answers(CKR_OPERATION_ACTIVE, p11->C_DecryptInit(session, cbc(), aes));
	check(p11->C_VerifyInit(session, hmac, generic));
	answers(CKR_OPERATION_ACTIVE, p11->C_VerifyInit(session, hmac, generic));
	check(p11->C_VerifyInit(session, NULL, 0));
	check(p11->C_DecryptInit(session, NULL, 0));
}

/* --- How they go on */

static void no_room(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE sealed[32];
	CK_ULONG len = sizeof(sealed);

	check(p11->C_EncryptInit(session, pad(), key));
	check(p11->C_Encrypt(session, data, 20, sealed, &len));
	check(p11->C_DecryptInit(session, pad(), key));
	answers(CKR_BUFFER_TOO_SMALL, p11->C_Decrypt(session, sealed, 32, out, len_of(19)));
	check(p11->C_Decrypt(session, sealed, 32, out, len_of(20)));
	check(p11->C_DecryptInit(session, pad(), key));
	answers(CKR_BUFFER_TOO_SMALL, p11->C_DecryptUpdate(session, sealed, 32, out, len_of(15)));
	check(p11->C_DecryptUpdate(session, sealed, 32, out, len_of(16)));
	answers(CKR_BUFFER_TOO_SMALL, p11->C_DecryptFinal(session, out, len_of(3)));
	check(p11->C_DecryptFinal(session, out, len_of(4)));
}

static void no_length(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session), generic = secret(session, LEN);
	CK_MECHANISM *hmac = mechanism(CKM_SHA256_HMAC);

	check(p11->C_EncryptInit(session, cbc(), key));
	answers(CKR_ARGUMENTS_BAD, p11->C_EncryptFinal(session, out, NULL));
	check(p11->C_DecryptInit(session, cbc(), key));
	answers(CKR_ARGUMENTS_BAD, p11->C_DecryptUpdate(session, NULL, 1, out, len_of(64)));
	check(p11->C_SignInit(session, hmac, generic));
	answers(CKR_ARGUMENTS_BAD, p11->C_SignFinal(session, out, NULL));
	check(p11->C_VerifyInit(session, hmac, generic));
	answers(CKR_ARGUMENTS_BAD, p11->C_VerifyUpdate(session, NULL, 1));
}

static void a_mac_that_is_wrong(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = secret(session, LEN);

	for (int i = 0; i < 2; i++) {
		check(p11->C_VerifyInit(session, mechanism(CKM_SHA256_HMAC), key));
		check(p11->C_VerifyUpdate(session, data, sizeof(data)));
		answers(i == 0 ? CKR_SIGNATURE_INVALID : CKR_SIGNATURE_LEN_RANGE,
			p11->C_VerifyFinal(session, out, i == 0 ? 32 : 31));
		answers(CKR_OPERATION_NOT_INITIALIZED, p11->C_VerifyFinal(session, out, 32));
	}
}

/* --- Pairs */

static CK_MECHANISM *ccm_of(CK_ULONG len)
{
	return mechanism_ccm(len, known_value, NONCE, NULL, 0, TAG);
}

static void begin_pairs(CK_SESSION_HANDLE session, CK_MECHANISM *by)
{
	CK_OBJECT_HANDLE key = known_key(session), generic = secret(session, LEN);

	check(p11->C_EncryptInit(session, by, key));
	check(p11->C_DecryptInit(session, by, key));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_SignInit(session, mechanism(CKM_SHA256_HMAC), generic));
	check(p11->C_VerifyInit(session, mechanism(CKM_SHA256_HMAC), generic));
}

static void end_pairs(CK_SESSION_HANDLE session)
{
	check(p11->C_EncryptInit(session, NULL, 0));
	check(p11->C_DecryptInit(session, NULL, 0));
	check(p11->C_DigestInit(session, NULL));
	check(p11->C_SignInit(session, NULL, 0));
	check(p11->C_VerifyInit(session, NULL, 0));
}

static void pairs_lack_room_arguments_or_a_length(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	begin_pairs(session, cbc());
	answers(CKR_BUFFER_TOO_SMALL,
		p11->C_DecryptDigestUpdate(session, data, 32, out, len_of(31)));
	answers(CKR_BUFFER_TOO_SMALL,
		p11->C_DecryptVerifyUpdate(session, data, 32, out, len_of(31)));
	answers(CKR_BUFFER_TOO_SMALL, p11->C_SignEncryptUpdate(session, data, 32, out, len_of(31)));
	answers(CKR_ARGUMENTS_BAD, p11->C_DigestEncryptUpdate(session, NULL, 1, out, len_of(64)));
	end_pairs(session);
	begin_pairs(session, cbc());
	answers(CKR_ARGUMENTS_BAD, p11->C_DecryptDigestUpdate(session, NULL, 1, out, len_of(64)));
	end_pairs(session);
	begin_pairs(session, cbc());
	answers(CKR_ARGUMENTS_BAD, p11->C_DecryptVerifyUpdate(session, NULL, 1, out, len_of(64)));
	end_pairs(session);
	begin_pairs(session, ccm_of(8));
	answers(CKR_DATA_LEN_RANGE, p11->C_DigestEncryptUpdate(session, data, 9, out, len_of(64)));
	end_pairs(session);
	begin_pairs(session, ccm_of(8));
	answers(CKR_ENCRYPTED_DATA_LEN_RANGE,
		p11->C_DecryptDigestUpdate(session, data, 8 + TAG + 1, out, len_of(64)));
	end_pairs(session);
	begin_pairs(session, ccm_of(8));
	answers(CKR_DATA_LEN_RANGE, p11->C_SignEncryptUpdate(session, data, 9, out, len_of(64)));
	end_pairs(session);
}

/* --- Messages */

static CK_BYTE nonce[NONCE], tag[TAG];
static CK_CCM_MESSAGE_PARAMS ccm;

static CK_CCM_MESSAGE_PARAMS *message(CK_GENERATOR_FUNCTION generator)
{
	ccm = (CK_CCM_MESSAGE_PARAMS){LEN, nonce, NONCE, 0, generator, tag, TAG};
	return &ccm;
}

static CK_RV begin_message(CK_SESSION_HANDLE session, bool seal, void *aad, CK_ULONG aad_len)
{
	return seal ? p30->C_EncryptMessageBegin(session, &ccm, sizeof(ccm), aad, aad_len)
		    : p30->C_DecryptMessageBegin(session, &ccm, sizeof(ccm), aad, aad_len);
}

static CK_RV end_message(CK_SESSION_HANDLE session, bool seal, CK_BYTE *in, CK_ULONG in_len,
			 CK_ULONG room)
{
	return seal ? p30->C_EncryptMessageNext(session, &ccm, sizeof(ccm), in, in_len, out,
						len_of(room), CKF_END_OF_MESSAGE)
		    : p30->C_DecryptMessageNext(session, &ccm, sizeof(ccm), in, in_len, out,
						len_of(room), CKF_END_OF_MESSAGE);
}

static CK_RV begin_series(CK_SESSION_HANDLE session, bool seal, CK_MECHANISM *by,
			  CK_OBJECT_HANDLE key)
{
	return seal ? p30->C_MessageEncryptInit(session, by, key)
		    : p30->C_MessageDecryptInit(session, by, key);
}

static void a_series_of_messages_begins_as_an_operation_does(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session), generic = secret(session, LEN);
	CK_MECHANISM *by = mechanism(CKM_AES_CCM);

	for (int seal = 0; seal < 2; seal++) {
		answers(CKR_KEY_HANDLE_INVALID, begin_series(session, seal, by, 0));
		answers(CKR_KEY_TYPE_INCONSISTENT, begin_series(session, seal, by, generic));
		answers(CKR_MECHANISM_INVALID, begin_series(session, seal, cbc(), key));
		answers(CKR_MECHANISM_PARAM_INVALID,
			begin_series(session, seal, mechanism_with(CKM_AES_CCM, data, 8), key));
		check(begin_series(session, seal, by, key));
		answers(CKR_OPERATION_ACTIVE, begin_series(session, seal, by, key));
		check(begin_series(session, seal, NULL, 0));
	}
}

static void a_message_has_its_own_errors(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);

	for (int seal = 0; seal < 2; seal++) {
		check(begin_series(session, seal, mechanism(CKM_AES_CCM), key));
		message(CKG_NO_GENERATE);
		answers(CKR_ARGUMENTS_BAD, begin_message(session, seal, NULL, 1));
		ccm.ulNonceLen = 6;
		answers(CKR_MECHANISM_PARAM_INVALID, begin_message(session, seal, NULL, 0));
		message(CKG_NO_GENERATE);
		check(begin_message(session, seal, NULL, 0));
		answers(CKR_OPERATION_ACTIVE, begin_message(session, seal, NULL, 0));
		answers(CKR_BUFFER_TOO_SMALL, end_message(session, seal, data, LEN, LEN - 1));
		answers(CKR_ARGUMENTS_BAD, end_message(session, seal, NULL, 1, LEN));
		check(begin_message(session, seal, NULL, 0));
		ccm.pMAC = NULL;
		answers(CKR_MECHANISM_PARAM_INVALID, end_message(session, seal, data, LEN, LEN));
		check(begin_series(session, seal, NULL, 0));
	}
	check(begin_series(session, false, mechanism(CKM_AES_CCM), key));
	message(CKG_NO_GENERATE);
	answers(CKR_ARGUMENTS_BAD, p30->C_DecryptMessage(session, &ccm, sizeof(ccm), NULL, 1, data,
							 LEN, out, len_of(LEN)));
	answers(CKR_BUFFER_TOO_SMALL, p30->C_DecryptMessage(session, &ccm, sizeof(ccm), NULL, 0,
							    data, LEN, out, len_of(LEN - 1)));
	check(begin_message(session, false, NULL, 0));
	answers(CKR_OPERATION_ACTIVE, p30->C_DecryptMessage(session, &ccm, sizeof(ccm), NULL, 0,
							    data, LEN, out, len_of(LEN)));
	check(begin_series(session, false, NULL, 0));
}

static void a_key_that_ends_during_a_series(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);

	for (int seal = 0; seal < 2; seal++)
		check(begin_series(session, seal, mechanism(CKM_AES_CCM), key));
	check(p11->C_DestroyObject(session, key));
	message(CKG_NO_GENERATE);
	for (int seal = 0; seal < 2; seal++) {
		answers(CKR_KEY_HANDLE_INVALID, begin_message(session, seal, NULL, 0));
		check(begin_series(session, seal, NULL, 0));
	}
}

int rules_returns(void)
{
	const struct CMUnitTest tests[] = {
		in_session(mechanism_info_is_of_a_slot_and_a_mechanism),
		cmocka_unit_test(before_initialize),
		in_session(a_read_only_session_changes_no_token),
		cmocka_unit_test(no_key_comes_to_the_token_without_a_login),
		in_session(what_no_template_can_say),
		in_session(operations_begin_with_a_key_that_fits),
		in_session(an_operation_of_a_kind_is_active_already),
		in_session(no_room),
		in_session(no_length),
		in_session(a_mac_that_is_wrong),
		in_session(pairs_lack_room_arguments_or_a_length),
		in_session(a_series_of_messages_begins_as_an_operation_does),
		in_session(a_message_has_its_own_errors),
		in_session(a_key_that_ends_during_a_series),
	};

	return run_group("return values", tests, token_setup, token_teardown);
}
