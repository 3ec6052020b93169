/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opens messages (docs/format.md, 5.5). The last data keys stay in the module's memory, under the
 * leases of their zones, so that the next message under one of them costs no unwrap. An opener
 * belongs to one thread at a time.
 */
#pragma once

#include "envelope/keys.h"
#include "envelope/message.h"

enum { MESSAGE_KEYS_MAX = 64 };

struct message_opener {
	struct envelope_token *token;
	uint64_t zone; /* the only one whose messages it opens; 0: any */
	struct {
		CK_OBJECT_HANDLE dek;
		uint64_t used; /* when, in messages */
		uint8_t names[MESSAGE_DEK];
	} keys[MESSAGE_KEYS_MAX];
	uint64_t turn;
	uint64_t unwrapped; /* how many data keys it had to unwrap */
};

/* `token` stays the caller's, and outlives the opener. */
void message_opener_init(struct message_opener *opener, struct envelope_token *token,
			 uint64_t zone);
void message_opener_clear(struct message_opener *opener);

/* Makes sure that the message's data key is there: by its zone, if that is on this token, else by
 * the record in the message and a root key of this token. KMS. ENVELOPE_OTHER_ZONE;
 * ENVELOPE_ZONE_UNKNOWN: the zone is not here, and the message has no record. */
enum envelope_status message_unlock(struct message_opener *opener, const struct message *message,
				    struct envelope_error *error);
/* The same, then appends the payload to `out`, or nothing. `bound_to` is what the sealer gave;
 * empty: nothing. ENVELOPE_DAMAGED: also if that differs. After a failure envelope/retry.h says
 * whether to try the same message again; any other failure is for good. */
enum envelope_status message_open(struct message_opener *opener, const struct message *message,
				  struct bytes bound_to, struct buffer *out,
				  struct envelope_error *error);
