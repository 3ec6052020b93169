/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Every function with arguments that are not there: none may crash, none may pretend to work. */
#include "rules.h"

#include <limits.h>
#include <stdio.h>

typedef void judge(const char *call, CK_RV rv);

/* Every function of 2.40 that takes a session, with as little as can be said. */
static void call_2_40(CK_SESSION_HANDLE session, judge *says)
{
#define CALL(call) says(#call, p11->call)
	CALL(C_GetSessionInfo(session, NULL));
	CALL(C_GetOperationState(session, NULL, NULL));
	CALL(C_SetOperationState(session, NULL, 1, 0, 0));
	CALL(C_InitPIN(session, NULL, 4));
	CALL(C_SetPIN(session, NULL, 4, NULL, 4));
	CALL(C_Login(session, 99, NULL, 4));
	CALL(C_CreateObject(session, NULL, 1, NULL));
	CALL(C_CopyObject(session, 0, NULL, 1, NULL));
	CALL(C_DestroyObject(session, 0));
	CALL(C_GetObjectSize(session, 0, NULL));
	CALL(C_GetAttributeValue(session, 0, NULL, 1));
	CALL(C_SetAttributeValue(session, 0, NULL, 1));
	CALL(C_FindObjectsInit(session, NULL, 1));
	CALL(C_FindObjects(session, NULL, 1, NULL));
	CALL(C_FindObjectsFinal(session));
	CALL(C_Encrypt(session, NULL, 1, NULL, NULL));
	CALL(C_EncryptUpdate(session, NULL, 1, NULL, NULL));
	CALL(C_EncryptFinal(session, NULL, NULL));
	CALL(C_Decrypt(session, NULL, 1, NULL, NULL));
	CALL(C_DecryptUpdate(session, NULL, 1, NULL, NULL));
	CALL(C_DecryptFinal(session, NULL, NULL));
	CALL(C_Digest(session, NULL, 1, NULL, NULL));
	CALL(C_DigestUpdate(session, NULL, 1));
	CALL(C_DigestKey(session, 0));
	CALL(C_DigestFinal(session, NULL, NULL));
	CALL(C_Sign(session, NULL, 1, NULL, NULL));
	CALL(C_SignUpdate(session, NULL, 1));
	CALL(C_SignFinal(session, NULL, NULL));
	CALL(C_SignRecover(session, NULL, 1, NULL, NULL));
	CALL(C_Verify(session, NULL, 1, NULL, 1));
	CALL(C_VerifyUpdate(session, NULL, 1));
	CALL(C_VerifyFinal(session, NULL, 1));
	CALL(C_VerifyRecover(session, NULL, 1, NULL, NULL));
	CALL(C_DigestEncryptUpdate(session, NULL, 1, NULL, NULL));
	CALL(C_DecryptDigestUpdate(session, NULL, 1, NULL, NULL));
	CALL(C_SignEncryptUpdate(session, NULL, 1, NULL, NULL));
	CALL(C_DecryptVerifyUpdate(session, NULL, 1, NULL, NULL));
	CALL(C_GenerateKey(session, NULL, NULL, 1, NULL));
	CALL(C_GenerateKeyPair(session, NULL, NULL, 1, NULL, 1, NULL, NULL));
	CALL(C_WrapKey(session, NULL, 0, 0, NULL, NULL));
	CALL(C_UnwrapKey(session, NULL, 0, NULL, 1, NULL, 1, NULL));
	CALL(C_DeriveKey(session, NULL, 0, NULL, 1, NULL));
	CALL(C_SeedRandom(session, NULL, 1));
	CALL(C_GenerateRandom(session, NULL, 1));
	CALL(C_GetFunctionStatus(session));
	CALL(C_CancelFunction(session));
#undef CALL
}

/* Those of 3.0. */
static void call_3_0(CK_SESSION_HANDLE session, judge *says)
{
#define CALL(call) says(#call, p30->call)
	CALL(C_LoginUser(session, 99, NULL, 4, NULL, 4));
	CALL(C_EncryptMessage(session, NULL, 0, NULL, 1, NULL, 1, NULL, NULL));
	CALL(C_EncryptMessageBegin(session, NULL, 0, NULL, 1));
	CALL(C_EncryptMessageNext(session, NULL, 0, NULL, 1, NULL, NULL, 0));
	CALL(C_MessageEncryptFinal(session));
	CALL(C_DecryptMessage(session, NULL, 0, NULL, 1, NULL, 1, NULL, NULL));
	CALL(C_DecryptMessageBegin(session, NULL, 0, NULL, 1));
	CALL(C_DecryptMessageNext(session, NULL, 0, NULL, 1, NULL, NULL, 0));
	CALL(C_MessageDecryptFinal(session));
	CALL(C_SignMessage(session, NULL, 0, NULL, 1, NULL, NULL));
	CALL(C_SignMessageBegin(session, NULL, 0));
	CALL(C_SignMessageNext(session, NULL, 0, NULL, 1, NULL, NULL));
	CALL(C_MessageSignFinal(session));
	CALL(C_VerifyMessage(session, NULL, 0, NULL, 1, NULL, 1));
	CALL(C_VerifyMessageBegin(session, NULL, 0));
	CALL(C_VerifyMessageNext(session, NULL, 0, NULL, 1, NULL, 1));
	CALL(C_MessageVerifyFinal(session));
#undef CALL
}

static void call_everything(CK_SESSION_HANDLE session, judge *says)
{
	call_2_40(session, says);
	call_3_0(session, says);
}

/* The functions whose NULL mechanism cancels, and what a session itself is closed by. */
static void call_the_rest(CK_SESSION_HANDLE session, judge *says)
{
#define CALL(call) says(#call, p11->call)
	CALL(C_EncryptInit(session, NULL, 0));
	CALL(C_DecryptInit(session, NULL, 0));
	CALL(C_DigestInit(session, NULL));
	CALL(C_SignInit(session, NULL, 0));
	CALL(C_SignRecoverInit(session, NULL, 0));
	CALL(C_VerifyInit(session, NULL, 0));
	CALL(C_VerifyRecoverInit(session, NULL, 0));
	CALL(C_Logout(session));
	CALL(C_CloseSession(session));
#undef CALL
#define CALL(call) says(#call, p30->call)
	CALL(C_MessageEncryptInit(session, NULL, 0));
	CALL(C_MessageDecryptInit(session, NULL, 0));
	CALL(C_MessageSignInit(session, NULL, 0));
	CALL(C_MessageVerifyInit(session, NULL, 0));
	CALL(C_SessionCancel(session, 0));
#undef CALL
}

static void call_without_session(judge *says)
{
	CK_ULONG count = 0;

#define CALL(call) says(#call, p11->call)
	CALL(C_GetInfo(NULL));
	CALL(C_GetSlotList(CK_FALSE, (CK_SLOT_ID *)&count, NULL));
	CALL(C_GetSlotInfo(slot, NULL));
	CALL(C_GetTokenInfo(slot, NULL));
	CALL(C_GetMechanismList(slot, &count, NULL));
	CALL(C_GetMechanismInfo(slot, CKM_AES_GCM, NULL));
	CALL(C_InitToken(slot, NULL, 4, NULL));
	CALL(C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, NULL));
#undef CALL
}

static void expect(const char *call, CK_RV rv, bool as_expected, const char *what)
{
	char text[256];

	snprintf(text, sizeof(text), "%s answered %s, %s", call, rv_name(rv), what);
	_assert_true(as_expected, text, __FILE__, __LINE__);
}

static void is_refused(const char *call, CK_RV rv)
{
	expect(call, rv, rv != CKR_OK && rv != CKR_GENERAL_ERROR && rv != CKR_HOST_MEMORY,
	       "without having been given anything");
}

static bool is_not_supported(CK_RV rv)
{
	return rv == CKR_FUNCTION_NOT_SUPPORTED || rv == CKR_FUNCTION_NOT_PARALLEL;
}

static void is_not_initialized(const char *call, CK_RV rv)
{
	expect(call, rv, rv == CKR_CRYPTOKI_NOT_INITIALIZED || is_not_supported(rv),
	       "before C_Initialize");
}

static void is_no_session(const char *call, CK_RV rv)
{
	expect(call, rv, rv == CKR_SESSION_HANDLE_INVALID || is_not_supported(rv),
	       "in a session that is not there");
}

static void no_function_works_on_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	call_everything(session, is_refused);
	call_without_session(is_refused);
}

static void no_function_works_in_no_session(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	call_everything(session + 12345, is_no_session);
	call_the_rest(session + 12345, is_no_session);
	call_everything(CK_INVALID_HANDLE, is_no_session);
	call_the_rest(CK_INVALID_HANDLE, is_no_session);
}

static int end_module(void **state)
{
	(void)state;
	return p11->C_Finalize(NULL) == CKR_OK ? 0 : -1;
}

static int start_module(void **state)
{
	(void)state;
	return initialize() == CKR_OK ? 0 : -1;
}

static void no_function_works_before_initialize(void **state)
{
	(void)state;
	call_everything(1, is_not_initialized);
	call_the_rest(1, is_not_initialized);
	call_without_session(is_not_initialized);
}

static void active_operations_refuse_nothing_too(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);

	check(p11->C_EncryptInit(session, fitting(CKM_AES_GCM), key));
	check(p11->C_DecryptInit(session, fitting(CKM_AES_GCM), key));
	check(p11->C_DigestInit(session, mechanism(CKM_SHA256)));
	check(p11->C_FindObjectsInit(session, NULL, 0));
	answers(CKR_ARGUMENTS_BAD, p11->C_FindObjects(session, NULL, 1, NULL));
	answers(CKR_ARGUMENTS_BAD, p11->C_EncryptUpdate(session, NULL, 1, NULL, NULL));
	answers(CKR_ARGUMENTS_BAD, p11->C_DecryptFinal(session, NULL, NULL));
	answers(CKR_ARGUMENTS_BAD, p11->C_DigestFinal(session, NULL, NULL));
	check(p11->C_FindObjectsFinal(session));
	check(p30->C_MessageEncryptInit(session, mechanism(CKM_AES_GCM), key));
	check(p30->C_MessageDecryptInit(session, mechanism(CKM_AES_GCM), key));
	answers(CKR_ARGUMENTS_BAD,
		p30->C_EncryptMessage(session, NULL, 0, NULL, 1, NULL, 1, NULL, NULL));
	answers(CKR_ARGUMENTS_BAD, p30->C_DecryptMessageBegin(session, NULL, 0, NULL, 1));
	answers(CKR_MECHANISM_PARAM_INVALID, p30->C_DecryptMessageBegin(session, NULL, 0, NULL, 0));
	check(p30->C_MessageDecryptFinal(session));
	check(p30->C_MessageEncryptFinal(session));
	call_everything(session, is_refused);
}

/* --- The line in the log that each refusal has */

static FILE *log_file;

static int start_with_log(void **state)
{
	char path[PATH_MAX], settings[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/log", token_folder());
	snprintf(settings, sizeof(settings), "[log]\nlevel = info\nto = %s\n", path);
	token_configure(settings);
	if (p11->C_Finalize(NULL) != CKR_OK || initialize() != CKR_OK)
		return -1;
	log_file = fopen(path, "r");
	return log_file == NULL ? -1 : session_setup(state);
}

static int end_with_log(void **state)
{
	session_teardown(state);
	fclose(log_file);
	token_configure("");
	return p11->C_Finalize(NULL) == CKR_OK && initialize() == CKR_OK ? 0 : -1;
}

/* Of what was written since the last look. */
static bool log_has(const char *text)
{
	char line[4096];
	bool found = false;

	clearerr(log_file);
	while (fgets(line, sizeof(line), log_file) != NULL)
		found |= strstr(line, text) != NULL;
	return found;
}

static void is_told(const char *call, CK_RV rv)
{
	char text[128];

	snprintf(text, sizeof(text), "info: %.*s: %s", (int)strcspn(call, "("), call, rv_name(rv));
	expect(call, rv, log_has(text), "of which the log says nothing");
}

static void each_refusal_has_a_line_in_the_log(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;

	call_everything(session, is_told);
	call_without_session(is_told);
	call_everything(session + 12345, is_told);
	call_the_rest(session + 12345, is_told);
}

static void a_parameter_that_does_not_fit_is_told_what_it_should_be(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE iv[12] = {0};

	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_EncryptInit(session, mechanism_gcm(iv, sizeof(iv), NULL, 0, 0),
				   known_key(session)));
	assert_true(log_has("mechanism 0x1087: the parameter is not CK_GCM_PARAMS with an IV"));
	answers(CKR_MECHANISM_PARAM_INVALID,
		p11->C_EncryptInit(session, mechanism_with(CKM_AES_CBC, iv, sizeof(iv)),
				   known_key(session)));
	assert_true(log_has("mechanism 0x1082: the parameter is not an IV of 16 bytes"));
}

/* Attribute lists that lie about themselves. */
static void templates_that_lie_are_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE lies[] = {
		{CKA_CLASS, NULL, sizeof(class)},
		{CKA_CLASS, &class, CK_UNAVAILABLE_INFORMATION},
		{CKA_LABEL, NULL, 5},
		{CKA_ID, NULL, 32},
		{CKA_ALLOWED_MECHANISMS, &class, 7},
		{CKA_UNWRAP_TEMPLATE, &class, 5},
		{CKA_START_DATE, &class, 7},
	};
	CK_OBJECT_HANDLE key;

	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct template *t = with_number(aes_template(), CKA_VALUE_LEN, 32);

		t->rows[t->count++] = lies[i];
		answers(CKR_ATTRIBUTE_VALUE_INVALID,
			p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN), t->rows, t->count,
					   &key));
	}
}

static void lengths_beyond_memory_are_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session);
	CK_BYTE out[16];

	for (int shift = 33; shift < 64; shift += 10) {
		CK_ULONG huge = ~0UL >> (63 - shift);
		CK_ULONG len = sizeof(out);

		check(p11->C_EncryptInit(session, fitting(CKM_AES_CBC_PAD), key));
		fails(p11->C_Encrypt(session, out, huge, out, &len));
		check(p11->C_EncryptInit(session, NULL, 0));
		len = sizeof(out);
		check(p11->C_EncryptInit(session, fitting(CKM_AES_GCM), key));
		fails(p11->C_Encrypt(session, out, huge, out, &len));
		check(p11->C_EncryptInit(session, NULL, 0));
	}
}

/* The memory behind such a number is not there. */
static void a_template_of_absurd_length_is_refused(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_OBJECT_HANDLE key = known_key(session), made;
	struct template *t = with_number(template_new(), CKA_CLASS, CKO_SECRET_KEY);
	static const CK_ULONG counts[] = {1025, 1UL << 31, (CK_ULONG)-1};

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		CK_ULONG count = counts[i];

		answers(CKR_ARGUMENTS_BAD, p11->C_FindObjectsInit(session, t->rows, count));
		answers(CKR_ARGUMENTS_BAD, p11->C_CreateObject(session, t->rows, count, &made));
		answers(CKR_ARGUMENTS_BAD, p11->C_CopyObject(session, key, t->rows, count, &made));
		answers(CKR_ARGUMENTS_BAD, p11->C_GenerateKey(session, mechanism(CKM_AES_KEY_GEN),
							      t->rows, count, &made));
		answers(CKR_ARGUMENTS_BAD, p11->C_GetAttributeValue(session, key, t->rows, count));
		answers(CKR_ARGUMENTS_BAD, p11->C_SetAttributeValue(session, key, t->rows, count));
	}
}

/* PyKCS11 makes a buffer of the length that it is told, and gives none if that is 0. */
static void whoever_asks_for_a_part_s_length_is_told_more_than_nothing(void **state)
{
	CK_SESSION_HANDLE session = (CK_SESSION_HANDLE)*state;
	CK_BYTE iv[16] = {0}, part[5] = {0}, out[64];
	CK_ULONG len = 0;

	check(p11->C_EncryptInit(session, mechanism_with(CKM_AES_CBC_PAD, iv, 16),
				 known_key(session)));
	check(p11->C_EncryptUpdate(session, part, sizeof(part), NULL, &len));
	assert_in_range(len, 1, sizeof(out));
	check(p11->C_EncryptUpdate(session, part, sizeof(part), out, &len));
	assert_int_equal(len, 0);
	len = sizeof(out);
	check(p11->C_EncryptFinal(session, out, &len));
	assert_int_equal(len, 16);
	check(p11->C_DecryptInit(session, mechanism_gcm(iv, 12, NULL, 0, 128), known_key(session)));
	check(p11->C_DecryptUpdate(session, part, sizeof(part), NULL, &len));
	assert_in_range(len, 1, sizeof(out));
	len = sizeof(out);
	fails(p11->C_DecryptFinal(session, out, &len));
}

int rules_arguments(void)
{
	const struct CMUnitTest tests[] = {
		in_session(no_function_works_on_nothing),
		in_session(a_template_of_absurd_length_is_refused),
		in_session(whoever_asks_for_a_part_s_length_is_told_more_than_nothing),
		in_session(no_function_works_in_no_session),
		cmocka_unit_test_setup_teardown(no_function_works_before_initialize, end_module,
						start_module),
		in_session(active_operations_refuse_nothing_too),
		cmocka_unit_test_setup_teardown(each_refusal_has_a_line_in_the_log, start_with_log,
						end_with_log),
		cmocka_unit_test_setup_teardown(
			a_parameter_that_does_not_fit_is_told_what_it_should_be, start_with_log,
			end_with_log),
		in_session(templates_that_lie_are_refused),
		in_session(lengths_beyond_memory_are_refused),
	};

	return run_group("arguments", tests, token_setup, token_teardown);
}
