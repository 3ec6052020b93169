/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Which zone a new key that the store is to keep goes to, where neither its maker nor its past says
 * so. */
#pragma once

#include "base/bytes.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

struct zones;

/*
 * In this order: the zone that its label begins with, if that is CLUSTER/DATABASE/NAME and the
 * project has such a cluster; [zones] default; the project's only zone; "default/default", which is
 * made on demand (KMS) with a line in the log. Imported zones, which only decrypt, don't count.
 * ZONE_NOT_FOUND, ZONE_PENDING_DELETION: the one that is named is not there, and no other takes its
 * place. Held.
 */
enum zone_status zones_key_place(struct zones *zones, struct uid project, struct bytes label,
				 struct entry **ret_zone);
/* Whether a text may be [zones] default: CLUSTER/DATABASE. */
bool zones_key_default_valid(const char *text);
