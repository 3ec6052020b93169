/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What a restore would make of a store: found out without writing anything, from the index as it is
 * now. */
#pragma once

#include "zones/domain/backup.h"
#include "zones/domain/backup_told.h"
#include "zones/domain/restore_trust.h"
#include "zones/domain/state.h"

struct restore_plan {
	struct zones *zones;
	const struct backup *backup; /* its entries are numbered from 1 */
	const struct restore_wish *wish;
	const struct restore_trust *trust;
	/* One for each entry of the backup. */
	struct told_entry *told;
	struct entry **results; /* to be put; held; NULL: it stays as it is */
	bool *needed;		/* by something that comes back */
	struct entry **tombstones;
	size_t tombstone_count;
	size_t conflicts, root_keys;
};
/* Is a database of the backup named in --revive: by its name there, or by its id? */
bool restore_revives(const struct restore_wish *wish, const struct entry *zone);
void restore_plan_clear(struct restore_plan *plan); /* accepts zeros */

/* With the index's lock held, or within a turn. ZONE_OK also where there are conflicts: nothing of
 * it may be put then. */
enum zone_status restore_plan_make(struct zones *zones, const struct backup *backup,
				   const struct restore_wish *wish,
				   const struct restore_trust *trust,
				   struct restore_plan *ret_plan);
/* Whether there is anything to put. */
bool restore_plan_changes(const struct restore_plan *plan);
/* Within a transaction. */
enum zone_status restore_plan_put(const struct restore_plan *plan, struct changes *changes);
