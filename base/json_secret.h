/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Secrets in JSON text. A JSON parser copies what it reads into memory that nobody wipes, so secret
 * strings are lifted out of the text (a buffer, which is wiped) before the parser sees it; and a
 * request that carries one is written by hand.
 */
#pragma once

#include "base/buffer.h"

#include <jansson.h>

/* json_decref() of a variable, for AUTO. */
static inline void json_freep(json_t **value)
{
	json_decref(*value);
}

/* Takes one secret, the characters between the quotes; false stops. */
typedef bool json_secret_take(void *state, struct bytes value);

/*
 * Shows each string member called `name`, at whatever depth, to `take`, in order, and overwrites it
 * in the text by its number (0, 1, …) and spaces; an empty one is left. False: `take` refused, a
 * secret too short for its number, or a string without end. A name written with escapes is not
 * found: json_lifted() then refuses its value.
 */
bool json_lift(struct buffer *text, const char *name, json_secret_take *take, void *state);
/* The number that json_lift left in a parsed string; false: the string is not such a number. */
bool json_lifted(const json_t *value, size_t *ret_number);

/* A secret string member. */
struct json_secret {
	const char *name;
	struct buffer *ret_value; /* its value is appended; nothing if there is none */
};
/* Parses the text, which is spoilt by it, without these members, each of which may occur once.
 * NULL: it is invalid JSON, or has such a member in a wrong form; or, as *ret_no_memory tells,
 * memory ran out. json_secret_at() tells whether a secret stood in a place. */
json_t *json_read_apart(struct buffer *text, const struct json_secret *secrets, size_t count,
			bool *ret_no_memory);
bool json_secret_at(const json_t *object, const char *name);

/* Appends the value of a string, given the characters between its quotes. False: a broken escape,
 * or one beyond ASCII. */
bool json_unescape(struct bytes string, struct buffer *out);
/* The string in quotes, escaped where RFC 8259 demands it. */
void json_put_string(struct buffer *out, const char *text);
