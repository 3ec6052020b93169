/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Retiring a zone's EZK versions, and their return. No KMS. */
#pragma once

#include "zones/model/entry.h"
#include "zones/model/status.h"

struct changes;
struct ezk_version;
struct index;
struct zones;

enum version_step {
	VERSION_RETIRE,	  /* it opens nothing from now on, and goes when its window has ended */
	VERSION_UNRETIRE, /* as it was */
	VERSION_PURGE,	  /* now, for good; of one that is retired: else ZONE_INVALID */
};
/*
 * One of the zone's own versions. To be retired it must be below the fence (the zone's minimum),
 * and to be retired or purged be needed by no token key: ZONE_IN_USE. What is in that state already
 * stays so. ZONE_NOT_FOUND, ZONE_DELETED, ZONE_PENDING_DELETION (of the zone), ZONE_CONFLICT.
 */
enum zone_status zones_version_step(struct zones *zones, const struct entry *zone, uint32_t version,
				    enum version_step step);

/* --- For zones/domain/ */

/* Within a transaction in which that version of a zone goes for good (0: the zone): so does what
 * other zones have imported of it, which would be a copy. None of these is changed in the same
 * transaction otherwise. */
enum zone_status imports_drop(struct changes *changes, uint64_t zone, uint32_t version);
/* An import whose origin is gone here for good: it opens nothing any more. */
bool import_is_orphan(const struct index *index, const struct ezk_version *version);
