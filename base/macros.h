/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The three macros of this tree that manage a function's control flow; there are no others. */
#pragma once

#include <string.h>

/* Returns at once what a call answers, unless that is success; success is 0 in every convention of
 * ours other than bool (CKR_OK, KMS_OK, ZONE_OK). */
#define TRY(call)                                                                                  \
	do {                                                                                       \
		__typeof__(call) try_result_ = (call);                                             \
		if (try_result_ != 0)                                                              \
			return try_result_;                                                        \
	} while (0)

/* Releases a variable when its scope is left; `release` takes the variable's address. "unused":
 * clang does not count the release as a use, and a held lock has no other. */
#define AUTO(release) __attribute__((cleanup(release), unused))

/* Moves a pointer out of a variable and leaves NULL there, so that AUTO finds nothing to free. */
#define TAKE(pointer) ((__typeof__(pointer))take_pointer(&(pointer)))

static inline void *take_pointer(void *variable)
{
	void *taken, *empty = NULL;

	memcpy(&taken, variable, sizeof(taken));
	memcpy(variable, &empty, sizeof(empty));
	return taken;
}

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
