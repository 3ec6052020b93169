/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows of a project, as of one of its writes. What DynamoDB reads of many items is not one
 * state of them: a write may be seen in part. So each item has the number of the write that it is
 * of, a zone's row says which versions it has and of which writes these are, and what does not fit
 * together, or is of a later write than the head that was looked at, is read once more.
 */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/model/title.h"
#include "zones/store/dynamodb/load.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	ROUNDS = 12,
	WAIT_MS = 10, /* before the second round; doubles up to: */
	WAIT_MAX_MS = 500,
	PAGE = 256, /* rows of a list at once */
};

/* --- What the log says was written */

struct logged {
	const struct dynamodb_position *then;
	struct dynamodb_load *load;
	bool met;	/* `then` itself, which has to be there as it was */
	uint64_t lines; /* after it */
};

/* Those of few rows come first. */
static enum zone_status add_uids(struct dynamodb_load *load, const char *text, uint64_t few,
				 uint64_t rev)
{
	char digits[2 * UID_SIZE + 1] = {0};
	struct uid uid;

	for (size_t len = strlen(text); len >= 2 * UID_SIZE; len -= 2 * UID_SIZE) {
		if (load->few && few-- == 0)
			return ZONE_OK;
		memcpy(digits, text, 2 * UID_SIZE);
		text += 2 * UID_SIZE;
		if (!dynamodb_read_uid(digits, &uid))
			return ZONE_STORE_CORRUPT;
		TRY(load_wish(load, uid, rev));
	}
	return *text == '\0' ? ZONE_OK : ZONE_STORE_CORRUPT;
}

static enum zone_status visit_log(void *state, const json_t *item)
{
	struct logged *logged = state;
	const char *sort = dynamodb_text(item, "SK");
	uint64_t rev = dynamodb_number(item, "rev");
	enum zone_status status;

	if (logged->then != NULL && rev == logged->then->rev) {
		logged->met = strcmp(dynamodb_text(item, "by"), logged->then->by) == 0;
		return ZONE_OK;
	}
	logged->lines++;
	status = add_uids(logged->load, dynamodb_text(item, "rows"), dynamodb_number(item, "few"),
			  rev);
	return status == ZONE_STORE_CORRUPT
		       ? dynamodb_damaged(logged->load->reading->dynamodb, sort, "rows")
		       : status;
}

static void wait_a_little(struct dynamodb *dynamodb, int round)
{
	int64_t most = round < 8 ? (int64_t)WAIT_MS << round : WAIT_MAX_MS;

	dynamodb_wait(dynamodb, 1 + retry_jitter(most < WAIT_MAX_MS ? most : WAIT_MAX_MS));
}

static bool is_last(const struct dynamodb *dynamodb, int round)
{
	return round + 1 >= ROUNDS || !dynamodb_is_patient(dynamodb);
}

static enum zone_status never_seen(struct dynamodb *dynamodb, const struct dynamodb_key *key)
{
	return dynamodb_blames(dynamodb, ZONE_STORE_UNAVAILABLE,
			       "the log of project %s has no line of a write that its head names "
			       "(as far as %s); try again, or restore that project from a backup",
			       key->partition + 2, key->sort);
}

/* Wishes for what was written after `then`, as far as `now`. Of a write whose head is seen already
 * its line need not be seen yet; without it, what it wrote would never be learned. */
static enum zone_status read_log(struct dynamodb_load *load, const struct dynamodb_position *then,
				 const struct dynamodb_position *now, bool *ret_lost)
{
	struct dynamodb *dynamodb = load->reading->dynamodb;
	const struct dynamodb_key from = dynamodb_key_log(then->project, then->rev);
	const struct dynamodb_key to = dynamodb_key_log(then->project, now->rev);
	const struct dynamodb_range range = {from.partition, from.sort, to.sort, false};

	for (int round = 0;; round++) {
		struct logged logged = {.then = then, .load = load};

		if (round > 0)
			wait_a_little(dynamodb, round);
		TRY(dynamodb_query(dynamodb, &range, visit_log, &logged));
		*ret_lost = !logged.met;
		if (!logged.met || logged.lines == now->rev - then->rev)
			return ZONE_OK;
		if (is_last(dynamodb, round))
			return never_seen(dynamodb, &to);
	}
}

/* Of a write that has just been done, not all need be seen yet; each before it was done before it
 * could begin. */
static enum zone_status read_last_of_log(struct dynamodb_load *load,
					 const struct dynamodb_position *now)
{
	struct dynamodb *dynamodb = load->reading->dynamodb;
	const struct dynamodb_key key = dynamodb_key_log(now->project, now->rev);
	struct logged logged = {.load = load};

	for (int round = 0;; round++) {
		AUTO(json_freep) json_t *item = NULL;

		if (round > 0)
			wait_a_little(dynamodb, round);
		TRY(dynamodb_get(dynamodb, &key, &item));
		if (item != NULL)
			return visit_log(&logged, item);
		if (is_last(dynamodb, round))
			return never_seen(dynamodb, &key);
	}
}

/* --- Rounds */

static enum zone_status look_again(struct dynamodb *dynamodb, struct dynamodb_position *position)
{
	const struct dynamodb_key key = dynamodb_key_project(position->project);
	AUTO(json_freep) json_t *item = NULL;

	TRY(dynamodb_get(dynamodb, &key, &item));
	if (item == NULL || !dynamodb_read_position(item, position))
		return dynamodb_damaged(dynamodb, key.sort, "as a whole");
	return ZONE_OK;
}

static enum zone_status never_the_same(struct dynamodb *dynamodb)
{
	return dynamodb_blames(dynamodb, ZONE_STORE_UNAVAILABLE,
			       "a project was changed again and again while it was read, or what "
			       "one of its databases says of its versions does not fit them; try "
			       "again");
}

/* Reads what is wished for until it is one state: that of *now, which moves on. */
static enum zone_status settle(struct dynamodb_load *load, struct dynamodb_position *now,
			       bool *ret_lost)
{
	struct dynamodb *dynamodb = load->reading->dynamodb;

	for (int round = 0; load_misses(load, now->rev); round++) {
		const struct dynamodb_position before = *now;

		if (round > 0 && is_last(dynamodb, round - 1))
			return never_the_same(dynamodb);
		wait_a_little(dynamodb, round);
		TRY(look_again(dynamodb, now));
		TRY(dynamodb_await_parts(dynamodb, now));
		if (now->rev != before.rev)
			TRY(read_log(load, &before, now, ret_lost));
		if (*ret_lost)
			return ZONE_OK;
		TRY(load_fetch(load));
	}
	return load_give(load);
}

enum zone_status dynamodb_read_project(struct dynamodb_reading *reading,
				       const struct dynamodb_position *then,
				       struct dynamodb_position *now, bool *ret_lost)
{
	AUTO(load_clear) struct dynamodb_load load = {.reading = reading, .project = now->project};

	*ret_lost = false;
	TRY(dynamodb_await_parts(reading->dynamodb, now));
	if (then == NULL) {
		TRY(load_all(&load));
		TRY(read_last_of_log(&load, now));
	} else {
		TRY(read_log(&load, then, now, ret_lost));
		if (*ret_lost)
			return ZONE_OK;
		TRY(load_fetch(&load));
	}
	return settle(&load, now, ret_lost);
}

enum zone_status dynamodb_read_few(struct dynamodb_reading *reading, struct dynamodb_position *now,
				   bool *ret_lost)
{
	AUTO(load_clear) struct dynamodb_load load = {.reading = reading, .project = now->project};

	*ret_lost = false;
	TRY(dynamodb_await_parts(reading->dynamodb, now));
	TRY(load_few(&load));
	TRY(read_last_of_log(&load, now));
	return settle(&load, now, ret_lost);
}

/* Each row as it is, and with its own versions. */
static enum zone_status settle_alone(struct dynamodb_load *load)
{
	struct dynamodb *dynamodb = load->reading->dynamodb;

	for (int round = 0; load_misses(load, UINT64_MAX); round++) {
		if (round > 0 && is_last(dynamodb, round - 1))
			return never_the_same(dynamodb);
		wait_a_little(dynamodb, round);
		TRY(load_fetch(load));
	}
	return load_give(load);
}

enum zone_status dynamodb_read_rows(struct dynamodb_reading *reading, struct uid project,
				    const struct uid *uids, size_t count)
{
	AUTO(load_clear)
	struct dynamodb_load load = {.reading = reading, .project = project, .optional = true};

	for (size_t i = 0; i < count; i++)
		TRY(load_wish(&load, uids[i], 0));
	TRY(load_fetch(&load));
	return settle_alone(&load);
}

enum zone_status dynamodb_read_page(struct dynamodb_reading *reading, struct uid project,
				    struct uid *after, bool *ret_end)
{
	AUTO(load_clear)
	struct dynamodb_load load = {.reading = reading, .project = project, .optional = true};
	bool more;

	TRY(load_page(&load, *after, PAGE, &more));
	if (more && load.count == 0)
		return dynamodb_says(reading->dynamodb, ZONE_STORE_UNAVAILABLE,
				     "it answers what DynamoDB does not; look at [store] endpoint");
	TRY(settle_alone(&load));
	if (load.count > 0)
		*after = load.rows[load.count - 1].uid;
	*ret_end = !more;
	return ZONE_OK;
}
