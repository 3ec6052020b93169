/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal, base64 (vectors of RFC 4648 section 10), decimal numbers and UTF-8. */
#include "base/encode.h"
#include "base/macros.h"
#include "tests/support/unit.h"

static const struct {
	const char *plain, *base64;
} base64_cases[] = {
	/* clang-format off */
	{ "",       "" },
	{ "f",      "Zg==" },
	{ "fo",     "Zm8=" },
	{ "foo",    "Zm9v" },
	{ "foob",   "Zm9vYg==" },
	{ "fooba",  "Zm9vYmE=" },
	{ "foobar", "Zm9vYmFy" },
	{ "\xff\xef\xbe\xfb", "/+++" "+w==" },
	/* clang-format on */
};

static void base64_goes_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(base64_cases); i++) {
		AUTO(buffer_clear) struct buffer text = {0};
		AUTO(buffer_clear) struct buffer plain = {0};

		base64_append(&text, bytes_of(base64_cases[i].plain));
		assert_string_equal(buffer_text(&text), base64_cases[i].base64);
		assert_true(base64_decode(bytes_of(base64_cases[i].base64), &plain));
		assert_bytes(buffer_bytes(&plain), bytes_of(base64_cases[i].plain));
	}
}

static void wrong_base64_is_refused_and_adds_nothing(void **state)
{
	static const char *const wrong[] = {
		"Z",	 "Zg",	 "Zg=",	 "Zg===",	"====",	    "=",
		"Zm9v=", "Zh==", "Zm9=", "Z=g=",	"Zg==Zg==", "Zm9v\n",
		" Zm9v", "Zm-v", "Zm_v", "Zm9vY\x00==", "Zm=v",	    "\xc3\xa4==",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		AUTO(buffer_clear) struct buffer out = {0};

		buffer_put_text(&out, "kept");
		assert_false(base64_decode(bytes_of(wrong[i]), &out));
		assert_string_equal(buffer_text(&out), "kept");
	}
}

static void hex_goes_both_ways(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(buffer_clear) struct buffer plain = {0};

	(void)state;
	hex_append(&text, bytes("\x00\x7f\xAb\xff", 4));
	assert_string_equal(buffer_text(&text), "007fabff");
	assert_true(hex_decode(bytes_of("007FaBff"), &plain));
	assert_bytes(buffer_bytes(&plain), bytes("\x00\x7f\xab\xff", 4));
}

static void wrong_hex_is_refused_and_adds_nothing(void **state)
{
	static const char *const wrong[] = {"0", "0g", "g0", "0x", " 0", "000"};
	AUTO(buffer_clear) struct buffer out = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_false(hex_decode(bytes_of(wrong[i]), &out));
	assert_int_equal(out.len, 0);
	assert_true(hex_decode(bytes_of(""), &out));
}

static void encoding_into_a_full_buffer_fails(void **state)
{
	AUTO(buffer_clear) struct buffer hex = {.limit = 3};
	AUTO(buffer_clear) struct buffer base64 = {.limit = 3};

	(void)state;
	hex_append(&hex, bytes_of("ab"));
	assert_true(hex.failed);
	base64_append(&base64, bytes_of("a"));
	assert_true(base64.failed);
}

static void decimal_numbers_are_read_up_to_their_limit(void **state)
{
	static const char *const wrong[] = {"",	  "-1", "+1",  " 1", "1 ",
					    "01", "00", "0x1", "1a", "256"};
	uint64_t value = 7;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_false(decimal_decode(wrong[i], 255, &value));
	assert_false(decimal_decode(NULL, 255, &value));
	assert_false(decimal_decode("18446744073709551616", UINT64_MAX, &value));
	assert_int_equal(value, 7);
	assert_true(decimal_decode("0", 255, &value));
	assert_int_equal(value, 0);
	assert_true(decimal_decode("255", 255, &value));
	assert_int_equal(value, 255);
	assert_true(decimal_decode("18446744073709551615", UINT64_MAX, &value));
	assert_true(value == UINT64_MAX);
}

static void utf8_is_told_from_what_only_looks_like_it(void **state)
{
	static const char *const good[] = {"",
					   "zone",
					   "\xc3\xa4",
					   "\xe2\x82\xac",
					   "\xed\x9f\xbf",
					   "\xee\x80\x80",
					   "\xf0\x9f\x94\x91",
					   "\xf4\x8f\xbf\xbf"};
	static const char *const wrong[] = {
		"\x80",		"\xc0\xaf",	    "\xc1\x81",		"\xc3",
		"\xe0\x80\x80", "\xe0\x9f\xbf",	    "\xed\xa0\x80",	"\xe2\x82",
		"\xe2\x82z",	"\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
		"\xff"};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++)
		assert_true(utf8_valid(bytes_of(good[i])));
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_false(utf8_valid(bytes_of(wrong[i])));
	assert_false(utf8_valid(bytes("a\0b", 3)));
}

static void a_character_of_utf8_is_its_number(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		uint32_t character;
	} rows[] = {{"z", 1, 'z'},
		    {"\xc3\xa4", 2, 0xe4},
		    {"\xe2\x82\xac!", 3, 0x20ac},
		    {"\xf0\x9f\x94\x91", 4, 0x1f511},
		    {"\xff", 0, 0}};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		uint32_t character = 0;

		assert_int_equal(utf8_decode(bytes_of(rows[i].text), &character), rows[i].len);
		assert_int_equal(character, rows[i].character);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_character_of_utf8_is_its_number),
		cmocka_unit_test(base64_goes_both_ways),
		cmocka_unit_test(wrong_base64_is_refused_and_adds_nothing),
		cmocka_unit_test(hex_goes_both_ways),
		cmocka_unit_test(wrong_hex_is_refused_and_adds_nothing),
		cmocka_unit_test(encoding_into_a_full_buffer_fails),
		cmocka_unit_test(decimal_numbers_are_read_up_to_their_limit),
		cmocka_unit_test(utf8_is_told_from_what_only_looks_like_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
