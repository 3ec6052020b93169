/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Verifiers of passwords: what can be kept of a password to know it again, and costs whoever
 * guesses it. */
#pragma once

#include "base/bytes.h"

/* As stored (docs/format.md, 6.3): never renumbered. */
enum password_algorithm {
	PASSWORD_SCRYPT = 1, /* RFC 7914, r = 8, p = 1; cost: the binary logarithm of N */
	PASSWORD_PBKDF2 = 2, /* RFC 8018, with HMAC-SHA-256; cost: iterations */
};
enum { PASSWORD_SALT = 16, PASSWORD_VERIFIER = 32 };

/* What to use here: PBKDF2 with FIPS algorithms only, else scrypt; and what it should cost today.
 */
enum password_algorithm password_algorithm(uint32_t *ret_cost);
/* Takes a tenth of a second or more, and tens of megabytes. False, logged: the algorithm is not to
 * be had here, the cost is beyond reason, or memory lacks. */
bool password_verifier(enum password_algorithm algorithm, uint32_t cost, struct bytes password,
		       const uint8_t salt[static PASSWORD_SALT],
		       uint8_t ret_verifier[static PASSWORD_VERIFIER]);
