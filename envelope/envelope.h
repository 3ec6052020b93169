/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Envelopes: files with their encrypted data key (docs/format.md section 5), sealed and opened
 * through any token of this module by PKCS #11 calls alone. Constant memory for data of any length.
 * Nothing is written that has not been verified.
 */
#pragma once

#include "envelope/payload.h"

#include <sys/types.h>

/* Where data comes from and goes to. */
struct envelope_io {
	/* Up to `len` bytes; 0 = the end, -1 = errno. Short reads are fine. */
	ssize_t (*read)(void *state, uint8_t *out, size_t len);
	/* All of them, or false and errno. */
	bool (*write)(void *state, struct bytes bytes);
	void *state;
};

struct envelope_options {
	struct bytes name; /* bound in; data == NULL: none */
};

/* What the caller demands of an envelope. */
struct envelope_expectation {
	struct bytes name; /* data == NULL: none is given */
	uint64_t zone;	   /* 0: any */
};

/* Encrypts under a zone's EZK (from envelope_zone_find, or a handle that the caller has). */
enum envelope_status envelope_seal(struct envelope_token *token, CK_OBJECT_HANDLE ezk,
				   const struct envelope_options *options,
				   const struct envelope_io *io, struct envelope_error *error);

/* An envelope to be sealed anew, under a new data key, of this zone or another: nothing of its
 * wrapped key is used again. A name that is bound in stays so, and need not be known. */
struct envelope_resealing {
	struct envelope_token *from;
	const struct envelope_header *header;
	const struct envelope_keys *keys; /* of envelope_unlock */
	struct envelope_token *to;
	CK_OBJECT_HANDLE ezk; /* on that token */
};
/* Reads the rest of the stream after the header; writes a whole envelope, of verified data. */
enum envelope_status envelope_reseal(struct envelope_resealing *task, const struct envelope_io *io,
				     struct envelope_error *error);

/* The header, read from the start of a stream into `storage`, from which the header then borrows.
 * After ENVELOPE_MESSAGE `storage` has what was read of the message. */
enum envelope_status envelope_read_header(const struct envelope_io *io, struct buffer *storage,
					  struct envelope_header *ret_header,
					  struct envelope_error *error);
/* Zone and name are the expected ones. The zone needs no token; the name is compared by the token's
 * SHA-256. */
enum envelope_status envelope_check(struct envelope_token *token,
				    const struct envelope_header *header,
				    const struct envelope_expectation *expected,
				    struct envelope_error *error);
/* The keys of an envelope: by the zone if it is on this token, else by the embedded record and a
 * root key of this token. The zone decides whether there is a record: an envelope that differs is
 * damaged. ENVELOPE_ZONE_UNKNOWN: the envelope has no record, and the zone is not here. */
enum envelope_status envelope_unlock(struct envelope_token *token,
				     const struct envelope_header *header,
				     struct envelope_keys *ret_keys, struct envelope_error *error);
/* The rest of the stream after the header. */
enum envelope_status envelope_open_payload(struct envelope_token *token,
					   const struct envelope_header *header,
					   const struct envelope_keys *keys,
					   const struct envelope_io *io,
					   struct envelope_error *error);
