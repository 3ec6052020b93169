/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and logins. Every test here starts and ends without an open session. */
#include "same.h"

static CK_RV open_session(CK_FLAGS flags, CK_SESSION_HANDLE *session)
{
	return p11->C_OpenSession(slot, flags, NULL, NULL, session);
}

static CK_RV login(CK_SESSION_HANDLE session, CK_USER_TYPE user, const char *pin)
{
	CK_BYTE bytes[16];

	memcpy(bytes, pin, strlen(pin));
	return p11->C_Login(session, user, bytes, strlen(pin));
}

static CK_STATE state_of(CK_SESSION_HANDLE session)
{
	CK_SESSION_INFO info;

	check(p11->C_GetSessionInfo(session, &info));
	return info.state;
}

static int close_all(void **state)
{
	(void)state;
	check(p11->C_CloseAllSessions(slot));
	return 0;
}

static void a_session_must_be_serial(void **state)
{
	CK_SESSION_HANDLE session;

	(void)state;
	answers(CKR_SESSION_PARALLEL_NOT_SUPPORTED, open_session(0, &session));
	answers(CKR_SESSION_PARALLEL_NOT_SUPPORTED, open_session(CKF_RW_SESSION, &session));
	answers(CKR_ARGUMENTS_BAD, open_session(CKF_SERIAL_SESSION, NULL));
}

static void a_session_knows_its_slot_and_flags(void **state)
{
	CK_SESSION_HANDLE session;
	CK_SESSION_INFO info;

	(void)state;
	check(open_session(CKF_SERIAL_SESSION | CKF_RW_SESSION, &session));
	assert_int_not_equal(session, CK_INVALID_HANDLE);
	check(p11->C_GetSessionInfo(session, &info));
	assert_int_equal(info.slotID, slot);
	assert_int_equal(info.flags, CKF_SERIAL_SESSION | CKF_RW_SESSION);
	assert_int_equal(info.state, CKS_RW_PUBLIC_SESSION);
	assert_int_equal(info.ulDeviceError, 0);
	answers(CKR_ARGUMENTS_BAD, p11->C_GetSessionInfo(session, NULL));
}

static void a_closed_session_is_invalid(void **state)
{
	CK_SESSION_HANDLE session, other;
	CK_SESSION_INFO info;

	(void)state;
	check(open_session(CKF_SERIAL_SESSION, &session));
	check(open_session(CKF_SERIAL_SESSION, &other));
	check(p11->C_CloseSession(session));
	answers(CKR_SESSION_HANDLE_INVALID, p11->C_CloseSession(session));
	answers(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(session, &info));
	answers(CKR_SESSION_HANDLE_INVALID, p11->C_FindObjectsInit(session, NULL, 0));
	answers(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(CK_INVALID_HANDLE, &info));
	check(p11->C_GetSessionInfo(other, &info));
	check(p11->C_CloseAllSessions(slot));
	answers(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(other, &info));
	check(p11->C_CloseAllSessions(slot));
}

static void finalize_closes_sessions(void **state)
{
	CK_SESSION_HANDLE session;
	CK_SESSION_INFO info;

	(void)state;
	check(open_session(CKF_SERIAL_SESSION, &session));
	check(p11->C_Finalize(NULL));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_GetSessionInfo(session, &info));
	check(initialize());
	answers(CKR_SESSION_HANDLE_INVALID, p11->C_GetSessionInfo(session, &info));
}

static void many_sessions_can_be_open(void **state)
{
	CK_SESSION_HANDLE sessions[200];
	CK_TOKEN_INFO info;

	(void)state;
	for (size_t i = 0; i < 200; i++)
		check(open_session(CKF_SERIAL_SESSION | (i < 50 ? CKF_RW_SESSION : 0),
				   &sessions[i]));
	check(p11->C_GetTokenInfo(slot, &info));
	if (info.ulSessionCount != CK_UNAVAILABLE_INFORMATION)
		assert_int_equal(info.ulSessionCount, 200);
	if (info.ulRwSessionCount != CK_UNAVAILABLE_INFORMATION)
		assert_int_equal(info.ulRwSessionCount, 50);
}

static void a_login_counts_for_all_sessions(void **state)
{
	CK_SESSION_HANDLE write, read;

	(void)state;
	check(open_session(CKF_SERIAL_SESSION | CKF_RW_SESSION, &write));
	check(open_session(CKF_SERIAL_SESSION, &read));
	assert_int_equal(state_of(read), CKS_RO_PUBLIC_SESSION);
	check(login(write, CKU_USER, USER_PIN));
	assert_int_equal(state_of(write), CKS_RW_USER_FUNCTIONS);
	assert_int_equal(state_of(read), CKS_RO_USER_FUNCTIONS);
	answers(CKR_USER_ALREADY_LOGGED_IN, login(read, CKU_USER, USER_PIN));
	check(p11->C_Logout(read));
	assert_int_equal(state_of(write), CKS_RW_PUBLIC_SESSION);
	answers(difference("C_Logout without a login"), p11->C_Logout(write));
}

static void a_login_ends_with_the_last_session(void **state)
{
	CK_SESSION_HANDLE session;

	(void)state;
	check(open_session(CKF_SERIAL_SESSION, &session));
	check(login(session, CKU_USER, USER_PIN));
	check(p11->C_CloseSession(session));
	check(open_session(CKF_SERIAL_SESSION, &session));
	assert_int_equal(state_of(session), CKS_RO_PUBLIC_SESSION);
}

/* PKCS #11 2.40, C_Logout: also of other sessions, and what is public stays. */
static void a_logout_destroys_the_private_objects_of_sessions(void **state)
{
	CK_SESSION_HANDLE session, other;
	CK_OBJECT_HANDLE secret, open;
	CK_ULONG length;

	(void)state;
	check(open_session(CKF_SERIAL_SESSION | CKF_RW_SESSION, &session));
	check(open_session(CKF_SERIAL_SESSION | CKF_RW_SESSION, &other));
	check(login(session, CKU_USER, USER_PIN));
	secret = key_generate(session, with_number(with_bool(aes_template(), CKA_PRIVATE, true),
						   CKA_VALUE_LEN, 32));
	open = key_generate(session, with_number(with_bool(aes_template(), CKA_PRIVATE, false),
						 CKA_VALUE_LEN, 32));
	check(p11->C_Logout(other));
	check(login(session, CKU_USER, USER_PIN));
	answers(CKR_OBJECT_HANDLE_INVALID, p11->C_GetObjectSize(session, secret, &length));
	check(p11->C_GetObjectSize(session, open, &length));
}

static void user_and_officer_exclude_each_other(void **state)
{
	CK_SESSION_HANDLE session;

	(void)state;
	check(open_session(CKF_SERIAL_SESSION | CKF_RW_SESSION, &session));
	check(login(session, CKU_USER, USER_PIN));
	answers(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, login(session, CKU_SO, SO_PIN));
	check(p11->C_Logout(session));
	check(login(session, CKU_SO, SO_PIN));
	assert_int_equal(state_of(session), CKS_RW_SO_FUNCTIONS);
	answers(CKR_USER_ANOTHER_ALREADY_LOGGED_IN, login(session, CKU_USER, USER_PIN));
}

static void the_officer_and_read_only_sessions_exclude_each_other(void **state)
{
	CK_SESSION_HANDLE session, read;

	(void)state;
	check(open_session(CKF_SERIAL_SESSION | CKF_RW_SESSION, &session));
	check(open_session(CKF_SERIAL_SESSION, &read));
	answers(CKR_SESSION_READ_ONLY_EXISTS, login(session, CKU_SO, SO_PIN));
	check(p11->C_CloseSession(read));
	check(login(session, CKU_SO, SO_PIN));
	answers(CKR_SESSION_READ_WRITE_SO_EXISTS, open_session(CKF_SERIAL_SESSION, &read));
}

static void other_kinds_of_user_are_refused(void **state)
{
	CK_SESSION_HANDLE session;

	(void)state;
	check(open_session(CKF_SERIAL_SESSION, &session));
	answers(CKR_USER_TYPE_INVALID, login(session, 77, USER_PIN));
	answers(CKR_OPERATION_NOT_INITIALIZED, login(session, CKU_CONTEXT_SPECIFIC, USER_PIN));
	answers(CKR_SESSION_HANDLE_INVALID, login(session + 1000, CKU_USER, USER_PIN));
}

static void a_wrong_pin(void **state)
{
	CK_SESSION_HANDLE session;

	(void)state;
	check(open_session(CKF_SERIAL_SESSION, &session));
	answers(difference("C_Login with another PIN"), login(session, CKU_USER, "9999"));
}

static void a_token_in_use_is_not_initialised(void **state)
{
	CK_SESSION_HANDLE session;
	CK_UTF8CHAR label[32];

	(void)state;
	memset(label, ' ', sizeof(label));
	check(open_session(CKF_SERIAL_SESSION, &session));
	answers(CKR_SESSION_EXISTS, p11->C_InitToken(slot, (CK_BYTE *)SO_PIN, 8, label));
}

static void a_read_only_session_makes_no_token_object(void **state)
{
	CK_SESSION_HANDLE session;
	CK_OBJECT_HANDLE key;
	struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);

	(void)state;
	check(open_session(CKF_SERIAL_SESSION, &session));
	check(login(session, CKU_USER, USER_PIN));
	check(p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &key));
	with_bool(t, CKA_TOKEN, true);
	answers(CKR_SESSION_READ_ONLY,
		p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count, &key));
	with_bool(t, CKA_TOKEN, false);
}

#define alone(test) cmocka_unit_test_setup_teardown(test, close_all, close_all)

int same_sessions(void)
{
	const struct CMUnitTest tests[] = {
		alone(a_session_must_be_serial),
		alone(a_session_knows_its_slot_and_flags),
		alone(a_closed_session_is_invalid),
		alone(finalize_closes_sessions),
		alone(many_sessions_can_be_open),
		alone(a_login_counts_for_all_sessions),
		alone(a_login_ends_with_the_last_session),
		alone(a_logout_destroys_the_private_objects_of_sessions),
		alone(user_and_officer_exclude_each_other),
		alone(the_officer_and_read_only_sessions_exclude_each_other),
		alone(other_kinds_of_user_are_refused),
		alone(a_wrong_pin),
		alone(a_token_in_use_is_not_initialised),
		alone(a_read_only_session_makes_no_token_object),
	};

	return run_group("sessions", tests, token_setup, token_teardown);
}
