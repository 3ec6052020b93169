/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The names of entries, and what else their makers may ask for. Each refusal is logged here. */
#pragma once

#include "zones/model/entry.h"
#include "zones/model/status.h"

#define DEFAULT_CLUSTER "default"

/* A number of seconds that somebody may have asked for. */
struct wished_seconds {
	bool named;
	uint32_t seconds;
};

/* A yes or no that somebody may have asked for. */
struct wished_flag {
	bool named;
	bool value;
};

/* A number of days that somebody may have asked for. */
struct wished_days {
	bool named;
	uint32_t days;
};
enum { ROTATE_DAYS_MAX = 36500 };

/* What the maker of an entry asks for. */
struct entry_names {
	struct bytes label; /* empty: a default */
	struct bytes id;    /* empty: a default */
	uint32_t usages;
	struct bytes extra;
	bool data; /* of what a zone keeps: no key */
	/* Of a new zone, for its EZK record (zones/model/limits.h): what it may never pass beside
	 * the usages. A zone that comes with records has theirs. */
	struct bytes limits;
	struct wished_seconds max_lease, max_stale; /* the same; at most LEASE_BOUND_MAX */
	struct wished_flag kept;		    /* the same: LIMIT_KEPT */
	struct wished_days rotate_days;		    /* of a new zone; at most ROTATE_DAYS_MAX */
	/* Of a new zone: the ARNs of the root keys of two owners, who are both needed. Empty: it
	 * has its cluster's alone. */
	struct bytes both[SHARE_COUNT];
};

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

/* Label, id, usages and extra as the names say; an empty label stays as it is in the entry, an
 * empty id too. ZONE_INVALID, ZONE_INVALID_NAME. */
enum zone_status entry_take_names(struct entry *entry, const struct entry_names *names);
