/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A request to etcd's JSON gateway, by whom, how often, and what its answer means. */
#include "base/encode.h"
#include "base/file.h"
#include "base/free.h"
#include "base/json.h"
#include "base/json_secret.h"
#include "base/log.h"
#include "base/macros.h"
#include "base/system_error.h"
#include "zones/store/etcd/etcd.h"

#include <errno.h>
#include <stdlib.h>

enum { ATTEMPTS = 3, PASSWORD_MAX = 4096, MESSAGE_SHOWN = 200 };

/* --- What is said */

enum zone_status etcd_says(struct etcd *etcd, enum zone_status status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	remote_says(&etcd->said, etcd->name, status, format, arguments);
	va_end(arguments);
	return status;
}

/* --- Time */

void etcd_begin(struct etcd *etcd, int64_t ms)
{
	etcd->deadline = moment_after(clock_now(etcd->clock), ms);
}

void etcd_go_on(struct etcd *etcd, int64_t ms)
{
	if (etcd_time_left(etcd) < ms)
		etcd_begin(etcd, ms);
}

int64_t etcd_time_left(const struct etcd *etcd)
{
	struct moment now = clock_now(etcd->clock);
	int64_t left = etcd->deadline.monotonic_ms - now.monotonic_ms;

	return left > 0 ? left : 0;
}

/* --- An answer */

uint64_t etcd_number(const json_t *object, const char *name)
{
	const json_t *value = json_object_get(object, name);
	uint64_t number = 0;

	if (json_is_integer(value) && json_integer_value(value) >= 0)
		return (uint64_t)json_integer_value(value);
	if (json_is_string(value))
		decimal_decode(json_string_value(value), UINT64_MAX, &number);
	return number;
}

uint64_t etcd_revision(const json_t *answer)
{
	return etcd_number(json_object_get(answer, "header"), "revision");
}

bool etcd_bytes(const json_t *object, const char *name, struct buffer *out)
{
	const json_t *value = json_object_get(object, name);

	/* A value that is empty is left out. */
	return value == NULL ||
	       (json_is_string(value) && base64_decode(bytes_of(json_string_value(value)), out));
}

/* What a refusal means. Codes are those of gRPC; text tells apart what shares one. */
static const struct refusal {
	unsigned code; /* 0: any */
	const char *text;
	enum zone_status status;
	enum etcd_fate fate;
	bool renew; /* perhaps another token will do */
	const char *remedy;
} refusals[] = {
	/* clang-format off */
	{  0, "invalid auth token",           ZONE_STORE_NO_CREDENTIALS, ETCD_ANSWERED,  true,  "look at [store] user and password_file" },
	{  0, "revision of auth store is old", ZONE_STORE_NO_CREDENTIALS, ETCD_ANSWERED, true,  "it will do so again" },
	{  0, "user name is empty",           ZONE_STORE_NO_CREDENTIALS, ETCD_ANSWERED,  true,  "set [store] user and password_file" },
	{  0, "authentication failed",        ZONE_STORE_NO_CREDENTIALS, ETCD_ANSWERED,  false, "look at [store] user and password_file" },
	{  0, "authentication is not enabled", ZONE_STORE_NO_CREDENTIALS, ETCD_ANSWERED, false, "switch it on in etcd, or remove [store] user" },
	{ 16, "",                             ZONE_STORE_NO_CREDENTIALS, ETCD_ANSWERED,  true,  "look at [store] user and password_file" },
	{  7, "",                             ZONE_STORE_DENIED,         ETCD_ANSWERED,  false, "grant this user the prefix (docs/store-etcd.md)" },
	/* To a request that etcd has not done, and to one that it has just done. */
	{  0, "database space exceeded",      ZONE_STORE_FULL,           ETCD_UNKNOWN,   false, "compact and defragment etcd, or raise its --quota-backend-bytes" },
	{  0, "too large",                    ZONE_STORE_FULL,           ETCD_ANSWERED,  false, "nothing was written: do it in smaller steps, or raise etcd's --max-request-bytes" },
	{  0, "larger than max",              ZONE_STORE_FULL,           ETCD_ANSWERED,  false, "nothing was written: do it in smaller steps, or raise etcd's --max-request-bytes" },
	{  0, "too many operations",          ZONE_STORE_FULL,           ETCD_ANSWERED,  false, "nothing was written: do it in smaller steps, or raise etcd's --max-txn-ops" },
	{ 11, "",                             ZONE_STORE_UNAVAILABLE,    ETCD_COMPACTED, false, "try again" },
	{  8, "",                             ZONE_STORE_THROTTLED,      ETCD_ANSWERED,  false, "try again later" },
	/* What etcd says when it can't tell: no leader, a timeout, an end of its own. */
	{ 14, "",                             ZONE_STORE_UNAVAILABLE,    ETCD_UNKNOWN,   false, "look at etcd's health" },
	{  4, "",                             ZONE_STORE_UNAVAILABLE,    ETCD_UNKNOWN,   false, "look at etcd's health" },
	{  3, "",                             ZONE_STORE_UNAVAILABLE,    ETCD_ANSWERED,  false, "is it etcd 3.4 or later?" },
	{ 12, "",                             ZONE_STORE_UNAVAILABLE,    ETCD_ANSWERED,  false, "is it etcd 3.4 or later?" },
	/* clang-format on */
};

/* Without an answer of etcd's own: of a proxy, or of something else. */
static const struct {
	unsigned status;
	struct refusal refusal;
} foreign[] = {
	/* clang-format off */
	{ 401, { 0, NULL, ZONE_STORE_NO_CREDENTIALS, ETCD_ANSWERED, true,  "look at [store] user and password_file" } },
	{ 403, { 0, NULL, ZONE_STORE_DENIED,         ETCD_ANSWERED, false, "something before etcd says so" } },
	{ 404, { 0, NULL, ZONE_STORE_UNAVAILABLE,    ETCD_ANSWERED, false, "[store] endpoint has no /v3: is it etcd 3.4 or later, with its JSON gateway?" } },
	{ 413, { 0, NULL, ZONE_STORE_FULL,           ETCD_ANSWERED, false, "something before etcd takes no request so long; nothing was written" } },
	{ 429, { 0, NULL, ZONE_STORE_THROTTLED,      ETCD_ANSWERED, false, "try again later" } },
	/* clang-format on */
};

static const struct refusal *refusal_of(unsigned status, const json_t *answer, const char *message)
{
	static const struct refusal other = {
		0, NULL, ZONE_STORE_UNAVAILABLE, ETCD_UNKNOWN, false, "look at etcd's health"};
	unsigned code = (unsigned)etcd_number(answer, "code");

	for (size_t i = 0; code != 0 && i < COUNT_OF(refusals); i++)
		if ((refusals[i].code == 0 || refusals[i].code == code) &&
		    strstr(message, refusals[i].text) != NULL)
			return &refusals[i];
	for (size_t i = 0; code == 0 && i < COUNT_OF(foreign); i++)
		if (foreign[i].status == status)
			return &foreign[i].refusal;
	return &other;
}

static const char *message_of(const json_t *answer)
{
	const json_t *text = json_object_get(answer, "message");

	if (!json_is_string(text))
		text = json_object_get(answer, "error");
	return json_is_string(text) ? json_string_value(text) : "";
}

/* One attempt's end. */
struct end {
	enum zone_status status;
	enum etcd_fate fate;
	bool renew;
	enum retry_kind retry;
};

static enum retry_kind retry_of(enum zone_status status, enum etcd_fate fate)
{
	if (status == ZONE_STORE_THROTTLED)
		return RETRY_THROTTLED;
	return status == ZONE_STORE_UNAVAILABLE && fate == ETCD_UNKNOWN ? RETRY_TRANSIENT
									: RETRY_NO;
}

static struct end end_of_refusal(struct etcd *etcd, const struct http_answer *answer,
				 const json_t *json)
{
	const char *message = message_of(json);
	const struct refusal *refusal = refusal_of(answer->status, json, message);
	struct end end = {refusal->status, refusal->fate, refusal->renew && etcd->user != NULL,
			  retry_of(refusal->status, refusal->fate)};

	if (end.fate != ETCD_COMPACTED && !end.renew)
		etcd_says(etcd, end.status, "HTTP status %u, %.*s; %s", answer->status,
			  MESSAGE_SHOWN, *message == '\0' ? "without a reason" : message,
			  refusal->remedy);
	return end;
}

static struct end end_of_answer(struct etcd *etcd, const struct http_answer *answer,
				json_t **ret_answer)
{
	AUTO(json_freep) json_t *json = NULL;
	bool no_memory = false;

	json = json_read(buffer_bytes(&answer->body), 0, &no_memory);
	if (no_memory)
		return (struct end){ZONE_NO_MEMORY, ETCD_UNKNOWN, false, RETRY_NO};
	if (answer->status != 200)
		return end_of_refusal(etcd, answer, json);
	if (!json_is_object(json)) {
		etcd_says(etcd, ZONE_STORE_UNAVAILABLE,
			  "it answers what etcd does not; look at [store] endpoint");
		return (struct end){ZONE_STORE_UNAVAILABLE, ETCD_UNKNOWN, false, RETRY_NO};
	}
	*ret_answer = TAKE(json);
	return (struct end){ZONE_OK, ETCD_ANSWERED, false, RETRY_NO};
}

static struct end end_without_answer(struct etcd *etcd, enum http_result result,
				     const struct http_answer *answer)
{
	struct end end = {ZONE_STORE_UNAVAILABLE, ETCD_ANSWERED, false, RETRY_NO};

	switch (result) {
	case HTTP_NO_MEMORY:
		return (struct end){ZONE_NO_MEMORY, ETCD_UNKNOWN, false, RETRY_NO};
	case HTTP_TOO_LONG:
		return (struct end){ZONE_STORE_UNAVAILABLE, ETCD_TOO_LONG, false, RETRY_NO};
	case HTTP_BROKEN:
	case HTTP_TIMED_OUT:
		end.fate = ETCD_UNKNOWN;
		end.retry = RETRY_TRANSIENT;
		break;
	case HTTP_NOT_CONNECTED:
		end.retry = RETRY_TRANSIENT;
		break;
	default:
		break;
	}
	etcd_says(etcd, end.status, "%s%s", answer->error,
		  result == HTTP_NOT_CONNECTED && strstr(answer->error, "; ") == NULL
			  ? "; look at [store] endpoint"
			  : "");
	return end;
}

/* For doctor. */
static void note_date(struct etcd *etcd, const struct http_answer *answer)
{
	struct bytes date = http_answer_header(answer, "Date");
	char text[40];
	int64_t there_ms;

	if (date.len == 0 || date.len >= sizeof(text))
		return;
	memcpy(text, date.data, date.len);
	text[date.len] = '\0';
	if (!clock_read_http(text, &there_ms))
		return;
	etcd->dated = true;
	etcd->ahead_ms = there_ms - etcd->clock->realtime_ms(etcd->clock->state);
}

static struct end send_once(struct etcd *etcd, const char *path, const struct buffer *body,
			    json_t **ret_answer)
{
	AUTO(http_answer_clear) struct http_answer answer = {0};
	AUTO(buffer_clear) struct buffer url = {0};
	int64_t left = etcd_time_left(etcd);
	struct http_header headers[2] = {{"Content-Type", "application/json"}};
	struct http_request request = {.method = "POST", .headers = headers, .header_count = 1};
	enum http_result result;

	if (left == 0) {
		etcd_says(etcd, ZONE_STORE_UNAVAILABLE, "it did not answer in time");
		return (struct end){ZONE_STORE_UNAVAILABLE, ETCD_ANSWERED, false, RETRY_NO};
	}
	buffer_format(&url, "%s%s", etcd->endpoint, path);
	if (etcd->token.len > 0)
		headers[request.header_count++] =
			(struct http_header){"Authorization", buffer_text(&etcd->token)};
	request.url = buffer_text(&url);
	if (request.url == NULL || body->failed)
		return (struct end){ZONE_NO_MEMORY, ETCD_ANSWERED, false, RETRY_NO};
	request.body = buffer_bytes(body);
	request.ca_bundle = etcd->ca_bundle;
	request.client_certificate = etcd->client_certificate;
	request.client_key = etcd->client_key;
	request.body_limit = ETCD_ANSWER_MAX;
	request.timeout_ms = (unsigned)(left < ETCD_ATTEMPT_MS ? left : ETCD_ATTEMPT_MS);
	request.connect_timeout_ms =
		request.timeout_ms < ETCD_CONNECT_MS ? request.timeout_ms : ETCD_CONNECT_MS;
	result = etcd->http->operations->send(etcd->http, &request, &answer);
	if (result == HTTP_ANSWERED)
		note_date(etcd, &answer);
	return result == HTTP_ANSWERED ? end_of_answer(etcd, &answer, ret_answer)
				       : end_without_answer(etcd, result, &answer);
}

/* --- As whom */

/* The file's only line. */
static enum zone_status read_password(struct etcd *etcd, struct buffer *ret_password)
{
	struct bytes text;

	if (!file_read(etcd->password_file, PASSWORD_MAX, ret_password))
		return errno == ENOMEM
			       ? ZONE_NO_MEMORY
			       : etcd_says(etcd, ZONE_STORE_NO_CREDENTIALS,
					   "[store] password_file = %s can't be read: %s; %s",
					   etcd->password_file, system_error_text(errno),
					   system_error_remedy(errno));
	text = buffer_bytes(ret_password);
	while (text.len > 0 && (text.data[text.len - 1] == '\n' || text.data[text.len - 1] == '\r'))
		text.len--;
	buffer_truncate(ret_password, text.len);
	if (text.len > 0 && utf8_valid(text) && memchr(text.data, '\n', text.len) == NULL)
		return ZONE_OK;
	return etcd_says(etcd, ZONE_STORE_NO_CREDENTIALS,
			 "[store] password_file = %s is not one line of text", etcd->password_file);
}

static enum zone_status authenticate(struct etcd *etcd)
{
	AUTO(buffer_clear) struct buffer password = {0};
	AUTO(buffer_clear) struct buffer body = {0};
	AUTO(json_freep) json_t *answer = NULL;
	const json_t *token;
	struct end end;

	buffer_clear(&etcd->token);
	TRY(read_password(etcd, &password));
	if (buffer_text(&password) == NULL)
		return ZONE_NO_MEMORY;
	buffer_put_text(&body, "{\"name\":");
	json_put_string(&body, etcd->user);
	buffer_put_text(&body, ",\"password\":");
	json_put_string(&body, buffer_text(&password));
	buffer_put_text(&body, "}");
	end = send_once(etcd, "/v3/auth/authenticate", &body, &answer);
	if (end.status != ZONE_OK)
		return end.status;
	token = json_object_get(answer, "token");
	if (!json_is_string(token) || json_string_length(token) == 0)
		return etcd_says(etcd, ZONE_STORE_NO_CREDENTIALS, "it gave no token to user %s",
				 etcd->user);
	buffer_put_text(&etcd->token, json_string_value(token));
	return buffer_text(&etcd->token) == NULL ? ZONE_NO_MEMORY : ZONE_OK;
}

/* With a new token if the one that was there is refused. */
static struct end attempt(struct etcd *etcd, const char *path, const struct buffer *body,
			  json_t **ret_answer)
{
	struct end end = {ZONE_OK, ETCD_ANSWERED, true, RETRY_NO};
	bool fresh = false;

	for (;;) {
		if (etcd->user != NULL && etcd->token.len == 0) {
			end.status = authenticate(etcd);
			end.retry = retry_of(end.status, ETCD_UNKNOWN);
			if (end.status != ZONE_OK)
				return end;
			fresh = true;
		}
		end = send_once(etcd, path, body, ret_answer);
		if (!end.renew)
			return end;
		buffer_clear(&etcd->token);
		if (fresh) {
			etcd_says(etcd, end.status,
				  "it refuses the token that it has just given to user %s; look at "
				  "etcd's --auth-token",
				  etcd->user);
			return end;
		}
	}
}

enum zone_status etcd_call(struct etcd *etcd, const char *path, const struct buffer *body,
			   bool again, enum etcd_fate *ret_fate, json_t **ret_answer)
{
	struct retry retry = {
		.bucket = &etcd->bucket,
		.clock = etcd->clock,
		.sleep = etcd->sleep,
		.sleep_state = etcd->sleep_state,
		.max_attempts = ATTEMPTS,
		.attempt = 1,
		.deadline = etcd->deadline,
	};
	struct end end;

	do {
		etcd->requests++;
		end = attempt(etcd, path, body, ret_answer);
		if (end.status == ZONE_OK) {
			retry_succeeded(&retry);
			remote_answers(&etcd->said, etcd->name);
			break;
		}
	} while ((again || end.fate != ETCD_UNKNOWN) && retry_again(&retry, end.retry, -1));
	*ret_fate = end.fate;
	return end.status;
}
