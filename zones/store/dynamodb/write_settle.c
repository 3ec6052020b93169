/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What came of a write. DynamoDB does nothing twice that has the same token (for ten minutes), so a
 * write whose answer was lost is sent again as it is. Each write has its line in the log of each
 * project, under a number that no other has: that line says whose write it was.
 */
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/dynamodb/write_private.h"

/* Between two looks for a write whose answer was lost. */
enum { FIND_OUT_MS = 250 };

static enum dynamodb_outcome find_out(const struct dynamodb_attempt *attempt)
{
	const struct dynamodb_position *seen = &attempt->projects[0].seen;
	const struct dynamodb_key key = dynamodb_key_log(seen->project, seen->rev + 1);
	AUTO(json_freep) json_t *line = NULL;

	if (dynamodb_get(attempt->dynamodb, &key, &line) != ZONE_OK)
		return IN_THE_DARK;
	if (line == NULL)
		return NOT_YET;
	return strcmp(dynamodb_text(line, "by"), attempt->token) == 0 ? DONE : TOO_LATE;
}

/* A lost answer is never followed by another write before it is known what came of it. */
static enum zone_status settle(const struct dynamodb_attempt *attempt,
			       enum dynamodb_outcome *ret_outcome)
{
	struct dynamodb *dynamodb = attempt->dynamodb;

	do {
		*ret_outcome = find_out(attempt);
		if (*ret_outcome != IN_THE_DARK)
			return ZONE_OK;
		dynamodb_sleep(dynamodb, FIND_OUT_MS);
	} while (dynamodb_time_left(dynamodb) > 0);
	return dynamodb_says(dynamodb, ZONE_STORE_UNAVAILABLE,
			     "the answer to a write was lost, and what came of it can't be found "
			     "out: it may have been done; look before it is tried again");
}

/* Why a transaction was canceled, if it was not for a condition or another transaction. */
static const struct {
	const char *code;
	enum zone_status status;
	const char *text;
} reasons[] = {
	/* clang-format off */
	{ "ItemCollectionSizeLimitExceeded", ZONE_STORE_FULL,        "a project takes 10 GB at most; nothing was written: remove keys that nobody needs" },
	{ "ValidationError",                 ZONE_STORE_FULL,        "DynamoDB does not take an item of this write; nothing was written" },
	{ "ProvisionedThroughputExceeded",   ZONE_STORE_THROTTLED,   "the table's throughput is used up; nothing was written: try again later" },
	{ "ThrottlingError",                 ZONE_STORE_THROTTLED,   "it asks for fewer requests; nothing was written: try again later" },
	{ "AccessDenied",                    ZONE_STORE_READ_ONLY,   "this identity may not write all of it; nothing was written (docs/store-dynamodb.md)" },
	/* clang-format on */
};

/* ZONE_CONFLICT: for one of those; *ret_condition: for a condition. */
static enum zone_status read_reasons(struct dynamodb *dynamodb, const json_t *answer,
				     bool *ret_condition)
{
	const json_t *list = json_object_get(answer, "CancellationReasons");

	*ret_condition = false;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *code =
			json_string_value(json_object_get(json_array_get(list, i), "Code"));

		for (size_t j = 0; code != NULL && j < COUNT_OF(reasons); j++)
			if (strcmp(code, reasons[j].code) == 0)
				return dynamodb_says(dynamodb, reasons[j].status, "%s",
						     reasons[j].text);
		*ret_condition |= code != NULL && strcmp(code, "ConditionalCheckFailed") == 0;
	}
	return ZONE_CONFLICT;
}

static enum zone_status denied(struct dynamodb *dynamodb, enum zone_status status)
{
	/* It could be read, a moment ago. */
	return status == ZONE_STORE_DENIED
		       ? dynamodb_says(dynamodb, ZONE_STORE_READ_ONLY,
				       "this identity may read it but not change it "
				       "(docs/store-dynamodb.md)")
		       : status;
}

/* One time; *ret_outcome is what is known then: DONE, TOO_LATE where it was canceled, or nothing.
 * Another status than ZONE_OK: nothing was done. But once an answer was lost, a refusal speaks for
 * what was sent last alone, unless a condition is not met: none of them is ever met again. */
static enum zone_status send(struct dynamodb_attempt *attempt, const struct buffer *body, bool lost,
			     enum dynamodb_outcome *ret_outcome)
{
	AUTO(json_freep) json_t *answer = NULL;
	enum dynamodb_fate fate;
	enum zone_status status =
		dynamodb_call(attempt->dynamodb, "TransactWriteItems", body, false, &fate, &answer);
	bool condition;

	*ret_outcome = status == ZONE_OK ? DONE : IN_THE_DARK;
	if (status == ZONE_OK)
		return ZONE_OK;
	if (fate == DYNAMODB_CANCELED) {
		status = read_reasons(attempt->dynamodb, answer, &condition);
		if (status == ZONE_CONFLICT && (condition || !lost))
			*ret_outcome = TOO_LATE;
		return status == ZONE_CONFLICT || lost ? ZONE_OK : status;
	}
	return lost || fate == DYNAMODB_UNKNOWN ? ZONE_OK : denied(attempt->dynamodb, status);
}

/* Libcurl itself sends a request again by another connection, if the one it was sent by ends
 * without an answer: so what is canceled may have been done. */
enum zone_status dynamodb_commit(struct dynamodb_attempt *attempt, const struct buffer *body,
				 enum dynamodb_outcome *ret_outcome)
{
	bool lost = false, canceled;

	do {
		TRY(send(attempt, body, lost, ret_outcome));
		if (*ret_outcome == DONE)
			return ZONE_OK;
		canceled = *ret_outcome == TOO_LATE;
		if (canceled)
			dynamodb_go_on(attempt->dynamodb, DYNAMODB_ATTEMPT_MS);
		else if (!lost)
			dynamodb_begin(attempt->dynamodb, DYNAMODB_SETTLE_MS);
		TRY(settle(attempt, ret_outcome));
		if (*ret_outcome == NOT_YET && canceled)
			*ret_outcome = TOO_LATE;
		if (*ret_outcome != NOT_YET)
			return ZONE_OK;
		lost = true;
		dynamodb_sleep(attempt->dynamodb, FIND_OUT_MS);
	} while (dynamodb_time_left(attempt->dynamodb) > 0);
	return dynamodb_says(attempt->dynamodb, ZONE_STORE_UNAVAILABLE,
			     "the answer to a write was lost, and it is not there so far: it may "
			     "have been done; look before it is tried again");
}
