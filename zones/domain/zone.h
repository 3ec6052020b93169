/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Zones (databases): made, taken along and brought back. */
#pragma once

#include "kms/kms.h"
#include "zones/model/names.h"
#include "zones/model/status.h"
#include "zones/model/title.h"

struct zones;

/* The name of a zone in messages, also of one that awaits deletion. */
struct zone_title zone_title(struct zones *zones, uint64_t zone);
/* KMS. label: "cluster/database"; "database" (cluster "default", made on demand in the root key's
 * region, the root key being the project's only one or default_root_key, which is added on demand);
 * empty: "zone-ID". "db" and "default/db" are one name. A failure leaves nothing. ZONE_INVALID:
 * more limits than a record holds. ZONE_OTHER_PIN: the name is another zone's, by configuration. */
enum zone_status zones_zone_create(struct zones *zones, struct uid project,
				   const struct entry_names *names, struct entry **ret_zone);
/* KMS: the same of several at once, in clusters that are there, by one transaction: all of them, or
 * none. `names`: what they have in common; its label and id are empty. At most ZONES_AT_ONCE.
 * *ret_first: held, that of the first label. ZONE_EXISTS: names that are taken, or are there twice.
 */
enum { ZONES_AT_ONCE = 1000 };
enum zone_status zones_zone_create_many(struct zones *zones, struct uid project,
					const struct entry_names *names, const struct bytes *labels,
					size_t count, struct entry **ret_first);
/* Whether the record of its primary version stays in this store. All records of a zone are alike in
 * this. */
bool zones_zone_is_kept(const struct entry *zone);
/* Whether its primary version has a wrap by this root key, or by a related one. */
bool zones_zone_is_wrapped_by(const struct zones *zones, const struct entry *zone,
			      const struct entry *root_key);
/* The record set of a zone: its own versions that are not retired (docs/format.md). For both:
 * ZONE_RECORD_KEPT. */
enum zone_status zones_zone_export(struct zones *zones, const struct entry *zone,
				   struct buffer *ret_records);
/* The record of one version. */
enum zone_status zones_zone_record(const struct entry *zone, uint32_t version,
				   struct buffer *ret_record);
/* KMS: a record set comes (back) to a project, each record decrypted by `root_key` (no other wrap
 * is looked at or kept) and its MAC found good first. It keeps its ids and context; with `imported`
 * it decrypts only. ZONE_EXISTS: the zone lives in this store, or its key is another zone's.
 * ZONE_PENDING_DELETION, ZONE_DELETED: it was deleted here, and a record set restores nothing.
 * ZONE_OTHER_PIN. ZONE_RECORD_KEPT: it was to stay in its store. */
enum zone_status zones_zone_import(struct zones *zones, struct uid project,
				   const struct entry *root_key, struct bytes records,
				   bool imported, const struct entry_names *names,
				   struct entry **ret_zone);
/* KMS: a blob of 32 bytes under purpose=import (plus pairs) becomes a new zone, re-encrypted as
 * `ezk`. ZONE_EXISTS: that key is a zone's here already. */
enum zone_status zones_zone_import_blob(struct zones *zones, struct uid project,
					const struct entry *root_key,
					const struct kms_context *context, struct bytes blob,
					const struct entry_names *names, struct entry **ret_zone);
