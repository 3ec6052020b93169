/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a module: start, end, what it says about itself, its slots and its token. */
#include "same.h"
#include "tests/support/judged_fips.h"

static void nothing_works_before_initialize(void **state)
{
	CK_INFO info;
	CK_ULONG count;
	CK_SESSION_HANDLE session;

	(void)state;
	check(p11->C_Finalize(NULL));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_GetInfo(&info));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_GetSlotList(CK_FALSE, NULL, &count));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED,
		p11->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &session));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_CloseSession(1));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_CloseAllSessions(slot));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_FindObjectsFinal(1));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_GenerateRandom(1, (CK_BYTE *)&count, 1));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_Finalize(NULL));
	check(initialize());
}

static void a_second_initialize_is_told_so(void **state)
{
	(void)state;
	answers(CKR_CRYPTOKI_ALREADY_INITIALIZED, initialize());
	answers(CKR_CRYPTOKI_ALREADY_INITIALIZED, p11->C_Initialize(NULL));
}

static void initialize_accepts_what_applications_pass(void **state)
{
	CK_C_INITIALIZE_ARGS args = {0};

	(void)state;
	check(p11->C_Finalize(NULL));
	check(p11->C_Initialize(NULL));
	check(p11->C_Finalize(NULL));
	check(p11->C_Initialize(&args));
	check(p11->C_Finalize(NULL));
	args.flags = CKF_OS_LOCKING_OK | CKF_LIBRARY_CANT_CREATE_OS_THREADS;
	check(p11->C_Initialize(&args));
}

static CK_RV no_mutex(CK_VOID_PTR *mutex)
{
	(void)mutex;
	return CKR_OK;
}

static void initialize_refuses_half_a_set_of_callbacks(void **state)
{
	CK_C_INITIALIZE_ARGS args = {.CreateMutex = no_mutex, .flags = CKF_OS_LOCKING_OK};

	(void)state;
	check(p11->C_Finalize(NULL));
	answers(CKR_ARGUMENTS_BAD, p11->C_Initialize(&args));
	answers(CKR_CRYPTOKI_NOT_INITIALIZED, p11->C_Finalize(NULL));
	check(initialize());
}

static void initialize_with_a_reserved_argument(void **state)
{
	char reserved[] = "log=off";
	CK_C_INITIALIZE_ARGS args = {.flags = CKF_OS_LOCKING_OK, .pReserved = reserved};
	CK_RV expected = difference("C_Initialize with pReserved");

	(void)state;
	check(p11->C_Finalize(NULL));
	answers(expected, p11->C_Initialize(&args));
	if (expected != CKR_OK)
		check(initialize());
}

static void finalize_refuses_a_reserved_argument(void **state)
{
	(void)state;
	answers(CKR_ARGUMENTS_BAD, p11->C_Finalize(&slot));
	answers(CKR_CRYPTOKI_ALREADY_INITIALIZED, initialize());
}

static void the_information_is_that_of_the_list(void **state)
{
	CK_INFO info;

	(void)state;
	memset(&info, 0, sizeof(info));
	check(p11->C_GetInfo(&info));
	assert_int_equal(info.cryptokiVersion.major, p11->version.major);
	assert_int_equal(info.cryptokiVersion.minor, p11->version.minor);
	assert_int_equal(info.flags, 0);
	assert_null(memchr(info.manufacturerID, 0, sizeof(info.manufacturerID)));
	assert_null(memchr(info.libraryDescription, 0, sizeof(info.libraryDescription)));
	answers(CKR_ARGUMENTS_BAD, p11->C_GetInfo(NULL));
}

static void the_function_list_has_no_gap(void **state)
{
	(void)state;
#define PRESENT(function) assert_non_null(p11->function);
	CK_FUNCTIONS_2_40(PRESENT)
#undef PRESENT
}

static void a_list_of_slots_follows_the_two_call_rule(void **state)
{
	CK_SLOT_ID slots[64];
	CK_ULONG count = 12345, enough;

	(void)state;
	check(p11->C_GetSlotList(CK_FALSE, NULL, &count));
	assert_in_range(count, 1, 64);
	enough = count;
	count = 0;
	answers(CKR_BUFFER_TOO_SMALL, p11->C_GetSlotList(CK_FALSE, slots, &count));
	assert_int_equal(count, enough);
	count = 64;
	check(p11->C_GetSlotList(CK_FALSE, slots, &count));
	assert_int_equal(count, enough);
	answers(CKR_ARGUMENTS_BAD, p11->C_GetSlotList(CK_FALSE, slots, NULL));
}

static void a_slot_and_its_token_describe_themselves(void **state)
{
	CK_SLOT_INFO slot_info;
	CK_TOKEN_INFO info;

	(void)state;
	check(p11->C_GetSlotInfo(slot, &slot_info));
	assert_int_equal(slot_info.flags & CKF_TOKEN_PRESENT, CKF_TOKEN_PRESENT);
	check(p11->C_GetTokenInfo(slot, &info));
	assert_memory_equal(info.label, "first                           ", 32);
	assert_int_equal(info.flags & CKF_TOKEN_INITIALIZED, CKF_TOKEN_INITIALIZED);
	assert_int_equal(info.flags & CKF_RNG, CKF_RNG);
	assert_null(memchr(info.serialNumber, 0, sizeof(info.serialNumber)));
	answers(CKR_ARGUMENTS_BAD, p11->C_GetSlotInfo(slot, NULL));
	answers(CKR_ARGUMENTS_BAD, p11->C_GetTokenInfo(slot, NULL));
}

static void an_unknown_slot_is_invalid(void **state)
{
	CK_SLOT_ID unknown = 0x7ffffff0;
	CK_SLOT_INFO slot_info;
	CK_TOKEN_INFO info;
	CK_ULONG count;
	CK_SESSION_HANDLE session;
	CK_UTF8CHAR label[32];

	(void)state;
	memset(label, ' ', sizeof(label));
	answers(CKR_SLOT_ID_INVALID, p11->C_GetSlotInfo(unknown, &slot_info));
	answers(CKR_SLOT_ID_INVALID, p11->C_GetTokenInfo(unknown, &info));
	answers(CKR_SLOT_ID_INVALID, p11->C_GetMechanismList(unknown, NULL, &count));
	answers(CKR_SLOT_ID_INVALID,
		p11->C_OpenSession(unknown, CKF_SERIAL_SESSION, NULL, NULL, &session));
	answers(CKR_SLOT_ID_INVALID, p11->C_CloseAllSessions(unknown));
	answers(CKR_SLOT_ID_INVALID, p11->C_InitToken(unknown, (CK_BYTE *)SO_PIN, 8, label));
}

static void the_mechanisms_follow_the_two_call_rule(void **state)
{
	CK_MECHANISM_TYPE types[512];
	CK_ULONG count = 0, enough;

	(void)state;
	check(p11->C_GetMechanismList(slot, NULL, &enough));
	assert_in_range(enough, 10, 512);
	count = 1;
	answers(CKR_BUFFER_TOO_SMALL, p11->C_GetMechanismList(slot, types, &count));
	assert_int_equal(count, enough);
	check(p11->C_GetMechanismList(slot, types, &count));
	assert_int_equal(count, enough);
	for (CK_ULONG i = 0; i < count; i++) {
		CK_MECHANISM_INFO info;

		check(p11->C_GetMechanismInfo(slot, types[i], &info));
		assert_true(info.ulMinKeySize <= info.ulMaxKeySize);
		for (CK_ULONG j = 0; j < i; j++)
			assert_int_not_equal(types[i], types[j]);
	}
	answers(CKR_ARGUMENTS_BAD, p11->C_GetMechanismList(slot, types, NULL));
}

static void aes_is_offered_from_16_to_32_bytes(void **state)
{
	CK_MECHANISM_INFO info;

	(void)state;
	check(p11->C_GetMechanismInfo(slot, CKM_AES_GCM, &info));
	assert_int_equal(info.ulMinKeySize, 16);
	assert_int_equal(info.ulMaxKeySize, 32);
	assert_true((info.flags & CKF_DECRYPT) != 0);
	assert_int_equal((info.flags & CKF_ENCRYPT) != 0, fips_offers(CKM_AES_GCM, CKF_ENCRYPT));
	answers(CKR_ARGUMENTS_BAD, p11->C_GetMechanismInfo(slot, CKM_AES_GCM, NULL));
	answers(CKR_MECHANISM_INVALID, p11->C_GetMechanismInfo(slot, 0x8ABCDEF0UL, &info));
}

static void what_is_left_of_parallel_functions_is_refused(void **state)
{
	CK_SESSION_HANDLE session = session_new();

	(void)state;
	answers(CKR_FUNCTION_NOT_PARALLEL, p11->C_GetFunctionStatus(session));
	answers(CKR_FUNCTION_NOT_PARALLEL, p11->C_CancelFunction(session));
	check(p11->C_CloseSession(session));
}

static void the_state_of_no_operation_is_not_saved(void **state)
{
	CK_SESSION_HANDLE session = session_new();
	CK_ULONG len = 0;

	(void)state;
	answers(difference("C_GetOperationState without an operation"),
		p11->C_GetOperationState(session, NULL, &len));
	answers(difference("C_SetOperationState of what was not saved"),
		p11->C_SetOperationState(session, (CK_BYTE *)&len, 1, 0, 0));
	check(p11->C_CloseSession(session));
}

static void random_bytes_differ_each_time(void **state)
{
	CK_SESSION_HANDLE session = session_new();
	CK_BYTE first[32] = {0}, second[32] = {0};

	(void)state;
	check(p11->C_GenerateRandom(session, first, sizeof(first)));
	check(p11->C_GenerateRandom(session, second, sizeof(second)));
	assert_memory_not_equal(first, second, sizeof(first));
	answers(CKR_ARGUMENTS_BAD, p11->C_GenerateRandom(session, NULL, sizeof(first)));
	answers(CKR_ARGUMENTS_BAD, p11->C_SeedRandom(session, NULL, sizeof(first)));
	check(p11->C_CloseSession(session));
	answers(CKR_SESSION_HANDLE_INVALID, p11->C_GenerateRandom(session, first, 1));
}

static void no_random_bytes_are_given_when_none_are_asked_for(void **state)
{
	CK_SESSION_HANDLE session = session_new();
	CK_BYTE byte = 0x5a;

	(void)state;
	check(p11->C_GenerateRandom(session, &byte, 0));
	assert_int_equal(byte, 0x5a);
	check(p11->C_CloseSession(session));
}

static void the_random_generator_may_be_seeded(void **state)
{
	CK_SESSION_HANDLE session = session_new();
	CK_BYTE seed[32] = {1, 2, 3};

	(void)state;
	check(p11->C_SeedRandom(session, seed, sizeof(seed)));
	check(p11->C_CloseSession(session));
}

static void no_slot_has_changed(void **state)
{
	CK_SLOT_ID changed;

	(void)state;
	answers(CKR_NO_EVENT, p11->C_WaitForSlotEvent(CKF_DONT_BLOCK, &changed, NULL));
}

int same_life(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_works_before_initialize),
		cmocka_unit_test(a_second_initialize_is_told_so),
		cmocka_unit_test(initialize_accepts_what_applications_pass),
		cmocka_unit_test(initialize_refuses_half_a_set_of_callbacks),
		cmocka_unit_test(initialize_with_a_reserved_argument),
		cmocka_unit_test(finalize_refuses_a_reserved_argument),
		cmocka_unit_test(the_information_is_that_of_the_list),
		cmocka_unit_test(the_function_list_has_no_gap),
		cmocka_unit_test(a_list_of_slots_follows_the_two_call_rule),
		cmocka_unit_test(a_slot_and_its_token_describe_themselves),
		cmocka_unit_test(an_unknown_slot_is_invalid),
		cmocka_unit_test(the_mechanisms_follow_the_two_call_rule),
		cmocka_unit_test(aes_is_offered_from_16_to_32_bytes),
		cmocka_unit_test(what_is_left_of_parallel_functions_is_refused),
		cmocka_unit_test(the_state_of_no_operation_is_not_saved),
		cmocka_unit_test(random_bytes_differ_each_time),
		cmocka_unit_test(no_random_bytes_are_given_when_none_are_asked_for),
		cmocka_unit_test(the_random_generator_may_be_seeded),
		cmocka_unit_test(no_slot_has_changed),
	};

	return run_group("life", tests, token_setup, token_teardown);
}
