/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PINs of a project: a verifier each for the user and the security officer, and how often a
 * wrong one was given in a row. They stand in the project's row (docs/format.md, 6.3), where
 * nothing authenticates them: a guard rail for people, not a defence against whoever writes the
 * store (docs/pin.md).
 */
#pragma once

#include "base/buffer.h"
#include "crypto/password.h"
#include "include/pkcs11.h"

enum {
	PIN_MIN = 4, /* bytes */
	PIN_MAX = 255,
	PIN_TRIES = 10,		 /* wrong ones in a row, until it is locked */
	PIN_SO_WAIT_MS = 3600000 /* so long the security officer's is locked then */
};

struct pin {
	uint8_t algorithm; /* enum password_algorithm; 0: none is set */
	uint32_t cost;
	uint8_t salt[PASSWORD_SALT];
	uint8_t verifier[PASSWORD_VERIFIER];
	uint8_t failures;  /* in a row */
	int64_t failed_ms; /* the last of them, real time */
};

/* By CKU_SO and CKU_USER. */
struct pins {
	bool unreadable; /* there are some, but this release can't read them */
	struct pin of[2];
};

/* Of an empty text: none. */
struct pins pins_read(struct bytes text);
void pins_write(const struct pins *pins, struct buffer *out);

static inline bool pin_is_set(const struct pin *pin)
{
	return pin->algorithm != 0;
}
/* A new one, with a salt of its own. CKR_PIN_LEN_RANGE, CKR_FUNCTION_FAILED (logged). */
CK_RV pin_make(struct bytes text, struct pin *ret_pin);
/* CKR_OK, CKR_PIN_INCORRECT; CKR_FUNCTION_FAILED: it can't be told here (logged). Not counted. */
CK_RV pin_check(const struct pin *pin, struct bytes text);
/* After PIN_TRIES wrong ones: the user's until it is set anew, the SO's for an hour after each,
 * and before one that a clock which was ahead wrote. */
bool pin_is_locked(const struct pin *pin, CK_USER_TYPE user, int64_t now_ms);
