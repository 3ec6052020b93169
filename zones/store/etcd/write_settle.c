/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A head keeps the tokens of its last writes, by which a write whose answer was lost is found. */
#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/store/etcd/write_private.h"

/* Between two looks for a write whose answer was lost. */
enum { FIND_OUT_MS = 250 };

/* Whether a head has the token of this write; `last`: nobody has written since. False: that can't
 * be read out of it. */
static bool read_writes(const json_t *kv, const char *token, bool *ret_found, bool *ret_last)
{
	AUTO(json_freep) json_t *head = NULL;
	const json_t *writes;
	bool no_memory;
	size_t count;

	*ret_found = *ret_last = false;
	if (kv == NULL)
		return true;
	head = etcd_read_head(kv, &no_memory);
	writes = json_object_get(head, "writes");
	count = json_array_size(writes);
	for (size_t i = 0; i < count && !*ret_found; i++) {
		const char *write = json_string_value(json_array_get(writes, i));

		*ret_found = write != NULL && strcmp(write, token) == 0;
		*ret_last = *ret_found && i + 1 == count;
	}
	return json_is_array(writes);
}

/* By the head of one project that it writes; NULL: it has none. */
static enum outcome outcome_of(const struct attempt *attempt, const json_t *kv,
			       struct done_at *ret_done)
{
	uint64_t before = attempt->projects[0].version, now = etcd_number(kv, "version");
	bool found, last;

	if (!read_writes(kv, attempt->token, &found, &last))
		return IN_THE_DARK;
	/* If others wrote since, its own revision is not known. One after what was seen stands for
	 * it: too low for a later change to be based on it, until the next look. */
	if (found)
		*ret_done = (struct done_at){
			last ? etcd_number(kv, "mod_revision") : attempt->look.revision + 1, last};
	if (found || now == before)
		return found ? DONE : NOT_YET;
	return now > before && now - before <= ETCD_TOKENS ? TOO_LATE : IN_THE_DARK;
}

static enum outcome find_out(const struct attempt *attempt, struct done_at *ret_done)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum etcd_fate fate;

	etcd_put_project_question(attempt, false, &body);
	if (etcd_call(attempt->etcd, "/v3/kv/range", &body, true, &fate, &answer) != ZONE_OK)
		return IN_THE_DARK;
	return outcome_of(attempt, json_array_get(json_object_get(answer, "kvs"), 0), ret_done);
}

/* A lost answer is never followed by another write before it is known what came of it. */
static enum zone_status settle(struct attempt *attempt, enum outcome *ret_outcome,
			       struct done_at *ret_done)
{
	do {
		*ret_outcome = find_out(attempt, ret_done);
		if (*ret_outcome != IN_THE_DARK)
			return ZONE_OK;
		attempt->etcd->sleep(attempt->etcd->sleep_state, FIND_OUT_MS);
	} while (etcd_time_left(attempt->etcd) > 0);
	return etcd_says(attempt->etcd, ZONE_STORE_UNAVAILABLE,
			 "the answer to a write was lost, and what came of it can't be found out: "
			 "it may have been done; look before it is tried again");
}

static enum zone_status denied(struct etcd *etcd, enum zone_status status)
{
	/* It could be read, a moment ago. */
	return status == ZONE_STORE_DENIED ? etcd_says(etcd, ZONE_STORE_READ_ONLY,
						       "this identity may read it but not change "
						       "it (docs/store-etcd.md)")
					   : status;
}

/* What an answer to the transaction says. One that finds a head changed can't be done any more,
 * nor can the same that is still on its way. */
static enum outcome read_outcome(const struct attempt *attempt, const json_t *answer,
				 struct done_at *ret_done)
{
	enum outcome outcome;

	if (json_is_true(json_object_get(answer, "succeeded"))) {
		*ret_done = (struct done_at){etcd_revision(answer), true};
		return DONE;
	}
	outcome = outcome_of(attempt,
			     json_array_get(kvs_at(json_object_get(answer, "responses"), 0), 0),
			     ret_done);
	return outcome == NOT_YET ? TOO_LATE : outcome;
}

/* Etcd says that it is full before it does a write, or after it has done it. */
static enum zone_status tell_full(struct etcd *etcd, enum outcome outcome)
{
	if (outcome == NOT_YET)
		return ZONE_STORE_FULL;
	if (outcome == DONE)
		log_warning("store %s: the last write was done all the same", etcd->name);
	return ZONE_OK;
}

/* What was sent again can't be done twice: only one of the two finds
 * the heads as they were. But once an answer was lost, a refusal speaks for what was sent last
 * alone. */
enum zone_status etcd_commit(struct attempt *attempt, const struct buffer *body,
			     enum outcome *ret_outcome, struct done_at *ret_done)
{
	bool lost = false;

	do {
		AUTO(json_freep) json_t *answer = NULL;
		enum etcd_fate fate;
		enum zone_status status =
			etcd_call(attempt->etcd, "/v3/kv/txn", body, false, &fate, &answer);
		bool full = !lost && status == ZONE_STORE_FULL;

		*ret_outcome = IN_THE_DARK;
		if (status == ZONE_OK)
			*ret_outcome = read_outcome(attempt, answer, ret_done);
		else if (!lost && fate == ETCD_ANSWERED)
			return denied(attempt->etcd, status);
		if (!lost && *ret_outcome == IN_THE_DARK)
			etcd_begin(attempt->etcd, ETCD_SETTLE_MS);
		lost = true;
		if (*ret_outcome == IN_THE_DARK)
			TRY(settle(attempt, ret_outcome, ret_done));
		if (full)
			return tell_full(attempt->etcd, *ret_outcome);
		if (*ret_outcome != NOT_YET)
			return ZONE_OK;
		attempt->etcd->sleep(attempt->etcd->sleep_state, FIND_OUT_MS);
	} while (etcd_time_left(attempt->etcd) > 0);
	return etcd_says(attempt->etcd, ZONE_STORE_UNAVAILABLE,
			 "the answer to a write was lost, and it is not there so far: it may have "
			 "been done; look before it is tried again");
}
