/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/retry.h"
#include "base/macros.h"
#include "include/cmek.h"
#include "tests/support/unit.h"

static bool may_pass(enum envelope_status status, CK_ULONG reason)
{
	struct envelope_error error = {.reason = reason};

	return envelope_may_pass(status, &error);
}

static void a_no_and_silence_may_pass(void **state)
{
	static const CK_ULONG reasons[] = {
		CMEK_ERROR_KMS_DENIED,		 CMEK_ERROR_KMS_DISABLED,
		CMEK_ERROR_KMS_PENDING_DELETION, CMEK_ERROR_KMS_KEY_STORE_UNAVAILABLE,
		CMEK_ERROR_KMS_UNAVAILABLE,	 CMEK_ERROR_KMS_THROTTLED,
		CMEK_ERROR_KMS_NO_CREDENTIALS,	 CMEK_ERROR_KMS_KEY_OUT_OF_REACH,
		CMEK_ERROR_STORE_UNAVAILABLE};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		assert_true(may_pass(ENVELOPE_MODULE, reasons[i]));
}

static void all_else_stays_as_it_is(void **state)
{
	static const CK_ULONG reasons[] = {
		CMEK_ERROR_NONE,    CMEK_ERROR_KMS_MISCONFIGURED, CMEK_ERROR_STORE_CORRUPT,
		CMEK_ERROR_DELETED, CMEK_ERROR_OTHER_ZONE,	  CMEK_ERROR_WRAPPED_KEY_INVALID};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		assert_false(may_pass(ENVELOPE_MODULE, reasons[i]));
	assert_false(may_pass(ENVELOPE_DAMAGED, CMEK_ERROR_KMS_DISABLED));
	assert_false(may_pass(ENVELOPE_OK, CMEK_ERROR_NONE));
}

static void the_wait_doubles_from_100_ms_to_3_s(void **state)
{
	static const unsigned expected[] = {100, 100, 200, 400, 800, 1600, 3000, 3000};

	(void)state;
	for (unsigned i = 0; i < COUNT_OF(expected); i++)
		assert_int_equal(envelope_retry_ms(i), expected[i]);
	assert_int_equal(envelope_retry_ms(UINT32_MAX), 3000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_no_and_silence_may_pass),
		cmocka_unit_test(all_else_stays_as_it_is),
		cmocka_unit_test(the_wait_doubles_from_100_ms_to_3_s),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
