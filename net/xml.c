/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Picks the text of an element out of XML. */
#include "net/xml.h"

#include "base/macros.h"

#include <stdio.h>

static const struct {
	const char *name;
	char character;
} entities[] = {
	{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''},
};

/* What an entity stands for, and the length of its name; the '&' itself if it is not one of these.
 */
static char resolve(struct bytes text, size_t *ret_len)
{
	for (size_t i = 0; i < COUNT_OF(entities); i++)
		if (bytes_begin(text, entities[i].name)) {
			*ret_len = strlen(entities[i].name);
			return entities[i].character;
		}
	*ret_len = 1;
	return '&';
}

static void put_text(struct bytes text, struct buffer *out)
{
	while (text.len > 0) {
		size_t len = 1;
		char c = (char)text.data[0];

		if (c == '&')
			c = resolve(text, &len);
		buffer_put_u8(out, (uint8_t)c);
		text = bytes(text.data + len, text.len - len);
	}
}

static const uint8_t *after(struct bytes document, const char *tag)
{
	const uint8_t *found =
		document.len == 0 ? NULL : memmem(document.data, document.len, tag, strlen(tag));

	return found == NULL ? NULL : found + strlen(tag);
}

bool xml_find(struct bytes document, const char *name, struct buffer *ret_text)
{
	const uint8_t *limit, *begin, *end;
	char open[64], close[64];

	snprintf(open, sizeof(open), "<%s>", name);
	snprintf(close, sizeof(close), "</%s>", name);
	begin = after(document, open);
	if (begin == NULL)
		return false;
	limit = document.data + document.len;
	end = memchr(begin, '<', (size_t)(limit - begin));
	if (end == NULL || !bytes_begin(bytes(end, (size_t)(limit - end)), close))
		return false;
	put_text(bytes(begin, (size_t)(end - begin)), ret_text);
	return !ret_text->failed;
}
