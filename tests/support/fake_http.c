/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP that answers what a test has written down. */
#include "tests/support/fake_http.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static void remember(struct fake_http *fake, const struct http_request *request)
{
	struct fake_sent *sent = &fake->sent[fake->request_count];
	size_t at = 0;

	*sent = (struct fake_sent){0};
	snprintf(sent->method, sizeof(sent->method), "%s", request->method);
	snprintf(sent->url, sizeof(sent->url), "%s", request->url);
	for (size_t i = 0; i < request->header_count; i++)
		at += (size_t)snprintf(sent->headers + at, sizeof(sent->headers) - at, "%s: %s\n",
				       request->headers[i].name, request->headers[i].value);
	assert(at < sizeof(sent->headers) && request->body.len < sizeof(sent->body));
	if (request->body.len > 0)
		memcpy(sent->body, request->body.data, request->body.len);
	sent->connect_timeout_ms = request->connect_timeout_ms;
	sent->timeout_ms = request->timeout_ms;
	snprintf(sent->proxy, sizeof(sent->proxy), "%s",
		 request->proxy == NULL ? "" : request->proxy);
	snprintf(sent->user_agent, sizeof(sent->user_agent), "%s",
		 request->user_agent == NULL ? "" : request->user_agent);
	snprintf(sent->ca_bundle, sizeof(sent->ca_bundle), "%s",
		 request->ca_bundle == NULL ? "" : request->ca_bundle);
}

static enum http_result fake_send(struct http *http, const struct http_request *request,
				  struct http_answer *answer)
{
	struct fake_http *fake = (struct fake_http *)http;
	size_t i = fake->request_count;
	const struct fake_reply *reply =
		&fake->replies[i < fake->reply_count ? i : fake->reply_count - 1];

	assert(i < FAKE_REQUESTS);
	remember(fake, request);
	fake->request_count++;
	if (fake->on_send != NULL)
		fake->on_send(fake);
	if (reply->result != HTTP_ANSWERED) {
		snprintf(answer->error, sizeof(answer->error), "ordered fault");
		return reply->result;
	}
	answer->status = reply->status;
	buffer_put_text(&answer->head, reply->head == NULL ? "" : reply->head);
	buffer_put_text(&answer->body, reply->body == NULL ? "" : reply->body);
	return HTTP_ANSWERED;
}

static void fake_end(struct http *http)
{
	(void)http;
}

static const struct http_operations operations = {
	.send = fake_send, .abandon = fake_end, .free = fake_end};

void fake_http_init(struct fake_http *http)
{
	*http = (struct fake_http){.http.operations = &operations};
	http->now_ms = INT64_C(1764000000000);
}

void fake_http_script(struct fake_http *http, const struct fake_reply *replies, size_t count)
{
	http->replies = replies;
	http->reply_count = count;
	http->request_count = 0;
	http->slept_ms = 0;
}

const char *fake_http_header(const struct fake_http *http, size_t i, const char *name)
{
	static char value[4096];
	size_t len = strlen(name);

	for (const char *line = http->sent[i].headers; *line != 0;) {
		size_t end = strcspn(line, "\n");

		if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
			snprintf(value, sizeof(value), "%.*s", (int)(end - len - 2),
				 line + len + 2);
			return value;
		}
		line += end + 1;
	}
	return NULL;
}

static void fake_sleep(void *state, int64_t ms)
{
	struct fake_http *http = state;

	http->slept_ms += ms;
	http->now_ms += ms;
}

static int64_t fake_time(void *state)
{
	return ((struct fake_http *)state)->now_ms;
}

struct aws_transport fake_http_transport(struct fake_http *http)
{
	return (struct aws_transport){
		.http = &http->http, .sleep = fake_sleep, .sleep_state = http};
}

struct clock fake_http_clock(struct fake_http *http)
{
	return (struct clock){fake_time, fake_time, http};
}
