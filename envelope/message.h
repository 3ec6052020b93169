/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The envelope of a message, docs/format.md section 5.5: bytes to struct and back. Knows no key and
 * no token; envelope/sealer.h makes messages, envelope/opener.h opens them.
 */
#pragma once

#include "envelope/header.h"

enum {
	MESSAGE_WRAPPED_CLEAR = 20, /* of a wrapped DEK: what the header says already */
	MESSAGE_WRAPPED = ENVELOPE_WRAPPED - MESSAGE_WRAPPED_CLEAR,
	MESSAGE_DEK_ID = 8,
	MESSAGE_DEK_AT = 8, /* zone, version, DEK id, wrapped DEK */
	MESSAGE_DEK = 8 + 4 + MESSAGE_DEK_ID + MESSAGE_WRAPPED, /* 96: which DEK, in full */
	MESSAGE_HEADER = 120,					/* without a record */
	MESSAGE_OVERHEAD = 128,	       /* beside collection and payload, without a record */
	MESSAGE_PAYLOAD_MAX = 1 << 26, /* 64 MiB; what is longer is a file's */
	MESSAGE_RECORD_MAX = 16384,
};
#define MESSAGE_COLLECTION_MAX ((uint64_t)INT64_MAX)
/* Under one DEK: each has a number of 4 bytes. */
#define MESSAGE_NUMBERS	       (UINT64_C(1) << 32)

/* What a message says of itself. Borrowed from its bytes. */
struct message {
	uint64_t zone;
	uint32_t version;
	uint64_t collection; /* 0: none */
	uint32_t number;
	uint32_t payload_len;
	bool bound;	       /* to further data that the reader must give */
	struct bytes dek;      /* MESSAGE_DEK bytes, the same for all messages of this DEK */
	const uint8_t *dek_id; /* MESSAGE_DEK_ID */
	struct bytes record;   /* the EZK record; empty: it is not in the message */
	struct bytes header;   /* all before the ciphertext: the AAD's beginning */
	struct bytes sealed;   /* ciphertext and tag */
};

/* ENVELOPE_EMPTY, ENVELOPE_NOT_AN_ENVELOPE, ENVELOPE_NEWER, ENVELOPE_DAMAGED (also when it is a
 * file's, cut short, or followed by something). */
enum envelope_status message_decode(struct bytes bytes, struct message *ret_message,
				    struct envelope_error *error);
/* The wrapped DEK as CKM_CMEK_DEK_WRAP knows it. */
void message_wrapped(const struct message *message, uint8_t ret_wrapped[static ENVELOPE_WRAPPED]);
/* The opposite: zone, version, id and wrapped DEK as they stand in a message. */
void message_put_dek(struct bytes wrapped, const uint8_t dek_id[static MESSAGE_DEK_ID],
		     uint8_t ret_dek[static MESSAGE_DEK]);
/* The header of a message: `dek` as in struct message, MESSAGE_DEK bytes. Appends to `out`. */
enum envelope_status message_header_encode(struct bytes dek, const struct message *message,
					   struct buffer *out);
/* What the wrap of a message's DEK is bound to beside zone and version: its id. */
enum { MESSAGE_DEK_AAD = 14 + MESSAGE_DEK_ID };
void message_dek_aad(const uint8_t dek_id[static MESSAGE_DEK_ID],
		     uint8_t ret_aad[static MESSAGE_DEK_AAD]);
