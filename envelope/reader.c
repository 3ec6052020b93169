/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/reader.h"

#include "base/macros.h"
#include "base/secret.h"

#include <errno.h>
#include <stdlib.h>

enum envelope_status envelope_read_full(const struct envelope_io *io, uint8_t *out, size_t len,
					size_t *ret_len, struct envelope_error *error)
{
	size_t got = 0;

	while (got < len) {
		ssize_t count = io->read(io->state, out + got, len - got);

		if (count < 0) {
			error->system_error = errno;
			return ENVELOPE_INPUT;
		}
		if (count == 0)
			break;
		got += (size_t)count;
	}
	*ret_len = got;
	return ENVELOPE_OK;
}

static size_t part_len_of(const struct envelope_reader *reader)
{
	return reader->payload.chunk_len + ENVELOPE_TAG;
}

enum envelope_status envelope_reader_begin(struct envelope_reader *reader,
					   struct envelope_token *token,
					   const struct envelope_header *header,
					   const struct envelope_keys *keys,
					   const struct envelope_io *io)
{
	*reader = (struct envelope_reader){.payload = envelope_payload_of(token, header, keys),
					   .io = *io};
	reader->memory = malloc(3 * part_len_of(reader));
	if (reader->memory == NULL)
		return ENVELOPE_NO_MEMORY;
	reader->current = reader->memory;
	reader->next = reader->current + part_len_of(reader);
	reader->plain = reader->next + part_len_of(reader);
	return ENVELOPE_OK;
}

void envelope_reader_clear(struct envelope_reader *reader)
{
	if (reader->memory != NULL)
		wipe(reader->memory, 3 * part_len_of(reader));
	free(reader->memory);
	*reader = (struct envelope_reader){0};
}

/* Into current and next. A short part is the last, even if the file is still being written and
 * grows. */
static enum envelope_status read_parts(struct envelope_reader *reader, struct envelope_error *error)
{
	uint8_t *swap = reader->current;

	if (!reader->begun) {
		TRY(envelope_read_full(&reader->io, reader->current, part_len_of(reader),
				       &reader->current_len, error));
		reader->begun = true;
	} else {
		reader->current = reader->next;
		reader->next = swap;
		reader->current_len = reader->next_len;
		reader->index++;
	}
	reader->next_len = 0;
	if (reader->current_len < part_len_of(reader))
		return ENVELOPE_OK;
	return envelope_read_full(&reader->io, reader->next, part_len_of(reader), &reader->next_len,
				  error);
}

static enum envelope_status open_part(struct envelope_reader *reader, uint8_t *out, size_t *ret_len,
				      struct envelope_error *error)
{
	TRY(read_parts(reader, error));
	TRY(envelope_chunk_open(&reader->payload, reader->index, reader->next_len == 0,
				bytes(reader->current, reader->current_len), out, ret_len, error));
	reader->ended = reader->next_len == 0;
	return ENVELOPE_OK;
}

/* `out` has room for a chunk. */
static enum envelope_status open_next(struct envelope_reader *reader, uint8_t *out, size_t *ret_len,
				      struct envelope_error *error)
{
	*ret_len = 0;
	if (reader->failed == ENVELOPE_OK && !reader->ended)
		reader->failed = open_part(reader, out, ret_len, error);
	return reader->failed;
}

enum envelope_status envelope_reader_next(struct envelope_reader *reader, struct bytes *ret_plain,
					  struct envelope_error *error)
{
	size_t len;

	TRY(open_next(reader, reader->plain, &len, error));
	*ret_plain = bytes(reader->plain, len);
	return ENVELOPE_OK;
}

static size_t give_rest(struct envelope_reader *reader, uint8_t *out, size_t room)
{
	size_t len = room < reader->rest.len ? room : reader->rest.len;

	if (len > 0)
		memcpy(out, reader->rest.data, len);
	reader->rest = bytes(reader->rest.data + len, reader->rest.len - len);
	return len;
}

/* A chunk that has room there is opened where the caller wants it. */
enum envelope_status envelope_reader_get(struct envelope_reader *reader, uint8_t *out, size_t room,
					 size_t *ret_len, struct envelope_error *error)
{
	size_t got = give_rest(reader, out, room), len;

	while (got < room && !reader->ended) {
		if (room - got >= reader->payload.chunk_len) {
			TRY(open_next(reader, out + got, &len, error));
			got += len;
			continue;
		}
		TRY(envelope_reader_next(reader, &reader->rest, error));
		got += give_rest(reader, out + got, room - got);
	}
	*ret_len = got;
	return ENVELOPE_OK;
}
