/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Envelopes in memory, over a toy token, for tests of what writes and reads them piece by piece. */
#pragma once

#include "base/macros.h"
#include "envelope/envelope.h"
#include "tests/support/fake_token.h"
#include "tests/support/unit.h"

#include <errno.h>

enum { SEALED_CHUNK = 65536, SEALED_PART = SEALED_CHUNK + 16 };

/* Around the ends of chunks. */
static const size_t sealed_sizes[] = {
	0,
	1,
	SEALED_CHUNK - 1,
	SEALED_CHUNK,
	SEALED_CHUNK + 1,
	2 * SEALED_CHUNK,
	3 * SEALED_CHUNK + 9,
};

struct memory_stream {
	struct bytes in; /* what is still to be read */
	struct buffer out;
	size_t writes_left; /* then ENOSPC; 0: it takes all */
	bool fails;	    /* reads: EIO */
};

static inline ssize_t memory_read(void *state, uint8_t *out, size_t len)
{
	struct memory_stream *stream = state;

	if (stream->fails) {
		errno = EIO;
		return -1;
	}
	if (len > stream->in.len)
		len = stream->in.len;
	if (len > 0)
		memcpy(out, stream->in.data, len);
	stream->in = bytes(stream->in.data + len, stream->in.len - len);
	return (ssize_t)len;
}

static inline bool memory_write(void *state, struct bytes bytes)
{
	struct memory_stream *stream = state;

	if (stream->writes_left == 1) {
		errno = ENOSPC;
		return false;
	}
	stream->writes_left -= stream->writes_left > 0;
	buffer_append(&stream->out, bytes);
	return true;
}

static inline struct envelope_io memory_io(struct memory_stream *stream)
{
	return (struct envelope_io){memory_read, memory_write, stream};
}

static inline void sample_bytes(struct buffer *out, size_t len)
{
	uint8_t *place = buffer_extend(out, len);

	assert_non_null(place);
	for (size_t i = 0; i < len; i++)
		place[i] = (uint8_t)(i * 7 + i / 251);
}

/* An envelope of zone 11 with that many bytes; `plain` may be NULL. */
static inline void seal_sample(size_t len, struct buffer *plain, struct buffer *ret_envelope)
{
	AUTO(buffer_clear) struct buffer own = {0};
	struct envelope_token token = fake_token_session();
	const struct envelope_options options = {0};
	struct envelope_error error = {0};
	struct memory_stream stream = {0};
	struct envelope_io io = memory_io(&stream);

	sample_bytes(&own, len);
	stream.in = buffer_bytes(&own);
	assert_int_equal(envelope_seal(&token, fake_token_zone(0), &options, &io, &error),
			 ENVELOPE_OK);
	*ret_envelope = stream.out;
	if (plain != NULL)
		buffer_append(plain, buffer_bytes(&own));
}

/* An envelope whose keys are open; the rest of the stream is its chunks. */
struct unlocked {
	struct envelope_token token;
	struct memory_stream stream;
	struct envelope_io io;
	struct buffer storage;
	struct envelope_header header;
	struct envelope_keys keys;
};

static inline void unlock_sample(struct unlocked *it, struct bytes envelope)
{
	struct envelope_error error = {0};

	*it = (struct unlocked){.token = fake_token_session(), .stream.in = envelope};
	it->io = memory_io(&it->stream);
	assert_int_equal(envelope_read_header(&it->io, &it->storage, &it->header, &error),
			 ENVELOPE_OK);
	assert_int_equal(envelope_unlock(&it->token, &it->header, &it->keys, &error), ENVELOPE_OK);
}

static inline void unlocked_clear(struct unlocked *it)
{
	envelope_keys_clear(&it->token, &it->keys);
	buffer_clear(&it->stream.out);
	buffer_clear(&it->storage);
}

static inline int sealed_bytes_reset(void **state)
{
	(void)state;
	fake_token_reset();
	return 0;
}
