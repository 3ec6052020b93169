/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The chunks of a stream by several threads (docs/format.md section 5.3: each stands alone). A
 * thread takes the next part of the stream when it is its turn to read, works on it, and writes
 * when it is its turn: so parts are read and written in order, by one thread at a time, while
 * others work. Memory does not depend on the stream's length.
 */
#pragma once

#include "envelope/envelope.h"

/* As envelope_seal and envelope_open_payload, in so many threads; 0: as these do. */
enum envelope_status envelope_seal_parallel(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
					    const struct envelope_options *options,
					    unsigned threads, const struct envelope_io *io,
					    struct envelope_error *error);
enum envelope_status envelope_open_parallel(struct envelope_token *token,
					    const struct envelope_header *header,
					    const struct envelope_keys *keys, unsigned threads,
					    const struct envelope_io *io,
					    struct envelope_error *error);

/* --- How both are done */

/* What is done to each chunk. */
struct envelope_work {
	/* In the order of the chunks, each on a session that has nothing else under way until its
	 * chunk is done; NULL: nothing. */
	enum envelope_status (*begin)(const struct envelope_payload *payload, uint64_t index,
				      bool last, struct envelope_error *error);
	/* In any order, and at once; `out` has room for in.len + ENVELOPE_TAG. */
	enum envelope_status (*run)(const struct envelope_payload *payload, uint64_t index,
				    bool last, struct bytes in, uint8_t *out, size_t *ret_len,
				    struct envelope_error *error);
};

/* Cuts the stream into chunks of `chunk_len` and does the work on each, in `threads` threads (8 at
 * most, since one at a time reads and one writes), of which the caller's is one; the others begin
 * when there is more than one part to read (about 4 MiB). Each has sessions of its own, which see
 * the same key; all of them end before this does, none runs a signal handler of the program's, and
 * the caller's can't be cancelled meanwhile (base/cancel.h). io->read and io->write are called from
 * any of them, each by one at a time, perhaps both at once. The first failure in the stream's order
 * ends all; what was written by then is a beginning of the result, all of it verified. What the
 * module says of its failure, it has said to the caller's thread. */
enum envelope_status envelope_run_parallel(const struct envelope_payload *payload,
					   const struct envelope_work *work, size_t chunk_len,
					   unsigned threads, const struct envelope_io *io,
					   struct envelope_error *error);
