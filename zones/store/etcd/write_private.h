/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A write of the etcd store, for the write*.c files alone. */
#pragma once

#include "zones/store/etcd/etcd.h"

enum {
	ETCD_TOKEN_SIZE = 8,
	ETCD_TOKEN_TEXT = 2 * ETCD_TOKEN_SIZE + 1,
	ETCD_PART_NAME = 16 + 1 + ETCD_TOKEN_TEXT, /* "WHEN/TOKEN" */
};

/* A project that a write changes. */
struct touched {
	struct uid uid;
	uint64_t version;     /* how often its head was written; 0: never */
	struct buffer tokens; /* of the last writes, as JSON strings with commas between */
};

/* How a changed row is in the store. */
struct row_now {
	uint64_t revision; /* 0: there is none */
	struct store_row row;
	struct buffer versions; /* keys of those it has, each after its length */
};

struct attempt {
	struct etcd *etcd;
	struct etcd_look look; /* what `decide` has seen */
	struct store_change *changes;
	size_t count;
	struct touched *projects;
	size_t project_count;
	struct row_now *rows; /* of each change */
	bool wide;	      /* its rules look at all projects: none may have changed */
	char token[ETCD_TOKEN_TEXT];
	struct buffer compares, ops, group;
	size_t direct, in_group, groups; /* operations, and groups of them */
	bool in_parts;			 /* the changes go into these: */
	struct buffer *parts;
	size_t part_count, in_part;
	char name[ETCD_PART_NAME];
	bool of_heads;	/* what is written now makes the write visible: never in a part */
	size_t at_once; /* rows that are looked at with one request */
	bool again;	/* it failed for a reason that a new attempt does not have */
};

static inline const json_t *kvs_at(const json_t *responses, size_t index)
{
	return json_object_get(json_object_get(json_array_get(responses, index), "response_range"),
			       "kvs");
}

/* --- write_look.c: what is there, as of the revision that `decide` has seen */

/* Which projects are changed, and whether the rules look at all of them. */
enum zone_status etcd_plan(struct attempt *attempt);
/* With one request, mostly. `again`: a new attempt may fare better. */
enum zone_status etcd_look_at_all(struct attempt *attempt);
/* Whether the changes are based on what is there: ZONE_CONFLICT. */
enum zone_status etcd_check_changes(const struct attempt *attempt);
/* The text of a head: {"format":1,"writes":["…", …]}, the tokens of the last writes. json_decref()
 * it. NULL: it can't be read, or memory lacks. */
json_t *etcd_read_head(const json_t *kv, bool *ret_no_memory);

/* --- write_transaction.c */

/* ZONE_STORE_FULL: it is more than etcd takes at once. */
enum zone_status etcd_make_transaction(struct attempt *attempt, struct buffer *ret_body);
/* For the head by which a lost write is found: as the whole body of a request, or as an
 * operation. */
void etcd_put_project_question(const struct attempt *attempt, bool as_operation,
			       struct buffer *out);

/* --- write_parts.c: a write that is more than one transaction takes */

/* It refused a transaction as too large: it may take fewer operations than usual. */
void etcd_take_fewer(struct etcd *etcd);
/* As an operation of a part. */
void etcd_part_put(struct attempt *attempt, const struct buffer *key, const struct buffer *value);
void etcd_part_drop(struct attempt *attempt, const struct buffer *key, bool below);
/* Writes the parts, which nobody looks at yet. */
enum zone_status etcd_stage(struct attempt *attempt);
/* That they are there still, and that no other such write is on its way to its place: what was
 * before one of two would be amidst the other. */
void etcd_compare_parts(struct attempt *attempt);
/* The operation by which they count. */
void etcd_put_marker(struct attempt *attempt, struct buffer *ops);
/* Removes them, of a write that is not done and will not be, as far as that can be. */
void etcd_unstage(struct attempt *attempt);

/* --- write_settle.c: the answer */

enum outcome {
	DONE,
	TOO_LATE,   /* somebody was quicker; nothing was written, nor will be */
	NOT_YET,    /* it was not done so far, and may be: it can be sent again as it is */
	IN_THE_DARK /* it can't be found out now */
};

/* At which revision a write was done. */
struct done_at {
	uint64_t revision;
	bool exact; /* false: then or later; others wrote the project since */
};

/* ZONE_OK with DONE or TOO_LATE. */
enum zone_status etcd_commit(struct attempt *attempt, const struct buffer *body,
			     enum outcome *ret_outcome, struct done_at *ret_done);
