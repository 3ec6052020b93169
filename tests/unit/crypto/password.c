/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Verifiers of passwords, as Python's hashlib makes them. */
#include "crypto/password.h"
#include "base/macros.h"
#include "crypto/crypto.h"
#include "tests/support/unit.h"

static const uint8_t salt[PASSWORD_SALT] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
static const char password[] = "correct horse";

static void expect(enum password_algorithm algorithm, uint32_t cost, const char *hex)
{
	AUTO(buffer_clear) struct buffer expected = {0};
	uint8_t verifier[PASSWORD_VERIFIER];

	assert_true(password_verifier(algorithm, cost, bytes_of(password), salt, verifier));
	assert_bytes(bytes(verifier, sizeof(verifier)), from_hex(&expected, hex));
}

static void scrypt_is_that_of_rfc_7914(void **state)
{
	(void)state;
	if (crypto_is_fips()) {
		print_message("# reason: FIPS has no scrypt\n");
		skip();
	}
	expect(PASSWORD_SCRYPT, 10,
	       "9df923deed5f4531c279af9f56bd37b1657bef4929e702ce2e811a93388a86a1");
}

static void pbkdf2_is_that_of_rfc_8018(void **state)
{
	(void)state;
	expect(PASSWORD_PBKDF2, 1000,
	       "c914cc4f06cc6e8f46d157e3a1b5aa7abceebb17bb0444cd4c4ac16ca2ae9864");
}

static void what_is_beyond_reason_is_refused(void **state)
{
	static const struct {
		int algorithm;
		uint32_t cost;
	} rows[] = {{PASSWORD_SCRYPT, 0},
		    {PASSWORD_SCRYPT, 18},
		    {PASSWORD_SCRYPT, UINT32_MAX},
		    {PASSWORD_PBKDF2, 0},
		    {PASSWORD_PBKDF2, UINT32_MAX},
		    {0, 10},
		    {3, 10}};
	uint8_t verifier[PASSWORD_VERIFIER];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_false(password_verifier((enum password_algorithm)rows[i].algorithm,
					       rows[i].cost, bytes_of(password), salt, verifier));
}

static void a_new_one_is_of_an_algorithm_that_is_there(void **state)
{
	uint8_t verifier[PASSWORD_VERIFIER];
	uint32_t cost;
	enum password_algorithm algorithm = password_algorithm(&cost);

	(void)state;
	assert_int_equal(algorithm, crypto_is_fips() ? PASSWORD_PBKDF2 : PASSWORD_SCRYPT);
	assert_true(password_verifier(algorithm, cost, bytes_of(password), salt, verifier));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scrypt_is_that_of_rfc_7914),
		cmocka_unit_test(pbkdf2_is_that_of_rfc_8018),
		cmocka_unit_test(what_is_beyond_reason_is_refused),
		cmocka_unit_test(a_new_one_is_of_an_algorithm_that_is_there),
	};

	if (!crypto_start(false))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
