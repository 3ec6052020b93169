/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Values between SQLite and entries. Reading trusts nothing: the file may have been changed by
 * others, so type and length of each value are checked. */
#include "base/encode.h"
#include "base/macros.h"
#include "zones/store/sqlite/sqlite.h"

int64_t take_integer(struct columns *columns, int64_t least, int64_t greatest)
{
	int at = columns->at++;
	int64_t value = sqlite3_column_int64(columns->statement, at);

	if (sqlite3_column_type(columns->statement, at) == SQLITE_INTEGER && value >= least &&
	    value <= greatest)
		return value;
	columns->failed = true;
	return least;
}

/* The bytes of a column of that type, borrowed until the next step. */
static struct bytes borrow(struct columns *columns, int type, size_t longest)
{
	int at = columns->at++;
	const void *data;
	struct bytes value;

	if (sqlite3_column_type(columns->statement, at) != type) {
		columns->failed = true;
		return bytes(NULL, 0);
	}
	data = type == SQLITE_TEXT ? (const void *)sqlite3_column_text(columns->statement, at)
				   : sqlite3_column_blob(columns->statement, at);
	value = bytes(data, (size_t)sqlite3_column_bytes(columns->statement, at));
	/* Without memory for the value its length is told as 0. */
	columns->no_memory |=
		data == NULL &&
		(value.len > 0 ||
		 sqlite3_errcode(sqlite3_db_handle(columns->statement)) == SQLITE_NOMEM);
	columns->failed |= value.len > longest;
	return value.len > longest || data == NULL ? bytes(NULL, 0) : value;
}

void take_text(struct columns *columns, size_t longest, char **field)
{
	struct bytes text = borrow(columns, SQLITE_TEXT, longest);

	if (!utf8_valid(text))
		columns->failed = true;
	else
		columns->no_memory |= !entry_set_text(field, text);
}

void take_blob(struct columns *columns, size_t longest, struct bytes *field)
{
	columns->no_memory |= !entry_set_bytes(field, borrow(columns, SQLITE_BLOB, longest));
}

void take_fixed(struct columns *columns, void *field, size_t size)
{
	struct bytes blob = borrow(columns, SQLITE_BLOB, size);

	if (blob.len == size)
		memcpy(field, blob.data, size);
	else
		columns->failed = true;
}

/* -1: none. Lower case alone, as we write it, so that a uid has one form. */
static int hex_digit(uint8_t character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	return character >= 'a' && character <= 'f' ? character - 'a' + 10 : -1;
}

/* Two or three for each row, so without a buffer. */
struct uid take_uid(struct columns *columns)
{
	struct bytes text = borrow(columns, SQLITE_TEXT, (size_t)2 * UID_SIZE);
	struct uid uid = {0};

	if (text.len != (size_t)2 * UID_SIZE) {
		columns->failed = true;
		return uid;
	}
	for (size_t i = 0; i < UID_SIZE; i++) {
		int high = hex_digit(text.data[2 * i]), low = hex_digit(text.data[2 * i + 1]);

		columns->failed |= high < 0 || low < 0;
		uid.bytes[i] = (uint8_t)((high & 15) << 4 | (low & 15));
	}
	return uid;
}

int take_word(struct columns *columns, const char *const words[], int other)
{
	struct bytes word = borrow(columns, SQLITE_TEXT, LABEL_MAX);

	for (int i = 0; words[i] != NULL; i++)
		if (bytes_equal(word, bytes_of(words[i])))
			return i;
	columns->unknown |= columns->newer && word.len > 0;
	columns->failed |= !columns->newer || word.len == 0;
	return other;
}

static void note(struct columns *columns, int result)
{
	columns->failed |= result != SQLITE_OK;
}

void put_integer(struct columns *columns, int64_t value)
{
	note(columns, sqlite3_bind_int64(columns->statement, ++columns->at, value));
}

/* What is bound stays where it is until the statement has run. */
void put_text(struct columns *columns, const char *text)
{
	note(columns,
	     sqlite3_bind_text(columns->statement, ++columns->at, text, -1, SQLITE_STATIC));
}

void put_blob(struct columns *columns, struct bytes blob)
{
	if (blob.len == 0) /* a NULL pointer would become NULL */
		note(columns, sqlite3_bind_zeroblob(columns->statement, ++columns->at, 0));
	else
		note(columns, sqlite3_bind_blob64(columns->statement, ++columns->at, blob.data,
						  blob.len, SQLITE_STATIC));
}

void put_uid(struct columns *columns, struct uid uid)
{
	static const char digits[] = "0123456789abcdef";
	char hex[2 * UID_SIZE];

	/* Without memory of its own: what is bound must not become NULL. */
	for (size_t i = 0; i < UID_SIZE; i++) {
		hex[2 * i] = digits[uid.bytes[i] >> 4];
		hex[2 * i + 1] = digits[uid.bytes[i] & 15];
	}
	note(columns, sqlite3_bind_text(columns->statement, ++columns->at, hex, sizeof(hex),
					SQLITE_TRANSIENT));
}
