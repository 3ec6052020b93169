/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which characters a name may have: two tables. */
#include "base/name.h"

#include "base/encode.h"
#include "base/macros.h"

struct range {
	uint32_t first, last;
};

/* Controls; the line and paragraph separators; characters that turn the direction of text; those
 * that Unicode 15 (DerivedCoreProperties.txt) calls Default_Ignorable_Code_Point; marks of
 * annotations. */
static const struct range unseen[] = {
	{0x00, 0x1f},	    {0x7f, 0x9f},	{0xad, 0xad},	    {0x34f, 0x34f},
	{0x61c, 0x61c},	    {0x115f, 0x1160},	{0x17b4, 0x17b5},   {0x180b, 0x180f},
	{0x200b, 0x200f},   {0x2028, 0x202e},	{0x2060, 0x206f},   {0x3164, 0x3164},
	{0xfe00, 0xfe0f},   {0xfeff, 0xfeff},	{0xffa0, 0xffa0},   {0xfff0, 0xfffb},
	{0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

/* Blanks other than the space (White_Space), and the blank of braille. */
static const struct range blanks[] = {
	{0xa0, 0xa0},	  {0x1680, 0x1680}, {0x2000, 0x200a}, {0x202f, 0x202f},
	{0x205f, 0x205f}, {0x2800, 0x2800}, {0x3000, 0x3000},
};

static bool is_in(const struct range *ranges, size_t count, uint32_t character)
{
	for (size_t i = 0; i < count; i++)
		if (character >= ranges[i].first && character <= ranges[i].last)
			return true;
	return false;
}

static bool is_unseen(uint32_t character)
{
	return is_in(unseen, COUNT_OF(unseen), character);
}

static bool is_control(uint32_t character)
{
	return character < 0x20 || (character >= 0x7f && character <= 0x9f);
}

static const char *character_fault(uint32_t character)
{
	if (is_control(character))
		return "has no control characters (tabs, ends of lines)";
	if (is_unseen(character))
		return "has no characters that nobody sees (such as U+200B or U+202E)";
	return is_in(blanks, COUNT_OF(blanks), character)
		       ? "has no blanks but the space (such as U+00A0)"
		       : NULL;
}

const char *name_fault(struct bytes name)
{
	struct bytes left = name;
	const char *fault = NULL;
	uint32_t character;

	for (size_t len; left.len > 0 && fault == NULL;
	     left = bytes(left.data + len, left.len - len)) {
		len = utf8_decode(left, &character);
		if (len == 0)
			return "is UTF-8 without a NUL";
		fault = character_fault(character);
	}
	if (fault != NULL || name.len == 0)
		return fault;
	return name.data[0] == ' ' || name.data[name.len - 1] == ' '
		       ? "does not begin or end with a blank"
		       : NULL;
}

size_t text_unseen(const char *at)
{
	uint32_t character;
	size_t len;

	if ((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f)
		return 0;
	len = utf8_decode(bytes(at, strnlen(at, 4)), &character);
	return len > 0 && is_unseen(character) ? len : 0;
}
