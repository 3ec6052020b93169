/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The versions of a zone's EZK: a new primary one, and which of them may be used for what. */
#pragma once

#include "zones/model/names.h"
#include "zones/model/status.h"

struct zones;

/*
 * KMS: makes version `version`, which must be the one after the primary, and makes it the primary.
 * Each root key that has the primary in use encrypts it, and it is bound to the same usages and
 * limits; older versions go on opening what they wrapped. All of it is written, or nothing.
 * ZONE_ROTATED: the zone has that version already, so that of several who rotate at a time one
 * does, and the others are told. ZONE_INVALID: no such version is next; ZONE_IMPORTED;
 * ZONE_PENDING_DELETION; of the KMS and the store, as zones_zone_create().
 */
enum zone_status zones_zone_rotate(struct zones *zones, const struct entry *zone, uint32_t version,
				   struct entry **ret_zone);

/* What can be set of a zone's versions, without the KMS. */
enum zone_mark {
	/* The version that raw mechanisms use: any that the zone has, up or down. ZONE_INVALID: it
	 * has none; ZONE_FENCED: it is below the minimum; ZONE_PENDING_DELETION: it is retired. */
	ZONE_RAW,
	/* Older versions open nothing until it is lowered again. ZONE_INVALID: 0, or a version that
	 * it does not have; ZONE_IN_USE: the raw version is older. */
	ZONE_MINIMUM,
	/* ZONE_INVALID: more than ROTATE_DAYS_MAX; ZONE_IMPORTED. */
	ZONE_ROTATE_DAYS,
	ZONE_MARK_COUNT
};
/* Whatever else was changed meanwhile; setting what it is already changes nothing. */
enum zone_status zones_zone_mark(struct zones *zones, const struct entry *zone, enum zone_mark mark,
				 uint32_t value, struct entry **ret_zone);

/* --- For zones/domain/schedule.c */

/* zones_zone_rotate() where a refusal by the KMS is for the caller to tell. */
enum zone_status zone_rotate_quietly(struct zones *zones, const struct entry *zone,
				     uint32_t version);
