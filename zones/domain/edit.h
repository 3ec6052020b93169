/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Changes of entries of every kind. Each is a compare-and-set on the entry's revision:
 * ZONE_CONFLICT. */
#pragma once

#include "zones/model/names.h"
#include "zones/model/status.h"

struct zones;

/* Label, id, usages and extra become those of `names`; empty ones the default. A zone's label keeps
 * its cluster, its usages are within the greatest (else ZONE_INVALID); a cluster's new label goes
 * into its zones' too. ZONE_EXISTS. KMS only for usages and extra of a token key, which is wrapped
 * anew (as zones_key_open()); a refusal changes nothing. */
enum zone_status zones_entry_rename(struct zones *zones, const struct entry *entry,
				    const struct entry_names *names, struct entry **ret_entry);
/* The same of a token key or data, with a new value. As zones_key_open(). */
enum zone_status zones_key_replace(struct zones *zones, const struct entry *key,
				   const struct entry_names *names, struct bytes value,
				   struct entry **ret_key);
/* Root keys (ZONE_IN_USE if a cluster or an EZK version needs it, also of a zone that can be
 * restored), clusters without zones (ZONE_IN_USE), zones: scheduled, restorable; once more does
 * nothing. Token keys: gone. Archives: ZONE_PENDING_DELETION; projects: ZONE_INVALID. */
enum zone_status zones_entry_delete(struct zones *zones, const struct entry *entry);
/* Under `label`, or, where that is empty, its own. ZONE_EXISTS: that is another's by now;
 * ZONE_PENDING_DELETION: its cluster or a root key must be restored first. An archive gives its
 * project, in a new slot. */
enum zone_status zones_entry_restore(struct zones *zones, const struct entry *entry,
				     struct bytes label, struct entry **ret_entry);
