/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A reader by recursive descent, a function for each rule of RFC 8259's grammar. */
#include "base/json.h"

#include "base/buffer.h"
#include "base/encode.h"
#include "base/macros.h"

struct parser {
	const uint8_t *at, *end;
	size_t flags;
	unsigned depth;
	bool no_memory;
};

static json_t *read_value(struct parser *parser);

static void json_freep(json_t **value)
{
	json_decref(*value);
}

static void skip_space(struct parser *parser)
{
	while (parser->at < parser->end && (*parser->at == ' ' || *parser->at == '\t' ||
					    *parser->at == '\n' || *parser->at == '\r'))
		parser->at++;
}

/* The next character, if it is this one. */
static bool take(struct parser *parser, char c)
{
	if (parser->at == parser->end || *parser->at != (uint8_t)c)
		return false;
	parser->at++;
	return true;
}

static bool take_word(struct parser *parser, const char *word)
{
	size_t len = strlen(word);

	if ((size_t)(parser->end - parser->at) < len || memcmp(parser->at, word, len) != 0)
		return false;
	parser->at += len;
	return true;
}

static json_t *made(struct parser *parser, json_t *value)
{
	parser->no_memory |= value == NULL;
	return value;
}

/* --- Strings */

static bool read_hex4(struct parser *parser, uint32_t *ret_unit)
{
	static const char digits[] = "0123456789abcdef";
	uint32_t unit = 0;

	for (int i = 0; i < 4; i++, parser->at++) {
		const char *digit = parser->at == parser->end || *parser->at == 0
					    ? NULL
					    : strchr(digits, *parser->at | 0x20);

		/* "| 0x20" turns some control characters into digits as well: those are refused. */
		if (digit == NULL || (*digit <= '9' && *parser->at != (uint8_t)*digit))
			return false;
		unit = unit << 4 | (uint32_t)(digit - digits);
	}
	*ret_unit = unit;
	return true;
}

/* What follows "\u": a character, or two halves of one. */
static bool read_unicode(struct parser *parser, uint32_t *ret_character)
{
	uint32_t high, low;

	if (!read_hex4(parser, &high) || (high >= 0xdc00 && high <= 0xdfff) || high == 0)
		return false;
	*ret_character = high;
	if (high < 0xd800 || high > 0xdbff)
		return true;
	if (!take_word(parser, "\\u") || !read_hex4(parser, &low) || low < 0xdc00 || low > 0xdfff)
		return false;
	*ret_character = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

static void put_utf8(struct buffer *out, uint32_t c)
{
	if (c < 0x80) {
		buffer_put_u8(out, (uint8_t)c);
		return;
	}
	if (c >= 0x10000) {
		buffer_put_u8(out, (uint8_t)(0xf0 | c >> 18));
		buffer_put_u8(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
	} else if (c >= 0x800) {
		buffer_put_u8(out, (uint8_t)(0xe0 | c >> 12));
	}
	buffer_put_u8(out, (uint8_t)(c >= 0x800 ? 0x80 | (c >> 6 & 0x3f) : 0xc0 | c >> 6));
	buffer_put_u8(out, (uint8_t)(0x80 | (c & 0x3f)));
}

static bool read_escape(struct parser *parser, struct buffer *out)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *name;
	uint32_t character;

	if (parser->at == parser->end || *parser->at == 0)
		return false;
	if (take(parser, 'u')) {
		if (!read_unicode(parser, &character))
			return false;
		put_utf8(out, character);
		return true;
	}
	name = strchr(names, *parser->at++);
	if (name != NULL)
		buffer_put_u8(out, (uint8_t)values[name - names]);
	return name != NULL;
}

/* After its opening quote, past the closing one; ends in a NUL. */
static bool read_string(struct parser *parser, struct buffer *out)
{
	while (!take(parser, '"')) {
		if (parser->at == parser->end || *parser->at < 0x20)
			return false;
		if (!take(parser, '\\'))
			buffer_put_u8(out, *parser->at++);
		else if (!read_escape(parser, out))
			return false;
	}
	if (buffer_text(out) == NULL) {
		parser->no_memory = true;
		return false;
	}
	return utf8_valid(buffer_bytes(out));
}

static json_t *read_text(struct parser *parser)
{
	AUTO(buffer_clear) struct buffer text = {0};

	if (!read_string(parser, &text))
		return NULL;
	return made(parser, json_stringn_nocheck((const char *)text.data, text.len));
}

/* --- Numbers. By hand: strtod() goes by the host's locale. */

struct number {
	bool negative, real, too_great; /* too great for an integer of 64 bits */
	uint64_t integer;
	double digits;
	int exponent; /* of ten */
};

/* At least one digit. */
static bool read_digits(struct parser *parser, struct number *number, int weight)
{
	const uint8_t *begin = parser->at;

	for (; parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9'; parser->at++) {
		uint64_t digit = (uint64_t)(*parser->at - '0');

		number->too_great |= number->integer > ((uint64_t)INT64_MAX - digit) / 10;
		number->integer = number->integer * 10 + digit;
		number->digits = number->digits * 10 + (double)digit;
		number->exponent -= weight;
	}
	return parser->at > begin;
}

static bool read_exponent(struct parser *parser, struct number *number)
{
	bool negative = take(parser, '-');
	int exponent = 0;

	if (!negative)
		take(parser, '+');
	if (parser->at == parser->end || *parser->at < '0' || *parser->at > '9')
		return false;
	for (; parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9'; parser->at++)
		exponent = exponent < 9999 ? exponent * 10 + (*parser->at - '0') : exponent;
	number->exponent += negative ? -exponent : exponent;
	return true;
}

static bool read_parts(struct parser *parser, struct number *number)
{
	number->negative = take(parser, '-');
	if (!take(parser, '0') && !read_digits(parser, number, 0))
		return false;
	if (take(parser, '.')) {
		number->real = true;
		if (!read_digits(parser, number, 1))
			return false;
	}
	if (!take(parser, 'e') && !take(parser, 'E'))
		return true;
	number->real = true;
	return read_exponent(parser, number);
}

static double value_of(const struct number *number)
{
	double value = number->digits, scale = 1;
	int left = number->exponent < 0 ? -number->exponent : number->exponent;

	for (; left > 0 && scale < 1e300; left--)
		scale *= 10;
	value = number->exponent < 0 ? value / scale : value * scale;
	for (; left > 0 && value > 0 && value < 1e308; left--)
		value = number->exponent < 0 ? value / 10 : value * 10;
	return number->negative ? -value : value;
}

static json_t *read_number(struct parser *parser)
{
	struct number number = {0};
	double value;

	if (!read_parts(parser, &number) || (!number.real && number.too_great))
		return NULL;
	if (!number.real)
		return made(parser, json_integer(number.negative ? -(json_int_t)number.integer
								 : (json_int_t)number.integer));
	value = value_of(&number);
	if (value > 1e308 || value < -1e308)
		return NULL;
	return made(parser, json_real(value));
}

/* --- Arrays and objects */

static bool read_member(struct parser *parser, json_t *object)
{
	AUTO(buffer_clear) struct buffer name = {0};
	json_t *value;

	skip_space(parser);
	if (!take(parser, '"') || !read_string(parser, &name))
		return false;
	if ((parser->flags & JSON_REJECT_DUPLICATES) != 0 &&
	    json_object_get(object, (const char *)name.data) != NULL)
		return false;
	skip_space(parser);
	value = take(parser, ':') ? read_value(parser) : NULL;
	if (value == NULL)
		return false;
	if (json_object_set_new_nocheck(object, (const char *)name.data, value) == 0)
		return true;
	parser->no_memory = true;
	return false;
}

static bool read_element(struct parser *parser, json_t *array)
{
	json_t *value = read_value(parser);

	if (value == NULL)
		return false;
	if (json_array_append_new(array, value) == 0)
		return true;
	parser->no_memory = true;
	return false;
}

typedef bool read_one(struct parser *parser, json_t *into);

/* After the opening bracket. */
static json_t *read_all(struct parser *parser, json_t *into, read_one *read, char close)
{
	AUTO(json_freep) json_t *whole = made(parser, into);

	if (whole == NULL)
		return NULL;
	skip_space(parser);
	if (take(parser, close))
		return TAKE(whole);
	do {
		if (!read(parser, whole))
			return NULL;
		skip_space(parser);
	} while (take(parser, ','));
	return take(parser, close) ? TAKE(whole) : NULL;
}

static json_t *read_nested(struct parser *parser)
{
	json_t *value;

	if (parser->depth == JSON_DEPTH_MAX)
		return NULL;
	parser->depth++;
	if (take(parser, '{'))
		value = read_all(parser, json_object(), read_member, '}');
	else
		value = take(parser, '[') ? read_all(parser, json_array(), read_element, ']')
					  : NULL;
	parser->depth--;
	return value;
}

static json_t *read_value(struct parser *parser)
{
	skip_space(parser);
	if (take(parser, '"'))
		return read_text(parser);
	if (take_word(parser, "true"))
		return json_true();
	if (take_word(parser, "false"))
		return json_false();
	if (take_word(parser, "null"))
		return json_null();
	if (parser->at < parser->end && (*parser->at == '{' || *parser->at == '['))
		return read_nested(parser);
	return read_number(parser);
}

json_t *json_read(struct bytes text, size_t flags, bool *ret_no_memory)
{
	static const uint8_t nothing[1];
	struct parser parser = {.flags = flags, .at = text.len == 0 ? nothing : text.data};
	AUTO(json_freep) json_t *root = NULL;

	parser.end = parser.at + text.len;
	skip_space(&parser);
	root = read_nested(&parser);
	*ret_no_memory = parser.no_memory;
	skip_space(&parser);
	return parser.at == parser.end ? TAKE(root) : NULL;
}

json_t *json_text(const char *text)
{
	return json_string(utf8_valid(bytes_of(text)) ? text : "?");
}
