/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The limits in an EZK record (docs/format.md, "Limits"): what no use of the EZK may pass, wherever
 * its record is brought. A list of items, under the record's MAC. What the value of an item means
 * is for whoever set it; what is checked here is that each reader knows all of them.
 */
#pragma once

#include "base/buffer.h"
#include "zones/model/status.h"

/* LIMITS_MAX includes the lease bounds, which every record has, and LIMIT_KEPT: they come last. */
enum { LIMITS_MAX = 1024, LEASE_LIMITS_SIZE = 2 * (1 + 2 + 4), KEPT_LIMIT_SIZE = 1 + 2 };

/* Never renumbered. A new one is a row in limits.c, too. */
enum limit {
	LIMIT_MECHANISMS = 1, /* of keys: objects/limits.h knows these three */
	LIMIT_UNWRAP_TEMPLATE = 2,
	LIMIT_WRAP_TEMPLATE = 3,
	LIMIT_MAX_LEASE = 4, /* of leases: in every record */
	LIMIT_MAX_STALE = 5,
	LIMIT_KEPT = 6, /* no value: the record is kept in its store, and in no other place */
};

/* How long a zone's key may be used after a yes of its KMS, whatever is configured. */
struct lease_bounds {
	uint32_t max_lease; /* seconds; 0: each operation asks */
	uint32_t max_stale; /* while the KMS is out of reach; 0: the lease */
};
/* The greatest that a zone can be made with: a year. */
enum { LEASE_BOUND_MAX = 31536000 };

/* Appends an item. The caller goes by ascending tags, which is the only order that can be read. */
void limits_put(struct buffer *limits, enum limit tag, struct bytes value);
/* The value of an item, borrowed; false: there is no such limit. */
bool limits_get(struct bytes limits, enum limit tag, struct bytes *ret_value);

/* Appends the lease bounds, behind all other limits. */
void limits_put_lease(struct buffer *limits, const struct lease_bounds *bounds);
/* False: one of them is not there, so that this is not the list of a record. */
bool limits_get_lease(struct bytes limits, struct lease_bounds *ret_bounds);

/* The lease in force, the seconds for which a yes is good: what is configured, unless the zone's
 * record has less. This is the one place that decides. */
static inline uint32_t lease_in_force(uint32_t configured, uint32_t max_lease)
{
	return max_lease < configured ? max_lease : configured;
}
/* The same by a record's limits; those that lack the bounds, which are no record's, have none. */
uint32_t limits_lease_seconds(struct bytes limits, uint32_t configured);

/* Appends LIMIT_KEPT, behind the lease bounds. */
void limits_put_kept(struct buffer *limits);
bool limits_get_kept(struct bytes limits);

/* ZONE_RECORD_NEWER: there is an item that this release does not know, and which it therefore
 * can't keep to; ZONE_INVALID: malformed, or too long. */
enum zone_status limits_check(struct bytes limits);
