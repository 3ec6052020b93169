/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The reader of INI text: our own files and AWS's. */
#include "base/ini.h"
#include "base/macros.h"
#include "tests/support/unit.h"

#include <stdlib.h>

struct trace {
	struct buffer text;
	const char *stop_at; /* a key */
};

/* Writes what is visited as "line:section:key=value;". */
static bool visit(void *state, const char *section, const char *key, const char *value,
		  unsigned line)
{
	struct trace *trace = state;

	if (key == NULL)
		buffer_format(&trace->text, "%u:[%s];", line, section);
	else
		buffer_format(&trace->text, "%u:%s:%s=%s;", line, section, key, value);
	return key == NULL || trace->stop_at == NULL || strcmp(key, trace->stop_at) != 0;
}

static const struct {
	const char *text, *expected;
} good[] = {
	{"", ""},
	{"\n\n  \n", ""},
	{"# a\n; b\n  # c\n", ""},
	{"a=b", "1::a=b;"},
	{"[s]\na = b c \n", "1:[s];2:s:a=b c;"},
	{"[s]\r\na=b\r\n", "1:[s];2:s:a=b;"},
	{"\xef\xbb\xbf[s]\n", "1:[s];"},
	{"[ profile x ] # comment\nk=v=w#x\n[t]\nk=\n",
	 "1:[profile x];2:profile x:k=v=w#x;3:[t];4:t:k=;"},
	{"[d]\ns3 =\n  one = 1\n\ttwo = 2\nregion = x\n",
	 "1:[d];2:d:s3=\none = 1\ntwo = 2;5:d:region=x;"},
	{"[d]\na = 1\n  2\n\n # between\n  3\n", "1:[d];2:d:a=1\n2\n3;"},
	/* The first of the two signs ends the key; all others are the value's. */
	{"[d]\na : b\nc:d\n", "1:[d];2:d:a=b;3:d:c=d;"},
	{"[d]\nrole_arn = arn:aws:iam::1:role/x\nrole_arn : arn:aws:iam::1:role/x\n",
	 "1:[d];2:d:role_arn=arn:aws:iam::1:role/x;3:d:role_arn=arn:aws:iam::1:role/x;"},
	{"[d]\nurl=https://h:1/?a=b\nurl: https://h:1/?a=b\n",
	 "1:[d];2:d:url=https://h:1/?a=b;3:d:url=https://h:1/?a=b;"},
	{"[d]\ntoken = Ab:c/+d==\ntoken : Ab=c:d==\nk :=v\nk=: v\n",
	 "1:[d];2:d:token=Ab:c/+d==;3:d:token=Ab=c:d==;4:d:k==v;5:d:k=: v;"},
	{"[a:b=c]\nk:\n", "1:[a:b=c];2:a:b=c:k=;"},
	{"[d]\ns3 :\n  endpoint_url = https://h\n", "1:[d];2:d:s3=\nendpoint_url = https://h;"},
	/* Indented from the first key on: keys, not continuations. */
	{"[d]\n  a = 1\n  b = 2\n", "1:[d];2:d:a=1;3:d:b=2;"},
	{"[d]\na = 1\n  [x]\n[e]\n", "1:[d];2:d:a=1\n[x];4:[e];"},
};

static void text_is_read_in_order_with_its_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(good); i++) {
		struct trace trace = {0};
		unsigned line = 99;

		assert_true(ini_parse(bytes_of(good[i].text), visit, &trace, &line));
		assert_int_equal(line, 99);
		assert_string_equal(buffer_text(&trace.text), good[i].expected);
		buffer_clear(&trace.text);
	}
}

static const struct {
	struct bytes text;
	unsigned line;
} wrong[] = {
	{{(const uint8_t *)"[s]\nnonsense\n", 13}, 2}, {{(const uint8_t *)"[s\n", 3}, 1},
	{{(const uint8_t *)"a=b\n[]\n", 7}, 2},	       {{(const uint8_t *)"[s] x\n", 6}, 1},
	{{(const uint8_t *)"\n= v\n", 5}, 2},	       {{(const uint8_t *)"a=b\0c\n", 6}, 1},
	{{(const uint8_t *)"\n: v\n", 5}, 2},	       {{(const uint8_t *)":\n", 2}, 1},
};

static void first_wrong_line_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct trace trace = {0};
		unsigned line = 99;

		assert_false(ini_parse(wrong[i].text, visit, &trace, &line));
		assert_int_equal(line, wrong[i].line);
		buffer_clear(&trace.text);
	}
}

static void visitor_that_stops_names_the_line_of_its_key(void **state)
{
	struct trace trace = {.stop_at = "b"};
	unsigned line = 0;

	(void)state;
	assert_false(ini_parse(bytes_of("a=1\nb=2\n  3\n  4\nc=5\n"), visit, &trace, &line));
	assert_int_equal(line, 2);
	assert_string_equal(buffer_text(&trace.text), "1::a=1;2::b=2\n3\n4;");
	buffer_clear(&trace.text);
}

static void lines_may_be_of_any_length(void **state)
{
	enum { LEN = 200000 };
	AUTO(buffer_clear) struct buffer text = {0};
	struct trace trace = {0};
	unsigned line = 0;

	(void)state;
	buffer_put_text(&text, "token = ");
	memset(buffer_extend(&text, LEN), 'x', LEN);
	assert_true(ini_parse(buffer_bytes(&text), visit, &trace, &line));
	assert_int_equal(trace.text.len, LEN + strlen("1::token=;"));
	buffer_clear(&trace.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_read_in_order_with_its_lines),
		cmocka_unit_test(first_wrong_line_is_named),
		cmocka_unit_test(visitor_that_stops_names_the_line_of_its_key),
		cmocka_unit_test(lines_may_be_of_any_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
