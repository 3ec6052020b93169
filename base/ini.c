/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reader of INI text. A line belongs to the value before it if it is indented deeper than that
 * value's key, so an indented key right after a header is a key, as AWS's own readers take it.
 */
#include "base/ini.h"

#include "base/buffer.h"
#include "base/macros.h"

struct parser {
	ini_visit *visit;
	void *state;
	struct buffer section, key, value;
	unsigned line;	   /* counts from 1 */
	unsigned key_line; /* of the key that waits for its value to end; 0 = none */
	size_t key_indent;
};

static void parser_clear(struct parser *parser)
{
	buffer_clear(&parser->section);
	buffer_clear(&parser->key);
	buffer_clear(&parser->value);
}

static size_t position(struct bytes text, uint8_t c)
{
	const uint8_t *found = text.len == 0 ? NULL : memchr(text.data, c, text.len);

	return found == NULL ? text.len : (size_t)(found - text.data);
}

static void set(struct buffer *buffer, struct bytes text)
{
	buffer_truncate(buffer, 0);
	buffer_append(buffer, text);
}

static bool report(struct parser *parser, bool header)
{
	const char *section = buffer_text(&parser->section);
	const char *key = header ? NULL : buffer_text(&parser->key);
	const char *value = header ? NULL : buffer_text(&parser->value);

	if (section == NULL || (!header && (key == NULL || value == NULL)))
		return false;
	return parser->visit(parser->state, section, key, value,
			     header ? parser->line : parser->key_line);
}

static bool lacks_memory(const struct parser *parser)
{
	return parser->section.failed || parser->key.failed || parser->value.failed;
}

/* The pending value, if any, is complete. */
static bool end_value(struct parser *parser)
{
	bool waits = parser->key_line != 0;

	if (waits && !report(parser, false)) {
		parser->line = parser->key_line;
		return false;
	}
	parser->key_line = 0;
	return true;
}

/* "[name]", after which only a comment may stand. */
static bool take_header(struct parser *parser, struct bytes line)
{
	size_t end = position(line, ']');
	struct bytes name, rest;

	if (end == line.len || !end_value(parser))
		return false;
	name = bytes_trim(bytes(line.data + 1, end - 1));
	rest = bytes_trim(bytes(line.data + end + 1, line.len - end - 1));
	if (name.len == 0 || (rest.len > 0 && rest.data[0] != '#' && rest.data[0] != ';'))
		return false;
	set(&parser->section, name);
	return report(parser, true);
}

static bool take_key(struct parser *parser, struct bytes line, size_t indent)
{
	size_t equals = position(line, '='), colon = position(line, ':');
	size_t end = equals < colon ? equals : colon; /* of the key: either may be in a value */
	struct bytes key = bytes_trim(bytes(line.data, end));

	if (end == line.len || key.len == 0 || !end_value(parser))
		return false;
	set(&parser->key, key);
	set(&parser->value, bytes_trim(bytes(line.data + end + 1, line.len - end - 1)));
	parser->key_line = parser->line;
	parser->key_indent = indent;
	return true;
}

static bool take_line(struct parser *parser, struct bytes raw)
{
	struct bytes line = bytes_trim(raw);
	size_t indent = line.len == 0 ? 0 : (size_t)(line.data - raw.data);

	if (position(line, '\0') != line.len)
		return false;
	if (line.len == 0 || line.data[0] == '#' || line.data[0] == ';')
		return true;
	if (parser->key_line != 0 && indent > parser->key_indent) {
		buffer_put_u8(&parser->value, '\n');
		buffer_append(&parser->value, line);
		return true;
	}
	return line.data[0] == '[' ? take_header(parser, line) : take_key(parser, line, indent);
}

/* Some editors begin a file with U+FEFF. */
static struct bytes skip_mark(struct bytes text)
{
	bool marked = text.len >= 3 && memcmp(text.data, "\xef\xbb\xbf", 3) == 0;

	return marked ? bytes(text.data + 3, text.len - 3) : text;
}

bool ini_parse(struct bytes text, ini_visit *visit, void *state, unsigned *ret_line)
{
	AUTO(parser_clear) struct parser parser = {.visit = visit, .state = state};
	bool good = true;

	text = skip_mark(text);
	while (good && text.len > 0) {
		size_t len = position(text, '\n');

		parser.line++;
		good = take_line(&parser, bytes(text.data, len));
		len += len < text.len;
		text = bytes(text.data + len, text.len - len);
	}
	good = good && end_value(&parser);
	if (!good)
		*ret_line = lacks_memory(&parser) ? 0 : parser.line;
	return good;
}

bool ini_has_comment(const char *value)
{
	for (const char *at = value; *at != '\0'; at++)
		if (byte_is_blank((uint8_t)at[0]) && (at[1] == '#' || at[1] == ';'))
			return true;
	return false;
}
