/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the engines that ask others over the network have in common: rules that hold for any of
 * them, and what they say. */
#pragma once

#include "base/buffer.h"
#include "zones/store/rows/rows.h"
#include "zones/store/store.h"

#include <stdarg.h>

/* --- said.c: what is logged of such a store, once */

struct remote_said {
	bool away;		      /* it was out of reach at the last call */
	enum zone_status status;      /* what was logged last: once is enough */
	char text[STORE_UNREAD_TEXT]; /* what was said last */
};
/* Logs "store NAME: …" unless the same status was the last to be logged; then it is this call's
 * reason alone. Returns the status. */
enum zone_status remote_says(struct remote_said *said, const char *name, enum zone_status status,
			     const char *format, va_list arguments)
	__attribute__((format(printf, 4, 0)));
/* It has answered: what was said of its absence is over, and that is logged. */
void remote_answers(struct remote_said *said, const char *name);
/* It was read. What it needs (ZONE_STORE_NEWER) is said once, not at each look. */
void remote_was_read(struct remote_said *said, bool limited);

/* --- changes.c: what may be written, and beside whom */

/* The version of that zone, or of the zone that it was imported from, with that number; NULL. */
const struct ezk_version *remote_version_like(const struct entry *zone,
					      const struct ezk_version *version);
/* Whether a change is about what is unique in the whole store and not in a project: slots and names
 * of projects, zone ids, fingerprints; what a backup brings; and what goes for good, which another
 * project may have imported. It must be decided beside the writes of all projects. */
bool remote_is_wide(const struct store_change *change);
/* Whether its rules look at rows of every project, so that it waits while one can't be read: a new
 * project, what a backup brings, and what goes for good. */
bool remote_needs_all(const struct store_change *change);
/* Whether a zone has versions of another zone that it did not have. */
bool remote_imports(const struct store_change *change);
/* Whether a change fits the row that is there, at `revision` (0: there is none), and gives no value
 * to two versions of one zone. */
bool remote_fits(const struct store_change *change, const struct store_row *now, uint64_t revision);
/* Random hexadecimal digits, size - 1 of them, at most ROWS_ID_SIZE - 1, and a NUL. */
bool remote_make_digits(char *ret_digits, size_t size);

/* --- limited.c: a store that asks more of a reader than this release knows */

/* Zones that were met: such a one awaits deletion, or its project is not active. */
struct remote_limited {
	struct rows_minimum *zones;
	size_t count;
};
void remote_limited_clear(struct remote_limited *limited); /* for AUTO; accepts zeros */
/* Adds a row to the news, or keeps it, if it is a zone, to the end (takes its entry). */
enum zone_status remote_limited_add(struct remote_limited *limited, struct store_news *news,
				    const struct rows_minimum *minimum);
/* When all rows were met: the zones that must not be opened go into the news as removed. */
enum zone_status remote_limited_end(const struct remote_limited *limited, struct store_news *news);

/* --- settings.c */

/* Logs "PLACE: [store] NAME = SHOWN: WHY"; ZONE_INVALID. SHOWN may be NULL. */
enum zone_status remote_refuse(const struct store_setting *setting, const char *name,
			       const char *shown, const char *why);
/* https, or http to this machine itself; no path. */
enum zone_status remote_check_endpoint(const struct store_setting *endpoint);

/* --- levels.c: such an engine knows the way to no level but the first */

/* Appends lines for doctor. */
void remote_describe_levels(const struct store_head *head, struct buffer *ret_text);
/* "writable", "read-only", or that this release may not change it. */
const char *remote_access(const struct store_head *head, bool writable);
/* What `bring` answers: ZONE_OK where there is nothing to do; else *ret_why is what to say. */
enum zone_status remote_bring(const struct store_head *head, unsigned from, unsigned to,
			      const char **ret_why);
