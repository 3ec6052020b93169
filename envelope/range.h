/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges of an envelope (docs/format.md, 5.3 and 5.4): the chunks in which they lie are read, no
 * others, and each is verified whole. A range may be read by several threads at once, each with a
 * session and a scratch of its own; the keys are the token's, and end with the session that opened
 * them.
 */
#pragma once

#include "envelope/envelope.h"

/* Reads `len` bytes at `offset`, all of them, or false and errno (EIO: there are fewer). */
typedef bool envelope_pread(void *state, uint8_t *out, size_t len, uint64_t offset);

struct envelope_range {
	uint64_t id; /* of this process's ranges, never twice */
	struct envelope_payload payload;
	uint64_t begins; /* where the first chunk lies: the header's length */
	uint64_t plain_size, chunk_count;
	envelope_pread *pread;
	void *state;
};

/* One thread's memory for a chunk: as it lies there, where it stays for the next read, and opened,
 * which is wiped. Zeroed before. */
struct envelope_scratch {
	uint8_t *memory; /* owned */
	size_t len;
	uint64_t range, index; /* which chunk lies in it; range 0: none */
};
void envelope_scratch_clear(struct envelope_scratch *scratch); /* for AUTO */

/* `header` and `keys` (envelope_unlock) outlive the range. ENVELOPE_DAMAGED: no envelope is that
 * long. Reads nothing: what a size says is verified by whoever reads the last chunk. */
enum envelope_status envelope_range_init(struct envelope_range *range, struct envelope_token *token,
					 const struct envelope_header *header,
					 const struct envelope_keys *keys, uint64_t sealed_size,
					 envelope_pread *pread, void *state,
					 struct envelope_error *error);
/* Where the last chunk begins in the object; it goes to the object's end. */
uint64_t envelope_range_last(const struct envelope_range *range);
/* Verifies that the object ends where its size says, by its last chunk, which stays in `scratch`,
 * at the beginning of its memory as it was read. */
enum envelope_status envelope_range_check_end(const struct envelope_range *range,
					      struct envelope_token *token,
					      struct envelope_scratch *scratch,
					      struct envelope_error *error);
/* Up to `len` bytes at `offset`; *ret_len is less at the end only, 0 behind it. After a failure
 * nothing of `out` may be used; the range may be read again. */
enum envelope_status envelope_range_read(const struct envelope_range *range,
					 struct envelope_token *token,
					 struct envelope_scratch *scratch, uint8_t *out, size_t len,
					 uint64_t offset, size_t *ret_len,
					 struct envelope_error *error);
