/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/writer.h"

#include "base/macros.h"
#include "base/secret.h"
#include "envelope/reader.h"

#include <errno.h>
#include <stdlib.h>

/* --- The header */

/* The lengths of slot 0's contents are authenticated too, so a first wrap is needed to learn them.
 */
static enum envelope_status measure(struct envelope_token *token, const struct envelope_keys *keys,
				    CK_OBJECT_HANDLE ezk, struct buffer *wrapped,
				    struct buffer *record, struct envelope_header *header,
				    struct envelope_error *error)
{
	uint32_t version;

	TRY(envelope_keys_wrap(token, keys, ezk, bytes(header->immutable, 0), wrapped, record,
			       error));
	if (!envelope_wrapped_version(buffer_bytes(wrapped), &header->zone, &version))
		return envelope_failed(token, error, "C_WrapKey", CKR_GENERAL_ERROR);
	return envelope_header_prepare(
		header, wrapped->len,
		envelope_record_room(record == NULL ? bytes(NULL, 0) : buffer_bytes(record)));
}

static enum envelope_status make_header(struct envelope_token *token,
					const struct envelope_keys *keys, CK_OBJECT_HANDLE ezk,
					struct bytes name, struct envelope_header *header,
					struct buffer *out, struct envelope_error *error)
{
	AUTO(buffer_clear) struct buffer wrapped = {0}, record = {0};
	struct envelope_slot slot = {.sequence = 1};
	struct buffer *embedded;

	TRY(envelope_zone_is_kept(token, ezk, &header->kept, error));
	if (header->kept)
		TRY(envelope_project(token, header->project, error));
	embedded = header->kept ? NULL : &record;
	header->name_bound |= name.data != NULL;
	if (name.data != NULL)
		TRY(envelope_name_binding(token, header->salt, name, header->name_binding, error));
	memcpy(header->commitment, keys->commitment, sizeof(header->commitment));
	TRY(measure(token, keys, ezk, &wrapped, embedded, header, error));
	TRY(envelope_keys_wrap(token, keys, ezk,
			       bytes(header->immutable, sizeof(header->immutable)), &wrapped,
			       embedded, error));
	slot.wrapped = buffer_bytes(&wrapped);
	slot.record = buffer_bytes(&record);
	return envelope_header_encode(header, 0, &slot, out);
}

static bool make_room(struct envelope_writer *writer)
{
	size_t len = writer->payload.chunk_len;

	writer->memory = malloc(3 * len + ENVELOPE_TAG);
	if (writer->memory == NULL)
		return false;
	writer->held = writer->memory;
	writer->filling = writer->held + len;
	writer->sealed = writer->filling + len;
	return true;
}

static enum envelope_status write_out(struct envelope_writer *writer, struct bytes bytes,
				      struct envelope_error *error)
{
	if (writer->io.write(writer->io.state, bytes))
		return ENVELOPE_OK;
	error->system_error = errno;
	return ENVELOPE_OUTPUT;
}

/* `header` has salt, chunk size and, of one that is kept, the name binding. */
static enum envelope_status begin(struct envelope_writer *writer, struct envelope_token *token,
				  CK_OBJECT_HANDLE ezk, struct bytes name,
				  const struct envelope_io *io, struct envelope_error *error)
{
	writer->io = *io;
	writer->payload.token = token;
	TRY(envelope_keys_make(token, writer->header.salt, &writer->keys, error));
	TRY(make_header(token, &writer->keys, ezk, name, &writer->header, &writer->start, error));
	TRY(envelope_keys_payload(token, &writer->keys, writer->header.salt, error));
	writer->payload = envelope_payload_of(token, &writer->header, &writer->keys);
	if (!make_room(writer))
		return ENVELOPE_NO_MEMORY;
	TRY(write_out(writer, buffer_bytes(&writer->start), error));
	buffer_clear(&writer->start);
	return ENVELOPE_OK;
}

enum envelope_status envelope_writer_begin(struct envelope_writer *writer,
					   struct envelope_token *token, CK_OBJECT_HANDLE ezk,
					   const struct envelope_options *options,
					   const struct envelope_io *io,
					   struct envelope_error *error)
{
	*writer = (struct envelope_writer){.header.chunk_bits = ENVELOPE_CHUNK_BITS};
	TRY(envelope_random(token, writer->header.salt, sizeof(writer->header.salt), error));
	return begin(writer, token, ezk, options->name, io, error);
}

/* A name's binding depends on the salt, which is kept with it; the data key, and so all that is
 * derived with the salt, is another. */
enum envelope_status envelope_writer_begin_anew(struct envelope_writer *writer,
						const struct envelope_resealing *task,
						const struct envelope_io *io,
						struct envelope_error *error)
{
	const struct envelope_header *old = task->header;
	struct envelope_header *header = &writer->header;

	*writer = (struct envelope_writer){
		.header = {.chunk_bits = old->chunk_bits, .name_bound = old->name_bound}};
	if (header->name_bound) {
		memcpy(header->salt, old->salt, sizeof(header->salt));
		memcpy(header->name_binding, old->name_binding, sizeof(header->name_binding));
	} else {
		TRY(envelope_random(task->to, header->salt, sizeof(header->salt), error));
	}
	return begin(writer, task->to, task->ezk, bytes(NULL, 0), io, error);
}

void envelope_writer_clear(struct envelope_writer *writer)
{
	if (writer->memory != NULL)
		wipe(writer->memory, 3 * writer->payload.chunk_len + ENVELOPE_TAG);
	free(writer->memory);
	buffer_clear(&writer->start);
	if (writer->payload.token != NULL)
		envelope_keys_clear(writer->payload.token, &writer->keys);
	*writer = (struct envelope_writer){0};
}

/* --- The chunks */

static enum envelope_status seal_and_write(struct envelope_writer *writer, bool last,
					   struct bytes chunk, struct envelope_error *error)
{
	TRY(envelope_chunk_seal(&writer->payload, writer->index, last, chunk, writer->sealed,
				error));
	writer->index++;
	return write_out(writer, bytes(writer->sealed, chunk.len + ENVELOPE_TAG), error);
}

static enum envelope_status seal(struct envelope_writer *writer, bool last, struct bytes chunk,
				 struct envelope_error *error)
{
	if (writer->failed == ENVELOPE_OK)
		writer->failed = seal_and_write(writer, last, chunk, error);
	return writer->failed;
}

/* Something follows, so it is not the last. */
static enum envelope_status let_go(struct envelope_writer *writer, struct envelope_error *error)
{
	if (!writer->holds)
		return ENVELOPE_OK;
	writer->holds = false;
	return seal(writer, false, bytes(writer->held, writer->payload.chunk_len), error);
}

uint8_t *envelope_writer_room(const struct envelope_writer *writer, size_t *ret_len)
{
	*ret_len = writer->payload.chunk_len - writer->filled;
	return writer->filling + writer->filled;
}

enum envelope_status envelope_writer_filled(struct envelope_writer *writer, size_t len,
					    struct envelope_error *error)
{
	uint8_t *full = writer->filling;

	if (len == 0)
		return ENVELOPE_OK;
	TRY(let_go(writer, error));
	writer->filled += len;
	if (writer->filled < writer->payload.chunk_len)
		return ENVELOPE_OK;
	writer->filling = writer->held;
	writer->held = full;
	writer->holds = true;
	writer->filled = 0;
	return ENVELOPE_OK;
}

/* A chunk that is whole in the caller's data, with more behind it, is sealed where it lies. */
static enum envelope_status seal_in_place(struct envelope_writer *writer, struct bytes *data,
					  struct envelope_error *error)
{
	size_t len = writer->payload.chunk_len;

	if (writer->filled > 0 || data->len <= len)
		return ENVELOPE_OK;
	TRY(let_go(writer, error));
	for (; data->len > len; *data = bytes(data->data + len, data->len - len))
		TRY(seal(writer, false, bytes(data->data, len), error));
	return ENVELOPE_OK;
}

enum envelope_status envelope_writer_put(struct envelope_writer *writer, struct bytes data,
					 struct envelope_error *error)
{
	while (data.len > 0) {
		uint8_t *room;
		size_t len;

		TRY(seal_in_place(writer, &data, error));
		room = envelope_writer_room(writer, &len);
		if (len > data.len)
			len = data.len;
		memcpy(room, data.data, len);
		TRY(envelope_writer_filled(writer, len, error));
		data = bytes(data.data + len, data.len - len);
	}
	return ENVELOPE_OK;
}

enum envelope_status envelope_writer_finish(struct envelope_writer *writer,
					    struct envelope_error *error)
{
	if (writer->holds)
		return seal(writer, true, bytes(writer->held, writer->payload.chunk_len), error);
	return seal(writer, true, bytes(writer->filling, writer->filled), error);
}

enum envelope_status envelope_writer_take(struct envelope_writer *writer,
					  const struct envelope_io *io,
					  struct envelope_error *error)
{
	size_t room, len;

	do {
		uint8_t *place = envelope_writer_room(writer, &room);

		TRY(envelope_read_full(io, place, room, &len, error));
		TRY(envelope_writer_filled(writer, len, error));
		/* A short part is the last, even if the file is still being written and grows. */
	} while (len == room);
	return envelope_writer_finish(writer, error);
}
