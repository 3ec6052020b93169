/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Searches of a session: their life, and what a user who has not logged in does not see. */
#include "tests/support/memory_store.h"
#include "tests/support/session_fixture.h"
#include "zones/domain/partial.h"
#include "zones/domain/state.h"

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

/* --- Of a store that is known in part */

enum { MOST = 16, ZONES = 60 };

static int start_in_part(void **state)
{
	const struct store_settings settings = {.path = "memory"};
	char name[32];

	(void)state;
	memory_rows_begin();
	memory_rows.most = MOST;
	bed_start_in(memory_store.open(&settings));
	for (int i = 1; i < ZONES; i++) {
		snprintf(name, sizeof(name), "zone-%d", i);
		bed_zone(name);
	}
	fake_clock_advance(&bed.clock, MEMORY_LOOK_MS + 1);
	assert_int_equal(zones_refresh(bed.zones, false), ZONE_OK);
	assert_true(zones_are_partial(bed.zones));
	memory_rows.lists = memory_rows.wholes = memory_rows.lost_list = 0;
	return 0;
}

static int stop_in_part(void **state)
{
	sessions_stop();
	tokens_free(bed.tokens);
	objects_free(bed.objects);
	zones_free(bed.zones);
	memory_rows_end();
	(void)state;
	return 0;
}

static bool is_among(const CK_OBJECT_HANDLE *handles, CK_ULONG count, CK_OBJECT_HANDLE handle)
{
	while (count-- > 0)
		if (handles[count] == handle)
			return true;
	return false;
}

static void a_search_of_all_takes_the_store_page_by_page(void **state)
{
	CK_OBJECT_HANDLE all[ZONES + 8] = {0};
	CK_OBJECT_CLASS class = CKO_SECRET_KEY;
	CK_ATTRIBUTE template = {CKA_CLASS, &class, sizeof(class)};
	CK_BYTE label[64];
	CK_ATTRIBUTE wanted = {CKA_LABEL, label, sizeof(label)};
	CK_ULONG count, sum;

	(void)state;
	for (CK_ULONG named = 0; named < 2; named++) {
		sum = 0;
		check(C_FindObjectsInit(bed.session, &template, named));
		do {
			check(C_FindObjects(bed.session, all + sum, 7, &count));
			for (CK_ULONG i = 0; i < count; i++)
				assert_false(is_among(all, sum + i, all[sum + i]));
			sum += count;
			/* Fewer than there is room for are the last. */
			assert_true(count == 7 || sum == ZONES + 1);
		} while (count > 0);
		check(C_FindObjectsFinal(bed.session));
		assert_int_equal(sum, ZONES + 1); /* and the root key */
	}
	assert_true(memory_rows.lists > 2);
	assert_int_equal(memory_rows.wholes, 0);
	assert_true(zones_are_partial(bed.zones));
	/* Bounded, whatever was found; and a handle stays good. */
	assert_true(bed.zones->index.spare_count <= 2 * MOST);
	for (CK_ULONG i = 0; i < sum; i++) {
		wanted.ulValueLen = sizeof(label);
		check(C_GetAttributeValue(bed.session, all[i], &wanted, 1));
	}
}

static void a_page_that_does_not_come_fails_the_search_and_not_the_next(void **state)
{
	CK_OBJECT_HANDLE found[ZONES + 8];
	CK_ULONG count = 99;

	(void)state;
	memory_rows.lost_list = memory_rows.lists + 3;
	check(C_FindObjectsInit(bed.session, NULL, 0));
	assert_int_not_equal(C_FindObjects(bed.session, found, ZONES + 8, &count), CKR_OK);
	assert_int_equal(count, 99);
	/* The store is back, but what came would not be all. */
	assert_int_not_equal(C_FindObjects(bed.session, found, ZONES + 8, &count), CKR_OK);
	check(C_FindObjectsFinal(bed.session));
	check(C_FindObjectsInit(bed.session, NULL, 0));
	check(C_FindObjects(bed.session, found, ZONES + 8, &count));
	assert_int_equal(count, ZONES + 1);
	check(C_FindObjectsFinal(bed.session));
}

int main(void)
{
	const struct CMUnitTest in_part[] = {
		cmocka_unit_test(a_search_of_all_takes_the_store_page_by_page),
		cmocka_unit_test(a_page_that_does_not_come_fails_the_search_and_not_the_next),
	};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_search_is_begun_stepped_through_and_ended_in_this_order),
		cmocka_unit_test(private_objects_are_there_for_a_user_who_has_logged_in),
		cmocka_unit_test(a_private_key_that_comes_after_the_logout_does_not_stay),
	};

	return cmocka_run_group_tests(tests, start_strict, bed_stop) +
	       cmocka_run_group_tests(in_part, start_in_part, stop_in_part);
}
