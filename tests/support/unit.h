/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What every unit test includes: cmocka with the headers it needs before it, and bytes compared
 * with their lengths. */
#pragma once

#include "base/buffer.h"
#include "base/encode.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define assert_bytes(actual, expected)                                                             \
	do {                                                                                       \
		struct bytes actual_ = (actual), expected_ = (expected);                           \
		assert_int_equal(actual_.len, expected_.len);                                      \
		if (expected_.len > 0)                                                             \
			assert_memory_equal(actual_.data, expected_.data, expected_.len);          \
	} while (0)

/* A file of the sources: below $CMEK_ROOT, as the test runner sets it, else below the folder in
 * which the test is run by hand. The answer is good until the next. */
static inline const char *source_file(const char *name)
{
	static char path[512];
	const char *root = getenv("CMEK_ROOT");

	snprintf(path, sizeof(path), "%s/%s", root == NULL ? "." : root, name);
	return path;
}

/* The bytes of a vector; the buffer keeps them. */
static inline struct bytes from_hex(struct buffer *buffer, const char *hex)
{
	buffer_truncate(buffer, 0);
	assert_true(hex_decode(bytes_of(hex), buffer));
	return buffer_bytes(buffer);
}

/* Valgrind turns posix_spawn's vfork into a fork and counts what a child leaves on purpose. */
#define skip_under_valgrind(why)                                                                   \
	do {                                                                                       \
		const char *preload_ = getenv("LD_PRELOAD");                                       \
		if (preload_ != NULL && strstr(preload_, "vgpreload") != NULL) {                   \
			print_message("# reason: %s\n", why);                                      \
			skip();                                                                    \
		}                                                                                  \
	} while (0)
