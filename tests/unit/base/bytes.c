/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed bytes, buffers and readers. */
#include "base/buffer.h"
#include "base/macros.h"
#include "base/reader.h"
#include "base/secret.h"
#include "tests/support/unit.h"

#include <stdlib.h>

static void constant_time_comparison_agrees_with_the_plain_one(void **state)
{
	(void)state;
	assert_true(bytes_equal_constant_time(bytes_of("abc"), bytes_of("abc")));
	assert_false(bytes_equal_constant_time(bytes_of("abc"), bytes_of("abd")));
	assert_false(bytes_equal_constant_time(bytes_of("abc"), bytes_of("ab")));
	assert_true(bytes_equal_constant_time(bytes(NULL, 0), bytes_of("")));
	assert_true(bytes_equal(bytes(NULL, 0), bytes_of("")));
	assert_false(bytes_equal(bytes_of("abc"), bytes_of("abd")));
	assert_false(bytes_valid(bytes(NULL, 1)));
	assert_true(bytes_valid(bytes_of(NULL)));
}

static void numbers_are_written_big_endian_and_read_back(void **state)
{
	static const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 7, 0,   0,	 0,
					   0, 0, 0, 0, 8, 0, 2, 'h', 'i'};
	AUTO(buffer_clear) struct buffer buffer = {0};
	struct reader reader;

	(void)state;
	buffer_put_u8(&buffer, 1);
	buffer_put_u16(&buffer, 0x0203);
	buffer_put_u32(&buffer, 0x04050607);
	buffer_put_u64(&buffer, 8);
	buffer_put_sized(&buffer, bytes_of("hi"));
	assert_false(buffer.failed);
	assert_bytes(buffer_bytes(&buffer), bytes(expected, sizeof(expected)));

	reader = reader_of(buffer_bytes(&buffer));
	assert_int_equal(reader_u8(&reader), 1);
	assert_int_equal(reader_u16(&reader), 0x0203);
	assert_int_equal(reader_u32(&reader), 0x04050607);
	assert_int_equal(reader_u64(&reader), 8);
	assert_bytes(reader_sized(&reader), bytes_of("hi"));
	assert_true(reader_done(&reader));
}

static void reader_that_ran_out_gives_nothing_any_more(void **state)
{
	struct reader reader = reader_of(bytes("\x00\x05xy", 4));

	(void)state;
	assert_int_equal(reader_sized(&reader).len, 0);
	assert_true(reader.failed);
	assert_int_equal(reader_u8(&reader), 0);
	assert_false(reader_done(&reader));
	reader = reader_of(bytes(NULL, 0));
	assert_int_equal(reader_take(&reader, 0).len, 0);
	assert_true(reader_done(&reader));
}

static void reader_with_something_left_is_not_done(void **state)
{
	struct reader reader = reader_of(bytes_of("ab"));

	(void)state;
	reader_u8(&reader);
	assert_false(reader_done(&reader));
}

static void buffer_over_its_limit_fails_and_stays_failed(void **state)
{
	AUTO(buffer_clear) struct buffer buffer = {.limit = 4};

	(void)state;
	buffer_put_text(&buffer, "abcd");
	assert_string_equal(buffer_text(&buffer), "abcd"); /* the NUL does not count */
	buffer_put_text(&buffer, "");
	assert_false(buffer.failed);
	buffer_put_u8(&buffer, 'e');
	assert_true(buffer.failed);
	assert_int_equal(buffer.len, 4);
	buffer_put_text(&buffer, "");
	assert_null(buffer_text(&buffer));
	assert_null(buffer_take_text(&buffer));
	buffer_clear(&buffer);
	assert_false(buffer.failed);
	assert_int_equal(buffer.limit, 4);
}

static void impossible_lengths_fail_instead_of_overflowing(void **state)
{
	AUTO(buffer_clear) struct buffer buffer = {0};
	AUTO(buffer_clear) struct buffer sized = {0};
	static uint8_t long_text[UINT16_MAX + 1];

	(void)state;
	buffer_put_u8(&buffer, 1);
	assert_null(buffer_reserve(&buffer, SIZE_MAX));
	assert_true(buffer.failed);
	buffer_put_sized(&sized, bytes(long_text, sizeof(long_text)));
	assert_true(sized.failed);
	assert_int_equal(sized.len, 0);
}

static void formatted_text_grows_the_buffer(void **state)
{
	AUTO(buffer_clear) struct buffer buffer = {0};
	char *text;

	(void)state;
	buffer_format(&buffer, "%s-%d", "zone", 7);
	for (int i = 0; i < 100; i++)
		buffer_format(&buffer, "%c", 'x');
	assert_int_equal(buffer.len, 106);
	text = buffer_take_text(&buffer);
	assert_memory_equal(text, "zone-7xxx", 9);
	assert_int_equal(strlen(text), 106);
	assert_null(buffer.data);
	free(text);
}

static void truncated_bytes_are_wiped(void **state)
{
	AUTO(buffer_clear) struct buffer buffer = {0};

	(void)state;
	buffer_put_text(&buffer, "secret");
	buffer_truncate(&buffer, 2);
	assert_int_equal(buffer.len, 2);
	assert_memory_equal(buffer.data, "se\0\0\0\0", 6);
	buffer_truncate(&buffer, 5);
	assert_int_equal(buffer.len, 2);
}

static void empty_buffers_clear_and_give_text(void **state)
{
	struct buffer buffer = {0};

	(void)state;
	buffer_clear(NULL);
	buffer_clear(&buffer);
	assert_string_equal(buffer_text(&buffer), "");
	buffer_append(&buffer, bytes(NULL, 0));
	assert_false(buffer.failed);
	buffer_clear(&buffer);
}

static void blanks_are_trimmed_at_the_ends_alone(void **state)
{
	static const char *const texts[][2] = {
		{"", ""},
		{" \t\r\n\v\f", ""},
		{"a", "a"},
		{" a", "a"},
		{"a\r\n", "a"},
		{"\t a \t b ", "a \t b"},
		{"\xc2\xa0", "\xc2\xa0"},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(texts); i++)
		assert_true(bytes_equal(bytes_trim(bytes_of(texts[i][0])), bytes_of(texts[i][1])));
}

static void take_leaves_nothing_to_free(void **state)
{
	char *text = strdup("x");
	char *taken = TAKE(text);

	(void)state;
	assert_null(text);
	assert_string_equal(taken, "x");
	free(taken);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(constant_time_comparison_agrees_with_the_plain_one),
		cmocka_unit_test(numbers_are_written_big_endian_and_read_back),
		cmocka_unit_test(reader_that_ran_out_gives_nothing_any_more),
		cmocka_unit_test(reader_with_something_left_is_not_done),
		cmocka_unit_test(buffer_over_its_limit_fails_and_stays_failed),
		cmocka_unit_test(impossible_lengths_fail_instead_of_overflowing),
		cmocka_unit_test(formatted_text_grows_the_buffer),
		cmocka_unit_test(truncated_bytes_are_wiped),
		cmocka_unit_test(empty_buffers_clear_and_give_text),
		cmocka_unit_test(blanks_are_trimmed_at_the_ends_alone),
		cmocka_unit_test(take_leaves_nothing_to_free),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
