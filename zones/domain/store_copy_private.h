/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `cmek store copy` share. */
#pragma once

#include "zones/domain/state.h"
#include "zones/domain/store_copy.h"

/* A store as it was read last, whole. */
struct side {
	struct store *store;
	char *name; /* for messages and marks */
	char id[STORE_ID_SIZE];
	bool exists;
	unsigned level;
	struct store_news news;
	struct map by_uid; /* uid → struct store_row, of the news */
};

struct copying {
	struct zones *zones;
	const struct store_copy_wish *wish;
	struct side from, to;
	struct uid *projects; /* those that go: owned */
	uint32_t *slots;      /* of each, there: owned */
	uint64_t *arriving;   /* the revision of each one's row there while it arrives: owned */
	size_t count;
	size_t rows, written; /* that they have here, with tombstones; that were written there */
};

/* --- store_copy_sides.c */

/* ZONE_STORE_NEWER, or why a project of it can't be read: not all of it was. */
enum zone_status side_read(struct copying *copying, struct side *side);
void side_clear(struct side *side);
/* The other store once more. ZONE_CONFLICT: somebody else has changed a project that arrives there,
 * so that nothing may be written on the ground of what is there now. */
enum zone_status copy_read_there(struct copying *copying);
/* The project's row there is as this copy has left it: arriving from this store. */
bool copy_arrives(const struct copying *copying, const struct entry *there);
/* ZONE_CONFLICT, since somebody else is at work on the project. */
enum zone_status copy_refuse_other(const struct entry *project, const char *store);
/* NULL: there is none. */
struct store_row *side_row(const struct side *side, struct uid uid);
/* The project as it stands there, a tombstone being none. NULL: none. */
struct entry *side_project(const struct side *side, struct uid uid);
bool copying_has(const struct copying *copying, struct uid project);

/* --- store_copy_rows.c */

/* The number that each project's slot has there: its own, unless another project has that. */
enum zone_status copy_choose_slots(struct copying *copying);
uint32_t copy_slot(const struct copying *copying, struct uid project, uint32_t otherwise);
/* Writes what differs there, but for the projects' own rows, as many transactions as that takes;
 * *ret_count: how many rows differed. With `only_count` nothing is written. */
enum zone_status copy_rows(struct copying *copying, bool only_count, size_t *ret_count);
/* One transaction there of these changes, which are based on what was read last. */
enum zone_status copy_write(struct copying *copying, struct store_change *changes, size_t count);
