/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The functions on bytes that are not inline: comparison, also in constant time, and blanks. */
#include "base/bytes.h"

bool bytes_equal_constant_time(struct bytes a, struct bytes b)
{
	volatile uint8_t difference = 0;

	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		difference |= a.data[i] ^ b.data[i];
	return difference == 0;
}

struct bytes bytes_trim(struct bytes text)
{
	while (text.len > 0 && byte_is_blank(text.data[0]))
		text = bytes(text.data + 1, text.len - 1);
	while (text.len > 0 && byte_is_blank(text.data[text.len - 1]))
		text.len--;
	return text;
}

bool bytes_are(struct bytes bytes, const char *text)
{
	return bytes_equal(bytes, bytes_of(text));
}

bool bytes_begin(struct bytes bytes, const char *prefix)
{
	size_t len = strlen(prefix);

	return bytes.len >= len && memcmp(bytes.data, prefix, len) == 0;
}

bool bytes_all_in(struct bytes bytes, const char *characters)
{
	for (size_t i = 0; i < bytes.len; i++)
		if (bytes.data[i] == 0 || strchr(characters, bytes.data[i]) == NULL)
			return false;
	return true;
}
