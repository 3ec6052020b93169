/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP that answers what a test has written down, in order, and remembers what it was sent. */
#pragma once

#include "kms/aws/aws.h"
#include "net/http.h"

struct fake_reply {
	enum http_result result;
	unsigned status; /* if answered */
	const char *head;
	const char *body;
};

enum { FAKE_REQUESTS = 16 };

struct fake_http {
	struct http http;
	const struct fake_reply *replies; /* the last one is repeated */
	size_t reply_count;
	size_t request_count;
	struct fake_sent {
		char method[8];
		char url[512];
		char headers[4096]; /* "Name: value\n" each */
		char body[8192];
		unsigned connect_timeout_ms, timeout_ms;
		char ca_bundle[64];
		char proxy[64]; /* empty: none */
		char user_agent[64];
	} sent[FAKE_REQUESTS];
	void (*on_send)(struct fake_http *http); /* may be NULL */
	int64_t slept_ms;			 /* by fake_sleep */
	int64_t now_ms;				 /* of fake_http_clock */
};

void fake_http_init(struct fake_http *http);
void fake_http_script(struct fake_http *http, const struct fake_reply *replies, size_t count);
/* Of the request number `i`: the header's value in a static buffer, or NULL. */
const char *fake_http_header(const struct fake_http *http, size_t i, const char *name);
/* A transport whose time passes only by sleeping. */
struct aws_transport fake_http_transport(struct fake_http *http);
struct clock fake_http_clock(struct fake_http *http);
