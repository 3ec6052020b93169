/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a guest leaves as it was in a host that uses OpenSSL. */
#include "crypto/guest.h"
#include "tests/support/unit.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <sys/wait.h>
#include <unistd.h>

static void raise_three(void)
{
	ERR_clear_error();
	ERR_raise(ERR_LIB_USER, 7);
	ERR_raise_data(ERR_LIB_EVP, 9, "with %s", "words");
	ERR_raise(ERR_LIB_SYS, 2);
}

static void expect_error(int lib, int reason, const char *words)
{
	const char *file, *function, *data;
	int line, flags;
	unsigned long code = ERR_get_error_all(&file, &line, &function, &data, &flags);

	assert_int_equal(ERR_GET_LIB(code), lib);
	assert_int_equal(ERR_GET_REASON(code), reason);
	assert_true(line > 0);
	assert_string_equal(function, "raise_three");
	assert_string_equal(data, words);
}

static void errors_come_back_in_order_and_whole(void **state)
{
	struct guest_errors errors;

	(void)state;
	raise_three();
	guest_errors_save(&errors);
	assert_int_equal(ERR_peek_error(), 0);
	ERR_raise(ERR_LIB_USER, 99);
	guest_errors_restore(&errors);
	expect_error(ERR_LIB_USER, 7, "");
	expect_error(ERR_LIB_EVP, 9, "with words");
	expect_error(ERR_LIB_SYS, 2, "");
	assert_int_equal(ERR_get_error(), 0);
}

static void an_empty_queue_comes_back_empty(void **state)
{
	struct guest_errors errors;

	(void)state;
	ERR_clear_error();
	guest_errors_save(&errors);
	ERR_raise(ERR_LIB_USER, 99);
	guest_errors_restore(&errors);
	assert_int_equal(ERR_peek_error(), 0);
}

static void the_end_of_openssl_is_seen(void **state)
{
	int status;

	(void)state;
	assert_false(guest_openssl_ended());
	if (fork() == 0) {
		OPENSSL_cleanup();
		_exit(guest_openssl_ended() ? 0 : 1);
	}
	assert_true(wait(&status) > 0);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_come_back_in_order_and_whole),
		cmocka_unit_test(an_empty_queue_comes_back_empty),
		cmocka_unit_test(the_end_of_openssl_is_seen),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
