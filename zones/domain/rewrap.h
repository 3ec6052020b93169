/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zones and clusters move to another root key (docs/lifecycle.md, "Another root key"). A zone moves
 * in one transaction, with all its versions; its data stays as it is. Live EZKs follow without a
 * break: their leases run on, and the next renewal asks the new key.
 */
#pragma once

#include "base/buffer.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

struct zones;

/*
 * KMS: the zone goes from its first root key to that of this ARN, which is one of its project's:
 * one call for each version. Of two owners' keys the one goes that its cluster is leaving, else the
 * first. If it is there already: what is unproven is proven (by Decrypt), or,
 * if nothing is, all is wrapped anew, by the key's newest material. Also of a zone that awaits
 * deletion. ZONE_NOT_FOUND: the project has no such root key; ZONE_PENDING_DELETION: it awaits
 * removal; ZONE_WRONG_PROVIDER, ZONE_WRONG_REGION: not those of the zone's cluster;
 * ZONE_ROOT_KEY_REFUSED; ZONE_KMS_….
 */
enum zone_status zones_zone_rewrap(struct zones *zones, const struct entry *zone, struct bytes arn,
				   struct entry **ret_zone);
/*
 * KMS: the zone's root keys are these from now on, the first one first, and any one of them opens
 * it: one call for each version and new key. The first is where the cluster is, as above; the
 * others, of the same provider, may be in other regions. What is not named any more goes.
 * ZONE_EXISTS: one is named twice. ZONE_INVALID: none, or more than ZONE_ROOT_KEYS_MAX.
 * `both`: they are two, and only together they open it (docs/lifecycle.md, "Two owners"); a share
 * whose key is named again stays as it is. ZONE_INVALID also: not two, or related ones.
 */
enum { ZONE_ROOT_KEYS_MAX = 4 };
enum zone_status zones_zone_set_root_keys(struct zones *zones, const struct entry *zone,
					  const struct bytes *arns, size_t count, bool both,
					  struct entry **ret_zone);
/*
 * New zones get the root key of this ARN from now on, and those that are there are to move, one by
 * one; until the last of them has, the cluster is leaving the key before. The same region as
 * before, unless the key is of another provider: so a whole cluster may go from `local` to a cloud.
 * KMS: a key that it says is disabled, or gone, is refused as a use of it would be; where it says
 * nothing, that is found out later. ZONE_MOVING: it is leaving another key still. Back to the one
 * it is leaving is possible.
 */
enum zone_status zones_cluster_rewrap(struct zones *zones, const struct entry *cluster,
				      struct bytes arn, struct entry **ret_cluster);

/* Which root keys a zone has, as JSON: {"policy": "or", "keys": [ARN, …], "even": true,
 * "proven": true}. The policy is "and" if new data needs all of them: that of its primary version.
 * Not even: not all of its versions have all of them. Not proven: what the KMS re-encrypted was not
 * opened yet. No KMS. */
enum zone_status zones_zone_root_keys(const struct entry *zone, struct buffer *ret_json);

/* A process has opened an unproven wrap of this version, or the replaced one since that holds
 * something else. Notes it in one transaction; does nothing where the store can't be written. */
void zone_wrap_proven(struct zones *zones, const struct entry *zone,
		      const struct ezk_version *version, const struct wrap *wrap);
