/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The rule for names, and the characters that nobody sees. */
#include "base/macros.h"
#include "base/name.h"
#include "tests/support/unit.h"

static void a_name_is_made_of_what_can_be_seen_and_told_apart(void **state)
{
	static const char *const names[] = {
		"",
		"a",
		"prod/orders",
		"two words",
		"#1: \"the\" $one%",
		"z\xc3\xbcrich",
		"\xe6\x9d\xb1\xe4\xba\xac",
		"\xd7\xa2\xd7\x91\xd7\xa8",
		"\xf0\x9f\x94\x91",
		"cafe\xcc\x81",
		"a  b",
		"\\",
		"-",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		assert_null(name_fault(bytes_of(names[i])));
}

static void what_nobody_can_see_or_tell_apart_is_no_part_of_a_name(void **state)
{
	static const char *const rows[][2] = {
		{"a\n", "control"},
		{"a\tb", "control"},
		{"\x1b[2J", "control"},
		{"\x7f", "control"},
		{"a\xc2\x85", "control"},
		{"\xc2\x80"
		 "b",
		 "control"},
		{"a\xc2\x9f"
		 "b",
		 "control"},
		{" a", "blank"},
		{"a ", "blank"},
		{" ", "blank"},
		{"a\xc2\xa0", "blanks but the space"},
		{"a\xc2\xa0"
		 "b",
		 "blanks but the space"},
		{"\xe3\x80\x80"
		 "a",
		 "blanks but the space"},
		{"a\xe2\x80\x89", "blanks but the space"},
		{"a\xe1\x9a\x80", "blanks but the space"},
		{"a\xe2\xa0\x80", "blanks but the space"},
		{"a\xe2\x80\x8b", "nobody sees"}, /* zero width space */
		{"a\xe2\x80\xae"
		 "b",
		 "nobody sees"}, /* right-to-left override */
		{"a\xe2\x81\xa6"
		 "b",
		 "nobody sees"}, /* isolate */
		{"a\xc2\xad"
		 "b",
		 "nobody sees"}, /* soft hyphen */
		{"\xef\xbb\xbf"
		 "a",
		 "nobody sees"}, /* byte order mark */
		{"a\xe2\x80\xa8"
		 "b",
		 "nobody sees"},		      /* line separator */
		{"a\xef\xb8\x8f", "nobody sees"},     /* variation selector */
		{"a\xe3\x85\xa4", "nobody sees"},     /* Hangul filler */
		{"a\xf3\xa0\x81\x81", "nobody sees"}, /* tag */
		{"a\xff", "UTF-8"},
		{"\xed\xa0\x80", "UTF-8"},
		{"a\x9f", "UTF-8"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const char *fault = name_fault(bytes_of(rows[i][0]));

		assert_non_null(fault);
		assert_non_null(strstr(fault, rows[i][1]));
	}
	assert_non_null(strstr(name_fault(bytes("a\0b", 3)), "NUL"));
}

static void what_steers_a_terminal_or_hides_is_not_shown(void **state)
{
	static const struct {
		const char *at;
		size_t len;
	} rows[] = {
		{"\x01", 1},
		{"\n", 1},
		{"\x1b[", 1},
		{"\x7f", 1},
		{"\xc2\x80", 2},
		{"\xc2\x9f", 2},
		{"\xe2\x80\xae", 3},
		{"\xe2\x80\xa9", 3},
		{"\xf3\xa0\x81\x81", 4},
		{" ", 0},
		{"~", 0},
		{"\xc2\xa0", 0},
		{"\xc3\x9f", 0},
		{"\xe2\x82\xac", 0},
		{"\xc2", 0},
		{"\xe2\x80", 0},
		{"", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		assert_int_equal(text_unseen(rows[i].at), rows[i].len);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_made_of_what_can_be_seen_and_told_apart),
		cmocka_unit_test(what_nobody_can_see_or_tell_apart_is_no_part_of_a_name),
		cmocka_unit_test(what_steers_a_terminal_or_hides_is_not_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
