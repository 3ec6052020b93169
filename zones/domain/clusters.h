/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Making a cluster, for zones that bring the default one with them. */
#pragma once

#include "zones/domain/state.h"

/* A cluster in the root key's own region, not yet visible to others. */
enum zone_status cluster_make(const struct zones *zones, const struct entry *root_key,
			      struct bytes label, struct entry **ret_cluster);
/* Within a transaction: the rules, except the root key's, and the change. */
enum zone_status cluster_put(struct changes *changes, struct entry *cluster);
