/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope/range.h"

#include "base/macros.h"
#include "base/secret.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static enum envelope_status no_such_size(uint64_t sealed_size, struct envelope_error *error)
{
	snprintf(error->text, sizeof(error->text),
		 "no envelope has %llu bytes: cut off or extended",
		 (unsigned long long)sealed_size);
	return ENVELOPE_DAMAGED;
}

enum envelope_status envelope_range_init(struct envelope_range *range, struct envelope_token *token,
					 const struct envelope_header *header,
					 const struct envelope_keys *keys, uint64_t sealed_size,
					 envelope_pread *pread, void *state,
					 struct envelope_error *error)
{
	static atomic_uint_fast64_t last_id;
	int64_t plain_size =
		sealed_size > INT64_MAX ? -1 : envelope_plain_size(header, (int64_t)sealed_size);

	if (plain_size < 0)
		return no_such_size(sealed_size, error);
	*range = (struct envelope_range){
		.id = atomic_fetch_add(&last_id, 1) + 1,
		.payload = envelope_payload_of(token, header, keys),
		.begins = header->header_len,
		.plain_size = (uint64_t)plain_size,
		.pread = pread,
		.state = state,
	};
	range->chunk_count =
		plain_size == 0 ? 1 : ((range->plain_size - 1) >> header->chunk_bits) + 1;
	return ENVELOPE_OK;
}

void envelope_scratch_clear(struct envelope_scratch *scratch)
{
	if (scratch->memory != NULL)
		wipe(scratch->memory, scratch->len);
	free(scratch->memory);
	*scratch = (struct envelope_scratch){0};
}

/* Room for a chunk with its tag, and for the plain one. */
static bool make_room(const struct envelope_range *range, struct envelope_scratch *scratch)
{
	size_t len = 2 * range->payload.chunk_len + ENVELOPE_TAG;

	if (scratch->memory != NULL && scratch->len >= len)
		return true;
	envelope_scratch_clear(scratch);
	scratch->memory = malloc(len);
	scratch->len = len;
	return scratch->memory != NULL;
}

static uint8_t *plain_in(const struct envelope_range *range, const struct envelope_scratch *scratch)
{
	return scratch->memory + range->payload.chunk_len + ENVELOPE_TAG;
}

static size_t plain_len_of(const struct envelope_range *range, uint64_t index)
{
	uint64_t before = index * range->payload.chunk_len;

	return range->plain_size - before < range->payload.chunk_len
		       ? (size_t)(range->plain_size - before)
		       : range->payload.chunk_len;
}

/* As it lies there, into the scratch, where it may be already. */
static enum envelope_status have_sealed(const struct envelope_range *range,
					struct envelope_scratch *scratch, uint64_t index,
					size_t len, struct envelope_error *error)
{
	size_t part_len = range->payload.chunk_len + ENVELOPE_TAG;

	if (!make_room(range, scratch))
		return ENVELOPE_NO_MEMORY;
	if (scratch->range == range->id && scratch->index == index)
		return ENVELOPE_OK;
	scratch->range = 0;
	if (!range->pread(range->state, scratch->memory, len, range->begins + index * part_len)) {
		error->system_error = errno;
		return ENVELOPE_INPUT;
	}
	scratch->range = range->id;
	scratch->index = index;
	return ENVELOPE_OK;
}

/* Each time by the token, so that no data are given out when the key may be used no more. `out` has
 * room for the plain chunk; NULL: it is opened into the scratch. */
static enum envelope_status open_chunk(const struct envelope_range *range,
				       struct envelope_token *token,
				       struct envelope_scratch *scratch, uint64_t index,
				       uint8_t *out, struct envelope_error *error)
{
	struct envelope_payload payload = range->payload;
	size_t len = plain_len_of(range, index) + ENVELOPE_TAG, plain_len;
	enum envelope_status status;

	payload.token = token;
	TRY(have_sealed(range, scratch, index, len, error));
	status = envelope_chunk_open(
		&payload, index, index + 1 == range->chunk_count, bytes(scratch->memory, len),
		out != NULL ? out : plain_in(range, scratch), &plain_len, error);
	if (status != ENVELOPE_OK)
		scratch->range = 0;
	return status;
}

uint64_t envelope_range_last(const struct envelope_range *range)
{
	return range->begins +
	       (range->chunk_count - 1) * (uint64_t)(range->payload.chunk_len + ENVELOPE_TAG);
}

enum envelope_status envelope_range_check_end(const struct envelope_range *range,
					      struct envelope_token *token,
					      struct envelope_scratch *scratch,
					      struct envelope_error *error)
{
	return open_chunk(range, token, scratch, range->chunk_count - 1, NULL, error);
}

/* What one chunk has of the range. A whole one is opened where the caller wants it. */
static enum envelope_status read_chunk(const struct envelope_range *range,
				       struct envelope_token *token,
				       struct envelope_scratch *scratch, uint8_t *out, size_t len,
				       uint64_t offset, size_t *ret_len,
				       struct envelope_error *error)
{
	uint64_t index = offset / range->payload.chunk_len;
	size_t from = (size_t)(offset % range->payload.chunk_len);
	size_t plain_len = plain_len_of(range, index);

	*ret_len = plain_len - from < len ? plain_len - from : len;
	if (*ret_len == plain_len)
		return open_chunk(range, token, scratch, index, out, error);
	TRY(open_chunk(range, token, scratch, index, NULL, error));
	memcpy(out, plain_in(range, scratch) + from, *ret_len);
	wipe(plain_in(range, scratch), plain_len);
	return ENVELOPE_OK;
}

enum envelope_status envelope_range_read(const struct envelope_range *range,
					 struct envelope_token *token,
					 struct envelope_scratch *scratch, uint8_t *out, size_t len,
					 uint64_t offset, size_t *ret_len,
					 struct envelope_error *error)
{
	size_t got = 0, part;

	while (got < len && offset + got < range->plain_size) {
		TRY(read_chunk(range, token, scratch, out + got, len - got, offset + got, &part,
			       error));
		got += part;
	}
	*ret_len = got;
	return ENVELOPE_OK;
}
