/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the files about moves to another root key share. */
#pragma once

#include "zones/domain/state.h"

/* The project's root key of that ARN, held, that may be used. ZONE_NOT_FOUND,
 * ZONE_PENDING_DELETION, ZONE_ROOT_KEY_REFUSED. */
enum zone_status rewrap_find_root_key(struct zones *zones, struct uid project, struct bytes arn,
				      struct entry **ret_root_key);
/* Is that key, or a related one, the project's, and not to be removed? */
bool rewrap_has_root_key(struct zones *zones, struct uid project, const char *arn);
/* Within a transaction that moves a zone: `moved` is what it is to be. With the last one, its
 * cluster has left the key before. */
enum zone_status cluster_leave_if_last(struct changes *changes, const struct entry *moved);
