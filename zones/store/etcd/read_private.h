/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* What the files that read share: pages.c, look.c, rows.c, read.c, few.c, find.c, list.c. */
#pragma once

#include "zones/store/etcd/etcd.h"

struct kv {
	struct bytes key, value; /* borrowed; the key without the store's prefix */
	uint64_t revision;
};
typedef enum zone_status visit_kv(void *state, const struct kv *kv);

/* --- pages.c */

enum zone_status etcd_damaged(struct etcd *etcd, struct bytes key, const char *what);
/* `last` takes the key of the last one. */
enum zone_status etcd_visit_page(struct etcd *etcd, const json_t *answer, struct buffer *last,
				 visit_kv *visit, void *state);
/* A page that is too long is asked for once more, with half as many rows. */
enum zone_status etcd_ask_page(struct etcd *etcd, struct etcd_range *range,
			       enum etcd_fate *ret_fate, json_t **ret_answer);
/* All that is below `below`, a key that ends with a slash. */
enum zone_status etcd_each(struct etcd *etcd, const struct buffer *below, struct etcd_range range,
			   visit_kv *visit, void *state, enum etcd_fate *ret_fate);

/* --- look.c */

/* What came to a question of a transaction; its first key and value. NULL: none. */
const json_t *etcd_answer_at(const json_t *answer, size_t index);
const json_t *etcd_first_kv(const json_t *range);
/* The head, and what else is asked for by `ops`, whose answers come after the head's, from 1 on.
 * json_decref() it. */
enum zone_status etcd_look_with(struct etcd *etcd, const struct buffer *ops,
				struct etcd_look *ret_look, json_t **ret_answer);
/* The head, how many zones there are, and whether anything is newer. */
enum zone_status etcd_look_since(struct etcd *etcd, uint64_t newer_than, struct etcd_look *ret_look,
				 bool *ret_news);
uint64_t etcd_cursor_revision(const struct store_cursor *cursor);
/* The same store in the same etcd, further on. */
bool etcd_goes_on(const struct etcd *etcd, const struct store_cursor *since,
		  const struct etcd_look *look);

/* --- rows.c */

struct etcd_reading {
	struct etcd *etcd;
	const struct etcd_look *look;
	struct rows_reading rows;
	struct store_news news;
	/* Zones among the news, by zone id when all are there; borrowed. */
	struct entry **zones;
	size_t zone_count;
};
void etcd_reading_clear(struct etcd_reading *reading);
enum zone_status etcd_judge(struct etcd_reading *reading, enum zone_status status,
			    const struct kv *kv);
/* Adds a row to the news; `state` is the reading. */
enum zone_status etcd_visit_row(void *state, const struct kv *kv);
/* By their uids, as of the look's revision. */
enum zone_status etcd_read_rows_of(struct etcd_reading *reading, const struct buffer *uids,
				   enum etcd_fate *ret_fate);
/* Of the zones among the news; `all`: those are all that there are. */
enum zone_status etcd_read_versions(struct etcd_reading *reading, bool all,
				    enum etcd_fate *ret_fate);

/* --- find.c */

/* The head, before rows alone are read: a refusal where they would fit nothing that is known. */
enum zone_status etcd_look_alone(struct etcd *etcd, struct etcd_look *ret_look);

/* --- read.c */

/* All that is newer, as of the look. */
enum zone_status etcd_read_rows(struct etcd_reading *reading, uint64_t newer_than,
				enum etcd_fate *ret_fate);
void etcd_note_store(struct etcd *etcd, const struct etcd_look *look);
struct etcd_reading etcd_reading_of(struct etcd *etcd, const struct etcd_look *look);
enum zone_status etcd_tell_compacted(struct etcd *etcd);
/* Where reading came to nothing since the state before a large write is compacted: puts that write
 * in its place, so that the next look reads what is now. Else nothing. ZONE_STORE_UNAVAILABLE: that
 * is for somebody who may write. */
enum zone_status etcd_unblock(struct etcd *etcd, const struct etcd_look *look, enum etcd_fate fate);
enum zone_status etcd_tell_limit(struct etcd *etcd, const struct etcd_look *look);
