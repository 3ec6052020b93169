/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What awaits deletion goes for good when its window has ended: zones with their token keys,
 * retired versions, clusters, root keys, archived projects with all that they hold. Tombstones
 * stay. No KMS.
 *
 * A clock that is wrong must not end a window. So whoever finds first that something of a project
 * is due only announces it: in the store (of_project.announced_ms), the log and the audit log. What
 * was due by then goes a day later. An announcement that lies ahead of the clock is taken back.
 *
 * A zone and its token keys go in one transaction, as few zones as that allows; an archive goes
 * first, after which its project can't come back, and then what the project held. Whatever ends the
 * work between two transactions, it is taken up again by the next who does this. An archive whose
 * project holds archives itself goes after them, since each has a date of its own.
 */
#pragma once

#include "base/buffer.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

struct zones;

enum purge_how {
	PURGE_ANNOUNCED, /* what was announced a day ago; the rest that is due is announced */
	/* All that is due by this clock, for whose time the caller vouches. The store's files are
	 * scrubbed (store.h) in any case. */
	PURGE_DUE,
};
/* What was done. */
struct purge_report {
	size_t zones, versions, token_keys, clusters, root_keys, projects;
	size_t announced; /* projects */
	bool scrubbed;	  /* the store overwrote what it may have had left; if that failed, the log
			     says so */
};
/* All of it, in as many transactions as that takes. What went before a failure stays gone. */
enum zone_status zones_purge(struct zones *zones, enum purge_how how,
			     struct purge_report *ret_report);
/* As JSON: what awaits deletion, whose it is, when it goes, and whether that was announced.
 * Projects that can't be read are warned of. */
enum zone_status zones_purge_describe(struct zones *zones, struct buffer *ret_json);
/* One entry that awaits deletion goes now, whatever its window: ZONE_INVALID if it does not await
 * it, ZONE_IN_USE if it is a root key or cluster that something stands on, or an archive whose
 * project holds another. */
enum zone_status zones_purge_entry(struct zones *zones, const struct entry *entry);

/* --- Within a transaction */

struct changes;
/* Removes the project's root keys whose window has ended and which nothing needs, since they count
 * among the 20; appends how many. A registration loses nothing: it can be made again. */
enum zone_status purge_root_keys(struct changes *changes, struct uid project, size_t *count);
