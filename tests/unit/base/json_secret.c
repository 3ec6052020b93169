/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets are lifted out of JSON text, and strings are written into it. */
#include "base/json_secret.h"
#include "base/macros.h"
#include "tests/support/unit.h"

static bool collect(void *state, struct bytes value)
{
	struct buffer *all = state;

	buffer_append(all, value);
	buffer_put_u8(all, '|');
	return true;
}

static bool refuse(void *state, struct bytes value)
{
	(void)state;
	(void)value;
	return false;
}

static bool lift(const char *json, struct buffer *text, struct buffer *all)
{
	buffer_put_text(text, json);
	return json_lift(text, "Plaintext", collect, all);
}

static void secrets_leave_their_number_behind(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0}, all = {0};
	json_t *root;
	size_t number = 9;

	(void)state;
	assert_true(lift("{\"a\":\"Plaintext\", \"Plaintext\" : \"c2VjcmV0\", "
			 "\"b\":[{\"Plaintext\":\"QUJD\"}]}",
			 &text, &all));
	assert_string_equal(buffer_text(&all), "c2VjcmV0|QUJD|");
	assert_null(memmem(text.data, text.len, "c2Vj", 4));
	root = json_loadb((const char *)text.data, text.len, 0, NULL);
	assert_non_null(root);
	assert_true(json_lifted(json_object_get(root, "Plaintext"), &number));
	assert_int_equal(number, 0);
	assert_true(json_lifted(
		json_object_get(json_array_get(json_object_get(root, "b"), 0), "Plaintext"),
		&number));
	assert_int_equal(number, 1);
	json_decref(root);
}

static void a_name_inside_another_string_is_not_a_member(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0}, all = {0};
	const char *json = "{\"m\":\"x\\\"Plaintext\\\":\\\"QUJD\\\"\",\"n\":\"\\\\\","
			   "\"Plaintext\":7}";

	(void)state;
	assert_true(lift(json, &text, &all));
	assert_int_equal(all.len, 0);
	assert_string_equal(buffer_text(&text), json);
}

static void what_can_not_be_lifted_fails(void **state)
{
	static const char *const broken[] = {
		"{\"Plaintext\":\"QUJD",
		"{\"Plaintext\":\"",
		"{\"Plaintext\":\"QUJD\\",
		"{\"a\":\"b\\",
	};
	AUTO(buffer_clear) struct buffer text = {0};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(broken); i++) {
		AUTO(buffer_clear) struct buffer one = {0}, all = {0};

		assert_false(lift(broken[i], &one, &all));
	}
	buffer_put_text(&text, "{\"Plaintext\":\"QUJD\"}");
	assert_false(json_lift(&text, "Plaintext", refuse, NULL));
}

static void an_empty_one_is_left(void **state)
{
	AUTO(buffer_clear) struct buffer text = {0}, all = {0};

	(void)state;
	assert_true(lift("{\"Plaintext\":\"\"}", &text, &all));
	assert_string_equal(buffer_text(&text), "{\"Plaintext\":\"\"}");
}

static json_t *read_apart(const char *json, struct buffer *a, struct buffer *b)
{
	const struct json_secret secrets[] = {{"a", a}, {"b", b}};
	AUTO(buffer_clear) struct buffer text = {0};
	bool no_memory;

	buffer_put_text(&text, json);
	return json_read_apart(&text, secrets, 2, &no_memory);
}

static void several_secrets_are_read_apart_from_the_rest(void **state)
{
	AUTO(buffer_clear) struct buffer a = {0}, b = {0};
	json_t *root = read_apart("{\"x\":{\"b\":\"s\\u002Fs\\\"\\\\\\/\\n\"},\"a\":\"\",\"c\":1}",
				  &a, &b);

	(void)state;
	assert_non_null(root);
	assert_int_equal(a.len, 0);
	assert_string_equal(buffer_text(&b), "s/s\"\\/\n");
	assert_false(json_secret_at(root, "a"));
	assert_false(json_secret_at(root, "b"));
	assert_true(json_secret_at(json_object_get(root, "x"), "b"));
	assert_int_equal(json_integer_value(json_object_get(root, "c")), 1);
	json_decref(root);
}

static void what_can_not_be_read_apart_is_refused(void **state)
{
	static const char *const broken[] = {
		"",
		"{",
		"{\"a\":\"x\"",
		"{\"a\":\"x\",\"y\":{\"a\":\"x\"}}",
		"{\"a\":\"\\u00e4\"}",
		"{\"a\":\"\\x\"}",
		"{\"a\":\"\\u00\"}",
		"{\"a\":\"\\u00g0\"}",
		"{\"b\":\"x",
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(broken); i++) {
		AUTO(buffer_clear) struct buffer a = {0}, b = {0};

		assert_null(read_apart(broken[i], &a, &b));
	}
}

static void a_text_that_was_not_lifted_is_told_apart(void **state)
{
	static const char *const values[] = {"",   "QUJD", "00  ", "1 2",
					     " 1", "-1",   "1x",   "99999999999999999999999999"};
	size_t number;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(values); i++) {
		json_t *value = json_string(values[i]);

		assert_false(json_lifted(value, &number));
		json_decref(value);
	}
	assert_false(json_lifted(NULL, &number));
}

static void strings_are_escaped(void **state)
{
	AUTO(buffer_clear) struct buffer out = {0};

	(void)state;
	json_put_string(&out, "a\"b\\c\n\x01\xc3\xa4");
	assert_string_equal(buffer_text(&out), "\"a\\\"b\\\\c\\u000a\\u0001\xc3\xa4\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(secrets_leave_their_number_behind),
		cmocka_unit_test(a_name_inside_another_string_is_not_a_member),
		cmocka_unit_test(what_can_not_be_lifted_fails),
		cmocka_unit_test(an_empty_one_is_left),
		cmocka_unit_test(several_secrets_are_read_apart_from_the_rest),
		cmocka_unit_test(what_can_not_be_read_apart_is_refused),
		cmocka_unit_test(a_text_that_was_not_lifted_is_told_apart),
		cmocka_unit_test(strings_are_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
