/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes messages (docs/format.md, 5.5; docs/messages.md) in a zone: one data key for many, and a
 * new one when that has been used enough, or when the zone's key was rotated. A sealer belongs to
 * one thread at a time; several may seal into one zone. A child of fork needs its own, as it needs
 * its own session.
 */
#pragma once

#include "base/clock.h"
#include "envelope/keys.h"
#include "envelope/message.h"

/* How much one data key may do; 0: the default. */
struct message_limits {
	uint64_t messages; /* at most and by default MESSAGE_KEY_MESSAGES; never over 2^32 */
	uint64_t bytes;	   /* of payload */
	int64_t ms;
};
#define MESSAGE_KEY_MESSAGES (UINT64_C(1) << 20)
#define MESSAGE_KEY_BYTES    (UINT64_C(1) << 36)
enum { MESSAGE_KEY_MS = 3600 * 1000, MESSAGE_LOOK_MS = 1000 };

struct message_sealer {
	struct envelope_token *token;
	CK_OBJECT_HANDLE ezk;
	bool embed; /* the EZK record goes into each message */
	struct message_limits limits;
	const struct clock *clock;
	CK_OBJECT_HANDLE dek; /* CK_INVALID_HANDLE: the next message makes one */
	uint8_t names[MESSAGE_DEK];
	uint32_t version;     /* of the EZK */
	struct buffer record; /* empty unless `embed` */
	uint64_t sealed, sealed_bytes;
	struct moment end, look; /* of the key; when to look whether the zone's key was rotated */
};

/* `token` and the zone's EZK (envelope_zone_find) stay the caller's, and outlive the sealer;
 * `limits` and `clock` may be NULL. */
void message_sealer_init(struct message_sealer *sealer, struct envelope_token *token,
			 CK_OBJECT_HANDLE ezk, bool embed, const struct message_limits *limits,
			 const struct clock *clock);
void message_sealer_clear(struct message_sealer *sealer);

struct message_input {
	struct bytes payload;  /* MESSAGE_PAYLOAD_MAX at most (ENVELOPE_TOO_LARGE) */
	uint64_t collection;   /* 0: none; at most MESSAGE_COLLECTION_MAX (ENVELOPE_TOO_LARGE) */
	struct bytes bound_to; /* further data that a reader must give; empty: none */
};
/* Appends the message to `out`, or nothing. After a failure the sealer goes on with a new data key;
 * envelope/retry.h says whether to try the same message again. */
enum envelope_status message_seal(struct message_sealer *sealer, const struct message_input *input,
				  struct buffer *out, struct envelope_error *error);
