/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Of a store that has more than this process keeps (store.h: read_few), what is not known here is
 * asked for by its key. All of these are nothing where everything is known. Those that return a
 * status may wait for the store, and are not called within a turn; those that say yes or no never
 * wait.
 */
#pragma once

#include "zones/model/entry.h"
#include "zones/model/status.h"

struct zones;

/* Reads all of the store, for what looks at more than single entries; from then on the process
 * keeps all of it. */
enum zone_status zones_know_all(struct zones *zones);
/* Makes known whatever matches the filter: by uid or label, else by reading all. */
enum zone_status zones_know_filter(struct zones *zones, const struct entry_filter *filter);
/* Whether that is so, by who holds the index's lock: others may have let go of it. */
bool zones_knows_filter(const struct zones *zones, const struct entry_filter *filter);
/* True: for that all of the store would be read, and zones_list_page() does it page by page. */
bool zones_filter_needs_all(const struct zones *zones, const struct entry_filter *filter);
/* Makes known whether there is such a zone, and which state it has. */
enum zone_status zones_know_zone(struct zones *zones, uint64_t zone);
/* Makes known which zones have imported versions of that zone. */
enum zone_status zones_know_imports(struct zones *zones, uint64_t zone);
/* True: there is more in the store than is known here. */
bool zones_are_partial(const struct zones *zones);
/* Held; NULL with ZONE_OK: there is none, or it can't be seen. */
enum zone_status zones_meet_zone(struct zones *zones, uint64_t zone, struct entry **ret_entry);
enum zone_status zones_meet_uid(struct zones *zones, struct uid uid, struct entry **ret_entry);
enum zone_status zones_meet_number(struct zones *zones, uint64_t number, struct entry **ret_entry);
