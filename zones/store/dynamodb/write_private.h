/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A write of the DynamoDB store, for the write*.c files and parts.c alone. */
#pragma once

#include "zones/store/dynamodb/dynamodb.h"

/* A project that a write changes. */
struct dynamodb_touched {
	struct dynamodb_position seen; /* rev 0: it has no head yet */
	uint64_t zones, rows;	       /* that it has afterwards; of rows 0: not counted */
};

/* How a changed row is in the store. */
struct dynamodb_row_now {
	uint64_t rev; /* 0: there is none */
	struct store_row row;
	char *have; /* of a zone: its versions, as load.h has them; may be NULL */
};

struct dynamodb_attempt {
	struct dynamodb *dynamodb;
	struct dynamodb_look look; /* what `decide` has seen */
	struct store_change *changes;
	size_t count;
	struct dynamodb_touched *projects;
	size_t project_count;
	struct dynamodb_row_now *rows; /* of each change */
	bool wide; /* it is about what is unique in the store: nobody may have changed such */
	char token[DYNAMODB_TOKEN_SIZE];
	struct dynamodb_ops heads; /* what makes it visible */
	struct dynamodb_ops ops;   /* what is written: in that transaction, or in parts */
	size_t *begins;		   /* where each of these begins in the text */
	size_t begin_capacity;
	bool in_parts;
	uint64_t parts;
	bool again; /* it failed for a reason that a new attempt does not have */
};

static inline struct dynamodb_touched *touched_of(const struct dynamodb_attempt *attempt,
						  struct uid project)
{
	for (size_t i = 0; i < attempt->project_count; i++)
		if (uid_equal(attempt->projects[i].seen.project, project))
			return &attempt->projects[i];
	return NULL;
}

/* --- write_look.c: what is there */

/* Which projects are changed, and whether it is about all of the store. */
enum zone_status dynamodb_plan(struct dynamodb_attempt *attempt);
/* The rows that are to be changed. `again`: they are of a later write than `decide` has seen. */
enum zone_status dynamodb_look_at_rows(struct dynamodb_attempt *attempt);
/* Whether the changes are based on what is there: ZONE_CONFLICT. */
enum zone_status dynamodb_check_changes(const struct dynamodb_attempt *attempt);

/* --- write_transaction.c */

/* The project's head, once it is done. */
struct dynamodb_position dynamodb_position_after(const struct dynamodb_attempt *attempt,
						 const struct dynamodb_touched *touched);

/* ZONE_STORE_FULL: it is more than DynamoDB takes. */
enum zone_status dynamodb_make_ops(struct dynamodb_attempt *attempt);
/* All in one transaction, as the body of a request. */
void dynamodb_put_transaction(const struct dynamodb_attempt *attempt, struct buffer *ret_body);

/* --- parts.c */

/* Writes the operations as parts that nobody looks at yet. ZONE_STORE_FULL: there are too many, or
 * they are of several projects. */
enum zone_status dynamodb_stage(struct dynamodb_attempt *attempt);
/* Removes them, of a write that is not done and will not be, as far as that can be. */
void dynamodb_unstage(struct dynamodb_attempt *attempt);

/* --- part_ops.c */

/* Appends what a part of that project says is to be done. ZONE_STORE_CORRUPT, logged: it is not
 * what a release writes in a part of that project, and *ops is of no use. */
enum zone_status dynamodb_take_part(struct dynamodb *dynamodb, const struct dynamodb_key *part,
				    struct uid project, const char *text, struct dynamodb_ops *ops);

/* --- write_settle.c: the answer */

enum dynamodb_outcome {
	DONE,
	TOO_LATE,   /* somebody was quicker; nothing was written, nor will be */
	NOT_YET,    /* it was not done so far, and may be: it can be sent again as it is */
	IN_THE_DARK /* it can't be found out now */
};

/* ZONE_OK with DONE or TOO_LATE. */
enum zone_status dynamodb_commit(struct dynamodb_attempt *attempt, const struct buffer *body,
				 enum dynamodb_outcome *ret_outcome);
