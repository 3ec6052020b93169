/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A request to DynamoDB, by whom, how often, and what its answer means. */
#include "aws/imds.h"
#include "base/free.h"
#include "base/json.h"
#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "zones/store/dynamodb/dynamodb.h"

#include <stdio.h>
#include <stdlib.h>

enum { ATTEMPTS = 3 };

/* --- What is said */

enum zone_status dynamodb_says(struct dynamodb *dynamodb, enum zone_status status,
			       const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	remote_says(&dynamodb->said, dynamodb->name, status, format, arguments);
	va_end(arguments);
	return status;
}

enum zone_status dynamodb_blames(struct dynamodb *dynamodb, enum zone_status status,
				 const char *format, ...)
{
	va_list arguments;

	dynamodb->blamed = dynamodb->of != NULL;
	va_start(arguments, format);
	remote_says(&dynamodb->said, dynamodb->name, status, format, arguments);
	va_end(arguments);
	return status;
}

enum zone_status dynamodb_damaged(struct dynamodb *dynamodb, const char *sort, const char *what)
{
	if (dynamodb->of == NULL)
		return dynamodb_says(dynamodb, ZONE_STORE_CORRUPT,
				     "%s holds what no release wrote (%s); restore the store from "
				     "a backup",
				     sort, what);
	return dynamodb_blames(dynamodb, ZONE_STORE_CORRUPT,
			       "%s of project %s holds what no release wrote (%s); see who may "
			       "write that project, and restore it from a backup",
			       sort, dynamodb_key_project(*dynamodb->of).sort + 8, what);
}

/* --- Time */

void dynamodb_begin(struct dynamodb *dynamodb, int64_t ms)
{
	dynamodb->deadline = moment_after(clock_now(dynamodb->aws.clock), ms);
}

void dynamodb_go_on(struct dynamodb *dynamodb, int64_t ms)
{
	if (dynamodb_time_left(dynamodb) < ms)
		dynamodb_begin(dynamodb, ms);
}

int64_t dynamodb_time_left(const struct dynamodb *dynamodb)
{
	struct moment now = clock_now(dynamodb->aws.clock);
	int64_t left = dynamodb->deadline.monotonic_ms - now.monotonic_ms;

	return left > 0 ? left : 0;
}

void dynamodb_sleep(struct dynamodb *dynamodb, int64_t ms)
{
	dynamodb->transport.sleep(dynamodb->transport.sleep_state, ms);
}

void dynamodb_be_patient(struct dynamodb *dynamodb)
{
	dynamodb->patience_ms = DYNAMODB_PATIENCE_MS;
}

bool dynamodb_is_patient(const struct dynamodb *dynamodb)
{
	return !dynamodb->hopeless && dynamodb->patience_ms > 0;
}

void dynamodb_wait(struct dynamodb *dynamodb, int64_t ms)
{
	dynamodb->patience_ms -= ms;
	dynamodb_sleep(dynamodb, ms);
}

/* --- Where it is */

/* The setting, what AWS's own tools go by, or where this machine is. */
static enum kms_status find_region(struct dynamodb *dynamodb, const struct profile *profile,
				   struct kms_report *report, char *ret_region)
{
	const char *region = region_find(&dynamodb->aws, &dynamodb->environment, profile);
	AUTO(http_answer_clear) struct http_answer answer = {0};
	struct credentials_place place = dynamodb->place;
	struct kms_report silent = {0};
	struct bytes body;

	if (region != NULL && strlen(region) <= REGION_TEXT_MAX) {
		strcpy(ret_region, region);
		return KMS_OK;
	}
	place.deadline = dynamodb->deadline;
	if (region == NULL && imds_get(&place, "placement/region", &silent, &answer) == KMS_OK) {
		body = buffer_bytes(&answer.body);
		if (region_valid(body)) {
			snprintf(ret_region, REGION_TEXT_MAX + 1, "%.*s", (int)body.len,
				 (const char *)body.data);
			return KMS_OK;
		}
	}
	return kms_fail(KMS_MISCONFIGURED, report, NULL,
			"no AWS region for the table: set [store] region, or AWS_REGION");
}

static enum kms_status find_service(struct dynamodb *dynamodb, struct kms_report *report)
{
	AUTO(profile_clear) struct profile profile = {0};
	char region[REGION_TEXT_MAX + 1];
	enum kms_status status;

	TRY(profile_load(&dynamodb->aws, &dynamodb->environment, report, &profile));
	TRY(find_region(dynamodb, &profile, report, region));
	status = service_init(&dynamodb->service, AWS_DYNAMODB, region, &dynamodb->aws,
			      &dynamodb->environment, &profile, report);
	dynamodb->ready = status == KMS_OK;
	if (!dynamodb->ready) {
		service_clear(&dynamodb->service);
		dynamodb->service = (struct service){0};
	}
	return status;
}

/* --- One attempt */

struct exchange {
	struct dynamodb *dynamodb;
	const char *operation;
	const struct buffer *body;
	struct retry retry;
	struct kms_report report;
	struct http_answer answer;
	struct dynamodb_word word; /* what came of the last attempt */
	json_t *parsed;
	bool renewed, adjusted, at_once;
	bool unreadable; /* the body of the last answer */
};

static void exchange_clear(struct exchange *exchange)
{
	http_answer_clear(&exchange->answer);
	json_decref(exchange->parsed);
}

static void send_once(struct exchange *exchange, const struct credentials *credentials,
		      unsigned timeout_ms, enum http_result *ret_result,
		      enum kms_status *ret_status)
{
	struct dynamodb *dynamodb = exchange->dynamodb;
	char target[64];

	snprintf(target, sizeof(target), "DynamoDB_20120810.%s", exchange->operation);
	*ret_status = service_send(
		&dynamodb->service, &dynamodb->transport, dynamodb->aws.clock,
		&(struct service_request){
			.method = "POST",
			.headers = {{"Content-Type", "application/x-amz-json-1.0"},
				    {"X-Amz-Target", target}},
			.body = buffer_bytes(exchange->body),
			.signer = credentials,
			.body_limit = DYNAMODB_ANSWER_MAX,
			.connect_timeout_ms =
				timeout_ms < DYNAMODB_CONNECT_MS ? timeout_ms : DYNAMODB_CONNECT_MS,
			.timeout_ms = timeout_ms,
		},
		&exchange->answer, ret_result);
}

static struct dynamodb_word outcome(enum zone_status status, enum dynamodb_fate fate)
{
	return (struct dynamodb_word){NULL, status, fate, RETRY_NO, ""};
}

/* A transaction's reasons are in the body of its refusal. */
static void read_body(struct exchange *exchange)
{
	bool no_memory = false;

	exchange->parsed = json_read(buffer_bytes(&exchange->answer.body), 0, &no_memory);
	if (json_is_object(exchange->parsed))
		return;
	exchange->unreadable = !no_memory;
	exchange->word = no_memory ? outcome(ZONE_NO_MEMORY, DYNAMODB_UNKNOWN)
				   : outcome(ZONE_STORE_UNAVAILABLE, DYNAMODB_UNKNOWN);
	exchange->word.remedy = "look at [store] endpoint: is it DynamoDB?";
	snprintf(exchange->report.message, sizeof(exchange->report.message),
		 "it answers what DynamoDB does not");
}

static void judge(struct exchange *exchange, enum http_result result)
{
	struct status_rule rule = status_judge(result, &exchange->answer, &exchange->report);

	if (result == HTTP_TOO_LONG) {
		exchange->word = outcome(ZONE_STORE_UNAVAILABLE, DYNAMODB_TOO_LONG);
		return;
	}
	exchange->word = rule.status == KMS_OK
				 ? outcome(ZONE_OK, DYNAMODB_ANSWERED)
				 : dynamodb_word_of(exchange->report.error_type, &rule);
	/* It saw no request. */
	if (result == HTTP_NOT_CONNECTED || result == HTTP_REFUSED || result == HTTP_UNTRUSTED)
		exchange->word.fate = DYNAMODB_ANSWERED;
	if (rule.status == KMS_OK || exchange->word.fate == DYNAMODB_CANCELED)
		read_body(exchange);
}

/* With other credentials, or another idea of the time, if those are refused; once each. */
static void mend(struct exchange *exchange, const struct credentials *refused)
{
	struct dynamodb *dynamodb = exchange->dynamodb;
	const struct credentials_wish wish = {dynamodb->service.region, dynamodb->deadline};
	struct kms_report report = {0};

	if (exchange->word.retry == RETRY_RENEWED && !exchange->renewed) {
		exchange->renewed = true;
		credentials_chain_renew(dynamodb->chain, &wish, refused, &report,
					&exchange->at_once);
	}
	if (exchange->word.retry == RETRY_CLOCK && !exchange->adjusted) {
		exchange->adjusted = true;
		exchange->at_once = service_adjust_clock(&dynamodb->service, dynamodb->aws.clock,
							 &exchange->answer);
	}
}

/* What kept the request from being sent. */
static void fail_before(struct exchange *exchange, enum kms_status status)
{
	const struct status_rule rule = {"", status, RETRY_NO};

	exchange->word = dynamodb_word_of("", &rule);
	exchange->word.fate = DYNAMODB_ANSWERED;
}

static void attempt(struct exchange *exchange)
{
	struct dynamodb *dynamodb = exchange->dynamodb;
	const struct credentials_wish wish = {dynamodb->service.region, dynamodb->deadline};
	struct credentials *credentials;
	enum http_result result = HTTP_BROKEN;
	enum kms_status status;
	int64_t left;

	http_answer_clear(&exchange->answer);
	exchange->report = (struct kms_report){0};
	exchange->at_once = exchange->unreadable = false;
	status = credentials_chain_borrow(dynamodb->chain, &wish, &exchange->report, &credentials);
	if (status != KMS_OK) {
		fail_before(exchange, status);
		return;
	}
	left = retry_time_left(&exchange->retry, DYNAMODB_ATTEMPT_MS);
	if (left > 0) {
		send_once(exchange, credentials, (unsigned)left, &result, &status);
		if (status == KMS_OK)
			judge(exchange, result);
		else
			fail_before(exchange, status);
		mend(exchange, credentials);
	} else {
		fail_before(exchange, KMS_UNAVAILABLE);
		snprintf(exchange->report.message, sizeof(exchange->report.message),
			 "it did not answer in time");
	}
	credentials_chain_return(dynamodb->chain, credentials);
}

/* --- A call */

static bool once_more(struct exchange *exchange, bool again)
{
	const struct dynamodb_word *word = &exchange->word;

	if (word->status == ZONE_OK || (!again && word->fate == DYNAMODB_UNKNOWN))
		return false;
	return exchange->at_once ||
	       retry_again(&exchange->retry, word->retry, service_retry_hint(&exchange->answer));
}

/* The heads could be read a moment ago, so it is what stands in the project's items. */
static bool is_of_its_items(const struct exchange *exchange)
{
	return exchange->dynamodb->of != NULL &&
	       (exchange->unreadable || exchange->word.fate == DYNAMODB_UNFIT);
}

static enum zone_status tell(struct exchange *exchange)
{
	const struct kms_report *report = &exchange->report;
	const struct dynamodb_word *word = &exchange->word;

	if (word->fate == DYNAMODB_CANCELED || word->fate == DYNAMODB_TOO_LONG ||
	    word->status == ZONE_NO_MEMORY || word->status == ZONE_EXISTS)
		return word->status;
	if (is_of_its_items(exchange))
		return dynamodb_damaged(exchange->dynamodb, "an item",
					exchange->unreadable
						? "nested too deep, or with a NUL in a text"
						: "more than DynamoDB takes");
	return dynamodb_says(exchange->dynamodb, word->status, "%s: %s%s%s; %s",
			     exchange->operation, report->error_type,
			     report->error_type[0] == '\0' ? "" : ": ", report->message,
			     word->remedy);
}

enum zone_status dynamodb_call(struct dynamodb *dynamodb, const char *operation,
			       const struct buffer *body, bool again, enum dynamodb_fate *ret_fate,
			       json_t **ret_answer)
{
	AUTO(exchange_clear)
	struct exchange exchange = {
		.dynamodb = dynamodb,
		.operation = operation,
		.body = body,
	};
	enum kms_status status = KMS_OK;

	*ret_fate = DYNAMODB_ANSWERED;
	if (body->failed)
		return ZONE_NO_MEMORY;
	if (!dynamodb->ready)
		status = find_service(dynamodb, &exchange.report);
	if (status != KMS_OK) {
		fail_before(&exchange, status);
		return tell(&exchange);
	}
	exchange.retry = (struct retry){
		.bucket = &dynamodb->service.bucket,
		.clock = dynamodb->aws.clock,
		.sleep = dynamodb->transport.sleep,
		.sleep_state = dynamodb->transport.sleep_state,
		.max_attempts = ATTEMPTS,
		.attempt = 1,
		.deadline = dynamodb->deadline,
	};
	do {
		attempt(&exchange);
	} while (once_more(&exchange, again));
	*ret_fate = exchange.word.fate;
	*ret_answer = TAKE(exchange.parsed);
	if (exchange.word.status != ZONE_OK)
		return tell(&exchange);
	retry_succeeded(&exchange.retry);
	remote_answers(&dynamodb->said, dynamodb->name);
	return ZONE_OK;
}
