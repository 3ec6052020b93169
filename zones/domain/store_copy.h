/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Projects go from this store to another one, whole (docs/store.md, "Moving to another store"). No
 * KMS: rows go as they are, and nothing in them is opened.
 */
#pragma once

#include "base/buffer.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

struct zones;

struct store_copy_wish {
	const char *to;	      /* where: zones_settings.open_place */
	const struct uid *of; /* this project, with those that are archived on it; NULL: all */
	bool dry_run;
	bool undo; /* take back a copy that has not reached its end */
};

/*
 * Marks the projects in both stores, copies, compares, and takes the mark in the other store away:
 * from then on they live there, and this store refuses to change them. It may be cut off anywhere
 * and be begun again. ret_told: JSON (docs/store.md). ZONE_EXISTS: a project lives in both stores,
 * or another has its name there; ZONE_CONFLICT: another copy of it is under way; ZONE_INVALID;
 * ZONE_NOT_FOUND; ZONE_STORE_…, of either store. Each is logged with the reason.
 */
enum zone_status zones_store_copy(struct zones *zones, const struct store_copy_wish *wish,
				  struct buffer *ret_told);
