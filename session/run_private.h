/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What run.c and messages.c share. */
#pragma once

#include "mechanisms/operation.h"

/* For AUTO: whoever has taken an operation out of the session ends it, unless it is put back. */
void operation_endp(struct operation **op);
CK_RV operation_put_back(struct operation **op, enum stage stage, CK_RV rv);
/* The work of a step; `out` has room for `bound` bytes, and may overlap with `in` in any way. When
 * opening fails, `out` is wiped. */
CK_RV operation_run(struct operation *op, enum step step, struct bytes in, uint8_t *out,
		    size_t bound, size_t *ret_len);
