/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Owned bytes that grow. A buffer remembers that an append failed (out of memory, over its limit),
 * so a run of appends needs one look at `failed` at the end. Growing wipes what it leaves behind
 * and clearing wipes all, so a buffer may hold secrets; it is not locked memory (base/secret.h is).
 */
#pragma once

#include "base/bytes.h"

struct buffer {
	uint8_t *data;
	size_t len;
	size_t capacity;
	size_t limit; /* greatest len, in bytes; 0 = none */
	bool failed;
};

/* Wipes and frees; the buffer is then empty, not failed, and keeps its limit. Accepts NULL. */
void buffer_clear(struct buffer *buffer);

/* Makes room for `len` more bytes and returns where they go (NULL: failed); does not change len. */
uint8_t *buffer_reserve(struct buffer *buffer, size_t len);
/* Appends `len` bytes to be filled by the caller; NULL: failed. */
uint8_t *buffer_extend(struct buffer *buffer, size_t len);
void buffer_append(struct buffer *buffer, struct bytes bytes);
/* Big-endian, as in all our formats. */
void buffer_put_u8(struct buffer *buffer, uint8_t value);
void buffer_put_u16(struct buffer *buffer, uint16_t value);
void buffer_put_u32(struct buffer *buffer, uint32_t value);
void buffer_put_u64(struct buffer *buffer, uint64_t value);
/* A length of 2 bytes, then the bytes; longer than 65,535 fails. */
void buffer_put_sized(struct buffer *buffer, struct bytes bytes);
void buffer_put_text(struct buffer *buffer, const char *text);
void buffer_format(struct buffer *buffer, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Keeps the first `len` bytes (wipes the rest). */
void buffer_truncate(struct buffer *buffer, size_t len);

static inline struct bytes buffer_bytes(const struct buffer *buffer)
{
	return (struct bytes){buffer->data, buffer->len};
}

/* Its text, always ending in a NUL that is not counted; NULL if failed. Stays the buffer's. */
const char *buffer_text(struct buffer *buffer);
/* Gives the text away (free() it) and leaves the buffer empty; NULL if failed. */
char *buffer_take_text(struct buffer *buffer);
