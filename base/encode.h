/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Text forms of bytes. Decoders are strict: any character or padding out of place fails. */
#pragma once

#include "base/buffer.h"

void hex_append(struct buffer *out, struct bytes in);	/* lower case */
bool hex_decode(struct bytes text, struct buffer *out); /* either case, even length */
/* RFC 4648 section 4, with padding. The table look-ups depend on the data. That is accepted here,
 * since the only secret in base64 (a KMS answer) is decoded once. */
void base64_append(struct buffer *out, struct bytes in);
bool base64_decode(struct bytes text, struct buffer *out);
/* A whole string as a decimal number without sign, spaces or leading zeros; fails beyond `max`. */
bool decimal_decode(const char *text, uint64_t max, uint64_t *ret_value);
/* Valid UTF-8 without NUL (what labels and names must be). */
bool utf8_valid(struct bytes text);
/* How much of a text fits in `size` bytes with its NUL, without cutting a character. */
void utf8_cut(const char *text, size_t size, char *ret_text);
/* How many bytes the first character of a text that is not empty takes; 0: it is not well formed.
 */
size_t utf8_decode(struct bytes text, uint32_t *ret_character);
