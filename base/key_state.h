/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The states of a key, with the words that people and programs read for them: one list for the
 * module's report and for the tool. The numbers are those of include/cmek.h (CMEK_STATE_…).
 */
#pragma once

#include "base/macros.h"

#include <stddef.h>

/* clang-format off */
#define KEY_STATES(ROW)                                                                            \
	/*  name                  number  word */                                                  \
	ROW(UNKNOWN,              0,      "not known")                                             \
	ROW(ACTIVE,               1,      "active")                                                \
	ROW(DISABLED,             2,      "disabled")                                              \
	ROW(PENDING_DELETION,     3,      "pending deletion")                                      \
	ROW(UNREACHABLE,          4,      "not reachable")                                         \
	ROW(KMS_PENDING_DELETION, 5,      "pending deletion")                                      \
	ROW(PENDING_IMPORT,       6,      "pending import")                                        \
	ROW(UNAVAILABLE,          7,      "unavailable")                                           \
	ROW(UNUSABLE,             8,      "not usable")                                            \
	ROW(DENIED,               9,      "access denied")                                         \
	ROW(NOT_FOUND,            10,     "not found")                                             \
	ROW(NO_CREDENTIALS,       11,     "no credentials")                                        \
	ROW(CREDENTIALS_REFUSED,  12,     "credentials refused")                                   \
	ROW(DELETED,              13,     "gone for good")
/* clang-format on */

/* KEY_STATE_UNKNOWN … */
enum key_state {
#define KEY_STATE(name, number, word) KEY_STATE_##name = (number),
	KEY_STATES(KEY_STATE)
#undef KEY_STATE
};

/* "?": a number that a later release has given. */
static inline const char *key_state_word(unsigned long state)
{
	static const char *const words[] = {
#define KEY_STATE(name, number, word) [number] = (word),
		KEY_STATES(KEY_STATE)
#undef KEY_STATE
	};

	return state < COUNT_OF(words) ? words[state] : "?";
}
