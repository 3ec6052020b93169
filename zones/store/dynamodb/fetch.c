/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Items by their keys, and by ranges of them. All is read consistently. */
#include "base/free.h"
#include "base/json_secret.h"
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

#include <stdlib.h>

/* Between two requests for keys that were not answered. */
enum { UNPROCESSED_MS = 50 };

/* --- A range */

static void put_value(struct buffer *out, const char *name, const char *text)
{
	buffer_format(out, "\"%s\":{\"S\":", name);
	json_put_string(out, text);
	buffer_put_text(out, "}");
}

static void put_query(struct buffer *out, const struct dynamodb *dynamodb,
		      const struct dynamodb_range *range, unsigned most, const char *after)
{
	buffer_put_text(out, "{");
	dynamodb_put_table(out, dynamodb);
	if (range->labels)
		buffer_put_text(out, ",\"IndexName\":\"labels\"");
	buffer_format(out,
		      ",\"ConsistentRead\":true,\"KeyConditionExpression\":"
		      "\"PK = :p AND %s BETWEEN :a AND :b\",\"ExpressionAttributeValues\":{",
		      range->labels ? "L" : "SK");
	put_value(out, ":p", range->partition);
	buffer_put_text(out, ",");
	put_value(out, ":a", range->from);
	buffer_put_text(out, ",");
	put_value(out, ":b", range->to);
	buffer_put_text(out, "}");
	if (most > 0)
		buffer_format(out, ",\"Limit\":%u", most);
	if (after != NULL)
		buffer_format(out, ",\"ExclusiveStartKey\":%s", after);
	buffer_put_text(out, "}");
}

static enum zone_status visit_all(const json_t *items, dynamodb_visit *visit, void *state)
{
	for (size_t i = 0; i < json_array_size(items); i++)
		TRY(visit(state, json_array_get(items, i)));
	return ZONE_OK;
}

static enum zone_status too_long(struct dynamodb *dynamodb)
{
	if (dynamodb->of != NULL)
		return dynamodb_damaged(dynamodb, "an item", "longer than any of a release");
	return dynamodb_says(dynamodb, ZONE_STORE_UNAVAILABLE,
			     "its answer is longer than any of DynamoDB's; look at [store] "
			     "endpoint");
}

/* *after: the key with which the last page ended; NULL: there is no page behind it. `most`: items
 * of a page; 0: as many as it takes. */
static enum zone_status query_page(struct dynamodb *dynamodb, const struct dynamodb_range *range,
				   unsigned most, dynamodb_visit *visit, void *state, char **after)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum dynamodb_fate fate;
	enum zone_status status;
	const json_t *last;

	put_query(&body, dynamodb, range, most, *after);
	free(*after);
	*after = NULL;
	status = dynamodb_call(dynamodb, "Query", &body, true, &fate, &answer);
	if (fate == DYNAMODB_TOO_LONG)
		return too_long(dynamodb);
	TRY(status);
	last = json_object_get(answer, "LastEvaluatedKey");
	if (json_is_object(last)) {
		*after = json_dumps(last, JSON_COMPACT);
		if (*after == NULL)
			return ZONE_NO_MEMORY;
	}
	return visit_all(json_object_get(answer, "Items"), visit, state);
}

enum zone_status dynamodb_query(struct dynamodb *dynamodb, const struct dynamodb_range *range,
				dynamodb_visit *visit, void *state)
{
	AUTO(freep) char *after = NULL;

	do {
		/* However many pages there are, each has the same time. */
		if (after != NULL)
			dynamodb_go_on(dynamodb, DYNAMODB_READ_MS);
		TRY(query_page(dynamodb, range, 0, visit, state, &after));
	} while (after != NULL);
	return ZONE_OK;
}

enum zone_status dynamodb_query_some(struct dynamodb *dynamodb, const struct dynamodb_range *range,
				     unsigned most, dynamodb_visit *visit, void *state,
				     bool *ret_more)
{
	AUTO(freep) char *after = NULL;

	TRY(query_page(dynamodb, range, most, visit, state, &after));
	*ret_more = after != NULL;
	return ZONE_OK;
}

/* --- Keys */

/* Items that are asked for. */
struct asked {
	const struct dynamodb_key *keys;
	size_t count;
	bool alone; /* their keys alone */
};

static void put_keys(struct buffer *out, const struct dynamodb *dynamodb, const struct asked *asked)
{
	buffer_put_text(out, "{\"RequestItems\":{");
	json_put_string(out, dynamodb->table);
	buffer_put_text(out, ":{\"ConsistentRead\":true,");
	if (asked->alone)
		buffer_put_text(out, "\"ProjectionExpression\":\"PK,SK\",");
	buffer_put_text(out, "\"Keys\":[");
	for (size_t i = 0; i < asked->count; i++) {
		buffer_put_text(out, i == 0 ? "" : ",");
		dynamodb_put_key(out, &asked->keys[i]);
	}
	buffer_put_text(out, "]}}}");
}

/* What it had no time for, as the body of the next request. */
static enum zone_status put_rest(const json_t *answer, struct buffer *body)
{
	const json_t *rest = json_object_get(answer, "UnprocessedKeys");
	AUTO(freep) char *text = NULL;

	buffer_truncate(body, 0);
	if (json_object_size(rest) == 0)
		return ZONE_OK;
	text = json_dumps(rest, JSON_COMPACT);
	if (text == NULL)
		return ZONE_NO_MEMORY;
	buffer_format(body, "{\"RequestItems\":%s}", text);
	return body->failed ? ZONE_NO_MEMORY : ZONE_OK;
}

static enum zone_status fetch_some(struct dynamodb *dynamodb, const struct asked *asked,
				   dynamodb_visit *visit, void *state, enum dynamodb_fate *ret_fate)
{
	AUTO(buffer_clear) struct buffer body = {0};
	const json_t *items;

	put_keys(&body, dynamodb, asked);
	do {
		AUTO(json_freep) json_t *answer = NULL;

		TRY(dynamodb_call(dynamodb, "BatchGetItem", &body, true, ret_fate, &answer));
		items = json_object_get(json_object_get(answer, "Responses"), dynamodb->table);
		TRY(visit_all(items, visit, state));
		TRY(put_rest(answer, &body));
		if (body.len > 0)
			dynamodb_sleep(dynamodb, UNPROCESSED_MS);
	} while (body.len > 0);
	return ZONE_OK;
}

/* An answer that is too long is asked for once more, with half as many keys: nothing of it was
 * visited. */
static enum zone_status fetch(struct dynamodb *dynamodb, const struct asked *asked,
			      dynamodb_visit *visit, void *state)
{
	size_t at = 0;

	while (at < asked->count) {
		const size_t left = asked->count - at;
		const size_t some = left < dynamodb->at_once ? left : dynamodb->at_once;
		const struct asked now = {asked->keys + at, some, asked->alone};
		enum dynamodb_fate fate;
		enum zone_status status = fetch_some(dynamodb, &now, visit, state, &fate);

		if (fate == DYNAMODB_TOO_LONG && some == 1)
			return too_long(dynamodb);
		if (fate == DYNAMODB_TOO_LONG) {
			dynamodb->at_once = (some + 1) / 2;
			continue;
		}
		TRY(status);
		at += some;
		if (dynamodb->at_once < DYNAMODB_KEYS_MAX)
			dynamodb->at_once++; /* the items that come may be shorter */
		dynamodb_go_on(dynamodb, at < asked->count ? DYNAMODB_READ_MS : 0);
	}
	return ZONE_OK;
}

enum zone_status dynamodb_fetch(struct dynamodb *dynamodb, const struct dynamodb_key *keys,
				size_t count, dynamodb_visit *visit, void *state)
{
	return fetch(dynamodb, &(struct asked){keys, count, false}, visit, state);
}

enum zone_status dynamodb_fetch_keys(struct dynamodb *dynamodb, const struct dynamodb_key *keys,
				     size_t count, dynamodb_visit *visit, void *state)
{
	return fetch(dynamodb, &(struct asked){keys, count, true}, visit, state);
}

static enum zone_status keep_item(void *state, const json_t *item)
{
	json_t **kept = state;

	json_decref(*kept);
	*kept = json_incref((json_t *)(uintptr_t)item);
	return ZONE_OK;
}

enum zone_status dynamodb_get(struct dynamodb *dynamodb, const struct dynamodb_key *key,
			      json_t **ret_item)
{
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	enum dynamodb_fate fate;
	const json_t *item;

	buffer_put_text(&body, "{");
	dynamodb_put_table(&body, dynamodb);
	buffer_put_text(&body, ",\"ConsistentRead\":true,\"Key\":");
	dynamodb_put_key(&body, key);
	buffer_put_text(&body, "}");
	*ret_item = NULL;
	TRY(dynamodb_call(dynamodb, "GetItem", &body, true, &fate, &answer));
	item = json_object_get(answer, "Item");
	return item == NULL ? ZONE_OK : keep_item(ret_item, item);
}
