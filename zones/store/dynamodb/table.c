/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* The table itself: how it is made, and what DynamoDB says of it. */
#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

enum {
	WAIT_MS = 1000,
	WAITS = 120, /* for the table, and for its backups */
};

static enum zone_status ask(struct dynamodb *dynamodb, const char *operation, const char *more,
			    enum dynamodb_fate *ret_fate, json_t **ret_answer)
{
	AUTO(buffer_clear) struct buffer body = {0};

	buffer_put_text(&body, "{");
	dynamodb_put_table(&body, dynamodb);
	buffer_put_text(&body, more);
	buffer_put_text(&body, "}");
	dynamodb_begin(dynamodb, DYNAMODB_READ_MS);
	return dynamodb_call(dynamodb, operation, &body, true, ret_fate, ret_answer);
}

static const char *text_of(const json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));

	return text == NULL ? "" : text;
}

/* --- What DynamoDB says of it */

/* NULL: there is no such table (json_decref() it). */
static enum zone_status describe_table(struct dynamodb *dynamodb, json_t **ret_table)
{
	AUTO(json_freep) json_t *answer = NULL;
	const struct remote_said before = dynamodb->said;
	enum dynamodb_fate fate;
	enum zone_status status = ask(dynamodb, "DescribeTable", "", &fate, &answer);

	*ret_table = NULL;
	if (fate == DYNAMODB_NO_TABLE) {
		dynamodb->said = before;
		return ZONE_OK;
	}
	TRY(status);
	*ret_table = json_incref(json_object_get(answer, "Table"));
	return json_is_object(*ret_table)
		       ? ZONE_OK
		       : dynamodb_says(dynamodb, ZONE_STORE_UNAVAILABLE,
				       "it answers what DynamoDB does not; look at [store] "
				       "endpoint");
}

static bool has_key(const json_t *table, size_t at, const char *name, const char *type)
{
	const json_t *key = json_array_get(json_object_get(table, "KeySchema"), at);

	return strcmp(text_of(key, "AttributeName"), name) == 0 &&
	       strcmp(text_of(key, "KeyType"), type) == 0;
}

static bool has_labels(const json_t *table)
{
	const json_t *indexes = json_object_get(table, "LocalSecondaryIndexes");

	for (size_t i = 0; i < json_array_size(indexes); i++)
		if (strcmp(text_of(json_array_get(indexes, i), "IndexName"), "labels") == 0)
			return true;
	return false;
}

static enum zone_status check_keys(struct dynamodb *dynamodb, const json_t *table)
{
	if (has_key(table, 0, "PK", "HASH") && has_key(table, 1, "SK", "RANGE") &&
	    json_array_size(json_object_get(table, "KeySchema")) == 2 && has_labels(table))
		return ZONE_OK;
	return dynamodb_says(dynamodb, ZONE_STORE_CORRUPT,
			     "its keys or its index are not those of a store; name another [store] "
			     "table, and make it: cmek store create");
}

/* By its own words, which are for people. */
static void tell_backups(struct dynamodb *dynamodb, struct buffer *ret_text)
{
	AUTO(json_freep) json_t *answer = NULL;
	const char *state;
	enum dynamodb_fate fate;
	const struct remote_said before = dynamodb->said;

	if (ask(dynamodb, "DescribeContinuousBackups", "", &fate, &answer) != ZONE_OK) {
		dynamodb->said = before;
		buffer_format(ret_text, "store: point-in-time recovery: not known: %s\n",
			      log_last());
		return;
	}
	state = text_of(json_object_get(json_object_get(answer, "ContinuousBackupsDescription"),
					"PointInTimeRecoveryDescription"),
			"PointInTimeRecoveryStatus");
	buffer_format(ret_text, "store: point-in-time recovery: %s\n",
		      strcmp(state, "ENABLED") == 0
			      ? "on"
			      : "off; switch it on: cmek store create, or aws dynamodb "
				"update-continuous-backups");
}

static void tell_table(const json_t *table, struct buffer *ret_text)
{
	const char *billing = text_of(json_object_get(table, "BillingModeSummary"), "BillingMode");
	bool guarded = json_is_true(json_object_get(table, "DeletionProtectionEnabled"));

	buffer_format(ret_text, "store: %s is %s, billed %s, deletion protection %s\n",
		      text_of(table, "TableArn"), text_of(table, "TableStatus"),
		      strcmp(billing, "PAY_PER_REQUEST") == 0
			      ? "on demand"
			      : "by provisioned throughput: give it enough for every process",
		      guarded ? "on" : "off; switch it on: aws dynamodb update-table");
	buffer_format(ret_text, "store: some %lld items, %lld bytes\n",
		      (long long)json_integer_value(json_object_get(table, "ItemCount")),
		      (long long)json_integer_value(json_object_get(table, "TableSizeBytes")));
}

enum zone_status dynamodb_examine(struct dynamodb *dynamodb, struct buffer *ret_text)
{
	AUTO(json_freep) json_t *table = NULL;

	TRY(describe_table(dynamodb, &table));
	if (table == NULL)
		return dynamodb_says(dynamodb, ZONE_STORE_UNAVAILABLE,
				     "there is no such table; look at [store] table and region, or "
				     "make it: cmek store create");
	TRY(check_keys(dynamodb, table));
	tell_table(table, ret_text);
	tell_backups(dynamodb, ret_text);
	return ZONE_OK;
}

/* --- Making it */

static const char schema[] =
	",\"AttributeDefinitions\":["
	"{\"AttributeName\":\"PK\",\"AttributeType\":\"S\"},"
	"{\"AttributeName\":\"SK\",\"AttributeType\":\"S\"},"
	"{\"AttributeName\":\"L\",\"AttributeType\":\"S\"}],"
	"\"KeySchema\":["
	"{\"AttributeName\":\"PK\",\"KeyType\":\"HASH\"},"
	"{\"AttributeName\":\"SK\",\"KeyType\":\"RANGE\"}],"
	"\"LocalSecondaryIndexes\":[{\"IndexName\":\"labels\",\"KeySchema\":["
	"{\"AttributeName\":\"PK\",\"KeyType\":\"HASH\"},"
	"{\"AttributeName\":\"L\",\"KeyType\":\"RANGE\"}],"
	"\"Projection\":{\"ProjectionType\":\"KEYS_ONLY\"}}],"
	"\"BillingMode\":\"PAY_PER_REQUEST\",\"DeletionProtectionEnabled\":true";

static enum zone_status wait_until_active(struct dynamodb *dynamodb)
{
	for (int i = 0; i < WAITS; i++) {
		AUTO(json_freep) json_t *table = NULL;

		TRY(describe_table(dynamodb, &table));
		if (table != NULL && strcmp(text_of(table, "TableStatus"), "ACTIVE") == 0)
			return check_keys(dynamodb, table);
		dynamodb_sleep(dynamodb, WAIT_MS);
	}
	return dynamodb_says(dynamodb, ZONE_STORE_UNAVAILABLE,
			     "the table is still being made; look again: cmek store check");
}

static enum zone_status make_table(struct dynamodb *dynamodb, struct buffer *ret_text)
{
	AUTO(json_freep) json_t *answer = NULL;
	enum dynamodb_fate fate;
	enum zone_status status = ask(dynamodb, "CreateTable", schema, &fate, &answer);

	/* Somebody else has just made it; or we, and the answer was lost. */
	if (status != ZONE_EXISTS)
		TRY(status);
	TRY(wait_until_active(dynamodb));
	buffer_format(ret_text,
		      "store: made table %s in %s: billed on demand, deletion protection on\n",
		      dynamodb->table, dynamodb->service.region);
	return ZONE_OK;
}

static enum zone_status guard_table(struct dynamodb *dynamodb, struct buffer *ret_text)
{
	static const char wish[] = ",\"PointInTimeRecoverySpecification\":"
				   "{\"PointInTimeRecoveryEnabled\":true}";
	enum zone_status status = ZONE_STORE_UNAVAILABLE;
	enum dynamodb_fate fate;

	/* Of a table that was just made, backups are not there at once. */
	for (int i = 0; i < WAITS && status == ZONE_STORE_UNAVAILABLE; i++) {
		AUTO(json_freep) json_t *answer = NULL;

		status = ask(dynamodb, "UpdateContinuousBackups", wish, &fate, &answer);
		if (status == ZONE_STORE_UNAVAILABLE && fate != DYNAMODB_ANSWERED &&
		    fate != DYNAMODB_UNFIT)
			break;
		if (status == ZONE_STORE_UNAVAILABLE)
			dynamodb_sleep(dynamodb, WAIT_MS);
	}
	TRY(status);
	buffer_put_text(ret_text, "store: switched point-in-time recovery on\n");
	return ZONE_OK;
}

enum zone_status dynamodb_create(struct dynamodb *dynamodb, struct buffer *ret_text)
{
	AUTO(json_freep) json_t *table = NULL;

	TRY(describe_table(dynamodb, &table));
	if (table == NULL) {
		TRY(make_table(dynamodb, ret_text));
	} else {
		TRY(wait_until_active(dynamodb));
		buffer_format(ret_text, "store: table %s in %s is there already\n", dynamodb->table,
			      dynamodb->service.region);
	}
	return guard_table(dynamodb, ret_text);
}
