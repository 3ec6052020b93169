/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The chunks of an envelope (docs/format.md section 5.3): each is sealed alone, with its place and
 * the end bound in by the nonce. */
#pragma once

#include "envelope/keys.h"

struct envelope_payload {
	struct envelope_token *token;
	CK_OBJECT_HANDLE key;
	struct bytes aad; /* the immutable part of the header */
	size_t chunk_len;
};

/* Borrows from both. */
struct envelope_payload envelope_payload_of(struct envelope_token *token,
					    const struct envelope_header *header,
					    const struct envelope_keys *keys);
/* Sealing in two steps, by one session: the first in the order of the chunks, whichever sessions
 * have them (docs/mechanisms.md, CKM_CMEK_CHUNK); the second at any time. `out` has room for in.len
 * + ENVELOPE_TAG. */
enum envelope_status envelope_chunk_begin(const struct envelope_payload *payload, uint64_t index,
					  bool last, struct envelope_error *error);
enum envelope_status envelope_chunk_finish(const struct envelope_payload *payload, struct bytes in,
					   uint8_t *out, struct envelope_error *error);
/* Both. */
enum envelope_status envelope_chunk_seal(const struct envelope_payload *payload, uint64_t index,
					 bool last, struct bytes in, uint8_t *out,
					 struct envelope_error *error);
/* `out` has room for in.len bytes; *ret_len = in.len - ENVELOPE_TAG. ENVELOPE_DAMAGED: none of it
 * may be used; or it is empty, which only the first chunk may be. */
enum envelope_status envelope_chunk_open(const struct envelope_payload *payload, uint64_t index,
					 bool last, struct bytes in, uint8_t *out, size_t *ret_len,
					 struct envelope_error *error);
