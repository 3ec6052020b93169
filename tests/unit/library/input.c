/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is read: how large it is, and how many may read it. */
#include "library/input.h"

#include "tests/support/folder_fixture.h"

#include <errno.h>
#include <fcntl.h>

enum { WANTED = 3 };

static void leave(const char *path, const char *text)
{
	assert_true(file_replace(path, bytes_of(text), 0600));
}

static void a_file_has_a_size_and_is_shared(void **state)
{
	struct library_input input = LIBRARY_INPUT_NONE;
	AUTO(freep) char *path = in_folder("file");
	uint8_t read[8];

	(void)state;
	leave(path, "four");
	assert_true(library_input_open(&input, path));
	assert_int_equal(input.size, 4);
	assert_false(input.is_folder);
	assert_int_equal(library_input_threads(&input, WANTED), WANTED);
	assert_int_equal(library_input_read(input.fd, read, sizeof(read)), 4);
	library_input_clear(&input);
	assert_int_equal(input.fd, -1);
}

static void an_empty_file_is_a_file(void **state)
{
	struct library_input input = LIBRARY_INPUT_NONE;
	AUTO(freep) char *path = in_folder("empty");

	(void)state;
	leave(path, "");
	assert_true(library_input_open(&input, path));
	assert_int_equal(input.size, 0);
	assert_int_equal(library_input_threads(&input, WANTED), WANTED);
	library_input_clear(&input);
}

static void what_comes_bit_by_bit_is_read_by_one(void **state)
{
	struct library_input input = LIBRARY_INPUT_NONE;

	(void)state;
	assert_true(library_input_open(&input, "/dev/null"));
	assert_int_equal(input.size, -1);
	assert_int_equal(library_input_threads(&input, WANTED), 0);
	library_input_clear(&input);
}

static void a_folder_is_told_from_a_file(void **state)
{
	struct library_input input = LIBRARY_INPUT_NONE;

	(void)state;
	assert_true(library_input_open(&input, folder));
	assert_true(input.is_folder);
	library_input_clear(&input);
}

static void what_is_not_there_says_why(void **state)
{
	struct library_input input = LIBRARY_INPUT_NONE;
	AUTO(freep) char *path = in_folder("missing");

	(void)state;
	errno = 0;
	assert_false(library_input_open(&input, path));
	assert_int_equal(errno, ENOENT);
	library_input_clear(&input);
}

static void standard_input_stays_open(void **state)
{
	struct library_input input = LIBRARY_INPUT_NONE;

	(void)state;
	assert_true(library_input_standard(&input));
	assert_int_equal(input.fd, STDIN_FILENO);
	library_input_clear(&input);
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_has_a_size_and_is_shared),
		cmocka_unit_test(an_empty_file_is_a_file),
		cmocka_unit_test(what_comes_bit_by_bit_is_read_by_one),
		cmocka_unit_test(a_folder_is_told_from_a_file),
		cmocka_unit_test(what_is_not_there_says_why),
		cmocka_unit_test(standard_input_stays_open),
	};

	return cmocka_run_group_tests_name("library/input", tests, folder_begin, folder_end);
}
