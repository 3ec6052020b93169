/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What 3.0 adds to sessions: C_SessionCancel and C_LoginUser. */
#include "rules.h"

static CK_BYTE iv[16], text[32];

static void begin_all(CK_SESSION_HANDLE session)
{
	struct template *t = with_bool(aes_template(), CKA_SIGN, true);
	CK_OBJECT_HANDLE key;

	with_bool(t, CKA_VERIFY, true);
	with(t, CKA_VALUE, known_value, sizeof(known_value));
	check(p11->C_CreateObject(session, t->rows, t->count, &key));
	check(p11->C_SignInit(session, mechanism(CKM_AES_CMAC), key));
	check(p11->C_VerifyInit(session, mechanism(CKM_AES_CMAC), key));
	check(p11->C_EncryptInit(session, mechanism_with(CKM_AES_CBC, iv, 16), key));
	check(p11->C_DecryptInit(session, mechanism_with(CKM_AES_CBC, iv, 16), key));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_FindObjectsInit(session, NULL, 0));
}

enum { ENCRYPTS = 1, DECRYPTS = 2, DIGESTS = 4, FINDS = 8, SIGNS = 16, VERIFIES = 32, ALL = 63 };

static void is_active(int which, int bit, CK_RV rv)
{
	answers((which & bit) != 0 ? CKR_OK : CKR_OPERATION_NOT_INITIALIZED, rv);
}

/* Each that is active ends by this. */
static void are_active(CK_SESSION_HANDLE session, int which)
{
	CK_BYTE out[32];
	CK_ULONG len = sizeof(out);

	is_active(which, ENCRYPTS, p11->C_Encrypt(session, text, sizeof(text), out, &len));
	len = sizeof(out);
	is_active(which, DECRYPTS, p11->C_Decrypt(session, text, sizeof(text), out, &len));
	len = sizeof(out);
	is_active(which, DIGESTS, p11->C_Digest(session, text, sizeof(text), out, &len));
	len = sizeof(out);
	is_active(which, SIGNS, p11->C_Sign(session, text, sizeof(text), out, &len));
	is_active(which, VERIFIES, p11->C_VerifyUpdate(session, text, sizeof(text)));
	check(p11->C_VerifyInit(session, NULL, 0));
	is_active(which, FINDS, p11->C_FindObjectsFinal(session));
}

static void what_is_named_is_cancelled_and_all_else_goes_on(void **state)
{
	static const struct {
		CK_FLAGS flags;
		int left;
	} rows[] = {
		{0, ALL},
		{CKF_ENCRYPT, ALL - ENCRYPTS},
		{CKF_DECRYPT, ALL - DECRYPTS},
		{CKF_DIGEST, ALL - DIGESTS},
		{CKF_FIND_OBJECTS, ALL - FINDS},
		{CKF_SIGN, ALL - SIGNS},
		{CKF_VERIFY, ALL - VERIFIES},
		{CKF_ENCRYPT | CKF_FIND_OBJECTS, ALL - ENCRYPTS - FINDS},
		{CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER | CKF_MESSAGE_SIGN | CKF_WRAP |
			 CKF_EXTENSION,
		 ALL},
		{~(CK_FLAGS)0, 0},
	};
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		begin_all(session);
		check(p30->C_SessionCancel(session, rows[i].flags));
		check(p30->C_SessionCancel(session, 0));
		are_active(session, rows[i].left);
	}
	check(p30->C_SessionCancel(session, ~(CK_FLAGS)0));
}

static void a_cancelled_operation_can_begin_again(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	for (int i = 0; i < 3; i++) {
		begin_all(session);
		check(p30->C_SessionCancel(session, ~(CK_FLAGS)0));
	}
	are_active(session, 0);
}

static void another_session_is_not_touched(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state, other = session_new();

	begin_all(session);
	begin_all(other);
	check(p30->C_SessionCancel(other, ~(CK_FLAGS)0));
	are_active(session, ALL);
	are_active(other, 0);
	check(p11->C_CloseSession(other));
	answers(CKR_SESSION_HANDLE_INVALID, p30->C_SessionCancel(other, 0));
}

/* Neither PIN nor name is looked at. */
static void a_user_logs_in_by_any_name(void **state)
{
	CK_UTF8CHAR pin[] = "1234", name[] = "anybody";
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	check(p30->C_LoginUser(session, CKU_USER, pin, 4, name, sizeof(name) - 1));
	answers(CKR_USER_ALREADY_LOGGED_IN, p30->C_LoginUser(session, CKU_USER, pin, 4, NULL, 0));
	check(p11->C_Logout(session));
	check(p30->C_LoginUser(session, CKU_USER, NULL, 0, NULL, 0));
	answers(CKR_USER_ALREADY_LOGGED_IN, p11->C_Login(session, CKU_USER, pin, 4));
	check(p11->C_Logout(session));
	answers(CKR_ARGUMENTS_BAD, p30->C_LoginUser(session, CKU_USER, NULL, 4, NULL, 0));
	answers(CKR_ARGUMENTS_BAD, p30->C_LoginUser(session, CKU_USER, pin, 4, NULL, 1));
	answers(CKR_OPERATION_NOT_INITIALIZED,
		p30->C_LoginUser(session, CKU_CONTEXT_SPECIFIC, pin, 4, name, 1));
	answers(CKR_USER_TYPE_INVALID, p30->C_LoginUser(session, 77, pin, 4, name, 1));
	answers(CKR_SESSION_HANDLE_INVALID, p30->C_LoginUser(0, CKU_USER, pin, 4, name, 1));
}

int rules_sessions(void)
{
	const struct CMUnitTest tests[] = {
		in_session(what_is_named_is_cancelled_and_all_else_goes_on),
		in_session(a_cancelled_operation_can_begin_again),
		in_session(another_session_is_not_touched),
		in_session(a_user_logs_in_by_any_name),
	};

	return run_group("sessions", tests, token_setup, token_teardown);
}
