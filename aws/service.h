/* SPDX-FileCopyrightText: 2026 The cmek-pkcs11 authors */
/* SPDX-License-Identifier: Apache-2.0 */
/* A service of AWS at its endpoint: requests to it, signed or not, its clock, and how many retries
 * it allows. */
#pragma once

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/sigv4.h"
#include "aws/status.h"
#include "base/arn.h"
#include "net/retry.h"

struct service {
	enum aws_service which;
	char region[REGION_TEXT_MAX + 1];
	struct endpoint endpoint;
	struct buffer ca_bundle; /* text; empty: the system's */
	struct buffer proxy;	 /* text, with its password; empty: none */
	unsigned max_attempts;	 /* of one request, the first included */
	struct sigv4_cache signing_key;
	struct retry_bucket bucket;
	_Atomic int64_t skew_ms; /* its clock minus ours, where it objected */
};

/* Zero state first. Where the service is, by which proxy, what it is trusted by and how often it is
 * asked: endpoint_find(), proxy_find(), ca_bundle, max_attempts and retry_mode (AWS SDKs and Tools
 * Reference Guide, "Retry behavior"; every mode is retry.h's here). KMS_MISCONFIGURED: one of them
 * is invalid. */
enum kms_status service_init(struct service *service, enum aws_service which, const char *region,
			     const struct aws_settings *settings,
			     const struct environment *environment, const struct profile *profile,
			     struct kms_report *report);
/* The same, for files that have been read already. A region that is too long is invalid. */
enum kms_status service_open(struct service *service, enum aws_service which, const char *region,
			     const struct credentials_place *place, struct kms_report *report);
/* An address that is not an AWS service's, for unsigned requests: metadata and containers, which a
 * proxy can't reach for us, and should not see. KMS_MISCONFIGURED: not an address. */
enum kms_status service_init_address(struct service *service, const char *url,
				     unsigned max_attempts, struct kms_report *report);
void service_clear(struct service *service);

enum { SERVICE_HEADERS = 4 };

struct service_request {
	const char *method;
	const char *path; /* and query, after the endpoint's own; NULL: nothing. Only unsigned. */
	struct http_header headers[SERVICE_HEADERS]; /* up to the first without a name */
	struct bytes body;
	/* Makes the body before each attempt of service_ask(), the first included, in place of
	 * `body`; NULL: it stays. A failure ends the call. */
	enum kms_status (*renew_body)(void *state, struct kms_report *report,
				      struct bytes *ret_body);
	void *state;
	const struct credentials *signer; /* NULL: not signed */
	const char *remark; /* in the user agent, of at most KMS_REMARK_MAX; or NULL */
	size_t body_limit;  /* of the answer's body, in bytes; 0: HTTP_BODY_MAX */
	unsigned connect_timeout_ms, timeout_ms;
};

/* One attempt. KMS_OK: *ret_result and the answer tell the outcome. */
enum kms_status service_send(struct service *service, const struct aws_transport *transport,
			     const struct clock *clock, const struct service_request *request,
			     struct http_answer *answer, enum http_result *ret_result);

/* After a RETRY_CLOCK: true if the answer's date shows that our clock is over four minutes off what
 * was signed; the difference is kept, and the request should be signed again. */
bool service_adjust_clock(struct service *service, const struct clock *clock,
			  const struct http_answer *answer);
/* The server's time minus ours by an answer's Date header; 0 if it has none, or less than four
 * minutes differ. */
int64_t service_clock_difference(const struct clock *clock, const struct http_answer *answer);
/* x-amz-retry-after in milliseconds; -1: the server did not say. */
int64_t service_retry_hint(const struct http_answer *answer);

/*
 * Asks until there is a good answer (200), as retry.h says, for at most max_attempts and until the
 * place's deadline; each attempt for at most the request's time. On failure the report (not NULL)
 * says why; nothing is logged.
 */
enum kms_status service_ask(struct service *service, const struct credentials_place *place,
			    const struct service_request *request, struct kms_report *report,
			    struct http_answer *ret_answer);
