/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about what the index holds. They read it: for use inside a transaction, or with struct
 * zones's lock held for reading. Each refusal is logged here. */
#pragma once

#include "zones/index/index.h"

/* ZONE_EXISTS: another active entry has the label; for zones, "db" and "default/db" are the same.
 * `entry`: whose label it is to be (its kind, project, uid and state count). */
enum zone_status label_check_free(const struct index *index, const struct entry *entry);
/* The other way to write the name of a zone in the default cluster; NULL: there is none, or memory
 * lacks (then scratch->failed). */
const char *label_other_spelling(const char *label, struct buffer *scratch);
/* The same for whoever tells it himself: logs nothing. */
enum zone_status label_find_other(const struct index *index, const struct entry *entry);
/* The entry in the index now; ZONE_CONFLICT: it has changed since `entry`; ZONE_NOT_FOUND: it, or
 * its project, is gone. Borrowed. */
enum zone_status entry_check_current(const struct index *index, const struct entry *entry,
				     struct entry **ret_current);
/* An EZK is that of one zone and version, whoever has imported it: an entry that has this one as
 * another zone's than `bound`, the zone that its record names. NULL: none. */
const struct entry *fingerprint_find_other(const struct index *index, uint64_t bound,
					   const uint8_t fingerprint[static 16]);
/* ZONE_NOT_FOUND: no such project, or it is archived. */
enum zone_status project_check(const struct index *index, struct uid project);

/* Why the project can't be read, with what to do about it. What was read of it before, and merely
 * waits, counts as it does during an outage. */
enum zone_status project_check_read(const struct index *index, struct uid project);
/* The same also where it waits: for what must be its newest state. */
enum zone_status project_check_newest(const struct index *index, struct uid project);
/* Warns of each project that can't be read: what is told of all is without it. */
void projects_warn_unread(const struct index *index);
/* The same key among a project's, also one that awaits removal; NULL: none. Borrowed. */
struct entry *root_key_same(const struct index *index, struct uid project, const char *arn);
/* Root keys of a project that count. */
size_t root_key_count(const struct index *index, struct uid project);
