/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP as the KMS client needs it: a function table, so that tests put their own answers and faults
 * in its place. http_curl_new() is the real one. One request and one whole answer at a time; any
 * number of threads.
 */
#pragma once

#include "base/buffer.h"
#include "base/clock.h"

enum http_result {
	HTTP_ANSWERED = 0,  /* whatever the status code */
	HTTP_NOT_CONNECTED, /* DNS, connect, TLS handshake: the server saw no request */
	HTTP_BROKEN,	    /* lost on the way: the server may have seen the request */
	HTTP_TIMED_OUT,
	HTTP_TOO_LONG,	/* an answer beyond the limits below */
	HTTP_REFUSED,	/* the proxy says no, or wants another user */
	HTTP_UNTRUSTED, /* the server's certificate, or the CA bundle */
	HTTP_UNUSABLE,	/* a URL or a libcurl that can't be used */
	HTTP_NO_MEMORY
};

enum { HTTP_BODY_MAX = 64 * 1024, HTTP_HEAD_MAX = 16 * 1024 };

#define HTTP_USER_AGENT "cmek-pkcs11/" CMEK_VERSION

struct http_header {
	const char *name;
	const char *value;
};

struct http_request {
	const char *method;		   /* "POST" sends the body; "GET", "PUT" have none */
	const char *url;		   /* https, or http where the caller has allowed it */
	const struct http_header *headers; /* Host too, if it must be the one in the signature */
	size_t header_count;
	struct bytes body;
	const char *ca_bundle;			     /* NULL: the system's */
	const char *client_certificate, *client_key; /* files in PEM; both or neither;
						      * the key without a passphrase */
	size_t body_limit;	     /* of the answer's body, in bytes; 0: HTTP_BODY_MAX */
	unsigned connect_timeout_ms; /* both > 0 */
	unsigned timeout_ms;	     /* of the whole request */
	const char *proxy;	     /* NULL: none, whatever the environment says */
	const char *user_agent;	     /* NULL: HTTP_USER_AGENT */
};

/* Zero state first. The body may be secret; clearing wipes it. */
struct http_answer {
	unsigned status;
	struct buffer head; /* the header lines as they came */
	struct buffer body;
	bool no_memory;	 /* for the answer; else a buffer that failed is over its limit */
	char error[512]; /* for the log, when there was no answer: what happened, what to do */
};

void http_answer_clear(struct http_answer *answer);
/* The value of a header (any case of the name), trimmed; borrowed; no bytes if there is none. */
struct bytes http_answer_header(const struct http_answer *answer, const char *name);

struct http;

struct http_operations {
	enum http_result (*send)(struct http *http, const struct http_request *request,
				 struct http_answer *answer);
	/* In a fork's child: closes inherited sockets, calls nothing of the library, leaks the
	 * rest. */
	void (*abandon)(struct http *http);
	void (*free)(struct http *http);
};

/* What every implementation begins with. */
struct http {
	const struct http_operations *operations;
};

/*
 * Touches neither network nor libcurl before the first request. The clock, which is borrowed, says
 * how long connections are idle. `no_threads`: none is started, not even by libcurl for its
 * resolver; names are then looked up in the calling thread, whenever a connection has to be made,
 * and for as long as the system's resolver takes, whatever the request's time. NULL: no memory.
 */
struct http *http_curl_new(unsigned max_idle_connections, bool no_threads,
			   const struct clock *clock);
