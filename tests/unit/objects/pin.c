/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The PINs of a project, as its row has them. */
#include "objects/pin.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/unit.h"

static void what_is_written_is_read(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0};
	struct pins pins = {
		.of = {[CKU_SO] = {.algorithm = 2, .cost = 600000, .failures = 3},
		       [CKU_USER] = {.algorithm = 1, .cost = 15, .failed_ms = 1234567890123}}};
	struct pins read;

	(void)state;
	memset(pins.of[CKU_SO].salt, 1, PASSWORD_SALT);
	memset(pins.of[CKU_USER].verifier, 2, PASSWORD_VERIFIER);
	pins_write(&pins, &text);
	assert_int_equal(text.len, 6 + 2 * 62);
	read = pins_read(buffer_bytes(&text));
	assert_false(read.unreadable);
	assert_memory_equal(&read.of[CKU_SO].salt, &pins.of[CKU_SO].salt, PASSWORD_SALT);
	assert_memory_equal(&read.of[CKU_USER].verifier, &pins.of[CKU_USER].verifier,
			    PASSWORD_VERIFIER);
	assert_int_equal(read.of[CKU_SO].cost, 600000);
	assert_int_equal(read.of[CKU_SO].failures, 3);
	assert_int_equal(read.of[CKU_USER].algorithm, 1);
	assert_true(read.of[CKU_USER].failed_ms == 1234567890123);
}

static void what_is_not_whole_lets_nobody_in(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0};
	struct pins pins = {0};

	(void)state;
	assert_false(pins_read(bytes(NULL, 0)).unreadable);
	pins_write(&pins, &text);
	for (size_t len = 1; len < text.len; len++)
		assert_true(pins_read(bytes(text.data, len)).unreadable);
	text.data[3] = 2;
	assert_true(pins_read(buffer_bytes(&text)).unreadable);
	text.data[3] = 1;
	buffer_put_u8(&text, 0);
	assert_true(pins_read(buffer_bytes(&text)).unreadable);
}

static void a_new_one_is_known_again_and_no_other(void **state)
{
	struct pin pin;

	(void)state;
	assert_int_equal(pin_make(bytes_of("123"), &pin), CKR_PIN_LEN_RANGE);
	assert_int_equal(pin_make(bytes_of("123456"), &pin), CKR_OK);
	assert_true(pin_is_set(&pin));
	assert_int_equal(pin_check(&pin, bytes_of("123456")), CKR_OK);
	assert_int_equal(pin_check(&pin, bytes_of("123457")), CKR_PIN_INCORRECT);
	assert_int_equal(pin_check(&pin, bytes_of("")), CKR_PIN_INCORRECT);
	pin.algorithm = 77;
	assert_int_equal(pin_check(&pin, bytes_of("123456")), CKR_FUNCTION_FAILED);
}

static void the_users_is_locked_for_good_and_the_sos_for_an_hour(void **state)
{
	const int64_t then = 1000000000000;
	struct pin pin = {.failures = PIN_TRIES - 1, .failed_ms = then};

	(void)state;
	assert_false(pin_is_locked(&pin, CKU_USER, then));
	assert_false(pin_is_locked(&pin, CKU_SO, then));
	pin.failures++;
	assert_true(pin_is_locked(&pin, CKU_USER, then + 1000 * (int64_t)PIN_SO_WAIT_MS));
	assert_true(pin_is_locked(&pin, CKU_SO, then));
	assert_true(pin_is_locked(&pin, CKU_SO, then + PIN_SO_WAIT_MS - 1));
	assert_false(pin_is_locked(&pin, CKU_SO, then + PIN_SO_WAIT_MS));
}

static void a_clock_that_was_years_ahead_does_not_lock_the_so_for_years(void **state)
{
	const int64_t now = 1000000000000;
	struct pin pin = {.failures = PIN_TRIES, .failed_ms = now + PIN_SO_WAIT_MS - 1};

	(void)state;
	assert_true(pin_is_locked(&pin, CKU_SO, now));
	pin.failed_ms = now + PIN_SO_WAIT_MS;
	assert_false(pin_is_locked(&pin, CKU_SO, now));
	pin.failed_ms = INT64_MAX;
	assert_false(pin_is_locked(&pin, CKU_SO, now));
	assert_true(pin_is_locked(&pin, CKU_USER, now));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(what_is_not_whole_lets_nobody_in),
		cmocka_unit_test(a_new_one_is_known_again_and_no_other),
		cmocka_unit_test(the_users_is_locked_for_good_and_the_sos_for_an_hour),
		cmocka_unit_test(a_clock_that_was_years_ahead_does_not_lock_the_so_for_years),
	};

	if (!crypto_start(false))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
