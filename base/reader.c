/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A cursor over borrowed bytes. */
#include "base/reader.h"

struct bytes reader_take(struct reader *reader, size_t len)
{
	struct bytes taken = {reader->left.data, len};

	if (reader->failed || len > reader->left.len) {
		reader->failed = true;
		reader->left = (struct bytes){0};
		return (struct bytes){0};
	}
	if (len > 0)
		reader->left.data += len;
	reader->left.len -= len;
	return taken;
}

static uint64_t number(struct reader *reader, size_t len)
{
	struct bytes digits = reader_take(reader, len);
	uint64_t value = 0;

	for (size_t i = 0; i < digits.len; i++)
		value = value << 8 | digits.data[i];
	return value;
}

uint8_t reader_u8(struct reader *reader)
{
	return (uint8_t)number(reader, 1);
}

uint16_t reader_u16(struct reader *reader)
{
	return (uint16_t)number(reader, 2);
}

uint32_t reader_u32(struct reader *reader)
{
	return (uint32_t)number(reader, 4);
}

uint64_t reader_u64(struct reader *reader)
{
	return number(reader, 8);
}

struct bytes reader_sized(struct reader *reader)
{
	return reader_take(reader, reader_u16(reader));
}

bool reader_done(const struct reader *reader)
{
	return !reader->failed && reader->left.len == 0;
}
