/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Making entries, and copies of them in another state. */
#pragma once

#include "zones/model/entry.h"
#include "zones/model/status.h"

/* Random, as uids are. ZONE_NOT_STARTED. */
enum zone_status uid_new(struct uid *ret_uid);
/* A new entry with a uid, made at `now_ms` (real time). A project is its own: `project` is not
 * looked at. */
enum zone_status entry_make(enum entry_kind kind, struct uid project, int64_t now_ms,
			    struct entry **ret_entry);
/* A copy that waits for its deletion, or does not any more. */
enum zone_status entry_make_pending(const struct entry *entry, int64_t delete_after_ms,
				    struct entry **ret_copy);
enum zone_status entry_make_active(const struct entry *entry, struct entry **ret_copy);
