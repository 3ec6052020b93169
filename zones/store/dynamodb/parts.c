/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write that is more than one transaction of DynamoDB takes. Its operations are first written as
 * parts, which nobody looks at. Then one transaction writes the project's head, with how many parts
 * there are: this is when it is done. The parts are put in their place afterwards, by whoever comes
 * to it first, each in a transaction which asks that the head still be this one. While they are
 * not, nobody reads the project's rows or writes it: all put them in place first.
 */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/dynamodb/write_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	PART_OPS = DYNAMODB_OPS_MAX - 1,
	PART_BYTES = DYNAMODB_ITEM_MAX - 1024,
	PARTS_MAX = 1000,
	/* So long it is left to the one that wrote them. */
	WAITS = 8,
	WAIT_MS = 250,
	LEFT_OVER_MS = 24 * 60 * 60 * 1000,
};

/* --- Before */

static enum zone_status send(struct dynamodb *dynamodb, struct dynamodb_ops *ops,
			     enum dynamodb_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum zone_status status;

	buffer_put_text(&body, "{\"TransactItems\":[");
	buffer_append(&body, buffer_bytes(&ops->text));
	buffer_put_text(&body, "]}");
	body.failed |= ops->text.failed;
	buffer_clear(&ops->text);
	ops->count = 0;
	/* What is done twice is the same as once. */
	status = dynamodb_call(dynamodb, "TransactWriteItems", &body, true, ret_fate, &answer);
	dynamodb_go_on(dynamodb, DYNAMODB_READ_MS);
	return status;
}

/* *ret_late: the head is another one by now. */
static enum zone_status send_for(struct dynamodb *dynamodb, struct dynamodb_ops *ops,
				 bool *ret_late)
{
	enum dynamodb_fate fate;
	enum zone_status status = send(dynamodb, ops, &fate);

	*ret_late = fate == DYNAMODB_CANCELED;
	return *ret_late ? ZONE_OK : status;
}

static size_t end_of(const struct dynamodb_attempt *attempt, size_t op)
{
	return op + 1 < attempt->ops.count ? attempt->begins[op + 1] : attempt->ops.text.len;
}

static enum zone_status write_part(struct dynamodb_attempt *attempt, size_t from, size_t to)
{
	const struct dynamodb_condition any = {.when = WHEN_ANY};
	const size_t begin = attempt->begins[from] + (from > 0); /* without the comma */
	const struct dynamodb_key key = dynamodb_key_part(attempt->projects[0].seen.project,
							  attempt->token, attempt->parts);
	AUTO(buffer_clear) struct buffer text = {0};
	AUTO(buffer_clear) struct buffer attributes = {0};
	struct dynamodb_ops ops = {0};
	enum dynamodb_fate fate;

	buffer_append(&text,
		      bytes(attempt->ops.text.data + begin, end_of(attempt, to - 1) - begin));
	dynamodb_put_number(&attributes, "at",
			    (uint64_t)clock_system.realtime_ms(clock_system.state));
	dynamodb_put_text(&attributes, "ops", buffer_text(&text));
	dynamodb_op_put(attempt->dynamodb, &ops, &key, &attributes, any);
	attempt->parts++;
	return send(attempt->dynamodb, &ops, &fate);
}

/* How many operations from there on one part takes; 0: not even one. */
static size_t part_from(const struct dynamodb_attempt *attempt, size_t from)
{
	size_t to = from;

	while (to < attempt->ops.count && to - from < PART_OPS &&
	       end_of(attempt, to) - attempt->begins[from] <= PART_BYTES)
		to++;
	return to - from;
}

static enum zone_status refuse(struct dynamodb_attempt *attempt, const char *why)
{
	return dynamodb_says(attempt->dynamodb, ZONE_STORE_FULL,
			     "a change of %zu items at once %s; nothing was written: do it in "
			     "smaller steps",
			     attempt->ops.count, why);
}

/* Parts of writes that were never done, of long ago, as far as this host's clock says. */
struct leftovers {
	struct dynamodb *dynamodb;
	const struct dynamodb_position *seen;
	struct dynamodb_ops ops;
	uint64_t before_ms;
	bool late; /* the head is another one by now */
};

/* Only while the head is as it was seen: it has no parts then, and who writes one that has some
 * looks whether these are there. */
static void begin_removal(struct leftovers *leftovers)
{
	const struct dynamodb_position *seen = leftovers->seen;
	const struct dynamodb_key key = dynamodb_key_project(seen->project);
	const struct dynamodb_condition still = {seen->rev == 0 ? WHEN_NEW : WHEN_AT, seen->rev};

	if (leftovers->ops.count == 0)
		dynamodb_op_check(leftovers->dynamodb, &leftovers->ops, &key, still);
}

static enum zone_status remove_leftovers(struct leftovers *leftovers)
{
	return leftovers->late || leftovers->ops.count == 0
		       ? ZONE_OK
		       : send_for(leftovers->dynamodb, &leftovers->ops, &leftovers->late);
}

static enum zone_status visit_leftover(void *state, const json_t *item)
{
	const struct dynamodb_condition any = {.when = WHEN_ANY};
	struct leftovers *leftovers = state;
	struct dynamodb_key key;

	if (leftovers->late || dynamodb_number(item, "at") >= leftovers->before_ms)
		return ZONE_OK;
	begin_removal(leftovers);
	snprintf(key.partition, sizeof(key.partition), "%s", dynamodb_text(item, "PK"));
	snprintf(key.sort, sizeof(key.sort), "%s", dynamodb_text(item, "SK"));
	dynamodb_op_delete(leftovers->dynamodb, &leftovers->ops, &key, any);
	return leftovers->ops.count < DYNAMODB_OPS_MAX ? ZONE_OK : remove_leftovers(leftovers);
}

static enum zone_status sweep(struct dynamodb_attempt *attempt)
{
	const struct dynamodb_key key =
		dynamodb_key_row(attempt->projects[0].seen.project, (struct uid){0});
	const struct dynamodb_range range = {key.partition, "part/", "part/g", false};
	struct leftovers leftovers = {
		.dynamodb = attempt->dynamodb,
		.seen = &attempt->projects[0].seen,
		.before_ms =
			(uint64_t)(clock_system.realtime_ms(clock_system.state) - LEFT_OVER_MS)};
	enum zone_status status =
		dynamodb_query(attempt->dynamodb, &range, visit_leftover, &leftovers);

	if (status == ZONE_OK)
		status = remove_leftovers(&leftovers);
	buffer_clear(&leftovers.ops.text);
	return status;
}

enum zone_status dynamodb_stage(struct dynamodb_attempt *attempt)
{
	size_t from = 0;

	if (attempt->project_count > 1)
		return refuse(attempt, "in several projects is more than DynamoDB takes");
	TRY(sweep(attempt));
	while (from < attempt->ops.count) {
		const size_t count = part_from(attempt, from);

		if (count == 0)
			return refuse(attempt,
				      "has one that is too long to be written with others");
		if (attempt->parts == PARTS_MAX)
			return refuse(attempt, "is more than this release writes");
		TRY(write_part(attempt, from, from + count));
		from += count;
	}
	return ZONE_OK;
}

/* --- Afterwards */

static enum zone_status look_again(struct dynamodb *dynamodb, struct dynamodb_position *now)
{
	const struct dynamodb_key key = dynamodb_key_project(now->project);
	AUTO(json_freep) json_t *item = NULL;

	TRY(dynamodb_get(dynamodb, &key, &item));
	if (item == NULL || !dynamodb_read_position(item, now))
		return dynamodb_damaged(dynamodb, key.sort, "as a whole");
	return ZONE_OK;
}

static enum zone_status place_part(struct dynamodb *dynamodb, const struct dynamodb_position *head,
				   uint64_t number, bool *ret_late)
{
	const struct dynamodb_key part = dynamodb_key_part(head->project, head->by, number);
	const struct dynamodb_key key = dynamodb_key_project(head->project);
	const struct dynamodb_condition still = {WHEN_PARTS, head->rev};
	AUTO(json_freep) json_t *item = NULL;
	struct dynamodb_ops ops = {0};
	enum zone_status status;

	*ret_late = true;
	TRY(dynamodb_get(dynamodb, &part, &item));
	if (item == NULL)
		return ZONE_OK; /* removed: they are all in their place */
	dynamodb_op_check(dynamodb, &ops, &key, still);
	status = dynamodb_take_part(dynamodb, &part, head->project, dynamodb_text(item, "ops"),
				    &ops);
	if (status == ZONE_OK)
		status = send_for(dynamodb, &ops, ret_late);
	buffer_clear(&ops.text);
	return status;
}

/* From here on the project may be read and written. */
static enum zone_status free_head(struct dynamodb *dynamodb, const struct dynamodb_position *head,
				  bool *ret_late)
{
	const struct dynamodb_key key = dynamodb_key_project(head->project);
	const struct dynamodb_condition still = {WHEN_PARTS, head->rev};
	AUTO(buffer_clear) struct buffer attributes = {0};
	struct dynamodb_position placed = *head;
	struct dynamodb_ops ops = {0};

	placed.parts = 0;
	dynamodb_put_position(&attributes, &placed);
	dynamodb_op_put(dynamodb, &ops, &key, &attributes, still);
	return send_for(dynamodb, &ops, ret_late);
}

static enum zone_status remove_parts(struct dynamodb *dynamodb,
				     const struct dynamodb_position *head)
{
	const struct dynamodb_condition any = {.when = WHEN_ANY};
	struct dynamodb_ops ops = {0};
	enum dynamodb_fate fate;

	for (uint64_t i = 0; i < head->parts; i++) {
		const struct dynamodb_key key = dynamodb_key_part(head->project, head->by, i);

		dynamodb_op_delete(dynamodb, &ops, &key, any);
		if (ops.count == DYNAMODB_OPS_MAX || i + 1 == head->parts)
			TRY(send(dynamodb, &ops, &fate));
	}
	return ZONE_OK;
}

void dynamodb_unstage(struct dynamodb_attempt *attempt)
{
	struct dynamodb_position head = attempt->projects[0].seen;

	head.parts = attempt->parts;
	snprintf(head.by, sizeof(head.by), "%s", attempt->token);
	remove_parts(attempt->dynamodb, &head);
}

static enum zone_status place_parts(struct dynamodb *dynamodb, struct dynamodb_position head)
{
	bool late = false;

	for (uint64_t i = 0; i < head.parts && !late; i++)
		TRY(place_part(dynamodb, &head, i, &late));
	if (!late)
		TRY(free_head(dynamodb, &head, &late));
	return late ? ZONE_OK : remove_parts(dynamodb, &head);
}

enum zone_status dynamodb_place_parts(struct dynamodb *dynamodb, struct dynamodb_position *now)
{
	enum zone_status status;

	if (now->parts == 0)
		return ZONE_OK;
	status = place_parts(dynamodb, *now);
	if (status == ZONE_STORE_DENIED || status == ZONE_STORE_READ_ONLY)
		return dynamodb_blames(dynamodb, ZONE_STORE_UNAVAILABLE,
				       "a large change of project %s waits for somebody who may "
				       "write it: any command of such an identity puts it in place",
				       dynamodb_key_project(now->project).sort + 8);
	TRY(status);
	return look_again(dynamodb, now);
}

enum zone_status dynamodb_await_parts(struct dynamodb *dynamodb, struct dynamodb_position *now)
{
	for (int i = 0; i < WAITS && now->parts > 0 && dynamodb_is_patient(dynamodb); i++) {
		dynamodb_wait(dynamodb, WAIT_MS + retry_jitter(WAIT_MS));
		TRY(look_again(dynamodb, now));
	}
	/* Another one may be at it, and be quicker. */
	for (int i = 0; i < (dynamodb_is_patient(dynamodb) ? WAITS : 1) && now->parts > 0; i++)
		TRY(dynamodb_place_parts(dynamodb, now));
	if (now->parts == 0)
		return ZONE_OK;
	return dynamodb_blames(
		dynamodb, ZONE_STORE_UNAVAILABLE,
		"a large change of project %s is being put in place, or lacks a part; "
		"try again, or restore that project from a backup",
		dynamodb_key_project(now->project).sort + 8);
}

enum zone_status dynamodb_await_project(struct dynamodb *dynamodb, struct uid project,
					bool *ret_exists)
{
	const struct dynamodb_key key = dynamodb_key_project(project);
	AUTO(json_freep) json_t *item = NULL;
	struct dynamodb_position now;

	TRY(dynamodb_get(dynamodb, &key, &item));
	*ret_exists = item != NULL;
	if (item == NULL)
		return ZONE_OK;
	if (!dynamodb_read_position(item, &now))
		return dynamodb_damaged(dynamodb, key.sort, "as a whole");
	return dynamodb_await_parts(dynamodb, &now);
}
