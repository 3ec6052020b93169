/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */

#include "tests/support/fake_dynamodb.h"

#include "base/macros.h"
#include "tests/support/fake_table_items.h"
#include "tests/support/unit.h"

#include <stdlib.h>
#include <strings.h>
#include <time.h>

struct fake_http {
	struct http http;
	struct fake_table *table;
};

/* --- Answers */

static enum http_result answer_text(struct http_answer *answer, unsigned status, const char *text)
{
	answer->status = status;
	buffer_put_text(&answer->body, text);
	return HTTP_ANSWERED;
}

static enum http_result answer_json(struct http_answer *answer, json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);

	json_decref(json);
	answer_text(answer, 200, text);
	free(text);
	return answer->body.limit != 0 && answer->body.failed ? HTTP_TOO_LONG : HTTP_ANSWERED;
}

static enum http_result refuse(struct http_answer *answer, unsigned status, const char *type)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "{\"__type\":\"com.amazonaws.dynamodb.v20120810#%s\",\"message\":\"ordered\"}",
		 type);
	return answer_text(answer, status, text);
}

static bool take(unsigned *count)
{
	bool is_so = *count > 0;

	*count -= is_so;
	return is_so;
}

/* --- Reading */

static enum http_result get_item(struct fake_table *table, const json_t *body,
				 struct http_answer *answer)
{
	const struct fake_item *item = fake_item_at(table, json_object_get(body, "Key"));
	bool torn = fake_is_of_a_project(json_object_get(body, "Key")) && take(&table->torn_rows);
	json_t *found = item == NULL ? NULL : torn ? item->before : item->now;

	assert_true(json_is_true(json_object_get(body, "ConsistentRead")));
	return answer_json(answer,
			   found == NULL ? json_object() : json_pack("{s:O}", "Item", found));
}

static bool has_one_twice(const json_t *keys)
{
	for (size_t i = 0; i < json_array_size(keys); i++)
		for (size_t j = 0; j < i; j++)
			if (fake_compare_keys(json_array_get(keys, i), json_array_get(keys, j)) ==
			    0)
				return true;
	return false;
}

/* An item as it is asked for. */
static json_t *as_asked(const struct fake_table *table, const json_t *request, json_t *item)
{
	json_t *answered = json_deep_copy(item);
	char partition[64];

	if (json_object_get(request, "ProjectionExpression") != NULL) {
		assert_string_equal(
			json_string_value(json_object_get(request, "ProjectionExpression")),
			"PK,SK");
		json_decref(answered);
		answered = json_pack("{s:O,s:O}", "PK", json_object_get(item, "PK"), "SK",
				     json_object_get(item, "SK"));
	}
	if (table->misnamed != NULL) {
		snprintf(partition, sizeof(partition), "%s%s", table->misnamed,
			 fake_text_at(item, "PK") + 2);
		json_object_set_new(answered, "PK", json_pack("{s:s}", "S", partition));
	}
	return answered;
}

static enum http_result batch_get(struct fake_table *table, const json_t *body,
				  struct http_answer *answer)
{
	const char *name =
		json_object_iter_key(json_object_iter(json_object_get(body, "RequestItems")));
	const json_t *request = json_object_get(json_object_get(body, "RequestItems"), name);
	const json_t *keys = json_object_get(request, "Keys");
	json_t *items, *rest, *result;

	assert_true(json_array_size(keys) <= 100);
	/* API Reference, "BatchGetItem": it refuses the whole request. */
	if (has_one_twice(keys))
		return refuse(answer, 400, "ValidationException");
	items = json_array();
	rest = json_array();
	assert_true(json_is_true(json_object_get(request, "ConsistentRead")));
	for (size_t i = 0; i < json_array_size(keys); i++) {
		const struct fake_item *item = fake_item_at(table, json_array_get(keys, i));

		if (table->batch > 0 && i >= table->batch)
			json_array_append(rest, json_array_get(keys, i));
		else if (item != NULL && fake_item_seen(table, item) != NULL)
			json_array_append_new(
				items, as_asked(table, request, fake_item_seen(table, item)));
	}
	take(&table->torn);
	if (fake_is_of_a_project(json_array_get(keys, 0)))
		take(&table->torn_rows);
	result = json_pack("{s:{s:o}}", "Responses", name, items);
	if (json_array_size(rest) > 0) {
		json_t *again = json_copy((json_t *)(uintptr_t)request);

		json_object_set(again, "Keys", rest);
		json_object_set_new(result, "UnprocessedKeys", json_pack("{s:o}", name, again));
	}
	json_decref(rest);
	return answer_json(answer, result);
}

static bool is_in(const json_t *item, const json_t *body)
{
	const json_t *values = json_object_get(body, "ExpressionAttributeValues");
	const char *name = json_object_get(body, "IndexName") == NULL ? "SK" : "L";
	const char *at = fake_text_at(item, name);

	return json_object_get(item, name) != NULL &&
	       strcmp(fake_text_at(item, "PK"), fake_text_at(values, ":p")) == 0 &&
	       strcmp(at, fake_text_at(values, ":a")) >= 0 &&
	       strcmp(at, fake_text_at(values, ":b")) <= 0;
}

/* A hook uses the table itself, and is called once. */
static void call_hook(struct fake_table *table, void (**place)(void *))
{
	void (*hook)(void *) = *place;

	*place = NULL;
	if (hook == NULL)
		return;
	pthread_mutex_unlock(&table->lock);
	hook(table->between_state);
	pthread_mutex_lock(&table->lock);
}

static enum http_result query(struct fake_table *table, const json_t *body,
			      struct http_answer *answer)
{
	const json_t *after = json_object_get(body, "ExclusiveStartKey"), *last = NULL;
	json_t *items = json_array(), *result;
	size_t page = (size_t)json_integer_value(json_object_get(body, "Limit"));
	bool more = false;

	if (page == 0 || (table->page > 0 && table->page < page))
		page = table->page;
	assert_true(json_is_true(json_object_get(body, "ConsistentRead")));
	if (after != NULL)
		call_hook(table, &table->between);
	for (size_t i = 0; i < table->count && !more; i++) {
		json_t *item = fake_item_seen(table, &table->items[i]);

		if (item == NULL || !is_in(item, body) ||
		    (after != NULL && fake_compare_keys(item, after) <= 0))
			continue;
		more = page > 0 && json_array_size(items) == page;
		if (!more)
			json_array_append(items, item);
	}
	take(&table->torn);
	if (strncmp(fake_text_at(json_object_get(body, "ExpressionAttributeValues"), ":p"), "p/",
		    2) == 0)
		take(&table->torn_rows);
	last = json_array_get(items, json_array_size(items) - 1);
	result = json_pack("{s:O}", "Items", items);
	if (more)
		json_object_set_new(result, "LastEvaluatedKey",
				    json_pack("{s:O,s:O}", "PK", json_object_get(last, "PK"), "SK",
					      json_object_get(last, "SK")));
	json_decref(items);
	return answer_json(answer, result);
}

/* --- Transactions */

static const json_t *operation_of(const json_t *wrapper, const char **ret_name)
{
	void *first = json_object_iter((json_t *)(uintptr_t)wrapper);

	*ret_name = json_object_iter_key(first);
	return json_object_iter_value(first);
}

static const json_t *key_of(const json_t *operation)
{
	const json_t *item = json_object_get(operation, "Item");

	return item == NULL ? json_object_get(operation, "Key") : item;
}

static enum http_result cancel(struct http_answer *answer, const json_t *list, const char *code,
			       size_t at)
{
	json_t *reasons = json_array(), *json;
	char *text;

	for (size_t i = 0; i < json_array_size(list); i++)
		json_array_append_new(reasons, json_pack("{s:s}", "Code", i == at ? code : "None"));
	json = json_pack("{s:s,s:s,s:o}", "__type",
			 "com.amazonaws.dynamodb.v20120810#TransactionCanceledException", "Message",
			 "Transaction cancelled", "CancellationReasons", reasons);
	text = json_dumps(json, JSON_COMPACT);
	answer_text(answer, 400, text);
	json_decref(json);
	free(text);
	return HTTP_ANSWERED;
}

static void carry_out(struct fake_table *table, const json_t *list)
{
	fake_items_settle(table);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *name;
		const json_t *operation = operation_of(json_array_get(list, i), &name);

		if (strcmp(name, "Put") == 0)
			fake_item_put(table, json_object_get(operation, "Item"));
		else if (strcmp(name, "Delete") == 0)
			fake_item_remove(table, json_object_get(operation, "Key"));
	}
	table->done++;
}

static void check_keys_differ(const json_t *list)
{
	const char *name;

	for (size_t i = 0; i < json_array_size(list); i++)
		for (size_t j = 0; j < i; j++)
			assert_true(fake_compare_keys(
					    key_of(operation_of(json_array_get(list, i), &name)),
					    key_of(operation_of(json_array_get(list, j), &name))) !=
				    0);
}

static enum http_result transact_now(struct fake_table *table, const json_t *body,
				     struct http_answer *answer)
{
	const json_t *list = json_object_get(body, "TransactItems");
	const char *token = json_string_value(json_object_get(body, "ClientRequestToken"));
	const char *name;

	assert_in_range(json_array_size(list), 1, 100);
	assert_true(token == NULL || strlen(token) <= 36);
	check_keys_differ(list);
	if (token != NULL && !table->forgets_tokens &&
	    json_object_get(table->tokens, token) != NULL)
		return answer_text(answer, 200, "{}");
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *operation = operation_of(json_array_get(list, i), &name);
		const struct fake_item *item = fake_item_at(table, key_of(operation));

		if (!fake_item_holds(item == NULL ? NULL : item->now, operation))
			return cancel(answer, list, "ConditionalCheckFailed", i);
	}
	carry_out(table, list);
	if (token != NULL)
		json_object_set_new(table->tokens, token, json_true());
	return answer_text(answer, 200, "{}");
}

static enum http_result transact(struct fake_table *table, const json_t *body,
				 struct http_answer *answer)
{
	enum http_result result;
	bool loses;

	table->transactions++;
	if (table->transactions == table->before_number)
		call_hook(table, &table->before);
	if (table->cut > 0 && table->transactions >= table->cut)
		return HTTP_BROKEN;
	if (take(&table->denied_writes))
		return refuse(answer, 400, "AccessDeniedException");
	if (take(&table->conflicts))
		return cancel(answer, json_object_get(body, "TransactItems"), "TransactionConflict",
			      0);
	if (take(&table->unsent))
		return HTTP_BROKEN;
	loses = take(&table->lost) ||
		(table->lose_each > 0 && table->transactions % table->lose_each == 0);
	result = transact_now(table, body, answer);
	return loses && answer->status == 200 ? HTTP_TIMED_OUT : result;
}

/* --- The table itself */

static enum http_result describe_table(struct fake_table *table, struct http_answer *answer)
{
	return answer_json(
		answer,
		json_pack("{s:{s:s,s:s,s:b,s:{s:s},s:i,s:i,s:[{s:s,s:s},{s:s,s:s}],s:[{s:s}]}}",
			  "Table", "TableStatus",
			  take(&table->status.creating) ? "CREATING" : "ACTIVE", "TableArn",
			  "arn:aws:dynamodb:eu-central-1:111122223333:table/cmek",
			  "DeletionProtectionEnabled", table->status.deletion_protected,
			  "BillingModeSummary", "BillingMode",
			  table->status.on_demand ? "PAY_PER_REQUEST" : "PROVISIONED", "ItemCount",
			  (int)table->count, "TableSizeBytes", 4096, "KeySchema", "AttributeName",
			  "PK", "KeyType", "HASH", "AttributeName", "SK", "KeyType", "RANGE",
			  "LocalSecondaryIndexes", "IndexName", "labels"));
}

static enum http_result create_table(struct fake_table *table, const json_t *body,
				     struct http_answer *answer)
{
	const char *mode = json_string_value(json_object_get(body, "BillingMode"));

	if (table->status.exists)
		return refuse(answer, 400, "ResourceInUseException");
	table->status.exists = true;
	table->status.on_demand = mode != NULL && strcmp(mode, "PAY_PER_REQUEST") == 0;
	table->status.deletion_protected =
		json_is_true(json_object_get(body, "DeletionProtectionEnabled"));
	table->status.creating = 2;
	return answer_text(answer, 200, "{\"TableDescription\":{\"TableStatus\":\"CREATING\"}}");
}

static enum http_result backups(struct fake_table *table, bool update, struct http_answer *answer)
{
	table->status.backed_up |= update;
	return answer_json(answer,
			   json_pack("{s:{s:s,s:{s:s}}}", "ContinuousBackupsDescription",
				     "ContinuousBackupsStatus", "ENABLED",
				     "PointInTimeRecoveryDescription", "PointInTimeRecoveryStatus",
				     table->status.backed_up ? "ENABLED" : "DISABLED"));
}

static enum http_result serve(struct fake_table *table, const char *operation, const json_t *body,
			      struct http_answer *answer)
{
	bool reads = strcmp(operation, "TransactWriteItems") != 0;

	if (take(&table->broken))
		return refuse(answer, 500, "InternalServerError");
	if (take(&table->throttled))
		return refuse(answer, 400, "ProvisionedThroughputExceededException");
	if (take(&table->unsigned_))
		return refuse(answer, 400, "UnrecognizedClientException");
	if (reads && take(&table->denied_reads))
		return refuse(answer, 400, "AccessDeniedException");
	if (strcmp(operation, "CreateTable") == 0)
		return create_table(table, body, answer);
	if (!table->status.exists || take(&table->missing))
		return refuse(answer, 400, "ResourceNotFoundException");
	if (strcmp(operation, "GetItem") == 0)
		return get_item(table, body, answer);
	if (strcmp(operation, "BatchGetItem") == 0)
		return batch_get(table, body, answer);
	if (strcmp(operation, "Query") == 0)
		return query(table, body, answer);
	if (strcmp(operation, "DescribeTable") == 0)
		return describe_table(table, answer);
	if (strcmp(operation, "DescribeContinuousBackups") == 0)
		return backups(table, false, answer);
	if (strcmp(operation, "UpdateContinuousBackups") == 0)
		return backups(table, true, answer);
	assert_string_equal(operation, "TransactWriteItems");
	return transact(table, body, answer);
}

static const char *header_of(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->header_count; i++)
		if (strcasecmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	return "";
}

static enum http_result send(struct http *http, const struct http_request *request,
			     struct http_answer *answer)
{
	struct fake_table *table = ((struct fake_http *)http)->table;
	const char *target = header_of(request, "X-Amz-Target");
	json_t *body = json_loadb((const char *)request->body.data, request->body.len, 0, NULL);
	enum http_result result;

	if (strncmp(target, "DynamoDB_20120810.", 18) != 0) {
		json_decref(body);
		return answer_text(answer, 403, "{\"__type\":\"AccessDenied\"}"); /* STS */
	}
	assert_non_null(body);
	pthread_mutex_lock(&table->lock);
	table->requests++;
	snprintf(table->last, sizeof(table->last), "%s", target + 18);
	snprintf(table->authorization, sizeof(table->authorization), "%s",
		 header_of(request, "Authorization"));
	result = serve(table, target + 18, body, answer);
	pthread_mutex_unlock(&table->lock);
	json_decref(body);
	if (result != HTTP_ANSWERED)
		snprintf(answer->error, sizeof(answer->error), "ordered fault");
	return result;
}

static void nothing(struct http *http)
{
	(void)http;
}

static void free_http(struct http *http)
{
	free(http);
}

static const struct http_operations operations = {
	.send = send, .abandon = nothing, .free = free_http};

struct http *fake_table_http(struct fake_table *table)
{
	struct fake_http *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	fake->http.operations = &operations;
	fake->table = table;
	return &fake->http;
}

static void short_sleep(void *state, int64_t ms)
{
	struct fake_table *table = state;
	const struct timespec time = {.tv_nsec = ms < 20 ? ms * 100000 : 2000000};

	pthread_mutex_lock(&table->lock);
	table->slept_ms += ms;
	pthread_mutex_unlock(&table->lock);
	nanosleep(&time, NULL);
}

struct store *fake_table_store(struct fake_table *table)
{
	const struct aws_transport transport = {
		.http = fake_table_http(table), .sleep = short_sleep, .sleep_state = table};
	const struct store_settings settings = {
		.table = {"cmek", NULL}, .region = {"eu-central-1", NULL}, .no_threads = true};
	struct store *store;

	setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
	setenv("AWS_CONFIG_FILE", "/dev/null", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	store = dynamodb_new(&settings, &transport, &clock_system);
	assert_non_null(store);
	return store;
}
