/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "envelope/message.h"

#include "base/macros.h"
#include "base/reader.h"

#include <stdio.h>

/* Nothing here is secret, and nothing is trusted: every length is checked. */

static const uint8_t start_of_message[] = {'C', 'M', 'E', 'K', 1, ENVELOPE_KIND_MESSAGE, 0};
static const uint8_t start_of_wrapped[] = {'C', 'D', 'E', 'K', 1, 0, 0, 0};

enum { FLAG_BOUND = 1, FLAG_RECORD = 4, ID_AT = 12 };

static enum envelope_status damaged(struct envelope_error *error, const char *what)
{
	snprintf(error->text, sizeof(error->text), "message: %s", what);
	return ENVELOPE_DAMAGED;
}

static enum envelope_status check_start(struct bytes in, struct envelope_error *error)
{
	size_t magic = in.len < 4 ? in.len : 4;

	if (in.len == 0)
		return ENVELOPE_EMPTY;
	if (memcmp(in.data, start_of_message, magic) != 0)
		return ENVELOPE_NOT_AN_ENVELOPE;
	if (in.len < MESSAGE_HEADER)
		return damaged(error, "cut short");
	if (in.data[4] != start_of_message[4])
		return ENVELOPE_NEWER;
	if (in.data[5] == ENVELOPE_KIND_FILE)
		return damaged(error, "it is a file's envelope");
	if (in.data[5] != ENVELOPE_KIND_MESSAGE)
		return damaged(error, "of no known kind");
	if (in.data[6] != 0 || (in.data[7] & ~(FLAG_BOUND | FLAG_RECORD)) != 0)
		return damaged(error, "bits set that must be zero");
	return ENVELOPE_OK;
}

/* The fields after the flags; `reader` is behind them then. */
static void read_fields(struct reader *reader, uint8_t flags, struct message *m)
{
	m->bound = flags & FLAG_BOUND;
	m->dek = reader_take(reader, MESSAGE_DEK);
	m->dek_id = m->dek.data + ID_AT;
	m->number = reader_u32(reader);
	m->payload_len = reader_u32(reader);
	m->collection = reader_u64(reader);
	if (flags & FLAG_RECORD)
		m->record = reader_sized(reader);
}

static void read_names(struct message *m)
{
	struct reader reader = reader_of(m->dek);

	m->zone = reader_u64(&reader);
	m->version = reader_u32(&reader);
}

static enum envelope_status check_fields(const struct message *m, bool has_record,
					 struct envelope_error *error)
{
	if (m->zone == 0 || m->zone > INT64_MAX || m->version == 0)
		return damaged(error, "impossible zone or version");
	if (m->collection > MESSAGE_COLLECTION_MAX)
		return damaged(error, "impossible collection");
	if (m->payload_len > MESSAGE_PAYLOAD_MAX)
		return damaged(error, "impossible size");
	if (has_record && (m->record.len == 0 || m->record.len > MESSAGE_RECORD_MAX))
		return damaged(error, "impossible length of its key record");
	return ENVELOPE_OK;
}

enum envelope_status message_decode(struct bytes in, struct message *ret_message,
				    struct envelope_error *error)
{
	struct reader reader = reader_of(in);
	struct message message = {0};

	TRY(check_start(in, error));
	reader_take(&reader, MESSAGE_DEK_AT);
	read_fields(&reader, in.data[7], &message);
	if (reader.failed)
		return damaged(error, "cut short");
	read_names(&message);
	TRY(check_fields(&message, in.data[7] & FLAG_RECORD, error));
	message.header = bytes(in.data, in.len - reader.left.len);
	message.sealed = reader.left;
	if (reader.left.len < (size_t)message.payload_len + ENVELOPE_TAG)
		return damaged(error, "cut short");
	if (reader.left.len > (size_t)message.payload_len + ENVELOPE_TAG)
		return damaged(error, "something follows it");
	*ret_message = message;
	return ENVELOPE_OK;
}

void message_wrapped(const struct message *message, uint8_t ret_wrapped[static ENVELOPE_WRAPPED])
{
	memcpy(ret_wrapped, start_of_wrapped, sizeof(start_of_wrapped));
	memcpy(ret_wrapped + sizeof(start_of_wrapped), message->dek.data, ID_AT);
	memcpy(ret_wrapped + MESSAGE_WRAPPED_CLEAR, message->dek_id + MESSAGE_DEK_ID,
	       MESSAGE_WRAPPED);
}

void message_put_dek(struct bytes wrapped, const uint8_t dek_id[static MESSAGE_DEK_ID],
		     uint8_t ret_dek[static MESSAGE_DEK])
{
	memcpy(ret_dek, wrapped.data + sizeof(start_of_wrapped), ID_AT);
	memcpy(ret_dek + ID_AT, dek_id, MESSAGE_DEK_ID);
	memcpy(ret_dek + ID_AT + MESSAGE_DEK_ID, wrapped.data + MESSAGE_WRAPPED_CLEAR,
	       MESSAGE_WRAPPED);
}

enum envelope_status message_header_encode(struct bytes dek, const struct message *message,
					   struct buffer *out)
{
	uint8_t flags = (uint8_t)((message->bound ? FLAG_BOUND : 0) |
				  (message->record.len > 0 ? FLAG_RECORD : 0));

	if (message->record.len > MESSAGE_RECORD_MAX || message->payload_len > MESSAGE_PAYLOAD_MAX)
		return ENVELOPE_TOO_LARGE;
	buffer_append(out, bytes(start_of_message, sizeof(start_of_message)));
	buffer_put_u8(out, flags);
	buffer_append(out, dek);
	buffer_put_u32(out, message->number);
	buffer_put_u32(out, message->payload_len);
	buffer_put_u64(out, message->collection);
	if (message->record.len > 0)
		buffer_put_sized(out, message->record);
	return out->failed ? ENVELOPE_NO_MEMORY : ENVELOPE_OK;
}

void message_dek_aad(const uint8_t dek_id[static MESSAGE_DEK_ID],
		     uint8_t ret_aad[static MESSAGE_DEK_AAD])
{
	memcpy(ret_aad, "cmek/1/message", MESSAGE_DEK_AAD - MESSAGE_DEK_ID);
	memcpy(ret_aad + MESSAGE_DEK_AAD - MESSAGE_DEK_ID, dek_id, MESSAGE_DEK_ID);
}
