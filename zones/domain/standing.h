/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the store says against the use of a zone, whoever asks and by whatever way it came in: by
 * its handle, by a record that travelled with an envelope, by a record set, by a key that is
 * stamped with it. A zone is identified by its id alone, which is never used again: so this also
 * holds for records, which have no label, and for tombstones, which have nothing but the id. Only
 * for files of zones/.
 */
#pragma once

#include "base/buffer.h"
#include "zones/domain/state.h"

/*
 * ZONE_OK: nothing, also of a zone that the store does not know. ZONE_DELETED: it has a tombstone,
 * which outlives all else that says the zone's id. ZONE_PENDING_DELETION: it, or its project, waits
 * to be restored. ZONE_OTHER_PIN: it stands under a name that is pinned to another. O(1).
 * With zones->lock held for reading, or within a turn.
 */
enum zone_status standing_of(const struct zones *zones, uint64_t zone);
/*
 * The same of one version, whose record may come from anywhere. ZONE_PENDING_DELETION: it is
 * retired; ZONE_DELETED: the zone had it and has it no more; ZONE_FENCED: it is below the zone's
 * minimum.
 */
enum zone_status standing_of_version(const struct zones *zones, uint64_t zone, uint32_t version);
/* The same two; take the lock. */
enum zone_status standing_now(struct zones *zones, uint64_t zone);
enum zone_status standing_of_version_now(struct zones *zones, uint64_t zone, uint32_t version);
/*
 * The same of one row, by its own name: an intruder can write a zone twice, once under a name that
 * is pinned to another, and a look-up by id may find either.
 */
enum zone_status standing_of_row(const struct zones *zones, const struct entry *row);
enum zone_status standing_of_row_now(struct zones *zones, const struct entry *row);
/* Which zone of which project it is, what is said against it or against that version of it (0: the
 * whole zone), and what to do: of the above, or ZONE_ROOT_KEY_REFUSED (registry_usable). Takes the
 * lock. */
void standing_text(struct zones *zones, uint64_t zone, uint32_t version, enum zone_status why,
		   struct buffer *out);
/* Whether a zone may have the label that it is to get. Within a transaction, or with the lock held.
 * ZONE_OTHER_PIN. */
enum zone_status standing_check_name(const struct zones *zones, const struct entry *zone);
/* Whether it is one of these statuses. */
bool standing_is(enum zone_status why);
/* Gives the thread that as its reason, if `why` is one of those, and answers `why`: for calls
 * that are refused, of which there may be many. */
enum zone_status standing_refuse(struct zones *zones, uint64_t zone, uint32_t version,
				 enum zone_status why);
