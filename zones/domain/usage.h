/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What stands on a root key, a cluster or a zone. No KMS. */
#pragma once

#include "base/buffer.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

struct zones;

/*
 * As JSON, what would be lost with it (docs/lifecycle.md): of a root key the zones of which it
 * wraps a version, and the clusters whose it is; of a cluster its zones; of a zone its versions and
 * the token keys that they wrap. Also what awaits deletion. Refused while its project can't be
 * read; that there may be copies in others that can't be, is a warning.
 */
enum zone_status zones_usage(struct zones *zones, const struct entry *entry,
			     struct buffer *ret_json);

/* --- Within a transaction, or with the lock held */

enum usage_counts {
	USAGE_BY_RESTORABLE, /* what awaits deletion counts as long as it can be restored */
	USAGE_BY_ALL,	     /* all that is there */
};
/* What needs a root key or cluster: the first that is found, borrowed; NULL: nothing. */
const struct entry *usage_find(const struct zones *zones, const struct entry *entry,
			       enum usage_counts counts);
/* ZONE_IN_USE, and by what. */
enum zone_status usage_check_none(const struct zones *zones, const struct entry *entry,
				  enum usage_counts counts);
/* A token key that is wrapped by that version of the zone, borrowed; NULL: none. */
const struct entry *usage_find_token_key(const struct zones *zones, const struct entry *zone,
					 uint32_t version);
