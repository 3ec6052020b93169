/*
 * INI text: cmek.conf, and AWS's config and credentials files. Lines of any length. "[section]",
 * "key = value", whole-line comments by # or ;, blank lines. An indented line continues the value
 * before it, joined by a newline (AWS's nested sections); an indented line after an empty value
 * begins with that newline too.
 */
#pragma once

#include "base/bytes.h"

/* Called for each key, in order, and once for each section header with key == NULL. False stops the
 * reading. */
typedef bool ini_visit(void *state, const char *section, const char *key, const char *value,
		       unsigned line);

/* False: a line that is none of these (*ret_line says which), or the visitor stopped (its line). */
bool ini_parse(struct bytes text, ini_visit *visit, void *state, unsigned *ret_line);
