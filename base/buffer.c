/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Owned bytes that grow, and remember when they failed to. */
#include "base/buffer.h"

#include "base/secret.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 64 };

void buffer_clear(struct buffer *buffer)
{
	if (buffer == NULL)
		return;
	if (buffer->data != NULL)
		wipe(buffer->data, buffer->capacity);
	free(buffer->data);
	*buffer = (struct buffer){.limit = buffer->limit};
}

/* Not realloc(), which may leave a copy of a secret behind. */
static bool grow(struct buffer *buffer, size_t needed)
{
	size_t capacity = buffer->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : buffer->capacity;
	uint8_t *data;

	while (capacity < needed)
		capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
	data = malloc(capacity);
	if (data == NULL)
		return false;
	if (buffer->data != NULL) {
		memcpy(data, buffer->data, buffer->len);
		wipe(buffer->data, buffer->capacity);
		free(buffer->data);
	}
	buffer->data = data;
	buffer->capacity = capacity;
	return true;
}

static uint8_t *fail(struct buffer *buffer)
{
	buffer->failed = true;
	return NULL;
}

/* Room for `len` bytes, not counted against the limit (a text's NUL does not count). */
static uint8_t *room(struct buffer *buffer, size_t len)
{
	if (buffer->failed || len > SIZE_MAX - buffer->len)
		return fail(buffer);
	/* Never NULL on success, even for no bytes at all. */
	if ((buffer->data == NULL || buffer->capacity - buffer->len < len) &&
	    !grow(buffer, buffer->len + len))
		return fail(buffer);
	return buffer->data + buffer->len;
}

uint8_t *buffer_reserve(struct buffer *buffer, size_t len)
{
	if (buffer->limit != 0 &&
	    (buffer->len > buffer->limit || len > buffer->limit - buffer->len))
		return fail(buffer);
	return room(buffer, len);
}

uint8_t *buffer_extend(struct buffer *buffer, size_t len)
{
	uint8_t *place = buffer_reserve(buffer, len);

	if (place != NULL)
		buffer->len += len;
	return place;
}

void buffer_append(struct buffer *buffer, struct bytes bytes)
{
	uint8_t *place = buffer_extend(buffer, bytes.len);

	if (place != NULL && bytes.len > 0)
		memcpy(place, bytes.data, bytes.len);
}

static void put_number(struct buffer *buffer, uint64_t value, size_t len)
{
	uint8_t *place = buffer_extend(buffer, len);

	if (place == NULL)
		return;
	for (size_t i = len; i-- > 0; value >>= 8)
		place[i] = (uint8_t)value;
}

void buffer_put_u8(struct buffer *buffer, uint8_t value)
{
	put_number(buffer, value, 1);
}

void buffer_put_u16(struct buffer *buffer, uint16_t value)
{
	put_number(buffer, value, 2);
}

void buffer_put_u32(struct buffer *buffer, uint32_t value)
{
	put_number(buffer, value, 4);
}

void buffer_put_u64(struct buffer *buffer, uint64_t value)
{
	put_number(buffer, value, 8);
}

void buffer_put_sized(struct buffer *buffer, struct bytes bytes)
{
	if (bytes.len > UINT16_MAX) {
		fail(buffer);
		return;
	}
	buffer_put_u16(buffer, (uint16_t)bytes.len);
	buffer_append(buffer, bytes);
}

void buffer_put_text(struct buffer *buffer, const char *text)
{
	buffer_append(buffer, bytes_of(text));
}

void buffer_format(struct buffer *buffer, const char *format, ...)
{
	va_list args;
	uint8_t *place;
	int len;

	va_start(args, format);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (len < 0 || buffer_reserve(buffer, (size_t)len) == NULL) {
		fail(buffer);
		return;
	}
	place = room(buffer, (size_t)len + 1);
	if (place == NULL)
		return;
	va_start(args, format);
	vsnprintf((char *)place, (size_t)len + 1, format, args);
	va_end(args);
	buffer->len += (size_t)len;
}

void buffer_truncate(struct buffer *buffer, size_t len)
{
	if (len >= buffer->len)
		return;
	wipe(buffer->data + len, buffer->len - len);
	buffer->len = len;
}

const char *buffer_text(struct buffer *buffer)
{
	uint8_t *end = room(buffer, 1);

	if (end == NULL)
		return NULL;
	*end = '\0';
	return (const char *)buffer->data;
}

char *buffer_take_text(struct buffer *buffer)
{
	char *text;

	if (buffer_text(buffer) == NULL)
		return NULL;
	text = (char *)buffer->data;
	*buffer = (struct buffer){.limit = buffer->limit};
	return text;
}
