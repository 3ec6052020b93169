/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Backups of projects (docs/backup.md): made, verified, and brought back. */
#pragma once

#include "base/buffer.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

struct backup;
struct zones;

struct backup_wish {
	uint64_t zone;	     /* this database alone; 0: all of the project's */
	bool embedding_only; /* leaves out databases whose records stay in their store */
};

/*
 * KMS, one call per root key that protects something: a backup of what the store has now. Goes on
 * without a root key that refuses, as long as one does not; *ret_told, JSON as of
 * zones_backup_verify(), has it. ZONE_NO_ROOT_KEY: there is none; ZONE_RECORD_KEPT: the only
 * database is left out. Refused while the project can't be read, also where that only waits.
 */
enum zone_status zones_backup_make(struct zones *zones, struct uid project,
				   const struct backup_wish *wish, struct buffer *ret_file,
				   struct buffer *ret_told);
/*
 * Whether a file is a whole, unchanged backup, and what is in it: *ret_told is a JSON object. KMS,
 * each root key of the file (no store is looked at): its MAC is found good by the key that any of
 * them opens. `offline`: its structure alone; whoever made it is not known then.
 * ZONE_BACKUP_CORRUPT, ZONE_BACKUP_NEWER, ZONE_ROOT_KEY_REFUSED.
 */
enum zone_status zones_backup_verify(struct zones *zones, struct bytes file, bool offline,
				     struct buffer *ret_told);

/* Old root keys that are not to be used any more, each with the new one. */
struct restore_map {
	struct bytes from; /* its ARN or its label in the backup */
	struct bytes to;   /* any name of a key */
};
struct restore_wish {
	const struct restore_map *maps;
	size_t map_count;
	/* Names, as in the backup, or ids in decimal, of databases that come back even if they were
	 * deleted here, or awaited deletion when the backup was made. */
	const struct bytes *revive;
	size_t revive_count;
	bool dry_run; /* nothing is written */
	/* The name of a new project, which has new ids and new EZKs; it has imported the backup's
	 * versions, to open what they encrypted. Empty: the backup's own, under its old ids. */
	struct bytes as;
};
/*
 * KMS (as verifying; for a new root key two calls, and three for each of the old one's wraps):
 * brings what is missing into the store, in one transaction. What is here stays, unless the backup
 * has it newer; no version goes down; what was deleted here comes back only if it is named.
 * *ret_told, a JSON object, says what became of each entry. ZONE_RESTORE_CONFLICT: something does
 * not fit what is here: nothing is written, and each such thing is in the log and in *ret_told
 * (with `dry_run`: ZONE_OK). Under another name: as zones/domain/restore_as.h.
 * ZONE_ROOT_KEY_REFUSED: the project is here, and none of its root keys, or of those whose ARN
 * `maps` name, vouches for the file.
 */
enum zone_status zones_restore(struct zones *zones, struct bytes file,
			       const struct restore_wish *wish, struct buffer *ret_told);

/* --- For zones/domain/restore.c */

/* KMS: the MAC of a file that was decoded is good, by one of the wraps that may vouch (as many as
 * it has): *ret_voucher is its root key, borrowed. */
enum zone_status backup_check_mac(struct zones *zones, struct bytes file,
				  const struct backup *backup, const bool *may,
				  const char **ret_voucher);
