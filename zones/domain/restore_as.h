/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backup comes back under another name, in its own store or in another: as a new project with new
 * ids, whose databases have new EZKs and have imported the versions of the old ones, which open
 * files and messages and encrypt nothing. The original stays as it is. What was deleted in this
 * store does not open by an import, so it stays away. Stored keys are wrapped anew, by the new
 * EZKs.
 */
#pragma once

#include "zones/domain/backup.h"
#include "zones/domain/backup_told.h"
#include "zones/domain/restore_trust.h"
#include "zones/domain/state.h"

/*
 * KMS: two calls for each root key that is needed, one for each wrap of a new EZK, one for each
 * version that is imported, which its root key has to open (its MAC is found good); none with
 * `dry_run`. Then one transaction, or nothing. The entries of the backup are numbered from 1; its
 * MAC has been found good. As zones_restore(); ZONE_CONFLICT: the store has changed meanwhile.
 */
enum zone_status restore_as(struct zones *zones, const struct backup *backup,
			    const struct restore_wish *wish, const struct restore_trust *trust,
			    struct buffer *ret_told);

/* --- For restore_as.c and restore_anew.c */

struct restore_anew {
	struct zones *zones;
	const struct backup *backup;
	const struct restore_wish *wish;
	const struct restore_trust *trust;
	struct told_entry *told; /* one for each entry of the backup, as the next two */
	bool *needed;		 /* by a zone or a cluster that comes */
	struct entry **made;	 /* held; NULL: it does not come */
	size_t conflicts;
};
/* Is it a version that is imported? Not what is retired, fenced off or gone, in the backup or here.
 * With the index's lock held, or within a turn. */
bool restore_anew_imports(const struct restore_anew *anew, const struct entry *zone,
			  const struct ezk_version *version);
/* KMS: makes an entry for each that comes, as `told` says. */
enum zone_status restore_anew_make(struct restore_anew *anew);
