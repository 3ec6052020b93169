/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is picked out of XML, and what is put into forms. */
#include "base/macros.h"
#include "net/form.h"
#include "net/xml.h"
#include "tests/support/unit.h"

static void texts_of_elements_are_found(void **state)
{
	static const struct {
		const char *document, *name, *text; /* NULL: none */
	} rows[] = {
		{"<a><b>x</b></a>", "b", "x"},
		{"<a><b>1</b><b>2</b></a>", "b", "1"},
		{"<a><b></b></a>", "b", ""},
		{"<b>a&amp;b&lt;c&gt;d&quot;e&apos;f&g;&</b>", "b", "a&b<c>d\"e'f&g;&"},
		{"<a><bb>x</bb></a>", "b", NULL},
		{"<a><b><c>x</c></b></a>", "b", NULL},
		{"<b>x", "b", NULL},
		{"<b>x</c>", "b", NULL},
		{"<b>x</b", "b", NULL},
		{"", "b", NULL},
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		AUTO(buffer_clear) struct buffer text = {0};
		bool found = xml_find(bytes_of(rows[i].document), rows[i].name, &text);

		assert_int_equal(found, rows[i].text != NULL);
		if (found)
			assert_string_equal(buffer_text(&text), rows[i].text);
	}
	{
		AUTO(buffer_clear) struct buffer text = {0};

		assert_false(xml_find(bytes(NULL, 0), "b", &text));
	}
}

static void forms_are_percent_encoded(void **state)
{
	AUTO(buffer_clear) struct buffer form = {0};

	(void)state;
	form_put(&form, "a", "AZaz09-._~");
	form_put(&form, "b c", "&=+/ %");
	form_put_bytes(&form, "d", bytes("\0\xc3\xa4", 3));
	assert_string_equal(buffer_text(&form),
			    "a=AZaz09-._~&b%20c=%26%3D%2B%2F%20%25&d=%00%C3%A4");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(texts_of_elements_are_found),
		cmocka_unit_test(forms_are_percent_encoded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
