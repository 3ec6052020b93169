/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets in JSON text: lifted out before a parser copies them. This is not a parser: it only tells
 * strings from the rest. */
#include "base/json_secret.h"

#include "base/encode.h"
#include "base/json.h"

#include <stdio.h>

struct scan {
	uint8_t *at;
	uint8_t *end;
};

/* The next string's contents; false: there are no more. *ret_broken: the string does not end. */
static bool next_string(struct scan *scan, struct bytes *ret_string, bool *ret_broken)
{
	uint8_t *begin;

	while (scan->at < scan->end && *scan->at != '"')
		scan->at++;
	if (scan->at == scan->end)
		return false;
	begin = ++scan->at;
	while (scan->at < scan->end && *scan->at != '"')
		scan->at += *scan->at == '\\' ? 2 : 1;
	*ret_broken = scan->at >= scan->end;
	if (*ret_broken)
		return false;
	*ret_string = bytes(begin, (size_t)(scan->at - begin));
	scan->at++;
	return true;
}

static void skip_space(struct scan *scan)
{
	while (scan->at < scan->end && *scan->at != 0 && strchr(" \t\r\n", *scan->at) != NULL)
		scan->at++;
}

/* Past a colon, up to a quote: the string just read is the name of a member whose value is a
 * string. */
static bool string_follows(struct scan *scan)
{
	skip_space(scan);
	if (scan->at == scan->end || *scan->at != ':')
		return false;
	scan->at++;
	skip_space(scan);
	return scan->at < scan->end && *scan->at == '"';
}

static bool put_number(struct bytes place, size_t number, uint8_t *writable)
{
	char text[24];
	size_t len = (size_t)snprintf(text, sizeof(text), "%zu", number);

	if (len > place.len)
		return false;
	memset(writable, ' ', place.len);
	memcpy(writable, text, len);
	return true;
}

bool json_lift(struct buffer *text, const char *name, json_secret_take *take, void *state)
{
	struct scan scan = {text->data, text->data + text->len};
	struct bytes string;
	bool broken = false;
	size_t number = 0;

	while (next_string(&scan, &string, &broken)) {
		if (!bytes_are(string, name) || !string_follows(&scan))
			continue;
		if (!next_string(&scan, &string, &broken) || !take(state, string))
			return false;
		if (string.len > 0 &&
		    !put_number(string, number++, text->data + (string.data - text->data)))
			return false;
	}
	return !broken;
}

bool json_lifted(const json_t *value, size_t *ret_number)
{
	const char *text = json_string_value(value);
	size_t len = text == NULL ? 0 : strcspn(text, " ");
	char digits[24];
	uint64_t number;

	if (len == 0 || len >= sizeof(digits) || text[len + strspn(text + len, " ")] != 0)
		return false;
	memcpy(digits, text, len);
	digits[len] = 0;
	if (!decimal_decode(digits, SIZE_MAX, &number))
		return false;
	*ret_number = (size_t)number;
	return true;
}

/* A member that take_once() has filled already is found a second time. */
static bool take_once(void *state, struct bytes value)
{
	struct buffer *secret = state;

	return secret->len == 0 && json_unescape(value, secret);
}

json_t *json_read_apart(struct buffer *text, const struct json_secret *secrets, size_t count,
			bool *ret_no_memory)
{
	for (size_t i = 0; i < count; i++) {
		*ret_no_memory = false;
		if (json_lift(text, secrets[i].name, take_once, secrets[i].ret_value))
			continue;
		*ret_no_memory = secrets[i].ret_value->failed;
		return NULL;
	}
	return json_read(buffer_bytes(text), JSON_REJECT_DUPLICATES, ret_no_memory);
}

bool json_secret_at(const json_t *object, const char *name)
{
	size_t number;

	return json_lifted(json_object_get(object, name), &number) && number == 0;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c == 0 ? NULL : strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);

	return at == NULL ? -1 : (int)(at - digits);
}

/* "u002f" and the like; -1: it is not an ASCII character. */
static int unicode(struct bytes left)
{
	int value = 0;

	for (size_t i = 1; i <= 4; i++) {
		int digit = i < left.len ? hex_digit((char)left.data[i]) : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value < 0x80 ? value : -1;
}

/* What the escape stands for, and how long it is after its backslash. */
static int escaped(struct bytes left, size_t *ret_len)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *at = left.len == 0 || left.data[0] == 0 ? NULL : strchr(names, left.data[0]);

	*ret_len = at == NULL ? 5 : 1;
	if (at != NULL)
		return values[at - names];
	return left.len > 0 && left.data[0] == 'u' ? unicode(left) : -1;
}

bool json_unescape(struct bytes string, struct buffer *out)
{
	while (string.len > 0) {
		int c = string.data[0];
		size_t len = 0;

		if (c == '\\')
			c = escaped(bytes(string.data + 1, string.len - 1), &len);
		if (c < 0)
			return false;
		buffer_put_u8(out, (uint8_t)c);
		string = bytes(string.data + 1 + len, string.len - 1 - len);
	}
	return !out->failed;
}

static void put_character(struct buffer *out, char c)
{
	if (c == '"' || c == '\\') {
		buffer_put_u8(out, '\\');
		buffer_put_u8(out, (uint8_t)c);
	} else if ((unsigned char)c < 0x20) {
		buffer_format(out, "\\u%04x", (unsigned)c);
	} else {
		buffer_put_u8(out, (uint8_t)c);
	}
}

void json_put_string(struct buffer *out, const char *text)
{
	buffer_put_u8(out, '"');
	for (; *text != 0; text++)
		put_character(out, *text);
	buffer_put_u8(out, '"');
}
