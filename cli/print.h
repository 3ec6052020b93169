/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Rows for people and for programs: the same fields as an aligned table, as "name: value" lines, or
 * as JSON. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PRINT_FIELDS_MAX = 16 };

struct print_field {
	const char *name;		   /* JSON name and column title */
	char *value;			   /* owned; NULL prints as empty, and null in JSON */
	bool number;			   /* unquoted in JSON */
	bool json;			   /* JSON itself; not shown otherwise */
	json_t *object;			   /* owned; what it is in JSON, if that is not its value */
	void (*lines)(const json_t *json); /* what people read of the object in place of a value */
};

struct print_row {
	size_t count;
	struct print_field fields[PRINT_FIELDS_MAX];
};

/* A list that is being filled; zero it and set json. */
struct printer {
	bool json;
	bool single; /* one thing (show), not a list */
	bool failed; /* for want of memory; print_end() says so */
	char *empty; /* owned; what people read in place of a list without rows; NULL: nothing */
	size_t row_count, capacity;
	struct print_row *rows;
	struct print_row lost; /* takes the fields of a row that had no room */
};

/* The text of that name in what the module told as JSON; "": there is none. Borrowed. */
const char *member_text(const json_t *json, const char *name);

/* Begins a row; the fields of all rows come in the same order. */
void print_row(struct printer *printer);
void print_text(struct printer *printer, const char *name, const char *value);
/* Takes a JSON object (NULL: null), which people read as the lines that `lines` prints; only for
 * one thing, and last. */
void print_object(struct printer *printer, const char *name, json_t *json,
		  void (*lines)(const json_t *json));
void print_take(struct printer *printer, const char *name, char *value); /* frees it */
void print_number(struct printer *printer, const char *name, uint64_t value);
/* Yes or no; true or false in JSON. */
void print_bool(struct printer *printer, const char *name, bool value);
/* Words for people, and in JSON this (takes it). */
void print_worded(struct printer *printer, const char *name, const char *words, json_t *json);
/* A zone id: decimal, and text in JSON, since JSON readers lose digits beyond 2^53. */
void print_id(struct printer *printer, const char *name, uint64_t value);
/* A JSON text, which takes its place in JSON and is not shown otherwise; frees it. */
void print_take_json(struct printer *printer, const char *name, char *json);
/* Prints all, frees all; the exit code. Where memory did not suffice it prints nothing, and says
 * so. */
int print_end(struct printer *printer);
/* Frees all, and prints nothing. */
void print_drop(struct printer *printer);
/* A JSON text; bytes that are not UTF-8 (a file's name may be anything) become question marks. */
json_t *print_json_text(const char *text);
/* Milliseconds since 1970 as "2026-11-24T04:38:06Z"; free() it. */
char *print_time(int64_t ms);
