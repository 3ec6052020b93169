/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write is tried until it is in time: what is new is read, `decide` is asked, and one transaction
 * writes on the condition that nobody has written the projects since.
 */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/dynamodb/write_private.h"

#include <stdio.h>
#include <stdlib.h>

enum { BACKOFF_MS = 25, BACKOFF_MAX_MS = 1000 };

static void attempt_clear(struct dynamodb_attempt *attempt)
{
	for (size_t i = 0; attempt->rows != NULL && i < attempt->count; i++) {
		entry_release(attempt->rows[i].row.entry);
		free(attempt->rows[i].have);
	}
	free(attempt->rows);
	free(attempt->projects);
	free(attempt->begins);
	buffer_clear(&attempt->heads.text);
	buffer_clear(&attempt->ops.text);
	attempt->rows = NULL;
	attempt->projects = NULL;
	attempt->begins = NULL;
	attempt->project_count = attempt->begin_capacity = 0;
	attempt->parts = 0;
	attempt->in_parts = false;
	attempt->heads.count = attempt->ops.count = 0;
	attempt->again = false;
}

static void attempt_end(struct dynamodb_attempt *attempt)
{
	attempt_clear(attempt);
	dynamodb_look_clear(&attempt->look);
}

static enum zone_status try_once(struct dynamodb_attempt *attempt,
				 enum dynamodb_outcome *ret_outcome)
{
	AUTO(buffer_clear) struct buffer body = {0};
	enum zone_status status;

	*ret_outcome = TOO_LATE;
	TRY(dynamodb_plan(attempt));
	status = dynamodb_look_at_rows(attempt);
	if (attempt->again)
		return ZONE_OK;
	TRY(status);
	TRY(dynamodb_check_changes(attempt));
	status = dynamodb_make_ops(attempt);
	dynamodb_put_transaction(attempt, &body);
	if (status == ZONE_OK)
		status = dynamodb_commit(attempt, &body, ret_outcome);
	if (*ret_outcome == TOO_LATE && attempt->parts > 0)
		dynamodb_unstage(attempt);
	return status;
}

/* Nobody else has written these projects in between. */
static enum zone_status note_done(struct dynamodb_attempt *attempt, struct store_cursor *ret_cursor)
{
	struct dynamodb_look *look = &attempt->look;

	for (size_t i = 0; i < attempt->count; i++)
		if (!attempt->changes[i].remove)
			attempt->changes[i].entry->revision =
				touched_of(attempt, attempt->changes[i].entry->project)->seen.rev +
				1;
	for (size_t i = 0; i < attempt->project_count; i++) {
		struct dynamodb_touched *touched = &attempt->projects[i];

		touched->seen = dynamodb_position_after(attempt, touched);
		/* What is there already is written anew by whoever does not know of it. */
		if (!dynamodb_set_position(&look->at, &touched->seen))
			return ZONE_OK;
	}
	look->exists = true;
	snprintf(look->at.id, sizeof(look->at.id), "%s", look->id);
	snprintf(attempt->dynamodb->id, sizeof(attempt->dynamodb->id), "%s", look->id);
	*ret_cursor = dynamodb_remember(attempt->dynamodb, look);
	/* If it does not come to that now, whoever reads it next does it. */
	for (size_t i = 0; i < attempt->project_count; i++)
		dynamodb_place_parts(attempt->dynamodb, &attempt->projects[i].seen);
	return ZONE_OK;
}

static enum zone_status check_writer(struct dynamodb *dynamodb, const struct dynamodb_look *look)
{
	if (look->limited)
		return ZONE_STORE_NEWER;
	if (look->exists && look->head.min_writer > store_level_understood())
		return dynamodb_says(dynamodb, ZONE_STORE_NEWER_WRITER,
				     "changing it takes level %u, and this release knows level "
				     "%u; install %s",
				     look->head.min_writer, store_level_understood(),
				     look->head.release);
	return ZONE_OK;
}

/* What is newer than at the cursor, and what to do about it. */
static enum zone_status decide_anew(struct dynamodb_attempt *attempt, struct store_cursor *cursor,
				    store_decide *decide, void *state)
{
	AUTO(store_news_clear) struct store_news news = {0};
	uint64_t wide = 0;

	attempt_clear(attempt);
	attempt->count = 0;
	TRY(dynamodb_read_wide(attempt->dynamodb, &wide));
	TRY(dynamodb_read_news(attempt->dynamodb, cursor, SIZE_MAX, &attempt->look, &news));
	attempt->look.wide = wide;
	TRY(check_writer(attempt->dynamodb, &attempt->look));
	*cursor = news.cursor;
	return decide(state, &news, &attempt->changes, &attempt->count);
}

/* Decorrelated: three times as long as the last at most, so that many writers spread. */
static void back_off(struct dynamodb *dynamodb, int64_t *ms)
{
	int64_t most = *ms * 3 < BACKOFF_MAX_MS ? *ms * 3 : BACKOFF_MAX_MS;

	*ms = BACKOFF_MS + retry_jitter(most - BACKOFF_MS);
	dynamodb_sleep(dynamodb, *ms);
}

enum zone_status dynamodb_write(struct dynamodb *dynamodb, const struct store_cursor *since,
				store_decide *decide, void *state, struct store_cursor *ret_cursor)
{
	AUTO(attempt_end) struct dynamodb_attempt attempt = {.dynamodb = dynamodb};
	struct store_cursor cursor = *since;
	enum dynamodb_outcome outcome = TOO_LATE;
	int64_t wait_ms = BACKOFF_MS;
	const struct moment end = moment_after(clock_now(dynamodb->aws.clock), DYNAMODB_WRITE_MS);

	for (;;) {
		TRY(decide_anew(&attempt, &cursor, decide, state));
		if (attempt.count == 0)
			break;
		TRY(try_once(&attempt, &outcome));
		if (outcome == DONE) {
			TRY(note_done(&attempt, &cursor));
			break;
		}
		if (clock_now(dynamodb->aws.clock).monotonic_ms >= end.monotonic_ms)
			return dynamodb_says(dynamodb, ZONE_STORE_UNAVAILABLE,
					     "others were quicker for %d seconds; nothing was "
					     "written: try again",
					     DYNAMODB_WRITE_MS / 1000);
		back_off(dynamodb, &wait_ms);
		dynamodb_go_on(dynamodb, DYNAMODB_READ_MS);
	}
	*ret_cursor = cursor;
	return ZONE_OK;
}

/* --- Rights */

enum zone_status dynamodb_may_write(struct dynamodb *dynamodb, bool *ret_writable)
{
	const struct dynamodb_condition never = {.when = WHEN_NEVER};
	const struct dynamodb_key key = dynamodb_key_wide();
	AUTO(buffer_clear) struct buffer attributes = {0};
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	struct dynamodb_ops ops = {0};
	const struct remote_said before = dynamodb->said;
	enum zone_status status;
	enum dynamodb_fate fate;

	dynamodb_put_number(&attributes, "rev", 0);
	dynamodb_op_put(dynamodb, &ops, &key, &attributes, never);
	buffer_format(&body, "{\"TransactItems\":[%s]}", buffer_text(&ops.text));
	body.failed |= ops.text.failed;
	buffer_clear(&ops.text);
	status = dynamodb_call(dynamodb, "TransactWriteItems", &body, true, &fate, &answer);
	*ret_writable = fate == DYNAMODB_CANCELED || status == ZONE_OK;
	if (*ret_writable)
		return ZONE_OK;
	if (status != ZONE_STORE_DENIED)
		return status;
	dynamodb->said = before;
	return ZONE_OK;
}
