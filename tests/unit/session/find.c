/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Searches of a session: their life, and what a user who has not logged in does not see. */
#include "tests/support/session_fixture.h"

static int start_strict(void **state)
{
	(void)state;
	bed_start_with(300, true);
	return 0;
}

static CK_ULONG count_all(void)
{
	CK_OBJECT_HANDLE found[16];
	CK_ULONG count = 0;

	check(C_FindObjectsInit(bed.session, NULL, 0));
	check(C_FindObjects(bed.session, found, 16, &count));
	check(C_FindObjectsFinal(bed.session));
	return count;
}

static void a_search_is_begun_stepped_through_and_ended_in_this_order(void **state)
{
	CK_OBJECT_HANDLE found;
	CK_ULONG count;

	(void)state;
	assert_int_equal(C_FindObjects(bed.session, &found, 1, &count),
			 CKR_OPERATION_NOT_INITIALIZED);
	assert_int_equal(C_FindObjectsFinal(bed.session), CKR_OPERATION_NOT_INITIALIZED);
	assert_int_equal(C_FindObjectsInit(bed.session, NULL, 1), CKR_ARGUMENTS_BAD);
	check(C_FindObjectsInit(bed.session, NULL, 0));
	assert_int_equal(C_FindObjectsInit(bed.session, NULL, 0), CKR_OPERATION_ACTIVE);
	assert_int_equal(C_FindObjects(bed.session, NULL, 1, &count), CKR_ARGUMENTS_BAD);
	assert_int_equal(C_FindObjects(bed.session, &found, 1, NULL), CKR_ARGUMENTS_BAD);
	check(C_FindObjects(bed.session, NULL, 0, &count));
	assert_int_equal(count, 0);
	check(C_FindObjects(bed.session, &found, 1, &count));
	assert_int_equal(count, 1);
	check(C_FindObjectsFinal(bed.session));
}

static void private_objects_are_there_for_a_user_who_has_logged_in(void **state)
{
	CK_BBOOL yes = CK_TRUE;
	CK_ULONG length = 32, all;
	CK_ATTRIBUTE template[] = {{CKA_PRIVATE, &yes, sizeof(yes)},
				   {CKA_VALUE_LEN, &length, sizeof(length)}};
	CK_MECHANISM mechanism = {CKM_AES_KEY_GEN, NULL, 0};
	CK_OBJECT_HANDLE key;

	(void)state;
	all = count_all();
	check(C_GenerateKey(bed.session, &mechanism, template, 2, &key));
	assert_int_equal(count_all(), all + 1);
	check(C_Logout(bed.session));
	assert_true(count_all() < all + 1);
	check(C_Login(bed.session, CKU_USER, NULL, 0));
	assert_int_equal(count_all(), all);
}

static void log_out(void *state, enum fake_kms_call call)
{
	CK_SESSION_HANDLE *other = state;

	(void)call;
	bed.kms.on_call = NULL;
	check(C_Logout(*other));
}

/* The KMS may take its time, and a logout comes meanwhile. */
static void a_private_key_that_comes_after_the_logout_does_not_stay(void **state)
{
	CK_BBOOL yes = CK_TRUE;
	CK_OBJECT_CLASS secret = CKO_SECRET_KEY;
	CK_KEY_TYPE aes = CKK_AES;
	CK_ATTRIBUTE template[] = {{CKA_PRIVATE, &yes, sizeof(yes)},
				   {CKA_CLASS, &secret, sizeof(secret)},
				   {CKA_KEY_TYPE, &aes, sizeof(aes)}};
	CK_MECHANISM wrap = {CKM_CMEK_DEK_WRAP, NULL, 0};
	CK_SESSION_HANDLE other = bed_open(CKF_RW_SESSION);
	CK_OBJECT_HANDLE key = bed_key(NULL, 32), back;
	CK_BYTE wrapped[128];
	CK_ULONG len = sizeof(wrapped), all;

	(void)state;
	check(C_WrapKey(bed.session, &wrap, bed.zone, key, wrapped, &len));
	check(C_DestroyObject(bed.session, key));
	all = count_all();
	fake_clock_advance(&bed.clock, 400000);
	bed.kms.on_call_state = &other;
	bed.kms.on_call = log_out;
	assert_int_equal(
		C_UnwrapKey(bed.session, &wrap, bed.zone, wrapped, len, template, 3, &back),
		CKR_USER_NOT_LOGGED_IN);
	assert_null(bed.kms.on_call);
	check(C_Login(bed.session, CKU_USER, NULL, 0));
	assert_int_equal(count_all(), all);
	check(C_CloseSession(other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_is_begun_stepped_through_and_ended_in_this_order),
		cmocka_unit_test(private_objects_are_there_for_a_user_who_has_logged_in),
		cmocka_unit_test(a_private_key_that_comes_after_the_logout_does_not_stay),
	};

	return cmocka_run_group_tests(tests, start_strict, bed_stop);
}
