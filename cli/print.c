/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/print.h"

#include "base/clock.h"
#include "cli/cli.h"
#include "include/cmek.h"
#include "include/pkcs11.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *member_text(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text == NULL ? "" : text;
}

static void row_clear(struct print_row *row)
{
	for (size_t c = 0; c < row->count; c++) {
		free(row->fields[c].value);
		json_decref(row->fields[c].object);
	}
	*row = (struct print_row){0};
}

/* The one that is being filled. */
static struct print_row *last_row(struct printer *printer)
{
	return printer->failed || printer->row_count == 0 ? &printer->lost
							  : &printer->rows[printer->row_count - 1];
}

void print_row(struct printer *printer)
{
	if (printer->failed) {
		row_clear(&printer->lost);
		return;
	}
	if (printer->row_count == printer->capacity) {
		size_t capacity = printer->capacity * 2 + 8;
		struct print_row *rows = realloc(printer->rows, capacity * sizeof(*rows));

		if (rows == NULL) {
			printer->failed = true;
			return;
		}
		printer->rows = rows;
		printer->capacity = capacity;
	}
	printer->rows[printer->row_count++] = (struct print_row){0};
}

static struct print_field *last_field(struct printer *printer)
{
	struct print_row *row = last_row(printer);

	return &row->fields[row->count - 1];
}

static struct print_field *add(struct printer *printer, const char *name, char *value, bool number)
{
	struct print_row *row = last_row(printer);

	assert(row->count < PRINT_FIELDS_MAX);
	row->fields[row->count++] =
		(struct print_field){.name = name, .value = value, .number = number};
	return last_field(printer);
}

/* One that is never empty. */
static void add_copy(struct printer *printer, const char *name, char *value, bool number)
{
	add(printer, name, value, number);
	if (value != NULL || printer->failed)
		return;
	row_clear(&printer->lost);
	printer->failed = true;
}

void print_take_json(struct printer *printer, const char *name, char *json)
{
	if (!printer->json) {
		free(json);
		return;
	}
	add(printer, name, json, false)->json = true;
}

void print_take(struct printer *printer, const char *name, char *value)
{
	add(printer, name, value, false);
}

void print_text(struct printer *printer, const char *name, const char *value)
{
	add_copy(printer, name, strdup(value == NULL ? "" : value), false);
}

static char *decimal(uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return strdup(text);
}

void print_number(struct printer *printer, const char *name, uint64_t value)
{
	add_copy(printer, name, decimal(value), true);
}

void print_id(struct printer *printer, const char *name, uint64_t value)
{
	add_copy(printer, name, decimal(value), false);
}

void print_worded(struct printer *printer, const char *name, const char *words, json_t *json)
{
	print_text(printer, name, words);
	if (printer->failed)
		json_decref(json);
	else
		last_field(printer)->object = json;
}

void print_bool(struct printer *printer, const char *name, bool value)
{
	print_worded(printer, name, value ? "yes" : "no", json_boolean(value));
}

void print_object(struct printer *printer, const char *name, json_t *json,
		  void (*lines)(const json_t *json))
{
	struct print_field *field = add(printer, name, NULL, false);

	field->object = json;
	field->lines = lines;
}

char *print_time(int64_t ms)
{
	char text[25];

	clock_extended_utc(ms, text);
	return strdup(text);
}

static const char *text_of(const struct print_field *field)
{
	return field->value == NULL ? "" : field->value;
}

/* --- The three forms ------------------------------------------------------------------------- */

json_t *print_json_text(const char *text)
{
	json_t *value = json_string(text);
	char *copy = value == NULL ? strdup(text) : NULL;

	for (char *at = copy; at != NULL && *at != '\0'; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	if (copy != NULL)
		value = json_string(copy);
	free(copy);
	return value;
}

static json_t *field_json(const struct print_field *field)
{
	const char *value = text_of(field);
	json_t *json = field->json ? json_loads(value, 0, NULL) : NULL;

	if (field->object != NULL)
		return json_incref(field->object);
	if (field->value == NULL)
		return json_null();
	if (field->json)
		return json != NULL ? json : json_null();
	return field->number ? json_integer((json_int_t)strtoll(value, NULL, 10))
			     : print_json_text(value);
}

static json_t *row_json(struct printer *printer, const struct print_row *row)
{
	json_t *object = json_object();

	for (size_t i = 0; i < row->count; i++)
		printer->failed |= json_object_set_new(object, row->fields[i].name,
						       field_json(&row->fields[i])) != 0;
	return object;
}

static void print_json(struct printer *printer)
{
	json_t *root = printer->single ? row_json(printer, &printer->rows[0]) : json_array();
	char *text;

	for (size_t i = 0; !printer->single && i < printer->row_count; i++)
		printer->failed |=
			json_array_append_new(root, row_json(printer, &printer->rows[i])) != 0;
	text = printer->failed ? NULL : json_dumps(root, JSON_INDENT(2));
	if (text != NULL)
		puts(text);
	printer->failed |= text == NULL;
	free(text);
	json_decref(root);
}

static void print_lines(const struct print_row *row)
{
	for (size_t i = 0; i < row->count; i++) {
		const struct print_field *field = &row->fields[i];

		if (field->lines != NULL)
			field->lines(field->object);
		else
			printf("%-14s %s\n", field->name, text_of(field));
	}
}

/* In characters, not in bytes: names are UTF-8. */
static size_t length_of(const char *text)
{
	size_t length = 0;

	for (; *text != '\0'; text++)
		length += ((unsigned char)*text & 0xc0) != 0x80;
	return length;
}

static size_t width_of(const struct printer *printer, size_t column)
{
	size_t width = length_of(printer->rows[0].fields[column].name);

	for (size_t i = 0; i < printer->row_count; i++) {
		const char *value = printer->rows[i].fields[column].value;

		if (value != NULL && length_of(value) > width)
			width = length_of(value);
	}
	return width;
}

static void print_cell(const char *text, size_t width, bool is_last)
{
	size_t length = length_of(text);

	if (is_last)
		printf("%s\n", text);
	else
		printf("%s%*s", text, (int)(length < width ? width - length : 0) + 2, "");
}

static void print_table(const struct printer *printer)
{
	size_t widths[PRINT_FIELDS_MAX], columns = printer->rows[0].count;

	for (size_t c = 0; c < columns; c++)
		widths[c] = width_of(printer, c);
	for (size_t c = 0; c < columns; c++)
		print_cell(printer->rows[0].fields[c].name, widths[c], c + 1 == columns);
	for (size_t i = 0; i < printer->row_count; i++)
		for (size_t c = 0; c < columns; c++)
			print_cell(text_of(&printer->rows[i].fields[c]), widths[c],
				   c + 1 == columns);
}

static void make_plain(struct printer *printer)
{
	for (size_t i = 0; i < printer->row_count; i++)
		for (size_t c = 0; c < printer->rows[i].count; c++)
			if (printer->rows[i].fields[c].value != NULL)
				plain_text(printer->rows[i].fields[c].value);
}

static void print_words(struct printer *printer)
{
	make_plain(printer);
	if (printer->single)
		print_lines(&printer->rows[0]);
	else if (printer->row_count > 0)
		print_table(printer);
	else if (printer->empty != NULL)
		puts(plain_text(printer->empty));
}

void print_drop(struct printer *printer)
{
	for (size_t i = 0; i < printer->row_count; i++)
		row_clear(&printer->rows[i]);
	row_clear(&printer->lost);
	free(printer->rows);
	free(printer->empty);
	*printer = (struct printer){0};
}

int print_end(struct printer *printer)
{
	bool failed;

	if (!printer->failed && printer->json)
		print_json(printer);
	else if (!printer->failed)
		print_words(printer);
	failed = printer->failed;
	print_drop(printer);
	return failed ? fail(CMEK_EXIT_FAILED,
			     "out of memory: the command was carried out, and can't be reported")
		      : CMEK_EXIT_OK;
}
