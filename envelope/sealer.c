/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/sealer.h"

#include "base/macros.h"
#include "envelope/message_keys.h"

void message_sealer_init(struct message_sealer *sealer, struct envelope_token *token,
			 CK_OBJECT_HANDLE ezk, bool embed, const struct message_limits *limits,
			 const struct clock *clock)
{
	struct message_limits none = {0}, given = limits == NULL ? none : *limits;

	*sealer = (struct message_sealer){
		.token = token,
		.ezk = ezk,
		.embed = embed,
		.clock = clock == NULL ? &clock_system : clock,
		.limits = {
			.messages = given.messages == 0 ? MESSAGE_KEY_MESSAGES : given.messages,
			.bytes = given.bytes == 0 ? MESSAGE_KEY_BYTES : given.bytes,
			.ms = given.ms == 0 ? MESSAGE_KEY_MS : given.ms,
		}};
	if (sealer->limits.messages > MESSAGE_NUMBERS)
		sealer->limits.messages = MESSAGE_NUMBERS;
}

static void forget_key(struct message_sealer *sealer)
{
	if (sealer->dek != CK_INVALID_HANDLE)
		sealer->token->functions->C_DestroyObject(sealer->token->session, sealer->dek);
	sealer->dek = CK_INVALID_HANDLE;
	buffer_clear(&sealer->record);
}

void message_sealer_clear(struct message_sealer *sealer)
{
	if (sealer->token != NULL)
		forget_key(sealer);
	sealer->token = NULL;
}

/* --- The data key ---------------------------------------------------------------------------- */

static enum envelope_status name_key(struct message_sealer *sealer, struct envelope_error *error)
{
	AUTO(buffer_clear) struct buffer wrapped = {0};
	uint8_t id[32], aad[MESSAGE_DEK_AAD];
	uint64_t zone;

	TRY(envelope_derive_public(sealer->token, sealer->dek, "cmek/1/dek-id", bytes(NULL, 0), id,
				   error));
	message_dek_aad(id, aad);
	TRY(envelope_dek_wrap(sealer->token, sealer->dek, sealer->ezk, bytes(aad, sizeof(aad)),
			      &wrapped, sealer->embed ? &sealer->record : NULL, error));
	if (wrapped.len != ENVELOPE_WRAPPED ||
	    !envelope_wrapped_version(buffer_bytes(&wrapped), &zone, &sealer->version))
		return envelope_failed(sealer->token, error, "C_WrapKey", CKR_GENERAL_ERROR);
	message_put_dek(buffer_bytes(&wrapped), id, sealer->names);
	return ENVELOPE_OK;
}

static enum envelope_status make_key(struct message_sealer *sealer, struct envelope_error *error)
{
	struct moment now = clock_now(sealer->clock);

	forget_key(sealer);
	TRY(message_dek_make(sealer->token, &sealer->dek, error));
	sealer->sealed = sealer->sealed_bytes = 0;
	sealer->end = moment_after(now, sealer->limits.ms);
	sealer->look = moment_after(now, MESSAGE_LOOK_MS);
	return name_key(sealer, error);
}

/* Whether the zone's primary key is another than the one that wraps the data key. */
static enum envelope_status look(struct message_sealer *sealer, bool *ret_rotated,
				 struct envelope_error *error)
{
	struct moment now = clock_now(sealer->clock);
	uint32_t version;

	*ret_rotated = false;
	if (!moment_passed(sealer->look, now))
		return ENVELOPE_OK;
	TRY(envelope_zone_version(sealer->token, sealer->ezk, &version, error));
	sealer->look = moment_after(now, MESSAGE_LOOK_MS);
	*ret_rotated = version != sealer->version;
	return ENVELOPE_OK;
}

static bool is_used_up(const struct message_sealer *sealer, size_t payload_len)
{
	return sealer->sealed >= sealer->limits.messages ||
	       (sealer->sealed > 0 && sealer->sealed_bytes + payload_len > sealer->limits.bytes) ||
	       moment_passed(sealer->end, clock_now(sealer->clock));
}

static enum envelope_status have_key(struct message_sealer *sealer, size_t payload_len,
				     struct envelope_error *error)
{
	bool rotated;

	if (sealer->dek == CK_INVALID_HANDLE || is_used_up(sealer, payload_len))
		return make_key(sealer, error);
	TRY(look(sealer, &rotated, error));
	return rotated ? make_key(sealer, error) : ENVELOPE_OK;
}

/* --- A message ------------------------------------------------------------------------------- */

/* The header, which is authenticated where it lies, then the ciphertext. A number is used up by
 * whoever takes it. */
static enum envelope_status seal(struct message_sealer *sealer, const struct message_input *input,
				 struct buffer *out, struct envelope_error *error)
{
	struct message message = {.payload_len = (uint32_t)input->payload.len,
				  .collection = input->collection,
				  .bound = input->bound_to.len > 0};
	struct message_payload payload = {.bound_to = input->bound_to};
	size_t before = out->len, header;
	uint8_t *sealed;

	TRY(have_key(sealer, input->payload.len, error));
	message.number = (uint32_t)sealer->sealed++;
	message.record = buffer_bytes(&sealer->record);
	sealer->sealed_bytes += input->payload.len;
	TRY(message_header_encode(bytes(sealer->names, MESSAGE_DEK), &message, out));
	header = out->len - before;
	sealed = buffer_extend(out, input->payload.len + ENVELOPE_TAG);
	if (sealed == NULL)
		return ENVELOPE_NO_MEMORY;
	payload.dek = sealer->dek;
	payload.number = message.number;
	payload.header = bytes(sealed - header, header);
	return message_payload_seal(sealer->token, &payload, input->payload, sealed, error);
}

enum envelope_status message_seal(struct message_sealer *sealer, const struct message_input *input,
				  struct buffer *out, struct envelope_error *error)
{
	size_t before = out->len;
	enum envelope_status status;

	if (input->payload.len > MESSAGE_PAYLOAD_MAX || input->collection > MESSAGE_COLLECTION_MAX)
		return ENVELOPE_TOO_LARGE;
	status = seal(sealer, input, out, error);
	if (status == ENVELOPE_OK)
		return ENVELOPE_OK;
	buffer_truncate(out, before);
	forget_key(sealer);
	return status;
}
