/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What zones/ answers becomes a value that the standard's function may return. */
#include "base/macros.h"
#include "objects/error.h"
#include "tests/support/unit.h"

/* PKCS #11 2.40, "Functions": the values each function lists, as far as we use them; those that
 * every function may return are not repeated. The shortest list counts where several functions
 * share a place. */
static const CK_RV anywhere[] = {CKR_HOST_MEMORY, CKR_GENERAL_ERROR, CKR_FUNCTION_FAILED,
				 CKR_DEVICE_ERROR, CKR_DEVICE_MEMORY};
static const CK_RV of_init[] = {CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_MECHANISM_PARAM_INVALID};
static const CK_RV of_kms[] = {CKR_ENCRYPTED_DATA_INVALID};
static const CK_RV of_wrap[] = {CKR_KEY_NOT_WRAPPABLE, CKR_KEY_UNEXTRACTABLE,
				CKR_MECHANISM_PARAM_INVALID};
static const CK_RV of_unwrap[] = {CKR_WRAPPED_KEY_INVALID, CKR_TEMPLATE_INCONSISTENT,
				  CKR_ATTRIBUTE_VALUE_INVALID, CKR_TOKEN_WRITE_PROTECTED};
static const CK_RV of_object[] = {CKR_TEMPLATE_INCONSISTENT, CKR_ATTRIBUTE_VALUE_INVALID,
				  CKR_ATTRIBUTE_READ_ONLY, CKR_TOKEN_WRITE_PROTECTED};
static const CK_RV of_destroy[] = {CKR_ACTION_PROHIBITED, CKR_OBJECT_HANDLE_INVALID,
				   CKR_TOKEN_WRITE_PROTECTED};
static const CK_RV of_token[] = {CKR_SLOT_ID_INVALID, CKR_ARGUMENTS_BAD, CKR_TOKEN_WRITE_PROTECTED};

#define LIST(list)                                                                                 \
	{                                                                                          \
		list, COUNT_OF(list)                                                               \
	}
static const struct {
	const CK_RV *list;
	size_t count;
} allowed[ERROR_PLACE_COUNT] = {
	[ERROR_INIT] = LIST(of_init),	  [ERROR_USE] = {NULL, 0},
	[ERROR_KMS] = LIST(of_kms),	  [ERROR_WRAP] = LIST(of_wrap),
	[ERROR_UNWRAP] = LIST(of_unwrap), [ERROR_IMPORT] = LIST(of_unwrap),
	[ERROR_OBJECT] = LIST(of_object), [ERROR_DESTROY] = LIST(of_destroy),
	[ERROR_TOKEN] = LIST(of_token),
};

static bool is_in(CK_RV rv, const CK_RV *list, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == rv)
			return true;
	return false;
}

static void every_status_has_a_value_that_its_functions_list(void **state)
{
	(void)state;
	for (int status = 1; status < ZONE_STATUS_COUNT; status++)
		for (int place = 0; place < ERROR_PLACE_COUNT; place++) {
			CK_RV rv = error_of_zone((enum zone_status)status, (enum error_place)place);

			if (!is_in(rv, anywhere, COUNT_OF(anywhere)) &&
			    !is_in(rv, allowed[place].list, allowed[place].count))
				fail_msg("%s at place %d is 0x%lx",
					 zone_status_text((enum zone_status)status), place, rv);
		}
}

static void success_is_success_and_no_reason(void **state)
{
	(void)state;
	error_take_reason();
	for (int place = 0; place < ERROR_PLACE_COUNT; place++)
		assert_int_equal(error_of_zone(ZONE_OK, (enum error_place)place), CKR_OK);
	assert_int_equal(error_take_reason(), CMEK_ERROR_NONE);
}

static void a_no_is_told_at_the_beginning_and_an_outage_is_the_device(void **state)
{
	static const enum zone_status outages[] = {
		ZONE_KMS_UNAVAILABLE, ZONE_KMS_THROTTLED, ZONE_KMS_NO_CREDENTIALS,
		ZONE_KMS_CREDENTIALS_REFUSED, ZONE_KMS_BAD_ANSWER};

	(void)state;
	for (int status = 1; status < ZONE_STATUS_COUNT; status++) {
		if (!zone_status_is_no((enum zone_status)status))
			continue;
		assert_int_equal(error_of_zone((enum zone_status)status, ERROR_INIT),
				 CKR_KEY_FUNCTION_NOT_PERMITTED);
		assert_int_equal(error_of_zone((enum zone_status)status, ERROR_USE),
				 CKR_FUNCTION_FAILED);
	}
	for (size_t i = 0; i < COUNT_OF(outages); i++)
		for (int place = 0; place < ERROR_PLACE_COUNT; place++)
			assert_int_equal(error_of_zone(outages[i], (enum error_place)place),
					 CKR_DEVICE_ERROR);
}

/* Whatever keeps the store from an answer is one reason. */
static void each_status_has_a_reason_of_its_own(void **state)
{
	CK_ULONG reasons[ZONE_STATUS_COUNT];

	(void)state;
	for (int status = ZONE_NOT_FOUND; status < ZONE_STATUS_COUNT; status++) {
		error_of_zone((enum zone_status)status, ERROR_USE);
		reasons[status] = error_take_reason();
		assert_int_not_equal(reasons[status], CMEK_ERROR_NONE);
		for (int other = ZONE_NOT_FOUND; other < status; other++)
			assert_true(reasons[status] != reasons[other] ||
				    (zone_status_is_store_outage((enum zone_status)status) &&
				     zone_status_is_store_outage((enum zone_status)other)));
	}
}

static void a_reason_is_taken_once(void **state)
{
	(void)state;
	error_of_zone(ZONE_KMS_DENIED, ERROR_USE);
	error_of_zone(ZONE_OK, ERROR_USE);
	assert_int_equal(error_take_reason(), CMEK_ERROR_KMS_DENIED);
	assert_int_equal(error_take_reason(), CMEK_ERROR_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_a_value_that_its_functions_list),
		cmocka_unit_test(success_is_success_and_no_reason),
		cmocka_unit_test(a_no_is_told_at_the_beginning_and_an_outage_is_the_device),
		cmocka_unit_test(each_status_has_a_reason_of_its_own),
		cmocka_unit_test(a_reason_is_taken_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
