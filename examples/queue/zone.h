/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The module, a session on a project, and the zone of one of its databases. Whatever fails here
 * ends the program with a line. */
#pragma once

#include "envelope/keys.h"

struct zone {
	struct envelope_token token;
	CK_OBJECT_HANDLE ezk;
	uint64_t id;
};

/* Loads $CMEK_PKCS11_MODULE, or cmek-pkcs11.so. */
void zone_open(const char *project, const char *database, struct zone *ret_zone);
void zone_close(struct zone *zone);

/* Waits before the next try of what failed, if it may pass (envelope/retry.h); else ends the
 * program. `attempt` counts the tries of one message, and is the caller's. */
void zone_wait(const struct zone *zone, const char *what, enum envelope_status status,
	       const struct envelope_error *error, unsigned *attempt);
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
