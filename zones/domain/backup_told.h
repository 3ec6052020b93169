/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of a backup and of a restore: JSON (docs/backup.md). */
#pragma once

#include "base/buffer.h"
#include "zones/model/backup.h"
#include "zones/model/status.h"

struct told_backup {
	const struct backup *backup;
	size_t left_out;	       /* databases that are not in it, by wish */
	bool verified;		       /* its MAC is good */
	const enum zone_status *opens; /* what each of its wraps answered; NULL: none was asked */
};
enum zone_status told_of_backup(const struct told_backup *told, struct buffer *ret_json);

/* What becomes of an entry of a backup. */
enum outcome {
	OUTCOME_HERE,	  /* it stays as it is here */
	OUTCOME_ADDED,	  /* it was missing */
	OUTCOME_UPDATED,  /* the backup had it newer */
	OUTCOME_REVIVED,  /* it was deleted, and named */
	OUTCOME_LEFT_OUT, /* it stays away */
	OUTCOME_CONFLICT, /* it does not fit, and keeps all from being restored */
	OUTCOME_COUNT
};
struct told_entry {
	const struct entry *entry; /* as the backup has it */
	enum outcome outcome;
	const char *why; /* NULL: nothing to say */
};
struct told_restore {
	const struct backup *backup;
	const struct told_entry *entries; /* as many as the backup has */
	size_t tombstones;		  /* that were brought */
	const char *voucher;		  /* the root key by which the MAC was found good */
	bool written;
	/* Under another name: that, and what was made for each entry, as many as the backup has
	 * (NULL: it does not come). Else NULL; the second also where nothing was made. */
	const char *as;
	struct entry *const *made;
};
enum zone_status told_of_restore(const struct told_restore *told, struct buffer *ret_json);
/* Says in the log which entries do not fit, and answers ZONE_RESTORE_CONFLICT. */
enum zone_status told_refuse_conflicts(const struct backup *backup,
				       const struct told_entry *entries, size_t conflicts);
