/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* One call of the KMS API. */
#include "kms/aws/request.h"

#include "base/encode.h"
#include "base/json.h"
#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "net/answer.h"

#include <stdio.h>
#include <string.h>

static const char content_type[] = "application/x-amz-json-1.1";

enum kms_status request_send(struct aws_client *client, const struct aws_call *call,
			     const struct credentials *credentials, const char *remark,
			     int64_t timeout_ms, struct http_answer *answer,
			     enum http_result *ret_result)
{
	const struct aws_settings *settings = &client->aws->settings;
	char target[64];

	snprintf(target, sizeof(target), "TrentService.%s", call->operation);
	return service_send(
		&client->service, &client->aws->transport, settings->clock,
		&(struct service_request){
			.method = "POST",
			.headers = {{"Content-Type", content_type}, {"X-Amz-Target", target}},
			.body = call->body,
			.signer = credentials,
			.remark = remark,
			.connect_timeout_ms = settings->connect_timeout_ms,
			.timeout_ms = (unsigned)timeout_ms,
		},
		answer, ret_result);
}

static bool take_secret(void *state, struct bytes value)
{
	struct buffer *secret = state;

	return secret->len == 0 && base64_decode(value, secret);
}

/* Whether the parsed answer has the one secret that was lifted out of it. */
static bool has_secret(const json_t *answer, const char *name)
{
	size_t number;

	return json_lifted(json_object_get(answer, name), &number) && number == 0;
}

/* The body of a good answer; spoils it. RETRY_TRANSIENT: it is not JSON, so it was cut or garbled
 * on its way; RETRY_NO: it is JSON, but not what the protocol promises; or memory ran out, which
 * the secret then shows. */
static bool read_answer(struct http_answer *answer, const struct aws_call *call,
			struct buffer *secret, json_t **ret_answer, enum retry_kind *ret_retry)
{
	json_t *root = NULL;
	bool no_memory = false;

	/* A parser sees the text only when the secret has been taken out of it. */
	if (call->secret == NULL || json_lift(&answer->body, call->secret, take_secret, secret))
		root = json_read(buffer_bytes(&answer->body), JSON_REJECT_DUPLICATES, &no_memory);
	secret->failed |= no_memory;
	*ret_retry = root == NULL && !secret->failed ? RETRY_TRANSIENT : RETRY_NO;
	if (!json_is_object(root) || (call->secret != NULL && !has_secret(root, call->secret))) {
		json_decref(root);
		return false;
	}
	*ret_answer = root;
	return true;
}

/* A call under way. */
struct exchange {
	struct aws_client *client;
	const struct aws_call *call;
	struct retry retry;
	struct moment began;
	struct http_answer answer;
	struct status_rule rule;
	struct kms_report report;
	char remark[KMS_REMARK_MAX + 1];
	struct kms_caller caller; /* of the last attempt, if there was one */
	bool sent;		  /* see struct kms_report */
	bool renewed;		  /* new credentials were fetched already */
	bool adjusted;		  /* the clock was adjusted already */
	bool at_once;		  /* one of the two has just happened: no waiting */
	json_t *parsed;		  /* the good answer */
	struct buffer secret;
};

static void exchange_clear(struct exchange *exchange)
{
	http_answer_clear(&exchange->answer);
	json_decref(exchange->parsed);
	buffer_clear(&exchange->secret);
}

static struct credentials_wish wish_of(const struct exchange *exchange)
{
	return (struct credentials_wish){exchange->client->service.region,
					 exchange->retry.deadline};
}

/* Fetches new credentials, once. A no on the way to them is the answer. */
static void renew(struct exchange *exchange, const struct credentials *refused)
{
	const struct credentials_wish wish = wish_of(exchange);
	struct kms_report report = {0};
	enum kms_status status;

	if (exchange->rule.retry != RETRY_RENEWED || exchange->renewed)
		return;
	exchange->renewed = true;
	status = credentials_chain_renew(exchange->client->aws->chain, &wish, refused, &report,
					 &exchange->at_once);
	if (!kms_status_is_no(status))
		return;
	exchange->rule = (struct status_rule){"", status, RETRY_NO};
	exchange->report = report;
}

static void adjust_clock(struct exchange *exchange)
{
	if (exchange->rule.retry != RETRY_CLOCK || exchange->adjusted)
		return;
	exchange->adjusted = true;
	exchange->at_once =
		service_adjust_clock(&exchange->client->service,
				     exchange->client->aws->settings.clock, &exchange->answer);
	if (exchange->at_once)
		log_notice("KMS: this machine's clock differs by %lld s from that of %s; set it",
			   (long long)exchange->client->service.skew_ms / 1000,
			   (const char *)exchange->client->service.endpoint.host.data);
}

static void read(struct exchange *exchange)
{
	enum retry_kind retry;

	buffer_clear(&exchange->secret);
	if (read_answer(&exchange->answer, exchange->call, &exchange->secret, &exchange->parsed,
			&retry))
		return;
	if (exchange->secret.failed) {
		exchange->rule = (struct status_rule){"", KMS_NO_MEMORY, RETRY_NO};
		return;
	}
	exchange->rule = (struct status_rule){"", KMS_BAD_ANSWER, retry};
	snprintf(exchange->report.message, sizeof(exchange->report.message),
		 "the answer is not the JSON that %s promises", exchange->call->operation);
}

/* Texts that credentials_check() has checked. */
static void note_caller(const struct credentials *credentials, struct kms_caller *ret_caller)
{
	struct kms_caller *c = ret_caller;

	utf8_cut((const char *)credentials->identity.data, sizeof(c->identity), c->identity);
	utf8_cut((const char *)credentials->access_key_id.data, sizeof(c->access_key_id),
		 c->access_key_id);
	utf8_cut((const char *)credentials->origin.data, sizeof(c->credentials), c->credentials);
}

static enum kms_status send_once(struct exchange *exchange, const struct credentials *credentials,
				 int64_t timeout_ms)
{
	enum http_result result;

	http_answer_clear(&exchange->answer);
	exchange->report = (struct kms_report){0};
	exchange->at_once = false;
	exchange->sent = true;
	note_caller(credentials, &exchange->caller);
	TRY(request_send(exchange->client, exchange->call, credentials, exchange->remark,
			 timeout_ms, &exchange->answer, &result));
	exchange->rule = status_judge(result, &exchange->answer, &exchange->report);
	if (exchange->rule.status == KMS_OK)
		read(exchange);
	adjust_clock(exchange);
	renew(exchange, credentials);
	return KMS_OK;
}

/* One attempt; its outcome is exchange->rule. Any other failure happened before the network was
 * reached, and is logged. */
static enum kms_status attempt(struct exchange *exchange, struct kms_report *report)
{
	const struct credentials_wish wish = wish_of(exchange);
	struct aws *aws = exchange->client->aws;
	struct credentials *credentials;
	int64_t left;
	enum kms_status status;

	TRY(credentials_chain_borrow(aws->chain, &wish, report, &credentials));
	left = retry_time_left(&exchange->retry, aws->settings.attempt_timeout_ms);
	status = left > 0 ? send_once(exchange, credentials, left)
			  : kms_fail(KMS_UNAVAILABLE, report, NULL, "%s: out of time",
				     exchange->call->operation);
	credentials_chain_return(aws->chain, credentials);
	return status;
}

static bool once_more(struct exchange *exchange)
{
	if (exchange->rule.status == KMS_OK)
		return false;
	return exchange->at_once || retry_again(&exchange->retry, exchange->rule.retry,
						service_retry_hint(&exchange->answer));
}

/* For the whole call, credentials included. */
static struct moment deadline_of(const struct aws_settings *settings,
				 const struct kms_report *report)
{
	struct moment end = moment_after(clock_now(settings->clock), settings->call_timeout_ms);

	if (report == NULL || report->until.monotonic_ms == 0)
		return end;
	return moment_earlier(end, report->until);
}

static void begin(struct exchange *exchange, struct aws_client *client, const struct aws_call *call,
		  const struct kms_report *report)
{
	const struct aws_settings *settings = &client->aws->settings;

	*exchange = (struct exchange){
		.client = client, .call = call, .began = clock_now(settings->clock)};
	if (report != NULL)
		memcpy(exchange->remark, report->remark, sizeof(exchange->remark));
	exchange->retry = (struct retry){
		.bucket = &client->service.bucket,
		.clock = settings->clock,
		.sleep = client->aws->transport.sleep,
		.sleep_state = client->aws->transport.sleep_state,
		.max_attempts = report != NULL && report->once ? 1 : client->service.max_attempts,
		.attempt = 1,
		.deadline = deadline_of(settings, report),
	};
}

static enum kms_status finish(struct exchange *exchange, json_t **ret_answer,
			      struct buffer *ret_secret)
{
	if (exchange->rule.status != KMS_OK)
		return exchange->rule.status;
	retry_succeeded(&exchange->retry);
	if (ret_secret != NULL)
		buffer_append(ret_secret, buffer_bytes(&exchange->secret));
	if (ret_secret != NULL && ret_secret->failed)
		return KMS_NO_MEMORY;
	*ret_answer = TAKE(exchange->parsed);
	return KMS_OK;
}

/* Where there was no answer: adds how many attempts there were, as the message only tells the last
 * one's failure. The words stay the same whatever the number, since they tell one cause from
 * another (kms/silence.c). */
static void tell_attempts(struct exchange *exchange)
{
	const struct retry *retry = &exchange->retry;
	long long ms = clock_now(retry->clock).monotonic_ms - exchange->began.monotonic_ms;
	char *message = exchange->report.message;
	size_t len = strlen(message);

	snprintf(message + len, sizeof(exchange->report.message) - len,
		 " (%u of %u attempts, %lld.%lld s)", retry->attempt, retry->max_attempts,
		 ms / 1000, ms % 1000 / 100);
}

/* Reports the last attempt. */
static void tell(struct exchange *exchange, enum kms_status status, struct kms_report *report)
{
	if (kms_status_is_outage(status) && exchange->rule.retry != RETRY_NO &&
	    exchange->report.error_type[0] == '\0')
		tell_attempts(exchange);
	if (status != KMS_OK)
		kms_log_failure(status, exchange->call->operation, &exchange->report);
	if (report != NULL)
		*report = exchange->report;
}

enum kms_status request_call(struct aws_client *client, const struct aws_call *call,
			     struct kms_report *report, json_t **ret_answer,
			     struct buffer *ret_secret)
{
	AUTO(exchange_clear) struct exchange exchange;
	enum kms_status status;

	begin(&exchange, client, call, report);
	do {
		status = attempt(&exchange, report);
	} while (status == KMS_OK && once_more(&exchange));
	if (status == KMS_OK) {
		status = finish(&exchange, ret_answer, ret_secret);
		tell(&exchange, status, report);
	}
	if (report != NULL) {
		report->sent = exchange.sent;
		report->caller = exchange.caller;
	}
	return status;
}
