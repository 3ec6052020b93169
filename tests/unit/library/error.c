/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "library/error.h"

#include "base/macros.h"
#include "include/cmek.h"
#include "tests/support/unit.h"

#include <errno.h>

static void each_status_of_an_envelope_has_a_kind_and_what_to_do(void **state)
{
	(void)state;
	for (enum envelope_status i = ENVELOPE_EMPTY; i < ENVELOPE_STATUS_COUNT; i++) {
		bool has_its_own_table =
			i == ENVELOPE_MODULE || i == ENVELOPE_INPUT || i == ENVELOPE_OUTPUT;

		assert_true(has_its_own_table != (library_kind_of_envelope(i) != CMEK_FAILED));
		assert_true(has_its_own_table != (library_remedy(i) != NULL));
	}
	assert_int_equal(library_kind_of_envelope(ENVELOPE_OK), CMEK_OK);
	assert_int_equal(library_kind_of_envelope(ENVELOPE_NO_MEMORY), CMEK_FAILED);
}

static void the_reason_decides_before_the_return_value(void **state)
{
	static const struct {
		CK_RV rv;
		CK_ULONG reason;
		enum cmek_status kind;
	} rows[] = {
		{CKR_FUNCTION_FAILED, CMEK_ERROR_KMS_DENIED, CMEK_DENIED},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_KMS_DISABLED, CMEK_DENIED},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_KMS_DENIED + 9, CMEK_DENIED}, /* a new one */
		{CKR_DEVICE_ERROR, CMEK_ERROR_KMS_UNAVAILABLE, CMEK_UNAVAILABLE},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_KMS_INVALID_CIPHERTEXT, CMEK_DAMAGED},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_STORE_READ_ONLY, CMEK_UNAVAILABLE},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_STORE_CORRUPT, CMEK_DAMAGED},
		{CKR_DEVICE_ERROR, CMEK_ERROR_STORE_NEWER, CMEK_NEWER},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_STORE_MOVED, CMEK_REFUSED},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_EXISTS, CMEK_REFUSED},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_NOT_FOUND, CMEK_NOT_FOUND},
		{CKR_FUNCTION_FAILED, 398, CMEK_REFUSED}, /* a rule of a later release */
		{CKR_PIN_INCORRECT, CMEK_ERROR_NONE, CMEK_DENIED},
		{CKR_HOST_MEMORY, CMEK_ERROR_NONE, CMEK_FAILED},
		{CKR_VENDOR_DEFINED, CMEK_ERROR_NONE, CMEK_FAILED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(library_kind_of_call(rows[i].rv, rows[i].reason), rows[i].kind);
}

static void a_line_is_one_line_and_never_too_long(void **state)
{
	char text[2 * LIBRARY_TEXT_MAX];
	struct cmek_error error;

	(void)state;
	memset(text, 'x', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(library_fail(&error, CMEK_REFUSED, "a\nb: %s", text), CMEK_REFUSED);
	assert_int_equal(strlen(error.text), LIBRARY_TEXT_MAX - 1);
	assert_null(strchr(error.text, '\n'));
	assert_false(error.may_pass);
	library_fail(&error, CMEK_UNAVAILABLE, "away");
	assert_true(error.may_pass);
}

static void a_failure_of_the_system_has_its_errno_and_what_to_do(void **state)
{
	struct cmek_error error;

	(void)state;
	assert_int_equal(library_fail_system(&error, ENOSPC, "out", "cannot be written: "),
			 CMEK_IO);
	assert_string_equal(error.text, "out: cannot be written: No space left on device; make "
					"room, or choose another place");
	assert_int_equal(error.system_error, ENOSPC);
	assert_int_equal(library_fail_system(&error, ENOENT, "in", ""), CMEK_NOT_FOUND);
	assert_int_equal(error.system_error, ENOENT);
	assert_int_equal(library_kind_of_errno(ENOMEM), CMEK_FAILED);
}

static void a_call_that_failed_is_told_by_its_return_value_where_the_module_says_nothing(
	void **state)
{
	struct cmek_error error;

	(void)state;
	library_fail_call(&error, CKR_PIN_INCORRECT, CMEK_ERROR_NONE, "logging in");
	assert_string_equal(error.text, "logging in: the PIN is wrong");
	library_fail_call(&error, 0x1234, CMEK_ERROR_NONE, "x");
	assert_string_equal(error.text, "x: PKCS #11 error 0x1234");
	library_fail_call(&error, CKR_DEVICE_ERROR, CMEK_ERROR_KMS_DENIED, "x");
	assert_true(error.may_pass);
	assert_string_equal(error.request_id, "");
}

static void what_somebody_must_change_does_not_pass(void **state)
{
	static const struct {
		CK_RV rv;
		CK_ULONG reason;
		bool passes;
	} rows[] = {
		{CKR_DEVICE_ERROR, CMEK_ERROR_NONE, true},
		{CKR_DEVICE_ERROR, CMEK_ERROR_KMS_UNAVAILABLE, true},
		{CKR_DEVICE_ERROR, CMEK_ERROR_KMS_MISCONFIGURED, false},
		{CKR_DEVICE_ERROR, CMEK_ERROR_STORE_FULL, false},
		{CKR_FUNCTION_FAILED, CMEK_ERROR_STORE_READ_ONLY, false},
		{CKR_TOKEN_WRITE_PROTECTED, CMEK_ERROR_NONE, false},
		{CKR_SESSION_HANDLE_INVALID, CMEK_ERROR_NONE, true},
		{CKR_CRYPTOKI_NOT_INITIALIZED, CMEK_ERROR_NONE, true},
		{CKR_PIN_INCORRECT, CMEK_ERROR_NONE, false},
	};
	struct cmek_error error;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		library_fail_call(&error, rows[i].rv, rows[i].reason, "x");
		assert_int_equal(error.may_pass, rows[i].passes);
	}
}

static void a_caller_gets_a_copy_if_it_wants_one(void **state)
{
	struct cmek_error error = {0};
	cmek_error *copy = NULL;

	(void)state;
	assert_int_equal(library_answer(CMEK_OK, &error, &copy), CMEK_OK);
	assert_null(copy);
	library_fail(&error, CMEK_DAMAGED, "that");
	assert_int_equal(library_answer(CMEK_DAMAGED, &error, NULL), CMEK_DAMAGED);
	assert_int_equal(library_answer(CMEK_DAMAGED, &error, &copy), CMEK_DAMAGED);
	assert_string_equal(cmek_error_text(copy), "that");
	assert_int_equal(cmek_error_status(copy), CMEK_DAMAGED);
	cmek_error_free(copy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_status_of_an_envelope_has_a_kind_and_what_to_do),
		cmocka_unit_test(the_reason_decides_before_the_return_value),
		cmocka_unit_test(a_line_is_one_line_and_never_too_long),
		cmocka_unit_test(a_failure_of_the_system_has_its_errno_and_what_to_do),
		cmocka_unit_test(
			a_call_that_failed_is_told_by_its_return_value_where_the_module_says_nothing),
		cmocka_unit_test(what_somebody_must_change_does_not_pass),
		cmocka_unit_test(a_caller_gets_a_copy_if_it_wants_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
