/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Token keys, for the files of zones/ alone. */
#pragma once

#include "zones/domain/zones.h"

/* Whether the names change what limits the key, to which its wrapped form is bound. */
bool token_key_limits_change(const struct entry *key, const struct entry_names *names);
/* KMS when the zone has no lease. A copy with those names, its value wrapped anew under them. As
 * zones_key_open(); ZONE_INVALID. */
enum zone_status token_key_wrap_anew(struct zones *zones, const struct entry *key,
				     const struct entry_names *names, struct entry **ret_changed);
