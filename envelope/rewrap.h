/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new wrap of an envelope's data key, under the primary version of its zone's key, for the slot
 * that is not in use (docs/format.md section 5.2). Knows bytes, not files: whoever writes them
 * decides what outlasts a crash. The payload is not needed, nor the name that is bound in.
 */
#pragma once

#include "envelope/envelope.h"

/* What a slot says in clear; nothing is verified. */
struct envelope_wrap {
	uint32_t version;    /* of the zone's key */
	struct bytes record; /* borrowed; empty: it stays in its store */
	struct bytes
		arns[ENVELOPE_ROOT_KEYS_MAX]; /* the root keys that the record names; borrowed */
	size_t arn_count;		      /* 0: no record, or none that can be read */
	bool both;			      /* these are needed together */
};
void envelope_wrap_of(const struct envelope_slot *slot, struct envelope_wrap *ret_wrap);

/* What a new wrap would have now. Asks no KMS. */
struct envelope_primary {
	uint32_t version;
	struct buffer record; /* empty: it stays in its store */
};
void envelope_primary_clear(struct envelope_primary *primary); /* for AUTO */
enum envelope_status envelope_primary_read(struct envelope_token *token, CK_OBJECT_HANDLE zone,
					   struct envelope_primary *ret_primary,
					   struct envelope_error *error);
/* Whether the slot has the primary version and its record as it is now, byte for byte. */
bool envelope_slot_is_current(const struct envelope_slot *slot,
			      const struct envelope_primary *primary);

/* A slot to be written. */
struct envelope_new_slot {
	unsigned index;
	uint64_t offset; /* in the file */
	struct buffer bytes;
	uint32_t version; /* of the zone's key */
};
void envelope_new_slot_clear(struct envelope_new_slot *slot); /* for AUTO */

/* Opens the data key, wraps it under the primary version, and shows that this opens. The slot is
 * the one that did not open. ENVELOPE_ZONE_UNKNOWN: the zone is not on this token;
 * ENVELOPE_NO_ROOM. */
enum envelope_status envelope_rewrap(struct envelope_token *token,
				     const struct envelope_header *header,
				     struct envelope_new_slot *ret_slot,
				     struct envelope_error *error);
/* The same wrap once more, for the other slot, so that nothing older is left in the header. */
enum envelope_status envelope_rewrap_other(const struct envelope_header *header,
					   const struct envelope_slot *current,
					   struct envelope_new_slot *ret_slot);
