/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A write is tried until it is in time: what is new is read as of a revision, `decide` is asked,
 * and one transaction of etcd compares that nobody has changed the projects since.
 */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/etcd/write_private.h"

#include <stdlib.h>

enum {
	ASKED_AT_ONCE = 32, /* rows that are looked at before they are written */
	BACKOFF_MS = 25,
	BACKOFF_MAX_MS = 1000,
};

static void attempt_clear(struct attempt *attempt)
{
	for (size_t i = 0; attempt->projects != NULL && i < attempt->project_count; i++)
		buffer_clear(&attempt->projects[i].tokens);
	free(attempt->projects);
	for (size_t i = 0; attempt->rows != NULL && i < attempt->count; i++) {
		entry_release(attempt->rows[i].row.entry);
		buffer_clear(&attempt->rows[i].versions);
	}
	free(attempt->rows);
	for (size_t i = 0; i < attempt->part_count; i++)
		buffer_clear(&attempt->parts[i]);
	free(attempt->parts);
	attempt->parts = NULL;
	attempt->part_count = attempt->in_part = 0;
	buffer_clear(&attempt->compares);
	buffer_clear(&attempt->ops);
	buffer_clear(&attempt->group);
	attempt->projects = NULL;
	attempt->rows = NULL;
	attempt->project_count = 0;
	attempt->direct = attempt->in_group = attempt->groups = 0;
}

/* If it does not come to that now, whoever writes next does it. */
static void end_parts(struct attempt *attempt, enum zone_status status, enum outcome outcome,
		      struct done_at *ret_done)
{
	if (status == ZONE_OK && outcome == DONE)
		etcd_place_parts(attempt->etcd);
	else if (outcome == TOO_LATE)
		etcd_unstage(attempt);
	ret_done->exact = false; /* the rows are of later revisions */
}

static enum zone_status try_once(struct attempt *attempt, enum outcome *ret_outcome,
				 struct done_at *ret_done)
{
	AUTO(buffer_clear) struct buffer body = {0};
	enum zone_status status;

	TRY(etcd_plan(attempt));
	status = etcd_look_at_all(attempt);
	*ret_outcome = TOO_LATE;
	if (status != ZONE_OK)
		return attempt->again ? ZONE_OK : status;
	TRY(etcd_check_changes(attempt));
	TRY(etcd_make_transaction(attempt, &body));
	status = etcd_commit(attempt, &body, ret_outcome, ret_done);
	if (status == ZONE_STORE_FULL && *ret_outcome == IN_THE_DARK && !attempt->in_parts) {
		/* Not for want of space: it takes fewer operations, or shorter ones. */
		etcd_take_fewer(attempt->etcd);
		attempt->in_parts = true;
		*ret_outcome = TOO_LATE;
		return ZONE_OK;
	}
	if (attempt->part_count > 0)
		end_parts(attempt, status, *ret_outcome, ret_done);
	return status;
}

static void note_done(struct attempt *attempt, struct done_at done, struct store_cursor *ret_cursor)
{
	/* What others wrote in between, `decide` has not seen. */
	bool next = done.exact && done.revision == attempt->look.revision + 1;

	for (size_t i = 0; i < attempt->count; i++)
		if (!attempt->changes[i].remove)
			attempt->changes[i].entry->revision = done.revision;
	if (!attempt->look.exists) {
		memcpy(attempt->etcd->id, attempt->look.id, ROWS_ID_SIZE);
		attempt->look.exists = next;
	}
	*ret_cursor = etcd_cursor(&attempt->look, next ? done.revision : attempt->look.revision);
}

static enum zone_status check_writer(struct etcd *etcd, const struct etcd_look *look)
{
	if (look->limited)
		return ZONE_STORE_NEWER;
	if (look->exists && look->head.min_writer > store_level_understood())
		return etcd_says(etcd, ZONE_STORE_NEWER_WRITER,
				 "changing it takes level %u, and this release knows level %u; "
				 "install %s",
				 look->head.min_writer, store_level_understood(),
				 look->head.release);
	return ZONE_OK;
}

/* What is newer than at the cursor, and what to do about it. */
static enum zone_status decide_anew(struct attempt *attempt, struct store_cursor *cursor,
				    store_decide *decide, void *state)
{
	AUTO(store_news_clear) struct store_news news = {0};

	attempt_clear(attempt);
	attempt->count = 0;
	TRY(etcd_read_news(attempt->etcd, cursor, &attempt->look, &news));
	if (attempt->look.pending != 0) {
		const enum zone_status status = etcd_place_parts(attempt->etcd);

		if (status != ZONE_STORE_DENIED) /* which the write itself is going to be told */
			TRY(status);
		store_news_clear(&news);
		TRY(etcd_read_news(attempt->etcd, cursor, &attempt->look, &news));
	}
	TRY(check_writer(attempt->etcd, &attempt->look));
	*cursor = news.cursor;
	return decide(state, &news, &attempt->changes, &attempt->count);
}

/* Decorrelated: three times as long as the last at most, so that many writers spread. */
static void back_off(struct etcd *etcd, int64_t *ms)
{
	int64_t most = *ms * 3 < BACKOFF_MAX_MS ? *ms * 3 : BACKOFF_MAX_MS;

	*ms = BACKOFF_MS + retry_jitter(most - BACKOFF_MS);
	etcd->sleep(etcd->sleep_state, *ms);
}

enum zone_status etcd_write(struct etcd *etcd, const struct store_cursor *since,
			    store_decide *decide, void *state, struct store_cursor *ret_cursor)
{
	AUTO(attempt_clear) struct attempt attempt = {.etcd = etcd, .at_once = ASKED_AT_ONCE};
	struct store_cursor cursor = *since;
	enum outcome outcome = TOO_LATE;
	int64_t wait_ms = BACKOFF_MS;
	struct done_at done = {0};

	for (;;) {
		TRY(decide_anew(&attempt, &cursor, decide, state));
		if (attempt.count == 0)
			break;
		TRY(try_once(&attempt, &outcome, &done));
		if (outcome == DONE) {
			note_done(&attempt, done, &cursor);
			break;
		}
		if (etcd_time_left(etcd) == 0)
			return etcd_says(etcd, ZONE_STORE_UNAVAILABLE,
					 "others were quicker for %d seconds; nothing was written: "
					 "try again",
					 ETCD_WRITE_MS / 1000);
		back_off(etcd, &wait_ms);
	}
	*ret_cursor = cursor;
	return ZONE_OK;
}

/* --- Rights */

enum zone_status etcd_may_write(struct etcd *etcd, bool *ret_writable)
{
	AUTO(buffer_clear) struct buffer compares = {0};
	AUTO(buffer_clear) struct buffer ops = {0};
	AUTO(buffer_clear) struct buffer key = {0};
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	const struct remote_said before = etcd->said;
	enum zone_status status;
	enum etcd_fate fate;

	/* Etcd asks for the right to write before it compares, and no key is of version 0 and was
	 * made at revision 1. */
	etcd_key(etcd, &key, "head");
	etcd_compare(&compares, buffer_bytes(&key), "VERSION", "version", "EQUAL", 0);
	etcd_compare(&compares, buffer_bytes(&key), "CREATE", "create_revision", "EQUAL", 1);
	etcd_op_put(&ops, buffer_bytes(&key), bytes_of(""));
	buffer_format(&body, "{\"compare\":[%s],\"success\":[%s]}", buffer_text(&compares),
		      buffer_text(&ops));
	body.failed |= compares.failed || ops.failed || key.failed;
	if (body.failed)
		return ZONE_NO_MEMORY;
	status = etcd_call(etcd, "/v3/kv/txn", &body, true, &fate, &answer);
	*ret_writable = status == ZONE_OK;
	if (status != ZONE_STORE_DENIED)
		return status;
	etcd->said = (struct remote_said){.status = before.status};
	return ZONE_OK;
}
