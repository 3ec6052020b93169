/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The header of an envelope, docs/format.md section 5: bytes to struct and back. Knows no key, no
 * token and no file. */
#pragma once

#include "base/buffer.h"
#include "envelope/status.h"

enum {
	ENVELOPE_IMMUTABLE = 128,
	ENVELOPE_SALT = 32,
	ENVELOPE_COMMITMENT = 32,
	ENVELOPE_PROJECT = 8, /* the first bytes of a project's id: its token's serial number */
	ENVELOPE_ROOT_KEYS_MAX = 8, /* of a record */
	ENVELOPE_SLOTS = 2,
	ENVELOPE_SLOT_MIN = 128,
	ENVELOPE_SLOT_MAX = 16384,
	ENVELOPE_SLOT_SPARE = 1024, /* room for what a later rewrap needs beside a second wrap */
	ENVELOPE_SLOT_SPARE_KEPT = 256, /* where there is no record, which is what grows */
	ENVELOPE_CHUNK_BITS = 16,	/* for writing; 12 … 24 are read */
	ENVELOPE_CHUNK_BITS_MIN = 12,
	ENVELOPE_CHUNK_BITS_MAX = 24,
	ENVELOPE_KIND_FILE = 1,
	ENVELOPE_KIND_MESSAGE = 2,
	ENVELOPE_TAG = 16,
	ENVELOPE_WRAPPED = 96, /* a wrapped DEK of 32 bytes */
	ENVELOPE_LIMITS_MAX = 1024,
	/* The part of a record that its MAC covers, and the MAC: without limits, and with the most.
	 */
	ENVELOPE_RECORD_BOUND = 90,
	ENVELOPE_RECORD_BOUND_MAX = ENVELOPE_RECORD_BOUND + ENVELOPE_LIMITS_MAX,
};

struct envelope_slot {
	bool valid; /* checksum, lengths and zeros are right, and the slot is in use */
	uint64_t sequence;
	struct bytes wrapped; /* the DEK; borrowed from the header's bytes */
	struct bytes record;  /* the EZK record; empty if it stays in its store */
};

struct envelope_header {
	uint8_t immutable[ENVELOPE_IMMUTABLE]; /* as in the file: the AAD of everything */
	unsigned chunk_bits;
	bool name_bound;
	bool kept; /* no record: the zone's stays in its store (CKA_CMEK_EMBED_EZK) */
	uint32_t header_len;
	uint32_t slot_len;
	uint64_t zone;
	uint8_t salt[ENVELOPE_SALT];
	uint8_t name_binding[32];
	uint8_t commitment[ENVELOPE_COMMITMENT];
	uint8_t project[ENVELOPE_PROJECT]; /* if the record stays in a store: that store's project
					    */
	struct envelope_slot slots[ENVELOPE_SLOTS];
};

/* Whether a file that begins like this is an envelope, judged by its first four bytes. */
bool envelope_begins(struct bytes start);
/* How many bytes the header has, from its first 128; checks the immutable part. ENVELOPE_EMPTY,
 * ENVELOPE_NOT_AN_ENVELOPE, ENVELOPE_DAMAGED (also when it is cut short), ENVELOPE_NEWER,
 * ENVELOPE_MESSAGE. */
enum envelope_status envelope_header_measure(struct bytes immutable, uint32_t *ret_len,
					     struct envelope_error *error);
/* The whole header; slots borrow from `bytes`. At least one slot is valid, else ENVELOPE_DAMAGED.
 */
enum envelope_status envelope_header_decode(struct bytes bytes, struct envelope_header *ret_header,
					    struct envelope_error *error);

/* How many bytes a record may come to need: with two wraps, and ENVELOPE_SLOT_SPARE more. */
size_t envelope_record_room(struct bytes record);
/* Fills `immutable` from the other fields; a slot has room for a wrapped DEK and `record_room`
 * bytes (ENVELOPE_TOO_LARGE). */
enum envelope_status envelope_header_prepare(struct envelope_header *header, size_t wrapped_len,
					     size_t record_room);
/* The whole header: immutable part, `slot` written at `index` (with its sequence unchanged), the
 * other slot empty. */
enum envelope_status envelope_header_encode(const struct envelope_header *header, unsigned index,
					    const struct envelope_slot *slot, struct buffer *out);
/* One slot, `slot_len` bytes, for a rewrap in place. */
enum envelope_status envelope_slot_encode(unsigned index, const struct envelope_slot *slot,
					  uint32_t slot_len, struct buffer *out);
/* How long the plaintext is in a file of this size, which follows from it: each chunk has a tag;
 * -1: no envelope has this size. */
int64_t envelope_plain_size(const struct envelope_header *header, int64_t file_size);
/* Slots in the order to try them: [0] is the valid one with the greater sequence; NULL where there
 * is none. */
void envelope_slots_in_order(const struct envelope_header *header,
			     const struct envelope_slot *ret_slots[ENVELOPE_SLOTS]);

/* The zone id and version that a wrapped DEK names (docs/format.md section 4), and the contents of
 * an EZK record; for `inspect` and for choosing. None of it is verified, except that ARNs are
 * printable. */
struct envelope_record {
	uint64_t zone;
	uint32_t version;
	uint8_t project[16];
	uint8_t cluster[16];
	uint64_t created_ms;
	bool kept;	    /* it stays in its store: no envelope may carry it */
	struct bytes bound; /* the bytes that tell records apart, ENVELOPE_RECORD_BOUND_MAX at
			       most; borrowed */
	struct bytes arns[ENVELOPE_ROOT_KEYS_MAX]; /* borrowed */
	size_t arn_count;			   /* at least 1 */
	bool both;	  /* two owners' root keys are needed, not any one of these */
	size_t wraps_len; /* bytes of all wraps */
};
bool envelope_wrapped_version(struct bytes wrapped, uint64_t *ret_zone, uint32_t *ret_version);
bool envelope_record_decode(struct bytes record, struct envelope_record *ret_record);

uint32_t envelope_crc32(uint32_t crc, struct bytes bytes); /* ISO 3309; begin with 0 */
