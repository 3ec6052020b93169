/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a new zone goes: its cluster and root key, found or, for the cluster "default", brought
 * along with the zone in one transaction.
 */
#pragma once

#include "zones/domain/root_key_private.h"

/* For AUTO: zone_place_clear, which accepts zeros. */
struct zone_place {
	struct entry *project;	/* held */
	struct entry *root_key; /* held; NULL: the candidate's */
	struct candidate candidate;
	struct entry *cluster; /* held */
	bool cluster_is_new;
};
void zone_place_clear(struct zone_place *place);

/* KMS, if default_root_key must be looked at. `root_key`: the one to use (an import); NULL: the
 * cluster's, or for a new cluster "default" the project's only one, or default_root_key.
 * ZONE_NOT_FOUND, ZONE_NO_ROOT_KEY, ZONE_PENDING_DELETION, ZONE_WRONG_PROVIDER, ZONE_WRONG_REGION.
 */
enum zone_status zone_place_find(struct zones *zones, struct uid project, struct bytes label,
				 const struct entry *root_key, struct zone_place *ret_place);
/* The root key that is to encrypt the EZK. */
const struct entry *zone_place_root_key(const struct zone_place *place);
/* Within a transaction: it is still as it was found, and what is new is put. ZONE_CONFLICT: find it
 * anew. */
enum zone_status zone_place_put(struct changes *changes, struct zone_place *place);
