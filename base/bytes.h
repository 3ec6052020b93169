/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed bytes: a pointer and a length that belong to somebody else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
	const uint8_t *data;
	size_t len;
};

static inline struct bytes bytes(const void *data, size_t len)
{
	return (struct bytes){data, len};
}

/* The characters of a string, without its NUL; NULL gives no bytes. */
static inline struct bytes bytes_of(const char *text)
{
	return (struct bytes){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

/* Bytes an application may pass: a pointer, or a length of 0 (whatever the pointer then is). */
static inline bool bytes_valid(struct bytes b)
{
	return b.data != NULL || b.len == 0;
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* ASCII white space, whatever the host's locale. */
static inline bool byte_is_blank(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Without the blanks at both ends. */
struct bytes bytes_trim(struct bytes text);

/* The bytes are this text; they begin with it. */
bool bytes_are(struct bytes bytes, const char *text);
bool bytes_begin(struct bytes bytes, const char *prefix);
/* All characters are among these. */
bool bytes_all_in(struct bytes bytes, const char *characters);

/* Without the first `len` bytes, of which there are so many. */
static inline struct bytes bytes_after(struct bytes text, size_t len)
{
	return bytes(text.data + len, text.len - len);
}

/* For secrets and tags: the time does not depend on the contents, only on the lengths. */
bool bytes_equal_constant_time(struct bytes a, struct bytes b);

/* The lowest `len` bytes of a number, big-endian, as in all our formats. */
static inline void put_big_endian(uint8_t *out, size_t len, uint64_t value)
{
	while (len > 0) {
		out[--len] = (uint8_t)value;
		value >>= 8;
	}
}
/* Of at most 8 bytes. */
static inline uint64_t get_big_endian(const uint8_t *data, size_t len)
{
	uint64_t value = 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | data[i];
	return value;
}
