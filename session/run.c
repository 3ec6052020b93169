/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How operations begin, run and end. The rules of the standard that all of them share are written
 * here once: the two-call rule ("Conventions for functions returning output in a variable-length
 * buffer"), and which returns end an operation. Ownership is the rule: an operation is taken out of
 * the session and dies with the scope; the one way to keep it is to put it back.
 */
#include "session/run.h"

#include "base/secret.h"
#include "session/messages.h"
#include "session/output.h"
#include "session/run_private.h"
#include "session/state.h"

void operation_endp(struct operation **op)
{
	if (*op != NULL)
		operation_end(*op);
}

struct operation *operation_take(struct session *session, enum operation_kind kind)
{
	struct operation *op = &session->operations[kind];

	return op->class == NULL ? NULL : op;
}

CK_RV operation_put_back(struct operation **op, enum stage stage, CK_RV rv)
{
	(*op)->stage = stage;
	*op = NULL;
	return rv;
}

static CK_RV fill(struct session *session, struct operation *op, const CK_MECHANISM *given,
		  CK_OBJECT_HANDLE key)
{
	static const enum key_use uses[OPERATION_KIND_COUNT] = {
		[OPERATION_ENCRYPT] = KEY_ENCRYPT,
		[OPERATION_DECRYPT] = KEY_DECRYPT,
		[OPERATION_SIGN] = KEY_SIGN,
		[OPERATION_VERIFY] = KEY_VERIFY,
	};

	TRY(session_key(session, uses[op->kind], given->mechanism, key, &op->key));
	op->mechanism = op->key->mechanism;
	return CKR_OK;
}

static CK_RV fill_digest(struct operation *op, const CK_MECHANISM *given)
{
	op->mechanism = mechanism_find_for(given->mechanism, CKF_DIGEST);
	return op->mechanism == NULL ? CKR_MECHANISM_INVALID : CKR_OK;
}

static CK_RV start(const struct session *session, struct operation *op, const CK_MECHANISM *given)
{
	AUTO(parameter_clear) struct parameter parameter = {0};

	TRY(parameter_read(op->mechanism, given, &parameter));
	if (op->key != NULL)
		TRY(ready_key_begin(op->key, op->objects, session->realtime_ms));
	return op->class->start(op, &parameter);
}

static bool has_result(const struct operation *op)
{
	return op->stage == STAGE_ONCE || op->stage == STAGE_LAST;
}

/* An empty plaintext was found authentic by what may have been meant as a length query: the caller
 * may come for it, or be content. */
static bool is_answered(const struct operation *op)
{
	return has_result(op) && op->class->authenticates && op->result.len == 0;
}

CK_RV session_begin(struct session *session, enum operation_kind kind,
		    const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	AUTO(operation_endp) struct operation *op = &session->operations[kind];
	CK_MECHANISM given;

	if (mechanism == NULL)
		return CKR_OK;
	if (op->class != NULL) {
		if (!is_answered(op))
			return operation_put_back(&op, op->stage, CKR_OPERATION_ACTIVE);
		operation_end(op);
	}
	memcpy(&given, (const void *)mechanism, sizeof(given));
	op->objects = session->objects;
	op->kind = kind;
	op->pending = 0;
	TRY(kind == OPERATION_DIGEST ? fill_digest(op, &given) : fill(session, op, &given, key));
	op->class = op->mechanism->does->operations[kind];
	if (op->class == NULL)
		return CKR_MECHANISM_INVALID;
	TRY(start(session, op, &given));
	return operation_put_back(&op, STAGE_FRESH, CKR_OK);
}

/* C_Encrypt neither ends a multi-part operation nor takes a result that C_EncryptFinal kept. */
bool operation_takes(const struct operation *op, enum step step)
{
	static const bool fits[][STEP_COUNT] = {
		[STAGE_FRESH] = {true, true, true},
		[STAGE_PARTS] = {false, true, true},
		[STAGE_ONCE] = {true, false, false},
		[STAGE_LAST] = {false, false, true},
	};

	return fits[op->stage][step];
}

static bool ranges_meet(struct bytes in, const uint8_t *out, size_t out_len)
{
	uintptr_t a = (uintptr_t)in.data, b = (uintptr_t)out;

	return in.len > 0 && a < b + out_len && b < a + in.len;
}

/* Memory that overlaps in another way than "in place" would be written over before it is read. */
static CK_RV run_on_copy(struct operation *op, enum step step, struct bytes in, uint8_t *out,
			 size_t *ret_len)
{
	AUTO(buffer_clear) struct buffer copy = {0};

	buffer_append(&copy, in);
	if (copy.failed)
		return CKR_HOST_MEMORY;
	return op->class->runs[step](op, buffer_bytes(&copy), out, ret_len);
}

/* Nothing half decrypted stays behind a failure. */
CK_RV operation_run(struct operation *op, enum step step, struct bytes in, uint8_t *out,
		    size_t bound, size_t *ret_len)
{
	CK_RV rv;

	if (in.data != out && ranges_meet(in, out, bound))
		rv = run_on_copy(op, step, in, out, ret_len);
	else
		rv = op->class->runs[step](op, in, out, ret_len);
	if (rv != CKR_OK && operation_opens(op))
		wipe(out, bound);
	return rv;
}

/* The work is done once and its result kept, since the length is known only afterwards. */
static CK_RV run_aside(struct operation *op, enum step step, struct bytes in, size_t bound)
{
	uint8_t none, *out = bound == 0 ? &none : buffer_extend(&op->result, bound);
	size_t len;

	if (out == NULL)
		return CKR_HOST_MEMORY;
	TRY(operation_run(op, step, in, out, bound, &len));
	buffer_truncate(&op->result, len);
	if (step == STEP_ONCE && bound == 0 && op->class->authenticates)
		memcpy(op->tag, in.data, op->tag_len);
	return CKR_OK;
}

/* Of an empty text, whoever comes again is told CKR_OK of what was looked at and of nothing else.
 */
static bool is_other(const struct operation *op, enum step step, struct bytes in)
{
	return step == STEP_ONCE && is_answered(op) &&
	       !bytes_equal(in, bytes(op->tag, op->tag_len));
}

static CK_RV hand_over(struct operation **op, enum step step, CK_BYTE *out, CK_ULONG *out_len)
{
	struct bytes result = buffer_bytes(&(*op)->result);
	bool has_room = out != NULL && get_ulong(out_len) >= result.len;

	put_ulong(out_len, result.len);
	if (!has_room)
		return operation_put_back(op, step == STEP_ONCE ? STAGE_ONCE : STAGE_LAST,
					  out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL);
	if (result.len > 0)
		memcpy(out, result.data, result.len);
	return CKR_OK;
}

/* There is no buffer, or it is too small: a caller who only lacks room may call again. The bound of
 * a part is told as more than 0: programs that make a buffer of that length would give none, and
 * ask again where they mean to go on. */
static CK_RV answer_len(struct operation **op, enum step step, size_t bound, const CK_BYTE *out,
			CK_ULONG *out_len)
{
	put_ulong(out_len, step == STEP_PART && bound == 0 ? 1 : bound);
	return operation_put_back(op, (*op)->stage, out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL);
}

/* Is the work done without room for the bound? Where it is known only afterwards whether the buffer
 * is too small; and where nothing comes out but CKR_OK, which nobody may take for a yes that was
 * not thought of. */
static bool works_aside(const struct operation *op, enum step step, const CK_BYTE *out,
			size_t bound)
{
	if (step == STEP_PART)
		return false;
	return (out != NULL && op->class->inexact) || (bound == 0 && op->class->authenticates);
}

CK_RV operation_may_go_on(const struct session *session, struct operation *op)
{
	return op->key == NULL ? CKR_OK : ready_key_continue(op->key, session->realtime_ms);
}

/* To a caller who comes again: the work was done before. */
static CK_RV answer_again(const struct session *session, struct operation **op, enum step step,
			  struct bytes in, CK_BYTE *out, CK_ULONG *out_len)
{
	if (is_other(*op, step, in))
		return CKR_ENCRYPTED_DATA_INVALID;
	if (out != NULL)
		TRY(operation_may_go_on(session, *op));
	return hand_over(op, step, out, out_len);
}

CK_RV session_run(struct session *session, enum operation_kind kind, enum step step,
		  struct bytes in, CK_BYTE *out, CK_ULONG *out_len)
{
	/* Ours from here on, so that every return ends the operation unless it is put back. */
	AUTO(operation_endp) struct operation *op = operation_take(session, kind);
	size_t bound, len;
	bool has_room;

	if (op == NULL || !operation_takes(op, step))
		return CKR_OPERATION_NOT_INITIALIZED;
	if (!bytes_valid(in) || out_len == NULL)
		return CKR_ARGUMENTS_BAD;
	if (has_result(op))
		return answer_again(session, &op, step, in, out, out_len);
	TRY(op->class->bounds[step](op, in.len, &bound));
	has_room = out != NULL && get_ulong(out_len) >= bound;
	if (!has_room && !works_aside(op, step, out, bound))
		return answer_len(&op, step, bound, out, out_len);
	TRY(operation_may_go_on(session, op));
	if (!has_room) {
		TRY(run_aside(op, step, in, bound));
		return hand_over(&op, step, out, out_len);
	}
	TRY(operation_run(op, step, in, out, bound, &len));
	put_ulong(out_len, len);
	return step == STEP_PART ? operation_put_back(&op, STAGE_PARTS, CKR_OK) : CKR_OK;
}

CK_RV session_feed(struct session *session, enum operation_kind kind, struct bytes in)
{
	AUTO(operation_endp) struct operation *op = operation_take(session, kind);
	size_t len;

	if (op == NULL || !operation_takes(op, STEP_PART))
		return CKR_OPERATION_NOT_INITIALIZED;
	if (!bytes_valid(in))
		return CKR_ARGUMENTS_BAD;
	TRY(operation_may_go_on(session, op));
	TRY(op->class->runs[STEP_PART](op, in, NULL, &len));
	return operation_put_back(&op, STAGE_PARTS, CKR_OK);
}

CK_RV session_verify(struct session *session, enum step step, struct bytes in,
		     struct bytes signature)
{
	AUTO(operation_endp) struct operation *op = operation_take(session, OPERATION_VERIFY);
	uint8_t made[MAC_MAX_SIZE];
	size_t len;
	bool same;

	if (op == NULL || !operation_takes(op, step))
		return CKR_OPERATION_NOT_INITIALIZED;
	if (!bytes_valid(in) || signature.data == NULL)
		return CKR_ARGUMENTS_BAD;
	TRY(op->class->bounds[step](op, in.len, &len));
	if (signature.len != len)
		return CKR_SIGNATURE_LEN_RANGE;
	TRY(operation_may_go_on(session, op));
	TRY(op->class->runs[step](op, in, made, &len));
	same = bytes_equal_constant_time(bytes(made, len), signature);
	wipe(made, sizeof(made));
	return same ? CKR_OK : CKR_SIGNATURE_INVALID;
}

/* PKCS #11, "C_DigestKey": only keys whose value the application may see anyhow, and could digest
 * itself. */
static CK_RV feed_value(struct operation *op, struct object *key)
{
	AUTO(secret_freep) uint8_t *value = NULL;
	size_t len;

	if (key->kind != OBJECT_KEY || (key->flags & OBJECT_SENSITIVE) != 0 ||
	    (key->flags & OBJECT_EXTRACTABLE) == 0)
		return CKR_KEY_INDIGESTIBLE;
	TRY(key_begin(key, ERROR_USE));
	TRY(key_value(op->objects, key, ERROR_USE, &value));
	return op->class->runs[STEP_PART](op, bytes(value, key->value_len), NULL, &len);
}

CK_RV session_feed_key(struct session *session, CK_OBJECT_HANDLE handle)
{
	AUTO(operation_endp) struct operation *op = operation_take(session, OPERATION_DIGEST);
	AUTO(object_releasep) struct object *key = NULL;

	if (op == NULL || !operation_takes(op, STEP_PART))
		return CKR_OPERATION_NOT_INITIALIZED;
	TRY(session_object(session, handle, CKR_KEY_HANDLE_INVALID, &key));
	TRY(feed_value(op, key));
	return operation_put_back(&op, STAGE_PARTS, CKR_OK);
}

/* --- Cancelled */

void session_cancel(struct session *session, CK_FLAGS flags)
{
	static const CK_FLAGS named[OPERATION_KIND_COUNT] = {
		[OPERATION_ENCRYPT] = CKF_ENCRYPT, [OPERATION_DECRYPT] = CKF_DECRYPT,
		[OPERATION_DIGEST] = CKF_DIGEST,   [OPERATION_SIGN] = CKF_SIGN,
		[OPERATION_VERIFY] = CKF_VERIFY,
	};

	for (size_t i = 0; i < OPERATION_KIND_COUNT; i++)
		if ((flags & named[i]) != 0)
			operation_end(&session->operations[i]);
	if ((flags & CKF_MESSAGE_ENCRYPT) != 0)
		session_messages_end(session, OPERATION_MESSAGE_ENCRYPT);
	if ((flags & CKF_MESSAGE_DECRYPT) != 0)
		session_messages_end(session, OPERATION_MESSAGE_DECRYPT);
	if ((flags & CKF_FIND_OBJECTS) != 0)
		search_clear(&session->search);
}
