/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What run.c, pairs.c, states.c and messages.c share. */
#pragma once

#include "mechanisms/operation.h"
#include "session/session.h"

/* For AUTO: whoever has taken an operation out of the session ends it, unless it is put back. */
void operation_endp(struct operation **op);
CK_RV operation_put_back(struct operation **op, enum stage stage, CK_RV rv);
/* The work of a step; `out` has room for `bound` bytes, and may overlap with `in` in any way. When
 * opening fails, `out` is wiped. */
CK_RV operation_run(struct operation *op, enum step step, struct bytes in, uint8_t *out,
		    size_t bound, size_t *ret_len);
/* NULL: none of this kind is active. */
struct operation *operation_take(struct session *session, enum operation_kind kind);
/* May this step come now? */
bool operation_takes(const struct operation *op, enum step step);
/* Looks at the key's lease (KMS). */
CK_RV operation_may_go_on(const struct session *session, struct operation *op);
