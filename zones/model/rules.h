/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Rules that several of the domain's files ask for. They read the index: for use inside a
 * transaction, or with struct zones's lock held for reading. Each refusal is logged here. */
#pragma once

#include "zones/domain/state.h"

#define DEFAULT_CLUSTER "default"

/* --- Labels */

/* "cluster/database"; a zone's label without a slash lies in the cluster "default". Borrowed. */
struct zone_name {
	struct bytes cluster;
	struct bytes database;
};
/* ZONE_INVALID_NAME. An empty label: cluster "default", no database. */
enum zone_status zone_name_parse(struct bytes label, struct zone_name *ret_name);

/* The names of projects, root keys, clusters and zones are as base/name.h has it, of zones both
 * parts; at most LABEL_MAX bytes, a project's PROJECT_LABEL_MAX; a cluster's is not empty and has
 * no slash. The label of a token key is its application's own text: UTF-8 without a NUL.
 * ZONE_INVALID_NAME. */
enum zone_status label_check(enum entry_kind kind, struct bytes label);
/* ZONE_EXISTS: another active entry has the label; for zones, "db" and "default/db" are the same.
 * `entry`: whose label it is to be (its kind, project, uid and state count). */
enum zone_status label_check_free(const struct index *index, const struct entry *entry);

/* Label, id, usages and extra as the names say; an empty label stays as it is in the entry, an
 * empty id too. ZONE_INVALID, ZONE_INVALID_NAME. */
enum zone_status entry_take_names(struct entry *entry, const struct entry_names *names);

/* --- Entries */

/* A new entry with a uid, of now. */
enum zone_status entry_make(const struct zones *zones, enum entry_kind kind, struct uid project,
			    struct entry **ret_entry);
/* The entry in the index now; ZONE_CONFLICT: it has changed since `entry`; ZONE_NOT_FOUND: it, or
 * its project, is gone. Borrowed. */
enum zone_status entry_check_current(const struct index *index, const struct entry *entry,
				     struct entry **ret_current);
/* A copy that waits for its deletion, or does not any more. */
enum zone_status entry_make_pending(const struct zones *zones, const struct entry *entry,
				    struct entry **ret_copy);
enum zone_status entry_make_active(const struct entry *entry, struct entry **ret_copy);

/* ZONE_NOT_FOUND: no such project, or it is archived. */
enum zone_status project_check(const struct index *index, struct uid project);

/* --- Root keys */

/* The same key among a project's, also one that awaits removal; NULL: none. Borrowed. */
struct entry *root_key_same(const struct index *index, struct uid project, const char *arn);
/* Root keys of a project that count. */
size_t root_key_count(const struct index *index, struct uid project);
