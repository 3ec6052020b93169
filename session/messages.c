/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Messages; see the header. A message is an operation of its session, which ends with the scope
 * unless it is put back. */
#include "session/messages.h"

#include "base/secret.h"
#include "mechanisms/message.h"
#include "session/output.h"
#include "session/run_private.h"
#include "session/state.h"

static struct messages *series(struct session *session, enum operation_kind kind)
{
	return &session->messages[kind - OPERATION_MESSAGE_ENCRYPT];
}

static enum key_use use_of(enum operation_kind kind)
{
	return kind == OPERATION_MESSAGE_ENCRYPT ? KEY_MESSAGE_ENCRYPT : KEY_MESSAGE_DECRYPT;
}

/* --- The series */

static void end_series(struct session *session, enum operation_kind kind)
{
	operation_end(&session->operations[kind]);
	*series(session, kind) = (struct messages){0};
}

CK_RV session_messages_begin(struct session *session, enum operation_kind kind,
			     const CK_MECHANISM *mechanism, CK_OBJECT_HANDLE key)
{
	struct messages *messages = series(session, kind);
	struct ready_key *ready;
	CK_MECHANISM given;

	if (mechanism == NULL) {
		end_series(session, kind);
		return CKR_OK;
	}
	if (messages->active)
		return CKR_OPERATION_ACTIVE;
	memcpy(&given, (const void *)mechanism, sizeof(given));
	TRY(session_key(session, use_of(kind), given.mechanism, key, &ready));
	if (ready->mechanism->does->messages == NULL)
		return CKR_MECHANISM_INVALID;
	TRY(message_parameter_first(ready->mechanism, &given));
	TRY(ready_key_begin(ready, session->objects, session->realtime_ms));
	*messages = (struct messages){.active = true, .type = given.mechanism, .key = key};
	return CKR_OK;
}

CK_RV session_messages_end(struct session *session, enum operation_kind kind)
{
	if (!series(session, kind)->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	end_series(session, kind);
	return CKR_OK;
}

/* --- A message begins */

/* Is there a series, and no message in parts? */
static CK_RV may_begin(struct session *session, enum operation_kind kind)
{
	if (!series(session, kind)->active)
		return CKR_OPERATION_NOT_INITIALIZED;
	return session->operations[kind].class == NULL ? CKR_OK : CKR_OPERATION_ACTIVE;
}

/* That the series named. */
static CK_RV find_mechanism(struct session *session, enum operation_kind kind,
			    const struct mechanism **ret_mechanism)
{
	*ret_mechanism = mechanism_find(series(session, kind)->type);
	return *ret_mechanism == NULL || (*ret_mechanism)->does->messages == NULL
		       ? CKR_MECHANISM_INVALID
		       : CKR_OK;
}

/* Whatever it learns of the key now, what it may be and whether it may be used, counts. */
static CK_RV start(struct session *session, enum operation_kind kind, struct operation *op,
		   const struct message *message, struct bytes aad, uint8_t *ret_iv)
{
	const struct messages *messages = series(session, kind);
	struct parameter parameter = {.aad = aad,
				      .tag_len = message->tag_len,
				      .data_len = message->data_len,
				      .iv = bytes(ret_iv, message->iv_len)};

	TRY(session_key(session, use_of(kind), messages->type, messages->key, &op->key));
	op->mechanism = op->key->mechanism;
	op->class = op->mechanism->does->operations[kind];
	op->objects = session->objects;
	op->kind = kind;
	op->pending = 0;
	TRY(ready_key_begin(op->key, op->objects, session->realtime_ms));
	if (kind == OPERATION_MESSAGE_ENCRYPT)
		TRY(message_iv(op->objects, op->key, message, ret_iv));
	else
		memcpy(ret_iv, message->iv, message->iv_len);
	return op->class->start(op, &parameter);
}

static void give_iv(const struct operation *op, const struct message *message, const uint8_t *iv)
{
	if (!operation_opens(op))
		message_give_iv(message, iv);
}

static void take_tag(struct operation *op, const struct message *message)
{
	if (operation_opens(op))
		memcpy(op->tag, message->tag, message->tag_len);
}

static void give_tag(const struct operation *op, const struct message *message)
{
	if (!operation_opens(op))
		memcpy(message->tag, op->tag, message->tag_len);
}

/* --- A message at once */

static CK_RV run_at_once(struct session *session, enum operation_kind kind,
			 const struct message *message, const struct message_call *call)
{
	AUTO(operation_endp) struct operation *op = &session->operations[kind];
	uint8_t iv[MESSAGE_IV_MAX];
	size_t bound, len;

	TRY(start(session, kind, op, message, call->aad, iv));
	TRY(op->class->bounds[STEP_ONCE](op, call->in.len, &bound));
	take_tag(op, message);
	TRY(operation_run(op, STEP_ONCE, call->in, call->out, bound, &len));
	give_iv(op, message, iv);
	give_tag(op, message);
	put_ulong(call->out_len, len);
	return CKR_OK;
}

/* Before an IV is made or a byte of the output touched: a length may be garbage. */
static CK_RV check_len(enum operation_kind kind, const struct message *message, size_t len)
{
	if (len <= message->text_max && (!message->is_sized || message->data_len == len))
		return CKR_OK;
	return kind == OPERATION_MESSAGE_DECRYPT ? CKR_ENCRYPTED_DATA_LEN_RANGE
						 : CKR_DATA_LEN_RANGE;
}

CK_RV session_message(struct session *session, enum operation_kind kind,
		      const struct message_call *call)
{
	const struct mechanism *mechanism;
	struct message message;
	bool has_room;

	TRY(may_begin(session, kind));
	if (!bytes_valid(call->in) || !bytes_valid(call->aad) || call->out_len == NULL)
		return CKR_ARGUMENTS_BAD;
	TRY(find_mechanism(session, kind, &mechanism));
	TRY(message_parameter_with_tag(mechanism, call->parameter, call->parameter_len, &message));
	TRY(check_len(kind, &message, call->in.len));
	has_room = call->out != NULL && get_ulong(call->out_len) >= call->in.len;
	/* An empty message needs none: all it gives is a tag, or a yes, which must not be unseen.
	 */
	if (!has_room && call->in.len > 0) {
		put_ulong(call->out_len, call->in.len);
		return call->out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL;
	}
	return run_at_once(session, kind, &message, call);
}

/* --- A message in parts */

static CK_RV begin_parts(struct session *session, enum operation_kind kind,
			 const struct message *message, struct bytes aad)
{
	AUTO(operation_endp) struct operation *op = &session->operations[kind];
	uint8_t iv[MESSAGE_IV_MAX];

	TRY(start(session, kind, op, message, aad, iv));
	give_iv(op, message, iv);
	return operation_put_back(&op, STAGE_FRESH, CKR_OK);
}

CK_RV session_message_begin(struct session *session, enum operation_kind kind,
			    const struct message_call *call)
{
	const struct mechanism *mechanism;
	struct message message;

	TRY(may_begin(session, kind));
	if (!bytes_valid(call->aad))
		return CKR_ARGUMENTS_BAD;
	TRY(find_mechanism(session, kind, &mechanism));
	TRY(message_parameter_read(mechanism, call->parameter, call->parameter_len, &message));
	return begin_parts(session, kind, &message, call->aad);
}

/* The structure that holds the tag; of a further part it does not matter. */
static CK_RV read_end(const struct operation *op, const struct message_call *call,
		      struct message *ret_message)
{
	TRY(message_parameter_with_tag(op->mechanism, call->parameter, call->parameter_len,
				       ret_message));
	return ret_message->tag_len == op->tag_len ? CKR_OK : CKR_MECHANISM_PARAM_INVALID;
}

static CK_RV answer_len(struct operation **op, size_t bound, const struct message_call *call)
{
	put_ulong(call->out_len, bound);
	return operation_put_back(op, (*op)->stage,
				  call->out == NULL ? CKR_OK : CKR_BUFFER_TOO_SMALL);
}

CK_RV session_message_next(struct session *session, enum operation_kind kind,
			   const struct message_call *call, CK_FLAGS flags)
{
	AUTO(operation_endp) struct operation *op = &session->operations[kind];
	enum step step = flags == CKF_END_OF_MESSAGE ? STEP_LAST : STEP_PART;
	struct message message;
	size_t bound, len;
	bool has_room;

	if (op->class == NULL)
		return CKR_OPERATION_NOT_INITIALIZED;
	if (!bytes_valid(call->in) || call->out_len == NULL || (flags & ~CKF_END_OF_MESSAGE) != 0)
		return CKR_ARGUMENTS_BAD;
	if (step == STEP_LAST)
		TRY(read_end(op, call, &message));
	TRY(op->class->bounds[step](op, call->in.len, &bound));
	has_room = call->out != NULL && get_ulong(call->out_len) >= bound;
	if (!has_room && (step == STEP_PART || bound > 0))
		return answer_len(&op, bound, call);
	TRY(ready_key_continue(op->key, session->realtime_ms));
	if (step == STEP_LAST)
		take_tag(op, &message);
	TRY(operation_run(op, step, call->in, call->out, bound, &len));
	put_ulong(call->out_len, len);
	if (step == STEP_PART)
		return operation_put_back(&op, STAGE_PARTS, CKR_OK);
	give_tag(op, &message);
	return CKR_OK;
}
