/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the purge share: what one transaction of it does. */
#pragma once

#include "zones/domain/purge.h"
#include "zones/domain/state.h"

enum {
	PURGE_ROWS = 128, /* a transaction: but one zone goes with its keys, however many */
};

struct purge {
	enum purge_how how;
	bool leftovers; /* only what archived projects held that have no archive any more */
	int64_t now_ms;
	const struct index *index;
	struct changes *changes;
	/* Of the transaction under way: made anew each time it is asked. */
	struct purge_report step;
	size_t rows;
	enum zone_status status;
	/* Of the project that is looked at. */
	const struct entry *project;
	bool all;  /* it was archived, and its archive is gone */
	bool ripe; /* something is due that was not announced */
	struct entry *zones[PURGE_ROWS];
	size_t zone_count, keys[PURGE_ROWS];
};

/* --- A transaction (purge_step.c) */

/* Whether it may take more. */
bool purge_has_room(const struct purge *purge);
/* Of something of the project that is looked at, which awaits deletion until `due_ms`: whether it
 * was announced a day ago. */
bool purge_was_announced(const struct purge *purge, int64_t due_ms);
/* Whether it may go by its own date alone; if it was not announced, the project is ripe. */
bool purge_is_over(struct purge *purge, int64_t due_ms);
/* For zones_change(): takes what may go now, or announces it. `state`: a struct purge, whose `rows`
 * are none when nothing is left. */
enum zone_status purge_decide(struct changes *changes, void *state);
/* One entry, whatever its date; its zone's token keys go first. */
enum zone_status purge_take_one(struct purge *purge, struct entry *entry);

/* --- Archives (purge_archives.c) */

/* What the project of an archive holds itself: of its archives the one that goes last. Borrowed;
 * NULL: none. It has its own date, of which whoever ends the outer one does not hear. */
const struct entry *purge_archive_within(const struct index *index, const struct entry *archive);
/* Whether anything that it holds, however deep, is not due. No end is in sight of a ring. */
bool purge_holds_undue(const struct purge *purge, const struct entry *archive);
/* For index_each_of(), `state` being a struct purge. From the inside out, each by its own date,
 * also where the project has no archive any more; and announced when nothing that it holds will
 * keep it. */
bool purge_take_archive(void *state, struct entry *archive);
bool purge_has_archive(const struct purge *purge, const struct entry *project);

/* --- As many as that takes (purge.c) */

/* Until nothing is left, or `most` rows are gone. */
enum zone_status purge_run(struct zones *zones, struct purge *purge, size_t most,
			   struct purge_report *sum);
/* In the log. */
void purge_tell(const struct purge_report *sum);
