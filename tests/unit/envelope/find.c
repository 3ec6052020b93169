/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which root key of a token opens an envelope's record, and what is told if none does. */
#include "base/macros.h"
#include "envelope/keys.h"
#include "tests/support/fake_token.h"
#include "tests/support/unit.h"

#define FIRST  "arn:fake:kms:::key/1"
#define SECOND "arn:fake:kms:::key/2"
#define OTHER  "arn:fake:kms:::key/3"

static int start(void **state)
{
	(void)state;
	fake_token_reset();
	return 0;
}

static enum envelope_status open_by(const char *first, const char *second,
				    struct envelope_error *error)
{
	AUTO(buffer_clear) struct buffer record = {0};
	struct envelope_token token = fake_token_session();
	enum envelope_status status;
	CK_OBJECT_HANDLE ezk;

	fake_token_record_by_two(11, 1, first, second, &record);
	status = envelope_record_open(&token, buffer_bytes(&record), &ezk, error);
	envelope_token_clear(&token);
	return status;
}

static void root_keys_are_tried_in_the_order_of_the_record(void **state)
{
	static const struct {
		const char *first, *second;
		CK_RV answers[2];
		const char *asked;
	} rows[] = {
		{FIRST, NULL, {CKR_OK, CKR_OK}, "0"},
		{FIRST, SECOND, {CKR_OK, CKR_OK}, "0"},
		{SECOND, FIRST, {CKR_OK, CKR_OK}, "1"},
		/* Those that the token does not have are passed over. */
		{OTHER, SECOND, {CKR_OK, CKR_OK}, "1"},
		{FIRST, SECOND, {CKR_FUNCTION_FAILED, CKR_OK}, "01"},
		{SECOND, FIRST, {CKR_OK, CKR_DEVICE_ERROR}, "10"},
		{FIRST, SECOND, {CKR_WRAPPED_KEY_INVALID, CKR_OK}, "01"},
		{FIRST, SECOND, {CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_OK}, "01"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct envelope_error error = {0};

		start(state);
		memcpy(fake.root_key_answers, rows[i].answers, sizeof(rows[i].answers));
		assert_int_equal(open_by(rows[i].first, rows[i].second, &error), ENVELOPE_OK);
		assert_string_equal(fake.asked, rows[i].asked);
	}
}

/* The last call is the one that gave the answer, so that the module's reason is that of it. */
static void if_none_opens_a_no_is_told_then_an_outage_then_damage(void **state)
{
	enum { NO = CKR_FUNCTION_FAILED, OUTAGE = CKR_DEVICE_ERROR, BAD = CKR_WRAPPED_KEY_INVALID };
	static const struct {
		CK_RV answers[2];
		CK_RV told;
		const char *asked;
	} rows[] = {
		{{NO, NO}, NO, "01"},
		{{NO, OUTAGE}, NO, "010"},
		{{NO, BAD}, NO, "010"},
		{{OUTAGE, NO}, NO, "01"},
		{{OUTAGE, OUTAGE}, OUTAGE, "01"},
		{{OUTAGE, BAD}, OUTAGE, "010"},
		{{BAD, NO}, NO, "01"},
		{{BAD, OUTAGE}, OUTAGE, "01"},
		/* A failure that is not about one key holds for all of them. */
		{{CKR_HOST_MEMORY, NO}, CKR_HOST_MEMORY, "0"},
		{{NO, CKR_SESSION_HANDLE_INVALID}, CKR_SESSION_HANDLE_INVALID, "01"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct envelope_error error = {0};

		start(state);
		memcpy(fake.root_key_answers, rows[i].answers, sizeof(rows[i].answers));
		assert_int_equal(open_by(FIRST, SECOND, &error), ENVELOPE_MODULE);
		assert_int_equal(error.rv, rows[i].told);
		assert_string_equal(fake.asked, rows[i].asked);
	}
}

static void bytes_that_no_root_key_opens_are_damage(void **state)
{
	struct envelope_error error = {0};

	(void)state;
	fake.root_key_answers[0] = CKR_WRAPPED_KEY_INVALID;
	fake.root_key_answers[1] = CKR_WRAPPED_KEY_LEN_RANGE;
	assert_int_equal(open_by(OTHER, SECOND, &error), ENVELOPE_DAMAGED);
	assert_string_equal(error.text, "header: root key " SECOND " does not open the key record");
	assert_int_equal(open_by(FIRST, SECOND, &error), ENVELOPE_DAMAGED);
	assert_string_equal(error.text, "header: root key " SECOND " does not open the key record");
}

static void a_root_key_that_is_named_twice_is_asked_once(void **state)
{
	struct envelope_error error = {0};

	(void)state;
	fake.root_key_answers[0] = CKR_FUNCTION_FAILED;
	assert_int_equal(open_by(FIRST, FIRST, &error), ENVELOPE_MODULE);
	assert_string_equal(fake.asked, "0");
}

static void a_record_of_no_root_key_of_the_token_is_not_opened(void **state)
{
	struct envelope_error error = {0};

	(void)state;
	fake.root_keys[1] = NULL;
	assert_int_equal(open_by(OTHER, SECOND, &error), ENVELOPE_ROOT_KEY_UNKNOWN);
	assert_string_equal(error.text, OTHER);
	assert_string_equal(fake.asked, "");
}

static void a_failure_on_the_way_is_the_module_s(void **state)
{
	struct envelope_error error = {0};
	unsigned calls;

	(void)state;
	assert_int_equal(open_by(OTHER, SECOND, &error), ENVELOPE_OK);
	calls = fake.calls;
	for (fake.fail_at = 1; fake.fail_at <= calls; fake.fail_at++) {
		fake.calls = 0;
		error = (struct envelope_error){0};
		assert_int_equal(open_by(OTHER, SECOND, &error), ENVELOPE_MODULE);
		assert_int_equal(error.rv, CKR_DEVICE_ERROR);
	}
	fake.fail_at = 0;
}

/* --- Zones */

static CK_OBJECT_HANDLE find_opener(uint64_t zone)
{
	struct envelope_token token = fake_token_session();
	struct envelope_error error = {0};
	CK_OBJECT_HANDLE ezk = 0;

	assert_int_equal(envelope_opener_find(&token, zone, &ezk, &error), ENVELOPE_OK);
	return ezk;
}

/* What remains for a reader who has a record of that version. */
static CK_OBJECT_HANDLE keep_opener(uint64_t zone, uint32_t version)
{
	struct envelope_token token = fake_token_session();
	struct envelope_error error = {0};
	CK_OBJECT_HANDLE ezk = find_opener(zone);

	assert_int_equal(envelope_zone_drop_older(&token, zone, version, &ezk, &error),
			 ENVELOPE_OK);
	return ezk;
}

static void a_zone_that_imported_another_is_found_for_opening_alone(void **state)
{
	struct envelope_token token = fake_token_session();
	struct envelope_error error = {0};
	CK_OBJECT_HANDLE ezk = 0;

	(void)state;
	assert_int_equal(find_opener(33), CK_INVALID_HANDLE);
	fake.imported_zone = 33;
	fake.imported_version = 2;
	assert_int_equal(find_opener(33), fake_token_zone(0));
	assert_int_equal(envelope_zone_find(&token, 33, &ezk, &error), ENVELOPE_OK);
	assert_int_equal(ezk, CK_INVALID_HANDLE);
}

static void the_zone_itself_comes_before_one_that_imported_it(void **state)
{
	(void)state;
	fake.imported_zone = 22;
	fake.imported_version = 1;
	assert_int_equal(find_opener(22), fake_token_zone(1));
}

static void a_version_that_was_not_imported_opens_by_its_record(void **state)
{
	(void)state;
	fake.imported_zone = 33;
	fake.imported_version = 2;
	assert_int_equal(keep_opener(33, 2), fake_token_zone(0));
	assert_int_equal(keep_opener(33, 1), CK_INVALID_HANDLE);
	assert_int_equal(keep_opener(33, 3), CK_INVALID_HANDLE);
	assert_int_equal(keep_opener(22, 1), fake_token_zone(1));
	assert_int_equal(keep_opener(22, 2), CK_INVALID_HANDLE);
	assert_int_equal(keep_opener(44, 1), CK_INVALID_HANDLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(root_keys_are_tried_in_the_order_of_the_record, start),
		cmocka_unit_test_setup(if_none_opens_a_no_is_told_then_an_outage_then_damage,
				       start),
		cmocka_unit_test_setup(bytes_that_no_root_key_opens_are_damage, start),
		cmocka_unit_test_setup(a_root_key_that_is_named_twice_is_asked_once, start),
		cmocka_unit_test_setup(a_record_of_no_root_key_of_the_token_is_not_opened, start),
		cmocka_unit_test_setup(a_failure_on_the_way_is_the_module_s, start),
		cmocka_unit_test_setup(a_zone_that_imported_another_is_found_for_opening_alone,
				       start),
		cmocka_unit_test_setup(the_zone_itself_comes_before_one_that_imported_it, start),
		cmocka_unit_test_setup(a_version_that_was_not_imported_opens_by_its_record, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
