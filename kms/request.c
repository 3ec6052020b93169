/* One call of the KMS API. */
#include "kms/request.h"

#include <stdio.h>

#include "base/encode.h"
#include "base/macros.h"
#include "kms/json_secret.h"
#include "kms/report.h"

static const char service[] = "kms";
static const char content_type[] = "application/x-amz-json-1.1";

/* Faults of the way: none of them is a no. */
static const struct {
	enum kms_status status;
	enum retry_kind retry;
} ways[] = {
	[HTTP_NOT_CONNECTED] = {KMS_UNAVAILABLE, RETRY_TRANSIENT},
	[HTTP_BROKEN] = {KMS_UNAVAILABLE, RETRY_TRANSIENT},
	[HTTP_TIMED_OUT] = {KMS_UNAVAILABLE, RETRY_TRANSIENT},
	[HTTP_TOO_LONG] = {KMS_BAD_ANSWER, RETRY_NO},
	[HTTP_UNTRUSTED] = {KMS_UNAVAILABLE, RETRY_NO},
	[HTTP_UNUSABLE] = {KMS_MISCONFIGURED, RETRY_NO},
	[HTTP_NO_MEMORY] = {KMS_NO_MEMORY, RETRY_NO},
};

static const char *text_of(const struct buffer *buffer)
{
	return (const char *)buffer->data;
}

enum { HEADERS_SIGNED = 5, HEADERS_MAX = HEADERS_SIGNED + 1 };

/* The signed headers; the session token only if there is one. */
static size_t put_headers(const struct aws_client *client, const struct credentials *credentials,
			  const char *target, const char *time,
			  struct http_header headers[static HEADERS_MAX])
{
	size_t count = 0;

	headers[count++] = (struct http_header){"Content-Type", content_type};
	headers[count++] = (struct http_header){"Host", text_of(&client->endpoint.host)};
	headers[count++] = (struct http_header){"X-Amz-Date", time};
	headers[count++] = (struct http_header){"X-Amz-Target", target};
	if (credentials->session_token.len > 0)
		headers[count++] = (struct http_header){"X-Amz-Security-Token",
							text_of(&credentials->session_token)};
	return count;
}

static bool sign(struct aws_client *client, const struct credentials *credentials, const char *time,
		 struct bytes body, const struct http_header *headers, size_t count,
		 struct buffer *ret_authorization)
{
	const struct sigv4_identity identity = {text_of(&credentials->access_key_id),
						buffer_bytes(&credentials->secret_access_key),
						credentials->number};
	const struct sigv4_scope scope = {time, client->region, service};
	const struct sigv4_request request = {
		"POST", text_of(&client->endpoint.path), "", headers, count, body};

	return sigv4_sign(&identity, &scope, &request, &client->signing_key, ret_authorization) &&
	       buffer_text(ret_authorization) != NULL;
}

enum kms_status request_send(struct aws_client *client, const struct aws_call *call,
			     const struct credentials *credentials, int64_t timeout_ms,
			     struct http_answer *answer, enum http_result *ret_result)
{
	const struct kms_settings *settings = client->aws->settings;
	const struct clock *clock = settings->clock;
	struct http *http = client->aws->world.http;
	AUTO(buffer_clear) struct buffer authorization = {0};
	struct http_header headers[HEADERS_MAX];
	char target[64], time[SIGV4_TIME + 1];
	size_t count;

	snprintf(target, sizeof(target), "TrentService.%s", call->operation);
	clock_basic_utc(clock->realtime_ms(clock->state), time);
	count = put_headers(client, credentials, target, time, headers);
	if (!sign(client, credentials, time, call->body, headers, count, &authorization))
		return KMS_NO_MEMORY;
	headers[count++] = (struct http_header){"Authorization", buffer_text(&authorization)};
	*ret_result = http->operations->send(
		http,
		&(struct http_request){
			.method = "POST",
			.url = text_of(&client->endpoint.url),
			.headers = headers,
			.header_count = count,
			.body = call->body,
			.ca_bundle =
				client->ca_bundle.len == 0 ? NULL : text_of(&client->ca_bundle),
			.connect_timeout_ms = settings->connect_timeout_ms,
			.timeout_ms = (unsigned)timeout_ms,
		},
		answer);
	return KMS_OK;
}

static void read_request_id(const struct http_answer *answer, struct kms_report *report)
{
	struct bytes id = http_answer_header(answer, "x-amzn-RequestId");

	snprintf(report->request_id, sizeof(report->request_id), "%.*s", (int)id.len,
		 id.len == 0 ? "" : (const char *)id.data);
}

struct status_rule request_judge(enum http_result result, const struct http_answer *answer,
				 struct kms_report *report)
{
	if (result != HTTP_ANSWERED) {
		snprintf(report->message, sizeof(report->message), "%s", answer->error);
		return (struct status_rule){"", ways[result].status, ways[result].retry};
	}
	read_request_id(answer, report);
	if (answer->status == 200)
		return (struct status_rule){"", KMS_OK, RETRY_NO};
	status_read_error(answer, report);
	return status_find(report->error_type, answer->status);
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

/* The body of a good answer; spoils it. False: not what the protocol promises. */
static bool read_answer(struct http_answer *answer, const struct aws_call *call,
			struct buffer *secret, json_t **ret_answer)
{
	json_t *root;

	if (call->secret != NULL && !json_lift(&answer->body, call->secret, take_secret, secret))
		return false;
	root = json_loadb((const char *)answer->body.data, answer->body.len, JSON_REJECT_DUPLICATES,
			  NULL);
	if (!json_is_object(root) || (call->secret != NULL && !has_secret(root, call->secret))) {
		json_decref(root);
		return false;
	}
	*ret_answer = root;
	return true;
}

/* x-amz-retry-after in milliseconds; -1: the server did not say. */
static int64_t retry_hint(const struct http_answer *answer)
{
	struct bytes header = http_answer_header(answer, "x-amz-retry-after");
	char text[16];
	uint64_t ms;

	if (header.len == 0 || header.len >= sizeof(text))
		return -1;
	memcpy(text, header.data, header.len);
	text[header.len] = 0;
	return decimal_decode(text, INT32_MAX, &ms) ? (int64_t)ms : -1;
}

/* A call under way. */
struct exchange {
	struct aws_client *client;
	const struct aws_call *call;
	struct retry retry;
	struct http_answer answer;
	struct status_rule rule;
	struct kms_report report;
	bool renewed; /* other credentials were fetched already */
	bool renew;   /* they are there, use them now */
};

static void exchange_clear(struct exchange *exchange)
{
	http_answer_clear(&exchange->answer);
}

static void renew(struct exchange *exchange, const struct credentials *refused)
{
	exchange->renew = exchange->rule.retry == RETRY_RENEWED && !exchange->renewed &&
			  credentials_chain_renew(exchange->client->aws->chain, refused);
	exchange->renewed = exchange->renewed || exchange->renew;
}

static enum kms_status send_once(struct exchange *exchange, const struct credentials *credentials,
				 int64_t timeout_ms)
{
	enum http_result result;

	http_answer_clear(&exchange->answer);
	exchange->report = (struct kms_report){0};
	TRY(request_send(exchange->client, exchange->call, credentials, timeout_ms,
			 &exchange->answer, &result));
	exchange->rule = request_judge(result, &exchange->answer, &exchange->report);
	renew(exchange, credentials);
	return KMS_OK;
}

/* One attempt; its outcome is exchange->rule. Any other failure is one that stands before the
 * network, and is logged. */
static enum kms_status attempt(struct exchange *exchange, struct kms_report *report)
{
	struct aws *aws = exchange->client->aws;
	struct credentials *credentials;
	int64_t left;
	enum kms_status status;

	TRY(credentials_chain_borrow(aws->chain, report, &credentials));
	left = retry_time_left(&exchange->retry, aws->settings->attempt_timeout_ms);
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
	if (exchange->renew)
		return true;
	return retry_again(&exchange->retry, exchange->rule.retry, retry_hint(&exchange->answer));
}

static void begin(struct exchange *exchange, struct aws_client *client, const struct aws_call *call)
{
	const struct kms_settings *settings = client->aws->settings;
	struct moment now = clock_now(settings->clock);

	*exchange = (struct exchange){.client = client, .call = call};
	exchange->retry = (struct retry){
		.bucket = &client->bucket,
		.clock = settings->clock,
		.sleep = client->aws->world.sleep,
		.sleep_state = client->aws->world.sleep_state,
		.max_attempts = settings->max_attempts,
		.attempt = 1,
		.deadline = moment_after(now, settings->call_timeout_ms),
	};
}

static enum kms_status finish(struct exchange *exchange, json_t **ret_answer,
			      struct buffer *ret_secret)
{
	AUTO(buffer_clear) struct buffer secret = {0};

	if (exchange->rule.status != KMS_OK)
		return exchange->rule.status;
	retry_succeeded(&exchange->retry);
	if (!read_answer(&exchange->answer, exchange->call, &secret, ret_answer)) {
		snprintf(exchange->report.message, sizeof(exchange->report.message),
			 "the answer is not the JSON that %s promises", exchange->call->operation);
		return KMS_BAD_ANSWER;
	}
	if (ret_secret == NULL)
		return KMS_OK;
	buffer_append(ret_secret, buffer_bytes(&secret));
	return ret_secret->failed ? KMS_NO_MEMORY : KMS_OK;
}

enum kms_status request_call(struct aws_client *client, const struct aws_call *call,
			     struct kms_report *report, json_t **ret_answer,
			     struct buffer *ret_secret)
{
	AUTO(exchange_clear) struct exchange exchange;
	enum kms_status status;

	begin(&exchange, client, call);
	do {
		TRY(attempt(&exchange, report));
	} while (once_more(&exchange));
	status = finish(&exchange, ret_answer, ret_secret);
	if (status != KMS_OK)
		kms_log_failure(status, call->operation, &exchange.report);
	if (report != NULL)
		*report = exchange.report;
	return status;
}
