/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The statuses, and how a failure is told. */
#include "net/answer.h"
#include "tests/support/unit.h"

static void every_status_has_words_and_seven_are_a_no(void **state)
{
	int no = 0;

	(void)state;
	for (int status = 0; status < KMS_STATUS_COUNT; status++) {
		assert_non_null(kms_status_text(status));
		no += kms_status_is_no(status);
	}
	assert_int_equal(no, 7);
	assert_true(kms_status_is_no(KMS_DENIED) && kms_status_is_no(KMS_DISABLED) &&
		    kms_status_is_no(KMS_PENDING_DELETION) &&
		    kms_status_is_no(KMS_PENDING_IMPORT) &&
		    kms_status_is_no(KMS_KEY_STORE_UNAVAILABLE) &&
		    kms_status_is_no(KMS_INVALID_STATE) && kms_status_is_no(KMS_NOT_FOUND));
}

static void an_outage_is_of_all_keys_or_of_one_and_lasts(void **state)
{
	(void)state;
	for (int status = 0; status < KMS_STATUS_COUNT; status++) {
		bool of_key = status == KMS_THROTTLED || status == KMS_KEY_OUT_OF_REACH;
		bool outage = of_key || status == KMS_UNAVAILABLE;

		assert_int_equal(kms_status_is_outage_of_key(status), of_key);
		assert_int_equal(kms_status_is_outage(status), outage);
		assert_true(kms_status_lasts(status) || !outage);
		if (outage)
			assert_int_equal(kms_status_key_state(status), KEY_STATE_UNREACHABLE);
	}
	assert_true(kms_status_lasts(KMS_NO_CREDENTIALS));
	assert_false(kms_status_lasts(KMS_DENIED) || kms_status_lasts(KMS_INVALID_CIPHERTEXT));
	assert_string_equal(kms_status_remedy(KMS_KEY_OUT_OF_REACH),
			    "see to the key store that holds it");
}

static void a_failure_fills_the_report_and_keeps_the_request(void **state)
{
	struct kms_report report = {.request_id = "r-1", .message = "before", .error_type = "Old"};

	(void)state;
	assert_int_equal(kms_fail(KMS_DISABLED, &report, "DisabledException", "key %d", 7),
			 KMS_DISABLED);
	assert_string_equal(report.message, "key 7");
	assert_string_equal(report.error_type, "DisabledException");
	assert_string_equal(report.request_id, "r-1");
	assert_int_equal(kms_fail(KMS_BAD_ANSWER, &report, NULL, "nonsense"), KMS_BAD_ANSWER);
	assert_string_equal(report.error_type, "");
	assert_int_equal(kms_fail(KMS_DENIED, NULL, NULL, "nobody listens"), KMS_DENIED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_status_has_words_and_seven_are_a_no),
		cmocka_unit_test(an_outage_is_of_all_keys_or_of_one_and_lasts),
		cmocka_unit_test(a_failure_fills_the_report_and_keeps_the_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
