/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of a line that says what is wrong: "WHICH: what; what to do". */
#pragma once

#include <jansson.h>
#include <stddef.h>

/* The advice of a line, which stands after its last semicolon; NULL: it has none. */
const char *said_advice(const char *text);
/* A failure as JSON: the line (message) and its parts (which, what, to_do), the exit code, and that
 * in a word (status; of CMEK_EXIT_OK "warning"). `which_len` are the bytes of WHICH; 0: it has
 * none. json_decref() it; NULL: no memory. */
json_t *said_json(int code, const char *text, size_t which_len);
