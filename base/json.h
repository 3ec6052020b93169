/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON text, read where memory may be short. Jansson's own reader is not made for that: where an
 * allocation fails it leaves a character out and then calls a good text invalid, ends the process
 * by an assertion, or writes past the end of a string. Its functions to build values are sound.
 */
#pragma once

#include "base/bytes.h"

#include <jansson.h>

/*
 * As json_loadb() with flags 0 or JSON_REJECT_DUPLICATES: an object or an array, RFC 8259 to the
 * letter, UTF-8, no NUL in a string, at most JSON_DEPTH_MAX values within one another. NULL:
 * *ret_no_memory tells whether memory ran out or the text is invalid.
 */
enum { JSON_DEPTH_MAX = 64 };
json_t *json_read(struct bytes text, size_t flags, bool *ret_no_memory);

/* A string to be told: of text that is not UTF-8, as a path or what others wrote may be, "?". NULL:
 * no memory. */
json_t *json_text(const char *text);
