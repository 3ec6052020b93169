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

/* `out` has room for in.len + ENVELOPE_TAG. */
enum envelope_status envelope_chunk_seal(const struct envelope_payload *payload, uint64_t index,
					 bool last, struct bytes in, uint8_t *out,
					 struct envelope_error *error);
/* `out` has room for in.len bytes; *ret_len = in.len - ENVELOPE_TAG. ENVELOPE_DAMAGED: none of it
 * may be used. */
enum envelope_status envelope_chunk_open(const struct envelope_payload *payload, uint64_t index,
					 bool last, struct bytes in, uint8_t *out, size_t *ret_len,
					 struct envelope_error *error);
