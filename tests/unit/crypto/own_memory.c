/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a hidden OpenSSL allocates lies in slabs. This program gives its own copy such memory before
 * anything else. */
#include "base/slabs.h"
#include "crypto/crypto.h"
#include "crypto/internal.h"
#include "tests/support/unit.h"

#include <openssl/crypto.h>
#include <sys/wait.h>
#include <unistd.h>

static bool all_zero(const uint8_t *memory, size_t len)
{
	size_t i = 0;

	while (i < len && memory[i] == 0)
		i++;
	return i == len;
}

static void it_is_taken_once_and_stays(void **state)
{
	(void)state;
	assert_true(crypto_own_memory());
	assert_true(crypto_own_memory());
	assert_true(crypto_start(false));
}

static void what_is_freed_is_wiped(void **state)
{
	uint8_t *memory = OPENSSL_malloc(300);

	(void)state;
	memset(memory, 0xa5, 300);
	OPENSSL_free(memory);
	assert_true(all_zero(memory + sizeof(void *), 300 - sizeof(void *)));
}

static void a_larger_one_has_what_was_in_the_smaller(void **state)
{
	uint8_t *memory = OPENSSL_malloc(10), *first = memory;

	(void)state;
	memset(memory, 0xa5, 10);
	memory = OPENSSL_realloc(memory, 60);
	assert_ptr_equal(memory, first);
	memory = OPENSSL_realloc(memory, 10000);
	assert_int_equal(memory[0], 0xa5);
	assert_int_equal(memory[9], 0xa5);
	assert_true(all_zero(first + sizeof(void *), 64 - sizeof(void *)));
	memory = OPENSSL_realloc(memory, 5);
	assert_int_equal(memory[4], 0xa5);
	assert_int_equal(slabs_room(memory), SLOT_MIN);
	assert_null(OPENSSL_realloc(memory, 0));
	assert_null(OPENSSL_malloc(0));
	memory = OPENSSL_realloc(NULL, 20);
	assert_non_null(memory);
	OPENSSL_free(memory);
}

static void a_context_of_aes_lies_in_it(void **state)
{
	void *context = EVP_CIPHER_CTX_new();

	(void)state;
	assert_true(slabs_room(context) >= 64 && slabs_room(context) <= SLOT_MAX);
	EVP_CIPHER_CTX_free(context);
}

/* Exit code 0: the parent's memory is there, and more can be had. */
static void go_on_in_a_child(const uint8_t *memory)
{
	uint8_t random[16];
	void *more = OPENSSL_malloc(100);

	if (memory[0] != 0xa5 || more == NULL)
		_exit(1);
	OPENSSL_free(more);
	crypto_abandon();
	_exit(crypto_start(false) && crypto_random(random, sizeof(random)) ? 0 : 2);
}

static void a_forks_child_goes_on_with_it(void **state)
{
	uint8_t *memory = OPENSSL_zalloc(100);
	int status = 0;
	pid_t pid;

	(void)state;
	memory[0] = 0xa5;
	pid = fork();
	if (pid == 0)
		go_on_in_a_child(memory);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	OPENSSL_free(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_is_taken_once_and_stays),
		cmocka_unit_test(what_is_freed_is_wiped),
		cmocka_unit_test(a_larger_one_has_what_was_in_the_smaller),
		cmocka_unit_test(a_context_of_aes_lies_in_it),
		cmocka_unit_test(a_forks_child_goes_on_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
