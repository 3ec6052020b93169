/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal, base64, decimal and UTF-8; decoders are strict. */
#include "base/encode.h"

static const char hex_digits[] = "0123456789abcdef";
static const char base64_digits[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void hex_append(struct buffer *out, struct bytes in)
{
	uint8_t *place = in.len > SIZE_MAX / 2 ? NULL : buffer_extend(out, in.len * 2);

	if (place == NULL) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < in.len; i++) {
		*place++ = (uint8_t)hex_digits[in.data[i] >> 4];
		*place++ = (uint8_t)hex_digits[in.data[i] & 15];
	}
}

/* The value of a digit, or -1. */
static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Fills `place`; false at the first character that is not a digit. */
static bool hex_fill(struct bytes text, uint8_t *place)
{
	for (size_t i = 0; i < text.len; i += 2) {
		int high = hex_value(text.data[i]), low = hex_value(text.data[i + 1]);

		if (high < 0 || low < 0)
			return false;
		*place++ = (uint8_t)(high << 4 | low);
	}
	return true;
}

bool hex_decode(struct bytes text, struct buffer *out)
{
	size_t before = out->len;
	uint8_t *place = text.len % 2 != 0 ? NULL : buffer_extend(out, text.len / 2);

	if (place == NULL)
		return false;
	if (hex_fill(text, place))
		return true;
	buffer_truncate(out, before);
	return false;
}

void base64_append(struct buffer *out, struct bytes in)
{
	size_t groups = in.len / 3 + (in.len % 3 != 0);
	uint8_t *place = groups > SIZE_MAX / 4 ? NULL : buffer_extend(out, groups * 4);

	if (place == NULL) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < in.len; i += 3) {
		size_t have = in.len - i < 3 ? in.len - i : 3;
		uint32_t bits = (uint32_t)in.data[i] << 16;

		bits |= have > 1 ? (uint32_t)in.data[i + 1] << 8 : 0;
		bits |= have > 2 ? in.data[i + 2] : 0;
		*place++ = (uint8_t)base64_digits[bits >> 18];
		*place++ = (uint8_t)base64_digits[bits >> 12 & 63];
		*place++ = have > 1 ? (uint8_t)base64_digits[bits >> 6 & 63] : '=';
		*place++ = have > 2 ? (uint8_t)base64_digits[bits & 63] : '=';
	}
}

/* The value of a digit, or -1. */
static int base64_value(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* `count` digits (2 to 4) into count - 1 bytes; false for a wrong digit, or bits that would be
 * lost. */
static bool base64_group(const uint8_t *digits, size_t count, uint8_t *place)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < count ? base64_value(digits[i]) : 0;

		if (value < 0)
			return false;
		bits = bits << 6 | (uint32_t)value;
	}
	for (size_t i = 0; i < count - 1; i++, bits = bits << 8 & 0xffffff)
		place[i] = (uint8_t)(bits >> 16);
	return bits == 0;
}

static bool base64_fill(struct bytes text, size_t padding, uint8_t *place)
{
	size_t digits = text.len - padding;

	for (size_t i = 0; i < digits; i += 4, place += 3) {
		size_t left = digits - i;
		size_t count = left < 4 ? left : 4;

		if (!base64_group(text.data + i, count, place))
			return false;
	}
	return true;
}

/* How many of the last two characters are padding. */
static size_t base64_padding(struct bytes text)
{
	if (text.len == 0 || text.data[text.len - 1] != '=')
		return 0;
	return text.data[text.len - 2] == '=' ? 2 : 1;
}

bool base64_decode(struct bytes text, struct buffer *out)
{
	size_t before = out->len, padding;
	uint8_t *place;

	if (text.len % 4 != 0)
		return false;
	padding = base64_padding(text);
	place = buffer_extend(out, text.len / 4 * 3 - padding);
	if (place == NULL)
		return false;
	if (base64_fill(text, padding, place))
		return true;
	buffer_truncate(out, before);
	return false;
}

bool decimal_decode(const char *text, uint64_t max, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (text == NULL || text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
		return false;
	for (; *text != '\0'; text++) {
		uint64_t digit = (uint64_t)(*text - '0');

		if (*text < '0' || *text > '9' || value > max / 10 || digit > max - value * 10)
			return false;
		value = value * 10 + digit;
	}
	*ret_value = value;
	return true;
}

/* The forms of RFC 3629 section 4: first byte, range of the second byte, number of bytes. */
static const struct {
	uint8_t first_low, first_high, second_low, second_high, len;
} utf8_forms[] = {
	/* clang-format off */
	{ 0x01, 0x7f, 0x00, 0x00, 1 },
	{ 0xc2, 0xdf, 0x80, 0xbf, 2 },
	{ 0xe0, 0xe0, 0xa0, 0xbf, 3 },
	{ 0xe1, 0xec, 0x80, 0xbf, 3 },
	{ 0xed, 0xed, 0x80, 0x9f, 3 },
	{ 0xee, 0xef, 0x80, 0xbf, 3 },
	{ 0xf0, 0xf0, 0x90, 0xbf, 4 },
	{ 0xf1, 0xf3, 0x80, 0xbf, 4 },
	{ 0xf4, 0xf4, 0x80, 0x8f, 4 },
	/* clang-format on */
};

/* How many bytes the first character takes; 0 = not well formed. */
static size_t utf8_character(struct bytes text)
{
	for (size_t i = 0; i < sizeof(utf8_forms) / sizeof(utf8_forms[0]); i++) {
		size_t len = utf8_forms[i].len;

		if (text.data[0] < utf8_forms[i].first_low ||
		    text.data[0] > utf8_forms[i].first_high)
			continue;
		if (len > text.len)
			return 0;
		if (len > 1 && (text.data[1] < utf8_forms[i].second_low ||
				text.data[1] > utf8_forms[i].second_high))
			return 0;
		for (size_t k = 2; k < len; k++)
			if ((text.data[k] & 0xc0) != 0x80)
				return 0;
		return len;
	}
	return 0;
}

size_t utf8_decode(struct bytes text, uint32_t *ret_character)
{
	static const uint8_t masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	size_t len = utf8_character(text);

	if (len == 0)
		return 0;
	*ret_character = text.data[0] & masks[len];
	for (size_t i = 1; i < len; i++)
		*ret_character = *ret_character << 6 | (text.data[i] & 0x3f);
	return len;
}

bool utf8_valid(struct bytes text)
{
	while (text.len > 0) {
		size_t len = utf8_character(text);

		if (len == 0)
			return false;
		text.data += len;
		text.len -= len;
	}
	return true;
}

void utf8_cut(const char *text, size_t size, char *ret_text)
{
	size_t len = strnlen(text, size);

	if (len == size)
		for (len--; len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80;)
			len--;
	memcpy(ret_text, text, len);
	ret_text[len] = 0;
}
