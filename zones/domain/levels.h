/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The store's levels (docs/store.md). No KMS. */
#pragma once

#include "base/buffer.h"
#include "zones/model/status.h"

#include <stdbool.h>

struct zones;

/* The store's levels, as JSON (docs/store.md); and bringing it to another, which is audited.
 * ZONE_CONFLICT: it is not at `from`; ZONE_IN_USE: what a level brought is in use; ZONE_INVALID: a
 * level that is not known; ZONE_STORE_…. */
enum zone_status zones_store_describe(struct zones *zones, struct buffer *ret_json);
enum zone_status zones_store_levels(struct zones *zones, unsigned *ret_level,
				    unsigned *ret_understood);
enum zone_status zones_store_bring(struct zones *zones, unsigned from, unsigned to);

/* --- For zones/domain/ */

struct store_facts;
/* The store's `look_at` (zones/store/store.h), in its turn. */
enum zone_status zones_store_look_at(struct zones *zones, struct store_facts *ret_facts);
/* Whether this process could change the store now: for whoever does something beside what it was
 * asked for, and is no failure where it can't. Takes the turn. */
bool zones_store_may_write(struct zones *zones);
