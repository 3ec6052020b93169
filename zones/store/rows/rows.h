/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows as text, for engines that keep values by their keys: an entry, a tombstone or an EZK version
 * as a JSON object (docs/format.md, 6.1). One row an entry, one a version: a zone's versions are
 * not in its row. The revision is the engine's, and not in the text.
 *
 * Reading trusts nothing, for the store may have been changed by others: types, lengths, numbers
 * and words are checked as SQLite's are. A member that this release does not know is passed over:
 * whoever may lose one is kept away by the level of the store.
 */
#pragma once

#include "base/buffer.h"
#include "zones/store/store.h"

enum { ROWS_FORMAT = 1 };

/* Each appends one text; look at the buffer's `failed`. */
void rows_put_entry(const struct entry *entry, struct buffer *out);
/* What stays of an entry that was removed for good. */
void rows_put_tombstone(const struct entry *entry, int64_t removed_ms, struct buffer *out);
void rows_put_version(uint64_t zone, const struct ezk_version *version, struct buffer *out);

/* How a text is read, and what was met in it. */
struct rows_reading {
	bool newer;	   /* the store's level is above ours, and its words may be new */
	size_t unknown;	   /* words, kinds and formats of later releases that were met */
	const char *fault; /* after ZONE_STORE_CORRUPT: the member that is not as it should be */
};

/*
 * ZONE_OK with ret_row->entry NULL: of a kind, or in a format, that only later releases know. A
 * zone has no versions yet. ZONE_STORE_CORRUPT: what no release wrote; ZONE_NO_MEMORY.
 */
enum zone_status rows_read_entry(struct rows_reading *reading, struct bytes text, uint64_t revision,
				 struct store_row *ret_row);
/* Appends a version to its zone; they are to come in the order of record zone and version.
 * ZONE_STORE_CORRUPT also if it is another zone's, or comes out of order. */
enum zone_status rows_read_version(struct rows_reading *reading, struct bytes text,
				   struct entry *zone);
/* When all its versions are there. False: it lacks its primary or raw version. */
bool rows_zone_is_whole(const struct entry *zone);

/* What holds at every level of a store (docs/format.md, 6): a project and a root key as a whole,
 * what is removed, and of a zone where it is and whether it is active. */
struct rows_minimum {
	struct store_row row; /* entry owned; NULL: of another kind */
	bool active;	      /* of a zone: by its own word */
};
enum zone_status rows_read_minimum(struct rows_reading *reading, struct bytes text,
				   uint64_t revision, struct rows_minimum *ret_minimum);

/* The head of a store: its id (32 hexadecimal digits), level and what that asks. */
enum { ROWS_ID_SIZE = 33 };
void rows_put_head(const char *id, const struct store_level *level, int64_t created_ms,
		   struct buffer *out);
/* Like SQLite's: what can't be read of a head that asks more of readers is left empty (level 0). */
enum zone_status rows_read_head(struct bytes text, char ret_id[static ROWS_ID_SIZE],
				struct store_head *ret_head, int64_t *ret_created_ms);

/* "project" … "archive", as they stand in rows and keys. */
const char *rows_kind(enum entry_kind kind);
/* The number that a tombstone keeps: a zone id or slot, else 0. */
uint64_t rows_number(const struct entry *entry);
