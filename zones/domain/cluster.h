/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Clusters: zones that lie in one region of one provider, below one root key. */
#pragma once

#include "zones/model/names.h"
#include "zones/model/status.h"

struct zones;
struct changes;

/* Provider and region equal the root key's (a local key fits any region; a multi-Region key each
 * where its replica answers: KMS). Empty provider or region: the root key's. ZONE_WRONG_PROVIDER,
 * ZONE_WRONG_REGION, ZONE_EXISTS. */
enum zone_status zones_cluster_create(struct zones *zones, struct uid project,
				      struct bytes provider, struct bytes region,
				      struct uid root_key, const struct entry_names *names,
				      struct entry **ret_cluster);

/* Whether a root key fits a cluster's region. KMS: a multi-Region key that is registered elsewhere
 * fits where its replica answers. ZONE_WRONG_REGION, ZONE_INVALID. */
enum zone_status cluster_check_region(struct zones *zones, const struct entry *root_key,
				      struct bytes region);

/* --- For zones that bring the default cluster with them (zones/domain/zone_place.c) */

/* A cluster in the root key's own region, not yet visible to others. */
enum zone_status cluster_make(const struct zones *zones, const struct entry *root_key,
			      struct bytes label, struct entry **ret_cluster);
/* Within a transaction: the rules, except the root key's, and the change. */
enum zone_status cluster_put(struct changes *changes, struct entry *cluster);
