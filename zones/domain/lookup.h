/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Looking entries up, of the state that was last read (zones_refresh). No KMS. */
#pragma once

#include "base/bytes.h"
#include "zones/model/entry.h"
#include "zones/model/status.h"

struct zones;

/* Held entries: release each; also those that await deletion. NULL: none, or in an archived project
 * (which no look-up shows). */
struct entry *zones_find_number(struct zones *zones, uint64_t number);
struct entry *zones_find_zone(struct zones *zones, uint64_t zone);
/* Why zones_find_zone() finds none, as the thread's reason too: ZONE_DELETED, ZONE_PENDING_DELETION
 * (with its project), else ZONE_NOT_FOUND. */
enum zone_status zones_zone_missing(struct zones *zones, uint64_t zone);
struct entry *zones_find_slot(struct zones *zones, uint32_t slot);
struct entry *zones_find_uid(struct zones *zones, struct uid uid);
/* All projects by slot; then what a project holds. `filter` fields that are set must match;
 * look-ups by label, id, uid and kind are O(1) + results. Asks the store, if but part of it is
 * known here (partial.h). Gives an array of held entries (free() it). */
enum zone_status zones_list_projects(struct zones *zones, struct entry ***ret_entries,
				     size_t *ret_count);
enum zone_status zones_list(struct zones *zones, const struct entry_filter *filter,
			    struct entry ***ret_entries, size_t *ret_count);
/* Of zones and token keys alone, some that match, in the order of their uids: those that follow
 * *after (zeros: the first), for a search that would have all of a large store read (partial.h).
 * *after moves on; *ret_end: there are no more. There may be none among them, and more to come.
 * What is there all the time is in one page, however it changes; what comes or goes meanwhile may
 * be. */
enum zone_status zones_list_page(struct zones *zones, const struct entry_filter *filter,
				 struct uid *after, struct entry ***ret_entries, size_t *ret_count,
				 bool *ret_end);
/* Whether the text is a name of this root key's own: its ARN, or that of a related key. */
bool zones_root_key_is(const struct zones *zones, const struct entry *root_key, struct bytes arn);
/* The lowest slot number no project ever had. Of the state that was last read. */
enum zone_status zones_free_slot(struct zones *zones, uint32_t *ret_slot);
