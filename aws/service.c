/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to a service of AWS. */
#include "aws/service.h"

#include "base/encode.h"
#include "base/file.h"
#include "base/macros.h"
#include "net/answer.h"
#include "net/proxy.h"
#include "net/url.h"

#include <stdio.h>
#include <stdlib.h>

enum { SKEW_MS = 4 * 60 * 1000, MAX_ATTEMPTS = 3 };

static const char *text_of(const struct buffer *buffer)
{
	return (const char *)buffer->data;
}

/* OpenSSL reads it, and would wait for a pipe's writer. */
static enum kms_status find_ca_bundle(struct service *service, const struct aws_settings *settings,
				      const struct environment *environment,
				      const struct profile *profile, struct kms_report *report)
{
	const char *path = settings->ca_bundle;

	if (path == NULL)
		path = environment_get(environment, ENV_CA_BUNDLE);
	if (path == NULL)
		path = profile_config(profile, "ca_bundle");
	if (path == NULL)
		return KMS_OK;
	if (file_is_pipe(path))
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"AWS_CA_BUNDLE or ca_bundle %s is a pipe; name a file of CA "
				"certificates in PEM",
				path);
	buffer_put_text(&service->ca_bundle, path);
	return buffer_text(&service->ca_bundle) != NULL ? KMS_OK : KMS_NO_MEMORY;
}

static bool find_proxy(struct service *service, const struct environment *environment)
{
	const struct proxy_variables variables = environment_proxy(environment);
	const char *proxy = proxy_find(&variables, text_of(&service->endpoint.url));

	if (proxy == NULL)
		return true;
	buffer_put_text(&service->proxy, proxy);
	return buffer_text(&service->proxy) != NULL;
}

/* As AWS's tools name them; here all of them are the mode of retry.h. */
static const char *const retry_modes[] = {"standard", "adaptive", "legacy"};

static enum kms_status check_retry_mode(const struct environment *environment,
					const struct profile *profile, struct kms_report *report)
{
	const char *mode = environment_get(environment, ENV_RETRY_MODE);

	if (mode == NULL)
		mode = profile_get(profile, "retry_mode");
	for (size_t i = 0; mode != NULL && i < COUNT_OF(retry_modes); i++)
		if (strcmp(mode, retry_modes[i]) == 0)
			return KMS_OK;
	return mode == NULL ? KMS_OK
			    : kms_fail(KMS_MISCONFIGURED, report, NULL,
				       "AWS_RETRY_MODE or retry_mode is standard, adaptive or "
				       "legacy, not '%s'",
				       mode);
}

static enum kms_status find_max_attempts(struct service *service,
					 const struct aws_settings *settings,
					 const struct environment *environment,
					 const struct profile *profile, struct kms_report *report)
{
	const char *text = environment_get(environment, ENV_MAX_ATTEMPTS);
	unsigned long number = MAX_ATTEMPTS;

	service->max_attempts = settings->max_attempts;
	if (service->max_attempts > 0)
		return KMS_OK;
	if (text == NULL)
		text = profile_get(profile, "max_attempts");
	if (text != NULL && (strspn(text, "0123456789") != strlen(text) || strlen(text) > 9 ||
			     (number = strtoul(text, NULL, 10)) == 0))
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"AWS_MAX_ATTEMPTS or max_attempts is a number from 1 on, not '%s'",
				text);
	service->max_attempts = (unsigned)number;
	return KMS_OK;
}

static void begin(struct service *service)
{
	service->bucket.tokens = RETRY_BUCKET;
	pthread_mutex_init(&service->signing_key.lock, NULL);
}

enum kms_status service_init(struct service *service, enum aws_service which, const char *region,
			     const struct aws_settings *settings,
			     const struct environment *environment, const struct profile *profile,
			     struct kms_report *report)
{
	begin(service);
	service->which = which;
	snprintf(service->region, sizeof(service->region), "%s", region);
	TRY(find_ca_bundle(service, settings, environment, profile, report));
	TRY(check_retry_mode(environment, profile, report));
	TRY(find_max_attempts(service, settings, environment, profile, report));
	TRY(endpoint_find(which, settings, environment, profile, region, report,
			  &service->endpoint));
	return find_proxy(service, environment) ? KMS_OK : KMS_NO_MEMORY;
}

enum kms_status service_open(struct service *service, enum aws_service which, const char *region,
			     const struct credentials_place *place, struct kms_report *report)
{
	AUTO(profile_clear) struct profile profile = {0};

	TRY(profile_load(place->settings, place->environment, report, &profile));
	if (region == NULL)
		region = region_find(place->settings, place->environment, &profile);
	if (region == NULL)
		region = place->region;
	if (region == NULL)
		return kms_fail(KMS_MISCONFIGURED, report, NULL,
				"no AWS region for STS: set region in [aws], or AWS_REGION");
	return service_init(service, which, region, place->settings, place->environment, &profile,
			    report);
}

enum kms_status service_init_address(struct service *service, const char *url,
				     unsigned max_attempts, struct kms_report *report)
{
	begin(service);
	service->max_attempts = max_attempts;
	if (endpoint_take(url, &service->endpoint))
		return KMS_OK;
	return kms_fail(KMS_MISCONFIGURED, report, NULL, "'%s' is not http[s]://HOST[:PORT][/PATH]",
			url_told(url));
}

void service_clear(struct service *service)
{
	endpoint_clear(&service->endpoint);
	buffer_clear(&service->ca_bundle);
	buffer_clear(&service->proxy);
	sigv4_cache_clear(&service->signing_key);
	pthread_mutex_destroy(&service->signing_key.lock);
}

/* A request as it goes out. */
struct parcel {
	struct http_header headers[SERVICE_HEADERS + 4];
	size_t count;
	char time[SIGV4_TIME + 1];
	struct buffer authorization, url;
	char agent[sizeof(HTTP_USER_AGENT) + 1 + KMS_REMARK_MAX];
};

static void parcel_clear(struct parcel *parcel)
{
	buffer_clear(&parcel->authorization);
	buffer_clear(&parcel->url);
}

static void put_header(struct parcel *parcel, const char *name, const char *value)
{
	parcel->headers[parcel->count++] = (struct http_header){name, value};
}

static bool put_signature(struct service *service, const struct service_request *request,
			  struct parcel *parcel)
{
	const struct credentials *signer = request->signer;
	const struct sigv4_identity identity = {text_of(&signer->access_key_id),
						buffer_bytes(&signer->secret_access_key),
						signer->number};
	const struct sigv4_scope scope = {parcel->time, service->region,
					  aws_service_name(service->which)};
	const struct sigv4_request to_sign = {request->method,
					      text_of(&service->endpoint.path),
					      "",
					      parcel->headers,
					      parcel->count,
					      request->body};

	if (!sigv4_sign(&identity, &scope, &to_sign, &service->signing_key,
			&parcel->authorization) ||
	    buffer_text(&parcel->authorization) == NULL)
		return false;
	put_header(parcel, "Authorization", text_of(&parcel->authorization));
	return true;
}

static bool sign(struct service *service, const struct clock *clock,
		 const struct service_request *request, struct parcel *parcel)
{
	clock_basic_utc(clock->realtime_ms(clock->state) + service->skew_ms, parcel->time);
	put_header(parcel, "Host", text_of(&service->endpoint.host));
	put_header(parcel, "X-Amz-Date", parcel->time);
	if (request->signer->session_token.len > 0)
		put_header(parcel, "X-Amz-Security-Token",
			   text_of(&request->signer->session_token));
	return put_signature(service, request, parcel);
}

/* This header is not signed: a proxy may change it on the way. */
static void put_agent(struct parcel *parcel, const char *remark)
{
	bool remarks = remark != NULL && *remark != 0;

	snprintf(parcel->agent, sizeof(parcel->agent), "%s%s%s", HTTP_USER_AGENT,
		 remarks ? " " : "", remarks ? remark : "");
}

/* The endpoint's URL, without a slash at its end if a path follows. */
static bool put_url(const struct service *service, const char *path, struct buffer *url)
{
	buffer_append(url, buffer_bytes(&service->endpoint.url));
	while (path != NULL && url->len > 0 && url->data[url->len - 1] == '/')
		buffer_truncate(url, url->len - 1);
	buffer_put_text(url, path == NULL ? "" : path);
	return buffer_text(url) != NULL;
}

enum kms_status service_send(struct service *service, const struct aws_transport *transport,
			     const struct clock *clock, const struct service_request *request,
			     struct http_answer *answer, enum http_result *ret_result)
{
	AUTO(parcel_clear) struct parcel parcel = {0};

	while (parcel.count < SERVICE_HEADERS && request->headers[parcel.count].name != NULL) {
		parcel.headers[parcel.count] = request->headers[parcel.count];
		parcel.count++;
	}
	if (request->signer != NULL && !sign(service, clock, request, &parcel))
		return KMS_NO_MEMORY;
	if (!put_url(service, request->path, &parcel.url))
		return KMS_NO_MEMORY;
	put_agent(&parcel, request->remark);
	*ret_result = transport->http->operations->send(
		transport->http,
		&(struct http_request){
			.method = request->method,
			.url = text_of(&parcel.url),
			.headers = parcel.headers,
			.header_count = parcel.count,
			.body = request->body,
			.ca_bundle =
				service->ca_bundle.len == 0 ? NULL : text_of(&service->ca_bundle),
			.body_limit = request->body_limit,
			.connect_timeout_ms = request->connect_timeout_ms,
			.timeout_ms = request->timeout_ms,
			.proxy = service->proxy.len == 0 ? NULL : text_of(&service->proxy),
			.user_agent = parcel.agent,
		},
		answer);
	return KMS_OK;
}

/* A header as text of limited size. */
static bool header_text(const struct http_answer *answer, const char *name, char *ret_text,
			size_t size)
{
	struct bytes header = http_answer_header(answer, name);

	if (header.len == 0 || header.len >= size)
		return false;
	memcpy(ret_text, header.data, header.len);
	ret_text[header.len] = 0;
	return true;
}

static bool read_date(const struct http_answer *answer, int64_t *ret_ms)
{
	char text[40];

	return header_text(answer, "Date", text, sizeof(text)) && clock_read_http(text, ret_ms);
}

bool service_adjust_clock(struct service *service, const struct clock *clock,
			  const struct http_answer *answer)
{
	int64_t date, difference, was = service->skew_ms;

	if (!read_date(answer, &date))
		return false;
	difference = date - clock->realtime_ms(clock->state);
	if (llabs(difference - was) <= SKEW_MS)
		return false;
	service->skew_ms = difference;
	return true;
}

int64_t service_clock_difference(const struct clock *clock, const struct http_answer *answer)
{
	int64_t date, difference;

	if (!read_date(answer, &date))
		return 0;
	difference = date - clock->realtime_ms(clock->state);
	return llabs(difference) > SKEW_MS ? difference : 0;
}

int64_t service_retry_hint(const struct http_answer *answer)
{
	char text[16];
	uint64_t ms;

	return header_text(answer, "x-amz-retry-after", text, sizeof(text)) &&
			       decimal_decode(text, INT32_MAX, &ms)
		       ? (int64_t)ms
		       : -1;
}

/* One attempt within the time that is left. */
static enum kms_status try_once(struct service *service, const struct credentials_place *place,
				const struct service_request *request, struct retry *retry,
				struct kms_report *report, struct http_answer *answer,
				struct status_rule *ret_rule)
{
	struct service_request limited = *request;
	enum http_result result;

	limited.timeout_ms = (unsigned)retry_time_left(retry, request->timeout_ms);
	if (limited.timeout_ms == 0) {
		snprintf(report->message, sizeof(report->message), "out of time");
		*ret_rule = (struct status_rule){"", KMS_UNAVAILABLE, RETRY_NO};
		return KMS_OK;
	}
	if (limited.connect_timeout_ms > limited.timeout_ms)
		limited.connect_timeout_ms = limited.timeout_ms;
	http_answer_clear(answer);
	*report = (struct kms_report){0};
	if (request->renew_body != NULL)
		TRY(request->renew_body(request->state, report, &limited.body));
	TRY(service_send(service, place->transport, place->settings->clock, &limited, answer,
			 &result));
	*ret_rule = status_judge(result, answer, report);
	return KMS_OK;
}

enum kms_status service_ask(struct service *service, const struct credentials_place *place,
			    const struct service_request *request, struct kms_report *report,
			    struct http_answer *ret_answer)
{
	const struct clock *clock = place->settings->clock;
	struct retry retry = {
		.bucket = &service->bucket,
		.clock = clock,
		.sleep = place->transport->sleep,
		.sleep_state = place->transport->sleep_state,
		.max_attempts = service->max_attempts,
		.attempt = 1,
		.deadline = place->deadline,
	};
	struct status_rule rule;
	bool adjusted = false, again;

	do {
		TRY(try_once(service, place, request, &retry, report, ret_answer, &rule));
		again = rule.retry == RETRY_CLOCK && !adjusted &&
			service_adjust_clock(service, clock, ret_answer);
		adjusted = adjusted || again;
	} while (again || retry_again(&retry, rule.retry, service_retry_hint(ret_answer)));
	return rule.status;
}
