/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes an envelope (docs/format.md, 5) of what comes piece by piece, by memory for two chunks.
 * Whether a chunk is the last shows only in what follows, so a full one is held until something
 * does. A writer belongs to one thread at a time, and to the process that began it; it does not
 * move. After a failure it writes nothing more, and answers the same status.
 */
#pragma once

#include "envelope/envelope.h"

/* What is between _begin and _clear; zeroed before. */
struct envelope_writer {
	struct envelope_header header;
	struct envelope_keys keys; /* owned */
	struct envelope_payload payload;
	struct envelope_io io; /* its `write` */
	struct buffer start;   /* owned: the header's bytes, until they are written */
	uint8_t *memory;       /* owned: what is held, what is being filled, what was sealed */
	uint8_t *held, *filling, *sealed;
	bool holds;	/* a full chunk is held */
	size_t filled;	/* bytes of the next one */
	uint64_t index; /* of the next chunk to be sealed */
	enum envelope_status failed;
};

/* Makes a data key of the zone and writes the header. `token` outlives the writer. */
enum envelope_status envelope_writer_begin(struct envelope_writer *writer,
					   struct envelope_token *token, CK_OBJECT_HANDLE ezk,
					   const struct envelope_options *options,
					   const struct envelope_io *io,
					   struct envelope_error *error);
/* The same for what another envelope holds: with its name binding and chunk size, a data key of its
 * own. */
enum envelope_status envelope_writer_begin_anew(struct envelope_writer *writer,
						const struct envelope_resealing *task,
						const struct envelope_io *io,
						struct envelope_error *error);
enum envelope_status envelope_writer_put(struct envelope_writer *writer, struct bytes data,
					 struct envelope_error *error);
/* The same without a copy: room for *ret_len bytes, at least one; then how many were put there. */
uint8_t *envelope_writer_room(const struct envelope_writer *writer, size_t *ret_len);
enum envelope_status envelope_writer_filled(struct envelope_writer *writer, size_t len,
					    struct envelope_error *error);
/* All that io->read gives, and the end. */
enum envelope_status envelope_writer_take(struct envelope_writer *writer,
					  const struct envelope_io *io,
					  struct envelope_error *error);
/* The last chunk. Without it what was written does not open. */
enum envelope_status envelope_writer_finish(struct envelope_writer *writer,
					    struct envelope_error *error);
void envelope_writer_clear(struct envelope_writer *writer); /* for AUTO */
