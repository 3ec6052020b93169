/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the chunks of an envelope one after the other, by memory for three; what it gives is
 * verified. Only the end of the stream shows which chunk is the last, so it reads one ahead. A
 * reader belongs to one thread at a time, and to the process that began it; it does not move. After
 * a failure it gives nothing more, and answers the same status.
 */
#pragma once

#include "envelope/envelope.h"

/* What is between _begin and _clear; zeroed before. */
struct envelope_reader {
	struct envelope_payload payload;
	struct envelope_io io; /* its `read` */
	uint8_t *memory;       /* owned: this chunk, the next one, the plain one */
	uint8_t *current, *next, *plain;
	size_t current_len, next_len;
	uint64_t index; /* of the current chunk */
	bool begun, ended;
	enum envelope_status failed;
	struct bytes rest; /* of the plain chunk: what _get has not given yet */
};

/* The stream stands behind the header. `header` and `keys` (envelope_unlock) outlive the reader. */
enum envelope_status envelope_reader_begin(struct envelope_reader *reader,
					   struct envelope_token *token,
					   const struct envelope_header *header,
					   const struct envelope_keys *keys,
					   const struct envelope_io *io);
/* The next chunk, good until the next call; empty: the end, which is verified. ENVELOPE_DAMAGED. */
enum envelope_status envelope_reader_next(struct envelope_reader *reader, struct bytes *ret_plain,
					  struct envelope_error *error);
/* The next bytes; *ret_len is less than `room` at the end only. */
enum envelope_status envelope_reader_get(struct envelope_reader *reader, uint8_t *out, size_t room,
					 size_t *ret_len, struct envelope_error *error);
void envelope_reader_clear(struct envelope_reader *reader); /* for AUTO */

/* Reads until `len` bytes are there or the stream ends. */
enum envelope_status envelope_read_full(const struct envelope_io *io, uint8_t *out, size_t len,
					size_t *ret_len, struct envelope_error *error);
