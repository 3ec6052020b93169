/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DEK of messages, and payloads that are sealed and opened under it (docs/format.md, 5.5), by
 * PKCS #11 calls alone: two for a payload where the module has CKM_CMEK_MESSAGE, which it is asked
 * once; else a key is derived for each, and destroyed. The bytes are the same.
 */
#pragma once

#include "envelope/keys.h"

/* A new DEK, to seal by; a wrapped one, to open by (as envelope_dek_unwrap). Both allow no more
 * than that. */
enum envelope_status message_dek_make(struct envelope_token *token, CK_OBJECT_HANDLE *ret_dek,
				      struct envelope_error *error);
enum envelope_status message_dek_unwrap(struct envelope_token *token, struct bytes wrapped,
					CK_OBJECT_HANDLE ezk, struct bytes aad,
					CK_OBJECT_HANDLE *ret_dek, struct envelope_error *error);

/* A payload under a DEK. The AAD is the message's header, then what it is bound to. */
struct message_payload {
	CK_OBJECT_HANDLE dek;
	uint32_t number; /* to seal: greater than any before under this DEK */
	struct bytes header, bound_to;
};
/* `out` has room for in.len + ENVELOPE_TAG. */
enum envelope_status message_payload_seal(struct envelope_token *token,
					  const struct message_payload *payload, struct bytes in,
					  uint8_t *out, struct envelope_error *error);
/* `out` has room for in.len; in.len - ENVELOPE_TAG bytes come. ENVELOPE_DAMAGED: none of them may
 * be used. */
enum envelope_status message_payload_open(struct envelope_token *token,
					  const struct message_payload *payload, struct bytes in,
					  uint8_t *out, struct envelope_error *error);
