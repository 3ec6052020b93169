/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Two operations in one call; see the header. */
#include "session/pairs.h"

#include "base/secret.h"
#include "session/output.h"
#include "session/run_private.h"
#include "session/state.h"

static CK_RV put_both_back(struct operation **op, struct operation **other, CK_RV rv)
{
	operation_put_back(other, (*other)->stage, rv);
	return operation_put_back(op, (*op)->stage, rv);
}

static CK_RV feed(struct operation *op, struct bytes part)
{
	size_t none;

	return op->class->runs[STEP_PART](op, part, NULL, &none);
}

/* The plaintext goes to the other before it may be written over, or as soon as it is there. */
static CK_RV run(struct operation *op, struct operation *other, struct bytes in, CK_BYTE *out,
		 size_t bound, size_t *ret_len)
{
	CK_RV rv;

	if (!operation_opens(op)) {
		TRY(feed(other, in));
		return operation_run(op, STEP_PART, in, out, bound, ret_len);
	}
	TRY(operation_run(op, STEP_PART, in, out, bound, ret_len));
	rv = feed(other, bytes(out, *ret_len));
	if (rv != CKR_OK)
		wipe(out, *ret_len);
	return rv;
}

CK_RV session_run_pair(struct session *session, enum operation_kind crypts,
		       enum operation_kind other_kind, struct bytes in, CK_BYTE *out,
		       CK_ULONG *out_len)
{
	AUTO(operation_endp) struct operation *op = operation_take(session, crypts);
	AUTO(operation_endp) struct operation *other = operation_take(session, other_kind);
	size_t bound, len;

	if (op == NULL || other == NULL || !operation_takes(op, STEP_PART) ||
	    !operation_takes(other, STEP_PART))
		return CKR_OPERATION_NOT_INITIALIZED;
	if (!bytes_valid(in) || out_len == NULL)
		return CKR_ARGUMENTS_BAD;
	TRY(op->class->bounds[STEP_PART](op, in.len, &bound));
	if (out == NULL || get_ulong(out_len) < bound) {
		put_ulong(out_len, bound == 0 ? 1 : bound); /* as of any part: run.c */
		return put_both_back(&op, &other, out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL);
	}
	TRY(operation_may_go_on(session, op));
	TRY(operation_may_go_on(session, other));
	TRY(run(op, other, in, out, bound, &len));
	put_ulong(out_len, len);
	op->stage = other->stage = STAGE_PARTS;
	return put_both_back(&op, &other, CKR_OK);
}
