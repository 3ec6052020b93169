/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a reader or writer of a queue does after a failure. */
#pragma once

#include "envelope/status.h"

#include <stdbool.h>

/* Whether the same message may do better later, with nothing changed here: the KMS said no, which
 * its owner can take back, or did not answer; or the store is out of reach. All else (a damaged
 * message, a zone that was deleted, a fault of the caller) stays as it is. */
bool envelope_may_pass(enum envelope_status status, const struct envelope_error *error);
/* How long to wait before the attempt-th try, from 1: 100 ms, then twice as long each time, to 3 s.
 */
unsigned envelope_retry_ms(unsigned attempt);
