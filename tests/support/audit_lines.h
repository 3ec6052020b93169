/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of an audit log, for tests. */
#pragma once

#include "base/file.h"
#include "tests/support/unit.h"

#include <jansson.h>
#include <string.h>

/* As an array of objects, to be released by json_decref(). Fails the test if one is not an object,
 * or if a line is not printable ASCII. */
static inline json_t *read_lines(const char *file)
{
	struct buffer text = {0};
	json_t *lines = json_array();
	char *line, *rest = NULL;

	assert_true(file_read(file, 64 << 20, &text));
	assert_true(text.len == 0 || text.data[text.len - 1] == '\n');
	for (size_t i = 0; i < text.len; i++)
		assert_true(text.data[i] == '\n' || (text.data[i] >= ' ' && text.data[i] <= 0x7f));
	for (line = strtok_r((char *)buffer_text(&text), "\n", &rest); line != NULL;
	     line = strtok_r(NULL, "\n", &rest)) {
		json_t *object = json_loads(line, 0, NULL);

		assert_true(json_is_object(object));
		json_array_append_new(lines, object);
	}
	buffer_clear(&text);
	return lines;
}

/* NULL: there is no such text. */
static inline const char *text_of(const json_t *lines, size_t index, const char *name)
{
	return json_string_value(json_object_get(json_array_get(lines, index), name));
}

static inline void assert_text(const json_t *lines, size_t index, const char *name,
			       const char *value)
{
	const char *found = text_of(lines, index, name);

	assert_non_null(found);
	assert_string_equal(found, value);
}
