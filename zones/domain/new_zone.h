/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of making a zone, for those that make one of something they have. */
#pragma once

#include "zones/domain/zone_place.h"
#include "zones/model/names.h"

struct new_zone {
	struct zone_place place;
	struct entry *second; /* held: the root key of a second owner; NULL: none */
	struct entry *zone;   /* held */
	bool brought;	      /* its key was not drawn here */
	bool returns;	      /* its id existed before: it was not drawn now */
};
void new_zone_clear(struct new_zone *new);

enum { NEW_ZONE_ATTEMPTS = 5 }; /* where others change the place meanwhile */

/* Finds its place, draws its id and prepares it, in `new`, which is empty but for `brought` and
 * `returns`. */
enum zone_status new_zone_find(struct zones *zones, struct uid project,
			       const struct entry *root_key, const struct entry_names *names,
			       uint64_t *ret_id, struct new_zone *new);
/* An entry for `place`, with names and default label and id, without versions. ZONE_INVALID,
 * ZONE_EXISTS. */
enum zone_status new_zone_prepare(struct zones *zones, uint64_t id, const struct entry_names *names,
				  struct new_zone *new);
/* KMS: its first version. `key`: 32 bytes, NULL: drawn. */
enum zone_status new_zone_seal(const struct zones *zones, const uint8_t *key,
			       const struct entry_names *names, struct new_zone *new);
/* What the rules for a new zone look at, beside what is always known: both spellings of its name,
 * and its id. A key that somebody brought is looked for in all versions of all zones. */
struct new_zone_keys {
	struct store_key keys[3];
	size_t count;
	struct buffer other;
};
void new_zone_keys_clear(struct new_zone_keys *keys);
/* They borrow of the zone, and of `keys`. */
enum zone_status new_zone_list_keys(const struct entry *zone, struct new_zone_keys *keys);
/* Within a transaction: all rules once more, and the change. */
enum zone_status new_zone_decide(struct changes *changes, struct new_zone *new);
/* All rules once more, and the transaction. ZONE_CONFLICT: the place is not what it was. */
enum zone_status new_zone_commit(struct zones *zones, struct new_zone *new);
/* KMS: a zone with one version. `key`: 32 bytes, NULL: drawn; `root_key`: NULL: as the place has
 * it. */
enum zone_status new_zone_create(struct zones *zones, struct uid project,
				 const struct entry *root_key, const uint8_t *key,
				 const struct entry_names *names, struct entry **ret_zone);
/* For functions that make a zone, to report the outcome: a zone that was refused has a line in the
 * audit log, with the label that was asked for and its id (0: it had none yet). Answers the status.
 */
enum zone_status new_zone_ended(struct zones *zones, struct uid project, struct bytes label,
				uint64_t id, enum zone_status status);
/* One that no zone of this store has or had. ZONE_NOT_STARTED. */
enum zone_status zone_id_draw(struct zones *zones, uint64_t *ret_zone);
/* "zone-ID" */
enum zone_status zone_default_label(struct entry *zone);
