/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that is read where memory may be short. */
#include "base/json.h"
#include "base/macros.h"
#include "tests/support/unit.h"

static void a_text_is_read_as_the_parser_reads_it(void **state)
{
	bool no_memory = true;
	json_t *root = json_read(bytes_of("{\"a\": [1, \"b\"]}"), 0, &no_memory);

	(void)state;
	assert_false(no_memory);
	assert_string_equal(json_string_value(json_array_get(json_object_get(root, "a"), 1)), "b");
	json_decref(root);
}

/* What jansson's own reader says of each, where it has memory. */
static const char *const texts[] = {
	"{}",
	" [ ] ",
	"[1,2 , 3]",
	"{\"a\":{\"b\":[null,true,false]}}",
	"[-0, 0, -12, 1234567890123]",
	"[9223372036854775807]",
	"[9223372036854775808]",
	"[-9223372036854775807]",
	"[1.5, -2.25e2, 1E3, 1e-3, 0.1, 1790000000.123, 3e0]",
	"[1e400]",
	"[1e-400]",
	"[0e5]",
	"[01]",
	"[1.]",
	"[.5]",
	"[+1]",
	"[1e]",
	"[- 1]",
	"[\"\\u0041\\u00e9\\u20ac\\ud83d\\ude00\"]",
	"[\"\\ud83d\"]",
	"[\"\\ude00\"]",
	"[\"\\u0000\"]",
	"[\"\\u00G0\"]",
	"[\"\\u\x01\x02\x03\x04\"]",
	"[\"\\u1\"]",
	"[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"]",
	"[\"\\x\"]",
	"[\"\xc3\xa9\"]",
	"[\"\xc3\"]",
	"[\"\xff\"]",
	"[\"\t\"]",
	"[\"\x7f\"]",
	"[\"open]",
	"",
	" ",
	"{",
	"[",
	"[1",
	"[1,",
	"[1,]",
	"{\"a\"}",
	"{\"a\":}",
	"{\"a\":1,}",
	"{a:1}",
	"{1:1}",
	"[1] 2",
	"nothing",
	"\"text\"",
	"1",
	"[tru]",
	"[nul",
	"[True]",
	"{\"a\": 1, \"a\": 2}",
	"{\"\": 1}",
	"[\"\\",
	"[\"\\u12",
	"[1 2]",
	"\xef\xbb\xbf{}",
};

static void texts_are_read_as_the_parser_reads_them(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		for (size_t flags = 0; flags <= JSON_REJECT_DUPLICATES;
		     flags += JSON_REJECT_DUPLICATES) {
			json_t *its = json_loadb(texts[i], strlen(texts[i]), flags, NULL);
			bool no_memory = true;
			json_t *ours = json_read(bytes_of(texts[i]), flags, &no_memory);

			if ((ours == NULL) != (its == NULL) ||
			    (ours != NULL && !json_equal(ours, its)))
				fail_msg("read otherwise: %s", texts[i]);
			assert_false(no_memory);
			json_decref(ours);
			json_decref(its);
		}
	}
}

static void values_lie_within_one_another_only_so_deep(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0};
	bool no_memory;

	(void)state;
	for (int i = 0; i < JSON_DEPTH_MAX + 1; i++)
		buffer_put_u8(&text, '[');
	for (int i = 0; i < JSON_DEPTH_MAX + 1; i++)
		buffer_put_u8(&text, ']');
	assert_null(json_read(buffer_bytes(&text), 0, &no_memory));
	assert_false(no_memory);
	json_decref(json_read(bytes(text.data + 1, text.len - 2), 0, &no_memory));
}

static long left;      /* allocations that succeed; negative: all do */
static bool only_once; /* only one fails then */

static void text_that_is_not_utf_8_is_told_by_a_mark(void **state)
{
	json_t *good = json_text("caf\xc3\xa9"), *bad = json_text("caf\xe9");

	(void)state;
	assert_string_equal(json_string_value(good), "caf\xc3\xa9");
	assert_string_equal(json_string_value(bad), "?");
	json_decref(good);
	json_decref(bad);
}

static void *allocate(size_t size)
{
	if (left == 0) {
		left -= only_once;
		return NULL;
	}
	left -= left > 0;
	return malloc(size);
}

static void allocations_that_fail_are_told_and_leave_no_other_text(void **state)
{
	static const char text[] =
		"{\"name\": \"a value that is longer than the parser's first buffer\", "
		"\"list\": [1, 2.5, true, null, {\"b\": \"c\"}]}";
	bool no_memory;
	json_t *whole = json_read(bytes_of(text), 0, &no_memory);

	(void)state;
	json_set_alloc_funcs(allocate, free);
	for (long round = 0; round < 200; round++) {
		json_t *root;

		only_once = round % 2 == 1;
		left = round / 2;
		root = json_read(bytes_of(text), 0, &no_memory);
		left = -1;
		assert_int_equal(root == NULL, no_memory);
		assert_true(root == NULL || json_equal(root, whole));
		assert_true(root == NULL || round > 10);
		json_decref(root);
	}
	json_decref(whole);
	json_set_alloc_funcs(malloc, free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_is_read_as_the_parser_reads_it),
		cmocka_unit_test(texts_are_read_as_the_parser_reads_them),
		cmocka_unit_test(values_lie_within_one_another_only_so_deep),
		cmocka_unit_test(text_that_is_not_utf_8_is_told_by_a_mark),
		cmocka_unit_test(allocations_that_fail_are_told_and_leave_no_other_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
