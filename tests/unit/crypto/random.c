/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes, of which some are in stock. */
#include "base/fork.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/secret.h"
#include "crypto/crypto.h"
#include "crypto/internal.h"
#include "tests/support/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DRAW = 16, DRAWS = 4000, THREADS = 8 };

static int start(void **state)
{
	(void)state;
	log_configure(LOG_OFF, "stderr");
	return crypto_start(false) ? 0 : -1;
}

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, DRAW);
}

static void assert_all_differ(uint8_t *draws, size_t count)
{
	static const uint8_t zeros[DRAW];

	qsort(draws, count, DRAW, compare);
	assert_memory_not_equal(draws, zeros, DRAW);
	for (size_t i = 1; i < count; i++)
		assert_memory_not_equal(draws + (i - 1) * DRAW, draws + i * DRAW, DRAW);
}

static void *draw_many(void *state)
{
	uint8_t *draws = state;

	for (size_t i = 0; i < DRAWS; i++)
		if (!crypto_random(draws + i * DRAW, DRAW))
			memset(draws + i * DRAW, 0, DRAW);
	return NULL;
}

static void no_bytes_are_given_twice_to_any_thread(void **state)
{
	uint8_t *draws = calloc(THREADS * DRAWS, DRAW);
	pthread_t threads[THREADS];

	(void)state;
	assert_non_null(draws);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, draw_many, draws + i * DRAWS * DRAW), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_all_differ(draws, THREADS * DRAWS);
	free(draws);
}

static void draws_of_all_lengths_are_whole(void **state)
{
	uint8_t drawn[200];

	(void)state;
	for (size_t len = 0; len < sizeof(drawn); len++) {
		unsigned zeros = 0;

		memset(drawn, 0, sizeof(drawn));
		assert_true(crypto_random(drawn, len));
		for (size_t i = 0; i < len; i++)
			zeros += drawn[i] == 0;
		assert_true(zeros < 8 + len / 32); /* of 1 in 256 */
		for (size_t i = len; i < sizeof(drawn); i++)
			assert_int_equal(drawn[i], 0);
	}
}

/* What the parent would give next, some of its children give. */
static void no_child_gives_what_its_parent_gives(void **state)
{
	enum { CHILDREN = 6, EACH = 8, ALL = (CHILDREN + 1) * EACH };
	uint8_t draws[ALL * DRAW];
	uint8_t one;
	int ends[2];

	(void)state;
	assert_true(crypto_random(&one, 1));
	for (size_t child = 0; child < CHILDREN; child++) {
		assert_int_equal(pipe(ends), 0);
		if (child == CHILDREN / 2)
			fork_mark(); /* those before are of a process that never did */
		if (fork() == 0) {
			uint8_t mine[EACH * DRAW];
			bool good = true;

			for (size_t i = 0; i < EACH; i++)
				good = crypto_random(mine + i * DRAW, DRAW) && good;
			good = write(ends[1], mine, sizeof(mine)) == sizeof(mine) && good;
			_exit(good ? 0 : 1);
		}
		assert_int_equal(read(ends[0], draws + child * EACH * DRAW, EACH * DRAW),
				 EACH * DRAW);
		close(ends[0]);
		close(ends[1]);
		wait(NULL);
	}
	for (size_t i = CHILDREN * EACH; i < ALL; i++)
		assert_true(crypto_random(draws + i * DRAW, DRAW));
	assert_all_differ(draws, ALL);
}

static void it_goes_on_after_a_seed_and_after_it_was_forgotten(void **state)
{
	uint8_t draws[4 * DRAW];

	(void)state;
	assert_true(crypto_random(draws, DRAW));
	assert_true(crypto_random_add(bytes_of("seed")));
	assert_true(crypto_random(draws + DRAW, DRAW));
	crypto_random_forget();
	crypto_random_forget();
	assert_true(crypto_random(draws + 2 * DRAW, DRAW));
	crypto_abandon();
	assert_true(crypto_start(false));
	assert_true(crypto_random(draws + 3 * DRAW, DRAW));
	assert_all_differ(draws, 4);
}

static size_t left(void)
{
	size_t left;

	random_stock(&left);
	return left;
}

static void what_was_given_is_wiped_and_a_seed_ends_the_stock(void **state)
{
	uint8_t drawn[DRAW];
	const uint8_t *stock;
	size_t before, after;

	(void)state;
	if (crypto_is_fips()) {
		print_message("# reason: with FIPS there is no stock\n");
		skip();
	}
	crypto_random_forget();
	assert_int_equal(left(), 0);
	assert_true(crypto_random(drawn, DRAW));
	stock = random_stock(&before);
	assert_memory_not_equal(stock + before - DRAW, drawn, DRAW);
	assert_true(crypto_random(drawn, DRAW));
	stock = random_stock(&after);
	assert_int_equal(after, before - DRAW);
	for (size_t i = after; i < before + DRAW; i++)
		assert_int_equal(stock[i], 0);
	assert_true(crypto_random_add(bytes_of("seed")));
	assert_true(crypto_random(drawn, DRAW));
	assert_int_equal(left(), before);
	crypto_random_forget();
	assert_null(random_stock(&after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_bytes_are_given_twice_to_any_thread),
		cmocka_unit_test(draws_of_all_lengths_are_whole),
		cmocka_unit_test(no_child_gives_what_its_parent_gives),
		cmocka_unit_test(what_was_given_is_wiped_and_a_seed_ends_the_stock),
		cmocka_unit_test(it_goes_on_after_a_seed_and_after_it_was_forgotten),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
