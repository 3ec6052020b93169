/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * INI text: cmek.conf, and AWS's config and credentials files. Lines of any length, "[section]",
 * "key = value" or "key : value" (a key ends at the first of the two signs), whole-line comments by
 * # or ; (also after a section header), blank lines. A line indented deeper than its key continues
 * the value, joined by a newline (AWS's nested sections); if the value was empty it begins with
 * that newline too. Keys before any header have section "".
 */
#pragma once

#include "base/bytes.h"

/* Called for each key, in order, and once for each section header with key == NULL. False stops the
 * reading. */
typedef bool ini_visit(void *state, const char *section, const char *key, const char *value,
		       unsigned line);

/* False: an invalid line (*ret_line says which), or the visitor stopped (at that line), or no
 * memory (line 0). */
bool ini_parse(struct bytes text, ini_visit *visit, void *state, unsigned *ret_line);

/* Whether a value contains what other readers take for a comment: # or ; after a blank. */
bool ini_has_comment(const char *value);
