/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Paths as people write them, and errors of the system as they are told. */
#include "base/free.h"
#include "base/macros.h"
#include "base/path.h"
#include "base/system_error.h"
#include "tests/support/unit.h"

#include <errno.h>
#include <stdlib.h>

static int set_home(void **state)
{
	(void)state;
	return setenv("HOME", "/home/someone", 1);
}

static void absolute_paths_and_those_from_the_home_folder_are_taken(void **state)
{
	static const char *const rows[][2] = {
		{"/srv/store.db", "/srv/store.db"},
		{"~/store.db", "/home/someone/store.db"},
		{"/srv/with blanks/and#signs;here", "/srv/with blanks/and#signs;here"},
		{"/srv/~/\xc3\xa4~", "/srv/~/\xc3\xa4~"},
		{"/", "/"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(freep) char *path = path_expand(rows[i][0]);

		assert_null(path_fault(rows[i][0]));
		assert_string_equal(path, rows[i][1]);
	}
}

static void what_other_programs_would_read_in_a_path_is_a_fault_that_says_what_to_write(
	void **state)
{
	static const char *const rows[][2] = {
		{"\"/srv/store.db\"", "without quotes"},
		{"'/srv/store.db'", "without quotes"},
		{"/srv/`id`/store.db", "without quotes"},
		{"$HOME/store.db", "without '$'"},
		{"/srv/${USER}/store.db", "without '$'"},
		{"%h/store.db", "without '%'"},
		{"/srv/%u", "without '%'"},
		{"/srv/store.db # where", "a comment has a line of its own"},
		{"/srv/store.db\t; where", "a comment has a line of its own"},
		{"store.db", "an absolute path, or one that begins with ~/"},
		{"./store.db", "an absolute path, or one that begins with ~/"},
		{"../store.db", "an absolute path, or one that begins with ~/"},
		{"~", "an absolute path, or one that begins with ~/"},
		{"~someone/store.db", "an absolute path, or one that begins with ~/"},
		{"file:///srv/store.db", "an absolute path, or one that begins with ~/"},
		{"", "an absolute path, or one that begins with ~/"},
		{"/srv/a\nb", "nobody sees"},
		{"/srv/a\xc2\x85", "nobody sees"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *fault = path_fault(rows[i][0]);

		assert_non_null(fault);
		assert_non_null(strstr(fault, rows[i][1]));
	}
}

static void a_home_that_is_no_absolute_path_stands_for_nothing(void **state)
{
	static const char *const homes[] = {NULL, "", "some/folder"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(homes); i++) {
		unsetenv("HOME");
		if (homes[i] != NULL)
			setenv("HOME", homes[i], 1);
		assert_non_null(strstr(path_fault("~/store.db"), "HOME"));
		assert_null(path_fault("/srv/store.db"));
	}
}

static void an_error_of_the_system_has_words_and_a_remedy(void **state)
{
	static const int errors[] = {EMFILE, ENFILE, ENOENT, ENOSPC, EDQUOT,
				     EFBIG,  EROFS,  EACCES, ELOOP};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(errors); i++) {
		assert_string_equal(system_error_text(errors[i]), strerror(errors[i]));
		assert_string_not_equal(system_error_remedy(errors[i]), system_error_remedy(0));
	}
	assert_string_equal(system_error_making(ENOENT), "Its folder does not exist");
	assert_string_equal(system_error_making(EROFS), strerror(EROFS));
	assert_string_equal(system_error_text(ESPIPE), "It is a pipe");
	assert_string_equal(system_error_remedy(EILSEQ), "see the system's log");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(absolute_paths_and_those_from_the_home_folder_are_taken,
				       set_home),
		cmocka_unit_test_setup(
			what_other_programs_would_read_in_a_path_is_a_fault_that_says_what_to_write,
			set_home),
		cmocka_unit_test(a_home_that_is_no_absolute_path_stands_for_nothing),
		cmocka_unit_test(an_error_of_the_system_has_words_and_a_remedy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
